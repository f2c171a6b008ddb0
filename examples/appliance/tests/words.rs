//! What people read who do something for the first time, or do it wrong.

mod common;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use common::{appliance, binary, root, stdout};
use serde_json::Value;

/// A folder of the test's own.
fn folder(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("words").join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

/// A file in a folder of the test's own.
fn file(test: &str, name: &str, bytes: impl AsRef<[u8]>) -> String {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("words").join(test);
    fs::create_dir_all(&path).unwrap();
    let path = path.join(name);
    fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_string()
}

fn capture(name: &str) -> String {
    root("tests/captures").join(name).to_str().unwrap().to_string()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// What `explain` says of a packet of `http.pcapng` under a configuration.
fn explain(config: &str, packet: u64, more: &[&str]) -> String {
    let number = packet.to_string();
    let capture = capture("http.pcapng");
    let arguments = ["explain", &capture, "--packet", &number, "--config", config];
    stdout(&appliance(&[&arguments, more].concat()))
}

#[track_caller]
fn assert_lines(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.lines().any(|it| it == *line), "{line}\n--- is no line of\n{text}");
    }
}

/// Also a rule that tells nothing is named, and where it stands; and what its flow was refused by before.
#[test]
fn an_explanation_names_the_rule_of_an_access_list() {
    let config = file(
        "access",
        "config.toml",
        "[access]\ndefault = \"allow\"\n[[access.rule]]\naction = \"allow\"\nports = 53\n\
         [[access.rule]]\nname = \"no web\"\naction = \"reject\"\nports = 80\n",
    );
    let first = explain(&config, 3, &[]);
    let because = "because    rule 2 (no web), line 6: reject";
    assert_lines(
        &first,
        &[
            "standing   new",
            "turn       first packet of its flow",
            "inspector  access-list: reject flow: access-list",
            because,
            "outcome    reject: access-list",
        ],
    );
    let later = explain(&config, 6, &[]);
    let (this, before) = later.split_once("\n\n").unwrap_or_else(|| panic!("{later}"));
    assert_lines(
        this,
        &[
            "packet     6",
            "refused    by packet 3, and its flow with it",
            "standing   refused before: access-list",
            "turn       packet 3 of its flow",
        ],
    );
    assert_lines(before, &["packet     3", because]);
    // What a rule lets pass is nobody's flow afterwards.
    let allowed = explain(&config, 1, &[]);
    assert_lines(
        &allowed,
        &["inspector  access-list: asked when the flow began", "because    rule 1, line 3: allow"],
    );
    let json: Value = serde_json::from_str(&explain(&config, 6, &["--json"])).unwrap();
    assert_eq!(json["turn"], 3);
    let before = &json["refused_by"];
    assert_eq!((&before["packet"], &before["turn"]), (&3.into(), &1.into()));
    assert_eq!(before["votes"][0]["because"][0], "rule 2 (no web), line 6: reject");
    let config = file("access", "default.toml", "[access]\ndefault = \"drop\"");
    assert_lines(&explain(&config, 1, &[]), &["because    the list's default: drop"]);
}

/// A packet that brings a request is judged by more than one rule, of which one tells nothing.
#[test]
fn an_explanation_names_signatures() {
    let config = file(
        "signatures",
        "config.toml",
        "[signatures]\nrules = '''\n\
         alert http any any -> any any (msg:\"A request\"; flow:to_server; http.method; content:\"GET\"; sid:7; rev:2;)\n\
         drop http any any -> any any (msg:\"Quiet\"; http.method; content:\"GET\"; noalert; gid:3; sid:8; rev:1;)\n\
         '''\n",
    );
    let told = explain(&config, 8, &[]);
    assert_lines(
        &told,
        &[
            "inspector  signatures: drop flow: signatures",
            "because    rule [3:8:1] Quiet: drop, without an alert",
            "because    rule [1:7:2] A request: alert",
            "outcome    drop: signatures",
        ],
    );
}

#[test]
fn an_explanation_names_rules_about_requests() {
    let text = "[api]\nports = 80\n[[api.rule]]\nname = \"orders\"\nmethods = \"PUT\"\n[[api.rule]]\nmethods = \"GET\"\n";
    let config = file("api", "allow.toml", text);
    let told = explain(&config, 8, &[]);
    assert_lines(&told, &["inspector  api: pass", "because    rule 2"]);
    let refusing = file("api", "drop.toml", text.replace("\"GET\"", "\"GET\"\naction = \"drop\""));
    let told = explain(&refusing, 8, &[]);
    assert_lines(&told, &["inspector  api: drop flow: api", "because    rule 2"]);
    let other = file("api", "none.toml", text.replace("\"GET\"", "\"DELETE\""));
    assert_lines(&explain(&other, 8, &[]), &["because    no rule allows it"]);
}

