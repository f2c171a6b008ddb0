//! Packets for property tests: mostly well-formed, so that checks deep inside are reached, then bent.

use std::cell::RefCell;
use std::collections::BTreeMap;

use gwlb_geneve::EtherType;
use gwlb_geneve::geneve::{Builder, Vni};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{TestRng, TestRunner};

pub use super::envelopes::{aws_options, datagram, header, option};
use super::oracle::{self, PROVIDERS, Provider};

/// As AWS sends it: endpoint 1, attachment 0, cookie 2 around `inner`, whose version decides the type.
pub fn aws_datagram(inner: &[u8]) -> Vec<u8> {
    let protocol =
        if inner.first().is_some_and(|b| b >> 4 == 6) { EtherType::IPV6 } else { EtherType::IPV4 };
    datagram(protocol, &aws_options(&1_u64.to_be_bytes(), &[0; 8], &2_u32.to_be_bytes()), inner)
}

/// How many of the values of a strategy are of each kind. Generated packets are only worth something where
/// they get deep, and the same ones are counted each time.
pub fn census<S, K>(strategy: &S, cases: u32, kind: impl Fn(S::Value) -> K) -> BTreeMap<K, u32>
where
    S: Strategy,
    K: Ord,
{
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) };
    let rng = TestRng::deterministic_rng(config.rng_algorithm);
    let counts = RefCell::new(BTreeMap::new());
    TestRunner::new_with_rng(config, rng)
        .run(strategy, |value| {
            *counts.borrow_mut().entry(kind(value)).or_default() += 1;
            Ok(())
        })
        .expect("counting does not fail");
    counts.into_inner()
}

/// Class, type and data of an option.
type AnyOption = (u16, u8, Vec<u8>);

/// An option that is often one of the provider's and often of the right length.
fn any_option(provider: Provider) -> impl Strategy<Value = AnyOption> {
    let words = prop_oneof![3 => 0..3_usize, 1 => 0..32_usize];
    let class = prop_oneof![6 => Just(provider.class), 1 => any::<u16>()];
    let kind = prop_oneof![8 => prop::sample::select(provider.types.to_vec()), 1 => any::<u8>()];
    (class, kind, words).prop_flat_map(move |(class, kind, words)| {
        let ours = provider.types.iter().position(|known| *known == kind);
        let words = match ours.filter(|_| class == provider.class && words != 31) {
            Some(which) => [2, 2, 1][which],
            None => words,
        };
        vec(any::<u8>(), words * 4).prop_map(move |data| (class, kind, data))
    })
}

/// The three options of a provider, in the usual order.
fn usual_options(provider: Provider) -> impl Strategy<Value = Vec<AnyOption>> {
    any::<([u8; 8], [u8; 8], [u8; 4])>().prop_map(move |(endpoint, attachment, cookie)| {
        let data = [&endpoint[..], &attachment, &cookie];
        let kinds = provider.types.into_iter().zip(data);
        kinds.map(|(kind, data)| (provider.class, kind, data.to_vec())).collect()
    })
}

/// The three options of a provider in any order, among others that nobody has to know.
fn mixed_options(provider: Provider) -> impl Strategy<Value = Vec<AnyOption>> {
    let strange = (any::<u16>(), 0..0x80_u8, vec(any::<u8>(), 4));
    let strange = strange.prop_filter("one of the three", move |(class, kind, _)| {
        *class != provider.class || !provider.types.contains(kind)
    });
    (usual_options(provider), vec(strange, 0..4))
        .prop_map(|(usual, strange)| [usual, strange].concat())
        .prop_shuffle()
}

/// A GENEVE packet of one of the providers, well-formed or with a few bytes changed, cut or added.
pub fn geneve() -> impl Strategy<Value = Vec<u8>> {
    prop::sample::select(&PROVIDERS[..]).prop_flat_map(geneve_from)
}

/// As [`geneve`], of this provider.
pub fn geneve_from(provider: Provider) -> impl Strategy<Value = Vec<u8>> {
    let options = prop_oneof![
        4 => usual_options(provider),
        4 => mixed_options(provider),
        2 => vec(any_option(provider), 0..8),
        1 => vec(any_option(provider).prop_map(|(class, kind, _)| (class, kind, Vec::new())), 0..64),
    ];
    let payload = prop_oneof![
        5 => Just((EtherType::IPV4, 0x45_u8)),
        3 => Just((EtherType::IPV6, 0x60)),
        1 => (prop::sample::select(vec![EtherType::IPV4, EtherType::IPV6]), any::<u8>()),
        1 => (any::<u16>().prop_map(EtherType), Just(0x45)),
    ];
    let payload = (payload, vec(any::<u8>(), 0..60));
    // C turned over, and what is reserved in the flags, the fixed header and an option.
    let odd = prop_oneof![3 => Just([0_u8; 4]), 1 => any::<[u8; 4]>()];
    let bend = vec((any::<Index>(), any::<u8>()), 0..3);
    (options, payload, any::<u32>(), odd, bend, 0..90_usize).prop_map(
        |(options, ((protocol, first), inner), vni, odd, bend, cut)| {
            let mut room = 63_usize;
            let options: Vec<_> = options
                .iter()
                .map(|(class, kind, data)| option(*class, *kind, data))
                .take_while(|option| {
                    let fits = option.encoded_len() / 4 <= room;
                    room = room.saturating_sub(option.encoded_len() / 4);
                    fits
                })
                .collect();
            let builder = Builder::new(protocol)
                .vni(Vni::new(vni >> 8).expect("24 bits"))
                .oam(vni % 16 == 0)
                .options(options.iter().copied());
            let mut bytes = header(&builder);
            let [critical, flags, fixed, reserved] = odd;
            bytes[1] ^= (critical & 0x40) | (flags & 0x3f);
            bytes[7] = fixed;
            if !options.is_empty() {
                bytes[11] |= reserved & 0xe0;
            }
            bytes.push(first);
            bytes.extend(inner);
            if cut > 80 {
                bytes.truncate(cut - 80);
            }
            for (at, value) in bend {
                if !bytes.is_empty() && value % 4 == 0 {
                    let at = at.index(bytes.len());
                    bytes[at] = value;
                }
            }
            bytes
        },
    )
}

