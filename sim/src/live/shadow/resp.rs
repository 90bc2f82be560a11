//! The wire between a shipped client and the server: commands are cut out of what a client sends,
//! replies are read whole and kept as they came.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use redis::Value;

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

/// A set's members in another order, in which the server might as well have given them: by their place in a list, those
/// that the list does not name last. Any other reply stays as it came.
pub fn in_order(reply: Vec<u8>, names: &[String]) -> Vec<u8> {
    let (head, mark, mut members) = match redis::parse_redis_value(&reply) {
        // SSCAN: a cursor, then the members.
        Ok(Value::Array(parts)) => match <[Value; 2]>::try_from(parts) {
            Ok([Value::BulkString(cursor), Value::Array(members)]) => {
                ([b"*2\r\n".to_vec(), bulk(&cursor)].concat(), '*', members)
            }
            Ok(both) => (Vec::new(), '*', both.into()),
            Err(members) => (Vec::new(), '*', members),
        },
        Ok(Value::Set(members)) => (Vec::new(), '~', members),
        _ => return reply,
    };
    let place = |member: &Value| match member {
        Value::BulkString(text) => Some(names.iter().position(|name| name.as_bytes() == text).unwrap_or(names.len())),
        _ => None,
    };
    if members.iter().any(|member| place(member).is_none()) {
        return reply;
    }
    members.sort_by_key(place);
    let mut bytes = head;
    bytes.extend(format!("{mark}{}\r\n", members.len()).into_bytes());
    for member in &members {
        if let Value::BulkString(text) = member {
            bytes.extend(bulk(text));
        }
    }
    bytes
}

fn bulk(text: &[u8]) -> Vec<u8> {
    [format!("${}\r\n", text.len()).as_bytes(), text, b"\r\n"].concat()
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
    fn members_come_in_the_order_that_is_asked_for() {
        let names = ["a".to_owned(), "b".to_owned()];
        let scanned = b"*2\r\n$1\r\n0\r\n*3\r\n$1\r\nc\r\n$1\r\nb\r\n$1\r\na\r\n".to_vec();
        let ordered = b"*2\r\n$1\r\n0\r\n*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n".to_vec();
        assert_eq!(in_order(scanned, &names), ordered);
        let members = b"*2\r\n$1\r\nb\r\n$1\r\na\r\n".to_vec();
        assert_eq!(in_order(members, &names), b"*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    }

    #[test]
    fn a_reply_that_is_no_set_stays_as_it_came() {
        for reply in [&b":1\r\n"[..], b"-ERR no\r\n", b"*2\r\n:1\r\n$1\r\na\r\n"] {
            assert_eq!(in_order(reply.to_vec(), &["a".to_owned()]), reply);
        }
    }

    #[test]
    fn what_is_no_command_is_refused() {
        assert!(command(b"PING\r\n").is_err());
        assert!(command(b"*1\r\n:1\r\n").is_err());
    }
}
