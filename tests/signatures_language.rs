//! The language of signatures: what is printed is read again as the same, and nothing that is read makes it stumble.
#![cfg(feature = "signatures")]

mod support;

use gwlb_geneve::inspectors::signatures::{Rule, RuleSet, Variables};
use proptest::prelude::*;
use support::rules;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_printed_rule_is_read_as_the_same(rule in rules::rules()) {
        let text = rule.to_string();
        match text.parse::<Rule>() {
            Ok(again) => prop_assert_eq!(&again, &rule, "{}", text),
            Err(error) => prop_assert!(false, "{error}\n{text}"),
        }
        rules::check(text.as_bytes());
    }

    #[test]
    fn a_rule_with_a_mistake_is_one_error_at_most(
        rule in rules::rules(),
        place: prop::sample::Index,
        with in prop::sample::select(&b"\";:\\|,!()[]#\n \xe9x0"[..]),
    ) {
        let mut text = rule.to_string().into_bytes();
        let place = place.index(text.len());
        text[place] = with;
        rules::check(&text);
        let set = RuleSet::parse(&text, &Variables::default());
        prop_assert!(set.rules().len() + set.report().errors().len() <= 2);
    }

    #[test]
    fn no_text_makes_it_stumble(text in prop::collection::vec(any::<u8>(), 0..400)) {
        rules::check(&text);
    }
}

/// What a rule file may say. Each of these is in the rules that come with the appliance.
const KEYWORDS: &str = "
    msg sid gid rev classtype priority reference metadata target flow flowbits xbits threshold detection_filter noalert prefilter
    dsize itype icode icmp_id icmp_seq flags tcp.flags seq ack window tcp.window ttl tos id ip_proto sameip fragbits fragoffset
    app-layer-protocol
    content nocase offset depth distance within startswith endswith fast_pattern rawbytes pcre isdataat byte_test byte_jump
    byte_extract byte_math base64_decode base64_data bsize urilen pkt_data
    dotprefix to_lowercase to_uppercase strip_whitespace compress_whitespace url_decode to_md5 to_sha1 to_sha256 xor
    header_lowercase strip_pseudo_headers
    http.method http.uri http.uri.raw http.host http.host.raw http.header http.header.raw http.header_names http.user_agent
    http.cookie http.referer http.content_type http.content_len http.accept http.accept_lang http.accept_enc http.connection
    http.server http.location http.protocol http.start http.request_line http.response_line http.request_body
    http.response_body http.stat_code http.stat_msg file.data
    tls.sni tls.cert_subject tls.cert_issuer tls.cert_serial tls.cert_fingerprint tls.certs tls.version
    ja3.hash ja3.string ja3s.hash ja3s.string ja4.hash dns.query ssh.proto ssh.software smtp.first_line ftp.command
    ftp.command_data
    uricontent http_method http_uri http_raw_uri http_header http_raw_header http_cookie http_user_agent http_host http_raw_host
    http_client_body http_server_body http_stat_code http_stat_msg tls.subject tls.issuerdn tls.fingerprint
    http_header_names http_referer http_content_type http_content_len http_accept http_accept_lang http_accept_enc
    http_connection http_protocol http_start http_request_line http_response_line file_data tls_sni tls_cert_subject
    tls_cert_issuer tls_cert_serial tls_cert_fingerprint ja3_hash ja3_string dns_query ssh_proto ssh_software
";

#[test]
fn the_rules_that_come_with_the_appliance_load_and_show_each_keyword_twice() {
    let text = include_str!("../examples/appliance/signatures.rules");
    let set = RuleSet::parse(text.as_bytes(), &Variables::default());
    assert_eq!(
        set.report().to_string(),
        format!("{} rules loaded, 0 not loaded, 0 disabled\n", set.rules().len())
    );
    assert!(set.rules().len() >= 60);
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let options = lines.flat_map(|line| line.split_once('(').unwrap_or_default().1.split("; "));
    let names: Vec<_> = options.map(|option| option.split([':', ';']).next().unwrap()).collect();
    for keyword in KEYWORDS.split_whitespace() {
        let count = names.iter().filter(|name| **name == keyword).count();
        assert!(count >= 2, "{keyword} is there {count} times");
    }
    for name in names {
        assert!(
            name == ")" || KEYWORDS.split_whitespace().any(|keyword| keyword == name),
            "{name} is not listed"
        );
    }
    rules::check(text.as_bytes());
}

