//! The reference encoder: record batches to ILP one cell at a time, in the plainest way there is.
//!
//! It is the oracle of the property tests and the baseline of the benchmarks (which include this file by
//! `#[path]`), so it shares no code with the crate and is written to be checked by eye against
//! `dataframe.md` sections 3 to 5: text goes out char by char, integers through `std`, floats through `ryu`.
//! It is itself held to the golden files, whose bytes the official client wrote.

#![allow(dead_code, reason = "tests and benchmarks each use a part of it")]

use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{Array, ArrayRef, RecordBatch, downcast_dictionary_array};
use arrow_buffer::i256;
use arrow_schema::{DataType, TimeUnit};

/// Where a row's timestamp comes from; mirrors `questframe::At`.
#[derive(Clone, Debug)]
pub(crate) enum At {
    Column(String),
    Server,
    Nanos(i64),
    Micros(i64),
}

/// Which string columns are symbols; mirrors `questframe::Symbols`.
#[derive(Clone, Debug)]
pub(crate) enum Symbols {
    Auto,
    All,
    None,
    Columns(Vec<String>),
}

/// What a null boolean is; mirrors `questframe::NullBool`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum NullBool {
    Error,
    False,
    Omit,
}

/// The options of one encoding; mirrors `questframe::WriteOptions` as far as they change bytes.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) table: String,
    pub(crate) at: At,
    pub(crate) symbols: Symbols,
    /// The protocol version: 1, 2 or 3.
    pub(crate) version: u8,
    /// A null in the `at` column gets the server's clock instead of being a fault.
    pub(crate) null_at_server: bool,
    pub(crate) null_bool: NullBool,
    /// A row of nulls is left out instead of being a fault.
    pub(crate) skip_empty_rows: bool,
    /// NaN is left out like a null instead of being sent.
    pub(crate) omit_nan: bool,
}

impl Options {
    /// The defaults of `WriteOptions` for this table and `at` column.
    pub(crate) fn new(table: &str, at: At, version: u8) -> Self {
        Self {
            table: table.to_owned(),
            at,
            symbols: Symbols::Auto,
            version,
            null_at_server: false,
            null_bool: NullBool::Error,
            skip_empty_rows: false,
            omit_nan: false,
        }
    }
}

/// Why a cell or a row cannot be sent, and where it is. Rows count from 0 over all batches.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fault {
    pub(crate) what: What,
    pub(crate) column: Option<String>,
    pub(crate) row: u64,
}

/// The faults values can have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum What {
    NullAt,
    NegativeAt,
    AtTooLarge,
    NullBool,
    EmptyRow,
    UintTooLarge,
    TimestampTooLarge,
    /// A time or duration beyond 64-bit nanoseconds.
    NanosTooLarge,
    /// A decimal of more digits than its type or QuestDB has room for.
    DecimalTooLarge,
    /// Inner lists of different lengths.
    Ragged,
    NullInnerList,
    /// An integer in a list that no float holds.
    InexactItem,
}

/// The largest `at` the server takes in micros, 9999-12-31T23:59:59.999999, and in nanos with their suffix `n`.
const MAX_AT_MICROS: i64 = 253_402_300_799_999_999;
const MAX_AT_NANOS: i64 = 9_214_646_399_999_999_999;
const MICROS_PER_DAY: i64 = 86_400_000_000;
/// The most digits a decimal has in QuestDB.
const MAX_DIGITS: u8 = 76;

/// A value as ILP knows it.
enum Cell<'a> {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'a str),
    Micros(i64),
    Nanos(i64),
    /// The bytes of a UUID, which goes out as text.
    Uuid(&'a [u8]),
    /// The scale and the unscaled value, big-endian.
    Decimal(u8, Vec<u8>),
    /// The length of each dimension, and all items.
    Array(Vec<u32>, Vec<f64>),
}

/// The ILP bytes of these batches.
///
/// # Panics
///
/// If a value cannot be sent; [`try_reference_ilp`] tells which.
pub(crate) fn reference_ilp(batches: &[RecordBatch], options: &Options) -> Vec<u8> {
    try_reference_ilp(batches, options).expect("the frame can be sent")
}

