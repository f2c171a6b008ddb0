//! `appliance check`, `init` and `schema`, and what every command says to a wrong configuration.

#[path = "common/mod.rs"]
mod common;

use std::fs;
use std::path::PathBuf;
use std::process::Output;

use common::{appliance, stdout};

/// A folder of the test's own.
fn folder(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

/// `name` is that of the test, which has a folder of its own.
fn check(name: &str, text: &str, more: &[&str]) -> Output {
    let file = folder(name).join("config.toml");
    fs::write(&file, text).unwrap();
    appliance(&[&["check", file.to_str().unwrap()], more].concat())
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Wrong keys, types, networks, words, rules: each has one line, which says where, what was expected, and what was found.
#[test]
fn each_mistake_has_one_line() {
    for (text, said) in [
        (
            "[acess]\ndefault = \"allow\"",
            "1, column 2: expected one of `monitor`, `policy`, `endpoints`, `access`, `rate`, `anomaly`, `domains`, `api`,",
        ),
        ("[acess]", "found `acess`; did you mean `access`?"),
        ("monitor = \"yes\"", "1, column 11: expected `true` or `false`, found a string"),
        ("monitor = yes", "1, column 11: expected TOML: "),
        ("[run]\nport = 0", "2, column 8: expected a number from 1 to 65535, found `0`"),
        ("[run]\nport = 6081.5", "2, column 8: expected an integer, found a float"),
        ("[run]\ndrain = \"5m\"", "2, column 9: expected a number of seconds, found a string"),
        ("[run]\nreload = \"old\"", "2, column 10: expected `new` or `all`, found `old`"),
        ("[run]\nshadow = 7", "2, column 10: expected a string, found an integer"),
        ("[run]\nhealth = \"8080\"", "2, column 10: expected an address with a port"),
        (
            "[run]\nallow-origin = \"10.0.0.1/8\"",
            "2, column 16: expected no bits after the prefix: write 10.0.0.0/8, or 10.0.0.1/32 for the host",
        ),
        ("[limits]\nflow = 1", "2, column 1: expected one of `flows`"),
        ("[limits]\nflows = \"many\"", "2, column 9: expected an integer, found a string"),
        ("[timeouts]\ntcp = -1", "2, column 7: expected 0 to 604800 seconds, found `-1`"),
        ("[policy]\nmidstream = \"adobt\"", "found `adobt`; did you mean `adopt`?"),
        ("[policy]\nbad-checksum = \"pass\"", "2, column 16: expected `drop`, found `pass`"),
        ("[endpoints.vpc-1]", "1, column 12: expected `vpce-` at the start, found `vpc-1`"),
        (
            "[endpoints.\"vpce-1a2b3c4d\"]\nflows = 0",
            "2, column 9: expected a number from 1 to 268435456, found `0`",
        ),
        ("[endpoints.\"vpce-1a2b3c4d\"]\nname = 1", "2, column 8: expected a string"),
        (
            "[access]\ndefault = \"allow\"\n[[access.rule]]\nports = 80",
            "3, column 1: expected `action` here, found none",
        ),
        (
            "[access]\ndefault = \"allow\"\nrule = [{ action = \"drop\", to = \"10.0.0.0/33\" }]",
            "3, column 33: expected a prefix length of at most 32, found `10.0.0.0/33`",
        ),
        (
            "[access]\ndefault = \"allow\"\nrule = [{ action = \"drop\", to = \"example.org\" }]",
            "3, column 33: expected ",
        ),
        (
            "[access]\ndefault = \"allow\"\nrule = [{ action = \"drop\", ports = \"80-\" }]",
            "3, column 36: expected ",
        ),
        (
            "[access]\ndefault = \"allow\"\nrule = [{ action = \"drop\", protocol = \"tcpp\" }]",
            "found `tcpp`; did you mean `tcp`?",
        ),
        (
            "[[rate.rule]]\nper = \"source\"\nlimit = \"syns\"",
            "1, column 1: expected `rate` here, found none",
        ),
        (
            "[anomaly]\nland = \"drp\"",
            "2, column 8: expected `ignore`, `alert`, `drop` or `reject`",
        ),
        ("[anomaly]\ntcp-nul = \"drop\"", "did you mean `tcp-null`?"),
        (
            "[domains]\ndefault = \"drop\"\nlist = [{ action = \"allow\", names = \"a..b\" }]",
            "3, column 37: expected ",
        ),
        ("[api]\nrule = [{ methods = \"get\" }]", "found `get`; did you mean `GET`?"),
        ("[eve]\nfile = \"-\"\ntypes = \"flows\"", "found `flows`; did you mean `flow`?"),
        ("[eve]\nfile = \"-\"\nkind = \"unix\"", "3, column 8: expected `file`, `unix-stream`"),
        ("[eve]\nfile = \"a\"\nrotate-bytes = 10", "3, column 16: expected a number from 4096"),
        ("[eve]\nfile = \"-\"\nenvelope = {}", "3, column 12: expected `firewall-name` here"),
    ] {
        let output = check("mistakes", text, &[]);
        let told = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{text}: {told}");
        assert!(output.stdout.is_empty());
        for line in told.lines() {
            assert!(
                line.starts_with("error: ") && line.contains("config.toml: line "),
                "{text}: {told}"
            );
        }
        assert!(told.contains(said), "{text}\n{told}");
        // Whoever is to work with it, says the same.
        let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("mistakes/config.toml");
        let run = appliance(&["replay", "no.pcap", "--config", file.to_str().unwrap()]);
        assert_eq!(run.status.code(), Some(1));
        assert!(stderr(&run).contains(said), "{text}\n{}", stderr(&run));
    }
}

#[test]
fn files_that_cannot_be_read() {
    let folder = folder("unread");
    let path = |name: &str| folder.join(name).to_str().unwrap().to_string();
    fs::write(path("binary.toml"), b"# One\nmonitor = \xff").unwrap();
    for (file, said) in [
        (path("none.toml"), "cannot read FILE: No such file"),
        (path(""), "cannot read FILE: Is a directory"),
        (path("binary.toml"), "FILE: line 2: expected text in UTF-8, found the byte 0xff\n"),
    ] {
        let output = appliance(&["check", &file]);
        let told = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.starts_with(&format!("error: {}", said.replace("FILE", &file))), "{told}");
        assert_eq!(told.lines().count(), 1, "{told}");
    }
}

/// Root may read everything; so somebody else tries.
#[cfg(target_os = "linux")]
#[test]
fn a_file_that_one_may_not_read() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;

    let folder = std::env::temp_dir().join(format!("gwlb-permission-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let (file, program) = (folder.join("config.toml"), folder.join("appliance"));
    fs::write(&file, "monitor = true").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).unwrap();
    // Where whoever else it is may not go, nothing can be started. Copied by a process of its own: another test that starts one
    // would inherit a file that is open for writing, and that cannot be started meanwhile.
    let copied = std::process::Command::new("cp").arg(common::binary()).arg(&program).status();
    assert!(copied.unwrap().success());
    let mut command = std::process::Command::new(&program);
    if fs::read(&file).is_ok() {
        command.uid(65_534);
    }
    let output = command.arg("check").arg(&file).output().unwrap();
    fs::remove_dir_all(&folder).unwrap();
    let told = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("config.toml: Permission denied"), "{told}");
}

