//! What a write did.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use arrow_array::RecordBatch;

use crate::options::ProtocolVersion;

/// How a column landed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnReport {
    /// Its name.
    pub name: String,
    /// Its QuestDB type, or empty if it was skipped.
    pub questdb_type: String,
    /// `symbol`, `field`, `designated timestamp` or `skipped`.
    pub role: &'static str,
    /// Values that were null.
    pub nulls: u64,
    /// Values that read back as NULL (booleans: false): nulls, NaN and infinities, and the least 64-bit integer.
    pub read_null: u64,
}

/// What a write did. All rows of the frame have been acknowledged when there is one, but for those in `rejected`; over
/// TCP, where nothing is acknowledged, they were handed over and the connection showed no sign of a failure.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WriteReport {
    /// The table.
    pub table: String,
    /// The column of the designated timestamp, if a column gave it.
    pub at: Option<String>,
    /// Rows stored.
    pub rows: u64,
    /// Rows left out because they held nothing (only with `empty_rows="skip"`).
    pub skipped_rows: u64,
    /// Bytes sent.
    pub bytes: u64,
    /// Requests sent.
    pub requests: u64,
    /// Requests sent again.
    pub retries: u64,
    /// Those among them that may have been stored before. A table with deduplication keys has their rows once; another,
    /// with [`retry_in_doubt`](crate::WriteOptions::retry_in_doubt), may have them twice.
    pub retries_in_doubt: u64,
    /// Time from the call to the last acknowledgement, the table's look-up and the check included.
    pub elapsed: Duration,
    /// The protocol version.
    pub protocol_version: ProtocolVersion,
    /// Whether the table was missing before.
    pub created: bool,
    /// How each column landed, in the frame's order.
    pub columns: Vec<ColumnReport>,
    /// The most requests that were in flight at once.
    pub in_flight: usize,
    /// Rows that no server took and that are safe on disk (`spool_dir`): they are sent by the next write that finds a
    /// server, or by [`Client::drain_spool`](crate::Client::drain_spool).
    pub rows_spooled: u64,
    /// What the caller should know: empty if all went as planned.
    pub notes: Vec<String>,
    /// The rows that the server refused and that were set aside ([`OnError::Quarantine`](crate::OnError)): the frame's
    /// columns, and behind them `rejected_row` (the row's number) and `rejected_reason`.
    pub rejected: Option<RecordBatch>,
}

/// What was sent from a spool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DrainReport {
    /// Segments that the server has taken.
    pub segments: u64,
    /// Their rows.
    pub rows: u64,
    /// Their bytes on disk.
    pub bytes: u64,
    /// Segments that will never be taken, where they are now; beside each a text with the reason.
    pub rejected: Vec<PathBuf>,
    /// Segments that wait on.
    pub segments_waiting: u64,
    /// Their bytes on disk.
    pub bytes_waiting: u64,
}

impl WriteReport {
    /// One of a write that did nothing: what bindings fill in that take reports from one process to another.
    #[doc(hidden)]
    pub fn empty(table: String, protocol_version: ProtocolVersion) -> Self {
        Self {
            table,
            at: None,
            rows: 0,
            skipped_rows: 0,
            bytes: 0,
            requests: 0,
            retries: 0,
            retries_in_doubt: 0,
            elapsed: Duration::ZERO,
            protocol_version,
            created: false,
            columns: Vec::new(),
            in_flight: 0,
            rows_spooled: 0,
            notes: Vec::new(),
            rejected: None,
        }
    }

    /// Rows a second, over the whole call.
    pub fn rows_per_second(&self) -> f64 {
        per_second(self.rows, self.elapsed)
    }

    /// Bytes a second, over the whole call.
    pub fn bytes_per_second(&self) -> f64 {
        per_second(self.bytes, self.elapsed)
    }
}

fn per_second(count: u64, elapsed: Duration) -> f64 {
    let seconds = elapsed.as_secs_f64();
    if seconds > 0.0 { count as f64 / seconds } else { 0.0 }
}

impl fmt::Display for WriteReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} rows into {:?} in {:.3} s: {:.2} M rows/s, {:.1} MB/s, {} request{}, protocol {}",
            self.rows,
            self.table,
            self.elapsed.as_secs_f64(),
            self.rows_per_second() / 1e6,
            self.bytes_per_second() / 1e6,
            self.requests,
            if self.requests == 1 { "" } else { "s" },
            self.protocol_version,
        )?;
        let refused = self.rejected.as_ref().map_or(0, |rejected| rejected.num_rows() as u64);
        for (rows, what) in [
            (self.skipped_rows, "held nothing and left out"),
            (refused, "refused by the server and set aside"),
            (self.rows_spooled, "waiting on disk"),
        ] {
            if rows > 0 {
                write!(f, "; {rows} row{} {what}", if rows == 1 { "" } else { "s" })?;
            }
        }
        Ok(())
    }
}
