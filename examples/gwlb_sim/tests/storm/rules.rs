//! Many rules come into force while traffic goes on.

use std::fmt::Write;
use std::fs;
use std::net::UdpSocket;
use std::time::Duration;

use gwlb_geneve::packet::Checksum;
use nix::sys::signal::Signal;

use crate::input::header;
use crate::stage::{APPLIANCE, GATEWAY, GENEVE, OTHER_GATEWAY, Stage};

/// As many as are sold together.
const MANY: u32 = 40_000;

/// In a debug build, on a machine that has other work, such a file takes minutes.
const PATIENCE: Duration = Duration::from_secs(900);

/// For one reply.
const REPLY: Duration = Duration::from_secs(60);

/// Rules of the shapes that collections of rules have, each with patterns of its own that nothing in the load has.
fn generated(count: u32) -> String {
    let mut text = String::new();
    for number in 0..count {
        let (a, b, c) = (word(number, 1), word(number, 2), word(number, 3));
        let action = if number % 4 == 0 { "drop" } else { "alert" };
        let (head, options) = match number % 10 {
            0 | 1 => (
                "http $HOME_NET any -> $EXTERNAL_NET any",
                format!(
                    r#"flow:established,to_server; http.method; content:"POST"; http.uri; content:"/{a}/{b}.php"; nocase; fast_pattern; content:"{c}="; distance:0;"#
                ),
            ),
            2 => (
                "http $EXTERNAL_NET any -> $HOME_NET any",
                format!(
                    r#"flow:established,to_server; http.uri; content:"/{a}/"; startswith; content:".jsp?{b}="; distance:0; pcre:"/\/{a}\/[a-z0-9]{{4,12}}\.jsp\?{b}=\d+/i";"#
                ),
            ),
            3 | 4 => (
                "http $HOME_NET any -> $EXTERNAL_NET any",
                format!(
                    r#"flow:established,to_server; http.host; content:"{a}.{b}.top"; endswith;"#
                ),
            ),
            5 => (
                "tls $HOME_NET any -> $EXTERNAL_NET any",
                format!(
                    r#"flow:established,to_server; tls.sni; content:".{a}-{b}.com"; endswith; nocase;"#
                ),
            ),
            6 | 7 => (
                "dns $HOME_NET any -> any any",
                format!(r#"dns.query; dotprefix; content:".{a}{b}.xyz"; nocase; endswith;"#),
            ),
            8 => (
                "tcp $EXTERNAL_NET any -> $HOME_NET [445,1024:]",
                format!(
                    r#"flow:established,to_server; content:"|ff 53 4d 42 {:02x}|"; depth:9; content:"{a}"; distance:4; within:200; content:"{b}"; distance:0; isdataat:4,relative;"#,
                    number % 256
                ),
            ),
            _ => (
                "http $EXTERNAL_NET any -> $HOME_NET any",
                format!(
                    r#"flow:established,to_client; file.data; content:"{a} {b}"; content:"{c}"; distance:0; within:60;"#
                ),
            ),
        };
        let sid = 3_000_000 + number;
        writeln!(
            text,
            r#"{action} {head} (msg:"GENERATED {a} {b} of {c}"; {options} reference:url,example.org/{a}; classtype:trojan-activity; sid:{sid}; rev:2; metadata:created_at 2024_05_11, deployment Perimeter, signature_severity Major;)"#
        )
        .unwrap();
    }
    text
}

/// A word of a rule.
fn word(rule: u32, place: u32) -> String {
    let mut state = u64::from(rule).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(place) << 40;
    let mut next = |below: u64| {
        state ^= state >> 30;
        state = state.wrapping_mul(0xbf58_476d_1ce4_e5b9).wrapping_add(1);
        (state >> 33) % below
    };
    let len = 6 + next(7);
    (0..len).map(|_| char::from(b'a' + next(26) as u8)).collect()
}

/// Says words in flows of UDP through a load balancer, and hears which of them come back.
struct Speaker {
    socket: UdpSocket,
    replies: UdpSocket,
}

impl Speaker {
    fn new(stage: &Stage) -> Self {
        let bind =
            |port| stage.gateway.run(|| Ok(UdpSocket::bind((OTHER_GATEWAY, port))?)).unwrap();
        let (socket, replies) = (bind(0), bind(GENEVE));
        replies.set_read_timeout(Some(REPLY)).unwrap();
        Self { socket, replies }
    }

    /// Whether a word comes back that is said in the flow from this port: before another one that nobody minds, said after it.
    fn passes(&self, port: u16, word: &str) -> bool {
        for said in [word, "nothing to mind"] {
            self.socket.send_to(&datagram(port, said), (APPLIANCE, GENEVE)).unwrap();
        }
        let mut passes = false;
        loop {
            let mut reply = [0; 2_048];
            let len = self.replies.recv(&mut reply);
            let len = len.unwrap_or_else(|error| panic!("no reply to {word:?}: {error}"));
            match &reply[..len] {
                reply if reply == datagram(port, word) => passes = true,
                reply if reply == datagram(port, "nothing to mind") => return passes,
                other => panic!("{}", other.escape_ascii()),
            }
        }
    }
}

/// A datagram of a load balancer with one of UDP from a port in it.
fn datagram(port: u16, said: &str) -> Vec<u8> {
    let mut payload = header();
    let inner = payload.len();
    payload.extend([0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 10, 1, 0, 1, 10, 2, 0, 2]);
    payload.extend(port.to_be_bytes());
    payload.extend([0x13, 0x88]);
    payload.extend((8 + said.len() as u16).to_be_bytes());
    // Without a checksum.
    payload.extend([0, 0]);
    payload.extend(said.as_bytes());
    let len = (payload.len() - inner) as u16;
    payload[inner + 2..inner + 4].copy_from_slice(&len.to_be_bytes());
    let checksum = Checksum::of(&payload[inner..inner + 20]);
    payload[inner + 10..inner + 12].copy_from_slice(&checksum.to_be_bytes());
    payload
}

#[test]
fn forty_thousand_rules_come_into_force_under_load_and_nothing_is_lost() {
    let Some(mut stage) = Stage::lay("rules") else { return };
    let marking = |word: &str| {
        format!("drop udp any any -> any any (msg:\"{word}\"; content:\"{word}\"; sid:1;)\n")
    };
    let file = stage.file("some.rules");
    let config = format!(
        "[signatures]\nfiles = {:?}\naddresses = {{ HOME_NET = \"10.0.0.0/8\", EXTERNAL_NET = \"any\" }}\n",
        file.to_str().unwrap()
    );
    fs::write(&file, generated(200) + &marking("old word")).unwrap();
    stage.start(&config);
    let speaker = Speaker::new(&stage);
    assert_eq!(["old word", "new word"].map(|word| speaker.passes(4_001, word)), [false, true]);

    let load = stage.begin(GATEWAY, "--seconds 3600 --profile mixed");
    stage.wait_for("traffic", |stage| stage.stats().number("forwarded") > 1_000);
    let said = stage.log().len();
    let is_in_force = |stage: &Stage| stage.log()[said..].contains("is in force");
    fs::write(&file, generated(MANY) + &marking("new word")).unwrap();
    stage.appliance().signal(Signal::SIGHUP);
    let (mut last, mut rises) = (0, 0);
    stage.wait_within(PATIENCE, "forty thousand rules", |stage| {
        let forwarded = stage.stats().number("forwarded");
        if is_in_force(stage) {
            return true;
        }
        rises += u32::from(forwarded > last);
        last = forwarded;
        false
    });
    assert!(rises > 5, "it forwarded more only {rises} times before they were in force");
    // All of them are.
    let log = stage.log().split_off(said);
    assert!(!log.contains("signatures: "), "{log}");

    assert_eq!(["old word", "new word"].map(|word| speaker.passes(4_001, word)), [false, true]);
    assert_eq!(["old word", "new word"].map(|word| speaker.passes(4_002, word)), [true, false]);
    load.stop().assert_nothing_lost();
    let stats = stage.settled();
    assert_eq!(stats.sum("dropped"), 3, "{:#}", stats.0);
    stage.has_survived();
}
