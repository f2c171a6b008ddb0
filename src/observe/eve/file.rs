use core::time::Duration;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::sink::{Loss, Sink, whole, write};

/// A file that records are added to, and when another one begins.
///
/// It gets over what happens to files: a full disk costs the records that find no room, and no line is left half
/// written; a file that was moved or removed is made anew, as soon as its folder lets it.
///
/// ```
/// use gwlb_geneve::observe::eve::{Eve, EveSettings, FileSink, Rotation};
///
/// # let folder = std::env::temp_dir().join(format!("eve-doc-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// let rotation = Rotation { bytes: Some(64 << 20), keep: 4, ..Rotation::default() };
/// let sink = FileSink::open(folder.join("eve.json"), rotation)?;
/// let (eve, writer) = Eve::start_with(sink, EveSettings::default())?;
/// # drop(eve);
/// writer.finish()?;
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct FileSink {
    path: PathBuf,
    rotation: Rotation,
    open: Option<Open>,
}

/// When a file is put aside, and another one begins. By default never.
///
/// The latest that was put aside is called as the file with `.1` behind, the one before with `.2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// Bytes that a file has at most, unless a single record is longer.
    pub bytes: Option<u64>,
    /// How long a file is written to. It is put aside with the next record after that time.
    pub age: Option<Duration>,
    /// How many files are kept besides. By default 10.
    pub keep: u32,
}

impl Default for Rotation {
    fn default() -> Self {
        Self { bytes: None, age: None, keep: 10 }
    }
}

#[derive(Debug)]
struct Open {
    file: File,
    /// Bytes in it; 0 for what is no file on a disk.
    len: u64,
    /// When it was begun.
    since: SystemTime,
    is_regular: bool,
}

impl FileSink {
    /// Opens a file, behind what it has.
    ///
    /// # Errors
    ///
    /// Where it cannot be opened now. Later that is got over.
    pub fn open(path: impl Into<PathBuf>, rotation: Rotation) -> io::Result<Self> {
        let path = path.into();
        let open = Some(Open::at(&path)?);
        Ok(Self { path, rotation, open })
    }

    /// The file, opened anew where it is not the one that is there by now.
    fn opened(&mut self) -> io::Result<&mut Open> {
        if self.open.as_ref().is_some_and(|open| !open.is_at(&self.path)) {
            self.open = None;
        }
        let open = match self.open.take() {
            Some(open) => open,
            None => Open::at(&self.path)?,
        };
        Ok(self.open.insert(open))
    }

    fn is_due(&self, more: usize, now: SystemTime) -> bool {
        let Some(open) = self.open.as_ref().filter(|open| open.is_regular && open.len > 0) else {
            return false;
        };
        let len = open.len.saturating_add(u64::try_from(more).unwrap_or(u64::MAX));
        let age = now.duration_since(open.since).unwrap_or_default();
        self.rotation.bytes.is_some_and(|most| len > most)
            || self.rotation.age.is_some_and(|most| age >= most)
    }

