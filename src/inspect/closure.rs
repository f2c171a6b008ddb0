use super::{Context, Inspector, Interest, Packet, Verdict};

/// An inspector made of a closure that sees every packet of every flow; see [`packet_fn`].
#[derive(Clone, Debug)]
pub struct PacketFn<F> {
    name: &'static str,
    packet: F,
}

/// Makes an inspector of a closure that sees every packet of every flow and remembers nothing of them.
///
/// A verdict of [`PASS_FLOW`](Verdict::PASS_FLOW) spares it the rest of a flow.
pub const fn packet_fn<F>(name: &'static str, packet: F) -> PacketFn<F>
where
    F: FnMut(&Packet<'_>, &mut Context<'_>) -> Verdict + Send + 'static,
{
    PacketFn { name, packet }
}

impl<F> Inspector for PacketFn<F>
where
    F: FnMut(&Packet<'_>, &mut Context<'_>) -> Verdict + Send + 'static,
{
    type Flow = ();
    const INTEREST: Interest = Interest::PACKETS;

    fn name(&self) -> &str {
        self.name
    }

    #[inline]
    fn open(&mut self, _first: &Packet<'_>, _cx: &mut Context<'_>) -> Option<()> {
        Some(())
    }

    #[inline]
    fn packet(&mut self, (): &mut (), packet: &Packet<'_>, cx: &mut Context<'_>) -> Verdict {
        (self.packet)(packet, cx)
    }
}
