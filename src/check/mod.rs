//! The check: values that the schema allows and QuestDB does not, found before a byte is sent.
//!
//! Vectorised, a pass per column that can hold such a value at all; [`needed`] tells which those are, so that a frame
//! that can be read twice is read the first time in those columns only. Findings are gathered over the whole frame:
//! the first row of each, and how many there are.

pub(crate) mod cast;
mod error;
mod limit;
mod lists;
mod misfits;
mod number;
mod text_form;

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, NullArray, RecordBatch};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, SchemaRef};

use crate::column::{Floats, Instants};
use crate::error::{Cause, Error, Problem};
use crate::fmt::instant;
use crate::frontend::{Dictionaries, Frame, prefetched};
use crate::options::{EmptyRows, Nan, NullAt, NullBool, ProtocolVersion};
use crate::plan::column_type::ColumnType;
use crate::plan::landing::{Cast, Limit};
use crate::plan::{ColumnPlan, MAX_AT_MICROS, MAX_AT_NANOS, Plan, PlanError, Role, Wire, WireUnit};
use cast::{cast, rows_at_a_time};
pub use error::ValueError;
use misfits::{Misfit, Misfits};

/// The columns whose values have to be looked at, by index; empty if the schema rules every error out.
pub(crate) fn needed(plan: &Plan) -> Vec<usize> {
    // One column that is never null, and no row is empty.
    let may_be_empty = plan.empty_rows == EmptyRows::Error
        && plan.columns.iter().all(|column| column.nullable || !column.is_written());
    plan.columns
        .iter()
        .filter(|column| match column.role {
            Role::Timestamp => true,
            Role::Skipped => false,
            Role::Symbol | Role::Field(_) => {
                may_be_empty || has_value_errors(column) || plan.unit_of_time(column).is_some()
            }
        })
        .map(|column| column.index)
        .collect()
}

/// Whether values of the column can be such that they cannot be sent.
fn has_value_errors(column: &ColumnPlan) -> bool {
    let by_cast = match column.cast {
        Cast::Keep | Cast::Text { .. } => false,
        Cast::Array => lists::may_be_wrong(column.field.data_type()),
        Cast::Integer | Cast::Boolean | Cast::Float | Cast::Hex | Cast::WholeDecimal => true,
    };
    by_cast || !column.limits.is_empty()
}

/// Looks at a whole frame, in those columns only that can be wrong.
///
/// # Errors
/// Everything that is wrong with its values, or why it cannot be read.
pub(crate) fn frame(plan: &Plan, frame: &dyn Frame) -> Result<(), Error> {
    let needed = needed(plan);
    if needed.is_empty() {
        return Ok(());
    }
    let mut check = Check::new(plan, &needed);
    if let Some(batches) = frame.in_memory() {
        let mut conforming = Conforming::default();
        for batch in prefetched(batches, &needed) {
            conforming.look(plan, batch, check.row, None)?;
            check.batch(batch.num_rows(), |index| batch.column(index));
        }
        return check.finish();
    }
    for batch in frame.batches(Some(&needed)) {
        let batch = batch.map_err(|error| Error::unread(error).with_table(plan.table()))?;
        let position = |index: usize| needed.iter().position(|needed| *needed == index).unwrap_or(0);
        check.batch(batch.num_rows(), |index| batch.column(position(index)));
    }
    check.finish()
}

/// Looks at a batch of a stream that starts at row `row`.
///
/// # Errors
/// Everything that is wrong with its values, or that it is not of the stream's schema.
pub(crate) fn batch(plan: &Plan, batch: &RecordBatch, row: u64) -> Result<(), Error> {
    conforms(plan, batch, row, None)?;
    let needed = needed(plan);
    let mut check = Check { row, ..Check::new(plan, &needed) };
    check.batch(batch.num_rows(), |index| batch.column(index));
    check.finish()
}

/// Looks at one batch after the other whether it has the columns that were planned. Mostly all have the same schema,
/// and many small ones feel what a comparison costs.
#[derive(Debug, Default)]
pub(crate) struct Conforming {
    /// The schema of the last batch.
    known: Option<SchemaRef>,
}

