use alloc::format;
use alloc::string::ToString;
use core::ops::RangeInclusive;

use toml::de::{DeTable, DeValue};

use super::Reader;

impl Reader<'_> {
    /// The whole number of a key, `None` where it is not there or not in its range.
    pub(crate) fn number(
        &mut self,
        table: &DeTable<'_>,
        key: &str,
        range: RangeInclusive<u64>,
    ) -> Option<u64> {
        let value = table.get(key)?;
        let DeValue::Integer(number) = value.get_ref() else {
            self.wrong_type(value, "an integer");
            return None;
        };
        let parsed = u64::from_str_radix(number.as_str(), number.radix()).ok();
        let in_range = parsed.filter(|number| range.contains(number));
        if in_range.is_none() {
            let expected = format!("a number from {} to {}", range.start(), range.end());
            self.unexpected(value.span().start, expected, &number.to_string());
        }
        in_range
    }
}
