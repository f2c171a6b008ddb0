//! Access lists in TOML: what is read, and what each mistake is answered with; and access lists as inspectors.

#![cfg(feature = "config")]
#![allow(missing_docs)]

mod support;

use std::sync::Arc;

use gwlb_geneve::Timestamp;
use gwlb_geneve::flow::PacketFlow;
use gwlb_geneve::gwlb::{EndpointId, Envelope, Profile};
use gwlb_geneve::inspect::{Alert, Context, Effects, Inspector, Packet, Reason, Severity, Verdict};
use gwlb_geneve::inspectors::access::{
    AccessInspector, AccessList, Action, ConfigProblem, Direction, PortRange, Rule,
};
use gwlb_geneve::packet::{Addresses, FiveTuple, IpPacket, IpProtocol, Ports};
use support::sample;

/// The errors of a list that is right but for these lines of its rule, which start at line 4.
#[track_caller]
fn errors(lines: &str) -> String {
    let text = format!("default = \"allow\"\n[[rule]]\naction = \"drop\"\n{lines}");
    AccessList::from_toml(&text).unwrap_err().to_string()
}

#[test]
fn every_key_is_read() {
    let list = AccessList::from_toml(
        r#"
        default = "reject"

        [[rule]]
        name = "web"
        action = "allow"
        log = true
        direction = "both"
        endpoint = ["vpce-031e129cdc0cd8633", "vpce-1a2b3c4d"]
        from = ["10.0.0.0/8", "2001:db8::/32"]
        to = "192.0.2.1"
        ports = ["443, 8000-8100", 80]
        source-ports = "1024-65535"
        protocol = ["tcp", "UDP", 132]

        [[rule]]
        action = "drop"
        direction = "to-server"
        ports = 22
        "#,
    )
    .unwrap();
    assert_eq!(list.default_action(), Action::Reject);
    let web = Rule::new(Action::Allow)
        .name("web")
        .log()
        .both_ways()
        .endpoint(EndpointId(0x31e1_29cd_c0cd_8633))
        .endpoint(EndpointId(0x1a2b_3c4d))
        .from("10.0.0.0/8".parse().unwrap())
        .from("2001:db8::/32".parse().unwrap())
        .to("192.0.2.1/32".parse().unwrap())
        .ports(443)
        .ports(PortRange::new(8000, 8100).unwrap())
        .ports(80)
        .source_ports(PortRange::new(1024, 65_535).unwrap())
        .protocol(IpProtocol::TCP)
        .protocol(IpProtocol::UDP)
        .protocol(IpProtocol::SCTP);
    assert_eq!(list.rules(), [web, Rule::new(Action::Drop).ports(22)]);
    assert_eq!(list.rules()[1].direction, Direction::ToServer);

    let tuple = FiveTuple {
        addresses: Addresses::V4 {
            source: [192, 0, 2, 1].into(),
            destination: [10, 1, 2, 3].into(),
        },
        protocol: IpProtocol::TCP,
        ports: Some(Ports { source: 443, destination: 50_000 }),
    };
    let decision = list.decide(EndpointId(0x1a2b_3c4d), &tuple);
    assert_eq!(decision.action, Action::Allow);
    assert_eq!(decision.rule.unwrap().to_string(), "rule 1");
    assert_eq!(list.decide(EndpointId(7), &tuple).rule, None);
}

#[test]
fn a_list_may_have_no_rules() {
    let list = AccessList::from_toml("default = 'drop'").unwrap();
    assert!(list.rules().is_empty() && list.default_action() == Action::Drop);
}

#[test]
fn default_and_action_must_be_there() {
    let errors = AccessList::from_toml("[[rule]]\nname = 'x'\n").unwrap_err();
    assert_eq!(
        errors.to_string(),
        "line 1, column 1: expected `default` here, found none\n\
         line 1, column 1: expected `action` here, found none"
    );
}

#[test]
fn a_misspelt_key_is_recognised() {
    assert_eq!(
        errors("protcol = \"tcp\"\n"),
        "line 4, column 1: expected one of `name`, `action`, `log`, `direction`, `endpoint`, `from`, `to`, `ports`, \
         `source-ports` or `protocol`, found `protcol`; did you mean `protocol`?"
    );
    assert!(errors("colour = 1\n").ends_with("found `colour`"));
    let errors =
        AccessList::from_toml("default = 'allow'\n[[rules]]\naction = 'drop'\n").unwrap_err();
    assert_eq!(
        errors.to_string(),
        "line 2, column 3: expected one of `default` or `rule`, found `rules`; did you mean `rule`?"
    );
}

