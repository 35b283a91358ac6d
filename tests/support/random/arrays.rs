//! The Arrow arrays of a random [`Column`]: nulls, offsets, dictionaries, and what must not be looked at.

use std::sync::Arc;

use arrow_array::types::*;
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, BooleanArray, DictionaryArray, FixedSizeBinaryArray, GenericStringArray,
    NullArray, OffsetSizeTrait, PrimitiveArray, RunArray, StringViewArray,
};
use arrow_buffer::{ArrowNativeType, BooleanBuffer, NullBuffer, i256};
use arrow_schema::{DataType, TimeUnit};

use super::lists;
use super::values::{self, Dice};
use super::{Column, Nulls, Order};

const MAX_AT_MICROS: i64 = 253_402_300_799_999_999;
const MAX_AT_NANOS: i64 = 9_214_646_399_999_999_999;
const MICROS_PER_DAY: i64 = 86_400_000_000;
const MILLIS_PER_DAY: i64 = 86_400_000;

/// The rows of one chunk.
#[derive(Clone, Copy)]
pub(super) struct Chunk {
    pub(super) number: u64,
    pub(super) first_row: u64,
    pub(super) rows: usize,
    /// Some values are out of their range.
    pub(super) faulty: bool,
}

/// How the values of an `at` column are drawn.
#[derive(Clone, Copy)]
pub(super) struct AtRule {
    pub(super) order: Order,
    pub(super) version: u8,
}

/// The place of one value, hidden ones included.
pub(super) struct Slot {
    pub(super) dice: Dice,
    pub(super) row: u64,
    pub(super) valid: bool,
    /// The value must not be looked at, or is one that cannot be sent.
    pub(super) wild: bool,
}

impl Column {
    /// The column's array for one chunk: cut out of a longer one, at an offset of its own.
    pub(super) fn array(&self, chunk: Chunk, at: Option<AtRule>) -> ArrayRef {
        let mut dice = Dice::new(self.seed, &[1, chunk.number]);
        let before = dice.pick(&[0, 0, 0, 1, 3, 7, 8, 9, 63, 64, 65]);
        let after = dice.pick(&[0, 0, 1, 5]);
        let slots = (0..before + chunk.rows + after)
            .map(|i| {
                let inside = (before..before + chunk.rows).contains(&i);
                let row = if inside { chunk.first_row + (i - before) as u64 } else { i as u64 };
                let mut dice = Dice::new(self.seed, &[2, u64::from(inside), row]);
                let valid = match self.nulls {
                    Nulls::Absent => true,
                    Nulls::NoneSet => inside || dice.chance(2),
                    Nulls::Few => !dice.chance(12),
                    Nulls::Half => dice.chance(2),
                    Nulls::Runs => Dice::new(self.seed, &[3, row / 70]).chance(2),
                    Nulls::All => !inside,
                };
                let wild = !inside || !valid || (chunk.faulty && dice.chance(150));
                Slot { dice, row, valid, wild }
            })
            .collect();
        self.values(&self.data_type, slots, chunk.number, at).slice(before, chunk.rows)
    }

