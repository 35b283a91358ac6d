//! The encoder against the reference encoder, on random frames of every type, layout and option.
//!
//! Each property runs a fixed number of seeded cases, so that a failure comes back on the next run;
//! `QUESTFRAME_PROPTEST_CASES=20` runs twenty times as many, with other seeds behind the first ones.

mod support;

use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, BooleanArray, Decimal32Array, DictionaryArray, FixedSizeListArray, Float64Array, Int32Array, Int64Array,
    ListViewArray, RecordBatch, RunArray, StringArray, TimestampMicrosecondArray, UInt32Array,
};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field};
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};

use support::judge::{encoded_in_every_form, judge};
use support::random::{Shape, Types, case};
use support::reference::{At, NullBool, Options, Symbols, reference_ilp};
use support::{first_difference, write_options};

/// Cases of an ordinary run, for each protocol version.
const SMALL_CASES: u32 = 800;
const BLOCK_CASES: u32 = 80;
const WIDE_CASES: u32 = 50;
const PANEL_CASES: u32 = 60;
const NARROW_CASES: u32 = 800;
const FAULTY_CASES: u32 = 400;
const LIST_CASES: u32 = 400;

/// Frames of a few rows in up to four chunks, some of them empty: every type, null and offset.
fn small() -> Shape {
    Shape { columns: 1..=8, chunks: 1..=4, rows: vec![0, 1, 2, 3, 5, 8, 13, 40, 90], types: Types::Any, faulty: false }
}

/// Row counts around the borders of the encoder's blocks, also where a block begins in one chunk of the frame.
fn blocks() -> Shape {
    Shape {
        columns: 1..=5,
        chunks: 1..=2,
        rows: vec![255, 257, 512, 1_000, 2_047, 2_048, 2_049, 5_000],
        types: Types::Any,
        faulty: false,
    }
}

/// Frames of many columns.
fn wide() -> Shape {
    Shape { columns: 20..=40, chunks: 1..=2, rows: vec![1, 7, 64, 300], types: Types::Any, faulty: false }
}

/// Frames of so many columns that lines are written panel by panel.
fn panels() -> Shape {
    Shape { columns: 96..=200, chunks: 1..=2, rows: vec![1, 9, 64, 300, 500], types: Types::Panels, faulty: false }
}

/// Frames of one or two columns, whose rows are often empty.
fn narrow() -> Shape {
    Shape { columns: 1..=2, chunks: 1..=2, rows: vec![1, 2, 9], types: Types::Any, faulty: true }
}

/// Frames that mostly hold something that cannot be sent.
fn faulty() -> Shape {
    Shape { columns: 1..=6, chunks: 1..=3, rows: vec![0, 1, 4, 30, 300], types: Types::Any, faulty: true }
}

/// Lists in every layout, most of them such that they can be sent.
fn lists() -> Shape {
    Shape { columns: 1..=3, chunks: 1..=2, rows: vec![0, 1, 3, 8, 40, 300], types: Types::Lists, faulty: false }
}

/// Single columns of lists, some of them ragged or with null lists in them.
fn faulty_lists() -> Shape {
    Shape { columns: 1..=1, chunks: 1..=3, rows: vec![1, 8, 40, 150], types: Types::Lists, faulty: true }
}

fn run(version: u8, shape: Shape, cases: u32, seed: u64) {
    let factor = std::env::var("QUESTFRAME_PROPTEST_CASES").map_or(1, |factor| factor.parse().expect("a number"));
    let config = Config {
        cases: cases * factor,
        rng_seed: RngSeed::Fixed(seed * 10 + u64::from(version)),
        failure_persistence: None,
        max_shrink_iters: 4_000,
        ..Config::default()
    };
    if let Err(failure) =
        TestRunner::new(config).run(&case(version, shape), |case| judge(&case).map_err(TestCaseError::fail))
    {
        panic!("{failure}");
    }
}

macro_rules! properties {
    ($($name:ident: $version:literal, $shape:expr, $cases:expr, $seed:literal;)*) => {$(
        #[test]
        fn $name() {
            run($version, $shape, $cases, $seed);
        }
    )*};
}

