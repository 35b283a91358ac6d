//! A segment's file: one encoded request and what it takes to send it.
//!
//! ```text
//! "QFSPOOL"  version: u8  header length: u64  body length: u64  header: JSON  CRC32  body  CRC32
//! ```
//!
//! Numbers are little-endian, and each checksum is of all bytes before it. The header has its own, so that opening a
//! spool need not read the bodies. Nothing is believed before it is checked: lengths against the file's size before
//! memory is taken for them, the header's bytes before they are parsed.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use crc32fast::Hasher;
use serde::{Deserialize, Serialize};

use super::{SpoolError, folder};
use crate::encode::Content;
use crate::options::{NullBool, ProtocolVersion};
use crate::table_spec::TableSpec;

const MAGIC: &[u8; 7] = b"QFSPOOL";
const VERSION: u8 = 1;
/// Magic, version, two lengths.
const PREFIX: u64 = 24;
const CHECKSUM: u64 = 4;

/// What a segment is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    pub(crate) table: String,
    #[serde(with = "version")]
    pub(crate) protocol_version: ProtocolVersion,
    pub(crate) rows: u64,
    /// The first and the last designated timestamp, in the order rule's unit. `None` if the server sets them.
    pub(crate) at: Option<(i64, i64)>,
    /// SQL to run before the rows are sent.
    pub(crate) statements: Vec<String>,
    /// Whether sending the rows twice does no harm, since the table has deduplication keys.
    pub(crate) repeatable: bool,
    /// When it was written, in microseconds since 1970.
    pub(crate) written_at_micros: u64,
    /// What they were planned for; none if they go as they are, as those of earlier versions.
    #[serde(default)]
    pub(crate) made_for: Option<MadeFor>,
}

/// The table that rows were planned for, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MadeFor {
    /// The columns that the rows may have, and those that are made for nulls.
    pub(crate) columns: Vec<MadeColumn>,
    /// The designated timestamp and its type, where they were known.
    pub(crate) designated: Option<(String, String)>,
    /// The frame's column of designated timestamps, and what these are in the lines.
    pub(crate) at: Option<(String, Content)>,
    /// Who makes a missing table or column.
    pub(crate) create: Making,
    pub(crate) null_bool: NullBool,
    /// The row of the frame that is the first one here, if the others follow it without a gap.
    pub(crate) first_row: Option<u64>,
}

/// A column that rows were planned for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MadeColumn {
    pub(crate) name: String,
    /// In QuestDB.
    pub(crate) column_type: String,
    pub(crate) content: Content,
    /// Whether its lines are true for this type alone: they do not tell what the frame had.
    pub(crate) is_bound: bool,
}

/// [`Create`](crate::Create) of a write whose rows were kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Making {
    Statement(TableSpec),
    Server,
    Never,
}

/// A protocol version as its number.
mod version {
    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::Serializer;

    use crate::options::ProtocolVersion;

