//! `appliance replay --eve`: records of public captures, wrapped by `appliance wrap`, field by field as tshark sees them.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{appliance, files, public_captures, stdout};
use serde_json::Value;

fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("eve");
    fs::create_dir_all(&folder).expect("a folder to write to");
    folder.join(name)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// Each public capture wrapped, and its records; none (said aloud) where there are no captures.
fn recorded(test: &str) -> Vec<(PathBuf, Vec<Value>)> {
    let Some(folder) = public_captures() else { return vec![] };
    let config = scratch(&format!("{test}.toml"));
    fs::write(&config, "[eve]\nfile = \"-\"\nja3 = true\nja4 = true\n").expect("written");
    let of = |file: &PathBuf| {
        let name = file.file_name().and_then(|name| name.to_str()).expect("UTF-8");
        let wrapped = scratch(&format!("{test}-{name}"));
        stdout(&appliance(&["wrap", text(file), "--write", text(&wrapped)]));
        let out = scratch(&format!("{test}-{name}.json"));
        let arguments = ["replay", text(&wrapped), "--config", text(&config), "--eve", text(&out)];
        stdout(&appliance(&arguments));
        let lines = fs::read_to_string(&out).expect("records in UTF-8");
        let records = lines.lines().map(|line| {
            serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{line}: {error}"))
        });
        (wrapped, records.collect())
    };
    files(&folder.join("inner")).iter().map(of).collect()
}

/// Rows of fields of the frames that a filter lets through; `None` (said aloud) without tshark. Several values of a field
/// have a `\x1f` between them.
fn tshark(file: &Path, filter: &str, fields: &[&str]) -> Option<Vec<Vec<String>>> {
    let mut command = Command::new("tshark");
    command.arg("-r").arg(file).args(["-d", "udp.port==6081,geneve", "-Y", filter]);
    command.args(["-T", "fields", "-E", "separator=|", "-E", "aggregator=\x1f"]);
    fields.iter().for_each(|field| _ = command.args(["-e", field]));
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => {
            eprintln!("SKIPPED: tshark is needed ({error})");
            return None;
        }
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    Some(text.lines().map(|line| line.split('|').map(str::to_owned).collect()).collect())
}

fn of_type<'a>(records: &'a [Value], event_type: &str) -> Vec<&'a Value> {
    records.iter().filter(|record| record["event_type"] == event_type).collect()
}

/// A value as tshark would write it, empty where there is none.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A column of all rows: all values of a field in the order of the capture.
fn column(rows: &[Vec<String>], index: usize) -> Vec<String> {
    let values = rows.iter().flat_map(|row| row[index].split('\x1f'));
    values.filter(|value| !value.is_empty()).map(str::to_owned).collect()
}

#[test]
fn http_agrees_with_tshark() {
    let all = recorded("http");
    let mut compared = 0;
    for (file, records) in &all {
        let requests = [
            ("hostname", "http.host"),
            ("url", "http.request.uri"),
            ("http_user_agent", "http.user_agent"),
            ("http_method", "http.request.method"),
            ("protocol", "http.request.version"),
            ("http_refer", "http.referer"),
        ];
        let responses = [
            ("status", "http.response.code"),
            ("http_content_type", "http.content_type"),
            ("length", "http.content_length_header"),
            ("redirect", "http.location"),
        ];
        let ours = of_type(records, "http");
        let Some(requests_there) = tshark(file, "http.request", &["http.request.method"]) else {
            return;
        };
        assert_eq!(ours.len(), column(&requests_there, 0).len(), "{}", file.display());
        for (filter, fields) in [("http.request", &requests[..]), ("http.response", &responses[..])]
        {
            let names: Vec<_> = fields.iter().map(|(_, name)| *name).collect();
            let Some(theirs) = tshark(file, filter, &names) else { return };
            for (index, (field, _)) in fields.iter().enumerate() {
                let values = ours.iter().map(|record| plain(&record["http"][field]));
                let ours: Vec<_> = values.filter(|value| !value.is_empty()).collect();
                let mut theirs = column(&theirs, index);
                if *field == "http_content_type" {
                    theirs.iter_mut().for_each(|kind| {
                        *kind = kind.split(';').next().unwrap_or_default().trim().to_owned();
                    });
                }
                assert_eq!(ours, theirs, "{} {field}", file.display());
                compared += ours.len();
            }
        }
    }
    assert!(compared >= 40 || all.is_empty(), "{compared} values");
}

