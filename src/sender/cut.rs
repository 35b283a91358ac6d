//! Cutting a frame into requests: reads batches, checks and encodes them into buffers, and decides where each ends.
//!
//! A request ends when its buffer, its rows or its bytes are full. Under the order rule (`DESIGN.md`) two requests may
//! only fly together if their timestamps do not meet, ends included; so requests are cut where `at` changes. Blocks
//! end at such places already; where one run of equal timestamps is longer than a block, the cut goes back to the last
//! change within [`LOOK_BACK`] and the bytes behind it open the next request.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;

use super::gather::Gather;
use super::resumable::{Resumable, Settled};
use crate::buffer::Buffer;
use crate::check::cast::{cast_batch, rows_at_a_time};
use crate::check::{self, Conforming, ValueError};
use crate::encode::{AtRange, BadCode, Block, BoundBatch, Encoder};
use crate::error::{Cause, Error, Problem};
use crate::frontend::{Dictionaries, NewSchema, Source, ask_for_next};
use crate::plan::kind::Kind;
use crate::plan::{AtPlan, Plan};
use crate::rows::RowSet;

/// The part of a request, one in so many, that a cut may go back over.
const LOOK_BACK: usize = 10;

/// How often it is looked whether a stream that is read is still wanted.
const POLL_EVERY: Duration = Duration::from_millis(10);

/// Requests are not made smaller than this to share a frame among connections.
const MIN_SHARED: usize = 1 << 20;

/// What bounds a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) max_rows: u64,
    pub(super) max_bytes: usize,
    pub(super) max_buf_size: usize,
    /// Connections that a frame is shared among; 1 where nothing is sent.
    pub(super) connections: usize,
    /// Rows of the first request.
    pub(super) first_rows: u64,
    /// All rows in one request, or none.
    pub(super) atomic: bool,
}

/// One request's worth of lines.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) buffer: Buffer,
    pub(super) rows: Range<u64>,
    /// Rows of `rows` that have no line, in order.
    pub(super) skipped: Vec<u64>,
    /// `None` where the server's clock has a part in it.
    pub(super) at: Option<AtRange>,
}

impl Request {
    /// How many lines it has.
    pub(super) fn lines(&self) -> usize {
        (self.rows.end - self.rows.start) as usize - self.skipped.len()
    }
}

/// Where requests go.
pub(super) trait Outlet {
    /// A buffer to fill, waiting for one if need be.
    fn acquire(&mut self) -> Result<Buffer, Error>;
    /// A buffer whose place one of another size takes, where requests wait for others.
    fn acquire_place(&mut self) -> Result<Option<Buffer>, Error> {
        Ok(None)
    }
    /// Takes a request over.
    fn submit(&mut self, request: Request) -> Result<(), Error>;
    /// Whether to go on: an error ends the reading.
    fn poll(&mut self) -> Result<(), Error> {
        Ok(())
    }
    /// The pool's buffer size.
    fn buffer_size(&self) -> usize;
    /// The rows of a stream that will not be asked for again.
    fn settled(&self) -> Settled {
        Settled::ALL
    }
    /// Whether what has been read is handed over also where [`poll`](Self::poll) has ended the reading, as it does next.
    fn takes_the_last(&mut self) -> bool {
        false
    }
}

/// What has been read of a frame, and what was found in it. Rows that are read again are not counted again.
#[derive(Debug, Default)]
pub(super) struct Read {
    /// The next row.
    pub(super) row: u64,
    /// Rows left out because they held nothing.
    pub(super) skipped: RowSet,
    /// Nulls of each column that is written.
    pub(super) nulls: Vec<u64>,
    /// Values of each column that were written and read back as NULL.
    pub(super) lost: Vec<u64>,
    /// The rows up to here have been counted.
    counted: u64,
}

