//! How a request can end badly, and what that says about its rows.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::time::Duration;

use super::answer::{ErrorAnswer, ServerInfo, column_in, printable};
use super::tcp::TcpError;
use super::{Certainty, classify, is_passing, tls};
use crate::error::ErrorKind;

/// A request that did not end as it should. Each text names the address, what happened, and the cure.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The client could not be set up from its configuration.
    #[error("the client cannot be set up: {reason}")]
    Setup {
        /// Why not.
        reason: String,
    },
    /// The background thread could not be started.
    #[error("the background thread cannot be started: {reason}; is the process at a limit of threads or files?")]
    Thread {
        /// Why not.
        reason: String,
    },
    /// The trusted certificates could not be loaded.
    #[error(
        "no trusted certificates from {origin}: {reason}; give a PEM file in \"tls_roots\", or set \"tls_ca\" to \
         \"webpki_roots\""
    )]
    Certificates {
        /// The file or store.
        origin: String,
        /// Why not.
        reason: String,
    },
    /// The host's name has no address.
    #[error("the host of {address} has no address ({reason}); check the name in \"addr\"")]
    Resolve {
        /// Host and port.
        address: String,
        /// What the resolver said.
        reason: String,
    },
    /// No connection.
    #[error(
        "no connection to {address} ({reason}); is QuestDB running there, and is this the port of its HTTP server \
         (usually 9000)?"
    )]
    Connect {
        /// Host and port.
        address: String,
        /// What the system said.
        reason: String,
    },
    /// No connection in time.
    #[error(
        "no connection to {address} within {after:?}; is QuestDB running there, does a firewall drop the packets, or is \
         this \"https\" to a port that speaks plain HTTP? \"request_timeout\" sets the limit"
    )]
    ConnectTimeout {
        /// Host and port.
        address: String,
        /// The time limit.
        after: Duration,
    },
    /// The connection could not be encrypted.
    #[error("no TLS with {address} ({reason}); {cure}")]
    Tls {
        /// Host and port.
        address: String,
        /// What the TLS library said.
        reason: String,
        /// What helps.
        cure: &'static str,
    },
    /// No answer in time.
    #[error("{address} did not answer {request} within {after:?}; {}", more_time(*request))]
    Timeout {
        /// Host and port.
        address: String,
        /// What was asked.
        request: Request,
        /// The time limit.
        after: Duration,
    },
    /// The connection broke before the answer was complete.
    #[error(
        "the connection to {address} broke during {request} ({reason}); did the server or a proxy before it stop, or \
         does this port not speak HTTP, or only \"https\"?"
    )]
    Broken {
        /// Host and port.
        address: String,
        /// What was asked.
        request: Request,
        /// What happened to it.
        reason: String,
    },
    /// The caller gave the request up while it was on its way.
    #[error("the request to {address} was given up before it was answered")]
    Stopped {
        /// Host and port.
        address: String,
    },
    /// The server answered with an error.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// Something answered as no QuestDB does.
    #[error(
        "what answers at {url} is not a QuestDB: {request} was answered with {found}; {}", what_to_do(*.status)
    )]
    NotQuestDb {
        /// The address of the request, without its query.
        url: String,
        /// What was asked.
        request: Request,
        /// The status of the answer.
        status: u16,
        /// Whether the answer was read to its end.
        complete: bool,
        /// What the answer looked like.
        found: String,
    },
    /// No protocol version in common.
    #[error(
        "the server takes ILP protocol versions {offered:?}, and this client speaks 1, 2 and 3; use a newer version of \
         this client, or force one with \"protocol_version\""
    )]
    NoCommonVersion {
        /// The versions that the server takes.
        offered: Vec<u64>,
    },
    /// A connection over TCP failed.
    #[error(transparent)]
    Tcp(#[from] TcpError),
}

/// What was asked of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// What the server is.
    Settings,
    /// Whether it is there.
    Ping,
    /// To store rows.
    Write,
    /// To tell of its tables.
    Query,
    /// To run the caller's query.
    Read,
}

/// What helps where an answer took too long.
fn more_time(request: Request) -> &'static str {
    match request {
        Request::Read => "ask for less at once, or give it more time (`timeout`)",
        _ => "raise \"request_timeout\" or lower \"request_min_throughput\" if it is only slow",
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Settings => "GET /settings",
            Self::Ping => "GET /ping",
            Self::Write => "POST /write",
            Self::Query | Self::Read => "GET /exec",
        })
    }
}

