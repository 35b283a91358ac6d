//! Sets of a frame's rows, as ranges in order that neither meet nor touch.

use std::ops::Range;

/// Rows of a frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RowSet(Vec<Range<u64>>);

impl RowSet {
    pub(crate) const NONE: Self = Self(Vec::new());

    /// The ranges, in order; none is empty and no two touch.
    #[cfg(test)]
    pub(crate) fn ranges(&self) -> &[Range<u64>] {
        &self.0
    }

    pub(crate) fn into_ranges(self) -> Vec<Range<u64>> {
        self.0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number of rows.
    pub(crate) fn rows(&self) -> u64 {
        self.0.iter().map(|range| range.end - range.start).sum()
    }

    /// The row behind the last.
    pub(crate) fn end(&self) -> u64 {
        self.0.last().map_or(0, |range| range.end)
    }

    /// The first row that is not in the set.
    pub(crate) fn first_missing(&self) -> u64 {
        self.0.first().filter(|first| first.start == 0).map_or(0, |first| first.end)
    }

    /// Adds rows. Cheap where they come in order; else as long as the number of ranges.
    pub(crate) fn insert(&mut self, rows: Range<u64>) {
        if rows.is_empty() {
            return;
        }
        // All ranges that the new one meets or touches become one with it.
        let first = self.0.partition_point(|range| range.end < rows.start);
        let behind = self.0.partition_point(|range| range.start <= rows.end);
        let start = self.0.get(first).map_or(rows.start, |range| range.start.min(rows.start));
        let end = if behind > first { self.0[behind - 1].end.max(rows.end) } else { rows.end };
        self.0.splice(first..behind, std::iter::once(start.min(rows.start)..end));
    }

    /// The rows of `within` that are not in the set, in order.
    pub(crate) fn missing(&self, within: Range<u64>) -> Vec<Range<u64>> {
        let mut missing = Vec::new();
        let mut next = within.start;
        let first = self.0.partition_point(|range| range.end <= within.start);
        for range in self.0[first..].iter().take_while(|range| range.start < within.end) {
            if range.start > next {
                missing.push(next..range.start);
            }
            next = next.max(range.end);
        }
        if next < within.end {
            missing.push(next..within.end);
        }
        missing
    }

    /// The rows of both sets.
    pub(crate) fn union(&self, other: &Self) -> Self {
        let mut union = self.clone();
        other.0.iter().for_each(|range| union.insert(range.clone()));
        union
    }

    /// The rows that are not in `other`.
    pub(crate) fn minus(&self, other: &Self) -> Self {
        self.0.iter().flat_map(|range| other.missing(range.clone())).collect()
    }
}

impl From<Range<u64>> for RowSet {
    fn from(rows: Range<u64>) -> Self {
        std::iter::once(rows).collect()
    }
}

impl FromIterator<Range<u64>> for RowSet {
    fn from_iter<I: IntoIterator<Item = Range<u64>>>(ranges: I) -> Self {
        let mut set = Self::default();
        ranges.into_iter().for_each(|range| set.insert(range));
        set
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn members(set: &RowSet) -> BTreeSet<u64> {
        set.ranges().iter().cloned().flatten().collect()
    }

    fn some_ranges() -> impl Strategy<Value = Vec<Range<u64>>> {
        proptest::collection::vec((0_u64..40, 0_u64..8).prop_map(|(start, len)| start..start + len), 0..12)
    }

    proptest! {
        #[test]
        fn agrees_with_a_set_of_numbers(a in some_ranges(), b in some_ranges(), within in (0_u64..40, 0_u64..20)) {
            let (x, y): (RowSet, RowSet) = (a.iter().cloned().collect(), b.iter().cloned().collect());
            let (m, n): (BTreeSet<u64>, BTreeSet<u64>) = (a.into_iter().flatten().collect(), b.into_iter().flatten().collect());
            prop_assert_eq!(members(&x), m.clone());
            prop_assert!(x.ranges().windows(2).all(|pair| pair[0].end < pair[1].start));
            prop_assert_eq!(x.rows(), m.len() as u64);
            prop_assert_eq!(x.end(), m.last().map_or(0, |last| last + 1));
            prop_assert_eq!(x.first_missing(), (0..).find(|row| !m.contains(row)).unwrap_or(0));
            prop_assert_eq!(members(&x.union(&y)), &m | &n);
            prop_assert_eq!(members(&x.minus(&y)), &m - &n);
            let within = within.0..within.0 + within.1;
            let missing: Vec<u64> = x.missing(within.clone()).into_iter().flatten().collect();
            prop_assert_eq!(missing, within.filter(|row| !m.contains(row)).collect::<Vec<_>>());
        }
    }
}
