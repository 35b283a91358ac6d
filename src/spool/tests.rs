mod damage;
mod header;
mod process;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use super::{Header, SegmentId, Spool, SpoolError, Waiting};
use crate::options::ProtocolVersion;

const ROOM: u64 = 1 << 30;

/// A folder of temporary files that is removed again. The spool is a folder in it that does not exist at first.
struct Temp(PathBuf);

impl Temp {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("questframe-spool-{}-{name}", std::process::id()));
        fs::create_dir(&path).expect("a writable directory of temporary files");
        Self(path.canonicalize().expect("it exists"))
    }

    fn spool(&self) -> PathBuf {
        self.0.join("a/spool")
    }

    fn open(&self) -> Arc<Spool> {
        Spool::open(&self.spool(), ROOM).expect("a sound folder")
    }

    /// All paths in the spool but that of the lock, sorted.
    fn files(&self) -> Vec<String> {
        fn walk(folder: &Path, root: &Path, files: &mut Vec<String>) {
            for entry in fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                files.push(path.strip_prefix(root).expect("below it").display().to_string());
                if path.is_dir() {
                    walk(&path, root, files);
                }
            }
        }
        let mut files = Vec::new();
        walk(&self.spool(), &self.spool(), &mut files);
        files.retain(|file| file != "lock");
        files.sort_unstable();
        files
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn header(table: &str, rows: u64) -> Header {
    Header {
        table: table.to_owned(),
        protocol_version: ProtocolVersion::V2,
        rows,
        at: Some((i64::MIN, i64::MAX)),
        statements: vec!["CREATE TABLE \"täble\" (\n)".to_owned(), String::new()],
        repeatable: true,
        written_at_micros: u64::MAX,
        made_for: None,
    }
}

#[track_caller]
fn append(spool: &Arc<Spool>, table: &str, bodies: &[&[u8]]) {
    let mut append = spool.begin();
    for body in bodies {
        append.add(header(table, 1), body).expect("room");
    }
    assert_eq!(append.commit().expect("a sound disk"), bodies.len() as u64);
}

fn ids(spool: &Spool) -> Vec<SegmentId> {
    spool.waiting().iter().map(|waiting| waiting.id).collect()
}

fn total(waiting: &[Waiting]) -> u64 {
    waiting.iter().map(|waiting| waiting.bytes).sum()
}

#[track_caller]
fn bodies(spool: &Spool) -> Vec<Vec<u8>> {
    ids(spool).into_iter().map(|id| spool.read(id).expect("a sound segment").1).collect()
}

/// Asserts that the error's text holds all of these pieces.
#[track_caller]
fn assert_says(error: &SpoolError, pieces: &[&str]) {
    let text = error.to_string();
    for piece in pieces {
        assert!(text.contains(piece), "{text:?} does not say {piece:?}");
    }
}

#[test]
fn what_is_read_is_what_was_added() {
    let temp = Temp::new("round-trip");
    let spool = temp.open();
    let large = vec![7; 300_000];
    let headers = [
        header("Trades", 3),
        Header { at: None, protocol_version: ProtocolVersion::V1, repeatable: false, ..header("日本", 0) },
        Header { statements: vec![], protocol_version: ProtocolVersion::V3, at: Some((-1, 0)), ..header("\\\"", 40) },
    ];
    let added: [&[u8]; 3] = [b"", b"\0\xff\n", &large];
    let mut append = spool.begin();
    for (header, body) in headers.iter().zip(added) {
        append.add(header.clone(), body).expect("room");
    }
    assert!(ids(&spool).is_empty() && spool.bytes() == 0 && !spool.has_waiting("trades"), "not accepted yet");
    assert_eq!(append.commit(), Ok(43));
    drop(spool);

    let spool = temp.open();
    let waiting = spool.waiting();
    assert_eq!(waiting.len(), 3);
    for ((waiting, header), body) in waiting.iter().zip(&headers).zip(added) {
        assert_eq!(waiting.header.as_deref(), Ok(header));
        assert_eq!(spool.read(waiting.id), Ok((header.clone(), body.to_vec())));
        let path = spool.path(waiting.id);
        assert_eq!(fs::metadata(path).expect("its file").len(), waiting.bytes);
    }
    assert_eq!(spool.bytes(), total(&waiting));
    assert!(spool.has_waiting("tRADES") && spool.has_waiting("日本") && !spool.has_waiting("trade"));
    spool.remove(waiting[0].id).expect("it waits");
    assert!(!spool.has_waiting("trades"));
}

