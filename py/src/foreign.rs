//! Arrow data of producers that we know nothing of.
//!
//! It is believed nothing that reading it relies on: offsets, codes and UTF-8 are checked once, so that nothing behind this
//! can read out of bounds. Nor that a column is never null: producers say so of columns that are. Where all batches are
//! there, those columns are what they are; of a stream the plan has to believe it, and a batch that breaks it is an error.
//!
//! pyarrow exports the batches of a reader as if they had the reader's schema, whatever they have, so that integers of one
//! byte are read as ones of eight, from behind their memory. So its readers are asked batch by batch, each with a schema of
//! its own.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, RecordBatchReader, StructArray};
use arrow_schema::{ArrowError, DataType, Field, Fields, Schema, SchemaRef};
use pyo3::exceptions::{PyStopIteration, PyValueError};
use pyo3::prelude::*;
use pyo3_arrow::ffi::ArrayReader;
use pyo3_arrow::{PyArray, PyArrayReader, PySchema};

use crate::error::{bad_arrow, no_frame};

/// The record batches of a stream.
pub(crate) struct ForeignReader {
    arrays: Box<dyn ArrayReader + Send>,
    schema: SchemaRef,
    rows: usize,
    /// A batch that was refused: it is not passed over when the stream is gone on with.
    refused: Option<ArrayRef>,
}

impl ForeignReader {
    /// Of an object with `__arrow_c_stream__`.
    pub(crate) fn take(data: &Bound<'_, PyAny>) -> PyResult<Self> {
        let arrays = data.extract::<PyArrayReader>().map_err(|error| no_frame(data, error))?.into_reader()?;
        let schema = schema_of(&arrays.field()).map_err(|error| no_frame(data, error))?;
        Ok(Self { arrays, schema, rows: 0, refused: None })
    }

    /// All of its batches, of columns that have nulls as others do.
    pub(crate) fn read_all(self) -> Result<(Vec<RecordBatch>, SchemaRef), ArrowError> {
        let batches = self.arrays.map(|array| rows_of(&array?)).collect::<Result<Vec<_>, _>>()?;
        in_memory(&batches, &self.schema)
    }
}

/// The batches of an object with `__arrow_c_stream__`.
pub(crate) fn foreign_stream(data: &Bound<'_, PyAny>) -> PyResult<Box<dyn RecordBatchReader + Send>> {
    let py = data.py();
    let modules = py.import("sys")?.getattr("modules")?;
    if let Some(pyarrow) = modules.call_method1("get", ("pyarrow",))?.extract::<Option<Bound<'_, PyAny>>>()?
        && data.is_instance(&pyarrow.getattr("RecordBatchReader")?)?
    {
        let schema = data.getattr("schema")?.extract::<PySchema>()?.into_inner();
        return Ok(Box::new(PyArrowReader {
            reader: data.clone().unbind(),
            schema,
            batches: 0,
            rows: 0,
            refused: None,
        }));
    }
    Ok(Box::new(ForeignReader::take(data)?))
}

/// The batches of a `pyarrow.RecordBatchReader`.
struct PyArrowReader {
    reader: Py<PyAny>,
    schema: SchemaRef,
    batches: usize,
    rows: usize,
    /// As in [`ForeignReader`].
    refused: Option<(ArrayRef, SchemaRef)>,
}

impl PyArrowReader {
    /// The next batch, as pyarrow gives it.
    fn read(&self) -> PyResult<Option<(ArrayRef, SchemaRef)>> {
        Python::attach(|py| match self.reader.bind(py).call_method0("read_next_batch") {
            Ok(batch) => {
                let (array, field) = batch.extract::<PyArray>()?.into_inner();
                Ok(Some((array, schema_of(&field)?)))
            }
            Err(error) if error.is_instance_of::<PyStopIteration>(py) => Ok(None),
            Err(error) => Err(error),
        })
    }

    /// The batch under the stream's schema. Without the GIL: its values are looked at.
    fn checked(&mut self, array: &ArrayRef, own: &Schema) -> Result<RecordBatch, ArrowError> {
        self.check(own)?;
        let batch = strict(&rows_of(array)?, &self.schema, self.rows)?;
        self.batches += 1;
        self.rows += batch.num_rows();
        Ok(batch)
    }

    /// Whether a batch of this schema is one of the stream.
    fn check(&self, own: &Schema) -> Result<(), ArrowError> {
        let place = || format!("batch {}, from row {} on,", self.batches, self.rows);
        let cure = "make all batches of one schema";
        if !self.schema.fields().iter().map(|field| field.name()).eq(own.fields().iter().map(|field| field.name())) {
            let told = |schema: &Schema| {
                let names = schema.fields().iter().map(|field| format!("{:?}", field.name()));
                names.collect::<Vec<_>>().join(", ")
            };
            let (place, known, found) = (place(), told(&self.schema), told(own));
            return invalid(format!("{place} has the columns {found} where the stream's schema has {known}; {cure}"));
        }
        for (known, found) in self.schema.fields().iter().zip(own.fields()) {
            let (name, known, found) = (known.name(), known.data_type(), found.data_type());
            if !known.equals_datatype(found) {
                let place = place();
                return invalid(format!(
                    "{place} has a column {name:?} of type {found} where the stream's schema has {known}; {cure}"
                ));
            }
        }
        Ok(())
    }
}

