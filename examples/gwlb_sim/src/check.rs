//! Holds every answer against what was sent.

use std::net::SocketAddrV4;

use gwlb_geneve::packet::{IcmpVersion, IpPacket, TcpFlags, Transport};

use crate::envelope::{GENEVE_LEN, UDP_AT, cookie};
use crate::faults;
use crate::ledger::{Ledger, State};
use crate::link::Received;
use crate::tally::{Tally, Wrong};

/// Checks answers, and counts what it finds.
#[derive(Debug)]
pub(crate) struct Checker {
    pub(crate) ledger: Ledger,
    pub(crate) tally: Tally,
    appliance: SocketAddrV4,
    /// Whether resets and ICMP errors may be injected.
    may_inject: bool,
}

impl Checker {
    pub(crate) fn new(ledger: Ledger, appliance: SocketAddrV4, may_inject: bool) -> Self {
        Self { ledger, tally: Tally::new(), appliance, may_inject }
    }

    /// An answer that came to the load balancer's address of this number.
    #[inline]
    pub(crate) fn check(&mut self, gateway: usize, received: &Received<'_>, now: u64) {
        let payload = received.payload;
        let flow = cookie(payload).and_then(|cookie| self.ledger.flows.with_cookie(cookie));
        match flow.and_then(|flow| self.ledger.answer(flow, payload)) {
            Some(slot) => self.settled(slot, gateway, received.from, now),
            None => self.odd(flow, received),
        }
    }

    /// Counts what is overdue.
    pub(crate) fn expire(&mut self, before: u64) {
        self.tally.lost += self.ledger.expire(before);
    }

    /// The answer to the packet in a slot came, with the very bytes that were sent: is the rest right too?
    #[inline]
    fn settled(&mut self, slot: u32, gateway: usize, from: SocketAddrV4, now: u64) {
        let entry = *self.ledger.slot(slot);
        let port = self.source_port(slot);
        if from.ip() != self.appliance.ip() || gateway != usize::from(entry.gateway) {
            let to = *self.appliance.ip();
            return self.amiss(Wrong::Address, || {
                format!("expected an answer from {to} to address {}, found one from {} to address {gateway}", entry.gateway, from.ip())
            });
        }
        if from.port() != port {
            return self.amiss(Wrong::SourcePort, || {
                format!("expected UDP source port {port}, found {}", from.port())
            });
        }
        let flow = self.ledger.flows.get_mut(entry.flow);
        let next = entry.number.wrapping_add(1);
        if (next.wrapping_sub(flow.answered) as i32) < 0 {
            self.tally.reordered += 1;
        } else {
            flow.answered = next;
        }
        self.tally.answered += 1;
        self.tally.inner_bytes += (self.ledger.payload(slot).len() - GENEVE_LEN) as u64;
        self.tally.latency.saturating_record(now.saturating_sub(entry.sent_at));
    }

    /// An answer whose bytes no waiting packet of its flow has.
    #[cold]
    fn odd(&mut self, flow: Option<u32>, received: &Received<'_>) {
        let payload = received.payload;
        let past = self.ledger.all_past().find(|&slot| self.ledger.payload(slot) == payload);
        if let Some(slot) = past {
            let port = self.source_port(slot);
            return match self.ledger.slot(slot).state {
                State::Forbidden(why) => {
                    self.tally.answered_forbidden[usize::from(why)] += 1;
                    let name = faults::NAMES[usize::from(why)];
                    self.tally.example(|| format!("answered though it must not be: {name}"));
                }
                State::Overdue => {
                    self.ledger.came_late(slot);
                    self.tally.late += 1;
                }
                _ if received.from.port() != port => self.amiss(Wrong::SourcePort, || {
                    format!("expected UDP source port {port}, found {}", received.from.port())
                }),
                _ => self.tally.duplicates += 1,
            };
        }
        if self.is_injected(flow, received) {
            if self.may_inject {
                self.tally.injected += 1;
            } else {
                self.amiss(Wrong::Injected, || "a reset or an ICMP error was injected".into());
            }
            return;
        }
        let Some((slot, kind)) = self.likeliest(flow, payload) else {
            let len = payload.len();
            return self.amiss(Wrong::Unknown, || {
                format!("{len} bytes from {} answer nothing that waits", received.from)
            });
        };
        let sent = self.ledger.payload(slot);
        let at = sent.iter().zip(payload).position(|(sent, found)| sent != found);
        let text = match at {
            Some(at) => {
                format!(
                    "{}: expected {:#04x} at byte {at} of the UDP payload, found {:#04x}",
                    kind.name(),
                    sent[at],
                    payload[at]
                )
            }
            None => {
                format!(
                    "{}: expected {} bytes of UDP payload, found {}",
                    kind.name(),
                    sent.len(),
                    payload.len()
                )
            }
        };
        self.amiss(kind, || text);
        // It is the answer to that packet, if a wrong one: nothing is lost.
        self.ledger.settle(slot, State::Answered);
    }

