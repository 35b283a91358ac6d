//! The check: values that the schema allows and QuestDB does not, found before a byte is sent.
//!
//! Vectorised, a pass per column that can hold such a value at all; [`needed`] tells which those are, so that a frame
//! that can be read twice is read the first time in those columns only. Findings are gathered over the whole frame:
//! the first row of each, and how many there are.

use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use arrow_array::{Array, ArrayRef};
use arrow_buffer::NullBuffer;
use arrow_schema::DataType;

use crate::encode::column::{Floats, Instants};
use crate::error::{Error, ErrorKind, Problem};
use crate::options::{EmptyRows, Nan, NullAt, NullBool, ProtocolVersion};
use crate::plan::{AtPlan, MAX_AT_MICROS, MAX_AT_NANOS, Plan, Role, Wire, WireUnit};

/// A value that cannot be sent. Every text ends with the cure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// The designated timestamp is null.
    #[error("the designated timestamp is null{}; fill or drop such rows, or let the server's clock decide with null_at=\"server\"", more(.rows))]
    NullAt {
        /// How many rows are so.
        rows: u64,
    },
    /// The designated timestamp lies before 1970.
    #[error("the designated timestamp lies before 1970-01-01, which QuestDB does not store{}; drop or shift such rows, or write the column as a field and choose another `at`", more(.rows))]
    AtBeforeEpoch {
        /// How many rows are so.
        rows: u64,
    },
    /// The designated timestamp is beyond what the server or the protocol version can take.
    #[error("the designated timestamp is too large: the most is {max}{}; drop or correct such rows{cure}", more(.rows))]
    AtTooLarge {
        /// How many rows are so.
        rows: u64,
        /// The largest, in words.
        max: &'static str,
        /// A further cure.
        cure: &'static str,
    },
    /// An unsigned integer above the largest `LONG`.
    #[error("the value is above 9223372036854775807, the largest LONG{}; cast the column to a string or to Float64", more(.rows))]
    IntegerTooLarge {
        /// How many rows are so.
        rows: u64,
    },
    /// A date or a coarse timestamp that overflows microseconds.
    #[error("the timestamp does not fit 64-bit microseconds{}; drop or correct such rows", more(.rows))]
    TimestampTooLarge {
        /// How many rows are so.
        rows: u64,
    },
    /// A null in a boolean column.
    #[error("the boolean is null, and QuestDB has no boolean null{}; choose null_bool=\"false\", null_bool=\"omit\" (the server stores false), or cast the column to a string", more(.rows))]
    NullBoolean {
        /// How many rows are so.
        rows: u64,
    },
    /// A row in which every symbol and field is null.
    #[error("every symbol and field of the row is null, and ILP has no form for that{}; drop such rows, or skip them with empty_rows=\"skip\"", more(.rows))]
    EmptyRow {
        /// How many rows are so.
        rows: u64,
    },
    /// A row whose line is longer than `max_buf_size`.
    #[error(
        "the row's line may take {bytes} bytes, more than max_buf_size={max_buf_size}; shorten its strings, or raise max_buf_size in the configuration string"
    )]
    RowTooLarge {
        /// The line's length.
        bytes: usize,
        /// The limit.
        max_buf_size: usize,
    },
}

fn more(rows: &u64) -> String {
    match rows {
        0 | 1 => String::new(),
        2 => " (so is one more row)".to_owned(),
        rows => format!(" (so are {} more rows)", rows - 1),
    }
}

