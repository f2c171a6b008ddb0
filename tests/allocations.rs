//! No memory is allocated for a packet: not to parse it, not to refuse it, not to answer it.
//!
//! Counted by a global allocator, thread by thread.

mod support;

use std::hint::black_box;
use std::net::Ipv4Addr;

use gwlb_geneve::EtherType;
use gwlb_geneve::geneve::{BuildError, Builder, MAX_HEADER_LEN, Packet, TunnelOption};
use gwlb_geneve::gwlb::{Envelope, Outer, Profile, ReplyError, ReplyPolicy, UdpChecksum};
use gwlb_geneve::packet::{EthernetFrame, FiveTuple, IpPacket, Toward, Transport, Tunneled};
use support::generate::{aws_options, datagram, option};
use support::{sample, tunnels};

#[track_caller]
fn allocates_nothing<T>(work: impl Fn() -> T) {
    let count = allocation_counter::measure(|| {
        black_box(work());
    });
    assert_eq!((count.count_total, count.bytes_total), (0, 0));
}

/// In order and not, each cut at every length and with every byte of its header changed.
fn payloads() -> Vec<Vec<u8>> {
    let mut payloads = vec![
        sample::ipv4_tcp(),
        sample::ipv4_udp(),
        sample::ipv6_tcp(),
        sample::reversed(),
        sample::many_options(),
        datagram(EtherType::ETHERNET, &[], &[0; 40]),
    ];
    for whole in payloads.clone() {
        payloads.extend((0..whole.len()).map(|len| whole[..len].to_vec()));
        payloads.extend((0..whole.len()).map(|at| {
            let mut bent = whole.clone();
            bent[at] ^= 0xff;
            bent
        }));
    }
    payloads
}

#[test]
fn the_counter_counts() {
    let count = allocation_counter::measure(|| drop(black_box(vec![1_u8; 100])));
    assert_eq!((count.count_total, count.bytes_total), (1, 100));
}

#[test]
fn parsing_geneve_allocates_nothing() {
    for payload in payloads() {
        allocates_nothing(|| {
            let packet = Packet::parse(&payload).ok()?;
            let data: usize = packet.options().map(|option| option.data().len()).sum();
            Some((data, packet.has_unknown_critical(|_, _| false), packet.payload().len()))
        });
        allocates_nothing(|| Packet::parse_general(&payload).is_ok());
    }
}

#[test]
fn parsing_envelopes_allocates_nothing() {
    for payload in payloads() {
        allocates_nothing(|| match Envelope::parse(&payload, &Profile::AWS) {
            Ok(envelope) => (Some((envelope.endpoint(), envelope.cookie())), ""),
            Err(error) => (None, error.reason()),
        });
        allocates_nothing(|| Envelope::parse_general(&payload, &Profile::TENCENT).is_ok());
    }
}

#[test]
fn parsing_inner_packets_allocates_nothing() {
    for payload in payloads() {
        let Ok(packet) = Packet::parse(&payload) else { continue };
        let inner = packet.payload();
        allocates_nothing(|| FiveTuple::parse(inner).map_err(|error| error.reason()));
        allocates_nothing(|| {
            let packet = IpPacket::parse(inner).ok()?;
            let options = match packet.transport().ok()? {
                Transport::Tcp(segment) => segment.options().count(),
                Transport::Icmp(message) => usize::from(message.quoted().is_some()),
                _ => 0,
            };
            Some((options, packet.five_tuple(), packet.verify_transport_checksum()))
        });
        allocates_nothing(|| EthernetFrame::parse(inner).map(|frame| frame.ip().is_some()));
    }
}