/// An outer packet: UDP over IPv4 in order, or with a length, a checksum or a few other bytes wrong.
pub fn outer() -> impl Strategy<Value = Vec<u8>> {
    let words = prop_oneof![4 => Just(0_usize), 1 => 0..11_usize];
    let options = words.prop_flat_map(|words| vec(any::<u8>(), 4 * words));
    let protocol = prop_oneof![15 => Just(17_u8), 1 => any::<u8>()];
    let flags = prop_oneof![6 => Just(0_u16), 6 => Just(0x4000), 1 => any::<u16>()];
    let ip = (any::<[u8; 16]>(), options, flags, protocol);
    let off = || prop_oneof![15 => Just(0_i16), 1 => -12..12_i16];
    // A right checksum, none, or any.
    let sum =
        prop_oneof![6 => Just(None), 3 => Just(Some(0_u16)), 1 => any::<u16>().prop_map(Some)];
    let udp = (vec(any::<u8>(), 0..80), off(), sum);
    let tail = (off(), 0..8_usize, vec((any::<Index>(), any::<u8>()), 0..3));
    let datagram = (ip, udp, tail).prop_map(|(ip, (payload, udp_off, sum), (off, tail, bend))| {
        let ([tos, ttl, id0, id1, rest @ ..], options, flags, protocol) = ip;
        let (addresses, ports) = rest.split_at(8);
        let udp_len = (8 + payload.len() as u16).wrapping_add_signed(udp_off).to_be_bytes();
        let mut udp = [ports, &udp_len, &[0, 0], &payload].concat();
        let covered = usize::from(u16::from_be_bytes(udp_len)).min(udp.len());
        let pseudo = [addresses, &[0, 17], &udp_len, &udp[..covered]].concat();
        let sum = sum.unwrap_or_else(|| match oracle::checksum(&pseudo) {
            0 => 0xffff,
            sum => sum,
        });
        udp[6..8].copy_from_slice(&sum.to_be_bytes());

        let header_len = 20 + options.len();
        let total = ((header_len + udp.len()) as u16).wrapping_add_signed(off).to_be_bytes();
        let flags = flags.to_be_bytes();
        let mut bytes = vec![0x40 + (header_len / 4) as u8, tos, total[0], total[1], id0, id1];
        bytes.extend([flags[0], flags[1], ttl, protocol, 0, 0]);
        bytes.extend([addresses, &options].concat());
        let sum = oracle::checksum(&bytes).to_be_bytes();
        bytes[10..12].copy_from_slice(&sum);
        bytes.extend(udp);
        bytes.resize(bytes.len() + tail, 0xee);
        for (at, value) in bend.into_iter().filter(|(_, value)| value % 8 == 0) {
            let at = at.index(bytes.len().min(header_len + 8));
            bytes[at] = value;
        }
        bytes
    });
    prop_oneof![15 => datagram, 1 => inner()]
}

/// An inner packet, well-formed or with a few bytes changed, cut or added.
pub fn inner() -> impl Strategy<Value = Vec<u8>> {
    let bend = vec((any::<Index>(), any::<u8>()), 0..3);
    let tail = prop_oneof![4 => Just(0_isize), 1 => -20..8_isize];
    let packet = prop_oneof![3 => ipv4(), 3 => ipv6()];
    (packet, bend, any::<u8>(), tail).prop_map(|(mut packet, bend, die, tail)| {
        let len = packet.len().saturating_add_signed(tail);
        packet.resize(len, 0xee);
        for (at, value) in bend.into_iter().filter(|_| die % 3 == 0 && len > 0) {
            // Headers more often than data.
            let at = at.index(if die % 2 == 0 { len } else { len.min(64) });
            packet[at] = value;
        }
        packet
    })
}