impl ValueError {
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::NullAt { .. } | Self::AtBeforeEpoch { .. } | Self::AtTooLarge { .. } => ErrorKind::InvalidTimestamp,
            _ => ErrorKind::BadDataFrame,
        }
    }

    fn with_rows(self, count: u64) -> Self {
        match self {
            Self::NullAt { .. } => Self::NullAt { rows: count },
            Self::AtBeforeEpoch { .. } => Self::AtBeforeEpoch { rows: count },
            Self::AtTooLarge { max, cure, .. } => Self::AtTooLarge { rows: count, max, cure },
            Self::IntegerTooLarge { .. } => Self::IntegerTooLarge { rows: count },
            Self::TimestampTooLarge { .. } => Self::TimestampTooLarge { rows: count },
            Self::NullBoolean { .. } => Self::NullBoolean { rows: count },
            Self::EmptyRow { .. } => Self::EmptyRow { rows: count },
            other @ Self::RowTooLarge { .. } => other,
        }
    }
}

/// The columns whose values have to be looked at, by index; empty if the schema rules every error out.
pub(crate) fn needed(plan: &Plan) -> Vec<usize> {
    // One column that is never null, and no row is empty.
    let may_be_empty = plan.empty_rows == EmptyRows::Error
        && plan.columns.iter().all(|column| column.nullable || !matches!(column.role, Role::Symbol | Role::Field(_)));
    plan.columns
        .iter()
        .filter(|column| match column.role {
            Role::Timestamp => true,
            Role::Skipped => false,
            Role::Symbol | Role::Field(_) if may_be_empty => true,
            Role::Symbol => false,
            Role::Field(wire) => has_value_errors(plan, wire, value_type(&column.data_type)),
        })
        .map(|column| column.index)
        .collect()
}

fn value_type(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, values) => values,
        other => other,
    }
}

/// Whether values of this type can be such that they cannot be sent.
fn has_value_errors(plan: &Plan, wire: Wire, data_type: &DataType) -> bool {
    match wire {
        Wire::Boolean => plan.null_bool == NullBool::Error,
        Wire::Integer => *data_type == DataType::UInt64,
        Wire::Timestamp(unit) => multiplies(data_type, unit),
        Wire::Float | Wire::String => false,
    }
}

/// Whether values of this type are multiplied to reach the wire's unit.
fn multiplies(data_type: &DataType, unit: WireUnit) -> bool {
    use arrow_schema::TimeUnit::{Microsecond, Nanosecond};
    !matches!(
        (data_type, unit),
        (DataType::Timestamp(Nanosecond, _), _) | (DataType::Timestamp(Microsecond, _), WireUnit::Micros)
    )
}

/// The first row of one kind of error in one column, and how many rows have it.
#[derive(Debug)]
struct Finding {
    column: Option<usize>,
    row: u64,
    value: Option<String>,
    error: ValueError,
    rows: u64,
}

/// Gathers what is wrong with the values of a frame.
#[derive(Debug)]
pub(crate) struct Check<'p> {
    plan: &'p Plan,
    findings: Vec<Finding>,
    /// Row of the next batch's first.
    row: u64,
}

impl<'p> Check<'p> {
    pub(crate) fn new(plan: &'p Plan) -> Self {
        Self::starting_at(plan, 0)
    }

    /// A check of the rest of a stream, from this row on.
    pub(crate) fn starting_at(plan: &'p Plan, row: u64) -> Self {
        Self { plan, findings: Vec::new(), row }
    }