properties! {
    small_frames_v1: 1, small(), SMALL_CASES, 1;
    small_frames_v2: 2, small(), SMALL_CASES, 1;
    small_frames_v3: 3, small(), SMALL_CASES, 1;
    block_borders_v1: 1, blocks(), BLOCK_CASES, 2;
    block_borders_v2: 2, blocks(), BLOCK_CASES, 2;
    block_borders_v3: 3, blocks(), BLOCK_CASES, 2;
    wide_frames_v1: 1, wide(), WIDE_CASES, 3;
    wide_frames_v2: 2, wide(), WIDE_CASES, 3;
    wide_frames_v3: 3, wide(), WIDE_CASES, 3;
    panels_v1: 1, panels(), PANEL_CASES, 8;
    panels_v2: 2, panels(), PANEL_CASES, 8;
    narrow_frames_v1: 1, narrow(), NARROW_CASES, 5;
    narrow_frames_v2: 2, narrow(), NARROW_CASES, 5;
    narrow_frames_v3: 3, narrow(), NARROW_CASES, 5;
    lists_v2: 2, lists(), LIST_CASES, 6;
    lists_v3: 3, lists(), LIST_CASES, 6;
    faulty_lists_are_refused_v2: 2, faulty_lists(), LIST_CASES, 7;
    faulty_lists_are_refused_v3: 3, faulty_lists(), LIST_CASES, 7;
    faults_are_refused_v1: 1, faulty(), FAULTY_CASES, 4;
    faults_are_refused_v2: 2, faulty(), FAULTY_CASES, 4;
    faults_are_refused_v3: 3, faulty(), FAULTY_CASES, 4;
}

/// 45 MB of lines in batches of 9,000 rows, where `at` changes in every row, now and then, or never: the frame is cut
/// at other places each time, and no line may be lost or moved by it.
#[test]
fn frames_of_several_buffers() {
    const ROWS: usize = 45_000;
    let text = "x".repeat(970);
    for rows_of_one_at in [1, 700, ROWS] {
        let columns: [(_, ArrayRef); 3] = [
            ("row", Arc::new(Int64Array::from_iter_values(0..ROWS as i64))),
            ("text", Arc::new(StringArray::from_iter_values((0..ROWS).map(|row| &text[row % 97..])))),
            (
                "at",
                Arc::new(TimestampMicrosecondArray::from_iter_values(
                    (0..ROWS).map(|row| (row / rows_of_one_at) as i64),
                )),
            ),
        ];
        let whole = RecordBatch::try_from_iter(columns).expect("a batch");
        let batches: Vec<_> = (0..ROWS).step_by(9_000).map(|row| whole.slice(row, 9_000)).collect();
        let options = Options::new("t", At::Column("at".to_owned()), 2);
        check_forms(&batches, &options, &format!("{rows_of_one_at} rows of one timestamp"));
    }
}

/// One line that is longer than a buffer, between short ones.
#[test]
fn lines_longer_than_a_buffer() {
    let long = "y \" ".repeat(6 << 20);
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["short", &long, "", "short again"]));
    let batch = RecordBatch::try_from_iter([("text", texts)]).expect("a batch");
    let options = Options::new("t", At::Server, 2);
    check_forms(&[batch], &options, "a long line");
}

