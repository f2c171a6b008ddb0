use alloc::boxed::Box;
use std::io::{self, Write};

/// What takes records out of the queue. It works on the thread that writes them, so that it may wait, but nobody waits
/// for it.
pub trait Sink: Send + 'static {
    /// Takes whole lines, one for each record.
    ///
    /// # Errors
    ///
    /// [`Loss`], where not all of them could be written.
    fn take(&mut self, lines: &[u8]) -> Result<(), Loss>;

    /// Opens what it writes to anew, with the next record: it may be called otherwise by now.
    fn reopen(&mut self) {}
}

impl Sink for Box<dyn Sink> {
    fn take(&mut self, lines: &[u8]) -> Result<(), Loss> {
        self.as_mut().take(lines)
    }

    fn reopen(&mut self) {
        self.as_mut().reopen();
    }
}

/// What could not be written, and why.
#[derive(Debug)]
pub struct Loss {
    /// How many records are lost; 0 where something went wrong that cost none.
    pub records: u64,
    /// What went wrong.
    pub error: io::Error,
    /// Whether nothing can be written any more. Otherwise the next records may find their way again.
    pub is_final: bool,
}

impl Loss {
    /// That of all these lines, as of now.
    pub fn of(lines: &[u8], error: io::Error) -> Self {
        Self { records: count(lines), error, is_final: false }
    }
}

/// How many lines there are, one that has no end included.
pub(super) fn count(lines: &[u8]) -> u64 {
    let ends = lines.iter().filter(|byte| **byte == b'\n').count();
    let open = usize::from(lines.last().is_some_and(|byte| *byte != b'\n'));
    u64::try_from(ends.saturating_add(open)).unwrap_or(u64::MAX)
}

/// How many of the first so many bytes are whole lines.
pub(super) fn whole(lines: &[u8], bytes: usize) -> usize {
    let written = lines.get(..bytes).unwrap_or(lines);
    written.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last.saturating_add(1))
}

/// Writes all that it can, and says how much that was.
pub(super) fn write(mut output: impl Write, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0_usize;
    while let Some(rest @ [_, ..]) = bytes.get(written..) {
        match output.write(rest) {
            Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
            Ok(more) => written = written.saturating_add(more),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (written, Err(error)),
        }
    }
    (written, output.flush())
}

/// Takes records to any output. An error is the end of it: whether half a line was written is not known.
pub(super) struct Plain<W>(pub(super) W);

impl<W: Write + Send + 'static> Sink for Plain<W> {
    fn take(&mut self, lines: &[u8]) -> Result<(), Loss> {
        let written = self.0.write_all(lines).and_then(|()| self.0.flush());
        written.map_err(|error| Loss { is_final: true, ..Loss::of(lines, error) })
    }
}
