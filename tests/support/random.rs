//! Random frames: a [`Case`] is a small, printable description that proptest draws and shrinks;
//! [`Case::batches`] makes Arrow data of it, with every layout Arrow allows.
//!
//! Cells depend on the column's seed and the row's number alone, so shrinking a case keeps the rest of its
//! data. What a slice hides and what lies under a null is filled with values that could not be sent: an
//! encoder that looks at them fails.

mod arrays;
mod values;

use std::ops::RangeInclusive;
use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use proptest::prelude::*;
use proptest::sample::select;

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
                Field::new(column.name.text(index), column.data_type.clone(), nullable)
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
    /// With values that cannot be sent, and options that refuse nulls.
    pub(crate) faulty: bool,
}

/// Frames of this shape for this protocol version.
pub(crate) fn case(version: u8, shape: Shape) -> impl Strategy<Value = Case> {
    let Shape { columns, chunks, rows, faulty } = shape;
    let columns = prop::collection::vec(column(), columns);
    let chunks = prop::collection::vec(select(rows), chunks);
    let at = prop_oneof![
        12 => at_column(faulty),
        2 => Just(AtSource::Server),
        1 => seed().prop_map(|seed| AtSource::Nanos(values::integer_up_to(&mut Dice::new(seed, &[]), 9_214_646_399_999_999_999))),
        1 => seed().prop_map(|seed| AtSource::Micros(values::integer_up_to(&mut Dice::new(seed, &[]), 9_214_646_399_999_999))),
    ];
    let symbols = prop_oneof![
        4 => Just(SymbolChoice::Auto),
        2 => Just(SymbolChoice::All),
        1 => Just(SymbolChoice::None),
        2 => seed().prop_map(SymbolChoice::Some),
    ];
    (columns, at, chunks, select(TABLES.to_vec()), symbols, policies(faulty)).prop_map(
        move |(mut columns, at, chunks, table, symbols, policies)| {
            // A frame without anything to write is refused by its schema, which is not what is looked at here.
            if columns.iter().all(|column| column.data_type == DataType::Null) {
                columns[0].data_type = DataType::Int64;
            }
            Case { columns, at, chunks, version, table, symbols, policies, faulty }
        },
    )
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

fn column() -> impl Strategy<Value = Column> {
    let data_type = prop_oneof![
        5 => select(plain_types()),
        2 => select(vec![DataType::Utf8, DataType::LargeUtf8, DataType::Utf8View]),
        2 => select(dictionary_types(&[DataType::Utf8, DataType::LargeUtf8, DataType::Utf8View])),
        2 => select(dictionary_types(&plain_types())),
    ];
    let name = prop_oneof![
        6 => Just(Name::Short),
        3 => select(vec![Name::Spaces, Name::Equals, Name::Accents, Name::Wide, Name::Symbols, Name::Controls]),
        1 => select(vec![31, 32, 63, 64, 65, 126, 127]).prop_map(Name::Long),
    ];
    let nulls = prop_oneof![
        4 => Just(Nulls::Absent),
        5 => select(vec![Nulls::NoneSet, Nulls::Few, Nulls::Half, Nulls::Runs, Nulls::All]),
    ];
    (data_type, nulls, name, any::<bool>(), any::<bool>(), seed()).prop_map(
        |(data_type, nulls, name, declared_non_null, shared_dictionary, seed)| Column {
            data_type,
            nulls,
            name,
            declared_non_null,
            shared_dictionary,
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
    (select(time_types()), nulls, order, 0..6_usize, seed()).prop_map(|(data_type, nulls, order, place, seed)| {
        let column =
            Column { data_type, nulls, name: Name::Short, declared_non_null: false, shared_dictionary: false, seed };
        AtSource::Column { place, column, order }
    })
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_text(values),
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

/// All types but dictionaries.
fn plain_types() -> Vec<DataType> {
    use DataType::*;
    let mut types = vec![Int64, Float64, Utf8, Boolean, Int8, Int16, Int32, UInt8, UInt16, UInt32, UInt64];
    types.extend([Float16, Float32, LargeUtf8, Utf8View, Null]);
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
