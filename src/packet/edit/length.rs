use super::{EditError, Kind, PacketMut, sum_at};
use crate::packet::{Checksum, Ipv6Packet};

/// UDP is the one protocol whose payload can change its length: nothing counts its bytes.
impl PacketMut<'_> {
    /// Gives a UDP datagram another payload and returns the packet's new total length in bytes.
    ///
    /// The IP header's length, the UDP length and the checksums follow. The packet may grow into what the slice
    /// holds beyond it. Bytes between the end of the datagram and that of the packet (RFC 9868 puts UDP options
    /// there) are cut off.
    ///
    /// # Errors
    ///
    /// [`LaterFragment`](EditError::LaterFragment), [`NotUdp`](EditError::NotUdp),
    /// [`Fragment`](EditError::Fragment), [`Authenticated`](EditError::Authenticated),
    /// [`TooLong`](EditError::TooLong), [`NoRoom`](EditError::NoRoom).
    pub fn set_udp_payload(&mut self, payload: &[u8]) -> Result<usize, EditError> {
        self.check_length_change()?;
        let (start, _) = self.upper.payload;
        // IPv6 does not count its fixed header.
        let uncounted = if self.is_ipv4 { 0 } else { Ipv6Packet::HEADER_LEN };
        let maximum = usize::from(u16::MAX).saturating_add(uncounted).saturating_sub(start);
        let too_long = EditError::TooLong { maximum, found: payload.len() };
        let end = start.saturating_add(payload.len());
        let length = |from: usize| u16::try_from(end.saturating_sub(from)).map_err(|_| too_long);
        let (ip_len, udp_len) = (length(uncounted)?, length(self.upper.at)?);
        if end > self.slice.len() {
            return Err(EditError::NoRoom { expected: end, found: self.slice.len() });
        }

        let old = sum_at(start, self.payload());
        let (_, new) = self.put(start, payload);
        self.set_ip(if self.is_ipv4 { 2 } else { 4 }, &ip_len.to_be_bytes());
        let (old_len, new_len) = self.put(self.upper.at.saturating_add(4), &udp_len.to_be_bytes());
        self.end = end;
        self.upper.payload = (start, end);
        self.update_upper(with_length(old, old_len), with_length(new, new_len));
        Ok(end)
    }

    fn check_length_change(&self) -> Result<(), EditError> {
        let offset = self.upper.at;
        match self.upper.kind {
            Kind::LaterFragment => Err(EditError::LaterFragment { offset }),
            Kind::Udp if self.is_fragment => Err(EditError::Fragment { offset }),
            Kind::Udp if self.is_authenticated => Err(EditError::Authenticated),
            Kind::Udp => Ok(()),
            _ => Err(EditError::NotUdp { offset, found: self.upper.protocol }),
        }
    }
}

/// A payload's sum with the datagram's length, which the checksum covers twice: in the UDP header and in the
/// pseudo header.
fn with_length(payload: u16, length: u16) -> u16 {
    let mut sum = Checksum::new();
    for word in [payload, length, length] {
        sum.add_u16(word);
    }
    !sum.finish()
}
