//! Seeded frames of the official comparison (`benches/python/data.py` makes the same shapes).

use std::sync::Arc;

use arrow_array::types::UInt32Type;
use arrow_array::{
    ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampNanosecondArray, UInt32Array,
};

/// A small generator (splitmix64): the same frames everywhere, without a dependency.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// The next 64 bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.bits() % bound
    }

    /// A float in 0..1.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }
}

fn symbols(random: &mut Random, rows: usize, name: &str, distinct: u64) -> ArrayRef {
    let values = StringArray::from_iter_values((0..distinct).map(|i| format!("{name}_{i}")));
    let keys = UInt32Array::from_iter_values((0..rows).map(|_| random.below(distinct) as u32));
    Arc::new(DictionaryArray::<UInt32Type>::new(keys, Arc::new(values)))
}

fn floats(random: &mut Random, rows: usize) -> ArrayRef {
    Arc::new(Float64Array::from_iter_values((0..rows).map(|_| random.unit() * 100.0)))
}

fn times(rows: usize) -> ArrayRef {
    Arc::new(TimestampNanosecondArray::from_iter_values(
        (0..rows as i64).map(|i| 1_735_689_600_000_000_000 + i * 1_000_000),
    ))
}

fn batch(columns: Vec<(String, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter(columns).expect("columns of one length")
}

/// Two symbols (50 and 2 values), two floats, a nanosecond timestamp.
pub(crate) fn trades(rows: usize) -> RecordBatch {
    let mut random = Random(1);
    batch(vec![
        ("symbol".into(), symbols(&mut random, rows, "SYM", 50)),
        ("side".into(), symbols(&mut random, rows, "side", 2)),
        ("price".into(), floats(&mut random, rows)),
        ("amount".into(), floats(&mut random, rows)),
        ("timestamp".into(), times(rows)),
    ])
}

/// Ten symbols (4,000 hosts and nine times 10 values), ten floats, a nanosecond timestamp.
pub(crate) fn tsbs(rows: usize) -> RecordBatch {
    let mut random = Random(2);
    let tags = ["hostname", "region", "datacenter", "rack", "os", "arch", "team", "service", "service_version", "env"];
    let mut columns: Vec<_> = tags
        .iter()
        .enumerate()
        .map(|(i, tag)| ((*tag).to_owned(), symbols(&mut random, rows, &tag[..2], if i == 0 { 4_000 } else { 10 })))
        .collect();
    columns.extend((0..10).map(|i| (format!("usage_{i}"), floats(&mut random, rows))));
    columns.push(("timestamp".into(), times(rows)));
    batch(columns)
}

/// Two symbols, two floats, an integer of 1 to 7 digits, a boolean, a string of 10 to 30 characters of which one in ten
/// holds an escape, and a timestamp.
pub(crate) fn mixed(rows: usize) -> RecordBatch {
    let mut random = Random(3);
    let mut columns = vec![
        ("symbol".to_owned(), symbols(&mut random, rows, "SYM", 50)),
        ("side".to_owned(), symbols(&mut random, rows, "side", 2)),
        ("price".to_owned(), floats(&mut random, rows)),
        ("amount".to_owned(), floats(&mut random, rows)),
    ];
    let integers = Int64Array::from_iter_values((0..rows).map(|_| {
        let digits = 1 + random.below(7) as u32;
        random.below(10u64.pow(digits)) as i64
    }));
    let booleans = BooleanArray::from_iter((0..rows).map(|_| Some(random.below(2) == 1)));
    let strings = StringArray::from_iter_values((0..rows).map(|_| {
        let length = 10 + random.below(21) as usize;
        let mut text: Vec<u8> = (0..length).map(|_| b'a' + random.below(26) as u8).collect();
        if random.below(10) == 0 {
            let place = random.below(length as u64) as usize;
            text[place] = b'"';
        }
        String::from_utf8(text).expect("ASCII")
    }));
    columns.push(("count".to_owned(), Arc::new(integers)));
    columns.push(("ok".to_owned(), Arc::new(booleans)));
    columns.push(("note".to_owned(), Arc::new(strings)));
    columns.push(("timestamp".to_owned(), times(rows)));
    batch(columns)
}
