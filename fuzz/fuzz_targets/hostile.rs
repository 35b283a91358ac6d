//! Arrow data that nobody would make, but that arrow itself takes for valid: `ArrayData::try_new` of buffers, offsets,
//! lengths and children as they come. It is written or refused, and never ends in a panic.

#![no_main]

use std::collections::HashMap;
use std::sync::Arc;

use arbitrary::{Arbitrary, Result, Unstructured};
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, make_array};
use arrow_buffer::{Buffer, MutableBuffer};
use arrow_data::ArrayData;
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use libfuzzer_sys::fuzz_target;
use questframe::{At, EmptyRows, Nan, NullAt, NullBool, ProtocolVersion, Symbols, WriteOptions, to_ilp};

/// How deep types are nested at most. Structs are left out: they are refused by their type, and arrow panics on some.
const DEPTH: usize = 4;

fn data_type(u: &mut Unstructured<'_>, depth: usize) -> Result<DataType> {
    use DataType::*;
    let unit = |u: &mut Unstructured<'_>| {
        u.choose(&[TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond]).copied()
    };
    let plain = [
        Null, Boolean, Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64, Float16, Float32, Float64, Utf8,
        LargeUtf8, Utf8View, Binary, BinaryView, Date32, Date64,
    ];
    let kind = u.int_in_range(0..=if depth == 0 { 7 } else { 16 })?;
    let inner = |u: &mut Unstructured<'_>| -> Result<Arc<Field>> {
        Ok(Arc::new(Field::new("item", data_type(u, depth - 1)?, u.ratio(7, 8)?)))
    };
    Ok(match kind {
        0..=3 => u.choose(&plain)?.clone(),
        4 => Timestamp(unit(u)?, u.arbitrary::<bool>()?.then(|| Arc::from("Europe/Berlin"))),
        5 => match u.int_in_range(0..=4)? {
            0 => Time32(TimeUnit::Second),
            1 => Time32(TimeUnit::Millisecond),
            2 => Time64(TimeUnit::Microsecond),
            3 => Time64(TimeUnit::Nanosecond),
            _ => Duration(unit(u)?),
        },
        6 => {
            let (digits, scale) = (u.arbitrary()?, u.arbitrary()?);
            match u.int_in_range(0..=3)? {
                0 => Decimal32(digits, scale),
                1 => Decimal64(digits, scale),
                2 => Decimal128(digits, scale),
                _ => Decimal256(digits, scale),
            }
        }
        7 => FixedSizeBinary(*u.choose(&[16, 16, 0, 1])?),
        8 => List(inner(u)?),
        9 => LargeList(inner(u)?),
        10 => ListView(inner(u)?),
        11 => LargeListView(inner(u)?),
        12 => FixedSizeList(inner(u)?, i32::from(u.int_in_range(0_i8..=5)?)),
        13 | 14 => {
            let key = u.choose(&[Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64])?.clone();
            Dictionary(Box::new(key), Box::new(data_type(u, depth - 1)?))
        }
        _ => {
            let ends = u.choose(&[Int16, Int32, Int64])?.clone();
            RunEndEncoded(Arc::new(Field::new("run_ends", ends, false)), inner(u)?)
        }
    })
}

/// Bytes as they come, or numbers of this width that grow from 0 in small steps, as offsets do.
fn buffer(u: &mut Unstructured<'_>, width: usize, count: usize, counted: bool) -> Result<Buffer> {
    // Aligned, since arrow refuses what is not.
    let mut bytes = MutableBuffer::new(width * count);
    if counted && u.ratio(15, 16)? {
        let mut value = 0_u64;
        for _ in 0..count {
            bytes.extend_from_slice(&value.to_le_bytes()[..width]);
            value += u64::from(u.arbitrary::<u8>()? % 4);
        }
    } else {
        let small = u.ratio(1, 2)?;
        for i in 0..width * count {
            let byte: u8 = if u.is_empty() { 0 } else { u.arbitrary()? };
            bytes.push(match (small, i % width) {
                (true, 0) => byte % 16,
                (true, _) => 0,
                (false, _) => byte,
            });
        }
    }
    Ok(bytes.into())
}

