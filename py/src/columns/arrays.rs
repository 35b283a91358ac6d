//! NumPy arrays in a column of Python objects, in wire form, for the drop-in.
//!
//! They are small and many, each in memory of its own, so that a copy of all of them would cost as much as encoding
//! does. They are read some rows at a time instead, while the frame is encoded, and the copy never leaves the cache.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{ArrayRef, LargeBinaryArray};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use numpy::{PyArrayDyn, PyArrayMethods, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyList, PyType};

/// Dimensions that QuestDB's arrays have.
pub(super) const MOST_DIMENSIONS: usize = 32;
/// What stands before an array's dimensions: `=`, and the types of a value in binary and of its items.
const HEAD: [u8; 3] = *b"=\x0e\n";

/// Room that is made before it is known to be needed.
const MOST_RESERVED: usize = 1 << 20;

/// The cells of a column: None, arrays, and other objects that `_frame_cells.py` takes for missing or for arrays.
#[derive(Debug)]
pub(super) struct ArrayCells(Py<PyList>);

impl ArrayCells {
    pub(super) fn new(cells: &Bound<'_, PyList>) -> Self {
        Self(cells.clone().unbind())
    }

    pub(super) fn len(&self, py: Python<'_>) -> usize {
        self.0.bind(py).len()
    }

    /// Some rows, as they stand on the wire behind their name.
    pub(super) fn rows(&self, py: Python<'_>, rows: Range<usize>) -> PyResult<ArrayRef> {
        let cells = self.0.bind(py);
        let mut bytes: Vec<u8> = Vec::new();
        let mut offsets = Vec::with_capacity(rows.len() + 1);
        let mut valid = Vec::with_capacity(rows.len());
        offsets.push(0);
        let first = rows.start;
        for row in rows.clone() {
            let cell = cells.get_item(row)?;
            let is_there = match plain(&cell)? {
                Some(array) if append(array, &mut bytes) => true,
                None if cell.is_none() => false,
                _ => append_other(&cell, &mut bytes)?,
            };
            if row == first {
                // Mostly the others are as long.
                bytes.reserve(bytes.len().saturating_mul(rows.len()).min(MOST_RESERVED));
            }
            valid.push(is_there);
            offsets.push(bytes.len() as i64);
        }
        let nulls = Some(NullBuffer::from(valid)).filter(|nulls| nulls.null_count() > 0);
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        Ok(Arc::new(LargeBinaryArray::new(offsets, Buffer::from_vec(bytes), nulls)))
    }
}

/// Whether all cells are None or arrays that need no other look: of NumPy's own class, of float64 in this machine's byte
/// order, with 1 to 32 dimensions.
#[pyfunction]
pub(crate) fn are_arrays(cells: &Bound<'_, PyList>) -> PyResult<bool> {
    for cell in cells {
        if !cell.is_none() && plain(&cell)?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The cell as an array as [`are_arrays`] wants it.
pub(super) fn plain<'a, 'py>(cell: &'a Bound<'py, PyAny>) -> PyResult<Option<&'a Bound<'py, PyArrayDyn<f64>>>> {
    static ARRAY: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    // Subclasses may mean something else, as masked arrays do.
    if !cell.get_type().is(ARRAY.import(cell.py(), "numpy", "ndarray")?) {
        return Ok(None);
    }
    let array = cell.cast::<PyArrayDyn<f64>>().ok();
    Ok(array.filter(|array| {
        (1..=MOST_DIMENSIONS).contains(&array.ndim())
            && array.shape().iter().all(|length| u32::try_from(*length).is_ok())
    }))
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

/// The memory of an array, if it is in C order and on this machine as on the wire.
pub(super) fn items<'a>(array: &'a Bound<'_, PyArrayDyn<f64>>) -> Option<&'a [u8]> {
    if array.len() == 0 {
        return Some(&[]);
    }
    if !array.is_c_contiguous() || cfg!(target_endian = "big") {
        return None;
    }
    // SAFETY: the memory of an array in C order, which holds `len` times 8 bytes; read as bytes, since it need not be
    // aligned. `array` keeps it alive, and nothing resizes it while the GIL is held, which `Bound` says. As with every
    // reader of NumPy memory, another thread must not write to it meanwhile.
    Some(unsafe { std::slice::from_raw_parts(array.data().cast(), array.len() * size_of::<f64>()) })
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
