//! pcapng: draft-ietf-opsawg-pcapng.
//!
//! Blocks are read here and not by `PcapNgParser`, which takes every time stamp for nanoseconds,
//! swaps the halves of the time in old packet blocks, counts the padding of simple packet blocks as
//! data, and refuses blocks that are valid (an option list without its end, a time zone, a comment
//! that is not UTF-8, a reserved field in use) without a way to go on behind them.

use core::ops::Range;
use std::io::Read;

use super::input::{Input, Order};
use super::interface::Interface;
use super::reader::{Record, Step};
use super::{Damage, Error, MAX_RECORD};
use crate::Timestamp;

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

/// Type, length and, in a section header, the byte-order magic; the least that a block can have.
const MIN_BLOCK_LEN: usize = 12;
/// Type and length in front of the body.
const BLOCK_HEADER_LEN: usize = 8;
/// Interfaces of one section are remembered, so their number has a limit.
const MAX_INTERFACES: usize = 1 << 16;

#[derive(Debug)]
pub(super) struct Pcapng {
    order: Order,
    /// By interface id; `None` where the description was damaged.
    interfaces: Vec<Option<Interface>>,
}

impl Pcapng {
    /// Reads the first section header, of which the block type is known to be right.
    pub(super) fn open<R: Read>(input: &mut Input<R>) -> Result<Self, Error> {
        let mut pcapng = Self { order: Order::Little, interfaces: Vec::new() };
        match pcapng.read_block(input, 1) {
            Ok(_) => {}
            Err(Error::TruncatedRecord { expected, found, .. }) => {
                return Err(Error::TruncatedHeader { expected, found });
            }
            Err(other) => return Err(other),
        }
        pcapng.start_section(input, 1)?;
        Ok(pcapng)
    }

    /// The next packet, after any number of other blocks; `packet` is the number that it has.
    pub(super) fn next<R: Read>(
        &mut self,
        input: &mut Input<R>,
        packet: u64,
    ) -> Result<Option<Step>, Error> {
        loop {
            input.next_record();
            let Some(kind) = self.read_block(input, packet)? else {
                return Ok(None);
            };
            let step = match kind {
                SECTION_HEADER => {
                    self.start_section(input, packet)?;
                    continue;
                }
                INTERFACE_DESCRIPTION => {
                    if self.interfaces.len() >= MAX_INTERFACES {
                        let reason = Damage::TooManyInterfaces { limit: MAX_INTERFACES };
                        return Err(Error::Damaged { packet, offset: input.offset(), reason });
                    }
                    let id = u32::try_from(self.interfaces.len()).unwrap_or(u32::MAX);
                    let interface = Interface::parse(body(input.record()), self.order, id);
                    self.interfaces.push(interface.as_ref().ok().cloned());
                    match interface {
                        Ok(_) => continue,
                        Err(reason) => Err(reason),
                    }
                }
                PACKET => self.packet(body(input.record())),
                SIMPLE_PACKET => self.simple_packet(body(input.record())),
                ENHANCED_PACKET => self.enhanced_packet(body(input.record())),
                _ => continue,
            };
            return Ok(Some(match step {
                Ok(record) => Step::Packet(record),
                Err(reason) => {
                    let error = Error::Damaged { packet, offset: input.offset(), reason };
                    if kind == INTERFACE_DESCRIPTION {
                        Step::DamagedInterface(error)
                    } else {
                        Step::Damaged(error)
                    }
                }
            }));
        }
    }

    /// Reads one whole block and tells its type, `None` at the end of the input. A section header
    /// sets the byte order.
    fn read_block<R: Read>(
        &mut self,
        input: &mut Input<R>,
        packet: u64,
    ) -> Result<Option<u32>, Error> {
        let read = |source| Error::Read { packet, source };
        let found = input.fill(MIN_BLOCK_LEN).map_err(read)?;
        if found == 0 {
            return Ok(None);
        }
        let offset = input.offset();
        let damaged = |reason| Error::Damaged { packet, offset, reason };
        let Some(magic) = Order::Big.u32(input.record(), 8) else {
            return Err(Error::TruncatedRecord { packet, expected: MIN_BLOCK_LEN, found });
        };
        // The type of a section header reads the same in either byte order.
        let kind = self.order.u32(input.record(), 0).unwrap_or(0);
        let mut least = 12;
        if kind == SECTION_HEADER {
            self.order = match magic {
                0x1a2b_3c4d => Order::Big,
                0x4d3c_2b1a => Order::Little,
                found => return Err(damaged(Damage::ByteOrder { found })),
            };
            least = 28;
        }
        let length = self.order.u32(input.record(), 4).unwrap_or(0);
        if length < least || length % 4 != 0 {
            return Err(damaged(Damage::BlockLength { expected: least, found: length }));
        }
        let expected = usize::try_from(length).unwrap_or(usize::MAX);
        if expected > MAX_RECORD {
            let found = u64::from(length);
            return Err(damaged(Damage::RecordTooLong { limit: MAX_RECORD, found }));
        }
        let found = input.fill(expected).map_err(read)?;
        if found < expected {
            return Err(Error::TruncatedRecord { packet, expected, found });
        }
        let trailing = self.order.u32(input.record(), expected.saturating_sub(4)).unwrap_or(0);
        if trailing != length {
            let reason = Damage::TrailingLength { expected: length, found: trailing };
            return Err(damaged(reason));
        }
        Ok(Some(kind))
    }