#[test]
fn warnings_fail_where_they_are_to() {
    let text = "[access]\ndefault = \"allow\"\n[[access.rule]]\naction = \"drop\"\nports = 80\n\
                [[access.rule]]\nname = \"late\"\naction = \"allow\"\nports = 80\n";
    let output = check("warnings", text, &[]);
    let told = stderr(&output);
    assert_eq!(output.status.code(), Some(0), "{told}");
    let said = "config.toml: line 6, column 1: rule 2 (`late`) never applies: rule 1 takes every flow before it";
    assert!(told.starts_with("warning: ") && told.contains(said), "{told}");
    assert!(told.contains("no mistake, 1 warning"), "{told}");
    assert_eq!(check("warnings", text, &["--strict"]).status.code(), Some(1));
    let fine = check("warnings", "", &["--strict"]);
    assert_eq!(fine.status.code(), Some(0));
    assert!(stderr(&fine).ends_with("config.toml: fine\n"), "{}", stderr(&fine));
}

#[test]
fn the_first_configuration_is_right() {
    let folder = folder("init");
    let path = folder.join("first.toml");
    let file = path.to_str().unwrap();
    let example = include_str!("../example.toml");
    assert!(appliance(&["init", file]).status.success());
    assert_eq!(fs::read_to_string(&path).unwrap(), example);
    let strict = appliance(&["check", "--strict", file]);
    assert!(strict.status.success(), "{}", stderr(&strict));

    fs::write(&path, "# Mine\n").unwrap();
    let again = appliance(&["init", file]);
    assert_eq!(again.status.code(), Some(1));
    assert!(
        stderr(&again).contains("is there already: --force writes over it"),
        "{}",
        stderr(&again)
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), "# Mine\n");
    assert!(appliance(&["init", "--force", file]).status.success());
    assert_eq!(fs::read_to_string(&path).unwrap(), example);
    assert_eq!(stdout(&appliance(&["init", "-"])), example);

    let nowhere = folder.join("none/first.toml");
    let nowhere = appliance(&["init", nowhere.to_str().unwrap()]);
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(stderr(&nowhere).starts_with("error: cannot write "), "{}", stderr(&nowhere));
}

