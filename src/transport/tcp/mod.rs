//! ILP over TCP: a stream of lines that the server reads and never answers.
//!
//! There are no requests here and no acknowledgements. Of what it does not like the server tells its log, and closes
//! the connection: seeing that close is all a client can do, so [`TcpConnection`] looks for it before and after each
//! write, and at the end waits for the server to have read everything.

mod auth;
mod connection;
mod error;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use rustls::pki_types::ServerName;
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use self::auth::Signer;
use self::connection::Stream;
pub(crate) use self::connection::TcpConnection;
pub(super) use self::error::TcpError;
use super::error::root_cause;
use super::{TransportError, tls};
use crate::config::{Auth, Config};

/// What connections to one server are made from. A clone shares it.
#[derive(Clone)]
pub(crate) struct TcpTransport {
    inner: Arc<Inner>,
}

struct Inner {
    /// Host and port, as errors show them.
    address: String,
    host: String,
    port: u16,
    interface: Option<String>,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    signer: Option<Signer>,
    /// The time limit of each step.
    limit: Duration,
}

impl fmt::Debug for TcpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpTransport").field("address", &self.inner.address).finish_non_exhaustive()
    }
}

impl TcpTransport {
    /// Prepares connections. Nothing connects.
    pub(crate) fn new(config: &Config) -> Result<Self, TransportError> {
        let scheme = config.scheme();
        // One stream of lines goes to one server, and the configuration has no more.
        let address = config.addresses().swap_remove(0);
        if scheme.is_http() {
            let reason = format!("{}::addr={address} is not TCP; use \"tcp\" or \"tcps\"", scheme.name());
            return Err(TransportError::Setup { reason });
        }
        let (host, port) = host_and_port(&address)?;
        let tls = if scheme.is_tls() { Some(connector(config, &host)?) } else { None };
        let signer = match config.auth() {
            Auth::Ecdsa { key_id, private_key, public_x, public_y } => {
                Some(Signer::new(key_id, private_key, public_x, public_y)?)
            }
            Auth::None | Auth::Basic { .. } | Auth::Bearer { .. } => None,
        };
        let interface = config.bind_interface().map(str::to_owned);
        let limit = config.auth_timeout();
        Ok(Self { inner: Arc::new(Inner { address, host, port, interface, tls, signer, limit }) })
    }

    /// Whether connections begin with a signature, which the server may not accept.
    pub(crate) fn signs(&self) -> bool {
        self.inner.signer.is_some()
    }

    /// Makes a connection: TCP, then TLS, then the signature, as far as they are asked for. Each step has the time
    /// limit [`Config::auth_timeout`].
    ///
    /// # Errors
    /// A step failed. A signature that the server does not accept is not told here, but by the connection later: the
    /// server's only answer is to close it.
    pub(crate) async fn connect(&self) -> Result<TcpConnection, TransportError> {
        let Inner { address, signer, limit, .. } = &*self.inner;
        let socket = self.inner.reach().await?;
        let mut stream: Box<dyn Stream> = match &self.inner.tls {
            None => Box::new(socket),
            Some((connector, name)) => match timeout(*limit, connector.connect(name.clone(), socket)).await {
                Ok(Ok(stream)) => Box::new(stream),
                Ok(Err(error)) => {
                    return Err(TcpError::Tls { address: address.clone(), reason: root_cause(&error) }.into());
                }
                Err(_) => return Err(TcpError::TlsTimeout { address: address.clone(), after: *limit }.into()),
            },
        };
        if let Some(signer) = signer {
            signer.authenticate(&mut stream, address, *limit).await?;
        }
        Ok(TcpConnection::new(stream, address.clone(), *limit, signer.is_some()))
    }
}

