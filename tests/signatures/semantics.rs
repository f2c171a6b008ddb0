//! What rules in Suricata's language mean where it is easily got wrong. Each is asked of the engine and of the plain interpreter.

use std::sync::Arc;

use gwlb_geneve::inspectors::signatures::{
    Interpreter, Rule, SignatureSettings, Signatures, Transform,
};

use crate::common::Talk;
use crate::support::traffic::*;
use crate::{NONE, engine, engine_of, told};

/// Whether a rule with these options holds for the payload of a datagram.
#[track_caller]
fn holds(options: &str, payload: &[u8]) -> bool {
    let text = format!("alert udp any any -> any any ({options} sid:1;)");
    let mut engine = engine(&text);
    let (client, _) = pair();
    let sent = send(&mut engine, at(1), &client, &client.udp(payload));
    let is_told = told(&sent) == [1];
    let rule: Rule = text.parse().unwrap();
    let mut interpreter = Interpreter::new();
    let mut found = Vec::new();
    let is_interpreted = rule.groups.iter().all(|group| {
        found.push(interpreter.ask(group, payload));
        found.last().is_some_and(|it| it.holds)
    });
    assert_eq!(is_told, is_interpreted, "{text}: {} {found:#?}", payload.escape_ascii());
    is_told
}

#[track_caller]
fn check(options: &str, yes: &[&str], no: &[&str]) {
    for payload in yes {
        assert!(holds(options, payload.as_bytes()), "{options} has to hold for {payload:?}");
    }
    for payload in no {
        assert!(!holds(options, payload.as_bytes()), "{options} must not hold for {payload:?}");
    }
}

#[test]
fn relative_chains_go_back_to_look_further_on() {
    check(
        r#"content:"a"; content:"b"; distance:0; within:1; content:"c"; distance:0; within:1;"#,
        &["abc", "ab.abc", "aabc", "a.ab.ababc"],
        &["ab.bc", "a.b.c", "abac"],
    );
    // The first `a` is followed by `bb`, the second by what is asked.
    check(
        r#"content:"ab"; content:"x"; distance:1; within:1;"#,
        &["ab-x", "abbab-x", "ab--ab-x"],
        &["abx", "ab--x"],
    );
}

#[test]
fn within_bounds_the_end_of_the_pattern() {
    check(
        r#"content:"a"; content:"bcd"; within:5;"#,
        &["abcd", "a.bcd", "a..bcd"],
        &["a...bcd", "bcda"],
    );
    check(
        r#"content:"a"; content:"bcd"; distance:2; within:4;"#,
        &["a..bcd", "a...bcd"],
        &["a.bcd", "a....bcd"],
    );
}

