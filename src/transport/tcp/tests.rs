//! Against servers inside the test: a listener's queue takes a connection before it is accepted, so that most tests
//! play both sides in turn. Where both must act at once, the server has a thread.

mod auth;
mod encrypted;

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv6Addr, Shutdown, TcpListener};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use bytes::Bytes;

use super::super::{Certainty, Runtime};
use super::*;
use crate::error::ErrorKind;

const LINE: Bytes = Bytes::from_static(b"t x=1i 1\n");

/// A socket of the standard library, as the servers here use.
type Socket = std::net::TcpStream;

fn transport(conf: &str) -> TcpTransport {
    let config = Config::from_conf(conf).unwrap_or_else(|error| panic!("{conf}: {error}"));
    TcpTransport::new(&config).unwrap_or_else(|error| panic!("{conf}: {error}"))
}

fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let conf = format!("tcp::addr={};", listener.local_addr().expect("a bound address"));
    (listener, conf)
}

fn accept(listener: &TcpListener) -> Socket {
    let (socket, _) = listener.accept().expect("a connection");
    // A second small write would wait for the first to be acknowledged, and be missed by a look at once.
    socket.set_nodelay(true).expect("a socket");
    socket
}

/// Both ends of a connection.
async fn connected() -> (TcpConnection, Socket) {
    let (listener, conf) = listen();
    let connection = transport(&conf).connect().await.expect("a connection");
    (connection, accept(&listener))
}

/// A server for one connection.
fn serve<T: Send + 'static>(listener: TcpListener, server: impl FnOnce(Socket) -> T + Send + 'static) -> JoinHandle<T> {
    thread::spawn(move || server(accept(&listener)))
}

fn read_to_end(mut socket: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    socket.read_to_end(&mut bytes).expect("an orderly end");
    bytes
}

fn read_line(socket: &mut impl Read) -> Vec<u8> {
    let mut line = Vec::new();
    let mut byte = [0];
    while line.last() != Some(&b'\n') {
        socket.read_exact(&mut byte).expect("a line");
        line.push(byte[0]);
    }
    line
}

#[track_caller]
fn assert_error(error: &TransportError, kind: ErrorKind, certainty: Certainty, pieces: &[&str]) {
    let text = error.to_string();
    assert_eq!((error.kind(), error.certainty()), (kind, certainty), "{text}");
    for piece in pieces {
        assert!(text.contains(piece), "{text:?} does not say {piece:?}");
    }
}

#[tokio::test]
async fn lines_arrive_as_they_are() {
    let (listener, conf) = listen();
    let received = serve(listener, read_to_end);
    let mut connection = transport(&conf).connect().await.expect("a connection");
    let large = Bytes::from(vec![b'x'; 4 << 20]);
    connection.check().await.expect("nothing heard");
    connection.write(LINE).await.expect("written");
    connection.write(Bytes::new()).await.expect("nothing to write");
    connection.write(large.clone()).await.expect("written");
    connection.check().await.expect("nothing heard");
    connection.close().await.expect("closed");
    let received = received.join().expect("a server");
    assert_eq!(received.len(), LINE.len() + large.len());
    assert!(received.starts_with(&LINE) && received.ends_with(&large));
}

#[test]
fn it_runs_on_the_background_thread() {
    let (listener, conf) = listen();
    let received = serve(listener, read_to_end);
    let transport = transport(&conf);
    let runtime = Runtime::new().expect("a thread");
    let result = runtime.block_on(async move {
        let mut connection = transport.connect().await?;
        connection.write(LINE).await?;
        connection.close().await
    });
    result.expect("written");
    assert_eq!(received.join().ok().as_deref(), Some(&LINE[..]));
}

#[tokio::test]
async fn an_end_before_the_first_line_is_clean() {
    let (mut connection, server) = connected().await;
    drop(server);
    let error = connection.write(LINE).await.expect_err("closed");
    assert_error(
        &error,
        ErrorKind::SocketError,
        Certainty::Clean,
        &["127.0.0.1", "closed the connection (end of stream) before a line was sent", "9009"],
    );
}

#[tokio::test]
async fn an_end_after_a_line_leaves_doubt_and_points_to_the_log() {
    let (mut connection, mut server) = connected().await;
    connection.write(LINE).await.expect("written");
    assert_eq!(read_line(&mut server), LINE);
    drop(server);
    let error = connection.check().await.expect_err("closed");
    assert_error(&error, ErrorKind::SocketError, Certainty::Ambiguous, &["did not like a line", "its log says"]);
    assert!(!error.to_string().contains("know the key"), "{error}");

    let error = connection.write(LINE).await.expect_err("dead");
    assert_error(&error, ErrorKind::SocketError, Certainty::Clean, &["not connected to 127.0.0.1", "nothing was sent"]);
    let error = connection.close().await.expect_err("dead");
    assert_error(&error, ErrorKind::SocketError, Certainty::Clean, &["not connected"]);
}