#[test]
fn order_is_that_of_commits_and_survives() {
    let temp = Temp::new("order");
    let spool = temp.open();
    let mut first_begun = spool.begin();
    first_begun.add(header("t", 1), b"2").expect("room");
    append(&spool, "t", &[b"0", b"1"]);
    first_begun.add(header("t", 1), b"3").expect("room");
    first_begun.commit().expect("a sound disk");
    drop(spool);
    let spool = temp.open();
    // Numbers that would come in another order as text.
    let many: Vec<_> = (4..20).map(|number: u8| number.to_string()).collect();
    append(&spool, "t", &many.iter().map(String::as_bytes).collect::<Vec<_>>());
    for round in 0..2 {
        let found: Vec<_> = bodies(&spool).into_iter().map(|body| String::from_utf8(body).expect("digits")).collect();
        assert_eq!(found, (0..20).map(|number: u8| number.to_string()).collect::<Vec<_>>(), "{round}");
        assert!(ids(&spool).is_sorted());
    }
    assert_eq!(ids(&spool)[1].to_string(), "00000000000000000001-000001");
}

#[test]
fn numbers_are_not_given_twice() {
    let temp = Temp::new("numbers");
    for number in 1..4 {
        let spool = temp.open();
        assert!(ids(&spool).is_empty());
        append(&spool, "t", &[b"x", b"y"]);
        for id in ids(&spool) {
            assert_eq!(id.append, number);
            spool.remove(id).expect("it waits");
        }
        // The mark, and nothing of those before.
        assert_eq!(temp.files(), [format!("{number:020}")]);
    }
    // Even if somebody tidies up, a rejected one is not overwritten.
    let spool = temp.open();
    append(&spool, "t", &[b"z"]);
    spool.reject(ids(&spool)[0], "no").expect("it waits");
    drop(spool);
    for folder in temp.files().iter().filter(|name| !name.starts_with("rejected")) {
        fs::remove_dir(temp.spool().join(folder)).expect("an empty folder");
    }
    let spool = temp.open();
    append(&spool, "t", &[b"z"]);
    assert_eq!(ids(&spool)[0].append, 5);
}

#[test]
fn appends_without_a_commit_leave_nothing() {
    let temp = Temp::new("dropped");
    let spool = temp.open();
    let mut dropped = spool.begin();
    dropped.add(header("t", 1), b"x").expect("room");
    assert_eq!(temp.files(), ["append-0.tmp", "append-0.tmp/000000.seg"]);
    drop(dropped);
    assert_eq!(spool.begin().commit(), Ok(0), "nothing was added");
    assert_eq!(temp.files(), [""; 0]);
    assert_eq!(spool.state().reserved, 0);
}

#[test]
fn what_came_before_an_error_may_be_accepted() {
    let temp = Temp::new("part");
    let spool = Spool::open(&temp.spool(), 600).expect("a sound folder");
    let mut full = spool.begin();
    full.add(header("t", 1), b"0").expect("room");
    full.add(header("t", 1), b"1").expect("room");
    full.add(header("t", 1), &[b'2'; 600]).expect_err("no room");
    full.add(header("t", 1), b"3").expect_err("it would be missing");
    assert_eq!(full.commit_part(), Ok(2));
    assert_eq!((bodies(&spool), spool.state().reserved), (vec![b"0".to_vec(), b"1".to_vec()], 0));
    let mut none = spool.begin();
    none.add(header("t", 1), &[b'2'; 600]).expect_err("no room");
    assert_eq!(none.commit_part(), Ok(0));
    assert_eq!(ids(&spool).len(), 2);
}

#[test]
fn full_is_an_error_that_leaves_nothing() {
    let temp = Temp::new("full");
    let size = {
        let spool = temp.open();
        append(&spool, "t", &[b"0123456789"]);
        spool.bytes()
    };
    let spool = Spool::open(&temp.spool(), 3 * size).expect("a sound folder");
    let before = temp.files();
    let mut other = spool.begin();
    other.add(header("t", 1), b"0123456789").expect("room for it");
    let mut full = spool.begin();
    full.add(header("t", 1), b"0123456789").expect("room for exactly it");
    let error = full.add(header("t", 1), b"").expect_err("appends in progress count");
    assert!(matches!(error, SpoolError::Full { taken, max_bytes, .. } if taken == max_bytes), "{error}");
    assert_says(&error, &[&temp.spool().display().to_string(), "is full", "raise spool_max_bytes"]);
    // What is half there is not to be had.
    assert_eq!(full.add(header("t", 1), b""), Err(error.clone()));
    assert_eq!(full.commit(), Err(error));
    drop(other);
    assert_eq!((temp.files(), spool.bytes(), spool.state().reserved), (before, size, 0));

    append(&spool, "t", &[b"0123456789", b"0123456789"]);
    spool.begin().add(header("t", 1), b"").expect_err("full of what waits");
    let [first, second, _] = ids(&spool)[..] else { panic!("three wait") };
    spool.remove(first).expect("it waits");
    append(&spool, "t", &[b"0123456789"]);
    // What was rejected does not count.
    spool.reject(second, "no").expect("it waits");
    append(&spool, "t", &[b"0123456789"]);
    assert_eq!(spool.bytes(), 3 * size);
    // Another one in this process who allows more has it.
    let again = Spool::open(&temp.spool(), 4 * size).expect("shared");
    append(&again, "t", &[b"0123456789"]);
    Spool::open(&temp.spool(), 1).expect("shared").begin().add(header("t", 1), b"").expect_err("full");
    assert_eq!(spool.bytes(), 4 * size);
}

