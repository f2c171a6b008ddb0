//! Captures as they are found in the world: whole, cut, damaged, hostile, and in every form that
//! the formats allow.
#![cfg(feature = "capture")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use gwlb_geneve::capture::{
    Damage, Error, Format, LinkType, MAX_PACKET, MAX_RECORD, Packet, Reader, Writer,
};
use gwlb_geneve::{EtherType, Timestamp};
use proptest::prelude::*;

const MOMENT: u64 = 1_700_000_000_123_456_789;

/// What is compared of a packet: number, nanoseconds, link type, interface, original length, data.
type Seen = (u64, u64, u16, u32, u32, Vec<u8>);

fn seen(packet: &Packet<'_>) -> Seen {
    let Packet { number, timestamp, link_type, interface, original_len, data } = *packet;
    (number, timestamp.as_nanos(), link_type.0, interface, original_len, data.to_vec())
}

/// Reads all of a file; checks that it ends, stays ended and counts rightly.
fn read_all(file: &[u8]) -> (Vec<Seen>, Vec<Error>) {
    let mut reader = match Reader::new(file) {
        Ok(reader) => reader,
        Err(error) => return (Vec::new(), vec![error]),
    };
    let (mut packets, mut errors) = (Vec::new(), Vec::new());
    while let Some(result) = reader.next_packet() {
        match result {
            Ok(packet) => {
                if let Ok(network) = packet.network() {
                    assert!(network.payload.len() + network.offset == packet.data.len());
                }
                assert!(packet.data.len() <= packet.original_len as usize);
                packets.push(seen(&packet));
            }
            Err(error) => errors.push(error),
        }
        let items = packets.len() + errors.len();
        assert!(items <= file.len() / 12 + 1, "{items} items in {} bytes", file.len());
    }
    assert!(reader.next_packet().is_none() && reader.next_packet().is_none());
    assert_eq!(reader.packets_read(), packets.len() as u64);
    for error in &errors {
        let message = error.to_string();
        assert!(!message.contains('\n') && message.contains("found"), "{message:?}");
    }
    (packets, errors)
}

#[track_caller]
fn read_clean(file: &[u8]) -> Vec<Seen> {
    let (packets, errors) = read_all(file);
    assert!(errors.is_empty(), "{errors:?}");
    packets
}

fn numbers(packets: &[Seen]) -> Vec<u64> {
    packets.iter().map(|packet| packet.0).collect()
}

/// Hand-made files, in either byte order.
#[derive(Clone, Copy, Debug)]
enum Order {
    Big,
    Little,
}

impl Order {
    fn u16(self, value: u16) -> [u8; 2] {
        match self {
            Order::Big => value.to_be_bytes(),
            Order::Little => value.to_le_bytes(),
        }
    }

    fn words(self, values: &[u32]) -> Vec<u8> {
        let word = |value: &u32| match self {
            Order::Big => value.to_be_bytes(),
            Order::Little => value.to_le_bytes(),
        };
        values.iter().flat_map(word).collect()
    }

    fn pcap(self, magic: u32, snap_len: u32, network: u32) -> Vec<u8> {
        let version = [self.u16(2), self.u16(4)].concat();
        [self.words(&[magic]), version, self.words(&[0, 0, snap_len, network])].concat()
    }

    fn record(self, seconds: u32, parts: u32, original_len: u32, data: &[u8]) -> Vec<u8> {
        let header = self.words(&[seconds, parts, data.len() as u32, original_len]);
        [&header, data].concat()
    }

    fn block(self, kind: u32, parts: &[&[u8]]) -> Vec<u8> {
        let mut body = parts.concat();
        body.resize(body.len().next_multiple_of(4), 0);
        let len = body.len() as u32 + 12;
        [self.words(&[kind, len]), body, self.words(&[len])].concat()
    }

    fn section(self) -> Vec<u8> {
        let version = [self.u16(1), self.u16(0)].concat();
        self.block(0x0a0d_0d0a, &[&self.words(&[0x1a2b_3c4d]), &version, &[0xff; 8]])
    }

    fn interface(self, link_type: u16, snap_len: u32, options: &[u8]) -> Vec<u8> {
        self.block(1, &[&self.u16(link_type), &[0; 2], &self.words(&[snap_len]), options])
    }

    fn option(self, code: u16, value: &[u8]) -> Vec<u8> {
        let mut option = [&self.u16(code), &self.u16(value.len() as u16), value].concat();
        option.resize(option.len().next_multiple_of(4), 0);
        option
    }

