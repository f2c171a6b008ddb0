use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::buffers::transform;
use super::{
    Alignment, ByteField, ByteOrder, Content, Detection, JumpFrom, MatchGroup, MathOperator,
    Number, Radix, TestOperator, VariableIndex,
};

/// What a rule asks of bytes, answered the plain way: every place where an item may be is followed up, item by item.
///
/// It knows no prefilter, no order of cost and no bound. What the matcher finds has to be the same, which tests see to; and it says why,
/// which `rules explain` shows.
///
/// Groups that share numbers are asked one after another, by one interpreter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interpreter {
    taken: Vec<Option<u64>>,
}

/// What came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interpretation {
    /// Whether all items hold.
    pub holds: bool,
    /// One for each item up to the first that does not hold.
    pub steps: Vec<Step>,
}

/// What became of one item.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Step {
    /// Which item of the group it is, from 0.
    pub item: usize,
    /// Behind which bytes it holds: where a relative item would go on, for each way there. Empty where it does not hold.
    pub places: Vec<i64>,
    /// What was made of the bytes, or why it does not hold.
    pub what: Cow<'static, str>,
}

/// A way through the items so far.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Way {
    at: i64,
    taken: Vec<Option<u64>>,
}

/// The bytes, of which the first is number `base`.
#[derive(Clone, Copy)]
struct Bytes<'a> {
    bytes: &'a [u8],
    base: i64,
}

impl Interpreter {
    /// For one rule, of which nothing was asked yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks a group of a buffer, which is whole, or as far as it is there. Its transforms are made first.
    pub fn ask(&mut self, group: &MatchGroup, buffer: &[u8]) -> Interpretation {
        self.ask_from(group, buffer, 0)
    }

    /// The same of a part of a stream that begins with its byte number `base`.
    pub fn ask_from(&mut self, group: &MatchGroup, bytes: &[u8], base: u64) -> Interpretation {
        let bytes = transform(bytes, &group.transforms);
        let base = i64::try_from(base).unwrap_or(i64::MAX);
        let bytes = Bytes { bytes: &bytes, base };
        let mut steps = Vec::new();
        let first = Way { at: base, taken: core::mem::take(&mut self.taken) };
        let ways = follow(&group.items, bytes, [first].into(), &mut steps);
        let holds = !ways.is_empty();
        self.taken = ways.into_iter().next().map(|way| way.taken).unwrap_or_default();
        Interpretation { holds, steps }
    }
}

/// All ways through some items, those first that are found first.
fn follow(
    items: &[Detection],
    bytes: Bytes<'_>,
    mut ways: Vec<Way>,
    steps: &mut Vec<Step>,
) -> Vec<Way> {
    for (item, detection) in items.iter().enumerate() {
        let mut next: Vec<Way> = Vec::new();
        let mut what = Cow::Borrowed("");
        for way in &ways {
            match step(detection, bytes, way) {
                Ok(found) => {
                    for way in found {
                        if !next.contains(&way) {
                            next.push(way);
                        }
                    }
                }
                Err(why) => what = why,
            }
        }
        ways = next;
        let places = ways.iter().map(|way| way.at).collect();
        if !ways.is_empty() {
            what = "".into();
        }
        steps.push(Step { item, places, what });
        if ways.is_empty() {
            break;
        }
    }
    ways
}

type Found = Result<Vec<Way>, Cow<'static, str>>;

