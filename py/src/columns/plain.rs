//! Arrays of Python objects, and the NumPy arrays among those objects, read where they lie.
//!
//! Why it is hard: both are read by pointer, without NumPy, whose ways to an object and to an array's type and memory
//! take several times as long as copying a small array. And each array is an object, a list of its dimensions and its
//! items, at three places that nothing foretells: they are asked for some rows ahead.

use std::ops::Range;

use arrow_buffer::{BooleanBufferBuilder, NullBuffer};
use numpy::{PyArray1, PyArrayDescr, PyArrayDyn, PyArrayMethods, PyUntypedArrayMethods};
use pyo3::exceptions::PyIndexError;
use pyo3::ffi::{Py_TYPE, PyObject};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

/// Dimensions that QuestDB's arrays have.
pub(super) const MOST_DIMENSIONS: usize = 32;

/// Bytes of room that are made for items before they are known to be needed.
pub(super) const MOST_RESERVED: usize = 1 << 20;

/// Rows between asking for an array's memory and reading it; for the array itself they are twice as many.
const AHEAD: usize = 8;
/// Bytes of a cache line, of the part of an array object that is read, and of items that are asked for at most.
const LINE: usize = 64;
const OBJECT: usize = 2 * LINE;
const MOST_ITEMS: usize = 8 * LINE;

/// The object in a row, unless that is None, or nothing at all, which NumPy takes for None. It is there as long as no
/// Python runs: the array is what holds it.
#[inline]
pub(super) fn cell<'a, 'py>(
    cells: &'a Bound<'py, PyArray1<Py<PyAny>>>,
    row: usize,
) -> PyResult<Option<Borrowed<'a, 'py, PyAny>>> {
    if row >= cells.len() {
        return Err(PyIndexError::new_err("the column of arrays became shorter while it was read"));
    }
    // SAFETY: an array of one dimension has its items so many bytes apart, and there is an item `row`, as just checked.
    // They need not be aligned. Nothing changes the array meanwhile: the GIL is held, which `Bound` says.
    let object = unsafe {
        let item = cells.data().cast::<u8>().offset(cells.strides()[0] * row as isize);
        item.cast::<*mut PyObject>().read_unaligned()
    };
    // SAFETY: an item of an array of objects is one, or null, and the array holds a reference to it.
    let cell = unsafe { Borrowed::from_ptr_or_opt(cells.py(), object) };
    Ok(cell.filter(|cell| !cell.is_none()))
}

/// Asks for what the rows behind the first of these will read: so many bytes of each array's items, and its object.
#[inline]
pub(super) fn prefetch_rows(
    cells: &Bound<'_, PyArray1<Py<PyAny>>>,
    plain: &Plain<'_>,
    rows: Range<usize>,
    item_bytes: usize,
) {
    if rows.len() <= 2 * AHEAD {
        return;
    }
    if let Ok(Some(object)) = cell(cells, rows.start + 2 * AHEAD) {
        prefetch(object.as_ptr().cast(), OBJECT);
    }
    if let Ok(Some(object)) = cell(cells, rows.start + AHEAD)
        && let Some(array) = plain.class(&object)
    {
        prefetch(array.shape().as_ptr().cast(), LINE);
        prefetch(array.data().cast(), item_bytes.min(MOST_ITEMS));
    }
}

#[inline(always)]
fn prefetch(start: *const i8, bytes: usize) {
    #[cfg(target_arch = "x86_64")]
    for offset in (0..bytes).step_by(LINE) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a hint, which does nothing where there is no memory.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(start.wrapping_add(offset)) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (start, bytes);
}

/// What tells arrays that can be read as they are: of NumPy's own class, of float64 in this machine's byte order, with
/// 1 to 32 dimensions, each of a length that 32 bits tell.
#[derive(Debug)]
pub(super) struct Plain<'py> {
    class: Bound<'py, PyType>,
    double: Bound<'py, PyArrayDescr>,
}

impl<'py> Plain<'py> {
    pub(super) fn new(py: Python<'py>) -> PyResult<Self> {
        static ARRAY: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        Ok(Self { class: ARRAY.import(py, "numpy", "ndarray")?.clone(), double: numpy::dtype::<f64>(py) })
    }

    /// The cell, if it is an array of NumPy's own class, whatever its items: subclasses may mean something else, as
    /// masked arrays do.
    #[inline]
    fn class<'a>(&self, cell: &'a Bound<'py, PyAny>) -> Option<&'a Bound<'py, PyArrayDyn<f64>>> {
        // SAFETY: every object has its class at hand.
        let class = unsafe { Py_TYPE(cell.as_ptr()) };
        // SAFETY: it is of NumPy's class. Nobody reads its items before `array` has looked at their type.
        (class.cast() == self.class.as_ptr()).then(|| unsafe { cell.cast_unchecked() })
    }

    /// The cell, if it is an array that can be read as it is.
    #[inline]
    pub(super) fn array<'a>(&self, cell: &'a Bound<'py, PyAny>) -> Option<&'a Bound<'py, PyArrayDyn<f64>>> {
        let array = self.class(cell)?;
        // SAFETY: an array object has a type of its items.
        let items = unsafe { (*array.as_array_ptr()).fields.descr };
        if items.cast() != self.double.as_ptr() && cell.cast::<PyArrayDyn<f64>>().is_err() {
            // Another object may still say the same.
            return None;
        }
        let fits = array.shape().iter().all(|length| u32::try_from(*length).is_ok());
        (fits && (1..=MOST_DIMENSIONS).contains(&array.ndim())).then_some(array)
    }
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

/// `None` if no row is missing.
pub(super) fn nulls(rows: usize, missing: &[usize]) -> Option<NullBuffer> {
    if missing.is_empty() {
        return None;
    }
    let mut valid = BooleanBufferBuilder::new(rows);
    valid.append_n(rows, true);
    for row in missing {
        valid.set_bit(*row, false);
    }
    Some(NullBuffer::new(valid.finish()))
}