#[tokio::test]
async fn a_write_looks_for_the_end_first() {
    let (mut connection, mut server) = connected().await;
    connection.write(LINE).await.expect("written");
    assert_eq!(read_line(&mut server), LINE);
    server.shutdown(Shutdown::Write).expect("half closed");
    // This end could still send.
    connection.write(LINE).await.expect_err("seen");
    drop(connection);
    assert_eq!(read_to_end(server), b"", "sent into a connection that had ended");
}

#[tokio::test]
async fn a_watch_lasts_until_the_end_or_its_time() {
    let (listener, conf) = listen();
    let (watched, wait) = mpsc::channel::<()>();
    let server = serve(listener, move |socket| {
        wait.recv().expect_err("the sender is dropped");
        thread::sleep(Duration::from_millis(10));
        drop(socket);
    });
    let mut connection = transport(&conf).connect().await.expect("a connection");
    connection.watch(Duration::from_millis(10)).await.expect("nothing heard");
    connection.check().await.expect("nothing heard");
    drop(watched);
    let error = connection.watch(Duration::from_secs(3600)).await.expect_err("closed");
    assert_error(&error, ErrorKind::SocketError, Certainty::Clean, &["closed the connection"]);
    let error = connection.watch(Duration::ZERO).await.expect_err("dead");
    assert_error(&error, ErrorKind::SocketError, Certainty::Clean, &["not connected"]);
    server.join().expect("a server");
}

#[tokio::test]
async fn a_reset_is_seen() {
    let (mut connection, server) = connected().await;
    connection.write(LINE).await.expect("written");
    // What was not read makes the close a reset.
    drop(server);
    let error = connection.check().await.expect_err("reset");
    assert_error(
        &error,
        ErrorKind::SocketError,
        Certainty::Ambiguous,
        &["closed the connection", "did not like a line"],
    );
    assert!(matches!(&error, TransportError::Tcp(TcpError::Closed { reason, .. }) if reason != "end of stream"));
}

#[tokio::test]
async fn a_write_that_fails_half_way_leaves_doubt() {
    let (listener, conf) = listen();
    let server = serve(listener, |mut socket| {
        socket.read_exact(&mut [0; 100]).expect("a hundred bytes");
    });
    let mut connection = transport(&conf).connect().await.expect("a connection");
    let error = connection.write(Bytes::from(vec![b'x'; 32 << 20])).await.expect_err("closed");
    assert_error(&error, ErrorKind::SocketError, Certainty::Ambiguous, &["closed the connection", "its log says"]);
    server.join().expect("a server");
    let error = connection.write(LINE).await.expect_err("dead");
    assert_error(&error, ErrorKind::SocketError, Certainty::Clean, &["not connected"]);
}

#[tokio::test]
async fn a_write_that_is_dropped_half_way_is_the_end() {
    let (mut connection, _server) = connected().await;
    let write = connection.write(Bytes::from(vec![b'x'; 32 << 20]));
    timeout(Duration::from_millis(20), write).await.expect_err("nobody reads");
    let error = connection.write(LINE).await.expect_err("dead");
    assert_error(&error, ErrorKind::SocketError, Certainty::Clean, &["not connected"]);
}

#[tokio::test]
async fn close_waits_for_the_server_to_have_read_everything() {
    let (listener, conf) = listen();
    let server = serve(listener, |mut socket| {
        let mut bytes = Vec::new();
        socket.read_to_end(&mut bytes).expect("our end, while the server's is still open");
        thread::sleep(Duration::from_millis(30));
        bytes
    });
    let mut connection = transport(&conf).connect().await.expect("a connection");
    connection.write(LINE).await.expect("written");
    connection.close().await.expect("closed");
    assert_eq!(server.join().ok().as_deref(), Some(&LINE[..]));
}

#[tokio::test]
async fn close_tells_of_what_came_meanwhile() {
    let (mut connection, server) = connected().await;
    connection.write(LINE).await.expect("written");
    drop(server);
    let error = connection.close().await.expect_err("reset");
    assert_error(&error, ErrorKind::SocketError, Certainty::Ambiguous, &["closed the connection"]);

    let (listener, conf) = listen();
    let server = serve(listener, |socket| {
        thread::sleep(Duration::from_millis(30));
        drop(socket);
    });
    let mut connection = transport(&conf).connect().await.expect("a connection");
    connection.write(LINE).await.expect("written");
    let error = connection.close().await.expect_err("reset while it waits");
    assert_error(&error, ErrorKind::SocketError, Certainty::Ambiguous, &["closed the connection"]);
    server.join().expect("a server");
}

#[tokio::test]
async fn close_does_not_wait_for_ever() {
    let (listener, conf) = listen();
    let mut connection = transport(&format!("{conf}auth_timeout=30;")).connect().await.expect("a connection");
    connection.write(LINE).await.expect("written");
    let error = connection.close().await.expect_err("still open");
    assert_error(&error, ErrorKind::SocketError, Certainty::Ambiguous, &["within 30ms", "\"auth_timeout\""]);
    drop(listener);
}

