//! What a caller has chosen for a table: read, held against the frame, and against a table that is there.

use arrow_schema::Schema;

use super::column_type::ColumnType;
use super::ddl::{self, Declared};
use super::kind::Kind;
use super::role::{Role, unknown_column};
use super::{ColumnPlan, Context, Origin, PlanError, TargetTable, same_name};
use crate::error::Problem;
use crate::options::Create;
use crate::table_spec::TableSpec;

/// The most that the server takes for a symbol column, which is cached.
const MAX_SYMBOL_CAPACITY: u32 = 1 << 25;

/// The least that it takes.
const MIN_SYMBOL_CAPACITY: u32 = 2;

/// A specification whose parts have been read.
#[derive(Debug, Default)]
pub(super) struct Spec {
    types: Vec<(String, ColumnType)>,
    pub(super) partition_by: Option<&'static str>,
    pub(super) ttl: Option<String>,
    pub(super) given: TableSpec,
}

impl Spec {
    /// Reads what was chosen for a frame of this schema, whose designated timestamp is this column.
    pub(super) fn read(create: &Create, schema: &Schema, at: Option<usize>, problems: &mut Vec<Problem>) -> Self {
        let Create::Table(given) = create else { return Self::default() };
        let mut spec = Spec { given: given.clone(), ..Spec::default() };
        let mut wrong = |argument, value: &str, expected, column: Option<&str>| {
            let problem = Problem::new(PlanError::TableSpec { argument, value: value.to_owned(), expected });
            problems.push(match column {
                Some(column) => problem.with_column(column),
                None => problem,
            });
        };
        if let Some(unit) = &given.partition_by {
            spec.partition_by = ddl::partition_unit(unit);
            if spec.partition_by.is_none() {
                wrong("partition_by", unit, "HOUR, DAY, WEEK, MONTH or YEAR", None);
            }
        }
        if let Some(ttl) = &given.ttl {
            spec.ttl = ddl::ttl(ttl);
            if spec.ttl.is_none() {
                wrong("ttl", ttl, "a number of hours, days, weeks, months or years, as in 30 DAYS or 2w", None);
            }
        }
        for (name, text) in &given.types {
            let is_at = at.is_some_and(|index| schema.field(index).name() == name);
            let is_instant =
                |column_type: &ColumnType| matches!(column_type, ColumnType::Timestamp | ColumnType::TimestampNs);
            match text.parse() {
                Ok(column_type) if !is_at || is_instant(&column_type) => spec.types.push((name.clone(), column_type)),
                _ if is_at => {
                    wrong("types", text, "TIMESTAMP or TIMESTAMP_NS for the designated timestamp", Some(name))
                }
                _ => wrong("types", text, "a type of QuestDB, as in SYMBOL, DECIMAL(18,4) or DOUBLE[]", Some(name)),
            }
        }
        for (name, capacity) in &given.symbol_capacity {
            if !(1..=MAX_SYMBOL_CAPACITY).contains(capacity) {
                wrong("symbol_capacity", &capacity.to_string(), "from 1 to 33554432", Some(name));
            }
        }
        let named = [
            ("types", given.types.iter().map(|(name, _)| name).collect::<Vec<_>>()),
            ("dedup_keys", given.dedup_keys.iter().collect()),
            ("symbol_capacity", given.symbol_capacity.iter().map(|(name, _)| name).collect()),
            ("symbol_index", given.symbol_index.iter().collect()),
        ];
        for (argument, names) in named {
            problems.extend(names.iter().filter_map(|name| unknown_column(schema, argument, name)));
        }
        spec
    }

    pub(super) fn column_type(&self, name: &str) -> Option<&ColumnType> {
        self.types.iter().find(|(known, _)| known == name).map(|(_, column_type)| column_type)
    }

    /// Capacities and indexes of new columns that are no symbols: they would be forgotten without a word.
    pub(super) fn not_symbols(&self, columns: &[ColumnPlan]) -> Vec<Problem> {
        let capacities = self.given.symbol_capacity.iter().map(|(name, _)| ("symbol_capacity", name));
        let indexes = self.given.symbol_index.iter().map(|name| ("symbol_index", name));
        capacities
            .chain(indexes)
            .filter_map(|(argument, name)| {
                let column = columns.iter().find(|column| column.name.text() == name)?;
                let column_type = column.column_type.as_ref().filter(|_| column.origin != Origin::Existing)?;
                let error = PlanError::NotSymbol { argument, column_type: column_type.to_string() };
                (*column_type != ColumnType::Symbol).then(|| Problem::new(error).with_column(name))
            })
            .collect()
    }

