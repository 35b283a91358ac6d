//! The body of a request: lines of the line protocol, as they are or compressed.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

/// Lines on their way to the server. A clone shares them.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    pub(super) bytes: Bytes,
    pub(super) is_gzip: bool,
    /// The bytes of the lines, which are what the server's work grows with.
    pub(super) lines: usize,
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self { lines: bytes.len(), is_gzip: false, bytes }
    }
}

impl Body {
    /// Compresses lines with gzip, where that makes them fewer bytes. Worst case: some 10 ms for each MiB, on a thread
    /// of its own, so that other requests go on.
    pub(crate) async fn compressed(lines: Bytes) -> Self {
        let plain = lines.clone();
        // The thread does not panic; if it did, the lines would go as they are.
        tokio::task::spawn_blocking(move || Self::compress(lines)).await.unwrap_or_else(|_| plain.into())
    }

    pub(crate) fn compress(lines: Bytes) -> Self {
        let mut encoder = GzEncoder::new(Vec::with_capacity(lines.len() / 3 + 32), Compression::fast());
        match encoder.write_all(&lines).and_then(|()| encoder.finish()) {
            Ok(bytes) if bytes.len() < lines.len() => Self { bytes: bytes.into(), is_gzip: true, lines: lines.len() },
            _ => lines.into(),
        }
    }

    /// How many bytes go over the network.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn lines_are_compressed_where_that_pays() {
        let lines = Bytes::from("t,k=a n=1i 1000\n".repeat(100));
        let body = Body::compress(lines.clone());
        assert!(body.is_gzip && body.len() * 5 < lines.len() && body.lines == lines.len());
        let mut back = Vec::new();
        flate2::read::GzDecoder::new(&body.bytes[..]).read_to_end(&mut back).expect("gzip");
        assert_eq!(back, lines);

        let short = Bytes::from_static(b"t n=1i 1\n");
        let body = Body::compress(short.clone());
        assert!(!body.is_gzip);
        assert_eq!(body.bytes, short);
    }
}
