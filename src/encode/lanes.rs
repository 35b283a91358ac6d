//! Lanes: what a block has of one column, and how the row loop writes a row's part of it.

use super::cells::{Cells, Width};
use super::codes::Codes;
use super::program::{KEY, Maybe, PIECE, Program};
use super::slots::Slots;
use super::store::{copy, get, pieces, room};
use crate::column::Text;
use crate::fmt::SLOT;
use crate::fmt::escape::{Escape, Escaper};
use crate::simd::prefetch_line;

/// Bytes of the narrowest cells.
pub(super) const NARROW_CELL: usize = 32;

/// Bytes of the widest cells in segments.
pub(super) const CELL: usize = 64;

/// One column's cells: the row's code tells which.
#[derive(Clone, Copy, Debug)]
pub(super) struct CellLane<'a> {
    pub(super) codes: &'a [u32],
    /// Or a byte for each, and then no `codes`; only where lines are written panel by panel.
    pub(super) bytes: &'a [u8],
    /// The length of each row's cell, if it is known to be the same.
    pub(super) same: Option<u8>,
    /// Padded cells with their lengths, as [`Cells::text`].
    pub(super) text: &'a [u8],
    pub(super) width: usize,
    /// No cell is longer.
    pub(super) longest: u8,
    /// Whether the cells leave the caches before they come again.
    pub(super) is_large: bool,
}

/// Bytes of cells that stay in the caches, about.
const LARGE: usize = 16 << 10;

impl<'a> CellLane<'a> {
    /// The cells of `rows` rows, if they are of one width.
    ///
    /// # Panics
    /// If a row has no code, its code no cell, or a cell not its room: our bug.
    #[inline(always)]
    pub(super) fn new(codes: &'a Codes, cells: &'a Cells, rows: usize) -> Option<Self> {
        let Width::Fixed(width) = cells.width() else { return None };
        let text = cells.text();
        assert!((codes.most() as usize) < cells.count(), "a code without a cell");
        assert!(text.len() >= cells.count() * width && cells.most() < width, "a cell without its room");
        let is_large = cells.spread() > LARGE;
        // A cell is shorter than its width, which a byte holds.
        let longest = cells.most() as u8;
        let same = cells.length(codes).map(|length| length as u8);
        Some(match codes.bytes() {
            [] => Self { codes: full(codes.all(), rows), bytes: &[], same, text, width, longest, is_large },
            bytes => Self { codes: &[], bytes: full(bytes, rows), same, text, width, longest, is_large: false },
        })
    }

    /// Asks for the cell of row `i`, to be written soon.
    ///
    /// # Safety
    /// `i` is less than the rows of the lane.
    #[inline(always)]
    pub(super) unsafe fn prefetch(&self, i: usize) {
        // SAFETY: promised by the caller.
        let code = unsafe { get(self.codes, i) } as usize;
        prefetch_line(self.text.as_ptr().wrapping_add(code.wrapping_mul(self.width)));
    }

    /// The code of row `i`, however the lane has it.
    ///
    /// # Safety
    /// `i` is less than the rows of the lane.
    #[inline(always)]
    unsafe fn code(&self, i: usize) -> usize {
        if self.bytes.is_empty() {
            // SAFETY: promised by the caller.
            unsafe { get(self.codes, i) as usize }
        } else {
            // SAFETY: promised by the caller.
            unsafe { get(self.bytes, i) as usize }
        }
    }

    /// The length of the cell of row `i`; `width` is the lane's own, where the compiler may know it.
    ///
    /// # Safety
    /// `i` is less than the rows of the lane, whose cells are that wide.
    #[inline(always)]
    pub(super) unsafe fn length(&self, i: usize, width: usize) -> u32 {
        // SAFETY: promised by the caller.
        let code = unsafe { self.code(i) };
        // SAFETY: every code has a cell, whose last byte is its length.
        u32::from(unsafe { get(self.text, code * width + width - 1) })
    }

    /// Whether it can be part of a segment.
    pub(super) fn fits(&self) -> bool {
        self.width <= CELL
    }

    /// Writes the cell of row `i`, padded to `N` bytes, to `out[at..]` and returns its length.
    ///
    /// # Safety
    /// `i` is less than the rows of the lane, which has `codes`, its cells are `N` bytes wide, and `out` has room for as
    /// many.
    #[inline(always)]
    pub(super) unsafe fn write<const N: usize>(&self, i: usize, out: &mut [u8], at: usize) -> usize {
        // SAFETY: promised by the caller.
        let code = unsafe { get(self.codes, i) } as usize;
        // SAFETY: promised by the caller; every code has a cell.
        unsafe { self.write_code::<N>(code, out, at) }
    }

