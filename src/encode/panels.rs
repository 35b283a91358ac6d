//! The row loop of lines of many columns: panel by panel, each some neighbouring columns, in all rows of a block.
//!
//! Why it is hard: a row of a thousand columns reads from a thousand places, and the first cache level does not hold the
//! cache line of each until the next rows want the rest of it. It does hold those of a panel. But where a row's part of a
//! panel goes in the output depends on what comes before it, in other panels and other rows: so lengths are summed up
//! first, and then every byte is written to its place. Panels of cells, and those of slots, are written from left to right,
//! so that the next one overwrites what one writes too much. But what lies behind the last one is there already: what might
//! write that far is written elsewhere and copied exactly. Runs write nothing too much.
//!
//! What takes the time is memory. The processor itself does not see where a loop that goes about like this will be next, so
//! what is read and written next is asked for meanwhile. But the first cache level waits for some sixteen lines at once, and a
//! burst holds up what is read beside it: lines are asked for a few at a time, and panels of cells, which leave memory time,
//! take turns with those of the run. Columns whose memory starts at like addresses, as that of large ones does, drive each
//! other out of that level, too: words are read by the cache line, each once.

use super::aligned::LINE;
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

/// How many rows ahead the values of slots are asked for.
const SLOTS_AHEAD: usize = 4;

/// Columns of cells and slots between which memory is asked for.
const STEP: usize = 8;

/// A segment that has no string behind it, and whether the fields end there, of which a row may have none: the first comma
/// since they started, if there is any, becomes the space that ends the symbols.
pub(super) type Part<'l, 'a> = (&'l Segment<'a>, bool);

/// Writes all rows of lines that have these parts.
///
/// # Safety
/// As [`write_rows`](super::segment::write_rows), of each segment.
#[inline(always)]
pub(super) unsafe fn write_panels(parts: &[Part<'_, '_>], rows: usize, out: &mut [u8]) -> Written {
    // SAFETY: promised by the caller.
    let lengths: Vec<_> = parts.iter().map(|(segment, _)| unsafe { Lengths::new(segment, rows) }).collect();
    let starts = starts(parts, &lengths, rows);
    let (mut at, mut fields, mut odd) = (starts[..rows].to_vec(), Vec::new(), false);
    for ((segment, ends_fields), lengths) in parts.iter().zip(&lengths) {
        // SAFETY: promised by the caller.
        odd |= unsafe { write_segment(segment, lengths, &mut at, &mut fields, out) };
        if *ends_fields {
            // What is to the left of it is not written again.
            for (fields, _) in fields.iter().zip(&at).filter(|(fields, at)| at > fields) {
                out[*fields] = b' ';
            }
        }
    }
    if parts.iter().any(|(segment, _)| segment.mends) {
        for fields in fields {
            out[fields] = b' ';
        }
    }
    Written { bytes: starts[rows], words_are_finite: !odd }
}

/// How long the parts of a segment before its run are, by row.
struct Lengths {
    cells: Vec<u32>,
    slots: Vec<u32>,
}

impl Lengths {
    /// # Safety
    /// Every lane has `rows` rows.
    #[inline(always)]
    unsafe fn new(segment: &Segment<'_>, rows: usize) -> Self {
        let mut cells = vec![segment.cells.iter().filter_map(|cells| cells.same).map(u32::from).sum::<u32>(); rows];
        // Four at a time, to go over the sums less often.
        let unlike: Vec<_> = segment.cells.iter().filter(|cells| cells.same.is_none()).collect();
        for lanes in unlike.chunks(4) {
            match <&[&CellLane<'_>; 4]>::try_from(lanes) {
                Ok(lanes) if lanes.iter().all(|cells| cells.width == NARROW_CELL) => {
                    for (i, length) in cells.iter_mut().enumerate() {
                        // SAFETY: promised by the caller; these cells are of the narrowest width.
                        *length += lanes.iter().map(|cells| unsafe { cells.length(i, NARROW_CELL) }).sum::<u32>();
                    }
                }
                _ => {
                    for (i, length) in cells.iter_mut().enumerate() {
                        // SAFETY: promised by the caller.
                        *length += lanes.iter().map(|cells| unsafe { cells.length(i, cells.width) }).sum::<u32>();
                    }
                }
            }
        }
        let mut slots = vec![0; rows];
        segment.slots.iter().for_each(|lane| lane.add_lengths(&mut slots));
        Self { cells, slots }
    }
}

