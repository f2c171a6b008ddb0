use super::super::parser::{Context, End, Guess, Outcome, Parser as Plug, Stop};
use super::super::partial::Partial;
use super::super::room::{Buffer, Room};
use super::super::sides::Sides;
use super::Message;
use crate::Side;
use crate::protocol::{self, Why};

/// DNS over TCP (RFC 7766 §8): messages with two bytes of length before each, any number of them.
#[derive(Debug, Default)]
pub(in super::super) struct Parser {
    sides: Sides<Half>,
    is_done: Sides<bool>,
}

#[derive(Debug, Default)]
struct Half {
    length: Partial<2>,
    /// What is still to come of the message.
    left: u16,
    body: Buffer,
    /// Where in the stream the message began, with its length.
    began: u64,
}

/// Nothing in the first bytes tells that it is DNS, only the port.
pub(in super::super) fn guess(hint: Option<u16>) -> Guess {
    if hint == Some(53) { Guess::Yes } else { Guess::No }
}

impl Plug for Parser {
    fn feed(&mut self, side: Side, at: u64, bytes: &[u8], cx: &mut Context<'_>) -> Outcome {
        let end = at.saturating_add(length(bytes));
        let half = self.sides.of_mut(side);
        let mut rest = bytes;
        while !rest.is_empty() {
            if half.left == 0 {
                if half.length.is_empty() {
                    half.began = end.saturating_sub(length(rest));
                }
                let Some(len) = half.length.fill(&mut rest) else { break };
                half.left = u16::from_be_bytes(len);
                if u32::from(half.left) > cx.limits.message {
                    return stop(
                        side,
                        Why::TooLarge,
                        "DNS message larger than is gathered",
                        half.began,
                    );
                }
                let whole = rest.split_at_checked(usize::from(half.left));
                if let Some((message, after)) = whole {
                    rest = after;
                    half.left = 0;
                    give(side, message, half.began, cx)?;
                }
                continue;
            }
            let part = rest.get(..usize::from(half.left)).unwrap_or(rest);
            rest = rest.get(part.len()..).unwrap_or_default();
            if half.body.append(part, cx.room).is_err() {
                return stop(side, Why::NoRoom, "no room to gather a DNS message", half.began);
            }
            half.left = half.left.saturating_sub(u16::try_from(part.len()).unwrap_or(u16::MAX));
            if half.left == 0 {
                give(side, half.body.as_slice(), half.began, cx)?;
                half.body.release(cx.room);
            }
        }
        Outcome::Continue(())
    }

    fn gap(&mut self, side: Side, at: u64, _: u64, _: &mut Context<'_>) -> Outcome {
        stop(side, Why::Gap, "bytes of DNS messages missing", at)
    }

    fn end(&mut self, side: Side, _: u64, _: &mut Context<'_>) -> Outcome {
        let half = self.sides.of(side);
        if half.left == 0 && half.length.is_empty() {
            return Outcome::Continue(());
        }
        stop(side, Why::Truncated, "end in the middle of a DNS message", half.began)
    }

    fn deafen(&mut self, side: Side, room: &mut Room) {
        *self.is_done.of_mut(side) = true;
        self.sides.of_mut(side).body.release(room);
    }

    fn wants(&self, side: Side) -> bool {
        !*self.is_done.of(side)
    }

    fn close(&mut self, room: &mut Room) {
        for side in Side::ALL {
            self.sides.of_mut(side).body.release(room);
        }
    }
}

fn give(side: Side, bytes: &[u8], at: u64, cx: &mut Context<'_>) -> Outcome {
    match Message::parse(bytes) {
        Ok(message) => cx.give(side, protocol::Message::Dns(message)),
        Err(error) => stop(side, Why::Unparsable, error.reason(), at),
    }
}

/// A side that cannot be read leaves nothing of the flow to be judged by if it is the client's.
const fn stop(side: Side, why: Why, reason: &'static str, at: u64) -> Outcome {
    let is_whole_flow = matches!(side, Side::Client);
    Outcome::Break(Stop::Opaque(End { side, why, reason, at, is_whole_flow }))
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
