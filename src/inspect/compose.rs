use alloc::borrow::ToOwned;
use alloc::vec::Vec;
use core::convert::Infallible;

use super::{
    Action, CloseReason, Context, Inspector, Interest, Member, Message, Packet, Scope, Seen,
    StreamChunk, Verdict, Vote,
};

/// Looks at nothing.
impl Inspector for () {
    type Flow = Infallible;
    const INTEREST: Interest = Interest::NONE;

    fn name(&self) -> &str {
        "nothing"
    }

    #[inline]
    fn open(&mut self, _first: &Packet<'_>, _cx: &mut Context<'_>) -> Option<Infallible> {
        None
    }

    fn members(&self, _visit: &mut dyn FnMut(Member<'_>)) {}
}

/// An inspector that may be left out.
impl<I: Inspector> Inspector for Option<I> {
    type Flow = I::Flow;
    const INTEREST: Interest = I::INTEREST;

    #[inline]
    fn interest(&self) -> Interest {
        self.as_ref().map_or(Interest::NONE, I::interest)
    }

    #[inline]
    fn wants(&self, flow: &I::Flow) -> Interest {
        self.as_ref().map_or(Interest::NONE, |inspector| inspector.wants(flow))
    }

    fn name(&self) -> &str {
        self.as_ref().map_or("nothing", I::name)
    }

    #[inline]
    fn open(&mut self, first: &Packet<'_>, cx: &mut Context<'_>) -> Option<I::Flow> {
        self.as_mut()?.open(first, cx)
    }

    #[inline]
    fn packet(&mut self, flow: &mut I::Flow, packet: &Packet<'_>, cx: &mut Context<'_>) -> Verdict {
        self.as_mut().map_or(Verdict::PASS_FLOW, |inspector| inspector.packet(flow, packet, cx))
    }

    #[inline]
    fn stream(
        &mut self,
        flow: &mut I::Flow,
        chunk: &StreamChunk<'_>,
        cx: &mut Context<'_>,
    ) -> Verdict {
        self.as_mut().map_or(Verdict::PASS_FLOW, |inspector| inspector.stream(flow, chunk, cx))
    }

    #[inline]
    fn message(
        &mut self,
        flow: &mut I::Flow,
        message: &Message<'_>,
        cx: &mut Context<'_>,
    ) -> Verdict {
        self.as_mut().map_or(Verdict::PASS_FLOW, |inspector| inspector.message(flow, message, cx))
    }

    #[inline]
    fn close(&mut self, flow: I::Flow, why: CloseReason, cx: &mut Context<'_>) {
        if let Some(inspector) = self {
            inspector.close(flow, why, cx);
        }
    }

    fn recover(&mut self, fresh: Self) {
        match (&mut *self, fresh) {
            (Some(inspector), Some(fresh)) => inspector.recover(fresh),
            (_, fresh) => *self = fresh,
        }
    }

    fn members(&self, visit: &mut dyn FnMut(Member<'_>)) {
        if let Some(inspector) = self {
            inspector.members(visit);
        }
    }

    fn explain(
        &mut self,
        flow: &mut I::Flow,
        seen: &Seen<'_>,
        cx: &mut Context<'_>,
        votes: &mut Vec<Vote>,
    ) {
        if let Some(inspector) = self {
            inspector.explain(flow, seen, cx, votes);
        }
    }
}

/// Asks one member of a tuple, if it is to be asked. `Some` is a refusal, which ends the packet's way; where the member
/// is done with the flow, its state goes and `done` is set.
#[inline(always)]
fn ask<I: Inspector>(
    inspector: &mut I,
    state: &mut Option<I::Flow>,
    seen: &Seen<'_>,
    cx: &mut Context<'_>,
    done: &mut bool,
) -> Option<Verdict> {
    let flow = state.as_mut()?;
    if !seen.is_for(inspector, flow) {
        return None;
    }
    let verdict = seen.ask(inspector, flow, cx);
    match (verdict.action(), verdict.scope()) {
        (Action::Pass, Scope::Packet) => None,
        (Action::Pass, Scope::Flow) => {
            end(inspector, state, CloseReason::Done, cx);
            *done = true;
            None
        }
        _ => Some(verdict),
    }
}

#[inline(always)]
fn end<I: Inspector>(
    inspector: &mut I,
    state: &mut Option<I::Flow>,
    why: CloseReason,
    cx: &mut Context<'_>,
) {
    if let (Some(flow), true) = (state.take(), I::INTEREST.contains(Interest::END)) {
        inspector.close(flow, why, cx);
    }
}

fn explain<I: Inspector>(
    inspector: &mut I,
    state: &mut Option<I::Flow>,
    seen: &Seen<'_>,
    cx: &mut Context<'_>,
    votes: &mut Vec<Vote>,
) {
    match state {
        Some(flow) => inspector.explain(flow, seen, cx, votes),
        None => inspector.members(&mut |member| {
            votes.push(Vote { name: member.name.to_owned(), verdict: None, because: Vec::new() });
        }),
    }
}

/// A tuple, whichever hook is called.
trait Members: Inspector {
    fn ask_members(
        &mut self,
        flow: &mut Self::Flow,
        seen: &Seen<'_>,
        cx: &mut Context<'_>,
    ) -> Verdict;
}

/// Tuples ask their members in order. What they remember of a flow is the tuple of what each remembers, `None` for
/// one that is done, or never began.
macro_rules! tuple {
    ($($member:ident $n:tt),+) => {
        impl<$($member: Inspector),+> Members for ($($member,)+) {
            #[inline(always)]
            fn ask_members(
                &mut self,
                flow: &mut Self::Flow,
                seen: &Seen<'_>,
                cx: &mut Context<'_>,
            ) -> Verdict {
                let mut done = false;
                $(
                    if let Some(refusal) = ask(&mut self.$n, &mut flow.$n, seen, cx, &mut done) {
                        return refusal;
                    }
                )+
                // Looked at only when a member has just finished, which a compiler that knows the members sees.
                if done && true $(&& flow.$n.is_none())+ { Verdict::PASS_FLOW } else { Verdict::PASS }
            }
        }

        impl<$($member: Inspector),+> Inspector for ($($member,)+) {
            type Flow = ($(Option<$member::Flow>,)+);
            const INTEREST: Interest = Interest::NONE$(.and($member::INTEREST))+;

            fn name(&self) -> &str {
                "tuple"
            }

            #[inline]
            fn open(&mut self, first: &Packet<'_>, cx: &mut Context<'_>) -> Option<Self::Flow> {
                let flow = ($(self.$n.open(first, cx),)+);
                (false $(|| flow.$n.is_some())+).then_some(flow)
            }

            #[inline]
            fn interest(&self) -> Interest {
                Interest::NONE$(.and(self.$n.interest()))+
            }

            #[inline]
            fn wants(&self, flow: &Self::Flow) -> Interest {
                let wanted = Interest::NONE;
                $(
                    let wanted = match &flow.$n {
                        Some(flow) => wanted.and(self.$n.wants(flow)),
                        None => wanted,
                    };
                )+
                wanted
            }

            #[inline]
            fn packet(
                &mut self,
                flow: &mut Self::Flow,
                packet: &Packet<'_>,
                cx: &mut Context<'_>,
            ) -> Verdict {
                self.ask_members(flow, &Seen::Packet(packet), cx)
            }

            #[inline]
            fn stream(
                &mut self,
                flow: &mut Self::Flow,
                chunk: &StreamChunk<'_>,
                cx: &mut Context<'_>,
            ) -> Verdict {
                self.ask_members(flow, &Seen::Stream(chunk), cx)
            }

            #[inline]
            fn message(
                &mut self,
                flow: &mut Self::Flow,
                message: &Message<'_>,
                cx: &mut Context<'_>,
            ) -> Verdict {
                self.ask_members(flow, &Seen::Message(message), cx)
            }

            #[inline]
            fn close(&mut self, mut flow: Self::Flow, why: CloseReason, cx: &mut Context<'_>) {
                $(end(&mut self.$n, &mut flow.$n, why, cx);)+
            }

            fn recover(&mut self, fresh: Self) {
                $(self.$n.recover(fresh.$n);)+
            }

            fn members(&self, visit: &mut dyn FnMut(Member<'_>)) {
                $(self.$n.members(visit);)+
            }

            fn explain(
                &mut self,
                flow: &mut Self::Flow,
                seen: &Seen<'_>,
                cx: &mut Context<'_>,
                votes: &mut Vec<Vote>,
            ) {
                $(explain(&mut self.$n, &mut flow.$n, seen, cx, votes);)+
            }
        }
    };
}

tuple!(A 0);
tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, D 3);
tuple!(A 0, B 1, C 2, D 3, E 4);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
