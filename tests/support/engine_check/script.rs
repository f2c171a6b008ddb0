//! Inspectors and a rewriter that do what the packet says: each has a byte of the payload to obey.

use std::mem::take;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard};

use gwlb_geneve::Side as End;
use gwlb_geneve::flow::{Direction, FlowKey};
use gwlb_geneve::inspect::*;
use gwlb_geneve::packet::{EditError, PacketMut};

/// What the inspectors of one engine have done.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Entries>>);

#[derive(Default)]
struct Entries {
    living: isize,
    opened: Vec<FlowKey>,
    refused: bool,
    /// What an inspector was shown that it must not be shown.
    wrong: Option<String>,
    injected: Vec<Vec<u8>>,
}

thread_local! {
    /// A rewriter is told nothing, so it has no log.
    static REWRITER_PANICKED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

impl Log {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// States of flows that were made and not dropped.
    pub fn living(&self) -> isize {
        self.entries().living
    }

    /// Flows that a first packet was seen of.
    pub fn take_opened(&self) -> Vec<FlowKey> {
        take(&mut self.entries().opened)
    }

    /// Whether a flow was refused for good.
    pub fn take_refused(&self) -> bool {
        take(&mut self.entries().refused)
    }

    /// What an inspector was shown that it must not be shown.
    pub fn take_wrong(&self) -> Option<String> {
        take(&mut self.entries().wrong)
    }

    /// Packets that inspectors made.
    pub fn take_injected(&self) -> Vec<Vec<u8>> {
        take(&mut self.entries().injected)
    }

    pub fn take_rewriter_panicked(&self) -> bool {
        REWRITER_PANICKED.take()
    }
}

pub fn tuple(log: &Log) -> (Scripted<0>, Scripted<1>, Scripted<2>) {
    (Scripted(log.clone()), Scripted(log.clone()), Scripted(log.clone()))
}

pub fn chain(log: &Log) -> Chain {
    let mut chain = Chain::new();
    chain.push(Scripted::<0>(log.clone())).unwrap();
    chain.push(Scripted::<1>(log.clone())).unwrap();
    chain.push(Scripted::<2>(log.clone())).unwrap();
    chain
}

/// Number `N` obeys byte `N` of a payload, and byte `4 + N` when a flow begins.
pub struct Scripted<const N: usize>(Log);

/// What is remembered of a flow: how many packets there were, and what the flow's end is to bring. How far the streams of client and
/// server are.
pub struct Memory {
    log: Log,
    packets: u32,
    at_end: u8,
    offsets: [u64; 2],
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.log.entries().living -= 1;
    }
}

fn byte(packet: &Packet<'_>, at: usize) -> u8 {
    packet.payload().get(at).copied().unwrap_or_default()
}

/// Without a message on the standard error.
fn panic_quietly() -> ! {
    resume_unwind(Box::new("as the script says"))
}

impl<const N: usize> Scripted<N> {
    /// About the flow of a packet, whose end is told without one.
    fn say(cx: &mut Context<'_>, packet: Option<&Packet<'_>>, message: String) {
        let flow = packet.map(|packet| packet.flow().to_string()).unwrap_or_default();
        let name = ["first", "second", "third"][N];
        let message =
            format!("{flow}: {message}, marks {:x}, at {}", cx.marks(), cx.now().as_nanos());
        let severity = Severity::Notice;
        cx.alert(Alert { name: name.into(), message: message.into(), severity, rule: None });
    }

    fn inject(&self, packet: &Packet<'_>, cx: &mut Context<'_>) {
        let mut bytes = packet.ip().bytes().to_vec();
        // Nobody could tell it from what the engine makes otherwise.
        bytes.extend(b"injected");
        self.0.entries().injected.push(bytes.clone());
        cx.inject(packet.direction(), bytes);
    }
}

impl<const N: usize> Scripted<N> {
    /// Does what a part of the stream says.
    fn part(&self, packet: &Packet<'_>, what: u8, cx: &mut Context<'_>) -> Verdict {
        let reason = Reason::new("part");
        match what {
            4 => {
                self.0.entries().refused = true;
                return Verdict::drop(reason);
            }
            5 => {
                self.0.entries().refused = true;
                return Verdict::reject(reason);
            }
            6 => return Verdict::PASS_FLOW,
            12 => panic_quietly(),
            16..24 => Self::say(cx, Some(packet), "a part".to_string()),
            24..26 => self.inject(packet, cx),
            32..36 => cx.mark(1 << (16 + N)),
            _ => {}
        }
        Verdict::PASS
    }
}

impl<const N: usize> Inspector for Scripted<N> {
    type Flow = Memory;
    const INTEREST: Interest = match N {
        0 => Interest::PACKETS.and(Interest::END),
        1 => Interest::ALL.without(Interest::GAPS),
        _ => Interest::ALL.without(Interest::END),
    };

    fn wants(&self, flow: &Memory) -> Interest {
        let patience = 40 * N as u64;
        if flow.offsets[0] > patience { Interest::PACKETS } else { Self::INTEREST }
    }

