//! Rows that waited on disk, held against the table that they go to.
//!
//! They were planned for the table as it was seen last, or by a client that had never seen it. A column that is of another
//! type by now would take many values and store others, without a word. So where a type is not what it was, the lines are
//! made a frame again, and that is planned, checked and encoded for the table that is there, like any other.

use arrow_array::RecordBatchIterator;
use arrow_schema::ArrowError;
use bytes::Bytes;

use super::hosts::Host;
use super::{Client, Tick};
use crate::encode::{Decoded, decoded, line_ends};
use crate::error::{Error, Result};
use crate::options::{At, Create, NullAt, WriteOptions};
use crate::plan::column_type::ColumnType;
use crate::plan::{Context, Plan, Target, TargetTable, same_name};
use crate::sender::lines_of;
use crate::spool::{Header, MadeColumn, MadeFor, Making};
use crate::transport::{ServerInfo, TransportError};

/// The designated timestamps' name where nobody has given one.
const UNNAMED: &str = "timestamp";

/// What is to be sent of a segment.
pub(super) enum Fit {
    /// Its lines as they are.
    AsTheyAre,
    /// These, after these statements.
    Anew(Vec<String>, Bytes),
    /// Nothing: why not.
    Unfit(String),
    /// Nothing now: the server did not tell.
    Unknown(TransportError),
}

impl Client {
    /// How the rows of a segment land in the table that is there now. `is_closed`: the server runs no statements for us.
    ///
    /// # Errors
    /// When `tick` ends it, or in a forked process.
    pub(super) fn fit(
        &self,
        host: &Host,
        header: &Header,
        body: &[u8],
        is_closed: bool,
        tick: Tick<'_>,
    ) -> Result<Fit> {
        let Some(made_for) = &header.made_for else { return Ok(Fit::AsTheyAre) };
        let target = match self.target(host, &header.table, None, tick) {
            Ok(target) => target,
            Err(error) => return error.into_transport().map(Fit::Unknown),
        };
        let info = host.server.get();
        Ok(match (&target, &made_for.create) {
            (Target::Existing(table), _) if fits(made_for, table) => Fit::AsTheyAre,
            (Target::Missing, Making::Never) => Fit::Unfit(format!(
                "there is no table {:?}, and create=\"never\" has it that none is made",
                header.table
            )),
            _ => {
                let place = Place {
                    target,
                    is_closed,
                    nanos: info.is_none_or(ServerInfo::has_nanos),
                    max_name_len: info.and_then(|info| info.max_name_len).unwrap_or(self.0.config.max_name_len()),
                };
                anew(header, made_for, body, place).unwrap_or_else(|error| Fit::Unfit(error.to_string()))
            }
        })
    }
}

/// Where rows go, as far as it has a say in how they are encoded.
struct Place {
    target: Target,
    is_closed: bool,
    nanos: bool,
    max_name_len: usize,
}

/// Whether all columns are there, of the types that they were planned for, and none is taken for the time that was not.
fn fits(made_for: &MadeFor, table: &TargetTable) -> bool {
    let is_type = |name: &str, planned: &str| table.column(name) == Some(&ColumnType::of_server(planned));
    let Some(((planned, planned_type), designated)) = made_for.designated.as_ref().zip(table.designated.as_ref())
    else {
        return false;
    };
    table.obstacle.is_none()
        && is_type(designated, planned_type)
        && made_for.columns.iter().all(|column| is_type(&column.name, &column.column_type))
        && (same_name(planned, designated)
            || !made_for.columns.iter().any(|column| same_name(&column.name, designated)))
}

/// Cells that are read back at a time: lines may have few of many columns, and a column has room for each row.
const CELLS: usize = 1 << 21;

/// Makes the lines anew for the table that is there, or for one that is missing.
///
/// # Errors
/// What a plan and a check have against them.
fn anew(header: &Header, made_for: &MadeFor, body: &[u8], place: Place) -> Result<Fit> {
    let (version, target) = (header.protocol_version, place.target);
    let existing = |column: &MadeColumn| match &target {
        Target::Existing(table) => table.column(&column.name).cloned(),
        _ => None,
    };
    for column in &made_for.columns {
        let planned = ColumnType::of_server(&column.column_type);
        match existing(column) {
            Some(now) if column.is_bound && now != planned => {
                return Ok(Fit::Unfit(format!(
                    "column {:?} was {planned} when its values were brought into the form of that type, and is {now} now; \
                     write them again",
                    column.name
                )));
            }
            None if made_for.create == Making::Never && matches!(target, Target::Existing(_)) => {
                return Ok(Fit::Unfit(format!(
                    "the table has no column {:?}, and create=\"never\" has it that none is made",
                    column.name
                )));
            }
            _ => {}
        }
    }

    let known: Vec<_> = made_for.columns.iter().map(|column| (column.name.clone(), column.content)).collect();
    let (name, time) = match &made_for.at {
        Some((name, time)) => (name.as_str(), Some(*time)),
        None => (UNNAMED, None),
    };
    const UNREADABLE: &str = "the table is not what it was, and these lines cannot be read again";
    let ends = line_ends(body);
    let mut pieces = ends.chunks((CELLS / (known.len() + 1)).max(1)).scan(0, |start, ends| {
        let end = ends.last().copied().unwrap_or(*start);
        Some(decoded(&body[std::mem::replace(start, end)..end], version, &known, name, time))
    });
    let Decoded { batch, at } = pieces.next().flatten().ok_or_else(|| Error::source(UNREADABLE))?;
    let schema = batch.schema();

    let options = WriteOptions::table(&header.table)
        .at(at.map_or(At::Server, At::Column))
        .create(match &made_for.create {
            Making::Statement(spec) if !place.is_closed => {
                let new = made_for.columns.iter().filter(|column| existing(column).is_none());
                let new = new.map(|column| (&column.name, &column.column_type));
                let time = made_for.at.as_ref().zip(made_for.designated.as_ref());
                let time = time.filter(|_| matches!(target, Target::Missing));
                let time = time.map(|((name, _), (_, column_type))| (name, column_type));
                // Columns of nulls alone are not among the rows.
                let spec = spec.clone().of_columns(|name| schema.index_of(name).is_ok());
                let is_type = |column_type: &str| place.nanos || column_type != ColumnType::TimestampNs.to_string();
                Create::Table(new.chain(time).fold(spec, |spec, (name, column_type)| {
                    if spec.has_type(name) || !is_type(column_type) {
                        spec
                    } else {
                        spec.column_type(name, column_type)
                    }
                }))
            }
            Making::Statement(_) | Making::Server => Create::Server,
            Making::Never => Create::Never,
        })
        .null_at(NullAt::Server)
        .null_bool(made_for.null_bool);
    let context = Context {
        table: Some(&header.table),
        default_at: None,
        version,
        max_name_len: place.max_name_len,
        nanos: place.nanos,
        target,
        is_official: false,
        takes_cells: false,
        is_offline: false,
        cuts_nanos: false,
    };
    let plan = Plan::try_new(&schema, &options, &context)?;
    let bad = || ArrowError::ParseError(UNREADABLE.to_owned());
    let rest = pieces.map(|piece| piece.map(|piece| piece.batch).ok_or_else(bad));
    let pieces = std::iter::once(Ok(batch)).chain(rest);
    let lines = lines_of(&plan, RecordBatchIterator::new(pieces, schema))?;
    Ok(Fit::Anew(plan.statements().to_vec(), lines.into()))
}