/// Where each row starts, and the end of the last one.
fn starts(parts: &[Part<'_, '_>], lengths: &[Lengths], rows: usize) -> Vec<usize> {
    let mut starts = vec![parts.iter().map(|(segment, _)| segment.len).sum::<usize>(); rows + 1];
    starts[0] = 0;
    for Lengths { cells, slots } in lengths {
        for ((start, cells), slots) in starts[1..].iter_mut().zip(cells).zip(slots) {
            *start += (cells + slots) as usize;
        }
    }
    let mut end = 0;
    for start in &mut starts {
        end += *start;
        *start = end;
    }
    starts
}

/// Where the rows' parts of a panel go.
struct Places<'l> {
    at: &'l mut [usize],
    /// What must not be written too much: something else is there already.
    ends: &'l [usize],
}

/// Writes a segment of all rows, moves `at` behind it, and tells whether there is a word that as a float is not finite.
/// `fields` gets where those of each row start.
///
/// Panels of cells and of the run take turns: cells keep the processor busy and words the memory, so those of the next panel
/// are asked for while cells are written.
///
/// # Safety
/// As [`write_panels`], of this segment, whose parts are so long.
#[inline(always)]
unsafe fn write_segment(
    segment: &Segment<'_>,
    lengths: &Lengths,
    at: &mut [usize],
    fields: &mut Vec<usize>,
    out: &mut [u8],
) -> bool {
    let rows = at.len();
    let mut cells_at = at.to_vec();
    let cells_end: Vec<_> = at.iter().zip(&lengths.cells).map(|(at, length)| at + *length as usize).collect();
    for ((at, cells_end), length) in at.iter_mut().zip(&cells_end).zip(&lengths.slots) {
        *at = cells_end + *length as usize;
    }
    if segment.starts_fields {
        fields.clone_from(&cells_end);
    }
    let mut slots_at = cells_end.clone();
    for slots in segment.slots.chunks(PANEL) {
        let places = Places { at: &mut slots_at, ends: at };
        // SAFETY: promised by the caller.
        unsafe { places.write(&SlotPanel(slots), Lines::default(), out) };
    }
    let (mut cells, mut runs, mut odd) = (segment.cells.chunks(PANEL), runs(segment).peekable(), false);
    while cells.len() > 0 || runs.peek().is_some() {
        if let Some(cells) = cells.next() {
            let (places, due) = (Places { at: &mut cells_at, ends: &cells_end }, Lines::of(runs.peek(), rows));
            let large = cells.iter().filter(|cells| cells.is_large).collect();
            if cells.iter().all(|cells| cells.width == NARROW_CELL && !cells.bytes.is_empty()) {
                // SAFETY: promised by the caller; these cells are of the narrowest width, and their codes bytes.
                unsafe { places.write(&CellPanel::<true> { cells, large, rows }, due, out) };
            } else {
                // SAFETY: promised by the caller.
                unsafe { places.write(&CellPanel::<false> { cells, large, rows }, due, out) };
            }
        }
        if let Some(run) = runs.next() {
            let due = if cells.len() > 0 { Lines::default() } else { Lines::of(runs.peek(), rows) };
            // SAFETY: promised by the caller.
            odd |= unsafe { run.write(at, due, out) };
        }
    }
    odd
}

