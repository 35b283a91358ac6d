//! The memory of a row buffer.

use crate::fmt::escape::Escape;

/// Bytes that grow, over memory that stays initialised when they shrink: the column-wise encoder writes into it, and
/// zeroing it again for each frame would cost as much as that.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines {
    /// As long as memory has been initialised.
    pub(super) bytes: Vec<u8>,
    pub(super) len: usize,
}

impl Lines {
    /// Initialised at a time, so that not every byte asks for room.
    const STEP: usize = 4096;

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Room behind the lines, initialised with anything.
    pub(super) fn spare(&mut self, room: usize) -> &mut [u8] {
        let end = self.len + room;
        if end > self.bytes.len() {
            self.grow(end);
        }
        &mut self.bytes[self.len..end]
    }

    #[cold]
    fn grow(&mut self, end: usize) {
        self.bytes.reserve(end - self.bytes.len());
        let most = self.bytes.capacity();
        self.bytes.resize(most.min(end + Self::STEP), 0);
    }

    pub(super) fn push(&mut self, byte: u8) {
        self.spare(1)[0] = byte;
        self.len += 1;
    }

    pub(super) fn extend_from_slice(&mut self, bytes: &[u8]) {
        self.spare(bytes.len()).copy_from_slice(bytes);
        self.len += bytes.len();
    }

    pub(super) fn push_escaped(&mut self, text: &str, escape: Escape) {
        let text = text.as_bytes();
        if escape.is_needed(text) {
            let written = escape.write(text, self.spare(2 * text.len()));
            self.len += written;
        } else {
            self.extend_from_slice(text);
        }
    }

    pub(super) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// The memory, to be lent out, and how much of it is lines.
    pub(crate) fn take(&mut self) -> (Vec<u8>, usize) {
        (std::mem::take(&mut self.bytes), std::mem::take(&mut self.len))
    }

    pub(crate) fn put(&mut self, bytes: Vec<u8>, len: usize) {
        (self.len, self.bytes) = (len.min(bytes.len()), bytes);
    }

    pub(super) fn into_vec(mut self) -> Vec<u8> {
        self.bytes.truncate(self.len);
        self.bytes
    }
}