/// Reads `feed` to its end, but for the rows of `leave_out`, and hands its requests to `outlet`. `read` tells how far it
/// came, also after an error. If that is [`Error::is_new_schema`], the rows before have been handed over, and the others
/// take another plan; of an atomic write all do.
pub(super) fn cut(
    plan: &Plan,
    feed: &mut Resumable<'_>,
    leave_out: &RowSet,
    limits: Limits,
    outlet: &mut dyn Outlet,
    read: &mut Read,
) -> Result<(), Error> {
    read.nulls.resize(plan.columns.len(), 0);
    read.lost.resize(plan.columns.len(), 0);
    let total_rows = feed.rows().map(|rows| rows.saturating_sub(leave_out.rows()));
    let mut cutter = Cutter {
        plan,
        limits,
        outlet,
        encoder: Encoder::new(plan, total_rows),
        filling: None,
        tail: Vec::new(),
        total_rows,
        max_bytes: limits.max_bytes,
        is_first: true,
        skipped: Vec::new(),
        row_bound: 0,
        untyped: plan.columns.iter().filter(|column| column.kind == Kind::Null).map(|column| column.index).collect(),
        dictionaries: None,
        gather: Gather::default(),
    };
    let failed = |error: ArrowError| Error::unread(error).with_table(plan.table());
    if let Source::Frame(frame) = feed.source() {
        check::frame(plan, &**frame)?;
        let (mut start, mut conforming) = (0, Conforming::default());
        let dictionaries = frame.dictionaries();
        cutter.dictionaries = dictionaries.clone();
        let mut take = |batch: &RecordBatch, later: &[RecordBatch]| {
            conforming.look(plan, batch, start, dictionaries.as_deref())?;
            cutter.take(batch, later, start, leave_out, read)?;
            start += batch.num_rows() as u64;
            Ok::<_, Error>(())
        };
        match frame.in_memory() {
            Some(batches) => {
                batches.iter().enumerate().try_for_each(|(place, batch)| take(batch, &batches[place + 1..]))?;
            }
            None => frame.coded_batches().try_for_each(|batch| take(&batch.map_err(failed)?, &[]))?,
        }
        cutter.gathered(start, leave_out, read)?;
        return cutter.submit();
    }
    let feed_keeps = feed.keeps();
    // What is nulls alone in the plan has values by now.
    if !plan.is_for(&feed.schema()) {
        return Err(failed(NewSchema::error()));
    }
    let mut end = 0;
    // What lies between two batches must have been dealt with: else it was let go of, and who goes on has to know.
    let follows = |end: u64, start: u64| match leave_out.missing(end..start.max(end)).first() {
        Some(gone) if feed_keeps => Err(failed(gone_rows(gone))),
        _ => Ok(()),
    };
    for (start, batch) in feed.kept_from(leave_out.first_missing()) {
        follows(end, start)?;
        // Batches that do not follow each other are not put together.
        if start != end {
            cutter.gathered(end, leave_out, read)?;
        }
        cutter.checked(&batch, start, leave_out, read)?;
        end = start + batch.num_rows() as u64;
    }
    let mut polled = Instant::now();
    while let Some(next) = feed.next(|| cutter.outlet.settled()) {
        // A stream may take its time, and fill no buffer for long.
        if polled.elapsed() >= POLL_EVERY {
            if let Err(stopped) = cutter.outlet.poll() {
                next.err().into_iter().for_each(|error| feed.give_back(error));
                if !limits.atomic && cutter.outlet.takes_the_last() {
                    cutter.gathered(end, leave_out, read)?;
                    cutter.submit()?;
                }
                return Err(stopped);
            }
            polled = Instant::now();
        }
        match next {
            Ok((start, batch)) => {
                follows(end, start)?;
                if start != end {
                    cutter.gathered(end, leave_out, read)?;
                }
                cutter.checked(&batch, start, leave_out, read)?;
                end = start + batch.num_rows() as u64;
            }
            Err(error) => {
                // As where a batch is unsound. (Rows of an atomic write that goes on under another schema are kept.)
                if !limits.atomic
                    && let Err(stopped) = cutter.gathered(end, leave_out, read).and_then(|()| cutter.submit())
                {
                    feed.give_back(error);
                    return Err(stopped);
                }
                return Err(failed(error));
            }
        }
    }
    cutter.gathered(end, leave_out, read)?;
    cutter.submit()
}

/// The error of rows of a stream that nobody has any more, and that were not sent.
fn gone_rows(rows: &Range<u64>) -> ArrowError {
    let text = format!(
        "rows {} to {} of the stream are not kept any more, and not among those that were stored by resume=; was there a \
         later error? Else open the stream again, and pass that from its first row on, with the same resume=",
        rows.start,
        rows.end - 1
    );
    ArrowError::ExternalError(text.into())
}

/// The end of an encoded block inside the buffer.
#[derive(Clone, Copy, Debug)]
struct Mark {
    bytes: usize,
    row: u64,
    at: Option<AtRange>,
    /// First and last designated timestamp of the block.
    ends: Option<(i64, i64)>,
}

