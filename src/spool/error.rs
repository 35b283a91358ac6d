//! How keeping requests on disk can fail.

use std::io;
use std::path::{Path, PathBuf};

use super::SegmentId;

/// Something wrong with a spool. Each text names the folder or the file, and the cure.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SpoolError {
    /// Another process has the folder.
    #[error(
        "the spool folder {folder:?} is in use by {}, and two processes would send each other's rows; give each process \
         a folder of its own",
        holder.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid} or one forked from it"))
    )]
    Locked {
        folder: PathBuf,
        /// The process that took the lock, if the lock file says it.
        holder: Option<u32>,
    },
    /// The spool was opened before a fork.
    #[error("the spool {folder:?} was opened in another process, before a fork; make a client in this process")]
    Forked { folder: PathBuf },
    /// No room under the limit.
    #[error(
        "the spool {folder:?} is full: {bytes} more bytes beside {taken} would be more than the {max_bytes} it may have; \
         bring the server back so that what waits is sent, or raise spool_max_bytes in the configuration string"
    )]
    Full {
        folder: PathBuf,
        /// The size of the segment that was one too many.
        bytes: u64,
        /// What waits, and what is being written.
        taken: u64,
        max_bytes: u64,
    },
    /// A segment that is not as it was written.
    #[error(
        "the segment {path:?} is corrupt: {reason}; it cannot be sent. Was it changed, or is the disk failing? Write its \
         rows again from their source"
    )]
    Corrupt { path: PathBuf, reason: String },
    /// Segments that somebody has taken away.
    #[error(
        "{segments} segments with {rows} rows that waited in the spool {folder:?} are not there any more; they are forgotten \
         now. Who has removed them? Write their rows again from their source if they are wanted"
    )]
    Removed { folder: PathBuf, segments: usize, rows: u64 },
    /// No folder of this name, where one was to be.
    #[error("there is no spool folder {folder:?}, so nothing waits there; is that the one that writes name?")]
    NoFolder { folder: PathBuf },
    /// A segment that was removed or rejected before.
    #[error("the segment {id} does not wait in the spool {folder:?}; it has been delivered, rejected or removed")]
    NotWaiting { folder: PathBuf, id: SegmentId },
    /// The file system failed.
    #[error("cannot {action} {path:?}: {reason}; is the disk there, has it room, and may this user write to it?")]
    Io { action: &'static str, path: PathBuf, reason: String },
}

impl SpoolError {
    /// Tells what was done to which path when the system failed.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Io { action, path: path.to_owned(), reason: error.to_string() }
    }
}
