//! Readers that are slow, plain and written apart from the library: byte by byte, from the RFCs, with
//! nothing shared but the names of the reasons. Where they and the library differ, one of them is wrong.

/// A GENEVE header, field by field.
#[derive(Debug, PartialEq, Eq)]
pub struct Geneve {
    pub oam: bool,
    pub critical: bool,
    pub reserved_flags: u8,
    pub protocol: u16,
    pub vni: u32,
    pub reserved: u8,
    pub options: Vec<GeneveOption>,
    /// Where the payload begins.
    pub payload: usize,
}

#[derive(Debug, PartialEq, Eq)]
pub struct GeneveOption {
    pub offset: usize,
    pub class: u16,
    pub kind: u8,
    pub reserved: u8,
    pub data: Vec<u8>,
}

/// A reason and an offset.
pub type Refusal = (&'static str, usize);

pub fn geneve(bytes: &[u8]) -> Result<Geneve, Refusal> {
    if bytes.len() < 8 {
        return Err(("geneve-header-truncated", 0));
    }
    let bit = |byte: usize, bit: u32| (bytes[byte] >> (7 - bit)) & 1 == 1;
    if bit(0, 0) || bit(0, 1) {
        return Err(("geneve-version", 0));
    }
    let mut words = 0;
    for at in 2..8 {
        words = words * 2 + usize::from(bit(0, at));
    }
    let end = 8 + 4 * words;
    if bytes.len() < end {
        return Err(("geneve-options-truncated", 8));
    }
    let mut options = Vec::new();
    let mut at = 8;
    while at < end {
        let data_words = (0..5).fold(0, |sum, n| sum * 2 + usize::from(bit(at + 3, 3 + n)));
        let data_end = at + 4 + 4 * data_words;
        if data_end > end {
            return Err(("geneve-option-overrun", at));
        }
        options.push(GeneveOption {
            offset: at,
            class: u16::from(bytes[at]) * 256 + u16::from(bytes[at + 1]),
            kind: bytes[at + 2],
            reserved: bytes[at + 3] / 32,
            data: bytes[at + 4..data_end].to_vec(),
        });
        at = data_end;
    }
    Ok(Geneve {
        oam: bit(1, 0),
        critical: bit(1, 1),
        reserved_flags: bytes[1] % 64,
        protocol: u16::from(bytes[2]) * 256 + u16::from(bytes[3]),
        vni: u32::from(bytes[4]) * 65_536 + u32::from(bytes[5]) * 256 + u32::from(bytes[6]),
        reserved: bytes[7],
        options,
        payload: end,
    })
}

/// What the AWS profile says of a UDP payload: endpoint, attachment, cookie and where the inner packet
/// begins.
pub fn envelope(bytes: &[u8]) -> Result<(u64, u64, u32, usize), Refusal> {
    let header = geneve(bytes)?;
    if header.oam {
        return Err(("geneve-control-packet", 1));
    }
    let version = match header.protocol {
        0x0800 => 4,
        0x86dd => 6,
        _ => return Err(("geneve-protocol-type", 2)),
    };
    let lengths = [8, 8, 4];
    let mut values: [Option<u64>; 3] = [None; 3];
    for option in &header.options {
        let ours = option.class == 0x0108 && (1..=3).contains(&option.kind);
        if !ours {
            if option.kind >= 0x80 {
                return Err(("geneve-unknown-critical-option", option.offset));
            }
            continue;
        }
        let which = usize::from(option.kind) - 1;
        if option.data.len() != lengths[which] {
            return Err(("gwlb-option-length", option.offset));
        }
        if values[which].is_some() {
            return Err(("gwlb-option-doubled", option.offset));
        }
        values[which] = Some(option.data.iter().fold(0, |sum, byte| sum * 256 + u64::from(*byte)));
    }
    let [Some(endpoint), Some(attachment), Some(cookie)] = values else {
        return Err(("gwlb-option-missing", 8));
    };
    if bytes.len() == header.payload || bytes[header.payload] / 16 != version {
        return Err(("inner-version", header.payload));
    }
    Ok((endpoint, attachment, cookie as u32, header.payload))
}