    /// As [`write`](Self::write), however the lane has its codes; `IS_BYTES` if they are bytes.
    ///
    /// # Safety
    /// `i` is less than the rows of the lane, which has `bytes` if `IS_BYTES`, its cells are `N` bytes wide, and `out` has
    /// room for as many.
    #[inline(always)]
    pub(super) unsafe fn write_any<const N: usize, const IS_BYTES: bool>(
        &self,
        i: usize,
        out: &mut [u8],
        at: usize,
    ) -> usize {
        let code = if IS_BYTES {
            // SAFETY: promised by the caller.
            unsafe { get(self.bytes, i) as usize }
        } else {
            // SAFETY: promised by the caller.
            unsafe { self.code(i) }
        };
        // SAFETY: promised by the caller; every code has a cell.
        unsafe { self.write_code::<N>(code, out, at) }
    }

    /// Writes the cell of a code.
    ///
    /// # Safety
    /// The code is one of the lane's, its cells are `N` bytes wide, and `out` has room for as many.
    #[inline(always)]
    unsafe fn write_code<const N: usize>(&self, code: usize, out: &mut [u8], at: usize) -> usize {
        let start = code * N;
        // SAFETY: promised by the caller; every code has a cell.
        unsafe { copy::<N>(out, at, self.text, start) };
        // SAFETY: every code has a cell, whose last byte is its length, which is less than `N`.
        unsafe { get(self.text, start + N - 1) as usize }
    }
}

/// The values of one column in slots, and what stands before each.
#[derive(Clone, Copy, Debug)]
pub(super) struct SlotLane<'a> {
    /// All slots, end to end.
    bytes: &'a [u8],
    /// What stands before each value, padded.
    key: &'a [u8; KEY],
    /// Bytes of it.
    before: usize,
    /// The lengths of the values, or where they may be null of what rows have of them.
    lengths: &'a [u8],
    /// Bytes before the value that are not in `lengths`.
    more: usize,
    /// The most bytes of a cell.
    most: usize,
    /// Whether no value is longer than a word.
    is_word: bool,
}

/// Bytes of a word.
const WORD: usize = 8;

impl<'a> SlotLane<'a> {
    /// The slots of `rows` rows, with `key` before values of at most `most` bytes.
    ///
    /// # Panics
    /// If there are fewer slots or lengths than rows, or a length above `most`: our bug.
    pub(super) fn new(slots: &'a Slots, lengths: &'a [u8], key: SlotKey<'a>, most: usize, rows: usize) -> Self {
        assert!(longest(lengths, rows) <= most, "a value too long");
        Self::checked(slots, full(lengths, rows), key, most, rows)
    }

    /// As [`new`](Self::new), but `lengths` are of all that rows have, the key included: nothing where they are null.
    ///
    /// # Panics
    /// As [`new`](Self::new).
    pub(super) fn whole(slots: &'a Slots, lengths: &'a [u8], key: SlotKey<'a>, most: usize, rows: usize) -> Self {
        assert!(longest(lengths, rows) <= key.len + most, "a value too long");
        Self { more: 0, ..Self::checked(slots, full(lengths, rows), key, most, rows) }
    }

    fn checked(slots: &'a Slots, lengths: &'a [u8], key: SlotKey<'a>, most: usize, rows: usize) -> Self {
        let (bytes, SlotKey { bytes: key, len: before }) = (slots.bytes(), key);
        assert!(before <= KEY && most <= SLOT, "a cell longer than its slot");
        assert!(bytes.len() >= rows * SLOT, "a row without a slot");
        Self { bytes, key, before, lengths, more: before, most: before + most, is_word: most <= WORD }
    }

    /// Asks for the value of row `i`, to be written soon.
    #[inline(always)]
    pub(super) fn prefetch(&self, i: usize) {
        prefetch_line(self.bytes.as_ptr().wrapping_add(i * SLOT));
    }

    /// The most bytes of a cell.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// Adds the length of each row's cell.
    #[inline(always)]
    pub(super) fn add_lengths(&self, lengths: &mut [u32]) {
        for (sum, length) in lengths.iter_mut().zip(self.lengths) {
            *sum += self.more as u32 + u32::from(*length);
        }
    }

    /// Writes the cell of row `i` to `out[at..]` and returns its length.
    ///
    /// # Safety
    /// `i` is less than the rows of the lane, and `out` has room for a key and a slot.
    #[inline(always)]
    pub(super) unsafe fn write(&self, i: usize, out: &mut [u8], at: usize) -> usize {
        // SAFETY: promised by the caller.
        unsafe { copy::<KEY>(out, at, self.key, 0) };
        // SAFETY: promised by the caller; the key is not longer than its copy, behind which is room for a slot.
        self.more + unsafe { self.write_value(i, out, at + self.before) }
    }

