use alloc::vec::Vec;

use super::super::{ApplicationProtocol, Buffer};
use super::Buffers;
use crate::Side;

/// The lines that each side of a connection begins with, until it is known which protocol they are of: SSH, SMTP or FTP; of FTP then
/// the client's commands, line by line.
#[derive(Debug, Default)]
pub(in super::super) struct Lines {
    client: Line,
    server: Line,
    spoken: Spoken,
}

/// Which protocol lines are of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) enum Spoken {
    /// It is not known yet.
    #[default]
    Unclear,
    /// It is none of these.
    Other,
    /// It is this one.
    Is(ApplicationProtocol),
}

/// A line as far as it has come.
#[derive(Debug, Default)]
struct Line {
    bytes: Vec<u8>,
    is_whole: bool,
    is_given: bool,
}

/// Longer lines are cut off.
const LONGEST: usize = 512;

impl Lines {
    /// Takes bytes of a side. `give` is called for what has become clear with them, each time with the buffers of one message.
    pub(in super::super) fn feed(
        &mut self,
        side: Side,
        mut bytes: &[u8],
        server_port: Option<u16>,
        buffers: &mut Buffers,
        give: &mut dyn FnMut(Side, &Buffers),
    ) {
        while !bytes.is_empty() && self.wants(side) {
            let line = match side {
                Side::Client => &mut self.client,
                Side::Server => &mut self.server,
            };
            if line.is_whole {
                return;
            }
            bytes = line.take(bytes);
            if self.spoken == Spoken::Unclear {
                if !line.could_be_text() {
                    return self.settle(Spoken::Other);
                }
                if line.is_whole {
                    self.recognise(server_port);
                }
            }
            if let Spoken::Is(protocol) = self.spoken {
                self.give_whole(protocol, buffers, give);
            }
        }
    }

    /// Whether more bytes of a side may tell more.
    pub(in super::super) fn wants(&self, side: Side) -> bool {
        match self.spoken {
            Spoken::Unclear => true,
            Spoken::Is(ApplicationProtocol::Ftp) => side == Side::Client,
            // The other side says who it is as well.
            Spoken::Is(_) => match side {
                Side::Client => !self.client.is_whole,
                Side::Server => !self.server.is_whole,
            },
            Spoken::Other => false,
        }
    }

    pub(in super::super) const fn spoken(&self) -> Spoken {
        self.spoken
    }

    /// From here on nothing is known.
    pub(in super::super) fn lose(&mut self) {
        if self.spoken == Spoken::Unclear {
            self.settle(Spoken::Other);
        }
    }

    fn settle(&mut self, spoken: Spoken) {
        self.spoken = spoken;
        if spoken == Spoken::Other {
            (self.client, self.server) = (Line::default(), Line::default());
        }
    }

    fn recognise(&mut self, server_port: Option<u16>) {
        let (client, server) = (&self.client, &self.server);
        let greets = server.is_whole && server.bytes.starts_with(b"220");
        let says = |word: &[u8]| client.is_whole && has_command(&client.bytes, word);
        let named = |word: &[u8]| {
            greets && server.bytes.windows(word.len()).any(|it| it.eq_ignore_ascii_case(word))
        };
        let protocol = if client.bytes.starts_with(b"SSH-") || server.bytes.starts_with(b"SSH-") {
            ApplicationProtocol::Ssh
        } else if greets && (says(b"EHLO") || says(b"HELO")) || named(b"SMTP") {
            ApplicationProtocol::Smtp
        } else if greets && (server_port == Some(21) || FTP_COMMANDS.iter().any(|it| says(it)))
            || named(b"FTP")
        {
            ApplicationProtocol::Ftp
        } else if greets && matches!(server_port, Some(25 | 465 | 587)) {
            ApplicationProtocol::Smtp
        } else {
            if server.is_whole && (client.is_whole || !greets) {
                self.settle(Spoken::Other);
            }
            return;
        };
        self.settle(Spoken::Is(protocol));
    }

    /// What was said and not given yet.
    fn give_whole(
        &mut self,
        protocol: ApplicationProtocol,
        buffers: &mut Buffers,
        give: &mut dyn FnMut(Side, &Buffers),
    ) {
        for (side, line) in [(Side::Server, &mut self.server), (Side::Client, &mut self.client)] {
            if !line.is_whole || line.is_given {
                continue;
            }
            buffers.clear();
            match protocol {
                ApplicationProtocol::Ssh => ssh(&line.bytes, buffers),
                ApplicationProtocol::Smtp => {
                    buffers.add_bytes(Buffer::SmtpFirstLine, &line.bytes, true);
                }
                _ if side == Side::Client => command(&line.bytes, buffers),
                _ => {}
            }
            give(side, buffers);
            let goes_on = protocol == ApplicationProtocol::Ftp && side == Side::Client;
            *line = Line { bytes: Vec::new(), is_whole: !goes_on, is_given: !goes_on };
        }
    }
}

impl Line {
    /// Takes bytes up to the end of the line, and leaves the rest.
    fn take<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let end = memchr::memchr(b'\n', bytes);
        let (part, rest) = match end {
            Some(end) => bytes.split_at_checked(end).unwrap_or((bytes, &[])),
            None => (bytes, &[][..]),
        };
        let room = LONGEST.saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(part.get(..room).unwrap_or(part));
        if end.is_none() {
            return rest;
        }
        self.is_whole = true;
        if self.bytes.last() == Some(&b'\r') {
            self.bytes.pop();
        }
        rest.get(1..).unwrap_or(&[])
    }

    /// Whether nothing tells against its being a line of text.
    fn could_be_text(&self) -> bool {
        self.bytes.len() < LONGEST
            && self.bytes.first().is_none_or(u8::is_ascii_alphanumeric)
            && !self.bytes.contains(&0)
    }
}

const FTP_COMMANDS: [&[u8]; 6] = [b"USER", b"AUTH", b"FEAT", b"SYST", b"OPTS", b"PASS"];

fn has_command(line: &[u8], command: &[u8]) -> bool {
    let word = line.split(|byte| *byte == b' ').next().unwrap_or(line);
    word.eq_ignore_ascii_case(command)
}

/// `SSH-2.0-software comments` (RFC 4253 §4.2).
fn ssh(line: &[u8], to: &mut Buffers) {
    let Some(rest) = line.strip_prefix(b"SSH-") else { return };
    let mut parts = rest.splitn(2, |byte| *byte == b'-');
    for (buffer, part) in [Buffer::SshProtocol, Buffer::SshSoftware].into_iter().zip(&mut parts) {
        to.add(buffer, |to| to.extend_from_slice(part));
    }
}

/// `USER anonymous` (RFC 959 §4).
fn command(line: &[u8], to: &mut Buffers) {
    let mut parts = line.splitn(2, |byte| *byte == b' ');
    for (buffer, part) in [Buffer::FtpCommand, Buffer::FtpCommandData].into_iter().zip(&mut parts) {
        to.add(buffer, |to| to.extend_from_slice(part));
    }
}
