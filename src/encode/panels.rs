//! The row loop of lines of many columns: panel by panel, each some neighbouring columns, in all rows of a block.
//!
//! Why it is hard: a row of a thousand columns reads from a thousand places, and the first cache level does not hold the
//! cache line of each until the next rows want the rest of it. It does hold those of a panel. But where a row's part of a
//! panel goes in the output depends on what comes before it, in other panels and other rows: so lengths are summed up
//! first, and then every byte is written to its place. Parts of a line are written from left to right, so that the next
//! one overwrites what one writes too much. But what lies behind the end of the line is there already: what might write
//! that far is written elsewhere and copied exactly.
//!
//! Columns whose memory starts at like addresses, as that of large ones does, drive each other out of the first cache
//! level, too: words are read by the cache line, each once. What is read and written next is asked for meanwhile, since the
//! processor itself does not see where a loop that goes about like this will be next.

use super::assemble::Written;
use super::lanes::{CELL, CellLane, NARROW_CELL, SlotLane};
use super::prepare::is_odd;
use super::segment::{CELLS_AHEAD, Poke, Segment};
use super::store::{copy, get};
use crate::simd::{prefetch_later, prefetch_line};

/// Columns of a panel.
const PANEL: usize = 64;

/// Rows of which the words are read at a time: a cache line of each column.
const GROUP: usize = 8;

/// How many rows ahead words are asked for once more, from the second cache level into the first.
const WORDS_AHEAD: usize = 4 * GROUP;

/// How many rows ahead the output of cells and slots is asked for.
const ROWS_AHEAD: usize = 3;

/// Writes all rows of lines that are these segments, of which none has a string behind it.
///
/// # Safety
/// As [`write_rows`](super::segment::write_rows), of each of them.
#[inline(always)]
pub(super) unsafe fn write_panels(segments: &[&Segment<'_>], rows: usize, out: &mut [u8]) -> Written {
    // SAFETY: promised by the caller.
    let starts = unsafe { starts(segments, rows) };
    let (mut at, ends) = (starts[..rows].to_vec(), &starts[1..]);
    let (mut places, mut fields, mut odd) = (Places { at: &mut at, ends }, Vec::new(), false);
    for segment in segments {
        // SAFETY: promised by the caller.
        odd |= unsafe { write_segment(segment, &mut places, &mut fields, out) };
    }
    if segments.iter().any(|segment| segment.mends) {
        for fields in fields {
            out[fields] = b' ';
        }
    }
    Written { bytes: starts[rows], words_are_finite: !odd }
}

/// Writes a segment of all rows, and tells whether there is a word that as a float is not finite. `fields` gets where
/// those of each row start.
///
/// # Safety
/// As [`write_panels`], of this segment.
#[inline(always)]
unsafe fn write_segment(
    segment: &Segment<'_>,
    places: &mut Places<'_>,
    fields: &mut Vec<usize>,
    out: &mut [u8],
) -> bool {
    let first_words = &segment.words[..segment.words.len().min(PANEL)];
    let mut panels = segment.cells.chunks(PANEL).peekable();
    while let Some(cells) = panels.next() {
        let ahead = if panels.peek().is_none() { first_words } else { &[] };
        if cells.iter().all(|cells| cells.width == NARROW_CELL && !cells.bytes.is_empty()) {
            // SAFETY: promised by the caller; these cells are of the narrowest width, and their codes bytes.
            unsafe { write_cells::<true>(cells, places, out, ahead) };
        } else {
            // SAFETY: promised by the caller.
            unsafe { write_cells::<false>(cells, places, out, ahead) };
        }
    }
    if segment.starts_fields {
        *fields = places.at.to_vec();
    }
    for slots in segment.slots.chunks(PANEL) {
        // SAFETY: promised by the caller.
        unsafe { write_slots(slots, places, out) };
    }
    let (mut start, mut odd) = (0, false);
    let (mut words, mut bytes) = (segment.words.as_slice(), segment.bytes.as_slice());
    while start < segment.len {
        // A panel ends where the first value behind it begins.
        let behind = [words.get(PANEL).map(|(offset, _)| *offset), bytes.get(PANEL).map(|(offset, _)| *offset)];
        let end = behind.into_iter().flatten().min().unwrap_or(segment.len);
        let (panel_words, next_words) = words.split_at(words.partition_point(|(offset, _)| *offset < end));
        let (panel_bytes, next_bytes) = bytes.split_at(bytes.partition_point(|(offset, _)| *offset < end));
        let run = Run {
            template: &segment.template[start..end],
            start,
            words: panel_words,
            bytes: panel_bytes,
            digits: segment.digits.filter(|(offset, _)| (start..end).contains(offset)),
        };
        // SAFETY: promised by the caller.
        odd |= unsafe { run.write(places.at, out, &next_words[..next_words.len().min(PANEL)]) };
        (start, words, bytes) = (end, next_words, next_bytes);
    }
    odd
}

/// Where each row starts, and the end of the last one.
///
/// # Safety
/// Every lane has `rows` rows.
#[inline(always)]
unsafe fn starts(segments: &[&Segment<'_>], rows: usize) -> Vec<usize> {
    let cells = || segments.iter().flat_map(|segment| &segment.cells);
    let alike = segments.iter().map(|segment| segment.len as u32).chain(cells().filter_map(|cells| cells.same));
    let mut lengths = vec![alike.sum::<u32>(); rows];
    // Four at a time, to go over the sums less often.
    let unlike: Vec<_> = cells().filter(|cells| cells.same.is_none()).collect();
    for cells in unlike.chunks(4) {
        match <&[&CellLane<'_>; 4]>::try_from(cells) {
            Ok(cells) if cells.iter().all(|cells| cells.width == NARROW_CELL) => {
                for (i, length) in lengths.iter_mut().enumerate() {
                    // SAFETY: promised by the caller; these cells are of the narrowest width.
                    *length += cells.iter().map(|cells| unsafe { cells.length(i, NARROW_CELL) }).sum::<u32>();
                }
            }
            _ => {
                for (i, length) in lengths.iter_mut().enumerate() {
                    // SAFETY: promised by the caller.
                    *length += cells.iter().map(|cells| unsafe { cells.length(i, cells.width) }).sum::<u32>();
                }
            }
        }
    }
    for slots in segments.iter().flat_map(|segment| &segment.slots) {
        slots.add_lengths(&mut lengths);
    }
    let mut end = 0;
    let ends = lengths.iter().map(|length| {
        end += *length as usize;
        end
    });
    std::iter::once(0).chain(ends).collect()
}

/// Where the rows' parts of a panel go.
struct Places<'l> {
    at: &'l mut [usize],
    /// Where the lines end.
    ends: &'l [usize],
}

impl Places<'_> {
    /// Calls `write` for each row with its place, which is moved to the end that it tells. It writes at most `most` bytes,
    /// and at most [`CELL`] too many.
    #[inline(always)]
    fn each(&mut self, out: &mut [u8], most: usize, mut write: impl FnMut(usize, &mut [u8], usize) -> usize) {
        let mut part = [0; (PANEL + 1) * CELL];
        let (rows, mut length) = (self.at.len(), 0);
        for i in 0..rows {
            prefetch_out(out, self.at[(i + ROWS_AHEAD) % rows], length);
            let at = self.at[i];
            if at + most + CELL <= self.ends[i] {
                length = write(i, out, at) - at;
            } else {
                length = write(i, &mut part, 0);
                out[at..at + length].copy_from_slice(&part[..length]);
            }
            self.at[i] = at + length;
        }
    }
}

