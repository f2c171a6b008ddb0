use alloc::boxed::Box;
use alloc::vec::Vec;

use super::super::{
    Alignment, Base64Decode, ByteExtract, ByteField, ByteJump, ByteMath, ByteOrder, ByteTest,
    Comparison, Content, DataAt, Detection, JumpFrom, MathOperator, Number, Pcre, Radix,
    TestOperator, VariableIndex,
};
use super::needle::Needle;

/// What a [`MatchGroup`](super::super::MatchGroup) asks, made ready to be run.
#[derive(Debug)]
pub(in super::super) struct Program {
    items: Box<[Item]>,
    /// Whether more bytes could undo a match: then only all of them tell.
    pub(in super::super) needs_end: bool,
}

/// Bytes, of which the first is number `base` of a buffer or stream.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct View<'a> {
    pub(in super::super) bytes: &'a [u8],
    pub(in super::super) base: u64,
}

/// The numbers that a rule took from bytes.
pub(in super::super) type Taken = [Option<u64>];

/// How much may be done for a packet, or for a rule of those that are asked about it.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Budget {
    most: u64,
    spent: u64,
    /// Whether something was not done for lack of it.
    is_short: bool,
}

impl Budget {
    pub(in super::super) const fn new(steps: u64) -> Self {
        Self { most: steps, spent: 0, is_short: false }
    }

    /// Whether something was not done for lack of it: what was not found may be there.
    pub(in super::super) const fn is_short(&self) -> bool {
        self.is_short
    }

    pub(in super::super) const fn is_half_spent(&self) -> bool {
        self.spent >= self.most / 2
    }

    /// Whether something may be done that takes so much; what is begun is done to its end.
    pub(in super::super) const fn take(&mut self, steps: u64) -> bool {
        if self.spent >= self.most {
            self.is_short = true;
            return false;
        }
        self.charge(steps);
        true
    }

    /// For what is done already.
    const fn charge(&mut self, steps: u64) {
        self.spent = self.spent.saturating_add(steps);
    }

    /// What one of so many gets of what is left. As much stays for who comes after them.
    pub(in super::super) fn share(&self, among: usize) -> Self {
        let left = self.most.saturating_sub(self.spent);
        let shares = u64::try_from(among).unwrap_or(u64::MAX).saturating_add(1);
        Self::new(left.checked_div(shares).unwrap_or(0).max(left.min(1)))
    }

    /// Counts what was done with a share.
    pub(in super::super) const fn settle(&mut self, share: Self) {
        self.charge(share.spent);
    }
}

#[derive(Debug)]
struct Item {
    what: What,
    /// Whether what comes behind it depends on where it was found.
    is_leaned_on: bool,
}

#[derive(Debug)]
enum What {
    Content(Box<Pattern>),
    Pcre(Pcre),
    DataAt(DataAt),
    Test(ByteTest),
    Jump(ByteJump),
    Extract(ByteExtract),
    Math(ByteMath),
    Size(Comparison<u64>),
    Base64 { bytes: Option<u32>, offset: u32, is_relative: bool, inner: Program },
}

#[derive(Debug)]
struct Pattern {
    needle: Needle,
    is_negated: bool,
    is_relative: bool,
    /// `offset`, or `distance`.
    from: Option<Number>,
    /// `depth`, or `within`.
    len: Option<Number>,
    starts_with: bool,
    ends_with: bool,
}

impl Program {
    pub(in super::super) fn new(items: &[Detection]) -> Self {
        let needs_end = items.iter().any(needs_end);
        let mut made: Vec<Item> =
            items.iter().map(|item| Item { what: What::new(item), is_leaned_on: false }).collect();
        let mut is_leaned_on = false;
        for item in made.iter_mut().rev() {
            item.is_leaned_on = is_leaned_on;
            is_leaned_on = item.what.is_relative() || is_leaned_on && !item.what.moves();
        }
        Self { items: made.into(), needs_end }
    }

    /// Whether all of it holds. Numbers that it takes are in `taken` then.
    pub(in super::super) fn holds(
        &self,
        view: View<'_>,
        taken: &mut Taken,
        budget: &mut Budget,
    ) -> bool {
        run(&self.items, view, view.start(), taken, budget)
    }
}

