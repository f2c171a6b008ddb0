//! Packets for property tests: mostly well-formed, so that checks deep inside are reached, then bent.

use gwlb_geneve::EtherType;
use gwlb_geneve::geneve::{Builder, OptionClass, OptionType, TunnelOption, Vni};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

/// The three options of AWS with these values.
pub fn aws_options<'a>(
    endpoint: &'a [u8; 8],
    attachment: &'a [u8; 8],
    cookie: &'a [u8; 4],
) -> [TunnelOption<'a>; 3] {
    [option(0x0108, 1, endpoint), option(0x0108, 2, attachment), option(0x0108, 3, cookie)]
}

/// An option that is known to be in order.
pub fn option(class: u16, kind: u8, data: &[u8]) -> TunnelOption<'_> {
    TunnelOption::new(OptionClass(class), OptionType(kind), data).expect("an option in order")
}

/// A header with these options and then `inner`.
pub fn datagram(protocol: EtherType, options: &[TunnelOption<'_>], inner: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    Builder::new(protocol)
        .options(options.iter().copied())
        .build(&mut bytes)
        .expect("a header in order");
    bytes.extend_from_slice(inner);
    bytes
}

/// As AWS sends it: endpoint 1, attachment 0, cookie 2 around `inner`, whose version decides the type.
pub fn aws_datagram(inner: &[u8]) -> Vec<u8> {
    let protocol =
        if inner.first().is_some_and(|b| b >> 4 == 6) { EtherType::IPV6 } else { EtherType::IPV4 };
    datagram(protocol, &aws_options(&1_u64.to_be_bytes(), &[0; 8], &2_u32.to_be_bytes()), inner)
}

/// Class, type and data of an option, often one of AWS's and often of the right length.
fn any_option() -> impl Strategy<Value = (u16, u8, Vec<u8>)> {
    let words = prop_oneof![3 => 0..3_usize, 1 => 0..32_usize];
    let class = prop_oneof![6 => Just(0x0108_u16), 1 => any::<u16>()];
    let kind = prop_oneof![8 => 1..4_u8, 1 => any::<u8>()];
    (class, kind, words).prop_flat_map(|(class, kind, words)| {
        let words = match (class, kind) {
            (0x0108, 1 | 2) if words != 31 => 2,
            (0x0108, 3) if words != 31 => 1,
            _ => words,
        };
        vec(any::<u8>(), words * 4).prop_map(move |data| (class, kind, data))
    })
}

/// A GENEVE packet, well-formed or with a few bytes changed, cut or added.
pub fn geneve() -> impl Strategy<Value = Vec<u8>> {
    let options = prop_oneof![
        4 => Just(vec![(0x0108, 1, vec![7; 8]), (0x0108, 2, vec![0; 8]), (0x0108, 3, vec![9; 4])])
            .prop_shuffle(),
        2 => vec(any_option(), 0..8),
        1 => vec(any_option().prop_map(|(class, kind, _)| (class, kind, Vec::new())), 0..64),
    ];
    let protocol = prop_oneof![
        4 => Just(EtherType::IPV4),
        2 => Just(EtherType::IPV6),
        1 => any::<u16>().prop_map(EtherType),
    ];
    let inner = (
        prop_oneof![4 => Just(0x45_u8), 2 => Just(0x60), 1 => any::<u8>()],
        vec(any::<u8>(), 0..60),
    );
    let bend = vec((any::<Index>(), any::<u8>()), 0..3);
    (options, protocol, 0..1_u32 << 24, any::<bool>(), inner, bend, 0..90_usize).prop_map(
        |(options, protocol, vni, oam, (first, inner), bend, cut)| {
            let mut bytes = Vec::new();
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
            Builder::new(protocol)
                .vni(Vni::new(vni).expect("24 bits"))
                .oam(oam && vni % 8 == 0)
                .options(options.iter().copied())
                .build(&mut bytes)
                .expect("options that fit");
            bytes.push(first);
            bytes.extend(inner);
            if cut > 80 {
                bytes.truncate(cut - 80);
            }
            for (at, value) in bend {
                if !bytes.is_empty() && value % 3 == 0 {
                    let at = at.index(bytes.len());
                    bytes[at] = value;
                }
            }
            bytes
        },
    )
}
