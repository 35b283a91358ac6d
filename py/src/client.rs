//! The client and the functions without one. Each releases the GIL while it encodes, sends and waits.

use std::fs::File;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use pyo3::exceptions::{PyBlockingIOError, PyOSError, PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use questframe::Resumable;

use crate::error::{closed, map, stopped};
use crate::input::Input;
use crate::options;
use crate::report::{DrainReport, Plan, ServerInfo, WriteReport};

/// Longer than anybody waits, and short enough to be counted from now.
const A_YEAR: Duration = Duration::from_secs(365 * 24 * 3_600);

pub(crate) fn take(data: &Bound<'_, PyAny>, table: bool) -> PyResult<Input> {
    if table { Input::take_table(data) } else { Input::take(data) }
}

/// Runs a call that waits for the server without the GIL, and lets signals such as Ctrl-C end it.
pub(crate) fn interruptible<T: Send>(
    py: Python<'_>,
    call: impl FnOnce(&mut dyn FnMut() -> ControlFlow<()>) -> questframe::Result<T> + Send,
) -> PyResult<T> {
    let mut raised = None;
    let result = py.detach(|| {
        call(&mut || match Python::attach(|py| py.check_signals()) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                raised = Some(error);
                ControlFlow::Break(())
            }
        })
    });
    match raised {
        Some(raised) => Err(raised),
        None => result.map_err(|error| map(py, &error)),
    }
}

/// A stream that can be read once, taken over; after a failed write it can be gone on with.
#[pyclass(frozen, module = "questframe._questframe")]
#[derive(Debug)]
pub(crate) struct Stream(Mutex<Resumable<'static>>);

#[pymethods]
impl Stream {
    #[new]
    fn new(data: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self(Mutex::new(Resumable::new(take(data, false)?.into_source()))))
    }
}

impl Stream {
    fn take(&self) -> PyResult<MutexGuard<'_, Resumable<'static>>> {
        match self.0.try_lock() {
            Ok(rows) => Ok(rows),
            Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => {
                Err(PyRuntimeError::new_err("the stream is being written by another thread"))
            }
        }
    }
}

/// What was asked about a table before a write was ready; once.
#[pyclass(frozen, module = "questframe._questframe")]
#[derive(Debug)]
pub(crate) struct Ahead(Mutex<Option<questframe::Ahead>>);

/// Lets go of its connections and buffers in `close`, whoever still holds the object: a traceback that somebody keeps
/// holds every frame that had it.
#[pyclass(frozen, module = "questframe._questframe")]
#[derive(Debug)]
pub(crate) struct Client(Mutex<Option<questframe::Client>>);

impl Client {
    /// The client, shared while a call goes on.
    fn open(&self, py: Python<'_>) -> PyResult<questframe::Client> {
        self.lock().clone().ok_or_else(|| closed(py))
    }

    fn lock(&self) -> MutexGuard<'_, Option<questframe::Client>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Client {
    #[new]
    #[pyo3(signature = (conf))]
    fn new(py: Python<'_>, conf: Option<&str>) -> PyResult<Self> {
        let client = match conf {
            Some(conf) => questframe::Client::from_conf(conf),
            None => questframe::Client::from_env(),
        };
        client.map(|client| Self(Mutex::new(Some(client)))).map_err(|error| map(py, &error))
    }

    /// Whoever writes at this moment goes on to the end.
    fn close(&self, py: Python<'_>) {
        let client = self.lock().take();
        // Its thread may need the GIL to end.
        py.detach(|| drop(client));
    }

    /// Asks which table a name stands for, for a write that has begun; see `questframe::Client::ask_ahead`.
    #[pyo3(signature = (table))]
    fn ask_ahead(&self, table: Option<&Bound<'_, PyAny>>) -> Option<Ahead> {
        let client = self.lock().clone()?;
        // What is no text is told by the write.
        let table = table.map(|table| table.extract::<String>()).transpose().ok()?;
        Some(Ahead(Mutex::new(Some(client.ask_ahead(table.as_deref())?))))
    }

