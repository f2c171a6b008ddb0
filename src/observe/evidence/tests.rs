use alloc::string::{String, ToString};
use alloc::vec;
use std::fs;
use std::path::Path;

use super::record::Record;
use super::*;
use crate::Timestamp;
use crate::capture::Reader;
use crate::gwlb::Outer;

/// A directory of a test's own, gone with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("evidence-{}-{test}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn settings(directory: &Path) -> EvidenceSettings {
    let least = EvidenceSettings::LEAST_FILE_SIZE;
    EvidenceSettings { file_size: least, files: 3, ..EvidenceSettings::new(directory) }
}

/// Packets of so many bytes, numbered by their time stamps.
fn records(numbers: core::ops::Range<u64>, len: usize) -> Vec<u8> {
    let outer = Outer::new(([10, 0, 0, 1].into(), 50_000), ([10, 0, 0, 2].into(), 6_081));
    let (headers, payload) = (outer.to_headers(len).unwrap(), vec![7; len]);
    let mut all = Vec::new();
    for number in numbers {
        let comment = if number % 2 == 0 { "even" } else { "" };
        Record::write(Timestamp::from_nanos(number), comment, [&headers, &payload], &mut all);
    }
    all
}

/// The files of a directory, in their order: name, bytes, and the numbers of the packets.
fn contents(directory: &Path) -> Vec<(String, u64, Vec<u64>)> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = entries.collect();
    paths.sort();
    let of = |path: PathBuf| {
        let mut reader = Reader::open(&path).unwrap();
        let mut numbers = Vec::new();
        while let Some(packet) = reader.next_packet() {
            let packet = packet.unwrap();
            assert!(Outer::parse(packet.network().unwrap().payload).is_ok());
            numbers.push(packet.timestamp.as_nanos());
        }
        let name = path.file_name().unwrap().to_str().unwrap().to_string();
        (name, fs::metadata(&path).unwrap().len(), numbers)
    };
    paths.into_iter().map(of).collect()
}

#[test]
fn the_newest_packets_are_kept_and_no_more_than_is_allowed() {
    let scratch = Scratch::new("rotation");
    let settings = settings(&scratch.0);
    make(&scratch.0);
    fs::write(scratch.0.join("notes.txt"), "nobody's business").unwrap();
    let counts = Counts::default();
    let mut files = Files::new(&settings, &counts);
    for batch in 0..20 {
        files.write(&records(batch * 50..batch * 50 + 50, 2_000));
    }
    drop(files);
    fs::remove_file(scratch.0.join("notes.txt")).unwrap();
    let found = contents(&scratch.0);
    assert_eq!(found.len(), 3);
    assert!(found.iter().all(|(_, len, _)| *len <= settings.file_size), "{found:?}");
    let numbers: Vec<_> = found.iter().flat_map(|(.., numbers)| numbers.clone()).collect();
    assert_eq!(numbers, (*numbers.first().unwrap()..1_000).collect::<Vec<_>>());
    assert!(numbers.len() > 250, "{}", numbers.len());
    assert_eq!(counts.written.load(Ordering::Relaxed), 1_000);
    let begun = counts.files.load(Ordering::Relaxed);
    assert_eq!(found.last().unwrap().0, format!("evidence-{begun:08}.pcapng"));

    // Another run goes on behind, and smaller files must make room for the larger ones that there are.
    let smaller = EvidenceSettings { files: 2, ..settings };
    let mut files = Files::new(&smaller, &counts);
    files.write(&records(1_000..1_001, 2_000));
    let found = contents(&scratch.0);
    assert_eq!(found.len(), 2);
    assert_eq!(found.last().unwrap().2, [1_000]);
    assert_eq!(found.last().unwrap().0, format!("evidence-{:08}.pcapng", begun + 1));
}

fn make(directory: &Path) {
    files::make(directory).unwrap();
}

