//! Lines of segments and the strings behind them alone: no long cells, no long names of nullable columns. With one kind of
//! step there is nothing to choose row for row, and the compiler has registers enough: a fifth of the time where a line
//! is a string and a timestamp (`cargo bench --bench encode`, strings).

use super::assemble::{Op, PreparedBlock};
use super::store::{Ahead, room};
#[cfg(target_arch = "x86_64")]
use crate::fmt::escape::Avx512;
use crate::fmt::escape::{Escaper, Portable};
use crate::simd::also_for_avx2;

/// Whether these steps are nothing else.
pub(super) fn are_segments(ops: &[Op<'_>]) -> bool {
    ops.iter().all(|op| matches!(op, Op::Segment(_)))
}

/// The rows of lines of such steps, to the start of `out`; returns the bytes written.
///
/// # Panics
/// If `out` is shorter than what the rows may take, `need` the fixed cells of each: our bug.
pub(super) fn segments(ops: &[Op<'_>], block: &PreparedBlock<'_>, need: usize, out: &mut [u8]) -> usize {
    #[cfg(target_arch = "x86_64")]
    if let Some(escaper) = Avx512::new() {
        #[target_feature(
            enable = "avx2,fma,bmi1,bmi2,popcnt,avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2"
        )]
        fn avx512(escaper: Avx512, ops: &[Op<'_>], block: &PreparedBlock<'_>, need: usize, out: &mut [u8]) -> usize {
            any_rows(escaper, ops, block, need, out)
        }
        // SAFETY: the level is available.
        return unsafe { avx512(escaper, ops, block, need, out) };
    }
    portable(ops, block, need, out)
}

also_for_avx2! {
    fn portable(ops: &[Op<'_>], block: &PreparedBlock<'_>, need: usize, out: &mut [u8]) -> usize = portable_any
}

#[inline(always)]
fn portable_any(ops: &[Op<'_>], block: &PreparedBlock<'_>, need: usize, out: &mut [u8]) -> usize {
    any_rows(Portable, ops, block, need, out)
}

#[inline(always)]
fn any_rows(escaper: impl Escaper, ops: &[Op<'_>], block: &PreparedBlock<'_>, need: usize, out: &mut [u8]) -> usize {
    if ops.iter().any(|op| matches!(op, Op::Segment(segment) if segment.has_nulls())) {
        rows::<true>(escaper, ops, block, need, out)
    } else {
        rows::<false>(escaper, ops, block, need, out)
    }
}

/// The loop itself, with `NULLS` if fields may be null.
#[inline(always)]
fn rows<const NULLS: bool>(
    escaper: impl Escaper,
    ops: &[Op<'_>],
    block: &PreparedBlock<'_>,
    need: usize,
    out: &mut [u8],
) -> usize {
    let (mut p, mut fields) = (0, 0);
    for start in (0..block.rows).step_by(Ahead::ROWS) {
        block.ahead.prefetch(start);
        for i in start..block.rows.min(start + Ahead::ROWS) {
            room(out, p, need);
            for op in ops {
                // `assemble` comes here only where `are_segments` has said so.
                let Op::Segment(segment) = op else { unreachable!("a step that is no segment") };
                // SAFETY: the lanes have been checked when the steps were made, and `room` has checked, since the position
                // last moved by more than fixed cells, that there is room for all of those of a row.
                p = unsafe { segment.write::<NULLS>(i, out, p, &mut fields) };
                if let Some(text) = &segment.text {
                    // SAFETY: as above; a padded key is one of the fixed cells.
                    p = unsafe { text.write::<NULLS>(i, escaper, out, p, need) };
                }
            }
        }
    }
    p
}
