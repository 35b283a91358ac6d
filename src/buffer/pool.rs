//! A pool of equal buffers. Memory is zeroed once, when a buffer is first made, and recycled after that: fresh pages
//! cost several milliseconds per 16 MiB.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::memory::Memory;

/// Buffers of one pool. Fewer would let encoding wait for the network, more would make requests small.
const BUFFERS: usize = 4;

/// How long a write waits for buffers that other writes hold.
const PATIENCE: Duration = Duration::from_secs(1);

/// A pool of [`BUFFERS`] buffers; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Pool(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    buffer_size: usize,
    state: Mutex<State>,
    returned: Condvar,
}

#[derive(Debug)]
struct State {
    idle: Vec<Memory>,
    /// Buffers lent out.
    lent: usize,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while the lock is held, so a poisoned state is still a sound one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pool {
    /// A pool of `bytes` in all. No memory is touched yet.
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Arc::new(Shared {
            buffer_size: (bytes / BUFFERS).max(1),
            state: Mutex::new(State { idle: Vec::new(), lent: 0 }),
            returned: Condvar::new(),
        }))
    }

    /// The size of each buffer in bytes.
    pub(crate) fn buffer_size(&self) -> usize {
        self.0.buffer_size
    }

    /// A buffer, waiting at most `timeout` for one to come back; `None` if none did.
    ///
    /// # Errors
    /// If there is no memory for buffers of this size.
    pub(crate) fn acquire(&self, timeout: Duration) -> Result<Option<Buffer>, NoMemory> {
        let state = self.0.state();
        let waited = self.0.returned.wait_timeout_while(state, timeout, |state| state.lent >= BUFFERS);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if state.lent >= BUFFERS {
            return Ok(None);
        }
        let bytes = match state.idle.pop() {
            Some(bytes) => bytes,
            None => Memory::zeroed(self.0.buffer_size)?,
        };
        state.lent += 1;
        drop(state);
        Ok(Some(Buffer { bytes, start: 0, len: 0, pool: Some(self.clone()), home: None, place: None }))
    }

    /// As [`acquire`](Self::acquire), for a write that waits since `asked`. One that `is_alone`, and has no buffer out that
    /// would come back, gets one beyond the pool's in the end: all may be held by streams that wait for their next batch, some
    /// of them for this very write.
    ///
    /// # Errors
    /// If there is no memory for buffers of this size.
    pub(crate) fn acquire_within(
        &self,
        timeout: Duration,
        asked: Instant,
        is_alone: bool,
    ) -> Result<Option<Buffer>, NoMemory> {
        let acquired = self.acquire(timeout)?;
        if acquired.is_none() && is_alone && asked.elapsed() >= PATIENCE {
            let size = self.buffer_size();
            return Buffer::try_one_off(size).map(Some).ok_or(NoMemory(size));
        }
        Ok(acquired)
    }

    /// Buffers lent out at this moment.
    #[cfg(test)]
    pub(crate) fn lent(&self) -> usize {
        self.0.state().lent
    }
}

/// There is no memory for a buffer of so many bytes.
#[derive(Debug)]
pub(crate) struct NoMemory(pub(crate) usize);

/// A buffer with the bytes written so far; goes back to its pool when dropped.
#[derive(Debug)]
pub(crate) struct Buffer {
    bytes: Memory,
    /// Where it begins; what lies before is somebody else's.
    start: usize,
    len: usize,
    /// `None` for one-off buffers, which are larger than the pool's and freed when dropped.
    pool: Option<Pool>,
    /// Where borrowed memory goes back to.
    home: Option<Home>,
    /// A buffer of a pool that nobody else gets while this one, which is none of it, is there.
    place: Option<Box<Buffer>>,
}

/// Memory that is lent as a [`Buffer`], one at a time, and comes back when that is dropped.
#[derive(Clone, Debug, Default)]
pub(crate) struct Home(Arc<Mutex<Vec<u8>>>);

impl Home {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(bytes)))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The memory, if it is not lent out: then there is none.
    pub(crate) fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.lock())
    }

    pub(crate) fn put(&self, bytes: Vec<u8>) {
        *self.lock() = bytes;
    }

    /// Lends the memory from `start` on.
    pub(crate) fn lend(&self, start: usize) -> Buffer {
        let bytes = Memory::Heap(self.take());
        Buffer { start: start.min(bytes.len()), bytes, len: 0, pool: None, home: Some(self.clone()), place: None }
    }
}

impl Buffer {
    /// A buffer of its own, for a row that is larger than the pool's buffers.
    pub(crate) fn one_off(size: usize) -> Self {
        Self { bytes: Memory::Heap(vec![0; size]), start: 0, len: 0, pool: None, home: None, place: None }
    }

    /// As [`one_off`](Self::one_off), or `None` where there is no such memory.
    pub(crate) fn try_one_off(size: usize) -> Option<Self> {
        let bytes = Memory::zeroed(size).ok()?;
        Some(Self { bytes, start: 0, len: 0, pool: None, home: None, place: None })
    }