#[test]
fn a_directory_that_is_gone_is_made_anew() {
    let scratch = Scratch::new("gone");
    let settings = settings(&scratch.0.join("below"));
    let counts = Counts::default();
    let mut files = Files::new(&settings, &counts);
    files.write(&records(0..3, 100));
    fs::remove_dir_all(&scratch.0).unwrap();
    files.write(&records(3..5, 100));
    let found = contents(&settings.directory);
    assert_eq!(found.iter().map(|(.., numbers)| &numbers[..]).collect::<Vec<_>>(), [&[3, 4]]);

    // Something stands in its place.
    fs::remove_dir_all(&scratch.0).unwrap();
    fs::write(&scratch.0, "in the way").unwrap();
    files.write(&records(5..7, 100));
    assert_eq!(counts.failed.load(Ordering::Relaxed), 2);
    fs::remove_file(&scratch.0).unwrap();
    files.write(&records(7..8, 100));
    assert_eq!(contents(&settings.directory)[0].2, [7]);
    assert_eq!(counts.written.load(Ordering::Relaxed), 6);
    assert_eq!(counts.failed.load(Ordering::Relaxed), 2);
}

#[test]
fn a_file_that_is_gone_is_not_written_any_more() {
    let scratch = Scratch::new("removed");
    let settings = settings(&scratch.0);
    let counts = Counts::default();
    let mut files = Files::new(&settings, &counts);
    files.write(&records(0..3, 100));
    // As a program does that moves logs away.
    fs::rename(scratch.0.join("evidence-00000001.pcapng"), scratch.0.join("old.pcapng")).unwrap();
    files.write(&records(3..5, 100));
    let found = contents(&scratch.0);
    let names: Vec<_> = found.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(names, ["evidence-00000001.pcapng", "old.pcapng"]);
    assert_eq!((&found[0].2[..], &found[1].2[..]), (&[3, 4][..], &[0, 1, 2][..]));
}

#[test]
fn what_is_not_ours_is_neither_written_nor_removed() {
    let scratch = Scratch::new("others");
    make(&scratch.0);
    for name in ["evidence-1.pcapng", "evidence-0000000x.pcapng", "evidence-.pcapng", "evidence"] {
        fs::write(scratch.0.join(name), "mine").unwrap();
    }
    let settings = EvidenceSettings { files: 1, ..settings(&scratch.0) };
    let counts = Counts::default();
    let mut files = Files::new(&settings, &counts);
    for batch in 0..4 {
        files.write(&records(batch * 100..batch * 100 + 100, 2_000));
    }
    assert_eq!(fs::read_dir(&scratch.0).unwrap().count(), 5);
    assert_eq!(fs::read(scratch.0.join("evidence-1.pcapng")).unwrap(), b"mine");
    assert!(counts.files.load(Ordering::Relaxed) > 1);
}

/// With more than a name's eight digits and after the highest number that there is.
#[test]
fn numbers_do_not_run_out_unnoticed() {
    let scratch = Scratch::new("numbers");
    make(&scratch.0);
    fs::write(scratch.0.join("evidence-99999999.pcapng"), "").unwrap();
    let settings = settings(&scratch.0);
    let counts = Counts::default();
    Files::new(&settings, &counts).write(&records(0..1, 100));
    assert!(scratch.0.join("evidence-100000000.pcapng").exists());
    let last = format!("evidence-{}.pcapng", u64::MAX);
    fs::write(scratch.0.join(last), "").unwrap();
    Files::new(&settings, &counts).write(&records(0..1, 100));
    assert_eq!(counts.failed.load(Ordering::Relaxed), 1);
}

#[test]
fn records_are_read_as_they_were_written() {
    let all = records(0..10, 300);
    let mut rest = &all[..];
    for number in 0..10 {
        let (record, behind) = Record::read(rest).unwrap();
        assert_eq!(record.time.as_nanos(), number);
        assert_eq!((record.comment.is_empty(), record.packet.len()), (number % 2 == 1, 328));
        rest = behind;
    }
    assert_eq!(Record::read(rest), None);
    assert!((1..344).all(|len| Record::read(&all[..len]).is_none()));
}
