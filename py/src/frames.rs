//! A stream of the frames that Python gives one after another: those of an iterator, or of a LazyFrame as its rows
//! become ready. What they are is told by `_stream.py`.

use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions, RecordBatchReader};
use arrow_schema::{ArrowError, Schema, SchemaRef};
use pyo3::prelude::*;
use questframe::{Frame, NewSchema};

use crate::client::take;
use crate::error::{bad_arrow, bad_column, bad_frame, bad_value, is_of_stream, of_stream};
use crate::fit::{Misfit, fit};
use crate::input::Input;
use crate::late::{At, Next, Unseen, typed};

/// So many frames without rows are passed over before the first that has some.
const MOST_EMPTY: usize = 100;

type OwnBatches = Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>> + Send>;

/// The batches of frames that an object of Python's class `Frames` gives.
pub(crate) struct FrameStream {
    frames: Py<PyAny>,
    /// Of the first frame; any column may be null in others. One that held nothing so far gets its type when values come:
    /// then the stream has another schema, and says so.
    schema: SchemaRef,
    unseen: Unseen,
    /// What is left of the frame that is read.
    batches: OwnBatches,
    /// Whether that is itself a stream: what it raises is its own.
    is_stream: bool,
    /// The schema of the last batch, and which of its columns are those of the stream, in order.
    last: Option<(SchemaRef, Vec<usize>)>,
    nan_is_missing: bool,
    /// A batch that is to come again: one that changed the schema, or of a frame that is itself a stream one that was
    /// refused, which is not passed over when the stream is gone on with.
    held: Option<RecordBatch>,
    /// Whether the frame, which is no stream, has to be asked for again, and read on where it was refused: it may have been
    /// mended.
    again: bool,
    /// Rows of it that were taken before.
    skip: usize,
    /// Whether the frame, itself a stream, failed when it was last asked.
    has_failed: bool,
    /// Whether the frame gave a batch. One that gives none counts as one without rows: a source of such frames without end
    /// has to come back to the write, which looks at its deadline.
    has_given: bool,
    /// Rows before the frame that is read, and before what is left of it.
    start: usize,
    rows: usize,
}

/// A frame's batches, read as they are asked for where it is itself a stream.
fn batches_of(input: Input) -> OwnBatches {
    match input {
        Input::Batches(batches, _) => Box::new(batches.into_iter().map(Ok)),
        Input::Reader(reader) => reader,
        Input::Objects(frame) => Box::new(frame.batches(None).collect::<Vec<_>>().into_iter()),
        Input::Slices(frame) => Box::new(frame.batches(None).collect::<Vec<_>>().into_iter()),
    }
}

