//! What is found in a folder when it is opened, which is also what a crash has left there.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::{Entry, SegmentId, SpoolError, folder, segment};

pub(super) struct Found {
    pub(super) waiting: BTreeMap<SegmentId, Entry>,
    /// The highest number that was ever given: of all folders, empty or not, and of what was rejected.
    pub(super) highest: u64,
}

/// Removes what was not accepted and finds what was. The caller has the folder's lock.
///
/// Headers are read, bodies are not: they are checked when they are sent. A corrupt segment is found like any other. One
/// that cannot be read at all is an error, because what it has to wait for, and what for it, is not known.
pub(super) fn recover(path: &Path) -> Result<Found, SpoolError> {
    let mut waiting = BTreeMap::new();
    let mut appends = Vec::new();
    for name in folder::names(path)? {
        if folder::is_temporary(&name) {
            let temporary = path.join(name);
            fs::remove_dir_all(&temporary).map_err(SpoolError::io("remove", &temporary))?;
        } else if let Some(append) = folder::parse_append(&name) {
            appends.push(append);
            let folder = path.join(name);
            for index in folder::names(&folder)?.iter().filter_map(|name| folder::parse_segment(name)) {
                waiting.insert(SegmentId { append, index }, entry(&folder::segment_path(&folder, index))?);
            }
        }
    }
    let mut highest = appends.iter().copied().max().unwrap_or(0);
    let rejected = path.join(folder::REJECTED);
    if rejected.is_dir() {
        for name in folder::names(&rejected)? {
            let Some(id) = folder::parse_rejected(&name) else { continue };
            highest = highest.max(id.append);
            let [_, reason] = folder::rejected_paths(path, id);
            if waiting.contains_key(&id) && rejected.join(name) == reason {
                // The crash came between the reason and the segment.
                fs::remove_file(&reason).map_err(SpoolError::io("remove", &reason))?;
            }
        }
    }
    for append in appends.into_iter().filter(|append| *append != highest) {
        // Those that hold something are not removed by it.
        folder::remove_empty(&path.join(folder::append_name(append)));
    }
    Ok(Found { waiting, highest })
}

fn entry(path: &Path) -> Result<Entry, SpoolError> {
    let bytes = fs::metadata(path).map_err(SpoolError::io("open", path))?.len();
    match segment::read_header(path) {
        Err(error @ SpoolError::Corrupt { .. }) => Ok(Entry::new(bytes, Err(error))),
        header => Ok(Entry::new(bytes, Ok(Arc::new(header?)))),
    }
}