/// Cache lines of some columns' words, which are asked for one by one, column by column: each is on a page of its own, and
/// many at once would be waited for.
#[derive(Default)]
struct Lines<'l> {
    words: &'l [Poke<'l>],
    /// Of each column.
    lines: usize,
    next: usize,
}

impl<'l> Lines<'l> {
    /// The words of a run in so many rows.
    fn of(run: Option<&Run<'l>>, rows: usize) -> Self {
        Self { words: run.map_or(&[], |run| run.words), lines: rows.div_ceil(GROUP), next: 0 }
    }

    fn count(&self) -> usize {
        self.words.len() * self.lines
    }

    /// Asks for the next one, if any is left.
    #[inline(always)]
    fn ask(&mut self) {
        if let [(_, words), rest @ ..] = self.words {
            prefetch_later(words.as_ptr().wrapping_add(self.next * GROUP));
            self.next += 1;
            if self.next == self.lines {
                (self.words, self.next) = (rest, 0);
            }
        }
    }
}

/// What is asked for while a row's part of a panel is written, a little at each step.
struct Asked<'l> {
    /// Of the output, at a later row.
    out: *const u8,
    out_lines: usize,
    due: Lines<'l>,
    due_lines: usize,
}

impl Asked<'_> {
    #[inline(always)]
    fn step(&mut self) {
        for _ in 0..self.out_lines {
            prefetch_line(self.out);
            self.out = self.out.wrapping_add(LINE);
        }
        for _ in 0..self.due_lines {
            self.due.ask();
        }
    }
}

/// Neighbouring columns.
trait Panel {
    fn len(&self) -> usize;

    /// The most bytes of a row.
    fn most(&self) -> usize;

    /// Writes row `i` to `out[at..]` and returns its end. A step is taken at each [`STEP`] columns.
    ///
    /// # Safety
    /// There is such a row, and room for the most that it may take and [`CELL`] bytes behind that.
    unsafe fn write(&self, i: usize, out: &mut [u8], at: usize, asked: &mut Asked<'_>) -> usize;
}

impl Places<'_> {
    /// Writes a panel, moves `at` behind it, and asks for what is due.
    ///
    /// # Safety
    /// As [`write_panels`], of this panel.
    #[inline(always)]
    unsafe fn write(self, panel: &impl Panel, due: Lines<'_>, out: &mut [u8]) {
        let mut part = [0; (PANEL + 1) * CELL];
        let (rows, steps, room) = (self.at.len(), panel.len().div_ceil(STEP), panel.most() + CELL);
        let due_lines = due.count().div_ceil(rows * steps);
        let mut asked = Asked { out: std::ptr::null(), out_lines: 0, due, due_lines };
        for i in 0..rows {
            let later = if i + ROWS_AHEAD < rows { i + ROWS_AHEAD } else { 0 };
            asked.out = out.as_ptr().wrapping_add(self.at[later]);
            let at = self.at[i];
            let length = if at + room <= self.ends[i] {
                // SAFETY: promised by the caller; what is written too much is overwritten by the next panels.
                unsafe { panel.write(i, out, at, &mut asked) - at }
            } else {
                // SAFETY: the part has room for a panel.
                let length = unsafe { panel.write(i, &mut part, 0, &mut asked) };
                out[at..at + length].copy_from_slice(&part[..length]);
                length
            };
            self.at[i] = at + length;
            asked.out_lines = length.div_ceil(LINE * steps);
        }
    }
}

/// A panel of cells; all are of the narrowest width and have their codes as bytes if `IS_USUAL`.
struct CellPanel<'l, 'a, const IS_USUAL: bool> {
    cells: &'l [CellLane<'a>],
    /// Those whose cells are large.
    large: Vec<&'l CellLane<'a>>,
    rows: usize,
}

impl<const IS_USUAL: bool> Panel for CellPanel<'_, '_, IS_USUAL> {
    fn len(&self) -> usize {
        self.cells.len()
    }