    pub(super) fn serialize<S: Serializer>(version: &ProtocolVersion, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(version.number())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ProtocolVersion, D::Error> {
        let number = u64::deserialize(deserializer)?;
        ProtocolVersion::from_number(number).ok_or_else(|| D::Error::custom(format!("protocol version {number}")))
    }
}

/// All of a segment before its body.
pub(super) struct Head(Vec<u8>);

impl Head {
    pub(super) fn new(header: &Header, body: &[u8], path: &Path) -> Result<Self, SpoolError> {
        let failed = |error: simd_json::Error| SpoolError::Io {
            action: "write the header of",
            path: path.to_owned(),
            reason: error.to_string(),
        };
        let header = simd_json::serde::to_vec(header).map_err(failed)?;
        let mut bytes = Vec::with_capacity(header.len() + 32);
        bytes.extend_from_slice(MAGIC);
        bytes.push(VERSION);
        bytes.extend_from_slice(&(header.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&(body.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&header);
        let checksum = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        Ok(Self(bytes))
    }

    /// The size of the file with this body.
    pub(super) fn file_size(&self, body: &[u8]) -> u64 {
        self.0.len() as u64 + body.len() as u64 + CHECKSUM
    }

    /// Writes a segment and waits until it is on disk; its name is not, before its folder has been synced.
    pub(super) fn write(&self, body: &[u8], path: &Path) -> Result<(), SpoolError> {
        let mut checksum = Hasher::new();
        checksum.update(&self.0);
        checksum.update(body);
        let mut file = folder::create_file(path)?;
        let parts = [&self.0, body, &checksum.finalize().to_le_bytes()];
        let written = parts.into_iter().try_for_each(|part| file.write_all(part));
        written.map_err(SpoolError::io("write", path))?;
        file.sync_all().map_err(SpoolError::io("sync", path))
    }
}

/// The header alone, after its checksum and the file's size were found right.
pub(super) fn read_header(path: &Path) -> Result<Header, SpoolError> {
    Reader::open(path)?.header().map(|(header, _)| header)
}

/// Header and body, after both checksums were found right.
pub(super) fn read(path: &Path) -> Result<(Header, Vec<u8>), SpoolError> {
    let mut reader = Reader::open(path)?;
    let (header, body) = reader.header()?;
    let body = reader.take(body)?;
    reader.checksum("body")?;
    Ok((header, body))
}

struct Reader<'a> {
    path: &'a Path,
    file: File,
    size: u64,
    seen: Hasher,
}

impl<'a> Reader<'a> {
    fn open(path: &'a Path) -> Result<Self, SpoolError> {
        let file = File::open(path).map_err(SpoolError::io("open", path))?;
        let size = file.metadata().map_err(SpoolError::io("open", path))?.len();
        Ok(Self { path, file, size, seen: Hasher::new() })
    }

    /// The header, and the length of the body that follows.
    fn header(&mut self) -> Result<(Header, u64), SpoolError> {
        let prefix = self.take(PREFIX)?;
        let Some((version, lengths)) = prefix.strip_prefix(MAGIC).and_then(<[u8]>::split_first) else {
            return Err(self.corrupt("it does not begin as segments do"));
        };
        if *version != VERSION {
            let reason = format!("its format is version {version}, and this questframe reads {VERSION}");
            return Err(self.corrupt(reason));
        }
        let (header, body) = lengths.split_at(size_of::<u64>());
        let [header, body] = [header, body].map(number);
        let expected = [header, CHECKSUM, body, CHECKSUM].into_iter().try_fold(PREFIX, u64::checked_add);
        if expected != Some(self.size) {
            return Err(self.corrupt(format!("its size is {}, and not that of its parts together", self.size)));
        }
        let mut json = self.take(header)?;
        self.checksum("header")?;
        match simd_json::serde::from_slice(&mut json) {
            Ok(header) => Ok((header, body)),
            Err(error) => Err(self.corrupt(format!("its header cannot be read ({error})"))),
        }
    }

    /// The next bytes, of which there are as many as the file's size says.
    fn take(&mut self, len: u64) -> Result<Vec<u8>, SpoolError> {
        let mut bytes = Vec::new();
        if usize::try_from(len).ok().and_then(|len| bytes.try_reserve_exact(len).ok()).is_none() {
            let reason = format!("there is no memory for {len} bytes");
            return Err(SpoolError::Io { action: "read", path: self.path.to_owned(), reason });
        }
        let read = (&mut self.file).take(len).read_to_end(&mut bytes);
        if read.map_err(SpoolError::io("read", self.path))? as u64 != len {
            return Err(self.corrupt("it ends too early"));
        }
        self.seen.update(&bytes);
        Ok(bytes)
    }

    /// Compares the checksum that follows with that of everything so far.
    fn checksum(&mut self, what: &str) -> Result<(), SpoolError> {
        let expected = u64::from(self.seen.clone().finalize());
        if number(&self.take(CHECKSUM)?) == expected {
            Ok(())
        } else {
            Err(self.corrupt(format!("the checksum of its {what} is wrong")))
        }
    }

    fn corrupt(&self, reason: impl Into<String>) -> SpoolError {
        SpoolError::Corrupt { path: self.path.to_owned(), reason: reason.into() }
    }
}

/// A little-endian number of up to eight bytes.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}
