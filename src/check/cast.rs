//! Values brought into the form they are written in, where Arrow's own form is another.
//!
//! The check casts and throws the result away, to learn what does not fit; the encoder casts again; both some rows at a
//! time, so that no more than those are held twice, however large a batch is. Columns in the right form are not copied.
//! Nothing is rounded: a value that would change is a misfit. Casts of common pairs (integers of any width, instants, floats) are not here: the encoder
//! reads those as they are.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::builder::{ArrayBuilder, Int64Builder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{
    DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType, DurationSecondType, Int16Type, Int32Type,
    Int64Type, RunEndIndexType, Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType,
};
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, BooleanArray, Decimal256Array, Float64Array, Int64Array, RecordBatch,
    UInt32Array,
};
use arrow_buffer::i256;
use arrow_schema::{ArrowError, DataType, TimeUnit};

use super::lists::{countable, lists};
use super::misfits::{Misfits, misfit, valid};
use super::number::{Number, whole};
use crate::column::Integers;
use crate::column::decimals::{self, Decimals};
use crate::fmt::{SLOT, float};
use crate::plan::landing::Cast;
use crate::plan::{ColumnPlan, Plan, Role};

/// The batch's columns in the form that the encoder reads: mostly they are in it. The check has found everything that does
/// not fit.
///
/// # Errors
/// If arrow cannot unpack a dictionary.
pub(crate) fn cast_batch<'a>(plan: &Plan, batch: &'a RecordBatch) -> Result<Cow<'a, [ArrayRef]>, ArrowError> {
    let columns = || plan.columns.iter().map(|column| (column, batch.column(column.index)));
    if columns().all(|(column, array)| is_as_written(column, array)) {
        return Ok(Cow::Borrowed(batch.columns()));
    }
    columns().map(|(column, array)| converted(column, array, &mut Misfits::default())).collect()
}

/// The memory of columns that is cast at a time, about, and the least rows: those of the encoder's longest block.
const CAST_BYTES: usize = 4 << 20;
const CAST_ROWS: usize = 2048;

/// How many of these rows are to be cast at a time; all, if none of the columns has to be.
pub(crate) fn rows_at_a_time<'a>(columns: impl Iterator<Item = (&'a ColumnPlan, &'a ArrayRef)>, rows: usize) -> usize {
    if rows <= CAST_ROWS {
        return rows;
    }
    let cast = columns.filter(|(column, array)| !is_as_written(column, array));
    match cast.map(|(_, array)| array.get_array_memory_size()).sum::<usize>() {
        0 => rows,
        bytes => (CAST_BYTES / bytes.div_ceil(rows)).clamp(CAST_ROWS, rows),
    }
}

/// Whether a cast would give the array back. Many small batches feel what it costs to find that out for each.
fn is_as_written(column: &ColumnPlan, array: &ArrayRef) -> bool {
    column.role == Role::Skipped || column.cast == Cast::Keep && !is_packed(array.data_type(), true)
}

/// Whether [`unpacked`] has something to do.
fn is_packed(data_type: &DataType, keep_text: bool) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => {
            !(keep_text && matches!(**values, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View))
        }
        DataType::RunEndEncoded(..) => true,
        _ => false,
    }
}

/// A column in the form that the encoder reads; values that do not fit are noted and null in it.
pub(super) fn cast<'a>(
    column: &ColumnPlan,
    array: &'a ArrayRef,
    misfits: &mut Misfits,
) -> Result<Cow<'a, ArrayRef>, ArrowError> {
    // Not even counted: of many small batches each reference is somewhere else.
    if is_as_written(column, array) {
        Ok(Cow::Borrowed(array))
    } else {
        converted(column, array, misfits).map(Cow::Owned)
    }
}

fn converted(column: &ColumnPlan, array: &ArrayRef, misfits: &mut Misfits) -> Result<ArrayRef, ArrowError> {
    if column.role == Role::Skipped {
        return Ok(array.clone());
    }
    let array = unpacked(array, column.cast == Cast::Keep)?;
    Ok(match column.cast {
        Cast::Keep => array,
        Cast::Integer => integers(&array, misfits),
        Cast::Boolean => booleans(&array, misfits),
        Cast::Float => floats(&array, misfits),
        Cast::Text { omits_nan } => texts(&array, omits_nan),
        Cast::Hex => hex(&array, misfits),
        Cast::WholeDecimal => whole_decimals(&array, misfits),
        Cast::Array => lists(&array, misfits)?,
    })
}

