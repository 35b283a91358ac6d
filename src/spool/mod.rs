//! Store-and-forward: encoded requests that wait on disk until the server has taken them.
//!
//! What makes it hard is that the process may be killed, and the machine lose its power, between any two system calls.
//! What counts as accepted must be there afterwards, what does not must be gone, and nothing may be sent that is half of
//! something. There is no ledger beside the data that could disagree with it: the names in the folder are the ledger,
//! and each change of state is one rename or one unlink.
//!
//! ```text
//! lock                                        held by the one process that uses the folder
//! append-7.tmp/000000.seg                     an append in progress; removed when the folder is opened
//! 00000000000000000042/000000.seg             segments of the append number 42, waiting
//! 00000000000000000042/000001.seg
//! rejected/00000000000000000041-000003.seg    a segment that will never be taken, and why
//! rejected/00000000000000000041-000003.reason.txt
//! ```
//!
//! Requests that are accepted together are written into a folder of their own, each synced, then the folder, and one
//! rename of it accepts all of them or none. Numbers are given at that rename, so that their order is the order of
//! commits. The folder with the highest number stays when its last segment has left: it is the mark that keeps numbers
//! from being given twice, and costs no file that would have to be kept in step.

mod append;
mod error;
mod folder;
mod lock;
mod recover;
mod segment;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use crate::plan::folded;
use lock::Slot;

pub(crate) use append::Append;
pub(crate) use error::SpoolError;
pub(crate) use segment::{Header, MadeColumn, MadeFor, Making};

/// A segment's place in the order of commits, the same for as long as the segment exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SegmentId {
    /// The number of the append, from 1.
    append: u64,
    /// The position within the append, from 0.
    index: u64,
}

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", folder::append_name(self.append), folder::index_name(self.index))
    }
}

/// A segment that waits to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) id: SegmentId,
    /// The size of its file.
    pub(crate) bytes: u64,
    /// What is in it, or how it is corrupt. Whoever replays rejects corrupt ones first, since nothing can tell which
    /// table should queue behind them.
    pub(crate) header: Result<Arc<Header>, SpoolError>,
}

/// One folder of segments, held by this process. [`Spool::open`] gives it.
#[derive(Debug)]
pub(crate) struct Spool {
    /// Canonical.
    folder: PathBuf,
    /// A forked child has this memory too, but the lock is its parent's.
    pid: u32,
    slot: Arc<Slot>,
    /// The number of the last append that tried to commit. Held from before its rename until it is synced: what is seen
    /// to wait is on disk, in the order of the numbers. Taken before `state`.
    order: Mutex<u64>,
    /// Never held while the disk is waited for.
    state: Mutex<State>,
    /// Held by whoever sends what waits.
    turn: Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    max_bytes: u64,
    waiting: BTreeMap<SegmentId, Entry>,
    waiting_bytes: u64,
    /// Bytes of appends in progress.
    reserved: u64,
    /// How many appends have been given a temporary folder.
    begun: u64,
    /// The highest number on disk, whose folder is not removed.
    newest: u64,
}

#[derive(Debug)]
struct Entry {
    bytes: u64,
    /// As names are compared; none if the header could not be read.
    table: Option<String>,
    header: Result<Arc<Header>, SpoolError>,
}

impl Entry {
    fn new(bytes: u64, header: Result<Arc<Header>, SpoolError>) -> Self {
        Self { bytes, table: header.as_ref().ok().map(|header| folded(&header.table).into_owned()), header }
    }
}

impl State {
    /// Forgets a segment whose file is gone; tells whether that was the last one in a folder that has no other use.
    fn forget(&mut self, id: SegmentId) -> bool {
        if let Some(entry) = self.waiting.remove(&id) {
            self.waiting_bytes -= entry.bytes;
        }
        self.is_spent(id.append)
    }

    /// Whether no segment of an append waits, and its folder is not the mark of the highest number.
    fn is_spent(&self, append: u64) -> bool {
        let all = SegmentId { append, index: 0 }..=SegmentId { append, index: u64::MAX };
        append != self.newest && self.waiting.range(all).next().is_none()
    }
}

impl Spool {
    /// Opens a folder, which is made if it is missing, and removes what torn appends have left there.
    ///
    /// Within a process all who open one folder share it, with the highest limit that any of them has given. Another
    /// process is refused with [`SpoolError::Locked`] for as long as one of them has it.
    pub(crate) fn open(folder: &Path, max_bytes: u64) -> Result<Arc<Self>, SpoolError> {
        let folder = folder::prepare(folder)?;
        let slot = Slot::of(&folder);
        let mut held = slot.held();
        if let Some(spool) = held.spool() {
            let mut state = spool.state();
            state.max_bytes = state.max_bytes.max(max_bytes);
            drop(state);
            return Ok(spool);
        }
        let lock = held.lock(&folder)?;
        let found = recover::recover(&folder)?;
        let spool = Arc::new(Self {
            pid: std::process::id(),
            slot: Arc::clone(&slot),
            order: Mutex::new(found.highest),
            state: Mutex::new(State {
                max_bytes,
                waiting_bytes: found.waiting.values().map(|entry| entry.bytes).sum(),
                waiting: found.waiting,
                reserved: 0,
                begun: 0,
                newest: found.highest,
            }),
            turn: Mutex::new(()),
            folder,
        });
        held.set(&spool, lock);
        Ok(spool)
    }

