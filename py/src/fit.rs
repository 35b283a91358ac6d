//! Columns of a later frame under the type that the first frame of a stream gave them.
//!
//! What reads a file piece by piece sees only a piece: pandas has integers until one is missing, then floats, and as many
//! categories as the piece has. So numbers, instants and codes of any width go under any other that holds each value
//! exactly, text under any other form of it, and nulls under everything. Where all types are equal, which is nearly always, none of this runs.

use std::fmt::Display;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowDictionaryKeyType, ArrowPrimitiveType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{
    Array, ArrayRef, DictionaryArray, LargeStringArray, PrimitiveArray, StringArray, StringViewArray, UInt64Array,
    make_array, new_null_array,
};
use arrow_data::ArrayData;
use arrow_schema::{DataType, Field, FieldRef, TimeUnit};

/// Why a column does not fit.
pub(crate) enum Misfit {
    /// Its type never does.
    Type,
    /// The value of this row does not.
    Value(usize, String),
}

/// The type under which a column of the first frame is planned: codes with room for more categories than it has, and lists
/// of items that may be null.
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
        DataType::List(item) => DataType::List(any_item(item)),
        DataType::LargeList(item) => DataType::LargeList(any_item(item)),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(any_item(item), *size),
        other => other.clone(),
    }
}

fn any_item(item: &Field) -> FieldRef {
    Arc::new(Field::new(item.name(), with_room(item.data_type()), true))
}

/// A list under a type that calls its items otherwise, or says otherwise of their nulls: the same memory.
fn as_list(column: &ArrayRef, known: &DataType) -> Option<ArrayRef> {
    fn under(data: ArrayData, known: &DataType) -> Option<ArrayData> {
        let item = match (data.data_type(), known) {
            (DataType::List(_), DataType::List(item)) | (DataType::LargeList(_), DataType::LargeList(item)) => item,
            (DataType::FixedSizeList(_, size), DataType::FixedSizeList(item, known)) if size == known => item,
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
    if let Some(list) = as_list(column, known) {
        return Ok(list);
    }
    if found.is_null() || (nan_is_missing && is_nothing(column)) {
        return Ok(new_null_array(known, column.len()));
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

/// What a type of instants counts, in nanoseconds.
fn nanos(unit: TimeUnit) -> i128 {
    match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
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

/// The values of a column of numbers or instants; None of other types.
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
    fn whole(value: impl Into<i128>) -> Number {
        Number::Whole(value.into())
    }
    match column.data_type() {
        DataType::Int8 => of::<Int8Type>(column, whole),
        DataType::Int16 => of::<Int16Type>(column, whole),
        DataType::Int32 => of::<Int32Type>(column, whole),
        DataType::Int64 => of::<Int64Type>(column, whole),
        DataType::UInt8 => of::<UInt8Type>(column, whole),
        DataType::UInt16 => of::<UInt16Type>(column, whole),
        DataType::UInt32 => of::<UInt32Type>(column, whole),
        DataType::UInt64 => of::<UInt64Type>(column, whole),
        DataType::Float16 => of::<Float16Type>(column, |value| number(value.to_f64())),
        DataType::Float32 => of::<Float32Type>(column, |value| number(value.into())),
        DataType::Float64 => of::<Float64Type>(column, number),
        DataType::Timestamp(unit, _) => {
            let nanos = nanos(*unit);
            let counted = move |value: i64| Number::Whole(i128::from(value) * nanos);
            match unit {
                TimeUnit::Second => of::<TimestampSecondType>(column, counted),
                TimeUnit::Millisecond => of::<TimestampMillisecondType>(column, counted),
                TimeUnit::Microsecond => of::<TimestampMicrosecondType>(column, counted),
                TimeUnit::Nanosecond => of::<TimestampNanosecondType>(column, counted),
            }
        }
        _ => None,
    }
}

/// Numbers or instants of another width or unit, as long as each value is the same.
fn numbers(column: &ArrayRef, known: &DataType, nan_is_missing: bool) -> Result<ArrayRef, Misfit> {
    let Values { number: value, text } = values(column).ok_or(Misfit::Type)?;
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
                Number::Whole(value) => value.try_into().ok(),
                Number::Float(_) => None,
            })
            .map(|made| Arc::new(made) as ArrayRef)
        };
    }
    macro_rules! instants {
        ($kind:ty, $unit:expr, $zone:expr) => {
            made::<$kind>(column.len(), is_null, |row| match value(row) {
                Number::Whole(value) if value % nanos($unit) == 0 => (value / nanos($unit)).try_into().ok(),
                _ => None,
            })
            .map(|made| Arc::new(made.with_timezone_opt($zone.clone())) as ArrayRef)
        };
    }
    macro_rules! floats {
        ($kind:ty, $float:ty) => {{
            // A float has NaN of its own, which stays.
            let is_null = |row: usize| nulls.is_some_and(|nulls| nulls.is_null(row));
            made::<$kind>(column.len(), is_null, |row| match value(row) {
                Number::Whole(value) => (value as $float as i128 == value).then_some(value as $float),
                Number::Float(value) if value.is_nan() => Some(value as $float),
                Number::Float(value) => (f64::from(value as $float) == value).then_some(value as $float),
            })
            .map(|made| Arc::new(made) as ArrayRef)
        }};
    }
    let are_instants = matches!(column.data_type(), DataType::Timestamp(..));
    let made = match known {
        DataType::Timestamp(unit, zone) if are_instants => match unit {
            TimeUnit::Second => instants!(TimestampSecondType, *unit, zone),
            TimeUnit::Millisecond => instants!(TimestampMillisecondType, *unit, zone),
            TimeUnit::Microsecond => instants!(TimestampMicrosecondType, *unit, zone),
            TimeUnit::Nanosecond => instants!(TimestampNanosecondType, *unit, zone),
        },
        _ if are_instants => return Err(Misfit::Type),
        DataType::Int8 => whole!(Int8Type),
        DataType::Int16 => whole!(Int16Type),
        DataType::Int32 => whole!(Int32Type),
        DataType::Int64 => whole!(Int64Type),
        DataType::UInt8 => whole!(UInt8Type),
        DataType::UInt16 => whole!(UInt16Type),
        DataType::UInt32 => whole!(UInt32Type),
        DataType::UInt64 => whole!(UInt64Type),
        DataType::Float32 => floats!(Float32Type, f32),
        DataType::Float64 => floats!(Float64Type, f64),
        _ => return Err(Misfit::Type),
    };
    made.map_err(|row| Misfit::Value(row, text(row)))
}
