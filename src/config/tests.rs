use alloc::string::ToString;
use alloc::vec::Vec;

use core::time::Duration;

use super::*;
use crate::engine::Flows;
use crate::flow::{FlowLimits, FlowTimeouts};
use crate::gwlb::EndpointId;
use crate::inspectors::anomaly::{self, Event};
use crate::inspectors::rate::{Action, Of, Per, RateRule};
use crate::stream::StreamLimits;
use crate::stream::defrag::DefragLimits;

#[test]
fn tokens_and_names_of_the_management_port() {
    let config = Config::parse(
        "[run]\nmanage-token = \"0123456789abcdef\"\nmanage-hosts = [\"a.example\", \"b\"]",
    );
    let run = config.unwrap().run().clone();
    assert!(run.manage_token.as_ref().unwrap().is(b"0123456789abcdef"));
    assert_eq!(run.manage_hosts, ["a.example", "b"]);
    assert!(!format!("{run:?}").contains("0123456789abcdef"), "{run:?}");
    assert_eq!(run.fixed(&Run::default()), ["manage-token", "manage-hosts"]);
    for (text, said) in [
        (
            "manage-token = \"secret\"",
            "line 2, column 16: expected 16 to 256 visible ASCII characters without spaces, found `6 characters`",
        ),
        ("manage-token = 1", "line 2, column 16: expected a string, found an integer"),
        (
            "manage-hosts = \"a:80\"",
            "line 2, column 16: expected a name without port, as `appliance.example.com`, found `a:80`",
        ),
        (
            "manage-token = \"0123456789abcdef\"\nmanage-token-file = \"f\"",
            "line 3, column 21: expected `manage-token` or `manage-token-file`, found `both`",
        ),
    ] {
        let error = Config::parse(&format!("[run]\n{text}")).unwrap_err().to_string();
        assert_eq!(error, said);
    }
}

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
        name = "front door"
        flows = 1_000
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

        [[rate.rule]]
        name = "floods"
        per = "destination"
        limit = "bytes"
        rate = 1_000_000
        action = "alert"
        direction = "both"
        prefix-v4 = 24
        [[rate.rule]]
        per = "source"
        limit = "syns"
        rate = 10
        burst = 20

        [anomaly]
        default = "drop"
        land = "ignore"
        http-ports = 8081
        tls-ports = []
        low-ttl = 9
    "#;
    let config = Config::parse(text).unwrap();
    let settings = config.settings();
    let policy = ExceptionPolicy::STRICT.with(Exception::Midstream, Treatment::Adopt).unwrap();
    assert!(settings.monitor);
    assert_eq!(settings.policy, policy);
    let special = |id| &settings.endpoints[&EndpointId(id)];
    assert_eq!((special(0xa1b2_c3d4_e5f6_0718).monitor), Some(false));
    assert_eq!((special(0xa1b2_c3d4_e5f6_0718).policy), None);
    assert_eq!(special(0xa1b2_c3d4_e5f6_0718).flows, Some(1_000));
    assert_eq!(settings.name_of(EndpointId(0xa1b2_c3d4_e5f6_0718)), Some("front door"));
    // What comes later in the text is what it begins with all the same.
    let overload = policy.with(Exception::Overload, Treatment::Pass).unwrap();
    assert_eq!(special(0x5ca1_ab1e_0ddb_a115).policy, Some(overload));
    assert_eq!(special(0x1a2b_3c4d).policy, Some(ExceptionPolicy::AVAILABLE));
    let list = config.access_list().unwrap();
    assert_eq!(list.rules().len(), 1);
    let rules: Vec<_> = config.rate_limits().unwrap().rules().cloned().collect();
    let floods = RateRule::new(Per::Destination, Of::Bytes, 1_000_000).name("floods");
    let floods = floods.action(Action::Alert).both_ways().prefixes(24, 64);
    assert_eq!(rules, [floods, RateRule::new(Per::Source, Of::Syns, 10).burst(20)]);
    let rules = config.anomaly_rules().unwrap();
    assert_eq!(rules.action(Event::Land), anomaly::Action::Ignore);
    assert_eq!(rules.action(Event::TtlChanged), anomaly::Action::Drop);
    assert_eq!((&rules.http_ports[..], &rules.tls_ports[..]), (&[8_081][..], &[][..]));
    assert_eq!((rules.low_ttl, rules.ttl_tolerance), (9, 4));
    assert_eq!(config.inspectors()().len(), 3);
}

