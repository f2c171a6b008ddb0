//! TLS made to order, and the properties that hold of any bytes.

use std::ops::ControlFlow;

use gwlb_geneve::Side;
use gwlb_geneve::protocol::tls::{Certificate, Certificates, ClientHello, ServerHello, is_grease};
use gwlb_geneve::protocol::{Limits, Message, Progress, Room, Session};
use proptest::collection::vec;
use proptest::prelude::*;

/// A ClientHello, as a list of what is in it.
#[derive(Clone, Debug)]
pub struct Hello {
    pub version: u16,
    pub random: [u8; 32],
    pub session: Vec<u8>,
    pub ciphers: Vec<u16>,
    pub extensions: Vec<Extension>,
}

#[derive(Clone, Debug)]
pub enum Extension {
    ServerNames(Vec<(u8, Vec<u8>)>),
    Groups(Vec<u16>),
    PointFormats(Vec<u8>),
    SignatureAlgorithms(Vec<u16>),
    Alpn(Vec<Vec<u8>>),
    Versions(Vec<u16>),
    EarlyData,
    Ech(Vec<u8>),
    Other(u16, Vec<u8>),
}

impl Hello {
    /// What a browser sends, but for its values: GREASE, a key share of post-quantum size, ECH.
    pub fn browser(name: &str) -> Self {
        Self {
            version: 0x0303,
            random: [7; 32],
            session: vec![9; 32],
            ciphers: vec![
                0x2a2a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8,
                0xc013, 0xc014, 0x009c, 0x009d, 0x002f, 0x0035,
            ],
            extensions: vec![
                Extension::Other(0x4a4a, vec![]),
                Extension::Other(0x001b, vec![2, 0, 2]),
                Extension::ServerNames(vec![(0, name.into())]),
                Extension::Other(
                    0x0033,
                    [&[4, 0xed, 0x11, 0xec, 4, 0xc0][..], &[5; 1216]].concat(),
                ),
                Extension::Alpn(vec![b"h2".to_vec(), b"http/1.1".to_vec()]),
                Extension::Other(0x4469, vec![0, 3, 2, b'h', b'2']),
                Extension::Other(0x0017, vec![]),
                Extension::Other(0x002d, vec![1, 1]),
                Extension::SignatureAlgorithms(vec![
                    0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601,
                ]),
                Extension::Other(0x0005, vec![1, 0, 0, 0, 0]),
                Extension::Other(0x0023, vec![]),
                Extension::Other(0x0012, vec![]),
                Extension::Versions(vec![0x7a7a, 0x0304, 0x0303]),
                Extension::Other(0xff01, vec![0]),
                Extension::PointFormats(vec![0]),
                Extension::Groups(vec![0x9a9a, 0x11ec, 29, 23, 24]),
                Extension::Other(0x0015, vec![0; 200]),
            ],
        }
    }

    /// The body of the handshake message.
    pub fn body(&self) -> Vec<u8> {
        let ciphers: Vec<_> = self.ciphers.iter().flat_map(|code| code.to_be_bytes()).collect();
        let mut body = self.version.to_be_bytes().to_vec();
        body.extend(self.random);
        body.extend(short(&self.session));
        body.extend(medium(&ciphers));
        body.extend([1, 0]);
        let extensions: Vec<_> = self.extensions.iter().flat_map(Extension::bytes).collect();
        body.extend(medium(&extensions));
        body
    }

    pub fn message(&self) -> Vec<u8> {
        message(1, &self.body())
    }

    /// The text that JA3 hashes, put together as slowly as can be.
    pub fn ja3(&self) -> String {
        let join = |codes: Vec<u16>| {
            let codes = codes.into_iter().filter(|code| !grease(*code));
            codes.map(|code| code.to_string()).collect::<Vec<_>>().join("-")
        };
        let (mut groups, mut formats) = (vec![], vec![]);
        for extension in &self.extensions {
            match extension {
                Extension::Groups(list) => groups = list.clone(),
                Extension::PointFormats(list) => {
                    formats = list.iter().map(|format| u16::from(*format)).collect();
                }
                _ => {}
            }
        }
        let extensions = self.extensions.iter().map(Extension::code).collect();
        let formats: Vec<_> = formats.iter().map(u16::to_string).collect();
        [
            self.version.to_string(),
            join(self.ciphers.clone()),
            join(extensions),
            join(groups),
            formats.join("-"),
        ]
        .join(",")
    }

