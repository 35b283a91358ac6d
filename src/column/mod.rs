//! Typed views of Arrow arrays: every array downcast once, numbers of any width ready to be read as words.

pub(crate) mod arrays;
pub(crate) mod decimals;
#[cfg(test)]
mod tests;
pub(crate) mod text;

use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Date64Type, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef};
use arrow_buffer::{ArrowNativeType, BooleanBuffer, NullBuffer, ToByteSlice};
use arrow_schema::{DataType, TimeUnit};

use crate::fmt::int;
use crate::simd::also_for_avx2;
use arrays::Arrays;
use decimals::Decimals;
pub(crate) use text::Text;

/// Integers of any width.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Integers<'a> {
    I8(&'a [i8]),
    I16(&'a [i16]),
    I32(&'a [i32]),
    I64(&'a [i64]),
    U8(&'a [u8]),
    U16(&'a [u16]),
    U32(&'a [u32]),
    U64(&'a [u64]),
}

impl<'a> Integers<'a> {
    #[inline(always)]
    pub(crate) fn bind(array: &'a dyn Array) -> Option<Self> {
        Some(match array.data_type() {
            DataType::Int8 => Self::I8(array.as_primitive::<Int8Type>().values()),
            DataType::Int16 => Self::I16(array.as_primitive::<Int16Type>().values()),
            DataType::Int32 => Self::I32(array.as_primitive::<Int32Type>().values()),
            DataType::Int64 => Self::I64(array.as_primitive::<Int64Type>().values()),
            DataType::UInt8 => Self::U8(array.as_primitive::<UInt8Type>().values()),
            DataType::UInt16 => Self::U16(array.as_primitive::<UInt16Type>().values()),
            DataType::UInt32 => Self::U32(array.as_primitive::<UInt32Type>().values()),
            DataType::UInt64 => Self::U64(array.as_primitive::<UInt64Type>().values()),
            _ => return None,
        })
    }

    fn len(&self) -> usize {
        match self {
            Self::I8(values) => values.len(),
            Self::I16(values) => values.len(),
            Self::I32(values) => values.len(),
            Self::I64(values) => values.len(),
            Self::U8(values) => values.len(),
            Self::U16(values) => values.len(),
            Self::U32(values) => values.len(),
            Self::U64(values) => values.len(),
        }
    }

    /// The value of a row.
    pub(crate) fn get(&self, row: usize) -> i128 {
        match self {
            Self::I8(values) => i128::from(values[row]),
            Self::I16(values) => i128::from(values[row]),
            Self::I32(values) => i128::from(values[row]),
            Self::I64(values) => i128::from(values[row]),
            Self::U8(values) => i128::from(values[row]),
            Self::U16(values) => i128::from(values[row]),
            Self::U32(values) => i128::from(values[row]),
            Self::U64(values) => i128::from(values[row]),
        }
    }

    /// The least and the greatest value, nulls included; `None` of nothing.
    pub(crate) fn extremes(&self) -> Option<(i128, i128)> {
        fn ends<T: Copy + Ord + Into<i128>>(values: &[T]) -> Option<(i128, i128)> {
            let first = *values.first()?;
            let (min, max) = values.iter().fold((first, first), |(min, max), v| (min.min(*v), max.max(*v)));
            Some((min.into(), max.into()))
        }
        match self {
            Self::I8(values) => ends(values),
            Self::I16(values) => ends(values),
            Self::I32(values) => ends(values),
            Self::I64([]) => None,
            Self::I64(values) => {
                let (min, max) = int::range(values);
                Some((min.into(), max.into()))
            }
            Self::U8(values) => ends(values),
            Self::U16(values) => ends(values),
            Self::U32(values) => ends(values),
            Self::U64(values) => ends(values),
        }
    }

    /// The memory of these rows, and the bytes of one.
    fn memory(&self, rows: Range<usize>) -> (&'a [u8], usize) {
        match *self {
            Self::I8(values) => bytes(&values[rows]),
            Self::I16(values) => bytes(&values[rows]),
            Self::I32(values) => bytes(&values[rows]),
            Self::I64(values) => bytes(&values[rows]),
            Self::U8(values) => bytes(&values[rows]),
            Self::U16(values) => bytes(&values[rows]),
            Self::U32(values) => bytes(&values[rows]),
            Self::U64(values) => bytes(&values[rows]),
        }
    }

    /// The rows as `i64`; what the check has found too large cannot be here.
    pub(crate) fn fill(&self, rows: Range<usize>, out: &mut Vec<i64>) {
        out.clear();
        match self {
            Self::I8(values) => out.extend(values[rows].iter().map(|v| i64::from(*v))),
            Self::I16(values) => out.extend(values[rows].iter().map(|v| i64::from(*v))),
            Self::I32(values) => out.extend(values[rows].iter().map(|v| i64::from(*v))),
            Self::I64(values) => out.extend_from_slice(&values[rows]),
            Self::U8(values) => out.extend(values[rows].iter().map(|v| i64::from(*v))),
            Self::U16(values) => out.extend(values[rows].iter().map(|v| i64::from(*v))),
            Self::U32(values) => out.extend(values[rows].iter().map(|v| i64::from(*v))),
            Self::U64(values) => out.extend(values[rows].iter().map(|v| *v as i64)),
        }
    }
}

/// Floats of any width.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Floats<'a> {
    F16(&'a [half::f16]),
    F32(&'a [f32]),
    /// As bits, so that NaN payloads survive and the slice itself can be written.
    F64(&'a [u64]),
}

impl<'a> Floats<'a> {
    pub(crate) fn bind(array: &'a dyn Array) -> Option<Self> {
        Some(match array.data_type() {
            DataType::Float16 => Self::F16(array.as_primitive::<Float16Type>().values()),
            DataType::Float32 => Self::F32(array.as_primitive::<Float32Type>().values()),
            _ => Self::F64(Self::bits_of(array)?),
        })
    }

    /// Those of 64 bits, as such.
    fn bits_of(array: &'a dyn Array) -> Option<&'a [u64]> {
        let memory = array.as_primitive_opt::<Float64Type>()?.values().inner();
        // Else it ends with a part of a value, which arrow takes and does not look at.
        memory.len().is_multiple_of(size_of::<u64>()).then(|| memory.typed_data::<u64>())
    }

    /// The value of a row, exactly.
    pub(crate) fn get(&self, row: usize) -> f64 {
        match self {
            Self::F16(values) => values[row].to_f64(),
            Self::F32(values) => f64::from(values[row]),
            Self::F64(bits) => f64::from_bits(bits[row]),
        }
    }

    /// The rows as bits of `f64`, exactly: in place where they are that already, else in `scratch`.
    pub(crate) fn bits<'s>(&'s self, rows: Range<usize>, scratch: &'s mut Vec<u64>) -> &'s [u64] {
        match self {
            Self::F64(bits) => return &bits[rows],
            Self::F16(values) => {
                scratch.clear();
                scratch.extend(values[rows].iter().map(|v| v.to_f64().to_bits()));
            }
            Self::F32(values) => {
                scratch.clear();
                scratch.extend(values[rows].iter().map(|v| f64::from(*v).to_bits()));
            }
        }
        scratch
    }
}

/// Timestamps and dates.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Instants<'a> {
    Days(&'a [i32]),
    /// Values and how many make a second.
    Units(&'a [i64], i64),
}

impl<'a> Instants<'a> {
    #[inline(always)]
    pub(crate) fn bind(array: &'a dyn Array) -> Option<Self> {
        Some(match array.data_type() {
            DataType::Date32 => Self::Days(array.as_primitive::<Date32Type>().values()),
            DataType::Date64 => Self::Units(array.as_primitive::<Date64Type>().values(), 1_000),
            DataType::Timestamp(TimeUnit::Second, _) => {
                Self::Units(array.as_primitive::<TimestampSecondType>().values(), 1)
            }
            DataType::Timestamp(TimeUnit::Millisecond, _) => {
                Self::Units(array.as_primitive::<TimestampMillisecondType>().values(), 1_000)
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                Self::Units(array.as_primitive::<TimestampMicrosecondType>().values(), 1_000_000)
            }
            DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                Self::Units(array.as_primitive::<TimestampNanosecondType>().values(), 1_000_000_000)
            }
            _ => return None,
        })
    }

    /// How many units make a second, 0 for days.
    pub(crate) fn per_second(&self) -> i64 {
        match self {
            Self::Days(_) => 0,
            Self::Units(_, per_second) => *per_second,
        }
    }

    /// The factor from stored values to `per_second` units: `Ok(multiply)` or `Err(divide)`.
    pub(crate) fn factor(&self, per_second: i64) -> Result<i64, i64> {
        match self {
            Self::Days(_) => Ok(86_400 * per_second),
            Self::Units(_, have) if *have <= per_second => Ok(per_second / have),
            Self::Units(_, have) => Err(have / per_second),
        }
    }

    /// The rows in `per_second` units, truncated toward zero where they are finer: in place where they are in that
    /// unit already, else in `scratch`.
    ///
    /// The check has refused what would overflow; nulls may hold anything and wrap.
    pub(crate) fn in_unit<'s>(&'s self, rows: Range<usize>, per_second: i64, scratch: &'s mut Vec<i64>) -> &'s [i64] {
        if let (Self::Units(values, _), Ok(1)) = (self, self.factor(per_second)) {
            return &values[rows];
        }
        self.fill(rows, per_second, scratch);
        scratch
    }

    /// As [`in_unit`](Self::in_unit), always to `out`.
    pub(crate) fn fill(&self, rows: Range<usize>, per_second: i64, out: &mut Vec<i64>) {
        out.clear();
        match (self, self.factor(per_second)) {
            (Self::Days(values), Ok(factor)) => {
                out.extend(values[rows].iter().map(|v| i64::from(*v).wrapping_mul(factor)));
            }
            (Self::Units(values, _), Ok(1)) => out.extend_from_slice(&values[rows]),
            (Self::Units(values, _), Ok(factor)) => {
                out.extend(values[rows].iter().map(|v| v.wrapping_mul(factor)));
            }
            (Self::Units(values, _), Err(divisor)) => out.extend(values[rows].iter().map(|v| v / divisor)),
            (Self::Days(_), Err(_)) => {}
        }
    }

    /// The least and the greatest stored value, nulls included; `None` of nothing.
    pub(crate) fn extremes(&self) -> Option<(i64, i64)> {
        match self {
            Self::Days(values) => {
                let ends = values.iter().fold((i32::MAX, i32::MIN), |(min, max), v| (min.min(*v), max.max(*v)));
                (!values.is_empty()).then_some((i64::from(ends.0), i64::from(ends.1)))
            }
            Self::Units(values, _) => (!values.is_empty()).then(|| int::range(values)),
        }
    }

    /// The stored value at `row`, in its own unit.
    pub(crate) fn raw(&self, row: usize) -> i64 {
        match self {
            Self::Days(values) => i64::from(values[row]),
            Self::Units(values, _) => values[row],
        }
    }
}

/// The values of a bound column.
#[derive(Clone, Debug)]
pub(crate) enum Values<'a> {
    Booleans(&'a BooleanBuffer),
    Integers(Integers<'a>),
    Floats(Floats<'a>),
    Instants(Instants<'a>),
    Text(Text<'a>),
    Dictionary(Keys<'a>),
    Decimals(Decimals<'a>),
    Arrays(Arrays<'a>),
}

/// The rows of a dictionary of strings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keys<'a> {
    pub(crate) codes: Integers<'a>,
    /// Rows that are null by their key; the value it points to may be null, too.
    pub(crate) nulls: Option<&'a NullBuffer>,
    pub(crate) values: &'a ArrayRef,
}

impl<'a> Keys<'a> {
    /// `None` if the array is no dictionary, or has more values than codes of 32 bits can tell apart.
    #[inline(always)]
    pub(crate) fn bind(array: &'a dyn Array) -> Option<Self> {
        let dictionary = array.as_any_dictionary_opt().filter(|array| array.values().len() < u32::MAX as usize)?;
        let keys = dictionary.keys();
        let nulls = keys.nulls().filter(|nulls| nulls.null_count() > 0);
        Some(Self { codes: Integers::bind(keys)?, nulls, values: dictionary.values() })
    }

    /// Codes alone, which nobody has looked at, and what they stand for; `None` if these are no integers, some are null, or
    /// there are more values than codes of 32 bits can tell apart.
    pub(crate) fn bare(codes: &'a dyn Array, values: &'a ArrayRef) -> Option<Self> {
        if codes.null_count() > 0 || values.len() >= u32::MAX as usize {
            return None;
        }
        Some(Self { codes: Integers::bind(codes)?, nulls: None, values })
    }

    fn null_count(&self) -> usize {
        let Some(gaps) = self.values.nulls().filter(|gaps| gaps.null_count() > 0) else {
            return self.nulls.map_or(0, NullBuffer::null_count);
        };
        let is_null = |row: &usize| {
            self.nulls.is_some_and(|nulls| nulls.is_null(*row)) || gaps.is_null(self.codes.get(*row) as usize)
        };
        (0..self.codes.len()).filter(is_null).count()
    }

    /// The codes of these rows, if they are of 32 bits and none is null.
    pub(crate) fn plain(&self, rows: Range<usize>) -> Option<&'a [u32]> {
        match self.codes {
            Integers::U32(codes) if self.nulls.is_none() => Some(&codes[rows]),
            _ => None,
        }
    }

    /// The codes of these rows to `out`, whatever they are where null.
    pub(crate) fn fill(&self, rows: Range<usize>, out: &mut Vec<u32>) {
        out.clear();
        match self.codes {
            Integers::I8(codes) => out.extend(codes[rows].iter().map(|code| *code as u32)),
            Integers::I16(codes) => out.extend(codes[rows].iter().map(|code| *code as u32)),
            Integers::I32(codes) => out.extend(codes[rows].iter().map(|code| *code as u32)),
            Integers::I64(codes) => out.extend(codes[rows].iter().map(|code| *code as u32)),
            Integers::U8(codes) => out.extend(codes[rows].iter().map(|code| u32::from(*code))),
            Integers::U16(codes) => out.extend(codes[rows].iter().map(|code| u32::from(*code))),
            Integers::U32(codes) => out.extend_from_slice(&codes[rows]),
            Integers::U64(codes) => out.extend(codes[rows].iter().map(|code| *code as u32)),
        }
    }

    /// Puts `null` for the codes of these rows that have none.
    pub(crate) fn put_nulls(&self, rows: Range<usize>, null: u32, codes: &mut [u32]) {
        if let Some(nulls) = self.nulls {
            let valid = nulls.inner().slice(rows.start, rows.len());
            for (codes, valid) in codes.chunks_mut(u64::BITS as usize).zip(valid.bit_chunks().iter_padded()) {
                put_nulls(codes, valid, null);
            }
        }
    }
}

also_for_avx2! {
    /// Puts `null` for each of at most 64 codes whose bit is not set.
    fn put_nulls(codes: &mut [u32], valid: u64, null: u32) -> () = put_nulls_any
}

#[inline(always)]
fn put_nulls_any(codes: &mut [u32], valid: u64, null: u32) {
    // Shifts of 32 bits, of which vectors have twice as many.
    for (codes, valid) in codes.chunks_mut(32).zip([valid as u32, (valid >> 32) as u32]) {
        for (row, code) in codes.iter_mut().enumerate() {
            *code = if valid >> row & 1 == 1 { *code } else { null };
        }
    }
}

/// Values as bytes, and the bytes of one.
fn bytes<T: ArrowNativeType>(values: &[T]) -> (&[u8], usize) {
    (values.to_byte_slice(), size_of::<T>())
}

/// One column of a batch.
#[derive(Clone, Debug)]
pub(crate) struct Column<'a> {
    /// `None` if no row is null. A dictionary's nulls are in its cells instead.
    pub(crate) nulls: Option<&'a NullBuffer>,
    pub(crate) values: Values<'a>,
}

impl<'a> Column<'a> {
    /// Codes of a dictionary that is known from elsewhere.
    pub(crate) fn bare(codes: &'a ArrayRef, values: &'a ArrayRef) -> Option<Self> {
        Some(Self { nulls: None, values: Values::Dictionary(Keys::bare(codes, values)?) })
    }

    /// As [`bare`](Self::bare), to the end of `columns`.
    pub(crate) fn push_bare(codes: &'a ArrayRef, values: &'a ArrayRef, columns: &mut Vec<Self>) -> Option<()> {
        columns.push(Self::bare(codes, values)?);
        Some(())
    }

    pub(crate) fn bind(array: &'a ArrayRef) -> Option<Self> {
        Self::bound(array, |column| column)
    }

    /// As [`bind`](Self::bind), to the end of `columns`.
    pub(crate) fn push(array: &'a ArrayRef, columns: &mut Vec<Self>) -> Option<()> {
        Self::bound(array, |column| columns.push(column))
    }

    /// Hands an array's column to `put`. Each usual type does by itself, so that the column is put together where it stays:
    /// to hand it on is a good part of what many small batches take.
    #[inline(always)]
    fn bound<R>(array: &'a ArrayRef, put: impl FnOnce(Self) -> R) -> Option<R> {
        let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
        let all = |values| Self { nulls, values };
        Some(match array.data_type() {
            DataType::Boolean => put(all(Values::Booleans(array.as_boolean().values()))),
            DataType::Dictionary(..) => put(Self { nulls: None, values: Values::Dictionary(Keys::bind(array)?) }),
            DataType::Float64 => put(all(Values::Floats(Floats::F64(Floats::bits_of(array)?)))),
            DataType::Float16 | DataType::Float32 => put(all(Values::Floats(Floats::bind(array)?))),
            DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => {
                put(all(Values::Instants(Instants::bind(array)?)))
            }
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::LargeBinary => {
                put(all(Values::Text(Text::bind(array)?)))
            }
            DataType::LargeList(_) => put(all(Values::Arrays(Arrays::bind(array)?))),
            data_type if data_type.is_integer() => put(all(Values::Integers(Integers::bind(array)?))),
            _ => put(all(Values::Decimals(Decimals::bind(array)?))),
        })
    }

    /// The memory that is read first for the values of these rows and the bytes of one, where they are of one width and
    /// whole bytes.
    pub(crate) fn memory(&self, rows: Range<usize>) -> Option<(&'a [u8], usize)> {
        match self.values {
            Values::Integers(integers) | Values::Dictionary(Keys { codes: integers, .. }) => {
                Some(integers.memory(rows))
            }
            Values::Floats(floats) => Some(match floats {
                Floats::F16(values) => bytes(&values[rows]),
                Floats::F32(values) => bytes(&values[rows]),
                Floats::F64(bits) => bytes(&bits[rows]),
            }),
            Values::Instants(Instants::Days(values)) => Some(bytes(&values[rows])),
            Values::Instants(Instants::Units(values, _)) => Some(bytes(&values[rows])),
            Values::Text(text) => Some(text.memory(rows)),
            _ => None,
        }
    }

    /// How many rows are null, also because the dictionary's value that they point to is.
    pub(crate) fn null_count(&self) -> usize {
        match (&self.values, self.nulls) {
            (Values::Dictionary(keys), _) => keys.null_count(),
            (_, nulls) => nulls.map_or(0, NullBuffer::null_count),
        }
    }

    /// Whether a row of this range is null.
    pub(crate) fn has_nulls(&self, rows: &Range<usize>) -> bool {
        self.nulls.is_some_and(|nulls| nulls.slice(rows.start, rows.len()).null_count() > 0)
    }
}
