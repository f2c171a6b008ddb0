use alloc::vec::Vec;

use super::super::{
    Alignment, Base64Decode, Buffer, ByteExtract, ByteField, ByteJump, ByteMath, ByteOrder,
    ByteTest, DataAt, Detection, JumpFrom, MathOperator, Number, Radix, TestOperator,
};
use super::Stop;
use super::draft::{Draft, Target, literal};
use super::value::Value;

/// Pairs of hexadecimal digits, with spaces between pairs or not.
pub(super) fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 2);
    let mut high = None;
    for c in text.chars().filter(|c| !c.is_ascii_whitespace()) {
        let digit = u8::try_from(c.to_digit(16)?).ok()?;
        match high.take() {
            None => high = Some(digit),
            Some(high) => bytes.push(high << 4 | digit),
        }
    }
    high.is_none().then_some(bytes)
}

/// `isdataat:10,relative`
pub(super) fn data_at(draft: &mut Draft, value: Value<'_>) -> Result<(), Stop> {
    let (is_negated, value) = value.negation();
    let mut parts = value.split(',');
    let at = parts.next().unwrap_or(value);
    let (mut is_relative, mut is_raw) = (false, false);
    for part in parts {
        match part.text {
            "relative" => is_relative = true,
            "rawbytes" => is_raw = true,
            _ => return Err(part.expected("`relative` or `rawbytes`")),
        }
    }
    let at = match draft.number_of(at, &draft.target(is_relative))? {
        Number::Literal(number) if !(0..=65_535).contains(&number) => {
            return Err(at.expected("a number from 0 to 65535"));
        }
        at => at,
    };
    let item = Detection::DataAt(DataAt { at, is_relative, is_negated, is_raw });
    draft.push_relative(item, is_relative);
    Ok(())
}

/// What the four keywords have in common, and what else stands behind.
struct Modifiers {
    field: ByteField,
    multiplier: Option<u16>,
    alignment: Option<Alignment>,
    from: Option<JumpFrom>,
    post_offset: Option<Number>,
}

impl Modifiers {
    /// The words behind the places; those among `others` beside what all have.
    fn parse<'a>(
        draft: &Draft,
        bytes: Value<'a>,
        offset: Value<'a>,
        words: &[Value<'a>],
        others: &[&str],
    ) -> Result<Self, Stop> {
        let is_relative = words.iter().any(|word| word.text == "relative");
        let target = draft.target(is_relative);
        let mut found = Self {
            field: ByteField {
                bytes: draft.number_of(bytes, &target)?,
                offset: draft.number_of(offset, &target)?,
                is_relative,
                order: ByteOrder::Big,
                text: None,
                bitmask: None,
            },
            multiplier: None,
            alignment: None,
            from: None,
            post_offset: None,
        };
        let mut order = None;
        let mut is_text = false;
        for word in words {
            let (name, argument) = word.word();
            // `bitmask 0xff` is the form of the manual, but `align 4` and `string, dec` come with a comma too.
            match name.text {
                "relative" => {}
                "big" | "little" => {
                    let new = if name.text == "big" { ByteOrder::Big } else { ByteOrder::Little };
                    if order.replace(new).is_some_and(|old| old != new) {
                        return Err(word.expected("one order of bytes"));
                    }
                }
                "string" => is_text = true,
                "hex" | "dec" | "oct" => {
                    let radix = match name.text {
                        "hex" => Radix::Hexadecimal,
                        "dec" => Radix::Decimal,
                        _ => Radix::Octal,
                    };
                    if found.field.text.replace(radix).is_some() {
                        return Err(word.expected("one of `hex`, `dec` and `oct`"));
                    }
                }
                "bitmask" => {
                    let mask = literal(argument.text).and_then(|mask| u32::try_from(mask).ok());
                    let mask = mask.filter(|mask| *mask != 0);
                    let expected = "a number from 1 to 0xffffffff";
                    found.field.bitmask = Some(mask.ok_or_else(|| argument.expected(expected))?);
                }
                "multiplier" if others.contains(&"multiplier") => {
                    let multiplier = argument.number("a number from 1 to 65535")?;
                    if multiplier == 0 {
                        return Err(argument.expected("a number from 1 to 65535"));
                    }
                    found.multiplier = Some(multiplier);
                }
                "align" if others.contains(&"align") => {
                    found.alignment = Some(match argument.text {
                        "2" => Alignment::Two,
                        "" | "4" => Alignment::Four,
                        _ => return Err(argument.expected("2 or 4")),
                    });
                }
                "from_beginning" | "from_end" if others.contains(&"from_beginning") => {
                    let from = match name.text {
                        "from_beginning" => JumpFrom::Beginning,
                        _ => JumpFrom::End,
                    };
                    if found.from.replace(from).is_some() {
                        return Err(word.expected("one of `from_beginning` and `from_end`"));
                    }
                }
                "post_offset" if others.contains(&"post_offset") => {
                    found.post_offset = Some(draft.number_of(argument, &target)?);
                }
                "dce" => return Err(word.unsupported(None)),
                _ => return Err(word.expected("a modifier of this keyword")),
            }
        }
        found.field.order = order.unwrap_or_default();
        match (is_text, found.field.text) {
            (true, None) => found.field.text = Some(Radix::Decimal),
            (false, Some(_)) => return Err(bytes.expected("`string` beside `hex`, `dec` or `oct`")),
            _ => {}
        }
        let (least, most) = match found.field.text {
            None if others.contains(&"post_offset") => (0, 8),
            None => (1, 8),
            // As many digits as there are.
            Some(_) => (0, 23),
        };
        match found.field.bytes {
            Number::Literal(number) if !(least..=most).contains(&number) => {
                Err(bytes.expected(alloc::format!("{least} to {most} bytes")))
            }
            _ => match found.field.offset {
                Number::Literal(number) if !(-65_535..=65_535).contains(&number) => {
                    Err(offset.expected("an offset from -65535 to 65535"))
                }
                _ => Ok(found),
            },
        }
    }
}

