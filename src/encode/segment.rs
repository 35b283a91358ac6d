//! Segments: the short cells of neighbouring columns, the run behind them, and a string behind that. Most lines are one
//! segment as a whole.

use super::lanes::{CELL, CellLane, NARROW_CELL, SlotLane, TextLane};
use super::store::{Ahead, Asked, copy, get, pieces, prefetch};

/// What a segment has one after the other.
pub(super) enum SegmentLane<'a> {
    Cell(CellLane<'a>),
    Slot(SlotLane<'a>),
}

/// Makes room once, and only where something comes.
fn push<T>(lanes: &mut Vec<T>, lane: T, most: usize) {
    if lanes.is_empty() {
        lanes.reserve_exact(most);
    }
    lanes.push(lane);
}

/// Where in a run the values of a lane go.
pub(super) type Poke<'a> = (usize, &'a [u64]);

/// Which lanes a segment has, timestamps aside.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Kind {
    /// None: it is a run alone.
    Run,
    /// Cells, all of the narrowest width, and words.
    NarrowCells,
    /// Cells and words.
    Cells,
    /// Slots and bytes.
    Slots,
    #[default]
    Any,
}

/// Some cells of at most 64 bytes, then values in slots, then a run with what is poked into it.
#[derive(Debug, Default)]
pub(super) struct Segment<'a> {
    pub(super) cells: Vec<CellLane<'a>>,
    pub(super) slots: Vec<SlotLane<'a>>,
    /// The run, padded to whole pieces.
    pub(super) template: &'a [u8],
    pub(super) len: usize,
    pub(super) words: Vec<Poke<'a>>,
    pub(super) bytes: Vec<(usize, &'a [u8])>,
    /// Digits of designated timestamps.
    pub(super) digits: Option<(usize, &'a [[u64; 2]])>,
    /// The strings behind the run.
    pub(super) text: Option<TextLane<'a>>,
    pub(super) kind: Kind,
    /// Whether all of its cells are of the narrowest width.
    pub(super) is_narrow: bool,
    /// Whether the fields start behind its cells, and which of them comes first differs from row to row.
    pub(super) starts_fields: bool,
    /// Whether with it there is a field in every row since they started: a space goes to where that was, for the comma
    /// that is there.
    pub(super) mends: bool,
}

impl<'a> Segment<'a> {
    /// Whether a lane can be put behind those that are there: there is no run yet, and cells come before slots.
    pub(super) fn takes(&self, lane: &SegmentLane<'_>) -> bool {
        let takes_cells = self.slots.is_empty() && !self.starts_fields;
        self.is_open() && (takes_cells || matches!(lane, SegmentLane::Slot(_)))
    }

    /// Whether there is nothing behind its cells and slots yet.
    pub(super) fn is_open(&self) -> bool {
        self.template.is_empty() && self.text.is_none()
    }

    /// Puts a lane behind those that are there; of one kind there will be at most so many.
    pub(super) fn push(&mut self, lane: SegmentLane<'a>, most: usize) {
        match lane {
            SegmentLane::Cell(lane) => push(&mut self.cells, lane, most),
            SegmentLane::Slot(lane) => push(&mut self.slots, lane, most),
        }
    }

    /// To be called when it has all of its lanes.
    pub(super) fn settle(&mut self) {
        self.is_narrow = self.cells.iter().all(|cells| cells.width == NARROW_CELL);
        let has_cells = !self.cells.is_empty() || !self.words.is_empty();
        let has_slots = !self.slots.is_empty() || !self.bytes.is_empty();
        self.kind = match (has_cells, has_slots) {
            (false, false) => Kind::Run,
            (true, false) if self.is_narrow => Kind::NarrowCells,
            (true, false) => Kind::Cells,
            (false, true) => Kind::Slots,
            (true, true) => Kind::Any,
        };
    }

    /// Whether it has to do with nulls in fields.
    pub(super) fn has_nulls(&self) -> bool {
        self.starts_fields || self.mends || self.text.is_some_and(|text| text.maybe.is_some())
    }

    /// Writes the segment of row `i`, without the string behind it, to `out[at..]` and returns its end. With `NULLS`,
    /// `fields` is where those of the row started; else it has nothing to do with nulls in fields.
    ///
    /// To go by lanes that are not there, row for row, takes longer than to write a short string (`make bench`,
    /// strings).
    ///
    /// # Safety
    /// `i` is less than the rows of every lane, and `out` has room for the most that the segment writes: each of its
    /// cells and slots padded, the template, and what is poked into it.
    #[inline(always)]
    pub(super) unsafe fn write<const NULLS: bool>(
        &self,
        i: usize,
        out: &mut [u8],
        at: usize,
        fields: &mut usize,
    ) -> usize {
        let Self { cells, slots, words, bytes, digits, .. } = self;
        let (starts_fields, mends) = (NULLS && self.starts_fields, NULLS && self.mends);
        let none = Lanes { cells: &[], slots: &[], words: &[], bytes: &[], digits: *digits, starts_fields, mends };
        macro_rules! by_template {
            ($is_narrow:literal, $lanes:expr) => {
                match self.template.len() {
                    // SAFETY: the caller's promise is the callee's; these are all of its lanes.
                    32 => unsafe { self.write_lanes::<32, $is_narrow>($lanes, i, out, at, fields) },
                    // SAFETY: as above.
                    64 => unsafe { self.write_lanes::<64, $is_narrow>($lanes, i, out, at, fields) },
                    // SAFETY: as above.
                    _ => unsafe { self.write_lanes::<0, $is_narrow>($lanes, i, out, at, fields) },
                }
            };
        }
        match self.kind {
            Kind::Run => by_template!(true, none),
            Kind::NarrowCells => by_template!(true, Lanes { cells, words, ..none }),
            // SAFETY: the caller's promise is the callee's.
            Kind::Cells => unsafe { self.write_lanes::<0, false>(Lanes { cells, words, ..none }, i, out, at, fields) },
            Kind::Slots => by_template!(true, Lanes { slots, bytes, ..none }),
            // SAFETY: the caller's promise is the callee's.
            Kind::Any => unsafe {
                self.write_lanes::<0, false>(Lanes { cells, slots, words, bytes, ..none }, i, out, at, fields)
            },
        }
    }

    /// As [`write`](Self::write), with its lanes where the compiler can see how many there are, and a template of
    /// `TEMPLATE` bytes, 0 for any.
    ///
    /// # Safety
    /// As [`write`](Self::write); `lanes` are the segment's, `TEMPLATE` is the length of its template, if not 0, and all
    /// cells are of the narrowest width if `IS_NARROW`.
    #[inline(always)]
    unsafe fn write_lanes<const TEMPLATE: usize, const IS_NARROW: bool>(
        &self,
        lanes: Lanes<'_, 'a>,
        i: usize,
        out: &mut [u8],
        at: usize,
        fields: &mut usize,
    ) -> usize {
        let mut p = at;
        for cell in lanes.cells {
            p += if IS_NARROW || cell.width == NARROW_CELL {
                // SAFETY: promised by the caller; the cells are of this width.
                unsafe { cell.write::<NARROW_CELL>(i, out, p) }
            } else {
                // SAFETY: promised by the caller; there are but two widths in segments.
                unsafe { cell.write::<CELL>(i, out, p) }
            };
        }
        if lanes.starts_fields {
            *fields = p;
        }
        for slot in lanes.slots {
            // SAFETY: promised by the caller.
            p += unsafe { slot.write(i, out, p) };
        }
        if TEMPLATE == 0 {
            // SAFETY: promised by the caller.
            unsafe { pieces(out, p, self.template) };
        } else {
            // SAFETY: promised by the caller.
            unsafe { copy::<TEMPLATE>(out, p, self.template, 0) };
        }
        for (offset, words) in lanes.words {
            // SAFETY: promised by the caller.
            let word = unsafe { get(words, i) };
            // SAFETY: a poke lies inside its run.
            unsafe { copy::<8>(out, p + offset, &word.to_le_bytes(), 0) };
        }
        for (offset, bytes) in lanes.bytes {
            // SAFETY: promised by the caller.
            let byte = unsafe { get(bytes, i) };
            // SAFETY: a poke lies inside its run.
            unsafe { copy::<1>(out, p + offset, &[byte], 0) };
        }
        if let Some((offset, digits)) = lanes.digits {
            // SAFETY: promised by the caller.
            let [high, low] = unsafe { get(digits, i) };
            // SAFETY: a poke lies inside its run.
            unsafe { copy::<8>(out, p + offset, &high.to_le_bytes(), 0) };
            // SAFETY: as above.
            unsafe { copy::<8>(out, p + offset + 8, &low.to_le_bytes(), 0) };
        }
        if lanes.mends {
            out[*fields] = b' ';
        }
        p + self.len
    }
}

/// The lanes of a segment.
#[derive(Clone, Copy)]
struct Lanes<'l, 'a> {
    cells: &'l [CellLane<'a>],
    slots: &'l [SlotLane<'a>],
    words: &'l [Poke<'a>],
    bytes: &'l [(usize, &'a [u8])],
    digits: Option<(usize, &'a [[u64; 2]])>,
    starts_fields: bool,
    mends: bool,
}

