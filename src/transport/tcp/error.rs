//! How a connection over TCP can fail to be made or end too early, and what that says about its rows.

use std::io;
use std::time::Duration;

use super::super::Certainty;
use super::super::error::root_cause;
use crate::error::ErrorKind;

/// A connection over TCP that could not be made, or that ended before it was to. Each text names the address, what
/// happened, and the cure. The server itself says nothing over TCP: its log does.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TcpError {
    /// A part of the key is not one.
    #[error(
        "{key:?} is not a part of an ECDSA key on the curve P-256: {problem}; give its 32 bytes in base64url without \
         padding, as they stand in the key's \"d\", \"x\" and \"y\""
    )]
    Key {
        /// The setting.
        key: &'static str,
        /// What is wrong with it; holds no part of the value.
        problem: &'static str,
    },
    /// The private key is not that of the public key.
    #[error(
        "Misconfigured ILP authentication keys: \"token\" is not the private key of \"token_x\" and \"token_y\"; copy \
         all three from one key"
    )]
    KeyMismatch,
    /// The key id cannot be sent.
    #[error("the key id in \"username\" holds a newline, which would end it; give the id of the server's auth file")]
    KeyId,
    /// `bind_interface` has no address.
    #[error(
        "\"bind_interface\" {interface:?} has no address ({reason}); give an address of this machine, as in \
         \"bind_interface=192.168.0.5\""
    )]
    ResolveInterface {
        /// The setting.
        interface: String,
        /// What the resolver said.
        reason: String,
    },
    /// No connection can leave from `bind_interface`.
    #[error(
        "no connection to {address} from \"bind_interface\" {interface:?} ({reason}); give an address of this machine, \
         of IPv4 or IPv6 as the server's is, or remove the setting"
    )]
    Bind {
        /// The server's host and port.
        address: String,
        /// The setting.
        interface: String,
        /// What the system said.
        reason: String,
    },
    /// No connection.
    #[error(
        "no connection to {address} ({reason}); is QuestDB running there, and is this the port of ILP over TCP \
         (usually 9009)?"
    )]
    Connect {
        /// Host and port.
        address: String,
        /// What the system said.
        reason: String,
    },
    /// No connection in time.
    #[error(
        "no connection to {address} within {after:?}; is QuestDB running there, or does a firewall drop the packets? \
         \"auth_timeout\" sets the limit"
    )]
    ConnectTimeout {
        /// Host and port.
        address: String,
        /// The time limit.
        after: Duration,
    },
    /// The connection could not be encrypted.
    #[error(
        "no TLS with {address} ({reason}); if this port speaks plain ILP use \"tcp\", and if its certificate is of a \
         private authority give that in \"tls_roots\""
    )]
    Tls {
        /// Host and port.
        address: String,
        /// What happened to the handshake.
        reason: String,
    },
    /// The connection was not encrypted in time.
    #[error(
        "no TLS with {address} within {after:?}; if this port speaks plain ILP use \"tcp\"; \"auth_timeout\" sets the \
         limit"
    )]
    TlsTimeout {
        /// Host and port.
        address: String,
        /// The time limit.
        after: Duration,
    },
    /// The server did not ask for a signature.
    #[error(
        "Did not receive auth challenge. Is the database configured to require authentication? ({address}: {reason}; \
         if it is not, remove \"username\", \"token\", \"token_x\" and \"token_y\")"
    )]
    NoChallenge {
        /// Host and port.
        address: String,
        /// What came instead.
        reason: String,
    },
    /// The server closed the connection.
    #[error("{address} closed the connection ({reason}){}", why_closed(*.authenticated, *.sent))]
    Closed {
        /// Host and port.
        address: String,
        /// How the connection ended.
        reason: String,
        /// Whether a challenge of the server was signed before.
        authenticated: bool,
        /// Whether rows were sent before.
        sent: bool,
    },
    /// The connection broke for another reason than that the server closed it.
    #[error("the connection to {address} broke ({reason}); is the server still running, and the network up?")]
    Broken {
        /// Host and port.
        address: String,
        /// What the system said.
        reason: String,
        /// Whether rows were sent before.
        sent: bool,
    },
    /// The server sent something, which QuestDB does for one reason only.
    #[error("{address} answered, which QuestDB does over TCP only to ask for a signature{}", why_answered(*.authenticated))]
    Answered {
        /// Host and port.
        address: String,
        /// Whether a challenge of the server was signed before.
        authenticated: bool,
        /// Whether rows were sent before.
        sent: bool,
    },
    /// The server did not close the connection after we had closed our side.
    #[error(
        "{address} did not close the connection within {after:?} of our end of it; it may not have read all rows yet, \
         and its log says whether it did; \"auth_timeout\" sets the limit"
    )]
    CloseTimeout {
        /// Host and port.
        address: String,
        /// The time limit.
        after: Duration,
    },
    /// An attempt to use a connection that has ended before.
    #[error("not connected to {address}: the connection ended before, and nothing was sent; make a new one")]
    NotConnected {
        /// Host and port.
        address: String,
    },
}

