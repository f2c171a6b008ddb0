//! The inner packets of a capture.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use gwlb_geneve::flow::{FlowKey, source_port};
use gwlb_geneve::gwlb::{EndpointId, Envelope, Outer, Profile};
use gwlb_geneve::packet::{FiveTuple, IpPacket};
use gwlb_geneve::runtime::{Frame, Frames};

use crate::envelope::MAX_INNER_LEN;
use crate::profile::ENDPOINT;
use crate::script::{FlowSeed, Part};

/// Reads a capture: IP packets as they are, of GENEVE datagrams what they carry. Answers of an appliance that were
/// captured too are left out, and so is what cannot be sent: malformed, cut off by the capture, or too long.
pub(crate) fn part(path: &Path) -> Result<Part> {
    let mut frames = Frames::open(path).with_context(|| path.display().to_string())?;
    let mut reading = Reading { part: Part::moving(), ..Reading::default() };
    while let Some(frame) = frames.next_frame() {
        match frame {
            Frame::Geneve { ip, .. } => match Outer::parse(ip) {
                Ok((outer, payload)) => reading.geneve(&outer, payload),
                Err(_) => reading.skipped += 1,
            },
            Frame::Other { captured } if !captured.is_truncated() => match captured.network() {
                Ok(network) => reading.inner(EndpointId(ENDPOINT), network.payload),
                Err(_) => reading.skipped += 1,
            },
            _ => reading.skipped += 1,
        }
    }
    let Reading { part, skipped, .. } = reading;
    let file = path.display();
    ensure!(part.len() > 0, "{file}: expected an IP packet that can be sent, found none");
    if skipped > 0 {
        eprintln!("{file}: {skipped} frames are not sent (malformed, cut off, too long, no IP)");
    }
    Ok(part)
}

#[derive(Default)]
struct Reading {
    part: Part,
    skipped: u64,
    flows: HashMap<FlowKey, u32>,
    addresses: HashMap<IpAddr, u32>,
    /// Outer addresses of requests: what comes the other way are answers.
    paths: HashSet<(IpAddr, IpAddr)>,
}

impl Reading {
    fn geneve(&mut self, outer: &Outer, payload: &[u8]) {
        let (from, to) = (outer.source.into(), outer.destination.into());
        if self.paths.contains(&(to, from)) {
            return;
        }
        self.paths.insert((from, to));
        match Envelope::parse(payload, &Profile::AWS) {
            Ok(envelope) => self.inner(envelope.endpoint(), envelope.inner()),
            Err(_) => self.skipped += 1,
        }
    }

    fn inner(&mut self, endpoint: EndpointId, bytes: &[u8]) {
        let (Ok(tuple), Ok(packet)) = (FiveTuple::parse(bytes), IpPacket::parse(bytes)) else {
            self.skipped += 1;
            return;
        };
        let bytes = packet.bytes();
        if packet.check_whole().is_err() || bytes.len() > MAX_INNER_LEN {
            self.skipped += 1;
            return;
        }
        let (key, _) = FlowKey::new(endpoint, &tuple);
        let flow = *self.flows.entry(key).or_insert_with(|| {
            let source_port = source_port(&tuple);
            self.part.flows.push(FlowSeed { endpoint: endpoint.0, source_port });
            self.part.flows.len() as u32 - 1
        });
        let ends = [tuple.source(), tuple.destination()].map(|address| {
            let next = self.addresses.len() as u32;
            *self.addresses.entry(address).or_insert(next)
        });
        self.part.push(bytes, flow, 0, ends);
    }
}
