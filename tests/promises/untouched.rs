//! Promise 1: what passes is untouched: GENEVE header and inner packet come out as they came in, byte for byte.

use std::cell::RefCell;

use gwlb_geneve::engine::{Checksums, Datagram, Disposition, Engine, Output, Settings};
use gwlb_geneve::gwlb::{Envelope, Profile, ReplyPolicy};
use gwlb_geneve::inspect::{Context, Inspector, Packet, Reason, Rewriter, Verdict, packet_fn};
use gwlb_geneve::packet::{EditError, PacketMut};
use proptest::prelude::*;

use crate::common::{Idle, POLICIES, censor, passing, small, with_policy};
use crate::support::generate::{census, geneve_from, inner};
use crate::support::oracle::PROVIDERS;
use crate::support::traffic::*;

/// Any options that an envelope can have, around any packet, with a trailer or without.
fn payloads() -> impl Strategy<Value = Vec<u8>> {
    let header = geneve_from(PROVIDERS[0]).prop_filter_map("an envelope", |bytes| {
        let envelope = Envelope::parse(&bytes, &Profile::AWS).ok()?;
        Some(envelope.header().to_vec())
    });
    let trailer = prop_oneof![3 => Just(0), 1 => 0..20_usize];
    (header, inner(), trailer).prop_map(|(mut payload, inner, trailer)| {
        let is_ipv6 = inner.first().is_some_and(|first| first >> 4 == 6);
        payload[2..4].copy_from_slice(if is_ipv6 { &[0x86, 0xdd] } else { &[8, 0] });
        payload.extend(inner);
        payload.resize(payload.len() + trailer, 0xdd);
        payload
    })
}

/// Sends a payload with room behind it, and says whether it was forwarded, which it must have been as it was.
fn is_untouched<I: Inspector, R: Rewriter>(engine: &mut Engine<I, R>, payload: &[u8]) -> bool {
    let outer = pair().0.outer();
    let mut buffer = payload.to_vec();
    buffer.resize(payload.len() + 64, 0xee);
    let before = buffer.clone();
    let mut output = Output::new();
    let mut burst = [Datagram::with_room(at(0), outer, &mut buffer, payload.len())];
    engine.process(&mut burst, &mut output);
    let outcome = output.outcomes()[0];
    assert_ne!(outcome.disposition, Disposition::ForwardEdited);
    let is_forwarded = outcome.disposition.is_forward();
    if is_forwarded {
        let reply = burst[0].reply(&ReplyPolicy::default()).unwrap();
        assert_eq!([reply.parts()[1], reply.parts()[2]].concat(), payload);
    }
    assert_eq!(buffer, before);
    is_forwarded
}

type Judge = Box<dyn FnMut(&[u8]) -> bool>;

/// Every kind of engine that edits nothing, each as a function that says whether it forwards a payload.
fn judges() -> Vec<Judge> {
    let mut judges: Vec<Judge> = Vec::new();
    for policy in POLICIES {
        for monitor in [false, true] {
            for checksums in [Checksums::Verify, Checksums::Ignore] {
                let settings = Settings { monitor, checksums, mss: None, ..with_policy(policy) };
                let mut engine = passing(settings.clone());
                judges.push(Box::new(move |payload| is_untouched(&mut engine, payload)));
                let mut engine = passing(settings.clone()).with_rewriter(Idle);
                judges.push(Box::new(move |payload| is_untouched(&mut engine, payload)));
                let mut engine = Engine::new(settings, censor).unwrap();
                judges.push(Box::new(move |payload| is_untouched(&mut engine, payload)));
            }
        }
    }
    judges
}

thread_local! {
    static JUDGES: RefCell<Vec<Judge>> = RefCell::new(judges());
}

/// Whether all of them leave a payload alone, and how many forward it.
fn all_leave_it(payload: &[u8]) -> usize {
    JUDGES
        .with_borrow_mut(|judges| judges.iter_mut().map(|judge| usize::from(judge(payload))).sum())
}

proptest! {
    #[test]
    fn whatever_the_header_and_the_packet(payload in payloads()) {
        all_leave_it(&payload);
    }

    /// An outcome tells the truth about the bytes, whatever a rewriter does, and what is not sent is put back.
    #[test]
    fn only_what_is_said_to_be_edited_is(
        arrivals in conversations(60),
        monitor in any::<bool>(),
        burst in 1..40_usize,
    ) {
        let settings = Settings { monitor, ..small() };
        let mut engine = Engine::new(settings, censor).unwrap().with_rewriter(Scribbler);
        let course = run(&mut engine, &arrivals, burst);
        for (n, outcome) in course.outcomes.iter().enumerate() {
            let is_changed = course.payloads[n] != arrivals[n].payload;
            let is_edited = outcome.disposition == Disposition::ForwardEdited;
            prop_assert_eq!(is_changed, is_edited, "{} {}", n, outcome);
        }
    }
}