/// The request being filled.
#[derive(Debug)]
struct Filling {
    buffer: Buffer,
    first_row: u64,
    marks: Vec<Mark>,
    skipped: Vec<u64>,
}

impl Filling {
    fn end_row(&self) -> u64 {
        self.marks.last().map_or(self.first_row, |mark| mark.row)
    }

    /// Notes that a block of so many rows has been encoded, of which those that were `skipped` have no line.
    fn advance(&mut self, skipped: &mut Vec<usize>, rows: usize, block: Block, read: &mut Read) {
        for row in skipped.drain(..) {
            let row = read.row + row as u64;
            self.skipped.push(row);
            read.skipped.insert(row..row + 1);
        }
        read.row += rows as u64;
        self.marks.push(Mark { bytes: self.buffer.len(), row: read.row, at: block.at, ends: block.ends });
    }
}

struct Cutter<'a, 'p> {
    plan: &'p Plan,
    limits: Limits,
    outlet: &'a mut dyn Outlet,
    encoder: Encoder<'p>,
    filling: Option<Filling>,
    /// Bytes and marks behind the last cut.
    tail: Vec<u8>,
    total_rows: Option<u64>,
    max_bytes: usize,
    /// Whether the first request is still being filled.
    is_first: bool,
    skipped: Vec<usize>,
    /// The room that the last block asked for, by row.
    row_bound: usize,
    /// Columns of nulls alone, which may have values later.
    untyped: Vec<usize>,
    /// What codes stand for that come alone.
    dictionaries: Option<Arc<Dictionaries>>,
    /// Small batches that wait for more.
    gather: Gather,
}

impl Cutter<'_, '_> {
    /// Takes a batch of a stream, which is looked at first.
    fn checked(&mut self, batch: &RecordBatch, start: u64, leave_out: &RowSet, read: &mut Read) -> Result<(), Error> {
        if let Err(error) = check::batch(self.plan, batch, start) {
            // The batches before it were sound and are not held back; but an atomic write has no before.
            if !self.limits.atomic {
                self.gathered(start, leave_out, read)?;
                self.submit()?;
            }
            return Err(error);
        }
        self.take(batch, &[], start, leave_out, read)
    }

    /// Takes a sound batch, behind which these come as far as that is known; a small one waits for others.
    fn take(
        &mut self,
        batch: &RecordBatch,
        later: &[RecordBatch],
        start: u64,
        leave_out: &RowSet,
        read: &mut Read,
    ) -> Result<(), Error> {
        // Those of batches that are put together have been asked for by then.
        if self.gather.rows() == 0 {
            ask_for_next(later, None);
        }
        let mut is_gathered = self.gather.push(batch);
        if !is_gathered && self.gather.rows() > 0 {
            self.gathered(start, leave_out, read)?;
            is_gathered = self.gather.push(batch);
        }
        if !is_gathered {
            return self.pieces(batch, start, leave_out, read);
        }
        if self.gather.is_full() {
            self.encoder.ask_for(self.gather.memory(later));
            self.gathered(start + batch.num_rows() as u64, leave_out, read)?;
        }
        Ok(())
    }

    /// Takes the small batches that were put together, which end before row `end`.
    fn gathered(&mut self, end: u64, leave_out: &RowSet, read: &mut Read) -> Result<(), Error> {
        let start = end - self.gather.rows() as u64;
        match self.gather.take().map_err(Error::source)? {
            Some(batch) => self.pieces(&batch, start, leave_out, read)?,
            None => return Ok(()),
        }
        self.encoder.ask_for(std::iter::empty());
        self.gather.recycle();
        Ok(())
    }

    /// Takes those rows of a batch that are to be sent.
    fn pieces(&mut self, batch: &RecordBatch, start: u64, leave_out: &RowSet, read: &mut Read) -> Result<(), Error> {
        let rows = start..start + batch.num_rows() as u64;
        for piece in leave_out.missing(rows.clone()) {
            // A request's rows follow each other.
            if self.filling.as_ref().is_some_and(|filling| filling.end_row() != piece.start) {
                self.submit()?;
            }
            // Of a piece some rows may have been counted by an earlier attempt.
            for part in
                [piece.start..read.counted.clamp(piece.start, piece.end), piece.start.max(read.counted)..piece.end]
            {
                if part.is_empty() {
                    continue;
                }
                read.row = part.start;
                if part == rows {
                    self.batch(batch, read)?;
                } else {
                    self.batch(&batch.slice((part.start - start) as usize, (part.end - part.start) as usize), read)?;
                }
            }
        }
        read.row = rows.end;
        Ok(())
    }

