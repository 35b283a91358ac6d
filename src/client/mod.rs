//! The client: its servers, connections and buffers, and what is known of the tables.

mod ahead;
mod fitting;
mod hosts;
mod lines;
mod spooling;
mod stream;
mod tables;
mod visible;
mod write;

use std::collections::HashMap;
use std::fmt;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use arrow_schema::Schema;
use tokio::task::JoinHandle;

pub use self::ahead::Ahead;
pub use self::lines::LineSender;
use crate::buffer::Pool;
use crate::config::{Auth, Config};
use crate::error::{Cause, Error, Result};
use crate::options::{Create, ProtocolVersion, WriteOptions};
use crate::plan::{Context, Plan, Target};
use crate::spool::Spool;
use crate::transport::{HttpTransport, Runtime, ServerInfo, TcpTransport, TransportError};
use hosts::{Host, Hosts, Tour};
use tables::{Ask, look_up};

/// What is called while the server is waited for; it may end the wait.
type Tick<'a> = &'a mut dyn FnMut() -> ControlFlow<()>;

/// How long the server is waited for before the caller is asked whether to go on.
const TICK: Duration = Duration::from_millis(50);

/// A client of a QuestDB server, or of several that stand in for each other (`addr=first:9000,second:9000;`). Clones
/// share connections, buffers and what is known of the tables; any number of threads may write through it at once.
///
/// With several servers it stays with one until that cannot be reached, or answers with a status that asks to come back
/// later; then it turns to the next.
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
    servers: Servers,
    runtime: Runtime,
    pool: Pool,
    /// Folders of rows that wait, in use by this client.
    spools: Mutex<HashMap<PathBuf, Arc<Spool>>>,
}

/// What there is to talk to.
enum Servers {
    /// Servers that answer.
    Http(Hosts),
    /// One that does not.
    Tcp(TcpTransport),
}

