//! Making a plan: every column looked at once, every problem gathered.

use std::collections::HashSet;

use arrow_schema::{Field, FieldRef, Schema};

use super::at::{is_index, resolve_at, unwritten_index};
use super::column_type::ColumnType;
use super::ddl::{self, Declared};
use super::kind::Kind;
use super::landing::{Cast, Landing, Limit, land, narrow_type, natural_type};
use super::name::{DEFAULT_MAX_NAME_LEN, Name};
use super::role::{AUTO_DESIGNATED, Role, Wire, folded, nearest, same_names, shadows_designated, unknown_column};
use super::spec::Spec;
use super::{
    AtPlan, ColumnPlan, Context, NewColumn, Obstacle, Origin, Plan, PlanError, Target, TargetTable, WireUnit, same_name,
};
use crate::error::{Error, Problem};
use crate::options::{Create, Nan, NullBool, ProtocolVersion, Symbols, WriteOptions};

impl Plan {
    /// Plans a frame of this schema without a server.
    ///
    /// # Errors
    /// As [`try_new`](Self::try_new).
    pub(crate) fn offline(schema: &Schema, options: &WriteOptions, target: Target) -> Result<Self, Error> {
        let context = Context {
            table: options.table.as_deref(),
            default_at: None,
            version: options.protocol_version.unwrap_or(ProtocolVersion::V3),
            max_name_len: DEFAULT_MAX_NAME_LEN,
            nanos: true,
            target,
            is_official: false,
            takes_cells: false,
            is_offline: true,
            cuts_nanos: true,
        };
        Self::try_new(schema, options, &context)
    }

    /// Plans a frame whose lines go among others, by the rules of the official client. `takes_cells` is for frames whose
    /// metadata is our own: see [`Kind::of`].
    ///
    /// # Errors
    /// As [`try_new`](Self::try_new).
    pub(crate) fn official(
        schema: &Schema,
        options: &WriteOptions,
        max_name_len: usize,
        takes_cells: bool,
    ) -> Result<Self, Error> {
        let context = Context {
            table: options.table.as_deref(),
            default_at: None,
            version: options.protocol_version.unwrap_or(ProtocolVersion::V3),
            max_name_len,
            nanos: true,
            target: Target::Unknown,
            is_official: true,
            takes_cells,
            is_offline: true,
            cuts_nanos: true,
        };
        Self::try_new(schema, options, &context)
    }