    /// Takes a batch, some rows at a time if columns have to be cast: what a cast makes is a copy.
    fn batch(&mut self, batch: &RecordBatch, read: &mut Read) -> Result<(), Error> {
        let (plan, rows) = (self.plan, batch.num_rows());
        let most = rows_at_a_time(plan.columns.iter().map(|column| (column, batch.column(column.index))), rows);
        if most == rows {
            return self.rows(batch, read);
        }
        (0..rows).step_by(most).try_for_each(|start| self.rows(&batch.slice(start, most.min(rows - start)), read))
    }

    fn rows(&mut self, batch: &RecordBatch, read: &mut Read) -> Result<(), Error> {
        let dictionaries = self.dictionaries.clone();
        let arrays = cast_batch(self.plan, batch).map_err(Error::source)?;
        let bound = self.encoder.bind(&arrays, batch.num_rows(), dictionaries.as_deref())?;
        let mut row = 0;
        while row < bound.rows() {
            row = self.block(&bound, row, read)?;
        }
        let is_counted = read.row <= read.counted;
        for (index, lost) in self.encoder.take_lost().filter(|_| !is_counted) {
            read.lost[index] += lost;
        }
        if !is_counted {
            for (index, nulls) in self.encoder.nulls(&bound) {
                read.nulls[index] += nulls;
            }
            for index in &self.untyped {
                read.nulls[*index] += batch.num_rows() as u64;
            }
            read.counted = read.row;
        }
        self.encoder.release(bound);
        Ok(())
    }

    /// The rows of a block: fewer than the encoder would take where rows are so long that they would fill a buffer. What
    /// does not fit has been prepared in vain, and preparing is most of the work.
    fn block_rows(&self) -> usize {
        let (rows, buffer) = (self.encoder.block_rows(), self.outlet.buffer_size());
        if self.row_bound.saturating_mul(rows) <= buffer / 2 {
            return rows;
        }
        if !self.encoder.has_like_rows() {
            return (buffer / 2 / self.row_bound).clamp(1, rows);
        }
        // The rows that there is room for, if they are a good part of a block; else those that a buffer takes.
        let used = self.filling.as_ref().map_or(0, |filling| filling.buffer.len());
        let fit = |room: usize| room / (self.row_bound + self.row_bound / 32);
        let most = fit(buffer).clamp(1, rows);
        let left = fit(self.max_bytes.min(buffer).saturating_sub(used));
        if left >= most / 4 { left.clamp(1, most) } else { most }
    }

    /// Encodes some rows from `start` on and returns the next row.
    fn block(&mut self, batch: &BoundBatch<'_>, start: usize, read: &mut Read) -> Result<usize, Error> {
        let filled = self.filling.as_ref().map_or(0, |filling| filling.end_row() - filling.first_row);
        let max_rows =
            if self.is_first { self.limits.max_rows.min(self.limits.first_rows) } else { self.limits.max_rows };
        let room = usize::try_from(max_rows.saturating_sub(filled)).unwrap_or(usize::MAX);
        if room == 0 {
            self.submit_before(batch.at_of(start))?;
            return Ok(start);
        }
        let most = self.block_rows();
        // The last block that the limit on rows leaves room for ends the request, where `at` changes if it does.
        let is_last = room <= most && start + room < batch.rows();
        let mut rows = start..batch.block_end(start, most.min(room));
        let mut misses = 0;
        let mut prepared = None;
        loop {
            let block = match prepared.take() {
                Some(block) => block,
                None => self.prepare(batch, rows.clone(), start, read)?,
            };
            self.row_bound = block.bound / rows.len();
            let capacity = self.max_bytes.min(self.outlet.buffer_size());
            let used = self.filling.as_ref().map_or(0, |filling| filling.buffer.len());
            let free = capacity.saturating_sub(used);
            if self.limits.atomic {
                self.make_room(block.bound, read)?;
                self.fill(batch, rows.clone(), block, read)?;
                break;
            }
            if block.bound <= free {
                self.fill(batch, rows.clone(), block, read)?;
                break;
            }
            // A request at least half full goes as it is; else a smaller block may still fit.
            if used > 0 && (used >= capacity / 2 || rows.len() == 1) {
                self.submit_before(batch.at_of(rows.start))?;
                prepared = Some(block);
                continue;
            }
            if rows.len() > 1 {
                // About as many rows as should fit; where rows are too unlike for that, soon much fewer.
                let fit = (rows.len() as u128 * free as u128 / block.bound as u128) as usize;
                let fit = (fit - fit / 16) >> misses;
                misses += 1;
                rows.end = batch.block_end(start, fit.clamp(1, rows.len() - 1));
                continue;
            }
            if block.bound <= self.outlet.buffer_size() {
                // Larger than the caller's limit on bytes, which a single row cannot keep.
                self.fill(batch, rows.clone(), block, read)?;
                break;
            }
            self.large_row(batch, rows.clone(), block, read)?;
            break;
        }
        if is_last {
            self.submit_before(batch.at_of(rows.end))?;
        }
        Ok(rows.end)
    }

