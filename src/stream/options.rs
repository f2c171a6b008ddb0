use crate::packet::{TcpOption, TcpSegment};

/// What the options of a segment say about its stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// The value of its time stamp.
    pub(super) stamp: Option<u32>,
    /// The shift of windows, of a SYN.
    pub(super) scale: Option<u8>,
}

/// `None` where they cannot be read: some receivers ignore them then, others the segment.
#[inline]
pub(super) fn read(segment: &TcpSegment<'_>) -> Option<Options> {
    match segment.option_bytes() {
        [] => Some(Options::default()),
        // Two no-operations and time stamps: what most segments have (RFC 7323, appendix A).
        [1, 1, 8, 10, a, b, c, d, _, _, _, _] => {
            Some(Options { stamp: Some(u32::from_be_bytes([*a, *b, *c, *d])), scale: None })
        }
        _ => read_all(segment),
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
