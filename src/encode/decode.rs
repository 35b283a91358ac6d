//! Lines back to a record batch: of lines that the encoder has written, and that have to be looked at once more.
//!
//! Rows that wait in a spool were planned for a table as it was then, or as nobody had seen it. Whether they fit the
//! table that is there when they are sent is what plan and check tell of a frame; so lines are made one again. The
//! grammar is that of `spec/ilp-wire.md` 2, 3, 6, 8 and 9, as the encoder writes it: a value's form tells its type, but not
//! all of it, nor that of a column without a value. So a [`Content`] of each column can be kept beside the lines.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::builder::{
    BooleanBuilder, Decimal256Builder, Float64Builder, Int64Builder, LargeStringBuilder, LargeStringDictionaryBuilder,
    TimestampMicrosecondBuilder, TimestampNanosecondBuilder,
};
use arrow_array::types::{
    Decimal32Type, Decimal64Type, Decimal128Type, DecimalType, DurationNanosecondType, Time64NanosecondType, UInt32Type,
};
use arrow_array::{
    Array, ArrayRef, Decimal256Array, Float64Array, ListArray, NullArray, RecordBatch, RecordBatchOptions,
};
use arrow_buffer::{NullBuffer, OffsetBuffer, ScalarBuffer, i256};
use arrow_schema::{DataType, Field, Schema};
use serde::{Deserialize, Serialize};

use super::lines::{binary_end, string_end};
use crate::options::ProtocolVersion;
use crate::plan::kind::Kind;
use crate::plan::{ColumnPlan, Role, Wire, WireUnit, same_name};

/// The most digits that a decimal has.
const DIGITS: u8 = 76;

/// What the values of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[doc(hidden)]
pub enum Content {
    /// Nothing but nulls, and not in lines.
    Null,
    Symbol,
    Text,
    Boolean,
    Integer,
    /// In nanoseconds.
    Time,
    /// In nanoseconds.
    Duration,
    Float,
    Micros,
    Nanos,
    /// Of this scale.
    Decimal(u8),
    /// Of so many dimensions.
    Array(u8),
}

impl Content {
    /// That of a column of a plan; `None` of one that lines do not give back.
    pub(crate) fn of(column: &ColumnPlan, version: ProtocolVersion) -> Option<Self> {
        Some(match (column.role, column.kind) {
            (Role::Skipped, _) => Self::Null,
            (Role::Symbol, _) => Self::Symbol,
            (Role::Field(Wire::Integer), Kind::Time) => Self::Time,
            (Role::Field(Wire::Integer), Kind::Duration) => Self::Duration,
            (Role::Field(Wire::Integer), _) => Self::Integer,
            (Role::Field(Wire::Boolean), _) => Self::Boolean,
            (Role::Field(Wire::Float), _) => Self::Float,
            (Role::Field(Wire::String), _) => Self::Text,
            (Role::Field(Wire::Timestamp(WireUnit::Nanos)), _) if version > ProtocolVersion::V1 => Self::Nanos,
            (Role::Field(Wire::Timestamp(_)), _) => Self::Micros,
            (Role::Field(Wire::Decimal { scale }), _) => Self::Decimal(scale),
            (Role::Field(Wire::Array { dims }), _) => Self::Array(dims),
            (Role::Field(Wire::Cells) | Role::Timestamp, _) => return None,
        })
    }
}

/// Rows as they were before they became lines.
#[derive(Debug)]
#[doc(hidden)]
pub struct Decoded {
    /// Symbols are dictionaries.
    pub batch: RecordBatch,
    /// The column of the designated timestamps; none if no line has one.
    pub at: Option<String>,
}

