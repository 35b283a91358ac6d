//! Seeded frames of the official comparison (`benches/python/data.py` makes the same shapes).

use std::hint::black_box;
use std::io::Write;
use std::sync::Arc;

use arrow_array::types::UInt32Type;
use arrow_array::{
    ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int64Array, RecordBatch, StringArray, StringViewArray,
    TimestampNanosecondArray, UInt32Array,
};
use arrow_select::nullif::nullif;

#[path = "../../tests/support/dice.rs"]
#[allow(dead_code)]
mod dice;

use dice::Dice;

/// Counts what it is given, and looks at it: a write that nobody reads may be optimised away.
#[derive(Default)]
pub(crate) struct Count(pub(crate) u64);

impl Write for Count {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += black_box(bytes).len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The one in the middle.
pub(crate) fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

fn symbols(dice: &mut Dice, rows: usize, name: &str, distinct: u64) -> ArrayRef {
    let values = StringArray::from_iter_values((0..distinct).map(|i| format!("{name}_{i}")));
    let keys = UInt32Array::from_iter_values((0..rows).map(|_| dice.below(distinct) as u32));
    Arc::new(DictionaryArray::<UInt32Type>::new(keys, Arc::new(values)))
}

fn floats(dice: &mut Dice, rows: usize) -> ArrayRef {
    Arc::new(Float64Array::from_iter_values((0..rows).map(|_| dice.unit() * 100.0)))
}

fn times(rows: usize) -> ArrayRef {
    Arc::new(TimestampNanosecondArray::from_iter_values(
        (0..rows as i64).map(|i| 1_735_689_600_000_000_000 + i * 1_000_000),
    ))
}

/// Letters, so many of them; one text in ten has an escape in it.
fn text(dice: &mut Dice, least: u64, most: u64) -> String {
    let length = least + dice.below(most - least + 1);
    let mut text: Vec<u8> = (0..length).map(|_| b'a' + dice.below(26) as u8).collect();
    if dice.below(10) == 0 {
        text[dice.below(length) as usize] = b'"';
    }
    String::from_utf8(text).expect("ASCII")
}

fn batch(columns: Vec<(String, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter(columns).expect("columns of one length")
}

/// Two symbols (50 and 2 values), two floats, a nanosecond timestamp.
pub(crate) fn trades(rows: usize) -> RecordBatch {
    let mut dice = Dice::new(1, &[]);
    batch(vec![
        ("symbol".into(), symbols(&mut dice, rows, "SYM", 50)),
        ("side".into(), symbols(&mut dice, rows, "side", 2)),
        ("price".into(), floats(&mut dice, rows)),
        ("amount".into(), floats(&mut dice, rows)),
        ("timestamp".into(), times(rows)),
    ])
}

/// Ten symbols (4,000 hosts and nine times 10 values), ten floats, a nanosecond timestamp.
pub(crate) fn tsbs(rows: usize) -> RecordBatch {
    let mut dice = Dice::new(2, &[]);
    let tags = ["hostname", "region", "datacenter", "rack", "os", "arch", "team", "service", "service_version", "env"];
    let mut columns: Vec<_> = tags
        .iter()
        .enumerate()
        .map(|(i, tag)| ((*tag).to_owned(), symbols(&mut dice, rows, &tag[..2], if i == 0 { 4_000 } else { 10 })))
        .collect();
    columns.extend((0..10).map(|i| (format!("usage_{i}"), floats(&mut dice, rows))));
    columns.push(("timestamp".into(), times(rows)));
    batch(columns)
}

/// So many columns, five or more: symbols of 10 values and floats in equal numbers, and a nanosecond timestamp.
pub(crate) fn columns(rows: usize, count: usize) -> RecordBatch {
    let mut dice = Dice::new(4, &[]);
    let symbols_count = count.saturating_sub(1) / 2;
    let mut columns: Vec<_> =
        (0..symbols_count).map(|i| (format!("tag_{i}"), symbols(&mut dice, rows, "tag", 10))).collect();
    columns.extend((symbols_count + 1..count).map(|i| (format!("value_{i}"), floats(&mut dice, rows))));
    columns.push(("timestamp".into(), times(rows)));
    batch(columns)
}

/// 300 columns: 20 symbols of ten values, 200 floats, 60 integers of 1 to 7 digits, 20 booleans, and a timestamp.
pub(crate) fn wide(rows: usize) -> RecordBatch {
    let mut dice = Dice::new(6, &[]);
    let mut columns: Vec<_> = (0..20).map(|i| (format!("tag_{i}"), symbols(&mut dice, rows, "tag", 10))).collect();
    columns.extend((0..200).map(|i| (format!("value_{i}"), floats(&mut dice, rows))));
    for i in 0..60 {
        let integers = Int64Array::from_iter_values((0..rows).map(|_| {
            let digits = 1 + dice.below(7) as u32;
            dice.below(10u64.pow(digits)) as i64
        }));
        columns.push((format!("count_{i}"), Arc::new(integers)));
    }
    for i in 0..20 {
        let booleans = BooleanArray::from_iter((0..rows).map(|_| Some(dice.below(2) == 1)));
        columns.push((format!("flag_{i}"), Arc::new(booleans)));
    }
    columns.push(("timestamp".to_owned(), times(rows)));
    batch(columns)
}

/// Two symbols, two floats, an integer of 1 to 7 digits, a boolean, a string of 10 to 30 characters of which one in ten
/// holds an escape, and a timestamp.
pub(crate) fn mixed(rows: usize) -> RecordBatch {
    let mut dice = Dice::new(3, &[]);
    let mut columns = vec![
        ("symbol".to_owned(), symbols(&mut dice, rows, "SYM", 50)),
        ("side".to_owned(), symbols(&mut dice, rows, "side", 2)),
        ("price".to_owned(), floats(&mut dice, rows)),
        ("amount".to_owned(), floats(&mut dice, rows)),
    ];
    let integers = Int64Array::from_iter_values((0..rows).map(|_| {
        let digits = 1 + dice.below(7) as u32;
        dice.below(10u64.pow(digits)) as i64
    }));
    let booleans = BooleanArray::from_iter((0..rows).map(|_| Some(dice.below(2) == 1)));
    let strings = StringArray::from_iter_values((0..rows).map(|_| text(&mut dice, 10, 30)));
    columns.push(("count".to_owned(), Arc::new(integers)));
    columns.push(("ok".to_owned(), Arc::new(booleans)));
    columns.push(("note".to_owned(), Arc::new(strings)));
    columns.push(("timestamp".to_owned(), times(rows)));
    batch(columns)
}

/// One row in ten of each of these columns made null.
fn with_nulls(frame: &RecordBatch, columns: std::ops::Range<usize>) -> RecordBatch {
    let mut dice = Dice::new(5, &[]);
    let names = frame.schema();
    let arrays = frame.columns().iter().enumerate().map(|(index, array)| {
        let nulls = BooleanArray::from_iter((0..frame.num_rows()).map(|_| Some(dice.below(10) == 0)));
        if columns.contains(&index) { nullif(array, &nulls).expect("of one length") } else { array.clone() }
    });
    let columns = names.fields().iter().map(|field| field.name()).zip(arrays);
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).expect("a frame")
}

/// `trades`, one in ten of each side, price and amount null.
pub(crate) fn nulls(rows: usize) -> RecordBatch {
    with_nulls(&trades(rows), 1..4)
}

/// `mixed` without its boolean, one in ten of each value null but for the first symbol and the timestamp.
pub(crate) fn gaps(rows: usize) -> RecordBatch {
    let mut mixed = mixed(rows);
    mixed.remove_column(5);
    with_nulls(&mixed, 1..6)
}

/// A string of 20 characters, of which one in ten holds an escape, and a timestamp.
pub(crate) fn strings(rows: usize) -> RecordBatch {
    let mut dice = Dice::new(4, &[]);
    let strings = StringArray::from_iter_values((0..rows).map(|_| text(&mut dice, 20, 20)));
    batch(vec![("text".to_owned(), Arc::new(strings)), ("timestamp".to_owned(), times(rows))])
}

/// The same in the layout that Polars has.
pub(crate) fn views(rows: usize) -> RecordBatch {
    let mut dice = Dice::new(4, &[]);
    let strings = StringViewArray::from_iter_values((0..rows).map(|_| text(&mut dice, 20, 20)));
    batch(vec![("text".to_owned(), Arc::new(strings)), ("timestamp".to_owned(), times(rows))])
}