/// The ILP bytes of these batches, or every fault in them.
pub(crate) fn try_reference_ilp(batches: &[RecordBatch], options: &Options) -> Result<Vec<u8>, Vec<Fault>> {
    let mut out = Vec::new();
    let mut faults = Vec::new();
    let mut number = 0;
    for batch in batches {
        for row in 0..batch.num_rows() {
            write_row(&mut out, batch, row, options, &mut |what, column: Option<&str>| {
                faults.push(Fault { what, column: column.map(str::to_owned), row: number });
            });
            number += 1;
        }
    }
    if faults.is_empty() { Ok(out) } else { Err(faults) }
}

fn write_row(
    out: &mut Vec<u8>,
    batch: &RecordBatch,
    row: usize,
    options: &Options,
    fault: &mut dyn FnMut(What, Option<&str>),
) {
    let mut symbols = Vec::new();
    let mut fields = Vec::new();
    let mut all_null = true;
    let mut at = match options.at {
        At::Column(_) | At::Server => None,
        At::Nanos(nanos) => Some(Cell::Nanos(nanos)),
        At::Micros(micros) => Some(Cell::Micros(micros)),
    };
    for (field, array) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        let name = field.name();
        let value = match cell(array, row) {
            Ok(value) => value,
            Err(what) => {
                fault(what, Some(name));
                all_null = false;
                continue;
            }
        };
        if matches!(&options.at, At::Column(column) if column == name) {
            if value.is_none() && !options.null_at_server {
                fault(What::NullAt, Some(name));
            }
            at = value;
            continue;
        }
        let value = match value {
            None if is_boolean(array.data_type()) => match options.null_bool {
                NullBool::Error => {
                    fault(What::NullBool, Some(name));
                    continue;
                }
                NullBool::False => Cell::Bool(false),
                NullBool::Omit => continue,
            },
            None => continue,
            Some(Cell::Float(float)) if float.is_nan() && options.omit_nan => continue,
            Some(value) => value,
        };
        all_null = false;
        if is_symbol(name, array.data_type(), &options.symbols) {
            symbols.push((name, value));
        } else {
            fields.push((name, value));
        }
    }

    if all_null && !options.skip_empty_rows {
        fault(What::EmptyRow, None);
    }
    // The timestamp is judged even if its row is left out: a bad one is a mistake in the frame all the same.
    let at = at.and_then(|at| match at_text(&at, options.version) {
        Ok(text) => Some(text),
        Err(what) => {
            let At::Column(column) = &options.at else { panic!("a constant `at` that cannot be sent") };
            fault(what, Some(column));
            None
        }
    });
    if all_null {
        return;
    }

    push_unquoted(out, &options.table);
    for (name, value) in &symbols {
        let Cell::Text(text) = value else { panic!("only text can be a symbol") };
        out.push(b',');
        push_unquoted(out, name);
        out.push(b'=');
        push_unquoted(out, text);
    }
    for (i, (name, value)) in fields.iter().enumerate() {
        out.push(if i == 0 { b' ' } else { b',' });
        push_unquoted(out, name);
        out.push(b'=');
        push_value(out, value, options.version);
    }
    if let Some(at) = at {
        out.push(b' ');
        out.extend_from_slice(at.as_bytes());
    }
    out.push(b'\n');
}

