//! Several processes: locks, forks, and kill -9. The others are this test binary, run again for [`child`] alone.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use super::*;

const JOB: &str = "QUESTFRAME_SPOOL_TEST_JOB";
const FOLDER: &str = "QUESTFRAME_SPOOL_TEST_FOLDER";

/// What other processes do. As a test of its own it does nothing.
#[test]
fn child() {
    let (Ok(job), Some(folder)) = (std::env::var(JOB), std::env::var_os(FOLDER)) else { return };
    let folder = Path::new(&folder);
    let (job, number) = job.split_once(' ').expect("a job and a number");
    let number = number.parse().expect("a number");
    match job {
        "hold" => {
            let _spool = Spool::open(folder, ROOM).expect("nobody has it");
            say("held");
            thread::sleep(Duration::from_secs(number));
        }
        "try" => say(&Spool::open(folder, ROOM).map_or_else(|error| error.to_string(), |_| "opened".to_owned())),
        "append" => append_and_deliver(folder, number),
        "fill" => fill(folder, number),
        _ => panic!("{job}"),
    }
}

/// A line that `heard` finds among those of the test harness.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\nsaid {text}").and_then(|()| out.flush()).expect("the parent listens");
}

fn spawn(mut command: Command, job: &str, folder: &Path) -> (Child, BufReader<ChildStdout>) {
    command.env(JOB, job).env(FOLDER, folder).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("this binary runs");
    let out = BufReader::new(child.stdout.take().expect("piped"));
    (child, out)
}

fn this_binary() -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this binary"));
    command.args(["--exact", "spool::tests::process::child", "--nocapture", "--test-threads=1"]);
    command
}

/// The next line that the child has said whole. One that was cut short by its end was not said.
fn heard(out: &mut impl BufRead) -> Option<String> {
    loop {
        let mut line = String::new();
        if out.read_line(&mut line).expect("text") == 0 {
            return None;
        }
        if let Some(said) = line.strip_prefix("said ").and_then(|line| line.strip_suffix('\n')) {
            return Some(said.to_owned());
        }
    }
}

fn try_open(folder: &Path) -> String {
    let (mut child, mut out) = spawn(this_binary(), "try 0", folder);
    let said = heard(&mut out).expect("one line");
    child.wait().expect("it ends");
    said
}

#[test]
fn two_processes_are_refused_a_folder() {
    let temp = Temp::new("locked");
    let (mut holder, mut out) = spawn(this_binary(), "hold 60", &temp.spool());
    assert_eq!(heard(&mut out).as_deref(), Some("held"));
    let error = Spool::open(&temp.spool(), ROOM).expect_err("another has it");
    assert_eq!(error, SpoolError::Locked { folder: temp.spool(), holder: Some(holder.id()) });
    let pid = holder.id().to_string();
    assert_says(&error, &[&temp.spool().display().to_string(), &pid, "give each process a folder of its own"]);
    holder.kill().expect("it runs");
    holder.wait().expect("it ends");

    // A lock ends with its process, however that ended; and ours lasts until the last of ours is dropped.
    let spool = temp.open();
    let append = spool.begin();
    drop(spool);
    assert!(try_open(&temp.spool()).contains(&format!("in use by process {}", std::process::id())));
    drop(append);
    assert_eq!(try_open(&temp.spool()), "opened");
}

#[test]
fn a_closed_folder_can_be_had_while_programs_are_started() {
    let temp = Temp::new("starting");
    thread::scope(|scope| {
        // Each is for a moment a child that has all our files open.
        let starter = scope.spawn(|| {
            for _ in 0..50 {
                this_binary().arg("--list").stdout(Stdio::null()).status().expect("this binary runs");
            }
        });
        while !starter.is_finished() {
            drop(temp.open());
        }
    });
}

#[test]
fn a_forked_child_has_no_use_of_its_parents_spool() {
    let temp = Temp::new("forked");
    let spool = temp.open();
    append(&spool, "t", &[b"0"]);
    let [id] = ids(&spool)[..] else { panic!("one waits") };
    let mut inherited = spool.begin();
    inherited.add(header("t", 1), b"1").expect("room");
    let before = temp.files();
    // What the memory of a child would be: the same, but for the process.
    let state = std::mem::take(&mut *spool.state());
    let (folder, slot, pid) = (spool.folder.clone(), Arc::clone(&spool.slot), std::process::id() ^ 1);
    inherited.spool = Arc::new(Spool { folder, pid, slot, order: 1.into(), state: state.into(), turn: ().into() });
    let child = Arc::clone(&inherited.spool);
    let forked = SpoolError::Forked { folder: temp.spool() };
    assert_eq!(inherited.add(header("t", 1), b"2"), Err(forked.clone()));
    assert_eq!(inherited.commit(), Err(forked.clone()));
    assert_eq!(child.read(id), Err(forked.clone()));
    assert_eq!(child.remove(id), Err(forked.clone()));
    assert_eq!(child.reject(id, "no"), Err(forked));
    assert!(child.waiting().is_empty() && !child.has_waiting("t") && child.bytes() == 0);
    drop(child);
    assert_eq!(temp.files(), before, "the parent's append goes on");
    assert!(try_open(&temp.spool()).contains("in use"), "the parent's lock holds");
}

/// A generator of numbers that look random (Knuth's MMIX): the same for a seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// The body of a segment of the crash test, which tells whether all of it and of its append is there: the append's
/// name, the number of its segments, the segment's position, and filling that follows from these.
fn crash_body(append: u64, segments: u64, index: u64) -> Vec<u8> {
    let mut body: Vec<u8> = [append, segments, index].into_iter().flat_map(u64::to_le_bytes).collect();
    let mut random = Random(append << 8 | index);
    let len = random.below(20_000);
    body.extend((0..len).map(|_| random.below(256) as u8));
    body
}

