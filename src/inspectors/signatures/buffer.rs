use alloc::vec::Vec;

use super::ApplicationProtocol;
use crate::Side;

/// The bytes that a rule looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Buffer {
    /// What IP's protocol carries: in TCP that of packets and the stream in order (see [`Protocol`](super::Protocol)), in UDP that of the packet.
    Payload,
    /// `http.method`
    HttpMethod,
    /// `http.uri`: the target, decoded once and normalised.
    HttpUri,
    /// `http.uri.raw`: the target as sent.
    HttpUriRaw,
    /// `http.host`: in lower case, without port.
    HttpHost,
    /// `http.host.raw`: as sent.
    HttpHostRaw,
    /// `http.header`: all headers but cookies, `Name: value\r\n` each, doubles joined by `, `.
    HttpHeader,
    /// `http.header.raw`: all headers as sent.
    HttpHeaderRaw,
    /// `http.header_names`: `\r\nName\r\nName\r\n\r\n`.
    HttpHeaderNames,
    /// `http.user_agent`
    HttpUserAgent,
    /// `http.cookie`: of `Cookie`, or of `Set-Cookie` in responses.
    HttpCookie,
    /// `http.referer`
    HttpReferer,
    /// `http.content_type`
    HttpContentType,
    /// `http.content_len`: digits.
    HttpContentLength,
    /// `http.accept`
    HttpAccept,
    /// `http.accept_lang`
    HttpAcceptLanguage,
    /// `http.accept_enc`
    HttpAcceptEncoding,
    /// `http.connection`
    HttpConnection,
    /// `http.server`
    HttpServer,
    /// `http.location`
    HttpLocation,
    /// `http.protocol`: `HTTP/1.1`.
    HttpProtocol,
    /// `http.start`: first line and headers, normalised, with the empty line.
    HttpStart,
    /// `http.request_line`: without its line end.
    HttpRequestLine,
    /// `http.response_line`: without its line end.
    HttpResponseLine,
    /// `http.request_body`: as sent.
    HttpRequestBody,
    /// `http.response_body`: inflated.
    HttpResponseBody,
    /// `http.stat_code`: three digits.
    HttpStatusCode,
    /// `http.stat_msg`
    HttpStatusMessage,
    /// `file.data`: the files that HTTP carries, inflated: bodies of responses; of requests, for rules to servers, as sent.
    FileData,
    /// `tls.sni`: as sent, in whatever case.
    TlsSni,
    /// `tls.cert_subject`: `CN=www.example.org, O=Example`.
    TlsCertificateSubject,
    /// `tls.cert_issuer`
    TlsCertificateIssuer,
    /// `tls.cert_serial`: hex digits, in upper case, in pairs with `:` between.
    TlsCertificateSerial,
    /// `tls.cert_fingerprint`: SHA-1, hex digits in lower case, in pairs with `:` between.
    TlsCertificateFingerprint,
    /// `tls.certs`: each certificate in DER.
    TlsCertificates,
    /// `tls.version` as a text: `1.2`; content of it only.
    TlsVersion,
    /// `ja3.hash`: 32 hex digits in lower case.
    Ja3Hash,
    /// `ja3.string`
    Ja3String,
    /// `ja3s.hash`
    Ja3sHash,
    /// `ja3s.string`
    Ja3sString,
    /// `ja4.hash`
    Ja4Hash,
    /// `dns.query`: each name that is asked for, with dots, without the last one.
    DnsQuery,
    /// `ssh.proto`: `2.0`.
    SshProtocol,
    /// `ssh.software`: what follows it, up to the line's end.
    SshSoftware,
    /// `smtp.first_line`: what each side says first, without its line end. This crate's own; payload of `alert smtp` rules is what Suricata has.
    SmtpFirstLine,
    /// `ftp.command`: the command of a line of the client: `USER`.
    FtpCommand,
    /// `ftp.command_data`: what follows it.
    FtpCommandData,
}

