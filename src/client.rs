//! The client: one server, its connections, its buffers, and what is known of its tables.

use std::collections::HashMap;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, mpsc};
use std::time::{Duration, Instant};

use arrow_schema::Schema;
use simd_json::prelude::ValueAsScalar;

use crate::buffer::Pool;
use crate::config::{Auth, Config, ConfigError};
use crate::error::{Error, Result};
use crate::frontend::IntoSource;
use crate::options::{ProtocolVersion, WriteOptions};
use crate::plan::{Context, Plan, Target, TargetTable};
use crate::report::WriteReport;
use crate::sender::{Job, Progress, write};
use crate::transport::{Certainty, HttpTransport, Runtime, ServerInfo, TransportError};

/// What is called while the server is waited for; it may end the wait.
type Tick<'a> = &'a mut dyn FnMut() -> ControlFlow<()>;

/// How long the server is waited for before the caller is asked whether to go on.
const TICK: Duration = Duration::from_millis(50);

/// How long a table's columns are believed.
const TABLE_KEPT: Duration = Duration::from_secs(60);

/// A client of one QuestDB server. Clones share connections, buffers and what is known of the tables; any number of
/// threads may write through it at once.
///
/// Nothing is connected before the first call that needs the server.
///
/// ```no_run
/// # use std::sync::Arc;
/// # use questframe::arrow::array::{ArrayRef, Int64Array, RecordBatch};
/// use questframe::{At, Client, WriteOptions};
/// # let batch = RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef)])?;
/// let client = Client::from_conf("http::addr=localhost:9000;")?;
/// let report = client.write(&batch, &WriteOptions::table("trades").at(At::Server))?;
/// println!("{report}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    config: Config,
    transport: HttpTransport,
    runtime: Runtime,
    pool: Pool,
    server: OnceLock<ServerInfo>,
    tables: Mutex<HashMap<String, (Instant, Target)>>,
}

/// The server and how the client logs in, without secrets.
impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = &self.0.config;
        write!(f, "{}://{}", config.scheme().name(), config.address())?;
        match config.auth() {
            Auth::None => Ok(()),
            Auth::Basic { username, .. } => write!(f, " as {username:?}"),
            _ => write!(f, " with a token"),
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("config", &self.0.config).finish_non_exhaustive()
    }
}

impl Client {
    /// A client for this configuration string (`spec/configuration.md`), such as `http::addr=localhost:9000;`.
    ///
    /// # Errors
    /// [`ErrorKind::ConfigError`](crate::ErrorKind::ConfigError) for everything wrong with the string, TLS material
    /// that cannot be read, and the schemes `tcp` and `tcps`, over which the server acknowledges nothing.
    ///
    /// ```
    /// let client = questframe::Client::from_conf("https::addr=db.example:443;token=secret;")?;
    /// assert!(!format!("{client:?}").contains("secret"));
    /// # Ok::<(), questframe::Error>(())
    /// ```
    pub fn from_conf(conf: &str) -> Result<Self> {
        Self::from_config(Config::from_conf(conf)?)
    }

    /// A client for the configuration string in the environment variable `QDB_CLIENT_CONF`.
    ///
    /// # Errors
    /// As [`from_conf`](Self::from_conf), and if the variable is not set.
    pub fn from_env() -> Result<Self> {
        Self::from_config(Config::from_env()?)
    }

    /// A client for a configuration that has been parsed.
    ///
    /// # Errors
    /// As [`from_conf`](Self::from_conf).
    pub fn from_config(config: Config) -> Result<Self> {
        if !config.scheme().is_http() {
            return Err(ConfigError::Unacknowledged { scheme: config.scheme().name() }.into());
        }
        let transport = HttpTransport::new(&config)?;
        let runtime = Runtime::new()?;
        let pool = Pool::new(config.pool_bytes());
        let tables = Mutex::new(HashMap::new());
        Ok(Self(Arc::new(Inner { config, transport, runtime, pool, server: OnceLock::new(), tables })))
    }

    /// The configuration. Its `Debug` form hides secrets.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// The process that made the client. After a fork its connections and thread are not there in the child.
    pub fn created_in_pid(&self) -> u32 {
        self.0.runtime.created_in_pid()
    }

