//! Frames among rows: the lines of a frame appended to a [`RowBuffer`], which may be flushed on the way.

use std::time::Duration;

use super::cut::{Outlet, Read, Request, cut};
use super::ilp::{LIMITS, POOL, POOL_BYTES};
use super::resumable::Resumable;
use crate::buffer::{Buffer, NoMemory, Pool};
use crate::encode::{Mark, RowBuffer, TableName, line_ends};
use crate::error::{Cause, Error, Problem, Result};
use crate::frontend::IntoSource;
use crate::options::WriteOptions;
use crate::plan::Plan;
use crate::rows::RowSet;

/// A table for each row of a frame: codes, and the names that they stand for.
#[derive(Clone, Debug, Default)]
pub struct FrameTables {
    /// One for each row.
    pub codes: Vec<u32>,
    /// By code.
    pub names: Vec<String>,
}

/// When a buffer that is being filled is to be flushed: behind the row that reaches a limit.
#[derive(Clone, Copy, Debug, Default)]
pub struct FlushAt {
    /// Rows in the buffer.
    pub rows: Option<u64>,
    /// Bytes in the buffer.
    pub bytes: Option<usize>,
}

/// Flushes a buffer, and leaves it empty. It is called behind the row that reached a limit of [`FlushAt`], and whenever
/// some rows have been appended, for which the second argument is false: then it may leave the buffer alone.
pub type Flush<'f> = &'f mut dyn FnMut(&mut RowBuffer, bool) -> Result<()>;

impl RowBuffer {
    /// Appends the lines of a frame: those of its table, or with `tables` each row's own. Names may be as long as the
    /// buffer lets them; the protocol version is the buffer's.
    ///
    /// # Errors
    /// Everything [`to_ilp`](crate::to_ilp) refuses. The buffer is as it was before; with `flush` the rows of the frame
    /// that were flushed stay so, and the buffer holds what it held before as far as that was not flushed.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use questframe::arrow::array::{ArrayRef, Int64Array, RecordBatch};
    /// use questframe::{At, ProtocolVersion, RowBuffer, WriteOptions};
    /// let batch = RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef)])?;
    /// let mut buffer = RowBuffer::new(ProtocolVersion::V2, 127, 0);
    /// buffer.frame(&batch, &WriteOptions::table("t").at(At::Server), None, None)?;
    /// assert_eq!(buffer.as_bytes(), b"t n=1i\nt n=2i\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn frame<'a, Via>(
        &mut self,
        data: impl IntoSource<'a, Via>,
        options: &WriteOptions,
        tables: Option<&FrameTables>,
        flush: Option<(FlushAt, Flush<'_>)>,
    ) -> Result<()> {
        let mut feed = Resumable::keeping(data.into_source(), false);
        let mut options = options.clone().protocol_version(self.version());
        let names = match tables {
            None => None,
            Some(tables) => {
                options.table = Some(TableName::PLACEHOLDER.to_owned());
                Some((tables.codes.as_slice(), self.table_names(tables)?))
            }
        };
        let plan = Plan::official(&feed.schema(), &options, self.max_name_len())?;
        let mut outlet = LinesOutlet {
            pool: POOL.get_or_init(|| Pool::new(POOL_BYTES)),
            mark: self.mark(),
            buffer: self,
            table: plan.table().to_owned(),
            names,
            flush,
            has_failed: false,
        };
        let done = cut(&plan, &mut feed, &RowSet::default(), LIMITS, &mut outlet, &mut Read::default());
        let LinesOutlet { buffer, mark, has_failed, .. } = outlet;
        if done.is_err() && !has_failed {
            buffer.rewind(mark);
        }
        done
    }