impl Conforming {
    /// Looks at the batch that starts at row `row`. Columns of `dictionaries` may be codes alone.
    ///
    /// # Errors
    /// If it has others, naming the first column of another type.
    pub(crate) fn look(
        &mut self,
        plan: &Plan,
        batch: &RecordBatch,
        row: u64,
        dictionaries: Option<&Dictionaries>,
    ) -> Result<(), Error> {
        if !self.known.as_ref().is_some_and(|known| Arc::ptr_eq(known, batch.schema_ref())) {
            conforms(plan, batch, row, dictionaries)?;
            self.known = Some(batch.schema());
        }
        Ok(())
    }
}

/// Looks whether a batch that starts at row `row` has the columns that were planned, those of `dictionaries` maybe as
/// codes alone.
///
/// # Errors
/// If not, naming the first column of another type.
fn conforms(plan: &Plan, batch: &RecordBatch, row: u64, dictionaries: Option<&Dictionaries>) -> Result<(), Error> {
    let (planned, found) = (plan.columns.len(), batch.num_columns());
    if found != planned {
        let text = format!("from row {row} on the stream has {found} columns, and its schema {planned}");
        return Err(Error::source(text).with_table(plan.table()));
    }
    // Else values would go into columns of other names.
    let names = plan.columns.iter().zip(batch.schema_ref().fields());
    if let Some((column, field)) = names.clone().find(|(column, field)| column.field.name() != field.name()) {
        let (planned, found) = (column.field.name(), field.name());
        let text = format!(
            "from row {row} on the column {found:?} stands where {planned:?} did; give all batches the same columns in the \
             same order"
        );
        return Err(Error::source(text).with_table(plan.table()));
    }
    // Where the schema says that there is none, nobody looks for rows without any value, and for nulls that are written as
    // something else.
    let mut nulls = plan.columns.iter().zip(batch.columns());
    let is_wanted = |column: &ColumnPlan| match column.role {
        Role::Skipped => true,
        Role::Field(Wire::Boolean) => plan.null_bool == NullBool::False,
        Role::Timestamp => plan.null_at == NullAt::Server,
        _ => false,
    };
    let has_null = |column: &ColumnPlan, array: &ArrayRef| {
        array.null_count() > 0 && !column.field.is_nullable() && !is_wanted(column)
    };
    if let Some((column, array)) = nulls.find(|(column, array)| has_null(column, array)) {
        let first = (0..array.len()).find(|row| array.is_null(*row)).unwrap_or(0) as u64;
        let text = "the column is never null by the schema of the stream, and null here; give the stream a schema that says so";
        let problem =
            Problem::new(Cause::Source(text.to_owned())).with_column(column.name.text()).with_row(row + first);
        return Err(Error::new(problem).with_table(plan.table()));
    }
    let mut columns = plan.columns.iter().zip(batch.columns());
    let is_code = |column: &ColumnPlan, found: &DataType| match column.field.data_type() {
        DataType::Dictionary(key, _) => {
            **key == *found && dictionaries.is_some_and(|all| all.contains_key(&column.index))
        }
        _ => false,
    };
    let fits = |column: &ColumnPlan, found: &DataType| found == column.field.data_type() || is_code(column, found);
    match columns.find(|(column, array)| !fits(column, array.data_type())) {
        None => Ok(()),
        Some((column, array)) => {
            let (planned, found) = (column.field.data_type().to_string(), array.data_type().to_string());
            let problem = Problem::new(PlanError::TypeChanged { planned, found });
            Err(Error::new(problem.with_column(column.name.text()).with_row(row)).with_table(plan.table()))
        }
    }
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
struct Check<'p> {
    plan: &'p Plan,
    /// The columns to look at.
    needed: &'p [usize],
    findings: Vec<Finding>,
    /// Row of the next batch's first.
    row: u64,
}

impl<'p> Check<'p> {
    fn new(plan: &'p Plan, needed: &'p [usize]) -> Self {
        Self { plan, needed, findings: Vec::new(), row: 0 }
    }

