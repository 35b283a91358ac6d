//! Columns of a later frame under the type that the frames of a stream before it gave them.
//!
//! What reads a file piece by piece sees only a piece: pandas has integers until one is missing, then floats, and as many
//! categories as the piece has. So numbers, instants and codes of any width go under any other that holds each value
//! exactly, text under any other form of it, and nulls under everything. Where all types are equal, which is nearly always, none of this runs.
//! A column of nulls alone has no type, and gets one from the first frame that has values there (`late.rs`).

use std::fmt::Display;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowDictionaryKeyType, ArrowPrimitiveType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type,
    Decimal256Type, DecimalType, DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType,
    DurationSecondType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use arrow_array::{
    Array, ArrayRef, Decimal128Array, Decimal256Array, DictionaryArray, LargeStringArray, PrimitiveArray, StringArray,
    StringViewArray, UInt64Array, make_array, new_null_array,
};
use arrow_buffer::i256;
use arrow_data::ArrayData;
use arrow_schema::{DECIMAL256_MAX_PRECISION, DataType, Field, FieldRef, TimeUnit};
use arrow_select::take::take;

type Half = <Float16Type as ArrowPrimitiveType>::Native;

/// Why a column does not fit.
pub(crate) enum Misfit {
    /// Its type never does.
    Type,
    /// The value of this row does not.
    Value(usize, String),
}

/// The type under which a column of the first frame is planned: codes with room for more categories than it has, decimals
/// with room for more digits in memory, and lists of items that may be null.
pub(crate) fn with_room(kind: &DataType) -> DataType {
    match kind {
        DataType::Dictionary(key, value) => {
            let key = match **key {
                DataType::UInt8 | DataType::UInt16 => DataType::UInt32,
                DataType::Int8 | DataType::Int16 => DataType::Int32,
                ref other => other.clone(),
            };
            DataType::Dictionary(Box::new(key), value.clone())
        }
        DataType::Decimal32(digits, scale) | DataType::Decimal64(digits, scale) => {
            DataType::Decimal128(*digits, *scale)
        }
        DataType::List(item) => DataType::List(any_item(item)),
        DataType::LargeList(item) => DataType::LargeList(any_item(item)),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(any_item(item), *size),
        other => other.clone(),
    }
}

/// An item of a list that may be null; of empty lists alone a number, as all arrays hold.
fn any_item(item: &Field) -> FieldRef {
    let kind = if item.data_type().is_null() { DataType::Float64 } else { with_room(item.data_type()) };
    Arc::new(Field::new(item.name(), kind, true))
}

/// Whether nothing can be said of what such a column will hold.
pub(crate) fn is_untyped(kind: &DataType) -> bool {
    match kind {
        DataType::Dictionary(_, value) => is_untyped(value),
        other => other.is_null(),
    }
}

/// Whether a column has nothing that tells its type. With `nan_is_missing` a NaN is null where there is no NaN otherwise.
pub(crate) fn tells_nothing(column: &ArrayRef, nan_is_missing: bool) -> bool {
    is_untyped(column.data_type()) || (nan_is_missing && is_nothing(column))
}

/// A list under a type that calls its items otherwise, or says otherwise of their nulls: the same memory.
fn as_list(column: &ArrayRef, known: &DataType) -> Option<ArrayRef> {
    fn under(data: ArrayData, known: &DataType) -> Option<ArrayData> {
        let item = match (data.data_type(), known) {
            (DataType::List(_), DataType::List(item)) | (DataType::LargeList(_), DataType::LargeList(item)) => item,
            (DataType::FixedSizeList(_, size), DataType::FixedSizeList(item, known)) if size == known => item,
            (DataType::Null, known) => return Some(new_null_array(known, data.len()).to_data()),
            (found, known) => return (found == known).then_some(data),
        };
        let items = data.child_data().first()?.clone();
        let items = under(items, item.data_type())?;
        data.into_builder().data_type(known.clone()).child_data(vec![items]).build().ok()
    }
    Some(make_array(under(column.to_data(), known)?))
}

