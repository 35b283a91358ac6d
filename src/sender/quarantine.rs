//! Sorting out the rows of a request that the server refuses.
//!
//! Why it is hard: the server takes a request whole or not at all, names only the first bad line, and answers only when
//! it has all bytes. Sending the rest again behind each bad row would take the bytes as often as there are bad rows;
//! small pieces would take a request each. So the size of the next piece follows what was seen: it shrinks when a bad row
//! came early in a piece, grows when a piece was sound, and is never so small that the pieces still allowed could not
//! hold the rest. Rows before a bad one are known to be good: they go at once if they are many, else with the next
//! piece. For `b` bad rows this takes at most `2b + 2` requests, always. The factors were searched by simulation (bad
//! rows scattered, in clusters, at the ends, in geometric series; 1 to 100 of them in 1,000 to 20,000 rows): three times
//! the bytes of the request, but for a few of some ten thousand patterns that took up to 3.1 times (of 40 rows: 3.5). So
//! what goes again is compressed where the server takes that: at most 2.2 times were seen over 20,000 patterns. The tests
//! here walk patterns of the same kinds.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::flight::Manifest;
use crate::encode::line_ends;
use crate::rows::RowSet;
use crate::transport::{Certainty, Delivered, TransportError, Tries, Undelivered};

/// The first piece, in hundredths of the request.
const FIRST: usize = 31;
/// The next piece after a bad row in the first half of one, in hundredths of it.
const AFTER_EARLY: usize = 21;
/// The same for the second half.
const AFTER_LATE: usize = 34;
/// The next piece after a sound one.
const AFTER_SOUND: usize = 197;
/// Rows that are known to be good go alone if they are so many hundredths of the next piece.
const WORTH_A_REQUEST: usize = 424;
/// No piece is larger than so many hundredths of what may still be sent in vain: of twice the request in all.
const OF_THE_REST: usize = 117;

/// Unless the caller gave a number: so many rows may be set aside,
const MAX_REJECTED: u64 = 1_000;
/// or one in so many of those that were reached,
const MAX_SHARE: u64 = 100;
/// but so many in any case.
const MIN_REJECTED: u64 = 10;

/// A row that the server refused.
#[derive(Debug)]
pub(crate) struct Rejected {
    pub(crate) row: u64,
    pub(crate) error: TransportError,
}

/// How many rows of a write were set aside, and how many may be.
#[derive(Debug)]
pub(crate) struct Rejections {
    limit: Option<u64>,
    count: AtomicU64,
    /// Rows that the server has looked at and said something of.
    reached: AtomicU64,
}

impl Rejections {
    pub(crate) fn new(limit: Option<u64>) -> Self {
        Self { limit, count: AtomicU64::new(0), reached: AtomicU64::new(0) }
    }

    /// Whether none has been set aside so far.
    fn is_empty(&self) -> bool {
        self.count.load(Ordering::Relaxed) == 0
    }

    /// Counts rows that were found to be good or bad.
    fn reach(&self, rows: usize) -> u64 {
        self.reached.fetch_add(rows as u64, Ordering::Relaxed) + rows as u64
    }

    /// Counts a bad row, of so many that were reached.
    ///
    /// # Errors
    /// If it is one too many: how many there are.
    fn admit(&self, reached: u64) -> Result<(), u64> {
        let count = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        let limit = self.limit.unwrap_or_else(|| MAX_REJECTED.min(MIN_REJECTED.max(reached / MAX_SHARE)));
        if count <= limit { Ok(()) } else { Err(count) }
    }
}

/// What became of the rows of a request.
#[derive(Debug, Default)]
pub(crate) struct Sorted {
    pub(crate) acked: RowSet,
    pub(crate) doubtful: RowSet,
    pub(crate) rejected: Vec<Rejected>,
    /// Bytes acknowledged.
    pub(crate) bytes: u64,
    pub(crate) requests: u64,
    pub(crate) tries: Tries,
    pub(crate) failure: Option<Undelivered>,
    /// More rows were refused than may be: how many, and of how many that were reached.
    pub(crate) too_many: Option<(u64, u64)>,
}

impl Sorted {
    fn count(&mut self, tries: Tries) {
        self.requests += 1;
        self.tries.add(tries);
    }

    pub(super) fn fail(&mut self, failure: Undelivered, rows: Range<u64>) {
        if failure.certainty == Certainty::Ambiguous {
            self.doubtful.insert(rows);
        }
        self.failure = Some(failure);
    }
}

/// A request's lines, of which some have turned out bad.
struct Lines<'a> {
    manifest: &'a Manifest,
    body: &'a Bytes,
    ends: Vec<usize>,
    bad: Vec<usize>,
}

