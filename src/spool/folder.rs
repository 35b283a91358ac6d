//! Names in a spool's folder, and the few changes made to it, each with the path in its error.
//!
//! A name that was made, changed or removed is on disk only after its *folder* was synced; syncing the file is for what
//! is in it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::{SegmentId, SpoolError};

/// Where segments go that will never be taken.
pub(super) const REJECTED: &str = "rejected";

const SEGMENT_SUFFIX: &str = ".seg";
const REASON_SUFFIX: &str = ".reason.txt";
const TEMPORARY: (&str, &str) = ("append-", ".tmp");

/// The folder of a committed append.
pub(super) fn append_name(number: u64) -> String {
    format!("{number:020}")
}

/// A segment's position in its append, as it stands in names.
pub(super) fn index_name(index: u64) -> String {
    format!("{index:06}")
}

/// The folder of an append in progress.
pub(super) fn temporary_name(number: u64) -> String {
    format!("{}{number}{}", TEMPORARY.0, TEMPORARY.1)
}

/// The number of a committed append's folder. `None` for names we have not given.
pub(super) fn parse_append(name: &str) -> Option<u64> {
    name.parse().ok().filter(|&number| append_name(number) == name)
}

/// The position that a segment's file name gives.
pub(super) fn parse_segment(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SEGMENT_SUFFIX)?;
    digits.parse().ok().filter(|&index| index_name(index) == digits)
}

/// The segment that a file in [`REJECTED`] is of, or is about.
pub(super) fn parse_rejected(name: &str) -> Option<SegmentId> {
    let stem = name.strip_suffix(REASON_SUFFIX).or_else(|| name.strip_suffix(SEGMENT_SUFFIX))?;
    let (append, index) = stem.split_once('-')?;
    let id = SegmentId { append: parse_append(append)?, index: index.parse().ok()? };
    (id.to_string() == stem).then_some(id)
}

/// Whether this is the folder of an append in progress.
pub(super) fn is_temporary(name: &str) -> bool {
    let number = name.strip_prefix(TEMPORARY.0).and_then(|name| name.strip_suffix(TEMPORARY.1));
    number.and_then(|number| number.parse().ok()).is_some_and(|number| temporary_name(number) == name)
}

/// The file of a segment in the folder of its append.
pub(super) fn segment_path(append: &Path, index: u64) -> PathBuf {
    append.join(index_name(index) + SEGMENT_SUFFIX)
}

/// Where a rejected segment goes, and the reason.
pub(super) fn rejected_paths(folder: &Path, id: SegmentId) -> [PathBuf; 2] {
    [SEGMENT_SUFFIX, REASON_SUFFIX].map(|suffix| folder.join(REJECTED).join(format!("{id}{suffix}")))
}

/// Makes a spool's folder if it is missing, durably; returns its one canonical path.
pub(super) fn prepare(folder: &Path) -> Result<PathBuf, SpoolError> {
    let missing: Vec<_> = folder.ancestors().take_while(|path| *path != Path::new("") && !path.exists()).collect();
    // From the top down.
    for path in missing.iter().rev() {
        match create(path) {
            // Made by another thread or process just now; what else there may be is told by the next step.
            Err(_) if path.is_dir() => {}
            made => made?,
        }
        sync(parent(path))?;
    }
    if !folder.is_dir() {
        let reason = "it is not a folder".to_owned();
        return Err(SpoolError::Io { action: "use", path: folder.to_owned(), reason });
    }
    let folder = folder.canonicalize().map_err(SpoolError::io("open", folder))?;
    if missing.is_empty() {
        // A process may have made it and been killed before the sync. Most have not, and here it may be forbidden.
        let _ = sync(parent(&folder));
    }
    Ok(folder)
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."))
}

/// Makes a folder that only we may look into: rows can be private.
pub(super) fn create(path: &Path) -> Result<(), SpoolError> {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "permissions are of another kind"))]
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(SpoolError::io("create", path))
}

/// Makes a new file that only we may read.
pub(super) fn create_file(path: &Path) -> Result<File, SpoolError> {
    private(OpenOptions::new().write(true).create_new(true)).open(path).map_err(SpoolError::io("create", path))
}

/// Files made with these options are for us only.
pub(super) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// Renames within one file system, where it is atomic.
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), SpoolError> {
    fs::rename(from, to).map_err(SpoolError::io("rename", from))
}

/// Makes the names in a folder durable.
pub(super) fn sync(folder: &Path) -> Result<(), SpoolError> {
    // Elsewhere folders cannot be opened as files are, and names are part of the file system's own log.
    if cfg!(unix) {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(SpoolError::io("sync", folder))?;
    }
    Ok(())
}

/// Removes an append's folder if it is empty. What stays is removed when the spool is opened the next time.
pub(super) fn remove_empty(append: &Path) {
    let _ = fs::remove_dir(append);
}

/// The names in a folder, those that are text: ours are.
pub(super) fn names(folder: &Path) -> Result<Vec<String>, SpoolError> {
    let entries: io::Result<Vec<_>> = fs::read_dir(folder).and_then(Iterator::collect);
    let entries = entries.map_err(SpoolError::io("list", folder))?;
    Ok(entries.into_iter().filter_map(|entry| entry.file_name().into_string().ok()).collect())
}