/// Each way to be malformed is told with its place, the same as `decode` finds.
#[test]
fn an_explanation_says_where_a_packet_is_malformed() {
    let capture = capture("malformed.pcapng");
    let decoded = stdout(&appliance(&["decode", "--json", &capture]));
    let mut layers = [0; 3];
    for line in decoded.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let number = record["packet"].to_string();
        let arguments = ["explain", capture.as_str(), "--packet", &number];
        let told = stdout(&appliance(&arguments));
        let json = stdout(&appliance(&[&arguments[..], &["--json"]].concat()));
        let json: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["disposition"], "drop", "{told}");
        if json["outer"].is_string() {
            assert!(told.contains(" at offset "), "{told}");
            layers[0] += 1;
            continue;
        }
        let (offset, found) = (&json["malformed"]["offset"], &json["malformed"]["message"]);
        let said =
            format!("malformed  {} (byte {offset} of the UDP payload)", found.as_str().unwrap());
        assert_lines(&told, &[&said]);
        match record["error"]["layer"].as_str() {
            Some("geneve") => {
                assert_eq!(*offset, record["error"]["offset"], "{told}");
                layers[1] += 1;
            }
            Some("inner") => {
                let header = 8 + 4 * u64::from(hex_options(&record));
                let inner = offset.as_u64().unwrap() - header;
                assert_eq!(inner, record["error"]["offset"].as_u64().unwrap(), "{told}");
                layers[2] += 1;
            }
            // What only a load balancer's envelope has to have.
            _ => {}
        }
    }
    assert!(layers.iter().all(|count| *count > 5), "{layers:?}");
}

/// Four-byte words of options in a GENEVE header.
fn hex_options(record: &Value) -> u32 {
    let options = record["geneve"]["options"].as_array().unwrap();
    let words = options.iter().map(|it| 1 + it["data"].as_str().unwrap().len() as u32 / 8);
    words.sum()
}

/// Why a rule holds is said in the words that the rule is written in.
#[test]
fn rules_are_explained_in_their_own_language() {
    let rules = file(
        "language",
        "local.rules",
        "alert tcp any any -> any 80 (msg:\"x\"; flow:established,to_server; flowbits:isset,seen; flags:PA; ttl:>1; content:\"GET |0d 0a|\"; nocase; offset:0; sid:1;)\n\
         alert http any any -> any any (msg:\"y\"; flow:to_server; http.method; content:\"GET\"; http.uri; bsize:>0; byte_test:1,>,46,0; pcre:\"/^\\//\"; sid:2;)\n",
    );
    let run = |sid| {
        stdout(&appliance(&["rules", "explain", sid, "--rules", &rules, &capture("http.pcapng")]))
    };
    let told = run("2");
    for words in [
        "yes protocol http: it is http\n",
        "yes ends http any any -> any any: they are TCP ",
        "yes flow:to_server\n",
        "yes http.method \"GET\": content:\"GET\": on from byte 3\n",
        "yes http.uri \"/",
        "bsize:>0: on from byte 0; byte_test:1,>,46,0: on from byte 0; pcre:\"/^\\//\": on from byte 1\n",
        "sid 2 holds",
    ] {
        assert!(told.contains(words), "{words}\n{told}");
    }
    let told = run("1");
    let missed = "content:\"GET |0d 0a|\"; nocase; offset:0: not found where it has to be\n";
    for words in ["yes flow:established,to_server\n", "NO  flags:PA\n", "yes ttl:>1\n", missed] {
        assert!(told.contains(words), "{words}\n{told}");
    }
    for told in [run("1"), run("2")] {
        for debug in [" { ", "Some(", "None", "Condition", "Established", "Http"] {
            assert!(!told.contains(debug), "{debug}\n{told}");
        }
    }
}

/// The program of the README says plainly what is wrong, and fails.
#[test]
fn the_first_program_says_what_is_wrong() {
    let program = binary().with_file_name("custom_inspector");
    let output = Command::new(&program).arg("none.pcap").output().expect("the example starts");
    assert_eq!(stderr(&output).lines().count(), 1, "{}", stderr(&output));
    let said = "error: cannot open none.pcap: No such file or directory";
    assert!(stderr(&output).starts_with(said), "{}", stderr(&output));
    assert_eq!(output.status.code(), Some(1));
    let output = Command::new(&program).arg(capture("http.pcapng")).output().unwrap();
    assert!(output.status.success() && stderr(&output).is_empty());
}

