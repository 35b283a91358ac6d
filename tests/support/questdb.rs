//! A real QuestDB for the live tests: started once per test program, gone when the program ends.
//!
//! `QUESTFRAME_PYTHON` names a Python in which the package `questframe` is installed; its `questframe.local` fetches
//! and runs the server. It stops when its standard input closes, which happens however this program ends.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde::Deserialize;
use simd_json::OwnedValue;
use simd_json::prelude::*;

const PYTHON: &str = "QUESTFRAME_PYTHON";
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server.
pub(crate) struct QuestDb {
    conf: String,
    address: String,
    /// Holds the other end of the server's standard input.
    _process: Child,
}

/// What `/exec` answers, as text: `null` for NULL, strings without quotes.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) columns: Vec<(String, String)>,
    pub(crate) rows: Vec<Vec<String>>,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    columns: Vec<AnswerColumn>,
    #[serde(default)]
    dataset: Vec<Vec<OwnedValue>>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct AnswerColumn {
    name: String,
    #[serde(rename = "type")]
    type_name: String,
}

/// The server, started for the first test that asks. `None`, said loudly once, where nobody told how to start one.
///
/// # Panics
/// If it does not start.
pub(crate) fn questdb() -> Option<&'static QuestDb> {
    static SERVER: OnceLock<Option<Result<QuestDb, String>>> = OnceLock::new();
    let server = SERVER.get_or_init(|| {
        let Some(python) = std::env::var_os(PYTHON).filter(|python| !python.is_empty()) else {
            // Not `eprintln!`, which the test runner keeps to itself when tests pass.
            let _ = writeln!(
                io::stderr(),
                "\nLIVE TESTS NOT RUN: they need a QuestDB. `make test-rust` starts one, or set {PYTHON} to a Python with questframe."
            );
            return None;
        };
        Some(QuestDb::start(&python).map_err(|error| format!("{PYTHON}={}: {error}", python.display())))
    });
    match server {
        None => None,
        Some(Ok(server)) => Some(server),
        Some(Err(error)) => panic!("{error}"),
    }
}

impl QuestDb {
    fn start(python: &std::ffi::OsStr) -> Result<Self, String> {
        let mut process = Command::new(python)
            .args(["-m", "questframe.local", "--until-stdin-closes"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let mut conf = String::new();
        let stdout = process.stdout.take().ok_or("no standard output")?;
        BufReader::new(stdout).read_line(&mut conf).map_err(|error| error.to_string())?;
        let conf = conf.trim_end().to_owned();
        let address = conf.strip_prefix("http::addr=").and_then(|rest| rest.split(';').next()).map(str::to_owned);
        let Some(address) = address else {
            return Err(format!("the local server did not start (it said {conf:?})"));
        };
        Ok(Self { conf, address, _process: process })
    }

    /// The configuration string.
    pub(crate) fn conf(&self) -> &str {
        &self.conf
    }

    /// Runs a statement.
    ///
    /// # Panics
    /// If the server refuses it.
    pub(crate) fn sql(&self, query: &str) -> Rows {
        let mut body = self.get(&format!("/exec?query={}", percent_encoded(query))).expect("an answer of /exec");
        let answer: Answer = simd_json::serde::from_slice(&mut body).expect("JSON of /exec");
        assert_eq!(answer.error, None, "{query}");
        Rows {
            columns: answer.columns.into_iter().map(|column| (column.name, column.type_name)).collect(),
            rows: answer.dataset.iter().map(|row| row.iter().map(text).collect()).collect(),
        }
    }

    /// The rows of a query once all that was written to `table` can be read.
    pub(crate) fn read(&self, table: &str, query: &str) -> Rows {
        let started = Instant::now();
        loop {
            let state = self
                .sql(&format!("select suspended, writerTxn = sequencerTxn from wal_tables() where name = '{table}'"));
            match state.rows.first().map(|row| (row[0].as_str(), row[1].as_str())) {
                Some(("false", "true")) => return self.sql(query),
                Some(("true", _)) => panic!("{table} is suspended"),
                _ => assert!(started.elapsed() < PATIENCE, "{table} is not there: {state:?}"),
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The number of rows of a table.
    pub(crate) fn count(&self, table: &str) -> u64 {
        let counted = self.read(table, &format!("select count() from {table}"));
        counted.rows[0][0].parse().expect("a number")
    }

    fn get(&self, path: &str) -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.address)?;
        let mut answer = BufReader::new(stream);
        let mut line = String::new();
        let (mut chunked, mut length) = (false, 0);
        loop {
            line.clear();
            answer.read_line(&mut line)?;
            let header = line.trim_end().to_ascii_lowercase();
            match header.split_once(':').map(|(name, value)| (name, value.trim())) {
                Some(("transfer-encoding", "chunked")) => chunked = true,
                Some(("content-length", value)) => length = value.parse().map_err(io::Error::other)?,
                None if header.is_empty() => break,
                _ => {}
            }
        }
        let mut body = Vec::new();
        if !chunked {
            answer.take(length).read_to_end(&mut body)?;
            return Ok(body);
        }
        loop {
            line.clear();
            answer.read_line(&mut line)?;
            length = u64::from_str_radix(line.trim_end(), 16).map_err(io::Error::other)?;
            if length == 0 {
                return Ok(body);
            }
            answer.by_ref().take(length).read_to_end(&mut body)?;
            // The line's end behind the chunk.
            answer.read_line(&mut line)?;
        }
    }
}

fn text(value: &OwnedValue) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
