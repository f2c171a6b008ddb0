//! Datagrams in fragments as a receiver puts them together.

#![cfg(feature = "alloc")]

mod support;

use gwlb_geneve::Timestamp;
use gwlb_geneve::packet::IpPacket;
use gwlb_geneve::stream::defrag::{Arrival, DefragLimits, Defragmenter, Refusal};
use proptest::collection::vec;
use proptest::prelude::*;
use support::defrags::{check, packet, whole_of};

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(3_000) })]

    #[test]
    fn nobody_fools_a_receiver(script in vec(any::<u8>(), 0..400)) {
        check(&script);
    }

    /// The same where nearly all fragments are of one datagram.
    #[test]
    fn nobody_fools_a_receiver_of_one_datagram(
        is_v6 in any::<bool>(),
        script in vec((0_u8..12, 0_u8..5, any::<bool>(), 0_u8..32), 0..60),
    ) {
        let step = |(place, units, fill, how)| [u8::from(is_v6), place, units, u8::from(fill), how];
        check(&script.into_iter().flat_map(step).collect::<Vec<_>>());
    }

    /// Would catch: an honest datagram that is not put together, whichever way it was cut, shuffled and doubled.
    #[test]
    fn any_cut_order_and_duplication_gives_the_packet(
        is_v6 in any::<bool>(),
        content in vec(any::<u8>(), 40..6_000),
        cuts in vec(1_usize..180, 1..40),
        order in vec(any::<u32>(), 100),
    ) {
        let mut data = content;
        data[..8].copy_from_slice(&[0, 53, 0, 53, 0xff, 0xff, 0, 0]);
        let mut pieces = Vec::new();
        let mut at = 0;
        for cut in cuts {
            let end = at + cut * 8;
            if end >= data.len() {
                break;
            }
            pieces.push(packet(is_v6, Some((9, at, true)), &data[at..end]));
            at = end;
        }
        prop_assume!(at > 0);
        pieces.push(packet(is_v6, Some((9, at, false)), &data[at..]));
        let mut doubled: Vec<_> = order.iter().zip(pieces.iter().chain(&pieces)).collect();
        doubled.sort_by_key(|(order, _)| **order);
        let mut it = Defragmenter::new(DefragLimits::default()).unwrap();
        let (mut buffer, mut wholes) = (Vec::new(), 0);
        for (_, bytes) in doubled {
            let fragment = IpPacket::parse(bytes).unwrap();
            match it.consider(1, &fragment, Timestamp::EPOCH) {
                Arrival::Accept(piece) => {
                    prop_assert_eq!(wholes, 0);
                    if let Some(whole) = it.assemble(&piece, &fragment, &mut buffer) {
                        prop_assert_eq!(whole, whole_of(is_v6, 9, &data));
                        wholes += 1;
                    }
                    prop_assert!(it.commit(&piece, &fragment, Timestamp::EPOCH));
                }
                // What comes again behind the end.
                arrival => prop_assert_eq!((arrival, wholes), (Arrival::Refuse(Refusal::Over), 1)),
            }
        }
        prop_assert_eq!(wholes, 1);
    }
}

fn consider(it: &mut Defragmenter, bytes: &[u8]) -> Arrival {
    it.consider(1, &IpPacket::parse(bytes).unwrap(), Timestamp::EPOCH)
}

/// An atomic fragment is a datagram of its own, whatever else has its name (RFC 6946).
#[test]
fn what_is_no_fragment_is_none() {
    let mut it = Defragmenter::new(DefragLimits::default()).unwrap();
    let data = [0, 53, 0, 53, 0, 8, 0, 0];
    for bytes in [packet(false, None, &data), packet(true, None, &data)] {
        assert_eq!(consider(&mut it, &bytes), Arrival::Whole);
    }
    assert_eq!(consider(&mut it, &packet(true, Some((1, 0, false)), &data)), Arrival::Whole);
}

/// The transport's header is whole in a first fragment, or nobody could know whose it is (RFC 1858, RFC 7112).
#[test]
fn a_first_fragment_has_the_whole_header() {
    let mut it = Defragmenter::new(DefragLimits::default()).unwrap();
    let mut tcp = [0; 40];
    (tcp[12], tcp[19]) = (0x60, 1);
    for (len, is_whole) in [(8, false), (16, false), (24, true)] {
        for is_v6 in [false, true] {
            let mut bytes = packet(is_v6, Some((1, 0, true)), &tcp[..len]);
            // TCP in place of UDP.
            bytes[if is_v6 { 48 } else { 9 }] = 6;
            let arrival = consider(&mut it, &bytes);
            assert_eq!(arrival != Arrival::Refuse(Refusal::TinyFirst), is_whole, "{len}");
        }
    }
}

/// Each fragment is in order, but with the header of the first the whole is too long.
#[test]
fn a_datagram_that_is_too_long_is_refused() {
    let mut it = Defragmenter::new(DefragLimits::default()).unwrap();
    let mut end = packet(false, Some((1, 65_488, false)), &[0; 27]);
    // The options of the first are longer.
    end.drain(20..24);
    end[0] = 0x45;
    end[2..4].copy_from_slice(&47_u16.to_be_bytes());
    let fragment = IpPacket::parse(&end).unwrap();
    let Arrival::Accept(piece) = it.consider(1, &fragment, Timestamp::EPOCH) else { panic!() };
    assert!(it.commit(&piece, &fragment, Timestamp::EPOCH));
    let first = packet(false, Some((1, 0, true)), &[0, 53, 0, 53, 0, 9, 0, 0]);
    assert_eq!(consider(&mut it, &first), Arrival::Refuse(Refusal::TooLong));
}