    /// The server's name.
    pub fn name(&self) -> Option<&[u8]> {
        self.extensions
            .iter()
            .find_map(|extension| match extension {
                Extension::ServerNames(names) => Some(names),
                _ => None,
            })?
            .iter()
            .find(|(kind, _)| *kind == 0)
            .map(|(_, name)| &name[..])
    }
}

impl Extension {
    pub fn code(&self) -> u16 {
        match self {
            Self::ServerNames(_) => 0,
            Self::Groups(_) => 10,
            Self::PointFormats(_) => 11,
            Self::SignatureAlgorithms(_) => 13,
            Self::Alpn(_) => 16,
            Self::Versions(_) => 43,
            Self::EarlyData => 42,
            Self::Ech(_) => 0xfe0d,
            Self::Other(code, _) => *code,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let pairs = |codes: &[u16]| -> Vec<u8> {
            codes.iter().flat_map(|code| code.to_be_bytes()).collect()
        };
        let data = match self {
            Self::ServerNames(names) => medium(
                &names
                    .iter()
                    .flat_map(|(kind, name)| [&[*kind][..], &medium(name)].concat())
                    .collect::<Vec<_>>(),
            ),
            Self::Groups(codes) | Self::SignatureAlgorithms(codes) => medium(&pairs(codes)),
            Self::PointFormats(formats) => short(formats),
            Self::Alpn(names) => {
                medium(&names.iter().flat_map(|name| short(name)).collect::<Vec<_>>())
            }
            Self::Versions(codes) => short(&pairs(codes)),
            Self::EarlyData => vec![],
            Self::Ech(data) | Self::Other(_, data) => data.clone(),
        };
        [&self.code().to_be_bytes()[..], &medium(&data)].concat()
    }
}

/// RFC 8701 §2, as it is written there.
pub fn grease(code: u16) -> bool {
    (0..16).any(|n| code == 0x0a0a + 0x1010 * n)
}

/// A ServerHello that chooses a version by its own field, or by the extension where it is TLS 1.3.
pub fn server_hello(version: u16, cipher: u16, random: [u8; 32]) -> Vec<u8> {
    let mut body = version.min(0x0303).to_be_bytes().to_vec();
    body.extend(random);
    body.extend([0]);
    body.extend(cipher.to_be_bytes());
    body.push(0);
    let mut extensions = vec![0xff, 1, 0, 1, 0];
    if version > 0x0303 {
        extensions.extend([0, 43, 0, 2]);
        extensions.extend(version.to_be_bytes());
    } else {
        extensions.extend([0, 16, 0, 5, 0, 3, 2, b'h', b'2']);
    }
    body.extend(medium(&extensions));
    message(2, &body)
}

/// RFC 8446 §4.1.3
pub const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// A handshake message: type and length before a body.
pub fn message(message_type: u8, body: &[u8]) -> Vec<u8> {
    let [_, a, b, c] = (body.len() as u32).to_be_bytes();
    [&[message_type, a, b, c], body].concat()
}

pub fn record(content_type: u8, content: &[u8]) -> Vec<u8> {
    let [a, b] = (content.len() as u16).to_be_bytes();
    [&[content_type, 3, 1, a, b], content].concat()
}

/// Handshake messages in records that end after so many bytes each; the last size is that of all that are left.
pub fn records(messages: &[u8], sizes: &[usize]) -> Vec<u8> {
    let mut rest = messages;
    let mut bytes = Vec::new();
    let mut sizes = sizes.iter().copied().chain(std::iter::repeat(16_384));
    while !rest.is_empty() {
        let size = sizes.next().unwrap_or(16_384).clamp(1, 16_384).min(rest.len());
        let (content, after) = rest.split_at(size);
        bytes.extend(record(22, content));
        rest = after;
    }
    bytes
}

fn short(data: &[u8]) -> Vec<u8> {
    [&[data.len() as u8], data].concat()
}

fn medium(data: &[u8]) -> Vec<u8> {
    [&(data.len() as u16).to_be_bytes()[..], data].concat()
}

/// Hellos in order, each known extension at most once.
pub fn hellos() -> impl Strategy<Value = Hello> {
    let name = prop_oneof![
        8 => "[a-z0-9-]{1,20}(\\.[a-zA-Z0-9_-]{1,20}){0,4}".prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 0..300),
        1 => Just(b"192.0.2.1".to_vec()),
    ];
    let code = prop_oneof![
        4 => any::<u16>(),
        1 => (0_u16..16).prop_map(|n| 0x0a0a + 0x1010 * n),
    ];
    let version = prop_oneof![0x0300_u16..=0x0304, Just(0x6a6a), any::<u16>()];
    let extension = prop_oneof![
        vec((prop_oneof![9 => Just(0), 1 => 0..3_u8], name), 1..3).prop_map(Extension::ServerNames),
        vec(code.clone(), 1..20).prop_map(Extension::Groups),
        vec(any::<u8>(), 1..4).prop_map(Extension::PointFormats),
        vec(code.clone(), 1..20).prop_map(Extension::SignatureAlgorithms),
        vec(vec(any::<u8>(), 1..12), 1..4).prop_map(Extension::Alpn),
        vec(version, 1..6).prop_map(Extension::Versions),
        Just(Extension::EarlyData),
        vec(any::<u8>(), 0..300).prop_map(Extension::Ech),
        (code.clone(), vec(any::<u8>(), 0..1_300))
            .prop_map(|(code, data)| Extension::Other(code, data)),
    ];
    (
        prop_oneof![4 => Just(0x0303), 1 => 0x0300_u16..0x0305],
        any::<[u8; 32]>(),
        prop_oneof![Just(vec![]), Just(vec![3; 32]), vec(any::<u8>(), 0..=32)],
        vec(code, 1..40),
        vec(extension, 0..20),
    )
        .prop_map(|(version, random, session, ciphers, mut extensions)| {
            let mut seen = std::collections::HashSet::new();
            const KNOWN: [u16; 10] = [0, 10, 11, 13, 16, 41, 42, 43, 0xfe0d, 0xffce];
            extensions.retain(|extension| {
                let is_other =
                    matches!(extension, Extension::Other(code, _) if KNOWN.contains(code));
                !is_other && seen.insert(extension.code())
            });
            Hello { version, random, session, ciphers, extensions }
        })
}