/// An error that the server answered with.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub(super) address: String,
    pub(super) request: Request,
    pub(super) status: u16,
    /// Whether the answer was read to its end.
    pub(super) complete: bool,
    pub(super) answer: ErrorAnswer,
}

impl Refusal {
    fn kind(&self) -> ErrorKind {
        match (self.status, self.request) {
            (401 | 403, _) => ErrorKind::AuthError,
            (404 | 405, Request::Write) => ErrorKind::HttpNotSupported,
            (_, Request::Settings | Request::Ping) => ErrorKind::ProtocolVersionError,
            (_, Request::Write | Request::Query | Request::Read) => ErrorKind::ServerFlushError,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, request, status, answer, .. } = self;
        match (status, request) {
            (401, _) => write!(f, "{address} refused the credentials for {request}")?,
            (403, _) => write!(f, "{address} does not permit {request} with these credentials")?,
            (404 | 405, Request::Write) => write!(f, "{address} does not take {request}")?,
            (_, Request::Write) if classify(*status) == Certainty::Refused => write!(f, "the server refused the data")?,
            (_, Request::Query | Request::Read) => write!(f, "the server refused the query")?,
            _ => write!(f, "{address} failed at {request}")?,
        }
        write!(f, " (status {status}")?;
        if let Some(code) = &answer.code {
            write!(f, ", {}", printable(code))?;
        }
        write!(f, ")")?;
        if let Some(message) = answer.short_message() {
            write!(f, ": {message}")?;
        }
        if let Some(position) = answer.position {
            write!(f, " at position {position}")?;
        }
        if let Some(id) = &answer.error_id {
            write!(f, " [server log id {}]", printable(id))?;
        }
        match (status, request) {
            (401 | 403, _) => write!(f, "; check \"username\" and \"password\", or \"token\""),
            (404 | 405, Request::Write) => {
                write!(f, "; check host and port in \"addr\", and that line.http.enabled is true on the server")
            }
            (_, Request::Write) if answer.is_of_nul() => {
                write!(f, "; a SYMBOL takes no NUL character: remove it, or write the column as a string (`symbols`)")
            }
            _ => Ok(()),
        }
    }
}

/// The cure where something answers that is no QuestDB; by these statuses it is likely to be in front of one.
fn what_to_do(status: u16) -> &'static str {
    match status {
        413 => {
            "a proxy does so if it takes no requests of this size: raise its limit, or lower \"pool_bytes\" or \
             \"auto_flush_bytes\""
        }
        429 => "a proxy does so if there are too many requests: raise its limit, or write larger frames less often",
        502..=504 => {
            "a proxy does so if there is no QuestDB behind it, or none that answers in time; else check host and port in \
             \"addr\" (QuestDB's HTTP port is usually 9000)"
        }
        _ => "check host and port in \"addr\" (QuestDB's HTTP port is usually 9000)",
    }
}

impl TransportError {
    /// The error of a port that should speak TLS.
    pub(super) fn plain(address: &str) -> Self {
        let reason = "it answers over plain HTTP".to_owned();
        Self::Tls { address: address.to_owned(), reason, cure: "use \"http\"" }
    }

    /// Explains why no answer came. `after` is the time limit that was set.
    pub(super) fn no_answer(address: &str, request: Request, after: Duration, error: &reqwest::Error) -> Self {
        let address = address.to_owned();
        let reason = root_cause(error);
        if !error.is_connect() {
            return if error.is_timeout() {
                Self::Timeout { address, request, after }
            } else {
                Self::Broken { address, request, reason }
            };
        }
        if error.is_dns() {
            Self::Resolve { address, reason }
        } else if error.is_timeout() {
            Self::ConnectTimeout { address, after }
        } else if let Some(tls) = tls_cause(error) {
            Self::Tls { address, reason, cure: tls::cure(tls) }
        } else {
            Self::Connect { address, reason }
        }
    }

    /// A refusal of a line, as QuestDB words it.
    #[cfg(test)]
    pub(crate) fn refused_line(line: u64) -> Self {
        let message = Some(format!("error in line {line}: table: t, column: n; cast error"));
        let answer = ErrorAnswer { line: Some(line), message, ..ErrorAnswer::default() };
        let (address, request) = ("h:9000".to_owned(), Request::Write);
        Self::Refused(Box::new(Refusal { address, request, status: 400, complete: true, answer }))
    }

