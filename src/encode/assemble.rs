//! The row loop: prepared columns become ILP lines, row by row.
//!
//! Why it is hard: it is the one place every byte goes through, and it must not branch on data. Lines are written one
//! after the other, so that each is written once while its cache line is hot (walking columns over rows already
//! written costs twice as much); those of very many columns go by [`panels`](super::panels). Every copy is of a fixed
//! size, at least as long as the cell: what it writes too much is overwritten by the next cell, and the last one has
//! [`SLACK`] bytes to spill into. Null cells are written too; only the position does not advance over them.
//!
//! Stores are unchecked, which `make bench` shows to be worth it. What makes them sound is checked, not computed
//! elsewhere: before each row (and after each string in it) that the output still has room for the most that a row's
//! fixed cells can write, and once per block that every lane has a value for every row and every code a cell. A wrong
//! bound from the encoder is a panic here, never a wrong write.

use super::cells::{Cells, Width};
use super::codes::Codes;
use super::lanes::{CellLane, Key, SlotKey, SlotLane, TextLane, full};
use super::panels::{Part, write_panels};
use super::prepare::{Scratch, words_of};
use super::program::{self, Keyed, Lane, PIECE, Program, Step};
use super::segment::{Poke, Segment, SegmentLane, write_rows};
use super::slots::Slots;
use super::store::{Ahead, Asked, get, room};
use super::strings::{are_segments, segments};
use crate::column::arrays::Arrays;
use crate::column::{Column, Values};
use crate::fmt::SLOT;
use crate::fmt::escape::Portable;
use crate::simd::also_for_avx512;

/// How far a copy may write behind the end of a row.
pub(super) const SLACK: usize = 192;

/// One column of a block, prepared; which of the slices are filled depends on its form.
#[derive(Debug)]
pub(super) struct Prepared<'a> {
    pub(super) words: &'a [u64],
    pub(super) bytes: &'a [u8],
    pub(super) slots: &'a Slots,
    pub(super) lengths: &'a [u8],
    /// 1 where a row holds a value, 0 where it is null. Filled for nullable columns only.
    pub(super) valid: &'a [u8],
    pub(super) codes: &'a Codes,
    pub(super) cells: Option<&'a Cells>,
    pub(super) text: Option<TextLane<'a>>,
    /// The arrays, and the row of theirs at which the block starts.
    pub(super) arrays: Option<(&'a Arrays<'a>, usize)>,
}

/// The designated timestamps of a block, prepared.
#[derive(Debug, Default)]
pub(super) struct PreparedAt<'a> {
    pub(super) digits: &'a [[u64; 2]],
    pub(super) slots: Option<&'a Slots>,
    pub(super) lengths: &'a [u8],
}

/// A block as it is written.
#[derive(Debug)]
pub(super) struct PreparedBlock<'a> {
    pub(super) program: &'a Program,
    /// By position in the line: the columns of the batch, what has been prepared of them, and their cells.
    pub(super) columns: &'a [Column<'a>],
    pub(super) scratch: &'a [Scratch],
    pub(super) cells: &'a [Option<Cells>],
    /// The row of the batch at which the block starts.
    pub(super) start: usize,
    pub(super) at: PreparedAt<'a>,
    pub(super) rows: usize,
    /// What is asked for meanwhile.
    pub(super) ahead: Asked<'a>,
    /// Whether it is written panel by panel; else no codes are bytes.
    pub(super) is_in_panels: bool,
}