    fn name(&self) -> &str {
        ["first", "second", "third"][N]
    }

    fn open(&mut self, first: &Packet<'_>, cx: &mut Context<'_>) -> Option<Memory> {
        self.0.entries().opened.push(*first.flow());
        let at_end = byte(first, 3);
        match byte(first, 4 + N) {
            1..8 => return None,
            8..12 => panic_quietly(),
            12..16 => Self::say(cx, Some(first), format!("opens {:?}", first.beginning())),
            16..20 => self.inject(first, cx),
            20..24 => cx.mark(1 << N),
            24..28 => cx.capture(),
            _ => {}
        }
        self.0.entries().living += 1;
        Some(Memory { log: self.0.clone(), packets: 0, at_end, offsets: [0; 2] })
    }

    fn packet(&mut self, flow: &mut Memory, packet: &Packet<'_>, cx: &mut Context<'_>) -> Verdict {
        flow.packets += 1;
        let reason = Reason::new(["one", "two", "three"][N]);
        match byte(packet, N) {
            1..4 => return Verdict::PASS_FLOW,
            4..8 => return Verdict::drop(reason),
            8 => {
                self.0.entries().refused = true;
                return Verdict::drop(reason).for_flow();
            }
            9..12 => {
                self.0.entries().refused = true;
                return Verdict::reject(reason);
            }
            12 => panic_quietly(),
            13 => {
                Self::say(cx, Some(packet), "to be forgotten".to_string());
                panic_quietly();
            }
            16..24 => Self::say(cx, Some(packet), format!("packet {}", flow.packets)),
            24..32 => self.inject(packet, cx),
            32..36 => cx.mark(1 << (8 + N)),
            36..38 => cx.capture(),
            _ => {}
        }
        Verdict::PASS
    }

    fn stream(
        &mut self,
        flow: &mut Memory,
        chunk: &StreamChunk<'_>,
        cx: &mut Context<'_>,
    ) -> Verdict {
        let next = &mut flow.offsets[usize::from(chunk.side == End::Server)];
        let may_skip = Self::INTEREST.contains(Interest::GAPS);
        let is_in_order = if may_skip { chunk.offset >= *next } else { chunk.offset == *next };
        if chunk.data.is_empty() || !is_in_order {
            self.0.entries().wrong = Some(format!("{:?} after {next}", chunk.offset));
        }
        *next = chunk.offset + chunk.data.len() as u64;
        self.part(chunk.packet, chunk.data[chunk.data.len() / 2], cx)
    }

    fn message(
        &mut self,
        _flow: &mut Memory,
        message: &Message<'_>,
        cx: &mut Context<'_>,
    ) -> Verdict {
        Self::say(cx, Some(message.packet), format!("{:?} says {}", message.side, message.what));
        self.part(message.packet, message.packet.payload().last().copied().unwrap_or_default(), cx)
    }

    fn close(&mut self, flow: Memory, why: CloseReason, cx: &mut Context<'_>) {
        match flow.at_end {
            1..4 => panic_quietly(),
            4..16 => Self::say(cx, None, format!("closes {why:?} after {}", flow.packets)),
            16..20 => {
                let packet = vec![0x45; 20];
                self.0.entries().injected.push(packet.clone());
                cx.inject(Direction::Forward, packet);
            }
            _ => {}
        }
    }
}

/// Changes what byte 7 of a payload says.
pub struct Words;

/// Byte 7 and byte 8.
pub struct Plan(u8, u8);

impl Rewriter for Words {
    type Plan = Plan;

    fn plan(&mut self, packet: &Packet<'_>, cx: &mut Context<'_>) -> Option<Plan> {
        match byte(packet, 7) {
            1 => panic_quietly(),
            2 => Scripted::<0>::say(cx, Some(packet), "is to be rewritten".to_string()),
            3 => cx.mark(1 << 31),
            4 => cx.capture(),
            what @ 8..32 => return Some(Plan(what, byte(packet, 8))),
            _ => {}
        }
        None
    }

    fn rewrite(&mut self, plan: Plan, packet: &mut PacketMut<'_>) -> Result<(), EditError> {
        let Plan(what, value) = plan;
        match what {
            8..10 => packet.set_hop_limit(value),
            10..12 => packet.set_source_port(u16::from(value) << 4)?,
            12..14 => packet.set_destination_port(u16::from(value) << 4)?,
            14 => packet.set_source([10, 0, value, 1].into())?,
            15 => packet.set_destination([10, 0, value, 2].into())?,
            // Shorter and longer, at times longer than there is room for.
            16..20 => drop(packet.set_udp_payload(&vec![value; usize::from(value / 2)])?),
            20..22 => packet.set_dscp(value)?,
            22..24 => packet.payload_mut(|payload| payload.reverse())?,
            24..26 => {
                packet.set_hop_limit(value);
                packet.replace(0..1, &[])?;
            }
            26 => {
                packet.set_hop_limit(value);
                REWRITER_PANICKED.set(true);
                panic_quietly();
            }
            _ => {}
        }
        Ok(())
    }
}