    /// Plans a frame of this schema.
    ///
    /// # Errors
    /// Everything the schema, the options and the table can do wrong, together in one error.
    pub(crate) fn try_new(schema: &Schema, options: &WriteOptions, context: &Context<'_>) -> Result<Self, Error> {
        let mut problems = Vec::new();

        let table = match context.table {
            None => Err(PlanError::NoTable),
            Some(name) if context.is_official => Name::table_for_wire(name, context.max_name_len),
            Some(name) => Name::table(name, context.max_name_len),
        };
        let table = table.map_err(|error| problems.push(Problem::new(error))).ok();
        let table_name = table.as_ref().map(|table| table.text().to_owned());
        let obstacle = context.target.existing().and_then(|known| Some((known, known.obstacle?)));
        if let (Some((known, obstacle)), Some(table)) = (obstacle, &table) {
            problems.push(Problem::new(not_writable(obstacle, table.text(), known)));
        }

        let at = resolve_at(schema, options, context);
        let (at, at_reason) = match at {
            Ok(found) => found,
            Err(problem) => {
                problems.push(problem);
                (AtPlan::Server, None)
            }
        };
        let at_index = match at {
            AtPlan::Column { index, .. } => Some(index),
            _ => None,
        };
        if let Symbols::Columns(names) = &options.symbols {
            problems.extend(names.iter().filter_map(|name| unknown_column(schema, "symbols", name)));
            if let Some(index) = at_index
                && names.contains(schema.field(index).name())
            {
                problems.push(Problem::new(PlanError::SymbolIsAt).with_column(schema.field(index).name()));
            }
        }
        if !context.is_official {
            problems.extend(same_names(schema, at_index));
        }

        let builder = Builder { options, context, table: table_name.as_deref(), at: at.clone() };
        let spec = Spec::read(&options.create, schema, at_index, &mut problems);
        let mut columns = Vec::with_capacity(schema.fields().len());
        for (index, field) in schema.fields().iter().enumerate() {
            let is_at = Some(index) == at_index;
            let column = builder.column(index, field, is_at, &spec).unwrap_or_else(|error| {
                problems.push(Problem::new(error).with_column(field.name()));
                skipped(index, field, Kind::Null)
            });
            columns.push(column);
        }
        problems.extend(spec.not_symbols(&columns));
        if builder.origin() == Origin::Statement {
            problems.extend(spec.untyped(&columns));
        }
        if problems.is_empty() && !columns.iter().any(ColumnPlan::is_written) {
            problems.push(Problem::new(PlanError::NothingToWrite));
        }

        let designated = builder.designated(&columns, at_index, &spec);
        let (origin, statements) = match &designated {
            Some(designated) if problems.is_empty() => builder.statements(&columns, designated, &spec, &mut problems),
            _ => (builder.origin(), Vec::new()),
        };
        let is_certain = builder.is_certain();
        let mut named_as_time = Vec::new();
        if let (AtPlan::Server, Some((designated, _))) = (&at, &designated) {
            for column in columns.iter_mut().filter(|column| same_name(column.name.text(), designated)) {
                column.note.get_or_insert_with(|| "the row's time, where it is not null".to_owned());
                if column.is_written() && !context.is_official {
                    named_as_time.push(format!(
                        "column {:?} gives the rows' time where it is not null, and not the server's clock, since the table's \
                         designated timestamp has its name",
                        column.name.text()
                    ));
                }
            }
        }
        let mut notes = spec.not_applied(context);
        notes.extend(columns.iter().filter_map(|column| not_null(column, context)).chain(named_as_time));
        notes.extend(unwritten_index(schema, at_index));
        let added = added(&columns, context);
        match table {
            Some(table) if problems.is_empty() => Ok(Self {
                table,
                version: context.version,
                at,
                at_reason,
                columns,
                origin,
                is_unreadable: matches!(context.target, Target::Unreadable),
                dedup: context.target.existing().is_some_and(|table| table.dedup),
                statements,
                notes,
                added,
                designated: designated.filter(|_| is_certain),
                null_at: options.null_at,
                null_bool: options.null_bool,
                empty_rows: options.empty_rows,
                nan: options.nan,
                is_official: context.is_official,
            }),
            table => {
                let error = Error::from_problems(problems);
                Err(match &table {
                    Some(table) => error.with_table(table.text()),
                    None => error,
                })
            }
        }
    }
}

/// The columns that a table which is there does not have: made without a word they would hide a name that was misspelled.
fn added(columns: &[ColumnPlan], context: &Context<'_>) -> Vec<NewColumn> {
    /// So many are held against the names that the table has, which takes its time.
    const COMPARED: usize = 12;
    let Some(table) = context.target.existing().filter(|table| !table.columns.is_empty()) else { return Vec::new() };
    let is_new = |column: &&ColumnPlan| matches!(column.origin, Origin::Server | Origin::Statement);
    let new: Vec<_> = columns.iter().filter(is_new).collect();
    if new.is_empty() {
        return Vec::new();
    }
    let in_frame: HashSet<_> = columns.iter().map(|column| folded(column.name.text())).collect();
    let unused: Vec<_> =
        table.columns.iter().map(|(name, _)| name).filter(|name| !in_frame.contains(&folded(name))).collect();
    let told = |(place, column): (usize, &&ColumnPlan)| {
        let (name, column_type) = (column.name.text(), column.column_type.as_ref()?);
        let like = if place < COMPARED { nearest(unused.iter().copied(), name) } else { None };
        let like = like.map(|like| format!("; it has {like:?}, which the frame has not"));
        let told = format!("{name:?} ({column_type}{})", like.unwrap_or_default());
        Some(NewColumn { index: column.index, is_stated: column.origin == Origin::Statement, told })
    };
    new.iter().enumerate().filter_map(told).collect()
}