/// Lines of one table as a record batch: these columns, then others in the order of their first line, behind them the
/// designated timestamps in a column named like `at`, or nearly so where another column has that name. With `time` there
/// is that column though no line has a time. Any column may have nulls.
///
/// `None` if that cannot be: the lines are not the encoder's, or a column has values of two types. Memory: as many cells
/// as there are rows for each column, also where lines have few of them.
#[doc(hidden)]
#[must_use]
pub fn decoded(
    lines: &[u8],
    version: ProtocolVersion,
    known: &[(String, Content)],
    at: &str,
    time: Option<Content>,
) -> Option<Decoded> {
    let mut cursor = Cursor { lines, at: 0 };
    let mut columns: Vec<(String, Values)> =
        known.iter().map(|(name, content)| Some((name.clone(), Values::new(*content)?))).collect::<Option<_>>()?;
    let mut places: HashMap<Vec<u8>, usize> =
        known.iter().enumerate().map(|(place, (name, _))| (name.clone().into_bytes(), place)).collect();
    let mut times: Option<Values> = time.and_then(Values::new);
    let mut has_times = false;
    let mut rows = 0;
    while cursor.at < lines.len() {
        let mut put = |name: Vec<u8>, value: Value<'_>| {
            let place = match places.get(&name) {
                Some(place) => *place,
                None => {
                    columns.push((String::from_utf8(name.clone()).ok()?, Values::new(value.content()?)?));
                    places.insert(name, columns.len() - 1);
                    columns.len() - 1
                }
            };
            columns[place].1.put(rows, value)
        };
        cursor.text(b", \n");
        let mut end = cursor.next()?;
        while end == b',' {
            let name = cursor.key()?;
            put(name, Value::Symbol(cursor.text(b", \n")))?;
            end = cursor.next()?;
        }
        // A row may have symbols alone.
        if end == b' ' && cursor.is_at_key() {
            end = b',';
            while end == b',' {
                let name = cursor.key()?;
                put(name, cursor.value()?)?;
                end = cursor.next()?;
            }
        }
        if end == b' ' {
            let time = cursor.time(version)?;
            if !has_times {
                has_times = true;
                times = Values::new(time.content()?);
            }
            times.as_mut()?.put(rows, time)?;
            end = cursor.next()?;
        }
        if end != b'\n' {
            return None;
        }
        rows += 1;
    }
    let at = times.map(|times| {
        let mut name = at.to_owned();
        while columns.iter().any(|(known, _)| same_name(known, &name)) {
            name.push('_');
        }
        columns.push((name.clone(), times));
        name
    });
    let columns: Option<Vec<_>> =
        columns.into_iter().map(|(name, values)| Some((name, values.finish(rows)?))).collect();
    let columns = columns?;
    let field = |(name, array): &(String, ArrayRef)| Field::new(name, array.data_type().clone(), true);
    let schema = Schema::new(columns.iter().map(field).collect::<Vec<_>>());
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let batch = RecordBatch::try_new_with_options(Arc::new(schema), arrays, &options);
    Some(Decoded { batch: batch.ok()?, at })
}

/// A place in lines.
struct Cursor<'l> {
    lines: &'l [u8],
    at: usize,
}

impl<'l> Cursor<'l> {
    /// The next byte, and the place behind it.
    fn next(&mut self) -> Option<u8> {
        let byte = *self.lines.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    /// Text without quotes up to one of these bytes, which is left.
    fn text(&mut self, ends: &[u8]) -> Vec<u8> {
        let mut text = Vec::new();
        while let Some(mut byte) = self.lines.get(self.at).copied().filter(|byte| !ends.contains(byte)) {
            if byte == b'\\' {
                self.at += 1;
                byte = self.lines.get(self.at).copied().unwrap_or(byte);
            }
            text.push(byte);
            self.at += 1;
        }
        text
    }

    /// Whether a field comes next, and not the time of the row.
    fn is_at_key(&self) -> bool {
        let mut ahead = Cursor { ..*self };
        ahead.text(b"=\n");
        ahead.next() == Some(b'=')
    }

    /// A name, and the place behind its equals sign.
    fn key(&mut self) -> Option<Vec<u8>> {
        let name = self.text(b"=");
        (self.next()? == b'=').then_some(name)
    }

    /// The value of a field.
    fn value(&mut self) -> Option<Value<'l>> {
        let start = self.at;
        match self.lines.get(start)? {
            b'"' => {
                let end = string_end(self.lines, start + 1);
                let mut inside = Cursor { lines: self.lines.get(..end - 1)?, at: start + 1 };
                self.at = end;
                Some(Value::Text(inside.text(b"")))
            }
            b'=' => {
                self.at = binary_end(self.lines, start + 1);
                Value::of_binary(self.lines.get(start + 1..self.at)?)
            }
            _ => Value::of_text(self.word()?),
        }
    }

