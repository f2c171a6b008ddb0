//! Numbers and addresses as text: eight digits at a time, without the machinery of formatting, which takes most of the time of
//! who writes many records.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A zero in each byte.
const ZEROS: u64 = 0x3030_3030_3030_3030;

/// A number in decimal digits.
#[inline]
pub(super) fn decimal(number: u64, out: &mut Vec<u8>) {
    const EIGHT: u64 = 100_000_000;

    if number < EIGHT {
        let digits = eight(number);
        let skipped = (digits.trailing_zeros() / 8).min(7);
        let text = (digits | ZEROS).wrapping_shr(skipped.wrapping_mul(8));
        return first(text.to_le_bytes(), 8_u32.wrapping_sub(skipped), out);
    }
    decimal(number / EIGHT, out);
    out.extend_from_slice(&(eight(number % EIGHT) | ZEROS).to_le_bytes());
}

/// The eight digits of a number below 10^8 as text.
#[inline]
pub(super) fn eight_digits(number: u64) -> [u8; 8] {
    (eight(number) | ZEROS).to_le_bytes()
}

/// The eight digits of a number below 10^8, the highest in the lowest byte: halves, then quarters, then digits are divided side by
/// side in one word.
#[inline(always)]
const fn eight(number: u64) -> u64 {
    let high = number / 10_000;
    let fours = high | number.wrapping_sub(high.wrapping_mul(10_000)) << 32;
    let high = (fours.wrapping_mul(10_486) >> 20) & 0x0000_007f_0000_007f;
    let twos = high | fours.wrapping_sub(high.wrapping_mul(100)) << 16;
    let high = (twos.wrapping_mul(103) >> 10) & 0x000f_000f_000f_000f;
    high | twos.wrapping_sub(high.wrapping_mul(10)) << 8
}

