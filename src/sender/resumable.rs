//! The rows of a write, which may have to be read more than once.
//!
//! Why it is hard: when a write moves to another server, the rows that are not stored yet have to be encoded again, and
//! rows that the server refuses are handed back to the caller. A frame is simply read again; of a stream the batches are
//! kept until their rows are settled, which the pool bounds: no more rows are on their way than its buffers hold.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow_schema::{ArrowError, DataType, SchemaRef};
use arrow_select::concat::concat_batches;

use crate::check;
use crate::error::Result;
use crate::frontend::{IntoSource, NewSchema, Source};
use crate::plan::Plan;
use crate::rows::RowSet;

/// Which rows of a stream will not be asked for again.
#[derive(Debug)]
pub(super) struct Settled {
    /// All up to this one,
    pub(super) up_to: u64,
    /// but for these, which another write may ask for.
    pub(super) set_aside: RowSet,
}

impl Settled {
    /// Where nothing is asked for twice.
    pub(super) const ALL: Self = Self::up_to(u64::MAX);

    pub(super) const fn up_to(row: u64) -> Self {
        Self { up_to: row, set_aside: RowSet::NONE }
    }
}

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
    /// Of batches that are not kept any longer the rows that may be wanted again, for all that: refused ones, and what an
    /// earlier write left in doubt and this one does not send.
    set_aside: Vec<(u64, RecordBatch)>,
    /// Rows taken out of a stream.
    taken: u64,
    /// Whether the stream failed when it was last asked: if it ends there, it has not given all of its rows.
    has_failed: bool,
    /// How many of the last batches that are kept are small.
    small: usize,
}

impl<'a> Resumable<'a> {
    /// Rows that may be gone on with.
    pub fn new<Via>(data: impl IntoSource<'a, Via>) -> Self {
        Self::keeping(data.into_source(), true)
    }