    /// Prepares rows of a batch, of which `start` is the one that `read` has come to.
    fn prepare(
        &mut self,
        batch: &BoundBatch<'_>,
        rows: Range<usize>,
        start: usize,
        read: &Read,
    ) -> Result<Block, Error> {
        self.encoder.prepare(batch, rows).map_err(|BadCode { column, row, code, values }| {
            let text =
                format!("the code {code} of a categorical is none of its {values} categories; make the column anew");
            let problem = Problem::new(Cause::Source(text)).with_column(self.plan.columns[column].name.text());
            Error::new(problem.with_row(read.row + (row - start) as u64)).with_table(self.plan.table())
        })
    }

    fn fill(&mut self, batch: &BoundBatch<'_>, rows: Range<usize>, block: Block, read: &mut Read) -> Result<(), Error> {
        if self.filling.is_none() {
            let buffer = self.outlet.acquire()?;
            self.filling = Some(Filling { buffer, first_row: read.row, marks: Vec::new(), skipped: Vec::new() });
        }
        // Where it is: to take it out and put it back is felt by many small batches.
        let Some(filling) = &mut self.filling else { return Ok(()) };
        // No more than was asked for: what is written must keep to that.
        let room = &mut filling.buffer.spare()[..block.bound];
        let written = self.encoder.encode(batch, room, &mut self.skipped);
        filling.buffer.advance(written);
        let lines = rows.len() - self.skipped.len();
        filling.advance(&mut self.skipped, rows.len(), block, read);
        // The first block with lines tells how long they are: enough to share a small frame among the connections.
        if written > 0 && filling.buffer.len() == written && self.is_first && !self.limits.atomic {
            self.share(written, lines);
        }
        Ok(())
    }

    /// Makes room for so many bytes in the one request of an atomic write.
    fn make_room(&mut self, bound: usize, read: &Read) -> Result<(), Error> {
        let max_buf_size = self.limits.max_buf_size;
        let too_large = |bytes| {
            let problem = Problem::new(ValueError::FrameTooLarge { bytes, max_buf_size });
            Error::new(problem).with_table(self.plan.table())
        };
        let Some(filling) = &mut self.filling else {
            let size = bound.max(self.outlet.buffer_size());
            let buffer = Buffer::try_one_off(size).ok_or_else(|| too_large(bound))?;
            self.filling = Some(Filling { buffer, first_row: read.row, marks: Vec::new(), skipped: Vec::new() });
            return Ok(());
        };
        let used = filling.buffer.len();
        if used > max_buf_size || !filling.buffer.reserve(bound) {
            return Err(too_large(used));
        }
        Ok(())
    }

    fn share(&mut self, bytes: usize, lines: usize) {
        if let Some(total) = self.total_rows {
            let frame = bytes as u128 * u128::from(total) / lines.max(1) as u128;
            let share = usize::try_from(frame / (2 * self.limits.connections.max(1)) as u128).unwrap_or(usize::MAX);
            // A little more, so that the last request is not a crumb.
            self.max_bytes = self.limits.max_bytes.min(share.saturating_add(share / 16).max(MIN_SHARED));
        }
    }

