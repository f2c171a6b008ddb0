use super::super::problem::RuleProblem;
use super::super::{Buffer, Content, Detection, Transform};
use super::buffers::{MODIFIERS, STICKY, TRANSFORMS};
use super::draft::Draft;
use super::value::{Value, short};
use super::{Stop, bits, bytes, content, meta, packet, regular};

/// What the language has and this crate does not, with what may be written instead.
const OTHERS: [(&str, Option<&str>); 48] = [
    ("absent", None),
    ("app-layer-event", None),
    ("asn1", None),
    ("base64_data_len", None),
    ("cip_service", None),
    ("dataset", None),
    ("datarep", None),
    ("decode-event", None),
    ("depth_from", None),
    ("engine-event", None),
    ("entropy", None),
    ("fileext", None),
    ("filemagic", None),
    ("filemd5", None),
    ("filename", None),
    ("filesha1", None),
    ("filesha256", None),
    ("filesize", None),
    ("filestore", None),
    ("flowint", None),
    ("geoip", None),
    ("hostbits", Some("xbits")),
    ("icmpv4.hdr", None),
    ("icmpv6.hdr", None),
    ("icmpv6.mtu", None),
    ("igmp.type", None),
    ("ipopts", None),
    ("iprep", None),
    ("ipv4.hdr", None),
    ("ipv6.hdr", None),
    ("l3_proto", Some("ipv4 or ipv6 as the protocol")),
    ("logto", None),
    ("lua", None),
    ("luajit", None),
    ("pcrexform", None),
    ("replace", None),
    ("requires", None),
    ("rpc", None),
    ("ssh.protoversion", Some("ssh.proto")),
    ("ssh.softwareversion", Some("ssh.software")),
    ("ssl_state", None),
    ("ssl_version", Some("tls.version")),
    ("stream-event", None),
    ("stream_size", None),
    ("tag", None),
    ("tcp.hdr", None),
    ("tcp.mss", None),
    ("udp.hdr", None),
];

/// What the keywords of protocols begin with that the language has and this crate does not.
const OTHER_FAMILIES: [&str; 42] = [
    "bittorrent_dht.",
    "dce_",
    "dcerpc.",
    "detect",
    "dhcp.",
    "dnp3",
    "dns.",
    "email.",
    "enip",
    "file.",
    "flow.",
    "from_",
    "ftp.",
    "ftpdata",
    "http.",
    "http2.",
    "icmp",
    "ike.",
    "ike_",
    "imap.",
    "ja3",
    "ja4",
    "krb5",
    "ldap.",
    "mdns.",
    "modbus",
    "mqtt",
    "nfs",
    "pgsql",
    "quic.",
    "rfb.",
    "sdp.",
    "sip.",
    "smb",
    "smtp.",
    "snmp.",
    "ssh.",
    "tcp.",
    "tls.",
    "tls_",
    "udp.",
    "vlan.",
];

impl Draft {
    /// Takes one option.
    pub(super) fn keyword(
        &mut self,
        name: &str,
        value: Option<Value<'_>>,
        offset: usize,
    ) -> Result<(), Stop> {
        self.offset = offset;
        match value {
            Some(value) => self.with_value(name, value),
            None => self.without_value(name),
        }
    }

    fn with_value(&mut self, name: &str, value: Value<'_>) -> Result<(), Stop> {
        match name {
            "content" => content::content(self, value, None),
            "uricontent" => content::content(self, value, Some(Buffer::HttpUri)),
            "offset" | "depth" | "distance" | "within" => content::place(self, name, value),
            "fast_pattern" => content::fast_pattern(self, Some(value)),
            "pcre" => regular::pcre(self, value),
            "isdataat" => bytes::data_at(self, value),
            "byte_test" => bytes::test(self, value),
            "byte_jump" => bytes::jump(self, value),
            "byte_extract" => bytes::extract(self, value),
            "byte_math" => bytes::math(self, value),
            "base64_decode" => bytes::base64_decode(self, Some(value)),
            "bsize" => bytes::size(self, value),
            "urilen" => bytes::uri_length(self, value),
            "xor" => {
                let digits = value.unquoted();
                let key = bytes::hexadecimal(digits.text).filter(|key| !key.is_empty());
                let key = key.ok_or_else(|| digits.expected("pairs of hexadecimal digits"))?;
                self.transform(Transform::Xor(key))
            }
            "tls.version" => self.whole(Buffer::TlsVersion, value, |text| text.into()),
            "tls.fingerprint" => {
                self.whole(Buffer::TlsCertificateFingerprint, value, str::to_ascii_lowercase)
            }
            "tls.subject" => self.part(Buffer::TlsCertificateSubject, value),
            "tls.issuerdn" => self.part(Buffer::TlsCertificateIssuer, value),
            "msg" | "sid" | "gid" | "rev" | "classtype" | "priority" | "reference" | "metadata"
            | "target" => meta::option(self, name, value),
            "flow" | "flowbits" | "xbits" | "threshold" | "detection_filter" => {
                bits::option(self, name, value)
            }
            _ if packet::option(self, name, value)? => Ok(()),
            _ if is_without_value(name) => Err(value.expected("nothing behind this keyword")),
            _ => Err(self.unknown(name)),
        }
    }