    /// `keeps`: whether rows may be wanted again.
    pub(crate) fn keeping(source: Source<'a>, keeps: bool) -> Self {
        let kept = (keeps && matches!(source, Source::Stream(_))).then(VecDeque::new);
        Self { source, peeked: None, kept, set_aside: Vec::new(), taken: 0, has_failed: false, small: 0 }
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

    /// The batches of a stream that are kept, from this row on, with the row each begins at. Rows of others that were set
    /// aside are among them: a write that goes on with these has not heard of them.
    pub(super) fn kept_from(&self, row: u64) -> Vec<(u64, RecordBatch)> {
        let kept = self.set_aside.iter().chain(self.kept.iter().flatten());
        let mut wanted: Vec<_> = kept.filter(|(start, batch)| start + batch.num_rows() as u64 > row).cloned().collect();
        wanted.sort_by_key(|(start, _)| *start);
        wanted
    }

    /// Whether batches are kept.
    pub(crate) fn keeps(&self) -> bool {
        self.kept.is_some()
    }

    /// Has the stream's own error come again which ended the reading, since another was told first.
    pub(super) fn give_back(&mut self, error: ArrowError) {
        if self.has_failed {
            self.peeked = Some(Err(error));
        }
    }

    /// The next batch of a stream, and the row it begins at. Lets go of batches of which all rows are settled. Where it
    /// says [`NewSchema`], what is kept is under that from then on.
    pub(super) fn next(&mut self, settled: impl FnOnce() -> Settled) -> Option<Result<(u64, RecordBatch), ArrowError>> {
        let Source::Stream(reader) = &mut self.source else { return None };
        let batch = match self.peeked.take().or_else(|| reader.next()) {
            Some(Ok(batch)) => batch,
            Some(Err(error)) if NewSchema::is_said_by(&error) => {
                let schema = reader.schema();
                let kept = self.set_aside.iter_mut().chain(self.kept.iter_mut().flatten());
                kept.for_each(|(_, batch)| *batch = under(&schema, batch));
                return Some(Err(error));
            }
            Some(Err(error)) => {
                self.has_failed = true;
                return Some(Err(error));
            }
            None if self.has_failed => return Some(Err(ArrowError::ExternalError(ENDED.into()))),
            None => return None,
        };
        self.has_failed = false;
        let start = self.taken;
        self.taken += batch.num_rows() as u64;
        if let Some(kept) = &mut self.kept {
            let Settled { up_to, set_aside } = settled();
            while let Some((start, old)) = kept.front()
                && start + old.num_rows() as u64 <= up_to
            {
                self.set_aside.extend(pieces(*start, old, &set_aside));
                kept.pop_front();
            }
            kept.push_back((start, batch.clone()));
            self.small = if batch.num_rows() <= SMALL { kept.len().min(self.small + 1) } else { 0 };
            if self.small == MANY {
                put_together(kept, kept.len() - MANY);
                self.small = 0;
            }
        }
        Some(Ok((start, batch)))
    }

    /// The rows of these numbers, in their order, as one batch.
    ///
    /// # Errors
    /// If the frame cannot be read again.
    pub(crate) fn pick(&self, rows: &[u64]) -> Result<RecordBatch, ArrowError> {
        let set_aside = self.set_aside.iter().flat_map(|(start, batch)| slices(*start, batch, rows));
        let mut picked: Vec<(u64, RecordBatch)> = set_aside.collect();
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

/// What is said of a stream that ends where it failed before, as a generator does that has raised.
const ENDED: &str = "it failed before and has ended there, so its other rows cannot be asked for any more; open it again, and \
                     pass that from its first row on, with the same resume=";

/// Batches of at most so many rows are small: what each costs beside its values (some KiB a column, by a producer such as
/// pyarrow) is more than those.
const SMALL: usize = 512;

/// So many small ones are put together, which the pool does not bound: a buffer holds the lines of a hundred thousand rows.
const MANY: usize = 512;

/// Puts batches together, from this one of them on.
fn put_together(kept: &mut VecDeque<(u64, RecordBatch)>, from: usize) {
    let Some((start, first)) = kept.get(from) else { return };
    let whole =
        concat_batches(first.schema_ref(), kept.range(from..).map(|(_, batch)| batch)).map(|whole| (*start, whole));
    // Where dictionaries have more values together than codes tell apart, they stay as they are.
    if let Ok((start, whole)) = whole {
        kept.truncate(from);
        kept.push_back((start, of_its_own(whole)));
    }
}

/// The batch with text of its own where it is views of that of others, which would stay for it.
fn of_its_own(batch: RecordBatch) -> RecordBatch {
    let columns = batch.columns().iter().map(|column| match column.data_type() {
        DataType::Utf8View => Arc::new(column.as_string_view().gc()) as ArrayRef,
        DataType::BinaryView => Arc::new(column.as_binary_view().gc()),
        _ => column.clone(),
    });
    RecordBatch::try_new(batch.schema(), columns.collect()).unwrap_or(batch)
}

/// The batch with nulls of the schema's types where it has nulls of another.
fn under(schema: &SchemaRef, batch: &RecordBatch) -> RecordBatch {
    let columns = batch.columns().iter().zip(schema.fields()).map(|(column, field)| {
        match column.data_type() == field.data_type() {
            true => column.clone(),
            false => new_null_array(field.data_type(), column.len()),
        }
    });
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), columns.collect(), &options).unwrap_or_else(|_| batch.clone())
}

/// The rows of a set in a batch, piece by piece.
fn pieces(start: u64, batch: &RecordBatch, rows: &RowSet) -> Vec<(u64, RecordBatch)> {
    let all = start..start + batch.num_rows() as u64;
    let inside = RowSet::from(all.clone()).minus(rows).missing(all);
    inside
        .into_iter()
        .map(|rows| (rows.start, batch.slice((rows.start - start) as usize, (rows.end - rows.start) as usize)))
        .collect()
}

/// The rows of these numbers in a batch, one by one.
fn slices(start: u64, batch: &RecordBatch, rows: &[u64]) -> Vec<(u64, RecordBatch)> {
    let end = start + batch.num_rows() as u64;
    let inside = rows.iter().filter(|row| (start..end).contains(row));
    inside.map(|row| (*row, batch.slice((row - start) as usize, 1))).collect()
}

#[cfg(test)]
mod tests {
    use arrow_array::types::{Int32Type, Int64Type};
    use arrow_array::{
        DictionaryArray, Int64Array, RecordBatchIterator, RecordBatchReader, StringArray, StringViewArray,
    };

