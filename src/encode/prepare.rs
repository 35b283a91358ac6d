//! Columnar preparation: a block's values of one column into scratch, in the form in which the row loop takes them.

use std::ops::Range;

use super::bits;
use super::codes::Codes;
use super::program::{Form, Shape};
use super::slots::Slots;
use crate::column::{Column, Floats, Values};
use crate::fmt::{escape::Escape, float, int};
use crate::options::{Nan, NullBool, ProtocolVersion};
use crate::plan::{Plan, Role, Wire, WireUnit};
use crate::simd::{also_for_avx2, also_for_avx512, prefetch_ahead};

/// Scratch of one column for one block.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub(super) integers: Vec<i64>,
    pub(super) words: Vec<u64>,
    pub(super) digits: Vec<[u64; 2]>,
    pub(super) bytes: Vec<u8>,
    pub(super) slots: Slots,
    pub(super) lengths: Vec<u8>,
    pub(super) valid: Vec<u8>,
    pub(super) codes: Codes,
    pub(super) escape: Option<Escape>,
    /// Values of the block that are what QuestDB stores for NULL.
    pub(super) lost: u64,
}

/// Fills a column's scratch for a block and tells its shape there.
pub(super) fn prepare_column(
    plan: &Plan,
    role: Role,
    column: &Column<'_>,
    rows: Range<usize>,
    scratch: &mut Scratch,
) -> Shape {
    let mut nullable = column.has_nulls(&rows);
    if nullable {
        fill_valid(column, rows.clone(), &mut scratch.valid);
    }
    let form = match &column.values {
        Values::Booleans(values) => {
            bits::to_bytes(values, rows, b'f', b't', &mut scratch.bytes);
            if nullable && plan.null_bool == NullBool::False {
                for (byte, valid) in scratch.bytes.iter_mut().zip(&scratch.valid) {
                    if *valid == 0 {
                        *byte = b'f';
                    }
                }
                nullable = false;
            }
            Form::Byte
        }
        Values::Integers(integers) => {
            integers.fill(rows, &mut scratch.integers);
            prepare_integers(scratch, nullable)
        }
        Values::Instants(instants) => {
            let unit = match role {
                Role::Field(Wire::Timestamp(WireUnit::Nanos)) if plan.version > ProtocolVersion::V1 => WireUnit::Nanos,
                _ => WireUnit::Micros,
            };
            instants.fill(rows, unit.per_second(), &mut scratch.integers);
            prepare_integers(scratch, nullable)
        }
        Values::Floats(floats) => {
            let Scratch { words, slots, lengths, valid, lost, .. } = scratch;
            let bits = floats.bits(rows, words);
            *lost = if plan.nan == Nan::Omit { mask_nan(bits, nullable, valid) } else { 0 };
            nullable |= *lost > 0;
            if plan.version == ProtocolVersion::V1 {
                lengths.resize(bits.len(), 0);
                if float::write_all(bits, slots.of(bits.len()), lengths) {
                    *lost += lost_floats(bits, nullable.then_some(valid.as_slice()));
                }
                Form::Slot
            } else {
                // Those that are written are counted when the row loop has read them.
                Form::Fixed
            }
        }
        Values::Text(text) => {
            let escape = if role == Role::Symbol { Escape::Unquoted } else { Escape::Quoted };
            let is_plain = role == Role::Field(Wire::Cells) || !text.may_need(escape, rows);
            scratch.escape = (!is_plain).then_some(escape);
            Form::Text
        }
        Values::Decimals(decimals) => {
            decimals.fill(rows.clone(), scratch.slots.of(rows.len()));
            scratch.lengths.clear();
            scratch.lengths.resize(rows.len(), decimals.width() as u8);
            Form::Slot
        }
        Values::Arrays(arrays) => Form::Array { dims: arrays.dims() },
        // Dictionaries have cells and do not come here.
        Values::Dictionary(_) => Form::Cells,
    };
    Shape { form, nullable }
}

/// The words of a column in these rows: its own memory, or what has been prepared.
pub(super) fn words_of<'w>(column: &Column<'w>, rows: Range<usize>, prepared: &'w [u64]) -> &'w [u64] {
    match column.values {
        Values::Floats(Floats::F64(bits)) => &bits[rows],
        _ => prepared,
    }
}

/// Puts the values of a nullable column into slots, if its form has them elsewhere.
pub(super) fn slots_of_nullable(column: &Column<'_>, rows: Range<usize>, form: Form, scratch: &mut Scratch) {
    let Scratch { words, bytes, slots, lengths, .. } = scratch;
    let length = match form {
        Form::Fixed => {
            slots.put(words_of(column, rows.clone(), words).iter().map(|word| word.to_le_bytes()));
            size_of::<u64>()
        }
        Form::Byte => {
            slots.put(bytes.iter().map(|byte| [*byte]));
            1
        }
        // They are there.
        _ => return,
    };
    lengths.clear();
    lengths.resize(rows.len(), length as u8);
}

also_for_avx2! {
    /// Makes lengths of values those of all that a row has of them, which is nothing where it is null.
    pub(super) fn whole_lengths(lengths: &mut [u8], around: u8, valid: &[u8]) -> () = whole_lengths_any
}

#[inline(always)]
fn whole_lengths_any(lengths: &mut [u8], around: u8, valid: &[u8]) {
    for (length, valid) in lengths.iter_mut().zip(valid) {
        *length = (*length + around) * *valid;
    }
}