/// A column that is not written.
fn skipped(index: usize, field: &FieldRef, kind: Kind) -> ColumnPlan {
    ColumnPlan {
        index,
        name: Name::unchecked(field.name()),
        field: field.clone(),
        kind,
        role: Role::Skipped,
        cast: Cast::Keep,
        limits: Vec::new(),
        nullable: true,
        column_type: None,
        origin: Origin::Unknown,
        note: None,
        is_listed: true,
    }
}

/// Fields with this key in their metadata are of a stream in which they have had no value so far. The text is empty where each
/// row has other values.
pub(super) const NOTHING: &str = "questframe:nothing";

/// Those of a stream that has had rows before their first value.
const LATE: &str = "questframe:late";

/// That a column of nulls alone is not written where the table's has no NULL.
fn not_null(column: &ColumnPlan, context: &Context<'_>) -> Option<String> {
    let name = column.name.text();
    let there = context.target.existing().filter(|_| column.kind == Kind::Null && column.is_listed)?.column(name)?;
    let reads = match there {
        ColumnType::Boolean => "false",
        ColumnType::Byte | ColumnType::Short => "0",
        _ => return None,
    };
    Some(format!(
        "column {name:?} holds nulls only and is not written: the table's column is {there}, which has no NULL, and reads \
         {reads} in these rows"
    ))
}

struct Builder<'a> {
    options: &'a WriteOptions,
    context: &'a Context<'a>,
    table: Option<&'a str>,
    at: AtPlan,
}

