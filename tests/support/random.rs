//! Random frames: a [`Case`] is a small, printable description that proptest draws and shrinks;
//! [`Case::batches`] makes Arrow data of it, with every layout Arrow allows.
//!
//! Cells depend on the column's seed and the row's number alone, so shrinking a case keeps the rest of its
//! data. What a slice hides and what lies under a null is filled with values that could not be sent: an
//! encoder that looks at them fails.

mod arrays;
mod lists;
mod values;

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::reference::{At, NullBool, Options, Symbols};
use arrays::{AtRule, Chunk};
use values::Dice;

/// One frame and how it is to be encoded.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    columns: Vec<Column>,
    at: AtSource,
    /// The rows of each batch.
    chunks: Vec<usize>,
    version: u8,
    table: &'static str,
    symbols: SymbolChoice,
    policies: Policies,
    /// Some values are out of their range.
    faulty: bool,
}

/// A column but for its rows.
#[derive(Clone, Debug)]
struct Column {
    data_type: DataType,
    nulls: Nulls,
    name: Name,
    /// The schema says that there is no null (where none is drawn). A dictionary's values may be null all the same.
    declared_non_null: bool,
    /// Every chunk has the same dictionary instead of its own.
    shared_dictionary: bool,
    /// No string is long.
    short: bool,
    seed: u64,
}

/// What a column's name looks like.
#[derive(Clone, Copy, Debug)]
enum Name {
    Short,
    Spaces,
    Equals,
    Accents,
    Wide,
    Symbols,
    Controls,
    Long(usize),
}

/// Where nulls are.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Nulls {
    /// There is no validity buffer.
    Absent,
    /// There is a validity buffer, which says that all is valid.
    NoneSet,
    Few,
    Half,
    /// Long runs of nulls and of values.
    Runs,
    All,
}

/// Where the row's timestamp comes from.
#[derive(Clone, Debug)]
enum AtSource {
    /// A column, which stands at this place of the frame (as far as there are so many columns).
    Column {
        place: usize,
        column: Column,
        order: Order,
    },
    Server,
    Nanos(i64),
    Micros(i64),
}

/// How the `at` column's values follow each other.
#[derive(Clone, Copy, Debug)]
enum Order {
    Sorted,
    Random,
    Equal,
    /// From one digit to the longest, in random order.
    Digits,
}

/// Which columns are symbols; `Some` takes about half of those with strings.
#[derive(Clone, Copy, Debug)]
enum SymbolChoice {
    Auto,
    All,
    None,
    Some(u64),
}

/// The options about nulls and NaN.
#[derive(Clone, Copy, Debug)]
struct Policies {
    null_bool: NullBool,
    null_at_server: bool,
    skip_empty_rows: bool,
    omit_nan: bool,
}

const TABLES: [&str; 6] = [
    "t",
    "my table",
    "sensors-1.eu",
    "a=b; c",
    "ünï 漢字",
    "a table whose name is as long as the server takes it and that is no more than one hundred and twenty-seven bytes of UTF-8 altog",
];

impl Case {
    /// The case with a column to write: a frame without any is refused by its schema, which is not what is looked at
    /// here.
    fn with_something(mut self) -> Self {
        if self.columns.iter().all(|column| is_nothing(&column.data_type)) {
            self.columns[0].data_type = DataType::Int64;
        }
        self
    }

    /// The case as lines written panel by panel: to leave rows out is a step of its own, by which none are. If `all_null`,
    /// no field but a dictionary's is there in every row.
    fn in_panels(mut self, all_null: bool) -> Self {
        self.policies.skip_empty_rows = false;
        for column in self.columns.iter_mut().filter(|column| all_null && !is_text(&column.data_type)) {
            if matches!(column.nulls, Nulls::Absent | Nulls::NoneSet) {
                column.nulls = Nulls::Few;
            }
        }
        self
    }

