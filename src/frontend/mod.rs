//! What users hold, as streams of Arrow record batches. Knows nothing of QuestDB.

mod arrow;
#[cfg(feature = "polars")]
pub mod polars;

pub use arrow::{Batches, Frame, IntoSource, Source, ViaBatch, ViaBatches, ViaReader, ViaSource};
