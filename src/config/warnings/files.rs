use alloc::format;
use alloc::string::{String, ToString};
use std::fs;
use std::path::Path;

use super::Findings;
use crate::config::Config;

/// Files that the appliance will not be able to open. Nothing is made here: what is written needs a directory to be written into.
pub(super) fn look(config: &Config, findings: &mut Findings<'_, '_>) {
    let run = &config.run;
    for (key, file) in [("manage-token-file", &run.manage_token_file), ("shadow", &run.shadow)] {
        if let Some(error) = file.as_ref().and_then(|file| unreadable(file.as_ref())) {
            let file = file.as_deref().unwrap_or_default();
            findings.warn_at(&["run", key], format!("cannot read {file}: {error}"));
        }
    }
    #[cfg(feature = "eve")]
    if let Some(eve) = config.eve.as_ref().filter(|eve| eve.file != "-") {
        use crate::config::EveKind;

        let (file, path) = (&eve.file, Path::new(&eve.file));
        if eve.kind == EveKind::File {
            if let Some(error) = unwritable(path) {
                findings.warn_at(&["eve", "file"], format!("cannot write {file}: {error}"));
            }
        } else if fs::metadata(path).is_ok_and(|found| found.is_dir() || found.is_file()) {
            let text = format!("cannot send to {file}: expected a socket, found something else");
            findings.warn_at(&["eve", "file"], text);
        }
    }
    #[cfg(feature = "capture")]
    if let Some(evidence) = config.evidence() {
        let directory = &evidence.directory;
        if let Some(error) = unmakable(directory) {
            let text = format!("cannot write into {}: {error}", directory.display());
            findings.warn_at(&["tap", "directory"], text);
        }
    }
}

fn unreadable(file: &Path) -> Option<String> {
    let found = match fs::metadata(file) {
        Ok(found) => found,
        Err(error) => return Some(error.to_string()),
    };
    if found.is_dir() {
        return Some("expected a file, found a directory".into());
    }
    // A pipe would keep us waiting for somebody who writes into it.
    if !found.is_file() {
        return None;
    }
    fs::File::open(file).err().map(|error| error.to_string())
}

#[cfg(feature = "eve")]
fn unwritable(file: &Path) -> Option<String> {
    match fs::metadata(file) {
        Ok(found) if found.is_dir() => Some("expected a file, found a directory".into()),
        Ok(found) if found.is_file() => {
            fs::OpenOptions::new().append(true).open(file).err().map(|error| error.to_string())
        }
        Ok(_) => None,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty());
            no_directory(parent.unwrap_or(Path::new(".")))
        }
        Err(error) => Some(error.to_string()),
    }
}

/// Why there can be no such directory. Those above it that are not there are made with it.
#[cfg(feature = "capture")]
fn unmakable(directory: &Path) -> Option<String> {
    let there = directory.ancestors().find(|it| fs::symlink_metadata(it).is_ok());
    no_directory(there?)
}

#[cfg(any(feature = "capture", feature = "eve"))]
fn no_directory(path: &Path) -> Option<String> {
    let shown = path.display();
    match fs::metadata(path) {
        Ok(found) if !found.is_dir() => {
            Some(format!("expected a directory at {shown}, found something else"))
        }
        Ok(found) if found.permissions().readonly() => {
            Some(format!("nobody may write into the directory {shown}"))
        }
        Ok(_) => None,
        Err(error) => Some(format!("expected a directory at {shown}, found none: {error}")),
    }
}