fn array(u: &mut Unstructured<'_>, data_type: &DataType, rows: usize) -> Result<Option<ArrayData>> {
    use DataType::*;
    let offset = if u.ratio(1, 3)? { usize::from(u.arbitrary::<u8>()? % 70) } else { 0 };
    let total = rows + offset;
    let nulls = match u.ratio(1, 2)? {
        true => Some(buffer(u, 1, total.div_ceil(8), false)?),
        false => None,
    };
    let nulls = nulls.filter(|_| !matches!(data_type, Null | RunEndEncoded(..)));
    let child_rows = |u: &mut Unstructured<'_>| -> Result<usize> { Ok(usize::from(u.arbitrary::<u8>()?) + 2 * total) };
    let (mut buffers, mut children) = (Vec::new(), Vec::new());
    match data_type {
        Null => {}
        Boolean => buffers.push(buffer(u, 1, total.div_ceil(8), false)?),
        Utf8 | Binary | LargeUtf8 | LargeBinary => {
            let width = if matches!(data_type, Utf8 | Binary) { 4 } else { 8 };
            buffers.push(buffer(u, width, total + 1, true)?);
            let text: &str = u.arbitrary()?;
            let text = format!("{text}{}", "x\"=, ".repeat(total));
            buffers.push(Buffer::from_vec(text.into_bytes()));
        }
        Utf8View | BinaryView => {
            // Short texts within the views, and long ones behind them.
            let mut views = Vec::new();
            for _ in 0..total {
                let length = u32::from(u.arbitrary::<u8>()? % 30);
                views.push(match length {
                    0..=12 => {
                        let mut bytes = [0; 16];
                        bytes[0] = length as u8;
                        bytes[4..4 + length as usize].fill(u.arbitrary::<u8>()? % 128);
                        u128::from_le_bytes(bytes)
                    }
                    _ => {
                        let start = u32::from(u.arbitrary::<u8>()?);
                        let place = start as usize % LONG.len();
                        let letters = LONG.as_bytes();
                        let prefix = u32::from_le_bytes([0, 1, 2, 3].map(|i| letters[(place + i) % letters.len()]));
                        u128::from(length) | u128::from(prefix) << 32 | u128::from(start) << 96
                    }
                });
            }
            buffers.push(Buffer::from_vec(views));
            buffers.push(Buffer::from_vec(LONG.repeat(20).into_bytes()));
        }
        List(item) | LargeList(item) => {
            buffers.push(buffer(u, if matches!(data_type, List(_)) { 4 } else { 8 }, total + 1, true)?);
            let count = child_rows(u)?;
            children.push(array(u, item.data_type(), count)?);
        }
        ListView(item) | LargeListView(item) => {
            let width = if matches!(data_type, ListView(_)) { 4 } else { 8 };
            buffers.push(buffer(u, width, total, true)?);
            buffers.push(buffer(u, width, total, false)?);
            let count = child_rows(u)?;
            children.push(array(u, item.data_type(), count)?);
        }
        FixedSizeList(item, size) => {
            let count = total * usize::try_from(*size).unwrap_or(0);
            children.push(array(u, item.data_type(), count)?);
        }
        FixedSizeBinary(size) => buffers.push(buffer(u, 1, total * usize::try_from(*size).unwrap_or(0), false)?),
        Dictionary(key, values) => {
            buffers.push(buffer(u, key.primitive_width().unwrap_or(1), total, false)?);
            let count = usize::from(u.arbitrary::<u8>()?);
            children.push(array(u, values, count)?);
        }
        RunEndEncoded(ends, values) => {
            let runs = 1 + usize::from(u.arbitrary::<u8>()? % 20);
            let width = ends.data_type().primitive_width().unwrap_or(2);
            let mut bytes = MutableBuffer::new(width * runs);
            let mut end = 0_u64;
            for run in 0..runs {
                end += 1 + u64::from(u.arbitrary::<u8>()? % 9);
                let end = if run + 1 == runs { end.max(total as u64) } else { end };
                bytes.extend_from_slice(&end.to_le_bytes()[..width]);
            }
            children.push(ArrayData::try_new(ends.data_type().clone(), runs, None, 0, vec![bytes.into()], vec![]).ok());
            children.push(array(u, values.data_type(), runs)?);
        }
        plain => {
            let width = match plain {
                Decimal32(..) => 4,
                Decimal64(..) => 8,
                Decimal128(..) => 16,
                Decimal256(..) => 32,
                other => other.primitive_width().unwrap_or(8),
            };
            buffers.push(buffer(u, width, total, false)?);
        }
    }
    let Some(children) = children.into_iter().collect() else { return Ok(None) };
    Ok(ArrayData::try_new(data_type.clone(), rows, nulls, offset, buffers, children).ok())
}