    /// How the reference encoder is to encode it.
    pub(crate) fn options(&self) -> Options {
        let at = match &self.at {
            AtSource::Column { .. } => At::Column("at".to_owned()),
            AtSource::Server => At::Server,
            AtSource::Nanos(nanos) => At::Nanos(*nanos),
            AtSource::Micros(micros) => At::Micros(*micros),
        };
        let symbols = match self.symbols {
            SymbolChoice::Auto => Symbols::Auto,
            SymbolChoice::All => Symbols::All,
            SymbolChoice::None => Symbols::None,
            SymbolChoice::Some(seed) => Symbols::Columns(
                (self.columns.iter().enumerate())
                    .filter(|(_, column)| is_text(&column.data_type))
                    .filter(|(index, _)| Dice::new(seed, &[*index as u64]).chance(2))
                    .map(|(index, column)| column.name.text(index))
                    .collect(),
            ),
        };
        let Policies { null_bool, null_at_server, skip_empty_rows, omit_nan } = self.policies;
        Options {
            symbols,
            null_bool,
            null_at_server,
            skip_empty_rows,
            omit_nan,
            ..Options::new(self.table, at, self.version)
        }
    }

    pub(crate) fn schema(&self) -> SchemaRef {
        let mut fields: Vec<Field> = (self.columns.iter().enumerate())
            .map(|(index, column)| {
                let nullable = !column.declared_non_null || !matches!(column.nulls, Nulls::Absent | Nulls::NoneSet);
                let field = Field::new(column.name.text(index), column.data_type.clone(), nullable);
                match column.data_type {
                    DataType::FixedSizeBinary(_) => field.with_metadata(uuid_metadata()),
                    _ => field,
                }
            })
            .collect();
        if let AtSource::Column { place, column, .. } = &self.at {
            fields.insert((*place).min(fields.len()), Field::new("at", column.data_type.clone(), true));
        }
        Arc::new(Schema::new(fields))
    }

    pub(crate) fn batches(&self) -> Vec<RecordBatch> {
        let schema = self.schema();
        let mut first_row = 0;
        let batch = |(number, &rows): (usize, &usize)| {
            let chunk = Chunk { number: number as u64, first_row, rows, faulty: self.faulty };
            first_row += rows as u64;
            let mut arrays: Vec<_> = self.columns.iter().map(|column| column.array(chunk, None)).collect();
            if let AtSource::Column { place, column, order } = &self.at {
                let rule = AtRule { order: *order, version: self.version };
                arrays.insert((*place).min(arrays.len()), column.array(chunk, Some(rule)));
            }
            // Stated, because a frame may have no column at all to count its rows by.
            let options = RecordBatchOptions::new().with_row_count(Some(rows));
            RecordBatch::try_new_with_options(schema.clone(), arrays, &options).expect("a record batch")
        };
        self.chunks.iter().enumerate().map(batch).collect()
    }
}

impl Name {
    fn text(self, index: usize) -> String {
        match self {
            Self::Short => format!("c{index}"),
            Self::Spaces => format!(" {index} with spaces"),
            Self::Equals => format!("a=b{index}="),
            Self::Accents => format!("ünïcode{index}"),
            Self::Wide => format!("漢字🦀{index}"),
            Self::Symbols => format!("p;q&r#|[@{{$!<{index}"),
            Self::Controls => format!("\u{10}\u{1f}{index}"),
            Self::Long(length) => format!("{index:n>length$}"),
        }
    }
}

/// How large the frames are that [`case`] draws.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) columns: RangeInclusive<usize>,
    pub(crate) chunks: RangeInclusive<usize>,
    /// The numbers of rows a chunk may have.
    pub(crate) rows: Vec<usize>,
    pub(crate) types: Types,
    /// With values that cannot be sent, and options that refuse nulls.
    pub(crate) faulty: bool,
}

/// The types of the columns that [`case`] draws.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Types {
    /// All that the protocol version can carry.
    Any,
    /// Lists of numbers.
    Lists,
    /// What lines of very many columns are written panel by panel of; in every second frame all but dictionaries have nulls.
    Panels,
}

/// Frames of this shape for this protocol version.
pub(crate) fn case(version: u8, shape: Shape) -> impl Strategy<Value = Case> {
    let Shape { columns, chunks, rows, types, faulty } = shape;
    let columns = prop::collection::vec(column(version, types), columns);
    let chunks = prop::collection::vec(select(rows), chunks);
    (columns, at(faulty), chunks, select(TABLES.to_vec()), symbols(), policies(faulty), any::<bool>()).prop_map(
        move |(columns, at, chunks, table, symbols, policies, all_null)| {
            let case = Case { columns, at, chunks, version, table, symbols, policies, faulty };
            if types == Types::Panels { case.in_panels(all_null) } else { case }.with_something()
        },
    )
}

