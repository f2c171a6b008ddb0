use alloc::vec::Vec;

use super::super::{Buffer, Content, Detection, FastPattern, MatchGroup, Number};
use super::needle::commonness;
use super::prefilter::LONGEST;

/// What a rule is looked for by: a part of a pattern that has to be there whenever it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Choice {
    /// Which of its groups.
    pub(in super::super) group: usize,
    pub(in super::super) bytes: Vec<u8>,
    /// Within how many bytes from the first it ends, wherever the rule holds; `None` where it may be anywhere.
    pub(in super::super) reach: Option<usize>,
}

/// The pattern that the rule names for it, or the one that is likely the rarest; `None` where there is none. Of a rule that looks at
/// messages, only patterns in messages count. A payload is looked through as it came, so that patterns in what is made of it count for
/// nothing.
pub(in super::super) fn choose(groups: &[MatchGroup]) -> Option<Choice> {
    let looks_at_messages = groups.iter().any(|group| group.buffer != Buffer::Payload);
    let mut best: Option<(bool, u32, Choice)> = None;
    for (index, group) in groups.iter().enumerate() {
        let is_payload = group.buffer == Buffer::Payload;
        if is_payload && (looks_at_messages || !group.transforms.is_empty()) {
            continue;
        }
        for item in &group.items {
            let Detection::Content(content) = item else { continue };
            if content.is_negated || content.pattern.is_empty() {
                continue;
            }
            let bytes = rarest(asked(content));
            let rank = (content.fast_pattern.is_some(), rareness(bytes));
            if best.as_ref().is_none_or(|(named, rareness, _)| rank > (*named, *rareness)) {
                let reach = reach(content);
                let choice = Choice { group: index, bytes: bytes.to_vec(), reach };
                best = Some((rank.0, rank.1, choice));
            }
        }
    }
    best.map(|(_, _, choice)| choice)
}

/// Within how many bytes from the first a pattern ends.
fn reach(content: &Content) -> Option<usize> {
    let literal = |number: Number| match number {
        Number::Literal(number) => usize::try_from(number).ok(),
        Number::Variable(_) => None,
    };
    if content.is_relative() {
        None
    } else if content.starts_with {
        Some(content.pattern.len())
    } else {
        let offset = content.offset.map_or(Some(0), literal)?;
        offset.checked_add(literal(content.depth?)?)
    }
}

/// The part of a pattern that the rule wants to be looked for.
fn asked(content: &Content) -> &[u8] {
    match content.fast_pattern {
        Some(FastPattern::Part { offset, length }) => {
            let (start, len) = (usize::from(offset), usize::from(length));
            let part = content.pattern.get(start..start.saturating_add(len));
            part.filter(|part| !part.is_empty()).unwrap_or(&content.pattern)
        }
        _ => &content.pattern,
    }
}

/// The rarest part of a pattern that is not too long.
fn rarest(pattern: &[u8]) -> &[u8] {
    let parts = pattern.windows(LONGEST.min(pattern.len()));
    // Of several that are equal, the first.
    parts.rev().max_by_key(|part| rareness(part)).unwrap_or(pattern)
}

/// How rare bytes are likely to be.
fn rareness(bytes: &[u8]) -> u32 {
    let rest = |(position, byte): (usize, &u8)| {
        let rareness = u32::from(10_u8.saturating_sub(commonness(*byte)));
        // The same byte again and again tells little.
        let is_again = position > 0 && bytes.get(position.wrapping_sub(1)) == Some(byte);
        if is_again { 1 } else { rareness.saturating_add(4) }
    };
    bytes.iter().enumerate().map(rest).sum()
}

#[cfg(test)]
mod tests {
    use super::super::super::{Transform, VariableIndex};
    use super::*;

    fn group(buffer: Buffer, contents: impl IntoIterator<Item = Content>) -> MatchGroup {
        let items = contents.into_iter().map(Detection::Content).collect();
        MatchGroup { buffer, transforms: Vec::new(), items }
    }

    fn content(pattern: &str) -> Content {
        Content::new(pattern.as_bytes().to_vec())
    }

    #[test]
    fn the_named_one_else_the_rarest() {
        let plain = group(
            Buffer::HttpUri,
            [content("GET"), content("/xmlrpc"), content("aaaaaaaaaaaaaaa")],
        );
        let choice = choose(&[plain]).unwrap();
        assert_eq!(choice.bytes, b"/xmlrpc");
        let mut named = content("a");
        named.fast_pattern = Some(FastPattern::Whole);
        let groups =
            [group(Buffer::HttpUri, [content("/xmlrpc")]), group(Buffer::HttpHost, [named])];
        assert_eq!(
            choose(&groups).unwrap(),
            Choice { group: 1, bytes: b"a".to_vec(), reach: None }
        );
        let mut part = content("abcdef");
        part.fast_pattern = Some(FastPattern::Part { offset: 2, length: 3 });
        assert_eq!(choose(&[group(Buffer::HttpUri, [part])]).unwrap().bytes, b"cde");
    }

    #[test]
    fn how_far_from_the_first_byte_it_may_be() {
        let number = |number| Some(Number::Literal(number));
        let mut content = content("abc");
        assert_eq!(reach(&content), None);
        content.offset = number(4);
        assert_eq!(reach(&content), None);
        content.depth = number(10);
        assert_eq!(reach(&content), Some(14));
        content.offset = None;
        assert_eq!(reach(&content), Some(10));
        content.offset = Some(Number::Variable(VariableIndex(0)));
        assert_eq!(reach(&content), None);
        let mut first = Content { starts_with: true, ..super::tests::content("abc") };
        assert_eq!(reach(&first), Some(3));
        first.distance = number(0);
        assert_eq!(reach(&first), None);
    }

    #[test]
    fn what_must_not_be_there_is_no_choice() {
        let mut negated = content("abc");
        negated.is_negated = true;
        negated.fast_pattern = Some(FastPattern::Whole);
        assert_eq!(choose(&[group(Buffer::HttpUri, [negated])]), None);
        let groups =
            [group(Buffer::Payload, [content("abcdefgh")]), group(Buffer::HttpUri, [content("x")])];
        assert_eq!(choose(&groups).unwrap().bytes, b"x");
    }

    #[test]
    fn a_payload_that_is_transformed_is_no_choice() {
        let lower = |buffer| MatchGroup {
            transforms: vec![Transform::ToLowercase],
            ..group(buffer, [content("abcdefgh")])
        };
        assert_eq!(choose(&[lower(Buffer::Payload)]), None);
        let groups = [lower(Buffer::Payload), group(Buffer::Payload, [content("x")])];
        assert_eq!(choose(&groups).unwrap().bytes, b"x");
        assert_eq!(choose(&[lower(Buffer::HttpUri)]).unwrap().bytes, b"abcdefgh");
    }

    #[test]
    fn long_patterns_are_cut_where_they_are_rarest() {
        let pattern = [&[b'a'; 40][..], b"XQZ#%?!~^|{}<>1234567890", &[b'a'; 40]].concat();
        assert_eq!(rarest(&pattern), b"XQZ#%?!~^|{}<>1234567890");
    }
}