    /// As [`write`](Self::write), without the key.
    ///
    /// # Safety
    /// `i` is less than the rows of the lane, and `out` has room for a slot.
    #[inline(always)]
    pub(super) unsafe fn write_value(&self, i: usize, out: &mut [u8], at: usize) -> usize {
        if self.is_word {
            // SAFETY: promised by the caller; there is a slot for each row.
            unsafe { copy::<WORD>(out, at, self.bytes, i * SLOT) };
        } else {
            // SAFETY: as above.
            unsafe { copy::<SLOT>(out, at, self.bytes, i * SLOT) };
        }
        // SAFETY: promised by the caller.
        unsafe { get(self.lengths, i) as usize }
    }
}

/// What stands before the value in a slot, padded, and how many bytes it has.
#[derive(Clone, Copy, Debug)]
pub(super) struct SlotKey<'a> {
    bytes: &'a [u8; KEY],
    len: usize,
}

impl<'a> SlotKey<'a> {
    /// Nothing.
    pub(super) const NONE: SlotKey<'static> = SlotKey { bytes: &[0; KEY], len: 0 };

    /// A range of a program's bytes, which are padded to pieces.
    ///
    /// # Panics
    /// If it is longer than a key: our bug.
    pub(super) fn new(program: &'a Program, range: &std::ops::Range<usize>) -> Self {
        if range.is_empty() {
            return Self::NONE;
        }
        assert!(range.len() <= KEY, "a key longer than its place");
        // `Builder::store` pads what it stores to whole pieces, and a key is one, whatever the input.
        let bytes = program.bytes[range.start..].first_chunk().expect("a key that is not padded");
        Self { bytes, len: range.len() }
    }
}

/// The greatest of so many lengths.
fn longest(lengths: &[u8], rows: usize) -> usize {
    full(lengths, rows)[..rows].iter().fold(0, |longest, length| longest.max(*length)) as usize
}

/// A lane that has a value for each of `rows` rows.
///
/// # Panics
/// If it has not.
pub(super) fn full<T>(lane: &[T], rows: usize) -> &[T] {
    assert!(lane.len() >= rows, "a lane of {} values for {rows} rows", lane.len());
    lane
}

/// The strings of a column, the row of theirs at which the block starts, and the escape if any value may need one.
#[derive(Clone, Copy, Debug)]
pub(super) struct TextLane<'a> {
    pub(super) text: &'a Text<'a>,
    pub(super) base: usize,
    pub(super) escape: Option<Escape>,
    /// What stands around the strings, and which rows have one, if that are not all.
    pub(super) maybe: Option<(Key<'a>, &'a [u8])>,
}

/// A nullable column's key, padded, and the byte that closes its value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key<'a> {
    template: &'a [u8],
    len: usize,
    close: Option<u8>,
}

impl<'a> Key<'a> {
    pub(super) fn new(program: &'a Program, maybe: &Maybe) -> Self {
        let end = maybe.key + maybe.key_len.next_multiple_of(PIECE);
        Self { template: &program.bytes[maybe.key..end], len: maybe.key_len, close: maybe.close }
    }

    /// Writes the key and returns where the value goes.
    ///
    /// # Safety
    /// As [`copy`], for the padded key.
    #[inline(always)]
    pub(super) unsafe fn write(&self, out: &mut [u8], at: usize) -> usize {
        // SAFETY: the caller's promise is the callee's.
        unsafe { pieces(out, at, self.template) };
        at + self.len
    }

    /// Closes the value that ends at `end`, and returns the end of the cell.
    ///
    /// # Safety
    /// `end` lies inside `out`.
    #[inline(always)]
    pub(super) unsafe fn close(&self, out: &mut [u8], end: usize) -> usize {
        match self.close {
            Some(byte) => {
                // SAFETY: the caller's promise is the callee's.
                unsafe { copy::<1>(out, end, &[byte], 0) };
                end + 1
            }
            None => end,
        }
    }
}

impl TextLane<'_> {
    /// Writes the string of row `i`, or with `NULLS` what the row has of it, to `out[at..]` and returns its end.
    ///
    /// # Panics
    /// If `out` does not have `need` bytes behind the string.
    ///
    /// # Safety
    /// `i` is less than the rows of the lane; `out` has room for the padded key, and `need` is more than a byte.
    #[inline(always)]
    pub(super) unsafe fn write<const NULLS: bool>(
        &self,
        i: usize,
        escaper: impl Escaper,
        out: &mut [u8],
        at: usize,
        need: usize,
    ) -> usize {
        let string = |out: &mut [u8], at| at + self.text.write(self.base + i, self.escape, escaper, out, at);
        let end = match &self.maybe {
            Some((key, valid)) if NULLS => {
                // A string may be long: here the branch is cheaper than the copy.
                // SAFETY: promised by the caller.
                if unsafe { get(valid, i) } == 0 {
                    return at;
                }
                // SAFETY: promised by the caller.
                let value = unsafe { key.write(out, at) };
                let end = string(out, value);
                room(out, end, need);
                // SAFETY: there is room for more than a byte.
                unsafe { key.close(out, end) }
            }
            _ => string(out, at),
        };
        room(out, end, need);
        end
    }
}
