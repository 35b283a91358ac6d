//! Lines that are encoded already, sent one request after the other: what the drop-in's `flush` does.
//!
//! Behaves as the official client: the caller waits for each request, it is sent again after the same failures and for
//! as long, and over TCP one connection is held from the beginning to the end.

use std::ops::ControlFlow;

use bytes::Bytes;
use tokio::sync::watch;

use super::hosts::Tour;
use super::{Client, Servers, best_version};
use crate::config::Config;
use crate::encode::RowBuffer;
use crate::error::{Error, Result};
use crate::options::ProtocolVersion;
use crate::sender::{LAST_LOOK, SIGNATURE};
use crate::transport::{
    Certainty, Delivered, Repeat, TcpConnection, TcpTransport, Terms, TransportError, Undelivered, deliver,
};

/// Sends the lines of a [`RowBuffer`]: rows of any tables in one request, which the server stores whole or not at all. For callers that write row by row; frames go faster by [`Client::write`].
///
/// ```no_run
/// use questframe::{Config, LineSender, ProtocolVersion, RowAt, RowBuffer};
/// let mut buffer = RowBuffer::new(ProtocolVersion::V2, 127, 1024);
/// let mut row = buffer.row("trades")?;
/// row.float("price", 2615.54)?;
/// row.finish(RowAt::Server)?;
/// let mut sender = LineSender::connect(Config::from_conf("http::addr=localhost:9000;")?)?;
/// sender.flush(&mut buffer)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct LineSender {
    client: Client,
    /// Over TCP; none once it has failed.
    connection: Option<TcpConnection>,
}

impl Client {
    /// The protocol version and the limit of names that the official client would choose: what the settings say, and
    /// version 1 of a server that has none. Any JSON will do for settings, so a stand-in for a server may say little.
    ///
    /// # Errors
    /// There is no answer, it is no JSON, or lists versions of which we know none.
    pub fn negotiate_with(
        &self,
        tick: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<(ProtocolVersion, Option<usize>)> {
        let Servers::Http(hosts) = &self.0.servers else { return Ok((ProtocolVersion::V1, None)) };
        let tour = Tour::new(&self.0.config, None);
        let info = self.on_some_host(hosts, tour, tick, |host, tick| {
            Ok(self.ask(host, tick, |transport| async move { transport.any_settings().await })??)
        })?;
        let version = best_version(&info).ok_or_else(|| TransportError::no_common_version(&info))?;
        Ok((version, info.max_name_len))
    }
}

impl LineSender {
    /// Over TCP connects and logs in; over HTTP nothing is connected yet.
    ///
    /// # Errors
    /// The configuration is invalid, or over TCP there is no connection.
    pub fn connect(config: Config) -> Result<Self> {
        Self::connect_with(config, &mut || ControlFlow::Continue(()))
    }

    /// As [`connect`](Self::connect); `tick` is called every 50 ms while the server is waited for, and may end that.
    ///
    /// # Errors
    /// As [`connect`](Self::connect), and [`Error::is_interrupted`] when ended.
    pub fn connect_with(config: Config, tick: &mut dyn FnMut() -> ControlFlow<()>) -> Result<Self> {
        let client = Client::from_config(config)?;
        let connection = match &client.0.servers {
            Servers::Http(_) => None,
            Servers::Tcp(transport) => {
                let transport: TcpTransport = transport.clone();
                let connect = async move {
                    let mut connection = transport.connect().await?;
                    if transport.signs() {
                        connection.watch(SIGNATURE).await?;
                    }
                    Ok::<_, TransportError>(connection)
                };
                Some(client.wait(connect, tick)??)
            }
        };
        Ok(Self { client, connection })
    }

    /// The client whose connections it uses.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Whether lines can be sent at all: over TCP only until the connection has failed.
    pub fn is_usable(&self) -> bool {
        self.connection.is_some() || matches!(self.client.0.servers, Servers::Http(_))
    }

    /// Sends the rows of a buffer in one request, and empties it; one that is empty sends nothing. Over HTTP the rows are
    /// stored when it returns; over TCP the operating system has them.
    ///
    /// # Errors
    /// The rows are not stored, or nobody knows: see [`Error::kind`]. The buffer keeps them. Over TCP the connection is of
    /// no more use then.
    pub fn flush(&mut self, rows: &mut RowBuffer) -> Result<()> {
        self.flush_with(rows, true, &mut || ControlFlow::Continue(()))
    }

