//! Polars frames give the bytes of the same data as Arrow batches, without being copied or changed.

use std::fmt;
use std::sync::Arc;

use polars::polars_utils::total_ord::{TotalEq, TotalHash};
use polars::prelude::*;
use questframe::arrow::array::cast::AsArray;
use questframe::arrow::array::types::{Float64Type, Int8Type};
use questframe::arrow::array::{
    self as arrow, Array, ArrayRef, DictionaryArray, Float64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use questframe::polars::WriteQuestDb;
use questframe::{
    At, Client, EmptyRows, ErrorKind, Frame, IntoSource, NullBool, ProtocolVersion, Source, Symbols, WriteOptions,
    to_ilp,
};

/// 2025-01-02T03:04:05Z in microseconds.
const START: i64 = 1_735_787_045_000_000;

/// More than the pieces in which constants and small chunks are read.
const MANY: usize = 150_000;

fn column(name: &str, values: impl IntoSeries) -> Column {
    values.into_series().with_name(name.into()).into_column()
}

fn series<T, P: ?Sized>(values: T) -> Series
where
    Series: NamedFrom<T, P>,
{
    Series::new(PlSmallStr::EMPTY, values)
}

fn frame<const N: usize>(columns: [(&str, Series); N]) -> DataFrame {
    let columns = columns.map(|(name, values)| column(name, values));
    DataFrame::new_infer_height(columns.into()).expect("a frame")
}

fn batch<const N: usize>(columns: [(&str, ArrayRef); N]) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, values)| (name, values, true))).expect("a batch")
}

fn array(array: impl Array + 'static) -> ArrayRef {
    Arc::new(array)
}

fn options() -> WriteOptions {
    WriteOptions::table("t").at(At::Server).null_bool(NullBool::Omit)
}

fn lines(frame: &DataFrame, options: &WriteOptions) -> String {
    to_ilp(frame, options).expect("lines").escape_ascii().to_string()
}

/// Both write the same lines, in every version.
#[track_caller]
fn assert_same(frame: &DataFrame, batch: &RecordBatch, options: &WriteOptions) {
    for version in [ProtocolVersion::V1, ProtocolVersion::V2, ProtocolVersion::V3] {
        let options = options.clone().protocol_version(version);
        let expected = to_ilp(batch, &options).expect("lines").escape_ascii().to_string();
        assert!(!expected.is_empty());
        assert_eq!(lines(frame, &options), expected, "{version}");
    }
}

fn source(frame: &DataFrame) -> Box<dyn Frame + '_> {
    match frame.into_source() {
        Source::Frame(frame) => frame,
        Source::Stream(_) => panic!("a frame can be read again"),
    }
}

fn read(frame: &dyn Frame, columns: Option<&[usize]>) -> Vec<RecordBatch> {
    frame.batches(columns).collect::<Result<_, _>>().expect("batches")
}

/// A series of these chunks.
fn chunked(chunks: impl IntoIterator<Item = Series>) -> Series {
    chunks
        .into_iter()
        .reduce(|mut all, chunk| {
            all.append(&chunk).expect("the same type");
            all
        })
        .expect("a chunk")
}

/// The same values in chunks of these lengths.
fn cut(values: &Series, lengths: &[usize]) -> Series {
    assert_eq!(values.len(), lengths.iter().sum::<usize>());
    let mut start = 0;
    let series = chunked(lengths.iter().map(|length| {
        start += length;
        // Without the copy, polars may see through the slices.
        values.slice((start - length) as i64, *length).rechunk()
    }));
    assert_eq!(series.n_chunks(), lengths.len());
    series
}

fn categorical() -> DataType {
    DataType::from_categories(Categories::global())
}

fn an_enum<const N: usize>(categories: [&str; N]) -> DataType {
    DataType::from_frozen_categories(FrozenCategories::new(categories).expect("categories"))
}

