//! What can be wrong with a configuration string.

use std::io;
use std::path::PathBuf;

/// A configuration string that cannot be used: each text names the key, what is wrong with it, and the cure.
///
/// No variant ever holds a password, a token, or a piece of the string that might be one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// `QDB_CLIENT_CONF` is not set.
    #[error(
        "the environment variable QDB_CLIENT_CONF is not set; set it to a configuration string such as \
         \"http::addr=localhost:9000;\", or pass one"
    )]
    EnvNotSet,
    /// `QDB_CLIENT_CONF` is set to something that is not Unicode.
    #[error("the environment variable QDB_CLIENT_CONF is not valid Unicode; write it as UTF-8")]
    EnvNotUnicode,
    /// The string does not follow the grammar `scheme::key=value;`.
    #[error(
        "the configuration string is broken at byte {position}: {problem}; it must look like \
         \"http::addr=localhost:9000;key=value;\""
    )]
    Syntax {
        /// The 0-based byte offset into the string.
        position: usize,
        /// What is wrong there; holds no part of the string.
        problem: &'static str,
    },
    /// The same key stands in the string twice.
    #[error("the key {key:?} is given twice, again at byte {position} of the configuration string; remove one")]
    DuplicateKey {
        /// The key.
        key: &'static str,
        /// The 0-based byte offset of its second occurrence.
        position: usize,
    },
    /// The key of the server addresses stands in the string twice.
    #[error(
        "the key \"addr\" is given twice, again at byte {position} of the configuration string; write several hosts \
         into one, as in \"addr=first:9000,second:9000;\""
    )]
    SeveralAddr {
        /// The 0-based byte offset of its second occurrence.
        position: usize,
    },
    /// The list of server addresses names one of them twice.
    #[error("\"addr\" names {host} twice; remove one")]
    SameHostTwice {
        /// Host and port.
        host: String,
    },
    /// The scheme is not one of the four ILP transports.
    #[error(
        "unknown scheme {scheme:?}; use \"http\" or \"https\" (\"tcp\" and \"tcps\" are known too), as in \
         \"http::addr=localhost:9000;\""
    )]
    UnknownScheme {
        /// The text before the two colons.
        scheme: String,
    },
    /// A key that no QuestDB client knows.
    #[error("unknown key {key:?}{}; keys are written in lower case", hint(.nearest))]
    UnknownKey {
        /// The key as it stands in the string.
        key: String,
        /// The known key that looks most like it.
        nearest: Option<&'static str>,
    },
    /// A key that no QuestDB client knows, right behind a secret: it may be the rest of that secret.
    #[error(
        "an unknown key (not shown, it may be a part of the secret) follows the value of {secret:?}; \
         a ';' inside a value is written ';;'"
    )]
    UnknownKeyAfterSecret {
        /// The key of the secret.
        secret: &'static str,
    },
    /// No server address.
    #[error("\"addr\" is missing; add the server's host and port, as in \"http::addr=localhost:9000;\"")]
    MissingAddr,
    /// The server address is not `host` or `host:port`.
    #[error("\"addr\"{} is not a host and port: {problem}; write it as in \"addr=localhost:9000\"", shown(.addr))]
    BadAddr {
        /// The value, unless it may hold a password.
        addr: Option<String>,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A value that its key does not take.
    #[error("{key:?} cannot be {value:?}: it must be {expected}")]
    BadValue {
        /// The key.
        key: &'static str,
        /// The value, shortened.
        value: String,
        /// What the key takes.
        expected: String,
    },
    /// A secret that is empty.
    #[error("{key:?} is empty; give it a value or remove it")]
    EmptyValue {
        /// The key.
        key: &'static str,
    },
    /// Two keys contradict each other.
    #[error("{problem}")]
    Contradiction {
        /// Which ones, and the cure.
        problem: &'static str,
    },
    /// Credentials that are incomplete, contradictory, or of another transport; the official clients' texts.
    #[error("{problem}")]
    Auth {
        /// The official text.
        problem: &'static str,
    },
    /// A key of requests over HTTP, on a TCP transport.
    #[error("{key:?} is supported only in ILP over HTTP; remove it, or use \"http\" or \"https\"")]
    OnlyHttp {
        /// The key.
        key: &'static str,
    },
    /// `bind_interface` on an HTTP transport; the official clients' text.
    #[error("The \"bind_interface\" setting can only be used with the TCP protocol. Remove it.")]
    OnlyTcp,
    /// Several servers on a TCP transport.
    #[error(
        "\"addr\" names several hosts, and the stream of {scheme:?} goes to one; name one, or use \"http\" or \"https\", \
         where others stand in for a server that fails"
    )]
    SeveralTcpHosts {
        /// The scheme of the string.
        scheme: &'static str,
    },
    /// A write over a transport on which the server answers nothing.
    #[error(
        "{scheme:?} acknowledges nothing: rows could be lost without a word; use \"http\" or \"https\" and the \
         server's HTTP port (usually 9000), or take that into account with unacknowledged=True"
    )]
    Unacknowledged {
        /// The scheme of the string.
        scheme: &'static str,
    },
    /// A TLS key on a transport without TLS.
    #[error("Cannot set {key:?}: TLS is not supported for protocol {scheme}; use {scheme}s, or remove the key")]
    TlsNotSupported {
        /// The key.
        key: &'static str,
        /// The scheme of the string.
        scheme: &'static str,
    },
    /// `tls_roots_password`, which belongs to key stores of another transport.
    #[error("\"tls_roots_password\" is not supported; \"tls_roots\" takes a PEM file, which has no password")]
    TlsRootsPassword,
    /// The file of `tls_roots` cannot be opened.
    #[error("\"tls_roots\" cannot be read: {}: {reason}; give the path of a PEM file of certificates", path.display())]
    TlsRootsUnreadable {
        /// The path.
        path: PathBuf,
        /// Why not.
        reason: io::Error,
    },
}

fn hint(nearest: &Option<&'static str>) -> String {
    nearest.map_or_else(String::new, |nearest| format!("; did you mean {nearest:?}?"))
}

fn shown(value: &Option<String>) -> String {
    value.as_ref().map_or_else(String::new, |value| format!(" {value:?}"))
}
