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

/// More bytes than there is room for between us and the server: by default Linux lets the buffers of a socket grow to
/// 4 MiB at the sender and to 6 MiB at the reader; with a proxy there are two such pairs, and QuestDB has a small buffer
/// of its own. Until a stream has been given so much more its batches are kept, as those in the pool's buffers are.
const IN_BETWEEN: u64 = 32 << 20;

/// How long the connection is watched before it is closed. After a bad line, QuestDB 9.3.4 on the same machine closed
/// it within 61 ms.
const LAST_LOOK: Duration = Duration::from_millis(200);

/// What more time the server is given for each MiB that it may not have read yet: it takes far more than 20 MiB a
/// second unless it is in trouble.
const READING: Duration = Duration::from_millis(50);

/// The most that it may not have read yet, if there is no proxy.
const UNREAD: u64 = 10 << 20;

/// How long the server's dislike of a signature is waited for: then nothing has been sent yet, and no row is in doubt.
/// QuestDB 9.3.4 on the same machine closed the connection within 17 ms.
const SIGNATURE: Duration = Duration::from_millis(100);

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
