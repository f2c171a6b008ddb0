use std::collections::BTreeMap;

use gwlb_geneve::packet::{IpPacket, PacketMut, TcpFlags, Transport};

use crate::random::Random;
use crate::support::traffic::Side;

/// How bad the network is, in percent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    pub(crate) loss: u64,
    pub(crate) duplicates: u64,
    pub(crate) cuts: u64,
    pub(crate) damage: u64,
    /// The longest that a packet is delayed, in milliseconds.
    pub(crate) delay: u64,
    /// Copies with other bytes and right checksums, resets and SYNs that are made up: somebody is in the way before the appliance.
    pub(crate) forgeries: u64,
}

impl Weather {
    pub(crate) fn new(random: &mut Random) -> Self {
        let mut some = |most: u64| if random.chance(30) { 0 } else { random.below(most) };
        Self {
            loss: some(20),
            duplicates: some(20),
            cuts: some(60),
            damage: some(10),
            delay: 1 + some(300),
            forgeries: some(40) * some(2),
        }
    }

    /// What becomes of a packet on the way from a host to the appliance: other packets, and how long each takes.
    pub(crate) fn before(
        &self,
        packet: &[u8],
        side: &Side,
        random: &mut Random,
    ) -> Vec<(u64, Vec<u8>)> {
        let mut parts = vec![packet.to_vec()];
        while random.chance(self.cuts) && parts.len() < 6 {
            let at = random.below(parts.len() as u64) as usize;
            if let Some(cut) = cut_in_two(&parts[at], side, random) {
                parts.splice(at..=at, cut);
            }
        }
        if random.chance(self.forgeries) {
            let at = random.below(parts.len() as u64 + 1) as usize;
            let forged = forge(packet, side, random);
            parts.insert(at, forged);
        }
        parts.into_iter().flat_map(|part| self.way(part, random)).collect()
    }

    /// The same on the way from the appliance to a host.
    pub(crate) fn way(&self, packet: Vec<u8>, random: &mut Random) -> Vec<(u64, Vec<u8>)> {
        let mut copies = Vec::new();
        let count = if random.chance(self.duplicates) { 1 + random.below(3) } else { 1 };
        for _ in 0..count {
            if random.chance(self.loss) {
                continue;
            }
            let mut copy = packet.clone();
            if random.chance(self.damage) {
                let at = random.below(copy.len() as u64 * 8);
                copy[(at / 8) as usize] ^= 1 << (at % 8);
            }
            copies.push((1 + random.below(self.delay), copy));
        }
        copies
    }
}

/// The header of a segment, its data, and its place.
fn take_apart(packet: &[u8]) -> Option<(Vec<u8>, Vec<u8>, u32)> {
    let packet = IpPacket::parse(packet).ok()?;
    let Ok(Transport::Tcp(segment)) = packet.transport() else { return None };
    let payload = segment.payload().to_vec();
    let upper = packet.payload();
    let header = upper[..upper.len() - payload.len()].to_vec();
    Some((header, payload, segment.sequence_number()))
}

fn put_together(header: &[u8], number: u32, flags: u8, data: &[u8], side: &Side) -> Vec<u8> {
    let mut upper = header.to_vec();
    upper[4..8].copy_from_slice(&number.to_be_bytes());
    upper[13] = flags;
    upper[16..18].fill(0);
    upper.extend(data);
    side.ip(6, upper, Some(16))
}

/// Two segments that say the same, which may overlap.
fn cut_in_two(packet: &[u8], side: &Side, random: &mut Random) -> Option<[Vec<u8>; 2]> {
    let (header, data, number) = take_apart(packet)?;
    if data.len() < 2 || header[13] & TcpFlags::SYN.0 as u8 != 0 {
        return None;
    }
    let cut = 1 + random.below(data.len() as u64 - 1) as usize;
    let overlap = if random.chance(20) { random.below(cut as u64 + 1) as usize } else { 0 };
    let last = (TcpFlags::FIN.0 | TcpFlags::PSH.0) as u8;
    let start = cut - overlap;
    Some([
        put_together(&header, number, header[13] & !last, &data[..cut], side),
        put_together(&header, number.wrapping_add(start as u32), header[13], &data[start..], side),
    ])
}

/// A packet that its sender never sent.
fn forge(packet: &[u8], side: &Side, random: &mut Random) -> Vec<u8> {
    let mut forged = packet.to_vec();
    let Some((header, data, number)) = take_apart(packet) else { return forged };
    let stray = number.wrapping_add(random.below(4_000) as u32).wrapping_sub(2_000);
    match random.below(8) {
        0 => put_together(&header, stray, TcpFlags::RST.0 as u8, &[], side),
        1 => put_together(&header, stray, TcpFlags::SYN.0 as u8, &[], side),
        2 => put_together(&header, stray, header[13], &random.bytes(100), side),
        3 => put_together(
            &header,
            number.wrapping_add(data.len() as u32 / 2),
            header[13],
            &random.bytes(50),
            side,
        ),
        _ => {
            let mut edited = PacketMut::parse(&mut forged).unwrap();
            let _ = edited.payload_mut(|payload| {
                for byte in payload {
                    if random.chance(10) {
                        *byte ^= 0x55;
                    }
                }
            });
            forged
        }
    }
}

/// Packets under way, by the time of their arrival.
#[derive(Default)]
pub(crate) struct Queue {
    packets: BTreeMap<(u64, u64), (Place, Vec<u8>)>,
    count: u64,
}

/// Where a packet arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// At the appliance, from the client or from the server.
    Appliance {
        is_from_client: bool,
    },
    Client,
    Server,
}

impl Queue {
    pub(crate) fn push(&mut self, at: u64, place: Place, packet: Vec<u8>) {
        self.count += 1;
        self.packets.insert((at, self.count), (place, packet));
    }

    /// When the next one arrives.
    pub(crate) fn due(&self) -> Option<u64> {
        self.packets.keys().next().map(|(at, _)| *at)
    }

    /// The next one, if it has arrived.
    pub(crate) fn pop(&mut self, now: u64) -> Option<(Place, Vec<u8>)> {
        self.due().filter(|at| *at <= now)?;
        self.packets.pop_first().map(|(_, packet)| packet)
    }
}
