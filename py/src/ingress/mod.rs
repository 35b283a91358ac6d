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

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<buffer::Buffer>()?;
    module.add_class::<instants::TimestampNanos>()?;
    module.add_class::<instants::TimestampMicros>()?;
    module.add_class::<sender::RowSender>()
}