#[test]
fn files_that_are_no_rules_are_told_once() {
    let program = fs::read(binary()).unwrap();
    for (name, bytes, found) in [
        ("rules.tar.gz", &b"\x1f\x8b\x08\0rules"[..], "what gzip has compressed"),
        ("rules.zip", b"PK\x03\x04rules", "a ZIP archive"),
        ("notepad.rules", b"\xff\xfea\0l\0e\0r\0t\0", "UTF-16: save it as UTF-8"),
        ("program", &program[..1 << 20], "binary data"),
    ] {
        let path = file("no-rules", name, bytes);
        let output = appliance(&["rules", "check", &path]);
        assert_eq!(
            stderr(&output),
            format!("error: {path}:1:1: expected rules as text, found {found}\n")
        );
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{name}");
    }
}

#[test]
fn nothing_to_load_is_a_warning() {
    for (text, all) in [
        ("", "no rule is in there"),
        ("# Nothing yet.\n\n", "no rule is in there"),
        (
            "#alert icmp any any -> any any (itype:8; sid:1;)\n",
            "the one rule in there is disabled by a `#`",
        ),
    ] {
        let path = file("nothing", "local.rules", text);
        let output = appliance(&["rules", "check", &path]);
        let said = format!("warning: nothing is loaded from {path}: {all}\n");
        assert_eq!((stderr(&output), output.status.code()), (said, Some(0)));
    }
    let path = file("nothing", "local.rules", "alert icmp any any -> any any (itype:8; sid:1;)");
    assert_eq!(stderr(&appliance(&["rules", "check", &path])), "");
}

/// What is right as TOML and most likely not meant, and files that cannot be opened: which, and why.
#[test]
fn a_check_tells_of_methods_and_files() {
    let folder = folder("files");
    let path = folder.to_str().unwrap();
    fs::write(folder.join("file"), "").unwrap();
    fs::write(folder.join("archive"), b"\x1f\x8b\x08\0").unwrap();
    let check = |text: &str| {
        let file = file("files", "config.toml", text.replace("DIR", path));
        let output = appliance(&["check", &file]);
        (stderr(&output).replace(path, "DIR"), output.status.code())
    };
    for (text, said) in [
        (
            "[api]\nrule = [{ methods = [\"PUT\", \"GTE\"] }]",
            "line 2, column 29: expected a method that HTTP has, found `GTE`; did you mean `GET`?",
        ),
        (
            "[api]\nrule = [{ methods = \"PSOT\" }]",
            "line 2, column 21: expected a method that HTTP has, found `PSOT`; did you mean `POST`?",
        ),
        (
            "[eve]\nfile = \"DIR/none/eve.json\"",
            "line 2, column 8: cannot write DIR/none/eve.json: expected a directory at DIR/none, found none: No such file or directory",
        ),
        (
            "[eve]\nfile = \"DIR\"",
            "line 2, column 8: cannot write DIR: expected a file, found a directory",
        ),
        (
            "[eve]\nfile = \"DIR/file/eve.json\"",
            "line 2, column 8: cannot write DIR/file/eve.json: Not a directory",
        ),
        (
            "[eve]\nkind = \"unix-stream\"\nfile = \"DIR/file\"",
            "line 3, column 8: cannot send to DIR/file: expected a socket, found something else",
        ),
        (
            "[tap]\ndirectory = \"DIR/file/evidence\"",
            "line 2, column 13: cannot write into DIR/file/evidence: expected a directory at DIR/file, found something else",
        ),
        (
            "[run]\nshadow = \"DIR/next.toml\"",
            "line 2, column 10: cannot read DIR/next.toml: No such file or directory",
        ),
        (
            "[run]\nmanage-token-file = \"DIR\"",
            "line 2, column 21: cannot read DIR: expected a file, found a directory",
        ),
        (
            "[signatures]\nfiles = \"DIR/archive\"",
            "line 1, column 1: no rule of `files` or `rules` is loaded: DIR/archive:1:1: expected rules as text, found what gzip has compressed",
        ),
    ] {
        let (told, status) = check(text);
        assert!(told.contains(&format!("warning: DIR/config.toml: {said}")), "{text}\n{told}");
        assert_eq!((told.matches("warning: ").count(), status), (1, Some(0)), "{text}\n{told}");
    }
    // Rules that are not there are a mistake.
    for (file, why) in [("DIR/none.rules", "No such file"), ("DIR", "Is a directory")] {
        let (told, status) = check(&format!("[signatures]\nfiles = \"{file}\""));
        let said = format!(
            "error: DIR/config.toml: line 2, column 9: expected a file that can be read, found `{file}: {why}"
        );
        assert!(told.starts_with(&said), "{told}");
        assert_eq!((told.lines().count(), status), (1, Some(1)), "{told}");
    }
    // What can be opened, or be made, and methods of one's own.
    for text in [
        "[api]\nrule = [{ methods = [\"PURGE\", \"PROPFIND\", \"X-ODD\", \"CONNECT\"] }]",
        "[eve]\nfile = \"DIR/eve.json\"",
        "[eve]\nfile = \"DIR/file\"",
        "[eve]\nfile = \"-\"",
        "[eve]\nkind = \"unix-stream\"\nfile = \"DIR/not-yet\"",
        "[tap]\ndirectory = \"DIR/a/b/c\"",
    ] {
        assert_eq!(check(text), ("DIR/config.toml: fine\n".into(), Some(0)), "{text}");
    }
    assert!(!folder.join("a").exists() && !folder.join("eve.json").exists());
}