/// What a session gives for pieces of both sides, in words, and what it says at the end.
pub fn transcript(
    pieces: &[(Side, &[u8])],
    hint: Option<u16>,
    room: &mut Room,
) -> (Vec<String>, Progress) {
    let left = room.left();
    let mut session = Session::tcp(hint, Limits::default());
    let mut lines = Vec::new();
    for (side, bytes) in pieces {
        session.feed(*side, bytes, room, &mut |side, message| {
            lines.push(format!("{side:?} {}", line(&message)));
            ControlFlow::Continue(())
        });
    }
    let progress = session.progress();
    for side in Side::ALL {
        session.end(side, room, &mut |side, message| {
            lines.push(format!("{side:?} {}", line(&message)));
            ControlFlow::Continue(())
        });
    }
    session.close(room);
    assert_eq!(room.left(), left, "all that was taken is given back");
    (lines, progress)
}

/// All that is known of a message; of opaque bytes not how many are at hand, which depends on how they were cut.
pub fn line(message: &Message<'_>) -> String {
    match message {
        Message::TlsClientHello(hello) => format!(
            "{hello}: {hello:?} {:?} retry {} other {} ja3 {}",
            hello.random(),
            hello.is_retry(),
            hello.has_other_server_name(),
            hello.ja3_text()
        ),
        Message::TlsServerHello(hello) => {
            format!("{hello}: {hello:?} {:?} ja3s {}", hello.anomalies(), hello.ja3s_text())
        }
        Message::TlsCertificates(certificates) => {
            format!("{certificates}: {:?}", certificates.chain().collect::<Vec<_>>())
        }
        Message::Dns(message) => format!("{message}: {:?}", message.as_bytes()),
        Message::Opaque(opaque) => format!("{opaque} {} {}", opaque.why, opaque.is_whole_flow),
        other => other.to_string(),
    }
}