    fn enhanced(self, interface: u32, ticks: u64, original_len: u32, data: &[u8]) -> Vec<u8> {
        let (high, low) = ((ticks >> 32) as u32, ticks as u32);
        let fields = [interface, high, low, data.len() as u32, original_len];
        self.block(6, &[&self.words(&fields), data])
    }
}

const ORDERS: [Order; 2] = [Order::Big, Order::Little];

#[test]
fn written_packets_are_read_back() {
    let packets: &[(u64, u32, &[u8])] =
        &[(MOMENT, 60, &[0xab; 60]), (MOMENT + 1, 1500, &[1, 2, 3]), (0, 0, &[])];
    let formats = [
        (Format::Pcapng, 1),
        (Format::Pcap(LinkType::LINUX_SLL2), 1_000),
        (Format::PcapNanos(LinkType::LINUX_SLL2), 1),
    ];
    for (format, resolution) in formats {
        let mut writer = Writer::new(Vec::new(), format).unwrap();
        for (nanos, original_len, data) in packets {
            let time = Timestamp::from_nanos(*nanos);
            writer.write_packet(time, LinkType::LINUX_SLL2, *original_len, data).unwrap();
        }
        assert_eq!(writer.packets_written(), 3);
        let read = read_clean(&writer.finish().unwrap());
        assert_eq!(read.len(), packets.len());
        for (index, (nanos, original_len, data)) in packets.iter().enumerate() {
            let nanos = nanos / resolution * resolution;
            let expected = (index as u64 + 1, nanos, 276, 0, *original_len, data.to_vec());
            assert_eq!(read[index], expected, "{format:?}");
        }
    }
}

#[test]
fn each_link_type_becomes_an_interface() {
    let mut writer = Writer::new(Vec::new(), Format::Pcapng).unwrap();
    let links = [1, 113, 1, 276, 101, 113, 65535];
    for link in links {
        writer.write_packet(Timestamp::EPOCH, LinkType(link), 4, &[0x45, 0, 0, 4]).unwrap();
    }
    let read = read_clean(&writer.finish().unwrap());
    assert_eq!(read.iter().map(|packet| packet.2).collect::<Vec<_>>(), links);
    let interfaces: Vec<_> = read.iter().map(|packet| packet.3).collect();
    assert_eq!(interfaces, [0, 1, 0, 2, 3, 1, 4]);
}

/// A `DataLink` that renumbered one of them would mislabel every packet of a file.
#[test]
fn every_link_type_survives_both_formats() {
    for link in 0..=u16::MAX {
        let link_type = LinkType(link);
        for format in [Format::Pcapng, Format::Pcap(link_type)] {
            let mut writer = Writer::new(Vec::new(), format).unwrap();
            writer.write_packet(Timestamp::EPOCH, link_type, 0, &[]).unwrap();
            let file = writer.finish().unwrap();
            let mut reader = Reader::new(&file[..]).unwrap();
            assert_eq!(reader.next_packet().unwrap().unwrap().link_type, link_type);
        }
    }
}

#[test]
fn copies_are_faithful() {
    let mut file = Order::Big.pcap(0xa1b2_3c4d, 96, 228);
    file.extend(Order::Big.record(5, 999_999_999, 1500, &[0x45; 96]));
    let mut reader = Reader::new(&file[..]).unwrap();
    let mut writer = Writer::new(Vec::new(), Format::Pcapng).unwrap();
    let packet = reader.next_packet().unwrap().unwrap();
    assert!(packet.is_truncated());
    writer.write_copy(&packet).unwrap();
    assert_eq!(read_clean(&writer.finish().unwrap()), read_clean(&file));
}

#[test]
fn pcap_in_both_orders_and_resolutions() {
    for order in ORDERS {
        for (magic, unit) in [(0xa1b2_c3d4, 1_000), (0xa1b2_3c4d, 1)] {
            let mut file = order.pcap(magic, 65535, 12);
            file.extend(order.record(u32::MAX, 999_999, 7, &[1, 2, 3, 4, 5, 6, 7]));
            let nanos = u64::from(u32::MAX) * 1_000_000_000 + 999_999 * unit;
            let expected = (1, nanos, 12, 0, 7, vec![1, 2, 3, 4, 5, 6, 7]);
            assert_eq!(read_clean(&file), [expected], "{order:?} {magic:x}");
        }
    }
}

