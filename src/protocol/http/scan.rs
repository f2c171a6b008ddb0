use super::super::Limits;
use super::anomalies::Anomalies;
use super::anomaly::Anomaly;
use super::framing::BodyHeaders;
use super::headers::{Headers, is_bare};
use super::request::Version;
use super::target::{Target, host_name};

/// More than this is long for one header.
const LONG_HEADER: usize = 8 << 10;

/// What one pass over the headers tells.
#[derive(Debug, Default)]
pub(super) struct Scan<'a> {
    pub(super) body: BodyHeaders,
    pub(super) anomalies: Anomalies,
    /// The first Upgrade header.
    pub(super) upgrade: Option<&'a [u8]>,
    host: Option<&'a [u8]>,
}

impl<'a> Scan<'a> {
    /// `first` is the line before the headers, with its end; none before trailers.
    pub(super) fn of(first: &[u8], lines: &'a [u8], limits: &Limits) -> Self {
        let mut scan = Self::default();
        let mut anomalies = Anomalies::NONE;
        // Lines, and those of them that end with LF alone: the first one and the empty one at the end.
        let ends = [first, lines].map(|bytes| usize::from(!bytes.is_empty() && is_bare(bytes)));
        let mut bare = ends.into_iter().fold(0_usize, usize::saturating_add);
        anomalies.add_if(bare > 0, Anomaly::BareLineFeed);
        let mut all = usize::from(!first.is_empty()).saturating_add(usize::from(!lines.is_empty()));
        let (mut headers, mut has_expect) = (0_u32, false);
        for field in Headers::new(lines).fields() {
            headers = headers.saturating_add(1);
            all = all.saturating_add(field.lines);
            bare = bare.saturating_add(field.bare);
            anomalies = anomalies.union(field.anomalies);
            anomalies.add_if(field.len > LONG_HEADER, Anomaly::HeaderTooLong);
            // The lengths alone rule out most.
            match field.name.len() {
                4 if field.is("host") => {
                    anomalies.add_if(scan.host.is_some(), Anomaly::HostRepeated);
                    scan.host = scan.host.or(Some(field.value));
                }
                6 if field.is("expect") => {
                    let is_odd = has_expect || !field.value.eq_ignore_ascii_case(b"100-continue");
                    anomalies.add_if(is_odd, Anomaly::ExpectOdd);
                    has_expect = true;
                }
                7 if field.is("upgrade") => scan.upgrade = scan.upgrade.or(Some(field.value)),
                14 if field.is("content-length") => {
                    scan.body.content_length(field.value, &mut anomalies);
                }
                17 if field.is("transfer-encoding") => {
                    scan.body.transfer_encoding(field.value, &mut anomalies);
                }
                _ => {}
            }
        }
        anomalies.add_if(headers > u32::from(limits.headers), Anomaly::TooManyHeaders);
        // Each line has a CR and an LF, or an LF: any other control byte is one too many.
        let expected = all.saturating_mul(2).saturating_sub(bare);
        if controls(first).saturating_add(controls(lines)) != expected {
            name_controls(first, &mut anomalies);
            name_controls(lines, &mut anomalies);
        }
        scan.anomalies = anomalies;
        scan
    }

    /// Of a request: is it clear whom it asks? Gives the Host header.
    pub(super) fn check_host(
        &self,
        target: &Target<'_>,
        version: Version,
        anomalies: &mut Anomalies,
    ) -> Option<&'a [u8]> {
        let host = self.host.filter(|host| !host.is_empty());
        let is_missing = host.is_none() && version == Version::Http11;
        anomalies.add_if(is_missing, Anomaly::HostMissing);
        let named = [target.authority, host].map(|authority| authority.map(host_name));
        let is_odd = named.iter().flatten().any(|(_, is_valid)| !is_valid);
        anomalies.add_if(is_odd, Anomaly::HostInvalid);
        if let [Some((target, _)), Some((header, _))] = named {
            anomalies.add_if(!target.eq_ignore_ascii_case(header), Anomaly::HostMismatch);
        }
        host
    }
}

/// How many control bytes there are, tabs left out.
fn controls(bytes: &[u8]) -> usize {
    // In pieces whose sum fits a byte the compiler counts sixteen bytes at once.
    bytes.chunks(192).fold(0, |sum, piece| {
        let in_piece =
            piece.iter().fold(0_u8, |sum, byte| sum.wrapping_add(u8::from(is_control(*byte))));
        sum.saturating_add(usize::from(in_piece))
    })
}

const fn is_control(byte: u8) -> bool {
    (byte < 0x20 && byte != b'\t') || byte == 0x7f
}

fn name_controls(bytes: &[u8], anomalies: &mut Anomalies) {
    let following = bytes.iter().skip(1).map(Some).chain([None]);
    for (byte, next) in bytes.iter().zip(following) {
        match byte {
            b'\n' => {}
            b'\r' => anomalies.add_if(next != Some(&b'\n'), Anomaly::BareCarriageReturn),
            0 => anomalies.add(Anomaly::Nul),
            byte => anomalies.add_if(is_control(*byte), Anomaly::ControlByte),
        }
    }
}
