//! Hashes of flows, against published vectors and plain oracles.
#![cfg(feature = "std")]

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};

use gwlb_geneve::flow::*;
use gwlb_geneve::gwlb::EndpointId;
use gwlb_geneve::packet::*;
use proptest::prelude::*;

fn addresses(source: IpAddr, destination: IpAddr) -> Addresses {
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => Addresses::V4 { source, destination },
        (IpAddr::V6(source), IpAddr::V6(destination)) => Addresses::V6 { source, destination },
        _ => panic!("two versions"),
    }
}

fn tuple(protocol: u8, source: &str, destination: &str) -> FiveTuple {
    let [source, destination]: [SocketAddr; 2] =
        [source, destination].map(|end| end.parse().unwrap());
    FiveTuple {
        addresses: addresses(source.ip(), destination.ip()),
        protocol: IpProtocol(protocol),
        ports: Some(Ports { source: source.port(), destination: destination.port() }),
    }
}

/// Flows of a scan: neighbours in address and port, the hardest to spread.
fn neighbours() -> impl Iterator<Item = FiveTuple> {
    (0..256_u32).flat_map(|host| {
        (0..256_u16).map(move |port| FiveTuple {
            addresses: Addresses::V4 {
                source: (0x0a00_0000 + host).into(),
                destination: [192, 0, 2, 1].into(),
            },
            protocol: IpProtocol::TCP,
            ports: Some(Ports { source: 40_000 + port, destination: 443 }),
        })
    })
}

fn any_tuple() -> impl Strategy<Value = FiveTuple> {
    let protocol = prop_oneof![Just(6_u8), Just(17), Just(132), Just(47)];
    let v4 = (any::<[u8; 4]>(), any::<[u8; 4]>())
        .prop_map(|(a, b)| Addresses::V4 { source: a.into(), destination: b.into() });
    let v6 = (any::<u128>(), any::<u128>())
        .prop_map(|(a, b)| Addresses::V6 { source: a.into(), destination: b.into() });
    (prop_oneof![v4, v6], protocol, any::<(u16, u16)>()).prop_map(|(addresses, protocol, ports)| {
        FiveTuple {
            addresses,
            protocol: IpProtocol(protocol),
            ports: (protocol != 47).then_some(Ports { source: ports.0, destination: ports.1 }),
        }
    })
}

/// Microsoft's "Verifying the RSS Hash Calculation": destination, source, hash of addresses, hash with ports.
const RSS: &[(&str, &str, u32, u32)] = &[
    ("161.142.100.80:1766", "66.9.149.187:2794", 0x323e_8fc2, 0x51cc_c178),
    ("65.69.140.83:4739", "199.92.111.2:14230", 0xd718_262a, 0xc626_b0ea),
    ("12.22.207.184:38024", "24.19.198.95:12898", 0xd2d0_a5de, 0x5c2b_394a),
    ("209.142.163.6:2217", "38.27.205.30:48228", 0x8298_9176, 0xafc7_327f),
    ("202.188.127.2:1303", "153.39.163.191:44251", 0x5d18_09c5, 0x10e8_28a2),
    ("[3ffe:2501:200:3::1]:1766", "[3ffe:2501:200:1fff::7]:2794", 0x2cc1_8cd5, 0x4020_7d3d),
    ("[ff02::1]:4739", "[3ffe:501:8::260:97ff:fe40:efab]:14230", 0x0f0c_461c, 0xdde5_1bbf),
    (
        "[fe80::200:f8ff:fe21:67cf]:38024",
        "[3ffe:1900:4545:3:200:f8ff:fe21:67cf]:44251",
        0x4b61_e985,
        0x02d1_feef,
    ),
];

#[test]
fn toeplitz_by_the_published_suite() {
    static DEFAULT: Toeplitz = Toeplitz::new(&Toeplitz::DEFAULT_KEY);
    for (destination, source, by_addresses, by_ports) in RSS {
        let tuple = tuple(6, source, destination);
        assert_eq!(DEFAULT.hash(&tuple), *by_ports, "{tuple}");
        let tuple = FiveTuple { ports: None, ..tuple };
        assert_eq!(DEFAULT.hash(&tuple), *by_addresses, "{tuple}");
    }
}