    pub(super) fn values(&self, data_type: &DataType, slots: Vec<Slot>, chunk: u64, at: Option<AtRule>) -> ArrayRef {
        macro_rules! integers {
            ($type:ty) => {
                self.primitive::<$type>(slots, |slot| match slot.dice.below(12) {
                    0 => <$type as ArrowPrimitiveType>::Native::MIN,
                    1 => <$type as ArrowPrimitiveType>::Native::MAX,
                    _ => values::integer(&mut slot.dice) as _,
                })
            };
        }
        // Times are drawn as a count of something that lasts `$micros` and is `$units` units of the type.
        macro_rules! times {
            ($type:ty, $micros:expr, $units:expr) => {
                self.primitive::<$type>(slots, |slot| match at {
                    Some(rule) => (rule.micros(self.seed, slot, $micros) * $units) as _,
                    None if slot.wild => match (i64::MAX / $micros).checked_add(1) {
                        Some(count) => (slot.dice.pick(&[count, -count]) * $units) as _,
                        None => i64::MIN as _,
                    },
                    None => (values::integer_within(&mut slot.dice, i64::MAX / $micros) * $units) as _,
                })
            };
        }
        // Counts of something of which so many are a nanosecond's multiple; wild ones have no 64-bit nanoseconds.
        macro_rules! nanos {
            ($type:ty, $nanos:expr) => {
                Arc::new(self.primitive::<$type>(slots, |slot| match slot.wild {
                    true => (i64::MAX / $nanos).wrapping_add(1 + slot.dice.below(9) as i64) as _,
                    false => values::integer_within(&mut slot.dice, i64::MAX / $nanos) as _,
                }))
            };
        }
        macro_rules! decimals {
            ($type:ty, $digits:expr, $scale:expr, $narrow:expr) => {{
                let array = self.primitive::<$type>(slots, |slot| match slot.valid {
                    true => $narrow(values::decimal(&mut slot.dice, *$digits)),
                    false => $narrow(values::wide(&mut slot.dice)),
                });
                Arc::new(array.with_precision_and_scale(*$digits, *$scale).expect("a decimal type"))
            }};
        }
        match data_type {
            DataType::Null => Arc::new(NullArray::new(slots.len())),
            DataType::Time32(TimeUnit::Second) => {
                Arc::new(self.primitive::<Time32SecondType>(slots, |slot| values::integer(&mut slot.dice) as i32))
            }
            DataType::Time32(_) => {
                Arc::new(self.primitive::<Time32MillisecondType>(slots, |slot| values::integer(&mut slot.dice) as i32))
            }
            DataType::Time64(TimeUnit::Microsecond) => nanos!(Time64MicrosecondType, 1_000),
            DataType::Time64(_) => nanos!(Time64NanosecondType, 1),
            DataType::Duration(TimeUnit::Second) => nanos!(DurationSecondType, 1_000_000_000),
            DataType::Duration(TimeUnit::Millisecond) => nanos!(DurationMillisecondType, 1_000_000),
            DataType::Duration(TimeUnit::Microsecond) => nanos!(DurationMicrosecondType, 1_000),
            DataType::Duration(TimeUnit::Nanosecond) => nanos!(DurationNanosecondType, 1),
            DataType::Decimal32(digits, scale) => {
                decimals!(Decimal32Type, digits, scale, |value: i256| value.as_i128() as i32)
            }
            DataType::Decimal64(digits, scale) => {
                decimals!(Decimal64Type, digits, scale, |value: i256| value.as_i128() as i64)
            }
            DataType::Decimal128(digits, scale) => {
                decimals!(Decimal128Type, digits, scale, |value: i256| value.as_i128())
            }
            DataType::Decimal256(digits, scale) => decimals!(Decimal256Type, digits, scale, |value: i256| value),
            DataType::FixedSizeBinary(16) => {
                let bytes: Vec<u8> = slots
                    .iter()
                    .flat_map(|slot| values::wide(&mut slot.dice.clone()).to_le_bytes()[..16].to_vec())
                    .collect();
                let nulls = self.validity(&slots);
                Arc::new(FixedSizeBinaryArray::try_new_with_len(16, bytes.into(), nulls, slots.len()).expect("UUIDs"))
            }
            DataType::RunEndEncoded(ends, values) => match ends.data_type() {
                DataType::Int16 => self.runs::<Int16Type>(values.data_type(), slots, chunk, at),
                DataType::Int32 => self.runs::<Int32Type>(values.data_type(), slots, chunk, at),
                _ => self.runs::<Int64Type>(values.data_type(), slots, chunk, at),
            },
            list if lists::is_list(list) => self.lists(list, slots),
            DataType::Boolean => {
                let bits = slots.iter().map(|slot| slot.dice.clone().chance(2)).collect();
                Arc::new(BooleanArray::new(self.shifted(bits), self.validity(&slots)))
            }
            DataType::Int8 => Arc::new(integers!(Int8Type)),
            DataType::Int16 => Arc::new(integers!(Int16Type)),
            DataType::Int32 => Arc::new(integers!(Int32Type)),
            DataType::Int64 => Arc::new(integers!(Int64Type)),
            DataType::UInt8 => Arc::new(integers!(UInt8Type)),
            DataType::UInt16 => Arc::new(integers!(UInt16Type)),
            DataType::UInt32 => Arc::new(integers!(UInt32Type)),
            DataType::UInt64 => Arc::new(self.primitive::<UInt64Type>(slots, |slot| match slot.wild {
                true => [1 << 63, slot.dice.next() | 1 << 63, u64::MAX][slot.dice.below(3) as usize],
                false => values::integer_up_to(&mut slot.dice, i64::MAX) as u64,
            })),
            DataType::Float16 => Arc::new(self.primitive::<Float16Type>(slots, |slot| values::half(&mut slot.dice))),
            DataType::Float32 => Arc::new(self.primitive::<Float32Type>(slots, |slot| values::single(&mut slot.dice))),
            DataType::Float64 => Arc::new(self.primitive::<Float64Type>(slots, |slot| values::double(&mut slot.dice))),
            DataType::Utf8 => self.strings::<i32>(slots),
            DataType::LargeUtf8 => self.strings::<i64>(slots),
            DataType::Utf8View => {
                let texts = slots.iter().map(|slot| values::string(&mut slot.dice.clone()));
                let (views, buffers, _) = StringViewArray::from_iter_values(texts).into_parts();
                Arc::new(StringViewArray::new(views, buffers, self.validity(&slots)))
            }
            DataType::Timestamp(unit, zone) => match unit {
                TimeUnit::Second => Arc::new(times!(TimestampSecondType, 1_000_000, 1).with_timezone_opt(zone.clone())),
                TimeUnit::Millisecond => {
                    Arc::new(times!(TimestampMillisecondType, 1_000, 1).with_timezone_opt(zone.clone()))
                }
                TimeUnit::Microsecond => {
                    Arc::new(times!(TimestampMicrosecondType, 1, 1).with_timezone_opt(zone.clone()))
                }
                TimeUnit::Nanosecond => {
                    let array = self.primitive::<TimestampNanosecondType>(slots, |slot| match at {
                        Some(rule) => rule.nanos(self.seed, slot),
                        None => values::integer(&mut slot.dice),
                    });
                    Arc::new(array.with_timezone_opt(zone.clone()))
                }
            },
            DataType::Date32 => Arc::new(times!(Date32Type, MICROS_PER_DAY, 1)),
            DataType::Date64 => Arc::new(times!(Date64Type, MICROS_PER_DAY, MILLIS_PER_DAY)),
            DataType::Dictionary(key, value) => match **key {
                DataType::Int8 => self.dictionary::<Int8Type>(value, slots, chunk, 128),
                DataType::Int16 => self.dictionary::<Int16Type>(value, slots, chunk, 1 << 15),
                DataType::Int32 => self.dictionary::<Int32Type>(value, slots, chunk, 1 << 31),
                DataType::Int64 => self.dictionary::<Int64Type>(value, slots, chunk, 1 << 31),
                DataType::UInt8 => self.dictionary::<UInt8Type>(value, slots, chunk, 256),
                DataType::UInt16 => self.dictionary::<UInt16Type>(value, slots, chunk, 1 << 16),
                DataType::UInt32 => self.dictionary::<UInt32Type>(value, slots, chunk, 1 << 31),
                DataType::UInt64 => self.dictionary::<UInt64Type>(value, slots, chunk, 1 << 31),
                ref other => panic!("{other} is no key type"),
            },
            other => panic!("no random values of {other}"),
        }
    }

