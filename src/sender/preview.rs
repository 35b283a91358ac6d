//! A look at what is to be written before a table is made for it.

use arrow_array::{RecordBatch, RecordBatchReader};
use arrow_schema::{ArrowError, SchemaRef};

use crate::check;
use crate::error::Result;
use crate::frontend::Source;
use crate::plan::Plan;

/// Checks a frame whole, or the first batch of a stream, and tells whether there are rows at all.
///
/// # Errors
/// Everything that is wrong with the values that were looked at.
pub(crate) fn preview<'a>(plan: &Plan, source: Source<'a>) -> Result<(Source<'a>, bool)> {
    match source {
        Source::Frame(frame) => {
            check::frame(plan, &*frame)?;
            let has_rows = frame.rows() > 0;
            Ok((Source::Frame(frame), has_rows))
        }
        Source::Stream(mut reader) => {
            let first = reader.next();
            if let Some(Ok(batch)) = &first {
                check::batch(plan, batch, 0)?;
            }
            // An unreadable first batch is told where all others are read.
            let has_rows = matches!(&first, Some(Ok(_)));
            Ok((Source::Stream(Box::new(Chained { first, reader })), has_rows))
        }
    }
}

/// A stream whose first batch has been taken out.
struct Chained<'a> {
    first: Option<Result<RecordBatch, ArrowError>>,
    reader: Box<dyn RecordBatchReader + 'a>,
}

impl Iterator for Chained<'_> {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.first.take().or_else(|| self.reader.next())
    }
}

impl RecordBatchReader for Chained<'_> {
    fn schema(&self) -> SchemaRef {
        self.reader.schema()
    }
}
