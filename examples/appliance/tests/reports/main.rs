//! What the appliance makes of a capture: pages, copies with comments, comparisons of two policies, regression tests.

#[path = "../common/mod.rs"]
mod common;

mod annotated;
mod cases;
mod diff;
mod hostile;
mod page;

use std::fs;
use std::path::{Path, PathBuf};

/// A folder for the files of a test, empty.
fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("reports").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder to write to");
    folder
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// A file in a folder.
fn file(folder: &Path, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, text).expect("a file");
    path
}

/// A run that must fail with this status says so in one line that contains `expected`.
#[track_caller]
fn refused(arguments: &[&str], status: i32, expected: &str) {
    let output = common::appliance(arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{arguments:?}: {stderr}");
    assert_eq!(stderr.lines().count(), 1, "{arguments:?}: {stderr}");
    assert!(stderr.starts_with("error: ") && stderr.contains(expected), "{arguments:?}: {stderr}");
}