/// The column as one of type `known`. With `nan_is_missing` a NaN is null where there is no NaN otherwise.
pub(crate) fn fit(column: &ArrayRef, known: &DataType, nan_is_missing: bool) -> Result<ArrayRef, Misfit> {
    let found = column.data_type();
    if found == known {
        return Ok(column.clone());
    }
    if tells_nothing(column, nan_is_missing) {
        return Ok(new_null_array(known, column.len()));
    }
    if let Some(list) = as_list(column, known) {
        return Ok(list);
    }
    match (known, found) {
        (DataType::Dictionary(key, known), DataType::Dictionary(_, found)) if known == found => {
            with_codes(column, key).ok_or(Misfit::Type)
        }
        // A category for each row: those that are alike are written alike.
        (DataType::Dictionary(key, value), _) => {
            let values = fit(column, value, false)?;
            let present = |row: usize| (!values.is_null(row)).then_some(row as u64);
            let codes: ArrayRef = Arc::new((0..values.len()).map(present).collect::<UInt64Array>());
            with_key(&codes, &values, key).ok_or(Misfit::Type)
        }
        (DataType::Utf8, _) => Ok(Arc::new(texts(column)?.collect::<StringArray>())),
        (DataType::LargeUtf8, _) => Ok(Arc::new(texts(column)?.collect::<LargeStringArray>())),
        (DataType::Utf8View, _) => Ok(Arc::new(texts(column)?.collect::<StringViewArray>())),
        (_, DataType::Dictionary(..)) => fit(&decoded(column)?, known, nan_is_missing),
        (DataType::Decimal128(..) | DataType::Decimal256(..), _) => decimals(column, known),
        _ => numbers(column, known, nan_is_missing),
    }
}

/// The cells of a column of text, in whatever form it has.
fn texts(column: &ArrayRef) -> Result<Box<dyn Iterator<Item = Option<&str>> + '_>, Misfit> {
    match column.data_type() {
        DataType::Utf8 => Ok(Box::new(column.as_string::<i32>().iter())),
        DataType::LargeUtf8 => Ok(Box::new(column.as_string::<i64>().iter())),
        DataType::Utf8View => Ok(Box::new(column.as_string_view().iter())),
        DataType::Dictionary(..) => {
            let dictionary = column.as_any_dictionary();
            if dictionary.values().is_empty() {
                // Then there are no codes, either, and nothing to be asked for them.
                return Ok(Box::new(std::iter::repeat_n(None, column.len())));
            }
            let texts = texts(dictionary.values())?.collect::<Vec<_>>();
            let codes = dictionary.normalized_keys().into_iter().enumerate();
            // The code of a null may be any.
            let text = move |(row, code)| if column.is_null(row) { None } else { texts.get(code).copied().flatten() };
            Ok(Box::new(codes.map(text)))
        }
        _ => Err(Misfit::Type),
    }
}

/// The values that the codes of a dictionary stand for, row by row.
fn decoded(column: &ArrayRef) -> Result<ArrayRef, Misfit> {
    let dictionary = column.as_any_dictionary();
    take(dictionary.values(), dictionary.keys(), None).map_err(|_| Misfit::Type)
}

