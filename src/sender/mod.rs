//! The pipeline: frontend, plan, check, encode, buffer and transport joined. The only room that knows them all.
//!
//! The caller's thread reads, checks and encodes; requests fly beside it ([`flight`]), or over TCP
//! follow each other ([`stream`]), bounded by the pool.

mod account;
mod cut;
mod flight;
mod gather;
mod ilp;
mod lines;
mod quarantine;
mod resumable;
mod spooled;
mod stream;
mod write;

pub(crate) use account::{Account, Before};
pub(crate) use ilp::{excerpt, lines_of};
pub use ilp::{to_ilp, to_ilp_writer};
pub use lines::{Flush, FlushAt, FrameTables};
pub(crate) use quarantine::Rejections;
pub use resumable::Resumable;
pub(crate) use spooled::{Keeping, Kept};
pub(crate) use stream::{LAST_LOOK, SIGNATURE};
pub(crate) use write::{Halt, Job, Requests, Way, write};

/// How far a write has come, for progress bars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Rows acknowledged.
    pub rows: u64,
    /// Rows of the frame, where known from the start.
    pub total_rows: Option<u64>,
    /// Bytes acknowledged.
    pub bytes: u64,
}
