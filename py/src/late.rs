//! Columns of a stream of frames in which no value has come yet.
//!
//! Why it is hard: what reads a file in pieces gives a column some type while it is blank, pandas mostly that of floats, and
//! another once there are values. So a column has the type of its first values, and until then none where that would
//! matter: it is not made in a table, and nothing is written of it. But a NaN of pandas may also be all that a row has, and
//! a row that has nothing is not sent; then it is written, unless the table's column is one that takes no floats.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_buffer::BooleanBuffer;
use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef};

use crate::fit::{fit, is_untyped, tells_nothing, with_room};

/// The key, in the metadata of a column, that no value of it has come (`plan::build` knows it), and what it says: that
/// rows have something beside it, or that some have not.
const NOTHING: &str = "questframe:nothing";
const ROWS_HAVE_OTHERS: &str = "";
const ROWS_HAVE_NOTHING_ELSE: &str = "rows";

/// The key that rows have come before the column's first value; the plan knows it, too.
const LATE: &str = "questframe:late";

/// Which columns the rows' time may be of.
#[derive(Clone, Debug)]
pub(crate) enum At {
    Column(String),
    /// The only instants.
    Open,
    None,
}

/// Of a stream's columns those without a value so far.
#[derive(Debug)]
pub(crate) struct Unseen {
    columns: Vec<bool>,
    at: At,
}

/// A batch that is to be looked at.
pub(crate) struct Next<'a> {
    pub(crate) batch: &'a RecordBatch,
    /// Where each of the stream's columns is in it.
    pub(crate) places: &'a [usize],
    /// Whether it is of pandas.
    pub(crate) nan_is_missing: bool,
    /// Rows that have come before.
    pub(crate) rows: usize,
}

/// The column of a stream that is one like this in a frame. Decimals of pandas have the digits that the frame's values need,
/// and others may need more.
pub(crate) fn typed(field: &Field, is_of_pandas: bool) -> Field {
    let kind = match with_room(field.data_type()) {
        kind if is_untyped(&kind) => DataType::Null,
        DataType::Decimal128(_, scale) if is_of_pandas => DataType::Decimal128(38, scale),
        DataType::Decimal256(_, scale) if is_of_pandas => DataType::Decimal256(76, scale),
        kind => kind,
    };
    Field::new(field.name(), kind, true).with_metadata(field.metadata().clone())
}

/// Whether nothing is known yet of what a column holds.
fn is_open(field: &Field) -> bool {
    field.data_type().is_null() || field.metadata().contains_key(NOTHING)
}

fn has_value(column: &ArrayRef, nan_is_missing: bool) -> bool {
    column.null_count() < column.len() && !tells_nothing(column, nan_is_missing)
}

impl Unseen {
    /// Of a stream with these columns, as [`typed`] gives them; `first` are the batches of its first frame if that is one
    /// of pandas, where the types of columns without a value say nothing.
    pub(crate) fn begin(fields: &mut [Field], first: Option<&[RecordBatch]>, at: At) -> Self {
        let mut unseen = Self { columns: vec![true; fields.len()], at };
        let Some(first) = first else { return unseen };
        for (place, is_unseen) in unseen.columns.iter_mut().enumerate() {
            *is_unseen = !first.iter().any(|batch| has_value(batch.column(place), true));
        }
        let known = fields.to_vec();
        let may_be_at = unseen.may_be_at(known.iter());
        // Without any other column there would be nothing to plan.
        if !unseen.columns.iter().zip(&may_be_at).any(|(is_unseen, may_be_at)| !is_unseen && !may_be_at) {
            return unseen;
        }
        let places: Vec<_> = (0..known.len()).collect();
        let says = match first.iter().all(|batch| unseen.rows_have_others(known.iter(), batch, &places, true)) {
            true => ROWS_HAVE_OTHERS,
            false => ROWS_HAVE_NOTHING_ELSE,
        };
        for (field, _) in fields.iter_mut().zip(&unseen.columns).filter(|(_, is_unseen)| **is_unseen) {
            field.metadata_mut().insert(NOTHING.to_owned(), says.to_owned());
        }
        unseen
    }

