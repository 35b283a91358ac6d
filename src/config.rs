//! Official configuration strings, `scheme::key=value;key=value;`, read into a [`Config`].
//!
//! The grammar is the crate `questdb-confstr`; the meaning of the keys, their defaults and limits are those of
//! the official clients (`spec/configuration.md`). We are stricter in three ways: an unknown key is an error, the
//! port and the credentials are checked here and not at the first request, and a `tls_roots` file must exist.
//! Nothing connects here.

mod addr;
mod auth;
mod error;
mod params;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

pub(crate) use self::auth::Auth;
pub use self::error::ConfigError;
use self::params::{Params, Trigger};
use crate::options::ProtocolVersion;

/// The environment variable that [`Config::from_env`] reads.
const CONF_ENV: &str = "QDB_CLIENT_CONF";

/// How many requests may be in flight at once unless the string says otherwise.
const DEFAULT_CONNECTIONS: usize = 2;
const MAX_CONNECTIONS: u64 = 64;
/// How many bytes of encoded rows may wait to be sent.
const DEFAULT_POOL_BYTES: usize = 64 << 20;
const MIN_POOL_BYTES: u64 = 1 << 20;
/// How many bytes of requests that no server takes may wait on disk.
const DEFAULT_SPOOL_BYTES: u64 = 1 << 30;
const MIN_SPOOL_BYTES: u64 = 1 << 12;

// Defaults and limits of the official clients.
const DEFAULT_TIMEOUT_MILLIS: u64 = 10_000;
const DEFAULT_AUTH_TIMEOUT_MILLIS: u64 = 15_000;
/// How long official clients try to learn what a server is.
const FIRST_CONTACT: Duration = Duration::from_secs(1);
const DEFAULT_MIN_THROUGHPUT: u64 = 102_400;
const DEFAULT_MAX_BACKOFF_MILLIS: u64 = 1_000;
const MIN_MAX_BACKOFF_MILLIS: u64 = 10;
const DEFAULT_MAX_BUF_SIZE: usize = 100 << 20;
const MIN_MAX_BUF_SIZE: u64 = 1_024;
const DEFAULT_INIT_BUF_SIZE: usize = 64 << 10;
const DEFAULT_MAX_NAME_LEN: usize = 127;
const MIN_MAX_NAME_LEN: u64 = 16;

/// The transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// ILP over HTTP.
    Http,
    /// ILP over HTTP, encrypted.
    Https,
    /// ILP over TCP.
    Tcp,
    /// ILP over TCP, encrypted.
    Tcps,
}

impl Scheme {
    /// The official Rust client ignores the case of the scheme, and so do we.
    fn parse(text: &str) -> Option<Self> {
        let schemes = [Self::Http, Self::Https, Self::Tcp, Self::Tcps];
        schemes.into_iter().find(|scheme| scheme.name().eq_ignore_ascii_case(text))
    }

    /// The scheme as it is written.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Tcp => "tcp",
            Self::Tcps => "tcps",
        }
    }

    /// Whether the server answers requests, as it does over HTTP.
    pub(crate) fn is_http(self) -> bool {
        matches!(self, Self::Http | Self::Https)
    }

    /// Whether the connection is encrypted.
    pub(crate) fn is_tls(self) -> bool {
        matches!(self, Self::Https | Self::Tcps)
    }

    fn default_port(self) -> u16 {
        if self.is_http() { 9000 } else { 9009 }
    }
}

/// How the server's certificate is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tls {
    /// False skips every check of the certificate.
    pub(crate) verify: bool,
    /// Which authorities are trusted.
    pub(crate) ca: TlsCa,
}

/// Where trusted certificates come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TlsCa {
    /// Mozilla's list, compiled in.
    WebpkiRoots,
    /// The operating system's list.
    OsRoots,
    /// Both.
    WebpkiAndOsRoots,
    /// A PEM file, and nothing else.
    PemFile(PathBuf),
}

/// The settings of one configuration string.
///
/// ```
/// let config: questframe::Config = "http::addr=localhost:9000;connections=4;".parse()?;
/// assert!(config.warnings().is_empty());
/// # Ok::<(), questframe::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct Config {
    scheme: Scheme,
    hosts: Vec<(String, u16)>,
    auth: Auth,
    auth_timeout: Duration,
    bind_interface: Option<String>,
    tls: Option<Tls>,
    protocol_version: Option<ProtocolVersion>,
    request_timeout: Duration,
    request_min_throughput: u64,
    retry_timeout: Duration,
    retry_timeout_is_given: bool,
    retry_max_backoff: Duration,
    max_buf_size: usize,
    init_buf_size: usize,
    max_name_len: usize,
    auto_flush_rows: Option<u64>,
    auto_flush_bytes: Option<u64>,
    connections: usize,
    pool_bytes: usize,
    table: Option<String>,
    at: Option<String>,
    spool_dir: Option<PathBuf>,
    spool_max_bytes: u64,
    warnings: Vec<String>,
}

