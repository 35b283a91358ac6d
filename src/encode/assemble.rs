//! The row loop: prepared columns become ILP lines, row by row.
//!
//! Why it is hard: it is the one place every byte goes through, and it must not branch on data. Lines are written one
//! after the other, so that each is written once while its cache line is hot (walking columns over rows already
//! written costs twice as much). Every copy is of a fixed size, at least as long as the cell: what it writes too much
//! is overwritten by the next cell, and the last one has [`SLACK`] bytes to spill into. Null cells are written too;
//! only the position does not advance over them.

use super::cells::{Cells, Width};
use super::program::{Lane, Maybe, PIECE, Program, Step};
use super::text::Text;
use crate::fmt::SLOT;
use crate::fmt::escape::Escape;

/// How far a copy may write behind the end of a row.
pub(super) const SLACK: usize = 192;

/// One column of a block, prepared; which of the slices are filled depends on its form.
#[derive(Debug, Default)]
pub(super) struct Prepared<'a> {
    pub(super) words: &'a [u64],
    pub(super) bytes: &'a [u8],
    pub(super) slots: &'a [[u8; SLOT]],
    pub(super) lengths: &'a [u8],
    /// 1 where a row holds a value, 0 where it is null. Filled for nullable columns only.
    pub(super) valid: &'a [u8],
    pub(super) codes: &'a [u32],
    pub(super) cells: Option<&'a Cells>,
    /// The strings, the row of theirs at which the block starts, and the escape if any value may need one.
    pub(super) text: Option<(&'a Text<'a>, usize, Option<Escape>)>,
}

/// The designated timestamps of a block, prepared.
#[derive(Debug, Default)]
pub(super) struct PreparedAt<'a> {
    pub(super) high: &'a [u64],
    pub(super) low: &'a [u64],
    pub(super) slots: &'a [[u8; SLOT]],
    pub(super) lengths: &'a [u8],
    pub(super) valid: &'a [u8],
}

