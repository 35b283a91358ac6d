//! The codes of a block's rows, which become numbers of cells, with the greatest of them: it is found while they are
//! copied, so that nobody walks over them again to know that each has a cell.

use std::ops::Range;

use crate::column::{Integers, Keys};
use crate::simd::{also_for_avx2, also_for_avx512, prefetch_line};

/// A code for each row of a block.
#[derive(Debug, Default)]
pub(crate) struct Codes {
    codes: Vec<u32>,
    /// The codes in a byte each, and then not in `codes`.
    bytes: Vec<u8>,
    /// No code is greater.
    most: u32,
}

impl Codes {
    pub(super) fn all(&self) -> &[u32] {
        &self.codes
    }

    /// The codes in a byte each, if they have been read so, and then not in [`all`](Self::all).
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// No code is greater than this.
    pub(super) fn most(&self) -> u32 {
        self.most
    }

    /// Takes the codes of these rows, `null` for those without, and tells from which code to behind which those of the
    /// others are; something empty of nothing.
    pub(super) fn read(&mut self, keys: &Keys<'_>, rows: Range<usize>, null: u32) -> (u32, u64) {
        self.bytes.clear();
        let (least, most) = match keys.codes {
            Integers::U32(codes) => {
                self.codes.resize(rows.len(), 0);
                copy(&codes[rows.clone()], &mut self.codes)
            }
            _ => {
                keys.fill(rows.clone(), &mut self.codes);
                range(&self.codes)
            }
        };
        self.most = most;
        if keys.nulls.is_none() {
            return (least, u64::from(most) + 1);
        }
        // Where null a code may be anything.
        keys.put_nulls(rows, null, &mut self.codes);
        self.most = range(&self.codes).1;
        range_without(&self.codes, null)
    }

    /// As [`read`](Self::read), codes that have no nulls, in a byte each: of columns so many that those of a block fill the
    /// caches. What is behind is good for nothing if one is greater than a byte holds.
    pub(super) fn read_bytes(&mut self, codes: &[u32]) -> (u32, u64) {
        self.codes.clear();
        self.bytes.resize(codes.len(), 0);
        let (least, most) = copy_bytes(codes, &mut self.bytes);
        self.most = most;
        (least, u64::from(most) + 1)
    }

    /// Has the codes in [`all`](Self::all), however they have been read.
    pub(super) fn widen(&mut self) {
        if !self.bytes.is_empty() {
            self.codes.extend(self.bytes.drain(..).map(u32::from));
        }
    }

    /// Puts `cells[code]` for each code.
    ///
    /// # Panics
    /// If there are fewer cells.
    pub(super) fn translate(&mut self, cells: &[u32]) {
        self.most = 0;
        for code in &mut self.codes {
            *code = cells[*code as usize];
            self.most = self.most.max(*code);
        }
    }
}

also_for_avx2! {
    /// Copies codes, and gives the least and the greatest.
    fn copy(codes: &[u32], out: &mut [u32]) -> (u32, u32) = copy_any
}

#[inline(always)]
fn copy_any(codes: &[u32], out: &mut [u32]) -> (u32, u32) {
    // By cache lines, of which those of the block are asked for ahead; what is behind it comes while its rows are written.
    const LINE: usize = 64 / size_of::<u32>();
    const AHEAD: usize = 32;
    let (lines, _) = codes.as_chunks::<LINE>();
    let (mut least, mut most) = ([u32::MAX; LINE], [0; LINE]);
    for (i, (line, out)) in lines.iter().zip(out.as_chunks_mut::<LINE>().0).enumerate() {
        if let Some(later) = lines.get(i + AHEAD) {
            prefetch_line(later);
        }
        *out = *line;
        for lane in 0..LINE {
            least[lane] = least[lane].min(line[lane]);
            most[lane] = most[lane].max(line[lane]);
        }
    }
    // What is behind the lines, once more with some before it: to look twice does no harm, and each by itself takes longer.
    let (Some(last), Some(out)) = (codes.last_chunk::<LINE>(), out.last_chunk_mut()) else {
        out.copy_from_slice(codes);
        return range_any(codes);
    };
    *out = *last;
    for lane in 0..LINE {
        least[lane] = least[lane].min(last[lane]);
        most[lane] = most[lane].max(last[lane]);
    }
    // By halves, which vectors do at once.
    let mut half = LINE / 2;
    while half > 0 {
        for lane in 0..half {
            least[lane] = least[lane].min(least[lane + half]);
            most[lane] = most[lane].max(most[lane + half]);
        }
        half /= 2;
    }
    (least[0], most[0])
}

