//! The wire between a shipped client and the server: commands are cut out of what a client sends,
//! replies are read whole and kept as they came.

use std::io::{self, Read, Write};
use std::net::TcpStream;

/// One command as a client sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The bytes, to be forwarded as they are.
    pub bytes: Vec<u8>,
    /// Name and arguments; what is not text has marks in its place.
    pub words: Vec<String>,
}

impl std::fmt::Display for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.words.join(" "))
    }
}

/// The first command of what has come so far, if it is whole: an array of strings.
///
/// # Errors
/// When it is something else.
pub fn command(bytes: &[u8]) -> io::Result<Option<Command>> {
    let mut at = 0;
    let Some(count) = number(bytes, &mut at, b'*')? else { return Ok(None) };
    let mut words = Vec::with_capacity(count);
    for _ in 0..count {
        let Some(length) = number(bytes, &mut at, b'$')? else { return Ok(None) };
        let Some(word) = bytes.get(at..at + length) else { return Ok(None) };
        words.push(String::from_utf8_lossy(word).into_owned());
        at += length + 2;
    }
    Ok(bytes.get(..at).map(|bytes| Command { bytes: bytes.to_vec(), words }))
}

/// `<mark><number>\r\n`
fn number(bytes: &[u8], at: &mut usize, mark: u8) -> io::Result<Option<usize>> {
    let rest = bytes.get(*at..).unwrap_or_default();
    if rest.first().is_some_and(|first| *first != mark) {
        return Err(unexpected(rest));
    }
    let Some(end) = rest.windows(2).position(|pair| pair == b"\r\n") else { return Ok(None) };
    let digits = std::str::from_utf8(&rest[1..end]).ok().and_then(|digits| digits.parse().ok());
    *at += end + 2;
    digits.map(Some).ok_or_else(|| unexpected(rest))
}

fn unexpected(bytes: &[u8]) -> io::Error {
    let found = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
    io::Error::new(io::ErrorKind::InvalidData, format!("the shipped client sent no command but {found:?}"))
}

/// A way to the server on which commands are performed one message at a time.
#[derive(Debug)]
pub struct ServerSide(TcpStream);

impl ServerSide {
    /// Over an open connection.
    pub fn new(stream: TcpStream) -> Self {
        Self(stream)
    }

    /// Has commands performed; gives their replies as they came.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn perform(&mut self, bytes: &[u8], commands: usize) -> io::Result<Vec<u8>> {
        self.0.write_all(bytes)?;
        let mut heard = Heard { stream: &mut self.0, bytes: Vec::new() };
        let mut parser = redis::Parser::new();
        for _ in 0..commands {
            parser.parse_value(&mut heard).map_err(io::Error::other)?;
        }
        Ok(heard.bytes)
    }
}

/// Keeps what passes.
struct Heard<'a> {
    stream: &'a mut TcpStream,
    bytes: Vec<u8>,
}

impl Read for Heard<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(into)?;
        self.bytes.extend_from_slice(&into[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_cut_out_when_it_is_whole() {
        let whole = b"*2\r\n$3\r\nGET\r\n$5\r\na\r\nbc\r\n";
        let with_more = [&whole[..], b"*1\r\n"].concat();
        let found = command(&with_more).unwrap().expect("a command");
        assert_eq!(found.words, ["GET", "a\r\nbc"]);
        assert_eq!(found.bytes, whole);
        for length in 0..whole.len() {
            assert_eq!(command(&whole[..length]).unwrap(), None, "of {length} bytes");
        }
    }

    #[test]
    fn what_is_no_command_is_refused() {
        assert!(command(b"PING\r\n").is_err());
        assert!(command(b"*1\r\n:1\r\n").is_err());
    }
}
