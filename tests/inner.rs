//! The packet inside, held against a reader of its own: short way, views and oracle.

mod support;

use proptest::collection::vec;
use proptest::prelude::*;
use support::{check, edits, generate, oracle};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn any_bytes(bytes: Vec<u8>, first: u8) {
        check::inner(&bytes);
        let versioned = [&[if first % 2 == 0 { 0x45 } else { 0x60 }], &bytes[..]].concat();
        check::inner(&versioned);
    }

    #[test]
    fn packets_bent_and_straight(bytes in generate::inner()) {
        check::inner(&bytes);
    }

    /// A packet is never read beyond what it says of its own length.
    #[test]
    fn what_is_behind_the_packet_does_not_matter(bytes in generate::inner(), tail: Vec<u8>) {
        if oracle::ip(&bytes).is_ok() {
            let longer = [&bytes[..], &tail].concat();
            check::inner(&longer);
            prop_assert_eq!(oracle::five_tuple(&bytes), oracle::five_tuple(&longer));
        }
    }

    #[test]
    fn edits_of_packets(packet in generate::inner(), edits in vec(any::<edits::Edit>(), 0..8)) {
        edits::check(&[&[edits.len() as u8], edits.as_flattened(), &packet].concat());
    }
}

#[test]
fn generated_packets_reach_every_reason() {
    let counts =
        generate::census(&generate::inner(), 6_000, |bytes| match oracle::five_tuple(&bytes) {
            Ok((.., Some(_))) => "ports",
            Ok((.., None)) => "no ports",
            Err((reason, _)) => reason,
        });
    assert!(counts["ports"] > 1_000 && counts["no ports"] > 500, "{counts:?}");
    for reason in [
        "ipv4-fragment-end",
        "ipv4-fragment-length",
        "ipv4-total-length",
        "ipv6-extension-count",
        "ipv6-extension-truncated",
        "ipv6-fragment-end",
        "ipv6-fragment-length",
        "ipv6-hop-by-hop-not-first",
        "ipv6-payload-length",
        "tcp-truncated",
        "udp-length",
    ] {
        assert!(counts.contains_key(reason), "{reason} is not reached: {counts:?}");
    }
}