/// pcap-file refuses most of these packets.
#[test]
fn pcap_lengths_that_disagree_with_the_snap_length() {
    for snap_len in [0, 2, 65535] {
        let mut file = Order::Little.pcap(0xa1b2_c3d4, snap_len, 1);
        file.extend(Order::Little.record(1, 0, 1500, &[1, 2, 3]));
        file.extend(Order::Little.record(1, 0, 100_000, &[4; 4]));
        file.extend(Order::Little.record(1, 0, 0, &[5, 6]));
        let lens: Vec<_> = read_clean(&file).iter().map(|seen| (seen.4, seen.5.len())).collect();
        assert_eq!(lens, [(1500, 3), (100_000, 4), (2, 2)], "snap length {snap_len}");
    }
}

#[test]
fn pcap_check_sequence_bits_are_no_link_type() {
    let mut file = Order::Little.pcap(0xa1b2_c3d4, 0, 0x2400_0001);
    file.extend(Order::Little.record(1, 0, 1, &[1]));
    assert_eq!(read_clean(&file)[0].2, 1);
}

#[test]
fn pcap_fraction_of_a_second_or_more_costs_one_packet() {
    for (magic, limit) in [(0xa1b2_c3d4, 1_000_000), (0xa1b2_3c4d, 1_000_000_000)] {
        let mut file = Order::Big.pcap(magic, 0, 1);
        for parts in [limit - 1, limit, u32::MAX, 0] {
            file.extend(Order::Big.record(1, parts, 1, &[1]));
        }
        let (packets, errors) = read_all(&file);
        assert_eq!(numbers(&packets), [1, 4]);
        let expected = Damage::SubSecond { limit, found: limit };
        assert!(matches!(
            errors[0],
            Error::Damaged { packet: 2, offset: 41, reason } if reason == expected
        ));
        assert_eq!(errors.len(), 2);
    }
}

#[test]
fn pcapng_blocks_of_every_kind_in_both_orders() {
    for order in ORDERS {
        let ids = [order.u16(1), order.u16(9)].concat();
        let (high, low) = (1, 5);
        let file = [
            order.section(),
            order.interface(1, 6, &[]),
            order.block(0xbad, &[&[7; 20]]),
            order.interface(101, 0, &order.option(9, &[9])),
            order.enhanced(1, MOMENT, 5, &[1, 2, 3, 4, 5]),
            order.block(2, &[&ids, &order.words(&[high, low, 3, 30]), &[7, 8, 9]]),
            // Six of eight bytes, by the snap length of the first interface.
            order.block(3, &[&order.words(&[60]), &[4; 6]]),
            order.block(3, &[&order.words(&[5]), &[4; 5]]),
            order.block(5, &[&[0; 12]]),
            order.enhanced(0, 1_000_001, 3, &[1, 2, 3]),
        ]
        .concat();
        let expected: Vec<Seen> = vec![
            (1, MOMENT, 101, 1, 5, vec![1, 2, 3, 4, 5]),
            (2, (1 << 32) + 5, 101, 1, 30, vec![7, 8, 9]),
            (3, 0, 1, 0, 60, vec![4; 6]),
            (4, 0, 1, 0, 5, vec![4; 5]),
            (5, 1_000_001_000, 1, 0, 3, vec![1, 2, 3]),
        ];
        assert_eq!(read_clean(&file), expected, "{order:?}");
    }
}

#[test]
fn simple_packets_without_a_snap_length_are_whole() {
    let order = Order::Little;
    let simple = order.block(3, &[&order.words(&[5]), &[4; 5]]);
    let file = [order.section(), order.interface(1, 0, &[]), simple].concat();
    assert_eq!(read_clean(&file), [(1, 0, 1, 0, 5, vec![4; 5])]);
}

#[test]
fn sections_have_their_own_order_and_interfaces() {
    let (big, little) = (Order::Big, Order::Little);
    let file = [
        big.section(),
        big.interface(1, 0, &[]),
        big.interface(113, 0, &[]),
        big.enhanced(1, 1, 1, &[1]),
        little.section(),
        little.interface(276, 0, &little.option(9, &[0])),
        little.enhanced(0, 2, 1, &[2]),
        little.enhanced(1, 3, 1, &[3]),
        big.section(),
        big.enhanced(0, 4, 1, &[4]),
        big.interface(101, 0, &[]),
        big.enhanced(0, 5, 1, &[5]),
    ]
    .concat();
    let (packets, errors) = read_all(&file);
    let expected = [
        (1, 1_000, 113, 1, 1, vec![1]),
        (2, 2_000_000_000, 276, 0, 1, vec![2]),
        (5, 5_000, 101, 0, 1, vec![5]),
    ];
    assert_eq!(packets, expected);
    let unknown: Vec<_> = errors
        .iter()
        .map(|error| match *error {
            Error::Damaged {
                packet,
                reason: Damage::UnknownInterface { described, found },
                ..
            } => (packet, described, found),
            _ => panic!("{error}"),
        })
        .collect();
    assert_eq!(unknown, [(3, 1, 1), (4, 0, 0)]);
}