/// Any bytes: as bodies of messages, as a certificate, and as what two sides send, cut and whole.
pub fn check(bytes: &[u8]) {
    bodies(bytes);
    sessions(bytes);
}

fn bodies(bytes: &[u8]) {
    if let Ok(hello) = ClientHello::parse(bytes) {
        // A byte less or more is no hello.
        assert!(ClientHello::parse(&[bytes, &[0]].concat()).is_err());
        assert!(bytes.starts_with(&hello.legacy_version().0.to_be_bytes()));
        assert_eq!(hello.ja4().as_str().len(), 36);
        assert!(hello.ja4().as_str().is_ascii());
        assert_eq!(hello.ja3_text().to_string().matches(',').count(), 4);
        assert_eq!(hello.cipher_suites().len(), hello.cipher_suites().count());
        assert!(hello.cipher_suites().without_grease().all(|code| !is_grease(code)));
        let dns_name = hello.server_name().and_then(|name| name.dns_name());
        assert!(dns_name.is_none_or(|name| name.len() <= 253 && name.is_ascii()));
        assert!(
            hello.server_names().into_iter().flatten().count()
                <= hello.extensions().map(|extension| extension.data.len()).sum()
        );
        let _ = (hello.alpn().count(), hello.groups().count(), format!("{hello} {hello:?}"));
    }
    if let Ok(hello) = ServerHello::parse(bytes) {
        let _ = (hello.ja3s(), hello.alpn(), format!("{hello} {hello:?} {}", hello.ja3s_text()));
    }
    if let Ok(certificates) = Certificates::parse(bytes) {
        let total: usize = certificates.chain().map(|one| one.len() + 3).sum();
        assert_eq!(total + 3, bytes.len(), "every byte belongs to a certificate");
        let _ = certificates.to_string();
    }
    if let Ok(certificate) = Certificate::parse(bytes) {
        let _ = (certificate.dns_names().count(), certificate.subject().common_name());
        let text =
            format!("{certificate:?} {} {}", certificate.serial(), certificate.fingerprint());
        assert!(!text.contains('\n'), "a log line stays one line");
    }
}

/// A handshake of each kind as [`check`] wants it, and what is read alone: bodies and a certificate.
pub fn seeds() -> Vec<Vec<u8>> {
    let hello = Hello {
        extensions: Hello::browser("a.example").extensions.split_off(4),
        ..Hello::browser("")
    };
    let one = records(&hello.message(), &[100]);
    let retry = records(&server_hello(0x0304, 0x1301, RETRY), &[]);
    let flight = [server_hello(0x0303, 0xc02f, [1; 32]), certificates(&[certificate()])];
    let flight = records(&flight.concat(), &[300]);
    vec![
        pieces(&[(0, &one)]),
        pieces(&[(0, &one), (0x80, &retry), (0, &one)]),
        pieces(&[(0, &one), (0x80, &flight)]),
        hello.body(),
        server_hello(0x0304, 0x1301, [1; 32])[4..].to_vec(),
        certificates(&[certificate()])[4..].to_vec(),
        certificate(),
    ]
}