    /// `progress(rows, total_rows, bytes)` is called now and then; what it raises ends the write.
    #[pyo3(signature = (data, table, options, progress, ahead=None))]
    fn write(
        &self,
        py: Python<'_>,
        data: &Bound<'_, PyAny>,
        table: bool,
        options: &Bound<'_, PyDict>,
        progress: Option<Py<PyAny>>,
        ahead: Option<&Bound<'_, Ahead>>,
    ) -> PyResult<WriteReport> {
        let options = options::parse(options)?;
        let mut held;
        let mut fresh;
        let rows = match data.cast::<Stream>() {
            Ok(stream) => {
                held = stream.get().take()?;
                &mut *held
            }
            Err(_) => {
                fresh = Resumable::new(take(data, table)?.into_source());
                &mut fresh
            }
        };
        let client = self.open(py)?;
        let ahead = ahead.and_then(|ahead| ahead.get().0.lock().unwrap_or_else(PoisonError::into_inner).take());
        let mut raised = None;
        let result = py.detach(|| {
            client.write_asked(rows, &options, ahead, |now| {
                // What was raised first is what ended the write.
                if raised.is_some() {
                    return ControlFlow::Break(());
                }
                let told = Python::attach(|py| {
                    py.check_signals()?;
                    if let Some(progress) = &progress {
                        progress.call1(py, (now.rows, now.total_rows, now.bytes))?;
                    }
                    Ok(())
                });
                match told {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(error) => {
                        raised = Some(error);
                        ControlFlow::Break(())
                    }
                }
            })
        });
        match (result, raised) {
            (Err(error), Some(raised)) => Err(stopped(py, raised, &error)),
            // It came with the last row.
            (Ok(_), Some(raised)) => Err(raised),
            (result, None) => result.map(WriteReport).map_err(|error| map(py, &error)),
        }
    }

    #[pyo3(signature = (data, table, options))]
    fn plan(
        &self,
        py: Python<'_>,
        data: &Bound<'_, PyAny>,
        table: bool,
        options: &Bound<'_, PyDict>,
    ) -> PyResult<Plan> {
        let options = options::parse(options)?;
        let input = take(data, table)?;
        let schema = input.schema();
        let client = self.open(py)?;
        let mut plan = interruptible(py, |tick| client.plan_with(&schema, &options, tick))?;
        if let Some(batch) = input.first_batch() {
            plan.hint_symbols(&batch);
        }
        Ok(Plan(plan))
    }

    #[pyo3(signature = (folder))]
    fn drain_spool(&self, py: Python<'_>, folder: Option<PathBuf>) -> PyResult<DrainReport> {
        let client = self.open(py)?;
        interruptible(py, |tick| client.drain_spool_with(folder.as_deref(), tick)).map(DrainReport)
    }

    fn replay_spool(&self, py: Python<'_>) -> PyResult<Vec<PathBuf>> {
        let client = self.open(py)?;
        interruptible(py, |tick| client.replay_spool_with(tick))
    }

    fn ping(&self, py: Python<'_>) -> PyResult<f64> {
        let client = self.open(py)?;
        let took = interruptible(py, |tick| client.ping_with(tick))?;
        Ok(took.as_secs_f64())
    }

    /// The JSON of the answer to a query.
    #[pyo3(signature = (sql, timeout))]
    fn read_query<'py>(&self, py: Python<'py>, sql: &str, timeout: f64) -> PyResult<Bound<'py, PyBytes>> {
        let client = self.open(py)?;
        // What is no time is refused in Python.
        let timeout = Duration::try_from_secs_f64(timeout).unwrap_or(A_YEAR).min(A_YEAR);
        let body = interruptible(py, |tick| client.read_query(sql, timeout, tick))?;
        Ok(PyBytes::new(py, &body))
    }

    fn server_info(&self, py: Python<'_>) -> PyResult<ServerInfo> {
        let client = self.open(py)?;
        interruptible(py, |tick| client.server_info_with(tick)).map(ServerInfo)
    }

    #[getter]
    fn created_in_pid(&self) -> Option<u32> {
        self.lock().as_ref().map(questframe::Client::created_in_pid)
    }

    /// The table of the configuration string.
    #[getter]
    fn table(&self) -> Option<String> {
        self.lock().as_ref().and_then(|client| client.config().table().map(ToOwned::to_owned))
    }

    /// The column of the designated timestamp in the configuration string.
    #[getter]
    fn at(&self) -> Option<String> {
        self.lock().as_ref().and_then(|client| client.config().at().map(ToOwned::to_owned))
    }

    #[getter]
    fn warnings(&self) -> Vec<String> {
        self.lock().as_ref().map_or_else(Vec::new, |client| client.config().warnings().to_vec())
    }

    fn __repr__(&self) -> String {
        match &*self.lock() {
            Some(client) => format!("Client({client})"),
            None => "Client(closed)".to_owned(),
        }
    }
}

#[pyfunction]
#[pyo3(signature = (data, table, options))]
pub(crate) fn plan(
    py: Python<'_>,
    data: &Bound<'_, PyAny>,
    table: bool,
    options: &Bound<'_, PyDict>,
) -> PyResult<Plan> {
    let options = options::parse(options)?;
    let input = take(data, table)?;
    let mut plan = questframe::plan(&input.schema(), &options).map_err(|error| map(py, &error))?;
    if let Some(batch) = input.first_batch() {
        plan.hint_symbols(&batch);
    }
    Ok(Plan(plan))
}

