use alloc::vec::Vec;
use core::num::NonZeroU32;

use super::super::{
    BitAction, CrossBit, DetectionFilter, FlowBit, FlowBytes, FlowState, Threshold, ThresholdKind,
    Track, TrackBits,
};
use super::Stop;
use super::draft::Draft;
use super::value::Value;
use crate::Side;

/// What is asked of flows, and what is remembered.
pub(super) fn option(draft: &mut Draft, name: &str, value: Value<'_>) -> Result<(), Stop> {
    match name {
        "flow" => value.split(',').try_for_each(|word| flow(draft, word)),
        "flowbits" => flow_bits(draft, value),
        "xbits" => cross_bits(draft, value),
        "threshold" => {
            let new = threshold(value)?;
            once(draft.offset, draft.rule.threshold.replace(new).is_none())
        }
        _ => {
            let Numbers { track, count, seconds, .. } = Numbers::parse(value, false)?;
            let new = DetectionFilter { track, count, seconds };
            once(draft.offset, draft.rule.detection_filter.replace(new).is_none())
        }
    }
}

pub(super) fn threshold(value: Value<'_>) -> Result<Threshold, Stop> {
    let Numbers { kind, track, count, seconds } = Numbers::parse(value, true)?;
    let kind = kind.ok_or_else(|| value.expected("a `type`"))?;
    Ok(Threshold { kind, track, count, seconds })
}

fn once(offset: usize, is_first: bool) -> Result<(), Stop> {
    match is_first {
        true => Ok(()),
        false => Err(Stop::together(offset, "expected it once, found it twice")),
    }
}

fn flow(draft: &mut Draft, word: Value<'_>) -> Result<(), Stop> {
    let flow = &mut draft.rule.flow;
    let is_alone = match word.text {
        "established" => replace(&mut flow.state, FlowState::Established),
        "not_established" => replace(&mut flow.state, FlowState::NotEstablished),
        "stateless" => replace(&mut flow.state, FlowState::Stateless),
        "to_server" | "from_client" => replace(&mut flow.sender, Side::Client),
        "to_client" | "from_server" => replace(&mut flow.sender, Side::Server),
        "only_stream" => replace(&mut flow.bytes, FlowBytes::OnlyStream),
        "no_stream" => replace(&mut flow.bytes, FlowBytes::NoStream),
        "only_frag" => replace(&mut flow.fragments, true),
        "no_frag" => replace(&mut flow.fragments, false),
        _ => {
            return Err(
                word.expected("what a flow may be like, such as `established` or `to_server`")
            );
        }
    };
    match is_alone {
        true => Ok(()),
        false => Err(word.expected("words that do not contradict each other")),
    }
}

/// Whether nothing else was there.
fn replace<T: PartialEq + Copy>(slot: &mut Option<T>, new: T) -> bool {
    slot.replace(new).is_none_or(|old| old == new)
}

fn bit_action(word: Value<'_>) -> Result<BitAction, Stop> {
    let known = BitAction::NAMES.iter().find(|(name, _)| *name == word.text);
    known
        .map(|(_, action)| *action)
        .ok_or_else(|| word.expected("`set`, `unset`, `toggle`, `isset` or `isnotset`"))
}

fn bit_name(name: Value<'_>) -> Result<alloc::string::String, Stop> {
    let is_name = !name.text.is_empty()
        && !name.text.contains(|c: char| c.is_whitespace() || ",|&;\"\\".contains(c));
    match is_name {
        true => Ok(name.text.into()),
        false => Err(name.expected("the name of a bit")),
    }
}

fn flow_bits(draft: &mut Draft, value: Value<'_>) -> Result<(), Stop> {
    let mut parts = value.split(',');
    let word = parts.next().unwrap_or(value);
    if word.text == "noalert" {
        draft.rule.is_silent = true;
        return Ok(());
    }
    let action = bit_action(word)?;
    let Some(names) = parts.next() else { return Err(value.expected("the name of a bit")) };
    if let Some(more) = parts.next() {
        return Err(more.expected("nothing more"));
    }
    let names = names.split('|').map(bit_name).collect::<Result<Vec<_>, _>>()?;
    if names.len() > 1 && !action.is_question() {
        return Err(value.expected("one bit that is set, unset or toggled"));
    }
    draft.rule.flow_bits.push(FlowBit { action, names });
    Ok(())
}

fn cross_bits(draft: &mut Draft, value: Value<'_>) -> Result<(), Stop> {
    let mut parts = value.split(',');
    let word = parts.next().unwrap_or(value);
    if word.text == "noalert" {
        draft.rule.is_silent = true;
        return Ok(());
    }
    let action = bit_action(word)?;
    let Some(name) = parts.next() else { return Err(value.expected("the name of a bit")) };
    let name = bit_name(name)?;
    let (mut track, mut expire) = (None, None);
    for part in parts {
        let (word, argument) = part.word();
        match word.text {
            "track" => {
                let known = TrackBits::NAMES.iter().find(|(name, _)| *name == argument.text);
                let known =
                    known.ok_or_else(|| argument.expected("`ip_src`, `ip_dst` or `ip_pair`"))?;
                track = Some(known.1);
            }
            "expire" => expire = Some(at_least_one(argument)?),
            _ => return Err(part.expected("`track` or `expire`")),
        }
    }
    let track = track.ok_or_else(|| value.expected("`track`"))?;
    // Public rules say it also where a bit is asked for, where it means nothing.
    let expire = expire.filter(|_| matches!(action, BitAction::Set | BitAction::Toggle));
    draft.rule.cross_bits.push(CrossBit { action, name, track, expire });
    Ok(())
}

fn at_least_one(value: Value<'_>) -> Result<NonZeroU32, Stop> {
    let expected = "a number from 1 to 4294967295";
    NonZeroU32::new(value.number(expected)?).ok_or_else(|| value.expected(expected))
}

/// `type limit, track by_src, count 1, seconds 60`
struct Numbers {
    kind: Option<ThresholdKind>,
    track: Track,
    count: NonZeroU32,
    seconds: NonZeroU32,
}

impl Numbers {
    fn parse(value: Value<'_>, has_kind: bool) -> Result<Self, Stop> {
        let (mut kind, mut track, mut count, mut seconds) = (None, None, None, None);
        for part in value.split(',') {
            let (word, argument) = part.word();
            let is_first = match word.text {
                "type" if has_kind => {
                    let known =
                        ThresholdKind::NAMES.iter().find(|(name, _)| *name == argument.text);
                    match known {
                        Some((_, found)) => kind.replace(*found).is_none(),
                        None if argument.text == "backoff" => {
                            return Err(argument.unsupported(None));
                        }
                        None => return Err(argument.expected("`limit`, `threshold` or `both`")),
                    }
                }
                "track" => {
                    let known = Track::NAMES.iter().find(|(name, _)| *name == argument.text);
                    let expected = "`by_src`, `by_dst`, `by_both`, `by_rule` or `by_flow`";
                    track.replace(known.ok_or_else(|| argument.expected(expected))?.1).is_none()
                }
                "count" => count.replace(at_least_one(argument)?).is_none(),
                "seconds" => seconds.replace(at_least_one(argument)?).is_none(),
                _ => return Err(part.expected("`type`, `track`, `count` or `seconds`")),
            };
            if !is_first {
                return Err(part.expected("each of them once"));
            }
        }
        match (track, count, seconds) {
            (Some(track), Some(count), Some(seconds)) => Ok(Self { kind, track, count, seconds }),
            _ => Err(value.expected("`track`, `count` and `seconds`")),
        }
    }
}