#[test]
fn interface_clocks_are_used() {
    for order in ORDERS {
        let offset = |seconds: i64| match order {
            Order::Big => order.option(14, &seconds.to_be_bytes()),
            Order::Little => order.option(14, &seconds.to_le_bytes()),
        };
        // A time zone, a name that is not UTF-8, a short custom option, and no end of options:
        // pcap-file refuses each.
        let strange = [
            order.option(10, &[0; 4]),
            order.option(2, &[0xff; 5]),
            order.option(2988, &[1]),
            order.option(9, &[3]),
        ];
        let past = [order.option(9, &[0]), offset(-3), order.option(0, &[])];
        let cases: [(Vec<u8>, u64, u64); 7] = [
            (vec![], 1_500_000, 1_500_000_000),
            (order.option(9, &[6]), 1_500_000, 1_500_000_000),
            (order.option(9, &[9]), 1_500_000, 1_500_000),
            (order.option(9, &[0x80 | 20]), 3 << 19, 1_500_000_000),
            (offset(3_600), 1, 3_600_000_001_000),
            (past.concat(), 5, 2_000_000_000),
            (strange.concat(), 1, 1_000_000),
        ];
        for (options, ticks, nanos) in cases {
            let interface = order.interface(1, 0, &options);
            let packet = order.enhanced(0, ticks, 1, &[1]);
            let file = [order.section(), interface, packet].concat();
            assert_eq!(read_clean(&file)[0].1, nanos, "{order:?} {options:?}");
        }
    }
}

#[test]
fn a_damaged_interface_costs_its_own_packets() {
    let order = Order::Little;
    let overrun = [&order.u16(9)[..], &order.u16(400), &[1, 0, 0, 0]].concat();
    for options in [order.option(9, &[1, 2]), order.option(14, &[0; 4]), overrun] {
        let file = [
            order.section(),
            order.interface(1, 0, &options),
            order.interface(101, 0, &[]),
            order.enhanced(0, 1, 1, &[1]),
            order.enhanced(1, 1, 1, &[2]),
        ]
        .concat();
        let (packets, errors) = read_all(&file);
        assert_eq!(packets, [(2, 1_000, 101, 1, 1, vec![2])]);
        assert_eq!(errors.len(), 2, "{errors:?}");
        let unusable = Damage::UnusableInterface { found: 0 };
        assert!(matches!(
            errors[1],
            Error::Damaged { packet: 1, reason, .. } if reason == unusable
        ));
    }
}

/// pcap-file hands out the same error for ever here.
#[test]
fn a_packet_that_overruns_its_block_is_one_error() {
    for order in ORDERS {
        let mut damaged = order.enhanced(0, 2, 4, &[2; 4]);
        damaged[20..24].copy_from_slice(&order.words(&[u32::MAX]));
        let before = [order.section(), order.interface(1, 0, &[]), order.enhanced(0, 1, 1, &[1])];
        let offset = before.concat().len();
        let file = [before.concat(), damaged, order.enhanced(0, 3, 1, &[3])].concat();
        let (packets, errors) = read_all(&file);
        assert_eq!(numbers(&packets), [1, 3]);
        assert_eq!(errors.len(), 1);
        assert_eq!(
            errors[0].to_string(),
            format!(
                "packet 2, file offset {offset}: expected at most 4 bytes of packet data in the \
                 block, found 4294967295"
            )
        );
    }
}

#[test]
fn unreadable_options_of_a_packet_do_not_cost_the_packet() {
    let order = Order::Little;
    let fields = order.words(&[0, 0, 1, 4, 4]);
    let options = [order.option(1, &[0xff; 3]), vec![1, 0, 0xff, 0xff]].concat();
    let packet = order.block(6, &[&fields, &[9; 4], &options]);
    let file = [order.section(), order.interface(1, 0, &[]), packet].concat();
    assert_eq!(read_clean(&file), [(1, 1_000, 1, 0, 4, vec![9; 4])]);
}

