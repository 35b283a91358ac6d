//! Requests that are accepted together: all of them with one rename, or none.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use super::segment::Head;
use super::{Entry, Header, SegmentId, Spool, SpoolError, State, folder};

/// An append in progress. Dropped without a commit it leaves nothing.
#[derive(Debug)]
#[must_use = "what is added is accepted by `commit` only"]
pub(crate) struct Append {
    pub(super) spool: Arc<Spool>,
    /// Where the segments are until they are accepted; made with the first.
    folder: Option<PathBuf>,
    added: Vec<(u64, Arc<Header>)>,
    /// Bytes that this append has of the spool's limit.
    reserved: u64,
    failed: Option<SpoolError>,
    /// Whether a part of the request that failed lies among the others.
    has_rubble: bool,
}

impl Append {
    pub(super) fn new(spool: Arc<Spool>) -> Self {
        Self { spool, folder: None, added: Vec::new(), reserved: 0, failed: None, has_rubble: false }
    }

    /// Writes one request and waits until it is on disk.
    ///
    /// After an error the append cannot be committed, but by [`commit_part`](Self::commit_part): something of what belongs
    /// together would be missing.
    pub(crate) fn add(&mut self, header: Header, body: &[u8]) -> Result<(), SpoolError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.try_add(header, body).inspect_err(|error| self.failed = Some(error.clone()))
    }

    fn try_add(&mut self, header: Header, body: &[u8]) -> Result<(), SpoolError> {
        self.spool.check_process()?;
        let head = Head::new(&header, body, &self.spool.folder)?;
        let bytes = head.file_size(body);
        self.reserve(bytes)?;
        let index = self.added.len() as u64;
        let folder = match &self.folder {
            Some(folder) => folder,
            None => self.make_folder()?,
        };
        let path = folder::segment_path(folder, index);
        if let Err(error) = head.write(body, &path) {
            self.has_rubble = fs::remove_file(&path).is_err_and(|error| error.kind() != ErrorKind::NotFound);
            return Err(error);
        }
        self.added.push((bytes, Arc::new(header)));
        Ok(())
    }

    fn reserve(&mut self, bytes: u64) -> Result<(), SpoolError> {
        let mut state = self.spool.state();
        let State { max_bytes, waiting_bytes, reserved, .. } = *state;
        let taken = waiting_bytes.saturating_add(reserved);
        if taken.saturating_add(bytes) > max_bytes {
            let folder = self.spool.folder.clone();
            return Err(SpoolError::Full { folder, bytes, taken, max_bytes });
        }
        state.reserved += bytes;
        self.reserved += bytes;
        Ok(())
    }

    fn make_folder(&mut self) -> Result<&PathBuf, SpoolError> {
        let mut state = self.spool.state();
        let name = folder::temporary_name(state.begun);
        state.begun += 1;
        drop(state);
        let folder = self.spool.folder.join(name);
        folder::create(&folder)?;
        Ok(self.folder.insert(folder))
    }

    /// As [`commit`](Self::commit), also of what was added before an error.
    pub(crate) fn commit_part(mut self) -> Result<u64, SpoolError> {
        if !self.has_rubble {
            self.failed = None;
        }
        self.commit()
    }

    /// Accepts what was added; returns the number of its rows. They are on disk when it returns.
    ///
    /// After an error nothing of it stays. Only where the disk failed to sync, and the machine then loses its power,
    /// may it be there again.
    pub(crate) fn commit(mut self) -> Result<u64, SpoolError> {
        let spool = Arc::clone(&self.spool);
        spool.check_process()?;
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let Some(temporary) = self.folder.clone() else { return Ok(0) };
        folder::sync(&temporary)?;

        let mut order = spool.order.lock().unwrap_or_else(PoisonError::into_inner);
        *order = order.saturating_add(1);
        let append = *order;
        let accepted = spool.append_folder(append);
        // It replaces no folder that holds anything, whatever its number.
        folder::rename(&temporary, &accepted)?;
        if let Err(error) = folder::sync(&spool.folder) {
            if folder::rename(&accepted, &temporary).is_err() {
                self.folder = Some(accepted);
            }
            return Err(error);
        }
        self.folder = None;

        let mut state = spool.state();
        state.reserved -= std::mem::take(&mut self.reserved);
        let mut rows = 0;
        for (index, (bytes, header)) in (0..).zip(self.added.drain(..)) {
            rows += header.rows;
            state.waiting_bytes += bytes;
            state.waiting.insert(SegmentId { append, index }, Entry::new(bytes, Ok(header)));
        }
        let previous = std::mem::replace(&mut state.newest, append);
        let spent = state.is_spent(previous);
        drop(state);
        if spent {
            folder::remove_empty(&spool.append_folder(previous));
        }
        Ok(rows)
    }
}

impl Drop for Append {
    fn drop(&mut self) {
        if self.spool.check_process().is_err() {
            return;
        }
        if let Some(folder) = self.folder.take() {
            // What cannot be removed now is removed when the spool is opened the next time.
            let _ = fs::remove_dir_all(folder);
        }
        if self.reserved > 0 {
            self.spool.state().reserved -= self.reserved;
        }
    }
}