/// Whole numbers and decimals as decimals of another size or scale, as long as each value is the same.
fn decimals(column: &ArrayRef, known: &DataType) -> Result<ArrayRef, Misfit> {
    fn of<T: DecimalType>(column: &ArrayRef) -> Box<dyn Fn(usize) -> i256 + '_>
    where
        i256: From<T::Native>,
    {
        let values = column.as_primitive::<T>();
        Box::new(|row| values.value(row).into())
    }
    match (column.data_type(), known) {
        (DataType::Decimal128(found, scale), DataType::Decimal128(most, wanted))
            if found <= most && scale == wanted =>
        {
            let values = column.as_primitive::<Decimal128Type>().clone();
            return Ok(Arc::new(values.with_data_type(known.clone())));
        }
        (DataType::Decimal256(found, scale), DataType::Decimal256(most, wanted))
            if found <= most && scale == wanted =>
        {
            let values = column.as_primitive::<Decimal256Type>().clone();
            return Ok(Arc::new(values.with_data_type(known.clone())));
        }
        _ => {}
    }
    // Each value, times ten to the power of `scale`.
    let (value, scale) = match column.data_type() {
        DataType::Decimal32(_, scale) => (of::<Decimal32Type>(column), *scale),
        DataType::Decimal64(_, scale) => (of::<Decimal64Type>(column), *scale),
        DataType::Decimal128(_, scale) => (of::<Decimal128Type>(column), *scale),
        DataType::Decimal256(_, scale) => (of::<Decimal256Type>(column), *scale),
        kind if kind.is_integer() => {
            let number = values(column).ok_or(Misfit::Type)?.number;
            let whole = move |row| match number(row) {
                Number::Whole(whole) => i256::from_i128(whole),
                // Integers are none.
                Number::Float(_) => i256::ZERO,
            };
            (Box::new(whole) as Box<dyn Fn(usize) -> i256>, 0)
        }
        _ => return Err(Misfit::Type),
    };
    let (DataType::Decimal128(precision, wanted) | DataType::Decimal256(precision, wanted)) = known else {
        return Err(Misfit::Type);
    };
    let ten = i256::from_i128(10);
    let by = ten.checked_pow(u32::from(wanted.abs_diff(scale))).ok_or(Misfit::Type)?;
    let limit = ten.checked_pow(u32::from(*precision));
    let exact = |row: usize| {
        let value = value(row);
        let exact = if *wanted >= scale {
            value.checked_mul(by)
        } else {
            (value.checked_rem(by) == Some(i256::ZERO)).then(|| value.checked_div(by)).flatten()
        };
        let fits = |value: &i256| limit.is_none_or(|limit| *value < limit && *value > -limit);
        let told = || Decimal256Type::format_decimal(value, DECIMAL256_MAX_PRECISION, scale);
        exact.filter(fits).ok_or_else(|| Misfit::Value(row, told()))
    };
    let rows = (0..column.len()).map(|row| if column.is_null(row) { Ok(None) } else { exact(row).map(Some) });
    let made = rows.collect::<Result<Vec<_>, _>>()?;
    let made: ArrayRef = match known {
        DataType::Decimal128(..) => {
            let narrow = made.into_iter().map(|value| value.and_then(i256::to_i128));
            Arc::new(narrow.collect::<Decimal128Array>().with_data_type(known.clone()))
        }
        _ => Arc::new(made.into_iter().collect::<Decimal256Array>().with_data_type(known.clone())),
    };
    Ok(made)
}

/// Whether these are floats of which none is a number.
fn is_nothing(column: &ArrayRef) -> bool {
    match column.data_type() {
        DataType::Float64 => column.as_primitive::<Float64Type>().iter().flatten().all(f64::is_nan),
        DataType::Float32 => column.as_primitive::<Float32Type>().iter().flatten().all(f32::is_nan),
        _ => false,
    }
}

/// A dictionary of the same values, by codes of another type; None if that has no room for them.
fn with_codes(column: &ArrayRef, key: &DataType) -> Option<ArrayRef> {
    let dictionary = column.as_any_dictionary_opt()?;
    with_key(&dictionary.keys().slice(0, column.len()), dictionary.values(), key)
}

/// A dictionary of these codes as those of another type.
fn with_key(codes: &ArrayRef, values: &ArrayRef, key: &DataType) -> Option<ArrayRef> {
    fn made<K: ArrowDictionaryKeyType>(codes: ArrayRef, values: &ArrayRef) -> Option<ArrayRef> {
        let made = DictionaryArray::<K>::try_new(codes.as_primitive::<K>().clone(), values.clone()).ok()?;
        Some(Arc::new(made))
    }
    let codes = numbers(codes, key, false).ok()?;
    match key {
        DataType::Int8 => made::<Int8Type>(codes, values),
        DataType::Int16 => made::<Int16Type>(codes, values),
        DataType::Int32 => made::<Int32Type>(codes, values),
        DataType::Int64 => made::<Int64Type>(codes, values),
        DataType::UInt8 => made::<UInt8Type>(codes, values),
        DataType::UInt16 => made::<UInt16Type>(codes, values),
        DataType::UInt32 => made::<UInt32Type>(codes, values),
        DataType::UInt64 => made::<UInt64Type>(codes, values),
        _ => None,
    }
}

/// A value on its way from one type to another: whole, or a float that is none. Instants are counted in nanoseconds.
enum Number {
    Whole(i128),
    Float(f64),
}

/// What kind of things values are: none goes under another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Thing {
    Number,
    Instant,
    Duration,
    TimeOfDay,
}

