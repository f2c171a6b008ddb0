//! The stores of one zone, on real sockets.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddrV4, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result};

use super::Inside;
use crate::demo::world::{Store, Zone};

/// Where a store writes down what it has and was asked.
pub(super) fn file(folder: &Path, zone: Zone, at: SocketAddrV4) -> PathBuf {
    folder.join(format!("zone-{zone:?}-{}.json", at.ip()))
}

/// Serves until it is ended.
pub(crate) fn run(inside: &Inside) -> Result<()> {
    let zone = match std::env::var("GWLB_ZONE").as_deref() {
        Ok("1") => Zone::A,
        Ok("2") => Zone::B,
        _ => anyhow::bail!("expected GWLB_ZONE to be 1 or 2: this is started by the simulator"),
    };
    let mut doors = Vec::new();
    for (at, store) in Store::all() {
        let listener = TcpListener::bind(at).with_context(|| format!("cannot listen at {at}"))?;
        let open = Open { file: file(&inside.folder, zone, at), store };
        open.write()?;
        doors.push(thread::spawn(move || serve(&listener, &Arc::new(Mutex::new(open)))));
    }
    for door in doors {
        door.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    }
    Ok(())
}

struct Open {
    file: PathBuf,
    store: Store,
}

impl Open {
    /// At once, for who reads it at the same time.
    fn write(&self) -> Result<()> {
        let new = self.file.with_extension("new");
        fs::write(&new, serde_json::to_vec(&self.store)?)?;
        Ok(fs::rename(new, &self.file)?)
    }
}

fn serve(listener: &TcpListener, open: &Arc<Mutex<Open>>) -> Result<()> {
    for stream in listener.incoming() {
        let open = Arc::clone(open);
        let stream = stream?;
        // Whoever goes away in between is gone.
        thread::spawn(move || converse(stream, &open));
    }
    Ok(())
}

fn converse(mut stream: TcpStream, open: &Mutex<Open>) -> Result<()> {
    let mut said = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            len => said.extend(&buffer[..len]),
        }
        let answers = {
            let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
            let (used, answers) = open.store.answer(&said);
            said.drain(..used);
            if used > 0 {
                open.write()?;
            }
            answers
        };
        stream.write_all(&answers)?;
    }
}