/// Whether more bytes could make something untrue that is true now.
fn needs_end(item: &Detection) -> bool {
    match item {
        Detection::Content(content) => content.is_negated || content.ends_with,
        Detection::Pcre(pcre) => pcre.is_negated || has_end(pcre.expression()),
        Detection::DataAt(at) => at.is_negated,
        Detection::ByteJump(jump) => jump.from == JumpFrom::End || is_open(&jump.field),
        Detection::Size(_) => true,
        Detection::Base64Decode(base64) => {
            // The last bytes that are there so far may be a part of more.
            base64.items.iter().any(needs_end)
        }
        Detection::ByteTest(ByteTest { field, .. })
        | Detection::ByteExtract(ByteExtract { field, .. })
        | Detection::ByteMath(ByteMath { field, .. }) => is_open(field),
    }
}

/// Whether a number may go on with the bytes that are not there yet.
fn is_open(field: &ByteField) -> bool {
    field.text.is_some() && !matches!(field.bytes, Number::Literal(1..))
}

/// Whether a regular expression may ask for an end: more often than it does, never less.
fn has_end(expression: &str) -> bool {
    expression.contains('$')
        || ["\\b", "\\B", "\\z", "\\Z"].iter().any(|it| expression.contains(it))
}

impl What {
    fn new(item: &Detection) -> Self {
        match item {
            Detection::Content(content) => Self::Content(Box::new(Pattern::new(content))),
            Detection::Pcre(pcre) => Self::Pcre(pcre.clone()),
            Detection::DataAt(at) => Self::DataAt(*at),
            Detection::ByteTest(test) => Self::Test(*test),
            Detection::ByteJump(jump) => Self::Jump(*jump),
            Detection::ByteExtract(extract) => Self::Extract(*extract),
            Detection::ByteMath(math) => Self::Math(*math),
            Detection::Size(size) => Self::Size(*size),
            Detection::Base64Decode(Base64Decode { bytes, offset, is_relative, items }) => {
                let inner = Program::new(items);
                Self::Base64 { bytes: *bytes, offset: *offset, is_relative: *is_relative, inner }
            }
        }
    }

    fn is_relative(&self) -> bool {
        match self {
            Self::Content(pattern) => pattern.is_relative,
            Self::Pcre(pcre) => pcre.is_relative,
            Self::DataAt(at) => at.is_relative,
            Self::Test(ByteTest { field, .. })
            | Self::Jump(ByteJump { field, .. })
            | Self::Extract(ByteExtract { field, .. })
            | Self::Math(ByteMath { field, .. }) => field.is_relative,
            Self::Size(_) => false,
            Self::Base64 { is_relative, .. } => *is_relative,
        }
    }

    /// Whether relative items behind it begin elsewhere than before it.
    fn moves(&self) -> bool {
        match self {
            Self::Content(pattern) => !pattern.is_negated,
            Self::Pcre(pcre) => !pcre.is_negated,
            Self::Jump(_) | Self::Extract(_) | Self::Math(_) => true,
            Self::DataAt(_) | Self::Test(_) | Self::Size(_) | Self::Base64 { .. } => false,
        }
    }
}

impl Pattern {
    fn new(content: &Content) -> Self {
        let is_relative = content.is_relative();
        let (from, len) = match is_relative {
            true => (content.distance, content.within),
            false => (content.offset, content.depth),
        };
        Self {
            needle: Needle::new(&content.pattern, content.ignores_case),
            is_negated: content.is_negated,
            is_relative,
            from,
            len,
            starts_with: content.starts_with,
            ends_with: content.ends_with,
        }
    }

    /// Where it may be: from its first byte at the lowest to behind its last at the highest.
    fn range(&self, view: View<'_>, at: i64, taken: &Taken) -> Option<(i64, i64)> {
        let len = length(self.needle.len());
        if self.starts_with {
            let low = if self.is_relative { at } else { 0 };
            return Some((low, low.saturating_add(len)));
        }
        let zero = if self.is_relative { at } else { 0 };
        let low = zero.saturating_add(value(self.from, taken, 0)?);
        let high = match self.len {
            Some(len) => low.saturating_add(number(len, taken)?).min(view.end()),
            None => view.end(),
        };
        let low = if self.ends_with { low.max(view.end().saturating_sub(len)) } else { low };
        Some((low.max(view.start()), high))
    }

