use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write};

use super::Evidence;
use super::record::Record;
use crate::engine::{Datagram, Disposition, Event, EventKind, Outcome, Output};

/// Hands on the packets that are to be kept. Each worker has its own.
#[derive(Debug)]
pub struct EvidenceRecorder {
    evidence: Evidence,
    record: Vec<u8>,
    comment: Comment,
}

impl EvidenceRecorder {
    /// One that hands packets to `evidence`.
    pub fn new(evidence: Evidence) -> Self {
        Self { evidence, record: Vec::new(), comment: Comment(String::new()) }
    }

    /// Datagrams were judged.
    pub fn judged(&mut self, datagrams: &[Datagram<'_>], output: &Output) {
        let judged = datagrams.iter().zip(output.outcomes()).enumerate();
        for (place, (datagram, outcome)) in judged.filter(|(_, (_, outcome))| outcome.capture) {
            self.keep(place, datagram, outcome, output.events());
        }
    }

    #[cold]
    fn keep(&mut self, place: usize, datagram: &Datagram<'_>, outcome: &Outcome, events: &[Event]) {
        let mut outer = *datagram.outer();
        if outcome.disposition == Disposition::ForwardEdited {
            // That it came with is of other bytes.
            outer.udp_checksum = 0;
        }
        // It came in a packet that held it.
        let Ok(headers) = outer.to_headers(datagram.payload().len()) else { return };
        self.comment.0.clear();
        for event in events.iter().filter(|event| event.datagram == Some(place)) {
            match &event.what {
                EventKind::Alert(alert) => {
                    self.comment.line(format_args!("{}: {}", alert.name, alert.message));
                }
                EventKind::Capture(why) => self.comment.line(format_args!("{why}")),
                EventKind::Exception(class, _) => self.comment.line(format_args!("{class}")),
            }
        }
        if outcome.disposition != Disposition::Forward || outcome.would.is_some() {
            self.comment.line(format_args!("{outcome}"));
        }
        self.record.clear();
        let packet = [&headers[..], datagram.payload()];
        Record::write(datagram.time(), &self.comment.0, packet, &mut self.record);
        self.evidence.give(&self.record);
    }
}

/// What is said of a packet, a line each, control characters of what was found in traffic made visible.
#[derive(Debug)]
struct Comment(String);

impl Comment {
    /// A person reads no more; a file can hold 64 KiB.
    const MOST: usize = 8 << 10;

    fn line(&mut self, line: fmt::Arguments<'_>) {
        if !self.0.is_empty() {
            self.0.push('\n');
        }
        // Full is full.
        let _ = self.write_fmt(line);
    }
}

impl Write for Comment {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if self.0.len() >= Self::MOST {
                return Err(fmt::Error);
            }
            if character.is_control() {
                self.0.extend(character.escape_default());
            } else {
                self.0.push(character);
            }
        }
        Ok(())
    }
}
