use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use anyhow::Result;
use gwlb_geneve::flow::{FlowKey, source_port};
use gwlb_geneve::geneve::UDP_PORT;
use gwlb_geneve::gwlb::{Envelope, Profile};
use gwlb_geneve::packet::{FiveTuple, IpPacket};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::end::{CLIENT, SERVER, Zone};
use crate::envelope::{INNER_AT, Wrapper, inner_sum};
use crate::flows::Flows;
use crate::inner::{Ends, udp};
use crate::link::{Receiver, Sender};
use crate::script::FlowSeed;

/// Packets between the TUN devices of zones, by way of the appliance.
pub(super) struct Carrier<'a> {
    zones: &'a [Zone],
    sender: Sender,
    receiver: Receiver,
    wrapper: Wrapper,
    appliance: SocketAddrV4,
    flows: Flows,
    known: HashMap<FlowKey, u32>,
    frame: Vec<u8>,
    packet: Vec<u8>,
    /// Whether people know how to get in.
    pub(super) announced: bool,
    sent: u64,
    returned: u64,
    wrong: u64,
}

impl<'a> Carrier<'a> {
    pub(super) fn new(
        appliance: SocketAddrV4,
        gateway: Option<&Ipv4Addr>,
        zones: &'a [Zone],
    ) -> Result<Self> {
        let sender = Sender::new(appliance, gateway.copied())?;
        let receiver = Receiver::new([SocketAddrV4::new(sender.local, UDP_PORT)])?;
        Ok(Self {
            zones,
            wrapper: Wrapper::new(sender.ethernet, appliance)?,
            flows: Flows::new(vec![sender.local]),
            sender,
            receiver,
            appliance,
            known: HashMap::new(),
            frame: vec![0; INNER_AT + 65_536],
            packet: vec![0; 65_536],
            announced: false,
            sent: 0,
            returned: 0,
            wrong: 0,
        })
    }

    /// Waits for packets and carries them.
    pub(super) fn carry(&mut self, patience: Duration) -> Result<()> {
        let zones = self.zones;
        let ends = zones.iter().flat_map(|zone| zone.ends().map(|end| (zone, end)));
        let sockets = self.receiver.descriptors();
        let mut ready: Vec<PollFd<'_>> = ends
            .clone()
            .map(|(_, end)| end.tun.as_fd())
            .chain(sockets)
            .map(|fd: BorrowedFd<'_>| PollFd::new(fd, PollFlags::POLLIN))
            .collect();
        // Interrupted or not, it is looked again.
        let _ = poll(&mut ready, PollTimeout::try_from(patience).unwrap_or(PollTimeout::ZERO));
        drop(ready);
        // A burst of each, so that neither end waits for the other's flood.
        for (zone, end) in ends {
            for _ in 0..64 {
                let mut packet = std::mem::take(&mut self.packet);
                let len = end.tun.recv(&mut packet).unwrap_or(0);
                let result = if len == 0 { Ok(()) } else { self.wrap(zone, &packet[..len]) };
                self.packet = packet;
                result?;
                if len == 0 {
                    break;
                }
            }
        }
        self.deliver()?;
        Ok(())
    }

    /// Sends a packet of an end to the appliance, if it is for one in the same zone.
    fn wrap(&mut self, zone: &Zone, packet: &[u8]) -> Result<()> {
        let Ok(tuple) = FiveTuple::parse(packet) else { return Ok(()) };
        // Systems look for routers and neighbours too.
        if !zone.ends().iter().any(|end| end.has(tuple.destination())) {
            return Ok(());
        }
        let endpoint = zone.endpoint();
        let (key, _) = FlowKey::new(endpoint, &tuple);
        let flow = *self.known.entry(key).or_insert_with(|| {
            self.flows.add(&FlowSeed { endpoint: endpoint.0, source_port: source_port(&tuple) })
        });
        let label = self.flows.get(flow).label;
        let len = self.wrapper.wrap(&mut self.frame, &label, packet, inner_sum(packet));
        self.sender.send([&self.frame[..len]].into_iter())?;
        self.sent += 1;
        Ok(())
    }

    /// Puts what the appliance has sent out of the TUN device that it is for.
    fn deliver(&mut self) -> Result<()> {
        let Self { zones, receiver, flows, known, appliance, returned, wrong, .. } = self;
        receiver.receive(|_, received| {
            let Ok(envelope) = Envelope::parse(received.payload, &Profile::AWS) else {
                *wrong += 1;
                return;
            };
            let inner = envelope.inner();
            let Ok(packet) = IpPacket::parse(inner) else {
                *wrong += 1;
                return;
            };
            // In the envelope of its own flow; an ICMP error that was injected, in that of another one's.
            let flow = flows.with_cookie(envelope.cookie().0);
            let label = flow.map(|flow| flows.get(flow).label);
            let of_flow = packet
                .five_tuple()
                .ok()
                .and_then(|tuple| known.get(&FlowKey::new(envelope.endpoint(), &tuple).0));
            let is_right = label.is_some_and(|label| {
                label.cookie == envelope.cookie().0
                    && label.endpoint == envelope.endpoint().0
                    && label.source_port == received.from.port()
                    && received.from.ip() == appliance.ip()
            }) && (of_flow.is_none() || of_flow == flow.as_ref());
            let zone = zones.iter().find(|zone| zone.endpoint() == envelope.endpoint());
            let ends = zone.into_iter().flat_map(Zone::ends);
            let end = { ends }.find(|end| end.has(packet.destination()));
            match end.filter(|_| is_right) {
                Some(end) => {
                    // A full queue drops, as any other would.
                    let _ = end.tun.send(packet.bytes());
                    *returned += 1;
                }
                None => *wrong += 1,
            }
        })?;
        Ok(())
    }

    /// Sends a packet of its own, to the discard port, until something has come back.
    pub(super) fn probe(&mut self) -> Result<bool> {
        if self.returned > 0 {
            return Ok(true);
        }
        let (client, server) = (CLIENT.into(), SERVER.into());
        let ends = Ends { client, server, client_port: 9, server_port: 9 };
        let zones = self.zones;
        for zone in zones {
            self.wrap(zone, &udp(&ends, 64))?;
        }
        Ok(false)
    }

    pub(super) fn summary(&self) {
        let Self { sent, returned, wrong, .. } = self;
        eprintln!("bridge: {sent} packets sent, {returned} came back, {wrong} answers were wrong");
    }
}
