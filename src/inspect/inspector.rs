use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use thiserror::Error;

use super::{Context, Interest, Message, Packet, Seen, StreamChunk, Verdict};

/// Looks at the packets of flows, at the bytes or the messages in them, and says what becomes of them.
///
/// A packet goes through the hooks in this order: [`packet`](Self::packet), then [`stream`](Self::stream) for the bytes that are in
/// order with it, then [`message`](Self::message) for the messages that it makes whole. The first refusal ends it. Packets go
/// on as soon as they are judged and none is held back, so what is forbidden in a stream is stopped at the packet that completes it:
/// the receiver never has it whole.
///
/// ```
/// use gwlb_geneve::inspect::{Context, Inspector, Interest, Packet, Reason, Verdict};
///
/// /// Lets each flow have so many packets.
/// struct Allowance(u32);
///
/// impl Inspector for Allowance {
///     type Flow = u32;
///     const INTEREST: Interest = Interest::PACKETS;
///
///     fn name(&self) -> &str {
///         "allowance"
///     }
///
///     fn open(&mut self, _first: &Packet<'_>, _cx: &mut Context<'_>) -> Option<u32> {
///         Some(self.0)
///     }
///
///     fn packet(&mut self, left: &mut u32, _packet: &Packet<'_>, _cx: &mut Context<'_>) -> Verdict {
///         match left.checked_sub(1) {
///             Some(less) => {
///                 *left = less;
///                 Verdict::PASS
///             }
///             None => Verdict::drop(Reason::new("allowance-used")),
///         }
///     }
/// }
/// ```
pub trait Inspector: Send + 'static {
    /// What is remembered of a flow. The engine owns it, and drops it when the flow ends.
    type Flow: Send + 'static;

    /// Which hooks are to be called: those that are not named here are not called, written or not. There is no default, so
    /// that nobody forgets to name them, and [`check`] refuses an inspector that names none.
    const INTEREST: Interest;

    /// The hooks that this very inspector has use for, out of [`INTEREST`](Self::INTEREST): fewer than that where its
    /// configuration says so. It must not change.
    #[inline]
    fn interest(&self) -> Interest {
        Self::INTEREST
    }

    /// What it still has use for in a flow, out of [`interest`](Self::interest): streams and messages that nobody wants any more
    /// are not put in order, and nobody pays for them. They are not taken up again. Asked when a flow begins and after each packet
    /// with which there was a [`stream`](Self::stream) or a [`message`](Self::message) to look at.
    #[inline]
    fn wants(&self, flow: &Self::Flow) -> Interest {
        let _ = flow;
        self.interest()
    }

    /// A name for logs and configuration, used once in a composition.
    fn name(&self) -> &str;

    /// A flow begins; `first` is its first packet, which [`packet`](Self::packet) sees too. `None`: not mine, do not
    /// ask again.
    fn open(&mut self, first: &Packet<'_>, cx: &mut Context<'_>) -> Option<Self::Flow>;

    /// A packet of the flow, in either direction, before it is forwarded. Called with [`Interest::PACKETS`].
    #[inline]
    fn packet(
        &mut self,
        flow: &mut Self::Flow,
        packet: &Packet<'_>,
        cx: &mut Context<'_>,
    ) -> Verdict {
        let _ = (flow, packet, cx);
        Verdict::PASS
    }

    /// Bytes of a TCP connection in order, before the packet that brings them is forwarded. Called with [`Interest::STREAM`].
    ///
    /// A refusal is for the flow, whatever its scope: bytes cannot be left out of a stream.
    #[inline]
    fn stream(
        &mut self,
        flow: &mut Self::Flow,
        chunk: &StreamChunk<'_>,
        cx: &mut Context<'_>,
    ) -> Verdict {
        let _ = (flow, chunk, cx);
        Verdict::PASS
    }

    /// A message that has become whole, before the packet that completes it is forwarded. Called with [`Interest::HTTP`],
    /// [`Interest::TLS`] and [`Interest::DNS`] for messages of that protocol; and, whatever the protocol, for the first of a flow and
    /// for what is [opaque](crate::protocol::Message::Opaque), which an inspector that allows only what it knows must refuse.
    ///
    /// A refusal is for the flow, whatever its scope.
    #[inline]
    fn message(
        &mut self,
        flow: &mut Self::Flow,
        message: &Message<'_>,
        cx: &mut Context<'_>,
    ) -> Verdict {
        let _ = (flow, message, cx);
        Verdict::PASS
    }

    /// The flow is over, or the inspector is done with it. Called with [`Interest::END`].
    #[inline]
    fn close(&mut self, flow: Self::Flow, why: CloseReason, cx: &mut Context<'_>) {
        let _ = (flow, why, cx);
    }

    /// Goes on after a panic: `fresh` is a new inspector, made as this one was. It takes this one's place, with the
    /// states of all flows as they are; a composition that keeps states itself has to move them.
    fn recover(&mut self, fresh: Self)
    where
        Self: Sized,
    {
        *self = fresh;
    }

    /// Shows each inspector in this one to `visit`: itself, unless it is a composition.
    fn members(&self, visit: &mut dyn FnMut(Member<'_>)) {
        visit(Member { name: self.name(), interest: self.interest() });
    }

    /// Asks every inspector in this one, also those that a refusal before them would have spared.
    fn explain(
        &mut self,
        flow: &mut Self::Flow,
        seen: &Seen<'_>,
        cx: &mut Context<'_>,
        votes: &mut Vec<Vote>,
    ) {
        let verdict = seen.is_for(self, flow).then(|| seen.ask(self, flow, cx));
        votes.push(Vote { name: self.name().to_owned(), verdict, because: Vec::new() });
    }
}

