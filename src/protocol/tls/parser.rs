use sha2::{Digest, Sha256};

use super::super::parser::{Context, End, Guess, Outcome, Parser as Plug, Stop};
use super::super::room::Room;
use super::super::sides::Sides;
use super::super::{Message, Why};
use super::assembly::{Assembly, CERTIFICATE, CLIENT_HELLO, Fault, SERVER_HELLO, Step};
use super::{Anomalies, Certificates, ClientHello, ServerHello, Version};
use crate::Side;

/// TLS of one flow, as long as it is in clear.
#[derive(Debug, Default)]
pub(in super::super) struct Parser {
    sides: Sides<Half>,
    is_done: Sides<bool>,
    progress: Handshake,
}

/// What one side said.
#[derive(Debug, Default)]
struct Half {
    assembly: Assembly,
    /// It has said a hello, of whatever kind.
    has_begun: bool,
    /// The server name of its latest ClientHello, hashed; `None` before there was one.
    server_name: Option<NameHash>,
    /// Its latest ClientHello announced data before the answer.
    has_early_data: bool,
    /// It said that it would encrypt, at a time when that may mean nothing.
    may_encrypt: bool,
}

/// What both sides know.
#[derive(Debug, Default)]
struct Handshake {
    /// The server has asked for another hello, which has not come yet.
    is_retry_due: bool,
    /// The client may have TLS 1.3.
    offers_tls_1_3: bool,
    /// What the server chose.
    version: Option<Version>,
}

/// A server name, or that there is none, in a size that a state of many can hold. Cut from SHA-256: whoever wants
/// two names to look the same has to try 2^64 of them.
type NameHash = [u8; 16];

/// It lies in every session.
const _: () = assert!(size_of::<Parser>() <= 256);

/// Whether first bytes are of a record, or of a hello as SSL 2.0 had it (RFC 5246 §E.2).
pub(in super::super) fn guess(side: Side, start: &[u8]) -> Guess {
    match *start {
        // Servers take any lower half of the version.
        [22, 3, ..] | [20..=24, 3, 0..=4, ..] => Guess::Yes,
        [] | [20..=24] | [20..=24, 3] => Guess::More,
        // Length, type, version, and the lengths of cipher suites, session and challenge.
        [high, _, 1, 0 | 3, minor, _, suites, _, session, _, challenge, ..]
            if side == Side::Client && high & 0x80 != 0 && minor <= 4 =>
        {
            let is_hello = suites != 0 && session & 0xef == 0 && (16..=32).contains(&challenge);
            if is_hello { Guess::Yes } else { Guess::No }
        }
        [high, ref rest @ ..] if side == Side::Client && high & 0x80 != 0 && rest.len() < 10 => {
            match *rest {
                [] | [_] | [_, 1] | [_, 1, 0 | 3, ..] => Guess::More,
                _ => Guess::No,
            }
        }
        _ => Guess::No,
    }
}

impl Plug for Parser {
    fn feed(&mut self, side: Side, at: u64, bytes: &[u8], cx: &mut Context<'_>) -> Outcome {
        let mut rest = bytes;
        let end = at.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        while !*self.is_done.of(side) {
            let assembly = &mut self.sides.of_mut(side).assembly;
            let step = match assembly.step(&mut rest, end, cx.limits, cx.room) {
                Ok(Step::More) => break,
                Ok(step) => step,
                Err(fault) => return stop(side, fault),
            };
            self.take(side, step, cx)?;
        }
        Outcome::Continue(())
    }

    fn gap(&mut self, side: Side, at: u64, _: u64, _: &mut Context<'_>) -> Outcome {
        stop(side, Fault { why: Why::Gap, reason: "bytes of the handshake missing", at })
    }

    fn end(&mut self, side: Side, _: u64, _: &mut Context<'_>) -> Outcome {
        let assembly = &self.sides.of(side).assembly;
        if assembly.is_between_records() {
            return Outcome::Continue(());
        }
        let reason = "end in the middle of a handshake";
        stop(side, Fault { why: Why::Truncated, reason, at: assembly.unfinished_at() })
    }