impl Config {
    /// Reads a configuration string.
    ///
    /// # Errors
    /// The string breaks the grammar, holds an unknown or a duplicate key, a value its key does not take, or
    /// keys that contradict each other or the scheme. The text never shows a secret.
    pub fn from_conf(conf: &str) -> Result<Self, ConfigError> {
        let (scheme, params) = Params::parse(conf)?;
        let scheme = Scheme::parse(&scheme).ok_or(ConfigError::UnknownScheme { scheme })?;
        let hosts = match params.text("addr") {
            Some(addr) => addr::parse_list(addr, scheme.default_port())?,
            None => return Err(ConfigError::MissingAddr),
        };
        if !scheme.is_http() && hosts.len() > 1 {
            return Err(ConfigError::SeveralTcpHosts { scheme: scheme.name() });
        }
        check_http_keys(scheme, &params)?;
        let (auto_flush_rows, auto_flush_bytes) = auto_flush(&params)?;
        let millis = |key, range, default| -> Result<Duration, ConfigError> {
            Ok(Duration::from_millis(params.number(key, range)?.unwrap_or(default)))
        };
        Ok(Self {
            scheme,
            hosts,
            auth: auth::parse(scheme, &params)?,
            // Without effect over HTTP, where it is accepted all the same: official clients do.
            auth_timeout: millis("auth_timeout", 1..=u64::MAX, DEFAULT_AUTH_TIMEOUT_MILLIS)?,
            bind_interface: bind_interface(scheme, &params)?,
            tls: tls(scheme, &params)?,
            protocol_version: protocol_version(&params)?,
            request_timeout: millis("request_timeout", 1..=u64::MAX, DEFAULT_TIMEOUT_MILLIS)?,
            request_min_throughput: params
                .number("request_min_throughput", 0..=u64::MAX)?
                .unwrap_or(DEFAULT_MIN_THROUGHPUT),
            retry_timeout: millis("retry_timeout", 0..=u64::MAX, DEFAULT_TIMEOUT_MILLIS)?,
            retry_timeout_is_given: params.has("retry_timeout"),
            retry_max_backoff: millis(
                "retry_max_backoff_millis",
                MIN_MAX_BACKOFF_MILLIS..=u64::MAX,
                DEFAULT_MAX_BACKOFF_MILLIS,
            )?,
            max_buf_size: params.size("max_buf_size", MIN_MAX_BUF_SIZE..=u64::MAX)?.unwrap_or(DEFAULT_MAX_BUF_SIZE),
            init_buf_size: params.size("init_buf_size", 0..=u64::MAX)?.unwrap_or(DEFAULT_INIT_BUF_SIZE),
            max_name_len: params.size("max_name_len", MIN_MAX_NAME_LEN..=u64::MAX)?.unwrap_or(DEFAULT_MAX_NAME_LEN),
            auto_flush_rows,
            auto_flush_bytes,
            connections: params.size("connections", 1..=MAX_CONNECTIONS)?.unwrap_or(DEFAULT_CONNECTIONS),
            pool_bytes: params.size("pool_bytes", MIN_POOL_BYTES..=u64::MAX)?.unwrap_or(DEFAULT_POOL_BYTES),
            table: params.non_empty("table")?,
            at: params.non_empty("at")?,
            spool_dir: params.non_empty("spool_dir")?.map(PathBuf::from),
            spool_max_bytes: params
                .number("spool_max_bytes", MIN_SPOOL_BYTES..=u64::MAX)?
                .unwrap_or(DEFAULT_SPOOL_BYTES),
            warnings: foreign_warning(params.foreign()).into_iter().collect(),
        })
    }

