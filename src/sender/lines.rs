//! Frames among rows: the lines of a frame appended to a [`RowBuffer`], which may be flushed on the way.

use std::time::Duration;

use super::cut::{Outlet, Read, Request, cut};
use super::ilp::{LIMITS, POOL, POOL_BYTES};
use super::resumable::Resumable;
use crate::buffer::{Buffer, Home, NoMemory, Pool};
use crate::encode::{Mark, RowBuffer, TableName, line_ends};
use crate::error::{Cause, Error, Problem, Result};
use crate::frontend::{IntoSource, Source};
use crate::options::WriteOptions;
use crate::plan::Plan;
use crate::rows::RowSet;

/// A table for each row of a frame: codes, and the names that they stand for.
#[derive(Clone, Debug, Default)]
pub struct FrameTables {
    /// One for each row, also for those that are left out.
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
    /// What has no form in ILP, and names and values that the official client refuses; what only a server refuses, such as two
    /// columns of one name or instants beyond its years, goes out. The buffer is as it was before; with `flush` the rows of
    /// the frame that were flushed stay so, and the buffer holds what it held before as far as that was not flushed.
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
        self.append_frame(data.into_source(), options, tables, flush, false)
    }

    /// As [`frame`](Self::frame), of a frame of ours, whose metadata may say that binary values are in wire form.
    ///
    /// # Errors
    /// As there.
    #[doc(hidden)]
    pub fn frame_with_cells<'a, Via>(
        &mut self,
        data: impl IntoSource<'a, Via>,
        options: &WriteOptions,
        tables: Option<&FrameTables>,
        flush: Option<(FlushAt, Flush<'_>)>,
    ) -> Result<()> {
        self.append_frame(data.into_source(), options, tables, flush, true)
    }

    fn append_frame(
        &mut self,
        source: Source<'_>,
        options: &WriteOptions,
        tables: Option<&FrameTables>,
        flush: Option<(FlushAt, Flush<'_>)>,
        takes_cells: bool,
    ) -> Result<()> {
        let mut feed = Resumable::keeping(source, false);
        let mut options = options.clone().protocol_version(self.version());
        let names = match tables {
            None => None,
            Some(tables) => {
                options.table = Some(TableName::PLACEHOLDER.to_owned());
                Some((tables.codes.as_slice(), self.table_names(tables)?))
            }
        };
        let plan = Plan::official(&feed.schema(), &options, self.max_name_len(), takes_cells)?;
        if names.is_none() && flush.is_none() {
            return self.encode_in_place(&plan, &mut feed);
        }
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

    /// Encodes a frame into the buffer's own memory, behind what is there.
    fn encode_in_place(&mut self, plan: &Plan, feed: &mut Resumable<'_>) -> Result<()> {
        let (memory, before) = self.lines().take();
        let mut outlet = InPlace { home: Home::new(memory), end: before, rows: 0 };
        let done = cut(plan, feed, &RowSet::default(), LIMITS, &mut outlet, &mut Read::default());
        // Also after an error: whatever was being filled has been dropped by now, and its memory is back.
        let InPlace { home, end, rows } = outlet;
        self.lines().put(home.take(), if done.is_ok() { end } else { before });
        if done.is_ok() {
            self.count(rows, plan.table());
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
                None => return Err(no_table(row)),
            }
        }
        let name = |(name, row): (&String, Option<u64>)| match (TableName::new(name, self.max_name_len()), row) {
            (Ok(name), _) => Ok(name),
            // One that no row has does no harm.
            (Err(_), None) => Ok(TableName::default()),
            (Err(error), Some(row)) => {
                Err(Error::new(Problem::new(error).with_row(row).with_value(format!("{name:?}"))))
            }
        };
        tables.names.iter().zip(rows).map(name).collect()
    }
}

fn no_table(row: u64) -> Error {
    Error::source(format_args!("row {row} has no table's name"))
}

/// Memory that is encoded into at a time.
const PART: usize = 4 << 20;

/// Lends the encoder the memory behind the lines.
struct InPlace {
    home: Home,
    /// The end of the lines.
    end: usize,
    rows: u64,
}

