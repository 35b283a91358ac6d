//! Frames as Python holds them, to sources of record batches. Nothing is copied but what the producer copies.
//!
//! Four shapes arrive here, chosen by `_frames.py`: [`Columns`] (pandas), an adapter object that streams a frame in
//! slices and can do so again (Polars), one that gives frames one after another, and any object with
//! `__arrow_c_stream__` or `__arrow_c_array__`.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, NullArray, RecordBatch, RecordBatchReader};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3_arrow::{PyChunkedArray, PyRecordBatchReader, PySchema};
use questframe::{Batches, Dictionaries, Frame, IntoSource, Source, coded, coded_batch, may_be_bare};

use crate::columns::{CollectedFrame, Columns};
use crate::error::bad_arrow;
use crate::foreign::{ForeignReader, foreign_batch, foreign_stream};
use crate::frames::FrameStream;

/// A frame taken over from Python, ready to cross to where the GIL is released.
pub(crate) enum Input {
    Batches(Vec<RecordBatch>, SchemaRef),
    Objects(CollectedFrame),
    Slices(Slices),
    Reader(Box<dyn RecordBatchReader + Send>),
}

impl Input {
    /// Takes over `data`: [`Columns`], an adapter with `streams` or `located`, or an Arrow object.
    pub(crate) fn take(data: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(columns) = data.cast::<Columns>() {
            let columns = columns.borrow();
            if columns.frame().holds_objects() {
                return Ok(Self::Objects(columns.frame().clone()));
            }
            let (batches, schema) = columns.batches()?;
            return Ok(Self::Batches(batches, schema));
        }
        if data.hasattr("streams")? {
            return Slices::take(data);
        }
        if data.hasattr("located")? {
            return Ok(Self::Reader(Box::new(FrameStream::take(data)?)));
        }
        if data.hasattr("__arrow_c_stream__")? {
            return Ok(Self::Reader(foreign_stream(data)?));
        }
        // A schema alone is a frame without rows.
        if data.hasattr("__arrow_c_schema__")? && !data.hasattr("__arrow_c_array__")? {
            return Ok(Self::Batches(Vec::new(), data.extract::<PySchema>()?.into_inner()));
        }
        let (batches, schema) = foreign_batch(data)?;
        Ok(Self::Batches(batches, schema))
    }

    /// As [`take`](Self::take), for an object known to hold its batches in memory: read whole, without a copy.
    pub(crate) fn take_table(data: &Bound<'_, PyAny>) -> PyResult<Self> {
        if !data.hasattr("__arrow_c_stream__")? {
            return Self::take(data);
        }
        let read = ForeignReader::take(data)?.read_all();
        let (batches, schema) = read.map_err(|error| bad_arrow(data.py(), &error))?;
        Ok(Self::Batches(batches, schema))
    }

    pub(crate) fn schema(&self) -> SchemaRef {
        match self {
            Self::Batches(_, schema) => schema.clone(),
            Self::Objects(frame) => frame.schema(),
            Self::Slices(slices) => slices.schema.clone(),
            Self::Reader(reader) => reader.schema(),
        }
    }

    /// The number of rows, if that is known beforehand.
    pub(crate) fn rows(&self) -> Option<u64> {
        match self {
            Self::Batches(batches, _) => Some(batches.iter().map(|batch| batch.num_rows() as u64).sum()),
            Self::Objects(frame) => Some(frame.rows()),
            Self::Slices(slices) => Some(slices.rows),
            Self::Reader(_) => None,
        }
    }

    /// The first batch, for hints; of a reader none, since it could not be read again.
    pub(crate) fn first_batch(&self) -> Option<RecordBatch> {
        match self {
            Self::Batches(batches, _) => batches.first().cloned(),
            Self::Objects(frame) => frame.batches(None).next().and_then(Result::ok),
            Self::Slices(slices) => slices.batches(None).next().and_then(Result::ok),
            Self::Reader(_) => None,
        }
    }