/// The row loop of lines that are one segment: no strings. Returns the bytes written.
///
/// In narrow lines the overhead of loops over two or three things counts, more than what they write: where the compiler
/// knows the numbers, trades take an eighth less time (`cargo bench --bench encode`).
///
/// # Safety
/// Every lane has `rows` rows, and `out` has room for the most that the segment writes so many times.
#[inline(always)]
pub(super) unsafe fn write_rows(segment: &Segment<'_>, ahead: Asked<'_>, rows: usize, out: &mut [u8]) -> usize {
    let Segment { cells, slots, words, bytes, digits, template, starts_fields, mends, .. } = segment;
    let (starts_fields, mends) = (*starts_fields, *mends);
    let all = Lanes { cells, slots, words, bytes, digits: *digits, starts_fields, mends };
    let large: Vec<CellLane<'_>> = cells.iter().filter(|cells| cells.is_large).copied().collect();
    let is_simple = large.is_empty() && slots.is_empty() && bytes.is_empty() && !segment.has_nulls();
    macro_rules! rows_of {
        ($template:literal, $is_narrow:literal, $lanes:expr, $large:expr) => {
            // SAFETY: the caller's promise is the callee's.
            unsafe { rows_of::<$template, $is_narrow>(segment, $lanes, $large, ahead, rows, out) }
        };
    }
    macro_rules! by_width {
        ($lanes:expr, $large:expr) => {
            match segment.is_narrow {
                true => rows_of!(0, true, $lanes, $large),
                false => rows_of!(0, false, $lanes, $large),
            }
        };
    }
    let (true, Some(digits)) = (is_simple, *digits) else { return by_width!(all, &large) };
    let simple = Lanes { slots: &[], bytes: &[], digits: Some(digits), starts_fields: false, mends: false, ..all };
    macro_rules! by_template {
        ($lanes:expr) => {
            match (segment.is_narrow, template.len()) {
                (true, 32) => rows_of!(32, true, $lanes, &[]),
                (true, 64) => rows_of!(64, true, $lanes, &[]),
                (true, 96) => rows_of!(96, true, $lanes, &[]),
                _ => by_width!($lanes, &[]),
            }
        };
    }
    macro_rules! by_words {
        ($lanes:expr) => {
            match **words {
                [] => by_template!(Lanes { words: &[], ..$lanes }),
                [a] => by_template!(Lanes { words: &[a], ..$lanes }),
                [a, b] => by_template!(Lanes { words: &[a, b], ..$lanes }),
                [a, b, c] => by_template!(Lanes { words: &[a, b, c], ..$lanes }),
                _ => by_template!($lanes),
            }
        };
    }
    match **cells {
        [] => by_words!(Lanes { cells: &[], ..simple }),
        [a] => by_words!(Lanes { cells: &[a], ..simple }),
        [a, b] => by_words!(Lanes { cells: &[a, b], ..simple }),
        [a, b, c] => by_words!(Lanes { cells: &[a, b, c], ..simple }),
        _ => by_width!(simple, &[]),
    }
}

