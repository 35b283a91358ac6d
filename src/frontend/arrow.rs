//! Record batches, readers, and frames that can be read more than once.

use std::fmt;
use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchReader};
use arrow_schema::{ArrowError, FieldRef, Schema, SchemaRef};

use super::coded::Dictionaries;
use crate::simd::prefetch_value;

/// The batches of a frame, one after the other.
pub type Batches<'a> = Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>> + 'a>;

/// A frame that can be read more than once, so that it is checked whole before its first row is sent.
pub trait Frame {
    /// The schema of all batches. A field that is not nullable here must hold no null.
    fn schema(&self) -> SchemaRef;

    /// The number of rows.
    fn rows(&self) -> u64;

    /// Reads the frame from its start, in these columns only, in this order; `None` means all.
    fn batches(&self, columns: Option<&[usize]>) -> Batches<'_>;

    /// All batches, if they are in memory: then they are borrowed for checks and encoding, and not asked of
    /// [`batches`](Self::batches), since many small ones feel what it costs to count the references to their columns.
    fn in_memory(&self) -> Option<&[RecordBatch]> {
        None
    }

    /// What the codes of some columns stand for, which are dictionaries by the schema; `None` if there are none.
    #[doc(hidden)]
    fn dictionaries(&self) -> Option<Arc<Dictionaries>> {
        None
    }

    /// As all of [`batches`](Self::batches), but columns of [`dictionaries`](Self::dictionaries) may be the codes alone,
    /// which nobody has looked at: the encoder does, and another walk over them took a twelfth of the time to encode ten
    /// symbols and ten numbers a row.
    #[doc(hidden)]
    fn coded_batches(&self) -> Batches<'_> {
        self.batches(None)
    }
}

/// Where a write takes its rows from. May be handed to another thread, as a failed write of a stream may be gone on with there.
pub enum Source<'a> {
    /// Can be read again.
    Frame(Box<dyn Frame + Send + 'a>),
    /// Can be read once: checked and sent batch by batch.
    Stream(Box<dyn RecordBatchReader + Send + 'a>),
}

impl Source<'_> {
    /// The schema of its batches.
    pub fn schema(&self) -> SchemaRef {
        match self {
            Self::Frame(frame) => frame.schema(),
            Self::Stream(reader) => reader.schema(),
        }
    }

    /// The number of rows, if that is known beforehand.
    pub fn rows(&self) -> Option<u64> {
        match self {
            Self::Frame(frame) => Some(frame.rows()),
            Self::Stream(_) => None,
        }
    }
}

/// What a stream gives in place of a batch where it goes on under another schema, which its `schema()` is from then on:
/// columns of missing values alone, whose type nobody knew, have got one. All others are what they were.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the stream goes on under another schema")]
pub struct NewSchema;

impl NewSchema {
    /// As a stream gives it.
    pub fn error() -> ArrowError {
        ArrowError::ExternalError(Box::new(Self))
    }

    /// Whether a stream has said so.
    pub(crate) fn is_said_by(error: &ArrowError) -> bool {
        matches!(error, ArrowError::ExternalError(source) if source.is::<Self>())
    }
}

impl fmt::Debug for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame(frame) => f.debug_struct("Frame").field("rows", &frame.rows()).finish_non_exhaustive(),
            Self::Stream(_) => f.debug_struct("Stream").finish_non_exhaustive(),
        }
    }
}

/// What can be written: `&RecordBatch`, `&[RecordBatch]`, `Vec<RecordBatch>`, any `RecordBatchReader`, or a [`Source`].
///
/// `Via` only tells the implementations apart; it is always inferred.
///
/// ```
/// # use std::sync::Arc;
/// # use questframe::arrow::array::{ArrayRef, Int64Array, RecordBatch};
/// # use questframe::{At, WriteOptions, to_ilp};
/// let batch = RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![1])) as ArrayRef)])?;
/// let options = WriteOptions::table("t").at(At::Server);
/// let batches = vec![batch.clone(), batch];
/// assert_eq!(to_ilp(batches.as_slice(), &options)?, b"t n=1i\nt n=1i\n"); // stay with the caller
/// assert_eq!(to_ilp(batches, &options)?, b"t n=1i\nt n=1i\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait IntoSource<'a, Via> {
    /// The rows to write.
    fn into_source(self) -> Source<'a>;
}

