use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::super::problem::RuleProblem;
use super::super::{
    Base64Decode, Buffer, Content, Detection, Header, MatchGroup, Number, Rule, RuleAction, RuleId,
    Transform, VariableIndex,
};
use super::value::Value;
use super::{Stop, together};

/// A rule while its options come in.
pub(super) struct Draft {
    pub(super) rule: Rule,
    pub(super) is_latin_1: bool,
    pub(super) items: Vec<Item>,
    /// What is looked at from here on, once a rule has turned to a buffer.
    pub(super) sticky: Option<Target>,
    /// Where the keyword stands that turned to it, until something is asked of it.
    pub(super) unused: Option<usize>,
    /// How often a rule has turned to a buffer of which there may be several.
    instances: usize,
    /// Where each variable was taken: the item's target.
    pub(super) origins: Vec<Target>,
    /// The keyword that is read, and where it stands.
    pub(super) offset: usize,
}

/// One thing that is asked of bytes, of which, and where that stands.
pub(super) struct Item {
    pub(super) target: Target,
    pub(super) detection: Detection,
    pub(super) offset: usize,
}

/// Which bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) buffer: Buffer,
    pub(super) transforms: Vec<Transform>,
    /// Tells apart those of which there may be several.
    instance: usize,
    /// What was decoded of it.
    is_decoded: bool,
}

impl Target {
    pub(super) const fn new(buffer: Buffer) -> Self {
        Self { buffer, transforms: Vec::new(), instance: 0, is_decoded: false }
    }

    /// The payload itself, and not what was decoded of it.
    pub(super) fn is_payload(&self) -> bool {
        self.buffer == Buffer::Payload && !self.is_decoded
    }

    fn is_same_group(&self, other: &Self) -> bool {
        self.buffer == other.buffer
            && self.instance == other.instance
            && self.transforms == other.transforms
    }
}

impl Draft {
    pub(super) fn new(action: RuleAction, header: Header, is_latin_1: bool) -> Self {
        Self {
            rule: Rule::new(action, header, RuleId { gid: 1, sid: 0, rev: 0 }),
            is_latin_1,
            items: Vec::new(),
            sticky: None,
            unused: None,
            instances: 0,
            origins: Vec::new(),
            offset: 0,
        }
    }

    /// Turns to a buffer.
    pub(super) fn turn(&mut self, buffer: Buffer) -> Result<(), Stop> {
        self.all_used()?;
        let mut target = Target::new(buffer);
        if buffer.is_multiple() {
            self.instances = self.instances.saturating_add(1);
            target.instance = self.instances;
        }
        self.sticky = Some(target);
        self.unused = Some(self.offset);
        Ok(())
    }

    /// Turns back to the payload.
    pub(super) fn turn_back(&mut self) -> Result<(), Stop> {
        self.all_used()?;
        self.sticky = None;
        Ok(())
    }

    /// Turns to what was decoded.
    pub(super) fn turn_to_decoded(&mut self) -> Result<(), Stop> {
        self.all_used()?;
        let source = self
            .items
            .iter()
            .rev()
            .find(|item| matches!(item.detection, Detection::Base64Decode(_)));
        let Some(source) = source else {
            return Err(Stop::together(self.offset, "expected `base64_decode` before, found none"));
        };
        self.sticky = Some(Target { is_decoded: true, ..source.target.clone() });
        self.unused = Some(self.offset);
        Ok(())
    }

    pub(super) fn transform(&mut self, transform: Transform) -> Result<(), Stop> {
        match (&mut self.sticky, self.unused) {
            (Some(target), Some(_)) if !target.is_decoded => {
                target.transforms.push(transform);
                Ok(())
            }
            _ => Err(Stop::together(
                self.offset,
                "expected a buffer right before that this is done to, found none",
            )),
        }
    }

    fn all_used(&self) -> Result<(), Stop> {
        let (Some(offset), Some(target)) = (self.unused, &self.sticky) else { return Ok(()) };
        let what = "expected something that is asked of this buffer, found nothing";
        Err(Stop { keyword: target.buffer.to_string(), ..Stop::together(offset, what) })
    }

    /// Something that is asked of what the rule has turned to.
    pub(super) fn push(&mut self, detection: Detection) {
        let target = self.sticky.clone().unwrap_or(Target::new(Buffer::Payload));
        self.push_to(target, detection);
    }

    /// Something that is asked of where the last thing was found, unless the rule has turned to a buffer.
    pub(super) fn push_relative(&mut self, detection: Detection, is_relative: bool) {
        let last = self.items.last().map(|item| item.target.clone());
        match (&self.sticky, last) {
            (None, Some(target)) if is_relative => self.push_to(target, detection),
            _ => self.push(detection),
        }
    }

