//! Lines of segments and strings alone: no nulls, no long cells. One step in such a line goes one of two ways and not one
//! of sixteen, which the processor foresees more often: a tenth of the time where a line has a string (`make bench`,
//! strings).

use super::assemble::{Op, PreparedBlock, room};
use super::segment::Segment;
use super::store::Ahead;
use crate::column::Text;
#[cfg(target_arch = "x86_64")]
use crate::fmt::escape::Avx512;
use crate::fmt::escape::{Escape, Escaper, Portable};
use crate::simd::also_for_avx2;

/// A segment, and the string behind it.
pub(super) struct Part<'o, 'a> {
    segment: &'o Segment<'a>,
    text: Option<(&'a Text<'a>, usize, Option<Escape>)>,
}

/// These steps as parts, if they are nothing else.
pub(super) fn parts<'o, 'a>(ops: &'o [Op<'a>]) -> Option<Vec<Part<'o, 'a>>> {
    let mut parts = Vec::with_capacity(ops.len());
    for op in ops {
        match op {
            Op::Segment(segment) => parts.push(Part { segment, text: None }),
            Op::Text { text, base, escape } => match parts.last_mut() {
                Some(part @ Part { text: None, .. }) => part.text = Some((text, *base, *escape)),
                _ => return None,
            },
            _ => return None,
        }
    }
    Some(parts)
}

/// The rows of lines of such parts, to the start of `out`; returns the bytes written.
///
/// # Panics
/// If `out` is shorter than what the rows may take, `need` the fixed cells of each: our bug.
pub(super) fn segments_and_strings(
    parts: &[Part<'_, '_>],
    block: &PreparedBlock<'_>,
    need: usize,
    out: &mut [u8],
) -> usize {
    #[cfg(target_arch = "x86_64")]
    if let Some(escaper) = Avx512::new() {
        #[target_feature(
            enable = "avx2,fma,bmi1,bmi2,popcnt,avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2"
        )]
        fn avx512(
            escaper: Avx512,
            parts: &[Part<'_, '_>],
            block: &PreparedBlock<'_>,
            need: usize,
            out: &mut [u8],
        ) -> usize {
            rows(escaper, parts, block, need, out)
        }
        // SAFETY: the level is available.
        return unsafe { avx512(escaper, parts, block, need, out) };
    }
    portable(parts, block, need, out)
}

also_for_avx2! {
    fn portable(parts: &[Part<'_, '_>], block: &PreparedBlock<'_>, need: usize, out: &mut [u8]) -> usize = portable_any
}

#[inline(always)]
fn portable_any(parts: &[Part<'_, '_>], block: &PreparedBlock<'_>, need: usize, out: &mut [u8]) -> usize {
    rows(Portable, parts, block, need, out)
}

#[inline(always)]
fn rows(
    escaper: impl Escaper,
    parts: &[Part<'_, '_>],
    block: &PreparedBlock<'_>,
    need: usize,
    out: &mut [u8],
) -> usize {
    let mut p = 0;
    for i in 0..block.rows {
        if i % Ahead::ROWS == 0 {
            block.ahead.iter().for_each(|ahead| ahead.prefetch(i));
        }
        room(out, p, need);
        for part in parts {
            // SAFETY: the lanes have been checked when the steps were made, and `room` has checked, since the position
            // last moved by more than fixed cells, that there is room for all of those of a row.
            p = unsafe { part.segment.write(i, out, p) };
            if let Some((text, base, escape)) = part.text {
                p += text.write(base + i, escape, escaper, out, p);
                room(out, p, need);
            }
        }
    }
    p
}