    /// Whether the official clients send the request again (`spec/configuration.md` 5.1).
    pub(crate) fn is_repeated_by_official_clients(&self) -> bool {
        const STATUSES: [u16; 9] = [500, 503, 504, 507, 509, 523, 524, 529, 599];
        match self {
            Self::Timeout { .. } => true,
            Self::Refused(refusal) => STATUSES.contains(&refusal.status),
            Self::NotQuestDb { status, .. } => STATUSES.contains(status),
            _ => false,
        }
    }

    /// The status of an answer that was an error.
    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Refused(refusal) => Some(refusal.status),
            Self::NotQuestDb { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether the server knows neither user nor token, so that no other request will be let in either.
    pub(crate) fn is_unauthorized(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.status == 401)
    }

    /// Whether the server does not run statements for us: forbidden, or closed.
    pub(crate) fn is_closed(&self) -> bool {
        let says = |text: &str| self.server_message().is_some_and(|message| message.contains(text));
        matches!(self, Self::Refused(refusal) if matches!(refusal.status, 403..=405))
            || matches!(self, Self::NotQuestDb { .. })
            || says("read-only")
            || says("readonly")
            || says("ermission denied")
            || says("Access denied")
    }

    /// Whether a statement failed because what it makes has just been made.
    pub(crate) fn is_made_by_others(&self) -> bool {
        self.server_message().is_some_and(|message| {
            ["duplicate column", "different column type", "already exists"].iter().any(|text| message.contains(text))
        })
    }

    /// The error of a server that speaks none of our protocol versions.
    pub(crate) fn no_common_version(server: &ServerInfo) -> Self {
        Self::NoCommonVersion { offered: server.protocol_versions.clone() }
    }

