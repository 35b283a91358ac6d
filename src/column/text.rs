//! String columns: where the bytes of each value lie, whatever the Arrow layout.

use arrow_array::cast::AsArray;
use arrow_array::{Array, StringViewArray};
use arrow_schema::DataType;
use std::ops::Range;

use crate::fmt::escape::Escape;

/// The bytes copied at once where the source allows it; most values are shorter.
const PIECE: usize = 32;

/// A string array, borrowed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Text<'a> {
    Utf8 { offsets: &'a [i32], data: &'a [u8] },
    LargeUtf8 { offsets: &'a [i64], data: &'a [u8] },
    View(&'a StringViewArray),
}

impl<'a> Text<'a> {
    /// `None` if the array holds no strings.
    pub(crate) fn bind(array: &'a dyn Array) -> Option<Self> {
        match array.data_type() {
            DataType::Utf8 => {
                let array = array.as_string::<i32>();
                Some(Self::Utf8 { offsets: array.value_offsets(), data: array.value_data() })
            }
            DataType::LargeUtf8 => {
                let array = array.as_string::<i64>();
                Some(Self::LargeUtf8 { offsets: array.value_offsets(), data: array.value_data() })
            }
            // Values in wire form, see `Kind::Cells`.
            DataType::LargeBinary => {
                let array = array.as_binary::<i64>();
                Some(Self::LargeUtf8 { offsets: array.value_offsets(), data: array.value_data() })
            }
            DataType::Utf8View => Some(Self::View(array.as_string_view())),
            _ => None,
        }
    }

    /// The value at `row`; that of a null is unspecified.
    #[inline]
    pub(crate) fn get(&self, row: usize) -> &'a [u8] {
        let (data, range) = match self {
            Self::Utf8 { offsets, data } => (*data, offsets[row] as usize..offsets[row + 1] as usize),
            Self::LargeUtf8 { offsets, data } => (*data, offsets[row] as usize..offsets[row + 1] as usize),
            Self::View(array) => return array.value(row).as_bytes(),
        };
        &data[range]
    }

    /// The bytes of all values of these rows, nulls included.
    pub(crate) fn bytes(&self, rows: Range<usize>) -> usize {
        match self {
            Self::Utf8 { offsets, .. } => (offsets[rows.end] - offsets[rows.start]) as usize,
            Self::LargeUtf8 { offsets, .. } => (offsets[rows.end] - offsets[rows.start]) as usize,
            // The low half of a view is its length.
            Self::View(array) => array.views()[rows].iter().map(|view| *view as u32 as usize).sum(),
        }
    }

    /// Whether a value of these rows may need an escape: exact where the values lie side by side.
    pub(crate) fn may_need(&self, escape: Escape, rows: Range<usize>) -> bool {
        match self {
            Self::Utf8 { offsets, data } => {
                escape.is_needed(&data[offsets[rows.start] as usize..offsets[rows.end] as usize])
            }
            Self::LargeUtf8 { offsets, data } => {
                escape.is_needed(&data[offsets[rows.start] as usize..offsets[rows.end] as usize])
            }
            Self::View(_) => true,
        }
    }

    /// Writes the value at `row`, escaped, to `out[at..]` and returns the bytes written: at most twice its length.
    /// May touch [`PIECE`] bytes more.
    #[inline]
    pub(crate) fn write(&self, row: usize, escape: Option<Escape>, out: &mut [u8], at: usize) -> usize {
        let (data, range) = match self {
            Self::Utf8 { offsets, data } => (*data, offsets[row] as usize..offsets[row + 1] as usize),
            Self::LargeUtf8 { offsets, data } => (*data, offsets[row] as usize..offsets[row + 1] as usize),
            Self::View(array) => {
                let value = array.value(row).as_bytes();
                (value, 0..value.len())
            }
        };
        let length = range.len();
        if let Some(escape) = escape
            && escape.is_needed(&data[range.clone()])
        {
            return escape.write(&data[range], &mut out[at..]);
        }
        // One copy of fixed size beats a call of memcpy; what it copies too much, the next value overwrites.
        match data.get(range.start..range.start + PIECE) {
            Some(piece) if length <= PIECE => out[at..at + PIECE].copy_from_slice(piece),
            _ => out[at..at + length].copy_from_slice(&data[range]),
        }
        length
    }
}
