use rustls::{ServerConnection, StreamOwned};

use super::super::super::fake::{TempFile, tls};
use super::*;

type TlsSocket = StreamOwned<ServerConnection, Socket>;

/// A server for one encrypted connection, and what a client that trusts it is told.
fn serve_tls<T: Send + 'static>(server: impl FnOnce(TlsSocket) -> T + Send + 'static) -> (JoinHandle<T>, String) {
    let (listener, conf) = listen();
    let server = serve(listener, |socket| {
        let connection = ServerConnection::new(Arc::new(tls::server_config())).expect("a usable TLS configuration");
        server(StreamOwned::new(connection, socket))
    });
    (server, conf.replace("tcp::", "tcps::"))
}

fn say_goodbye(socket: &mut TlsSocket) {
    socket.conn.send_close_notify();
    socket.flush().expect("sent");
}

#[tokio::test]
async fn lines_arrive_encrypted() {
    let (server, conf) = serve_tls(|mut socket| {
        let lines = read_to_end(&mut socket);
        let protocol = socket.conn.alpn_protocol().map(<[u8]>::to_vec);
        say_goodbye(&mut socket);
        (lines, protocol)
    });
    let ca = TempFile::new("tcp-ca.pem", tls::CA_PEM);
    let conf = format!("{}tls_roots={};", conf.replace("127.0.0.1", "localhost"), ca.path().display());
    let mut connection = transport(&conf).connect().await.expect("a trusted server");
    connection.check().await.expect("session tickets are no answer");
    connection.write(LINE).await.expect("written");
    connection.close().await.expect("closed");
    let (lines, protocol) = server.join().expect("a server");
    assert_eq!(lines, LINE);
    assert_eq!(protocol, None, "this is not HTTP");
}

#[tokio::test]
async fn strangers_are_not_trusted() {
    let (server, conf) = serve_tls(|mut socket| drop(socket.read(&mut [0])));
    let error = transport(&format!("{conf}tls_ca=webpki_roots;")).connect().await.expect_err("an unknown authority");
    assert_error(&error, ErrorKind::TlsError, Certainty::Clean, &["UnknownIssuer", "\"tls_roots\"", "127.0.0.1"]);
    server.join().expect("a server");

    let (server, conf) = serve_tls(|mut socket| drop(socket.read(&mut [0])));
    transport(&format!("{conf}tls_verify=unsafe_off;")).connect().await.expect("whoever it is");
    server.join().expect("a server");
}

#[tokio::test]
async fn an_end_is_seen_with_and_without_goodbye() {
    for goodbye in [true, false] {
        let (written, wait) = mpsc::channel::<()>();
        let (server, conf) = serve_tls(move |mut socket| {
            read_line(&mut socket);
            wait.recv().expect_err("the sender is dropped");
            if goodbye {
                say_goodbye(&mut socket);
            }
            // The socket stays open behind the goodbye.
            goodbye.then_some(socket)
        });
        let conf = format!("{conf}tls_verify=unsafe_off;");
        let mut connection = transport(&conf).connect().await.expect("a connection");
        connection.write(LINE).await.expect("written");
        drop(written);
        let server = server.join().expect("a server");
        let error = connection.check().await.expect_err("closed");
        assert_error(&error, ErrorKind::SocketError, Certainty::Ambiguous, &["did not like a line"]);
        connection.write(LINE).await.expect_err("dead");
        drop(server);
    }
}

#[tokio::test]
async fn close_takes_an_end_without_goodbye() {
    let (server, conf) = serve_tls(read_to_end);
    let mut connection = transport(&format!("{conf}tls_verify=unsafe_off;")).connect().await.expect("a connection");
    connection.write(LINE).await.expect("written");
    connection.close().await.expect("closed");
    assert_eq!(server.join().ok().as_deref(), Some(&LINE[..]));
}

#[tokio::test]
async fn an_answer_is_seen() {
    let (server, conf) = serve_tls(|mut socket| {
        socket.write_all(b"hello\n").expect("sent");
        socket
    });
    let mut connection = transport(&format!("{conf}tls_verify=unsafe_off;")).connect().await.expect("a connection");
    let server = server.join().expect("a server");
    let error = connection.check().await.expect_err("an answer");
    assert_error(&error, ErrorKind::AuthError, Certainty::Clean, &["answered"]);
    drop(server);
}

#[tokio::test]
async fn a_server_without_tls_is_told() {
    let (listener, conf) = listen();
    let conf = conf.replace("tcp::", "tcps::") + "tls_ca=webpki_roots;auth_timeout=50;";
    let error = transport(&conf).connect().await.expect_err("silence");
    assert_error(&error, ErrorKind::TlsError, Certainty::Clean, &["no TLS with 127.0.0.1", "50ms", "use \"tcp\""]);
    drop(accept(&listener));

    let server = serve(listener, |mut socket| socket.read(&mut [0; 4096]).map(drop));
    let error = transport(&conf).connect().await.expect_err("closed");
    assert_error(&error, ErrorKind::TlsError, Certainty::Clean, &["no TLS with 127.0.0.1", "use \"tcp\""]);
    assert!(server.join().is_ok());
}