    fn deafen(&mut self, side: Side, room: &mut Room) {
        *self.is_done.of_mut(side) = true;
        self.sides.of_mut(side).assembly.release(room);
    }

    fn wants(&self, side: Side) -> bool {
        !*self.is_done.of(side)
    }

    fn close(&mut self, room: &mut Room) {
        for side in Side::ALL {
            self.sides.of_mut(side).assembly.release(room);
        }
    }
}

impl Parser {
    fn take(&mut self, side: Side, step: Step<'_>, cx: &mut Context<'_>) -> Outcome {
        let half = self.sides.of_mut(side);
        let at = half.assembly.record_at();
        let unparsable = |reason| stop(side, Fault { why: Why::Unparsable, reason, at });
        match step {
            Step::More => Outcome::Continue(()),
            Step::Alert(alert) => cx.give(side, Message::TlsAlert(alert)),
            Step::ApplicationData => {
                // Before the server has answered a client may already send, encrypted.
                if half.has_early_data && self.progress.version.is_none() {
                    Outcome::Continue(())
                } else if half.may_encrypt {
                    self.deafen(side, cx.room);
                    Outcome::Continue(())
                } else if half.has_begun {
                    unparsable("application data before it is encrypted")
                } else {
                    unparsable("encrypted from the start")
                }
            }
            Step::ChangeCipherSpec => {
                match (self.progress.version, half.has_begun) {
                    (_, false) => return unparsable("ChangeCipherSpec before a hello"),
                    // It means nothing in TLS 1.3, and comes before what is not encrypted yet (RFC 8446 §D.4).
                    (None, true) if self.progress.offers_tls_1_3 => half.may_encrypt = true,
                    (Some(version), true) if version.is_tls_1_3() => {}
                    (_, true) => self.deafen(side, cx.room),
                }
                Outcome::Continue(())
            }
            Step::Passed { message_type } => {
                if half.may_encrypt {
                    // No server was seen that answered in TLS 1.3, so it has meant what it said.
                    self.deafen(side, cx.room);
                } else if !half.has_begun && message_type != HELLO_REQUEST {
                    return unparsable(NO_HELLO);
                }
                Outcome::Continue(())
            }
            Step::Message { message_type, body, anomalies } => {
                let outcome = self.message(side, message_type, body, anomalies, cx);
                self.sides.of_mut(side).assembly.release(cx.room);
                // The message may have ended what is in clear.
                let other = side.other();
                if !self.wants(other) {
                    self.deafen(other, cx.room);
                }
                outcome
            }
        }
    }

    fn message(
        &mut self,
        side: Side,
        message_type: u8,
        body: Option<&[u8]>,
        mut anomalies: Anomalies,
        cx: &mut Context<'_>,
    ) -> Outcome {
        let Half { assembly, has_begun, server_name, has_early_data, .. } = self.sides.of_mut(side);
        let body = body.unwrap_or(assembly.gathered());
        let at = assembly.message_at();
        let unparsable = |reason| stop(side, Fault { why: Why::Unparsable, reason, at });
        match message_type {
            CLIENT_HELLO => {
                let mut hello = match ClientHello::parse(body) {
                    Ok(hello) => hello,
                    Err(error) => return unparsable(error.reason()),
                };
                let name = hash(&hello);
                let before = server_name.replace(name);
                hello.is_retry = before.is_some() && self.progress.is_retry_due;
                hello.has_other_server_name = before.is_some_and(|before| before != name);
                let is_repeated = before.is_some() && !hello.is_retry;
                anomalies.note(Anomalies::HELLO_REPEATED, is_repeated);
                anomalies.note(Anomalies::ROLES_SWAPPED, side == Side::Server);
                hello.anomalies |= anomalies;
                *has_begun = true;
                *has_early_data |= hello.has_early_data();
                self.progress.is_retry_due = false;
                self.progress.offers_tls_1_3 |= hello.offers_tls_1_3();
                cx.give(side, Message::TlsClientHello(hello))
            }
            SERVER_HELLO => {
                let mut hello = match ServerHello::parse(body) {
                    Ok(hello) => hello,
                    Err(error) => return unparsable(error.reason()),
                };
                anomalies.note(Anomalies::ROLES_SWAPPED, side == Side::Client);
                hello.anomalies |= anomalies;
                *has_begun = true;
                if hello.is_hello_retry_request() {
                    self.progress.is_retry_due = true;
                } else {
                    let version = hello.version();
                    self.progress.version = Some(version);
                    if version.is_tls_1_3() {
                        self.is_done = Sides { client: true, server: true };
                    }
                }
                cx.give(side, Message::TlsServerHello(hello))
            }
            CERTIFICATE => match Certificates::parse(body) {
                Ok(_) if !*has_begun => unparsable(NO_HELLO),
                Ok(certificates) => cx.give(side, Message::TlsCertificates(certificates)),
                Err(error) => unparsable(error.reason()),
            },
            _ => Outcome::Continue(()),
        }
    }
}

