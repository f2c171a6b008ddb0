//! `appliance replay --annotate`: the capture again, with the decision beside each packet.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use anyhow::Result;
use gwlb_geneve::capture::{Format, Packet, Writer};
use gwlb_geneve::runtime::{Frame, JudgedPacket};

use crate::flows::{Flow, alerts};
use crate::visible::{shortened, visible};

/// Bytes of a comment: more than anyone reads, and less than the file format holds.
const LONGEST: usize = 4_096;

/// A copy of a capture, each of its packets with a comment, which Wireshark shows on top of it.
pub(crate) struct Annotated {
    copy: Writer<BufWriter<File>>,
}

impl Annotated {
    pub(crate) fn create(out: &Path) -> Result<Self> {
        Ok(Self { copy: Writer::create(out, Format::Pcapng)? })
    }

    /// Copies a frame. What is so damaged that there is none is left out.
    pub(crate) fn write(
        &mut self,
        frame: &Frame<'_>,
        judged: Option<&JudgedPacket<'_>>,
        flow: Option<&Flow>,
    ) -> Result<()> {
        let (packet, comment) = match (frame, judged) {
            (Frame::Geneve { captured, .. }, Some(judged)) => (captured, comment(judged, flow)),
            (Frame::Geneve { captured, .. } | Frame::Other { captured }, _) => {
                (captured, "not judged: not GENEVE".into())
            }
            (Frame::Unreadable { captured: Some(captured) }, _) => {
                (captured, format!("not judged: link type {} is not read", captured.link_type))
            }
            (Frame::Unreadable { captured: None }, _) => return Ok(()),
        };
        let Packet { timestamp, link_type, original_len, data, .. } = *packet;
        self.copy.write_commented(timestamp, link_type, original_len, data, &comment)?;
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<()> {
        self.copy.finish()?;
        Ok(())
    }
}

/// `verdict: reject; reason: access-list; rule: rule 1 (no web over IPv6); flow: 5`, and what else there is to tell.
fn comment(packet: &JudgedPacket<'_>, flow: Option<&Flow>) -> String {
    let outcome = packet.outcome;
    let mut parts = vec![format!("verdict: {}", outcome.disposition.name())];
    parts.extend(outcome.would.map(|action| format!("would: {action}")));
    if !outcome.reason.name().is_empty() {
        parts.push(format!("reason: {}", outcome.reason));
    }
    parts.extend(outcome.exception.map(|class| format!("exception: {class}")));
    parts.extend(packet.datagram.err().map(|error| format!("outside: {error}")));
    if let Some(flow) = flow {
        parts.extend(flow.rule.as_ref().map(|rule| format!("rule: {rule}")));
        parts.push(format!("flow: {}", flow.number));
    }
    parts.extend(alerts(packet).map(|alert| format!("alert: {}: {}", alert.name, alert.message)));
    shortened(&visible(&parts.join("; ")), LONGEST)
}