/// The append, its number of segments and the position that a body says, after all of it was found right.
fn check_crash_body(body: &[u8]) -> [u64; 3] {
    let said = [0, 8, 16].map(|at| u64::from_le_bytes(body[at..at + 8].try_into().expect("eight bytes")));
    assert_eq!(body, crash_body(said[0], said[1], said[2]), "torn");
    said
}

/// Says what it has been told is stored, and what it is about to remove, until it is killed.
fn append_and_deliver(folder: &Path, first: u64) {
    let spool = Spool::open(folder, ROOM).expect("a sound folder");
    let mut random = Random(first);
    for append in first.. {
        let segments = 1 + random.below(4);
        let mut accepted = spool.begin();
        for index in 0..segments {
            accepted.add(header("t", 1), &crash_body(append, segments, index)).expect("room");
        }
        if random.below(8) == 0 {
            continue;
        }
        accepted.commit().expect("a sound disk");
        say(&format!("stored {append} {segments}"));
        for id in ids(&spool).into_iter().take(random.below(6) as usize) {
            let [append, _, index] = check_crash_body(&spool.read(id).expect("sound").1);
            say(&format!("leaves {append} {index}"));
            if random.below(4) == 0 {
                spool.reject(id, "refused").expect("it waits");
            } else {
                spool.remove(id).expect("it waits");
            }
        }
    }
}

/// What the parent knows of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Accepted: it must be there.
    Waits,
    /// It was about to be removed or rejected when the child was killed.
    Leaves,
    Gone,
}

#[test]
fn kill_9_loses_nothing_and_tears_nothing() {
    let temp = Temp::new("killed");
    let mut random = Random(20_260_509);
    let mut fates: BTreeMap<(u64, u64), Fate> = BTreeMap::new();
    let mut stored = 0;
    for round in 0..12 {
        let first = round * 1_000_000;
        let (mut child, mut out) = spawn(this_binary(), &format!("append {first}"), &temp.spool());
        let mut lines: Vec<String> = heard(&mut out).into_iter().collect();
        assert!(!lines.is_empty(), "it began");
        thread::sleep(Duration::from_micros(random.below(60_000)));
        child.kill().expect("it runs");
        child.wait().expect("it ends");
        lines.extend(std::iter::from_fn(|| heard(&mut out)));
        for (at, line) in lines.iter().enumerate() {
            let words: Vec<_> = line.split(' ').collect();
            let [append, number] = [words[1], words[2]].map(|word| word.parse().expect("a number"));
            if words[0] == "stored" {
                stored += 1;
                fates.extend((0..number).map(|index| ((append, index), Fate::Waits)));
            } else {
                // What was announced before the last line has been done.
                let is_last = at + 1 == lines.len();
                fates.insert((append, number), if is_last { Fate::Leaves } else { Fate::Gone });
            }
        }

        let spool = temp.open();
        assert!(temp.files().iter().all(|file| !file.contains(".tmp")), "{:?}", temp.files());
        let found: Vec<_> = bodies(&spool).iter().map(|body| check_crash_body(body)).collect();
        assert!(found.is_sorted_by_key(|&[append, _, index]| (append, index)), "{found:?}");
        for &[append, segments, _] in &found {
            // An append whose answer was not heard may be there, but then all of it is.
            for index in 0..segments {
                fates.entry((append, index)).or_insert(Fate::Waits);
            }
        }
        let there: BTreeSet<_> = found.iter().map(|&[append, _, index]| (append, index)).collect();
        for (segment, fate) in &mut fates {
            let is_there = there.contains(segment);
            match fate {
                Fate::Waits => assert!(is_there, "round {round} lost {segment:?} and has {there:?}"),
                Fate::Gone => assert!(!is_there, "round {round} brought back {segment:?}"),
                Fate::Leaves if is_there => *fate = Fate::Waits,
                Fate::Leaves => *fate = Fate::Gone,
            }
        }
    }
    assert!(stored > 12, "only {stored} appends in all rounds");
}

/// Appends more than a limit on the size of files lets through, then less.
fn fill(folder: &Path, limit: u64) {
    let spool = Spool::open(folder, ROOM).expect("a sound folder");
    let mut refused = spool.begin();
    refused.add(header("t", 1), b"fits").expect("room");
    let error = refused.add(header("t", 1), &vec![0; limit as usize]).expect_err("too large a file");
    say(&error.to_string());
    assert_eq!(refused.commit(), Err(error));
    append(&spool, "t", &[b"fits"]);
    say(&format!("{} {}", ids(&spool).len(), spool.state().reserved));
}

/// The nearest to a full disk that needs no disk: writes beyond a file size fail in their midst.
#[cfg(unix)]
#[test]
fn a_write_that_fails_halfway_leaves_nothing() {
    let temp = Temp::new("half-written");
    let mut shell = Command::new("sh");
    // In blocks of 512 bytes or, in other shells, 1024; the signal would end the process.
    shell.args(["-c", "trap '' XFSZ; ulimit -f 16; exec \"$@\"", "sh"]);
    let binary = this_binary();
    shell.arg(binary.get_program()).args(binary.get_args());
    let (mut child, mut out) = spawn(shell, "fill 100000", &temp.spool());
    let error = heard(&mut out).expect("an error");
    assert!(error.contains("cannot write") && error.contains("000001.seg"), "{error}");
    assert_eq!(heard(&mut out).as_deref(), Some("1 0"));
    assert!(child.wait().expect("it ends").success());
    assert_eq!(temp.files(), ["00000000000000000001", "00000000000000000001/000000.seg"]);
    assert_eq!(bodies(&temp.open()), [b"fits"]);
}