#[tokio::test]
async fn a_server_that_answers_is_not_what_it_should_be() {
    let (mut connection, mut server) = connected().await;
    server.write_all(b"SSH-2.0-x\r\n").expect("sent");
    let error = connection.write(LINE).await.expect_err("an answer");
    assert_error(&error, ErrorKind::AuthError, Certainty::Clean, &["answered", "\"token_x\"", "9009"]);

    // What QuestDB does if it wants a signature and got a line: a challenge, and then the end.
    let (mut connection, mut server) = connected().await;
    connection.write(LINE).await.expect("written");
    server.write_all(b"challenge\n").expect("sent");
    let error = connection.close().await.expect_err("an answer");
    assert_error(&error, ErrorKind::AuthError, Certainty::Ambiguous, &["only to ask for a signature"]);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_clean() {
    let (listener, conf) = listen();
    drop(listener);
    let error = transport(&conf).connect().await.expect_err("nobody listens");
    assert_error(
        &error,
        ErrorKind::SocketError,
        Certainty::Clean,
        &["no connection to 127.0.0.1", "refused", "9009", "is QuestDB running there"],
    );
}

#[tokio::test]
async fn a_host_without_address_is_told_apart() {
    // ".invalid" never resolves; a machine without any name server may take seconds to say so.
    let transport = transport("tcp::addr=nowhere.invalid;auth_timeout=300;");
    let error = transport.connect().await.expect_err("no host");
    let kind = match error {
        TransportError::Resolve { .. } => ErrorKind::CouldNotResolveAddr,
        _ => ErrorKind::SocketError,
    };
    assert_error(&error, kind, Certainty::Clean, &["nowhere.invalid:9009"]);
}

#[tokio::test]
async fn sockets_are_set_as_official_clients_set_theirs() {
    let (listener, conf) = listen();
    let address = listener.local_addr().expect("a bound address");
    let stream = transport(&conf).inner.dial(address, None).await.expect("a connection");
    assert_eq!(stream.nodelay().ok(), Some(true));
    let socket = TcpSocket::from_std_stream(stream.into_std().expect("a socket"));
    assert_eq!(socket.keepalive().ok(), Some(true));
}

#[tokio::test]
async fn names_and_both_families_work() {
    let (listener, _) = listen();
    let port = listener.local_addr().expect("a bound address").port();
    transport(&format!("tcp::addr=localhost:{port};")).connect().await.expect("by name");

    // Not every machine has IPv6.
    if let Ok(listener) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) {
        let port = listener.local_addr().expect("a bound address").port();
        let conf = format!("tcp::addr=[::1]:{port};");
        transport(&conf).connect().await.expect("by IPv6");
        transport(&format!("{conf}bind_interface=[::1];")).connect().await.expect("from IPv6");
        let mixed = transport(&format!("{conf}bind_interface=127.0.0.1;"));
        let error = mixed.connect().await.expect_err("two families");
        assert_error(&error, ErrorKind::SocketError, Certainty::Clean, &["\"127.0.0.1\"", "IPv4 only"]);
    }
}

#[tokio::test]
async fn connections_leave_from_the_interface() {
    let (listener, conf) = listen();
    // All of 127.0.0.0/8 is local on Linux.
    let local = if cfg!(target_os = "linux") { "127.0.0.2" } else { "127.0.0.1" };
    let connection = transport(&format!("{conf}bind_interface={local};")).connect().await.expect("a connection");
    let (_, peer) = listener.accept().expect("a connection");
    assert_eq!(Some(peer.ip()), local.parse::<IpAddr>().ok());
    drop(connection);

    // 192.0.2.0/24 is for documentation, and nobody's.
    let error = transport(&format!("{conf}bind_interface=192.0.2.1;")).connect().await.expect_err("not ours");
    assert_error(&error, ErrorKind::SocketError, Certainty::Clean, &["\"bind_interface\" \"192.0.2.1\"", "127.0.0.1"]);
    let bad = transport(&format!("{conf}bind_interface=not an address;auth_timeout=300;"));
    let error = bad.connect().await.expect_err("no name");
    assert_error(&error, ErrorKind::CouldNotResolveAddr, Certainty::Clean, &["\"not an address\" has no address"]);
}

#[test]
fn addresses_are_read_by_the_rules_of_urls() {
    let parts = |address| host_and_port(address).ok();
    assert_eq!(parts("localhost:9009"), Some(("localhost".into(), 9009)));
    assert_eq!(parts("[::1]:1"), Some(("::1".into(), 1)));
    assert_eq!(parts("h:80"), Some(("h".into(), 80)));
    assert_eq!(parts("Müller.example:9009"), Some(("xn--mller-kva.example".into(), 9009)));
    assert_eq!(parts("1.2.3.4.5:9009"), None);
}

#[test]
fn http_is_not_for_this_transport() {
    let config = Config::from_conf("http::addr=h;").expect("a valid string");
    let error = TcpTransport::new(&config).expect_err("not TCP");
    assert_error(&error, ErrorKind::ConfigError, Certainty::Refused, &["http::addr=h:9000", "use \"tcp\""]);
}
