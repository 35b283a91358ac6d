//! Programs: the steps by which the rows of a block become lines.
//!
//! Everything of constant length between two cells of variable length is one *run*: a template into which values are
//! poked. Which cells are constant depends on the block: a column without nulls needs no branch, integers below 10^8
//! fit one word, timestamps of one decade share their first digits. A program is compiled for such a *shape* and
//! kept, since blocks of one frame have few shapes.

use std::ops::Range;

use arrow_schema::DataType;

use crate::fmt::SLOT;
use crate::options::{EmptyRows, ProtocolVersion};
use crate::plan::landing::Cast;
use crate::plan::{AtPlan, ColumnPlan, Plan, Role, Wire, WireUnit};

/// Runs are copied in pieces of this many bytes, and padded to them.
pub(super) const PIECE: usize = 32;

/// What stands before the value of a slot has at most as many bytes, so that one copy of them does.
pub(super) const KEY: usize = PIECE;

/// Columns from which on lines are written panel by panel ([`panels`](super::panels)), and how many a segment of them has
/// at least, on average.
pub(super) const WIDE: usize = 96;
const PANEL_LANES: usize = 24;

/// How the cells of a column look in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Eight raw bytes.
    Fixed,
    /// One byte: a boolean.
    Byte,
    /// At most eight bytes of text, in a slot.
    Word,
    /// At most a slot of text.
    Slot,
    /// A string.
    Text,
    /// A rendered dictionary cell, key included.
    Cells,
    /// The lengths of so many dimensions, and floats.
    Array { dims: usize },
}

/// A column's form in a block, and whether rows of it are null there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) form: Form,
    pub(super) nullable: bool,
}

/// How the designated timestamps look in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AtShape {
    /// Not from a column.
    Plan,
    /// The first digits are shared by all rows, sixteen follow in two words.
    Words { shared: usize },
    /// Any digits.
    Slot,
    /// Any digits, or none where null.
    MaybeSlot,
}

/// The most bytes of a key beside the name.
const ROUND_A_NAME: usize = 6;

/// A column in the order of the line.
#[derive(Debug)]
pub(super) struct WireColumn {
    /// Its index in the frame.
    pub(super) index: usize,
    pub(super) role: Role,
    pub(super) is_dictionary: bool,
    /// Separator, name, `=` and what opens the value. The separator of fields is a comma.
    pub(super) key: Vec<u8>,
    /// What closes the value.
    pub(super) close: &'static [u8],
}

impl WireColumn {
    pub(super) fn new(column: &ColumnPlan, version: ProtocolVersion) -> Self {
        let name = column.name.escaped();
        let mut key = Vec::with_capacity(name.len() + ROUND_A_NAME);
        key.push(b',');
        key.extend_from_slice(name);
        key.push(b'=');
        let close: &[u8] = match column.role {
            Role::Field(Wire::String) => {
                key.push(b'"');
                b"\""
            }
            Role::Field(Wire::Float) if version > ProtocolVersion::V1 => {
                key.extend_from_slice(&[b'=', 16]);
                b""
            }
            Role::Field(Wire::Array { dims }) => {
                key.extend_from_slice(&[b'=', 14, 10, dims]);
                b""
            }
            Role::Field(Wire::Decimal { scale }) => {
                key.extend_from_slice(&[b'=', 23, scale, decimal_width(column)]);
                b""
            }
            Role::Field(Wire::Integer) => b"i",
            Role::Field(Wire::Timestamp(WireUnit::Nanos)) if version > ProtocolVersion::V1 => b"n",
            Role::Field(Wire::Timestamp(_)) => b"t",
            _ => b"",
        };
        Self { index: column.index, role: column.role, is_dictionary: column.is_dictionary(), key, close }
    }
}