/// So many columns that blocks have other rows and look ahead otherwise, over several buffers; without strings they are
/// written panel by panel, and blocks fill a buffer.
#[test]
fn lines_of_a_thousand_columns() {
    const ROWS: usize = 1_300;
    let values = Arc::new(StringArray::from_iter_values((0..7).map(|value| format!("value {value}"))));
    let column = |place: usize, has_text: bool| -> (String, ArrayRef) {
        let rows = move || (0..ROWS).map(move |row| (row * 31 + place) % 1_009);
        let some = move || rows().map(|row| (row % 5 != 0).then_some(row as i64));
        let column: ArrayRef = match place % 5 {
            0 => Arc::new(DictionaryArray::new(
                UInt32Array::from_iter_values(rows().map(|row| row as u32 % 7)),
                values.clone(),
            )),
            1 => Arc::new(Float64Array::from_iter_values(rows().map(|row| row as f64 / 8.0))),
            2 => Arc::new(Int64Array::from_iter(some())),
            3 if has_text => Arc::new(StringArray::from_iter(some().map(|row| row.map(|row| row.to_string())))),
            _ => Arc::new(BooleanArray::from_iter(rows().map(|row| Some(row % 2 == 0)))),
        };
        (format!("c{place}"), column)
    };
    let at: ArrayRef = Arc::new(TimestampMicrosecondArray::from_iter_values((0..ROWS as i64).map(|row| row / 3)));
    for (version, has_text) in [(1, true), (2, true), (1, false), (2, false)] {
        let columns = (0..1_001).map(|place| column(place, has_text)).chain([("at".to_owned(), at.clone())]);
        let batch = RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true)));
        let batch = batch.expect("columns of one length");
        let options = Options::new("t", At::Column("at".to_owned()), version);
        let batches = [batch.slice(0, 70), batch.slice(70, ROWS - 70)];
        check_forms(&batches, &options, &format!("version {version}, text {has_text}"));
    }
}

