//! Writes the corpora to start from, out of `tests/captures`: outer packets for `outer`, UDP payloads for
//! `header` and `envelope`, inner packets for `inner`, whole files for `capture`.

use std::fs;
use std::io;
use std::path::Path;

use gwlb_geneve::capture::Reader;
use gwlb_geneve::geneve;
use gwlb_geneve::gwlb::Outer;

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
                seed("inner", geneve.payload())?;
            }
        }
    }
    Ok(())
}
