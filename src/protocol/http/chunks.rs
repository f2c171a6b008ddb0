use super::anomalies::Anomalies;
use super::anomaly::Anomaly;

/// Where in a body in chunks the next byte is (RFC 9112 §7.1).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Chunks {
    place: Place,
    /// Of the chunk whose size is being read.
    size: u64,
    /// Digits of the size, then bytes of the extension.
    count: u16,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Size,
    /// Behind white space behind the size.
    Padding,
    Extension,
    /// Behind the CR that ends the line of the size.
    SizeCr,
    /// Behind the bytes of a chunk.
    DataEnd,
    /// Behind the CR that ends them.
    DataCr,
}

/// What follows when the bytes between two chunks are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// More of the same.
    Line,
    /// So many bytes of data.
    Data(u64),
    /// Trailers.
    Trailers,
}

/// The longest extension that is not odd.
const LONG_EXTENSION: u16 = 256;

/// More digits mean nothing but that somebody tries what becomes of them.
const MOST_DIGITS: u16 = 16;

/// Receivers with signed numbers see a negative size above it.
pub(super) const LARGEST: u64 = u64::MAX >> 1;

const OVERFLOW: &str = "a chunk size that overflows";
const NOT_HEXADECIMAL: &str = "a chunk size that is not hexadecimal";
const NO_LINE_END: &str = "a chunk that no line end follows";
const BARE_CR: &str = "a carriage return without line feed among chunks";

impl Chunks {
    /// Behind the bytes of a chunk.
    pub(super) fn after_data() -> Self {
        Self { place: Place::DataEnd, ..Self::default() }
    }

    /// Reads up to the next data. Gives how many bytes were used too; an error is about the byte behind them.
    pub(super) fn advance(
        &mut self,
        bytes: &[u8],
        anomalies: &mut Anomalies,
    ) -> (usize, Result<Next, &'static str>) {
        for (used, byte) in bytes.iter().enumerate() {
            match self.step(*byte, anomalies) {
                Ok(Next::Line) => {}
                Ok(next) => return (used.saturating_add(1), Ok(next)),
                Err(reason) => return (used, Err(reason)),
            }
        }
        (bytes.len(), Ok(Next::Line))
    }