/// One such frame, drawn from numbers of so many bytes. Each number decides one part of it, so that a fuzzer that changes
/// one keeps the rest, which it would not do by changing what proptest draws from: that falls out of step.
pub(crate) fn drawn_case(version: u8, shape: &Shape, number: &mut dyn FnMut(usize) -> u64) -> Case {
    fn drawn<S: Strategy>(strategy: S, number: u64) -> S::Value {
        let seed: Vec<u8> = [number; 4].iter().flat_map(|word| word.to_le_bytes()).collect();
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
        let mut runner = TestRunner::new_with_rng(Config::default(), rng);
        strategy.new_tree(&mut runner).expect("nothing is filtered").current()
    }
    let faulty = shape.faulty;
    let policies = drawn(policies(faulty), number(1));
    let symbols = drawn(symbols(), number(1));
    let table = drawn(select(TABLES.to_vec()), number(1));
    let at = match drawn(at(faulty), number(2)) {
        AtSource::Column { place, column, order } => {
            AtSource::Column { place, column: Column { seed: number(8), ..column }, order }
        }
        constant => constant,
    };
    let chunks =
        (0..drawn(shape.chunks.clone(), number(1))).map(|_| drawn(select(shape.rows.clone()), number(1))).collect();
    let columns = (0..drawn(shape.columns.clone(), number(1)))
        .map(|_| Column { seed: number(8), ..drawn(column(version, shape.types), number(2)) })
        .collect();
    let case = Case { columns, at, chunks, version, table, symbols, policies, faulty };
    if shape.types == Types::Panels { case.in_panels(number(1) & 1 == 1) } else { case }.with_something()
}

fn at(faulty: bool) -> impl Strategy<Value = AtSource> {
    prop_oneof![
        12 => at_column(faulty),
        2 => Just(AtSource::Server),
        1 => seed().prop_map(|seed| AtSource::Nanos(values::integer_up_to(&mut Dice::new(seed, &[]), 9_214_646_399_999_999_999))),
        1 => seed().prop_map(|seed| AtSource::Micros(values::integer_up_to(&mut Dice::new(seed, &[]), 9_214_646_399_999_999))),
    ]
}

fn symbols() -> impl Strategy<Value = SymbolChoice> {
    prop_oneof![
        4 => Just(SymbolChoice::Auto),
        2 => Just(SymbolChoice::All),
        1 => Just(SymbolChoice::None),
        2 => seed().prop_map(SymbolChoice::Some),
    ]
}

fn policies(faulty: bool) -> impl Strategy<Value = Policies> {
    let refused = if faulty { 0.5 } else { 0.05 };
    let null_bool = prop_oneof![
        (refused * 20.0) as u32 => Just(NullBool::Error),
        10 => select(vec![NullBool::False, NullBool::Omit]),
    ];
    let accepted = || prop::bool::weighted(1.0 - refused);
    (null_bool, accepted(), accepted(), any::<bool>()).prop_map(
        |(null_bool, null_at_server, skip_empty_rows, omit_nan)| Policies {
            null_bool,
            null_at_server,
            skip_empty_rows,
            omit_nan,
        },
    )
}

/// A seed shrinks to other data, not to simpler data, so it stays as it is.
fn seed() -> impl Strategy<Value = u64> {
    any::<u64>().no_shrink()
}

fn column(version: u8, types: Types) -> impl Strategy<Value = Column> {
    let data_type = match types {
        Types::Any => any_type(version),
        Types::Lists => list_type().boxed(),
        Types::Panels => panel_type().boxed(),
    };
    let name = prop_oneof![
        6 => Just(Name::Short),
        3 => select(vec![Name::Spaces, Name::Equals, Name::Accents, Name::Wide, Name::Symbols, Name::Controls]),
        u32::from(types != Types::Panels) => select(vec![31, 32, 63, 64, 65, 126, 127]).prop_map(Name::Long),
    ];
    let nulls = prop_oneof![
        4 => Just(Nulls::Absent),
        5 => select(vec![Nulls::NoneSet, Nulls::Few, Nulls::Half, Nulls::Runs, Nulls::All]),
    ];
    (data_type, nulls, name, any::<bool>(), any::<bool>(), seed()).prop_map(
        move |(data_type, nulls, name, declared_non_null, shared_dictionary, seed)| Column {
            data_type,
            nulls,
            name,
            declared_non_null,
            shared_dictionary,
            short: types == Types::Panels,
            seed,
        },
    )
}