    pub(crate) fn into_source(self) -> Source<'static> {
        match self {
            // Without a batch the frame still has a schema to be planned.
            Self::Batches(batches, schema) if batches.is_empty() => vec![RecordBatch::new_empty(schema)].into_source(),
            Self::Batches(batches, _) => batches.into_source(),
            Self::Objects(frame) => Source::Frame(Box::new(frame)),
            Self::Slices(slices) => Source::Frame(Box::new(slices)),
            Self::Reader(reader) => reader.into_source(),
        }
    }
}

/// A frame behind a Python adapter, exported slice by slice whenever it is read.
///
/// The adapter has `rows: int`, `schema` (an empty Arrow stream), `null_columns` and `never_null` (lists of column
/// indices), `dictionaries` (by column index, the values for columns exported as bare codes), and
/// `streams(columns | None)`, an iterator of objects with `__arrow_c_stream__`.
pub(crate) struct Slices {
    adapter: Py<PyAny>,
    schema: SchemaRef,
    rows: u64,
    /// Columns of type Null, which arrow-rs does not import from Polars: exported as something else, replaced here.
    nulls: Vec<usize>,
    /// What the codes of categorical columns stand for.
    dictionaries: Arc<Dictionaries>,
}

impl Slices {
    /// Takes a frame over. One of few rows is read at once, and not anew for its schema, for hints, to be checked and to
    /// be encoded: each takes longer than all the rest.
    fn take(adapter: &Bound<'_, PyAny>) -> PyResult<Input> {
        let reader = |stream: &Bound<'_, PyAny>| stream.extract::<PyRecordBatchReader>()?.into_reader();
        let rows: u64 = adapter.getattr("rows")?.extract()?;
        let mut exported = Vec::new();
        if rows <= FEW_ROWS {
            for stream in adapter.call_method1("streams", (None::<Vec<usize>>,))?.try_iter()? {
                for batch in reader(&stream?)? {
                    exported.push(batch.map_err(|error| bad_arrow(adapter.py(), &error))?);
                }
            }
        }
        let Some(first) = exported.first() else {
            let schema = reader(&adapter.getattr("schema")?)?.schema();
            return Ok(Input::Slices(Self::new(adapter, &schema, rows)?));
        };
        let slices = Self::new(adapter, &first.schema(), rows)?;
        let all: Vec<_> = (0..first.num_columns()).collect();
        let batches = exported.iter().map(|batch| slices.restore(batch, &all, false)).collect::<Result<_, _>>();
        Ok(Input::Batches(batches.map_err(|error| bad_arrow(adapter.py(), &error))?, slices.schema))
    }

    fn new(adapter: &Bound<'_, PyAny>, exported: &Schema, rows: u64) -> PyResult<Self> {
        let nulls: Vec<usize> = adapter.getattr("null_columns")?.extract()?;
        let never_null: Vec<usize> = adapter.getattr("never_null")?.extract()?;
        let mut dictionaries = HashMap::new();
        for (index, values) in adapter.getattr("dictionaries")?.extract::<HashMap<usize, PyChunkedArray>>()? {
            let (chunks, field) = values.into_inner();
            let values = match chunks.as_slice() {
                [values] => values.clone(),
                _ => return Err(PyValueError::new_err(format!("the categories of {field} are in several chunks"))),
            };
            dictionaries.insert(index, values);
        }
        let fields = exported.fields().iter().enumerate().map(|(index, field)| {
            if nulls.contains(&index) {
                Field::new(field.name(), DataType::Null, true)
            } else if let Some(values) = dictionaries.get(&index) {
                let (key, value) = (field.data_type().clone(), values.data_type().clone());
                let nullable = !never_null.contains(&index);
                Field::new(field.name(), DataType::Dictionary(Box::new(key), Box::new(value)), nullable)
            } else {
                field.as_ref().clone().with_nullable(!never_null.contains(&index))
            }
        });
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        Ok(Self { adapter: adapter.clone().unbind(), schema, rows, nulls, dictionaries: Arc::new(dictionaries) })
    }
}