impl InPlace {
    fn grown(&self, room: usize) -> Result<()> {
        let mut memory = self.home.take();
        debug_assert!(memory.len() >= self.end, "the memory is lent out");
        let end = self.end + room;
        let grown = match end.checked_sub(memory.len()) {
            Some(more) => memory.try_reserve(more).map_err(|_| Error::of(Cause::NoMemory(end))),
            None => Ok(()),
        };
        if grown.is_ok() && memory.len() < end {
            memory.resize(end, 0);
        }
        self.home.put(memory);
        grown
    }
}

impl Outlet for InPlace {
    fn acquire(&mut self) -> Result<Buffer, Error> {
        self.grown(PART)?;
        Ok(self.home.lend(self.end))
    }

    fn submit(&mut self, request: Request) -> Result<(), Error> {
        let (length, lines) = (request.buffer.len(), request.lines());
        if request.buffer.is_lent() {
            drop(request.buffer);
        } else {
            // A row that is longer than a part has memory of its own.
            self.grown(length)?;
            let mut buffer = self.home.lend(self.end);
            buffer.spare()[..length].copy_from_slice(request.buffer.filled());
        }
        self.end += length;
        self.rows += lines as u64;
        Ok(())
    }

    fn buffer_size(&self) -> usize {
        PART
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
    /// Appends lines; `codes` are those of their tables, where each has its own.
    fn append(&mut self, lines: &[u8], count: usize, codes: &[u32]) {
        match &self.names {
            None => self.buffer.append(lines, count as u64, &self.table),
            Some((_, names)) => self.buffer.append_with_tables(lines, codes, names),
        }
    }

    /// The codes of the rows of a request that have a line.
    fn codes(&self, request: &Request) -> Result<Vec<u32>> {
        let Some((codes, _)) = &self.names else { return Ok(Vec::new()) };
        let code = |row: u64| {
            let code = usize::try_from(row).ok().and_then(|row| codes.get(row));
            code.copied().ok_or_else(|| no_table(row))
        };
        request.rows.clone().filter(|row| request.skipped.binary_search(row).is_err()).map(code).collect()
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
    fn in_parts(&mut self, at: FlushAt, lines: &[u8], codes: &[u32]) -> Result<()> {
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
            let codes = codes.get(line..next).unwrap_or_default();
            self.append(&lines[start..ends[next - 1]], next - line, codes);
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
        let codes = self.codes(&request)?;
        let at = self.flush.as_ref().map(|(at, _)| *at);
        match at {
            Some(at) if at.rows.is_some() || at.bytes.is_some() => self.in_parts(at, lines, &codes),
            _ => {
                self.append(lines, request.lines(), &codes);
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
    use crate::options::{At, EmptyRows, ProtocolVersion};

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
    fn what_is_written_in_place_survives_errors_and_long_rows() {
        let mut buffer = RowBuffer::new(ProtocolVersion::V2, 127, 0);
        buffer.append(b"a n=0i\n", 1, "a");
        let options = WriteOptions::table("t").at(At::Server);
        // A stream that breaks off when parts of it have been encoded.
        let many = batch((0..1_000_000).map(|n| Some(n % 10)).collect());
        let schema = many.schema();
        let broken: Vec<Result<RecordBatch, arrow_schema::ArrowError>> =
            vec![Ok(many.clone()), Ok(many.clone()), Err(arrow_schema::ArrowError::ComputeError("broken".into()))];
        let reader = arrow_array::RecordBatchIterator::new(broken, schema);
        assert!(buffer.frame(reader, &options, None, None).is_err());
        assert_eq!((buffer.as_bytes(), buffer.rows()), (&b"a n=0i\n"[..], 1));

        // Rows longer than a part, between others.
        let texts = ["x".to_owned(), "y".repeat(PART + 5), "\"".repeat(PART), "z".to_owned()];
        let strings = arrow_array::StringArray::from_iter_values(&texts);
        let frame = RecordBatch::try_from_iter([("s", Arc::new(strings) as ArrayRef)]).expect("a batch");
        buffer.frame(&frame, &options, None, None).expect("lines");
        let escaped = "\\\"".repeat(PART);
        let expected = format!("a n=0i\nt s=\"x\"\nt s=\"{}\"\nt s=\"{escaped}\"\nt s=\"z\"\n", texts[1]);
        assert!(buffer.as_bytes() == expected.as_bytes());
        assert_eq!(buffer.rows(), 5);

        // And into memory that has been used before.
        buffer.clear();
        buffer.frame(&many, &options, None, None).expect("lines");
        let mut row = buffer.row("t").expect("a name");
        row.integer("n", 5).expect("a field");
        row.finish(crate::encode::RowAt::Server).expect("a row");
        assert_eq!((buffer.as_bytes().len(), buffer.rows()), (7 * 1_000_001, 1_000_001));
        assert!(buffer.into_bytes().ends_with(b"t n=9i\nt n=5i\n"));
    }

    /// Else whoever makes a stream could write lines of any table.
    #[test]
    fn metadata_makes_no_lines_of_binary_values_but_in_the_drop_in() {
        let cells = arrow_array::LargeBinaryArray::from_iter_values([b"=\x17\x01\x02\x00\x0f"]);
        let metadata = [("questframe.cells".to_owned(), "decimals".to_owned())].into();
        let field = arrow_schema::Field::new("d", arrow_schema::DataType::LargeBinary, true).with_metadata(metadata);
        let schema = Arc::new(arrow_schema::Schema::new(vec![field]));
        let frame = RecordBatch::try_new(schema, vec![Arc::new(cells)]).expect("a batch");
        let options = WriteOptions::table("t").at(At::Server).protocol_version(ProtocolVersion::V3);
        let error = crate::to_ilp(&frame, &options).expect_err("binary values have no form");
        assert!(error.to_string().contains("LargeBinary"), "{error}");
        let mut buffer = RowBuffer::new(ProtocolVersion::V3, 127, 0);
        let error = buffer.frame(&frame, &options, None, None).expect_err("anybody's metadata");
        assert!(error.to_string().contains("LargeBinary"), "{error}");
        buffer.frame_with_cells(&frame, &options, None, None).expect("lines");
        assert_eq!(buffer.as_bytes(), b"t d==\x17\x01\x02\x00\x0f\n");
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
        tables.codes.pop();
        assert!(buffer.frame(&data, &options, Some(&tables), None).is_err());
        assert_eq!((buffer.as_bytes(), buffer.rows()), (&b"y\\ z n=1i\nx n=2i\n"[..], 2));
    }

    #[test]
    fn rows_that_are_left_out_have_no_table_and_do_not_count() {
        let options = WriteOptions::table("t").at(At::Server).empty_rows(EmptyRows::Skip);
        let data = batch(vec![Some(1), None, Some(3), None, None, Some(6)]);
        let mut buffer = RowBuffer::new(ProtocolVersion::V2, 127, 0);
        buffer.frame(&data, &options, None, None).expect("lines");
        assert_eq!((buffer.as_bytes(), buffer.rows()), (&b"t n=1i\nt n=3i\nt n=6i\n"[..], 3));

        let names = ["a", "b", "c", "d", "e", "f"].map(str::to_owned).to_vec();
        let tables = FrameTables { codes: (0..6).collect(), names };
        buffer.clear();
        buffer.frame(&data, &options, Some(&tables), None).expect("lines");
        assert_eq!((buffer.as_bytes(), buffer.rows()), (&b"a n=1i\nc n=3i\nf n=6i\n"[..], 3));

        let mut flushed = Vec::new();
        let mut flush = |buffer: &mut RowBuffer, is_full: bool| {
            if is_full {
                flushed.push((buffer.take().into_bytes(), buffer.rows()));
            }
            Ok(())
        };
        buffer.clear();
        let at = FlushAt { rows: Some(2), bytes: None };
        buffer.frame(&data, &options, Some(&tables), Some((at, &mut flush))).expect("lines");
        assert_eq!(flushed, [(b"a n=1i\nc n=3i\n".to_vec(), 0)]);
        assert_eq!((buffer.as_bytes(), buffer.rows()), (&b"f n=6i\n"[..], 1));
    }
}
