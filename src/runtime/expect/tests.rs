use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::*;
use crate::config::Config;
use crate::engine::Settings;
use crate::inspect::{Alert, CloseReason, Context, Interest, Packet};

const CONFIG: &str = "[access]\ndefault = \"allow\"\n[[access.rule]]\naction = \"reject\"\nlog = true\n\
                      from = \"2001:db8::/32\"\nports = 80\nprotocol = \"tcp\"";

/// What is unmet of a text.
fn unmet(text: &str) -> Vec<String> {
    let config = Config::parse(CONFIG).unwrap();
    let mut engine = Engine::new(config.settings(), config.inspectors()).unwrap();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/captures/http.pcapng");
    let expectations = Expectations::parse(text).unwrap_or_else(|errors| panic!("{errors}"));
    let checked = expectations.check(Replay::open(path).unwrap(), &mut engine).unwrap();
    checked.unmet.iter().map(ToString::to_string).collect()
}

fn error(text: &str) -> String {
    Expectations::parse(text).unwrap_err().to_string()
}

#[test]
fn what_is_so_is_met() {
    let met = "ports = [6081]
[counts]
packets = 41
received = 41
rejected = 10
unreadable = 0
[dropped]
access-list = 10
malformed-checksum = 0
[[packet]]
number = 13
verdict = \"reject\"
reason = \"access-list\"
exception = \"\"
alerts = [\"access-list\"]
[[packet]]
number = [1, \"2-3\"]
verdict = \"forward\"
alerts = []
[[alert]]
name = \"access-list\"
packet = 13
message = \"rejected\"
severity = \"notice\"
count = 1
";
    // The table of reasons is the whole; three packets are refused for what they are.
    assert_eq!(
        unmet(met),
        [
            "line 7, dropped.geneve-unknown-critical-option: expected 0, found 1",
            "line 7, dropped.ipv4-total-length: expected 0, found 1",
            "line 7, dropped.outer-checksum: expected 0, found 1",
        ]
    );
}

#[test]
fn what_is_otherwise_is_told_with_its_line() {
    assert_eq!(
        unmet("[counts]\npackets = 41\nreceived = 40"),
        ["line 3, received: expected 40, found 41"]
    );
    assert_eq!(
        unmet("[[packet]]\nnumber = 13\nverdict = \"forward\"\nalerts = []"),
        [
            "line 1, packet 13: expected forward, alerts [], found reject: access-list, [\"access-list\"]"
        ]
    );
    let told = unmet("[[packet]]\nnumber = [42, \"1-2\"]\nverdict = \"forward\"");
    assert_eq!(told, ["line 1, packets: expected 3 GENEVE packets of these numbers, found 2"]);
    let told = unmet("[[packet]]\nnumber = \"1-3\"\nverdict = \"drop\"");
    assert_eq!(
        told,
        ["line 1, packet 1: expected drop, found forward; 2 more are not as expected"]
    );
    let told = unmet("[[alert]]\nname = \"nobody\"\n[[alert]]\nname = \"access-list\"\ncount = 9");
    assert_eq!(told[0], "line 1, alert nobody: expected one or more like it, found 0");
    assert!(told[1].starts_with("line 3, alert access-list: expected 9, found "), "{told:?}");
    let told = unmet("[exceptions]\noverload = 1");
    assert!(told.contains(&"line 2, exceptions.overload: expected 1, found 0".into()), "{told:?}");
}

#[test]
fn flows_are_seen_in_both_directions() {
    let flow = |rest: &str| {
        unmet(&format!(
            "[[flow]]\nto = \"[2001:db8::80]:80\"\nfrom = \"2001:db8::5\"\nprotocol = \"tcp\"\n{rest}"
        ))
    };
    let verdict = flow("verdict = \"forward\"");
    assert_eq!(verdict.len(), 1, "{verdict:?}");
    assert!(
        verdict[0].contains("expected forward, found reject: access-list at packet"),
        "{verdict:?}"
    );
    assert_eq!(flow("verdict = \"reject\"\nreason = \"access-list\"\nforwarded = 0"), [""; 0]);
    let counted = flow("packets = 1");
    assert!(counted[0].contains(", packets: expected 1, found "), "{counted:?}");
    let none = unmet("[[flow]]\nfrom = \"192.0.2.99\"\nto = \"192.0.2.98\"\nverdict = \"forward\"");
    assert_eq!(none, ["line 1, flow 192.0.2.99 > 192.0.2.98: expected packets of it, found none"]);
}

/// Says something of the beginning and of the end of each flow.
struct Ends;

impl Inspector for Ends {
    type Flow = ();
    const INTEREST: Interest = Interest::PACKETS.and(Interest::END);

    fn name(&self) -> &'static str {
        "ends"
    }

    fn open(&mut self, _: &Packet<'_>, cx: &mut Context<'_>) -> Option<()> {
        cx.alert(said("begun", Severity::Info));
        Some(())
    }

    fn close(&mut self, (): (), why: CloseReason, cx: &mut Context<'_>) {
        cx.alert(said(&format!("over: {why:?}"), Severity::Notice));
    }
}

fn said(message: &str, severity: Severity) -> Alert {
    Alert { name: "ends".into(), message: message.to_string().into(), severity, rule: None }
}

/// Both those that end in the course of the capture and those that end with it.
#[test]
fn what_is_told_at_the_end_of_a_flow_counts() {
    let unmet = |text: &str| {
        let mut engine = Engine::new(Settings::default(), || Ends).unwrap();
        let path =
            concat!(env!("CARGO_MANIFEST_DIR"), "/tests/captures/overlapping-tenants.pcapng");
        let expectations = Expectations::parse(text).unwrap_or_else(|errors| panic!("{errors}"));
        let checked = expectations.check(Replay::open(path).unwrap(), &mut engine).unwrap();
        checked.unmet.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let met = "[counts]
flows = 2
alerts = 4
[[alert]]
name = \"ends\"
count = 4
[[alert]]
name = \"ends\"
message = \"over: \"
severity = \"notice\"
packet = \"none\"
count = 2
[[alert]]
message = \"begun\"
packet = \"none\"
count = 0
[[alert]]
message = \"begun\"
packet = 1
";
    assert_eq!(unmet(met), [""; 0]);
    let told = unmet("[[alert]]\nname = \"ends\"\npacket = \"none\"\ncount = 1");
    assert_eq!(told, ["line 1, alert ends: expected 1, found 2"]);
    let told = unmet("[[alert]]\nmessage = \"over\"\npacket = 20");
    assert_eq!(told, ["line 1, alert: expected one or more like it, found 0"]);
}

#[test]
fn mistakes_have_line_and_column() {
    for (text, expected) in [
        ("", "line 1, column 1: expected one of `counts`"),
        ("capture = \"x\"", "line 1, column 1: expected one of `counts`"),
        ("[count]\n", "did you mean `counts`?"),
        ("[counts]\nrecieved = 1", "line 2, column 1: expected one of `packets`"),
        ("[counts]\nreceived = -1", "line 2, column 12: expected a number from 0"),
        ("[counts]\nreceived = \"1\"", "line 2, column 12: expected an integer, found a string"),
        ("ports = []", "line 1, column 9: expected at least one value"),
        ("ports = 70000", "line 1, column 9: expected a number from 1 to 65535"),
        ("[[packet]]\nverdict = \"drop\"", "line 1, column 1: expected `number` here, found none"),
        ("[[packet]]\nnumber = 1", "line 1, column 1: expected one of `verdict`"),
        ("[[packet]]\nnumber = \"5-1\"\nreason = \"\"", "line 2, column 10: expected a range"),
        ("[[packet]]\nnumber = 1\nverdict = \"pass\"", "line 3, column 11: expected `forward`"),
        ("[[packet]]\nnumber = 1\nexception = \"overlod\"", "did you mean `overload`?"),
        ("[[flow]]\nto = \"1.2.3.4\"\npackets = 1", "line 1, column 1: expected `from` here"),
        (
            "[[flow]]\nfrom = \"1.2.3\"\nto = \"::1\"\npackets = 1",
            "line 2, column 8: expected an address",
        ),
        ("[[flow]]\nfrom = \"::1\"\nto = \"::2\"", "line 1, column 1: expected one of `verdict`"),
        ("[[alert]]\ncount = 1", "line 1, column 1: expected one of `name`"),
        (
            "[[alert]]\npacket = \"never\"",
            "line 2, column 10: expected the number of a packet or `none`, found `never`",
        ),
        ("packet = 1", "line 1, column 10: expected an array of tables, found an integer"),
        ("[counts", "line 1, column 8: expected TOML"),
    ] {
        let found = error(text);
        assert!(found.contains(expected), "{text}\n{found}");
    }
}