    /// Looks at a batch, some rows at a time if columns have to be cast. `array(i)` is the frame's column `i`; only
    /// [`needed`] columns are asked for.
    fn batch<'a>(&mut self, rows: usize, array: impl Fn(usize) -> &'a ArrayRef) {
        let (plan, needed) = (self.plan, self.needed);
        let most = rows_at_a_time(needed.iter().map(|index| (&plan.columns[*index], array(*index))), rows);
        if most == rows {
            return self.rows(rows, array);
        }
        let nothing: ArrayRef = Arc::new(NullArray::new(0));
        let mut slices = vec![nothing; plan.columns.len()];
        for start in (0..rows).step_by(most) {
            let count = most.min(rows - start);
            for index in needed {
                slices[*index] = array(*index).slice(start, count);
            }
            self.rows(count, |index| &slices[index]);
        }
    }

    /// Looks at some rows.
    fn rows<'a>(&mut self, rows: usize, array: impl Fn(usize) -> &'a ArrayRef) {
        let plan = self.plan;
        for index in self.needed.iter().copied() {
            let column = &plan.columns[index];
            match column.role {
                Role::Timestamp => self.at(column, array(index)),
                Role::Symbol | Role::Field(_) => {
                    self.values(column, array(index));
                    self.at(column, array(index));
                }
                Role::Skipped => {}
            }
        }
        // A value that is refused is null once it is cast, and its row not empty for that. The official client tells the
        // first row that is wrong, whatever is wrong with it.
        let sound = match self.findings.iter().map(|finding| finding.row).min() {
            None => rows,
            Some(row) if plan.is_official => usize::try_from(row.saturating_sub(self.row)).unwrap_or(usize::MAX),
            Some(_) => 0,
        };
        if plan.empty_rows == EmptyRows::Error && sound > 0 {
            self.empty_rows(sound.min(rows), &array);
        }
        self.row += rows as u64;
    }

    /// # Errors
    /// If anything was found: all of it, in the order of the columns.
    fn finish(mut self) -> Result<(), Error> {
        if self.findings.is_empty() {
            return Ok(());
        }
        if self.plan.is_official {
            self.findings.sort_by_key(|finding| finding.row);
        }
        let problems = self.findings.into_iter().map(|finding| {
            let mut problem = Problem::new(finding.error.with_rows(finding.rows)).with_row(finding.row);
            if let Some(index) = finding.column {
                problem = problem.with_column(self.plan.columns[index].name.text());
            }
            match finding.value {
                Some(value) => problem.with_value(value),
                None => problem,
            }
        });
        Err(Error::from_problems(problems.collect()).with_table(self.plan.table()))
    }

    fn found(&mut self, column: Option<usize>, row: usize, rows: usize, value: Option<String>, error: ValueError) {
        let known = self.findings.iter_mut().find(|finding| finding.column == column && finding.error.is_like(&error));
        match known {
            Some(finding) => finding.rows += rows as u64,
            None => {
                let row = self.row + row as u64;
                self.findings.push(Finding { column, row, value, error, rows: rows as u64 });
            }
        }
    }

    fn misfits(&mut self, column: &ColumnPlan, misfits: Misfits) {
        if let Some(Misfit { row, value, error }) = misfits.first {
            let value = Some(value).filter(|value| !value.is_empty());
            self.found(Some(column.index), row, misfits.rows, value, error);
        }
    }

    fn at(&mut self, column: &ColumnPlan, array: &ArrayRef) {
        let plan = self.plan;
        let Some(unit) = plan.unit_of_time(column) else { return };
        // What is wrong with the dictionary is told when it is encoded.
        let Ok(array) = cast(column, array, &mut Misfits::default()) else { return };
        let array = &*array;
        let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
        if plan.null_at == NullAt::Error
            && column.role == Role::Timestamp
            && let Some(nulls) = nulls
            && let Some(row) = (0..nulls.len()).find(|row| nulls.is_null(*row))
        {
            self.found(Some(column.index), row, nulls.null_count(), None, ValueError::NullAt { rows: 0 });
        }
        let Some(instants) = Instants::bind(array) else { return };
        let designated = plan.designated.as_ref().map(|(_, column_type)| column_type);
        let (max, text, cure) = at_limit(plan, unit, designated);
        // In the column's own unit: rounded toward the limit, so that nothing above it slips through.
        let factor = instants.factor(unit.per_second());
        let max = match factor {
            Ok(factor) => max / factor,
            Err(divisor) => max.saturating_mul(divisor),
        };
        let Some(extremes) = instants.extremes() else { return };
        let mut range = |bad: &dyn Fn(i64) -> bool, error: ValueError| {
            // Null slots may hold anything, so that a hit only counts after a second look.
            let is_valid = |row: &usize| nulls.is_none_or(|nulls| nulls.is_valid(*row));
            let mut hits = (0..array.len()).filter(|row| bad(instants.raw(*row))).filter(is_valid);
            if let Some(row) = hits.next() {
                let value = Some(instant::text(instants.raw(row), instants.per_second()));
                self.found(Some(column.index), row, 1 + hits.count(), value, error);
            }
        };
        // What is out of range is so at the ends.
        if extremes.0 < 0 {
            range(&|value| value < 0, ValueError::AtBeforeEpoch { rows: 0 });
        }
        if extremes.1 > max {
            range(&|value| value > max, ValueError::AtTooLarge { rows: 0, max: text, cure });
        }
        if unit == WireUnit::Nanos && designated == Some(&ColumnType::Timestamp) {
            let is_lossy = |value: i64| value % 1_000 != 0;
            if (0..array.len()).any(|row| is_lossy(instants.raw(row))) {
                range(&is_lossy, limit::lossy("microseconds"));
            }
        }
    }

    fn values(&mut self, column: &ColumnPlan, array: &ArrayRef) {
        if !has_value_errors(column) {
            return;
        }
        let (mut misfits, as_given) = (Misfits::default(), array);
        // What arrow cannot unpack is told when it is encoded.
        let Ok(array) = cast(column, array, &mut misfits) else { return };
        // Those are nulls now, which they were not.
        let has_others = misfits.first.is_some();
        self.misfits(column, misfits);
        for limit in &column.limits {
            let mut misfits = Misfits::default();
            let array = if has_others && *limit == Limit::NotNull { as_given } else { &array };
            limit::check(column, *limit, array, &mut misfits);
            self.misfits(column, misfits);
        }
    }

    /// Rows without any value: none while one column has no null at all.
    fn empty_rows<'a>(&mut self, rows: usize, array: &impl Fn(usize) -> &'a ArrayRef) {
        let plan = self.plan;
        let mut any: Option<NullBuffer> = None;
        for column in &plan.columns {
            if !column.is_written() {
                continue;
            }
            if !column.nullable || (column.role == Role::Field(Wire::Boolean) && plan.null_bool == NullBool::False) {
                return;
            }
            let Ok(array) = cast(column, array(column.index), &mut Misfits::default()) else { return };
            // A dictionary's rows may also be null because the value they point to is.
            let mut nulls = array.logical_nulls();
            if column.role == Role::Field(Wire::Float) && plan.nan == Nan::Omit {
                nulls = NullBuffer::union(nulls.as_ref(), not_nan(&array).as_ref());
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

/// Where a float array holds a number, NaN being none.
fn not_nan(array: &ArrayRef) -> Option<NullBuffer> {
    let mut scratch = Vec::new();
    let floats = Floats::bind(array)?;
    let bits = floats.bits(0..array.len(), &mut scratch);
    Some(bits.iter().map(|bits| !f64::from_bits(*bits).is_nan()).collect::<Vec<bool>>().into())
}

/// The largest designated timestamp in the wire's unit, in words, and what else would help.
fn at_limit(plan: &Plan, unit: WireUnit, designated: Option<&ColumnType>) -> (i64, &'static str, &'static str) {
    let into_nanos = designated == Some(&ColumnType::TimestampNs) && !plan.is_official;
    match (plan.version, unit) {
        (_, WireUnit::Nanos) if into_nanos => {
            (MAX_AT_NANOS, "2261-12-31T23:59:59.999999999Z in the table's TIMESTAMP_NS", "")
        }
        (_, WireUnit::Micros) if into_nanos => {
            (MAX_AT_NANOS / 1000, "2261-12-31T23:59:59.999999Z in the table's TIMESTAMP_NS", "")
        }
        (ProtocolVersion::V1, WireUnit::Nanos) => (i64::MAX, "2262-04-11T23:47:16.854775807Z", ""),
        (ProtocolVersion::V1, WireUnit::Micros) => {
            (i64::MAX / 1000, "2262-04-11T23:47:16.854775Z in protocol version 1", ", or use protocol version 2")
        }
        _ if plan.is_official => (i64::MAX, "what 64 bits hold", ""),
        (_, WireUnit::Nanos) => {
            (MAX_AT_NANOS, "2261-12-31T23:59:59.999999999Z in nanoseconds", ", or cast it to microseconds")
        }
        (_, WireUnit::Micros) => (MAX_AT_MICROS, "9999-12-31T23:59:59.999999Z", ""),
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::{BooleanArray, Float64Array, RecordBatchIterator, TimestampMicrosecondArray};
    use arrow_schema::{Field, Schema};

    use super::*;
    use crate::options::{At, NullAt, WriteOptions};
    use crate::to_ilp;

    fn batch(columns: [(&str, ArrayRef); 2], nullable: bool) -> RecordBatch {
        let fields = columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), nullable));
        let schema = Schema::new(fields.collect::<Vec<_>>());
        RecordBatch::try_new(Arc::new(schema), columns.map(|(_, array)| array).into()).expect("sound")
    }

    fn float(value: f64) -> ArrayRef {
        Arc::new(Float64Array::from(vec![value]))
    }

    fn told(batches: &[RecordBatch]) -> [String; 2] {
        let options = WriteOptions::table("t").at(At::Server);
        let reader = RecordBatchIterator::new(batches.iter().cloned().map(Ok), batches[0].schema());
        let told = |lines: Result<Vec<u8>, Error>| match lines {
            Ok(lines) => String::from_utf8_lossy(&lines).into_owned(),
            Err(error) => error.to_string(),
        };
        [told(to_ilp(batches, &options)), told(to_ilp(reader, &options))]
    }

    #[test]
    fn values_go_into_no_column_of_another_name() {
        let batches =
            [batch([("a", float(1.0)), ("b", float(2.0))], true), batch([("b", float(2.0)), ("a", float(1.0))], true)];
        for told in told(&batches) {
            assert!(told.contains("from row 1 on the column \"b\" stands where \"a\" did"), "{told}");
        }
    }

    #[test]
    fn nulls_that_the_first_batch_has_not_announced_are_seen() {
        let flags = |flags: Vec<Option<bool>>| Arc::new(BooleanArray::from(flags)) as ArrayRef;
        let batches = [
            batch([("a", float(1.0)), ("b", flags(vec![Some(true)]))], false),
            batch([("a", float(1.0)), ("b", flags(vec![None]))], true),
        ];
        let [frame, stream] = told(&batches);
        assert!(frame.contains("column \"b\", row 1: ") && frame.contains("null_bool"), "{frame}");
        assert!(stream.contains("column \"b\", row 1: ") && stream.contains("never null by the schema"), "{stream}");
        // Rows without any value, too.
        let nothing = Arc::new(Float64Array::from(vec![None])) as ArrayRef;
        let batches = [
            batch([("a", float(1.0)), ("b", float(1.0))], false),
            batch([("a", nothing.clone()), ("b", nothing)], true),
        ];
        let [frame, stream] = told(&batches);
        assert!(frame.contains("row 1: "), "{frame}");
        assert!(stream.contains("column \"a\", row 1: ") && stream.contains("never null by the schema"), "{stream}");
    }

    #[test]
    fn a_null_that_the_caller_has_an_answer_for_is_that() {
        let flag = Arc::new(BooleanArray::from(vec![None])) as ArrayRef;
        let at = Arc::new(TimestampMicrosecondArray::from(vec![None])) as ArrayRef;
        let never = |(name, array): (&str, &ArrayRef)| Field::new(name, array.data_type().clone(), false);
        let schema = Arc::new(Schema::new(vec![never(("b", &flag)), never(("ts", &at))]));
        let lines = |options: WriteOptions| {
            let batch = batch([("b", flag.clone()), ("ts", at.clone())], true);
            let stream = RecordBatchIterator::new([Ok(batch)], schema.clone());
            to_ilp(stream, &options.at("ts").null_at(NullAt::Server)).map_err(|error| error.to_string())
        };
        let options = || WriteOptions::table("t");
        assert_eq!(lines(options().null_bool(NullBool::False)).as_deref(), Ok(&b"t b=f\n"[..]));
        let error = lines(options().null_bool(NullBool::Omit)).expect_err("a row without any value");
        assert!(error.contains("column \"b\", row 0: "), "{error}");
    }
}
