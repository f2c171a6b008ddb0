//! `appliance wrap`: captures of ordinary traffic, as if a load balancer had sent it.

use std::io::BufReader;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use gwlb_geneve::capture::{Format, LinkType, Reader, Writer};
use gwlb_geneve::geneve::{Builder, OptionClass, OptionType, TunnelOption, UDP_PORT};
use gwlb_geneve::gwlb::{EndpointId, Outer, Reply, ReplyPolicy};
use gwlb_geneve::packet::{IpPacket, PacketMut};
use gwlb_geneve::{EtherType, Timestamp};

use crate::arguments::from_one;
use crate::capture;
use crate::replay::is_same_file;

#[derive(Args)]
pub(crate) struct Options {
    /// Captures, one behind the other; packets that are not IP are left out, and no silence lasts longer than
    /// a second.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The capture to write.
    #[arg(long, value_name = "OUT.pcap")]
    write: PathBuf,
    /// Wrap everything so many times, each time with other addresses.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = from_one::<u32>)]
    times: u32,
    /// The endpoint.
    #[arg(long, default_value = "vpce-0123456789abcdef0")]
    endpoint: EndpointId,
}

const LOAD_BALANCER: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 10);
const APPLIANCE: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 20);
/// Between two captures.
const PAUSE: Duration = Duration::from_millis(1);
/// Longer silence becomes this, so that the clock does not run away where captures are wrapped many times.
const LONGEST: Duration = Duration::from_secs(1);

pub(crate) fn run(options: &Options) -> Result<()> {
    let mut captures = Vec::new();
    for file in &options.files {
        captures.push(read(file)?);
    }
    for file in &options.files {
        if is_same_file(&options.write, file) {
            bail!("{}: --write would overwrite a capture that is read", file.display());
        }
    }
    let mut out = Writer::create(&options.write, Format::Pcap(LinkType::IPV4))?;
    let mut clock = captures.iter().flatten().map(|packet| packet.time).next().unwrap_or_default();
    for copy in 0..options.times {
        for packets in &captures {
            let mut before = None;
            for packet in packets {
                let pause = before.map_or(PAUSE, |before| packet.time.saturating_since(before));
                clock = clock.saturating_add(pause.min(LONGEST));
                before = Some(packet.time);
                let mut ip = packet.ip.clone();
                move_addresses(&mut ip, copy);
                let wrapped = wrap(&ip, options.endpoint, copy)?;
                let len = u32::try_from(wrapped.len())?;
                out.write_packet(clock, LinkType::IPV4, len, &wrapped)?;
            }
        }
    }
    out.finish()?;
    Ok(())
}

struct Captured {
    time: Timestamp,
    ip: Vec<u8>,
}

fn read(file: &Path) -> Result<Vec<Captured>> {
    let path = || file.display().to_string();
    let mut reader = Reader::new(BufReader::new(capture::file(file)?)).with_context(path)?;
    let mut packets = Vec::new();
    while let Some(packet) = reader.next_packet() {
        let packet = packet.with_context(path)?;
        let Ok(network) = packet.network() else { continue };
        // Without what the link layer put behind it.
        let Ok(ip) = IpPacket::parse(network.payload) else { continue };
        packets.push(Captured { time: packet.timestamp, ip: ip.bytes().to_vec() });
    }
    Ok(packets)
}

/// Gives a packet other addresses, the same for the same copy. One that cannot be changed stays as it is.
fn move_addresses(ip: &mut [u8], copy: u32) {
    if copy == 0 {
        return;
    }
    let Ok(parsed) = IpPacket::parse(ip) else { return };
    let [source, destination] =
        [parsed.source(), parsed.destination()].map(|address| moved(address, copy));
    if let Ok(mut packet) = PacketMut::parse(ip) {
        let _ = packet.set_source(source);
        let _ = packet.set_destination(destination);
    }
}

fn moved(address: IpAddr, copy: u32) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            Ipv4Addr::from(u32::from(address).wrapping_add(copy.wrapping_mul(0x0001_0100))).into()
        }
        IpAddr::V6(address) => {
            Ipv6Addr::from(u128::from(address).wrapping_add(u128::from(copy) << 64)).into()
        }
    }
}

fn wrap(ip: &[u8], endpoint: EndpointId, copy: u32) -> Result<Vec<u8>> {
    let is_ipv6 = ip.first().is_some_and(|first| first >> 4 == 6);
    let protocol = if is_ipv6 { EtherType::IPV6 } else { EtherType::IPV4 };
    let (endpoint, cookie) = (endpoint.0.to_be_bytes(), copy.to_be_bytes());
    let option = |kind, data| TunnelOption::new(OptionClass(0x0108), OptionType(kind), data);
    let options = [option(1, &endpoint)?, option(2, &[0; 8])?, option(3, &cookie)?];
    let mut header = Vec::new();
    Builder::new(protocol).options(options).build(&mut header)?;
    // A reply goes back to where its datagram came from: so this one goes to the appliance.
    let outer = Outer::new((APPLIANCE, 61_000), (LOAD_BALANCER, UDP_PORT));
    let datagram = Reply::new(&outer, &header, ip, &ReplyPolicy::default())?;
    Ok(datagram.parts().concat())
}
