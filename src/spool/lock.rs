//! One user of a folder: among processes by a lock on a file, within this process by a table of who is open.
//!
//! The file's lock cannot do both, since it belongs to the open file: a second opening within the process would be
//! refused like a stranger's, also while the first is being closed by another thread.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::{Spool, SpoolError, folder};

/// By process, because a forked child inherits the table and may use nothing of it.
static SLOTS: Mutex<BTreeMap<(u32, PathBuf), Arc<Slot>>> = Mutex::new(BTreeMap::new());

/// The file that is locked. Never removed: whoever locked a removed one would be alone with it.
const NAME: &str = "lock";

/// A folder's place in the table.
#[derive(Debug, Default)]
pub(super) struct Slot(Mutex<Held>);

/// Who has the folder, if somebody has.
#[derive(Debug, Default)]
pub(super) struct Held {
    spool: Weak<Spool>,
    lock: Option<Lock>,
}

/// The lock on a folder, for as long as it lives.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
    pid: u32,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: while another thread starts a program, there is a child that has the file open, too.
        // In such a child, on the other hand, closing is all that may be done.
        if self.pid == std::process::id() {
            let _ = self.file.unlock();
        }
    }
}

impl Slot {
    /// The place of a folder, named by its canonical path.
    pub(super) fn of(folder: &Path) -> Arc<Self> {
        let pid = std::process::id();
        // Held for no longer than this, so that a fork by another thread hardly ever leaves the child a locked one.
        let mut slots = SLOTS.lock().unwrap_or_else(PoisonError::into_inner);
        // A child closes what it has of its parent's locks. That unlocks nothing while the parent has them open, and
        // if the parent has ended, as those of daemons do, the child would else be refused because of itself.
        slots.retain(|(owner, _), slot| {
            if *owner != pid
                && let Ok(mut held) = slot.0.try_lock()
            {
                held.lock = None;
            }
            *owner == pid
        });
        Arc::clone(slots.entry((pid, folder.to_owned())).or_default())
    }

    /// Waits while another thread opens or closes the folder.
    pub(super) fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the folder up, unless it was opened again since the last one who had it was dropped.
    pub(super) fn release(&self) {
        let mut held = self.held();
        if held.spool.strong_count() == 0 {
            held.lock = None;
        }
    }
}

impl Held {
    /// The folder as it is open already.
    pub(super) fn spool(&self) -> Option<Arc<Spool>> {
        self.spool.upgrade()
    }

    /// The lock on the folder, taken over from one who is just being dropped.
    pub(super) fn lock(&mut self, folder: &Path) -> Result<Lock, SpoolError> {
        self.lock.take().map_or_else(|| acquire(folder), Ok)
    }

    /// Notes who has the folder.
    pub(super) fn set(&mut self, spool: &Arc<Spool>, lock: Lock) {
        *self = Self { spool: Arc::downgrade(spool), lock: Some(lock) };
    }
}

fn acquire(folder: &Path) -> Result<Lock, SpoolError> {
    let path = folder.join(NAME);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let mut file = folder::private(&mut options).open(&path).map_err(SpoolError::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => {
            // A help for others' errors. Nothing depends on it.
            let pid = std::process::id();
            let _ = file.set_len(0).and_then(|()| write!(file, "{pid}"));
            Ok(Lock { file, pid })
        }
        Err(TryLockError::WouldBlock) => {
            let mut digits = String::new();
            // Not readable under every system's locks, and not written yet in the first moment.
            let _ = file.take(10).read_to_string(&mut digits);
            Err(SpoolError::Locked { folder: folder.to_owned(), holder: digits.parse().ok() })
        }
        Err(TryLockError::Error(error)) => Err(SpoolError::io("lock", &path)(error)),
    }
}
