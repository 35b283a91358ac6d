//! ILP bytes without a server: exactly what would be posted.

use std::borrow::Cow;
use std::io;
use std::sync::OnceLock;
use std::time::Duration;

use super::cut::{Limits, Outlet, Read, Request, cut};
use super::resumable::Resumable;
use crate::buffer::{Buffer, NoMemory, Pool};
use crate::encode::{value_in, value_text};
use crate::error::{Cause, Error, Result};
use crate::frontend::IntoSource;
use crate::options::WriteOptions;
use crate::plan::{Plan, Target, same_name};
use crate::rows::RowSet;

/// The buffers that [`to_ilp`] and [`to_ilp_writer`] fill, kept from call to call: the first touch of a buffer costs
/// as much as encoding into it. One call at a time uses one of them, 16 MiB.
pub(super) static POOL: OnceLock<Pool> = OnceLock::new();
pub(super) const POOL_BYTES: usize = 64 << 20;
const MAX_BUF_SIZE: usize = 100 << 20;
pub(super) const LIMITS: Limits = Limits {
    max_rows: u64::MAX,
    max_bytes: usize::MAX,
    max_buf_size: MAX_BUF_SIZE,
    connections: 1,
    first_rows: u64::MAX,
    atomic: false,
};

/// The lines of a frame, exactly as they would be posted: one `Vec` with all of them.
///
/// Without [`WriteOptions::protocol_version`] the version is 3. Costs the encoding and one copy.
///
/// # Errors
/// Everything a write would refuse before sending: names, types, options and values.
///
/// ```
/// use std::sync::Arc;
/// use questframe::arrow::array::{ArrayRef, Float64Array, RecordBatch, TimestampMicrosecondArray};
/// use questframe::{ProtocolVersion, WriteOptions, to_ilp};
///
/// let batch = RecordBatch::try_from_iter([
///     ("price", Arc::new(Float64Array::from(vec![2615.54])) as ArrayRef),
///     ("ts", Arc::new(TimestampMicrosecondArray::from(vec![1_735_787_045_000_000])) as ArrayRef),
/// ])?;
/// let options = WriteOptions::table("trades").at("ts").protocol_version(ProtocolVersion::V1);
/// assert_eq!(to_ilp(&batch, &options)?, b"trades price=2615.54 1735787045000000000\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn to_ilp<'a, Via>(data: impl IntoSource<'a, Via>, options: &WriteOptions) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    to_ilp_writer(data, options, &mut bytes)?;
    Ok(bytes)
}

/// Writes the lines of a frame to `out` and returns their number of bytes; as [`to_ilp`], in bounded memory.
///
/// # Errors
/// As [`to_ilp`], and what `out` answers.
///
/// ```
/// # use std::sync::Arc;
/// # use questframe::arrow::array::{ArrayRef, Int64Array, RecordBatch};
/// use questframe::{At, WriteOptions, to_ilp_writer};
/// let batch = RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef)])?;
/// let mut out = Vec::new();
/// let written = to_ilp_writer(&batch, &WriteOptions::table("t").at(At::Server), &mut out)?;
/// assert_eq!((written, out.as_slice()), (14, b"t n=1i\nt n=2i\n".as_slice()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn to_ilp_writer<'a, Via>(
    data: impl IntoSource<'a, Via>,
    options: &WriteOptions,
    out: &mut dyn io::Write,
) -> Result<u64> {
    let mut feed = Resumable::keeping(data.into_source(), false);
    let mut options = Cow::Borrowed(options);
    let mut outlet = WriterOutlet { pool: POOL.get_or_init(|| Pool::new(POOL_BYTES)), out, written: 0 };
    let mut read = Read::default();
    loop {
        let plan = Plan::offline(&feed.schema(), &options, Target::Unknown)?;
        match cut(&plan, &mut feed, &RowSet::default(), LIMITS, &mut outlet, &mut read) {
            Err(error) if error.is_new_schema() => options = plan.with_its_at(options),
            done => return done.map(|()| outlet.written),
        }
    }
}

/// How a cell of a frame was written, shortened; `None` if its row cannot be read again, or has nothing there.
pub(crate) fn excerpt(plan: &Plan, rows: &Resumable<'_>, row: u64, column: &str) -> Option<String> {
    let name = plan.columns.iter().find(|planned| same_name(planned.name.text(), column))?;
    let batch = rows.pick(&[row]).ok().filter(|batch| batch.num_rows() == 1)?;
    let line = lines_of(plan, &batch).ok()?;
    value_in(&line, name.name.escaped()).map(value_text)
}

