//! `RowSender`, the base of `questframe.ingress.Sender`: rows into a buffer of its own, and flushes.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};
use questframe::{Config, Error, ErrorKind, FlushAt, LineSender, ProtocolVersion, RowBuffer};

use super::buffer::{Buffer, PyTables, tables};
use super::errors::{bad_call, of_flush};
use super::guarded::{Guard, Guarded};
use super::values::{self, Values};
use crate::client::{interruptible, take};
use crate::error::{bare, map};
use crate::options;

/// Calls the caller back now and then while a server is waited for.
type Tick<'t> = &'t mut (dyn FnMut() -> std::ops::ControlFlow<()> + 't);

/// Why rows are not where they should be.
enum Failed {
    /// A frame is not in the buffer.
    Frame(Error),
    /// A flush was refused before anything was sent.
    Refused(ErrorKind, String),
    /// A flush failed.
    Sent(Error),
}

/// With the rows that the exception is to carry.
type Failure = (Failed, Option<RowBuffer>);

/// What there is between `establish()` and `close()`.
struct Link {
    sender: LineSender,
    max_buf_size: usize,
    is_http: bool,
}

struct State {
    lines: RowBuffer,
    link: Option<Link>,
    is_closed: bool,
    in_transaction: bool,
    /// None if nothing is flushed by itself.
    auto: Option<(FlushAt, Option<Duration>)>,
    last_flush: Instant,
    init_buf_size: usize,
}

impl State {
    fn is_http(&self) -> bool {
        self.link.as_ref().is_none_or(|link| link.is_http)
    }

    /// Whether a limit is reached.
    fn is_due(&self) -> bool {
        let Some((at, interval)) = &self.auto else { return false };
        let rows = self.lines.rows();
        rows > 0
            && (at.rows.is_some_and(|most| rows >= most)
                || at.bytes.is_some_and(|most| self.lines.as_bytes().len() >= most)
                || interval.is_some_and(|interval| self.last_flush.elapsed() >= interval))
    }

    fn flush_own(&mut self, transactional: bool, tick: Tick<'_>) -> Result<(), Failure> {
        let Some(link) = &mut self.link else { return Ok(()) };
        match send(link, &mut self.lines, true, transactional, tick) {
            Ok(()) => {
                self.last_flush = Instant::now();
                Ok(())
            }
            // Left in the buffer they would be sent again, and fail again, when the sender is closed.
            Err(failed) => Err((failed, Some(self.lines.take()))),
        }
    }
}

/// Sends the lines of a buffer. It keeps them if that fails, and `clear` decides otherwise.
fn send(
    link: &mut Link,
    lines: &mut RowBuffer,
    clear: bool,
    transactional: bool,
    tick: Tick<'_>,
) -> Result<(), Failed> {
    let size = lines.as_bytes().len();
    let refused = |kind, message: String| Err(Failed::Refused(kind, message));
    if transactional && !link.is_http {
        let message = "Transactional flushes are not supported for ILP over TCP.";
        return refused(ErrorKind::InvalidApiCall, message.into());
    }
    if transactional && lines.has_several_tables() {
        let message = "Buffer contains lines for multiple tables. Transactional flushes are only supported for buffers \
                       containing lines for a single table.";
        return refused(ErrorKind::InvalidApiCall, message.into());
    }
    if size > link.max_buf_size {
        let most = link.max_buf_size;
        let message = format!(
            "Could not flush buffer: Buffer size of {size} exceeds maximum configured allowed size of {most} bytes."
        );
        return refused(ErrorKind::InvalidApiCall, message);
    }
    link.sender.flush_with(lines, clear, tick).map_err(Failed::Sent)
}

/// Rows, frames and flushes of a sender; its life is Python's.
#[pyclass(frozen, subclass, module = "questframe._questframe")]
pub(crate) struct RowSender {
    state: Guarded<State>,
    has_warned: AtomicBool,
}

impl RowSender {
    fn lock(&self, py: Python<'_>) -> PyResult<Guard<'_, State>> {
        self.state.lock(py)
    }

    /// The state, for a call of the transaction.
    fn in_transaction(&self, py: Python<'_>, call: &str) -> PyResult<Guard<'_, State>> {
        let state = self.lock(py)?;
        if state.link.is_none() {
            return Err(bad_call(py, &format!("{call}() can't be called: Sender is closed.")));
        }
        Ok(state)
    }

    /// The state, if rows may be written now.
    fn open(&self, py: Python<'_>, call: &str) -> PyResult<Guard<'_, State>> {
        let state = self.lock(py)?;
        if state.in_transaction {
            let message = match call {
                "flush" => "Cannot flush explicitly inside a transaction",
                _ => "Cannot append rows explicitly inside a transaction",
            };
            return Err(bad_call(py, message));
        }
        if state.link.is_none() {
            return Err(bad_call(py, &format!("{call}() can't be called: Sender is closed.")));
        }
        Ok(state)
    }
}

/// The exception for a flush that failed: with the lines that were not sent, as `pending`.
fn raise(py: Python<'_>, failed: Failed, pending: Option<RowBuffer>, is_http: bool) -> PyErr {
    const HINT: &str = " Over TCP the server tells only its own log what it does not like; over HTTP (http::addr=...) the \
                        exception tells.";
    let hint = if is_http { "" } else { HINT };
    let error = match &failed {
        Failed::Frame(error) => map(py, error),
        Failed::Refused(kind, message) => bare(py, *kind, &format!("{message}{hint}")),
        Failed::Sent(error) => of_flush(py, error, hint),
    };
    let attach = || match pending.filter(|lines| lines.rows() > 0) {
        Some(lines) => error.value(py).setattr("pending", as_buffer(py, lines)?),
        None => Ok(()),
    };
    match attach() {
        Ok(()) => error,
        Err(failed) => failed,
    }
}

/// A `questframe.ingress.Buffer` of these lines.
fn as_buffer(py: Python<'_>, lines: RowBuffer) -> PyResult<Bound<'_, PyAny>> {
    let class = py.import("questframe.ingress")?.getattr("Buffer")?;
    let buffer = class.call1((lines.version().number(), 0, lines.max_name_len()))?;
    let base = buffer.cast::<Buffer>()?;
    *base.get().lines.lock(py)? = lines;
    Ok(buffer)
}

#[pymethods]
impl RowSender {
    /// Arguments are for the Python class on top.
    #[new]
    #[pyo3(signature = (*args, **kwargs))]
    fn new(args: &Bound<'_, PyTuple>, kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        let _ = (args, kwargs);
        let state = State {
            lines: RowBuffer::new(ProtocolVersion::V1, 127, 0),
            link: None,
            is_closed: false,
            in_transaction: false,
            auto: None,
            last_flush: Instant::now(),
            init_buf_size: 0,
        };
        Self { state: Guarded::new(state), has_warned: AtomicBool::new(false) }
    }

    /// Limits of the automatic flush: rows, bytes, milliseconds; `None` for none at all.
    #[pyo3(signature = (auto, init_buf_size))]
    fn _configure(
        &self,
        py: Python<'_>,
        auto: Option<(Option<u64>, Option<usize>, Option<u64>)>,
        init_buf_size: usize,
    ) -> PyResult<()> {
        let mut state = self.lock(py)?;
        state.init_buf_size = init_buf_size;
        state.auto = auto.map(|(rows, bytes, millis)| (FlushAt { rows, bytes }, millis.map(Duration::from_millis)));
        Ok(())
    }

    /// Connects, and asks for the protocol version unless one is given: over HTTP the best that both know, and the
    /// server's limit of names; over TCP 1.
    #[pyo3(signature = (conf, protocol_version, max_name_len, max_buf_size))]
    fn _establish(
        &self,
        py: Python<'_>,
        conf: &str,
        protocol_version: Option<u64>,
        max_name_len: usize,
        max_buf_size: usize,
    ) -> PyResult<()> {
        let config = Config::from_conf(conf).map_err(|error| map(py, &error.into()))?;
        let is_http = conf.starts_with("http");
        let sender = interruptible(py, |tick| LineSender::connect_with(config, tick))?;
        let (version, max_name_len) = match protocol_version {
            Some(number) => (ProtocolVersion::from_number(number), max_name_len),
            None if !is_http => (Some(ProtocolVersion::V1), max_name_len),
            None => {
                let client = sender.client().clone();
                let (version, limit) = interruptible(py, |tick| client.negotiate_with(tick))?;
                (Some(version), limit.unwrap_or(max_name_len))
            }
        };
        let Some(version) = version else {
            return Err(bare(
                py,
                ErrorKind::ProtocolVersionError,
                "Invalid protocol version. Supported versions are 1-3.",
            ));
        };
        let mut state = self.lock(py)?;
        state.lines = RowBuffer::new(version, max_name_len, state.init_buf_size);
        state.link = Some(Link { sender, max_buf_size, is_http });
        state.last_flush = Instant::now();
        Ok(())
    }

    /// Whether there is a connection, or may be one.
    fn _is_open(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.lock(py)?.link.is_some())
    }

    fn _is_closed(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.lock(py)?.is_closed)
    }

    fn _in_transaction(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.lock(py)?.in_transaction)
    }

    fn _set_in_transaction(&self, py: Python<'_>, value: bool) -> PyResult<()> {
        self.lock(py)?.in_transaction = value;
        Ok(())
    }

    /// The protocol version and the limit of names, once there are some.
    fn _negotiated(&self, py: Python<'_>) -> PyResult<Option<(u8, usize)>> {
        let state = self.lock(py)?;
        Ok(state.link.as_ref().map(|_| (state.lines.version().number(), state.lines.max_name_len())))
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.lock(py)?.lines.as_bytes().len())
    }

    fn __bytes__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, self.lock(py)?.lines.as_bytes()))
    }

    /// Write a row, and flush if a limit is reached.
    ///
    /// Arguments and errors as of `Buffer.row`, and those of `flush`.
    #[pyo3(signature = (table_name, *, symbols=None, columns=None, at))]
    fn row<'py>(
        slf: Bound<'py, Self>,
        table_name: &Bound<'py, PyAny>,
        symbols: Option<&Bound<'py, PyDict>>,
        columns: Option<&Bound<'py, PyDict>>,
        at: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, Self>> {
        let py = slf.py();
        let table = values::table_name(table_name)?;
        values::check_at(at)?;
        let mut state = slf.get().open(py, "row")?;
        values::write(&mut state.lines, table, &Values { has_warned: &slf.get().has_warned, symbols, columns, at })?;
        if state.is_due() {
            flush_own(py, &mut state, false)?;
        }
        drop(state);
        Ok(slf)
    }

    /// A row of the transaction.
    #[pyo3(signature = (table_name, symbols, columns, at))]
    fn _row<'py>(
        &self,
        table_name: &Bound<'py, PyAny>,
        symbols: Option<&Bound<'py, PyDict>>,
        columns: Option<&Bound<'py, PyDict>>,
        at: &Bound<'py, PyAny>,
    ) -> PyResult<()> {
        let table = values::table_name(table_name)?;
        values::check_at(at)?;
        let mut state = self.in_transaction(at.py(), "row")?;
        values::write(&mut state.lines, table, &Values { has_warned: &self.has_warned, symbols, columns, at })
    }

    /// Appends a prepared frame; flushes on the way and afterwards as it is configured, unless `in_transaction`.
    fn _frame(
        &self,
        data: &Bound<'_, PyAny>,
        options: &Bound<'_, PyDict>,
        tables: Option<PyTables>,
        in_transaction: bool,
    ) -> PyResult<()> {
        let py = data.py();
        let options = options::parse(options)?;
        let source = take(data, false)?.into_source();
        let tables = self::tables(tables);
        let mut guard =
            if in_transaction { self.in_transaction(py, "dataframe")? } else { self.open(py, "dataframe")? };
        let state: &mut State = &mut guard;
        let is_http = state.is_http();
        sending(py, is_http, |tick| {
            let State { lines, link, auto, last_flush, .. } = state;
            let of_frame = |error| (Failed::Frame(error), None);
            let (Some((at, interval)), Some(link), false) = (*auto, link, in_transaction) else {
                return lines.frame_with_cells(source, &options, tables.as_ref(), None).map_err(of_frame);
            };
            let mut failure = None;
            let mut flush = |lines: &mut RowBuffer, is_full: bool| {
                let is_late = interval.is_some_and(|interval| last_flush.elapsed() >= interval);
                if !is_full && !is_late {
                    return Ok(());
                }
                match send(link, lines, true, false, &mut *tick) {
                    Ok(()) => {
                        *last_flush = Instant::now();
                        Ok(())
                    }
                    Err(failed) => {
                        failure = Some((failed, Some(lines.take())));
                        Err(Error::interrupted())
                    }
                }
            };
            let done = lines.frame_with_cells(source, &options, tables.as_ref(), Some((at, &mut flush)));
            done.map_err(|error| failure.unwrap_or_else(|| of_frame(error)))
        })
    }

    /// Sends the sender's own rows, or those of a buffer.
    fn _flush(
        &self,
        py: Python<'_>,
        buffer: Option<&Bound<'_, Buffer>>,
        clear: bool,
        transactional: bool,
        in_transaction: bool,
    ) -> PyResult<()> {
        let mut state = if in_transaction { self.in_transaction(py, "flush")? } else { self.open(py, "flush")? };
        let Some(buffer) = buffer else { return flush_own(py, &mut state, transactional) };
        let mut lines = buffer.get().lines.lock(py)?;
        let lines: &mut RowBuffer = &mut lines;
        let (ours, theirs) = (state.lines.version(), lines.version());
        if ours != theirs && lines.rows() > 0 {
            let message = format!(
                "Attempting to send with protocol version {theirs} but the sender is configured to use protocol version \
                 {ours}"
            );
            return Err(bare(py, ErrorKind::ProtocolVersionError, &message));
        }
        let is_http = state.is_http();
        let Some(link) = &mut state.link else { return Ok(()) };
        sending(py, is_http, |tick| send(link, lines, clear, transactional, tick).map_err(|failed| (failed, None)))?;
        state.last_flush = Instant::now();
        Ok(())
    }

    /// Forgets the sender's own rows.
    fn _clear(&self, py: Python<'_>) -> PyResult<()> {
        self.lock(py)?.lines.clear();
        Ok(())
    }

    /// Ends the connection; rows that have not been flushed are lost. The first call only.
    fn _close(&self, py: Python<'_>) -> PyResult<()> {
        let mut state = self.lock(py)?;
        state.is_closed = true;
        state.lines = RowBuffer::new(ProtocolVersion::V1, 127, 0);
        let Some(mut link) = state.link.take() else { return Ok(()) };
        interruptible(py, |tick| {
            let closed = link.sender.close_with(tick);
            // Its thread may need the GIL to end.
            drop(link);
            closed
        })
    }

    /// Whether a flush can be tried: over TCP not once the connection has failed.
    fn _is_usable(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.lock(py)?.link.as_ref().is_some_and(|link| link.sender.is_usable()))
    }
}