impl Lines<'_> {
    fn start(&self, line: usize) -> usize {
        if line == 0 { 0 } else { self.ends[line - 1] }
    }

    /// The bytes of some lines without the bad ones: a slice of the buffer if none of these is among them, else a copy.
    fn bytes(&self, lines: Range<usize>) -> Bytes {
        let bad: Vec<usize> = self.bad.iter().copied().filter(|line| lines.contains(line)).collect();
        if bad.is_empty() {
            return self.body.slice(self.start(lines.start)..self.start(lines.end));
        }
        let mut bytes = Vec::with_capacity(self.start(lines.end) - self.start(lines.start));
        let mut next = lines.start;
        for line in bad.into_iter().chain([lines.end]) {
            bytes.extend_from_slice(&self.body[self.start(next)..self.start(line)]);
            next = line + 1;
        }
        bytes.into()
    }

    /// The rows of some lines, with those that have none.
    fn rows(&self, lines: Range<usize>) -> Range<u64> {
        let row = |line: usize| match line {
            0 => self.manifest.rows.start,
            line if line == self.ends.len() => self.manifest.rows.end,
            line => self.manifest.row_of_line(line as u64 + 1).unwrap_or(self.manifest.rows.end),
        };
        row(lines.start)..row(lines.end)
    }

    /// The line that an error names, within what was sent.
    fn named(&self, error: &TransportError, sent: Range<usize>) -> Option<usize> {
        let place = usize::try_from(error.line()?.checked_sub(1)?).ok()?;
        sent.filter(|line| !self.bad.contains(line)).nth(place)
    }

    /// The failure of what was sent, with its line counted in the whole request.
    fn placed(&self, mut failure: Undelivered, sent: Range<usize>) -> Undelivered {
        if let Some(line) = self.named(&failure.error, sent) {
            failure.error.name_line(line as u64 + 1);
        }
        failure
    }
}

/// Sends a request piece by piece, by `send`, and sets aside what is refused.
///
/// `send` is told whether lines of this request have been sent in vain before: then these should be made small.
/// `is_suspect`: whether bad rows are to be expected, so that the first piece is not the whole.
pub(crate) async fn sort_out<Sent: Future<Output = Delivered>>(
    body: &Bytes,
    manifest: &Manifest,
    rejections: &Rejections,
    is_suspect: bool,
    send: impl Fn(Bytes, bool) -> Sent,
) -> Sorted {
    let mut sorted = Sorted::default();
    let is_suspect = is_suspect || !rejections.is_empty();
    let mut lines = Lines { manifest, body, ends: Vec::new(), bad: Vec::new() };
    if is_suspect {
        lines.ends = line_ends(body);
    }
    // Lines that cannot be told apart go together, and fail together.
    if !is_suspect || lines.ends.len() as u64 != manifest.lines() {
        let Delivered { result, tries } = send(body.clone(), false).await;
        sorted.count(tries);
        match result {
            Ok(()) => {
                sorted.bytes = body.len() as u64;
                sorted.acked.insert(manifest.rows.clone());
                rejections.reach(usize::try_from(manifest.rows.end - manifest.rows.start).unwrap_or(usize::MAX));
                return sorted;
            }
            Err(failure) if !is_refusal(&failure) => {
                sorted.fail(failure, manifest.rows.clone());
                return sorted;
            }
            // Sent in vain, and not counted: this request was no worse than others that were sound.
            Err(failure) => {
                lines.ends = line_ends(body);
                if lines.ends.len() as u64 != manifest.lines() {
                    sorted.fail(failure, manifest.rows.clone());
                    return sorted;
                }
            }
        }
    }
    let count = lines.ends.len();
    // Lines before `sent` are stored, those before `known` are good or bad for certain.
    let (mut sent, mut known) = (0_usize, 0_usize);
    let mut piece = share(count, FIRST).max(1);
    let (mut failures, mut successes) = (0_u32, 0_u32);
    // Lines sent in vain.
    let mut vain = 0_usize;
    let mut has_failed = sorted.requests > 0;
    while sent < count {
        let end = count.min(known.saturating_add(piece));
        let new = end - known;
        let bytes = lines.bytes(sent..end);
        let length = bytes.len() as u64;
        let result = if bytes.is_empty() {
            Ok(())
        } else {
            let Delivered { result, tries } = send(bytes, has_failed).await;
            sorted.count(tries);
            successes += u32::from(result.is_ok());
            result
        };
        let mut alone = sent..sent;
        match result {
            Ok(()) => {
                sorted.bytes += length;
                sorted.acked.insert(lines.rows(sent..end));
                rejections.reach(new);
                (sent, known) = (end, end);
                piece = if failures == 0 { count } else { share(piece, AFTER_SOUND).max(piece + 1) };
            }
            Err(failure) => {
                let line = if is_refusal(&failure) { lines.named(&failure.error, sent..end) } else { None };
                let Some(line) = line else {
                    sorted.fail(lines.placed(failure, sent..end), lines.rows(sent..end));
                    break;
                };
                failures += 1;
                has_failed = true;
                vain += end - sent - lines.bad.iter().filter(|bad| (sent..end).contains(*bad)).count();
                let row = lines.rows(line..line + 1).start;
                sorted.rejected.push(Rejected { row, error: failure.error });
                let reached = rejections.reach((line + 1).saturating_sub(known));
                if let Err(count) = rejections.admit(reached) {
                    sorted.too_many = Some((count, reached));
                    break;
                }
                // Also a line known to be good may turn bad, when the table changes meanwhile.
                let is_early = line.saturating_sub(known) < new.div_ceil(2);
                piece = share(new, if is_early { AFTER_EARLY } else { AFTER_LATE }).max(1);
                let place = lines.bad.partition_point(|bad| *bad < line);
                lines.bad.insert(place, line);
                known = known.max(line + 1);
                let good = known - sent - lines.bad.iter().filter(|bad| (sent..known).contains(*bad)).count();
                if good == 0 {
                    // Rows without a line, if there are any between the bad ones, are dealt with.
                    sorted.acked.insert(lines.rows(sent..known));
                    sent = known;
                } else if good >= share(piece, WORTH_A_REQUEST) {
                    alone = sent..known;
                }
            }
        }
        if !alone.is_empty() {
            let bytes = lines.bytes(alone.clone());
            let length = bytes.len() as u64;
            let Delivered { result, tries } = send(bytes, true).await;
            sorted.count(tries);
            successes += 1;
            match result {
                Ok(()) => {
                    sorted.bytes += length;
                    sorted.acked.insert(lines.rows(alone));
                    sent = known;
                }
                // It is looked at again with the next piece.
                Err(failure) if is_refusal(&failure) => {}
                Err(failure) => {
                    sorted.fail(lines.placed(failure, alone.clone()), lines.rows(alone));
                    break;
                }
            }
        }
        // So many pieces may still be sound for `2b + 2` requests in all; the last of them holds the rest.
        let left = (failures + 2).saturating_sub(successes);
        let rest = count - known;
        let least = match left {
            0 | 1 => rest,
            left => rest.div_ceil((1_usize << left.min(40)) - 1),
        };
        let most = share((2 * count).saturating_sub(vain), OF_THE_REST);
        piece = piece.min(most).max(least).max(1);
    }
    for rejected in &sorted.rejected {
        let row = RowSet::from(rejected.row..rejected.row + 1);
        sorted.acked = sorted.acked.minus(&row);
        sorted.doubtful = sorted.doubtful.minus(&row);
    }
    sorted
}

