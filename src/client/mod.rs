//! The client: one server, its connections, its buffers, and what is known of its tables.

mod tables;

use std::fmt;
use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock, mpsc};
use std::time::{Duration, Instant};

use arrow_schema::Schema;

use crate::buffer::Pool;
use crate::config::{Auth, Config, ConfigError};
use crate::error::{Error, Result};
use crate::frontend::{IntoSource, Source};
use crate::options::{Create, ProtocolVersion, WriteOptions};
use crate::plan::{Context, Plan, Target};
use crate::report::WriteReport;
use crate::sender::{Job, Progress, preview, write};
use crate::transport::{HttpTransport, Runtime, ServerInfo, TransportError};
use tables::{Ask, Tables, look_up};

/// What is called while the server is waited for; it may end the wait.
type Tick<'a> = &'a mut dyn FnMut() -> ControlFlow<()>;

/// How long the server is waited for before the caller is asked whether to go on.
const TICK: Duration = Duration::from_millis(50);

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
    tables: Tables,
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
        let tables = Tables::default();
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
    /// the table's columns; each asks, at most every 10 ms if they follow each other without a pause,
    /// whether the table's name still stands for the same table.
    /// A missing table is made as [`WriteOptions::create`] says, after the values of the frame (of a stream: its first
    /// batch) have been found sound; not for a frame without rows.
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
        let tick: Tick<'_> = &mut || progress(nothing_yet);
        let plan = self.plan_for(&source.schema(), options, tick)?;
        let (source, made) = self.make_table(source, plan, options, tick)?;
        let Made { plan, created, notes } = made;
        let inner = &*self.0;
        // Where nobody tells which table the name stands for, it may have been dropped and made again.
        if inner.tables.is_written_again(plan.table()) && plan.may_be_made_by_server() {
            inner.transport.reconnect()?;
        }
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
            // Requests that race each other to make a table may fail each other.
            first_alone: plan.may_be_made_by_server(),
            created,
            notes,
            started,
        };
        let result = write(&job, source, &mut progress);
        inner.tables.written(plan.table());
        // Whatever the server disliked, the table may not be what we believe; and what it made we have not seen.
        if result.is_err() || plan.may_be_made_by_server() {
            self.0.tables.forget(plan.table());
        }
        result
    }

    /// Runs the statements of a plan, once the values have been found sound, and plans anew for what is there then.
    fn make_table<'a>(
        &self,
        mut source: Source<'a>,
        mut plan: Plan,
        options: &WriteOptions,
        tick: Tick<'_>,
    ) -> Result<(Source<'a>, Made)> {
        let (mut created, mut notes) = (false, Vec::new());
        let mut options = options.clone();
        // Others may make the table at the same time, and make it otherwise.
        for attempt in 0..ATTEMPTS {
            if plan.statements().is_empty() {
                break;
            }
            let previewed = preview(&plan, source);
            if previewed.is_err() {
                self.0.tables.forget(plan.table());
            }
            let (again, has_rows) = previewed?;
            source = again;
            if !has_rows {
                break;
            }
            match self.run_statements(&plan, tick)? {
                Ok(()) => {
                    created |= plan.creates_table();
                    // A connection that has written to the table does not know of a new DECIMAL column, and fails.
                    self.0.transport.reconnect()?;
                    if !plan.creates_table() {
                        // The columns are there, with these types, though the server may not show them yet.
                        self.0.tables.forget(plan.table());
                        break;
                    }
                }
                // Somebody else has just made the same column, maybe of another type.
                Err((error, _)) if error.is_made_by_others() && attempt + 1 < ATTEMPTS => {}
                Err((error, _)) if error.is_closed() => {
                    notes.push(format!(
                        "the server runs no statements for this client ({error}), so it made the table itself if it was \
                         missing: its designated timestamp is then called \"timestamp\", its partitions are days{}",
                        not_applied(&options)
                    ));
                    options = options.create(Create::Server);
                }
                Err((error, statement)) => {
                    self.0.tables.forget(plan.table());
                    return Err(Error::statement(statement, error).with_table(plan.table()));
                }
            }
            self.0.tables.forget(plan.table());
            plan = self.plan_for(&source.schema(), &options, tick)?;
        }
        if notes.is_empty() && plan.is_unreadable() {
            notes.push(format!(
                "the server did not let the table be looked up; if it was missing the server made it, with a designated \
                 timestamp called \"timestamp\" and partitions of a day{}",
                not_applied(&options)
            ));
        }
        Ok((source, Made { plan, created, notes }))
    }

    /// Runs the statements of a plan; the inner error is that of one of them.
    fn run_statements(&self, plan: &Plan, tick: Tick<'_>) -> Result<std::result::Result<(), (TransportError, String)>> {
        for statement in plan.statements() {
            let (transport, sql) = (self.0.transport.clone(), statement.clone());
            if let Err(error) = self.wait(async move { transport.query(&sql).await.map(|_| ()) }, tick)? {
                return Ok(Err((error, statement.clone())));
            }
        }
        Ok(Ok(()))
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
        let checked = table.filter(|table| options.check.unwrap_or(true) && !table.is_empty());
        let nanos = self.0.server.get().is_none_or(ServerInfo::has_nanos);
        let planned = |target| {
            let context = Context { table, default_at: config.at(), version, max_name_len, nanos, target };
            Plan::try_new(schema, options, &context)
        };
        let Some(checked) = checked else { return planned(Target::Unknown) };
        planned(self.target(checked, tick)?).or_else(|_| {
            // What is wrong may have been put right since the columns were asked for, by the very statement that the
            // last error proposed.
            self.0.tables.forget(checked);
            planned(self.target(checked, tick)?)
        })
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

    /// What is known of a table, asked anew where that may have changed.
    fn target(&self, table: &str, tick: Tick<'_>) -> Result<Target> {
        let tables = &self.0.tables;
        let mut identity_only = match tables.ask(table) {
            Ask::Nothing(target) => return Ok(target),
            Ask::Identity => true,
            Ask::All => false,
        };
        loop {
            let look_up = look_up(self.0.transport.clone(), table.to_owned(), identity_only);
            let answer = self.wait(look_up, tick)?.map_err(|error| Error::from(error).with_table(table))?;
            if tables.is_changed(table, &answer) {
                self.0.transport.reconnect()?;
            }
            match tables.note(table, answer) {
                Some(target) => return Ok(target),
                None if identity_only => identity_only = false,
                None => return Ok(Target::Unreadable),
            }
        }
    }
}

/// How often statements are tried when others change the table at the same time.
const ATTEMPTS: usize = 4;

/// What the note on a table that the server made says of a specification.
fn not_applied(options: &WriteOptions) -> &'static str {
    match options.create {
        Create::Table(_) => "; nothing of the TableSpec was applied",
        _ => "",
    }
}

/// A table that is there, or that the server will make.
struct Made {
    plan: Plan,
    created: bool,
    notes: Vec<String>,
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
    Plan::offline(schema, options, Target::Missing)
}
