//! Requests to one QuestDB server over HTTP.
//!
//! Each is tried once, redirects are not followed and no proxy is asked, so that a status always is the server's
//! own (or of whatever stands at its address) and an acknowledgement always means this request.

mod plain;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};

use super::TransportError;
use super::answer::{ErrorAnswer, Media, QueryAnswer, ServerInfo};
use super::body::Body;
use super::error::{Refusal, Request, root_cause};
use super::tls;
use crate::config::{Auth, Config};

const USER_AGENT: &str = concat!("questframe/", env!("CARGO_PKG_VERSION"));

/// More of an error than this nobody reads; more of `/settings` no QuestDB says.
const MAX_ERROR_BODY: usize = 64 << 10;

/// Credentials of at least so many bytes are hidden where an error's body has them.
const SHORTEST_HIDDEN: usize = 4;
const MAX_SETTINGS_BODY: usize = 1 << 20;
/// What we ask of `/exec` is one row, or one for each column of a table.
const MAX_QUERY_BODY: usize = 16 << 20;

/// Connections that are kept although nothing goes over them. Fewer than there are threads that write would make each
/// small write use up a port.
const MOST_IDLE: usize = 64;

/// The time limit of connecting is [`Config::request_timeout`] too. The limit of the whole call leaves it a
/// head start, so that a server that is not there is told from one that took the request and fell silent.
const CONNECT_HEAD_START: Duration = Duration::from_millis(50);

/// A client of one server, with a pool of kept-alive connections. A clone shares them.
#[derive(Clone)]
pub(crate) struct HttpTransport {
    inner: Arc<Inner>,
}

struct Inner {
    /// Exchanged for a new one by [`HttpTransport::reconnect`].
    client: RwLock<Client>,
    tls: rustls::ClientConfig,
    base: Url,
    address: String,
    /// Marked as sensitive, so that its `Debug` hides the value.
    authorization: Option<HeaderValue>,
    request_timeout: Duration,
    min_throughput: u64,
    /// Whether it has answered over TLS, or is not asked to.
    is_encrypted: AtomicBool,
}

impl fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTransport").field("url", &self.inner.base.as_str()).finish_non_exhaustive()
    }
}

impl HttpTransport {
    /// Prepares a client of one of the configuration's servers. Nothing connects.
    pub(crate) fn new(config: &Config, address: &str) -> Result<Self, TransportError> {
        let scheme = config.scheme();
        let address = address.to_owned();
        if !scheme.is_http() {
            let reason = format!("{}::addr={address} is not HTTP; use \"http\" or \"https\"", scheme.name());
            return Err(TransportError::Setup { reason });
        }
        let base = Url::parse(&format!("{}://{address}/", scheme.name()))
            .map_err(|error| TransportError::Setup { reason: format!("\"addr\" cannot be {address:?}: {error}") })?;
        let mut tls = tls::client_config(config.tls())?;
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let client = client(tls.clone(), config.request_timeout())?;
        let authorization = authorization(&client, &base, config.auth())?;
        let request_timeout = config.request_timeout();
        let min_throughput = config.request_min_throughput();
        let client = RwLock::new(client);
        let is_encrypted = AtomicBool::new(!scheme.is_tls());
        let inner = Inner { client, tls, base, address, authorization, request_timeout, min_throughput, is_encrypted };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Lets go of the kept connections: requests from now on go over new ones.
    pub(crate) fn reconnect(&self) -> Result<(), TransportError> {
        let Inner { tls, request_timeout, .. } = &*self.inner;
        let fresh = client(tls.clone(), *request_timeout)?;
        *self.inner.client.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// Asks the server what it is, without credentials as all official clients do.
    ///
    /// A 404 is what a QuestDB from before `/settings` says, and most other servers too: `/ping` tells them apart.
    pub(crate) async fn settings(&self) -> Result<ServerInfo, TransportError> {
        let request = Request::Settings;
        let response =
            self.send(request, self.request(Method::GET, self.url("settings")), self.time_limit(None)).await?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => {
                if self.is_old_questdb().await? {
                    return Ok(ServerInfo::old());
                }
                let found = "status 404, and GET /ping as no QuestDB does";
                return Err(self.not_questdb(request, StatusCode::NOT_FOUND, true, found));
            }
            _ => return Err(self.unexpected(request, response).await),
        }
        let (body, complete) = self.read(request, response, MAX_SETTINGS_BODY).await?;
        // What a QuestDB before version 8 says, and nobody could tell it by that alone.
        let says_nothing = body.trim_ascii() == b"{}";
        match ServerInfo::parse(body) {
            Some(info) => Ok(info),
            None if says_nothing && self.is_old_questdb().await? => Ok(ServerInfo::old()),
            None => {
                let found = "something other than QuestDB's settings";
                Err(self.not_questdb(request, StatusCode::OK, complete, found))
            }
        }
    }

    /// As [`settings`](Self::settings), of whatever answers with JSON, or not at all: what the official client takes.
    pub(crate) async fn any_settings(&self) -> Result<ServerInfo, TransportError> {
        let request = Request::Settings;
        let response =
            self.send(request, self.request(Method::GET, self.url("settings")), self.time_limit(None)).await?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(ServerInfo::old()),
            _ => return Err(self.unexpected(request, response).await),
        }
        let (body, complete) = self.read(request, response, MAX_SETTINGS_BODY).await?;
        ServerInfo::parse_any(body)
            .ok_or_else(|| self.not_questdb(request, StatusCode::OK, complete, "something other than JSON"))
    }