    /// The turn to send what waits, if nobody else has it.
    pub(crate) fn try_turn(&self) -> Option<MutexGuard<'_, ()>> {
        match self.turn.try_lock() {
            Ok(turn) => Some(turn),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Starts an append: requests that are accepted together.
    pub(crate) fn begin(self: &Arc<Self>) -> Append {
        Append::new(Arc::clone(self))
    }

    /// What waits, the oldest first. Nothing in a forked child, which has no business with it.
    pub(crate) fn waiting(&self) -> Vec<Waiting> {
        if self.check_process().is_err() {
            return Vec::new();
        }
        let state = self.state();
        let waiting = state.waiting.iter();
        waiting.map(|(&id, entry)| Waiting { id, bytes: entry.bytes, header: entry.header.clone() }).collect()
    }

    /// Whether a segment of this table waits, behind which its new rows have to queue.
    pub(crate) fn has_waiting(&self, table: &str) -> bool {
        let table = folded(table);
        self.check_process().is_ok()
            && self.state().waiting.values().any(|entry| entry.table.as_deref() == Some(&*table))
    }

    /// The size of all segments that wait.
    pub(crate) fn bytes(&self) -> u64 {
        if self.check_process().is_ok() { self.state().waiting_bytes } else { 0 }
    }

    /// A segment's request, after its checksum was found right. Memory is taken for one that has the right size only.
    pub(crate) fn read(&self, id: SegmentId) -> Result<(Header, Vec<u8>), SpoolError> {
        self.check_waiting(id)?;
        let path = self.path(id);
        segment::read(&path)
            .map_err(|error| if is_gone(&path) && self.folder.is_dir() { self.forget_removed() } else { error })
    }

    /// Forgets the segments that somebody has removed, which would hold up all others for good, and tells of them.
    fn forget_removed(&self) -> SpoolError {
        let gone: Vec<_> = self.waiting().into_iter().filter(|waiting| is_gone(&self.path(waiting.id))).collect();
        let rows = gone.iter().filter_map(|gone| gone.header.as_ref().ok().map(|header| header.rows)).sum();
        for gone in &gone {
            let _ = self.left(gone.id);
        }
        SpoolError::Removed { folder: self.folder.clone(), segments: gone.len(), rows }
    }

    /// Removes a segment that the server has taken.
    ///
    /// After an error of [`Io`](SpoolError::Io) the segment may be there again when the folder is opened the next time.
    pub(crate) fn remove(&self, id: SegmentId) -> Result<(), SpoolError> {
        self.check_waiting(id)?;
        let path = self.path(id);
        match fs::remove_file(&path) {
            // Removed by hand: what was asked for, too.
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(SpoolError::io("remove", &path)(error)),
            _ => self.left(id),
        }
    }

    /// Moves a segment that will never be taken to where it blocks nothing, beside a text that says why; returns its
    /// new path.
    pub(crate) fn reject(&self, id: SegmentId, reason: &str) -> Result<PathBuf, SpoolError> {
        self.check_waiting(id)?;
        let rejected = self.folder.join(folder::REJECTED);
        if !rejected.is_dir() {
            folder::create(&rejected)?;
        }
        // Also if it was there: a process may have made it and been killed before this.
        folder::sync(&self.folder)?;
        let [target, text] = folder::rejected_paths(&self.folder, id);
        // The reason first: one without its segment is removed at the next opening, one that is missing stays so.
        let _ = fs::remove_file(&text);
        let mut file = folder::create_file(&text)?;
        let written = file.write_all(reason.as_bytes()).and_then(|()| file.write_all(b"\n"));
        written.and_then(|()| file.sync_all()).map_err(SpoolError::io("write", &text))?;
        folder::rename(&self.path(id), &target)?;
        // Its new place before its old one: rather there twice than nowhere.
        let arrived = folder::sync(&rejected);
        self.left(id)?;
        arrived.map(|()| target)
    }

    /// Makes durable that a segment's file has left its folder, and forgets it.
    fn left(&self, id: SegmentId) -> Result<(), SpoolError> {
        let folder = self.append_folder(id.append);
        // First: as long as the segment is remembered nobody else removes the folder.
        let synced = folder::sync(&folder);
        if self.state().forget(id) {
            folder::remove_empty(&folder);
        }
        synced
    }

    fn append_folder(&self, append: u64) -> PathBuf {
        self.folder.join(folder::append_name(append))
    }

    fn path(&self, id: SegmentId) -> PathBuf {
        folder::segment_path(&self.append_folder(id.append), id.index)
    }

    fn check_waiting(&self, id: SegmentId) -> Result<(), SpoolError> {
        self.check_process()?;
        if self.state().waiting.contains_key(&id) {
            Ok(())
        } else {
            Err(SpoolError::NotWaiting { folder: self.folder.clone(), id })
        }
    }

    /// Before any lock is taken: in a forked child one may be held by a thread that it does not have.
    fn check_process(&self) -> Result<(), SpoolError> {
        if self.pid == std::process::id() { Ok(()) } else { Err(SpoolError::Forked { folder: self.folder.clone() }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while the lock is held, so a poisoned state is still a sound one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether there is no such file, for certain.
fn is_gone(path: &Path) -> bool {
    path.try_exists().is_ok_and(|there| !there)
}

impl Drop for Spool {
    fn drop(&mut self) {
        if self.check_process().is_ok() {
            self.slot.release();
        }
    }
}
