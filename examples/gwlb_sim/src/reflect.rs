//! An appliance that passes everything, or makes a known mistake: the simulator is tested with it.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use anyhow::Result;
use gwlb_geneve::gwlb::{Envelope, Profile};
use gwlb_geneve::packet::{IpPacket, Prohibited, Reset};

use crate::args::{Mistake, Reflect};
use crate::envelope::{COOKIE_AT, ETHERNET_LEN, GENEVE_AT, GENEVE_LEN, UDP_AT, cookie, seal};
use crate::link::{BURST, Received, Receiver, Sender};
use crate::stop::Stop;

/// Room for a frame: Ethernet, IPv4, UDP, and whatever has come.
const ROOM: usize = 9_216 + 128;

/// Answers until it is told to stop.
pub(crate) fn reflect(args: &Reflect, stop: &Stop) -> Result<()> {
    let mut receiver = Receiver::new([args.listen])?;
    let mut mirror = Mirror {
        listen: args.listen,
        allow: args.allow.clone(),
        mistake: args.mistake,
        every: args.every,
        count: 0,
        peers: Vec::new(),
        frames: vec![0; ROOM * BURST * 2],
        lens: Vec::with_capacity(BURST * 2),
        held: None,
    };
    while !stop.is_asked() {
        let mut problem = None;
        let received = receiver.receive(|_, received| {
            if let Err(error) = mirror.answer(&received) {
                problem = Some(error);
            }
        })?;
        if let Some(problem) = problem {
            eprintln!("gwlb_sim reflect: {problem:#}");
        }
        mirror.flush()?;
        if received == 0 {
            receiver.wait(Duration::from_millis(20));
        }
    }
    Ok(())
}

struct Mirror {
    listen: SocketAddrV4,
    allow: Vec<Ipv4Addr>,
    mistake: Option<Mistake>,
    every: u64,
    count: u64,
    /// The way to each load balancer that has sent something.
    peers: Vec<(Ipv4Addr, Sender)>,
    frames: Vec<u8>,
    /// Whose frames are to be sent, and their lengths.
    lens: Vec<(usize, usize)>,
    /// A frame that goes out after the next one with its cookie.
    held: Option<(usize, Vec<u8>)>,
}