#[test]
fn tls_agrees_with_tshark() {
    let all = recorded("tls");
    let mut compared = 0;
    for (file, records) in &all {
        let hellos = "tls.handshake.type == 1 && tcp";
        let fields = [
            "tcp.srcport",
            "tls.handshake.extensions_server_name",
            "tls.handshake.ja3",
            "tls.handshake.ja3_full",
            "tls.handshake.extensions_alpn_str",
        ];
        let Some(clients) = tshark(file, hellos, &fields) else { return };
        let answers = "tls.handshake.type == 2 && tcp";
        let fields = [
            "tcp.dstport",
            "tls.handshake.version",
            "tls.handshake.extensions.supported_version",
            "tls.handshake.ja3s",
            "tls.handshake.ja3s_full",
        ];
        let Some(servers) = tshark(file, answers, &fields) else { return };
        let rows = |rows: Vec<Vec<String>>| -> BTreeMap<String, Vec<String>> {
            rows.into_iter().map(|row| (row[0].clone(), row[1..].to_vec())).collect()
        };
        let (clients, servers) = (rows(clients), rows(servers));
        let ours = of_type(records, "tls");
        let ports: BTreeSet<_> = ours.iter().map(|record| plain(&record["src_port"])).collect();
        assert_eq!(ports, clients.keys().cloned().collect(), "{}", file.display());
        for record in ours {
            let port = plain(&record["src_port"]);
            let tls = &record["tls"];
            let alpns = tls["client_alpns"].as_array().cloned().unwrap_or_default();
            let client = vec![
                plain(&tls["sni"]),
                plain(&tls["ja3"]["hash"]),
                plain(&tls["ja3"]["string"]),
                alpns.iter().map(plain).collect::<Vec<_>>().join("\x1f"),
            ];
            assert_eq!(client, clients[&port], "{} {port}", file.display());
            // Since TLS 1.3 the version stands in an extension, and where it was is that of TLS 1.2.
            let [version, extension] = match tls["version"].as_str() {
                Some("TLS 1.3") => ["0x0303", "0x0304"],
                Some("TLS 1.2") => ["0x0303", ""],
                other => panic!("a number for version {other:?}"),
            };
            let [hash, text] = ["hash", "string"].map(|field| plain(&tls["ja3s"][field]));
            let server = vec![version.to_owned(), extension.to_owned(), hash, text];
            assert_eq!(server, servers[&port], "{} {port}", file.display());
            compared += 1;
        }
    }
    assert!(compared >= 2 || all.is_empty(), "{compared} handshakes");
}

/// Of the types that captures have.
fn type_name(number: &str) -> &str {
    match number {
        "1" => "A",
        "2" => "NS",
        "5" => "CNAME",
        "6" => "SOA",
        "12" => "PTR",
        "15" => "MX",
        "16" => "TXT",
        "28" => "AAAA",
        "33" => "SRV",
        "41" => "OPT",
        "43" => "DS",
        "46" => "RRSIG",
        "47" => "NSEC",
        "48" => "DNSKEY",
        "50" => "NSEC3",
        "51" => "NSEC3PARAM",
        "250" => "TSIG",
        "65" => "HTTPS",
        "255" => "ANY",
        "65534" => "TYPE65534",
        other => panic!("a name for type {other}"),
    }
}

