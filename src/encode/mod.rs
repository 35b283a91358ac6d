//! Record batches to ILP bytes: sans-io, deterministic, no allocation per row.
//!
//! Per block of some hundred rows each column is walked once into small scratch (*columnar preparation*), then
//! [`assemble`] writes the lines. Which steps that takes is a [`program`], compiled from the plan and the block's shape.
//! Measured against a naive row-wise encoder and the official client by `make bench`.

mod aligned;
mod assemble;
mod bits;
mod cells;
mod codes;
mod decode;
mod lanes;
mod lines;
mod panels;
mod prepare;
mod program;
mod row;
mod segment;
mod slots;
mod store;
mod strings;

pub(crate) use cells::BadCode;
pub use decode::{Content, Decoded, decoded};
pub(crate) use lines::{line_ends, value_in, value_text};
pub(crate) use row::{Mark, TableName};
pub use row::{Row, RowAt, RowBuffer, RowError};

use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};

use crate::column::{Column, Floats, Instants, Values};
use crate::error::{Error, Problem};
use crate::fmt::{SLOT, escape::Escape, float, int};
use crate::frontend::Dictionaries;
use crate::options::{NullAt, ProtocolVersion};
use crate::plan::{AtPlan, Plan, PlanError, Role, Wire, WireUnit};
use crate::simd::prefetch_value;
use assemble::{Op, PreparedAt, PreparedBlock, SLACK, SpareLanes, Written};
use cells::{Cells, Width};
use lanes::CELL;
use prepare::{
    Scratch, fill_slots, fill_valid, lost_floats, prepare_column, shared_digits, slots_of_nullable, whole_lengths,
};
use program::{AtShape, Form, Program, Shape, Step, WIDE, WireColumn};
use store::{Ahead, Asked};

/// Rows prepared at a time: as many as scratch has room for, within limits. Blocks of few rows cost their fixed share,
/// which narrow frames feel; many rows of many columns would leave the second cache level.
const BLOCK_ROWS: std::ops::RangeInclusive<usize> = 256..=2048;
const SCRATCH_BYTES: usize = 128 << 10;

/// The rows of blocks of [`WIDE`] lines: as many as leave what is read twice in the second cache level, codes and slots, within
/// limits. A block of few rows pays for each column's first touch: its page, and what is known of it.
const WIDE_ROWS: std::ops::RangeInclusive<usize> = 128..=448;
const WIDE_SCRATCH_BYTES: usize = 1 << 20;
/// How far ahead columns of such frames are asked for.
const COLUMNS_AHEAD: usize = 2;

/// How much of the columns is asked for before it is needed, at most, and the least rows.
const AHEAD_BYTES: usize = 256 << 10;
const LEAST_AHEAD: usize = 64;

/// Batches of so few rows have been prepared, and so read, when anything could be asked for.
const SMALL_BATCH: usize = 128;

/// Programs kept; frames alternate between few shapes.
const PROGRAMS: usize = 8;

/// Why a batch cannot be read that has the types that were planned.
const BAD_BATCH: &str = "copy it first if its memory ends with a part of a value; of a dictionary's values codes of 32 bits tell \
                         four billion apart";

/// A batch whose columns have been downcast for a plan.
#[derive(Debug)]
pub(crate) struct BoundBatch<'a> {
    /// In the order of the line.
    columns: Vec<Column<'a>>,
    /// Of timestamps.
    at: Option<Column<'a>>,
    rows: usize,
}

impl<'a> BoundBatch<'a> {
    fn instants(&self) -> Option<Instants<'a>> {
        match self.at.as_ref()?.values {
            Values::Instants(instants) => Some(instants),
            _ => None,
        }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// The designated timestamp of a row, in its column's unit.
    pub(crate) fn at_of(&self, row: usize) -> Option<i64> {
        self.instants().map(|instants| instants.raw(row))
    }

