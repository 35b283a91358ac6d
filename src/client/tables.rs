//! What is known of a server's tables, and when to ask again.
//!
//! Why it is hard: the server keeps, for each connection, writers of the tables that were written over it. Rows sent
//! over a kept connection to a table that has meanwhile been dropped are acknowledged and lost, whether or not a table
//! of the same name has been made since (QuestDB 9.3.4, every time; new connections write to the new table). And values
//! that were right for a column are altered without a word by one that was given another type. So each write asks which
//! table the name stands for, and what its columns are, in one short answer, and lets go of all connections when that is
//! not what it was. Only writes that follow each other without a pause do not ask each time.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use simd_json::OwnedValue;
use simd_json::prelude::ValueAsScalar;

use crate::plan::column_type::ColumnType;
use crate::plan::{Obstacle, Target, TargetTable, folded};
use crate::transport::{Certainty, HttpTransport, QueryAnswer, TransportError};

/// How long a table's columns are believed at most: some servers do not tell in the short answer whether they are the same.
const COLUMNS_KEPT: Duration = Duration::from_secs(60);

/// How long a name is believed to stand for the same table, by writes that follow each other without a pause.
pub(super) const IDENTITY_KEPT: Duration = Duration::from_millis(10);

/// A pause in which nobody who waits for a write to end could have dropped its table.
const NO_PAUSE: Duration = Duration::from_millis(1);

/// Which table a name stands for: the server numbers them.
type Identity = Option<i64>;

#[derive(Clone, Debug)]
struct Known {
    columns_asked: Instant,
    identity_asked: Instant,
    /// The end of the last write.
    written: Option<Instant>,
    target: Target,
    /// Its columns as the short answer has them.
    columns: Option<String>,
}

/// What a name stood for when it was last asked about.
#[derive(Debug)]
struct Seen {
    identity: Identity,
    /// None before they were asked for.
    columns: Option<Vec<(String, ColumnType)>>,
}

/// The tables a client has met, by their names in lower case: the server takes all spellings for one.
#[derive(Debug, Default)]
pub(super) struct Tables {
    known: Mutex<HashMap<String, Known>>,
    /// Never forgotten: connections remember as long.
    seen: Mutex<HashMap<String, Seen>>,
    /// What each was when it was last asked about, for writes that find no server.
    last_seen: Mutex<HashMap<String, Target>>,
    /// Those that have been written to.
    written: Mutex<HashSet<String>>,
}

/// What has to be asked for a write.
pub(super) enum Ask {
    Nothing(Target),
    Identity,
    All,
}

/// What the server said of a name.
#[derive(Debug)]
pub(super) struct Answer {
    identity: Identity,
    dedup: bool,
    /// Of each column its name, its type and whether it is a deduplication key, in one text; `None` if the server does
    /// not tell.
    columns: Option<String>,
    /// `None` where only the identity was asked for, and that text.
    target: Option<Target>,
}

impl Answer {
    fn columns(&self) -> Option<&[(String, ColumnType)]> {
        match &self.target {
            Some(Target::Existing(table)) => Some(&table.columns),
            _ => None,
        }
    }
}

