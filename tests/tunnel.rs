//! Tunnels are looked through, held against a reader of their own, and answered.

mod support;

use gwlb_geneve::packet::{IpPacket, Reset, Toward, Tunneled};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use support::{crafted, generate, tunnels};

/// Packets in up to four tunnels, as a rule in order.
fn packed() -> impl Strategy<Value = Vec<u8>> {
    let bend = vec((any::<Index>(), any::<u8>()), 0..4);
    let bend = prop_oneof![2 => Just(Vec::new()), 1 => bend];
    (generate::inner(), vec(0..tunnels::PACKINGS, 0..5), bend, 0..40_usize).prop_map(
        |(inner, packings, bend, cut)| {
            let mut bytes = packings.iter().fold(inner, |inner, how| tunnels::pack(*how, &inner));
            let reach = bytes.len().min(120);
            for (at, value) in bend.into_iter().filter(|_| reach > 0) {
                bytes[at.index(reach)] = value;
            }
            if cut > 36 {
                bytes.truncate(bytes.len().saturating_sub(cut - 36));
            }
            bytes
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn any_bytes(bytes: Vec<u8>, how in 0..tunnels::PACKINGS) {
        tunnels::check(&bytes);
        tunnels::check(&tunnels::pack(how, &bytes));
    }

    #[test]
    fn packets_in_packets(bytes in packed()) {
        tunnels::check(&bytes);
        crafted::check(&bytes);
    }
}

#[test]
fn generated_tunnels_reach_every_end() {
    let counts = generate::census(&packed(), 6_000, |bytes| match tunnels::walk(&bytes) {
        Ok((layers, None)) => ["none", "one", "two"][layers.len()].to_owned(),
        Ok((_, Some(opaque))) => format!("{opaque:?}"),
        Err((reason, _)) => reason.to_owned(),
    });
    for kind in [
        "none",
        "one",
        "two",
        "TooDeep",
        "Fragment",
        "Unknown",
        "ipv4-total-length",
        "ipv6-payload-length",
        "ip-version",
    ] {
        assert!(counts.contains_key(kind), "{kind} is not reached: {counts:?}");
    }
    assert!(counts["one"] > 300 && counts["two"] > 300, "{counts:?}");
}

#[test]
fn every_packing_is_looked_through_and_answered() {
    let inner = support::sample::ipv4(6, &support::sample::tcp(b"hello"));
    let deep = (0..tunnels::PACKINGS).flat_map(|how| {
        let once = tunnels::pack(how, &inner);
        let twice = (0..tunnels::PACKINGS).map(move |how| (2, how));
        let twice = twice.map({
            let once = once.clone();
            move |(depth, outer)| (depth, tunnels::pack(outer, &once))
        });
        [(1, once)].into_iter().chain(twice)
    });
    for (depth, bytes) in deep {
        tunnels::check(&bytes);
        let found = Tunneled::look_through(&IpPacket::parse(&bytes).unwrap()).unwrap();
        assert_eq!((found.depth(), found.opaque()), (depth, None));
        assert_eq!(found.innermost().bytes(), inner);
        found.tunnels().for_each(|tunnel| tunnels::right_checksums(&tunnel));
        let reset = Reset::to_sender(found.innermost()).unwrap();
        let (mut reply, mut whole) = ([0; 40], [0; 400]);
        let length = reset.write_to(&mut reply).unwrap();
        let Ok(length) = found.wrap(Toward::Sender, &reply[..length], &mut whole) else {
            continue;
        };
        let answer = IpPacket::parse(&whole[..length]).unwrap();
        let answer = Tunneled::look_through(&answer).unwrap();
        assert_eq!(answer.innermost().bytes(), reply);
    }
}

/// HTTP in GRE in GENEVE, as a load balancer sent it: another reader sees the same flows.
#[cfg(feature = "capture")]
#[test]
fn a_real_tunnel_is_looked_through() {
    use gwlb_geneve::capture::Reader;
    use gwlb_geneve::gwlb::{Envelope, Outer, Profile};
    use gwlb_geneve::packet::{ChecksumStatus, Transport};

    let Some(folder) = std::env::var_os("GWLB_CAPTURES").map(std::path::PathBuf::from) else {
        eprintln!("SKIPPED: GWLB_CAPTURES does not name the folder of public captures");
        return;
    };
    let path = folder.join("aws-gwlb-gre.pcap");
    let mut reader = Reader::open(&path).unwrap();
    let mut seen = Vec::new();
    while let Some(packet) = reader.next_packet() {
        let packet = packet.unwrap();
        let (outer, payload) = Outer::parse(packet.network().unwrap().payload).unwrap();
        let inner = Envelope::parse(payload, &Profile::AWS).unwrap().inner();
        tunnels::check(inner);
        let found = Tunneled::look_through(&IpPacket::parse(inner).unwrap()).unwrap();
        assert_eq!((found.depth(), found.opaque()), (1, None));
        let innermost = found.innermost();
        innermost.check_whole().unwrap();
        assert_eq!(innermost.verify_transport_checksum(), ChecksumStatus::Valid);
        let Ok(Transport::Tcp(segment)) = innermost.transport() else { panic!("no TCP") };
        let carrier = found.outermost();
        seen.push(format!(
            "{},{},{};{},{},{};{};{}",
            outer.source,
            carrier.source(),
            innermost.source(),
            outer.destination,
            carrier.destination(),
            innermost.destination(),
            segment.source_port(),
            segment.payload().len(),
        ));
    }
    assert_eq!(seen.len(), 12);
    let output = std::process::Command::new("tshark")
        .args(["-T", "fields", "-E", "separator=;", "-e", "ip.src", "-e", "ip.dst"])
        .args(["-e", "tcp.srcport", "-e", "tcp.len", "-r"])
        .arg(&path)
        .output();
    match output {
        Ok(output) => {
            let shown = String::from_utf8(output.stdout).unwrap();
            assert_eq!(shown.lines().collect::<Vec<_>>(), seen);
        }
        Err(error) => eprintln!("SKIPPED: tshark cannot be run: {error}"),
    }
}