    /// Looks at a batch. `array(i)` is the frame's column `i`; only [`needed`] columns are asked for.
    pub(crate) fn batch<'a>(&mut self, rows: usize, array: impl Fn(usize) -> &'a ArrayRef) {
        let plan = self.plan;
        for index in needed(plan) {
            let column = &plan.columns[index];
            match column.role {
                Role::Timestamp => self.at(index, array(index)),
                Role::Field(wire) => self.field(index, wire, array(index)),
                Role::Symbol | Role::Skipped => {}
            }
        }
        if plan.empty_rows == EmptyRows::Error {
            self.empty_rows(rows, &array);
        }
        self.row += rows as u64;
    }

    /// # Errors
    /// If anything was found: all of it, in the order of the columns.
    pub(crate) fn finish(self) -> Result<(), Error> {
        if self.findings.is_empty() {
            return Ok(());
        }
        let problems = self.findings.into_iter().map(|finding| {
            let mut problem = Problem::new(finding.error.with_rows(finding.rows)).row(finding.row);
            if let Some(index) = finding.column {
                problem = problem.column(self.plan.columns[index].name.text());
            }
            match finding.value {
                Some(value) => problem.value(value),
                None => problem,
            }
        });
        Err(Error::from_problems(problems.collect(), 0).with_table(self.plan.table()))
    }

    fn found(&mut self, column: Option<usize>, row: usize, rows: usize, value: Option<String>, error: ValueError) {
        let known = self.findings.iter_mut().find(|finding| {
            finding.column == column && std::mem::discriminant(&finding.error) == std::mem::discriminant(&error)
        });
        match known {
            Some(finding) => finding.rows += rows as u64,
            None => {
                let row = self.row + row as u64;
                self.findings.push(Finding { column, row, value, error, rows: rows as u64 });
            }
        }
    }

    fn nulls(&mut self, column: usize, nulls: Option<&NullBuffer>, error: ValueError) {
        if let Some(nulls) = nulls
            && let Some(row) = (0..nulls.len()).find(|row| nulls.is_null(*row))
        {
            self.found(Some(column), row, nulls.null_count(), None, error);
        }
    }

    fn at(&mut self, index: usize, array: &ArrayRef) {
        let plan = self.plan;
        let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
        if plan.null_at == NullAt::Error {
            self.nulls(index, nulls, ValueError::NullAt { rows: 0 });
        }
        let AtPlan::Column { unit, .. } = plan.at else { return };
        let Some(instants) = Instants::bind(array) else { return };
        let (max, text, cure) = at_limit(plan.version, unit);
        // In the column's own unit: rounded toward the limit, so that nothing above it slips through.
        let max = match instants.factor(unit.per_second()) {
            Ok(factor) => max / factor,
            Err(divisor) => max.saturating_mul(divisor),
        };
        let (rows, extremes) = (array.len(), instants.extremes());
        let before = ValueError::AtBeforeEpoch { rows: 0 };
        self.range(index, &instants, nulls, rows, extremes, |value| value < 0, before);
        let too_large = ValueError::AtTooLarge { rows: 0, max: text, cure };
        self.range(index, &instants, nulls, rows, extremes, |value| value > max, too_large);
    }

    #[expect(clippy::too_many_arguments, reason = "one private helper for three kinds of limits")]
    fn range(
        &mut self,
        index: usize,
        instants: &Instants<'_>,
        nulls: Option<&NullBuffer>,
        rows: usize,
        extremes: Option<(i64, i64)>,
        bad: impl Fn(i64) -> bool,
        error: ValueError,
    ) {
        // What is bad is bad at the ends. Null slots may hold anything, so a hit only counts after a second look.
        if !extremes.is_some_and(|(min, max)| bad(min) || bad(max)) {
            return;
        }
        let hits = || (0..rows).filter(|row| bad(instants.raw(*row)) && nulls.is_none_or(|nulls| nulls.is_valid(*row)));
        if let Some(row) = hits().next() {
            let value = Some(instants.raw(row).to_string());
            self.found(Some(index), row, hits().count(), value, error);
        }
    }

    fn field(&mut self, index: usize, wire: Wire, array: &ArrayRef) {
        let data_type = value_type(array.data_type());
        if !has_value_errors(self.plan, wire, data_type) {
            return;
        }
        let array = &unpacked(array);
        let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
        match wire {
            Wire::Boolean => self.nulls(index, nulls, ValueError::NullBoolean { rows: 0 }),
            Wire::Integer => {
                let values = array.as_primitive::<UInt64Type>().values();
                let bad = |value: u64| value > i64::MAX as u64;
                if values.iter().fold(false, |any, value| any | bad(*value)) {
                    let hits = || {
                        (0..values.len())
                            .filter(|row| bad(values[*row]) && nulls.is_none_or(|nulls| nulls.is_valid(*row)))
                    };
                    if let Some(row) = hits().next() {
                        let value = Some(values[row].to_string());
                        let error = ValueError::IntegerTooLarge { rows: 0 };
                        self.found(Some(index), row, hits().count(), value, error);
                    }
                }
            }
            Wire::Timestamp(unit) => {
                let Some(instants) = Instants::bind(array) else { return };
                if let Ok(factor) = instants.factor(unit.per_second()) {
                    let bad = |value: i64| value.checked_mul(factor).is_none();
                    let error = ValueError::TimestampTooLarge { rows: 0 };
                    self.range(index, &instants, nulls, array.len(), instants.extremes(), bad, error);
                }
            }
            Wire::Float | Wire::String => {}
        }
    }

    /// Rows without any value: none while one column has no null at all.
    fn empty_rows<'a>(&mut self, rows: usize, array: &impl Fn(usize) -> &'a ArrayRef) {
        let plan = self.plan;
        let mut any: Option<NullBuffer> = None;
        for column in &plan.columns {
            if !matches!(column.role, Role::Symbol | Role::Field(_)) {
                continue;
            }
            if !column.nullable || (column.role == Role::Field(Wire::Boolean) && plan.null_bool == NullBool::False) {
                return;
            }
            let array = array(column.index);
            // A dictionary's rows may also be null because the value they point to is.
            let mut nulls = array.logical_nulls();
            if column.role == Role::Field(Wire::Float) && plan.nan == Nan::Omit {
                nulls = NullBuffer::union(nulls.as_ref(), not_nan(&unpacked(array)).as_ref());
            }
            let Some(nulls) = nulls.filter(|nulls| nulls.null_count() > 0) else { return };
            let valid = nulls.inner();
            any = Some(match any {
                None => nulls.clone(),
                Some(seen) => NullBuffer::new(seen.inner() | valid),
            });
            if any.as_ref().is_some_and(|any| any.null_count() == 0) {
                return;
            }
        }
        if let Some(any) = any
            && let Some(row) = (0..rows).find(|row| any.is_null(*row))
        {
            self.found(None, row, any.null_count(), None, ValueError::EmptyRow { rows: 0 });
        }
    }
}