    /// Whether this is a packet that the appliance made up to end a flow, in that flow's envelope.
    fn is_injected(&self, flow: Option<u32>, received: &Received<'_>) -> bool {
        let Some((header, inner)) = received.payload.split_at_checked(GENEVE_LEN) else {
            return false;
        };
        let Some(flow) = flow else { return false };
        // The latest envelope is still known, since what was answered is remembered.
        let waiting = self.ledger.of_flow(flow);
        let past = self.ledger.all_past().filter(|&slot| self.ledger.slot(slot).flow == flow);
        let in_flow = waiting.chain(past).any(|slot| {
            let sent = self.ledger.payload(slot);
            sent.get(..2) == header.get(..2)
                && sent.get(4..GENEVE_LEN) == header.get(4..)
                && self.source_port(slot) == received.from.port()
        });
        in_flow && received.from.ip() == self.appliance.ip() && ends_a_flow(inner)
    }

    /// The waiting packet that this is most likely the answer to, and what is wrong with it.
    fn likeliest(&self, flow: Option<u32>, payload: &[u8]) -> Option<(u32, Wrong)> {
        let of_flow = flow.into_iter().flat_map(|flow| self.ledger.of_flow(flow));
        let best = of_flow.map(|slot| (difference(self.ledger.payload(slot), payload), slot)).min();
        let same_header =
            |slot: u32| self.ledger.payload(slot).get(..GENEVE_LEN) == payload.get(..GENEVE_LEN);
        if let Some((_, slot)) = best.filter(|(_, slot)| same_header(*slot)) {
            let same_len = self.ledger.payload(slot).len() == payload.len();
            return Some((slot, if same_len { Wrong::Inner } else { Wrong::Length }));
        }
        // Of another flow by its cookie, or of none: then the inner packet tells.
        let inner = |slot: u32| self.ledger.payload(slot).get(GENEVE_LEN..).unwrap_or_default();
        let same_inner = |slot: &u32| inner(*slot).len() >= 20 && payload.ends_with(inner(*slot));
        self.ledger.all_waiting().find(same_inner).map(|slot| (slot, Wrong::Geneve))
    }

    fn source_port(&self, slot: u32) -> u16 {
        let port = self.ledger.frame(slot).get(UDP_AT..UDP_AT + 2);
        port.and_then(|port| port.try_into().ok()).map_or(0, u16::from_be_bytes)
    }

    #[cold]
    fn amiss(&mut self, kind: Wrong, describe: impl FnOnce() -> String) {
        self.tally.wrong(kind, 1);
        self.tally.example(describe);
    }
}

/// How many bytes differ, those that one has more included.
fn difference(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).filter(|(a, b)| a != b).count() + a.len().abs_diff(b.len())
}

/// Whether a packet is a TCP reset or says that a destination is unreachable.
fn ends_a_flow(inner: &[u8]) -> bool {
    let Ok(packet) = IpPacket::parse(inner) else { return false };
    match packet.transport() {
        Ok(Transport::Tcp(segment)) => segment.flags().intersects(TcpFlags::RST),
        Ok(Transport::Icmp(message) | Transport::Icmpv6(message)) => match message.version() {
            IcmpVersion::V4 => message.message_type() == 3,
            IcmpVersion::V6 => message.message_type() == 1,
        },
        _ => false,
    }
}
