//! Bytes that begin at a cache line, so that records of 32 or 64 bytes do not lie across two: to read one that does
//! takes twice as long, and where the memory is not in the first cache level, two lines have to come.

use std::ops::{Deref, DerefMut};

/// Bytes of a cache line.
pub(super) const LINE: usize = 64;

/// A growing buffer that begins at a cache line.
#[derive(Default)]
pub(super) struct Aligned {
    memory: Vec<u8>,
    /// Where in `memory` the buffer begins.
    start: usize,
    len: usize,
}

impl Aligned {
    /// Empties the buffer and keeps its memory.
    pub(super) fn clear(&mut self) {
        self.len = 0;
    }

    /// Makes it so many bytes long; those that are new are zero.
    pub(super) fn resize(&mut self, len: usize) {
        let (kept, room) = (self.len.min(len), self.memory.len() - self.start);
        if len > room {
            // As a vector grows, and with room to move the start to a line.
            let mut memory = vec![0; len.max(2 * room) + LINE];
            let start = memory.as_ptr().align_offset(LINE).min(LINE);
            memory[start..start + kept].copy_from_slice(&self[..kept]);
            (self.memory, self.start) = (memory, start);
        } else {
            self.memory[self.start + kept..self.start + len].fill(0);
        }
        self.len = len;
    }

    /// Puts bytes behind those that are there.
    pub(super) fn extend_from_slice(&mut self, bytes: &[u8]) {
        let len = self.len;
        self.resize(len + bytes.len());
        self[len..].copy_from_slice(bytes);
    }
}

impl Deref for Aligned {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory[self.start..self.start + self.len]
    }
}

impl DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..self.start + self.len]
    }
}

impl std::fmt::Debug for Aligned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_and_shrinks_as_a_vector_does_and_begins_at_a_line() {
        let (mut ours, mut theirs) = (Aligned::default(), Vec::new());
        for (step, len) in [0, 1, 64, 63, 65, 1_000, 10, 10, 0, 3_000, 100_000, 99_999].into_iter().enumerate() {
            ours.resize(len);
            theirs.resize(len, 0);
            assert_eq!(*ours, *theirs);
            assert!(len == 0 || ours.as_ptr().addr().is_multiple_of(LINE), "{len} bytes");
            ours.fill(step as u8 + 1);
            theirs.fill(step as u8 + 1);
            let more = vec![0x5a; step * 7];
            ours.extend_from_slice(&more);
            theirs.extend_from_slice(&more);
            assert_eq!(*ours, *theirs);
        }
        ours.clear();
        assert!(ours.is_empty());
        ours.resize(5);
        assert_eq!(*ours, [0; 5]);
    }
}
