//! Datagrams that no appliance may answer.

use crate::envelope::{GENEVE_AT, GENEVE_LEN, UDP_AT, seal};
use crate::random::Random;

/// What may be wrong with one, by number.
pub(crate) const NAMES: [&str; 11] = [
    "truncated header",
    "other version",
    "missing option",
    "random bytes",
    "control packet",
    "unknown critical option",
    "option overrun",
    "no IP inside",
    "no payload",
    "wrong checksum",
    "foreign origin",
];

/// The number of whole datagrams from an address that is no load balancer's.
pub(crate) const FOREIGN: u8 = NAMES.len() as u8 - 1;

/// How many kinds of malformed datagrams there are, from 0.
pub(crate) const MALFORMED: u8 = FOREIGN;

/// Second and third option in a frame.
const ATTACHMENT_AT: usize = GENEVE_AT + 20;
const COOKIE_OPTION_AT: usize = GENEVE_AT + 32;

/// Spoils a good frame of `len` bytes and returns its new length.
pub(crate) fn spoil(frame: &mut [u8], len: usize, kind: u8, random: &mut Random) -> usize {
    let mut len = len;
    match kind {
        0 => len = GENEVE_AT + 1 + random.below(GENEVE_LEN - 1),
        1 => frame[GENEVE_AT] |= 1 << (6 + random.below(2)),
        2 => {
            frame.copy_within(COOKIE_OPTION_AT..len, ATTACHMENT_AT);
            frame[GENEVE_AT] -= 3;
            len -= 12;
        }
        3 => {
            random.fill(&mut frame[GENEVE_AT..len]);
            // Of version 3, lest it come out right.
            frame[GENEVE_AT] |= 0xc0;
        }
        4 => frame[GENEVE_AT + 1] |= 0x80,
        5 => {
            frame[GENEVE_AT + 1] |= 0x40;
            frame[ATTACHMENT_AT + 2] = 0x82;
        }
        6 => frame[COOKIE_OPTION_AT + 3] = 0x1f,
        7 => frame[GENEVE_AT + 2..GENEVE_AT + 4].copy_from_slice(&[0x65, 0x58]),
        8 => len = GENEVE_AT,
        _ => {}
    }
    seal(&mut frame[..len]);
    if kind == 9 {
        let checksum = &mut frame[UDP_AT + 6..UDP_AT + 8];
        // The complement of a right one is wrong; of all ones it would be zero, which means none.
        checksum.iter_mut().for_each(|byte| *byte = !*byte);
        checksum[0] |= u8::from(checksum == [0, 0]);
    }
    len
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::{ETHERNET_LEN, Label, Wrapper, inner_sum};
    use crate::inner::{Ends, udp};
    use gwlb_geneve::gwlb::{Envelope, Outer, Profile};

    #[test]
    fn every_kind_is_refused_by_the_library() {
        let wrapper = Wrapper::new([0; 14], "192.0.2.2:6081".parse().unwrap()).unwrap();
        let label =
            Label { gateway: "192.0.2.1".parse().unwrap(), source_port: 1, endpoint: 2, cookie: 3 };
        let ends = Ends {
            client: "10.0.0.1".parse().unwrap(),
            server: "10.0.0.2".parse().unwrap(),
            client_port: 1,
            server_port: 2,
        };
        let inner = udp(&ends, 64);
        let mut random = Random::new(1);
        for kind in 0..MALFORMED {
            for _ in 0..200 {
                let mut frame = [0; 300];
                let len = wrapper.wrap(&mut frame, &label, &inner, inner_sum(&inner));
                let len = spoil(&mut frame, len, kind, &mut random);
                let parsed = Outer::parse(&frame[ETHERNET_LEN..len]);
                let name = NAMES[usize::from(kind)];
                assert_eq!(parsed.is_err(), name == "wrong checksum", "{name}");
                if let Ok((_, payload)) = parsed {
                    assert!(Envelope::parse(payload, &Profile::AWS).is_err(), "{name}");
                }
            }
        }
    }
}