/// The value of one cell, `None` where it is null.
fn cell(array: &dyn Array, row: usize) -> Result<Option<Cell<'_>>, What> {
    // A `NullArray` has no validity buffer, so `is_null` would call its cells valid.
    if *array.data_type() == DataType::Null || array.is_null(row) {
        return Ok(None);
    }
    macro_rules! value {
        ($type:ty) => {
            array.as_primitive::<$type>().value(row)
        };
    }
    Ok(Some(match array.data_type() {
        DataType::Boolean => Cell::Bool(array.as_boolean().value(row)),
        DataType::Int8 => Cell::Int(value!(Int8Type).into()),
        DataType::Int16 => Cell::Int(value!(Int16Type).into()),
        DataType::Int32 => Cell::Int(value!(Int32Type).into()),
        DataType::Int64 => Cell::Int(value!(Int64Type)),
        DataType::UInt8 => Cell::Int(value!(UInt8Type).into()),
        DataType::UInt16 => Cell::Int(value!(UInt16Type).into()),
        DataType::UInt32 => Cell::Int(value!(UInt32Type).into()),
        DataType::UInt64 => Cell::Int(value!(UInt64Type).try_into().map_err(|_| What::UintTooLarge)?),
        DataType::Float16 => Cell::Float(value!(Float16Type).to_f64()),
        DataType::Float32 => Cell::Float(value!(Float32Type).into()),
        DataType::Float64 => Cell::Float(value!(Float64Type)),
        DataType::Utf8 => Cell::Text(array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => Cell::Text(array.as_string::<i64>().value(row)),
        DataType::Utf8View => Cell::Text(array.as_string_view().value(row)),
        DataType::Timestamp(TimeUnit::Second, _) => micros(value!(TimestampSecondType), 1_000_000)?,
        DataType::Timestamp(TimeUnit::Millisecond, _) => micros(value!(TimestampMillisecondType), 1_000)?,
        DataType::Timestamp(TimeUnit::Microsecond, _) => Cell::Micros(value!(TimestampMicrosecondType)),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => Cell::Nanos(value!(TimestampNanosecondType)),
        DataType::Date32 => micros(value!(Date32Type).into(), MICROS_PER_DAY)?,
        DataType::Date64 => micros(value!(Date64Type), 1_000)?,
        DataType::Time32(TimeUnit::Second) => nanos(value!(Time32SecondType).into(), 1_000_000_000)?,
        DataType::Time32(_) => nanos(value!(Time32MillisecondType).into(), 1_000_000)?,
        DataType::Time64(TimeUnit::Microsecond) => nanos(value!(Time64MicrosecondType), 1_000)?,
        DataType::Time64(_) => nanos(value!(Time64NanosecondType), 1)?,
        DataType::Duration(TimeUnit::Second) => nanos(value!(DurationSecondType), 1_000_000_000)?,
        DataType::Duration(TimeUnit::Millisecond) => nanos(value!(DurationMillisecondType), 1_000_000)?,
        DataType::Duration(TimeUnit::Microsecond) => nanos(value!(DurationMicrosecondType), 1_000)?,
        DataType::Duration(TimeUnit::Nanosecond) => nanos(value!(DurationNanosecondType), 1)?,
        DataType::Decimal32(digits, scale) => {
            let value = value!(Decimal32Type);
            decimal(&value.to_be_bytes(), i256::from_i128(value.into()), *digits, *scale)?
        }
        DataType::Decimal64(digits, scale) => {
            let value = value!(Decimal64Type);
            decimal(&value.to_be_bytes(), i256::from_i128(value.into()), *digits, *scale)?
        }
        DataType::Decimal128(digits, scale) => {
            let value = value!(Decimal128Type);
            decimal(&value.to_be_bytes(), i256::from_i128(value), *digits, *scale)?
        }
        DataType::Decimal256(digits, scale) => {
            let value = value!(Decimal256Type);
            decimal(&value.to_be_bytes(), value, *digits, *scale)?
        }
        DataType::FixedSizeBinary(16) => Cell::Uuid(array.as_fixed_size_binary().value(row)),
        list if dimensions(list) > 0 => {
            let mut lengths = vec![None; dimensions(list)];
            let mut items = Vec::new();
            push_items(&list_at(array, row), &mut lengths, &mut items)?;
            // What lies within an empty list has no length.
            Cell::Array(lengths.into_iter().map(|length| length.unwrap_or(0)).collect(), items)
        }
        DataType::RunEndEncoded(ends, _) => {
            macro_rules! run {
                ($type:ty) => {{
                    let runs = array.as_run::<$type>();
                    return cell(runs.values(), runs.get_physical_index(row));
                }};
            }
            match ends.data_type() {
                DataType::Int16 => run!(Int16Type),
                DataType::Int32 => run!(Int32Type),
                _ => run!(Int64Type),
            }
        }
        DataType::Dictionary(_, _) => {
            let (values, key) = downcast_dictionary_array!(
                array => (array.values(), array.key(row)),
                other => panic!("{other} is not a dictionary")
            );
            // The key is not null here, but the value it names may be.
            return cell(values, key.expect("a key that is not null"));
        }
        other => panic!("the reference encoder has no rule for {other}"),
    }))
}

