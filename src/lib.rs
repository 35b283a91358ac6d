//! Arrow record batches into QuestDB: exactly, fast, in one line.
//!
//! [`Client::write`] takes a [`RecordBatch`](arrow::array::RecordBatch), batches, or any
//! [`RecordBatchReader`](arrow::array::RecordBatchReader), plans how each column lands, checks the values, encodes
//! them column by column into pooled buffers and sends those over HTTP on a few connections at once. [`to_ilp`] gives
//! the bytes alone. With the feature `polars`, `polars::WriteQuestDb` writes a `polars::DataFrame`.
//!
//! ```no_run
//! use std::sync::Arc;
//! use questframe::arrow::array::{ArrayRef, Float64Array, RecordBatch, TimestampMicrosecondArray};
//! use questframe::{Client, WriteOptions};
//!
//! let batch = RecordBatch::try_from_iter([
//!     ("price", Arc::new(Float64Array::from(vec![2615.54])) as ArrayRef),
//!     ("ts", Arc::new(TimestampMicrosecondArray::from(vec![1_735_787_045_000_000])) as ArrayRef),
//! ])?;
//! let client = Client::from_conf("http::addr=localhost:9000;")?;
//! let report = client.write(&batch, &WriteOptions::table("trades").at("ts"))?;
//! assert_eq!(report.rows, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Arrow of another version
//!
//! [`arrow`] is what this crate takes. A reader of another major version of arrow-rs, or of any other producer, comes over the
//! C stream interface, which copies nothing:
//!
//! ```
//! # use questframe::arrow as other; // in place of another version
//! # use other::array::{Int64Array, RecordBatch, RecordBatchIterator};
//! # use std::sync::Arc;
//! # let batch = RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![1, 2])) as other::array::ArrayRef)])?;
//! # let reader = RecordBatchIterator::new([Ok(batch.clone())], batch.schema());
//! use questframe::arrow::ffi_stream::{ArrowArrayStreamReader, FFI_ArrowArrayStream};
//! use questframe::{At, WriteOptions, to_ilp};
//!
//! // `reader` and `other` are those of the other version.
//! let mut stream = other::ffi_stream::FFI_ArrowArrayStream::new(Box::new(reader));
//! // SAFETY: both structs are the `ArrowArrayStream` of the C interface; `from_raw` leaves an empty one behind.
//! let reader = unsafe { ArrowArrayStreamReader::from_raw(std::ptr::from_mut(&mut stream).cast::<FFI_ArrowArrayStream>())? };
//! let lines = to_ilp(reader, &WriteOptions::table("t").at(At::Server))?;
//! assert_eq!(lines, b"t n=1i\nt n=2i\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Data goes one way: `frontend -> plan -> check -> encode -> buffer -> transport`; `DESIGN.md` tells why.

#![forbid(unsafe_op_in_unsafe_fn)]

mod buffer;
mod check;
mod client;
mod column;
mod config;
mod encode;
mod error;
mod fmt;
mod frontend;
mod options;
mod plan;
mod report;
mod rows;
mod sender;
mod simd;
mod spool;
mod table_spec;
mod transport;

pub use check::ValueError;
#[doc(hidden)]
pub use client::Ahead;
pub use client::{Client, LineSender, plan};
pub use config::{Config, ConfigError};
#[doc(hidden)]
pub use encode::{Content, Decoded, decoded};
pub use encode::{Row, RowAt, RowBuffer, RowError};
pub use error::{Delivery, Error, ErrorKind, Problem, Result};
pub use frontend::{Batches, Frame, IntoSource, Source, ViaBatch, ViaBatches, ViaReader, ViaSlice, ViaSource};
#[doc(hidden)]
pub use frontend::{Dictionaries, NewSchema, coded, coded_batch, may_be_bare};
pub use options::{At, Create, EmptyRows, Nan, NullAt, NullBool, OnError, ProtocolVersion, Symbols, WriteOptions};
pub use plan::{Plan, PlanError, PlannedColumn};
pub use report::{ColumnReport, DrainReport, WriteReport};
pub use sender::{Flush, FlushAt, FrameTables, Progress, Resumable, to_ilp, to_ilp_writer};
pub use table_spec::TableSpec;
pub use transport::{ServerInfo, TransportError};

#[cfg(feature = "polars")]
pub use frontend::polars;

/// The parts of arrow-rs this crate takes, under the paths of the `arrow` crate of the same major version.
pub mod arrow {
    pub use arrow_array as array;
    pub use arrow_buffer as buffer;

    /// Schemas and types.
    pub mod datatypes {
        pub use arrow_array::types::*;
        pub use arrow_schema::*;
    }

    /// Arrow's error.
    pub mod error {
        pub use arrow_schema::ArrowError;
    }
    pub use arrow_array::{ffi, ffi_stream};
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
