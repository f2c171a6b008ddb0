use crate::packet::{TcpOption, TcpSegment};

/// What the options of a segment say about its stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// The value of its time stamp.
    pub(super) stamp: Option<u32>,
    /// The shift of windows, of a SYN.
    pub(super) scale: Option<u8>,
}

/// Two no-operations and the head of the option of time stamps: what most segments have (RFC 7323, appendix A).
pub(super) const STAMPS: [u8; 4] = [1, 1, 8, 10];

/// The time stamp of a segment with no other option, if it has one; `None` where there is more to read.
#[inline]
pub(super) fn usual(segment: &TcpSegment<'_>) -> Option<Option<u32>> {
    match segment.header_len() {
        TcpSegment::MIN_HEADER_LEN => Some(None),
        32 => {
            let bytes: &[u8; 28] = segment.bytes().first_chunk()?;
            let [.., first, second, kind, length, a, b, c, d] = *bytes;
            ([first, second, kind, length] == STAMPS)
                .then_some(Some(u32::from_be_bytes([a, b, c, d])))
        }
        _ => None,
    }
}

/// `None` where they cannot be read: some receivers ignore them then, others the segment.
#[inline]
pub(super) fn read(segment: &TcpSegment<'_>) -> Option<Options> {
    match usual(segment) {
        Some(stamp) => Some(Options { stamp, scale: None }),
        None => read_all(segment),
    }
}

#[cold]
fn read_all(segment: &TcpSegment<'_>) -> Option<Options> {
    /// RFC 7323 §2.3.
    const LARGEST_SCALE: u8 = 14;

    let mut found = Options::default();
    for option in segment.options() {
        match option.ok()? {
            TcpOption::Timestamps { value, .. } => found.stamp = Some(value),
            TcpOption::WindowScale(shift) => found.scale = Some(shift.min(LARGEST_SCALE)),
            _ => {}
        }
    }
    Some(found)
}