    /// Posts lines of the line protocol, within what is left of the call's time. Only a 204 means that they are stored.
    pub(crate) async fn write(&self, body: Body, deadline: Option<Instant>) -> Result<(), TransportError> {
        let mut url = self.url("write");
        url.set_query(Some("precision=n"));
        let Body { bytes, is_gzip, lines } = body;
        let mut builder =
            self.authorized(self.request(Method::POST, url)).header(CONTENT_TYPE, "text/plain; charset=utf-8");
        if is_gzip {
            builder = builder.header(CONTENT_ENCODING, "gzip");
        }
        let builder = builder.body(bytes);
        let mut limit = self.time_limit(Some(lines));
        if let Some(deadline) = deadline {
            limit = limit.min(deadline.saturating_duration_since(Instant::now()));
        }
        let response = self.send(Request::Write, builder, limit).await?;
        match response.status() {
            StatusCode::NO_CONTENT => Ok(()),
            _ => Err(self.unexpected(Request::Write, response).await),
        }
    }

    /// The error of a write that was given up while it was on its way.
    pub(crate) fn stopped(&self) -> TransportError {
        TransportError::Stopped { address: self.inner.address.clone() }
    }

    /// Asks whether the server is there, and tells how long the answer took.
    pub(crate) async fn ping(&self) -> Result<Duration, TransportError> {
        let start = Instant::now();
        let response =
            self.send(Request::Ping, self.request(Method::GET, self.url("ping")), self.time_limit(None)).await?;
        match response.status() {
            StatusCode::NO_CONTENT => Ok(start.elapsed()),
            _ => Err(self.unexpected(Request::Ping, response).await),
        }
    }