    pub(super) fn primitive<T: ArrowPrimitiveType>(
        &self,
        mut slots: Vec<Slot>,
        value: impl FnMut(&mut Slot) -> T::Native,
    ) -> PrimitiveArray<T> {
        let values: Vec<T::Native> = slots.iter_mut().map(value).collect();
        PrimitiveArray::new(values.into(), self.validity(&slots))
    }

    fn strings<O: OffsetSizeTrait>(&self, slots: Vec<Slot>) -> ArrayRef {
        const SHORT: usize = 9;
        let texts = slots.iter().map(|slot| values::string(&mut slot.dice.clone()));
        let most = if self.short { SHORT } else { usize::MAX };
        let texts = texts.map(|text| text.chars().take(most).collect::<String>());
        let (offsets, bytes, _) = GenericStringArray::<O>::from_iter_values(texts).into_parts();
        Arc::new(GenericStringArray::<O>::new(offsets, bytes, self.validity(&slots)))
    }

    /// A dictionary with unused and repeated values, some of them null, and with keys under nulls that no
    /// dictionary has.
    fn dictionary<K: ArrowDictionaryKeyType>(
        &self,
        value: &DataType,
        slots: Vec<Slot>,
        chunk: u64,
        max_entries: u64,
    ) -> ArrayRef {
        let chunk = if self.shared_dictionary { 0 } else { chunk };
        let mut dice = Dice::new(self.seed, &[5, chunk]);
        let entries = match slots.iter().any(|slot| slot.valid) {
            true => dice.pick(&[1, 2, 3, 5, 10, 10, 20, 100, 127, 128, 256, 300, 1_000]).min(max_entries),
            false => dice.pick(&[0, 3]),
        };
        let offset = dice.pick(&[0, 0, 1, 9]);
        let repeated = dice.chance(3);
        let inner =
            Self { nulls: if dice.chance(3) { Nulls::Few } else { Nulls::Absent }, seed: dice.next(), ..self.clone() };
        let entry_slots = (0..offset + entries)
            .map(|i| {
                let row = if repeated { i / 2 } else { i };
                let mut dice = Dice::new(inner.seed, &[6, row]);
                let valid = inner.nulls == Nulls::Absent || !dice.chance(5);
                Slot { dice, row, valid, wild: i < offset || !valid }
            })
            .collect();
        let dictionary = inner.values(value, entry_slots, chunk, None).slice(offset as usize, entries as usize);
        let keys = self.primitive::<K>(slots, |slot| match slot.valid {
            true => K::Native::usize_as(slot.dice.below(entries) as usize),
            false => K::Native::usize_as(slot.dice.pick(&[0, entries, 100, 127]) as usize),
        });
        Arc::new(DictionaryArray::new(keys, dictionary))
    }

