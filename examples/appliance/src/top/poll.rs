//! Asks the management port of an appliance for its numbers.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use super::stats::Stats;

/// How long an appliance may take to answer, and how much it may say.
const PATIENCE: Duration = Duration::from_secs(5);
const LONGEST: u64 = 8 << 20;

/// Where the numbers are.
pub(crate) struct Source {
    pub(crate) address: SocketAddr,
    pub(crate) token: Option<String>,
}

/// The numbers, or why there are none.
pub(crate) type News = Result<Stats, String>;

impl Source {
    /// Asks again and again, on a thread of its own, until nobody listens any more.
    pub(crate) fn watch(self, every: Duration) -> io::Result<Receiver<News>> {
        let (tell, news) = mpsc::channel();
        let ask = move || {
            loop {
                let asked = Instant::now();
                if tell.send(self.fetch()).is_err() {
                    break;
                }
                thread::sleep(every.saturating_sub(asked.elapsed()));
            }
        };
        thread::Builder::new().name("top".into()).spawn(ask)?;
        Ok(news)
    }

    /// Asks once.
    pub(crate) fn fetch(&self) -> News {
        let answer = self.ask().map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                format!("expected an answer within {} s, found none", PATIENCE.as_secs())
            }
            _ => error.to_string(),
        })?;
        read(&answer)
    }

    fn ask(&self) -> io::Result<Vec<u8>> {
        let end = Instant::now() + PATIENCE;
        let mut stream = TcpStream::connect_timeout(&self.address, PATIENCE)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let authorization = match &self.token {
            Some(token) => format!("Authorization: Bearer {token}\r\n"),
            None => String::new(),
        };
        // 1.0: the answer ends where the connection does.
        let request = format!(
            "GET /stats HTTP/1.0\r\nHost: {}\r\nAccept: application/json\r\n{authorization}\r\n",
            self.address
        );
        stream.write_all(request.as_bytes())?;
        let (mut answer, mut piece) = (Vec::new(), [0; 16 << 10]);
        loop {
            // Slow answers are cut off, however often they say a little more.
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            stream.set_read_timeout(Some(left))?;
            match stream.read(&mut piece)? {
                0 => return Ok(answer),
                len => answer.extend_from_slice(&piece[..len]),
            }
            if answer.len() as u64 > LONGEST {
                return Err(io::Error::other(format!(
                    "expected at most {LONGEST} bytes, found more"
                )));
            }
        }
    }
}

fn read(answer: &[u8]) -> News {
    let no_http = || "expected HTTP, found something else".to_string();
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").ok_or_else(no_http)?;
    let (head, body) = (&answer[..end], &answer[end + 4..]);
    let head = std::str::from_utf8(head).map_err(|_| no_http())?;
    let status = head.lines().next().and_then(|line| line.strip_prefix("HTTP/1."));
    let status = status.and_then(|line| line.split_once(' ')).ok_or_else(no_http)?.1;
    if !status.starts_with("200") {
        let said = String::from_utf8_lossy(body);
        let said = said.lines().next().unwrap_or_default();
        return Err(format!("expected 200 OK, found {status}: {said}"));
    }
    serde_json::from_slice(body)
        .map_err(|error| format!("expected statistics of an appliance, found {error}"))
}
