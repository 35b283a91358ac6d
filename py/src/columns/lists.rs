//! Columns of NumPy arrays of float64 as lists, read where they lie while the frame is.
//!
//! The common case of [`nested`](super::nested): what is not like it (lists, arrays of other numbers or not in C order,
//! other objects for missing ones) is told apart before anything is read, and goes there.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, LargeListArray};
use arrow_buffer::{Buffer, MutableBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field};
use numpy::{PyArray1, PyUntypedArrayMethods};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::frame::Cells;
use super::nested::is_too_large;
use super::plain::{MOST_RESERVED, Plain, cell, items, nulls, prefetch_rows};

/// The cells of a column: None, and arrays of so many dimensions.
#[derive(Debug)]
pub(super) struct ListCells {
    cells: Py<PyArray1<Py<PyAny>>>,
    dimensions: usize,
}

impl ListCells {
    /// The cells, and whether some are None. `None` if they are not of this kind.
    pub(super) fn new(cells: &Bound<'_, PyArray1<Py<PyAny>>>) -> PyResult<Option<(Self, bool)>> {
        let (plain, rows) = (Plain::new(cells.py())?, cells.len());
        let (mut dimensions, mut has_nulls) = (None, false);
        for row in 0..rows {
            prefetch_rows(cells, &plain, row..rows, 0);
            let Some(cell) = cell(cells, row)? else {
                has_nulls = true;
                continue;
            };
            let Some(array) = plain.array(&cell).filter(|array| items(array).is_some()) else { return Ok(None) };
            let is_like_others = *dimensions.get_or_insert(array.ndim()) == array.ndim();
            if !is_like_others || is_too_large(array.shape()) {
                return Ok(None);
            }
        }
        Ok(dimensions.map(|dimensions| (Self { cells: cells.clone().unbind(), dimensions }, has_nulls)))
    }
}

/// A list's items.
fn item(data_type: DataType) -> Arc<Field> {
    Arc::new(Field::new("item", data_type, false))
}

impl Cells for ListCells {
    fn data_type(&self) -> DataType {
        (0..self.dimensions).fold(DataType::Float64, |values, _| DataType::LargeList(item(values)))
    }

    fn len(&self, py: Python<'_>) -> usize {
        self.cells.bind(py).len()
    }

    fn rows(&self, py: Python<'_>, rows: Range<usize>) -> PyResult<ArrayRef> {
        let (cells, plain) = (self.cells.bind(py), Plain::new(py)?);
        let mut leaves = MutableBuffer::new(0);
        // Of each dimension: where every list of its level ends.
        let mut levels = vec![vec![0_i64]; self.dimensions];
        let mut missing = Vec::new();
        // Mostly all are as long as the first.
        let mut first = 0;
        for row in rows.clone() {
            prefetch_rows(cells, &plain, row..rows.end, first);
            let Some(cell) = cell(cells, row)? else {
                missing.push(row - rows.start);
                let end = levels[0][row - rows.start];
                levels[0].push(end);
                continue;
            };
            let array = plain.array(&cell).filter(|array| array.ndim() == self.dimensions);
            let Some((array, items)) = array.and_then(|array| Some((array, items(array)?))) else {
                return Err(PyValueError::new_err("a column of arrays changed while it was read"));
            };
            leaves.extend_from_slice(items);
            let mut lists = 1;
            for (ends, length) in levels.iter_mut().zip(array.shape()) {
                for _ in 0..lists {
                    let end = ends.last().copied().unwrap_or(0);
                    ends.push(end + *length as i64);
                }
                lists *= length;
            }
            if row == rows.start {
                first = items.len();
                leaves.reserve(first.saturating_mul(rows.len()).min(MOST_RESERVED));
            }
        }
        let items = leaves.len() / size_of::<f64>();
        let mut values: ArrayRef = Arc::new(Float64Array::new(ScalarBuffer::new(Buffer::from(leaves), 0, items), None));
        for (level, ends) in levels.into_iter().enumerate().rev() {
            let nulls = if level == 0 { nulls(rows.len(), &missing) } else { None };
            let field = item(values.data_type().clone());
            let lists = LargeListArray::try_new(field, OffsetBuffer::new(ScalarBuffer::from(ends)), values, nulls);
            values = Arc::new(lists.map_err(|error| PyValueError::new_err(error.to_string()))?);
        }
        Ok(values)
    }
}
