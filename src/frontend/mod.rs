//! What users hold, as streams of Arrow record batches. Knows nothing of QuestDB.

mod arrow;
mod coded;
#[cfg(feature = "polars")]
pub mod polars;

pub(crate) use arrow::prefetched;
pub use arrow::{Batches, Frame, IntoSource, Source, ViaBatch, ViaBatches, ViaReader, ViaSlice, ViaSource};
#[doc(hidden)]
pub use coded::{Dictionaries, coded, coded_batch, may_be_bare};
