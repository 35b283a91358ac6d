//! Random lists of numbers, nested and in every layout: items before the first list and behind the last, lists under
//! nulls that are not empty, views in any order that share their items, lists of a fixed size.

use std::sync::Arc;

use arrow_array::types::{Int64Type, UInt64Type};
use arrow_array::{ArrayRef, FixedSizeListArray, GenericListArray, GenericListViewArray, OffsetSizeTrait};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{DataType, FieldRef};

use super::arrays::Slot;
use super::values::{self, Dice};
use super::{Column, Nulls};

/// A list that is to be made.
struct List {
    slot: Slot,
    /// How long it and those within it are. Where a type has a fixed size that is taken instead.
    lengths: Vec<usize>,
}

/// Whether this is a type of lists.
pub(super) fn is_list(data_type: &DataType) -> bool {
    item(data_type).is_some()
}

fn item(data_type: &DataType) -> Option<&FieldRef> {
    match data_type {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => Some(item),
        _ => None,
    }
}

fn depth(data_type: &DataType) -> usize {
    item(data_type).map_or(0, |item| 1 + depth(item.data_type()))
}

/// Lengths of so many dimensions. Mostly short: what matters is which are 0 and which differ.
fn lengths(dice: &mut Dice, dimensions: usize) -> Vec<usize> {
    match dimensions {
        1 => vec![dice.pick(&[0, 1, 1, 2, 3, 4, 5, 8, 33])],
        _ => (0..dimensions).map(|_| dice.pick(&[0, 1, 1, 2, 2, 3, 4])).collect(),
    }
}

impl List {
    /// How many items it has; fewer than `fixed` only where it is not.
    fn length(&self, fixed: Option<usize>) -> usize {
        fixed.unwrap_or(self.lengths[0])
    }

    /// What is in it, as lists if there are further dimensions. A list that must not be looked at or cannot be sent
    /// holds lists of any lengths, some of them null.
    fn items(&self, fixed: Option<usize>) -> Vec<List> {
        let mut dice = self.slot.dice.clone();
        let base = dice.next();
        let inner = &self.lengths[1..];
        (0..self.length(fixed))
            .map(|i| {
                let mut dice = Dice::new(base, &[i as u64]);
                let is_odd = self.slot.wild && !inner.is_empty() && dice.chance(2);
                let lengths = if is_odd { lengths(&mut dice, inner.len()) } else { inner.to_vec() };
                let valid = !(is_odd && dice.chance(2));
                List { slot: Slot { dice, row: self.slot.row, valid, wild: self.slot.wild }, lengths }
            })
            .collect()
    }

    /// One that no row has.
    fn hidden(seed: u64, dimensions: usize) -> Self {
        let mut dice = Dice::new(seed, &[11]);
        let lengths = lengths(&mut dice, dimensions);
        Self { slot: Slot { dice, row: 0, valid: true, wild: true }, lengths }
    }
}

impl Column {
    /// Lists for these places.
    pub(super) fn lists(&self, data_type: &DataType, slots: Vec<Slot>) -> ArrayRef {
        let nulls = self.validity(&slots);
        let lists = slots.into_iter().map(|mut slot| {
            let lengths = lengths(&mut slot.dice, depth(data_type));
            List { slot, lengths }
        });
        self.level(data_type, lists.collect(), nulls)
    }

    fn level(&self, data_type: &DataType, lists: Vec<List>, nulls: Option<NullBuffer>) -> ArrayRef {
        let Some(item) = item(data_type) else {
            return self.numbers(data_type, lists.into_iter().map(|list| list.slot).collect());
        };
        match data_type {
            DataType::List(_) => self.list::<i32>(item, &lists, nulls),
            DataType::LargeList(_) => self.list::<i64>(item, &lists, nulls),
            DataType::ListView(_) => self.views::<i32>(item, &lists, nulls),
            DataType::LargeListView(_) => self.views::<i64>(item, &lists, nulls),
            DataType::FixedSizeList(_, size) => {
                let items = lists.iter().flat_map(|list| list.items(Some(*size as usize))).collect();
                let values = self.items(item, items);
                let array = FixedSizeListArray::try_new_with_length(item.clone(), *size, values, nulls, lists.len());
                Arc::new(array.expect("lists of a fixed size"))
            }
            other => panic!("{other} is no list"),
        }
    }