/// The eight hexadecimal digits of a number.
#[inline]
pub(super) fn hex_u32(number: u32) -> [u8; 8] {
    let mut nibbles = u64::from(number);
    nibbles = (nibbles | nibbles << 16) & 0x0000_ffff_0000_ffff;
    nibbles = (nibbles | nibbles << 8) & 0x00ff_00ff_00ff_00ff;
    nibbles = (nibbles | nibbles << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    let letters = (nibbles.wrapping_add(0x0606_0606_0606_0606) >> 4) & 0x0101_0101_0101_0101;
    let text = nibbles.wrapping_add(ZEROS).wrapping_add(letters.wrapping_mul(0x27));
    text.to_be_bytes()
}

/// The sixteen hexadecimal digits of a number.
#[inline]
pub(super) fn hex_u64(number: u64, out: &mut Vec<u8>) {
    let [a, b, c, d, e, f, g, h] = number.to_be_bytes();
    for half in [[a, b, c, d], [e, f, g, h]] {
        out.extend_from_slice(&hex_u32(u32::from_be_bytes(half)));
    }
}

/// The hexadecimal digits of a number, without zeros before them.
#[inline]
pub(super) fn hex_u16(number: u16, out: &mut Vec<u8>) {
    let text = u64::from_be_bytes(hex_u32(number.into()));
    let digits = (19_u32.wrapping_sub(number.leading_zeros()) / 4).max(1);
    let text = text.wrapping_shl(64_u32.wrapping_sub(digits.wrapping_mul(8)));
    let [a, b, c, d, ..] = text.to_be_bytes();
    first([a, b, c, d], digits, out);
}

pub(super) fn address(address: IpAddr, out: &mut Vec<u8>) {
    match address {
        IpAddr::V4(address) => ipv4(address, out),
        IpAddr::V6(address) => ipv6(address, out),
    }
}

fn ipv4(address: Ipv4Addr, out: &mut Vec<u8>) {
    const DOT: u32 = 0x2e30_3030;

    for octet in address.octets() {
        let number = u32::from(octet);
        let hundreds = number.wrapping_mul(41) >> 12;
        let rest = number.wrapping_sub(hundreds.wrapping_mul(100));
        let tens = rest.wrapping_mul(103) >> 10;
        let ones = rest.wrapping_sub(tens.wrapping_mul(10));
        let skipped = u32::from(octet < 100).wrapping_add(u32::from(octet < 10));
        let text = (hundreds | tens << 8 | ones << 16 | DOT).wrapping_shr(skipped.wrapping_mul(8));
        first(text.to_le_bytes(), 4_u32.wrapping_sub(skipped), out);
    }
    out.pop();
}

/// As RFC 5952 has it.
fn ipv6(address: Ipv6Addr, out: &mut Vec<u8>) {
    if let Some(mapped) = address.to_ipv4_mapped() {
        out.extend_from_slice(b"::ffff:");
        return ipv4(mapped, out);
    }
    let segments = address.segments();
    let (start, len) = longest_zeros(&segments);
    let end = start.saturating_add(len);
    for (place, segment) in segments.into_iter().enumerate() {
        if (start..end).contains(&place) {
            if place == start {
                out.extend_from_slice(b"::");
            }
            continue;
        }
        if place > 0 && place != end {
            out.push(b':');
        }
        hex_u16(segment, out);
    }
}

/// Where the first of the longest runs of at least two zeros starts, and how long it is; a length of zero where there is none.
fn longest_zeros(segments: &[u16; 8]) -> (usize, usize) {
    let (mut best, mut run) = ((usize::MAX, 0_usize), 0_usize);
    for (place, segment) in segments.iter().enumerate() {
        run = if *segment == 0 { run.saturating_add(1) } else { 0 };
        if run > 1 && run > best.1 {
            best = (place.saturating_add(1).saturating_sub(run), run);
        }
    }
    best
}

/// The first `len` of some bytes: all are written, and the others taken back, which is less than to copy a few.
#[inline(always)]
pub(super) fn first<const N: usize>(bytes: [u8; N], len: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&bytes);
    let surplus = N.saturating_sub(len as usize);
    out.truncate(out.len().saturating_sub(surplus));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn expect(text: &str, write: impl FnOnce(&mut Vec<u8>)) {
        let mut out = b"before".to_vec();
        write(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), format!("before{text}"));
    }

    #[test]
    fn numbers_around_powers_of_ten_and_of_two() {
        let powers = (0..20).map(|power| 10_u64.pow(power)).chain((0..64).map(|bit| 1 << bit));
        for number in powers.flat_map(|power| [power - 1, power, power + 1]).chain([u64::MAX]) {
            expect(&number.to_string(), |out| decimal(number, out));
            expect(&format!("{number:016x}"), |out| hex_u64(number, out));
        }
    }

    #[test]
    fn all_numbers_of_16_bits_and_all_octets() {
        for number in 0..=u16::MAX {
            expect(&format!("{number:x}"), |out| hex_u16(number, out));
        }
        for octet in 0..=u8::MAX {
            let found = Ipv4Addr::from([octet, 255 - octet, 10, octet]);
            expect(&found.to_string(), |out| address(found.into(), out));
        }
    }

    proptest! {
        #[test]
        fn as_display_writes_them(number: u64, shift in 0_u32..64, found: IpAddr) {
            let number = number >> shift;
            expect(&number.to_string(), |out| decimal(number, out));
            expect(&format!("{number:016x}"), |out| hex_u64(number, out));
            expect(&found.to_string(), |out| address(found, out));
        }

        #[test]
        fn addresses_with_zeros(octets: [u8; 16], zeros: [bool; 8]) {
            let mut segments = Ipv6Addr::from(octets).segments();
            for (segment, is_zero) in segments.iter_mut().zip(zeros) {
                *segment = if is_zero { 0 } else { *segment };
            }
            let found = Ipv6Addr::from(segments);
            expect(&found.to_string(), |out| address(found.into(), out));
        }
    }

    #[test]
    fn mapped_and_special_addresses() {
        for text in ["::", "::1", "1::", "::ffff:10.0.0.1", "::10.0.0.1", "fe80::1:0:0:1"] {
            let found: Ipv6Addr = text.parse().unwrap();
            expect(&found.to_string(), |out| address(found.into(), out));
        }
    }
}