/// Why a rule with these options does not load.
fn why(options: &str) -> String {
    why_of(&format!("alert tcp any any -> any any ({options} sid:1;)"))
}

fn why_of(rule: &str) -> String {
    let set = RuleSet::parse(rule.as_bytes(), &Variables::default());
    assert!(set.rules().is_empty(), "{rule}");
    let [error] = set.report().errors() else { panic!("{rule}: {}", set.report()) };
    error.to_string()
}

#[test]
fn what_contradicts_itself_is_one_clear_line() {
    let mut wrong = Vec::new();
    for (options, expected) in [
        ("depth:3;", "31: sid 1: depth: expected `content` before, found none"),
        (
            "content:\"ab\"; depth:3; within:4;",
            "54: sid 1: within: expected for a pattern either `offset` and `depth`, or `distance` and `within`, found both",
        ),
        (
            "content:\"ab\"; depth:1;",
            "51: sid 1: depth: expected at least the 2 bytes that the pattern has, found `1`",
        ),
        (
            "content:\"ab\"; offset:1; startswith;",
            "55: sid 1: startswith: expected for a pattern either `startswith`, or `offset`, `depth`, `distance` and `within`, found both",
        ),
        (
            "content:\"ab\"; nocase; nocase;",
            "53: sid 1: nocase: expected it once for a pattern, found it twice",
        ),
        (
            "content:!\"ab\"; fast_pattern:only;",
            "31: sid 1: content: expected `fast_pattern` for a pattern that has to be there, found a negated one with a place",
        ),
        (
            "content:\"ab\"; fast_pattern; content:\"cd\"; fast_pattern;",
            "59: sid 1: content: expected `fast_pattern` once in a rule, found it twice",
        ),
        (
            "content:\"ab\"; fast_pattern:1,2;",
            "58: sid 1: fast_pattern: expected a part of the 2 bytes of the pattern, found `1,2`",
        ),
        (
            "content:\"ab\"; distance:0;",
            "31: sid 1: content: expected something before in the payload that this is relative to, found nothing",
        ),
        (
            "http.uri; http.host; content:\"a\";",
            "31: sid 1: http.uri: expected something that is asked of this buffer, found nothing",
        ),
        (
            "http.uri; content:\"a\"; http_host;",
            "54: sid 1: http_host: expected a pattern before that is not behind the keyword of a buffer, found one that is",
        ),
        (
            "http.uri; content:\"a\"; tls.sni; content:\"b\";",
            "63: sid 1: content: expected buffers of one protocol, found some of http and some of tls",
        ),
        (
            "http.uri; content:\"a\"; http.stat_code; content:\"2\";",
            "41: sid 1: content: expected buffers that one side sends, found some of each side",
        ),
        (
            "flow:to_client; http.uri; content:\"a\";",
            "57: sid 1: content: expected a buffer that the side sends of which `flow` speaks, found one of the other side",
        ),
        (
            "http.uri; bsize:<3; content:\"abc\";",
            "51: sid 1: content: expected a size that has room for the pattern, found one below 3 bytes",
        ),
        (
            "dsize:2; content:\"abc\";",
            "40: sid 1: content: expected a size that has room for the pattern, found one below 3 bytes",
        ),
        (
            "bsize:3;",
            "31: sid 1: bsize: expected the keyword of a buffer before, found none; `dsize` is for the payload",
        ),
        (
            "flow:to_server,from_server;",
            "46: sid 1: flow: expected words that do not contradict each other, found `from_server`",
        ),
        (
            "content:\"a\"; byte_test:1,>,size,0;",
            "58: sid 1: byte_test: expected a number, or a variable of `byte_extract` or `byte_math` before, found `size`",
        ),
        (
            "threshold:type limit, track by_src, count 1, seconds 0;",
            "84: sid 1: threshold: expected a number from 1 to 4294967295, found `0`",
        ),
        (
            "content:\"a|4|\";",
            "42: sid 1: content: expected pairs of hexadecimal digits between `|`, found `4|`",
        ),
        (
            "content:\"a\\x\";",
            "41: sid 1: content: expected `\"`, `;`, `:` or a backslash behind the backslash, found `\\x`",
        ),
        (
            "pcre:\"/(?<!a)b/\";",
            "37: sid 1: pcre: expected an expression without look-behind, found one at byte 0",
        ),
        (
            "pcre:\"/(a)\\1/\";",
            "37: sid 1: pcre: expected an expression without back-reference, found one at byte 3",
        ),
        (
            "pcre:\"/(?:(?:[a-z]{1000}){1000}){1000}/\";",
            "37: sid 1: pcre: expected an expression that fits into 1048576 bytes, found a larger one",
        ),
        (
            "asn1:oversize_length 10;",
            "31: sid 1: asn1: expected what is supported here, found `asn1`",
        ),
        (
            "hostbits:set,a;",
            "31: sid 1: hostbits: expected what is supported here, found `hostbits`; write `xbits`",
        ),
        (
            "contents:\"a\";",
            "31: sid 1: contents: expected a keyword of Suricata's language, found `contents`",
        ),
        ("nocase", ""),
    ] {
        let found = why(options);
        let expected = format!("line 1, column {expected}");
        // What is not closed takes what follows with it.
        let expected = match options {
            "nocase" => "line 1, column 31: nocase sid".to_owned(),
            _ => expected,
        };
        if !found.starts_with(&expected) {
            wrong.push(format!("{options}\n{found}\n{expected}\n"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.concat());
}

#[test]
fn headers_that_are_wrong() {
    for (rule, expected) in [
        (
            "alert smb any any -> any any (sid:1;)",
            "7: sid 1: smb: expected what is supported here, found `smb`",
        ),
        (
            "alart tcp any any -> any any (sid:1;)",
            "1: sid 1: expected `alert`, `drop`, `reject` or `pass`, found `alart`",
        ),
        ("alert tcp any any => any any (sid:1;)", "19: sid 1: expected `->` or `<>`, found `=>`"),
        (
            "alert tcp 10.0.0 any -> any any (sid:1;)",
            "11: sid 1: expected any, an address, a network, a range such as 192.0.2.1-192.0.2.9 or a $VARIABLE, found `10.0.0`",
        ),
        (
            "alert tcp [10.0.0.1,!10.0.0.1] any -> any any (sid:1;)",
            "1: sid 1: expected something that is left, found none in [10.0.0.1,!10.0.0.1]",
        ),
        (
            "alert tcp $HOME any -> any any (sid:1;)",
            "1: sid 1: expected a variable that is defined, found $HOME",
        ),
        (
            "alert tcp any 90:80 -> any any (sid:1;)",
            "15: sid 1: expected the lower port first, found `90:80`",
        ),
        (
            "alert tcp any any -> any any (msg:\"a\";)",
            "31: expected `sid` in each rule, found none",
        ),
        (
            "alert tcp any any -> any any",
            "1: expected a header, then options in parentheses, found `alert tcp any any -> any any`",
        ),
        (
            "alert udp any any -> any any (http.uri; content:\"a\"; sid:1;)",
            "41: sid 1: content: expected a rule for http, to which this buffer belongs, found one for udp",
        ),
        (
            "alert tcp any any -> any any (itype:8; sid:1;)",
            "1: sid 1: expected a protocol whose packets have what `itype` asks for, found tcp",
        ),
    ] {
        let (found, expected) = (why_of(rule), format!("line 1, column {expected}"));
        assert_eq!(found, expected, "{rule}");
    }
}

#[test]
fn the_rest_of_a_file_loads() {
    let long = format!("alert tcp any any -> any any (msg:\"{}\"; sid:9;)", "a".repeat(1 << 16));
    let fits = format!("alert tcp any any -> any any (content:\"{}\"; sid:8;)", "a".repeat(65_400));
    let text = [
        b"alert tcp any any -> any any (content:\"\xe9\"; sid:1; rev:1;)\n".as_slice(),
        b"# alert tcp any any -> any any (sid:2;)\n# only a comment (with sid)\n",
        b"alert tcp any any -> any any (content:\"\xc3\xa9\"; \\\n  filemagic:\"x\"; \\\n sid:3;)\r\n",
        b"alert tcp any any -> any any (content:\"\xc3\xa9\"; sid:1; rev:2;)\n",
        b"alert tcp any any -> any any (content:\"b\"; sid:1; rev:2;)\n",
        long.as_bytes(),
        b"\n",
        fits.as_bytes(),
    ]
    .concat();
    let set = RuleSet::parse(&text, &Variables::default());
    let ids: Vec<_> = set.rules().iter().map(|rule| (rule.id.sid, rule.id.rev)).collect();
    assert_eq!(ids, [(1, 2), (8, 0)]);
    assert!(set.rules()[0].to_string().contains("content:\"|c3 a9|\""));
    assert_eq!(set.report().disabled(), 1);
    let errors: Vec<_> = set.report().errors().iter().map(ToString::to_string).collect();
    assert_eq!(
        errors[0],
        "line 5, column 3: sid 3: filemagic: expected what is supported here, found `filemagic`"
    );
    assert_eq!(
        errors[1],
        "line 1, column 1: sid 1: sid: expected each sid once, found revision 1 beside 2"
    );
    assert_eq!(
        errors[2],
        "line 8, column 1: sid 1: sid: expected each sid once, found revision 2 beside 2"
    );
    assert_eq!(
        errors[3],
        format!("line 9, column 1: sid 9: expected at most 65536 bytes, found {}", long.len())
    );
    assert_eq!(set.report().by_keyword(), [("sid", 2), ("", 1), ("filemagic", 1)]);
    // In Latin-1 a character is a byte.
    let latin =
        RuleSet::parse(text.split(|byte| *byte == b'\n').next().unwrap(), &Variables::default());
    assert!(latin.rules()[0].to_string().contains("content:\"|e9|\""));
}

#[test]
fn old_forms_are_the_same_as_new_ones() {
    for (old, new) in [
        (
            "content:\"a\"; http_uri; nocase; content:\"b\"; http_header;",
            "http.uri; content:\"a\"; nocase; http.header; content:\"b\";",
        ),
        ("uricontent:\"a\"; pcre:\"/b/Ui\";", "http.uri; content:\"a\"; pcre:\"/b/i\";"),
        (
            "content:\"a\"; http_uri; isdataat:!1,relative;",
            "http.uri; content:\"a\"; isdataat:!1,relative;",
        ),
        ("urilen:5<>9; urilen:4,raw;", "http.uri; bsize:5<>9; http.uri.raw; bsize:4;"),
        (
            "file_data; content:\"a\"; within:1; pkt_data; content:\"b\";",
            "file.data; content:\"a\"; within:1; pkt_data; content:\"b\";",
        ),
        (
            "http.uri; content:\"a\"; http.host; content:\"b\"; http.uri; content:\"c\"; distance:0;",
            "http.uri; content:\"a\"; content:\"c\"; distance:0; http.host; content:\"b\";",
        ),
        (
            "tls.fingerprint:\"AA:bb\";",
            "tls.cert_fingerprint; content:\"aa|3a|bb\"; startswith; endswith;",
        ),
        ("flow:from_client; flags:S,12;", "flow:to_server; tcp.flags:S,CE;"),
    ] {
        let rule = |options: &str| {
            let text = format!("alert tcp any any -> any any ({options} sid:1;)");
            text.parse::<Rule>().unwrap_or_else(|error| panic!("{options}: {error}"))
        };
        assert_eq!(rule(old), rule(new), "{old}");
    }
}

/// A message with bytes that are no UTF-8, and with zeros.
#[test]
fn what_is_no_text_comes_back_as_it_was_read() {
    rules::check(b"alert ip any any -> any any (msg:\"of rou\x94\x00\x00\x00 in a cloud\"; ip_proto:89; priority:4; sid:9000100; rev:1;)");
}