impl Builder<'_> {
    /// Whether a missing table or column would be made by statements of ours, which `create="never"` only proposes.
    fn is_ours(&self) -> bool {
        matches!(self.options.create, Create::Auto | Create::Table(_) | Create::Never)
    }

    /// Whether the types that columns have or will have are known.
    fn is_certain(&self) -> bool {
        matches!(self.context.target, Target::Missing | Target::Existing(_))
    }

    fn origin(&self) -> Origin {
        match self.context.target {
            Target::Existing(_) => Origin::Existing,
            Target::Missing if self.is_ours() => Origin::Statement,
            Target::Missing => Origin::Server,
            Target::Unknown | Target::Unreadable => Origin::Unknown,
        }
    }

    /// Whether ILP gives nanosecond instants a type of their own.
    fn nanos(&self) -> bool {
        self.context.nanos && self.context.version > ProtocolVersion::V1
    }

    /// Whether a column in which no value has come yet is better not written: the NaN of a stream's first frames may be any
    /// missing value, and would make a column of floats, or text in one of text.
    fn is_of_nothing(&self, field: &Field, existing: Option<&ColumnType>, spec: &Spec) -> bool {
        let Some(says) = field.metadata().get(NOTHING).filter(|_| !self.context.is_offline) else { return false };
        match existing {
            Some(ColumnType::Double | ColumnType::Float) => !field.data_type().is_floating(),
            Some(_) => true,
            None if spec.column_type(field.name()).is_some() => true,
            // A key has to be there from the beginning, and so has what some rows have alone.
            None => !spec.given.dedup_keys.contains(field.name()) && says.is_empty(),
        }
    }

    fn column(&self, index: usize, field: &FieldRef, is_at: bool, spec: &Spec) -> Result<ColumnPlan, PlanError> {
        let context = self.context;
        let existing = context.target.existing().and_then(|table| table.column(field.name()));
        if is_at {
            // Where the table becomes ours the column becomes its own.
            if self.origin() == Origin::Statement {
                Name::column(field.name(), context.max_name_len)?;
            }
            return Ok(ColumnPlan {
                role: Role::Timestamp,
                ..skipped(index, field, Kind::of(field, context.takes_cells)?)
            });
        }
        if is_index(field) {
            return Ok(ColumnPlan { is_listed: false, ..skipped(index, field, Kind::Null) });
        }
        let mut kind = Kind::of(field, context.takes_cells)?;
        if self.is_of_nothing(field, existing, spec) {
            kind = Kind::Null;
        }
        if kind == Kind::Null {
            // There is nothing to send, but the column may be wanted.
            let made = match (spec.column_type(field.name()), existing) {
                (Some(_), Some(column_type)) => Some((column_type, Origin::Existing)),
                (Some(column_type), None) if self.is_certain() && self.is_ours() => {
                    Some((column_type, Origin::Statement))
                }
                _ => None,
            };
            return Ok(match made {
                Some((column_type, origin)) => ColumnPlan {
                    name: Name::column(field.name(), context.max_name_len)?,
                    column_type: Some(column_type.clone()),
                    origin,
                    ..skipped(index, field, kind)
                },
                None => skipped(index, field, kind),
            });
        }
        let name = Name::column(field.name(), context.max_name_len)?;

        let wants_symbol = self.wants_symbol(index, field, kind, spec)?;
        let origin = match (existing, &context.target) {
            (Some(_), _) => Origin::Existing,
            (None, Target::Existing(_)) => Origin::Server,
            _ => self.origin(),
        };
        let natural = natural_type(kind, wants_symbol, self.nanos());
        let (column_type, origin) = match (existing, origin) {
            (Some(column_type), _) => (column_type.clone(), origin),
            (None, Origin::Unknown) => (natural, origin),
            (None, origin) => {
                let chosen = spec.column_type(field.name()).cloned();
                let narrow = if spec.given.narrow { narrow_type(kind, field.is_nullable()) } else { None };
                let column_type = chosen.or(narrow).unwrap_or_else(|| natural.clone());
                // What ILP does not make, or would make otherwise, takes a statement.
                let ilp = matches!(natural, ColumnType::Decimal { .. } | ColumnType::Uuid)
                    || column_type != natural
                    || spec.declared(field.name(), column_type.clone())
                        != Declared::new(field.name(), column_type.clone());
                let column_type =
                    if !self.is_ours() && column_type == ColumnType::Uuid { ColumnType::Varchar } else { column_type };
                (
                    column_type,
                    if origin == Origin::Server && ilp && self.is_ours() { Origin::Statement } else { origin },
                )
            }
        };
        let certain = origin != Origin::Unknown;
        let landing = land(kind, field.data_type(), &column_type, context.version, certain)
            .map_err(|error| self.with_cure(error, field.name(), kind, wants_symbol, existing))?;
        self.check_created(field.name(), existing, origin, &column_type, kind)?;
        if !context.is_official
            && let Some(error) = shadows_designated(field.name(), landing.wire, &self.at, context, self.is_ours())
        {
            return Err(error);
        }
        let Landing { wire, symbol, mut cast, mut limits, note } = landing;
        if let (Cast::Text { .. }, Kind::Float { .. }) = (cast, kind) {
            cast = Cast::Text { omits_nan: self.options.nan == Nan::Omit };
        }
        let mut cut = None;
        if context.cuts_nanos && limits.contains(&Limit::WireMicros) {
            limits.retain(|limit| *limit != Limit::WireMicros);
            cut = Some("cut to microseconds, since protocol version 1 carries no more".to_owned());
        }
        // In a column of numbers, whose NULL is one, a null boolean is like any other null.
        let has_null = certain && column_type.is_number_with_null();
        if wire == Wire::Boolean && self.options.null_bool == NullBool::Error && !has_null {
            limits.push(Limit::NotNull);
            if field.metadata().contains_key(LATE) {
                return Err(PlanError::LateBoolean);
            }
        }
        let other = existing.and(spec.column_type(field.name())).filter(|chosen| **chosen != column_type);
        let other = other.map(|chosen| format!("{column_type} as the table has it, and not {chosen}"));
        let note = [note, cut, other].into_iter().flatten().reduce(|first, second| format!("{first}; {second}"));
        let role = if wants_symbol && symbol { Role::Symbol } else { Role::Field(wire) };
        let nullable = field.is_nullable()
            // A dictionary's keys may all be there and a value they point to null.
            || matches!(field.data_type(), arrow_schema::DataType::Dictionary(..) | arrow_schema::DataType::RunEndEncoded(..))
            || (wire == Wire::Float && self.options.nan == Nan::Omit)
            // NaN has no other form there.
            || (matches!(kind, Kind::Float { .. }) && cast != Cast::Keep);
        Ok(ColumnPlan {
            index,
            name,
            field: field.clone(),
            kind,
            role,
            cast,
            limits,
            nullable,
            column_type: Some(column_type),
            origin,
            note,
            is_listed: true,
        })
    }

    fn wants_symbol(&self, index: usize, field: &Field, kind: Kind, spec: &Spec) -> Result<bool, PlanError> {
        let listed = match &self.options.symbols {
            Symbols::Columns(names) => names.contains(field.name()),
            Symbols::Positions(positions) => positions.contains(&index),
            _ => false,
        };
        let Kind::Text { dictionary } = kind else {
            return if listed {
                Err(PlanError::SymbolType { data_type: field.data_type().to_string() })
            } else {
                Ok(false)
            };
        };
        if let Some(column_type) = spec.column_type(field.name()) {
            return Ok(*column_type == ColumnType::Symbol);
        }
        Ok(match &self.options.symbols {
            Symbols::Auto => dictionary,
            Symbols::All => true,
            Symbols::None => false,
            Symbols::Columns(_) | Symbols::Positions(_) => listed,
        })
    }

    /// The statement that would help against a conflict of types, where there is one that keeps what the column holds.
    fn with_cure(
        &self,
        error: PlanError,
        column: &str,
        kind: Kind,
        symbol: bool,
        existing: Option<&ColumnType>,
    ) -> PlanError {
        let (Some(table), PlanError::Conflict { column_type, data_type, why, ddl: None }) = (self.table, &error) else {
            return error;
        };
        let natural = natural_type(kind, symbol, self.nanos());
        let is_designated = self.context.target.existing().and_then(|known| known.designated.as_deref());
        let is_designated = is_designated.is_some_and(|designated| same_name(designated, column));
        let helps = !is_designated && existing.is_some_and(|existing| existing.can_become(&natural));
        let ddl = helps.then(|| ddl::alter_type(table, column, &natural));
        PlanError::Conflict { column_type: column_type.clone(), data_type: data_type.clone(), why: why.clone(), ddl }
    }

    /// What `create` has against a column that is not there.
    fn check_created(
        &self,
        name: &str,
        existing: Option<&ColumnType>,
        origin: Origin,
        column_type: &ColumnType,
        kind: Kind,
    ) -> Result<(), PlanError> {
        let (None, Target::Existing(known), Some(table)) = (existing, &self.context.target, self.table) else {
            let by_server = origin == Origin::Server && matches!(kind, Kind::Decimal { .. });
            return match self.table {
                Some(table) if by_server && existing.is_none() => Err(PlanError::NeedsStatement {
                    column_type: column_type.to_string(),
                    ddl: format!("CREATE TABLE {} (..., {} {column_type}, ...)", ddl::quoted(table), ddl::quoted(name)),
                }),
                _ => Ok(()),
            };
        };
        let ddl = ddl::add_column(table, &Declared::new(name, column_type.clone()));
        match self.options.create {
            Create::Never => {
                let nearest = nearest(known.columns.iter().map(|(known, _)| known), name);
                Err(PlanError::MissingColumn { nearest, ddl })
            }
            Create::Server if matches!(kind, Kind::Decimal { .. }) => {
                Err(PlanError::NeedsStatement { column_type: column_type.to_string(), ddl })
            }
            _ => Ok(()),
        }
    }

    /// The designated timestamp's name and type.
    fn designated(&self, columns: &[ColumnPlan], at: Option<usize>, spec: &Spec) -> Option<(String, ColumnType)> {
        if let Target::Existing(table) = &self.context.target {
            let name = table.designated.clone()?;
            let column_type = table.column(&name).cloned().unwrap_or(ColumnType::Timestamp);
            return Some((name, column_type));
        }
        let ours = self.is_ours();
        let (name, nanos) = match (&self.at, at) {
            (AtPlan::Column { unit, .. }, Some(index)) => {
                let name = if ours { columns[index].name.text() } else { AUTO_DESIGNATED };
                (name.to_owned(), *unit == WireUnit::Nanos)
            }
            (AtPlan::Constant { text }, _) => (AUTO_DESIGNATED.to_owned(), text.ends_with(b"n")),
            // A field of that name is the row's time.
            _ => {
                let field =
                    columns.iter().find(|column| same_name(column.name.text(), AUTO_DESIGNATED) && column.is_written());
                let name = field.map_or(AUTO_DESIGNATED, |field| field.name.text()).to_owned();
                (name, field.is_some_and(|field| field.column_type == Some(ColumnType::TimestampNs)))
            }
        };
        let natural = if nanos && self.nanos() { ColumnType::TimestampNs } else { ColumnType::Timestamp };
        let column_type = spec.column_type(&name).cloned().unwrap_or(natural);
        Some((name, column_type))
    }

    /// Where the table comes from, and the statements that make what is missing.
    fn statements(
        &self,
        columns: &[ColumnPlan],
        (designated, designated_type): &(String, ColumnType),
        spec: &Spec,
        problems: &mut Vec<Problem>,
    ) -> (Origin, Vec<String>) {
        let Some(table) = self.table else { return (Origin::Unknown, Vec::new()) };
        let declare = |column: &ColumnPlan| {
            let column_type = match column.role {
                Role::Timestamp => Some(designated_type.clone()),
                _ => column.column_type.clone(),
            };
            column_type.map(|column_type| spec.declared(column.name.text(), column_type))
        };
        let create = || {
            let mut declared: Vec<_> = columns.iter().filter_map(declare).collect();
            if !declared.iter().any(|column| same_name(&column.name, designated)) {
                declared.push(Declared::new(designated, designated_type.clone()));
            }
            let mut keys: Vec<String> = Vec::new();
            for key in &spec.given.dedup_keys {
                if !same_name(key, designated) && !keys.contains(key) {
                    keys.push(key.clone());
                }
            }
            ddl::create_table(&ddl::Table {
                name: table,
                columns: declared,
                designated,
                partition_by: spec.partition_by.unwrap_or("DAY"),
                ttl: spec.ttl.clone(),
                dedup_keys: keys,
                dedup: !spec.given.dedup_keys.is_empty(),
            })
        };
        match (&self.context.target, &self.options.create) {
            (Target::Missing, Create::Never) => {
                let ddl = create().join("; ");
                problems.push(Problem::new(PlanError::MissingTable { ddl }));
            }
            (Target::Unreadable, Create::Never) => problems.push(Problem::new(PlanError::CannotLook)),
            (Target::Missing, _) if self.is_ours() => return (Origin::Statement, create()),
            (Target::Existing(_), _) => {
                let added = columns.iter().filter(|column| column.origin == Origin::Statement).filter_map(declare);
                return (Origin::Existing, added.map(|column| ddl::add_column(table, &column)).collect());
            }
            _ => {}
        }
        (self.origin(), Vec::new())
    }
}

