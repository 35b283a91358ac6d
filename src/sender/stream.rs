//! A write over TCP: one connection, into which one task writes the requests in row order.
//!
//! Why it is hard: nothing is ever acknowledged. The server reads, and closes the connection when it does not like a
//! line; from then on everything is lost, while here writes go on succeeding until the news arrives. That a connection
//! is still open after a write (a *clean check*) therefore says nothing of the rows just written: they may lie unread
//! in the buffers between. It speaks for rows so far back that they cannot lie there any more, because what was written
//! behind them has no room beside them. Such rows count as handed over once [`IN_BETWEEN`] bytes more have been written
//! and the connection is still open; all others once it has been watched for a while at the end, and closed in order.
//! When it ends before, they are in doubt, and what was not written yet is unsent.
//!
//! Handed over is less than stored: the server commits what it took a little later, and if it dies before that, nobody
//! is told.

use std::collections::VecDeque;
use std::sync::mpsc as std_mpsc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::flight::{Manifest, Order, Outcome};
use super::quarantine::Sorted;
use crate::transport::{Certainty, TcpConnection, TcpTransport, TransportError, Tries, Undelivered};

/// More bytes than there is room for between us and the server. Linux lets the buffers of a socket grow to 4 MiB at the
/// sender and to 6 MiB at the reader, newer ones to 32; with a proxy there are two such pairs; QuestDB has a small buffer
/// of its own. It costs what a stream was read in batches for: those are kept until their rows are settled.
const IN_BETWEEN: u64 = 64 << 20;

/// How long the connection is watched before it is closed. QuestDB 9.3.4, on the same machine and with nothing to read
/// but a bad line, closed it within 77 ms.
pub(crate) const LAST_LOOK: Duration = Duration::from_millis(200);

/// What more time the server is given for each MiB that it may not have read yet. Behind 70 MB, and on a machine with
/// twice as many busy processes as cores, QuestDB 9.3.4 took up to 204 ms.
const READING: Duration = Duration::from_millis(50);

/// The most that counts as not read yet: what is behind it would be read in a second in any case.
const UNREAD: u64 = 10 << 20;

/// How long the server's dislike of a signature is waited for: then nothing has been sent yet, and no row is in doubt.
/// QuestDB 9.3.4 on the same machine closed the connection within 17 ms.
pub(crate) const SIGNATURE: Duration = Duration::from_millis(100);

/// The task that writes.
#[derive(Debug)]
pub(super) struct Stream {
    transport: TcpTransport,
    report: std_mpsc::Sender<Outcome>,
    /// Requests that have left, or may have in part, with the length of the stream at their end.
    handed: VecDeque<(Manifest, u64)>,
    /// The request that is to be written, of which nothing has left.
    next: Option<Manifest>,
    /// Bytes written, counting the request that is being written.
    length: u64,
}

impl Stream {
    pub(super) fn new(transport: TcpTransport, report: std_mpsc::Sender<Outcome>) -> Self {
        Self { transport, report, handed: VecDeque::new(), next: None, length: 0 }
    }