    /// What kind of problem this is.
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::Setup { .. } => ErrorKind::ConfigError,
            Self::Certificates { .. } | Self::Tls { .. } => ErrorKind::TlsError,
            Self::Resolve { .. } => ErrorKind::CouldNotResolveAddr,
            Self::Thread { .. }
            | Self::Connect { .. }
            | Self::ConnectTimeout { .. }
            | Self::Timeout { .. }
            | Self::Stopped { .. }
            | Self::Broken { .. } => ErrorKind::SocketError,
            Self::Refused(refusal) => refusal.kind(),
            Self::NotQuestDb { status: 404 | 405, request: Request::Write, .. } => ErrorKind::HttpNotSupported,
            Self::NotQuestDb { request: Request::Settings | Request::Ping, .. } | Self::NoCommonVersion { .. } => {
                ErrorKind::ProtocolVersionError
            }
            Self::NotQuestDb { .. } => ErrorKind::ServerFlushError,
            Self::Tcp(error) => error.kind(),
        }
    }

    fn answer(&self) -> Option<&ErrorAnswer> {
        match self {
            Self::Refused(refusal) => Some(&refusal.answer),
            _ => None,
        }
    }

    /// What the server said, in full.
    pub(crate) fn server_message(&self) -> Option<&str> {
        self.answer()?.message.as_deref()
    }

    /// What the server said, in one line that is not too long.
    pub(crate) fn short_message(&self) -> Option<String> {
        self.answer()?.short_message()
    }

    /// The id under which the server logged its error.
    pub(crate) fn error_id(&self) -> Option<&str> {
        self.answer()?.error_id.as_deref()
    }

    /// Has the error name another line, of a request of which only a part was sent.
    pub(crate) fn name_line(&mut self, line: u64) {
        if let Self::Refused(refusal) = self {
            refusal.answer.line = Some(line);
        }
    }

    /// The line of the request that the server refused, counted from 1.
    pub(crate) fn line(&self) -> Option<u64> {
        // 0 stands for the request as a whole.
        self.answer()?.line.filter(|line| *line != 0)
    }

    /// The column that the server's message names.
    pub(crate) fn column(&self) -> Option<&str> {
        column_in(self.server_message()?)
    }

    /// Whether the same request may end otherwise in a moment, at the same server.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Resolve { .. }
            | Self::Connect { .. }
            | Self::ConnectTimeout { .. }
            | Self::Timeout { .. }
            | Self::Broken { .. } => true,
            // A query that the server has read and failed at is not asked again; a gateway's 503 is.
            Self::Refused(refusal) if refusal.request == Request::Query && refusal.status == 500 => false,
            Self::Refused(refusal) => is_passing(refusal.status) && !self.is_of_the_data(),
            Self::NotQuestDb { status, .. } => is_passing(*status),
            Self::Setup { .. }
            | Self::Thread { .. }
            | Self::Certificates { .. }
            | Self::Tls { .. }
            | Self::Stopped { .. }
            | Self::Tcp(_)
            | Self::NoCommonVersion { .. } => false,
        }
    }

    /// Whether another server may do better: it is this one that cannot be reached, or is not well.
    pub(crate) fn is_of_the_server(&self) -> bool {
        // 421 is what a replica says that takes no writes.
        self.is_of_tls()
            || matches!(self, Self::NotQuestDb { .. })
            || matches!(self, Self::Refused(refusal) if refusal.status == 421)
            || self.is_passing()
    }

    /// Whether it is who asks that is refused, and not what.
    pub(crate) fn is_of_the_client(&self) -> bool {
        matches!(self, Self::Refused(refusal) if matches!(refusal.status, 401 | 403 | 404 | 405))
            || matches!(self, Self::Setup { .. } | Self::Certificates { .. } | Self::NotQuestDb { .. })
    }

    /// Whether the server is there and cannot be trusted, or not talked to in private.
    pub(crate) fn is_of_tls(&self) -> bool {
        matches!(self, Self::Tls { .. })
    }

    /// Whether it is what somebody said who speaks HTTP.
    pub(crate) fn is_answer(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::NotQuestDb { .. } | Self::NoCommonVersion { .. })
    }

    /// Whether a 500 is about the data, so that the same bytes get the same answer however often they are sent.
    ///
    /// Source: `spec/ilp-wire.md` 12.2, the data for which QuestDB 9.3.4 answers 500.
    fn is_of_the_data(&self) -> bool {
        const WORDS: [&str; 5] = [
            "invalid UTF8",
            "designated timestamp beyond",
            "UnsupportedOperationException",
            "ImplicitCastException",
            "decimal columns cannot be created",
        ];
        self.server_message().is_some_and(|message| WORDS.iter().any(|word| message.contains(word)))
    }

    /// What the server said of a line, if it did: whether it says the same again.
    pub(crate) fn verdict(&self) -> Option<(u64, String)> {
        Some((self.line()?, self.server_message()?.to_owned()))
    }

    /// What is known about the rows of the request.
    pub(crate) fn certainty(&self) -> Certainty {
        match self {
            Self::Timeout { request, .. } | Self::Broken { request, .. } => of_request(*request, Certainty::Ambiguous),
            Self::Stopped { .. } => Certainty::Ambiguous,
            // Nothing of a request is stored that ends at a line, whatever the status (all of these words tried on 9.3.4).
            Self::Refused(_) if self.is_of_the_data() && self.line().is_some() => Certainty::Refused,
            Self::Refused(refusal) => of_request(refusal.request, of_answer(refusal.status, refusal.complete)),
            Self::NotQuestDb { request, status, complete, .. } => of_request(*request, of_answer(*status, *complete)),
            Self::Setup { .. } | Self::Certificates { .. } | Self::NoCommonVersion { .. } => Certainty::Refused,
            Self::Thread { .. }
            | Self::Resolve { .. }
            | Self::Connect { .. }
            | Self::ConnectTimeout { .. }
            | Self::Tls { .. } => Certainty::Clean,
            Self::Tcp(error) => error.certainty(),
        }
    }
}

/// An answer that breaks off may have been going to be another.
fn of_answer(status: u16, complete: bool) -> Certainty {
    match classify(status) {
        Certainty::Clean if !complete => Certainty::Ambiguous,
        certainty => certainty,
    }
}

/// Only a write can leave a doubt.
fn of_request(request: Request, certainty: Certainty) -> Certainty {
    match certainty {
        Certainty::Ambiguous if request != Request::Write => Certainty::Clean,
        certainty => certainty,
    }
}

/// The innermost of the errors in a chain, which is the one that says what happened.
pub(super) fn root_cause(error: &(dyn StdError + 'static)) -> String {
    causes(error).last().map_or_else(|| error.to_string(), ToString::to_string)
}

fn tls_cause<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

/// The errors below this one, outermost first. Starting below leaves out reqwest's own text with its URL.
fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(cause(error), |error| cause(*error))
}