impl Iterator for PyArrowReader {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = match self.refused.take() {
            Some(refused) => Ok(Some(refused)),
            None => self.read(),
        };
        match next {
            Ok(Some((array, own))) => {
                let checked = self.checked(&array, &own);
                if checked.is_err() {
                    self.refused = Some((array, own));
                }
                Some(checked)
            }
            Ok(None) => None,
            Err(error) => Some(Err(ArrowError::ExternalError(Box::new(error)))),
        }
    }
}

impl RecordBatchReader for PyArrowReader {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}

impl Iterator for ForeignReader {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let array = match self.refused.take() {
            Some(refused) => Ok(refused),
            None => self.arrays.next()?,
        };
        let batch = array.and_then(|array| {
            let batch = rows_of(&array).and_then(|rows| strict(&rows, &self.schema, self.rows));
            if batch.is_err() {
                self.refused = Some(array);
            }
            batch
        });
        self.rows += batch.as_ref().map_or(0, RecordBatch::num_rows);
        Some(batch)
    }
}

impl RecordBatchReader for ForeignReader {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}

/// The record batch that an object with `__arrow_c_array__` is, and its schema.
pub(crate) fn foreign_batch(data: &Bound<'_, PyAny>) -> PyResult<(Vec<RecordBatch>, SchemaRef)> {
    let (array, field) = data.extract::<PyArray>().map_err(|error| no_frame(data, error))?.into_inner();
    let schema = schema_of(&field).map_err(|error| no_frame(data, error))?;
    let read = || in_memory(&[rows_of(&array)?], &schema);
    read().map_err(|error| bad_arrow(data.py(), &error))
}

fn invalid<T>(message: String) -> Result<T, ArrowError> {
    Err(ArrowError::InvalidArgumentError(message))
}

/// The schema of record batches that come as structs of this field.
fn schema_of(field: &Field) -> PyResult<SchemaRef> {
    match field.data_type() {
        DataType::Struct(columns) => Ok(Arc::new(Schema::new_with_metadata(columns.clone(), field.metadata().clone()))),
        other => Err(PyValueError::new_err(format!("its Arrow type is {other}"))),
    }
}

/// The rows of a batch, which are sound.
fn rows_of(array: &ArrayRef) -> Result<StructArray, ArrowError> {
    let Some(rows) = array.as_struct_opt() else {
        return invalid(format!("a batch of type {} in a stream of structs", array.data_type()));
    };
    if rows.null_count() > 0 {
        return invalid("rows that are null as a whole; fill them in, or drop them".to_owned());
    }
    // Of nothing the offsets may be anything, and pyarrow's are.
    if !rows.is_empty() {
        for (column, field) in rows.columns().iter().zip(rows.fields()) {
            if let Err(error) = column.to_data().validate_full() {
                return invalid(format!("column {:?} is not valid Arrow data: {error}", field.name()));
            }
        }
    }
    Ok(rows.clone())
}

/// A batch of a stream that starts at this row, where no column is null that its schema says is not.
fn strict(rows: &StructArray, schema: &SchemaRef, start: usize) -> Result<RecordBatch, ArrowError> {
    for (column, field) in rows.columns().iter().zip(schema.fields()).filter(|(_, field)| !field.is_nullable()) {
        let nulls = column.logical_nulls();
        if let Some(row) = nulls.and_then(|nulls| (0..nulls.len()).find(|row| nulls.is_null(*row))) {
            return invalid(format!(
                "column {:?} is null in row {}, and the stream's schema says that it never is; pass a stream whose schema \
                 lets it be null, or a table",
                field.name(),
                start + row
            ));
        }
    }
    batch_of(rows, schema)
}

fn batch_of(rows: &StructArray, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    RecordBatch::try_new_with_options(schema.clone(), rows.columns().to_vec(), &options)
}

/// Batches under a schema by which columns may be null that are.
fn in_memory(batches: &[StructArray], schema: &Schema) -> Result<(Vec<RecordBatch>, SchemaRef), ArrowError> {
    let has_nulls = |index: usize| batches.iter().any(|rows| rows.column(index).logical_null_count() > 0);
    let fields = schema.fields().iter().enumerate().map(|(index, field)| {
        if field.is_nullable() || !has_nulls(index) {
            field.clone()
        } else {
            Arc::new(field.as_ref().clone().with_nullable(true))
        }
    });
    let schema = Arc::new(Schema::new_with_metadata(fields.collect::<Fields>(), schema.metadata().clone()));
    let batches = batches.iter().map(|rows| batch_of(rows, &schema)).collect::<Result<_, _>>()?;
    Ok((batches, schema))
}