    fn start_section<R: Read>(&mut self, input: &Input<R>, packet: u64) -> Result<(), Error> {
        let body = body(input.record());
        let major = self.order.u16(body, 4).unwrap_or(0);
        let minor = self.order.u16(body, 6).unwrap_or(0);
        if major != 1 {
            let offset = input.offset();
            let expected = "1";
            return Err(Error::UnsupportedVersion { packet, offset, expected, major, minor });
        }
        self.interfaces.clear();
        Ok(())
    }

    fn enhanced_packet(&self, body: &[u8]) -> Result<Record, Damage> {
        let Some(id) = self.order.u32(body, 0) else {
            return Err(too_short(20, body));
        };
        self.timed_packet(body, id)
    }

    /// The obsolete packet block: as an enhanced one, with half of the interface id given to a
    /// count of drops.
    fn packet(&self, body: &[u8]) -> Result<Record, Damage> {
        let Some(id) = self.order.u16(body, 0) else {
            return Err(too_short(20, body));
        };
        self.timed_packet(body, u32::from(id))
    }

    fn timed_packet(&self, body: &[u8], id: u32) -> Result<Record, Damage> {
        let word = |at| self.order.u32(body, at).ok_or(too_short(20, body));
        let ticks = u64::from(word(4)?) << 32 | u64::from(word(8)?);
        let (captured, original_len) = (word(12)?, word(16)?);
        let interface = self.interface(id)?;
        Ok(Record {
            timestamp: interface.timestamp(ticks),
            link_type: interface.link_type,
            interface: id,
            original_len: original_len.max(captured),
            data: data(body, 20, captured)?,
        })
    }

    /// A simple packet has no time and is the first interface's; its captured length follows from
    /// the snap length.
    fn simple_packet(&self, body: &[u8]) -> Result<Record, Damage> {
        let original_len = self.order.u32(body, 0).ok_or(too_short(4, body))?;
        let interface = self.interface(0)?;
        let captured = match interface.snap_len {
            0 => original_len,
            limit => original_len.min(limit),
        };
        Ok(Record {
            timestamp: Timestamp::EPOCH,
            link_type: interface.link_type,
            interface: 0,
            original_len,
            data: data(body, 4, captured)?,
        })
    }

    fn interface(&self, id: u32) -> Result<&Interface, Damage> {
        let index = usize::try_from(id).unwrap_or(usize::MAX);
        match self.interfaces.get(index) {
            Some(Some(interface)) => Ok(interface),
            Some(None) => Err(Damage::UnusableInterface { found: id }),
            None => Err(Damage::UnknownInterface { described: self.interfaces.len(), found: id }),
        }
    }
}

/// What stands between the two lengths of a block.
fn body(block: &[u8]) -> &[u8] {
    block.get(BLOCK_HEADER_LEN..block.len().saturating_sub(4)).unwrap_or_default()
}

/// Where the packet's bytes lie in the block: `captured` bytes from `start` of the body.
fn data(body: &[u8], start: usize, captured: u32) -> Result<Range<usize>, Damage> {
    let limit = body.len().saturating_sub(start);
    let len = usize::try_from(captured).unwrap_or(usize::MAX);
    if len > limit {
        return Err(Damage::CapturedLength { limit, found: captured });
    }
    let start = start.saturating_add(BLOCK_HEADER_LEN);
    Ok(start..start.saturating_add(len))
}

/// A block whose body is shorter than `expected` bytes.
pub(super) fn too_short(expected: u32, body: &[u8]) -> Damage {
    let length = |body: u32| body.saturating_add(12);
    let found = u32::try_from(body.len()).unwrap_or(u32::MAX);
    Damage::BlockLength { expected: length(expected), found: length(found) }
}