/// How many rows ahead the cells of large dictionaries are asked for: a tenth of the time where one symbol of tsbs has
/// 4,000 values (`make bench`).
pub(super) const CELLS_AHEAD: usize = 16;

/// The loop itself.
///
/// # Safety
/// As [`write_rows`]; `lanes` are the segment's, `large` some of its cells, `TEMPLATE` is the length of its template, if
/// not 0, and all cells are of the narrowest width if `IS_NARROW`.
#[inline(always)]
unsafe fn rows_of<const TEMPLATE: usize, const IS_NARROW: bool>(
    segment: &Segment<'_>,
    lanes: Lanes<'_, '_>,
    large: &[CellLane<'_>],
    ahead: Asked<'_>,
    rows: usize,
    out: &mut [u8],
) -> usize {
    let (mut p, mut fields) = (0, 0);
    for start in (0..rows).step_by(Ahead::ROWS) {
        ahead.prefetch(start);
        for i in start..rows.min(start + Ahead::ROWS) {
            for cells in large {
                // SAFETY: there is such a row.
                unsafe { cells.prefetch((i + CELLS_AHEAD).min(rows - 1)) };
            }
            // SAFETY: the caller's promise is the callee's.
            let end = unsafe { segment.write_lanes::<TEMPLATE, IS_NARROW>(lanes, i, out, p, &mut fields) };
            prefetch(out, p, end - p);
            p = end;
        }
    }
    p
}