    fn without_value(&mut self, name: &str) -> Result<(), Stop> {
        if let Some((_, buffer)) = STICKY.iter().find(|(known, _)| *known == name) {
            return self.turn(*buffer);
        }
        if let Some((_, buffer)) = MODIFIERS.iter().find(|(known, _)| *known == name) {
            return content::modifier(self, *buffer);
        }
        if let Some((_, transform)) = TRANSFORMS.iter().find(|(known, _)| *known == name) {
            return self.transform(transform.clone());
        }
        match name {
            "nocase" | "rawbytes" | "startswith" | "endswith" => content::flag(self, name),
            "fast_pattern" => content::fast_pattern(self, None),
            "base64_decode" => bytes::base64_decode(self, None),
            "base64_data" => self.turn_to_decoded(),
            "pkt_data" => self.turn_back(),
            "sameip" => packet::same_address(self),
            "noalert" => {
                self.rule.is_silent = true;
                Ok(())
            }
            // A hint for another matcher; what matches does not depend on it.
            "prefilter" => Ok(()),
            _ => Err(self.unknown(name)),
        }
    }

    fn unknown(&self, name: &str) -> Stop {
        let other = OTHERS.iter().find(|(other, _)| *other == name);
        let is_other =
            other.is_some() || OTHER_FAMILIES.iter().any(|family| name.starts_with(family));
        let problem = if is_with_value(name) {
            RuleProblem::Expected { expected: "`:` and a value".into(), found: "nothing".into() }
        } else if is_other {
            let instead = other.and_then(|(_, instead)| *instead);
            RuleProblem::Unsupported { found: short(name), instead }
        } else {
            RuleProblem::Unknown { found: short(name) }
        };
        Stop::new(self.offset, problem)
    }

    /// A keyword of old that says what a buffer is.
    fn whole(
        &mut self,
        buffer: Buffer,
        value: Value<'_>,
        normal: impl Fn(&str) -> alloc::string::String,
    ) -> Result<(), Stop> {
        let (is_negated, text) = value.negation();
        let text = text.unquoted();
        if text.text.is_empty() {
            return Err(text.expected("a text"));
        }
        let content = Content {
            is_negated,
            starts_with: true,
            ends_with: true,
            ..Content::new(normal(text.text).into_bytes())
        };
        self.push_to(super::draft::Target::new(buffer), Detection::Content(content));
        Ok(())
    }

    /// A keyword of old that says what is in a buffer.
    fn part(&mut self, buffer: Buffer, value: Value<'_>) -> Result<(), Stop> {
        let (is_negated, text) = value.negation();
        let text = text.unquoted();
        if text.text.is_empty() {
            return Err(text.expected("a text"));
        }
        let content = Content { is_negated, ..Content::new(text.text.as_bytes().to_vec()) };
        self.push_to(super::draft::Target::new(buffer), Detection::Content(content));
        Ok(())
    }
}

fn is_without_value(name: &str) -> bool {
    const WORDS: [&str; 9] = [
        "base64_data",
        "endswith",
        "noalert",
        "nocase",
        "pkt_data",
        "prefilter",
        "rawbytes",
        "sameip",
        "startswith",
    ];
    WORDS.contains(&name)
        || STICKY.iter().any(|(known, _)| *known == name)
        || MODIFIERS.iter().any(|(known, _)| *known == name)
        || TRANSFORMS.iter().any(|(known, _)| *known == name)
}

fn is_with_value(name: &str) -> bool {
    const WORDS: [&str; 32] = [
        "bsize",
        "byte_extract",
        "byte_jump",
        "byte_math",
        "byte_test",
        "classtype",
        "content",
        "depth",
        "detection_filter",
        "distance",
        "flow",
        "flowbits",
        "gid",
        "isdataat",
        "metadata",
        "msg",
        "offset",
        "pcre",
        "priority",
        "reference",
        "rev",
        "sid",
        "target",
        "threshold",
        "tls.fingerprint",
        "tls.issuerdn",
        "tls.subject",
        "tls.version",
        "uricontent",
        "urilen",
        "within",
        "xbits",
    ];
    WORDS.contains(&name) || name == "xor" || packet::NAMES.contains(&name)
}
