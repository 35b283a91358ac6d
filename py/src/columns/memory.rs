//! NumPy memory as Arrow buffers, without a copy.
//!
//! Why it is delicate: NumPy's memory is read in place. `_pandas.py` hands over the address and length of arrays it
//! has made contiguous, aligned and of native byte order; each buffer keeps a reference to its array, so the memory
//! outlives the record batches. As with every reader of NumPy memory, another thread must not write to it meanwhile.

use std::ptr::NonNull;
use std::sync::Arc;

use arrow_array::{ArrayRef, make_array};
use arrow_buffer::{BooleanBuffer, Buffer, MutableBuffer, NullBuffer};
use arrow_data::ArrayData;
use arrow_schema::DataType;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// Keeps a NumPy array alive while its memory is in use.
struct Owner(#[expect(dead_code, reason = "held, never read")] Py<PyAny>);

impl std::panic::RefUnwindSafe for Owner {}

/// A contiguous, aligned NumPy buffer of native byte order: address, items, bytes of an item, and the array itself.
#[derive(FromPyObject)]
pub(crate) struct Memory(usize, usize, usize, Py<PyAny>);

impl Memory {
    pub(super) fn items(&self) -> usize {
        self.1
    }

    pub(super) fn into_buffer(self) -> PyResult<Buffer> {
        let Self(address, items, item_size, owner) = self;
        let bytes = items
            .checked_mul(item_size)
            .ok_or_else(|| PyValueError::new_err("an array larger than the address space"))?;
        let Some(address) = NonNull::new(address as *mut u8).filter(|_| bytes > 0) else {
            // Empty, and aligned for any type.
            return Ok(MutableBuffer::new(0).into());
        };
        // SAFETY: `_pandas.py` took address and length from `__array_interface__` of `owner`, a C-contiguous array of
        // `items` items, and the buffer holds a reference to it for as long as it lives. arrow only reads it.
        Ok(unsafe { Buffer::from_custom_allocation(address, bytes, Arc::new(Owner(owner))) })
    }
}

/// A mask of NumPy booleans, true where the value is missing, as validity.
pub(super) fn validity(mask: Option<Memory>) -> PyResult<Option<NullBuffer>> {
    let Some(mask) = mask else { return Ok(None) };
    let missing = mask.into_buffer()?;
    let nulls = NullBuffer::new(BooleanBuffer::collect_bool(missing.len(), |row| missing[row] == 0));
    Ok((nulls.null_count() > 0).then_some(nulls))
}

pub(super) fn primitive(
    data_type: DataType,
    items: usize,
    values: Buffer,
    nulls: Option<NullBuffer>,
) -> PyResult<ArrayRef> {
    let data = ArrayData::builder(data_type).len(items).add_buffer(values).nulls(nulls).build();
    Ok(make_array(data.map_err(|error| PyValueError::new_err(error.to_string()))?))
}
