use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};

use super::*;

// The key pair of QuestDB's own documentation.
const TOKEN: &str = "5UjEMuA0Pj5pjK8a-fa24dyIf-Es5mYny3oE_Wmus48";
const TOKEN_X: &str = "fLKYEaoEb9lrn3nkwLDA-M_xnuFOdSt9y0Z7_vWSHLU";
const TOKEN_Y: &str = "Dt5tbS1dEDMSYfym3fgMv0B99szno-dFc1rYF9t0aac";

fn keys() -> String {
    format!("username=testUser1;token={TOKEN};token_x={TOKEN_X};token_y={TOKEN_Y};")
}

fn public_key() -> UnparsedPublicKey<Vec<u8>> {
    let decode = |text| BASE64_URL_SAFE_NO_PAD.decode(text).expect("base64url");
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, [vec![4], decode(TOKEN_X), decode(TOKEN_Y)].concat())
}

/// The server's side: sends a challenge in pieces and tells whether the answer is its signature.
fn challenge(socket: &mut (impl Read + Write), pieces: &[&[u8]]) -> bool {
    assert_eq!(read_line(socket), b"testUser1\n");
    for piece in pieces {
        socket.write_all(piece).expect("sent");
        socket.flush().expect("sent");
        thread::sleep(Duration::from_millis(5));
    }
    let answer = read_line(socket);
    let signature = BASE64_STANDARD.decode(answer.trim_ascii_end()).expect("padded base64");
    public_key().verify(pieces.concat().trim_ascii_end(), &signature).is_ok()
}

/// The error of a connection to a server that does this once it has read the key's id.
async fn refused(server: impl FnOnce(Socket) + Send + 'static) -> TransportError {
    let (listener, conf) = listen();
    let server = serve(listener, move |mut socket| {
        read_line(&mut socket);
        server(socket);
    });
    let error = transport(&format!("{conf}{}auth_timeout=100;", keys())).connect().await.expect_err("no challenge");
    server.join().expect("a server");
    error
}

#[tokio::test]
async fn the_challenge_is_signed() {
    let long: Vec<u8> = (0x20..0x7f).cycle().take(512).chain([b'\n']).collect();
    let challenges: [&[&[u8]]; 3] = [&[&long], &[&long[..100], &long[100..512], b"\n"], &[b"x\n"]];
    for pieces in challenges {
        let (listener, conf) = listen();
        let pieces: Vec<Vec<u8>> = pieces.iter().map(|piece| piece.to_vec()).collect();
        let server = serve(listener, move |mut socket| {
            let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            assert!(challenge(&mut socket, &pieces), "not a signature");
            read_to_end(socket)
        });
        let mut connection = transport(&format!("{conf}{}", keys())).connect().await.expect("a connection");
        connection.write(LINE).await.expect("written");
        connection.close().await.expect("closed");
        assert_eq!(server.join().ok().as_deref(), Some(&LINE[..]));
    }
}

#[tokio::test]
async fn without_a_challenge_there_is_no_connection() {
    let text = "Did not receive auth challenge. Is the database configured to require authentication?";
    let closed = "the server closed the connection";
    let cases = [
        (refused(drop).await, closed),
        (refused(|mut socket| socket.write_all(b"half").expect("sent")).await, "closed the connection in the middle"),
        (refused(|socket| drop(read_to_end(socket))).await, "none came within 100ms, the limit of \"auth_timeout\""),
        (refused(|mut socket| socket.write_all(b"a\nb\n").expect("sent")).await, "something else"),
        (refused(|mut socket| drop(socket.write_all(&[b'x'; 64 << 10]))).await, "something else"),
    ];
    for (error, reason) in cases {
        assert_error(&error, ErrorKind::AuthError, Certainty::Clean, &[text, "127.0.0.1", reason]);
    }
}

