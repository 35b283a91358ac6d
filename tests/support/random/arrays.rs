//! The Arrow arrays of a random [`Column`]: nulls, offsets, dictionaries, and what must not be looked at.

use std::sync::Arc;

use arrow_array::types::*;
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, BooleanArray, DictionaryArray, GenericStringArray, NullArray, OffsetSizeTrait,
    PrimitiveArray, StringViewArray,
};
use arrow_buffer::{ArrowNativeType, BooleanBuffer, NullBuffer};
use arrow_schema::{DataType, TimeUnit};

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
struct Slot {
    dice: Dice,
    row: u64,
    valid: bool,
    /// The value must not be looked at, or is one that cannot be sent.
    wild: bool,
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

    fn values(&self, data_type: &DataType, slots: Vec<Slot>, chunk: u64, at: Option<AtRule>) -> ArrayRef {
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
        match data_type {
            DataType::Null => Arc::new(NullArray::new(slots.len())),
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

    fn primitive<T: ArrowPrimitiveType>(
        &self,
        mut slots: Vec<Slot>,
        value: impl FnMut(&mut Slot) -> T::Native,
    ) -> PrimitiveArray<T> {
        let values: Vec<T::Native> = slots.iter_mut().map(value).collect();
        PrimitiveArray::new(values.into(), self.validity(&slots))
    }

    fn strings<O: OffsetSizeTrait>(&self, slots: Vec<Slot>) -> ArrayRef {
        let texts = slots.iter().map(|slot| values::string(&mut slot.dice.clone()));
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

    fn validity(&self, slots: &[Slot]) -> Option<NullBuffer> {
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
