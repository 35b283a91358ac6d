//! What `questframe.ingress` is made of: buffers and senders that write row by row, as the official client does.
//!
//! `row()` is called once for each row, so it is compiled; what is called once in a sender's life is Python
//! (`questframe/ingress/`).

mod buffer;
mod errors;
mod guarded;
mod instants;
mod items;
mod sender;
mod values;

use pyo3::prelude::*;
use pyo3::types::PyString;
use questframe::RowBuffer;

/// Raises what is wrong with a name, but for its length.
#[pyfunction]
fn check_name(name: &Bound<'_, PyString>, is_table: bool) -> PyResult<()> {
    let text = errors::text(name)?;
    let checked = if is_table { RowBuffer::check_table_name(text) } else { RowBuffer::check_column_name(text) };
    checked.map_err(|error| errors::of_row(name.py(), &error))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<buffer::Buffer>()?;
    module.add_class::<instants::TimestampNanos>()?;
    module.add_class::<instants::TimestampMicros>()?;
    module.add_class::<sender::RowSender>()?;
    module.add_function(wrap_pyfunction!(check_name, module)?)
}