/// The parts between commas, at least so many.
fn parts<'a>(
    value: Value<'a>,
    least: usize,
    expected: &'static str,
) -> Result<Vec<Value<'a>>, Stop> {
    let parts: Vec<_> = value.split(',').collect();
    if parts.len() < least { Err(value.expected(expected)) } else { Ok(parts) }
}

/// `byte_test:4,>,1000,20,relative,little`
pub(super) fn test(draft: &mut Draft, value: Value<'_>) -> Result<(), Stop> {
    let parts = parts(value, 4, "bytes, an operator, a value and an offset with commas between")?;
    let [bytes, operator, compared, offset, words @ ..] = &parts[..] else {
        return Err(value.expected("bytes, an operator, a value and an offset with commas between"));
    };
    let modifiers = Modifiers::parse(draft, *bytes, *offset, words, &[])?;
    let (is_negated, word) = operator.negation();
    let operator = match word.text {
        "<" => TestOperator::Less,
        "<=" => TestOperator::LessOrEqual,
        "=" => TestOperator::Equal,
        "" if is_negated => TestOperator::Equal,
        ">" => TestOperator::Greater,
        ">=" => TestOperator::GreaterOrEqual,
        "&" => TestOperator::And,
        "^" => TestOperator::Xor,
        _ => return Err(operator.expected("`<`, `<=`, `=`, `>`, `>=`, `&` or `^`")),
    };
    let target = draft.target(modifiers.field.is_relative);
    let compared = draft.number_of(*compared, &target)?;
    let item = ByteTest { field: modifiers.field, operator, is_negated, value: compared };
    draft.push_relative(Detection::ByteTest(item), modifiers.field.is_relative);
    Ok(())
}

/// `byte_jump:4,0,relative,multiplier 2,post_offset -1`
pub(super) fn jump(draft: &mut Draft, value: Value<'_>) -> Result<(), Stop> {
    let parts = parts(value, 2, "bytes and an offset with a comma between")?;
    let [bytes, offset, words @ ..] = &parts[..] else {
        return Err(value.expected("bytes and an offset with a comma between"));
    };
    let others = ["multiplier", "align", "from_beginning", "post_offset"];
    let modifiers = Modifiers::parse(draft, *bytes, *offset, words, &others)?;
    let item = ByteJump {
        field: modifiers.field,
        multiplier: modifiers.multiplier.unwrap_or(1),
        alignment: modifiers.alignment,
        from: modifiers.from.unwrap_or_default(),
        post_offset: modifiers.post_offset.unwrap_or(Number::Literal(0)),
    };
    draft.push_relative(Detection::ByteJump(item), modifiers.field.is_relative);
    Ok(())
}

/// `byte_extract:2,0,name,relative`
pub(super) fn extract(draft: &mut Draft, value: Value<'_>) -> Result<(), Stop> {
    let parts = parts(value, 3, "bytes, an offset and a name with commas between")?;
    let [bytes, offset, name, words @ ..] = &parts[..] else {
        return Err(value.expected("bytes, an offset and a name with commas between"));
    };
    let modifiers = Modifiers::parse(draft, *bytes, *offset, words, &["multiplier", "align"])?;
    let target = draft.target(modifiers.field.is_relative);
    let result = draft.declare(*name, target)?;
    let item = ByteExtract {
        field: modifiers.field,
        multiplier: modifiers.multiplier.unwrap_or(1),
        alignment: modifiers.alignment,
        result,
    };
    draft.push_relative(Detection::ByteExtract(item), modifiers.field.is_relative);
    Ok(())
}