/// Frames of at most so many rows are read once: those whose categoricals Polars exports itself (`_FEW` in `_polars.py`).
const FEW_ROWS: u64 = 4_096;

/// Rows of a batch with category codes: few enough for the codes to be in the cache still, from being checked, when
/// they are encoded.
const CODED_ROWS: usize = 32_768;

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> ArrowError {
    ArrowError::ExternalError(Box::new(error))
}

impl Frame for Slices {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn rows(&self) -> u64 {
        self.rows
    }

    fn batches(&self, columns: Option<&[usize]>) -> Batches<'_> {
        self.read(columns, false)
    }

    fn dictionaries(&self) -> Option<Arc<Dictionaries>> {
        (!self.dictionaries.is_empty()).then(|| self.dictionaries.clone())
    }

    fn coded_batches(&self) -> Batches<'_> {
        self.read(None, true)
    }
}

impl Slices {
    /// The batches of the frame, in these columns; with `bare` codes alone where that is possible.
    fn read(&self, columns: Option<&[usize]>, bare: bool) -> Batches<'_> {
        let wanted: Vec<usize> = columns.map_or_else(|| (0..self.schema.fields().len()).collect(), <[usize]>::to_vec);
        let streams = Python::attach(|py| {
            let streams = self.adapter.bind(py).call_method1("streams", (columns.map(<[usize]>::to_vec),))?;
            Ok::<_, PyErr>(streams.try_iter()?.into_any().unbind())
        });
        let streams = match streams {
            Ok(streams) => streams,
            Err(error) => return Box::new(std::iter::once(Err(failed(error)))),
        };
        let next_reader = move || {
            Python::attach(|py| {
                // The iterator is asked by hand: it lives longer than one hold of the GIL.
                let next = py.import("builtins")?.getattr("next")?.call1((streams.bind(py), py.None()))?;
                if next.is_none() {
                    return Ok(None);
                }
                Ok::<_, PyErr>(Some(next.extract::<PyRecordBatchReader>()?.into_reader()?))
            })
        };
        let mut reader: Option<Box<dyn RecordBatchReader + Send>> = None;
        let mut rest: Option<RecordBatch> = None;
        Box::new(std::iter::from_fn(move || {
            loop {
                if let Some(batch) = rest.take() {
                    let rows = batch.num_rows();
                    let piece = if bare || self.dictionaries.is_empty() { rows } else { rows.min(CODED_ROWS) };
                    if piece < rows {
                        rest = Some(batch.slice(piece, rows - piece));
                    }
                    return Some(self.restore(&batch.slice(0, piece), &wanted, bare));
                }
                match reader.as_mut().and_then(Iterator::next) {
                    Some(Ok(batch)) => {
                        rest = Some(batch);
                        continue;
                    }
                    Some(Err(error)) => return Some(Err(error)),
                    None => {}
                }
                match next_reader() {
                    Ok(Some(next)) => reader = Some(next),
                    Ok(None) => return None,
                    Err(error) => return Some(Err(failed(error))),
                }
            }
        }))
    }

    /// The batch with its Null columns back, under the planned schema, but for codes that may stay `bare`.
    fn restore(&self, batch: &RecordBatch, wanted: &[usize], bare: bool) -> Result<RecordBatch, ArrowError> {
        let schema = self.schema.project(wanted)?;
        if batch.num_columns() != wanted.len() {
            return Err(ArrowError::SchemaError("the frame changed while it was written".to_owned()));
        }
        let columns = wanted.iter().zip(batch.columns()).map(|(index, column)| -> Result<ArrayRef, ArrowError> {
            if self.nulls.contains(index) {
                return Ok(Arc::new(NullArray::new(column.len())));
            }
            match self.dictionaries.get(index) {
                Some(values) if bare && may_be_bare(column, values) => Ok(column.clone()),
                Some(values) => coded(column, values),
                None => Ok(column.clone()),
            }
        });
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        coded_batch(Arc::new(schema), columns, batch.num_rows())
    }
}
