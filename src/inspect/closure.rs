use super::{Context, Inspector, Interest, Packet, StreamChunk, Verdict};
use crate::packet::IpProtocol;

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

/// An inspector made of a closure that sees the bytes of every TCP connection; see [`stream_fn`].
#[derive(Clone, Debug)]
pub struct StreamFn<F> {
    name: &'static str,
    stream: F,
}

/// Makes an inspector of a closure that sees the bytes of every TCP connection, in order, and remembers nothing of them.
///
/// ```
/// use gwlb_geneve::inspect::{Reason, Verdict, stream_fn};
///
/// /// SSH goes to port 22 only: it begins with its version (RFC 4253 §4.2).
/// let no_ssh = stream_fn("no-ssh", |chunk, _cx| {
///     let is_usual = chunk.packet.opener_tuple().ports.is_some_and(|ports| ports.destination == 22);
///     if chunk.offset > 0 || is_usual || !chunk.data.starts_with(b"SSH-") {
///         return Verdict::PASS_FLOW;
///     }
///     Verdict::reject(Reason::new("ssh"))
/// });
/// # let _ = no_ssh;
/// ```
pub const fn stream_fn<F>(name: &'static str, stream: F) -> StreamFn<F>
where
    F: FnMut(&StreamChunk<'_>, &mut Context<'_>) -> Verdict + Send + 'static,
{
    StreamFn { name, stream }
}

impl<F> Inspector for StreamFn<F>
where
    F: FnMut(&StreamChunk<'_>, &mut Context<'_>) -> Verdict + Send + 'static,
{
    type Flow = ();
    const INTEREST: Interest = Interest::STREAM;

    fn name(&self) -> &str {
        self.name
    }

    #[inline]
    fn open(&mut self, first: &Packet<'_>, _cx: &mut Context<'_>) -> Option<()> {
        is_tcp(first).then_some(())
    }

    #[inline]
    fn stream(&mut self, (): &mut (), chunk: &StreamChunk<'_>, cx: &mut Context<'_>) -> Verdict {
        (self.stream)(chunk, cx)
    }
}

fn is_tcp(packet: &Packet<'_>) -> bool {
    packet.flow().protocol() == IpProtocol::TCP
}
