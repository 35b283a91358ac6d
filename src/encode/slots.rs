//! Slots: the text of one value a row.

use super::aligned::Aligned;
use crate::fmt::SLOT;

/// The texts of a column for the rows of a block.
#[derive(Debug, Default)]
pub(super) struct Slots(Aligned);

impl Slots {
    /// The slots of so many rows, to be filled.
    pub(super) fn of(&mut self, rows: usize) -> &mut [[u8; SLOT]] {
        let needed = rows * SLOT;
        if self.0.len() < needed {
            self.0.resize(needed);
        }
        &mut self.0.as_chunks_mut().0[..rows]
    }

    /// Puts values of the same length as the texts, one a row.
    pub(super) fn put<const N: usize>(&mut self, values: impl ExactSizeIterator<Item = [u8; N]>) {
        for (slot, value) in self.of(values.len()).iter_mut().zip(values) {
            slot[..N].copy_from_slice(&value);
        }
    }

    /// Puts a byte behind each text, whose lengths these are.
    ///
    /// # Panics
    /// If a text fills its slot, or there are fewer slots than lengths.
    pub(super) fn put_behind(&mut self, byte: u8, lengths: &[u8]) {
        for (slot, length) in self.of(lengths.len()).iter_mut().zip(lengths) {
            slot[usize::from(*length)] = byte;
        }
    }

    /// All slots, end to end.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}