impl Buffer {
    /// The side that sends it; `None` where either may.
    pub const fn sender(self) -> Option<Side> {
        match self {
            Self::HttpMethod
            | Self::HttpUri
            | Self::HttpUriRaw
            | Self::HttpHost
            | Self::HttpHostRaw
            | Self::HttpUserAgent
            | Self::HttpReferer
            | Self::HttpAccept
            | Self::HttpAcceptLanguage
            | Self::HttpAcceptEncoding
            | Self::HttpRequestLine
            | Self::HttpRequestBody
            | Self::TlsSni
            | Self::Ja3Hash
            | Self::Ja3String
            | Self::Ja4Hash
            | Self::DnsQuery
            | Self::FtpCommand
            | Self::FtpCommandData => Some(Side::Client),
            Self::HttpServer
            | Self::HttpLocation
            | Self::HttpResponseLine
            | Self::HttpResponseBody
            | Self::HttpStatusCode
            | Self::HttpStatusMessage
            | Self::TlsCertificateSubject
            | Self::TlsCertificateIssuer
            | Self::TlsCertificateSerial
            | Self::TlsCertificateFingerprint
            | Self::TlsCertificates
            | Self::Ja3sHash
            | Self::Ja3sString => Some(Side::Server),
            Self::Payload
            | Self::HttpHeader
            | Self::HttpHeaderRaw
            | Self::HttpHeaderNames
            | Self::HttpCookie
            | Self::HttpContentType
            | Self::HttpContentLength
            | Self::HttpConnection
            | Self::HttpProtocol
            | Self::HttpStart
            | Self::FileData
            | Self::TlsVersion
            | Self::SshProtocol
            | Self::SshSoftware
            | Self::SmtpFirstLine => None,
        }
    }

    /// The protocol that it comes from; `None` for the payload, which is there in all, and for files.
    pub const fn protocol(self) -> Option<ApplicationProtocol> {
        match self {
            Self::Payload | Self::FileData => None,
            Self::TlsSni
            | Self::TlsCertificateSubject
            | Self::TlsCertificateIssuer
            | Self::TlsCertificateSerial
            | Self::TlsCertificateFingerprint
            | Self::TlsCertificates
            | Self::TlsVersion
            | Self::Ja3Hash
            | Self::Ja3String
            | Self::Ja3sHash
            | Self::Ja3sString
            | Self::Ja4Hash => Some(ApplicationProtocol::Tls),
            Self::DnsQuery => Some(ApplicationProtocol::Dns),
            Self::SshProtocol | Self::SshSoftware => Some(ApplicationProtocol::Ssh),
            Self::SmtpFirstLine => Some(ApplicationProtocol::Smtp),
            Self::FtpCommand | Self::FtpCommandData => Some(ApplicationProtocol::Ftp),
            _ => Some(ApplicationProtocol::Http),
        }
    }

    /// Whether one message may have several of them. Each is looked at by itself, and each time that such a buffer is named in a rule
    /// begins a [`MatchGroup`](super::MatchGroup) of its own, which another of them may satisfy.
    pub const fn is_multiple(self) -> bool {
        matches!(self, Self::DnsQuery | Self::TlsCertificates)
    }
}

/// What is done to bytes before a rule looks at them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Transform {
    /// `dotprefix`: a `.` is put before.
    DotPrefix,
    /// `to_lowercase`: of ASCII.
    ToLowercase,
    /// `to_uppercase`: of ASCII.
    ToUppercase,
    /// `strip_whitespace`: spaces, tabs, line ends, vertical tabs and form feeds are left out.
    StripWhitespace,
    /// `compress_whitespace`: of several such in a row the first is left.
    CompressWhitespace,
    /// `url_decode`: `%41` is `A`, `+` is a space.
    UrlDecode,
    /// `to_md5`: the 16 bytes of the digest.
    ToMd5,
    /// `to_sha1`: the 20 bytes of the digest.
    ToSha1,
    /// `to_sha256`: the 32 bytes of the digest.
    ToSha256,
    /// `xor`: with these bytes, at least one, again and again.
    Xor(Vec<u8>),
    /// `header_lowercase`: names of headers in lower case, values as they are.
    HeaderLowercase,
    /// `strip_pseudo_headers`: lines that begin with `:` are left out.
    StripPseudoHeaders,
}

impl Transform {
    /// Whether the first bytes of what it makes depend on as many first bytes of what it is made of, and on no more.
    pub(super) const fn keeps_places(&self) -> bool {
        match self {
            Self::DotPrefix
            | Self::ToLowercase
            | Self::ToUppercase
            | Self::Xor(_)
            | Self::HeaderLowercase => true,
            Self::StripWhitespace
            | Self::CompressWhitespace
            | Self::UrlDecode
            | Self::ToMd5
            | Self::ToSha1
            | Self::ToSha256
            | Self::StripPseudoHeaders => false,
        }
    }
}
