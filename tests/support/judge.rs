//! The crate's encoder held against the reference encoder, on one random frame.

use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchIterator};
use arrow_schema::FieldRef;
use questframe::{At, Decoded, NullAt, NullBool, ProtocolVersion, WriteOptions, decoded, to_ilp};

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
            read_again(&expected, case)?;
        }
        Err(faults) => {
            for (form, encoded) in encoded_in_every_form(&batches, &options) {
                check_refusal(form, encoded, &faults)?;
            }
        }
    }
    Ok(())
}

/// Lines that are made a frame again and encoded are what they were, but for the order of columns that the first rows
/// do not have: then the same values in the same rows.
fn read_again(lines: &[u8], case: &Case) -> Result<(), String> {
    let written = case.options();
    let version = ProtocolVersion::from_number(written.version.into()).expect("a version");
    let read = |lines: &[u8]| {
        let shown = || format!("not read again: {}", lines[..lines.len().min(200)].escape_ascii());
        decoded(lines, version, &[], "time", None).ok_or_else(shown)
    };
    let Decoded { batch, at } = read(lines)?;
    if batch.num_rows() == 0 {
        return Ok(());
    }
    let options = WriteOptions::table(written.table)
        .at(at.map_or(At::Server, At::Column))
        .protocol_version(version)
        .null_at(NullAt::Server)
        .null_bool(NullBool::Omit);
    let again = to_ilp(&batch, &options).map_err(|error| format!("read again and refused: {error}"))?;
    let Some(difference) = first_difference(lines, &again) else { return Ok(()) };
    let twice = read(&again)?.batch;
    let is_same = |(field, array): (&FieldRef, &ArrayRef)| twice.column_by_name(field.name()) == Some(array);
    let may_move = batch.columns().iter().any(|array| array.logical_null_count() > 0);
    let is_moved = may_move
        && again.len() == lines.len()
        && twice.num_columns() == batch.num_columns()
        && batch.schema().fields().iter().zip(batch.columns()).all(is_same);
    if is_moved { Ok(()) } else { Err(format!("read again: {difference}")) }
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