    /// Digits and what follows them, up to what ends a value.
    fn word(&mut self) -> Option<&'l str> {
        let rest = self.lines.get(self.at..)?;
        let length = rest.iter().position(|byte| b", \n".contains(byte))?;
        self.at += length;
        std::str::from_utf8(&rest[..length]).ok()
    }

    fn time(&mut self, version: ProtocolVersion) -> Option<Value<'l>> {
        let word = self.word()?;
        match version {
            ProtocolVersion::V1 => word.parse().ok().map(Value::Nanos),
            _ => Value::of_text(word).filter(|value| matches!(value, Value::Micros(_) | Value::Nanos(_))),
        }
    }
}

/// One value of a line.
enum Value<'l> {
    Symbol(Vec<u8>),
    Text(Vec<u8>),
    Boolean(bool),
    Integer(i64),
    Float(f64),
    Micros(i64),
    Nanos(i64),
    Decimal {
        scale: u8,
        /// The bytes that the digits have in the line.
        bytes: usize,
        digits: i256,
    },
    /// The lengths of its dimensions and its elements, of four and eight bytes each.
    Array {
        shape: &'l [[u8; 4]],
        elements: &'l [[u8; 8]],
    },
}

impl<'l> Value<'l> {
    /// What it is, as far as it tells.
    fn content(&self) -> Option<Content> {
        Some(match self {
            Self::Symbol(_) => Content::Symbol,
            Self::Text(_) => Content::Text,
            Self::Boolean(_) => Content::Boolean,
            Self::Integer(_) => Content::Integer,
            Self::Float(_) => Content::Float,
            Self::Micros(_) => Content::Micros,
            Self::Nanos(_) => Content::Nanos,
            Self::Decimal { scale, .. } => Content::Decimal(*scale),
            Self::Array { shape, .. } => Content::Array(u8::try_from(shape.len()).ok()?),
        })
    }

    fn of_text(word: &str) -> Option<Self> {
        Some(match word {
            "t" => Self::Boolean(true),
            "f" => Self::Boolean(false),
            _ => match word.split_at_checked(word.len().saturating_sub(1))? {
                (digits, "i") => Self::Integer(digits.parse().ok()?),
                (digits, "t") => Self::Micros(digits.parse().ok()?),
                (digits, "n") => Self::Nanos(digits.parse().ok()?),
                _ => Self::Float(word.parse().ok()?),
            },
        })
    }

    /// What stands behind the second equals sign.
    fn of_binary(bytes: &'l [u8]) -> Option<Self> {
        match bytes {
            [0x10, float @ ..] => Some(Self::Float(f64::from_le_bytes(float.try_into().ok()?))),
            [0x17, scale, _, mantissa @ ..] => {
                // As long as it has to be: the sign goes on in front.
                let sign = if mantissa.first()? & 0x80 == 0 { 0 } else { 0xff };
                let mut whole = [sign; 32];
                whole.get_mut(32_usize.checked_sub(mantissa.len())?..)?.copy_from_slice(mantissa);
                Some(Self::Decimal { scale: *scale, bytes: mantissa.len(), digits: i256::from_be_bytes(whole) })
            }
            [0x0E, 0x0A, dimensions, rest @ ..] => {
                let (shape, elements) = rest.split_at_checked(4 * usize::from(*dimensions))?;
                let (shape, elements) = (shape.as_chunks().0, elements.as_chunks().0);
                Some(Self::Array { shape, elements })
            }
            _ => None,
        }
    }
}

/// The values of one column.
enum Values {
    None,
    Symbols(LargeStringDictionaryBuilder<UInt32Type>),
    Text(LargeStringBuilder),
    Booleans(BooleanBuilder),
    /// Also times and durations.
    Integers(Content, Int64Builder),
    Floats(Float64Builder),
    Micros(TimestampMicrosecondBuilder),
    Nanos(TimestampNanosecondBuilder),
    Decimals(Decimals),
    Arrays(Arrays),
}