/// What a column of this type holds, and what it counts, in nanoseconds; a number counts itself. None of other types.
fn counted(kind: &DataType) -> Option<(Thing, i128)> {
    fn nanos(unit: TimeUnit) -> i128 {
        match unit {
            TimeUnit::Second => 1_000_000_000,
            TimeUnit::Millisecond => 1_000_000,
            TimeUnit::Microsecond => 1_000,
            TimeUnit::Nanosecond => 1,
        }
    }
    match kind {
        DataType::Timestamp(unit, _) => Some((Thing::Instant, nanos(*unit))),
        DataType::Date32 => Some((Thing::Instant, 86_400 * nanos(TimeUnit::Second))),
        DataType::Date64 => Some((Thing::Instant, nanos(TimeUnit::Millisecond))),
        DataType::Duration(unit) => Some((Thing::Duration, nanos(*unit))),
        DataType::Time32(unit) | DataType::Time64(unit) => Some((Thing::TimeOfDay, nanos(*unit))),
        kind if kind.is_numeric() && !kind.is_decimal() => Some((Thing::Number, 1)),
        _ => None,
    }
}

/// What a float stands for: a whole number wherever it is one.
fn number(value: f64) -> Number {
    // 2^127 is beyond an i128, and all that is smaller is not.
    let is_whole = value.trunc() == value && value.abs() < 2f64.powi(127);
    // A negative zero is none of the whole numbers.
    if is_whole && !(value == 0.0 && value.is_sign_negative()) {
        Number::Whole(value as i128)
    } else {
        Number::Float(value)
    }
}

/// The values of a column, by row, nulls aside, and how each is told.
struct Values<'a> {
    number: Box<dyn Fn(usize) -> Number + 'a>,
    text: Box<dyn Fn(usize) -> String + 'a>,
}

/// The values of a column of numbers or times; None of other types.
fn values(column: &ArrayRef) -> Option<Values<'_>> {
    fn of<'a, T: ArrowPrimitiveType>(
        column: &'a ArrayRef,
        number: impl Fn(T::Native) -> Number + 'a,
    ) -> Option<Values<'a>>
    where
        T::Native: Display,
    {
        let values = column.as_primitive::<T>();
        let number = Box::new(move |row| number(values.value(row)));
        Some(Values { number, text: Box::new(|row| values.value(row).to_string()) })
    }
    fn whole<T: ArrowPrimitiveType>(column: &ArrayRef, unit: i128) -> Option<Values<'_>>
    where
        T::Native: Display + Into<i128>,
    {
        of::<T>(column, move |value| Number::Whole(value.into() * unit))
    }
    let (_, unit) = counted(column.data_type())?;
    match column.data_type() {
        DataType::Int8 => whole::<Int8Type>(column, unit),
        DataType::Int16 => whole::<Int16Type>(column, unit),
        DataType::Int32 => whole::<Int32Type>(column, unit),
        DataType::Int64 => whole::<Int64Type>(column, unit),
        DataType::UInt8 => whole::<UInt8Type>(column, unit),
        DataType::UInt16 => whole::<UInt16Type>(column, unit),
        DataType::UInt32 => whole::<UInt32Type>(column, unit),
        DataType::UInt64 => whole::<UInt64Type>(column, unit),
        DataType::Float16 => of::<Float16Type>(column, |value| number(value.to_f64())),
        DataType::Float32 => of::<Float32Type>(column, |value| number(value.into())),
        DataType::Float64 => of::<Float64Type>(column, number),
        DataType::Timestamp(TimeUnit::Second, _) => whole::<TimestampSecondType>(column, unit),
        DataType::Timestamp(TimeUnit::Millisecond, _) => whole::<TimestampMillisecondType>(column, unit),
        DataType::Timestamp(TimeUnit::Microsecond, _) => whole::<TimestampMicrosecondType>(column, unit),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => whole::<TimestampNanosecondType>(column, unit),
        DataType::Date32 => whole::<Date32Type>(column, unit),
        DataType::Date64 => whole::<Date64Type>(column, unit),
        DataType::Duration(TimeUnit::Second) => whole::<DurationSecondType>(column, unit),
        DataType::Duration(TimeUnit::Millisecond) => whole::<DurationMillisecondType>(column, unit),
        DataType::Duration(TimeUnit::Microsecond) => whole::<DurationMicrosecondType>(column, unit),
        DataType::Duration(TimeUnit::Nanosecond) => whole::<DurationNanosecondType>(column, unit),
        DataType::Time32(TimeUnit::Second) => whole::<Time32SecondType>(column, unit),
        DataType::Time32(TimeUnit::Millisecond) => whole::<Time32MillisecondType>(column, unit),
        DataType::Time64(TimeUnit::Microsecond) => whole::<Time64MicrosecondType>(column, unit),
        DataType::Time64(TimeUnit::Nanosecond) => whole::<Time64NanosecondType>(column, unit),
        _ => None,
    }
}