    /// Where a block of at most `most` rows that starts at `start` should end: there, or a little earlier where `at`
    /// changes, so that requests can be cut there.
    pub(crate) fn block_end(&self, start: usize, most: usize) -> usize {
        let end = self.rows.min(start.saturating_add(most));
        if end == self.rows {
            return end;
        }
        let Some(instants) = self.instants() else { return end };
        let changes = |row: usize| instants.raw(row - 1) != instants.raw(row);
        (start + 1..=end).rev().find(|row| changes(*row)).unwrap_or(end)
    }
}

/// The least and the greatest designated timestamp of some rows, in the wire's unit.
pub(crate) type AtRange = (i64, i64);

/// What a prepared block needs and holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    /// The room to hand to [`Encoder::encode`]; fewer bytes are written.
    pub(crate) bound: usize,
    /// `None` if the server's clock decides.
    pub(crate) at: Option<AtRange>,
    /// The first and the last timestamp of an `at` column, in its own unit.
    pub(crate) ends: Option<(i64, i64)>,
}

/// Encodes the batches of one write.
#[derive(Debug)]
pub(crate) struct Encoder<'p> {
    plan: &'p Plan,
    columns: Vec<WireColumn>,
    /// Rendered cells of the dictionary columns, by position in the line.
    cells: Vec<Option<Cells>>,
    scratch: Vec<Scratch>,
    at_scratch: Scratch,
    /// What stands before the last sixteen digits of the block's timestamps.
    at_leading: u64,
    programs: Vec<Program>,
    current: usize,
    /// The shapes of the block that is being prepared.
    shapes: Vec<Shape>,
    block: Range<usize>,
    /// What is asked for while that block is written: what the next one reads, or what comes later in it.
    ahead: Vec<Ahead>,
    /// Cache lines that are asked for while the rows of a batch are written: of what comes behind it.
    lines: Vec<usize>,
    block_rows: usize,
    /// Whether there are [`WIDE`] columns.
    is_wide: bool,
    /// Whether the block is written panel by panel.
    is_in_panels: bool,
    /// Of the whole frame, 0 if unknown.
    rows: usize,
    /// By position in the line: values written that read back as NULL, and whether there are any.
    lost: Vec<u64>,
    has_lost: bool,
    /// The memory of lists that a batch or a block needs; many small ones feel what it costs to ask for it.
    spare_columns: Vec<Column<'static>>,
    spare_ops: Vec<Op<'static>>,
    spare_lanes: SpareLanes<'static>,
}

/// An empty list with the memory of another.
fn recycled<T, U>(mut list: Vec<T>) -> Vec<U> {
    list.clear();
    // Collected in place where both are of one size.
    list.into_iter().map(|_| unreachable!("it is empty")).collect()
}

