//! What somebody does who knows the rules and wants them not to be asked.

use gwlb_geneve::engine::EventKind;
use gwlb_geneve::inspectors::signatures::SignatureInspector;

use crate::common::Talk;
use crate::support::traffic::Sent;
use crate::{NONE, engine, engine_of, set, set_with, told};

/// Each `a` leads to each `a` behind it, and none of them to the end.
const DEAR: &str = r#"alert http any any -> any any (http.request_body; content:"a"; content:"a"; distance:0; content:"!!"; distance:0; priority:1; sid:3;)"#;

fn post(body: &[u8]) -> Vec<u8> {
    let head = format!("POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// How often it was told that rules were not asked.
fn open(sent: &Sent) -> usize {
    let name = SignatureInspector::UNANSWERED.name();
    let is_so = |kind: &EventKind| matches!(kind, EventKind::Alert(alert) if alert.name == name);
    sent.events.iter().filter(|event| is_so(&event.what)).count()
}

#[test]
fn a_rule_that_takes_long_does_not_keep_others_from_being_asked() {
    let dear = DEAR.replace("alert", "drop");
    let cheap = r#"drop http any any -> any any (http.request_body; content:"needle"; content:"k="; priority:2; sid:4;)"#;
    let set = set(&format!("{dear}\n{cheap}"));
    let body = [&b"k=1&!!"[..], &[b'a'; 1_200], b"needle"].concat();
    let mut talk = Talk::new(engine_of(&set));
    let sent = talk.ask(&post(&body));
    sent.assert_refused("signatures");
    assert_eq!(told(&sent), [4]);
}

#[test]
fn many_small_pieces_in_a_packet_are_not_many_packets() {
    let set = set_with(DEAR, |settings| settings.counts_costs = true);
    let mut talk = Talk::new(engine_of(&set));
    let body = [&b"!!"[..], &[b'a'; 1_100]].concat();
    let head = format!(
        "POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n",
        body.len()
    );
    talk.ask(&[head.as_bytes(), &body, b"\r\n"].concat());
    let before = set.costs()[0].asked;
    talk.ask(&b"1\r\nq\r\n".repeat(230));
    let asked = set.costs()[0].asked - before;
    assert!((1..=8).contains(&asked), "{asked} times");
    // What has come meanwhile is asked about with what comes next.
    assert_eq!(told(&talk.ask(b"4\r\na!!a\r\n0\r\n\r\n")), [3]);
}

/// A request with a body in chunks, of which the first leaves only half of what may be done for a packet to rules like [`DEAR`].
fn dear_head() -> Vec<u8> {
    let body = [&b"!!"[..], &[b'a'; 1_100]].concat();
    let head = format!(
        "POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n",
        body.len()
    );
    [head.as_bytes(), &body, b"\r\n"].concat()
}

/// Each byte in a chunk of its own.
fn chunks(text: &[u8]) -> Vec<u8> {
    text.iter().flat_map(|byte| [b"1\r\n", &[*byte][..], b"\r\n"].concat()).collect()
}

/// The packet that completes what is forbidden is the one that is refused, however much was done for it before.
#[test]
fn what_rules_refuse_is_not_put_off() {
    let plain = r#"drop http any any -> any any (http.request_body; content:"needle"; sid:4;)"#;
    let two = r#"drop http any any -> any any (http.request_body; content:"nee"; fast_pattern; content:"dle"; distance:0; sid:4;)"#;
    let of_bits = r#"alert http any any -> any any (http.request_body; content:"nee"; flowbits:set,half; noalert; sid:5;)
        drop http any any -> any any (http.request_body; content:"dle"; flowbits:isset,half; sid:4;)"#;
    let allowed = format!(
        "{plain}\n{}",
        r#"pass http any any -> any any (http.request_body; content:"need"; sid:6;)"#
    );
    for (rules, expected) in [(plain, true), (two, true), (of_bits, true), (&*allowed, false)] {
        for between in [&b""[..], b"0\r\n\r\nGET /y HTTP/1.1\r\nHost: h\r\n\r\n"] {
            let set = set(&format!("{DEAR}\n{rules}"));
            let mut talk = Talk::new(engine_of(&set));
            talk.ask(&dear_head());
            talk.ask(&chunks(&[&[b'q'; 100][..], b"nee"].concat())).assert_forwarded();
            let last = chunks(&[&[b'q'; 100][..], b"needle"].concat());
            let last = [&last[..], between].concat();
            let sent = talk.ask(&last);
            assert_eq!(!sent.is_forwarded(), expected, "{rules}: {}", sent.outcome);
            assert_eq!(told(&sent), if expected { vec![4] } else { NONE.to_vec() }, "{rules}");
            assert_eq!(set.counters().unanswered, 0);
        }
    }
}

/// The same in segments of one byte, each behind as many others in the stream that take long.
#[test]
fn what_rules_refuse_is_not_put_off_from_segment_to_segment() {
    let rules = r#"
        alert tcp any any -> any any (content:"a"; content:"a"; distance:0; content:"!!"; distance:0; priority:1; sid:3;)
        drop http any any -> any any (http.request_body; content:"needle"; sid:4;)
    "#;
    let set = set(rules);
    let mut talk = Talk::new(engine_of(&set));
    let body = [&b"!!"[..], &[b'a'; 1_100]].concat();
    let head = b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 5000\r\n\r\n";
    talk.ask(&[&head[..], &body].concat());
    for byte in b"needl" {
        talk.ask(&[*byte]).assert_forwarded();
    }
    assert!(set.counters().budget_used_up > 5, "else this shows nothing");
    talk.ask(b"e").assert_refused("signatures");
}

/// What is made of bytes counts too: the digest of a long target, once for each byte of a body.
#[test]
fn transforms_are_not_for_nothing() {
    let rule = r#"drop http any any -> any any (http.uri; to_sha256; content:"no digest is this"; http.request_body; content:"a"; fast_pattern; sid:1;)"#;
    let head = |target: usize| {
        let target = "t".repeat(target);
        format!("POST /{target} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
    };
    for (target, pieces, expected) in [(10, 20, 0), (8_000, 20, 0), (8_000, 1_200, 1)] {
        let packet = [head(target).as_bytes(), &chunks(&b"a".repeat(pieces))].concat();
        let mut talk = Talk::new(engine(rule));
        assert_eq!(open(&talk.ask(&packet)), expected, "{target} {pieces}");
    }
}

#[test]
fn a_rule_that_refuses_and_is_not_answered_is_told_of() {
    let rules = DEAR.replace("alert", "drop");
    let body = [&b"!!"[..], &[b'a'; 1_200]].concat();
    for drops in [false, true] {
        let set = set_with(&rules, |settings| settings.limits.refuses_unanswered = drops);
        let mut talk = Talk::new(engine_of(&set));
        let sent = talk.ask(&post(&body));
        assert_eq!(open(&sent), 1);
        assert_eq!(set.counters().unanswered, 1);
        match drops {
            true => sent.assert_refused("signatures-unanswered"),
            false => {
                sent.assert_forwarded();
                // Once for a flow.
                let again = talk.ask(&post(&body));
                assert_eq!((open(&again), set.counters().unanswered), (0, 2));
            }
        }
    }
    // Of those that only alert nothing is told.
    let set = set(DEAR);
    let mut talk = Talk::new(engine_of(&set));
    assert_eq!(open(&talk.ask(&post(&body))), 0);
    assert_eq!((set.counters().budget_used_up, set.counters().unanswered), (1, 0));
}

/// A body that cannot be inflated may be read otherwise by its receiver.
#[test]
fn a_body_that_cannot_be_inflated_is_not_answered() {
    let rule = |action, what| format!("{action} http any any -> any any ({what}; sid:1;)");
    let of_body = "file.data; content:\"needle\"";
    let of_head = "http.server; content:\"needle\"";
    // No block of deflate is of type 3.
    for (coding, body) in [
        ("gzip", &b"\x1f\x8b\x08\0\0\0\0\0\0\0\x07......"[..]),
        ("deflate", b"\x78\x9c\x07............."),
        ("deflate", b"\x07..............."),
        // What nobody here inflates, and what is inflated once only.
        ("br", b"\x8b\x07\x80............."),
        ("zstd", b"\x28\xb5\x2f\xfd............"),
        ("gzip, gzip", b"\x1f\x8b\x08\0\0\0\0\0\0\0......"),
        ("gzip\r\nContent-Encoding: deflate", b"\x1f\x8b\x08......"),
    ] {
        let len = body.len();
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: {len}\r\n\r\n"
        );
        for (rule, is_open) in [
            (rule("drop", of_body), true),
            (rule("reject", of_body), true),
            (rule("alert", of_body), false),
            (
                format!(
                    "{}\n{}",
                    rule("alert", of_body),
                    rule("drop", of_head).replace("sid:1", "sid:2")
                ),
                false,
            ),
        ] {
            for drops in [false, true] {
                let set = set_with(&rule, |settings| settings.limits.refuses_unanswered = drops);
                let mut talk = Talk::new(engine_of(&set));
                talk.ask(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").assert_forwarded();
                talk.answer(head.as_bytes()).assert_forwarded();
                let sent = talk.answer(body);
                assert_eq!(
                    (open(&sent), set.counters().unanswered),
                    (usize::from(is_open), u64::from(is_open)),
                    "{coding}: {rule}"
                );
                match is_open && drops {
                    true => sent.assert_refused("signatures-unanswered"),
                    false => sent.assert_forwarded(),
                }
            }
        }
    }
}

/// What says that it is not coded is plain, and what is coded otherwise is looked at as it is sent.
#[test]
fn a_body_that_is_not_inflated_is_looked_at_as_it_is_sent() {
    let rule = |action| {
        format!("{action} http any any -> any any (file.data; content:\"needle\"; sid:1;)")
    };
    for (coding, is_open) in [("identity", false), ("identity, ", false), ("br", true)] {
        let answer = |body: &str| {
            let len = body.len();
            format!(
                "HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: {len}\r\n\r\n{body}"
            )
        };
        let set = set(&rule("alert"));
        let mut talk = Talk::new(engine_of(&set));
        talk.ask(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        let sent = talk.answer(answer("hay, needle").as_bytes());
        assert_eq!((told(&sent), open(&sent), set.counters().unanswered), (vec![1], 0, 0));
        let set = set_with(&rule("drop"), |settings| settings.limits.refuses_unanswered = true);
        let mut talk = Talk::new(engine_of(&set));
        talk.ask(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        let sent = talk.answer(answer("hay").as_bytes());
        assert_eq!(!sent.is_forwarded(), is_open, "{coding}: {}", sent.outcome);
        // No byte of a body, no doubt.
        let mut talk = Talk::new(engine_of(&set));
        talk.ask(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        talk.answer(answer("").as_bytes()).assert_forwarded();
    }
}

/// Not every server inflates what a request says is compressed, and a client could have much inflated for little.
#[test]
fn the_coded_body_of_a_request_is_looked_at_as_it_is_sent_and_not_answered() {
    let rule = r#"drop http any any -> any any (http.method; content:"POST"; http.request_body; content:"needle"; sid:1;)"#;
    for (coding, body, expected) in [
        ("gzip", &b"k=needle"[..], "signatures"),
        ("br", b"k=needle", "signatures"),
        ("gzip", b"\x1f\x8b\x08\0\0\0\0\0\0\x03hay", "signatures-unanswered"),
        ("deflate", b"k=hay", "signatures-unanswered"),
        ("br", b"k=hay", "signatures-unanswered"),
        ("gzip, gzip", b"k=hay", "signatures-unanswered"),
    ] {
        let set = set_with(rule, |settings| settings.limits.refuses_unanswered = true);
        let coded = format!("\r\nContent-Encoding: {coding}\r\n\r\n");
        let head = format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {}{coded}", body.len());
        let mut talk = Talk::new(engine_of(&set));
        talk.ask(head.as_bytes()).assert_forwarded();
        let refused = talk.ask(body);
        refused.assert_refused(expected);
        assert_eq!(told(&refused).len(), usize::from(expected == "signatures"), "{coding}");
    }
}

/// Some receivers leave out what they do not know: what is compressed in a known way beside an unknown one is looked at both ways.
#[test]
fn a_second_coding_does_not_hide_what_the_first_one_compresses() {
    let deflated = miniz_oxide::deflate::compress_to_vec(b"needle, needle", 6);
    let needle = [&b"\x1f\x8b\x08\0\0\0\0\0\0\x03"[..], &deflated, &[0; 8]].concat();
    for coding in ["gzip, x", "gzip\r\nContent-Encoding: x", "x, gzip", "gzip, gzip"] {
        let set = set(r#"alert http any any -> any any (file.data; content:"needle"; sid:1;)"#);
        let mut talk = Talk::new(engine_of(&set));
        talk.ask(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        let len = needle.len();
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: {len}\r\n\r\n"
        );
        let sent = talk.answer(&[head.as_bytes(), &needle].concat());
        assert_eq!(told(&sent), [1], "{coding}");
    }
}

/// A rule that drops what is cut, and decoys of which one part is there.
fn with_decoys(decoy: impl Fn(usize) -> String) -> String {
    let decoys: Vec<String> = (0..64).map(decoy).collect();
    let rule = r#"drop tcp any any -> any any (content:"needle"; fast_pattern; content:"thread"; distance:0; sid:1;)"#;
    format!("{}\n{rule}", decoys.join("\n"))
}

fn decoys() -> Vec<u8> {
    (0..64).flat_map(|it| format!("decoy{it:03};").into_bytes()).collect()
}

#[test]
fn rules_that_can_never_hold_do_not_keep_others_from_waiting() {
    let never = with_decoys(|it| {
        format!(
            r#"drop tcp any any -> any 4444 (content:"decoy{it:03}"; fast_pattern; content:"never"; distance:0; sid:{};)"#,
            it + 100
        )
    });
    let never_spoken = with_decoys(|it| {
        format!(
            r#"alert tcp any any -> any any (content:"decoy{it:03}"; fast_pattern; content:"never"; distance:0; sid:{};)"#,
            it + 100
        )
    });
    for (rules, lost) in [(never, 0), (never_spoken, 1)] {
        let set = set(&rules);
        let mut talk = Talk::new(engine_of(&set));
        talk.ask(&decoys());
        talk.ask(b"..needle..");
        talk.ask(b"..thread..").assert_refused("signatures");
        assert_eq!((set.counters().too_many, set.counters().unanswered), (lost, 0));
    }
}

/// So it is with those that wait for what is spoken.
#[test]
fn rules_that_only_tell_do_not_keep_others_from_being_left_open() {
    let decoys_of_http: Vec<String> = (0..64)
        .map(|it| {
            format!(r#"alert http any any -> any any (content:"decoy{it:03}"; sid:{};)"#, it + 100)
        })
        .collect();
    let rule = r#"drop http any any -> any any (content:"needle"; sid:1;)"#;
    let mut talk = Talk::new(engine_of(&set(&format!("{}\n{rule}", decoys_of_http.join("\n")))));
    talk.ask(&[b"GET /", &decoys()[..]].concat());
    talk.ask(b"needle HTTP/1.1\r\nHost: h\r\n\r\n").assert_refused("signatures");
}

#[test]
fn a_rule_that_refuses_and_finds_no_place_to_wait_is_told_of() {
    let rules = with_decoys(|it| {
        format!(
            r#"drop tcp any any -> any any (content:"decoy{it:03}"; fast_pattern; content:"never"; distance:0; sid:{};)"#,
            it + 100
        )
    });
    let set = set(&rules);
    let mut talk = Talk::new(engine_of(&set));
    talk.ask(&decoys());
    assert_eq!(open(&talk.ask(b"..needle..")), 1);
    assert_eq!((set.counters().too_many, set.counters().unanswered), (1, 1));
}