const LONG: &str = "abcdefghijklmnopqrstuvwxyz";

fn options(u: &mut Unstructured<'_>, names: &[String]) -> Result<WriteOptions> {
    let at = match u.int_in_range(0..=3)? {
        0 => At::Server,
        1 => At::Nanos(u.arbitrary()?),
        2 => At::Micros(u.arbitrary()?),
        _ => At::Column(u.choose(names)?.clone()),
    };
    let symbols = match u.int_in_range(0..=3)? {
        0 => Symbols::Auto,
        1 => Symbols::All,
        2 => Symbols::None,
        _ => Symbols::Columns(vec![u.choose(names)?.clone()]),
    };
    Ok(WriteOptions::table("t")
        .at(at)
        .symbols(symbols)
        .protocol_version(*u.choose(&[ProtocolVersion::V3, ProtocolVersion::V2, ProtocolVersion::V1])?)
        .null_at(*u.choose(&[NullAt::Server, NullAt::Error])?)
        .null_bool(*u.choose(&[NullBool::Omit, NullBool::False, NullBool::Error])?)
        .empty_rows(*u.choose(&[EmptyRows::Skip, EmptyRows::Error])?)
        .nan(*u.choose(&[Nan::Send, Nan::Omit])?))
}

fn batch(u: &mut Unstructured<'_>) -> Result<Option<(RecordBatch, WriteOptions)>> {
    let rows = match u.int_in_range(0..=9)? {
        0 => 2_049,
        1 => 300,
        _ => usize::from(u.arbitrary::<u8>()? % 40),
    };
    let columns = u.int_in_range(1..=4)?;
    let names: Vec<String> = (0..columns).map(|index| format!("c{index}")).collect();
    let options = options(u, &names)?;
    let (mut fields, mut arrays): (Vec<Field>, Vec<ArrayRef>) = (Vec::new(), Vec::new());
    for name in names {
        let data_type = data_type(u, DEPTH)?;
        let Some(data) = array(u, &data_type, rows)? else { return Ok(None) };
        let field = Field::new(name, data_type, u.ratio(7, 8)?);
        let extension = HashMap::from([("ARROW:extension:name".to_owned(), "arrow.uuid".to_owned())]);
        fields.push(if u.ratio(1, 4)? { field.with_metadata(extension) } else { field });
        arrays.push(make_array(data));
    }
    let with_rows = RecordBatchOptions::new().with_row_count(Some(rows));
    let batch = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &with_rows);
    Ok(batch.ok().map(|batch| (batch, options)))
}

/// A frame with how it is to be written; `None` where arrow refuses it.
struct Hostile(Option<(RecordBatch, WriteOptions)>);

impl std::fmt::Debug for Hostile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            None => f.write_str("refused by arrow"),
            Some((batch, options)) => write!(f, "{options:?} {:?}", batch.schema()),
        }
    }
}

impl<'a> Arbitrary<'a> for Hostile {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        batch(u).map(Self)
    }
}

fuzz_target!(|hostile: Hostile| {
    let Some((batch, options)) = hostile.0 else { return };
    let whole = to_ilp(&batch, &options);
    if let Err(error) = &whole {
        let _ = error.to_string();
    }
    // A part of it, which has offsets of its own.
    let rows = batch.num_rows();
    if rows > 2 {
        let _ = to_ilp(&batch.slice(1, rows - 2), &options);
    }
    if let Ok(lines) = whole {
        assert!(lines.is_empty() || lines.ends_with(b"\n"));
    }
});