    use super::super::ilp::{lines_of, to_ilp};
    use super::*;
    use crate::options::{At, WriteOptions};
    use crate::plan::Target;

    /// A batch of so many rows, which begins at this one; the text is the row's number.
    fn batch(start: u64, rows: u64) -> RecordBatch {
        let numbers = start..start + rows;
        let text = |row: u64| format!("a text of more than twelve bytes: {row}");
        let dictionary = StringArray::from_iter_values(numbers.clone().map(text));
        let codes = (0..rows as i32).collect::<Vec<_>>();
        let columns = [
            (
                "n",
                Arc::new(Int64Array::from_iter(numbers.clone().map(|row| (row % 3 > 0).then_some(row as i64))))
                    as ArrayRef,
            ),
            ("v", Arc::new(StringViewArray::from_iter_values(numbers.map(text)))),
            ("d", Arc::new(DictionaryArray::<Int32Type>::new(codes.into(), Arc::new(dictionary)))),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).expect("sound")
    }

    fn feed(items: Vec<Result<RecordBatch, ArrowError>>) -> Resumable<'static> {
        Resumable::new(RecordBatchIterator::new(items, batch(0, 1).schema()))
    }

    fn settled(up_to: u64, set_aside: &[u64]) -> Settled {
        Settled { up_to, set_aside: set_aside.iter().map(|row| *row..row + 1).collect() }
    }

    #[test]
    fn a_stream_that_ends_where_it_failed_is_not_at_its_end() {
        let failed = || Err(ArrowError::ComputeError("gone".into()));
        let mut next = feed(vec![Ok(batch(0, 2)), failed()]);
        let mut next = || next.next(|| Settled::up_to(0)).map(|next| next.is_ok());
        assert_eq!([next(), next(), next(), next()], [Some(true), Some(false), Some(false), Some(false)]);
        let mut next = feed(vec![Ok(batch(0, 2)), failed(), Ok(batch(2, 2))]);
        let mut next = || next.next(|| Settled::up_to(0)).map(|next| next.is_ok());
        assert_eq!([next(), next(), next(), next()], [Some(true), Some(false), Some(true), None]);
    }

    /// Batches of which all but the last have nothing in the second column.
    struct Late(Vec<RecordBatch>, SchemaRef);

    impl Iterator for Late {
        type Item = Result<RecordBatch, ArrowError>;

        fn next(&mut self) -> Option<Self::Item> {
            let next = self.0.first()?.schema();
            if next != self.1 {
                self.1 = next;
                return Some(Err(NewSchema::error()));
            }
            Some(Ok(self.0.remove(0)))
        }
    }

    impl RecordBatchReader for Late {
        fn schema(&self) -> SchemaRef {
            self.1.clone()
        }
    }

    fn late() -> Late {
        let batch = |start: i64, values: ArrayRef| {
            let numbers: ArrayRef = Arc::new(Int64Array::from(vec![start, start + 1]));
            RecordBatch::try_from_iter_with_nullable([("n", numbers, true), ("v", values, true)]).expect("sound")
        };
        let nothing = || new_null_array(&DataType::Null, 2);
        let texts = || Arc::new(StringArray::from(vec![Some("a"), None]));
        let batches = vec![batch(0, nothing()), batch(2, nothing()), batch(4, texts()), batch(6, texts())];
        let schema = batches[0].schema();
        Late(batches, schema)
    }

    #[test]
    fn what_is_kept_is_under_the_schema_that_a_stream_goes_on_under() {
        let mut feed = Resumable::new(late());
        let mut kinds = Vec::new();
        while let Some(next) = feed.next(|| settled(2, &[1])) {
            kinds.push(next.map(|(start, batch)| (start, batch.column(1).data_type().clone())).ok());
        }
        let null = |start| Some((start, DataType::Null));
        let text = |start| Some((start, DataType::Utf8));
        assert_eq!(kinds, [null(0), null(2), None, text(4), text(6)]);
        let kept = feed.kept_from(0);
        assert_eq!(kept.iter().map(|(start, _)| *start).collect::<Vec<_>>(), [1, 2, 4, 6]);
        assert!(kept.iter().all(|(_, batch)| batch.schema() == feed.schema()));
        let picked = feed.pick(&[1, 3, 4]).expect("all are there");
        assert_eq!(picked["v"].as_string::<i32>().iter().collect::<Vec<_>>(), [None, None, Some("a")]);
    }

