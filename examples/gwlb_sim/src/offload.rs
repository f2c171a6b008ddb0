//! GRO on an interface, by the netlink interface of ethtool: merging what comes in is what a network card's driver
//! does, and a cable between namespaces does not unless it is told to.

use std::os::fd::AsRawFd;

use anyhow::{Context, Result, bail, ensure};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send,
    socket,
};

// <linux/netlink.h>, <linux/genetlink.h>, <linux/ethtool_netlink.h>
const ERROR: u16 = 2;
const REQUEST: u16 = 1;
const ACK: u16 = 4;
const NESTED: u16 = 0x8000;
const CONTROL: u16 = 16;
const GET_FAMILY: u8 = 3;
const FAMILY_ID: u16 = 1;
const FAMILY_NAME: u16 = 2;
const FEATURES_SET: u8 = 12;

/// Turns GRO on for an interface in the namespace of this thread.
pub(crate) fn enable_gro(interface: &str) -> Result<()> {
    let socket = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkGeneric,
    )?;
    bind(socket.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
    let exchange = |message: &[u8]| -> Result<Vec<u8>> {
        send(socket.as_raw_fd(), message, MsgFlags::empty())?;
        let mut answer = vec![0; 8_192];
        let len = recv(socket.as_raw_fd(), &mut answer, MsgFlags::empty())?;
        answer.truncate(len);
        Ok(answer)
    };

    let name = attribute(FAMILY_NAME, b"ethtool\0");
    let answer = exchange(&message(CONTROL, REQUEST, GET_FAMILY, 1, &name))?;
    let family = family_id(&answer).context("the kernel knows no ethtool over netlink")?;

    let device = attribute(2, &[interface.as_bytes(), b"\0"].concat());
    let header = attribute(NESTED | 1, &device);
    // A bitset of one named bit (the second attribute), whose value is set (the third, an empty one).
    let bit = [attribute(2, b"rx-gro\0"), attribute(3, b"")].concat();
    let bits = attribute(NESTED | 3, &attribute(NESTED | 1, &bit));
    let wanted = attribute(NESTED | 3, &bits);
    let request = [header, wanted].concat();
    let answer = exchange(&message(family, REQUEST | ACK, FEATURES_SET, 1, &request))?;
    let kind = answer.get(4..6).and_then(|kind| kind.try_into().ok()).map(u16::from_ne_bytes);
    if kind == Some(ERROR) {
        let code = answer.get(16..20).and_then(|code| code.try_into().ok()).map(i32::from_ne_bytes);
        ensure!(code == Some(0), "error {code:?}");
        return Ok(());
    }
    // What has changed is told first.
    if kind == Some(family) { Ok(()) } else { bail!("unexpected answer of type {kind:?}") }
}

fn attribute(kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut attribute = ((4 + payload.len()) as u16).to_ne_bytes().to_vec();
    attribute.extend(kind.to_ne_bytes());
    attribute.extend(payload);
    attribute.resize(attribute.len().next_multiple_of(4), 0);
    attribute
}

fn message(kind: u16, flags: u16, command: u8, version: u8, attributes: &[u8]) -> Vec<u8> {
    let mut message = ((20 + attributes.len()) as u32).to_ne_bytes().to_vec();
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    // Sequence number and port, which one question at a time needs not.
    message.extend([0; 8]);
    message.extend([command, version, 0, 0]);
    message.extend(attributes);
    message
}

fn family_id(answer: &[u8]) -> Option<u16> {
    let mut rest = answer.get(20..)?;
    loop {
        let len = usize::from(u16::from_ne_bytes(rest.get(..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(rest.get(2..4)?.try_into().ok()?);
        if kind == FAMILY_ID {
            return Some(u16::from_ne_bytes(rest.get(4..6)?.try_into().ok()?));
        }
        rest = rest.get(len.max(4).next_multiple_of(4)..)?;
    }
}