    /// The names that rows have, checked.
    fn table_names(&self, tables: &FrameTables) -> Result<Vec<TableName>> {
        let mut rows: Vec<Option<u64>> = vec![None; tables.names.len()];
        for (row, code) in (0..).zip(&tables.codes) {
            match rows.get_mut(*code as usize) {
                Some(first) => {
                    first.get_or_insert(row);
                }
                None => return Err(Error::source(format_args!("row {row} has no table's name"))),
            }
        }
        let name = |(name, row): (&String, Option<u64>)| match (TableName::new(name, self.max_name_len()), row) {
            (Ok(name), _) => Ok(name),
            // One that no row has does no harm.
            (Err(_), None) => Ok(TableName::default()),
            (Err(error), Some(row)) => Err(Error::new(Problem::new(error).row(row).value(format!("{name:?}")))),
        };
        tables.names.iter().zip(rows).map(name).collect()
    }
}

struct LinesOutlet<'a, 'f> {
    pool: &'static Pool,
    buffer: &'a mut RowBuffer,
    /// Where the frame's rows begin in it.
    mark: Mark,
    table: String,
    names: Option<(&'a [u32], Vec<TableName>)>,
    flush: Option<(FlushAt, Flush<'f>)>,
    /// Whether a flush failed: then it has said what becomes of the buffer.
    has_failed: bool,
}

impl LinesOutlet<'_, '_> {
    fn append(&mut self, lines: &[u8], rows: std::ops::Range<u64>) {
        match &self.names {
            None => self.buffer.append(lines, rows.end - rows.start, &self.table),
            Some((codes, names)) => {
                self.buffer.append_with_tables(lines, &codes[rows.start as usize..rows.end as usize], names);
            }
        }
    }

    fn flush(&mut self, is_full: bool) -> Result<()> {
        if let Some((_, flush)) = &mut self.flush {
            let bytes = self.buffer.as_bytes().len();
            flush(self.buffer, is_full).inspect_err(|_| self.has_failed = true)?;
            if self.buffer.as_bytes().len() < bytes {
                self.mark = self.buffer.mark();
            }
        }
        Ok(())
    }

    /// Appends lines up to each that reaches a limit, and flushes there.
    fn in_parts(&mut self, at: FlushAt, lines: &[u8], rows: std::ops::Range<u64>) -> Result<()> {
        let ends = line_ends(lines);
        let (mut line, mut start) = (0, 0);
        while line < ends.len() {
            let held = self.buffer.as_bytes().len();
            let by_rows = at.rows.map_or(usize::MAX, |most| {
                usize::try_from(most.saturating_sub(self.buffer.rows())).unwrap_or(usize::MAX).max(1)
            });
            // Names of tables make lines longer; then it is a little later.
            let by_bytes = at.bytes.map_or(usize::MAX, |most| {
                ends[line..].partition_point(|end| held + (end - start) < most).saturating_add(1)
            });
            let next = line.saturating_add(by_rows.min(by_bytes));
            let is_full = next <= ends.len();
            let next = next.min(ends.len());
            self.append(&lines[start..ends[next - 1]], rows.start + line as u64..rows.start + next as u64);
            (line, start) = (next, ends[next - 1]);
            self.flush(is_full)?;
        }
        Ok(())
    }
}

impl Outlet for LinesOutlet<'_, '_> {
    fn acquire(&mut self) -> Result<Buffer, Error> {
        let acquired =
            self.pool.acquire(Duration::ZERO).map_err(|NoMemory(bytes)| Error::of(Cause::NoMemory(bytes)))?;
        Ok(acquired.unwrap_or_else(|| Buffer::one_off(self.pool.buffer_size())))
    }

    fn submit(&mut self, request: Request) -> Result<(), Error> {
        let lines = request.buffer.filled();
        let at = self.flush.as_ref().map(|(at, _)| *at);
        match at {
            Some(at) if at.rows.is_some() || at.bytes.is_some() => self.in_parts(at, lines, request.rows),
            _ => {
                self.append(lines, request.rows);
                self.flush(false)
            }
        }
    }

    fn buffer_size(&self) -> usize {
        self.pool.buffer_size()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array, RecordBatch};

    use super::*;
    use crate::options::{At, ProtocolVersion};

    fn batch(values: Vec<Option<i64>>) -> RecordBatch {
        RecordBatch::try_from_iter_with_nullable([("n", Arc::new(Int64Array::from(values)) as ArrayRef, true)])
            .expect("a batch")
    }

    fn flushed(at: FlushAt, before: u64, rows: i64) -> (Vec<u64>, u64) {
        let mut buffer = RowBuffer::new(ProtocolVersion::V2, 127, 0);
        for _ in 0..before {
            buffer.append(b"t n=0i\n", 1, "t");
        }
        let mut seen = Vec::new();
        let mut flush = |buffer: &mut RowBuffer, is_full: bool| {
            if is_full {
                seen.push(buffer.rows());
                buffer.clear();
            }
            Ok(())
        };
        let data = batch((0..rows).map(|n| Some(n % 10)).collect());
        let options = WriteOptions::table("t").at(At::Server);
        buffer.frame(&data, &options, None, Some((at, &mut flush))).expect("lines");
        (seen, buffer.rows())
    }

    #[test]
    fn a_buffer_is_flushed_behind_the_row_that_reaches_a_limit() {
        let rows = |rows| FlushAt { rows: Some(rows), bytes: None };
        assert_eq!(flushed(rows(2), 0, 5), (vec![2, 2], 1));
        assert_eq!(flushed(rows(3), 2, 4), (vec![3, 3], 0));
        assert_eq!(flushed(rows(1), 0, 2), (vec![1, 1], 0));
        assert_eq!(flushed(rows(3), 5, 1), (vec![6], 0));
        assert_eq!(flushed(rows(100), 0, 5), (vec![], 5));
        // Lines of seven bytes.
        let bytes = |bytes| FlushAt { rows: None, bytes: Some(bytes) };
        assert_eq!(flushed(bytes(21), 0, 7), (vec![3, 3], 1));
        assert_eq!(flushed(bytes(20), 1, 7), (vec![3, 3], 2));
        assert_eq!(flushed(bytes(1), 0, 2), (vec![1, 1], 0));
        assert_eq!(flushed(FlushAt { rows: Some(2), bytes: Some(21) }, 0, 5), (vec![2, 2], 1));
    }

    #[test]
    fn after_an_error_the_buffer_is_as_before() {
        let mut buffer = RowBuffer::new(ProtocolVersion::V2, 127, 0);
        buffer.append(b"a n=0i\n", 1, "a");
        let options = WriteOptions::table("b").at(At::Server);
        let error = buffer.frame(&batch(vec![Some(1), None]), &options, None, None).expect_err("an empty row");
        assert_eq!(error.row(), Some(1));
        assert_eq!((buffer.as_bytes(), buffer.rows(), buffer.has_several_tables()), (&b"a n=0i\n"[..], 1, false));
        buffer.frame(&batch(vec![Some(1)]), &options, None, None).expect("a row");
        assert!(buffer.has_several_tables());
    }

    #[test]
    fn each_row_may_have_a_table_of_its_own() {
        let mut buffer = RowBuffer::new(ProtocolVersion::V2, 127, 0);
        let names = ["x", "no?", "y z"].map(str::to_owned).to_vec();
        let mut tables = FrameTables { codes: vec![2, 0], names };
        let options = WriteOptions::default().at(At::Server);
        let data = batch(vec![Some(1), Some(2)]);
        buffer.frame(&data, &options, Some(&tables), None).expect("lines");
        assert_eq!(buffer.as_bytes(), b"y\\ z n=1i\nx n=2i\n");
        tables.codes[1] = 1;
        let error = buffer.frame(&data, &options, Some(&tables), None).expect_err("a bad name");
        assert_eq!((error.row(), error.kind()), (Some(1), crate::ErrorKind::InvalidName));
        tables.codes[1] = 9;
        assert!(buffer.frame(&data, &options, Some(&tables), None).is_err());
    }
}