    fn most(&self) -> usize {
        self.cells.iter().map(|cells| usize::from(cells.longest)).sum()
    }

    #[inline(always)]
    unsafe fn write(&self, i: usize, out: &mut [u8], at: usize, asked: &mut Asked<'_>) -> usize {
        for cells in &self.large {
            // SAFETY: there is such a row.
            unsafe { cells.prefetch((i + CELLS_AHEAD).min(self.rows - 1)) };
        }
        let mut p = at;
        for cells in self.cells.chunks(STEP) {
            asked.step();
            for cell in cells {
                p += if IS_USUAL || cell.width == NARROW_CELL {
                    // SAFETY: promised by the caller; the cells are of this width.
                    unsafe { cell.write_any::<NARROW_CELL, IS_USUAL>(i, out, p) }
                } else {
                    // SAFETY: promised by the caller; there are but two widths in segments.
                    unsafe { cell.write_any::<CELL, false>(i, out, p) }
                };
            }
        }
        p
    }
}

/// A panel of slots.
struct SlotPanel<'l, 'a>(&'l [SlotLane<'a>]);

impl Panel for SlotPanel<'_, '_> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn most(&self) -> usize {
        self.0.iter().map(SlotLane::most).sum()
    }

    #[inline(always)]
    unsafe fn write(&self, i: usize, out: &mut [u8], at: usize, asked: &mut Asked<'_>) -> usize {
        let mut p = at;
        for slots in self.0.chunks(STEP) {
            asked.step();
            for slot in slots {
                slot.prefetch(i + SLOTS_AHEAD);
                // SAFETY: promised by the caller.
                p += unsafe { slot.write(i, out, p) };
            }
        }
        p
    }
}

/// The panels of a segment's run.
fn runs<'l>(segment: &'l Segment<'l>) -> impl Iterator<Item = Run<'l>> {
    let (mut start, mut words, mut bytes) = (0, segment.words.as_slice(), segment.bytes.as_slice());
    std::iter::from_fn(move || {
        if start == segment.len {
            return None;
        }
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
        (start, words, bytes) = (end, next_words, next_bytes);
        Some(run)
    })
}

/// A panel of a segment's run: a part of the template, and what is poked into it.
struct Run<'l> {
    template: &'l [u8],
    /// Where in the segment's template it starts.
    start: usize,
    words: &'l [Poke<'l>],
    bytes: &'l [(usize, &'l [u8])],
    digits: Option<(usize, &'l [[u64; 2]])>,
}

impl Run<'_> {
    /// Writes it, moves `at` behind it, and asks for what is due. Tells whether there is a word that as a float is not finite.
    ///
    /// # Safety
    /// As [`write_panels`], of this panel.
    #[inline(always)]
    unsafe fn write(&self, at: &mut [usize], mut due: Lines<'_>, out: &mut [u8]) -> bool {
        let rows = at.len();
        let (groups, rest) = at.as_chunks_mut::<GROUP>();
        let mut odd = false;
        // Of the output of the next rows, so many lines are asked for at each column.
        let lines = self.template.len().div_ceil(LINE * (self.words.len() / GROUP).max(1));
        let due_lines = due.count().div_ceil((groups.len() * self.words.len()).max(1));
        for g in 0..groups.len() {
            let (i, next) = (g * GROUP, groups[(g + 1) % groups.len()]);
            for (row, p) in groups[g].iter().enumerate() {
                // SAFETY: promised by the caller.
                unsafe { self.write_rest(i + row, out, *p) };
            }
            for (place, (offset, words)) in self.words.iter().enumerate() {
                prefetch_out(out, next[place % GROUP] + place / GROUP * lines * LINE, lines * LINE);
                prefetch_line(words.as_ptr().wrapping_add(i + WORDS_AHEAD));
                for _ in 0..due_lines {
                    due.ask();
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
    for line in (0..length).step_by(LINE) {
        prefetch_line(out.as_ptr().wrapping_add(at + line));
    }
}