#[test]
fn words() {
    assert_eq!(
        errors("direction = \"bath\""),
        "line 4, column 13: expected `to-server` or `both`, found `bath`; did you mean `both`?"
    );
    assert_eq!(errors("direction = true"), "line 4, column 13: expected a string, found a boolean");
    assert_eq!(
        errors("log = \"yes\""),
        "line 4, column 7: expected `true` or `false`, found a string"
    );
    assert_eq!(errors("name = 1"), "line 4, column 8: expected a string, found an integer");
    assert_eq!(
        errors("protocol = [\"tcp\", \"udpp\"]"),
        "line 4, column 20: expected a protocol's name or its number from 0 to 255, found `udpp`; \
         did you mean `udp`?"
    );
    assert_eq!(
        errors("protocol = 256"),
        "line 4, column 12: expected a protocol's name or its number from 0 to 255, found `256`"
    );
}

#[test]
fn networks() {
    assert_eq!(
        errors("from = \"10.1.2.3/8\""),
        "line 4, column 8: expected no bits after the prefix: write 10.0.0.0/8, or 10.1.2.3/32 for the host, \
         found `10.1.2.3/8`"
    );
    assert_eq!(
        errors("to = [\n  \"10.0.0.0/8\",\n  \"10.0.0/8\",\n]"),
        "line 6, column 3: expected an address such as 10.0.0.0/8 or 2001:db8::/32, found `10.0.0/8`"
    );
    assert_eq!(
        errors("from = 10"),
        "line 4, column 8: expected a string or a list of strings, found an integer"
    );
    assert_eq!(
        errors("from = []"),
        "line 4, column 8: expected at least one value, found none: leave `from` out to take everything"
    );
}

#[test]
fn ports() {
    assert_eq!(
        errors("ports = \"443,https\""),
        "line 4, column 9: expected a port from 0 to 65535, or a range such as 8000-8100, found `https`"
    );
    assert!(errors("ports = 65536").contains("found `65536`"));
    assert!(errors("ports = -1").contains("found `-1`"));
    assert!(errors("ports = \"\"").contains("found ``"));
    assert!(errors("source-ports = \"9-7\"").ends_with("write 7-9, found `9-7`"));
    assert_eq!(
        errors("ports = 0x50"),
        "line 4, column 9: expected a string, a decimal number, or a list of them, found an integer"
    );
}

#[test]
fn endpoints() {
    assert_eq!(
        errors("endpoint = \"eni-1a2b3c4d\""),
        "line 4, column 12: expected `vpce-` at the start, found `eni-1a2b3c4d`"
    );
}

#[test]
fn rules_that_take_nothing() {
    assert_eq!(
        errors("ports = 80\nprotocol = \"icmp\""),
        "line 2, column 1: rule 1: expected a protocol that has ports, as the rule names ports, found none"
    );
    assert_eq!(
        errors("from = \"10.0.0.0/8\"\nto = \"2001:db8::/32\""),
        "line 2, column 1: rule 1: expected sources and destinations of one IP version, found none in common"
    );
}

#[test]
fn all_errors_come_at_once_and_in_order() {
    let errors = AccessList::from_toml(
        "default = \"pass\"\n[[rule]]\naction = \"drop\"\nto = \"é\"\nfrom = [\"x\", \"y\"]\n[[rule]]\nports = 1.5\n",
    )
    .unwrap_err();
    let places: Vec<_> = errors.errors().iter().map(|it| (it.line, it.column)).collect();
    assert_eq!(places, [(1, 11), (4, 6), (5, 9), (5, 14), (6, 1), (7, 9)]);
}

#[test]
fn what_is_no_toml_is_told_by_line_and_column() {
    let errors =
        AccessList::from_toml("default = 'allow'\n[[rule]\naction = 'drop'\n").unwrap_err();
    let [error] = errors.errors() else { panic!("expected one error, found {errors}") };
    assert!(matches!(error.problem, ConfigProblem::Syntax(_)));
    assert_eq!((error.line, error.column), (2, 8), "{error}");
}

#[test]
fn columns_count_characters() {
    let text = "default = \"allow\"\nrule = [{ name = \"é\", action = \"dorp\" }]\n";
    let errors = AccessList::from_toml(text).unwrap_err();
    assert_eq!(
        errors.to_string(),
        "line 2, column 32: expected `allow`, `drop` or `reject`, found `dorp`; did you mean `drop`?"
    );
}

const DOCUMENT: &str = r#"workers = 2

[access]
default = "allow"

[[access.rule]] # line 6
action = "drop"
to = "10.0.0.0/8"

[[access.rule]] # line 10
name = "too late"
action = "allow"
to = "10.1.0.0/16"
ports = 22
"#;

