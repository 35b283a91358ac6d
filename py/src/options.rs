//! Python's keyword options to the crate's `WriteOptions`. Names and spellings have been checked by `_options.py`.

use std::path::PathBuf;
use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use questframe::{
    At, Create, Delivery, EmptyRows, Nan, NullAt, NullBool, OnError, ProtocolVersion, Symbols, TableSpec, WriteOptions,
};

#[derive(FromPyObject)]
enum PyAt {
    Column(String),
    Instant((String, i64)),
}

#[derive(FromPyObject)]
enum PySymbols {
    Word(String),
    Columns(Vec<String>),
    Positions(Vec<usize>),
}

/// A `TableSpec`, or one of the words for `create`.
#[derive(FromPyObject)]
enum PyCreate {
    Word(String),
    Table(PyTableSpec),
}

#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct PyTableSpec {
    /// None is the default, which nobody has chosen.
    partition_by: Option<String>,
    dedup_keys: Vec<String>,
    types: Vec<(String, String)>,
    ttl: Option<String>,
    symbol_capacity: Vec<(String, u32)>,
    symbol_index: Vec<String>,
    narrow: bool,
}

impl From<PyTableSpec> for TableSpec {
    fn from(given: PyTableSpec) -> Self {
        let mut spec = Self::new().dedup_keys(given.dedup_keys).symbol_index(given.symbol_index).narrow(given.narrow);
        if let Some(unit) = given.partition_by {
            spec = spec.partition_by(unit);
        }
        for (column, questdb_type) in given.types {
            spec = spec.column_type(column, questdb_type);
        }
        for (column, capacity) in given.symbol_capacity {
            spec = spec.symbol_capacity(column, capacity);
        }
        match given.ttl {
            Some(ttl) => spec.ttl(ttl),
            None => spec,
        }
    }
}

fn get<'py, T>(options: &Bound<'py, PyDict>, name: &str) -> PyResult<Option<T>>
where
    T: for<'a> FromPyObject<'a, 'py>,
    for<'a> <T as FromPyObject<'a, 'py>>::Error: Into<PyErr>,
{
    match options.get_item(name)? {
        Some(value) if !value.is_none() => value.extract::<T>().map(Some).map_err(Into::into),
        _ => Ok(None),
    }
}

fn unknown(name: &str, value: &str) -> PyErr {
    PyValueError::new_err(format!("{name}={value:?} is not an option"))
}

