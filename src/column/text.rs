//! String columns: where the bytes of each value lie, whatever the Arrow layout.

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_buffer::Buffer;
use arrow_schema::DataType;
use std::hint::select_unpredictable;
use std::ops::Range;

use crate::fmt::escape::{Escape, Escaper, PIECE};
use crate::simd::prefetch_line;

/// How many bytes ahead of a value those that may follow it are asked for.
const AHEAD: usize = 1024;

/// The most bytes of a value that is in its view, behind the length.
const INLINE: usize = 12;

/// A string array, borrowed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Text<'a> {
    Utf8 {
        offsets: &'a [i32],
        data: &'a [u8],
    },
    LargeUtf8 {
        offsets: &'a [i64],
        data: &'a [u8],
    },
    /// The views, the same as bytes, and where the values lie that are too long for them.
    View {
        views: &'a [u128],
        inline: &'a [u8],
        buffers: &'a [Buffer],
    },
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
            DataType::Utf8View => {
                let array = array.as_string_view();
                let views = array.views();
                Some(Self::View { views, inline: views.inner(), buffers: array.data_buffers() })
            }
            _ => None,
        }
    }

    /// The value at `row`; that of a null is unspecified.
    #[inline]
    pub(crate) fn get(&self, row: usize) -> &'a [u8] {
        let (data, range) = self.locate(row);
        &data[range]
    }

    /// What the value at `row` lies in, and where.
    #[inline(always)]
    fn locate(&self, row: usize) -> (&'a [u8], Range<usize>) {
        match self {
            Self::Utf8 { offsets, data } => (data, offsets[row] as usize..offsets[row + 1] as usize),
            Self::LargeUtf8 { offsets, data } => (data, offsets[row] as usize..offsets[row + 1] as usize),
            Self::View { views, inline, buffers } => {
                // Length, first bytes, buffer and offset, of 32 bits each; or the length, and behind it the value. Which
                // of the two is not to be foreseen, so there is no branch.
                let view = views[row];
                let length = view as u32 as usize;
                let is_inline = length <= INLINE;
                let buffer = select_unpredictable(is_inline, 0, (view >> 64) as u32 as usize);
                let behind = if buffers.is_empty() { &[] } else { buffers[buffer].as_slice() };
                let here = row * size_of::<u128>() + size_of::<u32>();
                let data: &[u8] = select_unpredictable(is_inline, inline, behind);
                let start = select_unpredictable(is_inline, here, (view >> 96) as usize);
                (data, start..start + length)
            }
        }
    }

    /// The memory of what says where the values of these rows are, and the bytes of a row.
    pub(crate) fn memory(&self, rows: Range<usize>) -> (&'a [u8], usize) {
        match self {
            Self::Utf8 { offsets, .. } => super::bytes(&offsets[rows]),
            Self::LargeUtf8 { offsets, .. } => super::bytes(&offsets[rows]),
            Self::View { inline, .. } => {
                const VIEW: usize = size_of::<u128>();
                (&inline[rows.start * VIEW..rows.end * VIEW], VIEW)
            }
        }
    }

    /// The bytes of all values of these rows, nulls included.
    pub(crate) fn bytes(&self, rows: Range<usize>) -> usize {
        match self {
            Self::Utf8 { offsets, .. } => (offsets[rows.end] - offsets[rows.start]) as usize,
            Self::LargeUtf8 { offsets, .. } => (offsets[rows.end] - offsets[rows.start]) as usize,
            Self::View { views, .. } => views[rows].iter().map(|view| *view as u32 as usize).sum(),
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
            Self::View { .. } => true,
        }
    }

    /// Writes the value at `row`, escaped, to `out[at..]` and returns the bytes written: at most twice its length.
    /// May touch twice [`PIECE`] bytes more.
    #[inline(always)]
    pub(crate) fn write(
        &self,
        row: usize,
        escape: Option<Escape>,
        escaper: impl Escaper,
        out: &mut [u8],
        at: usize,
    ) -> usize {
        let (data, range) = self.locate(row);
        let length = range.len();
        prefetch_line(data.as_ptr().wrapping_add(range.start + AHEAD));
        let piece = data.get(range.start..range.start + PIECE).and_then(<[u8]>::first_chunk);
        match (piece, out[at..].first_chunk_mut()) {
            (Some(piece), Some(out)) if length <= PIECE => match escape {
                Some(escape) => escaper.write(escape, piece, length, out),
                None => {
                    // One copy of fixed size beats a call of memcpy; what it copies too much, the next value overwrites.
                    out[..PIECE].copy_from_slice(piece);
                    length
                }
            },
            _ => write_long(&data[range], escape, out, at),
        }
    }
}

#[inline(never)]
fn write_long(text: &[u8], escape: Option<Escape>, out: &mut [u8], at: usize) -> usize {
    if let Some(escape) = escape
        && escape.is_needed(text)
    {
        return escape.write(text, &mut out[at..]);
    }
    out[at..at + text.len()].copy_from_slice(text);
    text.len()
}
