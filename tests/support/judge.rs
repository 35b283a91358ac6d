//! The crate's encoder held against the reference encoder, on one random frame.

use arrow_array::{RecordBatch, RecordBatchIterator};
use questframe::{WriteOptions, to_ilp};

use super::random::Case;
use super::reference::{Fault, try_reference_ilp};
use super::{first_difference, write_options};

/// Encodes a frame in every form it can be given in; the error tells how that parts from the reference.
pub(crate) fn judge(case: &Case) -> Result<(), String> {
    let batches = case.batches();
    let options = write_options(&case.options());
    match try_reference_ilp(&batches, &case.options()) {
        Ok(expected) => {
            for (form, encoded) in encoded_in_every_form(&batches, &options) {
                let got = encoded.map_err(|error| format!("{form}: refused: {error}"))?;
                if let Some(difference) = first_difference(&expected, &got) {
                    return Err(format!("{form}: {difference}"));
                }
            }
        }
        Err(faults) => {
            for (form, encoded) in encoded_in_every_form(&batches, &options) {
                check_refusal(form, encoded, &faults)?;
            }
        }
    }
    Ok(())
}

/// An error is right if it tells one of the frame's faults by its place; which one comes first is the encoder's
/// choice.
fn check_refusal(form: &str, encoded: questframe::Result<Vec<u8>>, faults: &[Fault]) -> Result<(), String> {
    let error = match encoded {
        Err(error) => error,
        Ok(bytes) => {
            let lines = bytes.iter().filter(|&&byte| byte == b'\n').count();
            let start = bytes[..bytes.len().min(200)].escape_ascii();
            return Err(format!("{form}: accepted in spite of {:?}: about {lines} lines, {start}", faults[0]));
        }
    };
    let told = |fault: &Fault| error.row() == Some(fault.row) && error.column() == fault.column.as_deref();
    match faults.iter().any(told) {
        true => Ok(()),
        false => Err(format!("{form}: {error:?} is none of {faults:?}")),
    }
}

/// A frame encoded as batches, as a stream, and as a batch if it is one.
pub(crate) fn encoded_in_every_form(
    batches: &[RecordBatch],
    options: &WriteOptions,
) -> Vec<(&'static str, questframe::Result<Vec<u8>>)> {
    let reader = RecordBatchIterator::new(batches.iter().cloned().map(Ok), batches[0].schema());
    let mut forms = vec![("batches", to_ilp(batches.to_vec(), options)), ("reader", to_ilp(reader, options))];
    forms.push(("borrowed", to_ilp(batches, options)));
    if let [batch] = batches {
        forms.push(("batch", to_ilp(batch, options)));
    }
    forms
}
