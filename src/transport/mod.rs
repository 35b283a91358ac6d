//! Talking to a QuestDB server: requests over HTTP, streams over TCP, and the errors they end in.
//!
//! Knows bytes and answers, nothing of Arrow, tables or plans. [`HttpTransport`] tries a request once; [`Certainty`]
//! tells whether trying again is safe, [`Backoff`] when, and [`deliver()`] does it for the rows of a write.

mod answer;
mod body;
mod deliver;
mod error;
#[cfg(test)]
pub(crate) mod fake;
mod http;
mod retry;
mod runtime;
mod tcp;
mod tls;

pub(crate) use self::answer::QueryAnswer;
pub use self::answer::ServerInfo;
pub(crate) use self::body::Body;
pub(crate) use self::deliver::{Delivered, Repeat, Terms, Tries, Undelivered, deliver};
pub use self::error::TransportError;
pub(crate) use self::http::HttpTransport;
pub(crate) use self::retry::{Backoff, RetryPolicy};
pub(crate) use self::runtime::Runtime;
pub(crate) use self::tcp::{TcpConnection, TcpTransport};

/// What is known about the rows of a request that was not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Certainty {
    /// Not stored, and the same request never would be: the server refused it.
    Refused,
    /// Not stored, and trying again may work.
    Clean,
    /// May have been stored.
    Ambiguous,
}

/// Whether a status may be another one when the same request comes again: the nine that official clients retry, those
/// of gateways, and "too many requests".
fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502..=504 | 507 | 509 | 520..=525 | 529 | 598 | 599)
}

/// What a status other than 204 says about the rows of `POST /write`, once its answer has been read in full.
///
/// QuestDB and the proxies before it use the nine statuses that official clients retry in two ways: 503, 507,
/// 509 and 529 are said before the request is looked at, the others also when its outcome was lost.
pub(crate) fn classify(status: u16) -> Certainty {
    match status {
        // The request was not looked at: too slow, too many, out of service, out of space, overloaded.
        408 | 429 | 503 | 507 | 509 | 529 => Certainty::Clean,
        // 501 and 505 are said of the request line. A redirect was not followed.
        300..=499 | 501 | 505 => Certainty::Refused,
        _ => Certainty::Ambiguous,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_classified() {
        for status in [301, 302, 307, 400, 401, 403, 404, 405, 413, 421, 501, 505] {
            assert_eq!(classify(status), Certainty::Refused, "{status}");
        }
        for status in [408, 429, 503, 507, 509, 529] {
            assert_eq!(classify(status), Certainty::Clean, "{status}");
        }
        for status in [100, 200, 201, 299, 500, 502, 504, 520, 521, 522, 523, 524, 525, 598, 599, 999] {
            assert_eq!(classify(status), Certainty::Ambiguous, "{status}");
        }
    }
}