    /// Columns of a new table that it lists and that are not made: of nulls alone nothing tells the type.
    pub(super) fn untyped(&self, columns: &[ColumnPlan]) -> Vec<Problem> {
        let keys = self.given.dedup_keys.iter().map(|name| ("dedup_keys", name));
        let capacities = self.given.symbol_capacity.iter().map(|(name, _)| ("symbol_capacity", name));
        let indexes = self.given.symbol_index.iter().map(|name| ("symbol_index", name));
        keys.chain(capacities)
            .chain(indexes)
            .filter_map(|(argument, name)| {
                let column = columns.iter().find(|column| column.name.text() == name)?;
                let is_made = column.column_type.is_some() || column.role != Role::Skipped;
                (column.kind == Kind::Null && column.is_listed && !is_made)
                    .then(|| Problem::new(PlanError::Untyped { argument }).with_column(name))
            })
            .collect()
    }

    /// What was chosen and a table that is there does not have.
    pub(super) fn not_applied(&self, context: &Context<'_>) -> Vec<String> {
        let Some((name, table)) = context.table.zip(context.target.existing()) else { return Vec::new() };
        [self.partitions_differ(table), self.ttl_differs(name, table), self.keys_differ(name, table)]
            .into_iter()
            .flatten()
            .collect()
    }

    fn partitions_differ(&self, table: &TargetTable) -> Option<String> {
        let (chosen, known) = self.partition_by.zip(table.partition_by.as_deref())?;
        (chosen != known).then(|| {
            format!("the table was there and is partitioned by {known}, and partition_by is given to a new one only")
        })
    }

    fn ttl_differs(&self, name: &str, table: &TargetTable) -> Option<String> {
        let (chosen, (count, unit)) = self.ttl.as_ref().zip(table.ttl.as_ref())?;
        let known = ddl::ttl(&format!("{count} {unit}"));
        if known.as_deref().is_some_and(|known| ddl::is_same_span(known, chosen)) {
            return None;
        }
        let has = known.map_or_else(|| "no TTL".to_owned(), |known| format!("a TTL of {known}"));
        let sql = format!("ALTER TABLE {} SET TTL {chosen}", ddl::quoted(name));
        Some(format!("the table was there and has {has}, and ttl is given to a new one only; {sql}"))
    }

    /// That a table which is there does not drop second copies of rows as was asked for.
    fn keys_differ(&self, name: &str, table: &TargetTable) -> Option<String> {
        if !self.given.has_dedup_keys() {
            return None;
        }
        let list = |keys: &[&String]| keys.iter().map(|key| ddl::quoted(key)).collect::<Vec<_>>().join(", ");
        let mut keys: Vec<_> = table.designated.iter().collect();
        for key in &self.given.dedup_keys {
            if !keys.iter().any(|known| same_name(known, key)) {
                keys.push(key);
            }
        }
        let is_key = |name: &String| keys.iter().any(|key| same_name(key, name));
        let has = match table.keys.as_slice() {
            _ if !table.dedup => "no deduplication keys".to_owned(),
            [] => return None,
            known if known.len() == keys.len() && known.iter().all(is_key) => return None,
            known => format!("the deduplication keys {}", list(&known.iter().collect::<Vec<_>>())),
        };
        let sql = format!("ALTER TABLE {} DEDUP ENABLE UPSERT KEYS({})", ddl::quoted(name), list(&keys));
        Some(format!("the table was there and has {has}, and dedup_keys are given to a new one only; {sql}"))
    }

    pub(super) fn declared(&self, name: &str, column_type: ColumnType) -> Declared {
        let is_symbol = column_type == ColumnType::Symbol;
        let mut declared = Declared::new(name, column_type);
        if is_symbol {
            let capacity = self.given.symbol_capacity.iter().find(|(known, _)| known == name);
            declared.capacity = capacity.map(|(_, capacity)| (*capacity).max(MIN_SYMBOL_CAPACITY));
            declared.index = self.given.symbol_index.iter().any(|known| known == name);
        }
        declared
    }
}
