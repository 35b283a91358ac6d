//! One open connection over TCP.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::task::yield_now;
use tokio::time::timeout;

use super::super::TransportError;
use super::error::TcpError;

/// A socket, with TLS or without.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection that lines can be written to, after any authentication.
///
/// The server acknowledges nothing. All it ever lets us know is that it has closed the connection, and it does that
/// some time after a bad line arrived: an `Ok` means that nothing was known against it yet.
pub(crate) struct TcpConnection {
    stream: Box<dyn Stream>,
    address: String,
    /// The time limit of [`close`](Self::close).
    limit: Duration,
    authenticated: bool,
    /// Whether any byte of a line may have left.
    sent: bool,
    dead: bool,
}

impl fmt::Debug for TcpConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpConnection")
            .field("address", &self.address)
            .field("sent", &self.sent)
            .field("dead", &self.dead)
            .finish_non_exhaustive()
    }
}

impl TcpConnection {
    pub(super) fn new(stream: Box<dyn Stream>, address: String, limit: Duration, authenticated: bool) -> Self {
        Self { stream, address, limit, authenticated, sent: false, dead: false }
    }

    /// Sees whether the connection has ended, without waiting for it.
    ///
    /// # Errors
    /// It has, now or earlier, or the server sent something, which it never does. The connection is of no more use.
    pub(crate) async fn check(&mut self) -> Result<(), TransportError> {
        self.alive()?;
        match self.read_now().await {
            None => Ok(()),
            Some(read) => {
                self.dead = true;
                Err(self.ended(read).into())
            }
        }
    }

    /// Waits whether the connection ends within this time: how long after a write the server's dislike may take to
    /// show is the caller's to say. Against a server nearby it is milliseconds, unless there is much to read.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub(crate) async fn watch(&mut self, time: Duration) -> Result<(), TransportError> {
        self.alive()?;
        let mut buffer = [0; 64];
        match timeout(time, self.stream.read(&mut buffer)).await {
            Err(_) => Ok(()),
            Ok(read) => {
                self.dead = true;
                Err(self.ended(read).into())
            }
        }
    }

    /// Writes whole lines, and returns when the operating system has them. It waits for as long as the server's
    /// buffers are full, without a time limit: nothing else would slow a writer down.
    ///
    /// A call that is dropped half-way leaves a connection that is of no more use, for a line may have been cut.
    ///
    /// # Errors
    /// As [`check`](Self::check), which is done before and after, or the write failed.
    pub(crate) async fn write(&mut self, body: Bytes) -> Result<(), TransportError> {
        self.check().await?;
        if body.is_empty() {
            return Ok(());
        }
        (self.sent, self.dead) = (true, true);
        if let Err(error) = send(&mut self.stream, &body).await {
            // What the server said before it closed tells more.
            return Err(match self.read_now().await {
                Some(Ok(length)) if length > 0 => self.ended(Ok(length)),
                _ => self.failed(&error),
            }
            .into());
        }
        self.dead = false;
        self.check().await
    }

    /// Ends our side of the connection and waits until the server has ended its own, which it does once it has read
    /// everything. That says nothing of the last lines: after a bad one, or a signature it does not accept, it closes
    /// in the same way. [`watch`](Self::watch) first tells these apart.
    ///
    /// # Errors
    /// As [`check`](Self::check), or the connection was reset, or the server does not close it in time.
    pub(crate) async fn close(mut self) -> Result<(), TransportError> {
        self.check().await?;
        match timeout(self.limit, self.finish()).await {
            Ok(result) => Ok(result?),
            Err(_) => Err(TcpError::CloseTimeout { address: self.address, after: self.limit }.into()),
        }
    }

    async fn finish(&mut self) -> Result<(), TcpError> {
        let mut buffer = [0; 64];
        // With TLS this says goodbye first.
        self.stream.shutdown().await.map_err(|error| self.failed(&error))?;
        match self.stream.read(&mut buffer).await {
            Ok(0) => Ok(()),
            // Without TLS's own goodbye: many a server leaves it out once it has heard ours.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(()),
            read => Err(self.ended(read)),
        }
    }

    fn alive(&self) -> Result<(), TcpError> {
        if self.dead { Err(TcpError::NotConnected { address: self.address.clone() }) } else { Ok(()) }
    }

    /// Reads what is there by now, be it the end; none if nothing is.
    async fn read_now(&mut self) -> Option<io::Result<usize>> {
        // Lets the runtime look at its sockets: without that, a read only tells what was there the last time it did.
        yield_now().await;
        let mut bytes = [0; 64];
        let mut buffer = ReadBuf::new(&mut bytes);
        poll_fn(|context| {
            Poll::Ready(match Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
                Poll::Pending => None,
                Poll::Ready(read) => Some(read.map(|()| buffer.filled().len())),
            })
        })
        .await
    }

    /// What a read that did not have to wait says about the connection.
    fn ended(&self, read: io::Result<usize>) -> TcpError {
        let Self { authenticated, sent, .. } = *self;
        let address = self.address.clone();
        match read {
            Ok(0) => self.failed(&io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => TcpError::Answered { address, authenticated, sent },
            Err(error) => self.failed(&error),
        }
    }

    fn failed(&self, error: &io::Error) -> TcpError {
        TcpError::of_io(error, &self.address, self.authenticated, self.sent)
    }
}

/// Hands bytes to the operating system, through TLS if there is one.
pub(super) async fn send<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}