impl Values {
    /// An empty column.
    fn new(content: Content) -> Option<Self> {
        Some(match content {
            Content::Null => Self::None,
            Content::Symbol => Self::Symbols(LargeStringDictionaryBuilder::new()),
            Content::Text => Self::Text(LargeStringBuilder::new()),
            Content::Boolean => Self::Booleans(BooleanBuilder::new()),
            Content::Integer | Content::Time | Content::Duration => Self::Integers(content, Int64Builder::new()),
            Content::Float => Self::Floats(Float64Builder::new()),
            Content::Micros => Self::Micros(TimestampMicrosecondBuilder::new()),
            Content::Nanos => Self::Nanos(TimestampNanosecondBuilder::new()),
            Content::Decimal(scale) => Self::Decimals(Decimals::new(scale)?),
            Content::Array(dims) => Self::Arrays(Arrays::new(usize::from(dims))),
        })
    }

    /// Puts the value of a row, behind nulls for those that had none. `None` if it is of another type.
    fn put(&mut self, row: usize, value: Value<'_>) -> Option<()> {
        self.pad(row)?;
        match (self, value) {
            (Self::Symbols(all), Value::Symbol(text)) => drop(all.append(std::str::from_utf8(&text).ok()?).ok()?),
            (Self::Text(all), Value::Text(text)) => all.append_value(std::str::from_utf8(&text).ok()?),
            (Self::Booleans(all), Value::Boolean(value)) => all.append_value(value),
            (Self::Integers(_, all), Value::Integer(value)) => all.append_value(value),
            (Self::Floats(all), Value::Float(value)) => all.append_value(value),
            (Self::Micros(all), Value::Micros(value)) => all.append_value(value),
            (Self::Nanos(all), Value::Nanos(value)) => all.append_value(value),
            (Self::Decimals(all), Value::Decimal { scale, bytes, digits }) => all.append(scale, bytes, digits)?,
            (Self::Arrays(all), Value::Array { shape, elements }) => all.append(shape, elements)?,
            _ => return None,
        }
        Some(())
    }

    fn pad(&mut self, rows: usize) -> Option<()> {
        macro_rules! pad {
            ($all:expr) => {
                $all.append_nulls(rows.checked_sub($all.len())?)
            };
        }
        use arrow_array::builder::ArrayBuilder;
        match self {
            Self::None => {}
            Self::Symbols(all) => pad!(all),
            Self::Text(all) => pad!(all),
            Self::Booleans(all) => pad!(all),
            Self::Integers(_, all) => pad!(all),
            Self::Floats(all) => pad!(all),
            Self::Micros(all) => pad!(all),
            Self::Nanos(all) => pad!(all),
            Self::Decimals(Decimals { all, .. }) => pad!(all),
            Self::Arrays(all) => all.pad(rows),
        }
        Some(())
    }

    /// The column of so many rows.
    fn finish(mut self, rows: usize) -> Option<ArrayRef> {
        self.pad(rows)?;
        Some(match self {
            Self::None => Arc::new(NullArray::new(rows)),
            Self::Symbols(mut all) => Arc::new(all.finish()),
            Self::Text(mut all) => Arc::new(all.finish()),
            Self::Booleans(mut all) => Arc::new(all.finish()),
            Self::Integers(content, mut all) => {
                let all = all.finish();
                match content {
                    Content::Time => Arc::new(all.reinterpret_cast::<Time64NanosecondType>()),
                    Content::Duration => Arc::new(all.reinterpret_cast::<DurationNanosecondType>()),
                    _ => Arc::new(all),
                }
            }
            Self::Floats(mut all) => Arc::new(all.finish()),
            Self::Micros(mut all) => Arc::new(all.finish()),
            Self::Nanos(mut all) => Arc::new(all.finish()),
            Self::Decimals(all) => all.finish()?,
            Self::Arrays(all) => all.finish()?,
        })
    }
}

/// Decimals of one scale.
struct Decimals {
    scale: u8,
    all: Decimal256Builder,
    /// The most bytes that one has in its line, and the magnitude of the greatest.
    bytes: usize,
    greatest: i256,
}

impl Decimals {
    fn new(scale: u8) -> Option<Self> {
        let all = Decimal256Builder::new().with_precision_and_scale(DIGITS, i8::try_from(scale).ok()?);
        Some(Self { scale, all: all.ok()?, bytes: 0, greatest: i256::ZERO })
    }

