//! A value that one thread at a time works with.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::MutexExt;

/// A mutex that lets go of the GIL while it waits, and tells a thread that it has it already: a flush lets other Python
/// threads run, and values of a row may be Python code.
#[derive(Debug, Default)]
pub(super) struct Guarded<T> {
    value: Mutex<T>,
    /// The thread that has it, or 0.
    owner: AtomicUsize,
}

pub(super) struct Guard<'g, T> {
    value: MutexGuard<'g, T>,
    owner: &'g AtomicUsize,
}

/// A number of this thread, which no other thread has as long as this one lives.
fn this_thread() -> usize {
    thread_local!(static PLACE: u8 = const { 0 });
    PLACE.with(|place| std::ptr::from_ref(place).addr())
}

impl<T> Guarded<T> {
    pub(super) fn new(value: T) -> Self {
        Self { value: Mutex::new(value), owner: AtomicUsize::new(0) }
    }
}

impl<T: Send> Guarded<T> {
    /// # Errors
    /// `RuntimeError` if this thread has it: it would wait for itself.
    pub(super) fn lock(&self, py: Python<'_>) -> PyResult<Guard<'_, T>> {
        let value = match self.value.try_lock() {
            Ok(value) => value,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) if self.owner.load(Ordering::Relaxed) == this_thread() => {
                return Err(PyRuntimeError::new_err("a value of this row uses the buffer that the row is written to"));
            }
            Err(TryLockError::WouldBlock) => self.value.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner),
        };
        self.owner.store(this_thread(), Ordering::Relaxed);
        Ok(Guard { value, owner: &self.owner })
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        self.owner.store(0, Ordering::Relaxed);
    }
}
