//! What users hold, as streams of Arrow record batches. Knows nothing of QuestDB.

mod arrow;
mod coded;
#[cfg(feature = "polars")]
pub mod polars;

#[doc(hidden)]
pub use arrow::NewSchema;
pub use arrow::{Batches, Frame, IntoSource, Source, ViaBatch, ViaBatches, ViaReader, ViaSlice, ViaSource};
pub(crate) use arrow::{ask_for_next, prefetched};
pub(crate) use coded::are_same;
#[doc(hidden)]
pub use coded::{Dictionaries, coded, coded_batch, may_be_bare};