    /// Reads the configuration string in the environment variable `QDB_CLIENT_CONF`.
    ///
    /// # Errors
    /// The variable is not set, or the string in it is not valid: see [`Config::from_conf`].
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_env_value(std::env::var_os(CONF_ENV))
    }

    fn from_env_value(value: Option<OsString>) -> Result<Self, ConfigError> {
        let conf = value.ok_or(ConfigError::EnvNotSet)?.into_string().map_err(|_| ConfigError::EnvNotUnicode)?;
        Self::from_conf(&conf)
    }

    /// What the string holds that has no effect here, in sentences for a log.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The transport.
    pub(crate) fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Host and port of every server as in URLs, in the string's order: an IPv6 address stands in brackets.
    pub(crate) fn addresses(&self) -> Vec<String> {
        self.hosts.iter().map(|(host, port)| format!("{host}:{port}")).collect()
    }

    /// The credentials.
    pub(crate) fn auth(&self) -> &Auth {
        &self.auth
    }

    /// The time limit of each step that makes a TCP connection: connecting, TLS, and authentication.
    pub(crate) fn auth_timeout(&self) -> Duration {
        self.auth_timeout
    }

    /// The address or name of the local interface that TCP connections leave from, unless any will do.
    pub(crate) fn bind_interface(&self) -> Option<&str> {
        self.bind_interface.as_deref()
    }

    /// How the server's certificate is judged; none on a transport without TLS.
    pub(crate) fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    /// The protocol version, unless it is to be negotiated.
    pub(crate) fn protocol_version(&self) -> Option<ProtocolVersion> {
        self.protocol_version
    }

    /// The time limit of a request, without the part that grows with its size.
    pub(crate) fn request_timeout(&self) -> Duration {
        self.request_timeout
    }

    /// The bytes per second that a request may at least count on; 0 if its size is not to matter.
    pub(crate) fn request_min_throughput(&self) -> u64 {
        self.request_min_throughput
    }

    /// How long a failed request may be retried; zero disables retries.
    pub(crate) fn retry_timeout(&self) -> Duration {
        self.retry_timeout
    }

    /// How long a server that has never answered may be tried: a wrong address should be told soon, unless the string
    /// asks for patience.
    pub(crate) fn first_contact_timeout(&self) -> Duration {
        if self.retry_timeout_is_given { self.retry_timeout } else { self.retry_timeout.min(FIRST_CONTACT) }
    }

    /// The longest pause between two tries.
    pub(crate) fn retry_max_backoff(&self) -> Duration {
        self.retry_max_backoff
    }

    /// The most bytes one request may hold.
    pub(crate) fn max_buf_size(&self) -> usize {
        self.max_buf_size
    }

    /// The longest table or column name in bytes, unless the server says otherwise.
    pub(crate) fn max_name_len(&self) -> usize {
        self.max_name_len
    }

    /// The most rows one request may hold, if the string gives a number.
    pub(crate) fn auto_flush_rows(&self) -> Option<u64> {
        self.auto_flush_rows
    }

    /// The most bytes one request may hold, if the string gives a number.
    pub(crate) fn auto_flush_bytes(&self) -> Option<u64> {
        self.auto_flush_bytes
    }

    /// How many requests may be in flight at once.
    pub(crate) fn connections(&self) -> usize {
        self.connections
    }

    /// How many bytes of encoded rows may wait to be sent.
    pub(crate) fn pool_bytes(&self) -> usize {
        self.pool_bytes
    }

    /// The table to write to, unless a write names another.
    pub fn table(&self) -> Option<&str> {
        self.table.as_deref()
    }

    /// The folder for rows that no server takes, unless a write names another.
    pub(crate) fn spool_dir(&self) -> Option<&Path> {
        self.spool_dir.as_deref()
    }

    /// How large that folder may grow.
    pub(crate) fn spool_max_bytes(&self) -> u64 {
        self.spool_max_bytes
    }

    /// The column of the designated timestamp, unless a write names another.
    pub fn at(&self) -> Option<&str> {
        self.at.as_deref()
    }
}

impl FromStr for Config {
    type Err = ConfigError;

    fn from_str(conf: &str) -> Result<Self, ConfigError> {
        Self::from_conf(conf)
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("scheme", &self.scheme)
            .field("addresses", &self.addresses())
            .field("auth", &self.auth)
            .field("auth_timeout", &self.auth_timeout)
            .field("bind_interface", &self.bind_interface)
            .field("tls", &self.tls)
            .field("protocol_version", &self.protocol_version)
            .field("request_timeout", &self.request_timeout)
            .field("request_min_throughput", &self.request_min_throughput)
            .field("retry_timeout", &self.retry_timeout)
            .field("retry_max_backoff", &self.retry_max_backoff)
            .field("max_buf_size", &self.max_buf_size)
            .field("init_buf_size", &self.init_buf_size)
            .field("max_name_len", &self.max_name_len)
            .field("auto_flush_rows", &self.auto_flush_rows)
            .field("auto_flush_bytes", &self.auto_flush_bytes)
            .field("connections", &self.connections)
            .field("pool_bytes", &self.pool_bytes)
            .field("table", &self.table)
            .field("at", &self.at)
            .field("spool_dir", &self.spool_dir)
            .field("spool_max_bytes", &self.spool_max_bytes)
            .field("warnings", &self.warnings)
            .finish()
    }
}