fn micros<'a>(value: i64, factor: i64) -> Result<Cell<'a>, What> {
    value.checked_mul(factor).map(Cell::Micros).ok_or(What::TimestampTooLarge)
}

/// Times and durations are nanoseconds.
fn nanos<'a>(value: i64, factor: i64) -> Result<Cell<'a>, What> {
    value.checked_mul(factor).map(Cell::Int).ok_or(What::NanosTooLarge)
}

/// Decimals go out as Arrow has them, but for a negative scale, which ILP does not know: its zeros are written out.
fn decimal<'a>(bytes: &[u8], value: i256, digits: u8, scale: i8) -> Result<Cell<'a>, What> {
    if let Ok(scale) = u8::try_from(scale) {
        return Ok(Cell::Decimal(scale, bytes.to_vec()));
    }
    let zeros = scale.unsigned_abs();
    let text = value.to_string();
    let most = usize::from(digits.saturating_add(zeros).min(MAX_DIGITS));
    if value != i256::ZERO && text.trim_start_matches('-').len() + usize::from(zeros) > most {
        return Err(What::DecimalTooLarge);
    }
    let mut whole = value;
    for _ in 0..if value == i256::ZERO { 0 } else { zeros } {
        whole = whole.checked_mul(i256::from_i128(10)).expect("76 digits fit");
    }
    Ok(Cell::Decimal(0, whole.to_be_bytes().to_vec()))
}

/// How deep lists are nested.
fn dimensions(data_type: &DataType) -> usize {
    match data_type {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => 1 + dimensions(item.data_type()),
        _ => 0,
    }
}

/// The items of one list.
fn list_at(array: &dyn Array, row: usize) -> ArrayRef {
    match array.data_type() {
        DataType::List(_) => array.as_list::<i32>().value(row),
        DataType::LargeList(_) => array.as_list::<i64>().value(row),
        DataType::ListView(_) => array.as_list_view::<i32>().value(row),
        DataType::LargeListView(_) => array.as_list_view::<i64>().value(row),
        DataType::FixedSizeList(..) => array.as_fixed_size_list().value(row),
        other => panic!("{other} is no list"),
    }
}

/// All numbers in a list, and how long it and those within it are. `lengths` knows what earlier ones of the row had.
fn push_items(list: &ArrayRef, lengths: &mut [Option<u32>], items: &mut Vec<f64>) -> Result<(), What> {
    let [length, inner @ ..] = lengths else { panic!("a list without a dimension") };
    if *length.get_or_insert(list.len() as u32) != list.len() as u32 {
        return Err(What::Ragged);
    }
    for item in 0..list.len() {
        match dimensions(list.data_type()) {
            0 => items.push(number(list, item)?),
            _ if list.is_null(item) => return Err(What::NullInnerList),
            _ => push_items(&list_at(list, item), inner, items)?,
        }
    }
    Ok(())
}

/// A number in a list as a float, NaN if it is null.
fn number(array: &ArrayRef, row: usize) -> Result<f64, What> {
    let integer = match array.data_type() {
        // Beyond what a cell of its own may be.
        DataType::UInt64 if array.is_valid(row) => array.as_primitive::<UInt64Type>().value(row).into(),
        _ => match cell(array, row)? {
            None => return Ok(f64::NAN),
            Some(Cell::Float(float)) => return Ok(float),
            Some(Cell::Int(integer)) => i128::from(integer),
            Some(_) => panic!("{} is no number", array.data_type()),
        },
    };
    if integer as f64 as i128 == integer { Ok(integer as f64) } else { Err(What::InexactItem) }
}

/// The type of the values, which for a dictionary and for runs is not the type of the column.
fn value_type(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, values) => value_type(values),
        DataType::RunEndEncoded(_, values) => value_type(values.data_type()),
        plain => plain,
    }
}