#[test]
fn every_type_that_is_written() {
    let us = DataType::Datetime(TimeUnit::Microseconds, None);
    let micros = [Some(START), None, Some(0)];
    let datetime = |unit| series(micros).cast(&DataType::Datetime(unit, None)).expect("a cast");
    let zoned =
        DataType::Datetime(TimeUnit::Microseconds, TimeZone::opt_try_new(Some("Europe/Paris")).expect("a zone"));
    let cast = |dtype: DataType| series([Some(1_i64), None, Some(100)]).cast(&dtype).expect("a cast");
    let polars = frame([
        ("cat", series([Some("a b"), None, Some("é")]).cast(&categorical()).expect("a cast")),
        ("enum", series([Some("y"), None, Some("x")]).cast(&an_enum(["x", "y"])).expect("a cast")),
        ("bool", series([Some(true), None, Some(false)])),
        ("i8", cast(DataType::Int8)),
        ("i16", cast(DataType::Int16)),
        ("i32", cast(DataType::Int32)),
        ("i64", series([Some(i64::MAX), None, Some(i64::MIN + 1)])),
        ("u8", cast(DataType::UInt8)),
        ("u16", cast(DataType::UInt16)),
        ("u32", cast(DataType::UInt32)),
        ("u64", cast(DataType::UInt64)),
        ("f16", series([Some(1.5_f32), None, Some(-0.25)]).cast(&DataType::Float16).expect("a cast")),
        ("f32", series([Some(0.1_f32), None, Some(f32::INFINITY)])),
        ("f64", series([Some(0.1), None, Some(f64::NAN)])),
        ("str", series([Some("\"quoted\""), None, Some("longer than twelve bytes, so not inlined")])),
        ("date", series([Some(20_090_i32), None, Some(-1)]).cast(&DataType::Date).expect("a cast")),
        ("ms", datetime(TimeUnit::Milliseconds)),
        ("us", datetime(TimeUnit::Microseconds)),
        ("ns", datetime(TimeUnit::Nanoseconds)),
        ("zoned", series(micros).cast(&us).and_then(|values| values.cast(&zoned)).expect("a cast")),
        ("null", Series::new_null("null".into(), 3)),
        ("id", series([1_i64, 2, 3])),
        ("ts", series([START, START + 1, START + 2]).cast(&us).expect("a cast")),
    ]);
    let micros = micros.to_vec();
    let integers = [Some(1), None, Some(100)];
    let symbols =
        |values: [Option<&str>; 3]| -> ArrayRef { array(values.into_iter().collect::<DictionaryArray<Int8Type>>()) };
    let equal = batch([
        ("cat", symbols([Some("a b"), None, Some("é")])),
        ("enum", symbols([Some("y"), None, Some("x")])),
        ("bool", array(arrow::BooleanArray::from(vec![Some(true), None, Some(false)]))),
        ("i8", array(arrow::Int8Array::from_iter(integers))),
        ("i16", array(arrow::Int16Array::from_iter(integers.map(|v| v.map(i16::from))))),
        ("i32", array(arrow::Int32Array::from_iter(integers.map(|v| v.map(i32::from))))),
        ("i64", array(arrow::Int64Array::from(vec![Some(i64::MAX), None, Some(i64::MIN + 1)]))),
        ("u8", array(arrow::UInt8Array::from_iter(integers.map(|v| v.map(|v| v as u8))))),
        ("u16", array(arrow::UInt16Array::from_iter(integers.map(|v| v.map(|v| v as u16))))),
        ("u32", array(arrow::UInt32Array::from_iter(integers.map(|v| v.map(|v| v as u32))))),
        ("u64", array(arrow::UInt64Array::from_iter(integers.map(|v| v.map(|v| v as u64))))),
        ("f16", array(arrow::Float32Array::from(vec![Some(1.5), None, Some(-0.25)]))),
        ("f32", array(arrow::Float32Array::from(vec![Some(0.1), None, Some(f32::INFINITY)]))),
        ("f64", array(Float64Array::from(vec![Some(0.1), None, Some(f64::NAN)]))),
        (
            "str",
            array(StringArray::from(vec![Some("\"quoted\""), None, Some("longer than twelve bytes, so not inlined")])),
        ),
        ("date", array(arrow::Date32Array::from(vec![Some(20_090), None, Some(-1)]))),
        ("ms", array(arrow::TimestampMillisecondArray::from(micros.clone()))),
        ("us", array(TimestampMicrosecondArray::from(micros.clone()))),
        ("ns", array(arrow::TimestampNanosecondArray::from(micros.clone()))),
        ("zoned", array(TimestampMicrosecondArray::from(micros).with_timezone("Europe/Paris"))),
        ("null", array(arrow::NullArray::new(3))),
        ("id", array(arrow::Int64Array::from(vec![1, 2, 3]))),
        ("ts", array(TimestampMicrosecondArray::from(vec![START, START + 1, START + 2]))),
    ]);
    let options = options().at("ts");
    assert_same(&polars, &equal, &options);
    assert_same(&polars, &equal, &options.clone().symbols(Symbols::None));
    assert_same(&polars, &equal, &options.symbols(Symbols::All));
}