    /// Looks at a batch for first values. The stream's schema, if it is another from this batch on.
    pub(crate) fn look(&mut self, schema: &SchemaRef, next: &Next<'_>) -> Option<SchemaRef> {
        if !self.columns.contains(&true) {
            return None;
        }
        let mut fields: Vec<FieldRef> = schema.fields().to_vec();
        let mut is_another = false;
        for (index, place) in next.places.iter().enumerate() {
            let column = next.batch.column(*place);
            if self.columns[index] && has_value(column, next.nan_is_missing) {
                self.columns[index] = false;
                if let Some(field) = first_typed(&fields[index], next, *place) {
                    fields[index] = Arc::new(field);
                    is_another = true;
                }
            }
        }
        // Those that are left, in rows that may have nothing else.
        let says_others = |field: &FieldRef| field.metadata().get(NOTHING).is_some_and(|says| says == ROWS_HAVE_OTHERS);
        if next.nan_is_missing
            && fields.iter().any(says_others)
            && !self.rows_have_others(fields.iter().map(|field| &**field), next.batch, next.places, true)
        {
            for field in fields.iter_mut().filter(|field| says_others(field)) {
                Arc::make_mut(field).metadata_mut().insert(NOTHING.to_owned(), ROWS_HAVE_NOTHING_ELSE.to_owned());
            }
            is_another = true;
        }
        is_another.then(|| Arc::new(Schema::new(fields)))
    }

    /// Which columns may hold the rows' time, and so nothing that is written.
    fn may_be_at<'f>(&self, fields: impl Iterator<Item = &'f Field>) -> Vec<bool> {
        let is = |field: &Field| match &self.at {
            At::Column(name) => field.name() == name,
            At::Open => matches!(field.data_type(), DataType::Timestamp(..)),
            At::None => false,
        };
        fields.map(is).collect()
    }

    /// Whether each row has something in the columns whose values have begun.
    fn rows_have_others<'f>(
        &self,
        fields: impl Iterator<Item = &'f Field> + Clone,
        batch: &RecordBatch,
        places: &[usize],
        nan_is_missing: bool,
    ) -> bool {
        let mut present: Option<BooleanBuffer> = None;
        let may_be_at = self.may_be_at(fields.clone());
        for (index, field) in fields.enumerate().filter(|(index, field)| !may_be_at[*index] && !is_open(field)) {
            let Some(place) = places.get(index).filter(|_| !self.columns[index]) else { continue };
            // What does not fit is told where it is fitted.
            let Ok(column) = fit(batch.column(*place), field.data_type(), nan_is_missing) else { continue };
            let Some(nulls) = column.logical_nulls() else { return true };
            present = Some(match present {
                Some(present) => &present | nulls.inner(),
                None => nulls.inner().clone(),
            });
        }
        present.map_or(0, |present| present.count_set_bits()) == batch.num_rows()
    }
}

/// The stream's column once it has values, if it is another then.
fn first_typed(field: &Field, next: &Next<'_>, place: usize) -> Option<Field> {
    let (column, known) = (next.batch.column(place), field.data_type());
    let found = next.batch.schema_ref().field(place);
    let is_number = found.data_type().is_integer() || found.data_type().is_floating();
    let fits = || fit(column, known, next.nan_is_missing).is_ok();
    let mut field = match is_open(field) {
        false if fits() => return None,
        // Others may have fractions.
        true if known.is_floating() && is_number && fits() => {
            Field::new(field.name(), known.clone(), true).with_metadata(found.metadata().clone())
        }
        _ => typed(found, next.nan_is_missing).with_name(field.name()),
    };
    if next.rows > 0 {
        field.metadata_mut().insert(LATE.to_owned(), String::new());
    }
    Some(field)
}