/// All that captures hold, files of malformed packets too.
#[cfg(feature = "capture")]
#[test]
fn judging_the_captures_allocates_nothing() {
    use gwlb_geneve::packet::ParseError;

    fn inner(bytes: &[u8]) -> Result<(), ParseError> {
        let packet = IpPacket::parse(bytes)?;
        black_box(packet.verify_transport_checksum());
        match packet.transport()? {
            Transport::Tcp(segment) => segment.options().try_for_each(|option| option.map(drop)),
            Transport::Icmp(message) | Transport::Icmpv6(message) => match message.quoted() {
                Some(quoted) => quoted?.five_tuple().map(drop),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }
    let captures = support::fixtures::captures();
    for frame in captures.iter().flat_map(|capture| &capture.frames) {
        // Behind an Ethernet header, as most are; the others are then malformed, which is as good.
        let ip = frame.data.get(14..).unwrap_or_default();
        allocates_nothing(|| {
            let (outer, payload) = Outer::parse(ip).ok()?;
            let envelope = Envelope::parse(payload, &Profile::AWS).ok()?;
            Some((outer, FiveTuple::parse(envelope.inner()), inner(envelope.inner())))
        });
    }
}

#[test]
fn building_into_a_slice_allocates_nothing() {
    let mut usual = aws_options(&[1; 8], &[0; 8], &[2; 4]);
    usual.reverse();
    allocates_nothing(|| {
        let mut buffer = [0; MAX_HEADER_LEN];
        Builder::new(EtherType::IPV6).options(usual).build_into(&mut buffer)
    });
    let many: Vec<TunnelOption<'_>> = (0..64).map(|n| option(n, 1, &[])).collect();
    allocates_nothing(|| {
        let mut buffer = [0; MAX_HEADER_LEN];
        let builder = Builder::new(EtherType::IPV4).options(many.iter().copied());
        assert_eq!(builder.build_into(&mut buffer), Err(BuildError::OptionsTooLong { found: 256 }));
        let builder = Builder::new(EtherType::IPV4).options(many.iter().copied().take(63));
        assert_eq!(builder.build_into(&mut buffer), Ok(260));
        assert_eq!(
            builder.build_into(&mut buffer[..259]),
            Err(BuildError::BufferTooSmall { expected: 260, found: 259 })
        );
        let packet = Packet::parse(&buffer).unwrap();
        assert_eq!(Builder::from(&packet).header_len(), Ok(260));
    });
}

#[test]
fn replying_allocates_nothing() {
    let address = |last| Ipv4Addr::new(10, 0, 0, last);
    let outer = Outer::new((address(1), 50_000), (address(2), 6081));
    for checksum in [UdpChecksum::Zero, UdpChecksum::Computed, UdpChecksum::Received] {
        let policy = ReplyPolicy { checksum, ..ReplyPolicy::default() };
        for payload in [sample::ipv4_tcp(), sample::ipv6_tcp(), sample::many_options()] {
            allocates_nothing(|| {
                let envelope = Envelope::parse(&payload, &Profile::AWS).unwrap();
                let reply = envelope.reply(&outer, &policy).unwrap();
                let mut buffer = [0; 512];
                let len = reply.write_to(&mut buffer).unwrap();
                let parts = reply.parts();
                assert_eq!(parts.iter().map(|part| part.len()).sum::<usize>(), len);
                assert!(buffer[..len].ends_with(parts[2]));
                let short = reply.write_to(&mut buffer[..len - 1]);
                assert_eq!(
                    short,
                    Err(ReplyError::BufferTooSmall { expected: len, found: len - 1 })
                );
            });
        }
        let long = vec![0x45; 65_536 - 28 - 40];
        let payload = sample::ipv4_tcp();
        allocates_nothing(|| {
            let envelope = Envelope::parse(&payload, &Profile::AWS).unwrap();
            let error = envelope.reply_with(&long, &outer, &policy).unwrap_err();
            assert_eq!(error, ReplyError::TooLong { found: 65_536 });
        });
    }
}

#[test]
fn tunnels_allocate_nothing() {
    let inner = sample::ipv4(6, &sample::tcp(b"hello"));
    for how in 0..tunnels::PACKINGS {
        let bytes = tunnels::pack(how + 1, &tunnels::pack(how, &inner));
        let bent = (0..bytes.len()).map(|at| {
            let mut bent = bytes.clone();
            bent[at] ^= 0xff;
            bent
        });
        for bytes in bent.chain([bytes.clone()]) {
            allocates_nothing(|| {
                let found = Tunneled::look_through(&IpPacket::parse(&bytes).ok()?).ok()?;
                let mut buffer = [0; 512];
                let ways = [Toward::Sender, Toward::Receiver];
                let wrap = |toward| found.wrap(toward, found.innermost().bytes(), &mut buffer);
                Some((found.offset(), found.tunnels().count(), ways.map(wrap)))
            });
        }
    }
}

/// A map of fragments reserves all it needs, however many endpoints come and go.
#[cfg(feature = "alloc")]
#[test]
fn fragments_of_ever_new_endpoints_allocate_nothing() {
    use gwlb_geneve::Timestamp;
    use gwlb_geneve::flow::{FlowSeed, FragmentMap, PacketFlow, Part, Resolved};
    use gwlb_geneve::gwlb::EndpointId;

    let seed = FlowSeed::from_bytes([5; 32]);
    let mut map = FragmentMap::with_quota(4, 2, seed).unwrap();
    let mut first = sample::ipv4(17, &sample::udp(b"12345678"));
    first[6] = 0x20;
    let count = allocation_counter::measure(|| {
        for n in 0..1_000_u64 {
            let packet = IpPacket::parse(&first).unwrap();
            let flow = PacketFlow::of(EndpointId(n), &packet).unwrap();
            let Part::First(name) = flow.part else { panic!("{flow:?}") };
            // Four at a time, each for a minute.
            let now = Timestamp::from_nanos(n * 15_000_000_000);
            assert_eq!(map.resolve(flow, now), Resolved::Flow(flow));
            assert!(map.poison(&name, now));
        }
    });
    assert_eq!((count.count_total, count.bytes_total), (0, 0));
}
