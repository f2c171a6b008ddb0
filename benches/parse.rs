//! Times, to compare ways with one another within one run; what repeats exactly is counted by the
//! `instructions` bench.
//!
//! Each way is asserted once to give the right answer before it is measured.

#![allow(missing_docs)]

#[path = "support/fused.rs"]
mod fused;
#[path = "../tests/support/mod.rs"]
mod support;

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use etherparse::{LaxSlicedPacket, SlicedPacket, TransportSlice};
use gwlb_geneve::EtherType;
use gwlb_geneve::geneve::{Builder, MAX_HEADER_LEN, Packet};
use gwlb_geneve::gwlb::{Envelope, Outer, Profile, ReplyPolicy, UdpChecksum};
use gwlb_geneve::packet::{Checksum, FiveTuple, IpPacket, Ports};
use support::generate::{aws_datagram, aws_options};
use support::{oracle, sample};

fn header(c: &mut Criterion) {
    let mut group = c.benchmark_group("header and options");
    group.throughput(Throughput::Elements(1));
    for (name, bytes) in [
        ("usual", sample::ipv4_tcp()),
        ("reversed", sample::reversed()),
        ("33 options", sample::many_options()),
    ] {
        let packet = Packet::parse(&bytes).unwrap();
        assert_eq!(Packet::parse_general(&bytes), Ok(packet));
        assert_eq!(oracle::geneve(&bytes).unwrap().payload, packet.header().len());
        group.bench_with_input(BenchmarkId::new("parse", name), &bytes[..], |b, bytes| {
            b.iter(|| Packet::parse(black_box(bytes)));
        });
        group.bench_with_input(BenchmarkId::new("general walk", name), &bytes[..], |b, bytes| {
            b.iter(|| Packet::parse_general(black_box(bytes)));
        });
        group.bench_with_input(BenchmarkId::new("oracle", name), &bytes[..], |b, bytes| {
            b.iter(|| oracle::geneve(black_box(bytes)));
        });
    }
    group.finish();
}

fn envelope(c: &mut Criterion) {
    let mut group = c.benchmark_group("envelope");
    group.throughput(Throughput::Elements(1));
    for (name, bytes) in [
        ("usual", sample::ipv4_tcp()),
        ("reversed", sample::reversed()),
        ("33 options", sample::many_options()),
    ] {
        let envelope = Envelope::parse(&bytes, &Profile::AWS).unwrap();
        assert_eq!(oracle::envelope(&bytes).unwrap().0, envelope.endpoint().0);
        group.bench_with_input(BenchmarkId::new("parse", name), &bytes[..], |b, bytes| {
            b.iter(|| Envelope::parse(black_box(bytes), &Profile::AWS));
        });
        group.bench_with_input(BenchmarkId::new("general walk", name), &bytes[..], |b, bytes| {
            b.iter(|| Envelope::parse_general(black_box(bytes), &Profile::AWS));
        });
        group.bench_with_input(BenchmarkId::new("oracle", name), &bytes[..], |b, bytes| {
            b.iter(|| oracle::envelope(black_box(bytes)));
        });
    }
    group.finish();
}

fn five_tuple(c: &mut Criterion) {
    let mut group = c.benchmark_group("inner 5-tuple");
    group.throughput(Throughput::Elements(1));
    let chain = [[60, 0, 1, 4, 0, 0, 0, 0], [17, 0, 1, 4, 0, 0, 0, 0]].concat();
    for (name, bytes) in [
        ("IPv4 TCP", sample::ipv4(6, &sample::tcp(b"hello"))),
        ("IPv4 UDP", sample::ipv4(17, &sample::udp(b"hello"))),
        ("IPv6 TCP", sample::ipv6(6, &sample::tcp(b"hello"))),
        ("IPv6 UDP, options", sample::ipv6(0, &[chain, sample::udp(b"hello")].concat())),
    ] {
        let tuple = FiveTuple::parse(&bytes).unwrap();
        let ports = tuple.ports.unwrap();
        assert_eq!(general(&bytes), Some(tuple));
        assert_eq!(etherparse(&bytes), Some(ports));
        assert_eq!(etherparse_lax(&bytes), Some(ports));
        assert_eq!(oracle::five_tuple(&bytes).unwrap().3, Some((ports.source, ports.destination)));
        group.bench_with_input(BenchmarkId::new("parse", name), &bytes[..], |b, bytes| {
            b.iter(|| FiveTuple::parse(black_box(bytes)));
        });
        group.bench_with_input(BenchmarkId::new("views", name), &bytes[..], |b, bytes| {
            b.iter(|| general(black_box(bytes)));
        });
        group.bench_with_input(BenchmarkId::new("etherparse", name), &bytes[..], |b, bytes| {
            b.iter(|| etherparse(black_box(bytes)));
        });
        group.bench_with_input(BenchmarkId::new("etherparse lax", name), &bytes[..], |b, bytes| {
            b.iter(|| etherparse_lax(black_box(bytes)));
        });
        group.bench_with_input(BenchmarkId::new("oracle", name), &bytes[..], |b, bytes| {
            b.iter(|| oracle::five_tuple(black_box(bytes)));
        });
    }
    group.finish();
}