#[tokio::test]
async fn a_signature_that_is_not_accepted_shows_at_the_first_look() {
    let (listener, conf) = listen();
    let server = serve(listener, |mut socket| {
        challenge(&mut socket, &[b"x\n"]);
    });
    let mut connection = transport(&format!("{conf}{}", keys())).connect().await.expect("no answer yet");
    server.join().expect("a server");
    let error = connection.write(LINE).await.expect_err("closed");
    assert_error(&error, ErrorKind::AuthError, Certainty::Clean, &["before a line was sent", "\"username\""]);
}

#[tokio::test]
async fn a_later_end_may_still_be_about_the_key() {
    let (listener, conf) = listen();
    let (written, wait) = mpsc::channel::<()>();
    let server = serve(listener, move |mut socket| {
        challenge(&mut socket, &[b"x\n"]);
        read_line(&mut socket);
        wait.recv().expect_err("the sender is dropped");
    });
    let mut connection = transport(&format!("{conf}{}", keys())).connect().await.expect("a connection");
    connection.write(LINE).await.expect("written");
    drop(written);
    server.join().expect("a server");
    let error = connection.check().await.expect_err("closed");
    assert_error(
        &error,
        ErrorKind::SocketError,
        Certainty::Ambiguous,
        &["did not like a line or did not know the key"],
    );
}

#[test]
fn keys_are_checked_before_anything_connects() {
    let other = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE";
    let long = format!("{TOKEN}AAA");
    let padded = format!("{TOKEN_X}=");
    let zero = "A".repeat(43);
    let cases = [
        (TOKEN, TOKEN_X, "not/base64url", "\"token_y\" is not a part of an ECDSA key", "not base64url"),
        (TOKEN, padded.as_str(), TOKEN_Y, "\"token_x\" is not a part of an ECDSA key", "without padding"),
        ("hunter2", TOKEN_X, TOKEN_Y, "\"token\" is not a part of an ECDSA key", "32 bytes in base64url"),
        (&long, TOKEN_X, TOKEN_Y, "\"token\" is not a part of an ECDSA key", "more than 32 bytes"),
        (other, TOKEN_X, TOKEN_Y, "Misconfigured ILP authentication keys", "\"token_x\" and \"token_y\""),
        (TOKEN, TOKEN_Y, TOKEN_X, "Misconfigured ILP authentication keys", "copy all three"),
        (TOKEN, TOKEN_X, other, "Misconfigured ILP authentication keys", "copy all three"),
        (&zero, TOKEN_X, TOKEN_Y, "Misconfigured ILP authentication keys", "copy all three"),
    ];
    for (token, token_x, token_y, text, cure) in cases {
        let conf = format!("tcp::addr=h;username=k;token={token};token_x={token_x};token_y={token_y};");
        let config = Config::from_conf(&conf).expect("a valid string");
        let error = TcpTransport::new(&config).expect_err("a bad key");
        assert_error(&error, ErrorKind::AuthError, Certainty::Refused, &[text, cure]);
        for shown in [error.to_string(), format!("{error:?}")] {
            for secret in [token, token_x, token_y] {
                assert!(!shown.contains(secret), "{shown}");
            }
        }
    }
    let error = Signer::new("a\nb", TOKEN, TOKEN_X, TOKEN_Y).expect_err("a newline");
    assert_error(&error.into(), ErrorKind::AuthError, Certainty::Refused, &["\"username\" holds a newline"]);
}

#[test]
fn keys_may_lack_their_leading_zeros() {
    // The private key 1, whose public key is the base point of the curve.
    let x = "axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY";
    let y = "T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU";
    Signer::new("k", "AQ", x, y).expect("padded with zeros");
}

#[tokio::test]
async fn debug_texts_hold_no_key() {
    let (listener, conf) = listen();
    let server = serve(listener, |mut socket| challenge(&mut socket, &[b"x\n"]));
    let transport = transport(&format!("{conf}{}", keys()));
    let connection = transport.connect().await.expect("a connection");
    let shown = format!("{transport:?} {:?} {connection:?}", transport.inner.signer);
    for secret in [TOKEN, TOKEN_X, TOKEN_Y] {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert!(shown.contains("127.0.0.1") && shown.contains("testUser1"), "{shown}");
    server.join().expect("a server");
}
