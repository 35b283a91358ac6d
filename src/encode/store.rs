//! Unchecked reads and stores of the row loop. What makes them sound is checked once per block, by `assemble`.

use super::program::PIECE;
use crate::simd::{prefetch_later, prefetch_line};

/// The value of a lane in row `i`.
///
/// # Safety
/// `i < lane.len()`.
#[inline(always)]
pub(super) unsafe fn get<T: Copy>(lane: &[T], i: usize) -> T {
    debug_assert!(i < lane.len(), "a row without a value");
    // SAFETY: promised by the caller.
    unsafe { *lane.get_unchecked(i) }
}

/// Checks that `out` has `need` bytes left from `at` on.
#[inline(always)]
pub(super) fn room(out: &[u8], at: usize, need: usize) {
    assert!(at <= out.len() && out.len() - at >= need, "the output is shorter than its bound");
}

/// Copies `N` bytes from `from[start..]` to `out[at..]`.
///
/// # Safety
/// `at + N <= out.len()` and `start + N <= from.len()`.
#[inline(always)]
pub(super) unsafe fn copy<const N: usize>(out: &mut [u8], at: usize, from: &[u8], start: usize) {
    debug_assert!(at + N <= out.len() && start + N <= from.len(), "a copy out of bounds");
    // SAFETY: promised by the caller.
    let target = unsafe { out.get_unchecked_mut(at..at + N) };
    // SAFETY: promised by the caller.
    let source = unsafe { from.get_unchecked(start..start + N) };
    target.copy_from_slice(source);
}

/// Copies a template of whole pieces to `out[at..]`.
///
/// By the bits of its length: LLVM makes a call of `memcpy` out of a loop over pieces, and out of a `match` on their
/// number as well, which costs more than the copy itself.
///
/// # Safety
/// `at + template.len() <= out.len()`.
#[inline(always)]
pub(super) unsafe fn pieces(out: &mut [u8], at: usize, template: &[u8]) {
    let mut done = 0;
    while template.len() - done >= 16 * PIECE {
        // SAFETY: so much is left of the template, for all of which `out` has room.
        unsafe { copy::<{ 16 * PIECE }>(out, at + done, template, done) };
        done += 16 * PIECE;
    }
    if template.len() & (8 * PIECE) != 0 {
        // SAFETY: as above.
        unsafe { copy::<{ 8 * PIECE }>(out, at + done, template, done) };
        done += 8 * PIECE;
    }
    if template.len() & (4 * PIECE) != 0 {
        // SAFETY: as above.
        unsafe { copy::<{ 4 * PIECE }>(out, at + done, template, done) };
        done += 4 * PIECE;
    }
    if template.len() & (2 * PIECE) != 0 {
        // SAFETY: as above.
        unsafe { copy::<{ 2 * PIECE }>(out, at + done, template, done) };
        done += 2 * PIECE;
    }
    if template.len() & PIECE != 0 {
        // SAFETY: as above.
        unsafe { copy::<PIECE>(out, at + done, template, done) };
    }
}

/// How far ahead of the position [`prefetch`] asks for memory, in bytes.
const AHEAD: usize = 4096;

/// Asks for the memory of `len` bytes some rows behind `out[at..]`, to be written soon. Of rows of some hundred bytes
/// it saves a tenth of the time (`make bench`, trades).
#[inline(always)]
pub(super) fn prefetch(out: &[u8], at: usize, len: usize) {
    for line in (0..len).step_by(64) {
        prefetch_line(out.as_ptr().wrapping_add(at + AHEAD + line));
    }
}

/// Where values of a column are that will be read some rows or a block later, and the bytes of a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ahead {
    /// An address and no reference: nothing is read there.
    start: usize,
    row: usize,
}

/// What is asked for while the rows of a block are written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    columns: &'a [Ahead],
    /// Addresses of cache lines, and how many go with [`Ahead::ROWS`] rows.
    lines: &'a [usize],
    each: usize,
}

impl<'a> Asked<'a> {
    /// In a block of so many rows.
    pub(super) fn new(columns: &'a [Ahead], lines: &'a [usize], rows: usize) -> Self {
        Self { columns, lines, each: lines.len().div_ceil(rows.div_ceil(Ahead::ROWS).max(1)) }
    }

    /// Asks for what goes with rows `i..i + ROWS`.
    #[inline(always)]
    pub(super) fn prefetch(&self, i: usize) {
        self.columns.iter().for_each(|column| column.prefetch(i));
        let start = i / Ahead::ROWS * self.each;
        if let Some(lines) = self.lines.get(start..self.lines.len().min(start + self.each)) {
            lines.iter().for_each(|line| prefetch_later(std::ptr::without_provenance::<u8>(*line)));
        }
    }
}

impl Ahead {
    /// Rows whose memory is asked for at a time.
    pub(super) const ROWS: usize = 8;

    /// Of values that begin there, a row of so many bytes.
    pub(super) fn new(memory: &[u8], row: usize) -> Self {
        Self { start: memory.as_ptr().addr(), row }
    }

    /// Asks for the values of rows `i..i + ROWS` from there on, which take two cache lines at most. The loops that prepare
    /// a block wait for memory and do little else; the row loop has other things to do meanwhile (`make bench`).
    #[inline(always)]
    pub(super) fn prefetch(&self, i: usize) {
        let start = self.start.wrapping_add(i * self.row);
        prefetch_line(std::ptr::without_provenance::<u8>(start));
        if self.row * Self::ROWS > 64 {
            prefetch_line(std::ptr::without_provenance::<u8>(start.wrapping_add(64)));
        }
    }
}
