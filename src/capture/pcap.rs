//! Classic pcap: draft-ietf-opsawg-pcap.
//!
//! Records are cut by `RawPcapPacket`: the checks of `PcapPacket` refuse every packet of which only
//! a part was captured (original length over the snap length) and all packets of a file whose
//! snap length is 0.

use std::io::Read;

use pcap_file::pcap::{PcapParser, RawPcapPacket};
use pcap_file::{Endianness, PcapError, TsResolution};

use super::input::{Input, Order};
use super::reader::{Record, Step};
use super::{Damage, Error, LinkType, MAX_RECORD};
use crate::Timestamp;

const FILE_HEADER_LEN: usize = 24;
const RECORD_HEADER_LEN: usize = 16;
const NANOS_PER_SECOND: u64 = 1_000_000_000;

#[derive(Debug)]
pub(super) struct Pcap {
    parser: PcapParser,
    order: Order,
    link_type: LinkType,
    parts_per_second: u32,
}

impl Pcap {
    /// Reads the file header, of which the magic number is known to be right.
    pub(super) fn open<R: Read>(input: &mut Input<R>) -> Result<Self, Error> {
        let found =
            input.fill(FILE_HEADER_LEN).map_err(|source| Error::Read { packet: 1, source })?;
        let Ok((_, parser)) = PcapParser::new(input.record()) else {
            return Err(Error::TruncatedHeader { expected: FILE_HEADER_LEN, found });
        };
        let header = parser.header();
        // Before 2.3 the two lengths of a record stood in the other order.
        let (major, minor) = (header.version_major, header.version_minor);
        if major != 2 || minor < 3 {
            return Err(Error::UnsupportedVersion {
                packet: 1,
                offset: 0,
                expected: "2.4",
                major,
                minor,
            });
        }
        let order = match header.endianness {
            Endianness::Big => Order::Big,
            Endianness::Little => Order::Little,
        };
        // The upper half of the field tells of frame check sequences.
        let link_type = u32::from(header.datalink) & 0xffff;
        let link_type = LinkType(u16::try_from(link_type).unwrap_or(u16::MAX));
        let parts_per_second = match header.ts_resolution {
            TsResolution::MicroSecond => 1_000_000,
            TsResolution::NanoSecond => 1_000_000_000,
        };
        Ok(Self { parser, order, link_type, parts_per_second })
    }

    /// The next record; `packet` is the number that it has.
    pub(super) fn next<R: Read>(
        &self,
        input: &mut Input<R>,
        packet: u64,
    ) -> Result<Option<Step>, Error> {
        let read = |source| Error::Read { packet, source };
        input.next_record();
        let found = input.fill(RECORD_HEADER_LEN).map_err(read)?;
        if found == 0 {
            return Ok(None);
        }
        let Some(captured) = self.order.u32(input.record(), 8) else {
            return Err(Error::TruncatedRecord { packet, expected: RECORD_HEADER_LEN, found });
        };
        let expected =
            usize::try_from(captured).unwrap_or(usize::MAX).saturating_add(RECORD_HEADER_LEN);
        if expected > MAX_RECORD {
            let reason = Damage::RecordTooLong {
                limit: MAX_RECORD,
                found: u64::from(captured).saturating_add(16),
            };
            return Err(Error::Damaged { packet, offset: input.offset(), reason });
        }
        let found = input.fill(expected).map_err(read)?;
        match self.parser.next_raw_packet(input.record()) {
            Ok((_, raw)) => Ok(Some(self.step(&raw, expected, input.offset(), packet))),
            Err(PcapError::IoError(source)) => Err(read(source)),
            Err(_) => Err(Error::TruncatedRecord { packet, expected, found }),
        }
    }

    fn step(&self, raw: &RawPcapPacket<'_>, end: usize, offset: u64, packet: u64) -> Step {
        if raw.ts_frac >= self.parts_per_second {
            let reason = Damage::SubSecond { limit: self.parts_per_second, found: raw.ts_frac };
            return Step::Damaged(Error::Damaged { packet, offset, reason });
        }
        let nanos_per_part =
            NANOS_PER_SECOND.checked_div(u64::from(self.parts_per_second)).unwrap_or(1);
        let nanos = u64::from(raw.ts_sec)
            .saturating_mul(NANOS_PER_SECOND)
            .saturating_add(u64::from(raw.ts_frac).saturating_mul(nanos_per_part));
        Step::Packet(Record {
            timestamp: Timestamp::from_nanos(nanos),
            link_type: self.link_type,
            interface: 0,
            original_len: raw.orig_len.max(raw.incl_len),
            data: RECORD_HEADER_LEN..end,
        })
    }
}
