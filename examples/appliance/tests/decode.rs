//! `appliance decode` against tshark, packet by packet and option by option.

mod common;

use common::{appliance, files, layer, number, public_captures, root, stdout, tshark};
use serde_json::{Value, json};
use std::path::Path;

fn decode(file: &Path) -> Vec<Value> {
    let output = appliance(&["decode", "--json", file.to_str().expect("UTF-8")]);
    stdout(&output)
        .lines()
        .map(|line| serde_json::from_str(line).expect("an object a line"))
        .collect()
}

#[test]
fn public_captures_agree_with_tshark() {
    let Some(folder) = public_captures() else { return };
    let mut compared = 0;
    for file in files(&folder) {
        compared += compare(&file);
    }
    for file in files(&folder.join("inner")) {
        assert_eq!(compare(&file), 0, "{}: no GENEVE there", file.display());
    }
    assert!(compared >= 67 || tshark(&files(&folder)[0]).is_none(), "{compared} packets compared");
}

#[test]
fn own_captures_agree_with_tshark() {
    for file in files(&root("tests/captures")) {
        // What is wrong on purpose is tested by reason, where the captures are made.
        if file.file_name().is_some_and(|name| name != "malformed.pcapng") {
            compare(&file);
        }
    }
}

#[test]
fn the_real_load_balancer() {
    let Some(folder) = public_captures() else { return };
    let records = decode(&folder.join("aws-gwlb-gre.pcap"));
    assert_eq!(records.len(), 12);
    for record in records {
        let gwlb = json!({
            "endpoint": "vpce-031e129cdc0cd8633",
            "attachment": "0x0000000000000000",
            "cookie": "0x3dc956ac",
        });
        assert_eq!(record["gwlb"], gwlb);
        assert_eq!(record["inner"]["proto"], 47);
        assert_eq!(record.get("error"), None);
    }
}

/// How many GENEVE packets both saw, each alike.
fn compare(file: &Path) -> usize {
    let records = decode(file);
    let Some(packets) = tshark(file) else { return 0 };
    let theirs: Vec<_> = packets.iter().filter(|packet| !packet["geneve"].is_null()).collect();
    let numbers: Vec<_> =
        theirs.iter().map(|packet| number(&packet["frame"]["frame.number"])).collect();
    let ours: Vec<_> =
        records.iter().map(|record| record["packet"].as_u64().expect("a number")).collect();
    assert_eq!(ours, numbers, "{}", file.display());
    for (record, packet) in records.iter().zip(theirs) {
        let context = format!("{} packet {}", file.display(), record["packet"]);
        compare_time(record, packet, &context);
        compare_outer(record, packet, &context);
        // A layer that is bad on purpose is tested by reason, where the captures are made.
        let bad = record["error"]["layer"].as_str();
        if bad != Some("geneve") {
            compare_geneve(&record["geneve"], &packet["geneve"], &context);
            if bad != Some("inner") {
                compare_inner(record, packet, &context);
            }
        }
    }
    records.len()
}

fn compare_time(record: &Value, packet: &Value, context: &str) {
    let time: jiff::Timestamp = record["time"].as_str().expect("a text").parse().expect("RFC 3339");
    let theirs = packet["frame"]["frame.time_epoch"].as_str().expect("a text");
    let nanos = time.as_nanosecond();
    assert_eq!(
        format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000),
        theirs,
        "{context}"
    );
}

fn compare_outer(record: &Value, packet: &Value, context: &str) {
    let udp = layer(packet, "udp", 0);
    let outer = &record["outer"];
    assert_eq!(outer["sport"], number(&udp["udp.srcport"]), "{context}");
    assert_eq!(outer["dport"], number(&udp["udp.dstport"]), "{context}");
    let (name, src, dst) = match outer["src"].as_str() {
        Some(address) if address.contains(':') => ("ipv6", "ipv6.src", "ipv6.dst"),
        _ => ("ip", "ip.src", "ip.dst"),
    };
    assert_eq!(outer["src"], layer(packet, name, 0)[src], "{context}");
    assert_eq!(outer["dst"], layer(packet, name, 0)[dst], "{context}");
}