/// A step with everything it reads at hand.
enum Op<'a> {
    Run { template: &'a [u8], len: usize, words: Vec<(usize, &'a [u64])>, bytes: Vec<(usize, &'a [u8])> },
    Cells32 { codes: &'a [u32], text: &'a [u8], lengths: &'a [u32] },
    Cells64 { codes: &'a [u32], text: &'a [u8], lengths: &'a [u32] },
    Cells128 { codes: &'a [u32], text: &'a [u8], lengths: &'a [u32] },
    CellsAny { codes: &'a [u32], cells: &'a Cells },
    Word { words: &'a [u64], lengths: &'a [u8] },
    Slot { slots: &'a [[u8; SLOT]], lengths: &'a [u8] },
    Text { text: &'a Text<'a>, base: usize, escape: Option<Escape> },
    MaybeFixed { key: Key<'a>, words: &'a [u64], valid: &'a [u8] },
    MaybeByte { key: Key<'a>, bytes: &'a [u8], valid: &'a [u8] },
    MaybeWord { key: Key<'a>, words: &'a [u64], lengths: &'a [u8], valid: &'a [u8] },
    MaybeSlot { key: Key<'a>, slots: &'a [[u8; SLOT]], lengths: &'a [u8], valid: &'a [u8] },
    MaybeText { key: Key<'a>, text: &'a Text<'a>, base: usize, escape: Option<Escape>, valid: &'a [u8] },
    FieldsStart,
    FieldsEnd,
    SkipIfEmpty,
}

/// A nullable column's key, padded, and the byte that closes its value.
#[derive(Clone, Copy)]
struct Key<'a> {
    template: &'a [u8],
    len: usize,
    close: Option<u8>,
}

impl<'a> Key<'a> {
    fn new(program: &'a Program, maybe: &Maybe) -> Self {
        let end = maybe.key + maybe.key_len.next_multiple_of(PIECE);
        Self { template: &program.bytes[maybe.key..end], len: maybe.key_len, close: maybe.close }
    }

    /// Writes the key and returns where the value goes.
    #[inline]
    fn write(&self, out: &mut [u8], at: usize) -> usize {
        pieces(out, at, self.template);
        at + self.len
    }

    /// Closes the value that ends at `end`, and returns the end of the cell.
    #[inline]
    fn close(&self, out: &mut [u8], end: usize) -> usize {
        match self.close {
            Some(byte) => {
                out[end] = byte;
                end + 1
            }
            None => end,
        }
    }
}

#[inline]
fn pieces(out: &mut [u8], at: usize, template: &[u8]) {
    for (target, piece) in out[at..at + template.len()].chunks_exact_mut(PIECE).zip(template.chunks_exact(PIECE)) {
        target.copy_from_slice(piece);
    }
}

#[inline]
fn fixed<const N: usize>(out: &mut [u8], at: usize, from: &[u8], start: usize) {
    out[at..at + N].copy_from_slice(&from[start..start + N]);
}

/// Writes `rows` lines to the start of `out` and returns the bytes written. `skipped` gets the rows left out.
///
/// # Panics
/// If `out` is shorter than what the block may take plus [`SLACK`]: a wrong bound is our bug, never a wrong write.
pub(super) fn assemble(
    program: &Program,
    columns: &[Prepared<'_>],
    at: &PreparedAt<'_>,
    rows: usize,
    out: &mut [u8],
    skipped: &mut Vec<usize>,
) -> usize {
    let ops: Vec<Op<'_>> = program.steps.iter().filter_map(|step| op(program, columns, at, step)).collect();
    let mut p = 0;
    let mut fields = 0;
    'rows: for i in 0..rows {
        let row = p;
        for op in &ops {
            match op {
                Op::Run { template, len, words, bytes } => {
                    pieces(out, p, template);
                    for (offset, words) in words {
                        out[p + offset..p + offset + 8].copy_from_slice(&words[i].to_le_bytes());
                    }
                    for (offset, bytes) in bytes {
                        out[p + offset] = bytes[i];
                    }
                    p += len;
                }
                Op::Cells32 { codes, text, lengths } => {
                    let code = codes[i] as usize;
                    fixed::<32>(out, p, text, code * 32);
                    p += lengths[code] as usize;
                }
                Op::Cells64 { codes, text, lengths } => {
                    let code = codes[i] as usize;
                    fixed::<64>(out, p, text, code * 64);
                    p += lengths[code] as usize;
                }
                Op::Cells128 { codes, text, lengths } => {
                    let code = codes[i] as usize;
                    fixed::<128>(out, p, text, code * 128);
                    p += lengths[code] as usize;
                }
                Op::CellsAny { codes, cells } => {
                    let cell = cells.get(codes[i]);
                    out[p..p + cell.len()].copy_from_slice(cell);
                    p += cell.len();
                }
                Op::Word { words, lengths } => {
                    out[p..p + 8].copy_from_slice(&words[i].to_le_bytes());
                    p += lengths[i] as usize;
                }
                Op::Slot { slots, lengths } => {
                    fixed::<SLOT>(out, p, &slots[i], 0);
                    p += lengths[i] as usize;
                }
                Op::Text { text, base, escape } => p += text.write(base + i, *escape, out, p),
                Op::MaybeFixed { key, words, valid } => {
                    let value = key.write(out, p);
                    out[value..value + 8].copy_from_slice(&words[i].to_le_bytes());
                    p += (value + 8 - p) * valid[i] as usize;
                }
                Op::MaybeByte { key, bytes, valid } => {
                    let value = key.write(out, p);
                    out[value] = bytes[i];
                    p += (value + 1 - p) * valid[i] as usize;
                }
                Op::MaybeWord { key, words, lengths, valid } => {
                    let value = key.write(out, p);
                    out[value..value + 8].copy_from_slice(&words[i].to_le_bytes());
                    let end = key.close(out, value + lengths[i] as usize);
                    p += (end - p) * valid[i] as usize;
                }
                Op::MaybeSlot { key, slots, lengths, valid } => {
                    let value = key.write(out, p);
                    fixed::<SLOT>(out, value, &slots[i], 0);
                    let end = key.close(out, value + lengths[i] as usize);
                    p += (end - p) * valid[i] as usize;
                }
                Op::MaybeText { key, text, base, escape, valid } => {
                    // A string may be long: here the branch is cheaper than the copy.
                    if valid[i] != 0 {
                        let value = key.write(out, p);
                        let end = value + text.write(base + i, *escape, out, value);
                        p = key.close(out, end);
                    }
                }
                Op::FieldsStart => fields = p,
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

fn op<'a>(program: &'a Program, columns: &'a [Prepared<'a>], at: &'a PreparedAt<'a>, step: &Step) -> Option<Op<'a>> {
    Some(match step {
        Step::Run { start, len, pokes } => {
            let (mut words, mut bytes) = (Vec::new(), Vec::new());
            for poke in &program.pokes[pokes.clone()] {
                match poke.lane {
                    Lane::Words(column) => words.push((poke.offset, columns[column].words)),
                    Lane::AtHigh => words.push((poke.offset, at.high)),
                    Lane::AtLow => words.push((poke.offset, at.low)),
                    Lane::Bytes(column) => bytes.push((poke.offset, columns[column].bytes)),
                }
            }
            let template = &program.bytes[*start..*start + len.next_multiple_of(PIECE)];
            Op::Run { template, len: *len, words, bytes }
        }
        Step::Cells(column) => {
            let column = &columns[*column];
            let cells = column.cells?;
            let (codes, text, lengths) = (column.codes, cells.text(), cells.lengths());
            match cells.width() {
                Width::Fixed(32) => Op::Cells32 { codes, text, lengths },
                Width::Fixed(64) => Op::Cells64 { codes, text, lengths },
                Width::Fixed(_) => Op::Cells128 { codes, text, lengths },
                Width::Any => Op::CellsAny { codes, cells },
            }
        }
        Step::Word(column) => Op::Word { words: columns[*column].words, lengths: columns[*column].lengths },
        Step::Slot(column) => Op::Slot { slots: columns[*column].slots, lengths: columns[*column].lengths },
        Step::AtSlot => Op::Slot { slots: at.slots, lengths: at.lengths },
        Step::Text(column) => {
            let (text, base, escape) = columns[*column].text?;
            Op::Text { text, base, escape }
        }
        Step::MaybeFixed(maybe) => {
            let column = &columns[maybe.column];
            Op::MaybeFixed { key: Key::new(program, maybe), words: column.words, valid: column.valid }
        }
        Step::MaybeByte(maybe) => {
            let column = &columns[maybe.column];
            Op::MaybeByte { key: Key::new(program, maybe), bytes: column.bytes, valid: column.valid }
        }
        Step::MaybeWord(maybe) => {
            let column = &columns[maybe.column];
            let key = Key::new(program, maybe);
            Op::MaybeWord { key, words: column.words, lengths: column.lengths, valid: column.valid }
        }
        Step::MaybeSlot(maybe) => {
            let column = &columns[maybe.column];
            let key = Key::new(program, maybe);
            Op::MaybeSlot { key, slots: column.slots, lengths: column.lengths, valid: column.valid }
        }
        Step::MaybeAt(maybe) => {
            let key = Key::new(program, maybe);
            Op::MaybeSlot { key, slots: at.slots, lengths: at.lengths, valid: at.valid }
        }
        Step::MaybeText(maybe) => {
            let column = &columns[maybe.column];
            let (text, base, escape) = column.text?;
            Op::MaybeText { key: Key::new(program, maybe), text, base, escape, valid: column.valid }
        }
        Step::FieldsStart => Op::FieldsStart,
        Step::FieldsEnd => Op::FieldsEnd,
        Step::SkipIfEmpty => Op::SkipIfEmpty,
    })
}