fn step(item: &Detection, bytes: Bytes<'_>, way: &Way) -> Found {
    let goes_on = |at: i64| Ok(alloc::vec![Way { at, taken: way.taken.clone() }]);
    match item {
        Detection::Content(content) => {
            let places = places(content, bytes, way)?;
            match (content.is_negated, places.is_empty()) {
                (true, true) => goes_on(way.at),
                (true, false) => Err("found where it must not be".into()),
                (false, true) => Err("not found where it has to be".into()),
                (false, false) => {
                    Ok(places.into_iter().map(|at| Way { at, taken: way.taken.clone() }).collect())
                }
            }
        }
        Detection::Pcre(pcre) => {
            let begin = if pcre.is_relative { way.at } else { bytes.base };
            let mut places = Vec::new();
            if let Some(text) = bytes.from(begin) {
                let mut low = 0;
                while low <= text.len() {
                    let Some(found) = pcre.regex().find_at(text, low) else { break };
                    places.push(begin.saturating_add(signed(found.end())));
                    low = found.start().saturating_add(1);
                }
            }
            match (pcre.is_negated, places.is_empty()) {
                (true, true) => goes_on(way.at),
                (true, false) => Err("the expression finds something".into()),
                (false, true) => Err("the expression finds nothing".into()),
                (false, false) => {
                    Ok(places.into_iter().map(|at| Way { at, taken: way.taken.clone() }).collect())
                }
            }
        }
        Detection::DataAt(data) => {
            let number = way.number(data.at)?;
            let is_there = match data.is_relative {
                // So many bytes are left.
                true => bytes.end().saturating_sub(way.at) >= number,
                // There is a byte of this number, from 0.
                false => bytes.end() > number,
            };
            if is_there != data.is_negated {
                goes_on(way.at)
            } else {
                Err(if is_there { "there is data" } else { "there is no data" }.into())
            }
        }
        Detection::ByteTest(test) => {
            let (number, _) = read(&test.field, bytes, way)?;
            let value = way.unsigned(test.value)?;
            let holds = match test.operator {
                TestOperator::Less => number < value,
                TestOperator::LessOrEqual => number <= value,
                TestOperator::Equal => number == value,
                TestOperator::Greater => number > value,
                TestOperator::GreaterOrEqual => number >= value,
                TestOperator::And => (number & value) > 0,
                TestOperator::Xor => number != value,
            };
            if holds != test.is_negated {
                goes_on(way.at)
            } else {
                Err(format!("the number is {number}, compared with {value}").into())
            }
        }
        Detection::ByteJump(jump) => {
            let (number, end) = read(&jump.field, bytes, way)?;
            let distance = aligned(number.wrapping_mul(jump.multiplier.into()), jump.alignment);
            let post_offset = way.number(jump.post_offset)?;
            let place = match jump.from {
                JumpFrom::Field => end,
                JumpFrom::Beginning => 0,
                JumpFrom::End => bytes.end(),
            };
            let wanted = i64::from_ne_bytes(distance.to_ne_bytes()).wrapping_add(post_offset);
            let target = place.saturating_add(wanted).max(bytes.base);
            if target <= bytes.end() {
                goes_on(target)
            } else {
                Err(format!("it jumps to byte {target}, behind the end").into())
            }
        }
        Detection::ByteExtract(extract) => {
            let (number, end) = read(&extract.field, bytes, way)?;
            let number = number.wrapping_mul(extract.multiplier.into());
            Ok([way.with(extract.result, aligned(number, extract.alignment), end)].into())
        }
        Detection::ByteMath(math) => {
            let (number, end) = read(&math.field, bytes, way)?;
            let value = way.unsigned(math.value)?;
            let shift = |by: u64| u32::try_from(by).ok().filter(|by| *by < 64);
            let result = match math.operator {
                MathOperator::Add => number.wrapping_add(value),
                MathOperator::Subtract => number.wrapping_sub(value),
                MathOperator::Multiply => number.wrapping_mul(value),
                MathOperator::Divide => {
                    number.checked_div(value).ok_or(Cow::Borrowed("a division by 0"))?
                }
                MathOperator::ShiftLeft => shift(value).map_or(0, |by| number << by),
                MathOperator::ShiftRight => shift(value).map_or(0, |by| number >> by),
            };
            Ok([way.with(math.result, result, end)].into())
        }
        Detection::Size(size) => {
            let len = u64::try_from(bytes.bytes.len()).unwrap_or(u64::MAX);
            if size.holds(len) {
                goes_on(way.at)
            } else {
                Err(format!("it has {len} bytes").into())
            }
        }
        Detection::Base64Decode(base64) => {
            let zero = if base64.is_relative { way.at } else { bytes.base };
            let begin = zero.saturating_add(base64.offset.into());
            let encoded = bytes.from(begin).ok_or("there are no bytes where it begins")?;
            let most = base64.bytes.and_then(|it| usize::try_from(it).ok()).unwrap_or(usize::MAX);
            let decoded = decoded(encoded.get(..most).unwrap_or(encoded));
            if decoded.is_empty() {
                return Err("nothing is decoded".into());
            }
            let inside = Bytes { bytes: &decoded, base: 0 };
            let first = Way { at: 0, taken: way.taken.clone() };
            let mut steps = Vec::new();
            let ways = follow(&base64.items, inside, [first].into(), &mut steps);
            match ways.into_iter().next() {
                Some(inner) => Ok([Way { at: way.at, taken: inner.taken }].into()),
                None => Err(match steps.pop() {
                    Some(step) => {
                        let number = step.item.saturating_add(1);
                        format!("item {number} of what is decoded: {}", step.what).into()
                    }
                    None => "what is decoded does not hold".into(),
                }),
            }
        }
    }
}