also_for_avx512! {
    /// Copies the last byte of codes, and gives the least and the greatest code.
    fn copy_bytes(codes: &[u32], out: &mut [u8]) -> (u32, u32) = copy_bytes_any
}

#[inline(always)]
fn copy_bytes_any(codes: &[u32], out: &mut [u8]) -> (u32, u32) {
    const LANES: usize = 32;
    let (groups, rest) = codes.as_chunks::<LANES>();
    let (out_groups, out_rest) = out.as_chunks_mut::<LANES>();
    let (mut least, mut most) = ([u32::MAX; LANES], [0; LANES]);
    for (codes, out) in groups.iter().zip(out_groups) {
        for lane in 0..LANES {
            least[lane] = least[lane].min(codes[lane]);
            most[lane] = most[lane].max(codes[lane]);
            out[lane] = codes[lane] as u8;
        }
    }
    for (code, out) in rest.iter().zip(out_rest) {
        *out = *code as u8;
    }
    let (least, most) = (least.into_iter().fold(u32::MAX, u32::min), most.into_iter().fold(0, u32::max));
    rest.iter().fold((least, most), |(least, most), code| (least.min(*code), most.max(*code)))
}

also_for_avx2! {
    /// The least and the greatest of these codes.
    fn range(codes: &[u32]) -> (u32, u32) = range_any
}

#[inline(always)]
fn range_any(codes: &[u32]) -> (u32, u32) {
    codes.iter().fold((u32::MAX, 0), |(least, most), code| (least.min(*code), most.max(*code)))
}

also_for_avx2! {
    /// From the least of these codes to behind the greatest, `null` left out; something empty of nothing.
    fn range_without(codes: &[u32], null: u32) -> (u32, u64) = range_without_any
}

#[inline(always)]
fn range_without_any(codes: &[u32], null: u32) -> (u32, u64) {
    let (mut least, mut end) = (null, 0);
    for code in codes {
        least = least.min(*code);
        // The greatest of all codes has no value anyhow, and need not be told from the one before it.
        end = end.max(if *code == null { 0 } else { code.saturating_add(1) });
    }
    (least, u64::from(end))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Array, DictionaryArray, Int16Array, StringArray, UInt32Array};
    use arrow_buffer::NullBuffer;

    use super::*;

    #[test]
    fn a_code_that_nothing_has_is_behind_all_others() {
        // Beside rows without a value, for which 7 stands.
        assert_eq!(range_without(&[u32::MAX, 7, 3], 7), (3, u64::from(u32::MAX)));
        assert_eq!(range_without(&[7, 3], 7), (3, 4));
        assert_eq!(range_without(&[7, 7], 7).1, 0);
    }

    #[test]
    fn the_greatest_code_is_known_wherever_it_stands() {
        let values = Arc::new(StringArray::from_iter_values((0..90).map(|value| value.to_string())));
        for rows in [1, 15, 16, 17, 33, 64, 100] {
            for place in 0..rows {
                let code = |row: usize| if row == place { 89 } else { 5 + row as u32 % 40 };
                let wide = DictionaryArray::new(UInt32Array::from_iter_values((0..rows).map(code)), values.clone());
                let short = Int16Array::from_iter_values((0..rows).map(|row| code(row) as i16));
                let short = DictionaryArray::new(short, values.clone());
                let valid = |row: &usize| *row == place || row.is_multiple_of(3);
                // Null, and yet with a code, of which there is no such value.
                let gaps = (0..rows).map(|row| if valid(&row) { code(row) } else { 1_000 });
                let nulls = NullBuffer::from_iter((0..rows).map(|row| valid(&row)));
                let gaps = UInt32Array::new(gaps.collect(), Some(nulls).filter(|nulls| nulls.null_count() > 0));
                let gaps = DictionaryArray::new(gaps, values.clone());
                for array in [&wide as &dyn Array, &short, &gaps] {
                    let keys = Keys::bind(array).expect("a dictionary");
                    let mut codes = Codes::default();
                    let (least, end) = codes.read(&keys, 0..rows, 90);
                    assert_eq!(end, 90, "{rows} rows, {place}");
                    assert_eq!(codes.most(), codes.all().iter().copied().max().expect("a code"));
                    let least_of_all = codes.all().iter().copied().filter(|code| *code != 90).min();
                    assert_eq!(Some(least), least_of_all, "{rows} rows, {place}");
                    codes.translate(&(0..=90).rev().collect::<Vec<_>>());
                    assert_eq!(codes.most(), codes.all().iter().copied().max().expect("a code"));
                }
            }
        }
    }
}