    /// As [`flush`](Self::flush), but empties the buffer only if `clear`; `tick` as in
    /// [`connect_with`](Self::connect_with).
    ///
    /// # Errors
    /// As [`flush`](Self::flush), and [`Error::is_interrupted`] when ended.
    pub fn flush_with(
        &mut self,
        rows: &mut RowBuffer,
        clear: bool,
        tick: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<()> {
        if rows.as_bytes().is_empty() {
            return Ok(());
        }
        let lines = rows.lend();
        let sent = match &self.client.0.servers {
            Servers::Http(_) => self.post(&lines, tick),
            Servers::Tcp(_) => self.stream(lines.clone(), tick),
        };
        rows.restore(lines, sent.is_err() || !clear);
        sent
    }

    fn stream(&mut self, lines: Bytes, tick: &mut dyn FnMut() -> ControlFlow<()>) -> Result<()> {
        let Some(mut connection) = self.connection.take() else { return Err(Error::not_connected()) };
        let (connection, written) = self.client.wait(
            async move {
                let written = connection.write(lines).await;
                (connection, written)
            },
            tick,
        )?;
        written?;
        self.connection = Some(connection);
        Ok(())
    }

    fn post(&self, lines: &Bytes, tick: &mut dyn FnMut() -> ControlFlow<()>) -> Result<()> {
        let Servers::Http(hosts) = &self.client.0.servers else { return Ok(()) };
        let mut tour = Tour::new(&self.client.0.config, None);
        let retry = tour.policy();
        loop {
            let host = hosts.current();
            let (transport, lines) = (host.transport.clone(), lines.clone());
            let (_stop, stop) = watch::channel(false);
            let has_others = hosts.are_several();
            let terms = Terms { retry, repeat: Repeat::Official, deduplicated: false, has_others, stop };
            let delivered = self.client.wait(async move { deliver(&transport, lines, &terms).await }, &mut *tick)?;
            let Delivered { result: Err(Undelivered { error, certainty, .. }), tries } = delivered else {
                return Ok(());
            };
            // What may have been stored is not given to another server, too.
            let is_movable = has_others && certainty == Certainty::Clean && tour.next(hosts, host, &error).is_some();
            if !is_movable {
                return Err(Error::from(error).with_tries((tries.retries + 1, tries.elapsed)));
            }
        }
    }

    /// Ends the connection. Over TCP it looks for a fifth of a second whether the server disliked the last lines, and waits
    /// until it has read everything.
    ///
    /// # Errors
    /// Over TCP, the server has closed the connection by itself: some lines may not be stored.
    pub fn close_with(&mut self, tick: &mut dyn FnMut() -> ControlFlow<()>) -> Result<()> {
        match self.connection.take() {
            Some(mut connection) => {
                let close = async move {
                    connection.watch(LAST_LOOK).await?;
                    connection.close().await
                };
                Ok(self.client.wait(close, tick)??)
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use crate::encode::RowAt;
    use crate::transport::fake::{Answer, FakeServer};

    fn rows() -> RowBuffer {
        let mut rows = RowBuffer::new(ProtocolVersion::V2, 127, 0);
        for table in ["a", "b"] {
            let mut row = rows.row(table).expect("a name");
            row.integer("n", 1).expect("a field");
            row.finish(RowAt::Server).expect("a row");
        }
        rows
    }

    #[test]
    fn a_buffer_is_emptied_when_its_rows_are_stored_and_at_no_other_time() {
        let server = FakeServer::start([500, 204, 400, 204].map(Answer::status));
        let mut sender = LineSender::connect(Config::from_conf(&server.conf()).expect("sound")).expect("a sender");
        let (mut rows, lines) = (rows(), b"a n=1i\nb n=1i\n");
        let mut go_on = || ControlFlow::Continue(());
        sender.flush_with(&mut rows, false, &mut go_on).expect("sent again after 500");
        assert_eq!((rows.as_bytes(), rows.rows(), rows.has_several_tables()), (&lines[..], 2, true));
        let error = sender.flush(&mut rows).expect_err("400");
        assert_eq!((error.kind(), error.status()), (ErrorKind::ServerFlushError, Some(400)));
        assert_eq!((rows.as_bytes(), rows.rows()), (&lines[..], 2));
        sender.flush(&mut rows).expect("stored");
        assert_eq!((rows.as_bytes(), rows.rows(), rows.has_several_tables()), (&b""[..], 0, false));
        sender.flush(&mut rows).expect("nothing to send");
        let bodies: Vec<_> = server.requests().into_iter().map(|request| request.body).collect();
        assert_eq!(bodies, vec![lines.to_vec(); 4]);
    }
}