    /// Writes a frame and returns when the server has acknowledged all of it.
    ///
    /// The frame is planned and, if it can be read twice, checked whole before its first byte is sent. It goes in
    /// several requests, each atomic on the server. Memory: the client's buffers (`pool_bytes`, 64 MiB by default),
    /// whatever the frame's size. The first write asks the server for its protocol versions, and once a minute for
    /// the table's columns.
    ///
    /// # Errors
    /// Everything that is wrong with the frame, before sending; what the server or the way to it did, with the rows
    /// that were stored, are in doubt, and were not stored ([`Error::delivery`]).
    pub fn write<'a, Via>(&self, data: impl IntoSource<'a, Via>, options: &WriteOptions) -> Result<WriteReport> {
        self.write_with_progress(data, options, |_| ControlFlow::Continue(()))
    }

    /// As [`write`](Self::write); `progress` is called on this thread at least every 50 ms while the write waits and
    /// after each buffer, and stops it by answering `Break`: what is in flight then is in doubt.
    ///
    /// # Errors
    /// As [`write`](Self::write), and [`Error::is_interrupted`] when stopped.
    ///
    /// ```no_run
    /// # use std::ops::ControlFlow;
    /// # use std::sync::Arc;
    /// # use questframe::arrow::array::{ArrayRef, Int64Array, RecordBatch};
    /// # use questframe::{At, Client, WriteOptions};
    /// # let batch = RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef)])?;
    /// # let client = Client::from_conf("http::addr=localhost:9000;")?;
    /// client.write_with_progress(&batch, &WriteOptions::table("trades").at(At::Server), |progress| {
    ///     eprintln!("{} rows stored", progress.rows);
    ///     ControlFlow::Continue(())
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn write_with_progress<'a, Via>(
        &self,
        data: impl IntoSource<'a, Via>,
        options: &WriteOptions,
        mut progress: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<WriteReport> {
        let started = Instant::now();
        let source = data.into_source();
        let nothing_yet = Progress { total_rows: source.rows(), ..Progress::default() };
        let plan = self.plan_for(&source.schema(), options, &mut || progress(nothing_yet))?;
        let inner = &*self.0;
        let job = Job {
            plan: &plan,
            runtime: self.runtime()?,
            transport: &inner.transport,
            pool: &inner.pool,
            connections: options.connections.unwrap_or(inner.config.connections()),
            ordered: options.ordered.unwrap_or(true),
            max_rows: inner.config.auto_flush_rows(),
            max_bytes: inner.config.auto_flush_bytes(),
            max_buf_size: inner.config.max_buf_size(),
            started,
        };
        let result = write(&job, source, &mut progress);
        match &result {
            Ok(report) if report.created => self.remember_created(&plan),
            Ok(_) => {}
            // Whatever the server disliked, the table may not be what we believe.
            Err(_) => {
                self.tables().remove(plan.table());
            }
        }
        result
    }

    /// How a frame of this schema would land, checked against the server's table.
    ///
    /// # Errors
    /// All problems of the schema and the options together; an unreachable server.
    pub fn plan(&self, schema: &Schema, options: &WriteOptions) -> Result<Plan> {
        self.plan_for(schema, options, &mut || ControlFlow::Continue(()))
    }

    /// As [`plan`](Self::plan); `tick` is called every 50 ms while the server is waited for, and may end that.
    ///
    /// # Errors
    /// As [`plan`](Self::plan), and [`Error::is_interrupted`] when ended.
    pub fn plan_with(
        &self,
        schema: &Schema,
        options: &WriteOptions,
        tick: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Plan> {
        self.plan_for(schema, options, tick)
    }

    /// The time the server takes to answer `GET /ping`.
    ///
    /// # Errors
    /// If it cannot be reached or does not answer as QuestDB does.
    pub fn ping(&self) -> Result<Duration> {
        self.ping_with(&mut || ControlFlow::Continue(()))
    }

    /// As [`ping`](Self::ping); `tick` is called every 50 ms while the server is waited for, and may end that.
    ///
    /// # Errors
    /// As [`ping`](Self::ping), and [`Error::is_interrupted`] when ended.
    pub fn ping_with(&self, tick: &mut dyn FnMut() -> ControlFlow<()>) -> Result<Duration> {
        let transport = self.0.transport.clone();
        Ok(self.wait(async move { transport.ping().await }, tick)??)
    }

    /// What the server says of itself; asked once per client.
    ///
    /// # Errors
    /// If it cannot be reached, or its answer is not that of a QuestDB.
    pub fn server_info(&self) -> Result<ServerInfo> {
        self.server_info_with(&mut || ControlFlow::Continue(()))
    }

    /// As [`server_info`](Self::server_info); `tick` is called every 50 ms while the server is waited for, and may end
    /// that.
    ///
    /// # Errors
    /// As [`server_info`](Self::server_info), and [`Error::is_interrupted`] when ended.
    pub fn server_info_with(&self, tick: &mut dyn FnMut() -> ControlFlow<()>) -> Result<ServerInfo> {
        if let Some(info) = self.0.server.get() {
            return Ok(info.clone());
        }
        let transport = self.0.transport.clone();
        let info = self.wait(async move { transport.settings().await }, tick)??;
        Ok(self.0.server.get_or_init(|| info).clone())
    }

    /// The runtime, if this is the process it runs in: its thread does not come along in a fork.
    fn runtime(&self) -> Result<&Runtime> {
        if self.created_in_pid() == std::process::id() { Ok(&self.0.runtime) } else { Err(Error::forked()) }
    }

    /// Waits for a future, calling `tick` meanwhile. When that ends it, the future is dropped.
    fn wait<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static, tick: Tick<'_>) -> Result<T> {
        let (send, receive) = mpsc::sync_channel(1);
        let task = self.runtime()?.spawn(async move {
            let _ = send.send(future.await);
        });
        loop {
            match receive.recv_timeout(TICK) {
                Ok(output) => return Ok(output),
                Err(mpsc::RecvTimeoutError::Timeout) if tick().is_continue() => {}
                // Ended by the caller, or by a panic that the background thread has already reported.
                Err(_) => {
                    task.abort();
                    return Err(Error::interrupted());
                }
            }
        }
    }

    fn plan_for(&self, schema: &Schema, options: &WriteOptions, tick: Tick<'_>) -> Result<Plan> {
        let config = &self.0.config;
        let table = options.table.as_deref().or(config.table());
        let (version, max_name_len) = self.negotiate(options, tick)?;
        let target = match table {
            Some(table) if options.check.unwrap_or(true) && !table.is_empty() => self.target(table, tick)?,
            _ => Target::Unknown,
        };
        Plan::try_new(schema, options, &Context { table, default_at: config.at(), version, max_name_len, target })
    }

    /// The protocol version and the limit of names: as asked for, else the best that both sides know.
    fn negotiate(&self, options: &WriteOptions, tick: Tick<'_>) -> Result<(ProtocolVersion, usize)> {
        let config = &self.0.config;
        if let Some(version) = options.protocol_version.or(config.protocol_version()) {
            return Ok((version, config.max_name_len()));
        }
        let info = self.server_info_with(tick)?;
        let best = info.protocol_versions.iter().filter_map(|number| ProtocolVersion::from_number(*number)).max();
        let version = best.ok_or_else(|| TransportError::no_common_version(&info))?;
        Ok((version, info.max_name_len.unwrap_or(config.max_name_len())))
    }

    fn tables(&self) -> MutexGuard<'_, HashMap<String, (Instant, Target)>> {
        self.0.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of a table, asked anew once a minute.
    fn target(&self, table: &str, tick: Tick<'_>) -> Result<Target> {
        if let Some((asked, target)) = self.tables().get(table)
            && asked.elapsed() < TABLE_KEPT
        {
            return Ok(target.clone());
        }
        let transport = self.0.transport.clone();
        let sql = format!("SHOW COLUMNS FROM '{}'", table.replace('\'', "''"));
        let target = match self.wait(async move { transport.query(&sql).await }, tick)? {
            Ok(answer) => {
                let position = |name: &str| answer.columns.iter().position(|column| column.name == name);
                let (name, kind, designated) = (position("column"), position("type"), position("designated"));
                let mut found = TargetTable::default();
                for row in &answer.rows {
                    let text = |position: Option<usize>| position.and_then(|at| row.get(at)).and_then(|v| v.as_str());
                    let Some(name) = text(name) else { continue };
                    if designated.and_then(|at| row.get(at)).and_then(|v| v.as_bool()) == Some(true) {
                        found.designated = Some(name.to_owned());
                    }
                    found.columns.push((name.to_owned(), text(kind).unwrap_or_default().to_owned()));
                }
                Target::Existing(found)
            }
            Err(error) if error.server_message().is_some_and(|text| text.contains("table does not exist")) => {
                Target::Missing
            }
            // The server answers, but not this: `/exec` may be closed to us. Writing may still be open.
            Err(error) if error.certainty() == Certainty::Refused && !error.is_unauthorized() => Target::Unreadable,
            Err(error) => return Err(Error::from(error).with_table(table)),
        };
        self.tables().insert(table.to_owned(), (Instant::now(), target.clone()));
        Ok(target)
    }

    /// Notes the table that the server has just created from a plan, so that the next write need not ask.
    fn remember_created(&self, plan: &Plan) {
        let columns = plan.columns().into_iter().filter(|column| column.role != "skipped");
        let columns = columns
            .map(|column| {
                let name = if column.role == "designated timestamp" { "timestamp".to_owned() } else { column.name };
                (name, column.questdb_type)
            })
            .collect();
        let table = TargetTable { designated: Some("timestamp".to_owned()), columns };
        self.tables().insert(plan.table().to_owned(), (Instant::now(), Target::Existing(table)));
    }
}

/// How a frame of this schema would land, without a server: as if the table were missing.
///
/// # Errors
/// All problems of the schema and the options together.
///
/// ```
/// use questframe::arrow::datatypes::{DataType, Field, Schema, TimeUnit};
/// let schema = Schema::new(vec![
///     Field::new("price", DataType::Float64, true),
///     Field::new("ts", DataType::Timestamp(TimeUnit::Microsecond, None), true),
/// ]);
/// let plan = questframe::plan(&schema, &questframe::WriteOptions::table("trades"))?;
/// assert_eq!(plan.at(), Some("ts"));
/// # Ok::<(), questframe::Error>(())
/// ```
pub fn plan(schema: &Schema, options: &WriteOptions) -> Result<Plan> {
    let context = Context {
        table: options.table.as_deref(),
        default_at: None,
        version: options.protocol_version.unwrap_or(ProtocolVersion::V3),
        max_name_len: crate::plan::name::DEFAULT_MAX_NAME_LEN,
        target: Target::Missing,
    };
    Plan::try_new(schema, options, &context)
}