/// What sides say (0 the client, 0x80 the server), in the form that [`check`] wants.
pub fn pieces(said: &[(u8, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (side, mut rest) in said.iter().copied() {
        while !rest.is_empty() {
            let root = rest.len().isqrt().min(127);
            let (piece, after) = rest.split_at(root * root);
            bytes.push(side | root as u8);
            bytes.extend(piece);
            rest = after;
        }
    }
    bytes
}

/// Pieces with a byte before each that says whose it is and how long.
fn sessions(bytes: &[u8]) {
    let mut pieces = Vec::new();
    let mut rest = bytes;
    while let Some((control, after)) = rest.split_first() {
        let side = if control & 0x80 == 0 { Side::Client } else { Side::Server };
        // Long pieces, as in the seeds, by the square.
        let len = usize::from(control & 0x7f).pow(2).min(after.len());
        let (piece, after) = after.split_at(len);
        pieces.push((side, piece));
        rest = after;
    }
    for hint in [Some(443), Some(53)] {
        let (whole, progress) = transcript(&pieces, hint, &mut Room::new(1 << 20));
        let single: Vec<_> = pieces
            .iter()
            .flat_map(|(side, piece)| piece.chunks(1).map(|byte| (*side, byte)))
            .collect();
        let (cut, cut_progress) = transcript(&single, hint, &mut Room::new(1 << 20));
        assert_eq!(whole, cut, "by bytes");
        assert_eq!(progress, cut_progress);
        // Whatever is left of room, what comes out is what would have come out with more, up to where there is none.
        let (poor, _) = transcript(&single, hint, &mut Room::new(600));
        let until = poor.iter().position(|line| line.contains(" no-room ")).unwrap_or(poor.len());
        assert!(poor[..until].iter().all(|line| whole.contains(line)), "{poor:?} {whole:?}");
    }
}

/// A certificate that openssl made: of C=DE, O="Example, Inc.", CN=www.example.com with OU=One, and a mail address; for
/// two DNS names, an address and a mailbox.
pub fn certificate() -> Vec<u8> {
    unhex(CERTIFICATE)
}

/// Bytes of hexadecimal digits; spaces do not count.
pub fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks_exact(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}

/// A Certificate message of TLS 1.2.
pub fn certificates(chain: &[Vec<u8>]) -> Vec<u8> {
    let long = |data: &[u8]| [&(data.len() as u32).to_be_bytes()[1..], data].concat();
    message(11, &long(&chain.iter().flat_map(|one| long(one)).collect::<Vec<_>>()))
}

#[rustfmt::skip]
const CERTIFICATE: &str = "\
    3082025b30820201a00302010202060a1b2c3d4e5f300a06082a8648ce3d0403023069310b300906035504061302 \
    444531163014060355040a0c0d4578616d706c652c20496e632e3124300a060355040b0c034f6e65301606035504 \
    030c0f7777772e6578616d706c652e636f6d311c301a06092a864886f70d010901160d61406578616d706c652e63 \
    6f6d301e170d3236313132353137333133395a170d3336313132323137333133395a3069310b3009060355040613 \
    02444531163014060355040a0c0d4578616d706c652c20496e632e3124300a060355040b0c034f6e653016060355 \
    04030c0f7777772e6578616d706c652e636f6d311c301a06092a864886f70d010901160d61406578616d706c652e \
    636f6d3059301306072a8648ce3d020106082a8648ce3d03010703420004e07c380511c2fa2bb90ded650749b64f \
    14b91916beb8168221935ddfd816fd02c1d8048b963a4823f1faf226d030752f90d3e1c8ae4f37e1c2586d33cba4 \
    953ca38194308191301d0603551d0e04160414dc308d727a1f2e40dc9d40c1ce78c517bc52987d301f0603551d23 \
    041830168014dc308d727a1f2e40dc9d40c1ce78c517bc52987d300f0603551d130101ff040530030101ff303e06 \
    03551d1104373035820f7777772e6578616d706c652e636f6d8704c0000201820d2a2e6578616d706c652e6f7267 \
    810d62406578616d706c652e636f6d300a06082a8648ce3d04030203480030450220720815bcef64222edf2a9b70 \
    a2d151993275fa88b525cf8f9b05511db670e23e022100c2af9798c23d75cae2df0c71d5465e87e705f6479c4dd5 \
    87e10406f35d2459ce";