/// What is only a comment in it, can be used as well.
#[test]
fn the_comments_of_the_first_configuration_are_right() {
    let example = include_str!("../example.toml");
    let is_key = |line: &str| {
        let key = line.split([' ', '=', '"', '.']).next().unwrap_or_default();
        let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        line.starts_with('[')
            || line.starts_with('{')
            || line.starts_with("    {")
            || (line.contains(" = ") && !key.is_empty() && key.chars().all(is_word))
    };
    let lines = example.lines().map(|line| match line.strip_prefix("# ") {
        Some(comment) if is_key(comment) => comment,
        _ => line,
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    assert!(text.lines().filter(|line| !line.starts_with('#')).count() > 100, "{text}");
    // What it names is there, in a folder of the test's own.
    let folder = folder("example").to_str().unwrap().to_string();
    let text = text.replace("/etc/gwlb-appliance", &folder);
    for name in text.split(['"', '\'']).filter(|text| text.starts_with(&folder)) {
        let keys = include_str!("../../../tests/keys/jwks.json");
        let is_keys = name.ends_with("/jwks.json");
        fs::write(name, if is_keys { keys } else { "# Nothing yet.\n" }).unwrap();
    }
    let output = check("comments", &text, &[]);
    assert_eq!(output.status.code(), Some(0), "{}\n{text}", stderr(&output));
    assert!(!stderr(&output).contains("no rule of"), "{}", stderr(&output));
    // All that can be said of signatures is said.
    let schema: serde_json::Value = serde_json::from_str(&stdout(&appliance(&["schema"]))).unwrap();
    for key in schema["properties"]["signatures"]["properties"].as_object().unwrap().keys() {
        let is_there = |line: &str| {
            line.starts_with(&format!("{key} = "))
                || line.starts_with(&format!("[signatures.{key}."))
        };
        assert!(text.lines().any(is_there), "{key}\n{text}");
    }
}

#[test]
fn the_schema_is_one() {
    let schema: serde_json::Value = serde_json::from_str(&stdout(&appliance(&["schema"]))).unwrap();
    assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
    let tables = schema["properties"].as_object().unwrap();
    for table in ["access", "domains", "api", "eve", "run", "limits"] {
        assert_eq!(tables[table]["additionalProperties"], false, "{table}");
    }
}
