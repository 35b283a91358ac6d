//! NumPy arrays in a column of Python objects, in wire form, for the drop-in.
//!
//! They are small and many, each in memory of its own, so that a copy of all of them would cost as much as encoding
//! does. They are read some rows at a time instead, while the frame is encoded, and the copy never leaves the cache.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{ArrayRef, LargeBinaryArray};
use arrow_buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::DataType;
use numpy::{PyArray1, PyArrayDyn, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::frame::Cells;
use super::plain::{MOST_RESERVED, Plain, cell, items, nulls, prefetch_rows};

/// What stands before an array's dimensions: `=`, and the types of a value in binary and of its items.
const HEAD: [u8; 3] = *b"=\x0e\n";

/// The cells of a column: None, arrays, and other objects that `_frame_cells.py` takes for missing or for arrays.
#[derive(Debug)]
pub(super) struct ArrayCells(Py<PyArray1<Py<PyAny>>>);

impl ArrayCells {
    pub(super) fn new(cells: &Bound<'_, PyArray1<Py<PyAny>>>) -> Self {
        Self(cells.clone().unbind())
    }
}

impl Cells for ArrayCells {
    fn data_type(&self) -> DataType {
        DataType::LargeBinary
    }

    fn len(&self, py: Python<'_>) -> usize {
        self.0.bind(py).len()
    }

    /// Some rows, as they stand on the wire behind their name.
    fn rows(&self, py: Python<'_>, rows: Range<usize>) -> PyResult<ArrayRef> {
        let (cells, plain) = (self.0.bind(py), Plain::new(py)?);
        let mut bytes: Vec<u8> = Vec::new();
        let mut offsets = Vec::with_capacity(rows.len() + 1);
        let mut missing = Vec::new();
        // Mostly all are as long as the first.
        let mut first = 0;
        offsets.push(0);
        for row in rows.clone() {
            prefetch_rows(cells, &plain, row..rows.end, first);
            let is_there = match cell(cells, row)? {
                None => false,
                Some(cell) if plain.array(&cell).is_some_and(|array| append(array, &mut bytes)) => true,
                // Owned: what runs in Python may put something else into its place.
                Some(cell) => append_other(&cell.to_owned(), &mut bytes)?,
            };
            if !is_there {
                missing.push(row - rows.start);
            }
            if row == rows.start {
                first = bytes.len();
                bytes.reserve(first.saturating_mul(rows.len()).min(MOST_RESERVED));
            }
            offsets.push(bytes.len() as i64);
        }
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        Ok(Arc::new(LargeBinaryArray::new(offsets, Buffer::from_vec(bytes), nulls(rows.len(), &missing))))
    }
}

/// Whether all cells are None or arrays that need no other look, see [`Plain`].
#[pyfunction]
pub(crate) fn are_arrays(cells: &Bound<'_, PyArray1<Py<PyAny>>>) -> PyResult<bool> {
    let (plain, rows) = (Plain::new(cells.py())?, cells.len());
    for row in 0..rows {
        prefetch_rows(cells, &plain, row..rows, 0);
        if cell(cells, row)?.is_some_and(|cell| plain.array(&cell).is_none()) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Appends an array; false, and nothing, if its items do not lie one behind the other, which is NumPy's business: the
/// steps between them may be any number of bytes, as in a field of a structured array.
fn append(array: &Bound<'_, PyArrayDyn<f64>>, bytes: &mut Vec<u8>) -> bool {
    let Some(items) = items(array) else { return false };
    bytes.extend_from_slice(&HEAD);
    // At most 32, and each length fits 32 bits: `plain` has looked.
    bytes.push(array.ndim() as u8);
    for length in array.shape() {
        bytes.extend_from_slice(&(*length as u32).to_le_bytes());
    }
    bytes.extend_from_slice(items);
    true
}

/// Appends what Python makes of the cell; false if it is missing.
fn append_other(cell: &Bound<'_, PyAny>, bytes: &mut Vec<u8>) -> PyResult<bool> {
    let module = cell.py().import("questframe.ingress._frame_cells")?;
    let made: Option<Bound<'_, PyBytes>> = module.getattr("array_or_none")?.call1((cell,))?.extract()?;
    if let Some(made) = &made {
        bytes.extend_from_slice(made.as_bytes());
    }
    Ok(made.is_some())
}
