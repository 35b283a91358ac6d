//! The memory of buffers: of the allocator, or mapped, which large buffers that are used again are.
//!
//! Mapped memory is zeroed by the system page by page as it is touched. The allocator's is, too, until memory of that
//! size has once been freed: from then on glibc keeps such pieces on its heap, and zeroes 16 MiB by hand for a request
//! of a few bytes. Mapped memory can also ask for huge pages: a buffer of 16 MiB in pages of 4 KiB has more of them
//! than a processor remembers the addresses of.

use std::ops::{Deref, DerefMut};

use memmap2::MmapMut;

use super::NoMemory;

/// The size of a huge page: what is not larger is the allocator's.
const HUGE: usize = 2 << 20;

/// Bytes that are zero at first.
#[derive(Debug)]
pub(super) enum Memory {
    Heap(Vec<u8>),
    Mapped(MmapMut),
}

impl Memory {
    /// So many bytes of which none is touched yet.
    pub(super) fn zeroed(size: usize) -> Result<Self, NoMemory> {
        // AddressSanitizer sees no bounds in mapped memory.
        if size <= HUGE || cfg!(any(fuzzing, questframe_asan)) {
            let mut bytes = Vec::new();
            bytes.try_reserve_exact(size).map_err(|_| NoMemory(size))?;
            bytes.resize(size, 0);
            return Ok(Self::Heap(bytes));
        }
        let mapped = MmapMut::map_anon(size).map_err(|_| NoMemory(size))?;
        // The first part is left in small pages: a small write touches little. Where there are no huge pages, all is.
        #[cfg(target_os = "linux")]
        let _ = mapped.advise_range(memmap2::Advice::HugePage, HUGE, size - HUGE);
        Ok(Self::Mapped(mapped))
    }

    pub(super) fn into_vec(self) -> Vec<u8> {
        match self {
            Self::Heap(bytes) => bytes,
            Self::Mapped(mapped) => mapped.to_vec(),
        }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::Heap(Vec::new())
    }
}

impl Deref for Memory {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Heap(bytes) => bytes,
            Self::Mapped(mapped) => mapped,
        }
    }
}

impl DerefMut for Memory {
    fn deref_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Heap(bytes) => bytes,
            Self::Mapped(mapped) => mapped,
        }
    }
}