    /// Puts the file aside.
    fn rotate(&mut self) -> io::Result<()> {
        let named = |number: u32| {
            let mut name = self.path.clone().into_os_string();
            name.push(alloc::format!(".{number}"));
            PathBuf::from(name)
        };
        self.open = None;
        if self.rotation.keep == 0 {
            return fs::remove_file(&self.path);
        }
        for number in (1..self.rotation.keep).rev() {
            match fs::rename(named(number), named(number.saturating_add(1))) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(&self.path, named(1))
    }

    fn take_at(&mut self, mut lines: &[u8], now: SystemTime) -> Result<(), Loss> {
        let mut trouble = None;
        while !lines.is_empty() {
            if let Err(error) = self.opened() {
                return Err(Loss::of(lines, error));
            }
            let first = lines.iter().position(|byte| *byte == b'\n');
            let first = first.map_or(lines.len(), |end| end.saturating_add(1));
            if trouble.is_none() && self.is_due(first, now) {
                // Without a place to put it, it goes on growing.
                trouble = self.rotate().err();
                continue;
            }
            let room = match self.rotation.bytes.filter(|_| trouble.is_none()) {
                Some(most) => {
                    let len = self.open.as_ref().map_or(0, |open| open.len);
                    usize::try_from(most.saturating_sub(len)).unwrap_or(usize::MAX)
                }
                None => usize::MAX,
            };
            let len = whole(lines, room.min(lines.len())).max(first);
            let (piece, rest) = lines.split_at_checked(len).unwrap_or((lines, &[]));
            let Some(open) = &mut self.open else { continue };
            if let Err((written, error)) = open.write(piece) {
                // What else is there finds no room either.
                let lost = lines.get(written..).unwrap_or_default();
                return Err(Loss::of(lost, error));
            }
            lines = rest;
        }
        match trouble {
            Some(error) => Err(Loss { records: 0, error, is_final: false }),
            None => Ok(()),
        }
    }
}

impl Sink for FileSink {
    fn take(&mut self, lines: &[u8]) -> Result<(), Loss> {
        self.take_at(lines, SystemTime::now())
    }

    fn reopen(&mut self) {
        self.open = None;
    }
}

impl Open {
    fn at(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let metadata = file.metadata()?;
        let is_regular = metadata.is_file();
        let len = if is_regular { metadata.len() } else { 0 };
        let now = SystemTime::now();
        // Of one that was there before, as far as the system knows.
        let since = if len > 0 { metadata.created().unwrap_or(now) } else { now };
        Ok(Self { file, len, since, is_regular })
    }

    /// Whether it is what its name stands for.
    fn is_at(&self, path: &Path) -> bool {
        match (fs::metadata(path), self.file.metadata()) {
            (Ok(there), Ok(own)) => is_same(&there, &own),
            _ => false,
        }
    }

    /// On error, how much was written in whole lines; nothing else is left in the file.
    fn write(&mut self, lines: &[u8]) -> Result<(), (usize, io::Error)> {
        let (written, result) = write(&self.file, lines);
        let kept = if result.is_ok() { written } else { whole(lines, written) };
        if self.is_regular {
            self.len = self.len.saturating_add(u64::try_from(kept).unwrap_or(u64::MAX));
            if kept < written {
                let _ = self.file.set_len(self.len);
            }
        }
        result.map_err(|error| (kept, error))
    }
}

#[cfg(unix)]
fn is_same(there: &Metadata, own: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (there.dev(), there.ino()) == (own.dev(), own.ino())
}

/// Elsewhere a file that is open can neither be moved nor removed.
#[cfg(not(unix))]
fn is_same(_: &Metadata, _: &Metadata) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;

    use super::*;