#[test]
fn dns_agrees_with_tshark() {
    let all = recorded("dns");
    let mut compared = 0;
    for (file, records) in &all {
        let fields = [
            "frame.number",
            "dns.id",
            "dns.flags",
            "dns.qry.name",
            "dns.qry.type",
            "dns.resp.name",
            "dns.resp.ttl",
            "dns.a",
            "dns.aaaa",
            "dns.cname",
            "dns.resp.type",
            "dns.flags.opcode",
            "dns.flags.rcode",
            "dns.ns",
            "dns.ptr.domain_name",
            "dns.mx.mail_exchange",
            "dns.txt",
            "dns.soa.mname",
            "dns.soa.rname",
            "dns.soa.serial_number",
            "dns.soa.minimum_ttl",
            "dns.srv.target",
        ];
        // What comes in fragments counts where the datagram is complete, there as here.
        let filter = "dns && (udp.port == 53 || tcp.port == 53) && !icmp && !icmpv6";
        let Some(theirs) = tshark(file, filter, &fields) else { return };
        // A receiver would discard those with a wrong checksum: they are dropped and not looked into.
        let is_dropped = |record: &&&Value| plain(&record["drop"]["reason"]).ends_with("checksum");
        let drops = of_type(records, "drop");
        let mut dropped: BTreeSet<_> =
            drops.iter().filter(is_dropped).map(|record| plain(&record["pcap_cnt"])).collect();
        // In the middle of a connection nobody knows where a message begins; tshark takes it that it is there.
        let anomalies = of_type(records, "anomaly");
        let midstream = anomalies.iter().filter(|it| it["anomaly"]["event"] == "midstream");
        dropped.extend(midstream.map(|record| plain(&record["pcap_cnt"])));
        let theirs: BTreeMap<_, _> = theirs
            .into_iter()
            .filter(|row| !dropped.contains(&row[0]))
            .map(|row| (row[0].clone(), row[1..].to_vec()))
            .collect();
        let ours: BTreeMap<_, _> = of_type(records, "dns")
            .iter()
            .map(|record| (plain(&record["pcap_cnt"]), row(&record["dns"])))
            .collect();
        for (frame, theirs) in &theirs {
            let mut theirs = theirs.clone();
            for name in [2, 4, 8, 12, 13, 14, 16, 17, 20] {
                theirs[name] = theirs[name].to_lowercase();
            }
            let types = theirs[3].split('\x1f').map(type_name).collect::<Vec<_>>().join("\x1f");
            theirs[3] = types;
            // EDNS speaks through a record of the root that is none, and queries have no other.
            let names =
                theirs[4].split('\x1f').filter(|name| !name.is_empty() && *name != "<root>");
            theirs[4] = names.collect::<Vec<_>>().join("\x1f");
            let kinds = theirs[9].split('\x1f').filter(|kind| !kind.is_empty() && *kind != "41");
            theirs[9] = kinds.map(type_name).collect::<Vec<_>>().join("\x1f");
            let mut ours = ours.get(frame).cloned();
            // The strings of a text stand one behind the other in a record.
            theirs[15] = theirs[15].replace('\x1f', "");
            ours.iter_mut().for_each(|row| row[15] = row[15].replace('\x1f', ""));
            if theirs[9].contains("NSEC") {
                // Tshark gives the types that such a record lists the name of a record's own.
                let own = ours.as_mut().map(|row| std::mem::take(&mut row[9]));
                let mut listed = theirs[9].split('\x1f');
                let own = own.unwrap_or_default();
                assert!(own.split('\x1f').all(|kind| listed.any(|it| it == kind)), "{own}");
                theirs[9].clear();
            }
            assert_eq!(ours, Some(theirs), "{} frame {frame}", file.display());
            compared += 1;
        }
        let [ours, theirs] = [ours.keys().collect::<Vec<_>>(), theirs.keys().collect()];
        assert_eq!(ours, theirs, "{}", file.display());
    }
    assert!(compared >= 15 || all.is_empty(), "{compared} messages");
}

/// The number of a response code that captures have; queries have none.
fn response_code(name: &Value) -> &'static str {
    match name.as_str() {
        None => "",
        Some("NOERROR") => "0",
        Some("FORMERR") => "1",
        Some("SERVFAIL") => "2",
        Some("NXDOMAIN") => "3",
        Some("REFUSED") => "5",
        Some(other) => panic!("a number for response code {other}"),
    }
}

fn row(dns: &Value) -> Vec<String> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let records: Vec<_> = ["answers", "authorities", "additionals"]
        .iter()
        .flat_map(|section| list(&dns[section]))
        .collect();
    let join = |values: Vec<String>| values.join("\x1f");
    let all = |records: &[Value], field: &str| {
        join(records.iter().map(|record| plain(&record[field])).collect())
    };
    let data = |kind: &str| {
        let of_kind = records.iter().filter(|record| record["rrtype"] == kind);
        join(of_kind.map(|record| plain(&record["rdata"])).collect())
    };
    let of = |kind: &'static str| records.iter().filter(move |record| record["rrtype"] == kind);
    let soa = |field: &str| join(of("SOA").map(|record| plain(&record["soa"][field])).collect());
    let flags = u16::from_str_radix(&plain(&dns["flags"]), 16).expect("flags in hexadecimal");
    let id = dns["id"].as_u64().expect("an id");
    let root = all(&records, "rrname");
    vec![
        format!("{id:#06x}"),
        format!("{flags:#06x}"),
        all(&list(&dns["queries"]), "rrname"),
        all(&list(&dns["queries"]), "rrtype"),
        root,
        all(&records, "ttl"),
        data("A"),
        data("AAAA"),
        data("CNAME"),
        all(&records, "rrtype"),
        plain(&dns["opcode"]),
        response_code(&dns["rcode"]).to_owned(),
        data("NS"),
        data("PTR"),
        data("MX"),
        data("TXT"),
        soa("mname"),
        soa("rname"),
        soa("serial"),
        soa("minimum"),
        join(of("SRV").map(|record| plain(&record["srv"]["name"])).collect()),
    ]
}