    /// Where it is first, from `low` on.
    fn find(&self, view: View<'_>, low: i64, high: i64, budget: &mut Budget) -> Option<i64> {
        let len = length(self.needle.len());
        let bytes = view.slice(low, high)?;
        if !budget.take(1) {
            return None;
        }
        let found = self.needle.find(bytes);
        budget.charge(u64::try_from(found.unwrap_or(bytes.len()) / 64).unwrap_or(u64::MAX));
        let found = low.saturating_add(length(found?));
        // With `ends_with` there is one place only, which `low` is.
        let is_last = !self.ends_with || found.saturating_add(len) == view.end();
        is_last.then_some(found)
    }
}

impl<'a> View<'a> {
    /// What is left of it from byte number `at` on, if anything is.
    pub(in super::super) fn from(self, at: u64) -> Option<Self> {
        let skipped = at.saturating_sub(self.base);
        let bytes = self.bytes.get(usize::try_from(skipped).ok()?..)?;
        let base = self.base.saturating_add(skipped);
        (!bytes.is_empty()).then_some(View { bytes, base })
    }

    fn start(&self) -> i64 {
        i64::try_from(self.base).unwrap_or(i64::MAX)
    }

    fn end(&self) -> i64 {
        self.start().saturating_add(length(self.bytes.len()))
    }

    /// The bytes from one number to another, as far as they are there; `None` where the first is behind the last.
    fn slice(&self, low: i64, high: i64) -> Option<&'a [u8]> {
        let index = |at: i64| usize::try_from(at.saturating_sub(self.start())).ok();
        self.bytes.get(index(low)?..index(high.min(self.end()))?)
    }
}

fn length(len: usize) -> i64 {
    i64::try_from(len).unwrap_or(i64::MAX)
}

fn number(number: Number, taken: &Taken) -> Option<i64> {
    match number {
        Number::Literal(value) => Some(value),
        Number::Variable(VariableIndex(index)) => {
            let value = (*taken.get(usize::from(index))?)?;
            Some(i64::try_from(value).unwrap_or(i64::MAX))
        }
    }
}

/// The same as a number without sign.
fn unsigned(number: Number, taken: &Taken) -> Option<u64> {
    match number {
        Number::Literal(value) => Some(value.cast_unsigned_compat()),
        Number::Variable(VariableIndex(index)) => *taken.get(usize::from(index))?,
    }
}

trait CastUnsigned {
    fn cast_unsigned_compat(self) -> u64;
}

impl CastUnsigned for i64 {
    fn cast_unsigned_compat(self) -> u64 {
        u64::from_ne_bytes(self.to_ne_bytes())
    }
}

fn value(it: Option<Number>, taken: &Taken, default: i64) -> Option<i64> {
    it.map_or(Some(default), |it| number(it, taken))
}