fn why_closed(authenticated: bool, sent: bool) -> &'static str {
    match (authenticated, sent) {
        (false, true) => {
            ", most likely because it did not like a line; its log says which and why. Lines before that one may be \
             stored, the rest is lost"
        }
        (true, true) => {
            ", most likely because it did not like a line or did not know the key; its log says which and why. Lines \
             before that one may be stored, the rest is lost"
        }
        (true, false) => {
            " before a line was sent; does it know the key id in \"username\", and are \"token\", \"token_x\" and \
             \"token_y\" those of that key? Its log says why"
        }
        (false, false) => {
            " before a line was sent; did it stop, and is this the port of ILP over TCP (usually 9009)? Its log says \
             why"
        }
    }
}

fn why_answered(authenticated: bool) -> &'static str {
    if authenticated {
        ", and it has one; is this the port of ILP over TCP (usually 9009)?"
    } else {
        "; give the key in \"username\", \"token\", \"token_x\" and \"token_y\", and check that this is the port of ILP \
         over TCP (usually 9009)"
    }
}

impl TcpError {
    /// What an error of the system says about a connection.
    pub(super) fn of_io(error: &io::Error, address: &str, authenticated: bool, sent: bool) -> Self {
        let address = address.to_owned();
        let reason = match error.kind() {
            // Else it would be a lecture on TLS, or Rust's own name of it.
            io::ErrorKind::UnexpectedEof => "end of stream".to_owned(),
            _ => root_cause(error),
        };
        match error.kind() {
            // The peer ended it. A server that closes with bytes unread, as after a bad line, makes that a reset.
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::NotConnected
            | io::ErrorKind::UnexpectedEof => Self::Closed { address, reason, authenticated, sent },
            _ => Self::Broken { address, reason, sent },
        }
    }

    /// What kind of problem this is.
    pub(in super::super) fn kind(&self) -> ErrorKind {
        match self {
            Self::Key { .. } | Self::KeyMismatch | Self::KeyId | Self::NoChallenge { .. } => ErrorKind::AuthError,
            // Nothing else can be the reason yet.
            Self::Closed { authenticated: true, sent: false, .. } => ErrorKind::AuthError,
            Self::Answered { authenticated: false, .. } => ErrorKind::AuthError,
            Self::ResolveInterface { .. } => ErrorKind::CouldNotResolveAddr,
            Self::Tls { .. } | Self::TlsTimeout { .. } => ErrorKind::TlsError,
            Self::Bind { .. }
            | Self::Connect { .. }
            | Self::ConnectTimeout { .. }
            | Self::Closed { .. }
            | Self::Broken { .. }
            | Self::Answered { .. }
            | Self::CloseTimeout { .. }
            | Self::NotConnected { .. } => ErrorKind::SocketError,
        }
    }

    /// What is known about the rows that were being sent: after the first byte of any, nothing.
    pub(in super::super) fn certainty(&self) -> Certainty {
        match self {
            Self::Key { .. } | Self::KeyMismatch | Self::KeyId => Certainty::Refused,
            Self::Closed { sent: true, .. }
            | Self::Broken { sent: true, .. }
            | Self::Answered { sent: true, .. }
            | Self::CloseTimeout { .. } => Certainty::Ambiguous,
            Self::ResolveInterface { .. }
            | Self::Bind { .. }
            | Self::Connect { .. }
            | Self::ConnectTimeout { .. }
            | Self::Tls { .. }
            | Self::TlsTimeout { .. }
            | Self::NoChallenge { .. }
            | Self::Closed { sent: false, .. }
            | Self::Broken { sent: false, .. }
            | Self::Answered { sent: false, .. }
            | Self::NotConnected { .. } => Certainty::Clean,
        }
    }
}