    /// Runs a query and gives its rows.
    pub(crate) async fn query(&self, sql: &str) -> Result<QueryAnswer, TransportError> {
        let request = Request::Query;
        let mut url = self.url("exec");
        url.query_pairs_mut().append_pair("query", sql);
        let response =
            self.send(request, self.authorized(self.request(Method::GET, url)), self.time_limit(None)).await?;
        let status = response.status();
        if status != StatusCode::OK {
            return Err(self.unexpected(request, response).await);
        }
        let (body, complete) = self.read(request, response, MAX_QUERY_BODY).await?;
        if !complete {
            let found = format!("more than {} MiB", MAX_QUERY_BODY >> 20);
            return Err(self.not_questdb(request, status, false, &found));
        }
        match QueryAnswer::parse(body) {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(answer)) => Err(self.refused(request, status, true, answer)),
            Err(error) => Err(self.not_questdb(request, status, true, &format!("unreadable JSON ({error})"))),
        }
    }

    /// Runs a query and gives its answer as it comes: JSON of any size. Whether that is an error, a part of it tells.
    pub(crate) async fn read_query(&self, sql: &str, limit: Duration) -> Result<Vec<u8>, TransportError> {
        let request = Request::Read;
        let mut url = self.url("exec");
        url.query_pairs_mut().append_pair("query", sql);
        let mut response = self.send(request, self.authorized(self.request(Method::GET, url)), limit).await?;
        if response.status() != StatusCode::OK {
            return Err(self.unexpected(request, response).await);
        }
        let mut body = Vec::new();
        match read_into(&mut body, &mut response, usize::MAX).await {
            Ok(_) => {}
            Err(error) => return Err(self.no_answer(request, limit, &error)),
        }
        if body.len() <= MAX_ERROR_BODY
            && let Ok(Err(answer)) = QueryAnswer::parse(body.clone())
            && self.without_credentials(answer.clone()) != answer
        {
            return Err(self.refused(request, StatusCode::OK, true, answer));
        }
        Ok(body)
    }

    async fn is_old_questdb(&self) -> Result<bool, TransportError> {
        let response =
            self.send(Request::Ping, self.request(Method::GET, self.url("ping")), self.time_limit(None)).await?;
        let signed = |headers: &HeaderMap| {
            headers
                .keys()
                .any(|name| name.as_str().starts_with("x-influxdb-") || name.as_str().starts_with("x-questdb"))
        };
        Ok(response.status() == StatusCode::NO_CONTENT && signed(response.headers()))
    }

    fn url(&self, path: &str) -> Url {
        let mut url = self.inner.base.clone();
        url.set_path(path);
        url
    }

    fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.inner.client.read().unwrap_or_else(PoisonError::into_inner).request(method, url)
    }

    fn authorized(&self, builder: RequestBuilder) -> RequestBuilder {
        match &self.inner.authorization {
            Some(value) => builder.header(AUTHORIZATION, value.clone()),
            None => builder,
        }
    }

    /// The time limit of a request with a body of this size; without a body it is that of connecting.
    fn time_limit(&self, body: Option<usize>) -> Duration {
        let Inner { request_timeout, min_throughput, .. } = *self.inner;
        match body {
            Some(size) if min_throughput > 0 => {
                let millis = (size as u128) * 1000 / u128::from(min_throughput);
                request_timeout.saturating_add(Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX)))
            }
            _ => request_timeout,
        }
    }

    async fn send(
        &self,
        request: Request,
        builder: RequestBuilder,
        limit: Duration,
    ) -> Result<Response, TransportError> {
        let Inner { address, is_encrypted, .. } = &*self.inner;
        let sent = builder.timeout(limit.saturating_add(CONNECT_HEAD_START)).send();
        // Of rows that are on their way nobody else could say that they are not stored.
        let answer = if is_encrypted.load(Ordering::Relaxed) || request == Request::Write {
            sent.await
        } else {
            // In a handshake QuestDB's plain port waits for the end of a line, which does not come.
            tokio::select! {
                biased;
                answer = sent => answer,
                () = plain::is_questdb(address) => return Err(TransportError::plain(address)),
            }
        };
        let answer = answer
            .map_err(|error| if error.is_builder() { setup(error) } else { self.no_answer(request, limit, &error) })?;
        is_encrypted.store(true, Ordering::Relaxed);
        Ok(answer)
    }

    /// Reads a body up to a limit, and tells whether it ended there.
    async fn read(
        &self,
        request: Request,
        mut response: Response,
        limit: usize,
    ) -> Result<(Vec<u8>, bool), TransportError> {
        let mut body = Vec::new();
        match read_into(&mut body, &mut response, limit).await {
            Ok(complete) => Ok((body, complete)),
            Err(error) => Err(self.no_answer(request, self.time_limit(None), &error)),
        }
    }

    fn no_answer(&self, request: Request, limit: Duration, error: &reqwest::Error) -> TransportError {
        let after = if error.is_connect() { self.inner.request_timeout } else { limit };
        TransportError::no_answer(&self.inner.address, request, after, error)
    }

    /// The error that an answer with another status than hoped for is.
    async fn unexpected(&self, request: Request, mut response: Response) -> TransportError {
        let status = response.status();
        let media = Media::of(response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()));
        let target = redirect_target(response.headers());
        // The status says enough: of a body that breaks off, what came is kept.
        let mut body = Vec::new();
        let complete = read_into(&mut body, &mut response, MAX_ERROR_BODY).await.unwrap_or(false);

        let body = without(self.inner.authorization.as_ref(), body);

        let number = status.as_u16();
        let page = media == Media::Html || (media == Media::Other && body.trim_ascii_start().starts_with(b"<"));
        let found = match number {
            401 | 403 => None,
            300..=399 => Some(format!("a redirect{target} (status {number})")),
            _ if page => Some(format!("a web page (status {number})")),
            400..=599 => None,
            _ => Some(format!("status {number}")),
        };
        match found {
            Some(found) => self.not_questdb(request, status, complete, &found),
            None if page => self.refused(request, status, complete, ErrorAnswer::default()),
            None => self.refused(request, status, complete, ErrorAnswer::parse(media, &body)),
        }
    }

    /// The answer without the credentials that were sent, which JSON may have in other letters than the header had.
    fn without_credentials(&self, answer: ErrorAnswer) -> ErrorAnswer {
        answer.map_text(|text| {
            let shown = without(self.inner.authorization.as_ref(), text.into_bytes());
            String::from_utf8_lossy(&shown).into_owned()
        })
    }

    fn refused(&self, request: Request, status: StatusCode, complete: bool, answer: ErrorAnswer) -> TransportError {
        let answer = self.without_credentials(answer);
        let address = self.inner.address.clone();
        let status = status.as_u16();
        TransportError::Refused(Box::new(Refusal { address, request, status, complete, answer }))
    }

    fn not_questdb(&self, request: Request, status: StatusCode, complete: bool, found: &str) -> TransportError {
        let url = self.inner.base.to_string();
        TransportError::NotQuestDb { url, request, status: status.as_u16(), complete, found: found.to_owned() }
    }
}

