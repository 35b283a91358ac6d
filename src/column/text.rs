//! String columns: where the bytes of each value lie, whatever the Arrow layout.

use arrow_array::cast::AsArray;
use arrow_array::{Array, StringViewArray};
use arrow_data::{ByteView, MAX_INLINE_VIEW_LEN};
use arrow_schema::DataType;
use std::ops::Range;

use crate::fmt::escape::{Escape, PIECE};

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
                let view = array.views()[row];
                let length = view as u32;
                if length <= MAX_INLINE_VIEW_LEN {
                    // The text stands in the view itself.
                    let mut piece = [0; PIECE];
                    piece[..16].copy_from_slice(&(view >> 32).to_le_bytes());
                    return write_piece(&piece, length as usize, escape, out, at);
                }
                let view = ByteView::from(view);
                let start = view.offset as usize;
                let data: &[u8] = &array.data_buffers()[view.buffer_index as usize];
                (data, start..start + length as usize)
            }
        };
        let length = range.len();
        match data.get(range.start..range.start + PIECE).and_then(|piece| piece.first_chunk()) {
            Some(piece) if length <= PIECE => write_piece(piece, length, escape, out, at),
            _ => write_long(&data[range], escape, out, at),
        }
    }
}

/// Writes the first `length` bytes of a piece. One copy of fixed size beats a call of memcpy; what it copies too much, the
/// next value overwrites.
#[inline(always)]
fn write_piece(piece: &[u8; PIECE], length: usize, escape: Option<Escape>, out: &mut [u8], at: usize) -> usize {
    out[at..at + PIECE].copy_from_slice(piece);
    match escape {
        Some(escape) => {
            let places = escape.places(piece) & (((1_u64 << length) - 1) as u32);
            if places == 0 { length } else { write_escaped(piece, length, places, out, at) }
        }
        None => length,
    }
}

/// The same with a backslash before each of these places, of which there is at least one.
#[inline(never)]
fn write_escaped(piece: &[u8; PIECE], length: usize, mut places: u32, out: &mut [u8], at: usize) -> usize {
    let mut source = [0; 2 * PIECE];
    source[..PIECE].copy_from_slice(piece);
    let mut added = 0;
    while places != 0 {
        let place = places.trailing_zeros() as usize;
        out[at + place + added] = b'\\';
        added += 1;
        // What follows, again as much as fits.
        out[at + place + added..at + place + added + PIECE].copy_from_slice(&source[place..place + PIECE]);
        places &= places - 1;
    }
    length + added
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
