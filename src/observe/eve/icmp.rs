use super::json::Json;
use crate::packet::Transport;

/// Type and code of an ICMP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IcmpKind {
    message_type: u8,
    code: u8,
}

impl IcmpKind {
    /// `None` where it is none.
    pub(super) const fn of(transport: &Transport<'_>) -> Option<Self> {
        match transport {
            Transport::Icmp(message) | Transport::Icmpv6(message) => {
                Some(Self { message_type: message.message_type(), code: message.code() })
            }
            _ => None,
        }
    }

    /// Those of the packet, or of a flow's opener.
    pub(super) fn write(kind: Option<Self>, json: &mut Json<'_>) {
        if let Some(Self { message_type, code }) = kind {
            json.number("icmp_type", message_type.into());
            json.number("icmp_code", code.into());
        }
    }

    /// Those of the answer to a flow's opener.
    pub(super) fn write_response(kind: Option<Self>, json: &mut Json<'_>) {
        if let Some(Self { message_type, code }) = kind {
            json.number("response_icmp_type", message_type.into());
            json.number("response_icmp_code", code.into());
        }
    }
}