/// # Errors
/// `ValueError` for a value that `_options.py` would have refused.
pub(crate) fn parse(options: &Bound<'_, PyDict>) -> PyResult<WriteOptions> {
    let mut parsed = match get::<String>(options, "table")? {
        Some(table) => WriteOptions::table(table),
        None => WriteOptions::default(),
    };
    parsed = match get::<PyAt>(options, "at")? {
        None => parsed,
        Some(PyAt::Column(name)) => parsed.at(At::Column(name)),
        Some(PyAt::Instant((kind, value))) => match kind.as_str() {
            "server" => parsed.at(At::Server),
            "nanos" => parsed.at(At::Nanos(value)),
            "micros" => parsed.at(At::Micros(value)),
            other => return Err(unknown("at", other)),
        },
    };
    parsed = match get::<PySymbols>(options, "symbols")? {
        None => parsed,
        Some(PySymbols::Columns(names)) => parsed.symbols(Symbols::Columns(names)),
        Some(PySymbols::Positions(positions)) => parsed.symbols(Symbols::Positions(positions)),
        Some(PySymbols::Word(word)) => parsed.symbols(match word.as_str() {
            "auto" => Symbols::Auto,
            "all" => Symbols::All,
            "none" => Symbols::None,
            other => return Err(unknown("symbols", other)),
        }),
    };
    parsed = match get::<PyCreate>(options, "create")? {
        None => parsed,
        Some(PyCreate::Table(spec)) => parsed.create(TableSpec::from(spec)),
        Some(PyCreate::Word(word)) => parsed.create(match word.as_str() {
            "auto" => Create::Auto,
            "server" => Create::Server,
            "never" => Create::Never,
            other => return Err(unknown("create", other)),
        }),
    };
    if let Some(check) = get::<bool>(options, "check")? {
        parsed = parsed.check(check);
    }
    if let Some(connections) = get::<usize>(options, "connections")? {
        parsed = parsed.connections(connections);
    }
    if let Some(ordered) = get::<bool>(options, "ordered")? {
        parsed = parsed.ordered(ordered);
    }
    if let Some(number) = get::<u64>(options, "protocol_version")? {
        let version = ProtocolVersion::from_number(number);
        parsed = parsed.protocol_version(version.ok_or_else(|| unknown("protocol_version", &number.to_string()))?);
    }
    if let Some(word) = get::<String>(options, "null_at")? {
        parsed = parsed.null_at(match word.as_str() {
            "error" => NullAt::Error,
            "server" => NullAt::Server,
            other => return Err(unknown("null_at", other)),
        });
    }
    if let Some(word) = get::<String>(options, "null_bool")? {
        parsed = parsed.null_bool(match word.as_str() {
            "error" => NullBool::Error,
            "false" => NullBool::False,
            "omit" => NullBool::Omit,
            other => return Err(unknown("null_bool", other)),
        });
    }
    if let Some(word) = get::<String>(options, "empty_rows")? {
        parsed = parsed.empty_rows(match word.as_str() {
            "error" => EmptyRows::Error,
            "skip" => EmptyRows::Skip,
            other => return Err(unknown("empty_rows", other)),
        });
    }
    if let Some(word) = get::<String>(options, "nan")? {
        parsed = parsed.nan(match word.as_str() {
            "send" => Nan::Send,
            "omit" => Nan::Omit,
            other => return Err(unknown("nan", other)),
        });
    }
    if let Some(seconds) = get::<f64>(options, "deadline")? {
        parsed = parsed.deadline(seconds_of("deadline", seconds)?);
    }
    if let Some(retry) = get::<bool>(options, "retry_in_doubt")? {
        parsed = parsed.retry_in_doubt(retry);
    }
    if let Some(word) = get::<String>(options, "on_error")? {
        parsed = parsed.on_error(match word.as_str() {
            "raise" => OnError::Raise,
            "quarantine" => OnError::Quarantine,
            other => return Err(unknown("on_error", other)),
        });
    }
    if let Some(most) = get::<u64>(options, "max_rejected")? {
        parsed = parsed.max_rejected(most);
    }
    if let Some(atomic) = get::<bool>(options, "atomic")? {
        parsed = parsed.atomic(atomic);
    }
    if let Some(seconds) = get::<f64>(options, "wait_visible")? {
        parsed = parsed.wait_visible(seconds_of("wait_visible", seconds)?);
    }
    if let Some(folder) = get::<PathBuf>(options, "spool_dir")? {
        parsed = parsed.spool_dir(folder);
    }
    if let Some(unacknowledged) = get::<bool>(options, "unacknowledged")? {
        parsed = parsed.unacknowledged(unacknowledged);
    }
    if let Some(doubtful) = get::<bool>(options, "doubtful")? {
        parsed = parsed.doubtful(doubtful);
    }
    if let Some(PyDelivery { acked, doubtful, unsent, table }) = get::<PyDelivery>(options, "resume")? {
        let ranges = |pairs: Vec<(u64, u64)>| pairs.into_iter().map(|(start, end)| start..end).collect();
        let (acked, doubtful, unsent) = (ranges(acked), ranges(doubtful), ranges(unsent));
        parsed = parsed.resume(Delivery { acked, doubtful, unsent, table });
    }
    Ok(parsed)
}

/// What `_options.py` takes from the error of a failed write.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct PyDelivery {
    acked: Vec<(u64, u64)>,
    doubtful: Vec<(u64, u64)>,
    unsent: Vec<(u64, u64)>,
    table: Option<String>,
}

fn seconds_of(name: &str, seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds).map_err(|_| unknown(name, &seconds.to_string()))
}
