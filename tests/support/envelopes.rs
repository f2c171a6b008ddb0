//! Envelopes around packets, without what generating arbitrary ones needs.

use gwlb_geneve::EtherType;
use gwlb_geneve::geneve::{Builder, MAX_HEADER_LEN, OptionClass, OptionType, TunnelOption};

/// The three options of AWS with these values.
pub fn aws_options<'a>(
    endpoint: &'a [u8; 8],
    attachment: &'a [u8; 8],
    cookie: &'a [u8; 4],
) -> [TunnelOption<'a>; 3] {
    [option(0x0108, 1, endpoint), option(0x0108, 2, attachment), option(0x0108, 3, cookie)]
}

/// An option that is known to be in order.
pub fn option(class: u16, kind: u8, data: &[u8]) -> TunnelOption<'_> {
    TunnelOption::new(OptionClass(class), OptionType(kind), data).expect("an option in order")
}

/// A header with these options and then `inner`.
pub fn datagram(protocol: EtherType, options: &[TunnelOption<'_>], inner: &[u8]) -> Vec<u8> {
    let builder = Builder::new(protocol).options(options.iter().copied());
    let mut bytes = header(&builder);
    bytes.extend_from_slice(inner);
    bytes
}

/// The header that a builder writes, without what the library needs a heap for.
pub fn header<'a, I>(builder: &Builder<I>) -> Vec<u8>
where
    I: IntoIterator<Item = TunnelOption<'a>> + Clone,
{
    let mut header = [0xee; MAX_HEADER_LEN];
    let len = builder.build_into(&mut header).expect("a header in order");
    header[..len].to_vec()
}
