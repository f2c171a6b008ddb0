//! What must hold of packets made in answer to any others.

use gwlb_geneve::packet::{
    ChecksumStatus, IpPacket, Prohibited, Reset, Toward, Transport, Tunneled,
};

use super::tunnels;

/// What is answered is answered with packets that parse whole, have right checksums, and go through the tunnels
/// that their cause came through.
pub fn check(bytes: &[u8]) {
    let Ok(packet) = IpPacket::parse(bytes) else { return };
    let found = Tunneled::look_through(&packet);
    let innermost = found.as_ref().map_or(&packet, |found| found.innermost());
    let mut buffer = [0xee; 1300];
    let next = bytes.iter().fold(0_u32, |sum, byte| sum.rotate_left(5) ^ u32::from(*byte));
    let resets = [
        (Toward::Sender, Reset::to_sender(innermost)),
        (Toward::Receiver, Reset::to_receiver(innermost, next)),
    ];
    for (toward, reset) in resets {
        let Some(reset) = reset else { continue };
        let length = reset.write_to(&mut buffer).expect("there is room");
        assert_eq!(length, reset.len());
        let answer = answer(&buffer[..length], innermost, toward);
        answer.check_whole().expect("a reset is in order");
        let tuple = innermost.five_tuple().expect("it has been answered");
        let expected = if toward == Toward::Sender { tuple.reversed() } else { tuple };
        assert_eq!(answer.five_tuple(), Ok(expected));
        assert!(Reset::to_sender(&answer).is_none(), "a reset is not answered");
        wrap(&found.as_ref().ok(), toward, &buffer[..length]);
    }
    if let Some(error) = Prohibited::about(innermost) {
        let length = error.write_to(&mut buffer).expect("there is room");
        assert_eq!(length, error.len());
        let answer = answer(&buffer[..length], innermost, Toward::Sender);
        let Ok(Transport::Icmp(message) | Transport::Icmpv6(message)) = answer.transport() else {
            panic!("no ICMP")
        };
        assert!(innermost.bytes().starts_with(message.body()));
        let whole_quote = message.body().len() == innermost.bytes().len();
        if whole_quote && innermost.transport().is_ok() {
            answer.check_whole().expect("an error about a packet in order is in order");
            let quoted = message.quoted().expect("an error quotes").expect("a packet");
            assert_eq!(quoted.five_tuple(), innermost.five_tuple());
        }
        assert!(Prohibited::about(&answer).is_none(), "an error is not answered");
        wrap(&found.as_ref().ok(), Toward::Sender, &buffer[..length]);
    }
}

/// An answer by itself.
fn answer<'a>(bytes: &'a [u8], to: &IpPacket<'_>, toward: Toward) -> IpPacket<'a> {
    let answer = IpPacket::parse(bytes).expect("an answer parses");
    assert!(answer.trailer().is_empty());
    assert_eq!(answer.verify_transport_checksum(), ChecksumStatus::Valid);
    if let IpPacket::V4(answer) = answer {
        assert!(answer.verify_checksum());
    }
    let addresses = match toward {
        Toward::Sender => to.addresses().reversed(),
        Toward::Receiver => to.addresses(),
    };
    assert_eq!(answer.addresses(), addresses);
    answer
}

/// The answer in the tunnels of its cause.
fn wrap(found: &Option<&Tunneled<'_>>, toward: Toward, answer: &[u8]) {
    let Some(found) = found else { return };
    let mut buffer = vec![0xee; found.wrapped_len(toward, answer.len())];
    let Ok(length) = found.wrap(toward, answer, &mut buffer) else { return };
    assert_eq!(length, buffer.len());
    let packet = IpPacket::parse(&buffer).expect("what was wrapped parses");
    let again = Tunneled::look_through(&packet).expect("what was wrapped can be unwrapped");
    assert_eq!((again.innermost().bytes(), again.depth()), (answer, found.depth()));
    again.tunnels().for_each(|tunnel| tunnels::right_checksums(&tunnel));
}