    #[test]
    fn a_stream_is_planned_anew_where_it_goes_on_under_another_schema() {
        let options = WriteOptions::table("t").at(At::Server);
        let lines = to_ilp(late(), &options).expect("sound");
        let expected = "t n=0i\nt n=1i\nt n=2i\nt n=3i\nt n=4i,v=\"a\"\nt n=5i\nt n=6i,v=\"a\"\nt n=7i\n";
        assert_eq!(String::from_utf8_lossy(&lines), expected);
        // By a plan of before nothing is written: it would leave out the values.
        let mut feed = Resumable::new(late());
        let plan = Plan::offline(&feed.schema(), &options, Target::Unknown).expect("sound");
        while feed.next(|| Settled::up_to(0)).is_some() {}
        assert!(!plan.is_for(&feed.schema()));
        let error = lines_of(&plan, feed.source).expect_err("another schema");
        assert!(error.is_new_schema());
    }

    #[test]
    fn refused_rows_come_again_for_who_has_not_heard_of_them() {
        let mut feed = feed((0..3).map(|i| Ok(batch(10 * i, 10))).collect());
        while let Some(next) = feed.next(|| settled(20, &[13, 5, 6])) {
            next.expect("sound");
        }
        let from =
            |row| feed.kept_from(row).iter().map(|(start, batch)| (*start, batch.num_rows())).collect::<Vec<_>>();
        assert_eq!(from(0), [(5, 2), (13, 1), (20, 10)]);
        assert_eq!(from(6), [(5, 2), (13, 1), (20, 10)]);
        assert_eq!(from(7), [(13, 1), (20, 10)]);
        // Those alone that are asked for.
        let picked = feed.pick(&[6, 13, 21]).expect("all are there");
        assert_eq!(picked["v"].as_string_view().iter().flatten().collect::<Vec<_>>().len(), 3);
    }

    #[test]
    fn small_batches_that_are_kept_are_put_together() {
        let sizes: Vec<u64> = (0..4_000).map(|i| if i % 2_500 == 2_499 { 600 } else { 1 + i % 2 }).collect();
        let mut end = 0;
        let batches: Vec<_> = sizes
            .iter()
            .map(|rows| {
                end += rows;
                batch(end - rows, *rows)
            })
            .collect();
        let reader = RecordBatchIterator::new(batches.iter().cloned().map(Ok), batches[0].schema());
        let mut feed = Resumable::new(reader);
        while let Some(next) = feed.next(|| Settled::up_to(0)) {
            next.expect("sound");
        }
        let kept = feed.kept.as_ref().expect("a stream").len();
        assert!(kept < 1_000, "{kept} batches");
        for from in [0, 1, 777, 3_000, end - 1, end] {
            let rest = feed.kept_from(from);
            let mut row = rest.first().map_or(end, |(start, _)| *start);
            assert!(row <= from);
            for (start, batch) in rest {
                assert_eq!(start, row);
                row += batch.num_rows() as u64;
                let (numbers, codes) =
                    (batch["n"].as_primitive::<Int64Type>(), batch["d"].as_dictionary::<Int32Type>());
                let texts = codes.downcast_dict::<StringArray>().expect("strings");
                for (i, number) in numbers.iter().enumerate() {
                    let expected = start + i as u64;
                    assert_eq!(number, (!expected.is_multiple_of(3)).then_some(expected as i64));
                    let text = format!("a text of more than twelve bytes: {expected}");
                    assert_eq!(batch["v"].as_string_view().value(i), text);
                    assert_eq!(arrow_array::ArrayAccessor::value(&texts, i), text);
                }
            }
            assert_eq!(row, end);
        }
    }
}