/// `source`, except that an `io::Error` made from another error hides that one and gives the one below.
fn cause<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(request: Request, status: u16, complete: bool, line: Option<u64>) -> TransportError {
        let answer = ErrorAnswer {
            code: Some("invalid".into()),
            message: Some("error in line 7: table: t, column: c; cast error from x".into()),
            line,
            error_id: Some("id-1".into()),
            position: None,
        };
        let address = "h:9000".into();
        TransportError::Refused(Box::new(Refusal { address, request, status, complete, answer }))
    }

    #[test]
    fn a_refusal_tells_all_it_knows() {
        let error = refusal(Request::Write, 400, true, Some(7));
        assert_eq!(error.kind(), ErrorKind::ServerFlushError);
        assert_eq!(error.line(), Some(7));
        assert_eq!(error.column(), Some("c"));
        assert_eq!(error.error_id(), Some("id-1"));
        assert_eq!(error.server_message(), Some("error in line 7: table: t, column: c; cast error from x"));
        assert_eq!(
            error.to_string(),
            "the server refused the data (status 400, invalid): table: t, column: c; cast error from x \
             [server log id id-1]"
        );
        assert_eq!(refusal(Request::Write, 400, true, Some(0)).line(), None);
        assert_eq!(refusal(Request::Write, 400, true, None).line(), None);
    }

    #[test]
    fn a_symbol_with_a_nul_has_a_cure() {
        let text = |message: &str| {
            let answer = ErrorAnswer { message: Some(message.to_owned()), ..ErrorAnswer::default() };
            let address = "h:9000".into();
            Refusal { address, request: Request::Write, status: 400, complete: true, answer }.to_string()
        };
        let nul = text("error in line 2: Could not parse entire line, field value is invalid. Field: s; value: ");
        assert!(nul.contains("a SYMBOL takes no NUL character"), "{nul}");
        let other = text("error in line 1: Could not parse entire line, field value is invalid. Field: x; value: z");
        assert!(other.ends_with("value: z"), "{other}");
    }

    #[test]
    fn kinds_follow_status_and_request() {
        let kind = |request, status| refusal(request, status, true, None).kind();
        for request in [Request::Settings, Request::Ping, Request::Write, Request::Query] {
            assert_eq!(kind(request, 401), ErrorKind::AuthError);
            assert_eq!(kind(request, 403), ErrorKind::AuthError);
        }
        assert_eq!(kind(Request::Write, 404), ErrorKind::HttpNotSupported);
        assert_eq!(kind(Request::Write, 405), ErrorKind::HttpNotSupported);
        assert_eq!(kind(Request::Write, 503), ErrorKind::ServerFlushError);
        assert_eq!(kind(Request::Query, 404), ErrorKind::ServerFlushError);
        assert_eq!(kind(Request::Settings, 500), ErrorKind::ProtocolVersionError);
    }

    #[test]
    fn certainty_follows_status_request_and_completeness() {
        let certainty = |request, status, complete| refusal(request, status, complete, None).certainty();
        assert_eq!(certainty(Request::Write, 400, true), Certainty::Refused);
        assert_eq!(certainty(Request::Write, 400, false), Certainty::Refused);
        assert_eq!(certainty(Request::Write, 503, true), Certainty::Clean);
        assert_eq!(certainty(Request::Write, 503, false), Certainty::Ambiguous);
        assert_eq!(certainty(Request::Write, 500, true), Certainty::Ambiguous);
        assert_eq!(certainty(Request::Query, 500, true), Certainty::Clean);
        let broken = |request| TransportError::Broken { address: "h:1".into(), request, reason: "reset".into() };
        assert_eq!(broken(Request::Write).certainty(), Certainty::Ambiguous);
        assert_eq!(broken(Request::Settings).certainty(), Certainty::Clean);
    }

    #[test]
    fn the_root_cause_is_found_inside_io_errors() {
        let tls = rustls::Error::General("deep".into());
        let outer = io::Error::other(io::Error::other(tls));
        assert_eq!(root_cause(&outer), "unexpected error: deep");
        assert!(tls_cause(&outer).is_some());
        assert_eq!(root_cause(&io::Error::other("flat")), "flat");
        assert!(tls_cause(&io::Error::other("flat")).is_none());
    }
}