/// Why ILP cannot write into a table, and what helps.
fn not_writable(obstacle: Obstacle, table: &str, known: &TargetTable) -> PlanError {
    let name = ddl::quoted(table);
    let designated = known.designated.clone().or_else(|| {
        let is_instant =
            |column_type: &ColumnType| matches!(column_type, ColumnType::Timestamp | ColumnType::TimestampNs);
        known.columns.iter().find(|(_, column_type)| is_instant(column_type)).map(|(name, _)| name.clone())
    });
    let copy_name = ddl::quoted(&format!("{table}_wal"));
    let copy = match designated.as_deref().map(ddl::quoted) {
        Some(designated) => format!(
            "copy it into one that it can: CREATE TABLE {copy_name} AS (SELECT * FROM {name}) TIMESTAMP({designated}) \
             PARTITION BY DAY WAL"
        ),
        None => {
            let free = |name: &&str| known.column(name).is_none();
            let added = [AUTO_DESIGNATED, "ts", "written_at"].into_iter().find(free).unwrap_or("copied_at");
            format!(
                "copy it into one that it can: CREATE TABLE {copy_name} AS (SELECT *, now() AS {added} FROM {name}) \
                 TIMESTAMP({added}) PARTITION BY DAY WAL"
            )
        }
    };
    let (what, cure) = match obstacle {
        Obstacle::NoWal => (
            "a table without a write-ahead log",
            format!("run: ALTER TABLE {name} SET TYPE WAL, and restart the server"),
        ),
        Obstacle::NoPartitions => ("a table without partitions", copy),
        Obstacle::NoDesignatedTimestamp => ("a table without a designated timestamp", copy),
        Obstacle::View => ("a view", "write into the table that it selects from".to_owned()),
        Obstacle::MaterializedView => ("a materialized view", "write into the table that it is made from".to_owned()),
    };
    PlanError::NotWritable { what, cure }
}