/// Whether the server looked at the lines and one of them was bad, so that nothing was stored.
fn is_refusal(failure: &Undelivered) -> bool {
    failure.certainty == Certainty::Refused && failure.error.line().is_some()
}

fn share(of: usize, hundredths: usize) -> usize {
    usize::try_from((of as u128 * hundredths as u128).div_ceil(100)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeSet;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::transport::Body;

    /// A server that refuses some rows, and what it was sent.
    struct Server {
        bad: BTreeSet<u64>,
        requests: RefCell<(u64, usize)>,
        stored: RefCell<Vec<u64>>,
    }

    impl Server {
        fn answer(&self, body: &[u8], sent: usize) -> Result<(), Undelivered> {
            let mut requests = self.requests.borrow_mut();
            *requests = (requests.0 + 1, requests.1 + sent);
            let text = std::str::from_utf8(body).expect("text");
            let rows: Vec<u64> = text
                .lines()
                .map(|line| line.split(['=', 'i']).nth(1).and_then(|n| n.parse().ok()).expect("a row"))
                .collect();
            match rows.iter().position(|row| self.bad.contains(row)) {
                Some(line) => Err(Undelivered {
                    error: TransportError::refused_line(line as u64 + 1),
                    certainty: Certainty::Refused,
                    is_movable: false,
                    tries: Tries::default(),
                }),
                None => {
                    self.stored.borrow_mut().extend(rows);
                    Ok(())
                }
            }
        }
    }

    struct Run {
        sorted: Sorted,
        requests: u64,
        bytes: usize,
        stored: Vec<u64>,
    }

    /// Rows 5 to 5 + `rows`, of which row 7 has no line; `bad` counts from the first.
    fn run(rows: u64, bad: impl IntoIterator<Item = u64>, limit: u64, is_suspect: bool) -> (Run, usize) {
        let body: String =
            (5..5 + rows).filter(|row| *row != 7).map(|row| format!("t n={row}i {}\n", 1_000_000 + row)).collect();
        let body = Bytes::from(body);
        let manifest = Manifest { rows: 5..5 + rows, skipped: vec![7], bytes: body.len() as u64, at: None };
        let bad = bad.into_iter().map(|row| row + 5).filter(|row| *row != 7).collect();
        let server = Server { bad, requests: RefCell::default(), stored: RefCell::default() };
        let rejections = Rejections::new(Some(limit));
        let sorted = {
            let send = |body: Bytes, has_failed: bool| {
                let sent = if has_failed { Body::compress(body.clone()).len() } else { body.len() };
                let result = server.answer(&body, sent);
                async move { Delivered { result, tries: Tries::default() } }
            };
            let mut future = pin!(sort_out(&body, &manifest, &rejections, is_suspect, send));
            match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(sorted) => sorted,
                Poll::Pending => panic!("nothing here waits"),
            }
        };
        let (requests, bytes) = server.requests.into_inner();
        (Run { sorted, requests, bytes, stored: server.stored.into_inner() }, body.len())
    }

    fn patterns(rows: u64) -> Vec<Vec<u64>> {
        let mut patterns = vec![vec![], vec![0], vec![rows - 1], (0..rows).step_by(2).take(40).collect()];
        let mut random = 88_172_645_463_325_252_u64;
        for bad in [1, 2, 3, 5, 8, 10, 20, 50, 100].into_iter().filter(|bad| bad * 3 < rows) {
            patterns.push((0..bad).collect());
            patterns.push((rows - bad..rows).collect());
            patterns.push((rows / 2..rows / 2 + bad).collect());
            patterns.push((0..bad).map(|n| n * (rows / bad)).collect());
            patterns.push((0..bad).map(|n| (n + 1) * (rows / bad) - 1).collect());
            patterns.push((0..bad.min(9)).map(|n| rows - (rows >> n)).filter(|row| *row < rows).collect());
            patterns.push((0..bad.min(9)).map(|n| (rows >> n).saturating_sub(1)).collect());
            for _ in 0..6 {
                let mut scattered = BTreeSet::new();
                while (scattered.len() as u64) < bad {
                    // xorshift: the same rows in every run.
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    scattered.insert(random % rows);
                }
                patterns.push(scattered.into_iter().collect());
            }
        }
        patterns
    }

    #[test]
    fn bad_rows_are_found_in_few_requests_and_bytes() {
        for rows in [40, 1_000, 3_000] {
            for bad in patterns(rows) {
                let (run, length) = run(rows, bad.iter().copied(), 1_000, true);
                let expected: BTreeSet<u64> = bad.iter().map(|row| row + 5).filter(|row| *row != 7).collect();
                let expected: Vec<u64> = expected.into_iter().collect();
                let mut rejected: Vec<u64> = run.sorted.rejected.iter().map(|rejected| rejected.row).collect();
                rejected.sort_unstable();
                assert_eq!(rejected, expected);
                assert!(run.sorted.failure.is_none() && run.sorted.too_many.is_none());
                let good = |row: &u64| !expected.contains(row);
                assert_eq!(run.stored, (5..5 + rows).filter(|row| *row != 7).filter(good).collect::<Vec<_>>());
                let acked: Vec<u64> = run.sorted.acked.ranges().iter().cloned().flatten().collect();
                assert_eq!(acked, (5..5 + rows).filter(good).collect::<Vec<_>>(), "{bad:?}");
                assert_eq!(run.requests, run.sorted.requests);
                let found = rejected.len();
                assert!(
                    run.requests <= 2 * found as u64 + 2,
                    "{} requests for {found} of {rows}: {bad:?}",
                    run.requests
                );
                assert!(run.bytes <= 3 * length, "{} bytes of {length} for {found}: {bad:?}", run.bytes);
            }
        }
    }

    #[test]
    fn a_sound_request_is_sent_once_unless_it_is_suspect() {
        assert_eq!(run(1_000, [], 0, false).0.requests, 1);
        assert_eq!(run(1_000, [], 0, true).0.requests, 2);
        let late = run(1_000, [900, 901], 10, false).0;
        assert_eq!(late.sorted.rejected.len(), 2);
        assert!(late.requests <= 7);
    }

    #[test]
    fn too_many_bad_rows_end_it_soon() {
        let (run, length) = run(1_000, 0..1_000, 10, true);
        assert_eq!(run.sorted.too_many, Some((11, 11)));
        assert_eq!((run.requests, run.sorted.rejected.len(), run.stored.len()), (11, 11, 0));
        assert!(run.bytes < length);
        assert_eq!(run.sorted.acked, RowSet::from(7..8), "the row without a line");
    }

    #[test]
    fn by_default_one_row_in_a_hundred_may_be_bad() {
        let admitted = |step: usize| {
            let rejections = Rejections::new(None);
            (0..100_000).take_while(|_| rejections.admit(rejections.reach(step)).is_ok()).count()
        };
        assert_eq!(admitted(1), 10);
        assert_eq!(admitted(50), 10);
        assert_eq!(admitted(200), 1_000);
    }
}