/// Why an inspector sees no more of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// Both ends closed it, or one reset it.
    Closed,
    /// Nothing was heard of it for its time-out.
    Idle,
    /// It made room for another one.
    Evicted,
    /// A verdict ended it.
    Refused,
    /// The inspector said that it is done.
    Done,
    /// A new connection began between the same ends.
    Replaced,
    /// The inspector was replaced by another one, which goes on with the flow.
    Reloaded,
    /// An inspector panicked, or used up its time, while it looked at a packet of the flow.
    Failed,
    /// The appliance is going down.
    Shutdown,
}

/// An inspector in a composition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its hooks.
    pub interest: Interest,
}

/// What one inspector said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vote {
    /// The inspector.
    pub name: String,
    /// What it said; `None` where it was not asked: it does not look at such things, the flow is not its own, or it is done
    /// with it.
    pub verdict: Option<Verdict>,
    /// What [decided](Context::decided), in words: rules, or why there was none. In an inspector that was not asked it did so when the
    /// flow began.
    pub because: Vec<String>,
}

/// Why a composition cannot be meant.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// No hook of an inspector would ever be called.
    #[error("inspector {name:?}: expected an interest, found none, so it could never fire")]
    NeverFires {
        /// The inspector.
        name: String,
    },
    /// Two inspectors have one name.
    #[error("inspector {name:?}: expected a name of its own, found it used twice")]
    SameName {
        /// The name.
        name: String,
    },
    /// More inspectors than a chain can hold.
    #[error("chain: expected at most {most} inspectors, found more")]
    TooMany {
        /// How many it can hold.
        most: usize,
    },
}

/// Refuses a composition that cannot be meant. An engine does this when it is made.
///
/// # Errors
///
/// See [`BuildError`].
pub fn check<I: Inspector>(inspector: &I) -> Result<(), BuildError> {
    let mut names: Vec<String> = Vec::new();
    let mut result = Ok(());
    inspector.members(&mut |member| {
        let name = || member.name.to_owned();
        if result.is_err() {
            return;
        }
        if !member.interest.has_hook() {
            result = Err(BuildError::NeverFires { name: name() });
        } else if names.iter().any(|known| known == member.name) {
            result = Err(BuildError::SameName { name: name() });
        }
        names.push(name());
    });
    result
}
