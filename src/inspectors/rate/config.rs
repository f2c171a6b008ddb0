//! Rate limits as TOML.

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use toml::de::DeTable;

use super::{Action, ConfigErrors, ConfigProblem, Direction, Of, Per, RateLimits, RateRule};
use crate::flow::FlowSeed;
use crate::toml_text::Reader;

const KEYS: [&str; 2] = ["buckets", "rule"];
const RULE_KEYS: [&str; 9] =
    ["name", "per", "limit", "rate", "burst", "action", "direction", "prefix-v4", "prefix-v6"];

impl RateLimits {
    /// From TOML: `buckets`, how many a rule has, and one `[[rule]]` after the other.
    ///
    /// | key | takes | by default |
    /// |---|---|---|
    /// | `per` | required: `source`, `destination` or `endpoint` | |
    /// | `limit` | required: `packets`, `bytes`, `new-flows` or `syns` | |
    /// | `rate` | required: how many a second | |
    /// | `burst` | how many at once | as many as a second, and 9001 bytes |
    /// | `action` | `drop`, `reject` or `alert` | `drop` |
    /// | `direction` | of packets and bytes, `to-server` or `both` | `to-server` |
    /// | `prefix-v4`, `prefix-v6` | how many bits of an address make one source or destination | 32, 64 |
    /// | `name` | any text | |
    ///
    /// ```
    /// use gwlb_geneve::flow::FlowSeed;
    /// use gwlb_geneve::inspectors::rate::RateLimits;
    ///
    /// let errors = RateLimits::from_toml(
    ///     "[[rule]]\nper = \"sauce\"\nlimit = \"syns\"\nrate = 10",
    ///     FlowSeed::from_bytes([7; 32]),
    /// ).unwrap_err();
    /// assert_eq!(
    ///     errors.to_string(),
    ///     "line 2, column 7: expected `source`, `destination` or `endpoint`, found `sauce`; did you mean `source`?",
    /// );
    /// ```
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the text, each with its line and column, in their order.
    pub fn from_toml(text: &str, seed: FlowSeed) -> Result<Self, ConfigErrors> {
        let mut reader = Reader::new(text);
        let limits = match reader.document() {
            Some(document) => rate_limits(&mut reader, &document, 0, seed),
            None => None,
        };
        limits.ok_or_else(|| reader.finish())
    }
}

/// The limits in a table that begins at `at`, `None` where there is a mistake in it.
pub(crate) fn rate_limits(
    reader: &mut Reader<'_>,
    table: &DeTable<'_>,
    at: usize,
    seed: FlowSeed,
) -> Option<RateLimits> {
    let errors_before = reader.errors();
    reader.keys(table, &KEYS);
    let most = u64::try_from(RateLimits::MAX_BUCKETS).unwrap_or(u64::MAX);
    let buckets = reader.number(table, "buckets", 1_024..=most);
    let buckets = buckets.and_then(|buckets| usize::try_from(buckets).ok());
    let mut rules = Vec::new();
    let values = match table.get("rule") {
        None => {
            reader.report(at, ConfigProblem::Missing { key: "rule" });
            return None;
        }
        Some(value) => match value.get_ref().as_array() {
            Some(values) => values,
            None => {
                reader.wrong_type(value, "`[[rule]]` tables");
                return None;
            }
        },
    };
    for (index, value) in values.iter().enumerate() {
        match value.get_ref().as_table() {
            Some(table) => rules.extend(rule(reader, table, value.span().start, index)),
            None => reader.wrong_type(value, "a table"),
        }
    }
    if reader.errors() > errors_before {
        return None;
    }
    match RateLimits::new(rules, buckets.unwrap_or(RateLimits::DEFAULT_BUCKETS), seed) {
        Ok(limits) => Some(limits),
        Err(error) => {
            reader.report(at, ConfigProblem::Together(error.to_string()));
            None
        }
    }
}

fn rule(reader: &mut Reader<'_>, table: &DeTable<'_>, at: usize, index: usize) -> Option<RateRule> {
    let errors_before = reader.errors();
    reader.keys(table, &RULE_KEYS);
    for key in ["per", "limit", "rate"] {
        if !table.contains_key(key) {
            reader.report(at, ConfigProblem::Missing { key });
        }
    }
    let per = table.get("per").and_then(|value| reader.word(value, Per::NAMES));
    let of = table.get("limit").and_then(|value| reader.word(value, Of::NAMES));
    let rate = reader.number(table, "rate", 1..=RateRule::MOST);
    let burst = reader.number(table, "burst", 1..=RateRule::MOST);
    let prefix_v4 = reader.number(table, "prefix-v4", 1..=32);
    let prefix_v6 = reader.number(table, "prefix-v6", 1..=128);
    let action = table.get("action").and_then(|value| reader.word(value, Action::NAMES));
    let words = [("to-server", Direction::ToServer), ("both", Direction::Both)];
    let direction = table.get("direction").and_then(|value| reader.word(value, words));
    let name = table.get("name");
    if let Some(value) = name.filter(|value| value.get_ref().as_str().is_none()) {
        reader.wrong_type(value, "a string");
    }
    if reader.errors() > errors_before {
        return None;
    }
    let (of, rate) = (of?, rate?);
    let mut rule = RateRule::new(per?, of, rate).burst(match (burst, of) {
        (Some(burst), _) => burst,
        (None, Of::Bytes) => rate.max(super::rule::LARGEST_PACKET),
        (None, _) => rate,
    });
    rule.action = action.unwrap_or(rule.action);
    rule.direction = direction.unwrap_or_default();
    rule.name = name.and_then(|value| value.get_ref().as_str()).map(Into::into);
    let byte = |bits: Option<u64>| bits.and_then(|bits| u8::try_from(bits).ok());
    rule.prefix_v4 = byte(prefix_v4).unwrap_or(rule.prefix_v4);
    rule.prefix_v6 = byte(prefix_v6).unwrap_or(rule.prefix_v6);
    match rule.check(index) {
        Ok(()) => Some(rule),
        Err(error) => {
            reader.report(at, ConfigProblem::Together(format!("{error}")));
            None
        }
    }
}
