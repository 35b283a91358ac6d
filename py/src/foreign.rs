//! Arrow data of producers that we know nothing of.
//!
//! It is believed nothing that reading it relies on: offsets, codes and UTF-8 are checked once, so that nothing behind this
//! can read out of bounds. Nor that a column is never null: producers say so of columns that are. Where all batches are
//! there, those columns are what they are; of a stream the plan has to believe it, and a batch that breaks it is an error.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, RecordBatchReader, StructArray};
use arrow_schema::{ArrowError, DataType, Field, Fields, Schema, SchemaRef};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3_arrow::ffi::ArrayReader;
use pyo3_arrow::{PyArray, PyArrayReader};

use crate::error::{bad_arrow, no_frame};

/// The record batches of a stream.
pub(crate) struct ForeignReader {
    arrays: Box<dyn ArrayReader + Send>,
    schema: SchemaRef,
    rows: usize,
}

impl ForeignReader {
    /// Of an object with `__arrow_c_stream__`.
    pub(crate) fn take(data: &Bound<'_, PyAny>) -> PyResult<Self> {
        let arrays = data.extract::<PyArrayReader>().map_err(|error| no_frame(data, error))?.into_reader()?;
        let schema = schema_of(&arrays.field()).map_err(|error| no_frame(data, error))?;
        Ok(Self { arrays, schema, rows: 0 })
    }

    /// All of its batches, of columns that have nulls as others do.
    pub(crate) fn read_all(self) -> Result<(Vec<RecordBatch>, SchemaRef), ArrowError> {
        let batches = self.arrays.map(|array| rows_of(&array?)).collect::<Result<Vec<_>, _>>()?;
        in_memory(&batches, &self.schema)
    }
}

impl Iterator for ForeignReader {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.arrays.next()?.and_then(|array| {
            let rows = rows_of(&array)?;
            for (column, field) in rows.columns().iter().zip(self.schema.fields()).filter(|(_, field)| !field.is_nullable()) {
                if let Some(row) = column.logical_nulls().and_then(|nulls| (0..nulls.len()).find(|row| nulls.is_null(*row))) {
                    return invalid(format!(
                        "column {:?} is null in row {}, and the stream's schema says that it never is; pass a stream whose \
                         schema lets it be null, or a table",
                        field.name(),
                        self.rows + row
                    ));
                }
            }
            self.rows += rows.len();
            batch_of(&rows, &self.schema)
        });
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