/// The official clients refuse these keys over TCP, where nothing answers.
fn check_http_keys(scheme: Scheme, params: &Params) -> Result<(), ConfigError> {
    const KEYS: [&str; 4] = ["retry_timeout", "retry_max_backoff_millis", "request_timeout", "request_min_throughput"];
    match KEYS.into_iter().find(|key| params.has(key)) {
        Some(key) if !scheme.is_http() => Err(ConfigError::OnlyHttp { key }),
        _ => Ok(()),
    }
}

fn bind_interface(scheme: Scheme, params: &Params) -> Result<Option<String>, ConfigError> {
    match params.non_empty("bind_interface")? {
        Some(_) if scheme.is_http() => Err(ConfigError::OnlyTcp),
        interface => Ok(interface),
    }
}

fn protocol_version(params: &Params) -> Result<Option<ProtocolVersion>, ConfigError> {
    let words = [
        ("auto", None),
        ("1", Some(ProtocolVersion::V1)),
        ("2", Some(ProtocolVersion::V2)),
        ("3", Some(ProtocolVersion::V3)),
    ];
    Ok(params.word("protocol_version", &words)?.flatten())
}

/// The caps on a request's rows and bytes. There is no row-by-row buffer here to flush, so the official
/// defaults do not count: only a number in the string does, and `auto_flush=off` wins over it.
fn auto_flush(params: &Params) -> Result<(Option<u64>, Option<u64>), ConfigError> {
    let on = params.word("auto_flush", &[("on", true), ("off", false)])?;
    let rows = params.trigger("auto_flush_rows")?;
    let bytes = params.trigger("auto_flush_bytes")?;
    let interval = params.trigger("auto_flush_interval")?;
    // Bytes are off by default, the other two are on.
    let all_off = rows == Trigger::Off && !matches!(bytes, Trigger::At(_)) && interval == Trigger::Off;
    if on == Some(true) && all_off {
        return Err(ConfigError::Contradiction {
            problem: "\"auto_flush\" is on, but \"auto_flush_rows\", \"auto_flush_bytes\" and \
                      \"auto_flush_interval\" are all off; set one of them, or leave \"auto_flush\" out",
        });
    }
    let cap = |trigger| match trigger {
        Trigger::At(number) if on != Some(false) => Some(number),
        _ => None,
    };
    Ok((cap(rows), cap(bytes)))
}

fn tls(scheme: Scheme, params: &Params) -> Result<Option<Tls>, ConfigError> {
    const KEYS: [&str; 3] = ["tls_verify", "tls_ca", "tls_roots"];
    if params.has("tls_roots_password") {
        return Err(ConfigError::TlsRootsPassword);
    }
    if !scheme.is_tls() {
        return match KEYS.into_iter().find(|key| params.has(key)) {
            Some(key) => Err(ConfigError::TlsNotSupported { key, scheme: scheme.name() }),
            None => Ok(None),
        };
    }

    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Ca {
        Webpki,
        Os,
        Both,
        Pem,
    }
    let words =
        [("webpki_roots", Ca::Webpki), ("os_roots", Ca::Os), ("webpki_and_os_roots", Ca::Both), ("pem_file", Ca::Pem)];
    let verify = params.word("tls_verify", &[("on", true), ("unsafe_off", false)])?.unwrap_or(true);
    let ca = match (params.word("tls_ca", &words)?, params.non_empty("tls_roots")?) {
        (None | Some(Ca::Pem), Some(path)) => {
            let path = PathBuf::from(path);
            match File::open(&path) {
                Ok(_) => TlsCa::PemFile(path),
                Err(reason) => return Err(ConfigError::TlsRootsUnreadable { path, reason }),
            }
        }
        (Some(_), Some(_)) => {
            return Err(ConfigError::Contradiction {
                problem: "\"tls_ca\" is already specified: \"tls_roots\" means tls_ca=pem_file; remove one of the two",
            });
        }
        (Some(Ca::Pem), None) => {
            return Err(ConfigError::Contradiction {
                problem: "\"tls_ca\" is \"pem_file\", but \"tls_roots\" is missing; give the file's path there",
            });
        }
        (Some(Ca::Webpki), None) => TlsCa::WebpkiRoots,
        (Some(Ca::Os), None) => TlsCa::OsRoots,
        (Some(Ca::Both) | None, None) => TlsCa::WebpkiAndOsRoots,
    };
    Ok(Some(Tls { verify, ca }))
}

fn foreign_warning(keys: &[String]) -> Option<String> {
    if keys.is_empty() {
        return None;
    }
    let list: Vec<String> = keys.iter().map(|key| format!("{key:?}")).collect();
    Some(format!(
        "the configuration string holds keys of other QuestDB transports, which have no effect here: {}",
        list.join(", ")
    ))
}
