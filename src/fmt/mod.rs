//! Leaf kernels: a value in, bytes out. No Arrow, no allocation, no other module of this crate.
//!
//! Text of at most [`SLOT`] bytes goes into fixed slots, so that the row loop can copy a whole slot and advance by
//! its length. Each function states the most bytes it writes.

pub(crate) mod escape;
pub(crate) mod float;
pub(crate) mod instant;
pub(crate) mod int;
#[cfg(target_arch = "x86_64")]
mod lanes;

/// Bytes of a slot: enough for any 64-bit integer (20) and any `f64` (24), and one wide store.
pub(crate) const SLOT: usize = 32;