impl<'a> PreparedBlock<'a> {
    /// A column. Most of it is not asked for, and then not looked for either.
    #[inline(always)]
    pub(super) fn column(&self, position: usize) -> Prepared<'a> {
        let (column, scratch) = (&self.columns[position], &self.scratch[position]);
        let text = match &column.values {
            Values::Text(text) => Some(TextLane { text, base: self.start, escape: scratch.escape, maybe: None }),
            _ => None,
        };
        let arrays = match &column.values {
            Values::Arrays(arrays) => Some((arrays, self.start)),
            _ => None,
        };
        Prepared {
            words: words_of(column, self.start..self.start + self.rows, &scratch.words),
            bytes: &scratch.bytes,
            slots: &scratch.slots,
            lengths: &scratch.lengths,
            valid: &scratch.valid,
            codes: &scratch.codes,
            cells: self.cells[position].as_ref(),
            text,
            arrays,
        }
    }

    /// The most bytes that the fixed cells of a row write, and what the last of them may spill.
    fn row_need(&self) -> usize {
        self.program.row_max + self.cells.iter().flatten().map(Cells::most).sum::<usize>() + SLACK
    }
}

/// A step with everything it reads at hand.
#[derive(Debug)]
pub(super) enum Op<'a> {
    Segment(Segment<'a>),
    Cells128(CellLane<'a>),
    CellsAny {
        codes: &'a [u32],
        cells: &'a Cells,
    },
    Array {
        arrays: &'a Arrays<'a>,
        base: usize,
    },
    MaybeSlot {
        key: Key<'a>,
        slot: SlotLane<'a>,
        valid: &'a [u8],
    },
    MaybeArray {
        key: Key<'a>,
        arrays: &'a Arrays<'a>,
        base: usize,
        valid: &'a [u8],
    },
    /// Turns the first comma since the fields started, if there is any, into the space that ends the symbols.
    FieldsEnd,
    SkipIfEmpty,
}

/// Empty lists, of which a block's first cells and first words take the memory.
#[derive(Debug, Default)]
pub(super) struct SpareLanes<'a> {
    pub(super) cells: Vec<CellLane<'a>>,
    pub(super) words: Vec<Poke<'a>>,
}

/// What has been written of a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    pub(super) bytes: usize,
    /// Whether all words of columns that have no nulls in the block, floats as they are in memory, have been found to be
    /// finite; else it is not known.
    pub(super) words_are_finite: bool,
}

impl Written {
    fn bytes(bytes: usize) -> Self {
        Self { bytes, words_are_finite: false }
    }
}