/// Lines of so many columns are written panel by panel: cells of both widths and of a large dictionary, values in slots,
/// words and bytes in the run, with and without nulls, at the borders of panels and of groups of rows.
#[test]
fn lines_in_panels() {
    const ROWS: usize = 410;
    let symbols = |place: usize, width: usize, values: usize| -> ArrayRef {
        let text = |value: usize| format!("{:0>1$}", value, width + value % 3);
        let values_of = StringArray::from_iter_values((0..values).map(text));
        let codes = (0..ROWS).map(|row| (row * 7 + place) % values);
        let codes = codes.map(|code| (code % 11 != 3).then_some(code as i32));
        Arc::new(DictionaryArray::new(Int32Array::from_iter(codes), Arc::new(values_of)))
    };
    // As Polars has them, in whose row `row` the code is `code`, and the value's text that of `text`.
    let coded = |values: usize, text: &dyn Fn(usize) -> String, code: &dyn Fn(usize) -> Option<usize>| -> ArrayRef {
        let values = StringArray::from_iter_values((0..values).map(text));
        let codes = (0..ROWS).map(|row| code(row).map(|code| code as u32));
        Arc::new(DictionaryArray::new(UInt32Array::from_iter(codes), Arc::new(values)))
    };
    let column = |kind: char, place: usize| -> ArrayRef {
        let number = |row: usize| (row * 31 + place) % 1_009;
        let tenth = |row: usize| Some(number(row) % 10);
        let short = |value: usize| "v".repeat(1 + value % 3);
        let late = |row: usize| if row > 300 { Some(10) } else { tenth(row) };
        let some = |row: usize| (!(row + place).is_multiple_of(5)).then(|| number(row));
        let float = |number: usize| if number == 77 { f64::NAN } else { number as f64 / 8.0 };
        match kind {
            's' => symbols(place, 1, 10),
            'S' => symbols(place, 30, 10),
            'L' => symbols(place, 1, 390),
            'u' => coded(10, &|value| value.to_string(), &tenth),
            'v' => coded(10, &short, &tenth),
            'n' => coded(10, &|value| value.to_string(), &|row| tenth(row).filter(|code| *code != 3)),
            'w' => coded(10, &|value| "w".repeat(40 + value), &tenth),
            'U' => coded(300, &|value| value.to_string(), &|row| Some(number(row) % 300)),
            'l' => coded(11, &|value| "l".repeat(if value == 10 { 300 } else { value }), &late),
            't' => Arc::new(StringArray::from_iter_values((0..ROWS).map(|row| format!("text {}", number(row))))),
            'f' => Arc::new(Float64Array::from_iter_values((0..ROWS).map(|row| float(number(row))))),
            'F' => Arc::new(Float64Array::from_iter((0..ROWS).map(|row| some(row).map(float)))),
            'i' => Arc::new(Int64Array::from_iter_values((0..ROWS).map(|row| number(row) as i64 - 500))),
            'I' => Arc::new(Int64Array::from_iter((0..ROWS).map(|row| some(row).map(|number| number as i64)))),
            // Rows in which all of these are null.
            'E' => {
                Arc::new(Float64Array::from_iter((0..ROWS).map(|row| some(row).filter(|_| row % 11 != 4).map(float))))
            }
            'b' => Arc::new(BooleanArray::from_iter((0..ROWS).map(|row| Some(number(row) % 2 == 0)))),
            _ => Arc::new(BooleanArray::from_iter((0..ROWS).map(|row| some(row).map(|number| number % 2 == 0)))),
        }
    };
    let shapes: [&[(char, usize)]; 27] = [
        &[('u', 64), ('f', 64)],
        &[('v', 67), ('f', 67)],
        &[('u', 10), ('v', 10), ('n', 10), ('w', 10), ('U', 10), ('s', 10), ('f', 70)],
        &[('u', 130), ('i', 10), ('f', 1)],
        // No panels from the first row on, or from where long cells come.
        &[('u', 70), ('v', 30), ('t', 1), ('f', 30)],
        &[('u', 70), ('v', 30), ('l', 1), ('f', 30)],
        &[('l', 100), ('f', 30)],
        &[('s', 64), ('f', 64)],
        &[('s', 65), ('f', 129)],
        &[('s', 128), ('f', 1)],
        &[('s', 60), ('S', 3), ('L', 40), ('f', 31)],
        &[('f', 200)],
        &[('i', 130)],
        &[('b', 130), ('f', 66)],
        &[('f', 70), ('b', 64), ('f', 7)],
        &[('s', 20), ('i', 70), ('b', 10), ('f', 65)],
        &[('F', 100)],
        &[('s', 1), ('I', 50), ('B', 50), ('F', 10), ('f', 1)],
        // No field is there in every row, and maybe none at all.
        &[('u', 64), ('F', 64)],
        &[('u', 1), ('I', 100)],
        &[('v', 40), ('E', 80)],
        &[('U', 20), ('u', 50), ('E', 40)],
        &[('u', 100), ('E', 1)],
        // Lines of several runs.
        &[('s', 30), ('f', 70), ('i', 40), ('f', 60)],
        &[('f', 50), ('F', 50), ('f', 30), ('I', 50)],
        &[('s', 5), ('F', 50), ('b', 20), ('F', 40), ('f', 30)],
        &[('b', 70), ('i', 2), ('f', 70)],
    ];
    let times = |is_valid: &dyn Fn(usize) -> bool| -> ArrayRef {
        let time = |row: usize| is_valid(row).then_some(row as i64 / 3 + 1_735_689_600_000_000);
        Arc::new(TimestampMicrosecondArray::from_iter((0..ROWS).map(time)))
    };
    let at = || At::Column("at".to_owned());
    let ats = [
        (at(), Some(times(&|_| true))),
        (at(), Some(times(&|row| row % 7 != 3))),
        (At::Server, None),
        (At::Micros(1_735_689_600_000_000), None),
    ];
    let cases = shapes
        .into_iter()
        .flat_map(|shape| [(shape, 1), (shape, 2)])
        .flat_map(|case| ats.iter().map(move |at| (case, at)));
    for (((shape, version), (at, times)), symbols) in
        cases.flat_map(|case| [(case, Symbols::Auto), (case, Symbols::None)])
    {
        let kinds = shape.iter().flat_map(|(kind, count)| std::iter::repeat_n(*kind, *count));
        let columns = kinds.enumerate().map(|(place, kind)| (format!("{kind}{place}"), column(kind, place), true));
        let columns = columns.chain(times.clone().map(|times| ("at".to_owned(), times, true)));
        let batch = RecordBatch::try_from_iter_with_nullable(columns).expect("columns of one length");
        let what = format!("{shape:?}, version {version}, {at:?}, {symbols:?}");
        let mut options = Options::new("t", at.clone(), version);
        options.symbols = symbols;
        options.null_bool = NullBool::Omit;
        options.null_at_server = true;
        let batches = [batch.slice(0, 9), batch.slice(9, 1), batch.slice(10, 16), batch.slice(26, ROWS - 26)];
        check_forms(&batches, &options, &what);
    }
}