/// Writes a panel of cells, and asks for the words of the next one.
///
/// # Safety
/// As [`write_panels`], of these cells; all are of the narrowest width and have their codes as bytes if `IS_USUAL`.
#[inline(always)]
unsafe fn write_cells<const IS_USUAL: bool>(
    cells: &[CellLane<'_>],
    places: &mut Places<'_>,
    out: &mut [u8],
    ahead: &[Poke<'_>],
) {
    let rows = places.at.len();
    let large: Vec<_> = cells.iter().filter(|cells| cells.is_large).collect();
    let most = cells.iter().map(|cells| cells.width).sum();
    places.each(out, most, |i, out, at| {
        if i % GROUP == 0 {
            prefetch_words(ahead, i..i + GROUP, rows);
        }
        for cells in &large {
            // SAFETY: there is such a row.
            unsafe { cells.prefetch((i + CELLS_AHEAD).min(rows - 1)) };
        }
        let mut p = at;
        for cell in cells {
            p += if IS_USUAL || cell.width == NARROW_CELL {
                // SAFETY: promised by the caller; the cells are of this width.
                unsafe { cell.write_any::<NARROW_CELL, IS_USUAL>(i, out, p) }
            } else {
                // SAFETY: promised by the caller; there are but two widths in segments.
                unsafe { cell.write_any::<CELL, false>(i, out, p) }
            };
        }
        p
    });
}

/// Writes a panel of slots.
///
/// # Safety
/// As [`write_panels`], of these slots.
#[inline(always)]
unsafe fn write_slots(slots: &[SlotLane<'_>], places: &mut Places<'_>, out: &mut [u8]) {
    places.each(out, slots.iter().map(SlotLane::most).sum(), |i, out, at| {
        let mut p = at;
        for slot in slots {
            // SAFETY: promised by the caller.
            p += unsafe { slot.write(i, out, p) };
        }
        p
    });
}

/// A panel of a segment's run: a part of the template, and what is poked into it.
struct Run<'l, 'a> {
    template: &'l [u8],
    /// Where in the segment's template it starts.
    start: usize,
    words: &'l [Poke<'a>],
    bytes: &'l [(usize, &'a [u8])],
    digits: Option<(usize, &'a [[u64; 2]])>,
}

impl Run<'_, '_> {
    /// Writes it, moves `at` behind it, and asks for the words of the next one. Tells whether there is a word that as a
    /// float is not finite.
    ///
    /// # Safety
    /// As [`write_panels`], of this panel.
    #[inline(always)]
    unsafe fn write(&self, at: &mut [usize], out: &mut [u8], ahead: &[Poke<'_>]) -> bool {
        let rows = at.len();
        let (groups, rest) = at.as_chunks_mut::<GROUP>();
        let mut odd = false;
        // Of the output of the next rows, so many lines are asked for at each column.
        let lines = self.template.len().div_ceil(64 * (self.words.len() / GROUP).max(1));
        for g in 0..groups.len() {
            let (i, next) = (g * GROUP, groups[(g + 1) % groups.len()]);
            for (row, p) in groups[g].iter().enumerate() {
                // SAFETY: promised by the caller.
                unsafe { self.write_rest(i + row, out, *p) };
            }
            for (place, (offset, words)) in self.words.iter().enumerate() {
                prefetch_out(out, next[place % GROUP] + place / GROUP * lines * 64, lines * 64);
                prefetch_line(words.as_ptr().wrapping_add(i + WORDS_AHEAD));
                // For each cache line that is read one of the next panel, column by column: many at once would be waited for.
                let due = g * self.words.len() + place;
                if let Some((_, later)) = ahead.get(due / groups.len()) {
                    prefetch_later(later.as_ptr().wrapping_add(due % groups.len() * GROUP));
                }
                // `full` has checked that every lane has all rows of the block, whatever the input.
                let words: &[u64; GROUP] = words[i..].first_chunk().expect("a row without a value");
                odd |= words.iter().fold(0, |odd, word| odd | is_odd(*word)) != 0;
                for (word, p) in words.iter().zip(groups[g]) {
                    // SAFETY: a poke lies inside its run.
                    unsafe { copy::<8>(out, p + offset - self.start, &word.to_le_bytes(), 0) };
                }
            }
            groups[g].iter_mut().for_each(|p| *p += self.template.len());
        }
        for (i, p) in (rows - rest.len()..).zip(rest) {
            // SAFETY: promised by the caller.
            unsafe { self.write_rest(i, out, *p) };
            for (offset, words) in self.words {
                // SAFETY: promised by the caller.
                let word = unsafe { get(words, i) };
                odd |= is_odd(word) != 0;
                // SAFETY: a poke lies inside its run.
                unsafe { copy::<8>(out, *p + offset - self.start, &word.to_le_bytes(), 0) };
            }
            *p += self.template.len();
        }
        odd
    }

    /// Writes all but the words of a row.
    ///
    /// # Safety
    /// As [`write_panels`], of row `i` of this panel.
    #[inline(always)]
    unsafe fn write_rest(&self, i: usize, out: &mut [u8], p: usize) {
        out[p..p + self.template.len()].copy_from_slice(self.template);
        for (offset, bytes) in self.bytes {
            // SAFETY: promised by the caller.
            let byte = unsafe { get(bytes, i) };
            // SAFETY: a poke lies inside its run.
            unsafe { copy::<1>(out, p + offset - self.start, &[byte], 0) };
        }
        if let Some((offset, digits)) = self.digits {
            // SAFETY: promised by the caller.
            let [high, low] = unsafe { get(digits, i) };
            // SAFETY: a poke lies inside its run.
            unsafe { copy::<8>(out, p + offset - self.start, &high.to_le_bytes(), 0) };
            // SAFETY: as above.
            unsafe { copy::<8>(out, p + offset - self.start + 8, &low.to_le_bytes(), 0) };
        }
    }
}

/// Asks for memory that is to be written.
#[inline(always)]
fn prefetch_out(out: &[u8], at: usize, length: usize) {
    for line in (0..length).step_by(64) {
        prefetch_line(out.as_ptr().wrapping_add(at + line));
    }
}

/// Asks for the part of these columns' values, of so many rows, that is due when others have come to `rows`: column by
/// column, since each is on a page of its own.
#[inline(always)]
fn prefetch_words(words: &[Poke<'_>], due: std::ops::Range<usize>, rows: usize) {
    let share = |row: usize| words.len() * row.min(rows) / rows;
    for (_, words) in &words[share(due.start)..share(due.end)] {
        for i in (0..rows).step_by(GROUP) {
            prefetch_later(words.as_ptr().wrapping_add(i));
        }
    }
}