/// The definition: for each bit of input that is set, the 32 bits of key that start at its position.
fn toeplitz_naive(key: &[u8; 40], input: &[u8]) -> u32 {
    let bit = |bytes: &[u8], at: usize| u32::from(bytes[at / 8] >> (7 - at % 8) & 1);
    (0..input.len() * 8)
        .filter(|at| bit(input, *at) == 1)
        .fold(0, |hash, at| hash ^ (at..at + 32).fold(0, |window, n| window << 1 | bit(key, n)))
}

/// From the specification's own tests.
#[cfg(feature = "community-id")]
#[test]
fn community_id_by_the_reference_vectors() {
    let id = |seed, protocol, source, destination| {
        CommunityId::new(seed, &tuple(protocol, source, destination)).to_string()
    };
    let (a, b) = ("128.232.110.120:34855", "66.35.250.204:80");
    assert_eq!(id(0, 6, a, b), "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
    assert_eq!(id(0, 6, b, a), "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
    assert_eq!(id(1, 6, a, b), "1:3V71V58M3Ksw/yuFALMcW0LAHvc=");
    let udp = id(0, 17, "192.168.1.52:54585", "8.8.8.8:53");
    assert_eq!(udp, "1:d/FP5EW3wiY1vCndhwleRRKHowQ=");
    let (a, b) = ("1.2.3.4:1122", "5.6.7.8:3344");
    assert_eq!(id(0, 6, b, a), "1:wCb3OG7yAFWelaUydu0D+125CLM=");
    assert_eq!(id(1, 6, b, a), "1:HhA1B+6CoLbiKPEs5nhNYN4XWfk=");
    assert_eq!(id(0, 17, a, b), "1:0Mu9InQx6z4ZiCZM/7HXi2WMhOg=");
    assert_eq!(id(0, 132, a, b), "1:EKt4MsxuyaE6mL+hmrEkQ9csDD8=");
    let (a, b) =
        ("[fe80:1:203:405:607:809:a0b:c0d]:1", "[fe80:1011:1213:1415:1617:1819:1a1b:1c1d]:2");
    assert_eq!(id(0, 46, b, a), "1:wQ/2mwrnXP4lmJcHdGL5ePjR+e0=", "without ports");
    let icmp = |source: &str, destination: &str, message_type, code| {
        let ends = addresses(source.parse().unwrap(), destination.parse().unwrap());
        CommunityId::icmp(0, ends, message_type, code).to_string()
    };
    assert_eq!(icmp("192.168.0.89", "192.168.0.1", 8, 0), "1:X0snYXpgwiv9TZtqg64sgzUn6Dk=");
    assert_eq!(icmp("192.168.0.1", "192.168.0.89", 0, 0), "1:X0snYXpgwiv9TZtqg64sgzUn6Dk=");
    assert_eq!(icmp("1.2.3.4", "5.6.7.8", 11, 0), "1:f/YiSyWqczrTgfUCZlBUnvHRcPk=");
    let (a, b) = ("fe80:1:203:405:607:809:a0b:c0d", "fe80:1011:1213:1415:1617:1819:1a1b:1c1d");
    assert_eq!(icmp(a, b, 128, 0), "1:0bf7hyMJUwt3fMED7z8LIfRpBeo=");
    assert_eq!(icmp("10.10.10.10", "10.10.10.10", 0, 8), "1:4MHSMLtBw+4q7Wke3ztBRVwtgt0=");
}

#[test]
fn the_seed_decides_and_stays_secret() {
    let key = FlowKey::new(EndpointId(1), &tuple(6, "10.0.0.1:1", "10.0.0.2:2")).0;
    let fixed = FlowSeed::from_bytes([1; 32]);
    assert_eq!(fixed.hash(&key), FlowSeed::from_bytes([1; 32]).hash(&key));
    assert_ne!(FlowSeed::random().hash(&key), FlowSeed::random().hash(&key));
    for byte in 0..32 {
        let mut bytes = [1; 32];
        bytes[byte] ^= 0x10;
        let other = FlowSeed::from_bytes(bytes);
        let v6 = FlowKey::new(EndpointId(1), &tuple(6, "[2001:db8::1]:1", "[fd00::2]:2")).0;
        assert_ne!(other.hash(&v6), fixed.hash(&v6), "byte {byte} of the seed counts");
    }
    assert_eq!(format!("{fixed:?}"), "FlowSeed(secret)");
}

/// 65,536 neighbours in 65,536 places, by any 16 bits of the hash: at random 41,400 of the places are taken. Of random seeds one in
/// fifty takes fewer than 40,500 by some 16 bits, and 38,000 at the least that was seen.
#[test]
fn neighbours_are_spread() {
    for bytes in [[0; 32], [0xff; 32], core::array::from_fn(|at| (37 * at) as u8)] {
        let seed = FlowSeed::from_bytes(bytes);
        for shift in [0, 16, 32, 48] {
            let taken: HashSet<_> = neighbours()
                .map(|tuple| seed.hash(&FlowKey::new(EndpointId(1), &tuple).0) >> shift & 0xffff)
                .collect();
            assert!((40_500..42_500).contains(&taken.len()), "{} at {shift}", taken.len());
        }
    }
    let ports: HashSet<_> = neighbours().map(|tuple| source_port(&tuple)).collect();
    assert!((40_000..43_500).contains(&ports.len()), "source ports: {}", ports.len());
    let mut workers = [0_u32; 7];
    neighbours().for_each(|tuple| workers[owner(EndpointId(1), &tuple, 7)] += 1);
    assert!(workers.iter().all(|flows| flows.abs_diff(65_536 / 7) < 600), "{workers:?}");
}

/// Each bit of the key turns about half of the bits of the hash.
#[test]
fn each_bit_of_an_address_matters() {
    let seed = FlowSeed::from_bytes([3; 32]);
    let hash = |source: u128| {
        let addresses = Addresses::V6 { source: source.into(), destination: u128::MAX.into() };
        let tuple = FiveTuple { addresses, protocol: IpProtocol::TCP, ports: None };
        seed.hash(&FlowKey::new(EndpointId(9), &tuple).0)
    };
    for bit in 0..128 {
        let turned: u32 = (0..64)
            .map(|n| {
                let source = n * 0x1234_5678_9abc_def1_1111;
                (hash(source) ^ hash(source ^ 1 << bit)).count_ones()
            })
            .sum();
        assert!((24 * 64..40 * 64).contains(&turned), "bit {bit}: {turned} of {}", 64 * 64);
    }
}

#[test]
fn owner_is_what_its_documentation_says() {
    // Computed apart, by the recipe: these numbers may never change, programs in the kernel rely on them.
    let stable = |words: &[u32]| {
        let mut hash = 0_u32;
        for word in words {
            hash = (hash ^ word).wrapping_mul(0x9e37_79b1);
            hash ^= hash >> 15;
        }
        hash = hash.wrapping_mul(0x85eb_ca77);
        hash ^= hash >> 13;
        (((hash & 0xffff) * 1_000) >> 16) as usize
    };
    let endpoint = EndpointId(0x1_0000_0005);
    let v4 = tuple(6, "10.0.0.9:49152", "10.0.0.1:443");
    let words = [1, 5, 443 << 16 | 49_152, 6 << 16 | 1 << 8 | 4, 0x0a00_0001, 0x0a00_0009];
    assert_eq!(owner(endpoint, &v4, 1_000), stable(&words));
    let v6 = tuple(17, "[2001:db8::1]:7", "[2001:db8::2]:9");
    let (ports, kind, net) = (7 << 16 | 9, 17 << 16 | 1 << 8 | 6, 0x2001_0db8);
    let words = [1, 5, ports, kind, net, 0, 0, 1, net, 0, 0, 2];
    assert_eq!(owner(endpoint, &v6, 1_000), stable(&words));
    let zero = FiveTuple {
        addresses: Addresses::V6 { source: 0.into(), destination: 0.into() },
        protocol: IpProtocol(0),
        ports: None,
    };
    let words = [1, 5, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(owner(endpoint, &zero, 1_000), stable(&words));
    assert_eq!(owner(endpoint, &v4, 65_535), owner(endpoint, &v4, usize::MAX));
    assert_eq!(owner(EndpointId(5), &v4, 0), 0);
    assert_eq!(owner(EndpointId(5), &v4, 1), 0);
}

#[test]
fn stickiness_takes_what_the_load_balancer_takes() {
    let key = |stickiness: Stickiness, tuple: &FiveTuple| stickiness.key(EndpointId(1), tuple);
    let tcp = tuple(6, "10.0.0.1:1", "10.0.0.2:2");
    let other_port = tuple(6, "10.0.0.1:3", "10.0.0.2:2");
    let udp = FiveTuple { protocol: IpProtocol::UDP, ..tcp };
    let five = Stickiness::default();
    assert_ne!(key(five, &tcp), key(five, &other_port));
    assert_eq!(key(Stickiness::ThreeTuple, &tcp), key(Stickiness::ThreeTuple, &other_port));
    assert_ne!(key(Stickiness::ThreeTuple, &tcp), key(Stickiness::ThreeTuple, &udp));
    assert_eq!(key(Stickiness::TwoTuple, &tcp), key(Stickiness::TwoTuple, &udp));
    let [sctp, other] = [tcp, other_port].map(|t| FiveTuple { protocol: IpProtocol::SCTP, ..t });
    assert_eq!(key(five, &sctp), key(five, &other), "3-tuple for all but TCP and UDP");
    assert_ne!(five.key(EndpointId(1), &tcp), five.key(EndpointId(2), &tcp));
}

#[test]
fn r2_the_source_port_is_constant_per_flow_and_uses_all_bits() {
    let mut ones = 0;
    let mut zeros = 0;
    for tuple in neighbours().take(2_000) {
        let port = source_port(&tuple);
        assert_eq!(port, source_port(&tuple.reversed()), "{tuple}");
        ones |= port;
        zeros |= !port;
    }
    assert_eq!((ones, zeros), (0xffff, 0xffff));
}

proptest! {
    #[test]
    fn symmetric_hashes_are_symmetric(tuple in any_tuple(), endpoint: u64, seed: [u8; 32]) {
        let back = tuple.reversed();
        let seed = FlowSeed::from_bytes(seed);
        let endpoint = EndpointId(endpoint);
        let hash = |tuple| seed.hash(&FlowKey::new(endpoint, tuple).0);
        prop_assert_eq!(hash(&tuple), hash(&back));
        prop_assert_eq!(owner(endpoint, &tuple, 12), owner(endpoint, &back, 12));
        prop_assert!(owner(endpoint, &tuple, 12) < 12);
        prop_assert_eq!(source_port(&tuple), source_port(&back));
        let symmetric = Toeplitz::new(&Toeplitz::SYMMETRIC_KEY);
        prop_assert_eq!(symmetric.hash(&tuple), symmetric.hash(&back));
        for stickiness in [Stickiness::FiveTuple, Stickiness::ThreeTuple, Stickiness::TwoTuple] {
            prop_assert_eq!(stickiness.key(endpoint, &tuple), stickiness.key(endpoint, &back));
        }
    }

    #[test]
    fn toeplitz_is_its_definition(key: [u8; 32], tail: [u8; 8], input in proptest::collection::vec(any::<u8>(), 0..37)) {
        let key: [u8; 40] = [&key[..], &tail].concat().try_into().unwrap();
        prop_assert_eq!(Toeplitz::new(&key).hash_bytes(&input), toeplitz_naive(&key, &input));
    }

    #[cfg(feature = "community-id")]
    #[test]
    fn community_id_is_what_others_say(tuple in any_tuple(), seed: u16) {
        let expected = community_id::calculate_community_id(
            seed,
            tuple.source(),
            tuple.destination(),
            tuple.ports.map(|ports| ports.source),
            tuple.ports.map(|ports| ports.destination),
            tuple.protocol.0,
            false,
        );
        prop_assert_eq!(CommunityId::new(seed, &tuple).to_string(), expected.unwrap());
    }

    #[cfg(feature = "community-id")]
    #[test]
    fn community_id_of_icmp_is_what_others_say(tuple in any_tuple(), message_type in 0..160_u8, code in 0..4_u8) {
        let protocol = if tuple.source().is_ipv4() { 1 } else { 58 };
        let expected = community_id::calculate_community_id(
            0,
            tuple.source(),
            tuple.destination(),
            Some(message_type.into()),
            Some(code.into()),
            protocol,
            false,
        );
        let found = CommunityId::icmp(0, tuple.addresses, message_type, code);
        prop_assert_eq!(found.to_string(), expected.unwrap());
    }
}