#[test]
fn distance_may_go_back() {
    check(r#"content:"bc"; content:"ab"; distance:-3; within:2;"#, &["abc"], &["ab.bc", "bcab"]);
    check(
        r#"content:"b"; content:"a"; distance:-9;"#,
        &["ab", "ba", "a.......b"],
        &["a........b", "b"],
    );
}

#[test]
fn depth_is_counted_from_the_offset() {
    check(r#"content:"bc"; offset:2; depth:3;"#, &["..bc", "...bc"], &[".bc", "....bc", "bc.b"]);
    check(r#"content:"bc"; depth:2;"#, &["bc", "bcd"], &[".bc"]);
    check(r#"content:"bc"; startswith;"#, &["bc", "bcd"], &[".bc", "b"]);
    check(r#"content:"bc"; endswith;"#, &["bc", "bcbc", ".bc"], &["bc.", "bcb"]);
    check(r#"content:"bc"; startswith; endswith;"#, &["bc"], &["bcbc", ".bc", "bc."]);
}

#[test]
fn what_is_negated_must_not_be_in_its_place() {
    check(r#"content:"a"; content:!"b"; within:3;"#, &["a", "a...b", "ba"], &["ab", "a..b"]);
    check(r#"content:!"b"; depth:2;"#, &["..b", "."], &["b", ".b"]);
    check(r#"content:!"b"; startswith;"#, &[".b", "."], &["b", "b."]);
    check(r#"content:!"b"; endswith;"#, &["b.", "."], &["b", ".b"]);
    // Nothing is found by it, so what follows is still counted from the `a`.
    check(
        r#"content:"a"; content:!"x"; content:"b"; distance:0; within:1;"#,
        &["ab"],
        &["a.b", "abx"],
    );
    // Somewhere there is an `a` without a `b` behind it.
    check(
        r#"content:"a"; content:!"b"; distance:0; within:1;"#,
        &["aba", "aab", "aa"],
        &["ab", "abab"],
    );
}

#[test]
fn case_counts_unless_it_does_not() {
    check(r#"content:"aBc";"#, &["aBc", "xaBcx"], &["abc", "ABC"]);
    check(r#"content:"aBc"; nocase;"#, &["abc", "ABC", "xaBcx"], &["ab"]);
    check(r#"content:"|41 62|c|22|";"#, &["Abc\""], &["abc\""]);
}

#[test]
fn fast_pattern_only_says_what_to_look_for_first() {
    check(
        r#"content:"a"; depth:1; content:"long"; fast_pattern; offset:2;"#,
        &["a.long"],
        &["along", "b.long", "a.lon"],
    );
    check(r#"content:"abcdef"; fast_pattern:2,2;"#, &["abcdef"], &["cd", "abcde"]);
}

#[test]
fn ranges_of_sizes_are_without_their_ends() {
    for len in 1..8 {
        let target = format!("/{}", "x".repeat(len - 1));
        let asked = format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n");
        for (size, is_so) in [
            ("urilen:2<>5;", (3..=4).contains(&len)),
            ("http.uri; bsize:2<>5;", (3..=4).contains(&len)),
            ("http.uri; bsize:3;", len == 3),
            ("http.uri; bsize:>3;", len > 3),
            ("http.uri; bsize:<=3;", len <= 3),
        ] {
            let rule = format!("alert http any any -> any any (flow:to_server; {size} sid:1;)");
            let found = told(&Talk::new(engine(&rule)).ask(asked.as_bytes()));
            assert_eq!(found == [1], is_so, "{rule} {target}");
        }
    }
}

#[test]
fn data_at_a_place() {
    check(r#"content:"a"; isdataat:!1,relative;"#, &["a", "ba", "aa"], &["ab"]);
    check(r#"content:"a"; isdataat:1,relative;"#, &["ab", "aa"], &["a", "ba"]);
    check(r#"content:"a"; isdataat:2,relative;"#, &["a..", "aa..", "a..."], &["a.", "a"]);
    // There is a byte of this number, counted from 0.
    check(r#"content:"a"; isdataat:3;"#, &["a...", "a...."], &["a", "a.."]);
    check(r#"content:"a"; isdataat:!3;"#, &["a", "a.."], &["a..."]);
}

#[test]
fn numbers_are_compared_and_jumped_by() {
    check(r#"content:"a"; byte_test:1,>,0x40,0,relative;"#, &["aA", "aaZ"], &["a1", "a"]);
    check(r#"content:"a"; byte_test:2,=,0x4241,0,relative,little;"#, &["aAB"], &["aBA", "aA"]);
    check(r#"content:"a"; byte_test:3,=,123,0,relative,string,dec;"#, &["a123"], &["a124", "a12"]);
    check(r#"content:"a"; byte_test:1,!=,0x31,0,relative;"#, &["a2"], &["a1", "a"]);
    check(r#"content:"a"; byte_test:1,&,0x02,0,relative;"#, &["a2", "a3"], &["a1", "a4"]);
    check(
        r#"content:"a"; byte_jump:1,0,relative,string,dec; content:"z"; distance:0; within:1;"#,
        &["a0z", "a2..z", "a1.z", "a9a0z"],
        &["a1z", "a2.z", "a9z"],
    );
    // Behind the end it does not hold, at the end it does.
    check(
        r#"content:"a"; byte_jump:1,0,relative,string,dec; isdataat:!1,relative;"#,
        &["a0", "a3..."],
        &["a3..", "a1.."],
    );
    check(
        r#"content:"a"; byte_jump:1,0,relative,string,dec,multiplier 2; content:"z"; within:1;"#,
        &["a2....z"],
        &["a2..z"],
    );
    check(
        r#"content:"a"; byte_jump:1,0,relative,string,dec,align; content:"z"; within:1;"#,
        &["a2....z", "a0z", "a5........z"],
        &["a2..z"],
    );
    check(
        r#"byte_jump:1,0,string,dec,from_beginning; content:"z"; within:1;"#,
        &["2.z", "1z"],
        &["2..z"],
    );
}

#[test]
fn numbers_are_remembered() {
    check(
        r#"content:"a"; byte_extract:1,0,n,relative,string,dec; content:"z"; distance:n; within:1;"#,
        &["a0z", "a2..z", "a5a1.z"],
        &["a2.z", "az"],
    );
    check(
        r#"content:"a"; byte_extract:1,0,n,relative,string,dec; byte_test:1,=,n,0,relative;"#,
        &["a5\x05"],
        &["a5\x04", "a55"],
    );
    check(
        r#"content:"a"; byte_math:bytes 1, offset 0, oper +, rvalue 2, result n, relative, string dec; content:"z"; distance:n; within:1;"#,
        &["a0..z", "a1...z"],
        &["a0z"],
    );
    check(
        r#"content:"a"; byte_extract:1,0,n,relative,string,dec; isdataat:n,relative;"#,
        &["a2..", "a0"],
        &["a2."],
    );
}

#[test]
fn regular_expressions_go_on_like_patterns() {
    check(
        r#"content:"a"; pcre:"/b+/R"; content:"c"; within:1;"#,
        &["abc", "a.bb.bc"],
        &["bca", "ab.c"],
    );
    check(r#"pcre:"/^ab$/";"#, &["ab", "ab\n"], &["abc", "cab"]);
    check(r#"pcre:"/a.c/i"; content:"z"; distance:0;"#, &["AbCz"], &["zabc"]);
    check(r#"content:"a"; pcre:!"/b/R";"#, &["a", "ba", "aba"], &["ab"]);
}

#[test]
fn base64_is_a_buffer_of_its_own() {
    check(
        r#"content:"x"; base64_decode:bytes 8,offset 1,relative; base64_data; content:"abc"; startswith;"#,
        &["x.YWJj", "x.YWJjZGVm"],
        &["x.eWFi", "x", "YWJjx.=="],
    );
    check(
        r#"base64_decode; base64_data; content:"bc"; endswith;"#,
        &["YWJj", "YWJj!x"],
        &["YWJjZA=="],
    );
}

#[test]
fn the_size_of_data_is_that_of_the_packet() {
    let mut engine = engine("alert tcp any any -> any any (content:\"a\"; dsize:3; sid:1;)");
    let (client, server) = pair();
    handshake(&mut engine, at(0), &(client, server));
    let first = send(&mut engine, at(1), &client, &client.tcp(ACK, 1_000, 5_000, b"aa"));
    assert_eq!(told(&first), NONE);
    let second = send(&mut engine, at(1), &client, &client.tcp(ACK, 1_002, 5_000, b"a.."));
    assert_eq!(told(&second), [1]);
    // The pattern was in another packet.
    let third = send(&mut engine, at(1), &client, &client.tcp(ACK, 1_005, 5_000, b"..."));
    assert_eq!(told(&third), NONE);
}

/// The language has no transforms of payloads, but rules that are made in code may.
#[test]
fn what_is_made_of_a_payload_is_looked_at_and_not_the_payload() {
    for (pattern, size, transform, payload) in [
        ("needle", "", Transform::ToLowercase, &b"NEEDLE"[..]),
        ("needle", "", Transform::StripWhitespace, b"nee dle"),
        // One byte longer than the packet.
        (".needle", "dsize:6;", Transform::DotPrefix, b"needle"),
    ] {
        for protocol in ["udp", "tcp"] {
            let parse = |options: &str| -> Rule {
                format!("alert {protocol} any any -> any any ({options} sid:1;)").parse().unwrap()
            };
            let mut rule = parse(&format!("content:\"{pattern}\";"));
            rule.groups[0].transforms.push(transform.clone());
            rule.conditions = parse(size).conditions;
            let set = Signatures::new(&[rule], &SignatureSettings::default());
            let mut engine = engine_of(&Arc::new(set));
            let (client, server) = pair();
            let datagram = match protocol {
                "udp" => client.udp(payload),
                _ => {
                    handshake(&mut engine, at(0), &(client, server));
                    client.tcp(ACK, 1_000, 5_000, payload)
                }
            };
            assert_eq!(
                told(&send(&mut engine, at(1), &client, &datagram)),
                [1],
                "{protocol} {transform:?}"
            );
        }
    }
}