#[test]
fn types_that_are_not_written_are_refused_by_name() {
    let integers = || series([1_i64, 2]);
    let cast = |dtype: DataType| integers().cast(&dtype).expect("a cast");
    let too_wide = |dtype: DataType| {
        let wide = series([9_223_372_036_854_775_807_i64, 0]).cast(&dtype).expect("a cast");
        (&wide + &wide).expect("a sum")
    };
    let refused = [
        ("i128", too_wide(DataType::Int128)),
        ("u128", too_wide(DataType::UInt128)),
        ("wide list", cast(DataType::List(Box::new(DataType::Int128)))),
        ("object", ObjectChunked::new_from_vec("object".into(), vec![Thing(1), Thing(2)]).into_series()),
        ("binary", series([b"a".as_slice(), b"b"])),
        ("list", cast(DataType::String).cast(&DataType::List(Box::new(DataType::String))).expect("a cast")),
        ("struct", frame([("a", integers()), ("b\0", integers())]).into_struct("struct".into()).into_series()),
    ];
    let names: Vec<_> = refused.iter().map(|(name, _)| *name).collect();
    let polars = frame(refused);
    let error = to_ilp(&polars, &options()).expect_err("refusals");
    assert_eq!(error.kind(), ErrorKind::BadDataFrame);
    assert_eq!(error.problems().len(), names.len(), "{error}");
    for name in names {
        assert!(error.to_string().contains(&format!("column {name:?}")), "{name}: {error}");
    }

    // What Arrow does not know is told apart from binary values by its extension type.
    let source = source(&polars);
    let schema = source.schema();
    let extension = |index: usize| schema.field(index).extension_type_name();
    assert_eq!(
        [0, 1, 2, 4].map(extension),
        [Some("polars.Int128"), Some("polars.UInt128"), Some("polars.List(Int128)"), None]
    );
    assert!(extension(3).is_some_and(|name| name.starts_with("polars.Object")));
    // Those who read it all the same hear of it, once.
    for index in 0..4 {
        let mut batches = source.batches(Some(&[index]));
        let error = batches.next().expect("an error").expect_err("an error").to_string();
        assert!(error.contains(&format!("{:?}", schema.field(index).name())), "{error}");
        assert!(batches.next().is_none());
    }
}

#[test]
fn wide_integers_lists_decimals_times_and_durations_are_written() {
    let integers = || series([1_i64, 2]);
    let cast = |dtype: DataType| integers().cast(&dtype).expect("a cast");
    let lists = || cast(DataType::List(Box::new(DataType::Float64)));
    for (written, expected) in [
        (cast(DataType::Int128), "t a=1i\nt a=2i\n".as_bytes().to_vec()),
        (cast(DataType::UInt128), b"t a=1i\nt a=2i\n".to_vec()),
        (cast(DataType::Time), b"t a=1i\nt a=2i\n".to_vec()),
        (cast(DataType::Duration(TimeUnit::Microseconds)), b"t a=1000i\nt a=2000i\n".to_vec()),
        (
            cast(DataType::Decimal(10, 2)),
            [1, 2].map(|n: i128| [b"t a==\x17\x02\x10".as_slice(), &(100 * n).to_be_bytes(), b"\n"].concat()).concat(),
        ),
        (lists(), arrays()),
        (lists().cast(&DataType::Array(Box::new(DataType::Float64), 1)).expect("a cast"), arrays()),
        (cast(DataType::List(Box::new(DataType::Int32))).slice(0, 2), arrays()),
    ] {
        let dtype = written.dtype().clone();
        let lines = to_ilp(&frame([("a", written)]), &WriteOptions::table("t").at(At::Server));
        assert_eq!(lines.expect("lines"), expected, "{dtype:?}");
    }
    // Lists that hold nothing have no type of items.
    let empty = Series::new("a".into(), [Series::new_empty("".into(), &DataType::Null)]);
    let lines = to_ilp(&frame([("a", empty)]), &WriteOptions::table("t").at(At::Server)).expect("lines");
    assert_eq!(lines, b"t a==\x0e\x0a\x01\0\0\0\0\n");
}