/// A pool of connections.
fn client(tls: rustls::ClientConfig, connect_timeout: Duration) -> Result<Client, TransportError> {
    Client::builder()
        .tls_backend_preconfigured(tls)
        .http1_only()
        .no_proxy()
        .tcp_nodelay(true)
        .pool_max_idle_per_host(MOST_IDLE)
        .redirect(reqwest::redirect::Policy::none())
        // What remains is hyper's own second try, when a kept connection had closed before any byte was sent.
        .retry(reqwest::retry::never())
        .connect_timeout(connect_timeout)
        .user_agent(USER_AGENT)
        .build()
        .map_err(setup)
}

/// Appends the body up to `limit` bytes; true if that was all of it.
async fn read_into(body: &mut Vec<u8>, response: &mut Response, limit: usize) -> Result<bool, reqwest::Error> {
    while let Some(chunk) = response.chunk().await? {
        let room = limit - body.len();
        if chunk.len() > room {
            body.extend_from_slice(&chunk[..room]);
            return Ok(false);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(true)
}

/// Where a redirect leads, without its query, which may hold a session of a login page, and without a password.
fn redirect_target(headers: &HeaderMap) -> String {
    let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
    let target = location.and_then(|text| text.split(['?', '#']).next()).map(|text| match text.rsplit_once('@') {
        None => text.to_owned(),
        Some((before, rest)) => format!("{}{rest}", before.find("//").map_or("", |end| &before[..end + 2])),
    });
    target.map_or_else(String::new, |text| format!(" to {text}"))
}

/// A body without the credentials that were sent: what fails may show the request's headers.
fn without(credentials: Option<&HeaderValue>, body: Vec<u8>) -> Vec<u8> {
    // Behind the scheme. Anything so short may stand there by chance.
    let secret = credentials.and_then(|header| header.as_bytes().split(|byte| *byte == b' ').nth(1));
    let Some(secret) = secret.filter(|secret| secret.len() >= SHORTEST_HIDDEN) else { return body };
    let (mut shown, mut rest) = (Vec::with_capacity(body.len()), body.as_slice());
    while let Some(start) = rest.windows(secret.len()).position(|window| window == secret) {
        shown.extend_from_slice(&rest[..start]);
        shown.extend_from_slice(b"***");
        rest = &rest[start + secret.len()..];
    }
    shown.extend_from_slice(rest);
    shown
}

/// The header of the credentials, made by reqwest once and not for every request.
fn authorization(client: &Client, base: &Url, auth: &Auth) -> Result<Option<HeaderValue>, TransportError> {
    let builder = client.get(base.clone());
    let builder = match auth {
        Auth::Basic { username, password } => builder.basic_auth(username, Some(password)),
        Auth::Bearer { token } => builder.bearer_auth(token),
        Auth::None | Auth::Ecdsa { .. } => return Ok(None),
    };
    let mut request = builder.build().map_err(setup)?;
    Ok(request.headers_mut().remove(AUTHORIZATION))
}

fn setup(error: reqwest::Error) -> TransportError {
    TransportError::Setup { reason: root_cause(&error) }
}
