use std::io;
use std::net::TcpListener;

use bytes::Bytes;

use super::super::fake::{Answer, FakeServer, TempFile, tls};
use super::super::{Certainty, Runtime};
use super::*;
use crate::error::ErrorKind;

/// A client and the thread that runs it.
struct Caller {
    runtime: Runtime,
    transport: HttpTransport,
}

impl Caller {
    fn new(conf: &str) -> Self {
        let config = Config::from_conf(conf).expect("a valid string");
        Self {
            runtime: Runtime::new().expect("a thread"),
            transport: HttpTransport::new(&config, &config.addresses()[0]).expect("a client"),
        }
    }

    fn write(&self, body: &'static [u8]) -> Result<(), TransportError> {
        let transport = self.transport.clone();
        self.runtime.block_on(async move { transport.write(Bytes::from_static(body).into(), None).await })
    }

    fn settings(&self) -> Result<ServerInfo, TransportError> {
        let transport = self.transport.clone();
        self.runtime.block_on(async move { transport.settings().await })
    }

    fn ping(&self) -> Result<Duration, TransportError> {
        let transport = self.transport.clone();
        self.runtime.block_on(async move { transport.ping().await })
    }

    fn query(&self, sql: &'static str) -> Result<QueryAnswer, TransportError> {
        let transport = self.transport.clone();
        self.runtime.block_on(async move { transport.query(sql).await })
    }
}

/// The error of a write that is answered so.
fn refused_write(answer: Answer) -> TransportError {
    let server = FakeServer::start([answer]);
    Caller::new(&server.conf()).write(b"t x=1i 1\n").expect_err("not a 204")
}

#[track_caller]
fn assert_error(error: &TransportError, kind: ErrorKind, certainty: Certainty, pieces: &[&str]) {
    let text = error.to_string();
    assert_eq!((error.kind(), error.certainty()), (kind, certainty), "{text}");
    for piece in pieces {
        assert!(text.contains(piece), "{text:?} does not say {piece:?}");
    }
}

