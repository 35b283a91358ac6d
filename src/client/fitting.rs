//! Rows that waited on disk, held against the table that they go to.
//!
//! They were planned for the table as it was seen last, or by a client that had never seen it. A column that is of another
//! type by now would take many values and store others, without a word. So where a type is not what it was, the lines are
//! made a frame again, and that is planned, checked and encoded for the table that is there, like any other.

use bytes::Bytes;

use super::hosts::Host;
use super::{Client, Tick};
use crate::encode::{Content, Decoded, decoded};
use crate::error::Result;
use crate::options::{At, Create, NullAt, NullBool, WriteOptions};
use crate::plan::column_type::ColumnType;
use crate::plan::{Context, Plan, Target, TargetTable, same_name};
use crate::sender::lines_of;
use crate::spool::{Header, MadeColumn, MadeFor, Making};
use crate::transport::TransportError;

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
    /// How the rows of a segment land in the table that is there now.
    ///
    /// # Errors
    /// When `tick` ends it, or in a forked process.
    pub(super) fn fit(&self, host: &Host, header: &Header, body: &[u8], tick: Tick<'_>) -> Result<Fit> {
        // One of an earlier version.
        let Some(made_for) = &header.made_for else { return Ok(Fit::AsTheyAre) };
        let target = match self.target(host, &header.table, None, tick) {
            Ok(target) => target,
            Err(error) => return error.into_transport().map(Fit::Unknown),
        };
        let max_name_len = host.server.get().and_then(|info| info.max_name_len);
        let max_name_len = max_name_len.unwrap_or(self.0.config.max_name_len());
        Ok(match (&target, &made_for.create) {
            (Target::Existing(table), _) if fits(made_for, table) => Fit::AsTheyAre,
            (Target::Existing(_), _) | (Target::Missing, Making::Statement(_)) => {
                anew(header, made_for, body, target, max_name_len)
            }
            (Target::Missing, Making::Never) => Fit::Unfit(format!(
                "there is no table {:?}, and create=\"never\" has it that none is made",
                header.table
            )),
            (Target::Missing, Making::Server) | (Target::Unknown | Target::Unreadable, _) => Fit::AsTheyAre,
        })
    }
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

/// Makes the lines anew for the table that is there, or for one that is missing.
fn anew(header: &Header, made_for: &MadeFor, body: &[u8], target: Target, max_name_len: usize) -> Fit {
    let version = header.protocol_version;
    let known: Vec<_> = made_for.columns.iter().map(|column| (column.name.clone(), column.content)).collect();
    let at = made_for.at.as_deref();
    let Some(Decoded { batch, at }) = decoded(body, version, &known, at.unwrap_or(UNNAMED), at.is_some()) else {
        return Fit::Unfit(
            "the table's columns are not what they were, and these lines cannot be read again".to_owned(),
        );
    };
    let existing = |column: &MadeColumn| match &target {
        Target::Existing(table) => table.column(&column.name).cloned(),
        _ => None,
    };
    for column in &made_for.columns {
        let (planned, now) = (ColumnType::of_server(&column.column_type), existing(column));
        match now {
            Some(now) if column.has_false_nulls(made_for) && now != planned => {
                return Fit::Unfit(format!(
                    "column {:?} was {planned} when its nulls were made false, and is {now} now; write them again",
                    column.name
                ));
            }
            None if made_for.create == Making::Never => {
                return Fit::Unfit(format!(
                    "the table has no column {:?}, and create=\"never\" has it that none is made",
                    column.name
                ));
            }
            _ => {}
        }
    }
    let options = WriteOptions::table(&header.table)
        .at(at.map_or(At::Server, At::Column))
        .create(match &made_for.create {
            Making::Statement(spec) => {
                let new = made_for.columns.iter().filter(|column| existing(column).is_none());
                let new = new.map(|column| (&column.name, &column.column_type));
                let time = made_for.at.as_ref().zip(made_for.designated.as_ref().map(|(_, column_type)| column_type));
                let time = time.filter(|_| matches!(target, Target::Missing));
                // Columns of nulls alone are not among the rows.
                let spec = spec.clone().with_types_of(|name| batch.schema().index_of(name).is_ok());
                Create::Table(new.chain(time).fold(spec, |spec, (name, column_type)| {
                    if spec.has_type(name) { spec } else { spec.column_type(name, column_type) }
                }))
            }
            Making::Server => Create::Server,
            Making::Never => Create::Never,
        })
        .null_at(NullAt::Server)
        .null_bool(made_for.null_bool);
    let context = Context {
        table: Some(&header.table),
        default_at: None,
        version,
        max_name_len,
        // It has them, or no column is of their type.
        nanos: true,
        target,
        is_official: false,
    };
    let plan = Plan::try_new(&batch.schema(), &options, &context);
    match plan.and_then(|plan| Ok((lines_of(&plan, &batch)?, plan.statements().to_vec()))) {
        Ok((lines, statements)) => Fit::Anew(statements, lines.into()),
        Err(error) => Fit::Unfit(error.to_string()),
    }
}

impl MadeColumn {
    /// Whether some of its values may have been null in the frame, and are false in the lines.
    fn has_false_nulls(&self, made_for: &MadeFor) -> bool {
        self.content == Content::Boolean && self.nullable && made_for.null_bool == NullBool::False
    }
}
