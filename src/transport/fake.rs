//! A small HTTP server inside the test process: it answers as told and remembers what it was asked.
//!
//! Port 0 on the loopback, one thread a connection, keep-alive. Dropping it closes everything and fails the test
//! if one of its threads panicked.

pub(crate) mod tls;

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A file that is removed again. Its name is to be used by one test only.
pub(crate) struct TempFile(PathBuf);

impl TempFile {
    pub(crate) fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("questframe-{}-{name}", std::process::id()));
        std::fs::write(&path, text).expect("a writable directory of temporary files");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// What the server does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// Sends these bytes and waits for the next request.
    Reply(Vec<u8>),
    /// Sends these bytes and closes the connection.
    Last(Vec<u8>),
    /// Closes the connection without reading the body.
    HangUp,
    /// Reads the request and says nothing, until the client goes.
    Silence,
}

impl Answer {
    /// A status without a body.
    pub(crate) fn status(status: u16) -> Self {
        let length = if status == 204 { "" } else { "content-length: 0\r\n" };
        Self::Reply(format!("HTTP/1.1 {status} X\r\n{length}\r\n").into_bytes())
    }

    /// A status and a body of some media type.
    pub(crate) fn body(status: u16, media: &str, body: &str) -> Self {
        let length = body.len();
        let head = format!("HTTP/1.1 {status} X\r\ncontent-type: {media}\r\ncontent-length: {length}\r\n\r\n");
        Self::Reply((head + body).into_bytes())
    }

    /// A status and JSON, with the content type that QuestDB gives it.
    pub(crate) fn json(status: u16, body: &str) -> Self {
        Self::body(status, "application/json; charset=utf-8", body)
    }

    /// The same with one more header, as in `"location: /x"`.
    pub(crate) fn with_header(self, header: &str) -> Self {
        match self {
            Self::Reply(bytes) => {
                let text = String::from_utf8(bytes).expect("scripted answers are text");
                Self::Reply(text.replacen("\r\n", &format!("\r\n{header}\r\n"), 1).into_bytes())
            }
            other => other,
        }
    }
}

/// A request as the server saw it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorded {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Recorded {
    /// The value of a header, whose name is given in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

type Handler = Box<dyn FnMut(&Recorded) -> Answer + Send>;

struct Shared {
    handler: Mutex<Handler>,
    requests: Mutex<Vec<Recorded>>,
    /// One a connection, to be shut down while it is open.
    sockets: Mutex<Vec<Option<TcpStream>>>,
    stopping: AtomicBool,
    tls: Option<Arc<ServerConfig>>,
}

/// The server; see the module.
pub(crate) struct FakeServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

impl FakeServer {
    /// Gives these answers, one a request, and then status 599.
    pub(crate) fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self::with(scripted(answers))
    }

    /// Asks a function for each answer. It sees the head of the request, not the body.
    pub(crate) fn with(handler: impl FnMut(&Recorded) -> Answer + Send + 'static) -> Self {
        Self::launch(Box::new(handler), None)
    }

    /// Like [`start`](Self::start), over TLS.
    pub(crate) fn start_tls(config: ServerConfig, answers: impl IntoIterator<Item = Answer>) -> Self {
        Self::launch(Box::new(scripted(answers)), Some(Arc::new(config)))
    }

    fn launch(handler: Handler, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let shared = Arc::new(Shared {
            handler: Mutex::new(handler),
            requests: Mutex::default(),
            sockets: Mutex::default(),
            stopping: AtomicBool::new(false),
            tls,
        });
        let ours = Arc::clone(&shared);
        let acceptor = thread::spawn(move || accept(&listener, &ours));
        Self { address, shared, acceptor: Some(acceptor) }
    }

    /// Host and port.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// A configuration string for this server, ending in `;`.
    pub(crate) fn conf(&self) -> String {
        let scheme = if self.shared.tls.is_some() { "https" } else { "http" };
        format!("{scheme}::addr={};", self.address)
    }

    /// The requests so far, each as soon as it was read.
    pub(crate) fn requests(&self) -> Vec<Recorded> {
        lock(&self.shared.requests).clone()
    }

    /// How many connections were made so far.
    pub(crate) fn connections(&self) -> usize {
        lock(&self.shared.sockets).len()
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // Wakes the acceptor.
        let _ = TcpStream::connect(self.address);
        for socket in lock(&self.shared.sockets).iter().flatten() {
            let _ = socket.shutdown(Shutdown::Both);
        }
        let ended = self.acceptor.take().map(JoinHandle::join);
        if !thread::panicking() {
            assert!(matches!(ended, Some(Ok(()))), "the fake server panicked");
        }
    }
}

fn scripted(answers: impl IntoIterator<Item = Answer>) -> impl FnMut(&Recorded) -> Answer + Send + 'static {
    let mut answers: VecDeque<Answer> = answers.into_iter().collect();
    move |_: &Recorded| answers.pop_front().unwrap_or_else(|| Answer::status(599))
}

/// A panic of one thread is told when the server is dropped, not by every lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    thread::scope(|scope| {
        for socket in listener.incoming() {
            if shared.stopping.load(Ordering::SeqCst) {
                break;
            }
            let socket = socket.expect("a connection");
            let kept = socket.try_clone().expect("a second handle");
            let mut sockets = lock(&shared.sockets);
            let place = sockets.len();
            sockets.push(Some(kept));
            drop(sockets);
            if shared.stopping.load(Ordering::SeqCst) {
                // Too late for `drop` to have seen it.
                let _ = socket.shutdown(Shutdown::Both);
            }
            scope.spawn(move || {
                // Connections end as they may: a client that goes in the middle is what many tests are about.
                let _ = match shared.tls.clone() {
                    None => serve(socket, shared),
                    Some(config) => {
                        let connection = ServerConnection::new(config).expect("a usable TLS configuration");
                        serve(StreamOwned::new(connection, socket), shared)
                    }
                };
                // The last handle closes the connection; what was not read makes that a reset.
                lock(&shared.sockets)[place] = None;
            });
        }
    });
}

fn serve(stream: impl Read + Write, shared: &Shared) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    while let Some(mut request) = read_head(&mut stream)? {
        let answer = lock(&shared.handler)(&request);
        if !matches!(answer, Answer::HangUp) {
            let length = request.header("content-length").map_or(0, |text| text.parse().expect("a length"));
            request.body = vec![0; length];
            stream.read_exact(&mut request.body)?;
        }
        lock(&shared.requests).push(request);
        match answer {
            Answer::Reply(bytes) => stream.get_mut().write_all(&bytes)?,
            Answer::Last(bytes) => {
                stream.get_mut().write_all(&bytes)?;
                break;
            }
            Answer::HangUp => break,
            Answer::Silence => drop(stream.read(&mut [0])?),
        }
        stream.get_mut().flush()?;
    }
    Ok(())
}

/// Reads up to the empty line; none if the client went instead.
fn read_head(stream: &mut impl BufRead) -> io::Result<Option<Recorded>> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let mut request = Recorded {
        method: words.next().unwrap_or_default(),
        target: words.next().unwrap_or_default(),
        ..Recorded::default()
    };
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) => request.headers.push((name.to_ascii_lowercase(), value.to_owned())),
            None => return Ok(Some(request)),
        }
    }
}
