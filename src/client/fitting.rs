//! Rows that waited on disk, held against the table that they go to.
//!
//! They were planned for the table as it was seen last, or by a client that had never seen it. A column that is of another
//! type by now would take many values and store others, without a word. So where a type is not what it was, the lines are
//! made a frame again, and that is planned, checked and encoded for the table that is there, like any other.

use bytes::Bytes;

use super::hosts::Host;
use super::{Client, Tick};
use crate::encode::{Decoded, decoded};
use crate::error::Result;
use crate::options::{At, Create, NullAt, NullBool, WriteOptions};
use crate::plan::column_type::ColumnType;
use crate::plan::{Context, Plan, Target, TargetTable, same_name};
use crate::sender::lines_of;
use crate::spool::{Header, MadeFor};
use crate::table_spec::TableSpec;
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
        Ok(match target {
            Target::Existing(table) if fits(made_for, &table) => Fit::AsTheyAre,
            Target::Existing(table) => {
                let max_name_len = host.server.get().and_then(|info| info.max_name_len);
                anew(header, made_for, body, table, max_name_len.unwrap_or(self.0.config.max_name_len()))
            }
            Target::Missing if !made_for.creates => Fit::Unfit(format!(
                "there is no table {:?}, and create=\"never\" has it that none is made",
                header.table
            )),
            Target::Missing | Target::Unknown | Target::Unreadable => Fit::AsTheyAre,
        })
    }
}

/// Whether all columns are of the types that they were planned for, and none is taken for the time that was not.
fn fits(made_for: &MadeFor, table: &TargetTable) -> bool {
    let type_of =
        |name: &str| table.columns.iter().find(|(known, _)| same_name(known, name)).map(|(_, column_type)| column_type);
    let is_type = |name: &str, planned: &str| type_of(name) == Some(&ColumnType::of_server(planned));
    let is_same = |(name, planned): &(String, String)| match type_of(name) {
        Some(_) => is_type(name, planned),
        // The server makes it as it would have done then, or a statement that was kept with the rows has just made it.
        None => made_for.creates && made_for.is_seen,
    };
    let Some(((planned, planned_type), designated)) = made_for.designated.as_ref().zip(table.designated.as_ref())
    else {
        return false;
    };
    let is_time = |(name, _): &(String, String)| same_name(name, designated);
    is_type(designated, planned_type)
        && made_for.columns.iter().all(is_same)
        && (same_name(planned, designated) || !made_for.columns.iter().any(is_time))
}

/// Makes the lines anew for a table that is there.
fn anew(header: &Header, made_for: &MadeFor, body: &[u8], table: TargetTable, max_name_len: usize) -> Fit {
    let version = header.protocol_version;
    let Some(Decoded { batch, at }) = decoded(body, version, made_for.at.as_deref().unwrap_or(UNNAMED)) else {
        return Fit::Unfit(
            "the table's columns are not what they were, and these lines cannot be read again".to_owned(),
        );
    };
    let missing: Vec<_> = (made_for.columns.iter())
        .filter(|(name, _)| !table.columns.iter().any(|(known, _)| same_name(known, name)))
        .filter(|(name, _)| batch.schema().index_of(name).is_ok())
        .collect();
    if let Some((name, _)) = missing.first().filter(|_| !made_for.creates) {
        return Fit::Unfit(format!("the table has no column {name:?}, and create=\"never\" has it that none is made"));
    }
    let new = missing.into_iter().fold(TableSpec::new(), |spec, (name, kind)| spec.column_type(name, kind));
    let options = WriteOptions::table(&header.table)
        .at(at.map_or(At::Server, At::Column))
        .create(if made_for.creates { Create::Table(new) } else { Create::Never })
        .null_at(NullAt::Server)
        .null_bool(NullBool::Omit);
    let context = Context {
        table: Some(&header.table),
        default_at: None,
        version,
        max_name_len,
        // It has them, or no column is of their type.
        nanos: true,
        target: Target::Existing(table),
        is_official: false,
    };
    let plan = Plan::try_new(&batch.schema(), &options, &context);
    match plan.and_then(|plan| Ok((lines_of(&plan, &batch)?, plan.statements().to_vec()))) {
        Ok((lines, statements)) => Fit::Anew(statements, lines.into()),
        Err(error) => Fit::Unfit(error.to_string()),
    }
}