#[test]
fn every_record_says_whose_it_is() {
    let all = recorded("header");
    for (file, records) in &all {
        let flows: BTreeSet<_> =
            of_type(records, "flow").iter().map(|flow| flow["flow_id"].to_string()).collect();
        for record in records.iter().filter(|record| record["event_type"] != "stats") {
            let whose = format!("{}: {record}", file.display());
            assert_eq!(record["gwlb"]["endpoint"], "vpce-0123456789abcdef0", "{whose}");
            assert_eq!(record["gwlb"]["cookie"], "0x00000000", "{whose}");
            assert!(record["timestamp"].as_str().is_some_and(|time| time.len() == 31), "{whose}");
            if ["http", "tls", "dns"].contains(&record["event_type"].as_str().unwrap_or_default()) {
                assert!(flows.contains(&record["flow_id"].to_string()), "{whose}");
                assert!(record["community_id"].as_str().is_some_and(|id| id.starts_with("1:")));
            }
        }
        let packets = of_type(records, "stats")[0]["stats"]["gwlb"]["received"].as_u64();
        let told = of_type(records, "flow").iter().fold(0, |sum, flow| {
            let flow = &flow["flow"];
            sum + ["pkts_toserver", "pkts_toclient"]
                .map(|key| flow[key].as_u64().unwrap())
                .iter()
                .sum::<u64>()
        });
        assert!(packets.is_some_and(|packets| told <= packets && told > 0), "{}", file.display());
    }
}

/// Type and code of ICMP: of the packet where there is one, of the first each way where it is a flow.
#[test]
fn icmp_agrees_with_tshark() {
    let capture = common::root("tests/captures/icmp.pcapng");
    let config = scratch("icmp.toml");
    let rules = "[access]\ndefault = \"allow\"\n[[access.rule]]\naction = \"drop\"\nlog = true\nprotocol = \"icmpv6\"\n";
    fs::write(&config, rules).expect("written");
    let out = scratch("icmp.json");
    let arguments = ["replay", text(&capture), "--config", text(&config), "--eve", text(&out)];
    stdout(&appliance(&arguments));
    let lines = fs::read_to_string(&out).expect("records in UTF-8");
    let records: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let of = |record: &Value, fields: [&str; 2]| fields.map(|field| plain(&record[field]));

    let fields = ["icmp.type", "icmp.code", "icmpv6.type", "icmpv6.code"];
    for kind in ["drop", "alert"] {
        let records = of_type(&records, kind);
        assert!(!records.is_empty(), "no {kind}");
        for record in records {
            let filter = format!("frame.number == {}", record["pcap_cnt"]);
            let Some(rows) = tshark(&capture, &filter, &fields) else { return };
            assert_eq!(of(record, ["icmp_type", "icmp_code"])[..], rows[0][2..], "{record}");
        }
    }
    let flows = of_type(&records, "flow");
    let flow = |protocol: &str| {
        let is_one = |flow: &&&Value| flow["proto"] == protocol && flow["icmp_type"].is_u64();
        flows.iter().find(is_one).unwrap_or_else(|| panic!("a flow of {protocol} in {flows:?}"))
    };
    let (ping, ping6) = (flow("ICMP"), flow("IPv6-ICMP"));
    assert_eq!(of(ping, ["icmp_type", "icmp_code"]), ["8", "0"]);
    assert_eq!(of(ping, ["response_icmp_type", "response_icmp_code"]), ["0", "0"]);
    assert_eq!(ping["flow"]["alerted"], false);
    // The echo is dropped, and so there is no flow when its answer comes.
    assert_eq!(of(ping6, ["icmp_type", "icmp_code"]), ["128", "0"]);
    assert_eq!(of(ping6, ["response_icmp_type", "response_icmp_code"]), ["", ""]);
    assert_eq!(ping6["flow"]["alerted"], true);
    // What an ICMP error is about is another flow, which says nothing of ICMP.
    assert!(flows.iter().all(|flow| flow["proto"] != "TCP" || flow["icmp_type"].is_null()));
}