/// A Python binary file as a writer.
struct PyFile {
    file: Py<PyAny>,
    /// What it raised: the caller gets that, not our words about it.
    raised: Arc<Mutex<Option<PyErr>>>,
}

impl Write for PyFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Python::attach(|py| {
            let written = self.file.call_method1(py, "write", (PyBytes::new(py, bytes),))?;
            // Raw files tell how much they took; others may return None.
            if written.is_none(py) && self.file.bind(py).is_instance(&py.import("io")?.getattr("RawIOBase")?)? {
                return Err(PyBlockingIOError::new_err(
                    "`out` takes no more for now; let it block, as with os.set_blocking",
                ));
            }
            Ok::<_, PyErr>(written.extract::<usize>(py).unwrap_or(bytes.len()).min(bytes.len()))
        })
        .map_err(|error| {
            let text = error.to_string();
            *self.raised.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            std::io::Error::other(text)
        })
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A file of the file system; the pool's buffers are large, so it has none of its own. It is made when the first lines are
/// there: what is refused leaves a file that was there before as it was.
struct PathFile {
    path: PathBuf,
    file: Option<File>,
    /// Why writing failed: the caller gets an `OSError` with its errno.
    raised: Arc<Mutex<Option<PyErr>>>,
}

impl PathFile {
    fn open(&mut self) -> io::Result<&mut File> {
        if self.file.is_none() {
            let made = File::create(&self.path).inspect_err(|error| {
                *self.raised.lock().unwrap_or_else(PoisonError::into_inner) = Some(at_path(error, &self.path));
            });
            self.file = Some(made?);
        }
        self.file.as_mut().ok_or_else(|| io::Error::other("no file"))
    }
}

impl Write for PathFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.open()?.write(bytes).inspect_err(|error| {
            // An interrupted call is made again by whoever writes.
            if error.kind() == std::io::ErrorKind::Interrupted {
                return;
            }
            let text = error.to_string();
            let again = match error.raw_os_error() {
                // As Python words it: the number apart from the text.
                Some(errno) => {
                    let text = text.trim_end_matches(&format!(" (os error {errno})")).to_owned();
                    PyOSError::new_err((errno, text))
                }
                None => PyOSError::new_err(text),
            };
            *self.raised.lock().unwrap_or_else(PoisonError::into_inner) = Some(again);
        })
    }

    /// Also makes the file of a frame without rows.
    fn flush(&mut self) -> std::io::Result<()> {
        self.open()?.flush()
    }
}

/// The exception that Python itself has for it, which names the file.
fn at_path(error: &io::Error, path: &Path) -> PyErr {
    let text = error.to_string();
    match error.raw_os_error() {
        Some(code) => {
            let text = text.split(" (os error").next().unwrap_or_default().to_owned();
            PyOSError::new_err((code, text, path.to_owned()))
        }
        None => PyOSError::new_err(text),
    }
}

#[pyfunction]
#[pyo3(signature = (data, table, options, out))]
pub(crate) fn to_ilp<'py>(
    py: Python<'py>,
    data: &Bound<'py, PyAny>,
    table: bool,
    options: &Bound<'py, PyDict>,
    out: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let options = options::parse(options)?;
    let input = take(data, table)?;
    let Some(out) = out else {
        let bytes = py.detach(|| questframe::to_ilp(input.into_source(), &options));
        let bytes = bytes.map_err(|error| map(py, &error))?;
        return Ok(PyBytes::new(py, &bytes).into_any());
    };
    let raised = Arc::new(Mutex::new(None));
    let mut writer: Box<dyn Write + Send> = if out.hasattr("write")? {
        Box::new(PyFile { file: out.clone().unbind(), raised: raised.clone() })
    } else if let Ok(path) = out.extract::<PathBuf>() {
        Box::new(PathFile { path, file: None, raised: raised.clone() })
    } else {
        return Err(PyTypeError::new_err("`out` must be a path or a binary file"));
    };
    let written = py.detach(|| {
        let written = questframe::to_ilp_writer(input.into_source(), &options, &mut writer)?;
        // What goes wrong is in `raised`.
        let _ = writer.flush();
        Ok(written)
    });
    if let Some(error) = raised.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return Err(error);
    }
    let written = written.map_err(|error| map(py, &error))?;
    Ok(written.into_pyobject(py)?.into_any())
}
