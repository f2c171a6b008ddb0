use core::fmt;

use thiserror::Error;

use crate::capture::{self, LinkError};

/// Why a frame of a capture could not be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The file is damaged there.
    #[error(transparent)]
    Capture(#[from] capture::Error),
    /// A link type that is not read here. It is told once, however many frames have it.
    #[error("packet {number}: {error}")]
    Link {
        /// The first frame that has it, from 1.
        number: u64,
        /// The link type.
        error: LinkError,
    },
}

/// Why a replay did not come to its end.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The capture cannot be opened.
    #[error(transparent)]
    Open(capture::Error),
    /// A reply cannot be written.
    #[error(transparent)]
    Write(capture::Error),
    /// The packet to be explained is not in the capture.
    #[error("expected {}, found {number}", Numbers(*.last))]
    NoSuchPacket {
        /// The frame number that was asked for.
        number: u64,
        /// The last frame's number.
        last: u64,
    },
    /// The packet to be explained is none that an engine judges.
    #[error("packet {number}: expected UDP to a GENEVE port, found other traffic")]
    NotGeneve {
        /// The frame number that was asked for.
        number: u64,
    },
    /// The packet to be explained could not be read.
    #[error("packet {number}: expected a frame that can be read, found it damaged")]
    Unreadable {
        /// The frame number that was asked for.
        number: u64,
        /// What was wrong with the last frame that could not be read.
        #[source]
        error: Option<FrameError>,
    },
}

/// The numbers of packets up to the last.
struct Numbers(u64);

impl fmt::Display for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("a packet, of which the capture has none"),
            last => write!(f, "a packet from 1 to {last}"),
        }
    }
}