/// The next frame, from this row on, or the last one `again`; and whether NaN means missing there. None at the end. A frame
/// that cannot be taken is to be asked for again.
fn next_frame(frames: &Bound<'_, PyAny>, row: usize, again: &mut bool) -> PyResult<Option<(Input, bool)>> {
    let next: Option<(Bound<'_, PyAny>, bool, bool)> = frames.call_method1("next", (row, *again))?.extract()?;
    *again = false;
    let Some((frame, is_table, nan_is_missing)) = next else { return Ok(None) };
    // A frame that is itself a stream counts rows from its own start.
    let input = take(&frame, is_table).or_else(|error| {
        *again = true;
        match is_of_stream(error.value(frames.py())) {
            Ok(true) => Err(PyErr::from_value(frames.call_method1("located", (error.value(frames.py()), row))?)),
            _ => Err(error),
        }
    })?;
    Ok(Some((input, nan_is_missing)))
}

impl FrameStream {
    /// Asks for the first frame, which has the schema.
    pub(crate) fn take(frames: &Bound<'_, PyAny>) -> PyResult<Self> {
        let Some((mut first, mut nan_is_missing)) = next_frame(frames, 0, &mut false)? else {
            return Err(bad_frame(frames.py(), "the stream has no frame"));
        };
        // One without rows says little of types, as what was found by a query that found nothing. Of a source that gives
        // no others the rest is read by the write, which looks at its deadline.
        for _ in 0..MOST_EMPTY {
            if first.rows() != Some(0) {
                break;
            }
            let Some(next) = next_frame(frames, 0, &mut false)? else { break };
            frames.call_method0("pass_over")?;
            (first, nan_is_missing) = next;
        }
        let schema = first.schema();
        let is_stream = matches!(first, Input::Reader(_));
        let at = match frames.getattr("at")?.extract::<Option<Bound<'_, PyAny>>>()? {
            None => At::Open,
            Some(at) => at.extract().map_or(At::None, At::Column),
        };
        let (py, mut batches) = (frames.py(), batches_of(first));
        let mut fields: Vec<_> = schema.fields().iter().map(|field| typed(field, nan_is_missing)).collect();
        let mut of_pandas = None;
        if nan_is_missing {
            let all = batches.collect::<Result<Vec<_>, _>>().map_err(|error| bad_arrow(py, &error))?;
            of_pandas = Some(all.clone());
            batches = Box::new(all.into_iter().map(Ok));
        }
        let unseen = Unseen::begin(&mut fields, of_pandas.as_deref(), at);
        let schema = Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()));
        Ok(Self {
            frames: frames.clone().unbind(),
            schema,
            unseen,
            batches,
            is_stream,
            last: None,
            nan_is_missing,
            held: None,
            again: false,
            skip: 0,
            has_failed: false,
            // No table is made for rows that do not come.
            has_given: true,
            start: 0,
            rows: 0,
        })
    }

    /// The next batch, whatever its schema.
    fn read(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        if let Some(batch) = self.held.take() {
            return Ok(Some(batch));
        }
        loop {
            match self.batches.next() {
                Some(Ok(batch)) if batch.num_rows() <= self.skip && self.skip > 0 => {
                    self.skip -= batch.num_rows();
                    continue;
                }
                Some(Ok(batch)) => {
                    (self.has_failed, self.has_given) = (false, true);
                    let skip = std::mem::take(&mut self.skip);
                    return Ok(Some(if skip > 0 { batch.slice(skip, batch.num_rows() - skip) } else { batch }));
                }
                Some(Err(error)) => {
                    self.has_failed = self.is_stream;
                    self.put_back(None);
                    return Err(self.located(error));
                }
                None if self.has_failed => {
                    return Err(self.refused(|py| {
                        bad_frame(
                            py,
                            "it failed before and has ended there, so its other rows cannot be asked for any more; pass all \
                             frames anew, from the first on, with the same resume=",
                        )
                    }));
                }
                None if !self.again && !self.has_given => {
                    self.has_given = true;
                    return Ok(Some(RecordBatch::new_empty(self.schema.clone())));
                }
                None => {}
            }
            if !self.again {
                self.start = self.rows;
            }
            self.skip = self.rows - self.start;
            let next = Python::attach(|py| next_frame(self.frames.bind(py), self.start, &mut self.again));
            let Some((frame, nan_is_missing)) = next.map_err(failed)? else { return Ok(None) };
            self.nan_is_missing = nan_is_missing;
            self.is_stream = matches!(frame, Input::Reader(_));
            self.batches = batches_of(frame);
            self.has_given = false;
        }
    }

    /// Has what was refused come again.
    fn put_back(&mut self, batch: Option<RecordBatch>) {
        if self.is_stream {
            self.held = batch;
        } else {
            self.again = true;
            self.batches = Box::new(std::iter::empty());
        }
    }

    /// An error of the frame that is read, as one of the stream.
    fn located(&self, error: ArrowError) -> ArrowError {
        let ArrowError::ExternalError(source) = &error else {
            return self.refused(|py| bad_arrow(py, &error));
        };
        let Some(raised) = source.downcast_ref::<PyErr>() else { return error };
        Python::attach(|py| {
            let ours = py.import("questframe.exceptions")?.getattr("IngressError")?;
            let is_ours = raised.value(py).is_instance(&ours)?;
            if !is_ours || (self.is_stream && !is_of_stream(raised.value(py))?) {
                return Ok(None);
            }
            let located = self.frames.bind(py).call_method1("located", (raised.value(py), self.start))?;
            Ok::<_, PyErr>(Some(PyErr::from_value(located)))
        })
        .map_or_else(failed, |located| located.map_or(error, failed))
    }

    /// Which of the batch's columns are those of the stream, in order.
    fn places(&mut self, schema: &SchemaRef) -> Result<Vec<usize>, ArrowError> {
        if let Some((last, places)) = &self.last
            && Arc::ptr_eq(last, schema)
        {
            return Ok(places.clone());
        }
        let names = |schema: &Schema| schema.fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>();
        let (known, found) = (names(&self.schema), names(schema));
        let places = if known == found {
            (0..known.len()).collect()
        } else {
            let place = |name| found.iter().position(|other| other == name);
            let places = known.iter().map(place).collect::<Option<Vec<_>>>();
            match places {
                // Of two columns of one name none is known to be the one.
                Some(places) if known.len() == found.len() && are_distinct(&known) && are_distinct(&found) => places,
                _ => return Err(self.refused(|py| bad_frame(py, &other_columns(&known, &found)))),
            }
        };
        self.last = Some((schema.clone(), places.clone()));
        Ok(places)
    }

    /// The batch under the schema of the stream; it comes again after [`NewSchema`].
    fn fitted(&mut self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let places = self.places(batch.schema_ref())?;
        let next = Next { batch, places: &places, nan_is_missing: self.nan_is_missing, rows: self.rows };
        if let Some(schema) = self.unseen.look(&self.schema, &next) {
            self.schema = schema;
            return Err(NewSchema::error());
        }
        let mut columns = Vec::with_capacity(places.len());
        for (field, place) in self.schema.fields().iter().zip(places) {
            let column = batch.column(place);
            match fit(column, field.data_type(), self.nan_is_missing) {
                Ok(column) => columns.push(column),
                Err(misfit) => {
                    let (known, found) = (field.data_type(), column.data_type());
                    return Err(self.unfit(field.name(), &known.to_string(), &found.to_string(), &misfit));
                }
            }
        }
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows())).with_match_field_names(false);
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?;
        self.rows += batch.num_rows();
        Ok(batch)
    }

    fn unfit(&self, column: &str, known: &str, found: &str, misfit: &Misfit) -> ArrowError {
        let Misfit::Value(row, value) = misfit else {
            return self.refused(|py| {
                let why = format!(
                    "it is of type {found}, and of type {known} in the frames before; give all frames the same types, as \
                     with a schema, or with dtype= of pandas"
                );
                bad_column(py, column, &why)
            });
        };
        let why = format!(
            "the column is of type {found} here and of type {known} in the frames before, which has no place for this \
             value; give all frames the same type"
        );
        Python::attach(|py| failed(of_stream(py, bad_value(py, column, self.rows + row, value, &why))))
    }

    /// Something is wrong with the frame that is read.
    fn refused(&self, why: impl FnOnce(Python<'_>) -> PyErr) -> ArrowError {
        Python::attach(|py| {
            let error = why(py);
            let located = self.frames.bind(py).call_method1("located", (error.value(py), self.start));
            failed(located.map_or_else(|failed| failed, PyErr::from_value))
        })
    }
}