/// Marks `&RecordBatch` in [`IntoSource`].
#[derive(Clone, Copy, Debug)]
pub struct ViaBatch;
/// Marks `Vec<RecordBatch>` in [`IntoSource`].
#[derive(Clone, Copy, Debug)]
pub struct ViaBatches;
/// Marks `&[RecordBatch]` in [`IntoSource`].
#[derive(Clone, Copy, Debug)]
pub struct ViaSlice;
/// Marks readers in [`IntoSource`].
#[derive(Clone, Copy, Debug)]
pub struct ViaReader;
/// Marks [`Source`] itself in [`IntoSource`].
#[derive(Clone, Copy, Debug)]
pub struct ViaSource;

impl<'a> IntoSource<'a, ViaBatch> for &RecordBatch {
    fn into_source(self) -> Source<'a> {
        Source::Frame(Box::new(Whole { schema: self.schema(), batches: vec![self.clone()] }))
    }
}

impl<'a> IntoSource<'a, ViaBatches> for Vec<RecordBatch> {
    fn into_source(self) -> Source<'a> {
        Source::Frame(Box::new(Whole { schema: schema_of(&self), batches: self }))
    }
}

impl<'a> IntoSource<'a, ViaSlice> for &'a [RecordBatch] {
    fn into_source(self) -> Source<'a> {
        Source::Frame(Box::new(Whole { schema: schema_of(self), batches: self }))
    }
}

/// That of the first batch, with columns that may be null where they may be in any batch; without one, of nothing.
fn schema_of(batches: &[RecordBatch]) -> SchemaRef {
    let Some(first) = batches.first().map(RecordBatch::schema) else { return Schema::empty().into() };
    let others = || batches.iter().map(RecordBatch::schema_ref).filter(|other| !Arc::ptr_eq(other, &first));
    let is_widened = |place: usize, field: &FieldRef| {
        !field.is_nullable() && others().any(|other| other.fields().get(place).is_some_and(|field| field.is_nullable()))
    };
    let fields = first.fields().iter().enumerate();
    let widened: Vec<_> = fields.map(|(place, field)| is_widened(place, field)).collect();
    if !widened.contains(&true) {
        return first;
    }
    let fields = first.fields().iter().zip(widened).map(|(field, is_widened)| match is_widened {
        true => Arc::new(field.as_ref().clone().with_nullable(true)),
        false => Arc::clone(field),
    });
    Schema::new_with_metadata(fields.collect::<Vec<_>>(), first.metadata().clone()).into()
}

impl<'a, R: RecordBatchReader + Send + 'a> IntoSource<'a, ViaReader> for R {
    fn into_source(self) -> Source<'a> {
        Source::Stream(Box::new(self))
    }
}

impl<'a> IntoSource<'a, ViaSource> for Source<'a> {
    fn into_source(self) -> Source<'a> {
        self
    }
}

/// Batches in memory, the caller's or our own.
struct Whole<B> {
    schema: SchemaRef,
    batches: B,
}

impl<B: AsRef<[RecordBatch]>> Frame for Whole<B> {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn rows(&self) -> u64 {
        self.batches.as_ref().iter().map(|batch| batch.num_rows() as u64).sum()
    }

    fn batches(&self, columns: Option<&[usize]>) -> Batches<'_> {
        let columns = columns.map(<[usize]>::to_vec);
        Box::new(self.batches.as_ref().iter().map(move |batch| match &columns {
            None => Ok(batch.clone()),
            Some(columns) => batch.project(columns),
        }))
    }

    fn in_memory(&self) -> Option<&[RecordBatch]> {
        Some(self.batches.as_ref())
    }
}

/// Batches whose arrays (of these columns) are asked for before their turn, as [`ask_for_next`] does.
pub(crate) fn prefetched<'a>(
    batches: &'a [RecordBatch],
    columns: &'a [usize],
) -> impl Iterator<Item = &'a RecordBatch> {
    batches.iter().enumerate().map(move |(place, batch)| {
        ask_for_next(&batches[place + 1..], Some(columns));
        batch
    })
}

/// Asks for the arrays (of these columns; `None`: of all) of the first batch, and for the list of the second: each lies
/// somewhere else, and a small batch has been written before the next one is there.
pub(crate) fn ask_for_next(batches: &[RecordBatch], columns: Option<&[usize]>) {
    if let Some(later) = batches.get(1) {
        prefetch_value(later.columns());
    }
    let next = batches.first().map(RecordBatch::columns).unwrap_or_default();
    match columns {
        None => next.iter().for_each(|column| prefetch_value(&**column)),
        Some(columns) => {
            columns.iter().filter_map(|column| next.get(*column)).for_each(|column| prefetch_value(&**column))
        }
    }
}
