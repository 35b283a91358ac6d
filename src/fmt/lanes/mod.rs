//! What the batch kernels of integers and floats share: registers of 64-bit lanes, and decimal digits in them.
//!
//! A number below 10^16 becomes two words of eight digits, a byte each, the first digit in the lowest byte: as they stand in
//! memory.

pub(super) mod avx2;
pub(super) mod avx512;