fn failed(error: PyErr) -> ArrowError {
    ArrowError::ExternalError(Box::new(error))
}

fn are_distinct(names: &[String]) -> bool {
    let mut names: Vec<_> = names.iter().collect();
    names.sort_unstable();
    names.windows(2).all(|pair| pair[0] != pair[1])
}

/// How the columns of a frame are not those of the first.
fn other_columns(known: &[String], found: &[String]) -> String {
    let beyond = |names: &[String], others: &[String]| {
        let names = names.iter().filter(|name| !others.contains(name)).map(|name| format!("{name:?}"));
        names.collect::<Vec<_>>()
    };
    let (missing, new) = (beyond(known, found), beyond(found, known));
    let told = match (missing.as_slice(), new.as_slice()) {
        ([], []) => "its columns come in another order, and some share a name".to_owned(),
        (missing, []) => format!("it lacks {}, which the first frame has", missing.join(", ")),
        ([], new) => format!("it has {}, which the first frame has not", new.join(", ")),
        (missing, new) => format!("it has {} where the first frame has {}", new.join(", "), missing.join(", ")),
    };
    format!("{told}; give all frames the same columns")
}

impl Iterator for FrameStream {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.read() {
            Ok(Some(batch)) => {
                let known = self.schema.clone();
                let fitted = self.fitted(&batch);
                if !Arc::ptr_eq(&known, &self.schema) {
                    self.held = Some(batch);
                } else if fitted.is_err() {
                    self.put_back(Some(batch));
                }
                Some(fitted)
            }
            Ok(None) => None,
            Err(error) => Some(Err(error)),
        }
    }
}

impl RecordBatchReader for FrameStream {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}