impl<'p> Encoder<'p> {
    /// For a frame of so many rows, if that is known.
    pub(crate) fn new(plan: &'p Plan, rows: Option<u64>) -> Self {
        let columns: Vec<_> = plan
            .symbols()
            .chain(plan.fields().map(|(column, _)| column))
            .map(|column| WireColumn::new(column, plan.version))
            .collect();
        let cells = columns
            .iter()
            .enumerate()
            .map(|(position, column)| match column.role {
                Role::Symbol | Role::Field(Wire::String) if column.is_dictionary => {
                    let escape = if column.role == Role::Symbol { Escape::Unquoted } else { Escape::Quoted };
                    let with_table = position == 0 && column.role == Role::Symbol;
                    let null = if with_table { plan.table.escaped().to_vec() } else { Vec::new() };
                    let prefix = [null.as_slice(), &column.key].concat();
                    Some(Cells::new(prefix, escape, column.close, null))
                }
                _ => None,
            })
            .collect();
        let scratch = columns.iter().map(|_| Scratch::default()).collect();
        let lost = vec![0; columns.len()];
        let is_wide = columns.len() >= WIDE;
        let bytes_per_row = columns.iter().map(|column| match column.role {
            Role::Field(Wire::Float) if plan.version > ProtocolVersion::V1 && is_wide => 0,
            Role::Symbol if is_wide => 1,
            Role::Field(Wire::Float) if plan.version > ProtocolVersion::V1 => 8,
            Role::Field(Wire::Integer | Wire::Float | Wire::Timestamp(_) | Wire::Decimal { .. }) => SLOT + 9,
            _ => 8,
        });
        let bytes_per_row = bytes_per_row.sum::<usize>().max(1);
        // What is left over of the floats that are made into text at a time takes as long as all of them.
        let whole = |rows: usize| rows - rows % float::BLOCK;
        Self {
            plan,
            columns,
            cells,
            scratch,
            at_scratch: Scratch::default(),
            at_leading: 0,
            programs: Vec::new(),
            current: 0,
            shapes: Vec::new(),
            block: 0..0,
            ahead: Vec::new(),
            lines: Vec::new(),
            block_rows: if is_wide {
                whole(WIDE_SCRATCH_BYTES / bytes_per_row).clamp(*WIDE_ROWS.start(), *WIDE_ROWS.end())
            } else {
                whole(SCRATCH_BYTES / bytes_per_row).clamp(*BLOCK_ROWS.start(), *BLOCK_ROWS.end())
            },
            is_wide,
            is_in_panels: is_wide,
            rows: rows.map_or(0, |rows| usize::try_from(rows).unwrap_or(usize::MAX)),
            lost,
            has_lost: false,
            spare_columns: Vec::new(),
            spare_ops: Vec::new(),
            spare_lanes: SpareLanes::default(),
        }
    }

    /// Takes a batch back that has been written.
    pub(crate) fn release(&mut self, batch: BoundBatch<'_>) {
        self.spare_columns = recycled(batch.columns);
    }

    /// By the index of its column, how many values have been written since the last call that read back as NULL: floats that
    /// are not finite, and the least integer. Nothing where there are none at all.
    pub(crate) fn take_lost(&mut self) -> impl Iterator<Item = (usize, u64)> {
        let columns = if std::mem::take(&mut self.has_lost) { self.columns.as_slice() } else { &[] };
        columns.iter().map(|column| column.index).zip(self.lost.iter_mut().map(std::mem::take))
    }

    /// By the index of its column, how many rows of a batch are null.
    pub(crate) fn nulls(&self, batch: &BoundBatch<'_>) -> impl Iterator<Item = (usize, u64)> {
        let columns = self.columns.iter().map(|column| column.index).zip(&batch.columns);
        let at = match self.plan.at {
            AtPlan::Column { index, .. } => Some(index),
            _ => None,
        };
        let at = at.zip(batch.at.as_ref());
        columns.chain(at).map(|(index, column)| (index, column.null_count() as u64))
    }