/// Runs what is left of a group. `at` is where relative items begin.
fn run(items: &[Item], view: View<'_>, at: i64, taken: &mut Taken, budget: &mut Budget) -> bool {
    let Some((item, rest)) = items.split_first() else { return true };
    match &item.what {
        What::Content(pattern) => {
            let Some((mut low, high)) = pattern.range(view, at, taken) else { return false };
            if pattern.is_negated {
                let is_found = pattern.find(view, low, high, budget).is_some();
                return !is_found && !budget.is_short() && run(rest, view, at, taken, budget);
            }
            loop {
                let Some(found) = pattern.find(view, low, high, budget) else { return false };
                let end = found.saturating_add(length(pattern.needle.len()));
                if run(rest, view, end, taken, budget) {
                    return true;
                }
                if !item.is_leaned_on {
                    return false;
                }
                low = found.saturating_add(1);
            }
        }
        What::Pcre(pcre) => {
            let begin = if pcre.is_relative { at } else { view.start() };
            let Some(bytes) = view.slice(begin, view.end()) else {
                return pcre.is_negated && run(rest, view, at, taken, budget);
            };
            let mut low = 0;
            loop {
                let left = bytes.len().saturating_sub(low);
                let cost = u64::try_from(left / 8).unwrap_or(u64::MAX).saturating_add(1);
                if !budget.take(cost) {
                    return false;
                }
                let found = (low <= bytes.len()).then(|| pcre.regex().find_at(bytes, low));
                let found = found.flatten();
                if pcre.is_negated {
                    return found.is_none() && run(rest, view, at, taken, budget);
                }
                let Some(found) = found else { return false };
                let end = begin.saturating_add(length(found.end()));
                if run(rest, view, end, taken, budget) {
                    return true;
                }
                if !item.is_leaned_on {
                    return false;
                }
                low = found.start().saturating_add(1);
            }
        }
        What::DataAt(data) => {
            let Some(number) = number(data.at, taken) else { return false };
            let is_there = match data.is_relative {
                true => at.saturating_add(number) <= view.end(),
                false => number < view.end(),
            };
            is_there != data.is_negated && run(rest, view, at, taken, budget)
        }
        What::Test(test) => {
            let Some(found) = Field::read(&test.field, view, at, taken) else { return false };
            let Some(value) = unsigned(test.value, taken) else { return false };
            let holds = match test.operator {
                TestOperator::Less => found.number < value,
                TestOperator::LessOrEqual => found.number <= value,
                TestOperator::Equal => found.number == value,
                TestOperator::Greater => found.number > value,
                TestOperator::GreaterOrEqual => found.number >= value,
                TestOperator::And => found.number & value != 0,
                TestOperator::Xor => found.number ^ value != 0,
            };
            holds != test.is_negated && run(rest, view, at, taken, budget)
        }
        What::Jump(jump) => {
            let Some(target) = target(jump, view, at, taken) else { return false };
            run(rest, view, target, taken, budget)
        }
        What::Extract(extract) => {
            let Some(found) = Field::read(&extract.field, view, at, taken) else { return false };
            let number = found.number.wrapping_mul(extract.multiplier.into());
            keep(taken, extract.result, align(number, extract.alignment));
            run(rest, view, found.end, taken, budget)
        }
        What::Math(math) => {
            let Some(found) = Field::read(&math.field, view, at, taken) else { return false };
            let Some(value) = unsigned(math.value, taken) else { return false };
            let result = match math.operator {
                MathOperator::Add => found.number.wrapping_add(value),
                MathOperator::Subtract => found.number.wrapping_sub(value),
                MathOperator::Multiply => found.number.wrapping_mul(value),
                MathOperator::Divide => match found.number.checked_div(value) {
                    Some(result) => result,
                    None => return false,
                },
                MathOperator::ShiftLeft => shifted(found.number, value, u64::checked_shl),
                MathOperator::ShiftRight => shifted(found.number, value, u64::checked_shr),
            };
            keep(taken, math.result, result);
            run(rest, view, found.end, taken, budget)
        }
        What::Size(size) => {
            let len = u64::try_from(view.bytes.len()).unwrap_or(u64::MAX);
            size.holds(len) && run(rest, view, at, taken, budget)
        }
        What::Base64 { bytes, offset, is_relative, inner } => {
            let zero = if *is_relative { at } else { view.start() };
            let begin = zero.saturating_add((*offset).into());
            let end = bytes.map_or(view.end(), |bytes| begin.saturating_add(bytes.into()));
            let Some(encoded) = view.slice(begin, end) else { return false };
            if !budget.take(1_u64.saturating_add(u64::try_from(encoded.len() / 16).unwrap_or(0))) {
                return false;
            }
            let decoded = base64(encoded);
            let inside = View { bytes: &decoded, base: 0 };
            !decoded.is_empty()
                && inner.holds(inside, taken, budget)
                && run(rest, view, at, taken, budget)
        }
    }
}

/// A number in bytes, and where it ends.
struct Field {
    number: u64,
    end: i64,
}

impl Field {
    fn read(field: &ByteField, view: View<'_>, at: i64, taken: &Taken) -> Option<Self> {
        let zero = if field.is_relative { at } else { 0 };
        let start = zero.saturating_add(number(field.offset, taken)?);
        let high = view.end();
        let len = number(field.bytes, taken)?;
        // As many digits as there are.
        let is_open = len == 0 && field.text.is_some();
        let end = if is_open { high.max(start) } else { start.saturating_add(len) };
        if end > high || len < 0 {
            return None;
        }
        let bytes = view.slice(start, end)?;
        let (mut number, consumed) = match field.text {
            Some(radix) => text(bytes, radix)?,
            None if bytes.len() > 8 => return None,
            None => (binary(bytes, field.order), bytes.len()),
        };
        if let Some(mask) = field.bitmask {
            let mask = u64::from(mask);
            number = (number & mask).checked_shr(mask.trailing_zeros()).unwrap_or(0);
        }
        Some(Self { number, end: start.saturating_add(length(consumed)) })
    }
}