impl Mirror {
    fn answer(&mut self, received: &Received<'_>) -> Result<()> {
        let Received { from, payload } = *received;
        if !self.allow.is_empty() && !self.allow.contains(from.ip()) {
            return Ok(());
        }
        let envelope = Envelope::parse(payload, &Profile::AWS);
        let answers_all = self.mistake == Some(Mistake::AnswerMalformed);
        if envelope.is_err() && !answers_all || payload.is_empty() {
            return Ok(());
        }
        let peer = match self.peers.iter().position(|(address, _)| address == from.ip()) {
            Some(peer) => peer,
            None => {
                // Where to send to, but for the port, which is its own there.
                let sender = Sender::new(from, Some(*self.listen.ip()))?;
                self.peers.push((*from.ip(), sender));
                self.peers.len() - 1
            }
        };
        self.count += 1;
        let mistake = self.mistake.filter(|_| self.count % self.every == 0);
        let at = self.lens.len() * ROOM;
        let frame = &mut self.frames[at..at + ROOM];
        let mut len = GENEVE_AT + payload.len();
        write_frame(&mut frame[..len], &self.peers[peer].1, self.listen, from, payload);

        match mistake {
            Some(Mistake::CorruptInner) => frame[len - 1] ^= 0x01,
            Some(Mistake::CorruptCookie) => frame[GENEVE_AT + COOKIE_AT + 3] ^= 0x10,
            Some(Mistake::CorruptGeneve) => frame[GENEVE_AT + 1] ^= 0x01,
            Some(Mistake::DropOption) => {
                frame.copy_within(GENEVE_AT + 32..len, GENEVE_AT + 20);
                frame[GENEVE_AT] -= 3;
                len -= 12;
            }
            Some(Mistake::SwapPorts) => {
                frame[UDP_AT..UDP_AT + 2].copy_from_slice(&self.listen.port().to_be_bytes());
                frame[UDP_AT + 2..UDP_AT + 4].copy_from_slice(&from.port().to_be_bytes());
            }
            Some(Mistake::WrongPort) => frame[UDP_AT + 1] ^= 0x01,
            Some(Mistake::Truncate) => len -= 4,
            Some(Mistake::Lose) => return Ok(()),
            Some(Mistake::Reset) => {
                if let Some(inner) = envelope.ok().and_then(|envelope| refusal(envelope.inner())) {
                    len = GENEVE_AT + GENEVE_LEN + inner.len();
                    frame[GENEVE_AT + GENEVE_LEN..len].copy_from_slice(&inner);
                }
            }
            _ => {}
        }
        // The lengths; the checksum is right then, and is left out as an appliance may.
        seal(&mut frame[..len]);
        match mistake {
            Some(Mistake::WrongChecksum) => frame[UDP_AT + 6] ^= 0x55,
            _ => frame[UDP_AT + 6..UDP_AT + 8].fill(0),
        }
        let is_reorder = mistake == Some(Mistake::Reorder);
        if is_reorder && self.held.is_none() {
            self.held = Some((peer, frame[..len].to_vec()));
            return Ok(());
        }
        if mistake == Some(Mistake::Fragment) {
            let second = fragment(&mut self.frames[at..], len);
            self.lens.extend([(peer, FIRST_FRAGMENT), (peer, second)]);
            return Ok(());
        }
        self.lens.push((peer, len));
        if mistake == Some(Mistake::Duplicate) {
            self.frames.copy_within(at..at + len, at + ROOM);
            self.lens.push((peer, len));
        }
        let same_flow =
            |(_, frame): &mut (usize, Vec<u8>)| cookie(&frame[GENEVE_AT..]) == cookie(payload);
        if let Some((peer, held)) = self.held.take_if(same_flow) {
            let at = self.lens.len() * ROOM;
            self.frames[at..at + held.len()].copy_from_slice(&held);
            self.lens.push((peer, held.len()));
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let frames = &self.frames;
        for (number, (_, sender)) in self.peers.iter_mut().enumerate() {
            let mut own = self.lens.iter().enumerate().filter(|(_, (peer, _))| *peer == number);
            loop {
                let mut burst = own.by_ref().take(BURST).peekable();
                if burst.peek().is_none() {
                    break;
                }
                sender.send(burst.map(|(at, (_, len))| &frames[at * ROOM..at * ROOM + len]))?;
            }
        }
        self.lens.clear();
        Ok(())
    }
}

/// Ethernet, IPv4 and UDP as an appliance sends them (time to live 64, DF), and the payload. Lengths and checksums
/// are left to [`seal`].
fn write_frame(
    frame: &mut [u8],
    way: &Sender,
    from: SocketAddrV4,
    to: SocketAddrV4,
    payload: &[u8],
) {
    frame[..ETHERNET_LEN].copy_from_slice(&way.ethernet);
    frame[ETHERNET_LEN..UDP_AT - 8].copy_from_slice(&[0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 17, 0, 0]);
    frame[UDP_AT - 8..UDP_AT - 4].copy_from_slice(&from.ip().octets());
    frame[UDP_AT - 4..UDP_AT].copy_from_slice(&to.ip().octets());
    // Ports are kept, not swapped.
    frame[UDP_AT..UDP_AT + 2].copy_from_slice(&to.port().to_be_bytes());
    frame[UDP_AT + 2..UDP_AT + 4].copy_from_slice(&from.port().to_be_bytes());
    frame[GENEVE_AT..].copy_from_slice(payload);
}

/// What refuses a packet to its sender.
fn refusal(inner: &[u8]) -> Option<Vec<u8>> {
    let packet = IpPacket::parse(inner).ok()?;
    let mut made = vec![0; 1_300];
    let len = match Reset::to_sender(&packet) {
        Some(reset) => reset.write_to(&mut made).ok()?,
        None => Prohibited::about(&packet)?.write_to(&mut made).ok()?,
    };
    made.truncate(len);
    Some(made)
}

/// Bytes of IPv4 payload in the first fragment, a multiple of 8.
const FIRST_PART: usize = 48;
const FIRST_FRAGMENT: usize = UDP_AT + FIRST_PART;

/// Cuts the frame at the front in two, the second a [`ROOM`] further; returns the second one's length.
fn fragment(frames: &mut [u8], len: usize) -> usize {
    let (first, second) = frames.split_at_mut(ROOM);
    let second_len = len - FIRST_PART;
    second[..UDP_AT].copy_from_slice(&first[..UDP_AT]);
    second[UDP_AT..second_len].copy_from_slice(&first[FIRST_FRAGMENT..len]);
    for (frame, len, flags) in
        [(first, FIRST_FRAGMENT, [0x20, 0]), (second, second_len, [0, FIRST_PART as u8 / 8])]
    {
        frame[16..18].copy_from_slice(&((len - ETHERNET_LEN) as u16).to_be_bytes());
        frame[20..22].copy_from_slice(&flags);
        frame[24..26].fill(0);
        let sum = gwlb_geneve::packet::Checksum::of(&frame[ETHERNET_LEN..UDP_AT]);
        frame[24..26].copy_from_slice(&sum.to_be_bytes());
    }
    second_len
}