fn ipv4() -> impl Strategy<Value = Vec<u8>> {
    let options = prop_oneof![3 => Just(0_usize), 1 => 0..11_usize];
    let fragment = prop_oneof![5 => Just(0_u16), 2 => any::<u16>()];
    (upper(), options, fragment, any::<u16>()).prop_map(|((protocol, upper), words, flags, id)| {
        let len = (20 + 4 * words + upper.len()) as u16;
        let mut packet = vec![0x45 + words as u8, 0];
        for field in [len, id, flags] {
            packet.extend(field.to_be_bytes());
        }
        packet.extend([64, protocol, 0, 0, 10, 0, 0, 1, 192, 0, 2, 1]);
        packet.resize(20 + 4 * words, 1);
        let sum = oracle::checksum(&packet);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        packet.extend(upper);
        packet
    })
}

fn ipv6() -> impl Strategy<Value = Vec<u8>> {
    let kind = prop::sample::select(vec![0_u8, 43, 44, 44, 51, 60, 60, 135, 139, 140]);
    let header = (kind, prop_oneof![4 => 0..3_u8, 1 => any::<u8>()], any::<[u8; 6]>());
    let headers = prop_oneof![2 => vec(header.clone(), 0..1), 3 => vec(header, 0..10)];
    (upper(), headers, any::<u8>()).prop_map(|((protocol, upper), mut headers, die)| {
        // Hop-by-hop options come first, as a rule.
        if die % 8 != 0 {
            headers.sort_by_key(|(kind, ..)| *kind != 0);
            headers.dedup_by_key(|(kind, ..)| *kind);
        }
        let mut next: Vec<_> = headers.iter().map(|(kind, ..)| *kind).collect();
        next.push(protocol);
        let mut rest = Vec::new();
        for ((kind, units, data), next) in headers.iter().zip(&next[1..]) {
            let units = if *kind == 51 { units | 1 } else { *units };
            let len = match kind {
                44 => 8,
                51 => 8 + 4 * usize::from(units),
                _ => 8 + 8 * usize::from(units),
            };
            let start = rest.len();
            rest.extend([*next, units]);
            rest.extend(data);
            rest.resize(start + len, 0);
            if *kind == 44 && die % 2 == 0 {
                rest[start + 2..start + 4].fill(0);
            }
        }
        rest.extend(upper);
        let mut packet = vec![0x60, 0, 0, 0];
        packet.extend((rest.len() as u16).to_be_bytes());
        packet.extend([next[0], 64]);
        packet.extend([0x20; 32]);
        packet.extend(rest);
        packet
    })
}

/// A protocol and a header of it, its lengths as a rule right.
fn upper() -> impl Strategy<Value = (u8, Vec<u8>)> {
    let protocol = prop::sample::select(vec![1_u8, 6, 6, 6, 17, 17, 33, 47, 58, 59, 132, 136]);
    let body = prop_oneof![4 => vec(any::<u8>(), 0..80), 1 => vec(any::<u8>(), 0..16)];
    (protocol, body, tcp_options(), any::<u8>()).prop_map(|(protocol, body, options, die)| {
        let mut upper = vec![0x9c, 0x40, 0, 53];
        match protocol {
            6 => {
                upper.extend([0, 0, 0, 1, 0, 0, 0, 2]);
                upper.extend([(20 + options.len() as u8) << 2, 0x10, 1, 0, 0, 0, 0, 0]);
                upper.extend(options);
                upper.extend(body);
            }
            17 => {
                upper.extend(((8 + body.len()) as u16).to_be_bytes());
                upper.extend([0, die & 1]);
                upper.extend(body);
            }
            1 | 58 => {
                // Errors more often than others, with a quote that is nearly a packet.
                let kind = if protocol == 1 {
                    [3, 4, 5, 11, 12, 8, 0, 13]
                } else {
                    [1, 2, 3, 4, 1, 128, 129, 135]
                }[usize::from(die % 8)];
                let length = if die >= 128 { die } else { 0 };
                upper = vec![kind, 0, 0, 0, length / 8, length / 4, 0, 0];
                let mut quote = if protocol == 1 {
                    vec![0x45, 0, 5, 0, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]
                } else {
                    [&[0x60, 0, 0, 0, 5, 0, 17, 64][..], &[0x20; 32]].concat()
                };
                quote.truncate(usize::from(die));
                upper.extend(quote);
                upper.extend(body);
            }
            _ => upper.extend(body),
        }
        if die % 16 == 0 {
            upper.truncate(usize::from(die) / 8);
        }
        (protocol, upper)
    })
}

/// TCP options, padded to whole words.
fn tcp_options() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        vec![2_u8, 4, 5, 180],
        vec![3, 3, 7],
        vec![4, 2],
        vec![5, 10, 0, 0, 0, 1, 0, 0, 0, 2],
        vec![8, 10, 0, 0, 0, 1, 0, 0, 0, 2],
        vec![1],
        vec![0],
        vec![253, 6, 1, 2, 3, 4],
        vec![2, 3, 9],
        vec![5, 2],
        vec![7, 0],
    ]);
    vec(known, 0..5).prop_map(|options| {
        let mut options = options.concat();
        options.truncate(40);
        options.resize(options.len().next_multiple_of(4), 1);
        options
    })
}
