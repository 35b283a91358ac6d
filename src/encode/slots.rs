//! Slots: the text of one value a row, with room before it for what every row has there.
//!
//! A key is the same in all rows, and what is in the scratch stays there from block to block. So it is written once, right
//! before the place of the text, and the row loop copies key and text in one piece.

use super::aligned::Aligned;
use crate::fmt::SLOT;

/// Bytes of a slot: as many for what stands before the text as for the text.
pub(super) const KEYED: usize = TEXT_AT + SLOT;

/// Where in its slot a text begins.
pub(super) const TEXT_AT: usize = SLOT;

/// The texts of a column for the rows of a block.
#[derive(Debug, Default)]
pub(super) struct Slots {
    /// One more than rows: a copy may reach into the next slot.
    slots: Aligned,
    /// What stands before the texts of the first `prefixed` rows.
    prefix: Vec<u8>,
    prefixed: usize,
}

impl Slots {
    /// The slots of so many rows, to be filled from [`TEXT_AT`] on.
    pub(super) fn of(&mut self, rows: usize) -> &mut [[u8; KEYED]] {
        let needed = (rows + 1) * KEYED;
        if self.slots.len() < needed {
            self.slots.resize(needed);
        }
        &mut self.slots.as_chunks_mut().0[..rows]
    }

    /// Puts the same bytes before every text: at most [`TEXT_AT`].
    ///
    /// # Panics
    /// If there are more bytes, or fewer slots than rows.
    pub(super) fn put_before(&mut self, prefix: &[u8], rows: usize) {
        if self.prefix != prefix {
            self.prefix = prefix.to_vec();
            self.prefixed = 0;
        }
        if self.prefixed < rows {
            for slot in &mut self.slots.as_chunks_mut::<KEYED>().0[self.prefixed..rows] {
                slot[TEXT_AT - prefix.len()..TEXT_AT].copy_from_slice(prefix);
            }
            self.prefixed = rows;
        }
    }

    /// Puts values of the same length as the texts, one a row.
    pub(super) fn put<const N: usize>(&mut self, values: impl ExactSizeIterator<Item = [u8; N]>) {
        for (slot, value) in self.of(values.len()).iter_mut().zip(values) {
            slot[TEXT_AT..TEXT_AT + N].copy_from_slice(&value);
        }
    }

    /// Puts a byte behind each text, whose lengths these are.
    ///
    /// # Panics
    /// If a text fills its slot, or there are fewer slots than lengths.
    pub(super) fn put_behind(&mut self, byte: u8, lengths: &[u8]) {
        for (slot, length) in self.of(lengths.len()).iter_mut().zip(lengths) {
            slot[TEXT_AT + usize::from(*length)] = byte;
        }
    }

    /// All slots, end to end.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.slots
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_before_texts_is_there_in_every_row() {
        let mut slots = Slots::default();
        for (prefix, rows) in
            [(&b",a="[..], 3), (b",a=", 2), (b",a=", 5), (b",bb=", 4), (b"", 9), (b",a=", 9), (b" a=", 9)]
        {
            slots.of(rows).iter_mut().for_each(|slot| slot[TEXT_AT] = b'7');
            slots.put_before(prefix, rows);
            assert!(slots.bytes().len() >= (rows + 1) * KEYED);
            for slot in slots.bytes().chunks(KEYED).take(rows) {
                assert_eq!(&slot[TEXT_AT - prefix.len()..=TEXT_AT], [prefix, b"7"].concat());
            }
        }
    }
}