/// The bytes of a decimal of the column: as many as in Arrow, after the cast.
fn decimal_width(column: &ColumnPlan) -> u8 {
    // Dictionaries and runs may be in each other.
    let mut data_type = column.field.data_type();
    loop {
        data_type = match data_type {
            DataType::Dictionary(_, values) => values,
            DataType::RunEndEncoded(_, values) => values.data_type(),
            _ => break,
        };
    }
    match data_type {
        DataType::Decimal32(..) if column.cast == Cast::Keep => 4,
        DataType::Decimal64(..) if column.cast == Cast::Keep => 8,
        DataType::Decimal128(..) if column.cast == Cast::Keep => 16,
        _ => 32,
    }
}

/// Where a poke takes its bytes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// Eight bytes of this column.
    Words(usize),
    /// One byte of this column.
    Bytes(usize),
    /// The last sixteen digits of the designated timestamp.
    AtDigits,
}

impl Lane {
    fn bytes(self) -> usize {
        match self {
            Self::Words(_) => 8,
            Self::Bytes(_) => 1,
            Self::AtDigits => 16,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Poke {
    pub(super) offset: usize,
    pub(super) lane: Lane,
}

/// A key with the value of one nullable column.
#[derive(Clone, Debug)]
pub(super) struct Maybe {
    pub(super) column: usize,
    /// The key, padded to pieces, in [`Program::bytes`].
    pub(super) key: usize,
    pub(super) key_len: usize,
    /// One byte after the value, if any.
    pub(super) close: Option<u8>,
}

/// A value in a slot, and what stands before it: in [`Program::bytes`], padded to pieces, at most [`KEY`] bytes.
#[derive(Clone, Debug)]
pub(super) struct Keyed {
    pub(super) prefix: Range<usize>,
    /// The most bytes of the value, and of what closes it.
    pub(super) most: usize,
    /// What closes the value, if that is in the slot, too: where it may be null.
    pub(super) close: &'static [u8],
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    Run {
        start: usize,
        len: usize,
        pokes: Range<usize>,
    },
    Cells(usize),
    Slot(usize, Keyed),
    Text(usize),
    Array(usize),
    AtSlot(Keyed),
    /// A value in a slot with its key before it and what closes it behind it, or nothing where null.
    MaybeKeyed(usize, Keyed),
    /// The same of the designated timestamp.
    MaybeAt(Keyed),
    /// A value in a slot whose key is longer than [`KEY`].
    MaybeSlot(Maybe),
    MaybeText(Maybe),
    MaybeArray(Maybe),
    /// Remembers where the fields start: each begins with a comma.
    FieldsStart,
    /// Turns the first comma since then into the space that ends the symbols.
    FieldsEnd,
    /// Drops the row if it holds nothing after the table's name.
    SkipIfEmpty,
}

impl Step {
    /// Whether it is a part of segments other than a string.
    fn is_part(&self) -> bool {
        match self {
            Self::Run { .. } | Self::Cells(_) | Self::Slot(..) | Self::AtSlot(_) => true,
            Self::MaybeKeyed(..) | Self::MaybeAt(_) | Self::FieldsStart | Self::FieldsEnd => true,
            Self::Text(_) | Self::Array(_) | Self::SkipIfEmpty => false,
            Self::MaybeSlot(_) | Self::MaybeText(_) | Self::MaybeArray(_) => false,
        }
    }
}

/// The steps for blocks of one shape.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) shapes: Vec<Shape>,
    pub(super) at: AtShape,
    /// The templates and keys of all steps, each padded to pieces.
    pub(super) bytes: Vec<u8>,
    pub(super) pokes: Vec<Poke>,
    pub(super) steps: Vec<Step>,
    /// The most bytes a row takes, strings and dictionary cells aside.
    pub(super) row_max: usize,
    /// Where in `bytes` the shared digits of the designated timestamp stand.
    pub(super) at_shared: Range<usize>,
    /// Bytes of the table's name.
    pub(super) table_len: usize,
    /// Whether lines are written panel by panel, unless cells are very long.
    pub(super) is_in_panels: bool,
}

impl Program {
    pub(super) fn compile(plan: &Plan, columns: &[WireColumn], shapes: Vec<Shape>, at: AtShape) -> Self {
        let mut builder = Builder {
            program: Self {
                shapes,
                at,
                bytes: Vec::new(),
                pokes: Vec::new(),
                steps: Vec::new(),
                row_max: 0,
                at_shared: 0..0,
                table_len: plan.table.escaped().len(),
                is_in_panels: false,
            },
            run: Vec::new(),
            run_pokes: Vec::new(),
            shared: None,
        };
        builder.line(plan, columns);
        let mut program = builder.program;
        // A run ends a segment, and a panel goes no further; a panel of few columns is slower than to go row by row.
        let runs = program.steps.iter().filter(|step| matches!(step, Step::Run { .. })).count();
        let lanes = program.steps.len() - runs + program.pokes.len();
        program.is_in_panels = lanes >= WIDE.max(PANEL_LANES * runs) && program.steps.iter().all(Step::is_part);
        program
    }
}

struct Builder {
    program: Program,
    /// The run being gathered.
    run: Vec<u8>,
    run_pokes: Vec<Poke>,
    /// The shared digits inside it.
    shared: Option<Range<usize>>,
}

impl Builder {
    fn line(&mut self, plan: &Plan, columns: &[WireColumn]) {
        let symbols = columns.iter().take_while(|column| column.role == Role::Symbol).count();
        // The cells of a first symbol bring the table's name along.
        if !columns.first().is_some_and(|column| column.role == Role::Symbol && column.is_dictionary) {
            self.constant(plan.table.escaped());
        }
        for column in 0..symbols {
            self.column(columns, column, b',');
        }
        self.fields(columns, symbols);
        if plan.empty_rows == EmptyRows::Skip {
            self.step(Step::SkipIfEmpty);
        }
        self.at(plan);
        self.constant(b"\n");
        self.end_run();
    }

    fn fields(&mut self, columns: &[WireColumn], symbols: usize) {
        let Some(first) = self.program.shapes.get(symbols).copied() else { return };
        // If the first field is there in every row it opens with the space; else whichever comes first is mended.
        let mend = first.nullable || first.form == Form::Cells;
        if mend {
            self.step(Step::FieldsStart);
        }
        for column in symbols..columns.len() {
            self.column(columns, column, if column == symbols && !mend { b' ' } else { b',' });
        }
        if mend {
            self.step(Step::FieldsEnd);
        }
    }

    fn column(&mut self, columns: &[WireColumn], column: usize, separator: u8) {
        let wire = &columns[column];
        let Shape { form, nullable } = self.program.shapes[column];
        if form == Form::Cells {
            self.step(Step::Cells(column));
            return;
        }
        let in_slot = match form {
            Form::Fixed | Form::Word => Some(8),
            Form::Byte => Some(1),
            Form::Slot => Some(SLOT - wire.close.len()),
            _ => None,
        };
        if let (true, Some(most), 0..=KEY) = (nullable, in_slot, wire.key.len()) {
            let keyed = self.maybe_keyed(&wire.key, most, wire.close);
            self.step(Step::MaybeKeyed(column, keyed));
            return;
        }
        if nullable {
            let maybe = self.maybe(column, &wire.key, wire.close);
            let step = match form {
                // The key is too long for one copy.
                Form::Fixed | Form::Byte | Form::Word | Form::Slot => Step::MaybeSlot(maybe),
                Form::Text | Form::Cells => Step::MaybeText(maybe),
                Form::Array { dims } => {
                    self.program.row_max += 4 * dims;
                    Step::MaybeArray(maybe)
                }
            };
            self.step(step);
            return;
        }
        self.constant(&[separator]);
        self.constant(&wire.key[1..]);
        match form {
            Form::Fixed => self.poke(Lane::Words(column)),
            Form::Byte => self.poke(Lane::Bytes(column)),
            Form::Word => self.slot(8, |keyed| Step::Slot(column, keyed)),
            Form::Slot => self.slot(SLOT, |keyed| Step::Slot(column, keyed)),
            Form::Text | Form::Cells => self.step(Step::Text(column)),
            Form::Array { dims } => self.variable(Step::Array(column), 4 * dims),
        }
        self.constant(wire.close);
    }

    fn at(&mut self, plan: &Plan) {
        let suffix: &'static [u8] = match plan.at {
            AtPlan::Column { unit, .. } if plan.version > ProtocolVersion::V1 => match unit {
                WireUnit::Micros => b"t",
                WireUnit::Nanos => b"n",
            },
            _ => b"",
        };
        match self.program.at {
            AtShape::Plan => {
                if let AtPlan::Constant { text } = &plan.at {
                    self.constant(b" ");
                    self.constant(text);
                }
            }
            AtShape::Words { shared } => {
                self.constant(b" ");
                let start = self.run.len();
                self.shared = Some(start..start + shared);
                self.run.resize(start + shared, b'0');
                self.poke(Lane::AtDigits);
                self.constant(suffix);
            }
            AtShape::Slot => {
                self.constant(b" ");
                self.slot(SLOT, Step::AtSlot);
                self.constant(suffix);
            }
            AtShape::MaybeSlot => {
                let keyed = self.maybe_keyed(b" ", SLOT - suffix.len(), suffix);
                self.step(Step::MaybeAt(keyed));
            }
        }
    }

    fn constant(&mut self, bytes: &[u8]) {
        self.run.extend_from_slice(bytes);
    }

    fn poke(&mut self, lane: Lane) {
        self.run_pokes.push(Poke { offset: self.run.len(), lane });
        self.run.resize(self.run.len() + lane.bytes(), 0);
    }

    fn variable(&mut self, step: Step, max: usize) {
        self.step(step);
        self.program.row_max += max;
    }

    /// A value of at most so many bytes in a slot. What the run has behind its last poke goes before it, if it is no longer
    /// than a key.
    fn slot(&mut self, most: usize, step: impl FnOnce(Keyed) -> Step) {
        let pokes = self.run_pokes.iter().map(|poke| poke.offset + poke.lane.bytes());
        let shared = self.shared.iter().map(|shared| shared.end);
        let from = pokes.chain(shared).max().unwrap_or(0);
        let from = if self.run.len() - from <= KEY { from } else { self.run.len() };
        let prefix = self.run.split_off(from);
        self.end_run();
        let (start, len) = self.store(&prefix);
        self.program.row_max += len + most;
        self.program.steps.push(step(Keyed { prefix: start..start + len, most, close: b"" }));
    }

    fn step(&mut self, step: Step) {
        self.end_run();
        self.program.steps.push(step);
    }

    /// A value of at most so many bytes that may be null: with its key before it, and what closes it in its slot.
    fn maybe_keyed(&mut self, key: &[u8], most: usize, close: &'static [u8]) -> Keyed {
        let (start, len) = self.store(key);
        self.program.row_max += len + most + close.len();
        Keyed { prefix: start..start + len, most: most + close.len(), close }
    }

    fn maybe(&mut self, column: usize, key: &[u8], close: &[u8]) -> Maybe {
        // Whatever the form: a value that is no string fits a slot.
        self.program.row_max += key.len() + SLOT + close.len();
        let (start, key_len) = self.store(key);
        Maybe { column, key: start, key_len, close: close.first().copied() }
    }

    fn end_run(&mut self) {
        if self.run.is_empty() {
            return;
        }
        let run = std::mem::take(&mut self.run);
        let (start, len) = self.store(&run);
        let pokes = self.program.pokes.len()..self.program.pokes.len() + self.run_pokes.len();
        self.program.pokes.append(&mut self.run_pokes);
        if let Some(shared) = self.shared.take() {
            self.program.at_shared = start + shared.start..start + shared.end;
        }
        self.program.row_max += len;
        self.program.steps.push(Step::Run { start, len, pokes });
    }

    fn store(&mut self, bytes: &[u8]) -> (usize, usize) {
        let start = self.program.bytes.len();
        self.program.bytes.extend_from_slice(bytes);
        self.program.bytes.resize(start + bytes.len().next_multiple_of(PIECE), 0);
        (start, bytes.len())
    }
}
