//! A server that reads requests, throws them away and answers 204: what a write costs here, without what a database does.
//!
//! Requests are as our own client makes them: HTTP/1.1, with a `content-length`.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

/// A running sink; its threads end with their connections, and the one that accepts them with the process.
pub(crate) struct Sink {
    address: String,
}

impl Sink {
    /// Starts one on a free port. Each of its threads begins with `on_thread`.
    ///
    /// # Panics
    /// If there is no free port.
    pub(crate) fn start(on_thread: fn()) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound address").to_string();
        thread::spawn(move || {
            on_thread();
            for stream in listener.incoming().flatten() {
                thread::spawn(move || {
                    on_thread();
                    // A client that goes is none of our business.
                    let _ = serve(&stream);
                });
            }
        });
        Self { address }
    }

    /// The configuration string of a client.
    pub(crate) fn conf(&self) -> String {
        format!("http::addr={};", self.address)
    }
}

fn serve(stream: &TcpStream) -> io::Result<()> {
    let (mut reader, mut stream) = (BufReader::with_capacity(1 << 16, stream), stream);
    while let Some((path, length)) = head(&mut reader)? {
        io::copy(&mut reader.by_ref().take(length), &mut io::sink())?;
        let (status, body) = match path.split('?').next() {
            Some("/write") => (204, ""),
            Some("/settings") => (200, r#"{"config":{"line.proto.support.versions":[1,2,3]}}"#),
            // It has no tables to be asked about.
            _ => (403, r#"{"query":"","error":"permission denied","position":0}"#),
        };
        let headers = match body.len() {
            0 => String::new(),
            length => format!("content-type: application/json; charset=utf-8\r\ncontent-length: {length}\r\n"),
        };
        stream.write_all(format!("HTTP/1.1 {status} X\r\n{headers}\r\n{body}").as_bytes())?;
    }
    Ok(())
}

/// The target of a request and the length of its body; `None` where the client has closed.
fn head(reader: &mut impl BufRead) -> io::Result<Option<(String, u64)>> {
    let (mut path, mut length, mut line) = (None, 0, String::new());
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let text = line.trim_end();
        if text.is_empty() {
            return Ok(path.map(|path| (path, length)));
        }
        if path.is_none() {
            path = text.split(' ').nth(1).map(str::to_owned);
        } else if let Some((name, value)) = text.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
    }
}
