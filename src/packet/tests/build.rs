//! Packets for tests, put together byte by byte.

/// An IPv4 packet with right lengths; `options` are whole words.
pub(crate) fn ipv4(protocol: u8, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let header_len = 20 + options.len();
    let total_len = (header_len + payload.len()) as u16;
    let mut packet = vec![0; 20];
    packet[0] = 0x40 | (header_len / 4) as u8;
    packet[2..4].copy_from_slice(&total_len.to_be_bytes());
    packet[8] = 64;
    packet[9] = protocol;
    packet[12..20].copy_from_slice(&[192, 0, 2, 1, 198, 51, 100, 2]);
    packet.extend_from_slice(options);
    packet.extend_from_slice(payload);
    packet
}

/// An IPv6 packet from `2001:db8::1` to `2001:db8::2`; `payload` starts with the extension headers.
pub(crate) fn ipv6(next_header: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0; 40];
    packet[0] = 0x60;
    packet[4..6].copy_from_slice(&(payload.len() as u16).to_be_bytes());
    packet[6] = next_header;
    packet[7] = 64;
    for (at, last) in [(8, 1), (24, 2)] {
        packet[at..at + 4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
        packet[at + 15] = last;
    }
    packet.extend_from_slice(payload);
    packet
}

/// An IPv6 fragment header.
pub(crate) fn fragment_header(next_header: u8, offset: u16, more: bool) -> Vec<u8> {
    let [high, low] = offset.to_be_bytes();
    vec![next_header, 0, high, low | u8::from(more), 0, 0, 0, 7]
}

/// A TCP segment from port 4660 to port 443; `options` are whole words.
pub(crate) fn tcp(options: &[u8], data: &[u8]) -> Vec<u8> {
    let mut segment = vec![0; 20];
    segment[..4].copy_from_slice(&[0x12, 0x34, 0x01, 0xbb]);
    segment[12] = ((5 + options.len() / 4) << 4) as u8;
    segment[13] = 0x10;
    segment.extend_from_slice(options);
    segment.extend_from_slice(data);
    segment
}

/// A UDP datagram from port 4660 to port 53.
pub(crate) fn udp(data: &[u8]) -> Vec<u8> {
    let [high, low] = (8 + data.len() as u16).to_be_bytes();
    let mut datagram = vec![0x12, 0x34, 0, 53, high, low, 0, 0];
    datagram.extend_from_slice(data);
    datagram
}

/// Marks an IPv4 packet as a fragment.
pub(crate) fn ipv4_fragment(mut packet: Vec<u8>, offset: u16, more: bool) -> Vec<u8> {
    let field = (offset / 8) + if more { 0x2000 } else { 0 };
    packet[6..8].copy_from_slice(&field.to_be_bytes());
    packet
}