    /// The values of lists.
    fn items(&self, item: &FieldRef, items: Vec<List>) -> ArrayRef {
        let nulls =
            items.iter().any(|list| !list.slot.valid).then(|| items.iter().map(|list| list.slot.valid).collect());
        self.level(item.data_type(), items, nulls)
    }

    fn list<O: OffsetSizeTrait>(&self, item: &FieldRef, lists: &[List], nulls: Option<NullBuffer>) -> ArrayRef {
        let mut dice = Dice::new(self.seed, &[12, lists.len() as u64]);
        let dimensions = depth(item.data_type());
        let mut hidden = |count| (0..count).map(|_| List::hidden(dice.next(), dimensions)).collect::<Vec<_>>();
        let mut items = hidden(self.seed as usize % 3);
        let mut offsets = vec![O::usize_as(items.len())];
        for list in lists {
            items.extend(list.items(None));
            offsets.push(O::usize_as(items.len()));
        }
        items.extend(hidden(self.seed as usize % 2));
        let offsets = OffsetBuffer::new(offsets.into());
        let values = self.items(item, items);
        Arc::new(GenericListArray::<O>::try_new(item.clone(), offsets, values, nulls).expect("lists"))
    }

    fn views<O: OffsetSizeTrait>(&self, item: &FieldRef, lists: &[List], nulls: Option<NullBuffer>) -> ArrayRef {
        let mut dice = Dice::new(self.seed, &[13, lists.len() as u64]);
        let dimensions = depth(item.data_type());
        let (backwards, gaps, shared) = (dice.chance(2), dice.chance(2), dice.chance(2));
        let mut views = vec![(0, 0); lists.len()];
        let mut items = Vec::new();
        let order: Vec<usize> = if backwards { (0..lists.len()).rev().collect() } else { (0..lists.len()).collect() };
        // The last view whose items any row may have.
        let mut known: Option<(usize, usize)> = None;
        for row in order {
            let list = &lists[row];
            if gaps && dice.chance(4) {
                items.push(List::hidden(dice.next(), dimensions));
            }
            views[row] = match known {
                // Within lists that are equally long any part is so, too.
                Some((start, length)) if shared && !list.slot.wild && dice.chance(3) => {
                    let skipped = dice.below(length as u64 + 1) as usize;
                    (start + skipped, dice.below((length - skipped) as u64 + 1) as usize)
                }
                _ => {
                    let start = items.len();
                    items.extend(list.items(None));
                    (start, items.len() - start)
                }
            };
            if !list.slot.wild {
                known = Some(views[row]);
            }
        }
        // Views of nulls point anywhere.
        for (view, list) in views.iter_mut().zip(lists).filter(|(_, list)| !list.slot.valid) {
            let start = list.slot.dice.clone().below(items.len() as u64 + 1) as usize;
            *view = (start, (items.len() - start).min(40));
        }
        let offsets: Vec<O> = views.iter().map(|(start, _)| O::usize_as(*start)).collect();
        let sizes: Vec<O> = views.iter().map(|(_, length)| O::usize_as(*length)).collect();
        let values = self.items(item, items);
        let array = GenericListViewArray::<O>::try_new(item.clone(), offsets.into(), sizes.into(), values, nulls);
        Arc::new(array.expect("views of lists"))
    }

    /// The numbers at the bottom, some of them null. Integers are such that a float holds them, but for wild ones.
    fn numbers(&self, data_type: &DataType, mut slots: Vec<Slot>) -> ArrayRef {
        let has_nulls = Dice::new(self.seed, &[14]).chance(2);
        let numbers = Self { nulls: if has_nulls { Nulls::Few } else { Nulls::Absent }, ..self.clone() };
        for slot in &mut slots {
            slot.valid = !(has_nulls && slot.dice.chance(6));
        }
        let number = |slot: &mut Slot, signed| match slot.wild || !slot.valid {
            true => i128::from(slot.dice.next()),
            false => values::exact_integer(&mut slot.dice, signed),
        };
        match data_type {
            DataType::Int64 => Arc::new(numbers.primitive::<Int64Type>(slots, |slot| number(slot, true) as i64)),
            DataType::UInt64 => Arc::new(numbers.primitive::<UInt64Type>(slots, |slot| number(slot, false) as u64)),
            other => numbers.values(other, slots, 0, None),
        }
    }
}