fn at_column(faulty: bool) -> impl Strategy<Value = AtSource> {
    // Two in three without nulls: they switch off what an encoder does for the common case.
    let nulls = prop_oneof![
        4 => select(vec![Nulls::Absent, Nulls::NoneSet]),
        if faulty { 1 } else { 2 } => select(vec![Nulls::Few, Nulls::Half, Nulls::Runs, Nulls::All]),
    ];
    let order = select(vec![Order::Sorted, Order::Random, Order::Equal, Order::Digits]);
    let data_type = prop_oneof![
        12 => select(time_types()),
        1 => select(time_types()).prop_flat_map(encoded),
    ];
    (data_type, nulls, order, 0..6_usize, seed()).prop_map(|(data_type, nulls, order, place, seed)| {
        let column = Column {
            data_type,
            nulls,
            name: Name::Short,
            declared_non_null: false,
            shared_dictionary: false,
            short: false,
            seed,
        };
        AtSource::Column { place, column, order }
    })
}

/// All types that the protocol version can carry.
fn any_type(version: u8) -> BoxedStrategy<DataType> {
    let texts = [DataType::Utf8, DataType::LargeUtf8, DataType::Utf8View];
    // What stands for nothing in lines of this version is not drawn.
    let lists = if version >= 2 { 1 } else { 0 };
    let decimals = if version >= 3 { 1 } else { 0 };
    // Dictionaries and runs of UUIDs lose what marks them as such.
    let other = || {
        prop_oneof![
            5 => select(plain_types()),
            2 * lists => list_type(),
            2 * decimals => decimal_type(),
        ]
    };
    prop_oneof![
        10 => select(plain_types()),
        4 => select(texts.to_vec()),
        4 => select(dictionary_types(&texts)),
        4 * lists => list_type(),
        4 * decimals => decimal_type(),
        1 => Just(DataType::FixedSizeBinary(16)),
        4 => other().prop_flat_map(dictionary),
        3 => other().prop_flat_map(runs),
        1 => select(dictionary_types(&texts)).prop_flat_map(runs),
        // One within the other.
        1 => other().prop_flat_map(runs).prop_flat_map(encoded),
    ]
    .boxed()
}

/// Types whose values are short, of any number of columns.
fn panel_type() -> impl Strategy<Value = DataType> {
    let codes = |key| DataType::Dictionary(Box::new(key), Box::new(DataType::Utf8));
    prop_oneof![
        4 => Just(codes(DataType::UInt32)),
        1 => Just(codes(DataType::Int32)),
        3 => Just(DataType::Float64),
        2 => select(vec![DataType::Int64, DataType::Int16, DataType::Boolean]),
    ]
}

/// Dictionaries of these values with any type of key. A dictionary of nulls has no values to draw.
fn dictionary(values: DataType) -> impl Strategy<Value = DataType> {
    let values = if values == DataType::Null { DataType::Int64 } else { values };
    select(dictionary_types(&[values]))
}

/// Runs of these values.
fn runs(values: DataType) -> impl Strategy<Value = DataType> {
    let values = Arc::new(Field::new("values", values, true));
    select(vec![DataType::Int32, DataType::Int16, DataType::Int64])
        .prop_map(move |ends| DataType::RunEndEncoded(Arc::new(Field::new("run_ends", ends, false)), values.clone()))
}

/// Dictionaries or runs of these values.
fn encoded(values: DataType) -> impl Strategy<Value = DataType> {
    prop_oneof![dictionary(values.clone()), runs(values)]
}