fn compare_geneve(ours: &Value, theirs: &Value, context: &str) {
    let flags = &theirs["geneve.flags_tree"];
    assert_eq!(ours["version"], number(&theirs["geneve.version"]), "{context}");
    assert_eq!(ours["oam"], number(&flags["geneve.flags.oam"]) == 1, "{context}");
    assert_eq!(ours["critical"], number(&flags["geneve.flags.critical"]) == 1, "{context}");
    assert_eq!(ours["protocol"], theirs["geneve.proto_type"], "{context}");
    assert_eq!(ours["vni"], number(&theirs["geneve.vni"]), "{context}");
    let trees = match &theirs["geneve.options_tree"]["geneve.option_tree"] {
        Value::Null => Vec::new(),
        Value::Array(options) => options.clone(),
        option => vec![option.clone()],
    };
    let options: Vec<_> = trees
        .iter()
        .map(|option| {
            let data = option["geneve.option.unknown.data"].as_str().unwrap_or_default();
            json!({
                "class": option["geneve.option.class"],
                "type": number(&option["geneve.option.type"]),
                "critical": number(&option["geneve.option.type.critical"]) == 1,
                "data": data.replace(':', ""),
            })
        })
        .collect();
    assert_eq!(ours["options"], Value::Array(options), "{context}");
}

fn compare_inner(record: &Value, packet: &Value, context: &str) {
    let outer_is_v6 = record["outer"]["src"].as_str().is_some_and(|address| address.contains(':'));
    let [v4, v6] = if outer_is_v6 { [0, 1] } else { [1, 0] };
    let protocol = match record["geneve"]["protocol"].as_str() {
        Some("0x6558") => layer(packet, "eth", 1)["eth.type"].as_str().map(|own| {
            // A tagged frame names what is inside behind its tags.
            let tagged = layer(packet, "vlan", 0)["vlan.etype"].as_str();
            tagged.unwrap_or(own).to_owned()
        }),
        other => other.map(str::to_owned),
    };
    let inner = &record["inner"];
    match protocol.as_deref() {
        Some("0x0800") => {
            let ip = layer(packet, "ip", v4);
            assert_eq!(inner["src"], ip["ip.src"], "{context}");
            assert_eq!(inner["dst"], ip["ip.dst"], "{context}");
            assert_eq!(inner["len"], number(&ip["ip.len"]), "{context}");
            assert_eq!(inner["proto"], number(&ip["ip.proto"]), "{context}");
            let more = ip["ip.flags_tree"]["ip.flags.mf"] == "1";
            let fragment = more || number(&ip["ip.frag_offset"]) != 0;
            assert_eq!(inner["fragment"], fragment, "{context}");
        }
        Some("0x86dd") => {
            let ip = layer(packet, "ipv6", v6);
            assert_eq!(inner["src"], ip["ipv6.src"], "{context}");
            assert_eq!(inner["dst"], ip["ipv6.dst"], "{context}");
            assert_eq!(inner["len"], number(&ip["ipv6.plen"]) + 40, "{context}");
            assert_eq!(inner["fragment"], !ip["ipv6.fraghdr"].is_null(), "{context}");
        }
        _ => assert!(inner.is_null(), "{context}: {inner}"),
    }
    let (name, n, sport, dport) = match inner["proto"].as_u64() {
        Some(6) => ("tcp", 0, "tcp.srcport", "tcp.dstport"),
        Some(17) => ("udp", 1, "udp.srcport", "udp.dstport"),
        _ => return assert!(inner.get("sport").is_none(), "{context}: ports of what has none"),
    };
    // tshark shows the ports of a reassembled datagram beside its last fragment; a later fragment has none. And it
    // gives up at an inner header (a routing type that it does not know, say) that may be passed over.
    let gave_up = packet.to_string().contains("_ws.malformed");
    if inner["fragment"] == false && !gave_up {
        let transport = layer(packet, name, n);
        assert!(!transport.is_null(), "{context}: tshark shows no {name}");
        assert_eq!(inner["sport"], number(&transport[sport]), "{context}");
        assert_eq!(inner["dport"], number(&transport[dport]), "{context}");
    }
}
