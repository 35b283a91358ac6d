//! Frames whose categorical columns come as bare codes, as those of Polars do: the bytes of dictionary arrays, and an
//! error for a code that stands for nothing.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, Float64Array, RecordBatch, StringArray, TimestampMicrosecondArray, UInt8Array, UInt16Array,
    UInt32Array,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use questframe::{
    Batches, Dictionaries, ErrorKind, Frame, Result, Source, Symbols, WriteOptions, coded, coded_batch, may_be_bare,
    to_ilp,
};

/// A symbol from codes, a float and a timestamp, in batches of a few rows.
struct Coded {
    schema: SchemaRef,
    codes: ArrayRef,
    values: ArrayRef,
    rows_each: usize,
}

impl Coded {
    fn new(codes: ArrayRef, values: ArrayRef, rows_each: usize) -> Self {
        let dictionary = DataType::Dictionary(Box::new(codes.data_type().clone()), Box::new(DataType::Utf8));
        let schema = Arc::new(Schema::new(vec![
            Field::new("price", DataType::Float64, false),
            Field::new("side", dictionary, true),
            Field::new("ts", DataType::Timestamp(arrow_schema::TimeUnit::Microsecond, None), false),
        ]));
        Self { schema, codes, values, rows_each }
    }

    fn read(&self, bare: bool) -> Batches<'_> {
        let starts = (0..self.codes.len()).step_by(self.rows_each);
        Box::new(starts.map(move |start| {
            let rows = self.rows_each.min(self.codes.len() - start);
            let codes = self.codes.slice(start, rows);
            let is_bare = bare && may_be_bare(&codes, &self.values);
            let side = if is_bare { codes } else { coded(&codes, &self.values)? };
            let price = Float64Array::from_iter_values((start..start + rows).map(|row| row as f64 / 4.0));
            let ts = TimestampMicrosecondArray::from_iter_values((start..start + rows).map(|row| row as i64 + 1));
            coded_batch(self.schema.clone(), vec![Arc::new(price), side, Arc::new(ts)], rows)
        }))
    }
}

impl Frame for Coded {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn rows(&self) -> u64 {
        self.codes.len() as u64
    }

    fn batches(&self, columns: Option<&[usize]>) -> Batches<'_> {
        let columns = columns.map(<[usize]>::to_vec);
        // Not looked at where it is not asked for.
        let bare = columns.as_ref().is_some_and(|columns| !columns.contains(&1));
        Box::new(self.read(bare).map(move |batch| match &columns {
            Some(columns) => batch?.project(columns),
            None => batch,
        }))
    }

    fn dictionaries(&self) -> Option<Arc<Dictionaries>> {
        Some(Arc::new(HashMap::from([(1, self.values.clone())])))
    }

    fn coded_batches(&self) -> Batches<'_> {
        self.read(true)
    }
}

fn encoded(frame: Coded, options: &WriteOptions) -> Result<Vec<u8>> {
    to_ilp(Source::Frame(Box::new(frame)), options)
}

/// Codes of each width, where the values of those of more bits than these do not fit.
fn arrays(codes: &[Option<u32>]) -> Vec<ArrayRef> {
    let most = codes.iter().flatten().max().copied().unwrap_or(0);
    let mut arrays: Vec<ArrayRef> = vec![Arc::new(UInt32Array::from(codes.to_vec()))];
    if most <= u32::from(u16::MAX) {
        arrays.push(Arc::new(codes.iter().map(|code| code.map(|code| code as u16)).collect::<UInt16Array>()));
    }
    if most <= u32::from(u8::MAX) {
        arrays.push(Arc::new(codes.iter().map(|code| code.map(|code| code as u8)).collect::<UInt8Array>()));
    }
    arrays
}

fn values(count: usize) -> ArrayRef {
    Arc::new(StringArray::from_iter_values((0..count).map(|value| format!("side {value}"))))
}

#[test]
fn bare_codes_are_written_as_the_dictionary_that_they_stand_for() {
    // Few values beside the rows, as many, and more: cells in the order of the codes, and found by content.
    for (rows, count) in [(1, 1), (3, 200), (40, 5), (40, 40), (300, 3), (5_000, 100), (70_000, 256)] {
        for one_null in [false, true] {
            let codes: Vec<_> =
                (0..rows).map(|row| (!one_null || row != rows / 2).then_some((row * 7 % count) as u32)).collect();
            for codes in arrays(&codes) {
                for rows_each in [rows, rows / 3 + 1] {
                    for options in
                        [WriteOptions::table("t").at("ts"), WriteOptions::table("t").symbols(Symbols::None).at("ts")]
                    {
                        let frame = || Coded::new(codes.clone(), values(count), rows_each);
                        let whole: Vec<RecordBatch> =
                            frame().read(false).collect::<std::result::Result<_, _>>().unwrap();
                        let expected = to_ilp(whole, &options).unwrap();
                        assert!(encoded(frame(), &options).unwrap() == expected, "{rows} rows, {count} values");
                    }
                }
            }
        }
    }
}

#[test]
fn a_code_without_a_value_is_an_error_that_names_its_cell() {
    for (rows, count) in [(1, 1), (40, 5), (40, 40), (5_000, 100), (3, 200)] {
        for bad_row in [0, rows / 2, rows - 1] {
            for bad in [count, count + 1, 255, u32::MAX as usize].into_iter().filter(|bad| *bad >= count) {
                let mut codes: Vec<_> = (0..rows).map(|row| Some((row % count) as u32)).collect();
                codes[bad_row] = Some(bad as u32);
                for codes in arrays(&codes) {
                    for rows_each in [rows, rows / 3 + 1] {
                        for symbols in [Symbols::Auto, Symbols::None] {
                            let options = WriteOptions::table("t").symbols(symbols).at("ts");
                            let frame = Coded::new(codes.clone(), values(count), rows_each);
                            let error = encoded(frame, &options).unwrap_err();
                            assert_eq!(error.kind(), ErrorKind::BadDataFrame, "{error}");
                            assert_eq!((error.column(), error.row()), (Some("side"), Some(bad_row as u64)), "{error}");
                            let text = error.to_string();
                            assert!(text.contains(&format!("code {bad} ")), "{text}");
                        }
                    }
                }
            }
        }
    }
}