/// The lines of a frame by a plan.
///
/// # Errors
/// If it has values that the plan does not allow, or cannot be read.
pub(crate) fn lines_of<'a, Via>(plan: &Plan, data: impl IntoSource<'a, Via>) -> Result<Vec<u8>> {
    let mut lines = Vec::new();
    let mut outlet = WriterOutlet { pool: POOL.get_or_init(|| Pool::new(POOL_BYTES)), out: &mut lines, written: 0 };
    let mut source = Resumable::keeping(data.into_source(), false);
    cut(plan, &mut source, &RowSet::default(), LIMITS, &mut outlet, &mut Read::default())?;
    Ok(lines)
}

struct WriterOutlet<'a> {
    pool: &'static Pool,
    out: &'a mut dyn io::Write,
    written: u64,
}

impl Outlet for WriterOutlet<'_> {
    fn acquire(&mut self) -> Result<Buffer, Error> {
        // More callers at once than buffers do not wait for each other: theirs are freed after use.
        let acquired =
            self.pool.acquire(Duration::ZERO).map_err(|NoMemory(bytes)| Error::of(Cause::NoMemory(bytes)))?;
        Ok(acquired.unwrap_or_else(|| Buffer::one_off(self.pool.buffer_size())))
    }

    fn submit(&mut self, request: Request) -> Result<(), Error> {
        let lines = request.buffer.filled();
        self.out.write_all(lines).map_err(|error| Error::source(format_args!("writing to `out`: {error}")))?;
        self.written += lines.len() as u64;
        Ok(())
    }

    fn buffer_size(&self) -> usize {
        self.pool.buffer_size()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array, RecordBatch, RecordBatchIterator};

    use super::super::resumable::Settled;
    use super::*;
    use crate::options::At;

    /// What is sent of a stream of which this many rows were let go, and two more read, but for those that are to be left out.
    fn rest(let_go: u64, set_aside: &[u64], leave_out: &RowSet) -> std::result::Result<String, String> {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..10));
        let all = RecordBatch::try_from_iter([("n", numbers)]).expect("sound");
        // Of one schema, as only such are put together.
        let batches = (0..5).map(|i| Ok(all.slice(2 * i, 2)));
        let mut feed = Resumable::new(RecordBatchIterator::new(batches, all.schema()));
        let set_aside: RowSet = set_aside.iter().map(|row| *row..row + 1).collect();
        for _ in 0..let_go / 2 + 1 {
            let settled = || Settled { up_to: let_go, set_aside: set_aside.clone() };
            feed.next(settled).expect("more").expect("sound");
        }
        let options = WriteOptions::table("t").at(At::Server);
        let plan = Plan::offline(&feed.schema(), &options, Target::Unknown).expect("sound");
        let mut lines = Vec::new();
        let mut outlet = WriterOutlet { pool: POOL.get_or_init(|| Pool::new(POOL_BYTES)), out: &mut lines, written: 0 };
        let done = cut(&plan, &mut feed, leave_out, LIMITS, &mut outlet, &mut Read::default());
        done.map_err(|error| error.to_string())?;
        Ok(String::from_utf8_lossy(&lines).replace("t n=", "").replace("i\n", " "))
    }

    #[test]
    fn nothing_is_sent_behind_rows_that_are_gone() {
        assert_eq!(rest(4, &[], &RowSet::from(0..4)).as_deref(), Ok("4 5 6 7 8 9 "));
        for (set_aside, leave_out, gone) in [
            (&[][..], RowSet::default(), "rows 0 to 3"),
            (&[], RowSet::from(0..2), "rows 2 to 3"),
            (&[], [0..1, 2..4].into_iter().collect(), "rows 1 to 1"),
            (&[1], [0..1, 3..4].into_iter().collect(), "rows 2 to 2"),
        ] {
            let error = rest(4, set_aside, &leave_out).expect_err("rows that nobody has");
            assert!(error.contains(gone) && error.contains("open the stream again"), "{error}");
        }
    }

    /// Small batches are put together, but not these.
    #[test]
    fn rows_that_were_set_aside_keep_their_numbers() {
        let others: RowSet = [0..1, 2..3, 4..5].into_iter().collect();
        assert_eq!(rest(6, &[1, 3, 5], &others).as_deref(), Ok("1 3 5 6 7 8 9 "));
        let others: RowSet = [0..1, 2..4, 4..5].into_iter().collect();
        assert_eq!(rest(6, &[1, 3, 5], &others).as_deref(), Ok("1 5 6 7 8 9 "));
    }
}