    /// Runs of equal values, some of them of nothing but one row. No run has wild rows and others.
    fn runs<R: RunEndIndexType>(
        &self,
        values: &DataType,
        slots: Vec<Slot>,
        chunk: u64,
        at: Option<AtRule>,
    ) -> ArrayRef {
        let longest = Dice::new(self.seed, &[10]).pick(&[1, 2, 5, 70, 3_000]);
        let (mut ends, mut firsts): (Vec<R::Native>, Vec<Slot>) = (Vec::new(), Vec::new());
        for (row, mut slot) in slots.into_iter().enumerate() {
            let joins = |first: &Slot| (first.valid, first.wild) == (slot.valid, slot.wild);
            let end = R::Native::usize_as(row + 1);
            match ends.last_mut() {
                Some(last) if firsts.last().is_some_and(joins) && !slot.dice.chance(longest) => *last = end,
                _ => {
                    ends.push(end);
                    firsts.push(slot);
                }
            }
        }
        let values = self.values(values, firsts, chunk, at);
        let ends = PrimitiveArray::<R>::from_iter_values(ends);
        Arc::new(RunArray::<R>::try_new(&ends, &values).expect("runs"))
    }

    pub(super) fn validity(&self, slots: &[Slot]) -> Option<NullBuffer> {
        match self.nulls {
            Nulls::Absent => None,
            _ => Some(NullBuffer::new(self.shifted(slots.iter().map(|slot| slot.valid).collect()))),
        }
    }

    /// These bits, beginning somewhere within a byte.
    fn shifted(&self, bits: Vec<bool>) -> BooleanBuffer {
        let shift = Dice::new(self.seed, &[7, bits.len() as u64]).pick(&[0, 0, 1, 5, 13]);
        let length = bits.len();
        let all: Vec<bool> = std::iter::repeat_n(true, shift).chain(bits).collect();
        BooleanBuffer::from(all).slice(shift, length)
    }
}

impl AtRule {
    /// A count of something that lasts `micros`.
    fn micros(self, seed: u64, slot: &mut Slot, micros: i64) -> i64 {
        // Version 1 sends nanoseconds, whose range ends in the year 2262.
        let max = if self.version == 1 { i64::MAX / 1_000 } else { MAX_AT_MICROS };
        self.count(seed, slot, max / micros)
    }

    fn nanos(self, seed: u64, slot: &mut Slot) -> i64 {
        self.count(seed, slot, if self.version == 1 { i64::MAX } else { MAX_AT_NANOS })
    }

    /// A value in `0..=max`, or one that cannot be sent: negative or beyond that.
    fn count(self, seed: u64, slot: &mut Slot, max: i64) -> i64 {
        if slot.wild {
            return if slot.dice.chance(2) { max.checked_add(1).unwrap_or(-2) } else { -1 };
        }
        let mut column = Dice::new(seed, &[8]);
        let base = values::integer_up_to(&mut column, max / 2);
        let step = values::integer_up_to(&mut column, max / 200_000);
        match self.order {
            Order::Sorted => base + step * slot.row as i64,
            Order::Random => values::integer_up_to(&mut slot.dice, max),
            Order::Equal => base,
            Order::Digits => {
                let power = 10_i64.pow(slot.dice.below(u64::from(max.ilog10()) + 1) as u32);
                (power - 1 + slot.dice.below(3) as i64).min(max)
            }
        }
    }
}