/// The ends of all places where a pattern may be and is.
fn places(content: &Content, bytes: Bytes<'_>, way: &Way) -> Result<Vec<i64>, Cow<'static, str>> {
    let len = signed(content.pattern.len());
    let mut lowest = bytes.base;
    let mut highest = bytes.end();
    if content.is_relative() {
        let distance = way.optional(content.distance)?.unwrap_or(0);
        lowest = lowest.max(way.at.saturating_add(distance));
        if let Some(within) = way.optional(content.within)? {
            highest = highest.min(way.at.saturating_add(distance).saturating_add(within));
        }
    } else {
        let offset = way.optional(content.offset)?.unwrap_or(0);
        lowest = lowest.max(offset);
        if let Some(depth) = way.optional(content.depth)? {
            highest = highest.min(offset.saturating_add(depth));
        }
    }
    let mut places = Vec::new();
    for (start, window) in (bytes.base..).zip(bytes.bytes.windows(content.pattern.len())) {
        let end = start.saturating_add(len);
        let is_equal = match content.ignores_case {
            true => window.eq_ignore_ascii_case(&content.pattern),
            false => window == content.pattern,
        };
        let is_in_place = start >= lowest
            && end <= highest
            && (!content.ends_with || end == bytes.end())
            && (!content.starts_with || start == if content.is_relative() { way.at } else { 0 });
        if is_equal && is_in_place {
            places.push(end);
        }
    }
    Ok(places)
}

impl Bytes<'_> {
    fn end(&self) -> i64 {
        self.base.saturating_add(signed(self.bytes.len()))
    }

    fn from(&self, at: i64) -> Option<&[u8]> {
        self.bytes.get(usize::try_from(at.saturating_sub(self.base)).ok()?..)
    }
}

impl Way {
    fn variable(&self, VariableIndex(index): VariableIndex) -> Result<u64, Cow<'static, str>> {
        let value = self.taken.get(usize::from(index)).copied().flatten();
        value.ok_or(Cow::Borrowed("a number that was not taken"))
    }

    fn number(&self, number: Number) -> Result<i64, Cow<'static, str>> {
        match number {
            Number::Literal(value) => Ok(value),
            Number::Variable(index) => Ok(i64::try_from(self.variable(index)?).unwrap_or(i64::MAX)),
        }
    }

    fn optional(&self, number: Option<Number>) -> Result<Option<i64>, Cow<'static, str>> {
        number.map(|number| self.number(number)).transpose()
    }

    fn unsigned(&self, number: Number) -> Result<u64, Cow<'static, str>> {
        match number {
            Number::Literal(value) => Ok(u64::from_ne_bytes(value.to_ne_bytes())),
            Number::Variable(index) => self.variable(index),
        }
    }

    fn with(&self, VariableIndex(index): VariableIndex, number: u64, at: i64) -> Self {
        let index = usize::from(index);
        let mut taken = self.taken.clone();
        if taken.len() <= index {
            taken.resize(index.saturating_add(1), None);
        }
        if let Some(place) = taken.get_mut(index) {
            *place = Some(number);
        }
        Self { at, taken }
    }
}

