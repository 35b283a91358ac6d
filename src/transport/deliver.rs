//! Delivery of one request: tried until it is stored, is refused, or its time is up.

use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::{Backoff, Body, Certainty, HttpTransport, RetryPolicy, TransportError};

/// How often a server may answer the same about the same line before it is believed.
const SAME_VERDICTS: u32 = 3;

/// Which failed requests are sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Those that were not stored for certain.
    Clean,
    /// Those that may have been stored, too.
    InDoubt,
    /// Those that the official clients send again: after nine statuses, and when no answer came in time.
    Official,
}

/// What a request may be put through.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) retry: RetryPolicy,
    pub(crate) repeat: Repeat,
    /// Whether the server would find the second copy and drop it, so that it may also go to another server.
    pub(crate) deduplicated: bool,
    /// Whether another server is there to turn to, so that this one is not waited for.
    pub(crate) has_others: bool,
    /// Turns true when the caller gives the write up.
    pub(crate) stop: watch::Receiver<bool>,
}

/// Waits until the caller gives up. A sender that is gone gives nothing up any more.
async fn stopped(stop: &watch::Receiver<bool>) {
    if stop.clone().wait_for(|stopped| *stopped).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// How often a request was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tries {
    /// Sent again.
    pub(crate) retries: u64,
    /// Sent again although it may have been stored before.
    pub(crate) in_doubt: u64,
    /// From the first try to the last answer.
    pub(crate) elapsed: Duration,
}

impl Tries {
    /// Counts the tries of another request.
    pub(crate) fn add(&mut self, other: Self) {
        self.retries += other.retries;
        self.in_doubt += other.in_doubt;
        self.elapsed += other.elapsed;
    }
}

/// How a request ended.
#[derive(Debug)]
pub(crate) struct Delivered {
    pub(crate) result: Result<(), Undelivered>,
    pub(crate) tries: Tries,
}

/// A request that no server acknowledged.
#[derive(Debug)]
pub(crate) struct Undelivered {
    /// Of the last try.
    pub(crate) error: TransportError,
    /// Of all tries together: one of them in doubt leaves all of it in doubt.
    pub(crate) certainty: Certainty,
    /// Whether another server may take it: this one failed, and the request may be repeated.
    pub(crate) is_movable: bool,
    pub(crate) tries: Tries,
}

/// Sends a request, and sends the same bytes again where that may help and does no harm.
pub(crate) async fn deliver(transport: &HttpTransport, body: impl Into<Body>, terms: &Terms) -> Delivered {
    let body = body.into();
    let started = Instant::now();
    let mut backoff = Backoff::new(terms.retry);
    let mut tries = Tries::default();
    let mut in_doubt = false;
    let mut verdicts: (Option<(u64, String)>, u32) = (None, 0);
    loop {
        // What could not be answered in time any more is not sent, and so not in doubt.
        if terms.retry.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            tries.elapsed = started.elapsed();
            let certainty = if in_doubt { Certainty::Ambiguous } else { Certainty::Clean };
            let error = transport.stopped();
            return Delivered { result: Err(Undelivered { error, certainty, is_movable: false, tries }), tries };
        }
        let answer = tokio::select! {
            biased;
            answer = transport.write(body.clone(), terms.retry.deadline) => answer,
            () = stopped(&terms.stop) => Err(transport.stopped()),
        };
        let error = match answer {
            Ok(()) => {
                tries.elapsed = started.elapsed();
                return Delivered { result: Ok(()), tries };
            }
            Err(error) => error,
        };
        let certainty = error.certainty();
        in_doubt |= certainty == Certainty::Ambiguous;
        let is_allowed = match (terms.repeat, certainty) {
            (Repeat::Official, _) => error.is_repeated_by_official_clients(),
            (_, Certainty::Refused) => false,
            (_, Certainty::Clean) => error.is_passing(),
            (repeat, Certainty::Ambiguous) => repeat == Repeat::InDoubt && error.is_passing(),
        };
        let verdict = error.verdict();
        verdicts = match verdict {
            Some(_) if verdict == verdicts.0 => (verdict, verdicts.1 + 1),
            verdict => (verdict, 1),
        };
        let is_hopeless = verdicts.0.is_some() && verdicts.1 >= SAME_VERDICTS;
        // What may not go elsewhere is tried again here.
        let stays = !terms.has_others || (in_doubt && terms.repeat == Repeat::InDoubt && !terms.deduplicated);
        let pause = match is_allowed && !is_hopeless && stays {
            true => backoff.next(),
            false => None,
        };
        let Some(pause) = pause else {
            tries.elapsed = started.elapsed();
            // A refusal of the second try says nothing of the first.
            let certainty = if in_doubt { Certainty::Ambiguous } else { certainty };
            let is_movable = error.is_of_the_server() && !is_hopeless && (!in_doubt || terms.deduplicated);
            return Delivered { result: Err(Undelivered { error, certainty, is_movable, tries }), tries };
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            // Nothing is on its way now: what the last try said holds.
            () = stopped(&terms.stop) => {
                tries.elapsed = started.elapsed();
                let certainty = if in_doubt { Certainty::Ambiguous } else { certainty };
                return Delivered { result: Err(Undelivered { error, certainty, is_movable: false, tries }), tries };
            }
        }
        tries.retries += 1;
        tries.in_doubt += u64::from(in_doubt);
    }
}