fn flush_own(py: Python<'_>, state: &mut State, transactional: bool) -> PyResult<()> {
    let is_http = state.is_http();
    sending(py, is_http, |tick| state.flush_own(transactional, tick))
}

/// Runs what may send without the GIL; a failure becomes an exception, but that of a signal goes first.
fn sending(py: Python<'_>, is_http: bool, call: impl FnOnce(Tick<'_>) -> Result<(), Failure> + Send) -> PyResult<()> {
    let mut failure = None;
    let done = interruptible(py, |tick| {
        call(tick).map_err(|failed| {
            failure = Some(failed);
            Error::interrupted()
        })
    });
    match failure {
        Some((failed, pending)) => Err(match done {
            Err(error) if !is_ours(py, &error) => {
                // The rows are in the error that tells what became of them.
                if error.cause(py).is_none() {
                    error.set_cause(py, Some(raise(py, failed, pending, is_http)));
                }
                error
            }
            _ => raise(py, failed, pending, is_http),
        }),
        None => done,
    }
}

/// Whether an exception is this package's, and not what a signal handler raised.
fn is_ours(py: Python<'_>, error: &PyErr) -> bool {
    let class = py.import("questframe.exceptions").and_then(|module| module.getattr("IngressError"));
    class.is_ok_and(|class| error.value(py).is_instance(&class).unwrap_or(false))
}