/// A number in bytes, and where it ends.
fn read(field: &ByteField, bytes: Bytes<'_>, way: &Way) -> Result<(u64, i64), Cow<'static, str>> {
    let zero = if field.is_relative { way.at } else { 0 };
    let start = zero.saturating_add(way.number(field.offset)?);
    let outside = || Cow::Borrowed("its bytes are not there");
    let len = usize::try_from(way.number(field.bytes)?).map_err(|_| outside())?;
    let rest = bytes.from(start).ok_or_else(outside)?;
    let found = match len {
        // As many digits as there are.
        0 if field.text.is_some() => rest,
        _ => rest.get(..len).ok_or_else(outside)?,
    };
    let (number, used) = match field.text {
        Some(radix) => text(found, radix).ok_or("there is no number in the text")?,
        None if len > 8 => return Err("more than eight bytes".into()),
        None => {
            let mut number: u64 = 0;
            let mut add = |byte: &u8| number = number.wrapping_mul(256) | u64::from(*byte);
            match field.order {
                ByteOrder::Big => found.iter().for_each(&mut add),
                ByteOrder::Little => found.iter().rev().for_each(&mut add),
            }
            (number, len)
        }
    };
    let number = match field.bitmask {
        Some(mask) => {
            let mut mask = u64::from(mask);
            let mut number = number & mask;
            while mask != 0 && mask & 1 == 0 {
                (mask, number) = (mask >> 1, number >> 1);
            }
            number
        }
        None => number,
    };
    Ok((number, start.saturating_add(signed(used))))
}

fn text(bytes: &[u8], radix: Radix) -> Option<(u64, usize)> {
    let radix = match radix {
        Radix::Hexadecimal => 16,
        Radix::Decimal => 10,
        Radix::Octal => 8,
    };
    let text: String = bytes.iter().copied().map(char::from).collect();
    let trimmed = text.trim_start_matches(|it: char| it.is_ascii_whitespace());
    let is_digit = |it: char| it.is_digit(radix);
    let digits = match trimmed.strip_prefix("0x").or_else(|| trimmed.strip_prefix("0X")) {
        Some(rest) if radix == 16 && rest.starts_with(is_digit) => rest,
        _ => trimmed,
    };
    let end = digits.find(|it| !is_digit(it)).unwrap_or(digits.len());
    let digits_alone = digits.get(..end).filter(|it| !it.is_empty())?;
    let number = u64::from_str_radix(digits_alone, radix).unwrap_or(u64::MAX);
    // Each byte has become one character.
    let rest = digits.get(end..)?.chars().count();
    Some((number, bytes.len().saturating_sub(rest)))
}

fn aligned(number: u64, alignment: Option<Alignment>) -> u64 {
    let to = match alignment {
        None => 1,
        Some(Alignment::Two) => 2,
        Some(Alignment::Four) => 4,
    };
    match number.checked_rem(to).unwrap_or(0) {
        0 => number,
        over => number.wrapping_add(to.saturating_sub(over)),
    }
}

fn decoded(encoded: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    let digits = encoded.iter().map_while(|byte| DIGITS.iter().position(|digit| digit == byte));
    let bits = digits.flat_map(|digit| (0..6).rev().map(move |bit| digit >> bit & 1));
    let bits: Vec<usize> = bits.collect();
    let byte = |bits: &[usize]| bits.iter().fold(0_usize, |byte, bit| byte << 1 | bit);
    bits.chunks_exact(8).filter_map(|bits| u8::try_from(byte(bits)).ok()).collect()
}

fn signed(len: usize) -> i64 {
    i64::try_from(len).unwrap_or(i64::MAX)
}