    /// Writes what is ordered, until `stop` turns true or the connection ends. Every request is reported.
    pub(super) async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>, mut stop: watch::Receiver<bool>) {
        let ended = tokio::select! {
            biased;
            () = stopped(&mut stop) => Ok(false),
            ended = self.write(&mut orders) => ended.map(|()| true),
        };
        match ended {
            Ok(true) => self.settle(u64::MAX),
            Ok(false) => self.give_up(true, None),
            Err(error) => {
                let certainty = error.certainty();
                let failure = Undelivered { error, certainty, is_movable: false, tries: Tries::default() };
                self.give_up(certainty == Certainty::Ambiguous, Some(failure));
            }
        }
        while let Some(order) = orders.recv().await {
            if let Order::Send(manifest, _) = order {
                self.tell(manifest, Sorted::default());
            }
        }
    }

    /// Writes all requests and closes the connection. It is made for the first one: nothing is connected for a frame
    /// that turns out to be bad.
    async fn write(&mut self, orders: &mut mpsc::UnboundedReceiver<Order>) -> Result<(), TransportError> {
        let mut connection = None;
        while let Some(order) = orders.recv().await {
            let (manifest, body) = match order {
                Order::Send(manifest, body) => (manifest, body),
                // The end of a stop is not waited for here.
                Order::Stop => continue,
                Order::End => break,
            };
            let (rows, bytes) = (manifest.clone(), manifest.bytes);
            self.next = Some(manifest);
            let open = match &mut connection {
                None => connection.insert(self.connect().await?),
                Some(open) => {
                    // What this finds was there before the request, of which nothing has left then.
                    open.check().await?;
                    open
                }
            };
            self.next = None;
            self.length += bytes;
            self.handed.push_back((rows, self.length));
            open.write(body).await?;
            self.settle(self.length.saturating_sub(IN_BETWEEN));
        }
        if let Some(mut open) = connection {
            open.watch(last_look(self.length)).await?;
            open.close().await?;
        }
        Ok(())
    }

    async fn connect(&self) -> Result<TcpConnection, TransportError> {
        let mut connection = self.transport.connect().await?;
        if self.transport.signs() {
            connection.watch(SIGNATURE).await?;
        }
        Ok(connection)
    }

    /// Reports requests that end within the first bytes of the stream as handed over.
    fn settle(&mut self, length: u64) {
        while self.handed.front().is_some_and(|(_, end)| *end <= length)
            && let Some((manifest, _)) = self.handed.pop_front()
        {
            let (bytes, acked) = (manifest.bytes, manifest.rows.clone().into());
            self.tell(manifest, Sorted { acked, bytes, requests: 1, ..Sorted::default() });
        }
    }

    /// Reports everything that is not settled: what may have left is in doubt, unless nothing has.
    fn give_up(&mut self, has_sent: bool, mut failure: Option<Undelivered>) {
        for (manifest, _) in std::mem::take(&mut self.handed) {
            let doubtful = if has_sent { manifest.rows.clone().into() } else { Default::default() };
            let (requests, failure) = (u64::from(has_sent), failure.take());
            self.tell(manifest, Sorted { doubtful, requests, failure, ..Sorted::default() });
        }
        if let Some(manifest) = self.next.take() {
            self.tell(manifest, Sorted { failure, ..Sorted::default() });
        }
    }

    fn tell(&self, manifest: Manifest, sorted: Sorted) {
        // The caller may have gone after an error of its own; then nobody needs to know.
        let _ = self.report.send(Outcome { manifest, sorted, in_flight: 1 });
    }
}

/// How long the connection is watched after so many bytes.
fn last_look(length: u64) -> Duration {
    LAST_LOOK + READING.mul_f64(length.min(UNREAD) as f64 / f64::from(1 << 20))
}