impl Inner {
    /// Connects to the first of the server's addresses that lets us. The time limit is shared among them, so that one
    /// that does not answer leaves time for the next.
    async fn reach(&self) -> Result<TcpStream, TransportError> {
        let locals = self.interface_addresses().await?;
        let remotes = self.resolve(&self.host, self.port).await.map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => self.connect_timeout(),
            _ => TransportError::Resolve { address: self.address.clone(), reason: root_cause(&error) },
        })?;
        let (ways, mut failure) = match locals {
            None => {
                let ways: Vec<_> = remotes.into_iter().map(|remote| (remote, None)).collect();
                (ways, TransportError::Resolve { address: self.address.clone(), reason: "no address".into() })
            }
            Some(locals) => {
                let of_family = |remote: &SocketAddr| locals.iter().find(|local| local.is_ipv4() == remote.is_ipv4());
                let way = |remote: SocketAddr| of_family(&remote).map(|local| (remote, Some(*local)));
                let reason = "one has an address of IPv4 only and the other of IPv6".to_owned();
                (remotes.into_iter().filter_map(way).collect(), self.no_bind(reason).into())
            }
        };
        let share = self.limit / u32::try_from(ways.len().max(1)).unwrap_or(u32::MAX);
        for (remote, local) in ways {
            failure = match timeout(share, self.dial(remote, local)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => error.into(),
                Err(_) => self.connect_timeout(),
            };
        }
        Err(failure)
    }

    async fn dial(&self, remote: SocketAddr, local: Option<SocketAddr>) -> Result<TcpStream, TcpError> {
        let no_connection =
            |error: io::Error| TcpError::Connect { address: self.address.clone(), reason: root_cause(&error) };
        let socket = socket(remote).map_err(no_connection)?;
        if let Some(local) = local {
            socket.bind(local).map_err(|error| self.no_bind(root_cause(&error)))?;
        }
        socket.connect(remote).await.map_err(no_connection)
    }

    fn no_bind(&self, reason: String) -> TcpError {
        let interface = self.interface.clone().unwrap_or_default();
        TcpError::Bind { address: self.address.clone(), interface, reason }
    }

    /// The addresses that connections leave from; none if any will do.
    async fn interface_addresses(&self) -> Result<Option<Vec<SocketAddr>>, TransportError> {
        let Some(interface) = &self.interface else { return Ok(None) };
        // The port is the system's to choose.
        match self.resolve(without_brackets(interface), 0).await {
            Ok(addresses) => Ok(Some(addresses)),
            Err(error) => {
                let (interface, reason) = (interface.clone(), root_cause(&error));
                Err(TcpError::ResolveInterface { interface, reason }.into())
            }
        }
    }

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        match timeout(self.limit, lookup_host((host, port))).await {
            Ok(found) => Ok(found?.collect()),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    fn connect_timeout(&self) -> TransportError {
        TcpError::ConnectTimeout { address: self.address.clone(), after: self.limit }.into()
    }
}

/// A socket for an address of this family, set as official clients set theirs: small writes leave at once, and the
/// system finds out on its own when the other side is gone.
fn socket(remote: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if remote.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_nodelay(true)?;
    socket.set_keepalive(true)?;
    Ok(socket)
}

/// Takes an address apart by the rules of URLs, so that the same host names work as over HTTP: names that are not
/// ASCII among them.
fn host_and_port(address: &str) -> Result<(String, u16), TransportError> {
    let url = Url::parse(&format!("http://{address}/"))
        .map_err(|error| TransportError::Setup { reason: format!("\"addr\" cannot be {address:?}: {error}") })?;
    // An HTTP URL always has both.
    let (host, port) = (url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default());
    Ok((without_brackets(host).to_owned(), port))
}

/// Text of an IPv6 address, which stands in brackets in URLs.
fn without_brackets(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

fn connector(config: &Config, host: &str) -> Result<(TlsConnector, ServerName<'static>), TransportError> {
    let name = ServerName::try_from(host.to_owned()).map_err(|_| TransportError::Setup {
        reason: format!("no certificate can be for the host of \"addr\", {host:?}; use the name in the server's"),
    })?;
    let client = tls::client_config(config.tls())?;
    Ok((TlsConnector::from(Arc::new(client)), name))
}