#[test]
fn a_rejected_segment_goes_aside_with_its_reason() {
    let temp = Temp::new("rejected");
    let spool = temp.open();
    append(&spool, "a", &[b"0", b"1"]);
    append(&spool, "b", &[b"2"]);
    let [first, second, third] = ids(&spool)[..] else { panic!("three wait") };
    let file = fs::read(spool.path(second)).expect("its file");
    let target = spool.reject(second, "the server: no such type\nat 3").expect("it waits");
    assert_eq!(fs::read(&target).expect("moved"), file);
    assert_eq!(target, spool.folder.join("rejected/00000000000000000001-000001.seg"));
    let reason = target.with_extension("reason.txt");
    assert_eq!(fs::read_to_string(reason).expect("beside it"), "the server: no such type\nat 3\n");
    assert_eq!(bodies(&spool), [b"0", b"2"]);
    assert_eq!(spool.bytes(), total(&spool.waiting()));
    let error = spool.reject(second, "again").expect_err("gone");
    assert_eq!(error, SpoolError::NotWaiting { folder: temp.spool(), id: second });
    assert_eq!(spool.remove(second), Err(error.clone()));
    assert_eq!(spool.read(second), Err(error));
    spool.reject(first, "").expect("it waits");
    drop(spool);

    let spool = temp.open();
    assert_eq!((bodies(&spool), ids(&spool)), (vec![b"2".to_vec()], vec![third]));
    assert!(spool.has_waiting("B") && !spool.has_waiting("a"));
    assert_eq!(temp.files().iter().filter(|file| file.starts_with("rejected/")).count(), 4);
}

#[test]
fn a_process_shares_a_folder_with_itself() {
    let temp = Temp::new("shared");
    let spool = temp.open();
    let detour = temp.spool().join("../spool");
    assert!(Arc::ptr_eq(&spool, &Spool::open(&detour, 1).expect("the same")));
    drop(spool);
    // Opened and closed by several at once: nobody is refused because another is just closing.
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    append(&temp.open(), "t", &[b"x"]);
                }
            });
        }
    });
    let spool = temp.open();
    assert_eq!(bodies(&spool).len(), 200);
    assert_eq!(ids(&spool).last().map(|id| id.append), Some(200));
}

#[test]
fn threads_append_and_deliver_at_once() {
    let temp = Temp::new("threads");
    let spool = temp.open();
    thread::scope(|scope| {
        for table in ["a", "b"] {
            let spool = &spool;
            scope.spawn(move || (0..40_u8).for_each(|number| append(spool, table, &[&[number, 0], &[number, 1]])));
        }
        scope.spawn(|| {
            // What is seen to wait can be read, and each table's rows come in their order.
            let mut last = [const { None }; 2];
            let mut left = 160;
            while left > 0 {
                for waiting in spool.waiting() {
                    let (header, body) = spool.read(waiting.id).expect("it is there");
                    let last = &mut last[usize::from(header.table == "b")];
                    assert!(*last < Some(body.clone()), "{last:?} before {body:?}");
                    *last = Some(body);
                    spool.remove(waiting.id).expect("it waits");
                    left -= 1;
                }
            }
        });
    });
    assert_eq!((spool.bytes(), spool.state().reserved), (0, 0));
    assert_eq!(temp.files(), [format!("{:020}", 80)]);
}

#[test]
fn names_of_others_are_left_alone() {
    let temp = Temp::new("foreign");
    append(&temp.open(), "t", &[b"x"]);
    let foreign = ["append-.tmp", "append-01.tmp", "append-0.tmp.old", "17", "+0000000000000000017", "a.seg"];
    for name in foreign {
        fs::create_dir(temp.spool().join(name)).expect("made");
    }
    File::create(temp.spool().join("00000000000000000001/1.seg")).expect("made");
    let before = temp.files();
    let spool = temp.open();
    assert_eq!(bodies(&spool), [b"x"]);
    append(&spool, "t", &[b"y"]);
    for id in ids(&spool) {
        spool.remove(id).expect("it waits");
    }
    let after = temp.files();
    assert!(before.iter().all(|file| after.contains(file) || file.ends_with("000000.seg")), "{before:?} {after:?}");
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_look_into_it() {
    use std::os::unix::fs::PermissionsExt;

    let temp = Temp::new("private");
    let spool = temp.open();
    append(&spool, "t", &[b"x", b"y"]);
    spool.reject(ids(&spool)[0], "no").expect("it waits");
    for file in temp.files().iter().map(String::as_str).chain(["", "lock"]) {
        let path = temp.spool().join(file);
        let metadata = path.metadata().expect("it exists");
        let mode = if metadata.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(metadata.permissions().mode() & 0o777, mode, "{file:?}");
    }
}