    pub(super) fn push_to(&mut self, target: Target, detection: Detection) {
        self.unused = None;
        self.items.push(Item { target, detection, offset: self.offset });
    }

    /// The last pattern, which modifiers are for.
    pub(super) fn last_content(&mut self) -> Result<(&mut Content, &mut Target), Stop> {
        let missing = Stop::together(self.offset, "expected `content` before, found none");
        let sticky = self.sticky.as_ref();
        for item in self.items.iter_mut().rev() {
            if let Detection::Content(content) = &mut item.detection {
                if sticky.is_none_or(|target| *target == item.target) {
                    return Ok((content, &mut item.target));
                }
            }
        }
        Err(missing)
    }

    /// A variable that was taken before, of the same bytes.
    pub(super) fn variable(&self, value: Value<'_>, target: &Target) -> Result<Number, Stop> {
        let place = self.rule.variables.iter().position(|name| name == value.text);
        let Some(place) = place else {
            return Err(
                value.expected("a number, or a variable of `byte_extract` or `byte_math` before")
            );
        };
        let origin = self.origins.get(place);
        if !origin.is_some_and(|origin| origin.is_same_group(target)) {
            return Err(value.expected("a variable that was taken from the same buffer"));
        }
        // There are no more of them than that.
        Ok(Number::Variable(VariableIndex(u8::try_from(place).unwrap_or(u8::MAX))))
    }

    /// A number, or a variable.
    pub(super) fn number_of(&self, value: Value<'_>, target: &Target) -> Result<Number, Stop> {
        match literal(value.text) {
            Some(number) => Ok(Number::Literal(number)),
            None if value.text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') => {
                self.variable(value, target)
            }
            None => {
                Err(value
                    .expected("a number, or a variable of `byte_extract` or `byte_math` before"))
            }
        }
    }

    /// Names a number that is taken from bytes.
    pub(super) fn declare(
        &mut self,
        value: Value<'_>,
        target: Target,
    ) -> Result<VariableIndex, Stop> {
        let is_name = value.text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && value
                .text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
        if !is_name {
            return Err(value.expected("a name that begins with a letter"));
        }
        if self.rule.variables.iter().any(|name| name == value.text) {
            return Err(value.expected("a name that is not taken yet"));
        }
        let index = u8::try_from(self.rule.variables.len()).ok().filter(|index| *index < u8::MAX);
        let index = index.ok_or_else(|| value.expected("at most 255 variables"))?;
        self.rule.variables.push(String::from(value.text));
        self.origins.push(target);
        Ok(VariableIndex(index))
    }

    /// What an item is asked of that comes now.
    pub(super) fn target(&self, is_relative: bool) -> Target {
        match (&self.sticky, self.items.last()) {
            (Some(target), _) => target.clone(),
            (None, Some(last)) if is_relative => last.target.clone(),
            (None, _) => Target::new(Buffer::Payload),
        }
    }

    /// The rule, where all goes together.
    pub(super) fn finish(mut self, options_at: usize) -> Result<Rule, Stop> {
        self.all_used()?;
        if self.rule.id.sid == 0 {
            return Err(Stop::new(options_at, RuleProblem::Missing { what: "sid" }));
        }
        together::check(&self.rule, &self.items)?;
        let mut groups: Vec<(Target, MatchGroup)> = Vec::new();
        for Item { target, detection, .. } in self.items {
            let group = match groups.iter_mut().position(|(known, _)| known.is_same_group(&target))
            {
                Some(place) => groups.get_mut(place),
                None => {
                    let buffer = target.buffer;
                    let transforms = target.transforms.clone();
                    let group = MatchGroup { buffer, transforms, items: Vec::new() };
                    groups.push((target.clone(), group));
                    groups.last_mut()
                }
            };
            let Some((_, group)) = group else { continue };
            if target.is_decoded {
                let decode = group.items.iter_mut().rev().find_map(|item| match item {
                    Detection::Base64Decode(Base64Decode { items, .. }) => Some(items),
                    _ => None,
                });
                if let Some(items) = decode {
                    items.push(detection);
                }
            } else {
                group.items.push(detection);
            }
        }
        self.rule.groups = groups.into_iter().map(|(_, group)| group).collect();
        Ok(self.rule)
    }
}

/// A number in digits or, behind `0x`, in hexadecimal ones; with a sign.
pub(super) fn literal(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let number = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(digits) if digits.starts_with(['+', '-']) => return None,
        Some(digits) => i64::from_str_radix(digits, 16),
        None => digits.parse::<i64>(),
    };
    number.ok()?.checked_mul(sign)
}