/// The first lines tell how long lines will be, and later ones are not: requests are cut by other rules then.
#[test]
fn lines_of_very_different_lengths() {
    let long = "z=".repeat(500_000);
    let texts = (0..700).map(|row| if (300..330).contains(&row) { long.as_str() } else { "short" });
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values(texts));
    let at: ArrayRef = Arc::new(TimestampMicrosecondArray::from_iter_values(0..700));
    let batch = RecordBatch::try_from_iter([("text", texts), ("at", at)]).expect("a batch");
    let options = Options::new("t", At::Column("at".to_owned()), 2);
    check_forms(&[batch], &options, "different lengths");
}

/// More distinct symbols than are kept from one batch to the next, some of them in both.
#[test]
fn dictionaries_of_many_values() {
    let batch = |first: usize| {
        let values = StringArray::from_iter_values((first..first + 70_000).map(|value| format!("value {value}")));
        let keys = Int32Array::from_iter_values((0..70_000).rev());
        let symbols: ArrayRef = Arc::new(DictionaryArray::new(keys, Arc::new(values)));
        RecordBatch::try_from_iter([("symbol", symbols)]).expect("a batch")
    };
    let batches = [batch(0), batch(0), batch(60_000), batch(0)];
    check_forms(&batches, &Options::new("t", At::Server, 2), "many values");
}

fn check_forms(batches: &[RecordBatch], options: &Options, what: &str) {
    let expected = reference_ilp(batches, options);
    for (form, got) in encoded_in_every_form(batches, &write_options(options)) {
        let difference = first_difference(&expected, &got.expect("a frame that can be sent"));
        assert_eq!(difference, None, "{what}, {form}");
    }
}

/// Text that lies under a null, more than a request may have, is not written, and its row no reason to refuse the frame.
#[test]
fn text_under_a_null() {
    let hidden = 105 << 20;
    let offsets = OffsetBuffer::new(vec![0, 1, 1 + hidden, 2 + hidden].into());
    let text = vec![b'x'; 2 + hidden as usize];
    let texts = StringArray::new(offsets, text.into(), Some(vec![true, false, true].into()));
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("s", Arc::new(texts) as ArrayRef, true),
        ("n", Arc::new(Int64Array::from(vec![1, 2, 3])), true),
    ]);
    let batch = batch.expect("columns of one length");
    check_forms(&[batch], &Options::new("t", At::Server, 2), "text under a null");
}

/// Names of every length before the longest values: what the encoder copies at once has borders at 32 and 64 bytes.
#[test]
fn names_of_every_length() {
    for length in 1..=70 {
        let name = |first: char| format!("{first}{}", "n".repeat(length - 1));
        let batch = RecordBatch::try_from_iter([
            (name('i'), Arc::new(Int64Array::from(vec![i64::MIN + 1, -7, i64::MAX])) as ArrayRef),
            (name('f'), Arc::new(Float64Array::from(vec![-1.2345678901234567e-300, 0.5, -2.2250738585072014e-308]))),
            (name('w'), Arc::new(Int64Array::from(vec![12_345_678, 0, 99_999_999]))),
            (name('x'), Arc::new(Int64Array::from(vec![1_234_567, 0, 9_999_999]))),
            (name('m'), Arc::new(Int64Array::from(vec![Some(i64::MIN + 1), None, Some(i64::MAX)]))),
            (name('t'), Arc::new(TimestampMicrosecondArray::from(vec![i64::MIN / 1000 + 1, 0, i64::MAX / 1000]))),
        ]);
        let batch = batch.expect("columns of one length");
        for version in 1..=3 {
            check_forms(
                std::slice::from_ref(&batch),
                &Options::new("t", At::Server, version),
                &format!("{length}, v{version}"),
            );
        }
    }
}

