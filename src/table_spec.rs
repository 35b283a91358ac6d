//! What a caller may choose for a table that does not exist yet: [`TableSpec`].
//!
//! Plain data: judged by the plan, which knows the frame, and written as SQL by `plan::ddl`.

use arrow_schema::Schema;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::options::{Create, WriteOptions};
use crate::plan::{Plan, Target};

/// How a missing table is created: `create` of a write, see [`Create::Table`].
///
/// What is not chosen is as without a specification: partitions of a day, no deduplication, the types that ILP itself
/// gives, columns in the frame's order and under its names, the designated timestamp among them. An existing table is
/// left as it is.
///
/// ```
/// use questframe::arrow::datatypes::{DataType, Field, Schema, TimeUnit};
/// use questframe::{TableSpec, WriteOptions};
/// let schema = Schema::new(vec![
///     Field::new("id", DataType::Utf8, true),
///     Field::new("price", DataType::Float64, true),
///     Field::new("ts", DataType::Timestamp(TimeUnit::Microsecond, None), true),
/// ]);
/// let spec = TableSpec::new().partition_by("MONTH").dedup_keys(["id"]).column_type("id", "SYMBOL");
/// assert_eq!(
///     spec.sql(&schema, &WriteOptions::table("trades").at("ts"))?,
///     "CREATE TABLE IF NOT EXISTS \"trades\" (\"id\" SYMBOL, \"price\" DOUBLE, \"ts\" TIMESTAMP) \
///      TIMESTAMP(\"ts\") PARTITION BY MONTH WAL DEDUP UPSERT KEYS(\"ts\", \"id\")"
/// );
/// # Ok::<(), questframe::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TableSpec {
    pub(crate) partition_by: Option<String>,
    pub(crate) dedup_keys: Vec<String>,
    pub(crate) types: Vec<(String, String)>,
    pub(crate) ttl: Option<String>,
    pub(crate) symbol_capacity: Vec<(String, u32)>,
    pub(crate) symbol_index: Vec<String>,
    pub(crate) narrow: bool,
}

impl TableSpec {
    /// The specification without what it says of other columns than these.
    pub(crate) fn of_columns(mut self, has: impl Fn(&str) -> bool) -> Self {
        self.types.retain(|(column, _)| has(column));
        self.symbol_capacity.retain(|(column, _)| has(column));
        self.symbol_index.retain(|column| has(column));
        self.dedup_keys.retain(|column| has(column));
        self
    }

    /// Whether it gives a column its type.
    pub(crate) fn has_type(&self, column: &str) -> bool {
        self.types.iter().any(|(known, _)| known == column)
    }

    /// Whether rows with the same keys replace each other.
    pub(crate) fn has_dedup_keys(&self) -> bool {
        !self.dedup_keys.is_empty()
    }

    /// A specification that chooses nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// The time span of a partition: `HOUR`, `DAY` (default), `WEEK`, `MONTH` or `YEAR`.
    pub fn partition_by(mut self, unit: impl Into<String>) -> Self {
        self.partition_by = Some(unit.into());
        self
    }

    /// Columns whose values, together with the designated timestamp, identify a row: a later row replaces an earlier
    /// one. The designated timestamp need not be named. Default: no deduplication.
    pub fn dedup_keys<S: Into<String>>(mut self, columns: impl IntoIterator<Item = S>) -> Self {
        self.dedup_keys = columns.into_iter().map(Into::into).collect();
        self
    }

    /// The QuestDB type of a column, as in `SYMBOL`, `DECIMAL(18,4)`, `GEOHASH(5c)` or `DOUBLE[]`.
    ///
    /// A column of type `Null`, which holds nothing and is not made otherwise, is made if it has one.
    pub fn column_type(mut self, column: impl Into<String>, questdb_type: impl Into<String>) -> Self {
        self.types.push((column.into(), questdb_type.into()));
        self
    }

    /// How long partitions are kept, as in `30 DAYS` or `2w`. Default: for ever.
    pub fn ttl(mut self, ttl: impl Into<String>) -> Self {
        self.ttl = Some(ttl.into());
        self
    }

    /// How many distinct values a symbol column is expected to have. The server rounds it up to a power of two.
    pub fn symbol_capacity(mut self, column: impl Into<String>, capacity: u32) -> Self {
        self.symbol_capacity.push((column.into(), capacity));
        self
    }

    /// Symbol columns with an index. Default: none.
    pub fn symbol_index<S: Into<String>>(mut self, columns: impl IntoIterator<Item = S>) -> Self {
        self.symbol_index = columns.into_iter().map(Into::into).collect();
        self
    }

    /// Whether columns get the smallest types that hold every value of their Arrow types: `Int16` a `SHORT` (with nulls
    /// an `INT`, since a `SHORT` has no NULL), `Int32` an `INT`, `Float32` a `FLOAT`, `Date32` a `DATE`. Default: false.
    pub fn narrow(mut self, narrow: bool) -> Self {
        self.narrow = narrow;
        self
    }

    /// The `CREATE TABLE` for a frame of this schema; runs nothing.
    ///
    /// # Errors
    /// Everything that is wrong with the schema, the options and the specification, together.
    pub fn sql(&self, schema: &Schema, options: &WriteOptions) -> Result<String> {
        let options = options.clone().create(Create::Table(self.clone()));
        Ok(Plan::offline(schema, &options, Target::Missing)?.statements().join(";\n"))
    }
}