#[test]
fn a_table_of_a_larger_document() {
    let list = AccessList::from_toml_table(DOCUMENT, "access").unwrap();
    let lines: Vec<_> = list
        .shadowed()
        .iter()
        .map(|it| (list.line(it.rule).unwrap(), list.line(it.by).unwrap()))
        .collect();
    assert_eq!(lines, [(10, 6)]);

    let deeper = DOCUMENT.replace("access", "inspectors.access");
    let list = AccessList::from_toml_table(&deeper, "inspectors.access").unwrap();
    assert_eq!(list.rules().len(), 2);
}

#[test]
fn mistakes_in_a_larger_document_keep_their_places() {
    let error =
        |document: &str, path| AccessList::from_toml_table(document, path).unwrap_err().to_string();
    assert_eq!(
        error(&DOCUMENT.replace("ports = 22", "prots = 22"), "access"),
        "line 14, column 1: expected one of `name`, `action`, `log`, `direction`, `endpoint`, `from`, `to`, \
         `ports`, `source-ports` or `protocol`, found `prots`; did you mean `ports`?"
    );
    assert_eq!(
        error(&DOCUMENT.replace("default = \"allow\"", ""), "access"),
        "line 3, column 1: expected `default` here, found none"
    );
    assert_eq!(error(DOCUMENT, "acces"), "line 1, column 1: expected a table `acces`, found none");
    assert_eq!(error(DOCUMENT, "workers"), "line 1, column 11: expected a table, found an integer");
    assert_eq!(
        error("[access]\ndefault = 'drop'\nrule = 'none'\n", "access"),
        "line 3, column 8: expected `[[rule]]` tables, found a string"
    );
}

/// What an inspector does with the flow of a datagram: its state, and the alerts.
fn opened(inspector: &mut AccessInspector, datagram: &[u8]) -> (Option<[Verdict; 2]>, Vec<Alert>) {
    let envelope = Envelope::parse(datagram, &Profile::AWS).unwrap();
    let ip = IpPacket::parse(envelope.inner()).unwrap();
    let flow = PacketFlow::of(envelope.endpoint(), &ip).unwrap();
    let packet = Packet::new(&envelope, flow, flow.direction, ip).unwrap();
    let mut effects = Effects::default();
    let mut cx = Context::new(Timestamp::from_nanos(7), &mut effects);
    let state = inspector.open(&packet, &mut cx);
    let verdicts =
        state.map(|mut state| [(); 2].map(|()| inspector.packet(&mut state, &packet, &mut cx)));
    (verdicts, effects.alerts)
}

/// The samples go from 10.1.2.3 port 40000 to 10.9.8.7, TCP to port 443 and UDP to port 53.
#[test]
fn flows_are_judged_once() {
    let list = Arc::new(
        AccessList::from_toml(
            r#"
            default = "allow"
            [[rule]]
            action = "drop"
            ports = 53
            [[rule]]
            name = "web"
            action = "reject"
            log = true
            from = "10.1.0.0/16"
            ports = 443
            "#,
        )
        .unwrap(),
    );
    let mut inspector = AccessInspector::new(Arc::clone(&list));
    let mut other_worker = inspector.clone();
    assert_eq!(Arc::strong_count(&list), 3);

    let reason = Reason::new("access-list");
    let dropped = Verdict::drop(reason).for_flow();
    assert_eq!(opened(&mut inspector, &sample::ipv4_udp()), (Some([dropped; 2]), vec![]));
    let (verdicts, alerts) = opened(&mut other_worker, &sample::ipv4_tcp());
    assert_eq!(verdicts, Some([Verdict::reject(reason); 2]));
    let [alert] = &alerts[..] else { panic!("expected one alert, found {alerts:?}") };
    assert_eq!((alert.name.as_ref(), alert.severity), ("access-list", Severity::Notice));
    assert!(
        alert.message.starts_with("rule 2 (web) rejected vpce-")
            && alert.message.ends_with("10.1.2.3:40000 -> 10.9.8.7:443"),
        "{}",
        alert.message
    );
    assert_eq!(opened(&mut inspector, &sample::ipv6_tcp()), (None, vec![]));
}

/// The samples are the flow's first packets, or an answer in a flow that is adopted midstream.
#[test]
fn who_opens_a_flow_is_who_is_seen_first() {
    let rule = || Rule::new(Action::Allow).from("10.9.8.7".parse().unwrap());
    let judge = |rule: Rule| {
        let list = AccessList::new(Action::Drop, [rule.source_ports(443)]).unwrap();
        opened(&mut AccessInspector::new(list), &sample::ipv4_tcp()).0.is_none()
    };
    assert!(!judge(rule()));
    assert!(judge(rule().both_ways()));
}
