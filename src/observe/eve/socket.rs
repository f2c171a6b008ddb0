use core::time::Duration;
use std::io;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::PathBuf;

use super::sink::{Loss, Sink, whole, write};

/// A Unix socket that somebody listens at, to take records.
///
/// Nobody has to be there yet, and whoever is may go: records are lost as long as nobody listens, and with the next ones it
/// is tried again. Whoever reads more slowly than records come for as long as [`PATIENCE`](Self::PATIENCE), loses some.
#[derive(Debug)]
pub struct SocketSink {
    path: PathBuf,
    kind: SocketKind,
    open: Option<Connection>,
}

/// The kinds of Unix sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SocketKind {
    /// A stream: one record a line.
    Stream,
    /// A datagram for each record, without the end of its line.
    Datagram,
}

#[derive(Debug)]
enum Connection {
    Stream(UnixStream),
    Datagram(UnixDatagram),
}

impl SocketSink {
    /// So long a reader that does not read is waited for.
    pub const PATIENCE: Duration = Duration::from_secs(1);

    /// Where somebody listens, or will.
    pub fn new(path: impl Into<PathBuf>, kind: SocketKind) -> Self {
        Self { path: path.into(), kind, open: None }
    }

    fn connected(&mut self) -> io::Result<&Connection> {
        let connection = match self.open.take() {
            Some(connection) => connection,
            None => self.connect()?,
        };
        Ok(self.open.insert(connection))
    }

    fn connect(&self) -> io::Result<Connection> {
        Ok(match self.kind {
            SocketKind::Stream => {
                let stream = UnixStream::connect(&self.path)?;
                stream.set_write_timeout(Some(Self::PATIENCE))?;
                Connection::Stream(stream)
            }
            SocketKind::Datagram => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(&self.path)?;
                socket.set_write_timeout(Some(Self::PATIENCE))?;
                Connection::Datagram(socket)
            }
        })
    }
}

impl Sink for SocketSink {
    fn take(&mut self, lines: &[u8]) -> Result<(), Loss> {
        let mut left = lines;
        // A reader that has gone is noticed by writing only, and another one may be there.
        let mut is_again = self.open.is_none();
        let mut too_long = 0_u64;
        loop {
            let connection = match self.connected() {
                Ok(connection) => connection,
                Err(error) => return Err(more(Loss::of(left, error), too_long)),
            };
            let (written, result) = match connection {
                Connection::Stream(stream) => write(stream, left),
                Connection::Datagram(socket) => send(socket, left, &mut too_long),
            };
            let Err(error) = result else { break };
            let kept = whole(left, written);
            left = left.get(kept..).unwrap_or_default();
            let is_slow =
                matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut);
            // Half a line must not have another one behind it.
            if !is_slow || kept < written {
                self.open = None;
            }
            if is_slow || is_again {
                return Err(more(Loss::of(left, error), too_long));
            }
            is_again = true;
        }
        match too_long {
            0 => Ok(()),
            records => {
                let error = io::Error::other("records longer than a datagram may be");
                Err(Loss { records, error, is_final: false })
            }
        }
    }

    fn reopen(&mut self) {
        self.open = None;
    }
}

fn more(loss: Loss, records: u64) -> Loss {
    Loss { records: loss.records.saturating_add(records), ..loss }
}

/// Sends a datagram for each line, and says how many bytes of lines it got rid of.
fn send(socket: &UnixDatagram, lines: &[u8], too_long: &mut u64) -> (usize, io::Result<()>) {
    let mut written = 0_usize;
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        match socket.send(line.strip_suffix(b"\n").unwrap_or(line)) {
            Ok(_) => {}
            Err(error) if error.raw_os_error() == Some(EMSGSIZE) => {
                *too_long = too_long.saturating_add(1);
            }
            Err(error) => return (written, Err(error)),
        }
        written = written.saturating_add(line.len());
    }
    (written, Ok(()))
}

/// As Linux numbers it (errno(3)); elsewhere a record too long for a datagram loses those behind it, too.
const EMSGSIZE: i32 = 90;

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::vec::Vec;
    use std::fs;
    use std::io::{BufRead, BufReader, Read};
    use std::os::unix::net::UnixListener;

    use super::*;

    fn place(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("gwlb-{}-{name}.sock", std::process::id()));
        let _ = fs::remove_file(&path);
        path
    }

    #[test]
    fn a_reader_that_comes_goes_and_comes_again() {
        let path = place("stream");
        let mut sink = SocketSink::new(&path, SocketKind::Stream);
        let loss = sink.take(b"1\n2\n").unwrap_err();
        assert_eq!((loss.records, loss.is_final), (2, false));

        let listener = UnixListener::bind(&path).unwrap();
        sink.take(b"3\n4\n").unwrap();
        let reader = listener.accept().unwrap().0;
        let mut lines = BufReader::new(reader).lines();
        assert_eq!(
            (lines.next().unwrap().unwrap(), lines.next().unwrap().unwrap()),
            ("3".into(), "4".into())
        );
        drop(lines);
        // It has gone; another one is let in by the same listener.
        sink.take(b"5\n").unwrap();
        let (mut reader, _) = listener.accept().unwrap();
        drop((sink, listener));
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "5\n");

        let mut sink = SocketSink::new(&path, SocketKind::Stream);
        let loss = sink.take(b"6\n").unwrap_err();
        assert_eq!(loss.error.kind(), io::ErrorKind::ConnectionRefused);
        fs::remove_file(path).unwrap();
    }

    /// What it gets, it gets in whole lines, whatever it misses.
    #[test]
    fn a_reader_that_does_not_read_loses_whole_lines() {
        let path = place("slow");
        let listener = UnixListener::bind(&path).unwrap();
        let mut sink = SocketSink::new(&path, SocketKind::Stream);
        let lines: Vec<_> = (0..100_000).map(|number| format!("line {number}\n")).collect();
        let loss = sink.take(lines.concat().as_bytes()).unwrap_err();
        assert!(loss.records > 0 && loss.records < 100_000, "{}", loss.records);
        drop(sink);
        let mut text = String::new();
        listener.accept().unwrap().0.read_to_string(&mut text).unwrap();
        let (read, _) = text.split_at(whole(text.as_bytes(), text.len()));
        assert_eq!(read.lines().count() as u64 + loss.records, 100_000);
        assert!(lines.concat().starts_with(read));
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_datagram_for_each_record() {
        let path = place("datagram");
        let reader = UnixDatagram::bind(&path).unwrap();
        let mut sink = SocketSink::new(&path, SocketKind::Datagram);
        sink.take(b"first\nsecond\n").unwrap();
        let mut text = [0; 64];
        for expected in [&b"first"[..], b"second"] {
            let len = reader.recv(&mut text).unwrap();
            assert_eq!(&text[..len], expected);
        }
        if cfg!(target_os = "linux") {
            let mut lines = Vec::from(b"before\n");
            lines.extend(std::iter::repeat_n(b'x', 1 << 20));
            lines.extend(b"\nafter\n");
            assert_eq!(sink.take(&lines).unwrap_err().records, 1);
            for expected in [&b"before"[..], b"after"] {
                let len = reader.recv(&mut text).unwrap();
                assert_eq!(&text[..len], expected);
            }
        }
        drop(reader);
        assert_eq!(sink.take(b"third\n").unwrap_err().records, 1);
        fs::remove_file(&path).unwrap();
        let reader = UnixDatagram::bind(&path).unwrap();
        sink.take(b"fourth\n").unwrap();
        let len = reader.recv(&mut text).unwrap();
        assert_eq!(&text[..len], b"fourth");
        fs::remove_file(path).unwrap();
    }
}