    /// A row too long for the pool's buffers goes alone in a buffer of its own.
    fn large_row(
        &mut self,
        batch: &BoundBatch<'_>,
        rows: Range<usize>,
        block: Block,
        read: &mut Read,
    ) -> Result<(), Error> {
        let max_buf_size = self.limits.max_buf_size;
        let too_large = |bytes: usize| {
            let problem = Problem::new(ValueError::RowTooLarge { bytes, max_buf_size }).with_row(read.row);
            Error::new(problem).with_table(self.plan.table())
        };
        // The bound counts every byte of a string twice, for its escape.
        if block.bound / 2 > max_buf_size.saturating_add(1 << 20) {
            return Err(too_large(block.bound / 2));
        }
        // Rows without a line may wait in a request, and its buffer is needed.
        self.submit()?;
        // As much as one of the pool's is: who reads faster than the server takes such rows has to wait, too.
        let place = self.outlet.acquire_place()?;
        let mut buffer = Buffer::try_one_off(block.bound).ok_or_else(|| Error::of(Cause::NoMemory(block.bound)))?;
        buffer.stands_for(place);
        let written = self.encoder.encode(batch, buffer.spare(), &mut self.skipped);
        if written > max_buf_size {
            return Err(too_large(written));
        }
        buffer.advance(written);
        let mut filling = Filling { buffer, first_row: read.row, marks: Vec::new(), skipped: Vec::new() };
        filling.advance(&mut self.skipped, rows.len(), block, read);
        self.filling = Some(filling);
        self.submit()
    }

    /// Submits what is filled, whole.
    fn submit(&mut self) -> Result<(), Error> {
        match self.filling.take() {
            Some(filling) => self.hand_over(filling),
            None => Ok(()),
        }
    }

    /// Submits what is filled, up to a place where `at` changes if one is near; `next` is the timestamp that follows.
    fn submit_before(&mut self, next: Option<i64>) -> Result<(), Error> {
        let Some(mut filling) = self.filling.take() else { return Ok(()) };
        let Some(cut) = self.find_cut(&filling, next) else { return self.hand_over(filling) };
        let mark = filling.marks[cut];
        let rest = filling.marks.split_off(cut + 1);
        self.tail.clear();
        self.tail.extend_from_slice(&filling.buffer.filled()[mark.bytes..]);
        filling.buffer.truncate(mark.bytes);
        let split = filling.skipped.partition_point(|row| *row < mark.row);
        let skipped = filling.skipped.split_off(split);
        self.hand_over(filling)?;
        if self.tail.is_empty() && rest.iter().all(|rest| rest.row == mark.row) {
            return Ok(());
        }

        let mut buffer = self.outlet.acquire()?;
        buffer.spare()[..self.tail.len()].copy_from_slice(&self.tail);
        buffer.advance(self.tail.len());
        let marks = rest.into_iter().map(|rest| Mark { bytes: rest.bytes - mark.bytes, ..rest }).collect();
        self.filling = Some(Filling { buffer, first_row: mark.row, marks, skipped });
        Ok(())
    }

    /// The last mark before a change of `at`, if it is not the end itself and near enough to it.
    fn find_cut(&self, filling: &Filling, next: Option<i64>) -> Option<usize> {
        if !matches!(self.plan.at, AtPlan::Column { .. }) {
            return None;
        }
        let floor = filling.buffer.len() - filling.buffer.len() / LOOK_BACK;
        let mut following = next;
        for (index, mark) in filling.marks.iter().enumerate().rev() {
            if mark.bytes < floor || mark.bytes == 0 {
                return None;
            }
            let (first, last) = mark.ends?;
            if following.is_some_and(|following| following != last) {
                return (index + 1 < filling.marks.len()).then_some(index);
            }
            following = Some(first);
        }
        None
    }

    fn hand_over(&mut self, filling: Filling) -> Result<(), Error> {
        let (bytes, max_buf_size) = (filling.buffer.len(), self.limits.max_buf_size);
        if self.limits.atomic && bytes > max_buf_size {
            let problem = Problem::new(ValueError::FrameTooLarge { bytes, max_buf_size });
            return Err(Error::new(problem).with_table(self.plan.table()));
        }
        self.is_first = false;
        let end = filling.end_row();
        // One block without timestamps of its own, and the request has none to go by.
        let at =
            filling.marks.iter().map(|mark| mark.at).reduce(|a, b| Some((a?.0.min(b?.0), a?.1.max(b?.1)))).flatten();
        let Filling { buffer, first_row, skipped, .. } = filling;
        self.outlet.submit(Request { buffer, rows: first_row..end, skipped, at })
    }
}

#[cfg(test)]
mod tests;
