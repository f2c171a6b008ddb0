use alloc::string::ToString;
use alloc::vec::Vec;

use super::*;
use crate::gwlb::EndpointId;

#[test]
fn nothing_is_the_default() {
    let config = Config::parse("").unwrap();
    let settings = config.settings();
    assert!(!settings.monitor && settings.endpoints.is_empty() && config.access.is_none());
    assert_eq!(settings.policy, ExceptionPolicy::AVAILABLE);
    assert!(config.inspectors()().is_empty());
}

#[test]
fn everything_at_once() {
    let text = r#"
        monitor = true

        [endpoints."vpce-0a1b2c3d4e5f60718"]
        monitor = false
        [endpoints."vpce-05ca1ab1e0ddba115".policy]
        overload = "pass"
        [endpoints."vpce-1a2b3c4d"]
        policy = { profile = "available" }

        [policy]
        profile = "strict"
        midstream = "adopt"

        [access]
        default = "allow"
        [[access.rule]]
        action = "drop"
        ports = 23
    "#;
    let config = Config::parse(text).unwrap();
    let settings = config.settings();
    let policy = ExceptionPolicy::STRICT.with(Exception::Midstream, Treatment::Adopt).unwrap();
    assert!(settings.monitor);
    assert_eq!(settings.policy, policy);
    let special = |id| settings.endpoints[&EndpointId(id)];
    assert_eq!((special(0xa1b2_c3d4_e5f6_0718).monitor), Some(false));
    assert_eq!((special(0xa1b2_c3d4_e5f6_0718).policy), None);
    // What comes later in the text is what it begins with all the same.
    let overload = policy.with(Exception::Overload, Treatment::Pass).unwrap();
    assert_eq!(special(0x5ca1_ab1e_0ddb_a115).policy, Some(overload));
    assert_eq!(special(0x1a2b_3c4d).policy, Some(ExceptionPolicy::AVAILABLE));
    let list = config.access_list().unwrap();
    assert_eq!(list.rules().len(), 1);
    assert_eq!(config.inspectors()().len(), 1);
}

/// Each mistake is told with its place, what was expected and what was found.
#[test]
fn mistakes_are_told() {
    for (text, expected) in [
        (
            "monitr = true",
            "line 1, column 1: expected one of `monitor`, `policy`, `endpoints` or `access`, found `monitr`; did you mean `monitor`?",
        ),
        ("monitor = 1", "line 1, column 11: expected `true` or `false`, found an integer"),
        ("policy = \"strict\"", "line 1, column 10: expected a table, found a string"),
        (
            "[policy]\nprofile = \"strikt\"",
            "line 2, column 11: expected `available` or `strict`, found `strikt`; did you mean `strict`?",
        ),
        (
            "[policy]\nmidstream = \"adobt\"",
            "line 2, column 13: expected `drop`, `pass`, `reject` or `adopt`, found `adobt`; did you mean `adopt`?",
        ),
        (
            "[policy]\noverload = \"adopt\"",
            "line 2, column 12: expected `drop` or `pass`, found `adopt`",
        ),
        (
            "[policy]\nmalformed-envelope = \"pass\"",
            "line 2, column 22: expected `drop`, found `pass`",
        ),
        ("[policy]\nmidstream = 3", "line 2, column 13: expected a string, found an integer"),
        (
            "[endpoints.\"vpce-12\"]",
            "line 1, column 12: expected 8 or 17 hexadecimal digits after `vpce-`, found `vpce-12`",
        ),
        (
            "endpoints.\"vpce-1a2b3c4d\" = 7",
            "line 1, column 29: expected a table, found an integer",
        ),
        (
            "[endpoints.\"vpce-1a2b3c4d\"]\nmoniter = true",
            "line 2, column 1: expected one of `monitor` or `policy`, found `moniter`; did you mean `monitor`?",
        ),
        (
            "[access]\ndefault = \"alow\"",
            "line 2, column 11: expected `allow`, `drop` or `reject`, found `alow`; did you mean `allow`?",
        ),
        ("[access]", "line 1, column 1: expected `default` here, found none"),
    ] {
        let errors = Config::parse(text).unwrap_err();
        assert_eq!(errors.to_string(), expected, "{text}");
    }
    let syntax = Config::parse("[policy\nprofile = \"strict\"").unwrap_err();
    assert!(syntax.to_string().starts_with("line 1, column 8: expected TOML: "), "{syntax}");
}

#[test]
fn all_mistakes_are_told_in_their_order() {
    let text = "[access]\ndefault = 1\n[policy]\nmidstrem = \"drop\"\n[endpoints.x]\n\
        [endpoints.\"vpce-1a2b3c4d\"]\n[endpoints.\"vpce-0000000001a2b3c4d\"]\n";
    let errors = Config::parse(text).unwrap_err();
    let lines: Vec<_> = errors.errors().iter().map(|error| error.line).collect();
    assert_eq!(lines, [2, 4, 5, 6], "{errors}");
}