#[test]
fn lost_positions_end_the_file() {
    let order = Order::Little;
    let start = [order.section(), order.interface(1, 0, &[]), order.enhanced(0, 1, 1, &[1])];
    let good = order.enhanced(0, 2, 1, &[2]);
    let mut trailer = good.clone();
    *trailer.last_mut().unwrap() ^= 1;
    let mut odd = good.clone();
    odd[4] += 1;
    let mut byte_order = Order::Big.section();
    byte_order[8] ^= 1;
    let mut version = Order::Big.section();
    version[13] = 2;
    for damaged in [trailer, odd, byte_order, version, order.words(&[6, 8, 8])] {
        let (packets, errors) = read_all(&[start.concat(), damaged, good.clone()].concat());
        assert_eq!((packets.len(), errors.len()), (1, 1), "{errors:?}");
    }
}

#[test]
fn endless_interfaces_are_refused() {
    let mut file = Order::Little.section();
    file.extend(Order::Little.interface(1, 0, &[]).repeat((1 << 16) + 1));
    let (packets, errors) = read_all(&file);
    assert_eq!((packets.len(), errors.len()), (0, 1));
    let expected = Damage::TooManyInterfaces { limit: 1 << 16 };
    assert!(matches!(errors[0], Error::Damaged { reason, .. } if reason == expected));
}

#[test]
fn hostile_lengths_take_no_memory() {
    // Alone in a process, so that nothing else is measured.
    if std::env::var_os("CAPTURE_FILES_ALONE").is_none() {
        let alone = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "hostile_lengths_take_no_memory", "--test-threads=1"])
            .env("CAPTURE_FILES_ALONE", "1")
            .output()
            .unwrap();
        assert!(alone.status.success(), "{}", String::from_utf8_lossy(&alone.stdout));
        return;
    }
    let before = peak_memory();
    let max_record = MAX_RECORD as u32;
    for claim in [max_record - 16, max_record, 1 << 31, u32::MAX - 3] {
        for order in ORDERS {
            let mut pcap = order.pcap(0xa1b2_c3d4, claim, 1);
            pcap.extend(order.words(&[0, 0, claim, claim]));
            pcap.resize(60, 0);
            assert_eq!(read_all(&pcap).1.len(), 1);

            let mut pcapng = order.section();
            pcapng.extend(order.words(&[6, claim, 0, 0, 0, claim, claim]));
            pcapng.resize(60, 0);
            assert_eq!(read_all(&pcapng).1.len(), 1);

            let mut section = order.section();
            section[4..8].copy_from_slice(&order.words(&[claim]));
            section.resize(60, 0);
            assert_eq!(read_all(&section).1.len(), 1);
        }
    }
    // Many at once, so that what they hold is more than what an allocator keeps in reserve.
    let mut file = Order::Big.pcap(0xa1b2_c3d4, 0, 1);
    file.extend(Order::Big.words(&[0, 0, max_record - 16, max_record]));
    let readers: Vec<_> = (0..50)
        .map(|_| {
            let mut reader = Reader::new(&file[..]).unwrap();
            assert!(matches!(reader.next_packet(), Some(Err(Error::TruncatedRecord { .. }))));
            reader
        })
        .collect();
    if let (Some(before), Some(after)) = (before, peak_memory()) {
        assert!(after - before < 8 << 10, "grew by {} KiB", after - before);
    }
    drop(readers);
}

/// Most memory ever reserved by this process, in KiB.
fn peak_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmPeak:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// Small files in every format, each as its records: packets (true) and others (false).
fn samples() -> Vec<Vec<(Vec<u8>, bool)>> {
    let mut samples = Vec::new();
    for order in ORDERS {
        for magic in [0xa1b2_c3d4, 0xa1b2_3c4d] {
            samples.push(vec![
                (order.pcap(magic, 65535, 1), false),
                (order.record(1, 1, 7, &[1; 7]), true),
                (order.record(2, 2, 0, &[]), true),
                (order.record(3, 3, 1500, &[3; 33]), true),
            ]);
        }
        samples.push(vec![
            (order.section(), false),
            (order.interface(1, 0, &order.option(9, &[9])), false),
            (order.enhanced(0, MOMENT, 7, &[1; 7]), true),
            (order.block(3, &[&order.words(&[5]), &[4; 5]]), true),
            (order.block(0xbad, &[&[7; 20]]), false),
            (order.section(), false),
            (order.interface(1, 0, &order.option(14, &[0; 8])), false),
            (order.block(2, &[&order.words(&[0, 1, 2, 3, 3]), &[1, 2, 3]]), true),
            (order.enhanced(0, 1, 1, &[1]), true),
        ]);
    }
    samples
}