#[test]
fn a_write_is_what_official_clients_send() {
    let server = FakeServer::start([Answer::status(204)]);
    Caller::new(&server.conf()).write(b"t x=1i 1\n").expect("stored");
    let [request] = &server.requests()[..] else { panic!("{:?}", server.requests()) };
    assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/write?precision=n"));
    assert_eq!(request.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(request.header("content-length"), Some("9"));
    assert_eq!(request.header("user-agent"), Some(USER_AGENT));
    assert_eq!(request.header("host"), Some(server.address().to_string().as_str()));
    assert_eq!(request.header("authorization"), None);
    assert_eq!(request.header("transfer-encoding"), None);
    assert_eq!(request.body, b"t x=1i 1\n");
}

#[test]
fn credentials_go_with_writes_and_queries_only() {
    let cases =
        [("username=Aladdin;password=open sesame", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), ("token=t.1", "Bearer t.1")];
    for (keys, header) in cases {
        let server = FakeServer::with(|request| match request.target.as_str() {
            "/settings" => Answer::json(200, r#"{"config":{}}"#),
            "/ping" | "/write?precision=n" => Answer::status(204),
            _ => Answer::json(200, "{}"),
        });
        let caller = Caller::new(&format!("{}{keys}", server.conf()));
        caller.settings().expect("settings");
        caller.ping().expect("a pong");
        caller.write(b"x").expect("stored");
        caller.query("select 1").expect("rows");
        let sent: Vec<_> = server.requests().iter().map(|r| r.header("authorization").map(str::to_owned)).collect();
        assert_eq!(sent, [None, None, Some(header.to_owned()), Some(header.to_owned())]);
        let debug = format!("{:?} {:?}", caller.transport, caller.transport.inner.authorization);
        assert!(!debug.contains("t.1") && !debug.contains("QWxh"), "{debug}");
    }
}

#[test]
fn one_connection_is_kept_over_errors() {
    let bad = Answer::json(400, r#"{"code":"invalid","message":"m","line":1,"errorId":"e"}"#);
    let server = FakeServer::start([Answer::status(204), bad, Answer::status(204)]);
    let caller = Caller::new(&server.conf());
    caller.write(b"a").expect("stored");
    caller.write(b"b").expect_err("refused");
    caller.write(b"c").expect("stored");
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_refused_line_is_told_with_all_the_server_said() {
    let body = r#"{"code":"invalid","message":"failed to parse line protocol:errors encountered on line(s):\nerror in line 2: table: t1, column: a; cast error from protocol type: STRING to column type: LONG","line":2,"errorId":"05d46391a354-850"}"#;
    let error = refused_write(Answer::json(400, body));
    assert_error(
        &error,
        ErrorKind::ServerFlushError,
        Certainty::Refused,
        &["table: t1, column: a; cast error", "-850"],
    );
    assert_eq!(error.line(), Some(2));
    assert_eq!(error.column(), Some("a"));
    assert_eq!(error.error_id(), Some("05d46391a354-850"));
    assert!(error.server_message().is_some_and(|m| m.starts_with("failed to parse line protocol:")));
}

#[test]
fn statuses_of_a_write_become_kinds() {
    let text = |status| Answer::body(status, "text/plain", "some words");
    let cases = [
        (text(400), ErrorKind::ServerFlushError, Certainty::Refused, "refused the data (status 400): some words"),
        (text(401), ErrorKind::AuthError, Certainty::Refused, "check \"username\""),
        (text(403), ErrorKind::AuthError, Certainty::Refused, "check \"username\""),
        (text(404), ErrorKind::HttpNotSupported, Certainty::Refused, "line.http.enabled"),
        (text(405), ErrorKind::HttpNotSupported, Certainty::Refused, "line.http.enabled"),
        (text(413), ErrorKind::ServerFlushError, Certainty::Refused, "status 413"),
        (text(429), ErrorKind::ServerFlushError, Certainty::Clean, "status 429"),
        (text(500), ErrorKind::ServerFlushError, Certainty::Ambiguous, "failed at POST /write (status 500)"),
        (text(503), ErrorKind::ServerFlushError, Certainty::Clean, "status 503"),
        (text(504), ErrorKind::ServerFlushError, Certainty::Ambiguous, "status 504"),
        (text(599), ErrorKind::ServerFlushError, Certainty::Ambiguous, "status 599"),
        (text(200), ErrorKind::ServerFlushError, Certainty::Ambiguous, "is not a QuestDB"),
        (Answer::status(201), ErrorKind::ServerFlushError, Certainty::Ambiguous, "status 201"),
    ];
    for (answer, kind, certainty, piece) in cases {
        assert_error(&refused_write(answer), kind, certainty, &[piece]);
    }
}

#[test]
fn web_pages_and_redirects_are_not_a_questdb() {
    let page = |status| Answer::body(status, "text/html; charset=utf-8", "<h1>nginx</h1>");
    let cases = [
        (page(200), ErrorKind::ServerFlushError, Certainty::Ambiguous, "a web page (status 200)"),
        (page(404), ErrorKind::HttpNotSupported, Certainty::Refused, "a web page (status 404)"),
        (page(502), ErrorKind::ServerFlushError, Certainty::Ambiguous, "a web page (status 502)"),
        (page(503), ErrorKind::ServerFlushError, Certainty::Clean, "a web page (status 503)"),
        (Answer::body(500, "", " <html>"), ErrorKind::ServerFlushError, Certainty::Ambiguous, "a web page"),
        (
            Answer::status(302).with_header("location: https://login.example/in?session=1"),
            ErrorKind::ServerFlushError,
            Certainty::Refused,
            "a redirect to https://login.example/in (status 302)",
        ),
    ];
    for (answer, kind, certainty, piece) in cases {
        let error = refused_write(answer);
        assert_error(&error, kind, certainty, &["is not a QuestDB: POST /write was answered with", piece, "\"addr\""]);
        assert_eq!(error.server_message(), None);
    }
    assert_error(&refused_write(page(401)), ErrorKind::AuthError, Certainty::Refused, &["credentials"]);
}

#[test]
fn redirects_are_not_followed() {
    let server = FakeServer::start([Answer::status(307).with_header("location: /write2"), Answer::status(204)]);
    Caller::new(&server.conf()).write(b"x").expect_err("a redirect");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn error_bodies_are_read_up_to_a_limit() {
    let error = refused_write(Answer::body(503, "text/plain", &"x".repeat(MAX_ERROR_BODY + 1)));
    assert_error(&error, ErrorKind::ServerFlushError, Certainty::Ambiguous, &["…"]);
    assert_eq!(error.server_message().map(str::len), Some(MAX_ERROR_BODY));
    assert!(error.to_string().len() < 500);
    let error = refused_write(Answer::body(503, "text/plain", &"x".repeat(MAX_ERROR_BODY)));
    assert_eq!(error.certainty(), Certainty::Clean);
}

#[test]
fn an_answer_that_breaks_off_leaves_doubt() {
    let cut = |text: &str| refused_write(Answer::Last(text.as_bytes().to_vec()));
    let head = "HTTP/1.1 503 X\r\ncontent-length: 100\r\n\r\n";
    assert_error(&cut(head), ErrorKind::ServerFlushError, Certainty::Ambiguous, &["status 503"]);
    let refused = "HTTP/1.1 400 X\r\ncontent-length: 100\r\n\r\nbecause";
    assert_error(&cut(refused), ErrorKind::ServerFlushError, Certainty::Refused, &["because"]);
    for text in ["", "HTTP/1.1 20", "HTTP/1.1 204 X\r\n", "SSH-2.0-x\r\n\r\n"] {
        assert_error(
            &cut(text),
            ErrorKind::SocketError,
            Certainty::Ambiguous,
            &["broke during POST /write", "127.0.0.1"],
        );
    }
}

#[test]
fn a_connection_that_breaks_while_the_body_is_sent_leaves_doubt() {
    static BODY: [u8; 8 << 20] = [b'x'; 8 << 20];
    let server = FakeServer::start([Answer::HangUp]);
    let error = Caller::new(&server.conf()).write(&BODY).expect_err("hung up");
    assert_error(&error, ErrorKind::SocketError, Certainty::Ambiguous, &["broke during POST /write"]);
    assert_eq!(server.requests().len(), 1, "sent again");
}

#[test]
fn a_server_that_is_not_there_is_clean() {
    let gone = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let caller = Caller::new(&format!("http::addr={gone};"));
    let error = caller.write(b"x").expect_err("nobody listens");
    let pieces = [gone.to_string(), "refused".into(), "is QuestDB running there".into()];
    assert_error(&error, ErrorKind::SocketError, Certainty::Clean, &pieces.each_ref().map(String::as_str));
    assert_eq!(caller.settings().expect_err("nobody listens").kind(), ErrorKind::SocketError);
}

#[test]
fn a_host_without_address_is_told_apart() {
    // ".invalid" never resolves; a machine without any name server may take seconds to say so.
    let error = Caller::new("http::addr=nowhere.invalid:9000;request_timeout=300;").write(b"x").expect_err("no host");
    assert_eq!(error.certainty(), Certainty::Clean);
    let text = error.to_string();
    match error {
        TransportError::Resolve { .. } => assert_eq!(error.kind(), ErrorKind::CouldNotResolveAddr, "{text}"),
        TransportError::ConnectTimeout { .. } => {}
        _ => panic!("{text}"),
    }
    assert!(text.contains("nowhere.invalid:9000"), "{text}");
}

#[test]
fn silence_ends_in_a_timeout() {
    let server = FakeServer::start([Answer::Silence, Answer::Silence]);
    let caller = Caller::new(&format!("{}request_timeout=30;request_min_throughput=0;", server.conf()));
    let error = caller.write(b"x").expect_err("silence");
    assert_error(&error, ErrorKind::SocketError, Certainty::Ambiguous, &["POST /write within 30ms", "request_timeout"]);
    let error = caller.settings().expect_err("silence");
    assert_error(&error, ErrorKind::SocketError, Certainty::Clean, &["GET /settings within 30ms"]);
}

#[test]
fn the_time_limit_grows_with_the_body() {
    let limit = |keys: &str, body| Caller::new(&format!("http::addr=h;{keys}")).transport.time_limit(body);
    assert_eq!(limit("", None), Duration::from_secs(10));
    assert_eq!(limit("", Some(10 << 20)), Duration::from_millis(112_400));
    assert_eq!(limit("request_timeout=200;request_min_throughput=12", Some(12)), Duration::from_millis(1200));
    assert_eq!(limit("request_timeout=200;request_min_throughput=0", Some(12)), Duration::from_millis(200));
    assert!(limit(&format!("request_timeout={}", u64::MAX), Some(usize::MAX)) > Duration::from_secs(1 << 50));
}

#[test]
fn a_huge_time_limit_is_no_problem() {
    let server = FakeServer::start([Answer::status(204)]);
    let conf = format!("{}request_timeout={};request_min_throughput=1;", server.conf(), u64::MAX);
    Caller::new(&conf).write(b"x").expect("stored");
}

#[test]
fn settings_tell_what_the_server_is() {
    let body = r#"{"config":{"release.version":"9.3.4","line.proto.support.versions":[1,2,3],"cairo.max.file.name.length":127}}"#;
    let server = FakeServer::start([Answer::json(200, body)]);
    let info = Caller::new(&server.conf()).settings().expect("settings");
    assert_eq!(info.release.as_deref(), Some("9.3.4"));
    assert_eq!(info.protocol_versions, [1, 2, 3]);
    assert_eq!(info.max_name_len, Some(127));
    assert_eq!(server.requests()[0].target, "/settings");
}

#[test]
fn a_404_of_settings_is_an_old_questdb_if_ping_says_so() {
    let settings = |ping: Answer| {
        let server = FakeServer::start([Answer::body(404, "text/plain", "Not Found"), ping]);
        let info = Caller::new(&server.conf()).settings();
        assert_eq!(server.requests()[1].target, "/ping");
        info
    };
    let old = settings(Answer::status(204).with_header("X-Influxdb-Version: v2.7.4")).expect("an old QuestDB");
    assert_eq!(old, ServerInfo::old());
    for ping in
        [Answer::status(204), Answer::status(404), Answer::status(200).with_header("X-Influxdb-Version: v2.7.4")]
    {
        let error = settings(ping).expect_err("not a QuestDB");
        assert_error(
            &error,
            ErrorKind::ProtocolVersionError,
            Certainty::Refused,
            &["http://127.0.0.1", "not a QuestDB"],
        );
    }
}

#[test]
fn settings_of_something_else_are_an_error() {
    let long = format!("{{\"config\":{{\"x\":\"{}\"}}}}", "x".repeat(MAX_SETTINGS_BODY));
    let answers = [
        Answer::json(200, "{}"),
        Answer::json(200, "[]"),
        Answer::json(200, &long),
        Answer::body(200, "text/html", "<html>"),
        Answer::status(204),
        Answer::status(302),
    ];
    for answer in answers {
        let server = FakeServer::start([answer]);
        let error = Caller::new(&server.conf()).settings().expect_err("not a QuestDB");
        let url = format!("http://{}/ is not a QuestDB", server.address());
        assert_eq!(error.kind(), ErrorKind::ProtocolVersionError);
        assert!(error.to_string().contains(&url), "{error}");
    }
    let server = FakeServer::start([Answer::body(500, "text/plain", "oh"), Answer::body(401, "text/plain", "who")]);
    let caller = Caller::new(&server.conf());
    assert_eq!(caller.settings().expect_err("500").kind(), ErrorKind::ProtocolVersionError);
    assert_eq!(caller.settings().expect_err("401").kind(), ErrorKind::AuthError);
}

#[test]
fn ping_tells_whether_the_server_is_there() {
    let server = FakeServer::start([Answer::status(204), Answer::json(200, "{}")]);
    let caller = Caller::new(&server.conf());
    assert!(caller.ping().expect("a pong") < Duration::from_secs(10));
    assert_eq!(caller.ping().expect_err("200").kind(), ErrorKind::ProtocolVersionError);
}

#[test]
fn queries_give_rows_or_the_servers_error() {
    let server = FakeServer::start([
        Answer::json(200, r#"{"query":"q","columns":[{"name":"a","type":"LONG"}],"dataset":[[1],[null]],"count":2}"#),
        Answer::json(400, r#"{"query":"q","error":"table does not exist [table=x]","position":14}"#),
        Answer::json(200, r#"{"query":"q","columns":[],"dataset":[],"error":"timeout","position":0}"#),
        Answer::json(200, "nonsense"),
        Answer::Last(b"HTTP/1.1 200 X\r\ncontent-length: 10\r\n\r\n{".to_vec()),
    ]);
    let caller = Caller::new(&server.conf());
    let answer = caller.query("select 'a&b=ü;', x + 1").expect("rows");
    assert_eq!(answer.columns.len(), 1);
    assert_eq!(answer.rows.len(), 2);
    assert_eq!(server.requests()[0].target, "/exec?query=select+%27a%26b%3D%C3%BC%3B%27%2C+x+%2B+1");

    let error = caller.query("q").expect_err("400");
    let pieces = ["refused the query (status 400): table does not exist [table=x] at position 14"];
    assert_error(&error, ErrorKind::ServerFlushError, Certainty::Refused, &pieces);
    assert_eq!(error.server_message(), Some("table does not exist [table=x]"));
    assert_error(&caller.query("q").expect_err("late"), ErrorKind::ServerFlushError, Certainty::Clean, &["timeout"]);
    let error = caller.query("q").expect_err("nonsense");
    assert_error(&error, ErrorKind::ServerFlushError, Certainty::Clean, &["not a QuestDB", "unreadable JSON"]);
    let error = caller.query("q").expect_err("cut");
    assert_error(&error, ErrorKind::SocketError, Certainty::Clean, &["broke during GET /exec"]);
}

#[test]
fn answers_of_queries_are_read_up_to_a_limit() {
    let answer = |bytes: usize| {
        let json = r#"{"columns":[],"dataset":[]}"#;
        Answer::json(200, &format!("{json}{}", " ".repeat(bytes - json.len())))
    };
    let server = FakeServer::start([answer(MAX_QUERY_BODY), answer(MAX_QUERY_BODY + 1)]);
    let caller = Caller::new(&server.conf());
    assert!(caller.query("q").is_ok());
    let error = caller.query("q").expect_err("too much");
    assert_error(&error, ErrorKind::ServerFlushError, Certainty::Clean, &["answered with more than 16 MiB"]);
}

#[test]
fn two_requests_run_at_once() {
    let server = FakeServer::start([Answer::Silence, Answer::status(204)]);
    let caller = Caller::new(&server.conf());
    let silent = caller.transport.clone();
    let waiting = caller.runtime.spawn(async move { silent.write(Bytes::from_static(b"silent").into(), None).await });
    while server.requests().is_empty() {
        std::thread::yield_now();
    }
    caller.write(b"answered").expect("stored while the other waits");
    drop(waiting);
}

#[test]
fn tls_trusts_whom_it_is_told_to() {
    let server = FakeServer::start_tls(tls::server_config(), [Answer::status(204), Answer::status(204)]);
    let ca = TempFile::new("ca.pem", tls::CA_PEM);
    let port = server.address().port();
    for conf in [
        format!("https::addr=localhost:{port};tls_roots={};", ca.path().display()),
        format!("{}tls_verify=unsafe_off;", server.conf()),
    ] {
        Caller::new(&conf).write(b"secret rows").expect(&conf);
    }
    assert_eq!(server.requests().len(), 2);

    let stranger = Caller::new(&format!("{}tls_ca=webpki_roots;", server.conf()));
    let error = stranger.write(b"x").expect_err("an unknown authority");
    assert_error(&error, ErrorKind::TlsError, Certainty::Clean, &["UnknownIssuer", "\"tls_roots\""]);
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn tls_with_a_plain_server_fails_as_tls() {
    let server = FakeServer::start([Answer::status(204)]);
    let plain = Caller::new(&format!("https::addr={};tls_ca=webpki_roots;", server.address()));
    let error = plain.write(b"x").expect_err("not TLS");
    assert_eq!(error.certainty(), Certainty::Clean);
    assert!(matches!(error.kind(), ErrorKind::TlsError | ErrorKind::SocketError), "{error}");
}

#[test]
fn a_handshake_that_hangs_is_a_clean_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let caller = Caller::new(&format!("https::addr={address};tls_ca=webpki_roots;request_timeout=30;"));
    let error = caller.write(b"x").expect_err("silence");
    assert_error(&error, ErrorKind::SocketError, Certainty::Clean, &["no connection", "within 30ms"]);
}

#[test]
fn a_plain_port_that_waits_for_a_line_is_told_from_a_slow_one() {
    // What QuestDB does: it waits for the end of a line in the handshake, and answers pings.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let answering = std::thread::spawn(move || {
        let (silent, _) = listener.accept().expect("the handshake");
        let (mut asked, _) = listener.accept().expect("the question");
        let mut first = [0; 19];
        io::Read::read_exact(&mut asked, &mut first).expect("a question");
        io::Write::write_all(&mut asked, b"HTTP/1.1 204 OK\r\n\r\n").expect("an answer");
        // Open until the client has made up its mind.
        (first, silent, asked)
    });
    let caller = Caller::new(&format!("https::addr={address};tls_ca=webpki_roots;token=secret;"));
    let error = caller.settings().expect_err("not TLS");
    assert_error(&error, ErrorKind::TlsError, Certainty::Clean, &["answers over plain HTTP", "use \"http\""]);
    assert_eq!(&answering.join().expect("asked").0, b"GET /ping HTTP/1.1\r");
}

#[test]
fn tcp_is_not_for_this_transport() {
    let config = Config::from_conf("tcp::addr=h;").expect("a valid string");
    let error = HttpTransport::new(&config, "h:1").expect_err("not HTTP");
    assert_eq!(error.kind(), ErrorKind::ConfigError);
    assert!(error.to_string().contains("use \"http\""), "{error}");
}

#[test]
fn ipv6_addresses_make_a_url() {
    let transport = Caller::new("http::addr=[::1]:9001;").transport;
    assert_eq!(transport.url("write").as_str(), "http://[::1]:9001/write");
}