/// Writes the block's lines to the start of `out`. `skipped` gets the rows left out.
///
/// Each of the four row loops is a function of its own: the compiler has not registers enough for all of them at once.
///
/// # Panics
/// If `out` is shorter than what the block may take: a wrong bound is our bug, never a wrong write.
pub(super) fn assemble<'a>(
    block: &'a PreparedBlock<'a>,
    ops: &mut Vec<Op<'a>>,
    spare: &mut SpareLanes<'a>,
    out: &mut [u8],
    skipped: &mut Vec<usize>,
) -> Written {
    let program = block.program;
    // Whether the fields have started and there may be none yet.
    let mut is_first_open = false;
    for step in &program.steps {
        match step {
            Step::FieldsStart => {
                let goes_on = matches!(ops.last(), Some(Op::Segment(last)) if last.is_open() && last.slots.is_empty());
                if !goes_on {
                    ops.push(Op::Segment(Segment::default()));
                }
                if let Some(Op::Segment(last)) = ops.last_mut() {
                    last.starts_fields = true;
                }
                is_first_open = true;
                continue;
            }
            // What comes next tells whether it can be mended along with it.
            Step::FieldsEnd => continue,
            _ => {}
        }
        // What every row has, and does not end the line: the first of it mends.
        let mends = is_first_open
            && match step {
                Step::Slot(..) | Step::AtSlot(_) => true,
                Step::Run { start, .. } => program.bytes[*start] != b'\n',
                _ => false,
            };
        let ends = matches!(step, Step::Run { .. } | Step::MaybeAt(_));
        if is_first_open && ends && !mends {
            ops.push(Op::FieldsEnd);
        }
        is_first_open &= !mends && !ends;
        if let Step::Run { start, len, pokes } = step {
            // Behind cells and slots, or alone.
            if !matches!(ops.last(), Some(Op::Segment(last)) if last.is_open()) {
                ops.push(Op::Segment(Segment::default()));
            }
            if let Some(Op::Segment(last)) = ops.last_mut() {
                last.words = std::mem::take(&mut spare.words);
                end_with_run(last, block, *start, *len, &program.pokes[pokes.clone()]);
                last.mends |= mends;
            }
        } else if let Some(lane) = lane(block, step) {
            if !matches!(ops.last(), Some(Op::Segment(last)) if last.takes(&lane)) {
                ops.push(Op::Segment(Segment { cells: std::mem::take(&mut spare.cells), ..Segment::default() }));
            }
            if let Some(Op::Segment(last)) = ops.last_mut() {
                last.push(lane, program.steps.len());
                last.mends |= mends;
            }
        } else if let Some(text) = text(block, step) {
            // Behind another string that may be null: between them stands nothing.
            if !matches!(ops.last(), Some(Op::Segment(last)) if last.text.is_none()) {
                ops.push(Op::Segment(Segment::default()));
            }
            if let Some(Op::Segment(last)) = ops.last_mut() {
                last.text = Some(text);
            }
        } else if let Some(op) = op(block, step) {
            ops.push(op);
        }
    }
    for op in &mut *ops {
        if let Op::Segment(segment) = op {
            segment.settle();
        }
    }
    let need = block.row_need();
    if block.is_in_panels {
        room_for_all(block, need, out);
        return in_panels(ops, block, out);
    }
    if let [Op::Segment(segment @ Segment { text: None, .. })] = ops.as_slice() {
        room_for_all(block, need, out);
        return Written::bytes(one_segment(segment, block, out));
    }
    if are_segments(ops) {
        return Written::bytes(segments(ops, block, need, out));
    }
    Written::bytes(any_ops(ops, block, need, out, skipped))
}

also_for_avx512! {
    /// The rows of lines that are one segment, for all of which there is room.
    fn one_segment(segment: &Segment<'_>, block: &PreparedBlock<'_>, out: &mut [u8]) -> usize = one_segment_any
}

#[inline(always)]
fn one_segment_any(segment: &Segment<'_>, block: &PreparedBlock<'_>, out: &mut [u8]) -> usize {
    // SAFETY: there is room for all rows, as `assemble` has checked, and `op` has checked the lanes.
    unsafe { write_rows(segment, block.ahead, block.rows, out) }
}

/// Checks that there is room for all rows, each of which needs so much.
fn room_for_all(block: &PreparedBlock<'_>, need: usize, out: &[u8]) {
    // `need` has room for what the last row spills, and only the last row needs that.
    let all = block.rows.checked_mul(need - SLACK).and_then(|all| all.checked_add(SLACK));
    room(out, 0, all.unwrap_or(usize::MAX));
}

