//! Whether a port that is silent in the handshake of TLS speaks plain HTTP.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Few handshakes take longer, and to ask does no harm where one does.
const PATIENCE: Duration = Duration::from_millis(500);

/// Ends when a QuestDB answers over plain HTTP, and never if none does. Nothing is told to whoever listens but the
/// question.
pub(super) async fn is_questdb(address: &str) {
    tokio::time::sleep(PATIENCE).await;
    let asked = Instant::now();
    if !answers(address).await.unwrap_or(false) {
        std::future::pending().await
    }
    // A port that speaks both may be far away: two round trips were enough here, and TLS takes up to four.
    tokio::time::sleep(asked.elapsed() * 4).await;
}

/// QuestDB answers a ping with 204; a port that wants TLS may well answer plain HTTP, but with an error.
async fn answers(address: &str) -> std::io::Result<bool> {
    const ANSWER: &[u8; 12] = b"HTTP/1.1 204";
    let mut stream = TcpStream::connect(address).await?;
    let question = format!("GET /ping HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(question.as_bytes()).await?;
    let mut answer = [0; ANSWER.len()];
    stream.read_exact(&mut answer).await?;
    Ok(&answer == ANSWER)
}