/// The array, or what its dictionary stands for.
fn unpacked(array: &ArrayRef) -> ArrayRef {
    if !matches!(array.data_type(), DataType::Dictionary(..)) {
        return array.clone();
    }
    let dictionary = array.as_any_dictionary();
    // Encoding unpacks it again and reports why it cannot.
    arrow_select::take::take(dictionary.values(), dictionary.keys(), None).unwrap_or_else(|_| array.clone())
}

/// Where a float array holds a number, NaN being none.
fn not_nan(array: &ArrayRef) -> Option<NullBuffer> {
    let mut scratch = Vec::new();
    let floats = Floats::bind(array)?;
    let bits = floats.bits(0..array.len(), &mut scratch);
    Some(bits.iter().map(|bits| !f64::from_bits(*bits).is_nan()).collect::<Vec<bool>>().into())
}

/// The largest designated timestamp in the wire's unit, in words, and what else would help.
fn at_limit(version: ProtocolVersion, unit: WireUnit) -> (i64, &'static str, &'static str) {
    match (version, unit) {
        (ProtocolVersion::V1, WireUnit::Nanos) => (i64::MAX, "2262-04-11T23:47:16.854775807Z", ""),
        (ProtocolVersion::V1, WireUnit::Micros) => {
            (i64::MAX / 1000, "2262-04-11T23:47:16.854775Z in protocol version 1", ", or use protocol version 2")
        }
        (_, WireUnit::Nanos) => {
            (MAX_AT_NANOS, "2261-12-31T23:59:59.999999999Z in nanoseconds", ", or cast it to microseconds")
        }
        (_, WireUnit::Micros) => (MAX_AT_MICROS, "9999-12-31T23:59:59.999999Z", ""),
    }
}
