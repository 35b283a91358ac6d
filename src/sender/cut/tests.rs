use std::sync::Arc;
use std::time::Duration;

use arrow_array::builder::{Float64Builder, LargeListBuilder};
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};

use super::*;
use crate::buffer::Pool;
use crate::frontend::IntoSource;
use crate::options::{At, EmptyRows, WriteOptions};
use crate::plan::Target;

/// Keeps what it is given: the rows and the bytes of each request.
struct Kept {
    pool: Pool,
    requests: Vec<(Range<u64>, usize)>,
}

impl Outlet for Kept {
    fn acquire(&mut self) -> Result<Buffer, Error> {
        Ok(self.pool.acquire(Duration::ZERO).ok().flatten().expect("each goes back before the next is asked for"))
    }

    fn submit(&mut self, request: Request) -> Result<(), Error> {
        self.requests.push((request.rows.clone(), request.buffer.len()));
        Ok(())
    }

    fn buffer_size(&self) -> usize {
        self.pool.buffer_size()
    }
}

/// The requests of a frame whose empty rows are skipped, through buffers of this size.
fn requests(columns: Vec<(&str, ArrayRef)>, buffer: usize, max_buf_size: usize) -> Vec<(Range<u64>, usize)> {
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)));
    let batch = batch.expect("sound");
    let mut feed = Resumable::keeping((&batch).into_source(), false);
    let options = WriteOptions::table("t").at(At::Server).empty_rows(EmptyRows::Skip);
    let plan = Plan::offline(&feed.schema(), &options, Target::Unknown).expect("sound");
    let limits = Limits {
        max_rows: u64::MAX,
        max_bytes: usize::MAX,
        max_buf_size,
        connections: 2,
        first_rows: u64::MAX,
        atomic: false,
    };
    let mut outlet = Kept { pool: Pool::new(4 * buffer), requests: Vec::new() };
    cut(&plan, &mut feed, &RowSet::default(), limits, &mut outlet, &mut Read::default()).expect("sound");
    outlet.requests
}

#[test]
fn skipped_rows_before_one_that_goes_alone_are_handed_over() {
    let large = "x".repeat(10_000);
    let texts: ArrayRef = Arc::new(StringArray::from(vec![None, Some(&*large), None, None, Some(&*large), None]));
    let requests = requests(vec![("s", texts)], 4096, 1 << 20);
    let rows: Vec<_> = requests.iter().flat_map(|(rows, _)| rows.clone()).collect();
    assert_eq!(rows, [0, 1, 2, 3, 4, 5], "{requests:?}");
    assert_eq!(requests.iter().filter(|(_, bytes)| *bytes > large.len()).count(), 2);
}

#[test]
fn what_lies_under_a_null_makes_no_row_too_large() {
    let mut lists = LargeListBuilder::new(Float64Builder::new());
    lists.values().append_slice(&vec![1.0; 300_000]);
    lists.append(false);
    let columns: Vec<(&str, ArrayRef)> =
        vec![("n", Arc::new(Int64Array::from(vec![1]))), ("a", Arc::new(lists.finish()))];
    assert_eq!(requests(columns, 4096, 1024), [(0..1, "t n=1i\n".len())]);
}

#[test]
fn rows_without_a_line_do_not_tell_how_long_lines_are() {
    let text = "x".repeat(40);
    let texts = (0..200_000).map(|row| (row >= 5_000).then_some(text.as_str()));
    let texts: ArrayRef = Arc::new(texts.collect::<StringArray>());
    // Nine megabytes for two connections, so two requests for each.
    assert_eq!(requests(vec![("s", texts)], 16 << 20, 1 << 20).len(), 4);
}
