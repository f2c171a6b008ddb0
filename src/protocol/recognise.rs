use super::Protocol;
use super::parser::Guess;
use crate::Side;

/// So many bytes tell which protocol it is; the preface of HTTP/2 is the longest sign.
pub(super) const ENOUGH: usize = 24;

/// Which protocol the first bytes of a side are in: `None` where more are needed, [`Protocol::Unknown`] where more would not
/// help. Looks at [`ENOUGH`] bytes at most.
pub(super) fn recognise(side: Side, start: &[u8], hint: Option<u16>) -> Option<Protocol> {
    let is_enough = start.len() >= ENOUGH;
    let start = start.get(..ENOUGH).unwrap_or(start);
    for (protocol, guess) in guesses(side, start, hint) {
        match guess {
            Guess::Yes => return Some(protocol),
            Guess::More if !is_enough => return None,
            Guess::More | Guess::No => {}
        }
    }
    Some(Protocol::Unknown)
}

/// In the order in which they are believed: what can be told by its bytes before what can be told by the port.
fn guesses(side: Side, start: &[u8], hint: Option<u16>) -> impl Iterator<Item = (Protocol, Guess)> {
    let _ = (side, start, hint);
    [
        #[cfg(feature = "http")]
        (Protocol::Http, super::http::guess(side, start, hint)),
        #[cfg(feature = "tls")]
        (Protocol::Tls, super::tls::guess(side, start)),
        #[cfg(feature = "dns")]
        (Protocol::Dns, super::dns::guess(hint)),
    ]
    .into_iter()
}

/// The first bytes of a side while they are too few.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Prefix {
    bytes: [u8; ENOUGH],
    len: u8,
}

impl Prefix {
    pub(super) fn as_slice(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&[])
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes as many of them as it can hold.
    pub(super) fn append(&mut self, more: &[u8]) {
        let free = self.bytes.iter_mut().skip(usize::from(self.len));
        for (place, byte) in free.zip(more) {
            *place = *byte;
            self.len = self.len.saturating_add(1);
        }
    }
}