const HELLO_REQUEST: u8 = 0;
const NO_HELLO: &str = "handshake without a hello";

/// What a client sends counts for both: without it the answers mean little.
const fn stop(side: Side, fault: Fault) -> Outcome {
    let Fault { why, reason, at } = fault;
    let is_whole_flow = matches!(side, Side::Client);
    Outcome::Break(Stop::Opaque(End { side, why, reason, at, is_whole_flow }))
}

fn hash(hello: &ClientHello<'_>) -> NameHash {
    let mut sha = Sha256::new();
    for name in hello.server_names().into_iter().flatten() {
        sha.update([1, name.name_type]);
        sha.update(u64::try_from(name.name.len()).unwrap_or(u64::MAX).to_be_bytes());
        sha.update(name.name);
    }
    let mut short = NameHash::default();
    for (to, from) in short.iter_mut().zip(sha.finalize()) {
        *to = from;
    }
    short
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// More bytes may end the doubt, and never change what is certain.
        #[test]
        fn a_guess_is_kept(
            first in prop_oneof![18_u8..26, 0x7e_u8..0x84],
            start in [0_u8..5, 0..5, 0..5, 0..7],
            lengths in [0_u8..2, 0..4, 0..2, 0..20, 0..2, 14..34],
            is_client: bool,
        ) {
            let side = if is_client { Side::Client } else { Side::Server };
            let bytes = [&[first][..], &start, &lengths, &[0; 13]].concat();
            let guesses: Vec<_> = (0..=bytes.len()).map(|len| guess(side, &bytes[..len])).collect();
            let certain = guesses.iter().position(|guess| *guess != Guess::More);
            let Some(certain) = certain else { panic!("never certain: {bytes:?}") };
            prop_assert!(certain <= 11, "{bytes:?}");
            prop_assert!(guesses[certain..].iter().all(|guess| *guess == guesses[certain]), "{guesses:?}");
        }
    }

    #[test]
    fn records_and_old_hellos() {
        for (start, expected) in [
            (&[22, 3][..], Guess::Yes),
            (&[23, 3, 3], Guess::Yes),
            (&[23, 3, 5], Guess::No),
            (&[22, 2], Guess::No),
            (&[0x80, 46, 1, 3, 1, 0, 21, 0, 0, 0, 16], Guess::Yes),
            (&[0x80, 46, 1, 0, 2, 0, 21, 0, 16, 0, 16], Guess::Yes),
            (&[0x80, 46, 1, 3, 1, 0, 21, 0, 0, 0, 99], Guess::No),
            (b"GET / HTTP/1.1", Guess::No),
        ] {
            assert_eq!(guess(Side::Client, start), expected, "{start:?}");
        }
        assert_eq!(guess(Side::Server, &[0x80, 46, 1, 3, 1, 0, 21, 0, 0, 0, 16]), Guess::No);
    }
}
