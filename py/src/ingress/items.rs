//! The items of a dictionary. pyo3's iterator panics if a value's own code changes the dictionary meanwhile.

use std::ptr::null_mut;

use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Calls `each` with every key and its value.
///
/// # Errors
/// What `each` returns; `RuntimeError` if there are more items in the end than at the beginning.
pub(super) fn for_each<'py>(
    dict: &Bound<'py, PyDict>,
    mut each: impl FnMut(&Bound<'py, PyAny>, &Bound<'py, PyAny>) -> PyResult<()>,
) -> PyResult<()> {
    let py = dict.py();
    let (mut place, mut key, mut value) = (0, null_mut(), null_mut());
    let mut left = dict.len();
    // SAFETY: `dict` is a dictionary and alive, and the pointers are to places of this function. The GIL is held, so
    // nobody else works on it meanwhile; CPython allows for changes between calls.
    while unsafe { ffi::PyDict_Next(dict.as_ptr(), &raw mut place, &raw mut key, &raw mut value) } != 0 {
        if left == 0 {
            return Err(PyRuntimeError::new_err("dictionary changed size during iteration"));
        }
        left -= 1;
        // SAFETY: the call succeeded, so both are objects that the dictionary holds, and nothing has run since.
        let (key, value) = unsafe { (Bound::from_borrowed_ptr(py, key), Bound::from_borrowed_ptr(py, value)) };
        each(&key, &value)?;
    }
    Ok(())
}
