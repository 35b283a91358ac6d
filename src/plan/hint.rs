//! Hints that need a look at the data: which string columns look like symbols.
//!
//! Only for the reader of a printed plan; no write waits for it.

use std::collections::HashSet;

use arrow_array::RecordBatch;

use super::kind::Kind;
use super::{Origin, Plan, Role, Wire};
use crate::column::Text;

/// Rows looked at: enough to tell a category from free text, and done in a few milliseconds.
const SAMPLE: usize = 10_000;

impl Plan {
    /// Notes, from the first rows of `batch`, which string columns repeat few values and would be better symbols.
    ///
    /// Looks at 10,000 rows at most: one hash per value of each string column.
    pub fn hint_symbols(&mut self, batch: &RecordBatch) {
        let rows = batch.num_rows().min(SAMPLE);
        for column in &mut self.columns {
            if column.role != Role::Field(Wire::String)
                || column.origin == Origin::Existing
                || column.kind != (Kind::Text { dictionary: false })
            {
                continue;
            }
            let array = batch.column(column.index);
            let Some(text) = Text::bind(array.as_ref()) else { continue };
            let mut distinct = HashSet::new();
            let mut values = 0;
            for row in (0..rows).filter(|row| array.is_valid(*row)) {
                values += 1;
                distinct.insert(text.get(row));
            }
            // A symbol pays off when values repeat: few of them, each seen many times.
            if values >= 20 && distinct.len() * 10 <= values && distinct.len() <= 1_000 {
                let count = distinct.len();
                column.note = Some(format!(
                    "looks like a symbol: {count} distinct in the first {values} values; list it in `symbols`"
                ));
            }
        }
    }
}
