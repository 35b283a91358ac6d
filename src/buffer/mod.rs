//! Bounded buffers: filled by the encoder, lent to the transport without a copy, returned when the transport lets go.
//!
//! The pool bounds the memory of a write whatever the frame's size; an empty pool is the back-pressure.

mod memory;
mod pool;

pub(crate) use pool::{Buffer, Home, NoMemory, Pool};