    /// Downcasts the columns of a batch; `arrays` are its columns after `check::cast`, those of `dictionaries` maybe codes
    /// alone.
    ///
    /// # Errors
    /// If a column's type is not the one that was planned: a stream whose batches differ from its schema.
    pub(crate) fn bind<'a>(
        &mut self,
        arrays: &'a [ArrayRef],
        rows: usize,
        dictionaries: Option<&'a Dictionaries>,
    ) -> Result<BoundBatch<'a>, Error> {
        let bind = |index: usize, columns: &mut Vec<Column<'a>>| {
            let values = dictionaries.and_then(|all| all.get(&index));
            // Text is written as it is, so that no cast has come between.
            match values.filter(|_| arrays[index].as_any_dictionary_opt().is_none()) {
                Some(values) => Column::push_bare(&arrays[index], values, columns),
                None => Column::push(&arrays[index], columns),
            }
        };
        let bad = |index: usize| {
            let data_type = arrays[index].data_type().to_string();
            let error = PlanError::Unsupported { data_type, advice: BAD_BATCH };
            Error::new(Problem::new(error).with_column(self.plan.columns[index].name.text()))
        };
        let mut columns = recycled(std::mem::take(&mut self.spare_columns));
        for column in &self.columns {
            bind(column.index, &mut columns).ok_or_else(|| bad(column.index))?;
        }
        let at = match self.plan.at {
            AtPlan::Column { index, .. } => {
                bind(index, &mut columns).ok_or_else(|| bad(index))?;
                columns.pop()
            }
            _ => None,
        };
        for (cells, column) in self.cells.iter_mut().zip(&columns) {
            if let (Some(cells), Values::Dictionary(keys)) = (cells, &column.values) {
                cells.bind(keys, rows.max(self.rows));
            }
        }
        Ok(BoundBatch { columns, at, rows })
    }

    /// The rows that a block has at most: of the first one, of which nobody knows how long they are, fewer where there are
    /// many columns.
    pub(crate) fn block_rows(&self) -> usize {
        if self.is_wide && self.programs.is_empty() { *WIDE_ROWS.start() } else { self.block_rows }
    }

    /// Whether the rows of the next block may be expected to take about as much room as those of the last one.
    pub(crate) fn has_like_rows(&self) -> bool {
        self.is_in_panels
    }

    /// Prepares a block and tells the room its lines may take.
    ///
    /// # Errors
    /// If a code that came alone has no value.
    pub(crate) fn prepare(&mut self, batch: &BoundBatch<'_>, rows: Range<usize>) -> Result<Block, BadCode> {
        self.shapes.clear();
        let (mut bound, mut most, mut are_short) = (0, 0, true);
        // Of floats.
        let has_text = self.plan.version == ProtocolVersion::V1;
        for (position, column) in batch.columns.iter().enumerate() {
            let wire = &self.columns[position];
            let scratch = &mut self.scratch[position];
            if self.is_wide {
                // Each column's rows are somewhere else, and too few for the processor to see that they follow each other.
                // Floats that are written as they are in memory are read by the row loop alone.
                let later = batch.columns.get(position + COLUMNS_AHEAD);
                let later = later.filter(|column| has_text || !matches!(column.values, Values::Floats(Floats::F64(_))));
                let later = later.and_then(|column| column.memory(rows.clone()));
                prefetch_value(later.map_or(&[][..], |(memory, _)| memory));
            }
            if let (Some(cells), Values::Dictionary(keys)) = (&mut self.cells[position], &column.values) {
                let filled = cells.fill(keys, rows.clone(), self.is_in_panels, &mut scratch.codes);
                filled.map_err(|bad| BadCode { column: wire.index, row: rows.start + bad.row, ..bad })?;
                bound += cells.bytes(&scratch.codes, rows.len());
                most += cells.most();
                are_short &= matches!(cells.width(), Width::Fixed(..=CELL));
                self.shapes.push(Shape { form: Form::Cells, nullable: false });
                continue;
            }
            self.shapes.push(prepare_column(self.plan, wire.role, column, rows.clone(), scratch));
            bound += match &column.values {
                // Under a null there may be anything, and none of it is written. It counts where it is among others.
                Values::Text(_) | Values::Arrays(_) if rows.len() == 1 && column.has_nulls(&rows) => 0,
                Values::Text(text) => 2 * text.bytes(rows.clone()),
                Values::Arrays(arrays) => 8 * arrays.leaves(rows.clone()).len(),
                _ => 0,
            };
        }
        let (at_shape, at) = self.prepare_at(batch, rows.clone());
        self.select(at_shape);
        self.block = rows.clone();
        // Codes have been read as the last block wanted them.
        let was_in_panels =
            std::mem::replace(&mut self.is_in_panels, are_short && self.programs[self.current].is_in_panels);
        if was_in_panels && !self.is_in_panels {
            self.scratch.iter_mut().for_each(|scratch| scratch.codes.widen());
        }
        // One row more than there are: the row loop asks for a whole row's room also behind the last string.
        bound += (rows.len() + 1) * self.programs[self.current].row_max + most + SLACK;
        let ends = batch.instants().map(|instants| (instants.raw(rows.start), instants.raw(rows.end - 1)));
        Ok(Block { bound, at, ends })
    }

    fn prepare_at(&mut self, batch: &BoundBatch<'_>, rows: Range<usize>) -> (AtShape, Option<AtRange>) {
        let AtPlan::Column { unit, .. } = self.plan.at else {
            return (AtShape::Plan, None);
        };
        let (Some(instants), Some(column)) = (batch.instants(), &batch.at) else { return (AtShape::Plan, None) };
        let scratch = &mut self.at_scratch;
        // Version 1 has no unit on the wire: the request says nanoseconds.
        let unit = if self.plan.version == ProtocolVersion::V1 { WireUnit::Nanos } else { unit };
        if self.plan.null_at == NullAt::Server && column.has_nulls(&rows) {
            instants.fill(rows.clone(), unit.per_second(), &mut scratch.integers);
            fill_valid(column, rows, &mut scratch.valid);
            fill_slots(scratch);
            return (AtShape::MaybeSlot, None);
        }
        let Scratch { integers, digits, .. } = scratch;
        let values = instants.in_unit(rows.clone(), unit.per_second(), integers);
        let (min, max) = int::range(values);
        let shape = if let Some(leading) = shared_digits(min, max) {
            int::sixteen_digits(values, leading * int::TWO_WORDS, digits);
            self.at_leading = leading;
            AtShape::Words { shared: if leading == 0 { 0 } else { leading.ilog10() as usize + 1 } }
        } else {
            instants.fill(rows, unit.per_second(), integers);
            fill_slots(scratch);
            AtShape::Slot
        };
        (shape, Some((min, max)))
    }

    /// Makes the program for these shapes the current one.
    fn select(&mut self, at: AtShape) {
        let fits = |program: &Program| program.at == at && program.shapes == self.shapes;
        if self.programs.get(self.current).is_some_and(fits) {
            return;
        }
        if let Some(found) = self.programs.iter().position(fits) {
            self.current = found;
            return;
        }
        if self.programs.len() == PROGRAMS {
            self.programs.clear();
        }
        self.current = self.programs.len();
        self.programs.push(Program::compile(self.plan, &self.columns, self.shapes.clone(), at));
    }

    /// Finds what is asked for while these rows are written: the next block, or where rows are wide, what comes some rows
    /// later: as much as the caches hold.
    fn look_ahead(&mut self, batch: &BoundBatch<'_>, rows: &Range<usize>) {
        self.ahead.clear();
        let inputs = || batch.columns.iter().chain(&batch.at);
        let row_bytes: usize = inputs().filter_map(|column| column.memory(0..0)).map(|(_, row)| row).sum();
        let rows_ahead = if rows.end < batch.rows { rows.len().min(AHEAD_BYTES / row_bytes.max(1)) } else { 0 };
        let from = rows.start + rows_ahead.max(LEAST_AHEAD);
        if from < batch.rows {
            let inputs = inputs().filter_map(|column| column.memory(from..batch.rows));
            self.ahead.extend(inputs.map(|(memory, row)| Ahead::new(memory, row)));
        }
    }

    /// Has the memory of later batches asked for while the rows of the next batch are written: none, or what `of` names.
    pub(crate) fn ask_for<'m>(&mut self, of: impl Iterator<Item = &'m [u8]>) {
        self.lines.clear();
        for memory in of {
            let start = memory.as_ptr().addr();
            self.lines.extend((start & !63..start + memory.len()).step_by(64));
        }
    }

    /// Writes the prepared block's lines to the start of `out` and returns their bytes. Rows left out because they
    /// hold nothing are added to `skipped`, counted within the block.
    ///
    /// # Panics
    /// If `out` is shorter than [`Block::bound`].
    pub(crate) fn encode(&mut self, batch: &BoundBatch<'_>, out: &mut [u8], skipped: &mut Vec<usize>) -> usize {
        let rows = self.block.clone();
        // Panels ask for what they need themselves.
        if self.is_in_panels || batch.rows <= SMALL_BATCH || !self.lines.is_empty() {
            self.ahead.clear();
        } else {
            self.look_ahead(batch, &rows);
        }
        let program = &mut self.programs[self.current];
        if let AtShape::Words { shared: 1.. } = program.at {
            let mut text = [0; SLOT];
            let length = int::write(self.at_leading as i64, &mut text);
            program.bytes[program.at_shared.clone()].copy_from_slice(&text[..length]);
        }
        for step in &program.steps {
            let (scratch, keyed) = match step {
                Step::Slot(column, keyed) => (&mut self.scratch[*column], keyed),
                Step::MaybeKeyed(column, keyed) => {
                    let scratch = &mut self.scratch[*column];
                    slots_of_nullable(&batch.columns[*column], rows.clone(), program.shapes[*column].form, scratch);
                    (scratch, keyed)
                }
                Step::MaybeSlot(maybe) => {
                    let scratch = &mut self.scratch[maybe.column];
                    let form = program.shapes[maybe.column].form;
                    slots_of_nullable(&batch.columns[maybe.column], rows.clone(), form, scratch);
                    continue;
                }
                Step::AtSlot(keyed) | Step::MaybeAt(keyed) => (&mut self.at_scratch, keyed),
                _ => continue,
            };
            if let Step::MaybeKeyed(..) | Step::MaybeAt(_) = step {
                let Scratch { slots, lengths, valid, .. } = scratch;
                if let [close] = keyed.close {
                    slots.put_behind(*close, lengths);
                }
                whole_lengths(lengths, (keyed.prefix.len() + keyed.close.len()) as u8, valid);
            }
        }
        let at = PreparedAt {
            digits: &self.at_scratch.digits,
            slots: Some(&self.at_scratch.slots),
            lengths: &self.at_scratch.lengths,
        };
        let line = |row: usize| self.lines.len() * row / batch.rows.max(1);
        let lines = &self.lines[line(rows.start)..line(rows.end)];
        let block = PreparedBlock {
            program,
            columns: &batch.columns,
            scratch: &self.scratch,
            cells: &self.cells,
            start: rows.start,
            rows: rows.len(),
            at,
            ahead: Asked::new(&self.ahead, lines, rows.len()),
            is_in_panels: self.is_in_panels,
        };
        let mut ops = recycled(std::mem::take(&mut self.spare_ops));
        let SpareLanes { cells, words } = std::mem::take(&mut self.spare_lanes);
        let mut spare = SpareLanes { cells: recycled(cells), words: recycled(words) };
        let Written { bytes, words_are_finite } = assemble::assemble(&block, &mut ops, &mut spare, out, skipped);
        if let Some(Op::Segment(first)) = ops.first_mut() {
            let (cells, words) = (std::mem::take(&mut first.cells), std::mem::take(&mut first.words));
            self.spare_lanes = SpareLanes { cells: recycled(cells), words: recycled(words) };
        }
        self.spare_ops = recycled(ops);
        for (position, lost) in self.lost.iter_mut().enumerate() {
            let (scratch, nullable) = (&self.scratch[position], program.shapes[position].nullable);
            *lost += scratch.lost;
            // What the row loop has read is in the caches now.
            if program.shapes[position].form == Form::Fixed && (nullable || !words_are_finite) {
                *lost += lost_floats(block.column(position).words, nullable.then_some(scratch.valid.as_slice()));
            }
            self.has_lost |= *lost > 0;
        }
        bytes
    }
}