/// Each mistake is told with its place, what was expected and what was found.
#[test]
fn mistakes_are_told() {
    for (text, expected) in [
        (
            "monitr = true",
            "line 1, column 1: expected one of `monitor`, `policy`, `endpoints`, `access`, `rate`, `anomaly`, `domains`, `api`, `signatures`, `eve`, `tap`, `run`, `limits` or `timeouts`, found `monitr`; did you mean `monitor`?",
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
            "line 2, column 1: expected one of `name`, `monitor`, `policy` or `flows`, found `moniter`; did you mean `monitor`?",
        ),
        (
            "[access]\ndefault = \"alow\"",
            "line 2, column 11: expected `allow`, `drop` or `reject`, found `alow`; did you mean `allow`?",
        ),
        ("[access]", "line 1, column 1: expected `default` here, found none"),
        ("[rate]", "line 1, column 1: expected `rule` here, found none"),
        (
            "[[rate.rule]]\nper = \"source\"\nlimit = \"syn\"\nrate = 5",
            "line 3, column 9: expected `packets`, `bytes`, `new-flows` or `syns`, found `syn`; did you mean `syns`?",
        ),
        (
            "[[rate.rule]]\nper = \"source\"\nlimit = \"bytes\"\nrate = 5\nburst = 100",
            "line 1, column 1: rule 1: expected a burst of at least 9001 bytes, as large as a packet can be, found 100",
        ),
        (
            "[[rate.rule]]\nper = \"source\"\nlimit = \"packets\"\nrate = 0",
            "line 4, column 8: expected a number from 1 to 10000000000, found `0`",
        ),
        (
            "[anomaly]\nlow-ttl = 256",
            "line 2, column 11: expected a number from 0 to 255, found `256`",
        ),
        (
            "[anomaly]\nhttp-ports = [80, \"81\"]",
            "line 2, column 19: expected a port or a list of ports, found a string",
        ),
        (
            "[anomaly]\ntls-ports = 0",
            "line 2, column 13: expected a port from 1 to 65535, found `0`",
        ),
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

#[test]
fn where_it_stands() {
    let text = r#"
        [run]
        way = "raw"
        bind = "10.0.1.5"
        port = 6_082
        workers = 3
        pin = true
        allow-origin = ["10.0.0.0/16", "10.1.0.7"]
        receive-buffer = 8388608
        busy-poll = 50
        health = "[::]:80"
        manage = "off"
        drain = 0.5
        log = "json"
        shadow = "next.toml"
        reload = "all"

        [limits]
        flows = 1000
        flow-bytes = 0x1000000
        flows-per-endpoint = 500
        endpoints = 16
        header-bytes = 0
        fragments = 100
        fragments-per-endpoint = 50
        streams = 7000
        streams-per-endpoint = 6000
        stream-bytes = 0x2000000
        stream-bytes-per-endpoint = 0x1000000
        stream-window = 65536
        message-size = 10000
        message-bytes = 1000000
        message-bytes-per-endpoint = 400000
        defrag-datagrams = 200
        defrag-datagrams-per-endpoint = 150
        defrag-bytes = 500000
        defrag-bytes-per-endpoint = 300000
        answers-per-second = 0
        icmp-errors-per-second = 7
        unhealthy-after = 3

        [timeouts]
        tcp = 6000
        half-open = 10.5
        closing = 60
        closed = 5
        udp = 61
        icmp = 62
        other = 63
        unanswered = 64
        defrag = 65
    "#;
    let config = Config::parse(text).unwrap();
    let run = config.run();
    assert_eq!((run.way, run.log), (Way::Raw, LogFormat::Json));
    assert_eq!((run.shadow.as_deref(), run.reload), (Some("next.toml"), Flows::Reopen));
    assert_eq!((run.bind, run.port), ([10, 0, 1, 5].into(), 6_082));
    assert_eq!((run.workers.map(usize::from), run.pin), (Some(3), true));
    let origins: Vec<_> = run.allow_origin.iter().map(ToString::to_string).collect();
    assert_eq!(origins, ["10.0.0.0/16", "10.1.0.7/32"]);
    assert_eq!(
        (run.receive_buffer, run.busy_poll),
        (Some(8 << 20), Some(Duration::from_micros(50)))
    );
    assert_eq!((run.health, run.manage), (Some("[::]:80".parse().unwrap()), None));
    assert_eq!(run.drain, Duration::from_millis(500));

    let Settings { flows, timeouts, .. } = config.settings();
    let settings = config.settings();
    let FlowLimits { bytes, flows_per_endpoint, endpoints, header_bytes, .. } = flows;
    assert_eq!((flows.flows, bytes, flows_per_endpoint), (1_000, 1 << 24, 500));
    assert_eq!((endpoints, header_bytes), (16, 0));
    assert_eq!((settings.fragments, settings.fragments_per_endpoint), (100, 50));
    let expected = StreamLimits {
        connections: 7_000,
        connections_per_endpoint: 6_000,
        bytes: 32 << 20,
        bytes_per_endpoint: 16 << 20,
        window: 1 << 16,
    };
    assert_eq!(settings.streams, expected);
    let expected = DefragLimits {
        datagrams: 200,
        datagrams_per_endpoint: 150,
        bytes: 500_000,
        bytes_per_endpoint: 300_000,
        lifetime: Duration::from_secs(65),
    };
    assert_eq!(settings.defrag, expected);
    assert_eq!((settings.messages.message, settings.message_bytes), (10_000, 1_000_000));
    assert_eq!(settings.message_bytes_per_endpoint, 400_000);
    assert_eq!((settings.answers_per_second, settings.icmp_errors_per_second), (0, 7));
    assert_eq!(settings.unhealthy_after, 3);
    let expected = FlowTimeouts {
        tcp_established: Duration::from_secs(6_000),
        tcp_half_open: Duration::from_millis(10_500),
        tcp_closing: Duration::from_secs(60),
        tcp_closed: Duration::from_secs(5),
        udp: Duration::from_secs(61),
        icmp: Duration::from_secs(62),
        other: Duration::from_secs(63),
        unanswered: Duration::from_secs(64),
    };
    assert_eq!(timeouts, expected);
    assert_eq!(run.fixed(&Run { drain: Duration::ZERO, ..run.clone() }), [""; 0]);
    assert_eq!(run.fixed(&Run { port: 1, pin: false, ..run.clone() }), ["port", "pin"]);
}

#[test]
fn mistakes_about_where_it_stands() {
    for (text, expected) in [
        ("port = 0", "line 2, column 8: expected a number from 1 to 65535, found `0`"),
        ("port = 65536", "line 2, column 8: expected a number from 1 to 65535, found `65536`"),
        ("workers = -1", "line 2, column 11: expected a number from 1 to 1024, found `-1`"),
        ("workers = \"4\"", "line 2, column 11: expected an integer, found a string"),
        ("bind = \"::1\"", "line 2, column 8: expected an IPv4 address, found `::1`"),
        (
            "manage = \"localhost\"",
            "line 2, column 10: expected an address with a port, as `127.0.0.1:9090`, or `off`, found `localhost`",
        ),
        (
            "allow-origin = [\"10.0.0.0/16\", \"10.0.0.0/99\"]",
            "line 2, column 32: expected a prefix length of at most 32, found `10.0.0.0/99`",
        ),
        (
            "allow-origin = \"2001:db8::/32\"",
            "line 2, column 16: expected an IPv4 network, found `2001:db8::/32`",
        ),
        ("drain = -1", "line 2, column 9: expected 0 to 604800 seconds, found `-1`"),
        ("drain = inf", "line 2, column 9: expected 0 to 604800 seconds, found `inf`"),
        ("drain = nan", "line 2, column 9: expected 0 to 604800 seconds, found `nan`"),
        ("drain = \"5m\"", "line 2, column 9: expected a number of seconds, found a string"),
        (
            "log = \"jason\"",
            "line 2, column 7: expected `text` or `json`, found `jason`; did you mean `json`?",
        ),
    ] {
        let errors = Config::parse(&["[run]\n", text].concat()).unwrap_err();
        assert_eq!(errors.to_string(), expected, "{text}");
    }
    let errors = Config::parse("[limits]\nflow = 1\n[timeouts]\nhalfopen = 3\n").unwrap_err();
    let text = errors.to_string();
    assert!(text.contains("line 2, column 1") && text.contains("did you mean `flows`?"), "{text}");
    assert!(
        text.contains("line 4, column 1") && text.contains("did you mean `half-open`?"),
        "{text}"
    );
}

#[test]
fn the_shares_of_an_endpoint_follow_from_what_there_is_for_all() {
    let text = "[limits]\nfragments = 10\nstreams = 100\nstream-bytes = 65536\nmessage-bytes = 4000\n\
                defrag-datagrams = 7\ndefrag-bytes = 1048576\ndefrag-bytes-per-endpoint = 65536";
    let settings = Config::parse(text).unwrap().settings();
    assert_eq!(settings.fragments_per_endpoint, 6);
    assert_eq!(settings.streams.connections_per_endpoint, 75);
    assert_eq!(settings.streams.bytes_per_endpoint, 48 << 10);
    assert_eq!(settings.message_bytes_per_endpoint, 3_000);
    let DefragLimits { datagrams_per_endpoint, bytes_per_endpoint, .. } = settings.defrag;
    assert_eq!((datagrams_per_endpoint, bytes_per_endpoint), (4, 64 << 10));
    let untouched = Config::parse("").unwrap().settings();
    assert_eq!(untouched.streams, StreamLimits::default());
    assert_eq!(untouched.defrag, DefragLimits::default());
}