/// `byte_math:bytes 2, offset 0, oper +, rvalue 4, result name, relative`
pub(super) fn math(draft: &mut Draft, value: Value<'_>) -> Result<(), Stop> {
    let expected = "`bytes`, `offset`, `oper`, `rvalue` and `result`, each with its value";
    let [mut bytes, mut offset, mut operator, mut operand, mut result] = [None; 5];
    let mut words = Vec::new();
    let mut order = None;
    for part in value.split(',') {
        let (name, argument) = part.word();
        let slot = match name.text {
            "bytes" => &mut bytes,
            "offset" => &mut offset,
            "oper" => &mut operator,
            "rvalue" => &mut operand,
            "result" => &mut result,
            "endian" => &mut order,
            "string" if !argument.text.is_empty() => {
                words.push(Value { text: "string", ..name });
                words.push(argument);
                continue;
            }
            _ => {
                words.push(part);
                continue;
            }
        };
        if slot.replace(argument).is_some() {
            return Err(part.expected("each of them once"));
        }
    }
    words.extend(order);
    let (Some(bytes), Some(offset), Some(operator), Some(operand), Some(result)) =
        (bytes, offset, operator, operand, result)
    else {
        return Err(value.expected(expected));
    };
    let modifiers = Modifiers::parse(draft, bytes, offset, &words, &[])?;
    let operator = match operator.text {
        "+" => MathOperator::Add,
        "-" => MathOperator::Subtract,
        "*" => MathOperator::Multiply,
        "/" => MathOperator::Divide,
        "<<" => MathOperator::ShiftLeft,
        ">>" => MathOperator::ShiftRight,
        _ => return Err(operator.expected("`+`, `-`, `*`, `/`, `<<` or `>>`")),
    };
    let target = draft.target(modifiers.field.is_relative);
    let value = match draft.number_of(operand, &target)? {
        Number::Literal(0) if operator == MathOperator::Divide => {
            return Err(operand.expected("a divisor that is not 0"));
        }
        Number::Literal(number) if !(0..=i64::from(u32::MAX)).contains(&number) => {
            return Err(operand.expected("a number from 0 to 4294967295"));
        }
        value => value,
    };
    let result = draft.declare(result, target)?;
    let item = ByteMath { field: modifiers.field, operator, value, result };
    draft.push_relative(Detection::ByteMath(item), modifiers.field.is_relative);
    Ok(())
}

/// `base64_decode:bytes 64, offset 0, relative`
pub(super) fn base64_decode(draft: &mut Draft, value: Option<Value<'_>>) -> Result<(), Stop> {
    if draft.items.iter().any(|item| matches!(item.detection, Detection::Base64Decode(_))) {
        return Err(Stop::together(draft.offset, "expected it once in a rule, found it twice"));
    }
    let mut item = Base64Decode { bytes: None, offset: 0, is_relative: false, items: Vec::new() };
    for part in value.into_iter().flat_map(|value| value.split(',')) {
        let (name, argument) = part.word();
        match name.text {
            "bytes" => {
                let bytes = argument.number("a number from 1 on")?;
                if bytes == 0 {
                    return Err(argument.expected("a number from 1 on"));
                }
                item.bytes = Some(bytes);
            }
            "offset" => item.offset = argument.number("a number")?,
            "relative" if argument.text.is_empty() => item.is_relative = true,
            _ => return Err(part.expected("`bytes` or `offset` with a number, or `relative`")),
        }
    }
    let is_relative = item.is_relative;
    draft.push_relative(Detection::Base64Decode(item), is_relative);
    Ok(())
}

/// `bsize:10`
pub(super) fn size(draft: &mut Draft, value: Value<'_>) -> Result<(), Stop> {
    if draft.sticky.is_none() {
        return Err(Stop::together(
            draft.offset,
            "expected the keyword of a buffer before, found none; `dsize` is for the payload",
        ));
    }
    let size = value.comparison("a number of bytes such as `10`, `>10`, `<10` or `5<>10`")?;
    draft.push(Detection::Size(size));
    Ok(())
}

/// `urilen:10,raw`
pub(super) fn uri_length(draft: &mut Draft, value: Value<'_>) -> Result<(), Stop> {
    let mut parts = value.split(',');
    let size = parts.next().unwrap_or(value);
    let buffer = match parts.next() {
        None => Buffer::HttpUri,
        Some(word) => match word.text {
            "norm" => Buffer::HttpUri,
            "raw" => Buffer::HttpUriRaw,
            _ => return Err(word.expected("`norm` or `raw`")),
        },
    };
    if let Some(more) = parts.next() {
        return Err(more.expected("nothing more"));
    }
    let size = size.comparison("a number of bytes such as `10`, `>10`, `<10` or `5<>10`")?;
    let unused = draft.unused;
    draft.push_to(Target::new(buffer), Detection::Size(size));
    draft.unused = unused;
    Ok(())
}