/// The array, or what its dictionary or its runs stand for. Dictionaries of text may stay. Unpacked from the inside:
/// taking from runs arrow forgets which indices are null.
fn unpacked(array: &ArrayRef, keep_text: bool) -> Result<ArrayRef, ArrowError> {
    if !is_packed(array.data_type(), keep_text) {
        return Ok(array.clone());
    }
    match array.data_type() {
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            let values = countable(&unpacked(dictionary.values(), keep_text)?)?;
            arrow_select::take::take(&values, dictionary.keys(), None)
        }
        DataType::RunEndEncoded(ends, _) => match ends.data_type() {
            DataType::Int16 => unrolled::<Int16Type>(array, keep_text),
            DataType::Int32 => unrolled::<Int32Type>(array, keep_text),
            _ => unrolled::<Int64Type>(array, keep_text),
        },
        _ => Ok(array.clone()),
    }
}

fn unrolled<R: RunEndIndexType>(array: &ArrayRef, keep_text: bool) -> Result<ArrayRef, ArrowError> {
    let runs = array.as_run::<R>();
    let indices: UInt32Array = (0..array.len()).map(|row| u32::try_from(runs.get_physical_index(row)).ok()).collect();
    let values = countable(&unpacked(runs.values(), keep_text)?)?;
    arrow_select::take::take(&values, &indices, None)
}

/// What a cast makes of each row.
fn map<T>(array: &ArrayRef, mut value: impl FnMut(usize) -> Option<T>) -> Vec<Option<T>> {
    let mut values: Vec<Option<T>> = std::iter::repeat_with(|| None).take(array.len()).collect();
    for row in valid(array) {
        values[row] = value(row);
    }
    values
}

fn integers(array: &ArrayRef, misfits: &mut Misfits) -> ArrayRef {
    if let Some((values, factor)) = nanoseconds(array) {
        let mut builder = Int64Builder::with_capacity(array.len());
        let converted = map(array, |row| {
            let value = values[row];
            let nanos = value.checked_mul(factor);
            if nanos.is_none() {
                misfits.add(row, || {
                    let why = "the value does not fit 64-bit nanoseconds, in which it is stored";
                    (value.to_string(), misfit(why, "cast the column to Int64 in its own unit"))
                });
            }
            nanos
        });
        converted.into_iter().for_each(|value| builder.append_option(value));
        return Arc::new(builder.finish());
    }
    let converted = map(array, |row| {
        let number = Number::of(array, row)?;
        if number.is_nan() {
            return None;
        }
        let integer = whole(&number);
        if integer.is_none() {
            misfits.add(row, || {
                let why = if number.is_whole() {
                    "the value does not fit 64 bits"
                } else {
                    "the column holds whole numbers, and this is none"
                };
                (number.to_string(), misfit(why, "round the frame's column, or make the table's DOUBLE"))
            });
        }
        integer
    });
    Arc::new(Int64Array::from(converted))
}

/// The stored values of times and durations, and the factor to nanoseconds.
fn nanoseconds(array: &ArrayRef) -> Option<(Vec<i64>, i64)> {
    fn wide<T: ArrowPrimitiveType<Native: Into<i64>>>(array: &ArrayRef) -> Vec<i64> {
        array.as_primitive::<T>().values().iter().map(|value| (*value).into()).collect()
    }
    let (values, per_second) = match array.data_type() {
        DataType::Time32(TimeUnit::Second) => (wide::<Time32SecondType>(array), 1),
        DataType::Time32(_) => (wide::<Time32MillisecondType>(array), 1_000),
        DataType::Time64(TimeUnit::Microsecond) => (wide::<Time64MicrosecondType>(array), 1_000_000),
        DataType::Time64(_) => (wide::<Time64NanosecondType>(array), 1_000_000_000),
        DataType::Duration(TimeUnit::Second) => (wide::<DurationSecondType>(array), 1),
        DataType::Duration(TimeUnit::Millisecond) => (wide::<DurationMillisecondType>(array), 1_000),
        DataType::Duration(TimeUnit::Microsecond) => (wide::<DurationMicrosecondType>(array), 1_000_000),
        DataType::Duration(TimeUnit::Nanosecond) => (wide::<DurationNanosecondType>(array), 1_000_000_000),
        _ => return None,
    };
    Some((values, 1_000_000_000 / per_second))
}

fn booleans(array: &ArrayRef, misfits: &mut Misfits) -> ArrayRef {
    let Some(integers) = Integers::bind(array) else { return array.clone() };
    let converted = map(array, |row| match integers.get(row) {
        0 => Some(false),
        1 => Some(true),
        other => {
            misfits.add(row, || {
                let why = "the table's column is BOOLEAN, and only 0 and 1 are false and true";
                (other.to_string(), misfit(why, "compare the frame's column with something, or make the table's LONG"))
            });
            None
        }
    });
    Arc::new(BooleanArray::from(converted))
}