    /// Makes room for `more` bytes behind what is filled, at the price of a copy of it; false where there is no such
    /// memory. Only for one-off buffers: others keep the size their pool counts on.
    pub(crate) fn reserve(&mut self, more: usize) -> bool {
        if self.pool.is_some() || self.home.is_some() || self.bytes.len() - self.len >= more {
            return self.bytes.len() - self.start - self.len >= more;
        }
        let Some(size) = self.len.checked_add(more) else { return false };
        let Some(mut grown) = Self::try_one_off(size.max(self.bytes.len().saturating_mul(2))) else { return false };
        grown.spare()[..self.len].copy_from_slice(self.filled());
        grown.len = self.len;
        *self = grown;
        true
    }

    /// Holds the place of another buffer, if that has one, until it is dropped.
    pub(crate) fn stands_for(&mut self, other: Option<Self>) {
        self.place = other.map(Box::new);
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether its memory is lent by a [`Home`].
    pub(crate) fn is_lent(&self) -> bool {
        self.home.is_some()
    }

    /// The bytes written.
    pub(crate) fn filled(&self) -> &[u8] {
        &self.bytes[self.start..self.start + self.len]
    }

    /// The room that is left.
    pub(crate) fn spare(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start + self.len..]
    }

    /// Counts `written` bytes at the start of [`spare`](Self::spare) as filled.
    pub(crate) fn advance(&mut self, written: usize) {
        self.len = (self.bytes.len() - self.start).min(self.len + written);
    }

    /// Forgets what was written behind `len`.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// The filled part, for the transport. The buffer goes back when the last clone is dropped.
    pub(crate) fn into_bytes(self) -> Bytes {
        Bytes::from_owner(Filled(self))
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(home) = self.home.take() {
            home.put(std::mem::take(&mut self.bytes).into_vec());
        }
        if let Some(pool) = self.pool.take() {
            let mut state = pool.0.state();
            state.lent -= 1;
            state.idle.push(std::mem::take(&mut self.bytes));
            drop(state);
            pool.0.returned.notify_one();
        }
    }
}

/// What `Bytes` asks of an owner.
struct Filled(Buffer);

impl AsRef<[u8]> for Filled {
    fn as_ref(&self) -> &[u8] {
        self.0.filled()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::ZERO;

    #[test]
    fn lends_no_more_than_it_has_and_takes_back_on_drop() {
        let pool = Pool::new(4096);
        let mut lent: Vec<_> = (0..BUFFERS).filter_map(|_| pool.acquire(NOW).ok().flatten()).collect();
        assert_eq!(lent.len(), BUFFERS);
        assert!(matches!(pool.acquire(NOW), Ok(None)));
        lent.pop();
        assert!(matches!(pool.acquire(NOW), Ok(Some(_))));
    }

    #[test]
    fn a_write_that_has_none_gets_one_in_the_end() {
        let pool = Pool::new(4096);
        let lent: Vec<_> = (0..BUFFERS).filter_map(|_| pool.acquire(NOW).ok().flatten()).collect();
        let long_ago = Instant::now().checked_sub(PATIENCE).expect("a machine that is up for a second");
        assert!(matches!(pool.acquire_within(NOW, Instant::now(), true), Ok(None)));
        assert!(matches!(pool.acquire_within(NOW, long_ago, false), Ok(None)));
        let mut beyond = pool.acquire_within(NOW, long_ago, true).ok().flatten().expect("one more");
        assert_eq!(beyond.spare().len(), pool.buffer_size());
        drop(beyond);
        assert_eq!(pool.lent(), lent.len());
    }

    #[test]
    fn a_size_that_no_machine_has_is_an_error() {
        let pool = Pool::new(usize::MAX);
        assert!(matches!(pool.acquire(NOW), Err(NoMemory(size)) if size == pool.buffer_size()));
        assert_eq!(pool.lent(), 0);
    }

    #[test]
    fn bytes_are_the_buffer_itself_and_return_it_with_the_last_clone() {
        let pool = Pool::new(4096);
        let mut buffer = pool.acquire(NOW).ok().flatten().expect("a fresh pool lends");
        buffer.spare()[..3].copy_from_slice(b"abc");
        buffer.advance(3);
        let address = buffer.filled().as_ptr();
        let bytes = buffer.into_bytes();
        assert_eq!((&bytes[..], bytes.as_ptr()), (&b"abc"[..], address));
        let again = bytes.clone();
        drop(bytes);
        assert_eq!(pool.lent(), 1);
        drop(again);
        assert_eq!(pool.lent(), 0);
        assert_eq!(pool.acquire(NOW).ok().flatten().expect("returned").filled().len(), 0);
    }

    #[test]
    fn a_waiting_writer_wakes_when_a_buffer_returns() {
        let pool = Pool::new(4096);
        let mut lent: Vec<_> = (0..BUFFERS).filter_map(|_| pool.acquire(NOW).ok().flatten()).collect();
        let waiter = std::thread::spawn({
            let pool = pool.clone();
            move || matches!(pool.acquire(Duration::from_secs(60)), Ok(Some(_)))
        });
        lent.pop();
        assert!(waiter.join().expect("no panic"));
    }
}