    fn append(&mut self, scale: u8, bytes: usize, digits: i256) -> Option<()> {
        if scale != self.scale {
            return None;
        }
        self.bytes = self.bytes.max(bytes);
        self.greatest = self.greatest.max(digits.checked_abs().unwrap_or(i256::MAX));
        self.all.append_value(digits);
        Some(())
    }

    /// In the narrowest type that has room: lines made of it are as long as these.
    fn finish(mut self) -> Option<ArrayRef> {
        let all = self.all.finish();
        let fits = |bytes: usize, digits: u8| {
            let end = i256::from_i128(10).checked_pow(u32::from(digits));
            self.bytes <= bytes && self.scale <= digits && end.is_some_and(|end| self.greatest < end)
        };
        match () {
            () if fits(4, Decimal32Type::MAX_PRECISION) => narrowed::<Decimal32Type>(&all),
            () if fits(8, Decimal64Type::MAX_PRECISION) => narrowed::<Decimal64Type>(&all),
            () if fits(16, Decimal128Type::MAX_PRECISION) => narrowed::<Decimal128Type>(&all),
            () => Some(Arc::new(all)),
        }
    }
}

/// Decimals that a narrower type has room for.
fn narrowed<T: DecimalType>(all: &Decimal256Array) -> Option<ArrayRef>
where
    T::Native: TryFrom<i128>,
{
    // Nulls are anything.
    let narrow = all.unary::<_, T>(|digits| T::Native::try_from(digits.as_i128()).unwrap_or_default());
    Some(Arc::new(narrow.with_precision_and_scale(T::MAX_PRECISION, all.scale()).ok()?))
}

/// Lists in lists of floats.
struct Arrays {
    valid: Vec<bool>,
    /// By dimension where each of its lists ends.
    ends: Vec<Vec<i32>>,
    elements: Vec<f64>,
}

impl Arrays {
    fn new(dimensions: usize) -> Self {
        Self { valid: Vec::new(), ends: vec![vec![0]; dimensions], elements: Vec::new() }
    }

    fn pad(&mut self, rows: usize) {
        while self.valid.len() < rows {
            self.valid.push(false);
            if let Some(ends) = self.ends.first_mut() {
                ends.push(ends.last().copied().unwrap_or(0));
            }
        }
    }

    fn append(&mut self, shape: &[[u8; 4]], elements: &[[u8; 8]]) -> Option<()> {
        if shape.len() != self.ends.len() {
            return None;
        }
        // Of arrays without elements the outer dimensions may be as long as they like.
        const MOST_LISTS: usize = 1 << 24;
        let mut lists = 1_usize;
        for (length, ends) in shape.iter().map(|length| u32::from_le_bytes(*length)).zip(&mut self.ends) {
            if lists > elements.len() && ends.len().checked_add(lists)? > MOST_LISTS {
                return None;
            }
            for _ in 0..lists {
                let end = ends.last()?.checked_add_unsigned(length)?;
                ends.push(end);
            }
            lists = lists.checked_mul(usize::try_from(length).ok()?)?;
        }
        if lists != elements.len() {
            return None;
        }
        self.elements.extend(elements.iter().map(|element| f64::from_le_bytes(*element)));
        self.valid.push(true);
        Some(())
    }