/// Waits until the caller gives up, or is gone.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stopped| *stopped).await;
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread;

    use bytes::Bytes;

    use super::*;
    use crate::config::Config;
    use crate::rows::RowSet;

    /// A stream to a server that is given the connection; each request has one row and so many bytes. Gives the rows
    /// handed over, those in doubt, and the failure; checks that each request was reported, in order.
    async fn streamed(
        requests: u64,
        size: usize,
        server: impl FnOnce(std::net::TcpStream) + Send + 'static,
    ) -> (RowSet, RowSet, Option<TransportError>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let conf = format!("tcp::addr={};", listener.local_addr().expect("a bound address"));
        let server = thread::spawn(move || server(listener.accept().expect("a connection").0));
        let transport = TcpTransport::new(&Config::from_conf(&conf).expect("a valid string")).expect("a transport");
        let found = stream_to(transport, requests, size, None).await;
        server.join().expect("a server");
        found
    }

    async fn stream_to(
        transport: TcpTransport,
        requests: u64,
        size: usize,
        stop_after: Option<Duration>,
    ) -> (RowSet, RowSet, Option<TransportError>) {
        let (orders, received) = mpsc::unbounded_channel();
        let (report, outcomes) = std_mpsc::channel();
        let (stop, stopped) = watch::channel(false);
        let body = Bytes::from(vec![b'x'; size]);
        for row in 0..requests {
            let manifest = Manifest { rows: row..row + 1, skipped: Vec::new(), bytes: size as u64, at: None };
            orders.send(Order::Send(manifest, body.clone())).expect("a receiver");
        }
        orders.send(Order::End).expect("a receiver");
        drop(orders);
        let run = tokio::spawn(Stream::new(transport, report).run(received, stopped));
        if let Some(after) = stop_after {
            tokio::time::sleep(after).await;
            stop.send(true).expect("a receiver");
        }
        run.await.expect("no panic");

        let (mut acked, mut doubtful, mut failure) = (RowSet::default(), RowSet::default(), None);
        for (row, outcome) in outcomes.iter().enumerate() {
            assert_eq!(outcome.manifest.rows.start, row as u64);
            acked = acked.union(&outcome.sorted.acked);
            doubtful = doubtful.union(&outcome.sorted.doubtful);
            if let Some(failed) = outcome.sorted.failure {
                assert!(failure.is_none(), "one failure is told once");
                failure = Some(failed.error);
            }
        }
        (acked, doubtful, failure)
    }

    fn read_all(mut socket: impl Read) {
        std::io::copy(&mut socket, &mut std::io::sink()).expect("an orderly end");
    }

    #[tokio::test]
    async fn an_orderly_end_hands_everything_over() {
        let (acked, doubtful, failure) = streamed(20, 1 << 20, read_all).await;
        assert_eq!((acked, doubtful.is_empty()), ((0..20).into(), true));
        assert!(failure.is_none(), "{failure:?}");
    }

    #[tokio::test]
    async fn an_open_connection_speaks_only_for_what_cannot_lie_unread() {
        const SIZE: usize = 8 << 20;
        let server = |socket: std::net::TcpStream| {
            read_all(socket.take(10 * SIZE as u64));
        };
        let (acked, doubtful, failure) = streamed(30, SIZE, server).await;
        // Not all that the server has read, and never what it has not.
        assert!(acked.end() >= 1 && acked.end() <= 10, "{acked:?}");
        assert_eq!((acked.first_missing(), doubtful.ranges()[0].start), (acked.end(), acked.end()));
        assert!(doubtful.end() >= 10 && doubtful.end() < 30, "{doubtful:?}");
        assert_eq!(failure.map(|error| error.certainty()), Some(Certainty::Ambiguous));
    }

    #[tokio::test]
    async fn a_late_end_is_waited_for() {
        let server = |mut socket: std::net::TcpStream| {
            socket.read_exact(&mut [0; 10]).expect("ten bytes");
            thread::sleep(Duration::from_millis(20));
        };
        let (acked, doubtful, failure) = streamed(2, 5, server).await;
        assert_eq!((acked.is_empty(), doubtful), (true, (0..2).into()));
        assert!(failure.is_some());
    }

    #[tokio::test]
    async fn what_was_not_written_is_unsent() {
        // The server hangs up before the first line.
        let (acked, doubtful, failure) = streamed(3, 100 << 20, drop).await;
        assert_eq!((acked.is_empty(), doubtful.end() <= 1), (true, true), "{doubtful:?}");
        assert!(failure.is_some());

        let nobody = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
        let config = Config::from_conf(&format!("tcp::addr={nobody};")).expect("a valid string");
        let transport = TcpTransport::new(&config).expect("a transport");
        let (acked, doubtful, failure) = stream_to(transport, 3, 10, None).await;
        assert!(acked.is_empty() && doubtful.is_empty());
        assert_eq!(failure.map(|error| error.certainty()), Some(Certainty::Clean));
    }

    #[tokio::test]
    async fn a_stop_leaves_in_doubt_what_may_have_left() {
        // The system makes the connection, and nobody reads: the first request is under way.
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let config = Config::from_conf(&format!("tcp::addr={address};")).expect("a valid string");
        let transport = TcpTransport::new(&config).expect("a transport");
        let stop_after = Some(Duration::from_millis(300));
        let (acked, doubtful, failure) = stream_to(transport, 3, 100 << 20, stop_after).await;
        assert_eq!((acked.is_empty(), doubtful), (true, (0..1).into()));
        assert!(failure.is_none(), "the caller knows why");
    }

    #[tokio::test]
    async fn an_answer_is_the_end() {
        let server = |mut socket: std::net::TcpStream| {
            socket.write_all(b"challenge\n").expect("sent");
            read_all(socket);
        };
        let (acked, doubtful, failure) = streamed(2, 10, server).await;
        assert!(acked.is_empty(), "{doubtful:?}");
        assert!(matches!(failure, Some(TransportError::Tcp(_))), "{failure:?}");
    }
}
