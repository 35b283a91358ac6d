//! A collected frame as record batches, made while it is read: of what is Arrow already slices, of Python objects some
//! rows at a time.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use questframe::{Batches, Frame};

/// A column of Python objects, read some rows at a time.
pub(super) trait Cells: fmt::Debug + Send + Sync {
    /// The type of the arrays.
    fn data_type(&self) -> DataType;

    /// How many there are.
    fn len(&self, py: Python<'_>) -> usize;

    /// Some rows.
    fn rows(&self, py: Python<'_>, rows: Range<usize>) -> PyResult<ArrayRef>;
}

/// Rows of the first batch that holds objects, and the most of any.
const FIRST_ROWS: usize = 16;
const MOST_ROWS: usize = 4_096;
/// Bytes of objects in a batch, about: few enough to be in the cache still when they are encoded.
const OBJECT_BYTES: usize = 128 << 10;

/// What a column is read from.
#[derive(Clone, Debug)]
pub(super) enum Data {
    /// Arrow arrays, one behind the other.
    Chunks(Vec<ArrayRef>),
    /// Python objects.
    Objects(Arc<dyn Cells>),
}

/// A frame, column by column.
#[derive(Clone, Debug, Default)]
pub(crate) struct CollectedFrame {
    pub(super) rows: usize,
    pub(super) fields: Vec<Field>,
    pub(super) columns: Vec<Data>,
    /// Of the schema.
    pub(super) metadata: HashMap<String, String>,
}

impl CollectedFrame {
    pub(super) fn push(
        &mut self,
        name: &str,
        chunks: Vec<ArrayRef>,
        metadata: HashMap<String, String>,
    ) -> PyResult<()> {
        self.check(name, chunks.iter().map(|chunk| chunk.len()).sum())?;
        let data_type = chunks.first().map_or(DataType::Null, |chunk| chunk.data_type().clone());
        let nullable = chunks.iter().any(|chunk| chunk.logical_null_count() > 0);
        self.fields.push(Field::new(name, data_type, nullable).with_metadata(metadata));
        self.columns.push(Data::Chunks(chunks));
        Ok(())
    }

    pub(super) fn push_objects(
        &mut self,
        py: Python<'_>,
        name: &str,
        cells: Arc<dyn Cells>,
        nullable: bool,
        metadata: HashMap<String, String>,
    ) -> PyResult<()> {
        self.check(name, cells.len(py))?;
        self.fields.push(Field::new(name, cells.data_type(), nullable).with_metadata(metadata));
        self.columns.push(Data::Objects(cells));
        Ok(())
    }

    fn check(&self, name: &str, rows: usize) -> PyResult<()> {
        if rows == self.rows {
            return Ok(());
        }
        Err(PyValueError::new_err(format!("column {name:?} has {rows} rows, the frame {}", self.rows)))
    }

    /// Whether batches are made of Python objects, which takes the GIL.
    pub(crate) fn holds_objects(&self) -> bool {
        self.columns.iter().any(|column| matches!(column, Data::Objects(_)))
    }

    /// Where batches end at least: where any column's chunk does.
    fn ends(&self) -> Vec<usize> {
        let mut ends = vec![self.rows];
        for column in &self.columns {
            if let Data::Chunks(chunks) = column {
                ends.extend(chunks.iter().scan(0, |end, chunk| {
                    *end += chunk.len();
                    Some(*end)
                }));
            }
        }
        ends.sort_unstable();
        ends.dedup();
        ends.retain(|end| *end > 0);
        ends
    }
}

/// Where a reading stands in a column of chunks: the chunk, and where that starts in the frame.
type Place = (usize, usize);

fn read(data: &Data, place: &mut Place, start: usize, end: usize) -> Result<ArrayRef, ArrowError> {
    match data {
        Data::Chunks(chunks) => {
            while start >= place.1 + chunks[place.0].len() {
                place.1 += chunks[place.0].len();
                place.0 += 1;
            }
            Ok(chunks[place.0].slice(start - place.1, end - start))
        }
        Data::Objects(cells) => {
            Python::attach(|py| cells.rows(py, start..end)).map_err(|error| ArrowError::ExternalError(Box::new(error)))
        }
    }
}

impl Frame for CollectedFrame {
    fn schema(&self) -> SchemaRef {
        Arc::new(Schema::new_with_metadata(self.fields.clone(), self.metadata.clone()))
    }

    fn rows(&self) -> u64 {
        self.rows as u64
    }

    fn batches(&self, columns: Option<&[usize]>) -> Batches<'_> {
        let wanted: Vec<usize> = columns.map_or_else(|| (0..self.columns.len()).collect(), <[usize]>::to_vec);
        let schema = match self.schema().project(&wanted) {
            Ok(schema) => Arc::new(schema),
            Err(error) => return Box::new(std::iter::once(Err(error))),
        };
        let holds_objects = wanted.iter().any(|index| matches!(self.columns[*index], Data::Objects(_)));
        let mut ends = self.ends().into_iter().peekable();
        let mut places = vec![(0, 0); wanted.len()];
        let mut start = 0_usize;
        let mut most = if holds_objects { FIRST_ROWS } else { usize::MAX };
        Box::new(std::iter::from_fn(move || {
            let end = (*ends.peek()?).min(start.saturating_add(most));
            ends.next_if_eq(&end);
            let mut bytes = 0;
            let columns = wanted.iter().zip(&mut places).map(|(index, place)| {
                let column = read(&self.columns[*index], place, start, end)?;
                if matches!(self.columns[*index], Data::Objects(_)) {
                    bytes += column.get_buffer_memory_size();
                }
                Ok(column)
            });
            let columns = match columns.collect::<Result<Vec<_>, ArrowError>>() {
                Ok(columns) => columns,
                Err(error) => {
                    // Nothing follows an error.
                    ends = Vec::new().into_iter().peekable();
                    return Some(Err(error));
                }
            };
            let rows = end - start;
            if holds_objects {
                most = (OBJECT_BYTES / (bytes / rows).max(1)).clamp(1, MOST_ROWS);
            }
            start = end;
            let options = RecordBatchOptions::new().with_row_count(Some(rows));
            Some(RecordBatch::try_new_with_options(schema.clone(), columns, &options))
        }))
    }
}