#[test]
fn a_cut_costs_nothing_before_it() {
    for sample in samples() {
        let mut file = Vec::new();
        let mut ends = Vec::new();
        for (record, is_packet) in &sample {
            file.extend(record);
            ends.push((file.len(), *is_packet));
        }
        let header = ends[0].0;
        let whole = read_clean(&file);
        assert_eq!(whole.len(), ends.iter().filter(|end| end.1).count());
        for cut in 0..=file.len() {
            let (packets, errors) = read_all(&file[..cut]);
            let before = ends.iter().filter(|end| end.1 && end.0 <= cut).count();
            assert_eq!(packets, whole[..before], "cut at {cut}");
            let clean = ends.iter().any(|end| end.0 == cut);
            assert_eq!(errors.len(), usize::from(!clean), "cut at {cut}: {errors:?}");
            match errors.first() {
                Some(Error::Empty) => assert_eq!(cut, 0),
                Some(Error::TruncatedHeader { expected, found }) => {
                    assert!(cut < header && *found == cut && *expected > cut);
                }
                Some(Error::TruncatedRecord { packet, expected, found }) => {
                    assert_eq!(*packet, before as u64 + 1);
                    assert!(cut > header && *expected > *found && *found > 0);
                }
                Some(other) => panic!("cut at {cut}: {other}"),
                None => {}
            }
        }
    }
}