#[test]
fn enough_of_them_are_forwarded() {
    let counts = census(&payloads(), 200, |payload| all_leave_it(&payload) > 0);
    assert!(counts[&true] > 100, "{counts:?}");
    let edited = census(&conversations(60), 50, |arrivals| {
        let mut engine = Engine::new(small(), censor).unwrap().with_rewriter(Scribbler);
        run(&mut engine, &arrivals, 64);
        engine.counters().edited > 0
    });
    assert!(edited[&true] > 20, "{edited:?}");
}

/// Begins to change everything; then it changes its mind, fails, or goes on.
struct Scribbler;

impl Rewriter for Scribbler {
    type Plan = u16;

    fn plan(&mut self, packet: &Packet<'_>, _cx: &mut Context<'_>) -> Option<u16> {
        Some(number(packet.ip().bytes()))
    }

    fn rewrite(&mut self, plan: u16, packet: &mut PacketMut<'_>) -> Result<(), EditError> {
        let (before, was_byte) = (packet.bytes().to_vec(), packet.payload().first().copied());
        packet.set_hop_limit(before[8].wrapping_add(1));
        if was_byte.is_some() {
            packet.replace(0..1, b"x")?;
        }
        match plan % 4 {
            0 => packet.set_udp_payload(&[0; 9_000]).map(drop),
            1 => {
                if let Some(byte) = was_byte {
                    packet.replace(0..1, &[byte])?;
                }
                let ttl = if before[0] >> 4 == 4 { before[8] } else { before[7] };
                packet.set_hop_limit(ttl);
                Ok(())
            }
            2 => std::panic::resume_unwind(Box::new("a rewriter's")),
            _ => Ok(()),
        }
    }
}

/// Fragments and what is around an IP packet, which no generator makes as often as it deserves.
#[test]
fn fragments_trailers_and_odd_options() {
    let (client, _) = pair();
    let mut engine = passing(small());
    for fragment in fragments(&client.udp(&[b'x'; 100]), 7, 24) {
        assert!(is_untouched(&mut engine, &client.envelope(&fragment)));
        let trailed = [&client.envelope(&fragment)[..], &[0; 6]].concat();
        assert!(is_untouched(&mut engine, &trailed));
    }
    // Reserved bits of the header and of an option, another VNI, and an option of nobody's.
    let mut odd = client.envelope(&client.udp(b"odd"));
    odd[0] += 2;
    odd[1] |= 0x3f;
    odd[4..8].copy_from_slice(&[1, 2, 3, 4]);
    odd[11] |= 0xe0;
    odd.splice(40..40, [0xff, 0xff, 0x7f, 1, 1, 2, 3, 4]);
    assert!(is_untouched(&mut engine, &odd));
}

/// The verdict of a monitor changes nothing about the packet either.
#[test]
fn what_would_have_been_refused() {
    let make = || packet_fn("no", |_, _| Verdict::reject(Reason::new("no")));
    let (client, _) = pair_v6();
    let mut engine = Engine::new(Settings { monitor: true, ..small() }, make).unwrap();
    assert!(is_untouched(&mut engine, &client.envelope(&client.tcp(SYN, 1, 0, b""))));
    assert!(is_untouched(&mut engine, &client.envelope(&client.tcp(ACK, 2, 1, b"more"))));
    assert_eq!(engine.counters().would, 2);
}

/// Every packet of every capture at hand; those that came through no load balancer in an envelope of ours.
#[cfg(feature = "capture")]
#[test]
fn captures_pass_as_they_are() {
    use std::path::{Path, PathBuf};

    use gwlb_geneve::capture::Reader;
    use gwlb_geneve::gwlb::Outer;

    fn files(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files(&path, found);
            } else if path.extension().is_some_and(|kind| kind == "pcap" || kind == "pcapng") {
                found.push(path);
            }
        }
    }

    let mut found = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures"), &mut found);
    match std::env::var_os("GWLB_CAPTURES") {
        Some(folder) => files(Path::new(&folder), &mut found),
        None => eprintln!("SKIPPED: GWLB_CAPTURES does not name the folder of public captures"),
    }
    let (client, _) = pair();
    for file in found {
        let (mut reader, mut payloads) = (Reader::open(&file).unwrap(), Vec::new());
        while let Some(packet) = reader.next_packet() {
            let Ok(packet) = packet else { continue };
            let Ok(network) = packet.network() else { continue };
            match Outer::parse(network.payload) {
                Ok((outer, payload)) if outer.destination_port == 6081 => {
                    payloads.push(payload.to_vec());
                }
                _ if network.payload.is_empty() => {}
                _ => payloads.push(client.envelope(network.payload)),
            }
        }
        let forwarded = payloads.iter().filter(|payload| all_leave_it(payload) > 0).count();
        let name = file.file_name().unwrap().to_string_lossy();
        let is_all_bad = ["malformed.pcapng", "ethernet-inside.pcapng"].contains(&&*name);
        assert!(forwarded > 0 || is_all_bad || name.starts_with("geneve-"), "{name}: none");
    }
}