/// Decimals as floats that read as the same digits.
fn floats(array: &ArrayRef, misfits: &mut Misfits) -> ArrayRef {
    let converted = map(array, |row| {
        let number = Number::of(array, row)?;
        let float = number.to_string().parse::<f64>().ok();
        let exact = float.filter(|float| Number::Float(*float).digits() == number.digits());
        if exact.is_none() {
            misfits.add(row, || {
                let why = "the table's column holds floats, which do not hold all digits of this decimal";
                (number.to_string(), misfit(why, "round the frame's column, or make the table's DECIMAL"))
            });
        }
        exact
    });
    Arc::new(Float64Array::from(converted))
}

/// Values as text, NaN among them unless it is left out.
fn texts(array: &ArrayRef, omits_nan: bool) -> ArrayRef {
    let mut builder = StringBuilder::new();
    let mut scratch = String::new();
    for row in valid(array) {
        builder.append_nulls(row - builder.len());
        let is_left_out = omits_nan && Number::of(array, row).is_some_and(|number| number.is_nan());
        builder.append_option(if is_left_out { None } else { text(array, row, &mut scratch) });
    }
    builder.append_nulls(array.len() - builder.len());
    Arc::new(builder.finish())
}

/// A value as people write it, in memory that is used again: a column of UUIDs has one a row.
fn text<'s>(array: &ArrayRef, row: usize, scratch: &'s mut String) -> Option<&'s str> {
    scratch.clear();
    match array.data_type() {
        DataType::Boolean => scratch.push_str(if array.as_boolean().value(row) { "true" } else { "false" }),
        DataType::FixedSizeBinary(16) => push_uuid(array.as_fixed_size_binary().value(row), scratch),
        _ => match Number::of(array, row)? {
            Number::Float(value) => {
                let mut slot = [0; SLOT];
                let length = float::write(value, &mut slot);
                scratch.push_str(&String::from_utf8_lossy(&slot[..length]));
            }
            number => scratch.push_str(&number.to_string()),
        },
    }
    Some(scratch)
}

/// By `format!` each takes a microsecond.
fn push_uuid(bytes: &[u8], text: &mut String) {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    for (at, byte) in bytes.iter().enumerate() {
        if let 4 | 6 | 8 | 10 = at {
            text.push('-');
        }
        text.push(DIGITS[usize::from(byte >> 4)]);
        text.push(DIGITS[usize::from(byte & 15)]);
    }
}

fn hex(array: &ArrayRef, misfits: &mut Misfits) -> ArrayRef {
    let Some(integers) = Integers::bind(array) else { return array.clone() };
    let mut builder = StringBuilder::new();
    let converted = map(array, |row| {
        let value = integers.get(row);
        if value < 0 {
            misfits.add(row, || {
                let why = "the table's column is LONG256, which holds no negative numbers";
                (value.to_string(), misfit(why, "correct it, or write it into a column of another name"))
            });
            return None;
        }
        // The server takes whole bytes only.
        let digits = format!("{value:x}");
        Some(format!("0x{}{digits}", if digits.len() % 2 == 0 { "" } else { "0" }))
    });
    converted.into_iter().for_each(|value| builder.append_option(value));
    Arc::new(builder.finish())
}

fn whole_decimals(array: &ArrayRef, misfits: &mut Misfits) -> ArrayRef {
    let Some(decimals) = Decimals::bind(array) else { return array.clone() };
    let factor = i256::from_i128(10).checked_pow(u32::from(decimals.scale().unsigned_abs()));
    let most = i256::from_i128(10).wrapping_pow(u32::from(crate::plan::column_type::MAX_DECIMAL));
    let converted = map(array, |row| {
        let value = decimals.get(row);
        let product = factor.and_then(|factor| value.checked_mul(factor));
        let product = product.filter(|product| *product < most && *product > most.wrapping_neg());
        let product = if value == i256::ZERO { Some(i256::ZERO) } else { product };
        if product.is_none() {
            misfits.add(row, || {
                let why = "the decimal has more than the 76 digits that QuestDB stores";
                (decimals::text(value, decimals.scale()), misfit(why, "cast the column to Float64 or to a string"))
            });
        }
        product
    });
    let array: Decimal256Array = converted.into_iter().collect();
    Arc::new(array.with_data_type(DataType::Decimal256(crate::plan::column_type::MAX_DECIMAL, 0)))
}
