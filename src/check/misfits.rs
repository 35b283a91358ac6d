//! What casts and limits find in one column of one batch.

use arrow_array::{Array, ArrayRef};
use arrow_buffer::NullBuffer;

use super::ValueError;

/// The first row that does not fit, and how many there are.
#[derive(Debug, Default)]
pub(crate) struct Misfits {
    pub(super) first: Option<Misfit>,
    pub(super) rows: usize,
    last: Option<usize>,
}

#[derive(Debug)]
pub(super) struct Misfit {
    pub(super) row: usize,
    pub(super) value: String,
    pub(super) error: ValueError,
}

impl Misfits {
    /// Notes a row; `describe` gives the value and the error of the first. Of a row with many faults, found one after
    /// the other, the first counts.
    pub(super) fn add(&mut self, row: usize, describe: impl FnOnce() -> (String, ValueError)) {
        if self.last.replace(row) == Some(row) {
            return;
        }
        self.rows += 1;
        if self.first.is_none() {
            let (value, error) = describe();
            self.first = Some(Misfit { row, value, error });
        }
    }
}

/// An error without a number of rows yet.
pub(super) fn misfit(why: impl Into<String>, cure: impl Into<String>) -> ValueError {
    ValueError::Misfit { why: why.into(), cure: cure.into(), rows: 0 }
}

/// The rows that hold a value.
pub(super) fn valid(array: &ArrayRef) -> impl Iterator<Item = usize> + use<> {
    let nulls: Option<NullBuffer> = array.logical_nulls().filter(|nulls| nulls.null_count() > 0);
    (0..array.len()).filter(move |row| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(*row)))
}