/// The server and how the client logs in, without secrets.
impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = &self.0.config;
        write!(f, "{}://{}", config.scheme().name(), config.addresses().join(","))?;
        match config.auth() {
            Auth::None => Ok(()),
            Auth::Basic { username, .. } => write!(f, " as {username:?}"),
            Auth::Ecdsa { key_id, .. } => write!(f, " as {key_id:?}"),
            Auth::Bearer { .. } => write!(f, " with a token"),
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
    /// [`ErrorKind::ConfigError`](crate::ErrorKind::ConfigError) for everything wrong with the string and TLS material
    /// that cannot be read; [`ErrorKind::AuthError`](crate::ErrorKind::AuthError) for keys of `tcp` that are none. Over
    /// `tcp` and `tcps` the server acknowledges nothing: a write asks for
    /// [`WriteOptions::unacknowledged`].
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
        let servers = match config.scheme().is_http() {
            true => Servers::Http(Hosts::new(&config)?),
            false => Servers::Tcp(TcpTransport::new(&config)?),
        };
        let runtime = Runtime::new()?;
        let pool = Pool::new(config.pool_bytes());
        Ok(Self(Arc::new(Inner { config, servers, runtime, pool, spools: Mutex::default() })))
    }

    /// The configuration. Its `Debug` form hides secrets.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// The process that made the client. After a fork its connections and thread are not there in the child.
    pub fn created_in_pid(&self) -> u32 {
        self.0.runtime.created_in_pid()
    }

    /// How a frame of this schema would land, checked against the server's table; over TCP without it.
    ///
    /// # Errors
    /// All problems of the schema and the options together; an unreachable server.
    pub fn plan(&self, schema: &Schema, options: &WriteOptions) -> Result<Plan> {
        self.plan_with(schema, options, &mut || ControlFlow::Continue(()))
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
        let hosts = match &self.0.servers {
            Servers::Http(hosts) => hosts,
            Servers::Tcp(_) => return self.plan_unasked(schema, options),
        };
        self.table_can_be_made(options)?;
        let tour = Tour::new(&self.0.config, None);
        let planned =
            self.on_some_host(hosts, tour, tick, |host, tick| self.plan_for(host, schema, options, None, tick));
        planned.map_err(|error| self.in_table(error, options))
    }

    /// The time the server takes to answer `GET /ping`; of several servers the one in use, or the next that answers.
    /// It is asked once.
    ///
    /// # Errors
    /// If it cannot be reached or does not answer as QuestDB does; over TCP always.
    pub fn ping(&self) -> Result<Duration> {
        self.ping_with(&mut || ControlFlow::Continue(()))
    }

    /// As [`ping`](Self::ping); `tick` is called every 50 ms while the server is waited for, and may end that.
    ///
    /// # Errors
    /// As [`ping`](Self::ping), and [`Error::is_interrupted`] when ended.
    pub fn ping_with(&self, tick: &mut dyn FnMut() -> ControlFlow<()>) -> Result<Duration> {
        let hosts = self.hosts("there is no ping")?;
        self.on_some_host(hosts, Tour::once(&self.0.config), tick, |host, tick| {
            self.ask(host, tick, |transport| async move { transport.ping().await })?.map_err(Error::from)
        })
    }

    /// What the server says of itself; asked once per client and server.
    ///
    /// # Errors
    /// If it cannot be reached, or its answer is not that of a QuestDB; over TCP always.
    pub fn server_info(&self) -> Result<ServerInfo> {
        self.server_info_with(&mut || ControlFlow::Continue(()))
    }

    /// As [`server_info`](Self::server_info); `tick` is called every 50 ms while the server is waited for, and may end
    /// that.
    ///
    /// # Errors
    /// As [`server_info`](Self::server_info), and [`Error::is_interrupted`] when ended.
    pub fn server_info_with(&self, tick: &mut dyn FnMut() -> ControlFlow<()>) -> Result<ServerInfo> {
        let hosts = self.hosts("there is no server_info")?;
        let tour = Tour::new(&self.0.config, None);
        self.on_some_host(hosts, tour, tick, |host, tick| self.info_of(host, tick))
    }

    /// The JSON that the server answers a query with, within this time; for the Python package, which makes a frame of it.
    ///
    /// It is asked once, of the first server that can be reached: what is asked may be no query. `tick` as for
    /// [`ping_with`](Self::ping_with).
    ///
    /// # Errors
    /// If no server can be reached, or it refuses the query; over TCP always; [`Error::is_interrupted`] when ended.
    #[doc(hidden)]
    pub fn read_query(
        &self,
        sql: &str,
        timeout: Duration,
        tick: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Vec<u8>> {
        let hosts = self.hosts("nothing can be read")?;
        self.on_some_host(hosts, Tour::once(&self.0.config), tick, |host, tick| {
            let sql = sql.to_owned();
            self.ask(host, tick, |transport| async move { transport.read_query(&sql, timeout).await })?
                .map_err(Error::from)
        })
    }

    /// The servers, if they answer; else an error that begins with `what`, which there is not.
    fn hosts(&self, what: &'static str) -> Result<&Hosts> {
        match &self.0.servers {
            Servers::Http(hosts) => Ok(hosts),
            Servers::Tcp(_) => Err(Error::of(Cause::Unanswered { what, scheme: self.0.config.scheme().name() })),
        }
    }

    fn info_of(&self, host: &Host, tick: Tick<'_>) -> Result<ServerInfo> {
        if let Some(info) = host.server.get() {
            return Ok(info.clone());
        }
        let info = self.ask(host, tick, |transport| async move { transport.settings().await })??;
        // One that nothing can be sent to may be another after an upgrade, or was not well.
        if best_version(&info).is_none() {
            return Ok(info);
        }
        Ok(host.server.get_or_init(|| info).clone())
    }

    /// Does something with the server in use, and with the next one, or again, while that may help.
    fn on_some_host<T>(
        &self,
        hosts: &Hosts,
        mut tour: Tour,
        tick: Tick<'_>,
        mut work: impl FnMut(&Host, Tick<'_>) -> Result<T>,
    ) -> Result<T> {
        loop {
            let host = hosts.current();
            let error = match work(host, &mut *tick) {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            match error.transport().and_then(|error| tour.next(hosts, host, error)) {
                Some(pause) => self.pause(pause, &mut *tick)?,
                None => return Err(error.with_tries(tour.tries())),
            }
        }
    }

    /// Waits before the next try.
    fn pause(&self, pause: Duration, tick: Tick<'_>) -> Result<()> {
        if pause.is_zero() { Ok(()) } else { self.wait(async move { tokio::time::sleep(pause).await }, tick) }
    }

    /// Asks a server something; the inner error is its own.
    fn ask<T: Send + 'static, Asked: Future<Output = Result<T, TransportError>> + Send + 'static>(
        &self,
        host: &Host,
        tick: Tick<'_>,
        question: impl FnOnce(HttpTransport) -> Asked,
    ) -> Result<Result<T, TransportError>> {
        let answer = self.wait(question(host.transport.clone()), tick)?;
        if answer.as_ref().err().is_none_or(TransportError::is_answer) {
            host.is_reached();
        }
        Ok(answer)
    }

    /// The runtime, if this is the process it runs in: its thread does not come along in a fork.
    fn runtime(&self) -> Result<&Runtime> {
        if self.created_in_pid() == std::process::id() { Ok(&self.0.runtime) } else { Err(Error::forked()) }
    }

    /// Waits for a future, calling `tick` meanwhile. When that ends it, the future is dropped.
    fn wait<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static, tick: Tick<'_>) -> Result<T> {
        Self::wait_for(&Started::new(self.runtime()?, future), tick)
    }

    /// As [`wait`](Self::wait), for a future that runs already.
    fn wait_for<T>(started: &Started<T>, tick: Tick<'_>) -> Result<T> {
        loop {
            match started.output.recv_timeout(TICK) {
                Ok(output) => return Ok(output),
                Err(mpsc::RecvTimeoutError::Timeout) if tick().is_continue() => {}
                // Ended by the caller, or by a panic that the background thread has already reported.
                Err(_) => {
                    started.task.abort();
                    return Err(Error::interrupted());
                }
            }
        }
    }

    /// Whether a missing table is dealt with as was asked for: not if nobody looks whether it is missing. Over TCP nobody does
    /// anyhow, which [`stream`](Self::stream) tells.
    fn table_can_be_made(&self, options: &WriteOptions) -> Result<()> {
        let what = match options.create {
            _ if options.check != Some(false) || matches!(self.0.servers, Servers::Tcp(_)) => return Ok(()),
            Create::Table(_) => "so is not made by a TableSpec (`create`)",
            Create::Never => "so is made by the server where it is missing, whatever `create=\"never\"` says",
            Create::Auto | Create::Server => return Ok(()),
        };
        Err(self.in_table(Error::of(Cause::Unchecked(what)), options))
    }

    /// A plan for a table of this server, as far as anything is known of either.
    fn plan_on(
        &self,
        host: &Host,
        schema: &Schema,
        options: &WriteOptions,
        version: ProtocolVersion,
        max_name_len: usize,
        target: Target,
    ) -> Result<Plan> {
        let config = &self.0.config;
        let context = Context {
            table: options.table.as_deref().or(config.table()),
            default_at: config.at(),
            version,
            max_name_len,
            nanos: host.server.get().is_none_or(ServerInfo::has_nanos),
            target,
            is_official: false,
            takes_cells: false,
            is_offline: false,
            cuts_nanos: options.check == Some(false),
        };
        Plan::try_new(schema, options, &context)
    }

    fn plan_for(
        &self,
        host: &Host,
        schema: &Schema,
        options: &WriteOptions,
        ahead: Option<Ahead>,
        tick: Tick<'_>,
    ) -> Result<Plan> {
        let config = &self.0.config;
        let table = options.table.as_deref().or(config.table());
        let (version, max_name_len) = self.negotiate(host, options, tick)?;
        let checked = table.filter(|table| options.check.unwrap_or(true) && !table.is_empty());
        let planned = |target| self.plan_on(host, schema, options, version, max_name_len, target);
        let Some(checked) = checked else { return planned(Target::Unknown) };
        planned(self.target(host, checked, ahead, tick)?).or_else(|_| {
            // What is wrong may have been put right since the columns were asked for, by the very statement that the
            // last error proposed.
            host.tables.forget(checked);
            planned(self.target(host, checked, None, tick)?)
        })
    }

    /// The protocol version and the limit of names: as asked for, else the best that both sides know.
    fn negotiate(&self, host: &Host, options: &WriteOptions, tick: Tick<'_>) -> Result<(ProtocolVersion, usize)> {
        let config = &self.0.config;
        if let Some(version) = options.protocol_version.or(config.protocol_version()) {
            return Ok((version, config.max_name_len()));
        }
        let info = self.info_of(host, tick)?;
        let version = best_version(&info).ok_or_else(|| TransportError::no_common_version(&info))?;
        Ok((version, info.max_name_len.unwrap_or(config.max_name_len())))
    }

    /// What is known of a table, asked anew where that may have changed and has not been asked ahead.
    fn target(&self, host: &Host, table: &str, mut ahead: Option<Ahead>, tick: Tick<'_>) -> Result<Target> {
        let tables = &host.tables;
        let mut identity_only = match tables.ask(table) {
            Ask::Nothing(target) => return Ok(target),
            Ask::Identity => true,
            Ask::All => false,
        };
        loop {
            let name = table.to_owned();
            let answer = match ahead.take().filter(|ahead| identity_only && ahead.is_of(host, table)) {
                Some(ahead) => {
                    let is_recent = ahead.is_recent();
                    // Waited for also if it is too old: another question would need another connection.
                    let answer = Self::wait_for(&ahead.answer, &mut *tick)?.ok();
                    answer.filter(|_| is_recent)
                }
                None => None,
            };
            let answer = match answer {
                Some(answer) => Ok(answer),
                // What went wrong may be over, or is told now.
                None => self.ask(host, &mut *tick, |transport| look_up(transport, name, identity_only))?,
            };
            let answer = answer.map_err(|error| Error::from(error).with_table(table))?;
            if tables.is_changed(table, &answer) {
                host.transport.reconnect()?;
            }
            match tables.note(table, answer) {
                Some(target) => return Ok(target),
                None if identity_only => identity_only = false,
                None => return Ok(Target::Unreadable),
            }
        }
    }
}

/// A future that runs in the background, and its output once it has ended.
#[derive(Debug)]
struct Started<T> {
    output: mpsc::Receiver<T>,
    task: JoinHandle<()>,
}

impl<T: Send + 'static> Started<T> {
    fn new(runtime: &Runtime, future: impl Future<Output = T> + Send + 'static) -> Self {
        let (send, output) = mpsc::sync_channel(1);
        let task = runtime.spawn(async move {
            let _ = send.send(future.await);
        });
        Self { output, task }
    }
}

/// The best protocol version that the server and we know.
fn best_version(info: &ServerInfo) -> Option<ProtocolVersion> {
    info.protocol_versions.iter().filter_map(|number| ProtocolVersion::from_number(*number)).max()
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