also_for_avx512! {
    /// The rows of lines that are segments of many columns, for all of which there is room.
    fn in_panels(ops: &[Op<'_>], block: &PreparedBlock<'_>, out: &mut [u8]) -> Written = in_panels_any
}

#[inline(always)]
fn in_panels_any(ops: &[Op<'_>], block: &PreparedBlock<'_>, out: &mut [u8]) -> Written {
    let mut parts: Vec<Part<'_, '_>> = Vec::with_capacity(ops.len());
    for op in ops {
        match (op, parts.last_mut()) {
            (Op::Segment(segment), _) if segment.text.is_none() => parts.push((segment, false)),
            // They have started in a segment.
            (Op::FieldsEnd, Some((_, ends_fields))) => *ends_fields = true,
            // `Program::compile` has looked at every step, and `Encoder::prepare` at the width of cells, whatever the input.
            _ => unreachable!("a line that cannot be written panel by panel"),
        }
    }
    // SAFETY: there is room for all rows, as `assemble` has checked, and `op` has checked the lanes.
    unsafe { write_panels(&parts, block.rows, out) }
}

also_for_avx512! {
    /// The rows of any lines.
    fn any_ops(
        ops: &[Op<'_>],
        block: &PreparedBlock<'_>,
        need: usize,
        out: &mut [u8],
        skipped: &mut Vec<usize>,
    ) -> usize = any_ops_any
}

#[inline(always)]
fn any_ops_any(
    ops: &[Op<'_>],
    block: &PreparedBlock<'_>,
    need: usize,
    out: &mut [u8],
    skipped: &mut Vec<usize>,
) -> usize {
    let program = block.program;
    let mut p = 0;
    let mut fields = 0;
    // SAFETY of all blocks below. Reads: `op` has checked every lane with `full` and every code with `CellLane::new`, and
    // `i < rows`. Writes: `room` has checked, since the position last moved by more than fixed cells, that `need` bytes
    // are left, and `need` counts the most that all fixed cells of a row write, one after the other: `Program::row_max`
    // and the longest of its cells, whose padding and that of a slot `SLACK` has room for; `SlotLane` has checked that no
    // value in a slot is longer than its form says.
    'rows: for i in 0..block.rows {
        let row = p;
        room(out, p, need);
        if i % Ahead::ROWS == 0 {
            block.ahead.prefetch(i);
        }
        for op in ops {
            match op {
                Op::Segment(segment) => {
                    // SAFETY: see above.
                    p = unsafe { segment.write::<true>(i, out, p, &mut fields) };
                    if let Some(text) = &segment.text {
                        // SAFETY: see above.
                        p = unsafe { text.write::<true>(i, Portable, out, p, need) };
                    }
                }
                // SAFETY: see above; the cells are 128 bytes wide.
                Op::Cells128(cells) => p += unsafe { cells.write::<128>(i, out, p) },
                Op::CellsAny { codes, cells } => {
                    let cell = cells.get(codes[i]);
                    out[p..p + cell.len()].copy_from_slice(cell);
                    p += cell.len();
                    room(out, p, need);
                }
                Op::Array { arrays, base } => {
                    p += arrays.write(base + i, out, p);
                    room(out, p, need);
                }
                Op::MaybeSlot { key, slot, valid } => {
                    // SAFETY: see above.
                    let value = unsafe { key.write(out, p) };
                    // SAFETY: see above.
                    let length = unsafe { slot.write_value(i, out, value) };
                    // SAFETY: see above.
                    let end = unsafe { key.close(out, value + length) };
                    // SAFETY: see above.
                    p += (end - p) * unsafe { get(valid, i) } as usize;
                }
                Op::MaybeArray { key, arrays, base, valid } => {
                    if valid[i] != 0 {
                        // SAFETY: see above.
                        let value = unsafe { key.write(out, p) };
                        p = value + arrays.write(base + i, out, value);
                        room(out, p, need);
                    }
                }
                Op::FieldsEnd => {
                    if p > fields {
                        out[fields] = b' ';
                    }
                }
                Op::SkipIfEmpty => {
                    if p == row + program.table_len {
                        p = row;
                        skipped.push(i);
                        continue 'rows;
                    }
                }
            }
        }
    }
    p
}

/// A step that is a part of a segment.
#[inline(always)]
fn lane<'a>(block: &'a PreparedBlock<'a>, step: &Step) -> Option<SegmentLane<'a>> {
    let PreparedBlock { program, at, rows, .. } = block;
    let slot = |slots: &'a Slots, lengths: &'a [u8], keyed: &Keyed| {
        SegmentLane::Slot(SlotLane::new(slots, lengths, SlotKey::new(program, &keyed.prefix), keyed.most, *rows))
    };
    let maybe = |slots: &'a Slots, lengths: &'a [u8], keyed: &Keyed| {
        SegmentLane::Slot(SlotLane::whole(slots, lengths, SlotKey::new(program, &keyed.prefix), keyed.most, *rows))
    };
    match step {
        Step::Cells(column) => {
            let column = block.column(*column);
            // `Encoder::prepare` has widened them where lines go row by row, whatever the input: those loops read no bytes.
            assert!(block.is_in_panels || column.codes.bytes().is_empty(), "codes as bytes outside of panels");
            let lane = CellLane::new(column.codes, column.cells?, *rows)?;
            lane.fits().then_some(SegmentLane::Cell(lane))
        }
        Step::Slot(column, keyed) => Some(slot(block.column(*column).slots, block.column(*column).lengths, keyed)),
        Step::AtSlot(keyed) => Some(slot(at.slots?, at.lengths, keyed)),
        Step::MaybeKeyed(column, keyed) => {
            Some(maybe(block.column(*column).slots, block.column(*column).lengths, keyed))
        }
        Step::MaybeAt(keyed) => Some(maybe(at.slots?, at.lengths, keyed)),
        _ => None,
    }
}

/// Puts a run behind what a segment has.
fn end_with_run<'a>(
    segment: &mut Segment<'a>,
    block: &'a PreparedBlock<'a>,
    start: usize,
    len: usize,
    pokes: &[program::Poke],
) {
    let PreparedBlock { program, at, rows, .. } = block;
    segment.template = &program.bytes[start..start + len.next_multiple_of(PIECE)];
    segment.len = len;
    for poke in pokes {
        match poke.lane {
            Lane::Words(column) => segment.words.push((poke.offset, full(block.column(column).words, *rows))),
            Lane::AtDigits => segment.digits = Some((poke.offset, full(at.digits, *rows))),
            Lane::Bytes(column) => segment.bytes.push((poke.offset, full(block.column(column).bytes, *rows))),
        }
    }
}

/// A step that is a string behind a segment.
fn text<'a>(block: &'a PreparedBlock<'a>, step: &Step) -> Option<TextLane<'a>> {
    match step {
        Step::Text(column) => block.column(*column).text,
        Step::MaybeText(maybe) => {
            let column = block.column(maybe.column);
            let key = Key::new(block.program, maybe);
            Some(TextLane { maybe: Some((key, full(column.valid, block.rows))), ..column.text? })
        }
        _ => None,
    }
}

fn op<'a>(block: &'a PreparedBlock<'a>, step: &Step) -> Option<Op<'a>> {
    let PreparedBlock { program, rows, .. } = block;
    let rows = *rows;
    Some(match step {
        Step::Cells(column) => {
            let column = block.column(*column);
            let cells = column.cells?;
            let codes = column.codes;
            match (CellLane::new(codes, cells, rows), cells.width()) {
                (Some(lane), Width::Fixed(128)) => Op::Cells128(lane),
                _ => Op::CellsAny { codes: codes.all(), cells },
            }
        }
        // These are in segments.
        Step::Text(_) | Step::MaybeText(_) => return None,
        Step::Run { .. } | Step::Slot(..) | Step::AtSlot(_) | Step::MaybeKeyed(..) | Step::MaybeAt(_) => return None,
        Step::FieldsStart | Step::FieldsEnd => return None,
        Step::MaybeSlot(maybe) => {
            let column = block.column(maybe.column);
            Op::MaybeSlot {
                key: Key::new(program, maybe),
                slot: SlotLane::new(column.slots, column.lengths, SlotKey::NONE, SLOT, rows),
                valid: full(column.valid, rows),
            }
        }
        Step::Array(column) => {
            let (arrays, base) = block.column(*column).arrays?;
            Op::Array { arrays, base }
        }
        Step::MaybeArray(maybe) => {
            let column = block.column(maybe.column);
            let (arrays, base) = column.arrays?;
            Op::MaybeArray { key: Key::new(program, maybe), arrays, base, valid: full(column.valid, rows) }
        }
        Step::SkipIfEmpty => Op::SkipIfEmpty,
    })
}