/// Lines without strings and nulls, of every number of symbols and floats for which the row loop is compiled and one more,
/// and with every length of what stands between; one symbol has so many values that they are asked for ahead.
#[test]
fn lines_of_every_width() {
    const ROWS: usize = 2_500;
    let at: ArrayRef = Arc::new(TimestampMicrosecondArray::from_iter_values(
        (0..ROWS as i64).map(|row| 1_735_689_600_000_000 + row * 7),
    ));
    let symbols = |distinct: usize| -> ArrayRef {
        let values = StringArray::from_iter_values((0..distinct).map(|value| format!("v {value}")));
        let keys = Int32Array::from_iter_values((0..ROWS).map(|row| (row * 7_919 % distinct) as i32));
        Arc::new(DictionaryArray::new(keys, Arc::new(values)))
    };
    let (few, many) = (symbols(3), symbols(600));
    let floats: ArrayRef = Arc::new(Float64Array::from_iter_values((0..ROWS).map(|row| row as f64 / 7.0)));
    for (cells, words) in (0..=4).flat_map(|cells| (0..=4).map(move |words| (cells, words))) {
        for length in (1..=40).step_by(3).filter(|_| cells + words > 0) {
            let name = |first: char, i: usize| format!("{first}{i}{}", "n".repeat(length));
            // Long names make wide cells, which stand between narrow ones.
            let symbol = |i: usize| if i.is_multiple_of(2) { name('s', i) } else { format!("s{i}") };
            let columns = (0..cells).map(|i| (symbol(i), if i == 3 { many.clone() } else { few.clone() }));
            let columns = columns.chain((0..words).map(|i| (name('f', i), floats.clone())));
            let batch = RecordBatch::try_from_iter(columns.chain([("at".to_owned(), at.clone())]));
            let options = Options::new("t", At::Column("at".to_owned()), 2);
            let batch = batch.expect("columns of one length");
            check_forms(&[batch.slice(0, 9), batch.slice(9, 100)], &options, &format!("{cells}, {words}, {length}"));
            if length == 1 {
                check_forms(&[batch], &options, &format!("{cells}, {words}, {ROWS} rows"));
            }
        }
    }
}