    fn finish(self) -> Option<ArrayRef> {
        let mut array: ArrayRef = Arc::new(Float64Array::from(self.elements));
        let nulls = self.valid.contains(&false).then(|| NullBuffer::from(self.valid));
        let outermost = self.ends.len().checked_sub(1)?;
        for (inner, ends) in self.ends.into_iter().rev().enumerate() {
            let offsets = OffsetBuffer::new(ScalarBuffer::from(ends));
            let nulls = if inner == outermost { nulls.clone() } else { None };
            let field =
                Arc::new(Field::new("item", array.data_type().clone(), array.data_type() == &DataType::Float64));
            array = Arc::new(ListArray::try_new(field, offsets, array, nulls).ok()?);
        }
        Some(array)
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray;
    use arrow_array::types::{
        Decimal32Type, Float64Type, Int64Type, TimestampMicrosecondType, TimestampNanosecondType,
    };

    use super::*;
    use crate::{At, WriteOptions, to_ilp};

    /// A row with a value of each kind but decimals of several scales.
    const ROW: &[u8] = b"t,s=a\\ b,k=x f==\x10\0\0\0\0\0\0\xf8\x3f,i=-5i,b=t,q=\"a\\\"\nb\",m=7t,n=8n,\
        d==\x17\x02\x02\xff\x38,a==\x0e\x0a\x02\x02\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\x40\0\0\0\0\0\0\x08\x40 9t\n";

    fn read(lines: &[u8]) -> Option<Decoded> {
        decoded(lines, ProtocolVersion::V3, &[], "ts", None)
    }

    #[test]
    fn lines_are_read_back_and_written_again() {
        // Again with only some values.
        let lines = [ROW, b"t,k=y i=6i 10t\n", b"t,s=z 11t\n"].concat();
        let Decoded { batch, at } = read(&lines).expect("the encoder's lines");
        assert_eq!((batch.num_rows(), batch.num_columns(), at.as_deref()), (3, 11, Some("ts")));
        let first = |name: &str| {
            let column = batch.column_by_name(name).expect("a column");
            column.slice(0, 1)
        };
        assert_eq!(first("d").as_primitive::<Decimal32Type>().value_as_string(0), "-2.00");
        assert_eq!(first("q").as_string::<i64>().value(0), "a\"\nb");
        assert_eq!(first("i").as_primitive::<Int64Type>().value(0), -5);
        assert_eq!(first("f").as_primitive::<Float64Type>().value(0), 1.5);
        assert_eq!(first("m").as_primitive::<TimestampMicrosecondType>().value(0), 7);
        assert_eq!(first("n").as_primitive::<TimestampNanosecondType>().value(0), 8);
        let symbols = first("s").as_any_dictionary().values().as_string::<i64>().value(0).to_owned();
        assert_eq!(symbols, "a b");
        let arrays = first("a").as_list::<i32>().value(0);
        let inner: Vec<_> = (0..2).map(|row| arrays.as_list::<i32>().value(row)).collect();
        let inner: Vec<_> = inner.iter().map(|list| list.as_primitive::<Float64Type>().values().to_vec()).collect();
        assert_eq!(inner, [[2.0], [3.0]]);
        let options = WriteOptions::table("t").at("ts").null_bool(crate::NullBool::Omit);
        let again = to_ilp(&batch, &options).expect("a frame");
        let twice = to_ilp(&read(&again).expect("the encoder's lines").batch, &options).expect("a frame");
        assert_eq!(again.escape_ascii().to_string(), twice.escape_ascii().to_string());
        assert!(again.starts_with(b"t,s=a\\ b,k=x f==\x10"));
    }

    #[test]
    fn columns_without_a_value_are_there_and_what_lines_do_not_tell_is_told() {
        let known =
            [("later", Content::Null), ("u", Content::Text), ("n", Content::Duration), ("a", Content::Array(2))];
        let known = known.map(|(name, content)| (name.to_owned(), content));
        let Decoded { batch, at } =
            decoded(b"t n=5i\nt n=6i\n", ProtocolVersion::V1, &known, "n", Some(Content::Nanos)).expect("two rows");
        let types: Vec<_> = batch.columns().iter().map(|column| column.data_type().to_string()).collect();
        assert_eq!(types[..3], ["Null", "LargeUtf8", "Duration(ns)"]);
        assert_eq!((types.len(), at.as_deref(), batch.columns()[4].null_count()), (5, Some("n_"), 2));
        assert_eq!(to_ilp(&batch, &WriteOptions::table("t").at(At::Server)).expect("a frame"), b"t n=5i\nt n=6i\n");
    }

    #[test]
    fn damaged_lines_do_no_harm() {
        let lines = ROW.repeat(3);
        let mut random = 88_172_645_463_325_252_u64;
        for _ in 0..20_000 {
            let mut damaged = lines.clone();
            for _ in 0..3 {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                let place = (random >> 8) as usize % damaged.len();
                damaged[place] = random as u8;
            }
            damaged.truncate(damaged.len() - (random >> 40) as usize % 50);
            let _ = read(&damaged);
        }
        // Many long lists of nothing.
        let empty = b"t a==\x0e\x0a\x02\0\0\x10\0\0\0\0\0 1t\n".repeat(1_000);
        assert!(read(&empty).is_none());
        assert!(read(&empty[..empty.len() / 1_000]).is_some());
    }
}