/// One line for each mistake on a command line, which says what was expected and what was found, and no success.
#[test]
fn what_is_wrong_on_the_command_line() {
    let folder = folder("wrong");
    let directory = folder.to_str().unwrap();
    let good = capture("http.pcapng");
    let whole = fs::read(&good).unwrap();
    let empty = file("wrong", "empty.pcap", "");
    let without = file("wrong", "without.pcap", header(101));
    let torn = file("wrong", "torn.pcapng", &whole[..3_000]);
    let noise = file("wrong", "noise.pcap", b"no capture at all, but a text");
    let out = folder.join("out.pcap");
    let out = out.to_str().unwrap();
    let rules = file("wrong", "local.rules", "alert icmp any any -> any any (itype:8; sid:1;)");
    let none = folder.join("none");
    let none = none.to_str().unwrap();
    let cannot_open = format!("error: cannot open {none}: No such file or directory");
    let found_directory =
        format!("error: cannot open {directory}: expected a file, found a directory\n");
    let is_empty =
        format!("error: {empty}: expected a pcap or pcapng capture, found an empty file\n");
    let is_noise =
        format!("error: {noise}: expected the magic number of a pcap or pcapng capture, found ");
    let is_torn = format!("error: {torn}: packet 15 is cut off: expected a record of ");
    let read_by = |input: &str| -> [Vec<String>; 5] {
        let line = |words: &[&str]| words.iter().map(ToString::to_string).collect();
        [
            line(&["decode", input]),
            line(&["replay", input]),
            line(&["explain", input, "--packet", "99"]),
            line(&["wrap", input, "--write", out]),
            line(&["rules", "explain", "1", "--rules", &rules, input]),
        ]
    };
    let mut cases = Vec::new();
    for (input, said) in [
        (none, &cannot_open),
        (directory, &found_directory),
        (&empty, &is_empty),
        (&noise, &is_noise),
        (&torn, &is_torn),
    ] {
        cases.extend(read_by(input).map(|line| (line, said.clone())));
    }
    // Asked for what is behind the damage, `explain` has its own word for it; rules are explained as far as the file goes.
    cases.retain(|(line, said)| !(*said == is_torn && line[0] != "wrap"));
    let invalid = |value: &str, what: &str, why: &str| {
        format!("error: invalid value '{value}' for '{what}': {why}\n\nFor more information")
    };
    let numbers = "expected a whole number from 1 on";
    let address = "expected an address with a port, as 127.0.0.1:9090";
    let given = |line: &str| -> Vec<String> {
        line.split_whitespace()
            .map(|word| word.replace("GOOD", &good).replace("RULES", &rules).replace("NONE", none))
            .map(|word| word.replace("DIR", directory).replace("WITHOUT", &without))
            .collect()
    };
    for (line, said) in [
        ("decode GOOD --port 0", invalid("0", "--port <PORT>", "expected a port from 1 to 65535")),
        ("decode GOOD --port x", invalid("x", "--port <PORT>", "expected a port from 1 to 65535")),
        ("explain GOOD --packet 0", invalid("0", "--packet <N>", numbers)),
        ("wrap GOOD --write NONE --times 0", invalid("0", "--times <N>", numbers)),
        ("wrap GOOD --write NONE --times 4294967296", invalid("4294967296", "--times <N>", numbers)),
        ("rules explain x --rules RULES GOOD", invalid("x", "<SID>", numbers)),
        ("top --every 3601", invalid("3601", "--every <SECONDS>", "expected 1 to 3600 seconds")),
        ("explain GOOD --packet -1", "error: unexpected argument '-1' found".into()),
        (
            "explain GOOD --packet 42",
            format!("error: {good}: expected a packet from 1 to 41, found 42\n"),
        ),
        (
            "explain WITHOUT --packet 1",
            format!("error: {without}: expected a packet, of which the capture has none, found 1\n"),
        ),
        ("bypass on --manage x", invalid("x", "--manage <ADDRESS:PORT>", address)),
        ("top --manage 127.0.0.1", invalid("127.0.0.1", "--manage <ADDRESS:PORT>", address)),
        ("replay GOOD --config NONE", format!("error: cannot read {none}: No such file")),
        ("replay GOOD --config DIR", format!("error: cannot read {directory}: Is a directory")),
        ("replay GOOD --write NONE/a", format!("error: cannot create {none}/a: No such file")),
        ("replay GOOD --report NONE/a", format!("error: cannot create {none}/a: No such file")),
        ("replay GOOD --annotate NONE/a", format!("error: cannot create {none}/a: No such file")),
        ("wrap GOOD --write NONE/a", format!("error: cannot create {none}/a: No such file")),
        ("test NONE", format!("error: {none}: expected a folder or a file *.expect.toml, found neither\n")),
        ("init DIR", format!("error: cannot write {directory}: expected a file, found a directory\n")),
        ("demo petstore --out RULES/a", format!("error: cannot make {rules}/a: Not a directory")),
        ("rules check NONE", cannot_open.clone()),
        ("rules check DIR", found_directory.clone()),
        (
            "rules check RULES --addresses HOME_NET",
            "error: --addresses HOME_NET: expected NAME=VALUE, found no `=`\n".into(),
        ),
        (
            "rules check RULES --addresses HOME_NET=10.0.0.0/40",
            "error: --addresses HOME_NET=10.0.0.0/40: expected any, an address, a network, ".into(),
        ),
        (
            "rules check RULES --ports HTTP_PORTS=70000",
            "error: --ports HTTP_PORTS=70000: expected any, a port, ".into(),
        ),
        (
            "rules check RULES --ports $P=1",
            "error: --ports $P=1: expected a name of letters, digits and `_`, as rules have it behind `$`, found `$P`\n".into(),
        ),
        (
            "rules explain 2 --rules RULES GOOD",
            "error: expected a rule of sid 2 that loads, found none\n".into(),
        ),
        ("chek", "error: unrecognized subcommand 'chek'\n\n  tip: some similar subcommands exist: ".into()),
        ("replay GOOD --confg x", "error: unexpected argument '--confg' found\n\n  tip: a similar argument exists: '--config'".into()),
    ] {
        cases.push((given(line), said));
    }
    #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
    for (line, said) in [
        ("run --port 65536", invalid("65536", "--port <PORT>", "expected a port from 1 to 65535")),
        ("run --workers 0", invalid("0", "--workers <N>", numbers)),
        (
            "run --bind ::1",
            invalid("::1", "--bind <ADDRESS>", "expected an IPv4 address, as 10.0.1.20"),
        ),
        (
            "run --allow-origin 10.0.0.0/33",
            invalid(
                "10.0.0.0/33",
                "--allow-origin <CIDR>",
                "expected a prefix length of at most 32, found 33",
            ),
        ),
        ("run --config NONE", format!("error: cannot read {none}: No such file")),
    ] {
        cases.push((given(line), said));
    }
    for (line, said) in cases {
        let line: Vec<_> = line.iter().map(String::as_str).collect();
        let output = appliance(&line);
        let told = stderr(&output);
        assert!(told.starts_with(&said), "{line:?}\n{told}\n--- expected\n{said}");
        assert_eq!(told.matches("error: ").count(), 1, "{line:?}\n{told}");
        assert!(matches!(output.status.code(), Some(1 | 2)), "{line:?}: {:?}", output.status);
    }
}

/// The header of a pcap file without packets.
fn header(link_type: u32) -> Vec<u8> {
    let mut header = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    header.extend(65_535_u32.to_le_bytes());
    header.extend(link_type.to_le_bytes());
    header
}