/// Lists of up to three dimensions, of any numbers, each dimension in a layout of its own.
fn list_type() -> impl Strategy<Value = DataType> {
    use DataType::*;
    let numbers = vec![
        Float64, Float64, Float64, Float32, Float16, Int64, Int32, Int16, Int8, UInt64, UInt32, UInt16, UInt8, Null,
    ];
    let levels = prop_oneof![
        3 => prop::collection::vec(0..8_usize, 1),
        4 => prop::collection::vec(0..8_usize, 2..=3),
    ];
    (select(numbers), levels).prop_map(|(number, levels)| {
        levels.into_iter().fold(number, |inner, level| {
            let item = Arc::new(Field::new("item", inner, true));
            match level {
                0 => List(item),
                1 => LargeList(item),
                2 => ListView(item),
                3 => LargeListView(item),
                fixed => FixedSizeList(item, [2, 0, 1, 3][fixed % 4]),
            }
        })
    })
}

/// Decimals of any width, precision and scale. A negative scale rarely takes more digits than QuestDB stores.
fn decimal_type() -> impl Strategy<Value = DataType> {
    let scale = prop_oneof![
        3 => 0..=100_i64,
        1 => -9..0_i64,
        1 => select(vec![-76, -77, -128_i64]),
    ];
    let digits = prop_oneof![2 => 0..=100_u64, 1 => select(vec![0, 1])];
    (0..4_usize, digits, scale, any::<bool>()).prop_map(|(width, digits, scale, fitting)| {
        let most = [9, 18, 38, 76][width];
        // From the most digits downward.
        let mut digits = most - digits as i64 % most;
        let scale = if scale > 0 { (scale - 1) % digits + 1 } else { scale };
        if fitting && scale < 0 {
            digits = digits.min(76 + scale).max(1);
        }
        let (digits, scale) = (digits as u8, scale as i8);
        match width {
            0 => DataType::Decimal32(digits, scale),
            1 => DataType::Decimal64(digits, scale),
            2 => DataType::Decimal128(digits, scale),
            _ => DataType::Decimal256(digits, scale),
        }
    })
}

/// What tells sixteen bytes to be a UUID.
fn uuid_metadata() -> HashMap<String, String> {
    HashMap::from([("ARROW:extension:name".to_owned(), "arrow.uuid".to_owned())])
}

/// Whether columns of this type are not written at all.
fn is_nothing(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_nothing(values),
        DataType::RunEndEncoded(_, values) => is_nothing(values.data_type()),
        plain => *plain == DataType::Null,
    }
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_text(values),
        DataType::RunEndEncoded(_, values) => is_text(values.data_type()),
        plain => matches!(plain, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View),
    }
}

fn time_types() -> Vec<DataType> {
    let units = [TimeUnit::Microsecond, TimeUnit::Nanosecond, TimeUnit::Millisecond, TimeUnit::Second];
    let zones = [None, Some("UTC"), Some("+05:30"), Some("America/New_York")];
    let mut types: Vec<_> =
        (units.into_iter()).flat_map(|unit| zones.map(|zone| DataType::Timestamp(unit, zone.map(Arc::from)))).collect();
    types.extend([DataType::Date32, DataType::Date64]);
    types
}

/// All types of every protocol version but for dictionaries, runs and UUIDs.
fn plain_types() -> Vec<DataType> {
    use DataType::*;
    let mut types = vec![Int64, Float64, Utf8, Boolean, Int8, Int16, Int32, UInt8, UInt16, UInt32, UInt64];
    types.extend([Float16, Float32, LargeUtf8, Utf8View, Null]);
    types.extend([TimeUnit::Second, TimeUnit::Millisecond].map(Time32));
    types.extend([TimeUnit::Microsecond, TimeUnit::Nanosecond].map(Time64));
    types.extend([TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond].map(Duration));
    types.extend(time_types());
    types
}

/// Dictionaries of these values with every type of key.
fn dictionary_types(values: &[DataType]) -> Vec<DataType> {
    use DataType::*;
    let keys = [Int32, UInt32, Int8, Int16, Int64, UInt8, UInt16, UInt64];
    (values.iter())
        .filter(|values| **values != Null)
        .flat_map(|values| keys.clone().map(|key| Dictionary(Box::new(key), Box::new(values.clone()))))
        .collect()
}