    /// A folder for one test.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("gwlb-{}-{name}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn file(&self) -> PathBuf {
            self.0.join("eve.json")
        }

        fn read(&self, name: &str) -> String {
            fs::read_to_string(self.0.join(name)).unwrap()
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(&self.0).unwrap();
            let names = entries.map(|it| it.unwrap().file_name().into_string().unwrap());
            let mut names: Vec<_> = names.collect();
            names.sort();
            names
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn no_file_is_longer_than_it_may_be() {
        let folder = Folder::new("size");
        fs::write(folder.file(), "old\n").unwrap();
        let rotation = Rotation { bytes: Some(20), keep: 3, ..Rotation::default() };
        let mut sink = FileSink::open(folder.file(), rotation).unwrap();
        let mut all = String::from("old\n");
        for number in 0..9 {
            let lines = format!("line {number}\nmore {number}\n");
            sink.take(lines.as_bytes()).unwrap();
            all += &lines;
        }
        sink.take(b"a line that is longer than a file may be\n").unwrap();
        all += "a line that is longer than a file may be\n";
        assert_eq!(folder.names(), ["eve.json", "eve.json.1", "eve.json.2", "eve.json.3"]);
        let names = ["eve.json.3", "eve.json.2", "eve.json.1", "eve.json"];
        let kept: String = names.map(|name| folder.read(name)).concat();
        assert!(all.ends_with(&kept), "{kept}");
        for name in &names[..3] {
            let text = folder.read(name);
            assert!(text.len() <= 20 && text.len() > 7 && text.ends_with('\n'), "{name}: {text}");
        }
    }

    #[test]
    fn one_is_put_aside_when_its_time_is_over() {
        let folder = Folder::new("age");
        let age = Duration::from_secs(60);
        let rotation = Rotation { age: Some(age), keep: 2, ..Rotation::default() };
        let mut sink = FileSink::open(folder.file(), rotation).unwrap();
        let began = SystemTime::now();
        sink.take_at(b"1\n", began).unwrap();
        sink.take_at(b"2\n", began + Duration::from_secs(30)).unwrap();
        assert_eq!(folder.names(), ["eve.json"]);
        sink.take_at(b"3\n", began + Duration::from_secs(61)).unwrap();
        assert_eq!(folder.names(), ["eve.json", "eve.json.1"]);
        assert_eq!(
            (folder.read("eve.json.1"), folder.read("eve.json")),
            ("1\n2\n".into(), "3\n".into())
        );
    }

    #[test]
    fn without_any_kept_it_begins_anew() {
        let folder = Folder::new("none");
        let rotation = Rotation { bytes: Some(4), keep: 0, ..Rotation::default() };
        let mut sink = FileSink::open(folder.file(), rotation).unwrap();
        sink.take(b"1\n2\n3\n").unwrap();
        assert_eq!(
            (folder.names(), folder.read("eve.json")),
            (["eve.json".into()].into(), "3\n".into())
        );
    }

    #[test]
    fn moved_and_removed_it_is_made_anew() {
        let folder = Folder::new("moved");
        let mut sink = FileSink::open(folder.file(), Rotation::default()).unwrap();
        sink.take(b"1\n").unwrap();
        fs::rename(folder.file(), folder.0.join("moved")).unwrap();
        sink.take(b"2\n").unwrap();
        assert_eq!((folder.read("moved"), folder.read("eve.json")), ("1\n".into(), "2\n".into()));
        fs::remove_dir_all(&folder.0).unwrap();
        let loss = sink.take(b"3\n4\n").unwrap_err();
        assert_eq!((loss.records, loss.error.kind()), (2, io::ErrorKind::NotFound));
        assert!(!loss.is_final);
        fs::create_dir_all(&folder.0).unwrap();
        sink.take(b"5\n").unwrap();
        sink.reopen();
        sink.take(b"6\n").unwrap();
        assert_eq!(folder.read("eve.json"), "5\n6\n");
    }

    /// What stands in the way of putting a file aside costs no record.
    #[test]
    fn without_a_place_to_put_it_it_goes_on() {
        let folder = Folder::new("place");
        fs::create_dir_all(folder.0.join("eve.json.1/full")).unwrap();
        let rotation = Rotation { bytes: Some(4), keep: 1, ..Rotation::default() };
        let mut sink = FileSink::open(folder.file(), rotation).unwrap();
        let loss = sink.take(b"1\n2\n3\n4\n").unwrap_err();
        assert_eq!((loss.records, loss.is_final), (0, false));
        assert_eq!(folder.read("eve.json"), "1\n2\n3\n4\n");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_device_costs_what_it_does_not_take() {
        let mut sink = FileSink::open("/dev/full", Rotation::default()).unwrap();
        let loss = sink.take(b"1\n2\n").unwrap_err();
        assert_eq!((loss.records, loss.error.kind()), (2, io::ErrorKind::StorageFull));
        assert!(loss.error.to_string().contains("space"), "{}", loss.error);
    }
}