/// Every kind of field at every place, with nulls and without, before every kind of timestamp and with symbols or none:
/// which field of a row comes first, and so has a space before it, differs from row to row.
#[test]
fn first_fields_that_may_be_null() {
    const ROWS: usize = 24;
    let valid = |bit: usize, may_be_null: bool| move |row: usize| !may_be_null || row >> bit & 1 == 1;
    let field = |kind: usize, bit: usize, may_be_null: bool| -> ArrayRef {
        let is_valid = valid(bit, may_be_null);
        let rows = move |row: usize| is_valid(row).then_some(row as i64);
        let texts = ["", "a\"b", "plain", "twelve letters and more, so that it is long"];
        match kind {
            0 => Arc::new(Float64Array::from_iter((0..ROWS).map(|row| rows(row).map(|row| row as f64 / 7.0)))),
            1 => Arc::new(Int64Array::from_iter((0..ROWS).map(rows))),
            2 => Arc::new(Int64Array::from_iter((0..ROWS).map(|row| rows(row).map(|row| row - (1 << 60))))),
            3 => Arc::new(BooleanArray::from_iter((0..ROWS).map(|row| rows(row).map(|row| row % 3 == 0)))),
            4 => Arc::new(StringArray::from_iter((0..ROWS).map(|row| rows(row).map(|_| texts[row % 4])))),
            5 => Arc::new(TimestampMicrosecondArray::from_iter((0..ROWS).map(|row| rows(row).map(|row| row << 40)))),
            _ => {
                Arc::new((0..ROWS).map(|row| rows(row).map(|_| texts[row % 4])).collect::<DictionaryArray<Int32Type>>())
            }
        }
    };
    let times = |may_be_null: bool| -> ArrayRef {
        let is_valid = valid(1, may_be_null);
        let at = (0..ROWS).map(|row| is_valid(row).then_some(1_735_689_600_000_000 + row as i64));
        Arc::new(TimestampMicrosecondArray::from_iter(at))
    };
    let letters = ["s"; ROWS];
    let symbols: ArrayRef = Arc::new(letters.into_iter().collect::<DictionaryArray<Int32Type>>());
    let kinds = (0..7).flat_map(|kind| [(kind, false), (kind, true)]);
    for ((kind, nulls), (next, next_nulls)) in
        kinds.clone().flat_map(|one| kinds.clone().map(move |other| (one, other)))
    {
        for (at, has_symbol, length) in (0..4).flat_map(|at| [(at, false, 1), (at, true, 1), (at, true, 40)]) {
            let name = |first: char| format!("{first}{}", "n".repeat(length));
            let mut columns = vec![
                (name('a'), field(kind, 0, nulls)),
                (name('b'), field(next, 1, next_nulls)),
                (name('c'), field(kind, 2, true)),
            ];
            if has_symbol {
                columns.insert(0, ("symbol".to_owned(), symbols.clone()));
            }
            let source = match at {
                0 => At::Server,
                1 => At::Nanos(1_735_689_600_000_000_000),
                _ => At::Column("at".to_owned()),
            };
            if at >= 2 {
                columns.push(("at".to_owned(), times(at == 3)));
            }
            let columns = columns.into_iter().map(|(name, array)| (name, array, true));
            let batch = RecordBatch::try_from_iter_with_nullable(columns).expect("columns of one length");
            let mut options = Options::new("t", source, 1 + (kind + next) as u8 % 2);
            options.null_at_server = at == 3;
            options.null_bool = NullBool::Omit;
            options.symbols = Symbols::Columns(if has_symbol { vec!["symbol".to_owned()] } else { Vec::new() });
            // Rows may be empty only where there is nothing that is never null.
            options.skip_empty_rows = !has_symbol && nulls && next_nulls;
            let what = format!("{kind} {nulls}, {next} {next_nulls}, at {at}, {has_symbol}, {length}");
            check_forms(&[batch], &options, &what);
        }
    }
}

/// Lists of the fixed size 0 within what arrow unpacks: it would lose count of their rows.
#[test]
fn lists_of_size_zero() {
    let item = Arc::new(Field::new("item", DataType::Float64, true));
    let nothing = || -> ArrayRef { Arc::new(Float64Array::from(Vec::<f64>::new())) };
    let empty: ArrayRef =
        Arc::new(FixedSizeListArray::try_new_with_length(item, 0, nothing(), None, 2).expect("two empty lists"));
    let dictionary: ArrayRef = Arc::new(DictionaryArray::new(Int32Array::from(vec![1, 0, 1]), empty.clone()));
    let views: ArrayRef = Arc::new(ListViewArray::new(
        Arc::new(Field::new("item", empty.data_type().clone(), true)),
        vec![1, 0, 2].into(),
        vec![1, 2, 0].into(),
        empty,
        None,
    ));
    let batch = RecordBatch::try_from_iter([("dictionary", dictionary), ("views", views)]).expect("a batch");
    check_forms(&[batch], &Options::new("t", At::Server, 2), "size zero");
}

/// Runs within a dictionary: arrow takes what lies under null keys for values, and every layer has to be looked through
/// to learn how wide a decimal is.
#[test]
fn runs_within_a_dictionary() {
    let decimals = Decimal32Array::from(vec![7, 8]).with_precision_and_scale(9, 2).expect("a decimal type");
    let runs = RunArray::<Int32Type>::try_new(&Int32Array::from(vec![2, 3]), &decimals).expect("runs");
    let keys = Int32Array::new(vec![2, 0, 1].into(), Some(vec![true, false, true].into()));
    let nested: ArrayRef = Arc::new(DictionaryArray::new(keys, Arc::new(runs)));
    let number: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let batch = RecordBatch::try_from_iter([("n", number), ("nested", nested)]).expect("a batch");
    check_forms(&[batch], &Options::new("t", At::Server, 3), "nested");
}
