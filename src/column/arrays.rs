//! Array columns: lists of floats, nested as deep as the array has dimensions.
//!
//! The cast has brought them into one form: `LargeList` at every level, `Float64` without nulls at the bottom, and no
//! row ragged. The floats of a row lie side by side, so that writing one is a header and a copy.

use std::ops::Range;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_schema::DataType;

/// An array column in the form that the cast gives it.
#[derive(Clone, Debug)]
pub(crate) struct Arrays<'a> {
    /// The offsets of each level into the next, outermost first.
    levels: Vec<&'a [i64]>,
    leaf: &'a [f64],
}

impl<'a> Arrays<'a> {
    /// `None` if the array is not in that form.
    pub(crate) fn bind(array: &'a dyn Array) -> Option<Self> {
        let mut levels = Vec::new();
        let mut level = array;
        while let DataType::LargeList(_) = level.data_type() {
            let list = level.as_list::<i64>();
            levels.push(&**list.offsets());
            level = list.values().as_ref();
        }
        let leaf = level.as_primitive_opt::<Float64Type>()?.values();
        (!levels.is_empty()).then_some(Self { levels, leaf })
    }

    pub(crate) fn dims(&self) -> usize {
        self.levels.len()
    }

    /// The floats of these rows.
    pub(crate) fn leaves(&self, rows: Range<usize>) -> Range<usize> {
        let (mut start, mut end) = (rows.start, rows.end);
        for offsets in &self.levels {
            (start, end) = (offsets[start] as usize, offsets[end] as usize);
        }
        start..end
    }

    /// The lengths of a row's dimensions, outermost first, to `lengths`.
    fn lengths(&self, row: usize, mut length: impl FnMut(usize)) {
        let mut at = Some(row);
        for offsets in &self.levels {
            let count = at.map_or(0, |at| (offsets[at + 1] - offsets[at]) as usize);
            length(count);
            at = at.filter(|_| count > 0).map(|at| offsets[at] as usize);
        }
    }

    /// Whether all lists of a row that lie at the same level are equally long; those of an empty one have no length.
    pub(crate) fn is_regular(&self, row: usize) -> bool {
        let mut range = row..row + 1;
        for offsets in &self.levels {
            let mut counts = range.clone().map(|at| offsets[at + 1] - offsets[at]);
            let first = counts.next();
            if counts.any(|count| Some(count) != first) {
                return false;
            }
            range = offsets[range.start] as usize..offsets[range.end] as usize;
        }
        true
    }

    /// Writes the lengths and floats of a row to `out[at..]` and returns the bytes written: 4 for each dimension and 8
    /// for each float.
    #[inline]
    pub(crate) fn write(&self, row: usize, out: &mut [u8], at: usize) -> usize {
        let mut p = at;
        self.lengths(row, |length| {
            out[p..p + 4].copy_from_slice(&(length as u32).to_le_bytes());
            p += 4;
        });
        let floats = &self.leaf[self.leaves(row..row + 1)];
        for (slot, float) in out[p..p + 8 * floats.len()].chunks_exact_mut(8).zip(floats) {
            slot.copy_from_slice(&float.to_le_bytes());
        }
        p + 8 * floats.len() - at
    }
}
