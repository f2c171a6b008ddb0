//! Writes the corpora to start from, out of `tests/captures`: outer packets for `outer`, UDP payloads for
//! `header` and `envelope`, inner packets for `inner`, the same in tunnels for `tunnel` and `craft` and behind some
//! edits for `edit`, whole files for `capture`; conversations of a script for `stream`; odd requests, answered, for `http`,
//! and what is made to order for `tls` and `dns`; rules of signatures for `rules`.

use std::fs;
use std::io;
use std::path::Path;

use gwlb_geneve::capture::Reader;
use gwlb_geneve::geneve;
use gwlb_geneve::gwlb::Outer;
use gwlb_geneve_fuzz::{dns, http_check, tls, tunnels};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let seed = |target: &str, bytes: &[u8]| -> io::Result<()> {
        let folder = here.join("corpus").join(target);
        fs::create_dir_all(&folder)?;
        // FNV-1a: a name that stays the same for the same bytes.
        let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        fs::write(folder.join(format!("seed-{hash:016x}")), bytes)
    };
    for kind in 0..64 {
        // A SYN and its answer, data, an acknowledgment, overlapping data, one segment ahead of its turn, a FIN.
        let script = [
            *b"\x00\0\0\x01\x01",
            *b"\x02\0\0\0\x01",
            *b"\x05\x01\0\x20\x05",
            *b"\x03\0\0\0\x01",
            *b"\x05\x07\x10\x40\x05",
            *b"\x06\x41\x30\x40\x05",
            *b"\x07\x01\0\x60\x0d",
            *b"\x0c\x01\0\x08\x05",
        ];
        seed("stream", &[&[kind, kind << 2, kind, 40][..], &script.concat()].concat())?;
    }
    for (request, _) in http_check::odd::REQUESTS {
        seed("http", &[&[0, 0], *request].concat())?;
        let response = b"\xff\x01HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok\xff\x03";
        seed("http", &[&[5, 1], *request, response].concat())?;
    }
    for bytes in tls::seeds() {
        seed("tls", &bytes)?;
    }
    seed("dns", &dns::answer())?;
    let rules = fs::read(here.join("../examples/appliance/signatures.rules"))?;
    for rule in rules.split(|byte| *byte == b'\n').filter(|line| line.contains(&b'(')) {
        seed("rules", rule)?;
    }
    for entry in fs::read_dir(here.join("../tests/captures"))? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension == "md") {
            continue;
        }
        seed("capture", &fs::read(&path)?)?;
        let mut reader = Reader::open(&path)?;
        while let Some(packet) = reader.next_packet() {
            let packet = packet?;
            let Ok(network) = packet.network() else { continue };
            seed("outer", network.payload)?;
            let Ok((_, payload)) = Outer::parse(network.payload) else { continue };
            seed("header", payload)?;
            seed("envelope", payload)?;
            if let Ok(geneve) = geneve::Packet::parse(payload) {
                let inner = geneve.payload();
                seed("inner", inner)?;
                seed("craft", inner)?;
                for how in 0..tunnels::PACKINGS {
                    let packed = tunnels::pack(how, inner);
                    seed("tunnel", &packed)?;
                    // Some of these only, as what is in them is the same.
                    if how % 3 == 0 {
                        seed("craft", &packed)?;
                        let twice = tunnels::pack(how + 5, &packed);
                        seed("tunnel", &twice)?;
                    }
                }
                for what in 0..11 {
                    let edit = [what, 10, 0, 0, 1, 2, 3, 4];
                    seed("edit", &[&[1], &edit[..], inner].concat())?;
                }
            }
        }
    }
    Ok(())
}