#[test]
fn any_damaged_byte_leaves_an_end() {
    for sample in samples() {
        let file: Vec<u8> = sample.iter().flat_map(|(record, _)| record).copied().collect();
        for at in 0..file.len() {
            for flip in 1..=255 {
                let mut damaged = file.clone();
                damaged[at] ^= flip;
                // The checks are in there.
                read_all(&damaged);
            }
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_end(start in 0..6_usize, bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let starts = [
            vec![],
            Order::Little.pcap(0xa1b2_c3d4, 0, 1),
            Order::Big.pcap(0xa1b2_3c4d, 0, 113),
            Order::Little.section(),
            [Order::Big.section(), Order::Big.interface(1, 0, &[])].concat(),
            Order::Little.section()[..8].to_vec(),
        ];
        read_all(&[&starts[start][..], &bytes].concat());
    }

    /// Blocks that are whole, so that their bodies are reached and none ends the file.
    #[test]
    fn any_block_bodies_end(
        blocks in prop::collection::vec(
            (0..8_u32, prop::collection::vec(prop_oneof![Just(0), 0..16_u8, any::<u8>()], 0..60)),
            0..20,
        ),
    ) {
        let order = Order::Little;
        let mut file = order.section();
        for (kind, body) in blocks {
            file.extend(order.block(kind, &[&body]));
        }
        let (before, _) = read_all(&file);
        let last = [order.section(), order.interface(1, 0, &[]), order.enhanced(0, 1, 1, &[1])];
        file.extend(last.concat());
        let (after, _) = read_all(&file);
        prop_assert_eq!(after.len(), before.len() + 1);
    }

    #[test]
    fn any_packets_round_trip(
        packets in prop::collection::vec(
            (any::<u64>(), 0..4_u16, 0..9000_u32, prop::collection::vec(any::<u8>(), 0..100)),
            0..20,
        ),
    ) {
        let mut writer = Writer::new(Vec::new(), Format::Pcapng).unwrap();
        for (nanos, link, more, data) in &packets {
            let original_len = data.len() as u32 + more;
            let time = Timestamp::from_nanos(*nanos);
            writer.write_packet(time, LinkType(*link), original_len, data).unwrap();
        }
        let read = read_clean(&writer.finish().unwrap());
        prop_assert_eq!(read.len(), packets.len());
        for (read, (nanos, link, more, data)) in read.iter().zip(&packets) {
            prop_assert_eq!((read.1, read.2, &read.5), (*nanos, *link, data));
            prop_assert_eq!(read.4, data.len() as u32 + more);
        }
    }
}

#[test]
fn what_is_no_capture_is_named() {
    let error = |bytes: &[u8]| Reader::new(bytes).unwrap_err().to_string();
    assert_eq!(error(&[]), "expected a pcap or pcapng capture, found an empty file");
    assert_eq!(error(&[1, 2]), "the file header is cut off: expected 4 bytes, found 2");
    let prefix = "expected the magic number of a pcap or pcapng capture, found ";
    assert_eq!(error(&[0, 1, 2, 3, 4]), format!("{prefix}0x00010203"));
    assert_eq!(error(b"<html>"), format!("{prefix}0x3c68746d (text)"));
    let gzip = [0x1f, 0x8b, 8, 0, 0];
    assert_eq!(error(&gzip), format!("{prefix}0x1f8b0800 (gzip: decompress it first)"));
    let mut old = Order::Big.pcap(0xa1b2_c3d4, 0, 1);
    old[7] = 2;
    assert_eq!(
        error(&old),
        "packet 1, file offset 0: expected version 2.4 of the format, found 2.2"
    );
}

#[test]
fn paths_that_cannot_be_opened_are_named() {
    let open = |path: &Path| match Reader::open(path) {
        Err(Error::Open { path: named, source }) => {
            assert_eq!(named, path);
            source.kind()
        }
        other => panic!("{other:?}"),
    };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    assert_eq!(open(folder), std::io::ErrorKind::IsADirectory);
    assert_eq!(open(&folder.join("no such capture")), std::io::ErrorKind::NotFound);
    let empty = folder.join("empty.pcap");
    fs::write(&empty, []).unwrap();
    assert!(matches!(Reader::open(&empty), Err(Error::Empty)));
    let created = Writer::create(folder.join("no such folder/a.pcap"), Format::Pcapng);
    assert!(matches!(created, Err(Error::Create { .. })));
}

#[test]
fn refused_packets_leave_the_file_whole() {
    let early = Timestamp::from_nanos(1);
    let (ethernet, cooked) = (LinkType::ETHERNET, LinkType::LINUX_SLL);
    for format in [Format::Pcapng, Format::Pcap(ethernet)] {
        let mut writer = Writer::new(Vec::new(), format).unwrap();
        let long = vec![0; MAX_PACKET + 1];
        let refused = writer.write_packet(early, ethernet, u32::MAX, &long);
        assert!(matches!(refused, Err(Error::PacketTooLong { packet: 1, .. })));
        let refused = writer.write_packet(early, ethernet, 1, &[1, 2]);
        assert!(matches!(refused, Err(Error::OriginalLength { captured: 2, found: 1, .. })));
        let comment = "x".repeat(65_536);
        let refused = writer.write_commented(early, cooked, 2, &[1, 2], &comment);
        if format == Format::Pcapng {
            assert!(matches!(refused, Err(Error::CommentTooLong { found: 65_536, .. })));
            writer.write_commented(early, ethernet, 0, &[], &comment[1..]).unwrap();
        } else {
            assert!(matches!(refused, Err(Error::CommentInPcap { packet: 1 })));
            let refused = writer.write_packet(early, cooked, 2, &[1, 2]);
            assert!(matches!(refused, Err(Error::LinkTypeMismatch { packet: 1, .. })));
            let refused = writer.write_packet(Timestamp::MAX, ethernet, 2, &[1, 2]);
            assert!(matches!(refused, Err(Error::TimestampTooLate { packet: 1, .. })));
            writer.write_packet(early, ethernet, 0, &[]).unwrap();
        }
        writer.write_packet(early, ethernet, MAX_PACKET as u32, &long[1..]).unwrap();
        let read = read_clean(&writer.finish().unwrap());
        assert_eq!((read.len(), read[1].0, read[1].5.len()), (2, 2, MAX_PACKET));
    }
}

/// Takes so many bytes, then none.
struct Full(usize);

impl std::io::Write for Full {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let len = bytes.len().min(self.0);
        self.0 -= len;
        if len == 0 { Err(std::io::ErrorKind::StorageFull.into()) } else { Ok(len) }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn nothing_is_written_behind_half_a_record() {
    for format in [Format::Pcapng, Format::Pcap(LinkType::ETHERNET)] {
        assert!(matches!(Writer::new(Full(10), format), Err(Error::Write { packet: 0, .. })));
        let mut writer = Writer::new(Full(100), format).unwrap();
        let write = |writer: &mut Writer<Full>, data: &[u8]| {
            writer.write_packet(Timestamp::EPOCH, LinkType::ETHERNET, data.len() as u32, data)
        };
        assert!(matches!(write(&mut writer, &[1; 90]), Err(Error::Write { packet: 1, .. })));
        let error = write(&mut writer, &[]).unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(source, "an earlier write failed");
        assert!(matches!(writer.finish(), Err(Error::Write { .. })));
    }
}

/// Runs a tool of Wireshark's on a file; `None` where it is not installed.
fn wireshark(tool: &str, arguments: &[&str], file: &Path) -> Option<String> {
    let output = match Command::new(tool).args(arguments).arg(file).output() {
        Ok(output) => output,
        Err(error) => {
            eprintln!("SKIPPED: {tool} cannot be run: {error}");
            return None;
        }
    };
    let complaints = String::from_utf8_lossy(&output.stderr);
    let complaints = complaints.lines().filter(|line| !line.starts_with("Running as user"));
    assert_eq!(complaints.collect::<Vec<_>>(), Vec::<&str>::new(), "{tool} {file:?}");
    assert!(output.status.success(), "{tool} {file:?}");
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn wireshark_reads_what_is_written() {
    let formats = [
        ("a.pcapng", Format::Pcapng, "1700000000.123456789"),
        ("micros.pcap", Format::Pcap(LinkType::ETHERNET), "1700000000.123456"),
        ("nanos.pcap", Format::PcapNanos(LinkType::ETHERNET), "1700000000.123456789"),
    ];
    let ip = [0x45, 0, 0, 20, 0, 0, 0, 0, 64, 59, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    let frame = [&[2; 12][..], &[8, 0], &ip].concat();
    for (name, format, time) in formats {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let mut writer = Writer::create(&path, format).unwrap();
        let moment = Timestamp::from_nanos(MOMENT);
        writer.write_packet(moment, LinkType::ETHERNET, 1500, &frame).unwrap();
        if format == Format::Pcapng {
            writer.write_commented(moment, LinkType::RAW, 20, &ip, "dropped: café").unwrap();
        }
        writer.finish().unwrap();

        let mut arguments = vec!["-T", "fields"];
        let fields = ["frame.time_epoch", "frame.len", "frame.cap_len", "ip.dst", "frame.comment"];
        arguments.extend(fields.iter().flat_map(|field| ["-e", *field]));
        arguments.push("-r");
        let Some(shown) = wireshark("tshark", &arguments, &path) else { return };
        let rows: Vec<Vec<_>> = shown.lines().map(|line| line.split('\t').collect()).collect();
        assert!(rows[0][0].starts_with(time), "{shown}");
        assert_eq!(rows[0][1..4], ["1500", "34", "10.0.0.2"]);
        if format == Format::Pcapng {
            assert_eq!(rows[1][1..], ["20", "20", "10.0.0.2", "dropped: café"]);
            let Some(infos) = wireshark("capinfos", &[], &path) else { return };
            assert!(infos.contains("gwlb-geneve"), "{infos}");
            assert!(infos.contains("nanoseconds (9)"), "{infos}");
        }
    }
}

fn captures() -> Option<PathBuf> {
    let folder = std::env::var_os("GWLB_CAPTURES").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("SKIPPED: GWLB_CAPTURES does not name the folder of public captures");
    }
    folder
}

#[test]
fn public_captures_are_read_whole() {
    let Some(folder) = captures() else { return };
    let counts = [
        ("aws-gwlb-gre.pcap", 12),
        ("geneve-ethernet-arp-icmp.pcap", 10),
        ("geneve-zeek-icmp.pcap", 6),
        ("geneve-tcpdump-critical.pcap", 39),
    ];
    for (name, count) in counts {
        let mut reader = Reader::open(folder.join(name)).unwrap();
        while let Some(packet) = reader.next_packet() {
            let network = packet.unwrap().network().unwrap();
            assert!(matches!(network.ether_type, EtherType::IPV4 | EtherType::IPV6), "{name}");
        }
        assert_eq!(reader.packets_read(), count, "{name}");
    }
    for entry in fs::read_dir(folder.join("inner")).unwrap() {
        let path = entry.unwrap().path();
        let mut reader = Reader::open(&path).unwrap();
        while let Some(packet) = reader.next_packet() {
            let packet = packet.unwrap();
            let network = packet.network();
            assert!(network.is_ok(), "{path:?} packet {}: {network:?}", packet.number);
        }
        if let Some(infos) = wireshark("capinfos", &["-c", "-M", "-T", "-r"], &path) {
            let count = infos.trim().rsplit('\t').next().unwrap();
            assert_eq!(count, reader.packets_read().to_string(), "{path:?}");
        }
    }
}