    fn step(&mut self, byte: u8, anomalies: &mut Anomalies) -> Result<Next, &'static str> {
        self.place = match (self.place, byte) {
            (Place::Size, _) if byte.is_ascii_hexdigit() => {
                self.digit(byte)?;
                Place::Size
            }
            (Place::Size, b' ' | b'\t') if self.count == 0 => {
                anomalies.add(Anomaly::ChunkSizePadded);
                Place::Size
            }
            (Place::Size, _) if self.count == 0 => return Err(NOT_HEXADECIMAL),
            (Place::Size | Place::Padding, b' ' | b'\t') => {
                anomalies.add(Anomaly::ChunkSizePadded);
                Place::Padding
            }
            (Place::Size | Place::Padding, b';') => {
                self.count = 0;
                Place::Extension
            }
            (Place::Size | Place::Padding | Place::Extension, b'\r') => Place::SizeCr,
            (Place::Size | Place::Padding | Place::Extension, b'\n') => {
                anomalies.add(Anomaly::BareLineFeed);
                return Ok(self.line_end());
            }
            (Place::Size | Place::Padding, _) => return Err(NOT_HEXADECIMAL),
            (Place::Extension, _) => {
                self.extension(byte, anomalies);
                Place::Extension
            }
            (Place::SizeCr, b'\n') => return Ok(self.line_end()),
            (Place::DataEnd, b'\r') => Place::DataCr,
            (Place::DataEnd, b'\n') => {
                anomalies.add(Anomaly::BareLineFeed);
                Place::Size
            }
            (Place::DataCr, b'\n') => Place::Size,
            (Place::DataEnd, _) => return Err(NO_LINE_END),
            (Place::SizeCr | Place::DataCr, _) => {
                anomalies.add(Anomaly::BareCarriageReturn);
                return Err(BARE_CR);
            }
        };
        Ok(Next::Line)
    }

    fn digit(&mut self, byte: u8) -> Result<(), &'static str> {
        let digit = char::from(byte).to_digit(16).unwrap_or(0);
        self.count = self.count.saturating_add(1);
        self.size = self.size.wrapping_shl(4) | u64::from(digit);
        if self.count > MOST_DIGITS || self.size > LARGEST { Err(OVERFLOW) } else { Ok(()) }
    }

    fn extension(&mut self, byte: u8, anomalies: &mut Anomalies) {
        self.count = self.count.saturating_add(1);
        anomalies.add_if(self.count > LONG_EXTENSION, Anomaly::ChunkExtensionTooLong);
        match byte {
            0 => anomalies.add(Anomaly::Nul),
            b'\t' => {}
            _ => anomalies.add_if(byte.is_ascii_control(), Anomaly::ControlByte),
        }
    }

    fn line_end(&mut self) -> Next {
        let size = self.size;
        *self = Self::default();
        if size == 0 { Next::Trailers } else { Next::Data(size) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> (usize, Result<Next, &'static str>, Anomalies) {
        let mut anomalies = Anomalies::NONE;
        let (used, next) = Chunks::default().advance(bytes, &mut anomalies);
        (used, next, anomalies)
    }

    #[test]
    fn sizes_as_they_should_be() {
        for (bytes, used, next) in [
            (&b"5\r\nhello"[..], 3, Next::Data(5)),
            (b"1aF\r\n", 5, Next::Data(0x1af)),
            (b"0\r\n\r\n", 3, Next::Trailers),
            (b"0000000000000005\r\n", 18, Next::Data(5)),
            (b"7fffffffffffffff\r\n", 18, Next::Data(u64::MAX >> 1)),
            (b"5;a=\"b\"\r\n", 9, Next::Data(5)),
            (b"5\r", 2, Next::Line),
        ] {
            assert_eq!(read(bytes), (used, Ok(next), Anomalies::NONE));
        }
    }

    #[test]
    fn sizes_that_receivers_differ_in() {
        let long = [b"5;", &[b'x'; 257][..], b"\r\n"].concat();
        for (bytes, next, anomaly) in [
            (&b"5\n"[..], Ok(Next::Data(5)), Some(Anomaly::BareLineFeed)),
            (b"5;\nabc\r\n", Ok(Next::Data(5)), Some(Anomaly::BareLineFeed)),
            (b" 5\r\n", Ok(Next::Data(5)), Some(Anomaly::ChunkSizePadded)),
            (b"5  \r\n", Ok(Next::Data(5)), Some(Anomaly::ChunkSizePadded)),
            (b"5;\0\r\n", Ok(Next::Data(5)), Some(Anomaly::Nul)),
            (&long, Ok(Next::Data(5)), Some(Anomaly::ChunkExtensionTooLong)),
            (b"5\rx\n", Err(BARE_CR), Some(Anomaly::BareCarriageReturn)),
            (b"8000000000000000\r\n", Err(OVERFLOW), None),
            (b"ffffffffffffffff\r\n", Err(OVERFLOW), None),
            (b"10000000000000005\r\n", Err(OVERFLOW), None),
            (b"00000000000000005\r\n", Err(OVERFLOW), None),
            (b"0x5\r\n", Err(NOT_HEXADECIMAL), None),
            (b"+5\r\n", Err(NOT_HEXADECIMAL), None),
            (b"-5\r\n", Err(NOT_HEXADECIMAL), None),
            (b"\r\n", Err(NOT_HEXADECIMAL), None),
            (b"5 5\r\n", Err(NOT_HEXADECIMAL), Some(Anomaly::ChunkSizePadded)),
            (b"5_0\r\n", Err(NOT_HEXADECIMAL), None),
        ] {
            let (_, found, anomalies) = read(bytes);
            assert_eq!(
                (found, anomalies.iter().next()),
                (next, anomaly),
                "{}",
                bytes.escape_ascii()
            );
        }
    }
}