/// Numbers or times of another width or unit, as long as each value is the same.
fn numbers(column: &ArrayRef, known: &DataType, nan_is_missing: bool) -> Result<ArrayRef, Misfit> {
    let Values { number: value, text } = values(column).ok_or(Misfit::Type)?;
    let unit = match (counted(column.data_type()), counted(known)) {
        (Some((found, _)), Some((wanted, unit))) if found == wanted => unit,
        _ => return Err(Misfit::Type),
    };
    let nulls = column.nulls();
    let is_null = |row: usize| {
        nulls.is_some_and(|nulls| nulls.is_null(row))
            || (nan_is_missing && matches!(value(row), Number::Float(float) if float.is_nan()))
    };
    // Each value, or the row whose value has no place.
    fn made<T: ArrowPrimitiveType>(
        rows: usize,
        is_null: impl Fn(usize) -> bool,
        exact: impl Fn(usize) -> Option<T::Native>,
    ) -> Result<PrimitiveArray<T>, usize> {
        let values = (0..rows).map(|row| if is_null(row) { Ok(None) } else { exact(row).map(Some).ok_or(row) });
        values.collect::<Result<_, _>>()
    }
    macro_rules! whole {
        ($kind:ty) => {
            made::<$kind>(column.len(), is_null, |row| match value(row) {
                Number::Whole(value) if value % unit == 0 => (value / unit).try_into().ok(),
                _ => None,
            })
            .map(|made| Arc::new(made.with_data_type(known.clone())) as ArrayRef)
        };
    }
    macro_rules! floats {
        ($kind:ty, $narrow:expr, $wide:expr) => {{
            // A float has NaN of its own, which stays.
            let is_null = |row: usize| nulls.is_some_and(|nulls| nulls.is_null(row));
            made::<$kind>(column.len(), is_null, |row| match value(row) {
                // More than 2^127 is no whole number here.
                Number::Whole(value) => Some($narrow(value as f64)).filter(|narrow| $wide(*narrow) as i128 == value),
                Number::Float(value) if value.is_nan() => Some($narrow(value)),
                Number::Float(value) => Some($narrow(value)).filter(|narrow| $wide(*narrow) == value),
            })
            .map(|made| Arc::new(made) as ArrayRef)
        }};
    }
    let made = match known {
        DataType::Int8 => whole!(Int8Type),
        DataType::Int16 => whole!(Int16Type),
        DataType::Int32 => whole!(Int32Type),
        DataType::Int64 => whole!(Int64Type),
        DataType::UInt8 => whole!(UInt8Type),
        DataType::UInt16 => whole!(UInt16Type),
        DataType::UInt32 => whole!(UInt32Type),
        DataType::UInt64 => whole!(UInt64Type),
        DataType::Float16 => floats!(Float16Type, Half::from_f64, Half::to_f64),
        DataType::Float32 => floats!(Float32Type, |value: f64| value as f32, f64::from),
        DataType::Float64 => floats!(Float64Type, |value: f64| value, |value: f64| value),
        DataType::Timestamp(TimeUnit::Second, _) => whole!(TimestampSecondType),
        DataType::Timestamp(TimeUnit::Millisecond, _) => whole!(TimestampMillisecondType),
        DataType::Timestamp(TimeUnit::Microsecond, _) => whole!(TimestampMicrosecondType),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => whole!(TimestampNanosecondType),
        DataType::Date32 => whole!(Date32Type),
        DataType::Date64 => whole!(Date64Type),
        DataType::Duration(TimeUnit::Second) => whole!(DurationSecondType),
        DataType::Duration(TimeUnit::Millisecond) => whole!(DurationMillisecondType),
        DataType::Duration(TimeUnit::Microsecond) => whole!(DurationMicrosecondType),
        DataType::Duration(TimeUnit::Nanosecond) => whole!(DurationNanosecondType),
        DataType::Time32(TimeUnit::Second) => whole!(Time32SecondType),
        DataType::Time32(TimeUnit::Millisecond) => whole!(Time32MillisecondType),
        DataType::Time64(TimeUnit::Microsecond) => whole!(Time64MicrosecondType),
        DataType::Time64(TimeUnit::Nanosecond) => whole!(Time64NanosecondType),
        _ => return Err(Misfit::Type),
    };
    made.map_err(|row| Misfit::Value(row, text(row)))
}
