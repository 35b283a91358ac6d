//! The signature by which QuestDB knows its clients over TCP: ECDSA on P-256 with SHA-256.
//!
//! The client names its key, the server answers with a line of random text (the challenge), the client signs that
//! line, and the server says nothing more: a signature it does not accept shows only in that it closes the connection.

use std::time::Duration;
use std::{fmt, io};

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::time::timeout;

use super::super::TransportError;
use super::super::error::root_cause;
use super::connection::send;
use super::error::TcpError;

/// The bytes of a coordinate, and of the private key.
const COORDINATE: usize = 32;
/// The first byte of a public key that is written as its two coordinates.
const UNCOMPRESSED: u8 = 4;
/// QuestDB's challenge has 512 bytes. What goes on for longer than this is none.
const MAX_CHALLENGE: usize = 16 << 10;

/// A key, ready to sign.
pub(super) struct Signer {
    key_id: String,
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

impl Signer {
    /// Reads the settings `username`, `token`, `token_x` and `token_y`.
    pub(super) fn new(key_id: &str, token: &str, token_x: &str, token_y: &str) -> Result<Self, TcpError> {
        if key_id.contains('\n') {
            return Err(TcpError::KeyId);
        }
        let private = number("token", token)?;
        let mut public = vec![UNCOMPRESSED];
        public.extend(number("token_x", token_x)?);
        public.extend(number("token_y", token_y)?);

        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        // ring derives the public key of the private one and compares.
        let pair = EcdsaKeyPair::from_private_key_and_public_key(algorithm, &private, &public, &random)
            .map_err(|_| TcpError::KeyMismatch)?;
        Ok(Self { key_id: key_id.to_owned(), pair, random })
    }

    /// Proves to the server who we are, as far as it lets us know.
    pub(super) async fn authenticate<S>(
        &self,
        stream: &mut S,
        address: &str,
        limit: Duration,
    ) -> Result<(), TransportError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let no_challenge = |reason| TcpError::NoChallenge { address: address.to_owned(), reason };
        let challenge = match timeout(limit, self.ask(stream)).await {
            Ok(answer) => answer.map_err(no_challenge)?,
            Err(_) => {
                return Err(no_challenge(format!("none came within {limit:?}, the limit of \"auth_timeout\"")).into());
            }
        };
        let answer = self.sign(&challenge)?;
        // A hundred bytes always find room in the socket's buffer: no time limit is needed.
        send(stream, answer.as_bytes()).await.map_err(|error| TcpError::of_io(&error, address, true, false).into())
    }

    /// Names the key and reads the challenge; else tells why there is none.
    async fn ask<S>(&self, stream: &mut S) -> Result<Vec<u8>, String>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let text = |error: io::Error| root_cause(&error);
        send(stream, format!("{}\n", self.key_id).as_bytes()).await.map_err(text)?;
        let mut challenge = Vec::with_capacity(1024);
        loop {
            if stream.read_buf(&mut challenge).await.map_err(text)? == 0 {
                let what = if challenge.is_empty() { "" } else { " in the middle of it" };
                return Err(format!("the server closed the connection{what}"));
            }
            // Until it has seen the signature, the server sends nothing behind the newline.
            match challenge.iter().position(|byte| *byte == b'\n') {
                Some(end) if end + 1 == challenge.len() => {
                    challenge.truncate(end);
                    return Ok(challenge);
                }
                None if challenge.len() <= MAX_CHALLENGE => {}
                Some(_) | None => return Err("what came is something else".into()),
            }
        }
    }

    /// The line that answers a challenge.
    fn sign(&self, challenge: &[u8]) -> Result<String, TransportError> {
        let signature = self
            .pair
            .sign(&self.random, challenge)
            .map_err(|_| TransportError::Setup { reason: "the system gives no random numbers".into() })?;
        Ok(BASE64_STANDARD.encode(signature) + "\n")
    }
}

/// Reads a number of 32 bytes. Some libraries leave out its leading zeros.
fn number(key: &'static str, text: &str) -> Result<[u8; COORDINATE], TcpError> {
    let bad = |problem| TcpError::Key { key, problem };
    // The decoder's own error shows a byte of the secret.
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| bad("it is not base64url without padding"))?;
    let zeros = COORDINATE.checked_sub(bytes.len()).ok_or_else(|| bad("it has more than 32 bytes"))?;
    let mut number = [0; COORDINATE];
    number[zeros..].copy_from_slice(&bytes);
    Ok(number)
}