fn general(bytes: &[u8]) -> Option<FiveTuple> {
    IpPacket::parse(bytes).ok()?.five_tuple().ok()
}

/// Addresses are in the slices too; ports are what takes the walk.
fn etherparse(bytes: &[u8]) -> Option<Ports> {
    let packet = SlicedPacket::from_ip(bytes).ok()?;
    black_box(&packet.net);
    transport_ports(packet.transport.as_ref()?)
}

fn etherparse_lax(bytes: &[u8]) -> Option<Ports> {
    let packet = LaxSlicedPacket::from_ip(bytes).ok()?;
    black_box(&packet.net);
    transport_ports(packet.transport.as_ref()?)
}

fn transport_ports(transport: &TransportSlice<'_>) -> Option<Ports> {
    let (source, destination) = match transport {
        TransportSlice::Tcp(tcp) => (tcp.source_port(), tcp.destination_port()),
        TransportSlice::Udp(udp) => (udp.source_port(), udp.destination_port()),
        _ => return None,
    };
    Some(Ports { source, destination })
}

fn build(c: &mut Criterion) {
    let mut group = c.benchmark_group("build_into");
    group.throughput(Throughput::Elements(1));
    let options = aws_options(&[1; 8], &[0; 8], &[2; 4]);
    let many = sample::many_options();
    let many: Vec<_> = Packet::parse(&many).unwrap().options().collect();
    for (name, options, len) in [("usual", &options[..], 40), ("33 options", &many[..], 260)] {
        let mut buffer = [0; MAX_HEADER_LEN];
        let builder = Builder::new(EtherType::IPV4).options(options.iter().copied());
        assert_eq!(builder.build_into(&mut buffer), Ok(len));
        group.bench_function(name, |b| {
            b.iter(|| black_box(&builder).build_into(black_box(&mut buffer)));
        });
    }
    group.finish();
}

fn reply(c: &mut Criterion) {
    let mut group = c.benchmark_group("reply of 1,500 bytes inside");
    let payload = aws_datagram(&sample::ipv4(6, &sample::tcp(&[b'x'; 1_460])));
    let envelope = Envelope::parse(&payload, &Profile::AWS).unwrap();
    let outer = Outer::new(([10, 0, 1, 10].into(), 60_001), ([10, 0, 1, 20].into(), 6081));
    group.throughput(Throughput::Bytes(28 + payload.len() as u64));
    for checksum in [UdpChecksum::Zero, UdpChecksum::Computed] {
        let policy = ReplyPolicy { checksum, ..ReplyPolicy::default() };
        let mut buffer = [0; 2_048];
        let reply = envelope.reply(&outer, &policy).unwrap();
        assert_eq!(reply.write_to(&mut buffer), Ok(1_568));
        group.bench_function(BenchmarkId::new("headers", format!("{checksum:?}")), |b| {
            b.iter(|| black_box(&envelope).reply(black_box(&outer), &policy));
        });
        group.bench_function(BenchmarkId::new("write_to", format!("{checksum:?}")), |b| {
            b.iter(|| {
                let reply = black_box(&envelope).reply(black_box(&outer), &policy).unwrap();
                reply.write_to(black_box(&mut buffer))
            });
        });
    }
    group.finish();
}

fn checksum(c: &mut Criterion) {
    let mut group = c.benchmark_group("checksum");
    let bytes: Vec<u8> = (0..1_500_u32).map(|n| (n * 7) as u8).collect();
    for len in [20, 64, 1_500] {
        let bytes = &bytes[..len];
        assert_eq!(Checksum::of(bytes), oracle::checksum(bytes));
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_with_input(BenchmarkId::new("of", len), bytes, |b, bytes| {
            b.iter(|| Checksum::of(black_box(bytes)));
        });
        group.bench_with_input(BenchmarkId::new("oracle", len), bytes, |b, bytes| {
            b.iter(|| oracle::checksum(black_box(bytes)));
        });
    }
    group.finish();
}

fn checksum_and_copy(c: &mut Criterion) {
    let mut group = c.benchmark_group("checksum and copy");
    let bytes: Vec<u8> = (0..1_460_u32).map(|n| (n * 7) as u8).collect();
    let mut copy = vec![0; 1_460];
    group.throughput(Throughput::Bytes(1_460));
    group.bench_function("one after the other", |b| {
        b.iter(|| {
            let sum = Checksum::of(black_box(&bytes));
            black_box(&mut copy[..]).copy_from_slice(black_box(&bytes));
            sum
        });
    });
    for (name, pass) in [
        ("one pass, in words", fused::in_words as fn(&[u8], &mut [u8]) -> u128),
        ("one pass, in vectors", fused::in_vectors),
    ] {
        copy.fill(0);
        assert_eq!(fused::fold(pass(&bytes, &mut copy)), oracle::checksum(&bytes));
        assert_eq!(copy, bytes);
        group.bench_function(name, |b| {
            b.iter(|| fused::fold(pass(black_box(&bytes), black_box(&mut copy))));
        });
    }
    group.finish();
}

criterion_group!(benches, header, envelope, five_tuple, build, reply, checksum, checksum_and_copy);
criterion_main!(benches);