fn binary(bytes: &[u8], order: ByteOrder) -> u64 {
    let add = |number: u64, byte: &u8| number.wrapping_shl(8) | u64::from(*byte);
    match order {
        ByteOrder::Big => bytes.iter().fold(0, add),
        ByteOrder::Little => bytes.iter().rev().fold(0, add),
    }
}

/// A number in text, and how many bytes it takes; what follows the digits does not matter.
fn text(bytes: &[u8], radix: Radix) -> Option<(u64, usize)> {
    let radix = match radix {
        Radix::Hexadecimal => 16,
        Radix::Decimal => 10,
        Radix::Octal => 8,
    };
    let blank = bytes.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let rest = bytes.get(blank..)?;
    let prefix = match rest {
        [b'0', b'x' | b'X', digit, ..] if radix == 16 && digit.is_ascii_hexdigit() => 2,
        _ => 0,
    };
    let mut number: u64 = 0;
    let mut digits = 0_usize;
    // No number is larger than the largest: who writes more digits does not make it none.
    for digit in rest.get(prefix..)?.iter().map_while(|byte| char::from(*byte).to_digit(radix)) {
        number = number.saturating_mul(radix.into()).saturating_add(digit.into());
        digits = digits.saturating_add(1);
    }
    (digits > 0).then(|| (number, blank.saturating_add(prefix).saturating_add(digits)))
}

fn target(jump: &ByteJump, view: View<'_>, at: i64, taken: &Taken) -> Option<i64> {
    let found = Field::read(&jump.field, view, at, taken)?;
    let distance = align(found.number.wrapping_mul(jump.multiplier.into()), jump.alignment);
    let distance = i64::from_ne_bytes(distance.to_ne_bytes());
    let distance = distance.wrapping_add(number(jump.post_offset, taken)?);
    let place = match jump.from {
        JumpFrom::Field => found.end,
        JumpFrom::Beginning => 0,
        JumpFrom::End => view.end(),
    };
    // What lies before the first byte is the first byte.
    let target = place.saturating_add(distance).max(view.start());
    (target <= view.end()).then_some(target)
}

fn align(number: u64, alignment: Option<Alignment>) -> u64 {
    let to: u64 = match alignment {
        None => return number,
        Some(Alignment::Two) => 2,
        Some(Alignment::Four) => 4,
    };
    let over = number & to.wrapping_sub(1);
    if over == 0 { number } else { number.wrapping_add(to.wrapping_sub(over)) }
}

fn shifted(number: u64, by: u64, shift: impl FnOnce(u64, u32) -> Option<u64>) -> u64 {
    u32::try_from(by).ok().and_then(|by| shift(number, by)).unwrap_or(0)
}

fn keep(taken: &mut Taken, VariableIndex(index): VariableIndex, number: u64) {
    if let Some(place) = taken.get_mut(usize::from(index)) {
        *place = Some(number);
    }
}

/// What Base64 stands for, up to what is none (RFC 4648 §4).
pub(in super::super) fn base64(encoded: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(encoded.len());
    let (mut bits, mut held): (u32, u32) = (0, 0);
    for byte in encoded {
        let digit = match byte {
            b'A'..=b'Z' => byte.wrapping_sub(b'A'),
            b'a'..=b'z' => byte.wrapping_sub(b'a').wrapping_add(26),
            b'0'..=b'9' => byte.wrapping_sub(b'0').wrapping_add(52),
            b'+' => 62,
            b'/' => 63,
            _ => break,
        };
        bits = bits.wrapping_shl(6) | u32::from(digit);
        held = held.wrapping_add(6);
        if held >= 8 {
            held = held.wrapping_sub(8);
            decoded.push(bits.wrapping_shr(held).to_le_bytes()[0]);
        }
    }
    decoded
}