/// Lines of the arrays `[1]` and `[2]`.
fn arrays() -> Vec<u8> {
    [1.0_f64, 2.0].map(|n| [b"t a==\x0e\x0a\x01\x01\0\0\0".as_slice(), &n.to_le_bytes(), b"\n"].concat()).concat()
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Thing(u8);

impl fmt::Display for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("thing")
    }
}

impl TotalEq for Thing {
    fn tot_eq(&self, other: &Self) -> bool {
        self == other
    }
}

impl TotalHash for Thing {
    fn tot_hash<H: std::hash::Hasher>(&self, state: &mut H) {
        std::hash::Hash::hash(self, state);
    }
}

impl PolarsObject for Thing {
    fn type_name() -> &'static str {
        "thing"
    }
}

/// A frame with something of everything that could go wrong at the edges of chunks.
fn many(rows: usize) -> [(&'static str, Series); 6] {
    let every = |n: usize, row: usize| !row.is_multiple_of(n);
    let words = ["", "a b", "longer than twelve bytes, so not inlined"];
    let word = |row: usize| every(7, row).then(|| format!("{} {row}", words[row % 3]));
    let symbol = |row: usize| every(5, row).then(|| ["x", "y", "z"][row % 3]);
    [
        ("cat", series((0..rows).map(symbol).collect::<Vec<_>>()).cast(&categorical()).expect("a cast")),
        ("enum", series((0..rows).map(symbol).collect::<Vec<_>>()).cast(&an_enum(["z", "y", "x"])).expect("a cast")),
        ("bool", series((0..rows).map(|row| every(3, row).then_some(row % 2 == 0)).collect::<Vec<_>>())),
        ("f64", series((0..rows).map(|row| every(11, row).then_some(row as f64 / 8.0)).collect::<Vec<_>>())),
        ("str", series((0..rows).map(word).collect::<Vec<_>>())),
        ("n", series((0..rows as i64).collect::<Vec<_>>())),
    ]
}

#[test]
fn chunks_that_end_at_different_rows() {
    let whole = many(10_000);
    let expected = lines(&frame(whole.clone()), &options());
    let [cat, an_enum, bools, floats, strings, n] = whole.map(|(name, values)| (name, values));
    let cut_frame = frame([
        (cat.0, cut(&cat.1, &[3_000, 3_000, 4_000])),
        (an_enum.0, cut(&an_enum.1, &[5_000, 5_000])),
        (bools.0, cut(&bools.1, &[3_001, 6_999])),
        (floats.0, floats.1),
        (strings.0, cut(&strings.1, &[2_999, 1, 7_000])),
        (n.0, cut(&n.1, &[8_000, 2_000])),
    ]);
    let chunks: Vec<_> = cut_frame.columns().iter().map(Column::n_chunks).collect();
    assert_eq!(lines(&cut_frame, &options()), expected);
    // The caller's frame is what it was.
    assert_eq!(cut_frame.columns().iter().map(Column::n_chunks).collect::<Vec<_>>(), chunks);

    let source = source(&cut_frame);
    assert_eq!(source.rows(), 10_000);
    let rows = |batches: Vec<RecordBatch>| batches.iter().map(RecordBatch::num_rows).collect::<Vec<_>>();
    assert_eq!(rows(read(&*source, None)), [2_999, 1, 1, 1_999, 1_000, 2_000, 2_000]);
    // Only the chosen columns matter, in their order; and it can be read again.
    let chosen = read(&*source, Some(&[3, 1]));
    assert_eq!(
        chosen[0].schema().fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>(),
        ["f64", "enum"]
    );
    assert_eq!(rows(chosen), [5_000, 5_000]);
    assert_eq!(rows(read(&*source, Some(&[]))), [10_000]);
    assert!(source.batches(Some(&[6])).next().is_some_and(|batch| batch.is_err()));
}

#[test]
fn very_many_small_chunks() {
    let rows = 70_000;
    let whole = many(rows);
    let expected = lines(&frame(whole.clone()), &options());
    let lengths = vec![100; rows / 100];
    let cut_frame = frame(whole.map(|(name, values)| (name, cut(&values, &lengths))));
    assert_eq!(lines(&cut_frame, &options()), expected);
    // Not in batches of 100 rows.
    assert_eq!(read(&*source(&cut_frame), None).len(), 2);
    assert!(cut_frame.columns().iter().all(|column| column.n_chunks() == rows / 100));
}

#[test]
fn slices_of_a_frame() {
    let whole = frame(many(9_000));
    // Version 1 has no raw bytes, so that its lines can be told apart.
    let options = options().protocol_version(ProtocolVersion::V1);
    let text = to_ilp(&whole, &options).expect("lines");
    let text: Vec<_> = text.split_inclusive(|byte| *byte == b'\n').collect();
    for (start, rows) in [(0, 1), (1, 1), (3, 64), (7, 4_096), (4_095, 4_905), (8_999, 1)] {
        let slice = whole.slice(start as i64, rows);
        assert_eq!(to_ilp(&slice, &options).expect("lines"), text[start..start + rows].concat(), "{start}, {rows}");
    }
}

#[test]
fn numbers_are_not_copied() {
    let prices = cut(&series((0..5_000).map(f64::from).collect::<Vec<_>>()), &[2_000, 3_000]);
    let addresses: Vec<_> =
        prices.f64().expect("floats").downcast_iter().map(|chunk| chunk.values().as_ptr()).collect();
    let names = series(vec!["longer than twelve bytes, so not inlined"; 5_000]);
    let whole = frame([("price", prices), ("name", names)]);
    let batches = read(&*source(&whole), None);
    let of = |batch: &RecordBatch| {
        let prices = batch.column(0).as_primitive::<Float64Type>();
        prices.values().as_ptr()
    };
    assert_eq!(batches.iter().map(of).collect::<Vec<_>>(), addresses);

    // The batches keep what they need when the frame is gone.
    drop(whole);
    let sum: f64 =
        batches.iter().map(|batch| batch.column(0).as_primitive::<Float64Type>().values().iter().sum::<f64>()).sum();
    assert_eq!(sum, f64::from(5_000 * 4_999 / 2));
}

#[test]
fn categories_of_every_width() {
    let words = [Some("b"), None, Some("a"), Some("b")];
    let equal = batch([("s", array(words.into_iter().collect::<DictionaryArray<Int8Type>>()))]);
    let options = options().empty_rows(EmptyRows::Skip);
    for physical in [CategoricalPhysical::U8, CategoricalPhysical::U16, CategoricalPhysical::U32] {
        let dtype =
            DataType::from_categories(Categories::new(format!("{physical:?}").into(), "frame".into(), physical));
        let few = series(words).cast(&dtype).expect("a cast");
        assert_same(&frame([("s", few.clone())]), &equal, &options);
        // Now there are many more categories than rows.
        let _others = series((0..200).map(|n| format!("other {n}")).collect::<Vec<_>>()).cast(&dtype).expect("a cast");
        assert_same(&frame([("s", few)]), &equal, &options);
    }
    let categories: Vec<_> = (0..300).map(|n| n.to_string()).chain(["a".to_owned(), "b".to_owned()]).collect();
    let wide = FrozenCategories::new(categories.iter().map(String::as_str)).expect("categories");
    let wide = series(words).cast(&DataType::from_frozen_categories(wide)).expect("a cast");
    assert_same(&frame([("s", wide)]), &equal, &options);
}

#[test]
fn chunks_of_a_categorical_share_their_dictionary() {
    let words: Vec<_> = (0..6_000).map(|row| ["x", "y"][row % 2]).collect();
    let dtype = DataType::from_categories(Categories::random("frame".into(), CategoricalPhysical::U32));
    let words = cut(&series(words).cast(&dtype).expect("a cast"), &[2_000, 2_000, 2_000]);
    let batches = read(&*source(&frame([("s", words)])), None);
    let values = |batch: &RecordBatch| batch.column(0).as_any_dictionary().values().to_data();
    assert_eq!(batches.len(), 3);
    assert!(batches.iter().all(|batch| values(batch).ptr_eq(&values(&batches[0]))));
}

#[test]
fn constant_columns() {
    let constant = |name: &str, value: Series| {
        Column::new_scalar(
            name.into(),
            Scalar::new(value.dtype().clone(), value.get(0).expect("a value").into_static()),
            MANY,
        )
    };
    let columns = vec![
        constant("cat", series(["BTC-USD"]).cast(&categorical()).expect("a cast")),
        constant("str", series(["longer than twelve bytes, so not inlined"])),
        constant("null", series([None::<f64>])),
        column("n", series((0..MANY as i64).collect::<Vec<_>>())),
    ];
    assert!(columns[0].as_scalar_column().is_some());
    let scalars = DataFrame::new(MANY, columns).expect("a frame");
    let written = lines(&scalars, &options());
    // Nothing was cached in the caller's columns.
    assert!(scalars.columns()[..3].iter().all(|column| {
        column.as_scalar_column().is_some_and(|scalar| scalar.lazy_as_materialized_series().is_none())
    }));
    for column in scalars.columns() {
        column.as_materialized_series();
    }
    assert!(written == lines(&scalars, &options()));
    assert_eq!(written.matches("t,cat=BTC-USD str=").count(), MANY);
    assert!(source(&scalars).schema().field(2).is_nullable());

    // A frame of constants alone.
    let alone = DataFrame::new(MANY, vec![constant("s", series(["a"]))]).expect("a frame");
    assert!(lines(&alone, &options()) == r#"t s=\"a\"\n"#.repeat(MANY));
}

#[test]
fn frames_without_rows() {
    let empty = frame(many(10)).clear();
    assert_eq!(lines(&empty, &options()), "");
    assert_eq!(read(&*source(&empty), None).len(), 0);
    assert_eq!(to_ilp(&DataFrame::empty(), &options()).expect_err("nothing").kind(), ErrorKind::BadDataFrame);
}

#[test]
fn the_schema_knows_which_columns_have_nulls() {
    let polars = frame([
        ("some", series([Some(1_i64), None])),
        ("none", series([Some(1_i64), Some(2)])),
        ("cat", series(["a", "b"]).cast(&categorical()).expect("a cast")),
        ("null", Series::new_null("null".into(), 2)),
    ]);
    let schema = source(&polars).schema();
    let fields: Vec<_> =
        schema.fields().iter().map(|field| (field.data_type().to_string(), field.is_nullable())).collect();
    let expected = [("Int64", true), ("Int64", false), ("Dictionary(UInt32, Utf8View)", false), ("Null", true)];
    assert_eq!(fields, expected.map(|(data_type, nullable)| (data_type.to_owned(), nullable)));
    // A column of nothing is skipped.
    assert_eq!(lines(&polars, &options()).replace("\\n", "\n"), "t,cat=a some=1i,none=1i\nt,cat=b none=2i\n");
}

#[test]
fn a_name_with_a_nul_is_an_error_and_no_panic() {
    let polars = frame([("a\0b", series([1_i64]))]);
    let error = to_ilp(&polars, &options()).expect_err("a bad name");
    assert_eq!((error.kind(), error.column()), (ErrorKind::InvalidName, Some("a\0b")));
}

#[test]
fn errors_name_the_row_over_all_chunks() {
    let micros = DataType::Datetime(TimeUnit::Microseconds, None);
    let ts: Vec<_> = (0..5_000_i64).map(|row| if row == 4_321 { -1 } else { START + row }).collect();
    let ts = cut(&series(ts).cast(&micros).expect("a cast"), &[2_000, 3_000]);
    let polars = frame([("n", series((0..5_000_i64).collect::<Vec<_>>())), ("ts", ts)]);
    let error = to_ilp(&polars, &WriteOptions::table("t").at("ts")).expect_err("a negative timestamp");
    assert_eq!((error.column(), error.row()), (Some("ts"), Some(4_321)), "{error}");
}

#[test]
fn frames_are_written_in_one_call() {
    let polars = df!("n" => [1_i64, 2]).expect("a frame");
    let error = polars.write_questdb("http::addr", &options()).expect_err("a bad configuration");
    assert_eq!(error.kind(), ErrorKind::ConfigError, "{error}");
    // Nobody listens there.
    let conf = "http::addr=127.0.0.1:1;protocol_version=2;";
    let error = polars.write_questdb(conf, &options().check(false)).expect_err("no server");
    assert_eq!((error.kind(), error.delivery().unsent.first()), (ErrorKind::SocketError, Some(&(0..2))), "{error}");
    let client = Client::from_conf(conf).expect("a client");
    let error = polars.write_questdb_with(&client, &options().check(false)).expect_err("no server");
    assert_eq!(error.kind(), ErrorKind::SocketError, "{error}");
    let error = client.write(&polars, &options().check(false)).expect_err("no server");
    assert_eq!(error.kind(), ErrorKind::SocketError, "{error}");
}