impl Tables {
    fn known(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What of a table has to be asked now.
    pub(super) fn ask(&self, table: &str) -> Ask {
        match self.known().get(&*folded(table)) {
            Some(known) if known.columns_asked.elapsed() >= COLUMNS_KEPT => Ask::All,
            Some(known)
                if known.identity_asked.elapsed() < IDENTITY_KEPT
                    && known.written.is_some_and(|ended| ended.elapsed() < NO_PAUSE) =>
            {
                Ask::Nothing(known.target.clone())
            }
            Some(known) => match known.target {
                // Nothing more would be said a moment later.
                Target::Unreadable => Ask::Nothing(Target::Unreadable),
                // Anybody may have made it since.
                Target::Missing => Ask::All,
                _ => Ask::Identity,
            },
            None => Ask::All,
        }
    }

    fn writes(&self) -> MutexGuard<'_, HashSet<String>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a table is written to, and tells whether it was before: then connections may remember it.
    pub(super) fn is_written_again(&self, table: &str) -> bool {
        !self.writes().insert(folded(table).into_owned())
    }

    fn is_written(&self, table: &str) -> bool {
        self.writes().contains(&*folded(table))
    }

    fn seen(&self) -> MutexGuard<'_, HashMap<String, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an answer says that the name stands for another table than it did, or for other columns: then connections
    /// have to go, and before the answer is noted, or another thread would believe them. Of a column that was dropped
    /// the server loses the values of the first request over a connection that knew it, and such a connection fails at
    /// a DECIMAL column that it does not know.
    pub(super) fn is_changed(&self, table: &str, answer: &Answer) -> bool {
        let seen = self.seen();
        // What was written to without a look may have been any table.
        let Some(before) = seen.get(&*folded(table)) else { return self.is_written(table) };
        let columns = answer.columns();
        before.identity != answer.identity
            || before.columns.as_deref().zip(columns).is_some_and(|(before, now)| before != now)
    }

    /// Notes an answer. `None`: the columns have to be asked for as well.
    pub(super) fn note(&self, table: &str, answer: Answer) -> Option<Target> {
        let columns = answer.columns().map(<[_]>::to_vec);
        let is_another = {
            let mut seen = self.seen();
            let before = seen.get_mut(&*folded(table));
            let is_another = before.as_ref().is_some_and(|before| before.identity != answer.identity);
            let columns = match (columns, before) {
                (None, Some(before)) if !is_another => before.columns.take(),
                (columns, _) => columns,
            };
            seen.insert(folded(table).into_owned(), Seen { identity: answer.identity, columns });
            is_another
        };
        let mut known = self.known();
        let are_others = known.get(&*folded(table)).is_some_and(|known| {
            known.columns.as_ref().zip(answer.columns.as_ref()).is_some_and(|(before, now)| before != now)
        });
        let now = Instant::now();
        match answer.target {
            Some(target) => {
                self.last().insert(folded(table).into_owned(), target.clone());
                let entry = Known {
                    columns_asked: now,
                    identity_asked: now,
                    written: None,
                    target: target.clone(),
                    columns: answer.columns,
                };
                known.insert(folded(table).into_owned(), entry);
                Some(target)
            }
            None if is_another || are_others => {
                known.remove(&*folded(table));
                None
            }
            None => known.get_mut(&*folded(table)).map(|known| {
                known.identity_asked = now;
                // It may be turned on and off at any time.
                if let Target::Existing(target) = &mut known.target {
                    target.dedup = answer.dedup;
                }
                known.target.clone()
            }),
        }
    }

    fn last(&self) -> MutexGuard<'_, HashMap<String, Target>> {
        self.last_seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a table was when it was last asked about, however long ago that is.
    pub(super) fn last_seen(&self, table: &str) -> Option<Target> {
        self.last().get(&*folded(table)).cloned()
    }

    /// Notes the end of a write.
    pub(super) fn written(&self, table: &str) {
        if let Some(known) = self.known().get_mut(&*folded(table)) {
            known.written = Some(Instant::now());
        }
    }

    /// Forgets a table's columns: they may not be what they were.
    pub(super) fn forget(&self, table: &str) {
        self.known().remove(&*folded(table));
    }
}

/// What decides how rows go into a table, of itself and of each of its columns: in one answer, since each question may
/// take a long way.
const FACTS: &str = "id, designatedTimestamp, partitionBy, ttlValue, ttlUnit, walEnabled, dedup, table_type, \
                     \"column\", type, designated, upsertKey";

/// Asks the server which table a name stands for, and for its columns; if `identity_only`, only whether they are what
/// they were, where one answer tells both.
///
/// # Errors
/// If the server cannot be reached, or refuses the credentials. Where it answers but does not let us look, the target
/// is [`Target::Unreadable`].
pub(super) async fn look_up(
    transport: HttpTransport,
    table: String,
    identity_only: bool,
) -> Result<Answer, TransportError> {
    let literal = folded(&table).replace('\'', "''");
    let quoted = table.replace('\'', "''");
    if identity_only {
        let short = format!(
            "SELECT id, dedup, columns FROM tables() CROSS JOIN (SELECT string_agg(concat(\"column\", ' ', type, ' ', \
             upsertKey), ',') columns FROM table_columns('{quoted}')) WHERE lower(table_name) = '{literal}'"
        );
        match transport.query(&short).await {
            Ok(listed) => return Ok(short_answer(&listed)),
            // There is no such table any more, or the server is too old for this.
            Err(error) if error.certainty() == Certainty::Refused && !error.is_unauthorized() => {}
            Err(error) => return Err(error),
        }
    }
    let whole = format!(
        "SELECT {FACTS} FROM tables() CROSS JOIN table_columns('{quoted}') WHERE lower(table_name) = '{literal}'"
    );
    match transport.query(&whole).await {
        Ok(listed) if listed.rows.is_empty() => Ok(missing()),
        Ok(listed) => Ok(whole_answer(&listed, &listed)),
        Err(error) if is_missing(&error) => Ok(missing()),
        // An older server, which does not know all these names.
        Err(error) if error.status() == Some(400) => look_up_in_turn(&transport, &quoted, &literal).await,
        Err(error) => unreadable(error),
    }
}

/// As [`look_up`], in the words of older servers: first the table, then its columns.
async fn look_up_in_turn(transport: &HttpTransport, quoted: &str, literal: &str) -> Result<Answer, TransportError> {
    let listed = transport.query(&format!("SELECT * FROM tables() WHERE lower(table_name) = '{literal}'")).await;
    let listed = match listed {
        // Until version 8 the column was called otherwise.
        Err(error) if error.server_message().is_some_and(|text| text.contains("Invalid column")) => {
            transport.query(&format!("SELECT * FROM tables() WHERE lower(name) = '{literal}'")).await
        }
        listed => listed,
    };
    match listed {
        Ok(listed) if listed.rows.is_empty() => Ok(missing()),
        Ok(listed) => match transport.query(&format!("SHOW COLUMNS FROM '{quoted}'")).await {
            Ok(columns) => Ok(whole_answer(&listed, &columns)),
            Err(error) if is_missing(&error) => Ok(missing()),
            Err(error) => unreadable(error),
        },
        Err(error) => unreadable(error),
    }
}

fn is_missing(error: &TransportError) -> bool {
    error.server_message().is_some_and(|text| text.contains("table does not exist"))
}

/// What a question that was not answered tells.
fn unreadable(error: TransportError) -> Result<Answer, TransportError> {
    match error.certainty() {
        // The server answers, but not this: `/exec` may be closed to us. Writing may still be open.
        Certainty::Refused if !error.is_unauthorized() => {
            Ok(Answer { identity: None, dedup: false, columns: None, target: Some(Target::Unreadable) })
        }
        _ => Err(error),
    }
}

/// What the row of a table and the rows of its columns say.
fn whole_answer(listed: &QueryAnswer, columns: &QueryAnswer) -> Answer {
    let fact = |name: &str| position(listed, name).and_then(|at| listed.rows.first()?.get(at));
    let identity = fact("id").and_then(|id| id.as_i64());
    let is = |name: &str, value: bool| fact(name).and_then(|fact| fact.as_bool()) == Some(value);
    let dedup = is("dedup", true);
    let text = |name: &str| fact(name).and_then(|fact| fact.as_str()).unwrap_or_default().to_owned();
    let obstacle = match text("table_type").as_str() {
        "V" => Some(Obstacle::View),
        "M" => Some(Obstacle::MaterializedView),
        _ if is("matView", true) => Some(Obstacle::MaterializedView),
        _ if fact("designatedTimestamp").is_some() && text("designatedTimestamp").is_empty() => {
            Some(Obstacle::NoDesignatedTimestamp)
        }
        _ if text("partitionBy") == "NONE" => Some(Obstacle::NoPartitions),
        _ if is("walEnabled", false) => Some(Obstacle::NoWal),
        _ => None,
    };
    let (name, kind) = (position(columns, "column"), position(columns, "type"));
    let (designated, key) = (position(columns, "designated"), position(columns, "upsertKey"));
    let ttl = fact("ttlValue").and_then(|value| value.as_i64()).map(|value| (value, text("ttlUnit")));
    let partition_by = Some(text("partitionBy")).filter(|unit| !unit.is_empty());
    let mut found = TargetTable { obstacle, dedup, partition_by, ttl, ..TargetTable::default() };
    let mut texts = Vec::with_capacity(columns.rows.len());
    for row in &columns.rows {
        let text = |position: Option<usize>| position.and_then(|at| row.get(at)).and_then(|value| value.as_str());
        let Some(name) = text(name) else { continue };
        let is = |position: Option<usize>| {
            position.and_then(|at| row.get(at)).and_then(|value| value.as_bool()) == Some(true)
        };
        if is(designated) {
            found.designated = Some(name.to_owned());
        }
        if is(key) {
            found.keys.push(name.to_owned());
        }
        let kind = text(kind).unwrap_or_default();
        texts.push(format!("{name} {kind} {}", is(key)));
        found.columns.push((name.to_owned(), ColumnType::of_server(kind)));
    }
    Answer { identity, dedup, columns: Some(texts.join(",")), target: Some(Target::Existing(found)) }
}

fn missing() -> Answer {
    Answer { identity: None, dedup: false, columns: None, target: Some(Target::Missing) }
}

/// What the one row of a table says that is known.
fn short_answer(listed: &QueryAnswer) -> Answer {
    let Some(facts) = row_of(listed) else { return missing() };
    Answer {
        identity: facts.get("id").and_then(|id| id.as_i64()),
        dedup: facts.get("dedup").and_then(|dedup| dedup.as_bool()) == Some(true),
        columns: facts.get("columns").and_then(|columns| columns.as_str()).map(ToOwned::to_owned),
        target: None,
    }
}

/// The first row of an answer, by the names of its columns.
pub(super) fn row_of(answer: &QueryAnswer) -> Option<HashMap<&str, &OwnedValue>> {
    let names = answer.columns.iter().map(|column| column.name.as_str());
    answer.rows.first().map(|row| names.zip(row).collect())
}

fn position(answer: &QueryAnswer, name: &str) -> Option<usize> {
    answer.columns.iter().position(|column| column.name == name)
}