/// Whether the values are in a dictionary; what a dictionary has of runs is not a value of it.
fn is_dictionary(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) if matches!(**values, DataType::RunEndEncoded(..)) => is_dictionary(values),
        DataType::RunEndEncoded(_, values) => is_dictionary(values.data_type()),
        plain => matches!(plain, DataType::Dictionary(_, _)),
    }
}

fn is_boolean(data_type: &DataType) -> bool {
    *value_type(data_type) == DataType::Boolean
}

fn is_symbol(name: &str, data_type: &DataType, symbols: &Symbols) -> bool {
    let is_text = matches!(value_type(data_type), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    match symbols {
        Symbols::Auto => is_text && is_dictionary(data_type),
        Symbols::All => is_text,
        Symbols::None => false,
        Symbols::Columns(names) => names.iter().any(|listed| listed == name),
    }
}

/// The row's timestamp as it stands at the end of the line. Version 1 knows nanoseconds only.
fn at_text(at: &Cell<'_>, version: u8) -> Result<String, What> {
    let (Cell::Micros(value) | Cell::Nanos(value)) = *at else { panic!("the row's timestamp is no timestamp") };
    if value < 0 {
        return Err(What::NegativeAt);
    }
    match at {
        Cell::Micros(_) if version == 1 => match value.checked_mul(1_000) {
            Some(nanos) => Ok(nanos.to_string()),
            None => Err(What::AtTooLarge),
        },
        Cell::Micros(_) if value > MAX_AT_MICROS => Err(What::AtTooLarge),
        Cell::Micros(_) => Ok(format!("{value}t")),
        _ if version == 1 => Ok(value.to_string()),
        _ if value > MAX_AT_NANOS => Err(What::AtTooLarge),
        _ => Ok(format!("{value}n")),
    }
}

fn push_value(out: &mut Vec<u8>, value: &Cell<'_>, version: u8) {
    let text = match *value {
        Cell::Bool(value) => if value { "t" } else { "f" }.to_owned(),
        Cell::Int(value) => format!("{value}i"),
        Cell::Float(value) if version == 1 => float_text(value),
        Cell::Float(value) => {
            out.extend_from_slice(b"=\x10");
            out.extend_from_slice(&value.to_le_bytes());
            return;
        }
        Cell::Text(text) => return push_quoted(out, text),
        Cell::Uuid(bytes) => return push_quoted(out, &uuid_text(bytes)),
        Cell::Decimal(scale, ref unscaled) => {
            out.extend_from_slice(&[b'=', 0x17, scale, unscaled.len() as u8]);
            out.extend_from_slice(unscaled);
            return;
        }
        Cell::Array(ref lengths, ref items) => {
            out.extend_from_slice(&[b'=', 0x0e, 0x0a, lengths.len() as u8]);
            lengths.iter().for_each(|length| out.extend_from_slice(&length.to_le_bytes()));
            items.iter().for_each(|item| out.extend_from_slice(&item.to_le_bytes()));
            return;
        }
        Cell::Micros(value) => format!("{value}t"),
        // Integer division truncates toward zero, which is the rule.
        Cell::Nanos(value) if version == 1 => format!("{}t", value / 1_000),
        Cell::Nanos(value) => format!("{value}n"),
    };
    out.extend_from_slice(text.as_bytes());
}

/// `ryu`'s text is the rule of `dataframe.md` 5.2, except for the infinities.
fn float_text(value: f64) -> String {
    match ryu::Buffer::new().format(value) {
        "inf" => "Infinity".to_owned(),
        "-inf" => "-Infinity".to_owned(),
        text => text.to_owned(),
    }
}

/// The usual groups of hexadecimal digits.
fn uuid_text(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (i, byte) in bytes.iter().enumerate() {
        if [4, 6, 8, 10].contains(&i) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

/// Tables, names and symbol values.
fn push_unquoted(out: &mut Vec<u8>, text: &str) {
    push_escaped(out, text, &[' ', ',', '=', '\n', '\r', '\\']);
}

/// String values.
fn push_quoted(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    push_escaped(out, text, &['"', '\\', '\n', '\r']);
    out.push(b'"');
}

fn push_escaped(out: &mut Vec<u8>, text: &str, special: &[char]) {
    for char in text.chars() {
        if special.contains(&char) {
            out.push(b'\\');
        }
        out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
    }
}