/// Integers of a block as words if all are below 10^8, else as slots.
fn prepare_integers(scratch: &mut Scratch, nullable: bool) -> Form {
    if nullable {
        // What lies under a null must not decide the form.
        for (value, valid) in scratch.integers.iter_mut().zip(&scratch.valid) {
            *value &= -i64::from(*valid);
        }
    }
    let (min, max) = int::range(&scratch.integers);
    scratch.lost =
        if min == i64::MIN { scratch.integers.iter().filter(|value| **value == min).count() as u64 } else { 0 };
    if min < 0 || max as u64 >= int::WORD {
        fill_slots(scratch);
        return Form::Slot;
    }
    let Scratch { integers, slots, lengths, .. } = scratch;
    lengths.resize(integers.len(), 0);
    int::write_short(integers, slots.of(integers.len()), lengths);
    Form::Word
}

/// The exponent of infinities and NaN.
const NOT_FINITE: u64 = 0x7ff0_0000_0000_0000;

/// How many of these floats read back as NULL and are none: those that are infinite or no number. `valid` tells nulls, if
/// there are any.
pub(super) fn lost_floats(bits: &[u64], valid: Option<&[u8]>) -> u64 {
    match (not_finite(bits), valid) {
        // Mostly there are none, nulls or not.
        (1.., Some(valid)) => not_finite_where(bits, valid),
        (lost, _) => lost,
    }
}

fn not_finite_where(bits: &[u64], valid: &[u8]) -> u64 {
    bits.iter().zip(valid).map(|(bits, valid)| is_odd(*bits) * u64::from(*valid)).sum()
}

/// 1 for a float that is infinite or no number, else 0.
#[inline(always)]
pub(super) fn is_odd(bits: u64) -> u64 {
    u64::from(bits & NOT_FINITE == NOT_FINITE)
}

also_for_avx512! {
    /// How many of these floats are infinite or no number.
    fn not_finite(bits: &[u64]) -> u64 = not_finite_any
}

#[inline(always)]
fn not_finite_any(bits: &[u64]) -> u64 {
    let (groups, rest) = bits.as_chunks::<8>();
    let mut counts = [0; 8];
    for (i, group) in groups.iter().enumerate() {
        prefetch_ahead(groups, i);
        for (count, bits) in counts.iter_mut().zip(group) {
            *count += is_odd(*bits);
        }
    }
    counts.iter().sum::<u64>() + rest.iter().map(|bits| is_odd(*bits)).sum::<u64>()
}

/// Text of `scratch.integers`, whatever they are.
pub(super) fn fill_slots(scratch: &mut Scratch) {
    let Scratch { integers, slots, lengths, .. } = scratch;
    let slots = slots.of(integers.len());
    lengths.clear();
    lengths.extend(integers.iter().zip(slots).map(|(value, slot)| int::write(*value, slot) as u8));
}

/// What all timestamps from `min` to `max` have before their last sixteen digits, if it is the same and sixteen follow.
pub(super) fn shared_digits(min: i64, max: i64) -> Option<u64> {
    let (low, high) = (min as u64 / int::TWO_WORDS, max as u64 / int::TWO_WORDS);
    // With nothing before the sixteen, none of them may be a leading zero.
    let is_short = low == 0 && (min as u64) < int::TWO_WORDS / 10;
    (min >= 0 && low == high && !is_short).then_some(low)
}

pub(super) fn fill_valid(column: &Column<'_>, rows: Range<usize>, valid: &mut Vec<u8>) {
    valid.clear();
    if let Some(nulls) = column.nulls {
        bits::to_bytes(nulls.inner(), rows, 0, 1, valid);
    }
}

/// Takes NaN out of the valid rows, and tells how many it took.
fn mask_nan(bits: &[u64], masked: bool, valid: &mut Vec<u8>) -> u64 {
    if !bits.iter().any(|bits| f64::from_bits(*bits).is_nan()) {
        return 0;
    }
    if !masked {
        valid.clear();
        valid.resize(bits.len(), 1);
    }
    let mut taken = 0;
    for (valid, bits) in valid.iter_mut().zip(bits) {
        let is_nan = u8::from(f64::from_bits(*bits).is_nan());
        taken += u64::from(*valid & is_nan);
        *valid &= !is_nan;
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_that_read_back_as_null_are_counted_once_and_nulls_not() {
        const ODD: [f64; 4] = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -f64::NAN];
        for count in [0, 1, 7, 8, 9, 40] {
            let bits: Vec<u64> =
                (0..count).map(|row| if row % 3 == 2 { ODD[row % 4] } else { row as f64 - 5e-324 }.to_bits()).collect();
            let odd = (0..count).filter(|row| row % 3 == 2);
            assert_eq!(lost_floats(&bits, None), odd.clone().count() as u64);
            let valid: Vec<u8> = (0..count).map(|row| u8::from(row % 2 == 0)).collect();
            assert_eq!(lost_floats(&bits, Some(&valid)), odd.filter(|row| row % 2 == 0).count() as u64);
        }
        let finite = [f64::MAX, f64::MIN, 0.0, -0.0, 5e-324].map(f64::to_bits);
        assert_eq!(lost_floats(&finite, Some(&[1; 5])) + lost_floats(&finite, None), 0);
    }
}
