use alloc::vec::Vec;

use super::figures::eight_digits;
use crate::Timestamp;

/// A point in time as records have it: `2026-01-31T23:59:58.123456+0000`.
pub(super) fn write(time: Timestamp, out: &mut Vec<u8>) {
    let nanos = time.as_nanos();
    let (seconds, micros) = (nanos / 1_000_000_000, nanos % 1_000_000_000 / 1_000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    let (year, month, day) = civil(days);
    let [ya, yb, yc, yd, ma, mb, da, db] = side_by_side(year, month, day);
    let [.., ha, hb, na, nb, sa, sb] = side_by_side(hour, minute, second);
    let [_, _, a, b, c, d, e, f] = eight_digits(micros);
    out.extend_from_slice(&[ya, yb, yc, yd, b'-', ma, mb, b'-', da, db, b'T']);
    out.extend_from_slice(&[ha, hb, b':', na, nb, b':', sa, sb, b'.']);
    out.extend_from_slice(&[a, b, c, d, e, f, b'+', b'0', b'0', b'0', b'0']);
}

/// Three numbers as eight digits, two each for the latter ones.
#[inline]
fn side_by_side(a: u64, b: u64, c: u64) -> [u8; 8] {
    let all = a.wrapping_mul(10_000).wrapping_add(b.wrapping_mul(100)).wrapping_add(c);
    eight_digits(all % 100_000_000)
}

/// The date so many days after 1970-01-01, in the Gregorian calendar: counted in years that begin with March, whose
/// leap day is the last.
fn civil(days: u64) -> (u64, u64, u64) {
    // 0000-03-01 is 719,468 days before.
    let days = days.saturating_add(719_468);
    let (era, day) = (days / 146_097, days % 146_097);
    let leaps = day / 1_460;
    let year =
        day.saturating_sub(leaps).saturating_add(day / 36_524).saturating_sub(day / 146_096) / 365;
    let before = year.saturating_mul(365).saturating_add(year / 4).saturating_sub(year / 100);
    let day = day.saturating_sub(before);
    let month = day.saturating_mul(5).saturating_add(2) / 153;
    let day = day.saturating_sub(month.saturating_mul(153).saturating_add(2) / 5).saturating_add(1);
    let (month, is_next) =
        if month < 10 { (month.saturating_add(3), 0) } else { (month.saturating_sub(9), 1) };
    (era.saturating_mul(400).saturating_add(year).saturating_add(is_next), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(seconds: u64) -> String {
        let mut out = Vec::new();
        write(Timestamp::from_nanos(seconds * 1_000_000_000 + 1_999), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn days_on_which_calendars_go_wrong() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00"),
            (951_782_399, "2000-02-28T23:59:59"),
            (951_782_400, "2000-02-29T00:00:00"),
            (951_868_800, "2000-03-01T00:00:00"),
            (1_709_164_800, "2024-02-29T00:00:00"),
            (1_735_689_599, "2024-12-31T23:59:59"),
            (1_735_689_600, "2025-01-01T00:00:00"),
            (4_107_542_400, "2100-03-01T00:00:00"),
        ] {
            assert_eq!(text(seconds), format!("{expected}.000001+0000"));
        }
    }

    #[test]
    fn days_follow_each_other() {
        let mut before = civil(0);
        for days in 1..200_000 {
            let next = civil(days);
            let (year, month, day) = before;
            let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let last = match month {
                2 => 28 + u64::from(is_leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            let expected = match (month, day) {
                (12, 31) => (year + 1, 1, 1),
                (_, day) if day == last => (year, month + 1, 1),
                _ => (year, month, day + 1),
            };
            assert_eq!(next, expected);
            before = next;
        }
    }
}
