use super::input::Order;
use super::pcapng::too_short;
use super::{Damage, LinkType};
use crate::Timestamp;

const OPTION_END: u16 = 0;
const OPTION_TSRESOL: u16 = 9;
const OPTION_TSOFFSET: u16 = 14;

/// An interface of a pcapng section: its link type and its clock.
#[derive(Clone, Debug)]
pub(super) struct Interface {
    pub(super) link_type: LinkType,
    /// Most bytes captured of a packet, 0 for no limit.
    pub(super) snap_len: u32,
    /// `if_tsresol`: a negative power of 10, or of 2 where the top bit is set.
    resolution: u8,
    /// `if_tsoffset`: seconds to add to every time stamp.
    offset_seconds: i64,
}

impl Interface {
    /// From the body of an interface description block.
    pub(super) fn parse(body: &[u8], order: Order, interface: u32) -> Result<Self, Damage> {
        let (Some(link_type), Some(snap_len)) = (order.u16(body, 0), order.u32(body, 4)) else {
            return Err(too_short(8, body));
        };
        let link_type = LinkType(link_type);
        let mut parsed = Self { link_type, snap_len, resolution: 6, offset_seconds: 0 };
        let mut rest = body.get(8..).unwrap_or_default();
        while !rest.is_empty() {
            let (Some(code), Some(len)) = (order.u16(rest, 0), order.u16(rest, 2)) else {
                break;
            };
            if code == OPTION_END {
                break;
            }
            let found = usize::from(len);
            let after = rest.get(4..).unwrap_or_default();
            let Some((value, next)) = after.split_at_checked(found) else {
                let limit = after.len();
                return Err(Damage::OptionOverrun { interface, code, limit, found });
            };
            let wrong = |expected| Damage::OptionLength { interface, code, expected, found };
            match (code, value) {
                (OPTION_TSRESOL, [resolution]) => parsed.resolution = *resolution,
                (OPTION_TSRESOL, _) => return Err(wrong(1)),
                (OPTION_TSOFFSET, value) if found == 8 => {
                    parsed.offset_seconds = order.i64(value, 0).unwrap_or(0);
                }
                (OPTION_TSOFFSET, _) => return Err(wrong(8)),
                _ => {}
            }
            // Values are padded to 32 bits; the body is a multiple of that too.
            let padding = found.next_multiple_of(4).saturating_sub(found);
            rest = next.get(padding..).unwrap_or_default();
        }
        Ok(parsed)
    }

    /// The moment that is meant by `ticks` of this interface's clock, clamped to what a
    /// [`Timestamp`] can hold.
    pub(super) fn timestamp(&self, ticks: u64) -> Timestamp {
        let exponent = u32::from(self.resolution & 0x7f);
        let base = if self.resolution & 0x80 == 0 { 10_u128 } else { 2 };
        // 64 bits of ticks and 30 bits of nanoseconds per second fit into 128.
        let scaled = u128::from(ticks).saturating_mul(1_000_000_000);
        // A power that does not fit is larger than any numerator.
        let nanos = base
            .checked_pow(exponent)
            .and_then(|ticks_per_second| scaled.checked_div(ticks_per_second))
            .unwrap_or(0);
        let offset = i128::from(self.offset_seconds).saturating_mul(1_000_000_000);
        let nanos = i128::try_from(nanos).unwrap_or(i128::MAX).saturating_add(offset).max(0);
        Timestamp::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn expect(resolution: u8, offset_seconds: i64, ticks: u64, nanos: u64) {
        let link_type = LinkType::ETHERNET;
        let interface = Interface { link_type, snap_len: 0, resolution, offset_seconds };
        assert_eq!(interface.timestamp(ticks), Timestamp::from_nanos(nanos));
    }

    #[test]
    fn ticks_of_every_resolution() {
        expect(0, 0, 17, 17_000_000_000);
        expect(3, 0, 1_234, 1_234_000_000);
        expect(6, 0, 1_700_000_000_123_456, 1_700_000_000_123_456_000);
        expect(9, 0, 1_700_000_000_123_456_789, 1_700_000_000_123_456_789);
        expect(12, 0, 1_999, 1);
        expect(0x80, 0, 17, 17_000_000_000);
        expect(0x80 | 10, 0, 3 * 1024 + 512, 3_500_000_000);
        expect(0x80 | 32, 0, (5 << 32) + (1 << 30), 5_250_000_000);
        expect(0x80 | 63, 0, u64::MAX, 1_999_999_999);
    }

    #[test]
    fn resolutions_beyond_reason_do_not_overflow() {
        expect(0, 0, u64::MAX, u64::MAX);
        expect(38, 0, u64::MAX, 0);
        expect(39, 0, u64::MAX, 0);
        expect(0x7f, 0, u64::MAX, 0);
        expect(0xff, 0, u64::MAX, 0);
    }

    #[test]
    fn offsets_are_seconds_and_are_clamped() {
        expect(9, 3_600, 1, 3_600_000_000_001);
        expect(0x80 | 1, -2, 7, 1_500_000_000);
        expect(6, -2, 1, 0);
        expect(6, i64::MAX, 1, u64::MAX);
        expect(6, i64::MIN, u64::MAX, 0);
    }
}
