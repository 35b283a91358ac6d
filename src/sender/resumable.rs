//! The rows of a write, which may have to be read more than once.
//!
//! Why it is hard: when a write moves to another server, the rows that are not stored yet have to be encoded again, and
//! rows that the server refuses are handed back to the caller. A frame is simply read again; of a stream the batches are
//! kept until their rows are settled, which the pool bounds: no more rows are on their way than its buffers hold.

use std::collections::VecDeque;

use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, SchemaRef};
use arrow_select::concat::concat_batches;

use crate::check;
use crate::error::Result;
use crate::frontend::{IntoSource, Source};
use crate::plan::Plan;

/// Rows that survive a failed write: of a stream what has been read of it and is not stored yet is kept, so that the
/// same stream can be gone on with.
///
/// Costs memory for the batches whose rows are on their way. A frame that can be read again needs none of this.
///
/// ```no_run
/// # use std::sync::Arc;
/// # use questframe::arrow::array::{ArrayRef, Int64Array, RecordBatch, RecordBatchIterator};
/// use questframe::{At, Client, Resumable, WriteOptions};
/// # let batch = RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef)])?;
/// # let reader = RecordBatchIterator::new([Ok(batch.clone())], batch.schema());
/// let client = Client::from_conf("http::addr=localhost:9000;")?;
/// let options = WriteOptions::table("trades").at(At::Server);
/// let mut rows = Resumable::new(reader);
/// if let Err(error) = client.write_resumable(&mut rows, &options) {
///     eprintln!("{error}; once more");
///     client.write_resumable(&mut rows, &options.resume(error.delivery().clone()))?;
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Resumable<'a> {
    source: Source<'a>,
    /// The first batch of a stream, if it has been looked at before its time.
    peeked: Option<Result<RecordBatch, ArrowError>>,
    /// Batches of a stream with the row each begins at, if they may be wanted again.
    kept: Option<VecDeque<(u64, RecordBatch)>>,
    /// Refused rows of batches that are not kept any longer.
    set_aside: Vec<(u64, RecordBatch)>,
    /// Rows taken out of a stream.
    taken: u64,
}

impl<'a> Resumable<'a> {
    /// Rows that may be gone on with.
    pub fn new<Via>(data: impl IntoSource<'a, Via>) -> Self {
        Self::keeping(data.into_source(), true)
    }

    /// `keeps`: whether rows may be wanted again.
    pub(crate) fn keeping(source: Source<'a>, keeps: bool) -> Self {
        let kept = (keeps && matches!(source, Source::Stream(_))).then(VecDeque::new);
        Self { source, peeked: None, kept, set_aside: Vec::new(), taken: 0 }
    }

    pub(crate) fn schema(&self) -> SchemaRef {
        self.source.schema()
    }

    /// The number of rows, if that is known beforehand.
    pub(crate) fn rows(&self) -> Option<u64> {
        self.source.rows()
    }

    pub(super) fn source(&self) -> &Source<'a> {
        &self.source
    }

    /// Whether rows have been taken out that cannot be read again, so that a write has to go on where another ended.
    pub(crate) fn is_begun(&self) -> bool {
        self.taken > 0
    }

    /// Rows that have been seen: all of a frame, of a stream those taken out.
    pub(crate) fn seen(&self) -> u64 {
        self.rows().unwrap_or(self.taken)
    }

    /// Looks at what is to be written before a table is made for it: checks a frame whole, or the first batch of a
    /// stream, and tells whether there are rows at all.
    ///
    /// # Errors
    /// Everything that is wrong with the values that were looked at.
    pub(crate) fn preview(&mut self, plan: &Plan) -> Result<bool> {
        match &mut self.source {
            Source::Frame(frame) => {
                check::frame(plan, &**frame)?;
                Ok(frame.rows() > 0)
            }
            // What has been read was looked at then.
            Source::Stream(_) if self.taken > 0 => Ok(true),
            Source::Stream(reader) => {
                if self.peeked.is_none() {
                    self.peeked = reader.next();
                }
                if let Some(Ok(batch)) = &self.peeked {
                    check::batch(plan, batch, 0)?;
                }
                // An unreadable first batch is told where all others are read.
                Ok(matches!(&self.peeked, Some(Ok(_))))
            }
        }
    }

    /// The batches of a stream that are kept, from this row on, with the row each begins at.
    pub(super) fn kept_from(&self, row: u64) -> Vec<(u64, RecordBatch)> {
        let kept = self.kept.iter().flatten();
        kept.filter(|(start, batch)| start + batch.num_rows() as u64 > row).cloned().collect()
    }

    /// The next batch of a stream, and the row it begins at. Lets go of batches that lie before `settled`, but for the
    /// rows that were `rejected`.
    pub(super) fn next(
        &mut self,
        settled: impl FnOnce() -> (u64, Vec<u64>),
    ) -> Option<Result<(u64, RecordBatch), ArrowError>> {
        let Source::Stream(reader) = &mut self.source else { return None };
        let batch = match self.peeked.take().or_else(|| reader.next())? {
            Ok(batch) => batch,
            Err(error) => return Some(Err(error)),
        };
        let start = self.taken;
        self.taken += batch.num_rows() as u64;
        if let Some(kept) = &mut self.kept {
            let (settled, rejected) = settled();
            while let Some((start, old)) = kept.front()
                && start + old.num_rows() as u64 <= settled
            {
                self.set_aside.extend(slices(*start, old, &rejected));
                kept.pop_front();
            }
            kept.push_back((start, batch.clone()));
        }
        Some(Ok((start, batch)))
    }

    /// The rows of these numbers, in their order, as one batch.
    ///
    /// # Errors
    /// If the frame cannot be read again.
    pub(crate) fn pick(&self, rows: &[u64]) -> Result<RecordBatch, ArrowError> {
        let mut picked: Vec<(u64, RecordBatch)> = self.set_aside.clone();
        match &self.source {
            Source::Frame(frame) => {
                let mut start = 0;
                for batch in frame.batches(None) {
                    let batch = batch?;
                    picked.extend(slices(start, &batch, rows));
                    start += batch.num_rows() as u64;
                }
            }
            Source::Stream(_) => {
                for (start, batch) in self.kept.iter().flatten() {
                    picked.extend(slices(*start, batch, rows));
                }
            }
        }
        picked.sort_by_key(|(row, _)| *row);
        picked.dedup_by_key(|(row, _)| *row);
        // A stream's own schema may say less of nulls than a slice of it holds.
        let schema = picked.first().map_or_else(|| self.schema(), |(_, batch)| batch.schema());
        concat_batches(&schema, picked.iter().map(|(_, batch)| batch))
    }
}

/// The rows of these numbers in a batch, one by one.
fn slices(start: u64, batch: &RecordBatch, rows: &[u64]) -> Vec<(u64, RecordBatch)> {
    let end = start + batch.num_rows() as u64;
    let inside = rows.iter().filter(|row| (start..end).contains(row));
    inside.map(|row| (*row, batch.slice((row - start) as usize, 1))).collect()
}
