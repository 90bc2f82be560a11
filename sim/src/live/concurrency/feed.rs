//! The server's own order of commands: what `MONITOR` says, who sent it, with all arguments.

use std::fmt;

use claimlab_valkey::{Address, connect};
use redis::{Connection, RedisResult, Value, cmd};

/// One command as the server performed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Address of the connection that sent it.
    pub client: String,
    /// Name and arguments, as the server quotes them.
    pub words: Vec<String>,
}

impl Line {
    /// The command's name in capitals.
    pub fn name(&self) -> String {
        self.words.first().map(|word| word.to_ascii_uppercase()).unwrap_or_default()
    }

    /// The function that an `FCALL` names.
    pub fn function(&self) -> Option<&str> {
        self.words.get(1).filter(|_| self.name() == "FCALL").map(String::as_str)
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words.join(" "))
    }
}

/// A connection that listens to all others.
pub struct Feed {
    listens: Connection,
    says: Connection,
    marks: u64,
}

impl Feed {
    /// Listens from now on.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub fn start(address: &Address) -> Result<Self, crate::live::twin::Error> {
        let (mut listens, says) = (connect(address)?, connect(address)?);
        cmd("MONITOR").exec(&mut listens)?;
        Ok(Self { listens, says, marks: 0 })
    }

    /// Every command since the last time, but for those inside of functions. Whatever was answered before
    /// this was called is among them: a command of its own marks the end.
    ///
    /// # Errors
    /// When the server does not answer any more.
    pub fn take(&mut self) -> RedisResult<Vec<Line>> {
        self.marks += 1;
        let mark = format!("claimlab-mark-{}", self.marks);
        cmd("ECHO").arg(&mark).exec(&mut self.says)?;
        let mut lines = Vec::new();
        loop {
            let said = match self.listens.recv_response()? {
                Value::SimpleString(said) => said,
                Value::BulkString(said) => String::from_utf8_lossy(&said).into_owned(),
                _ => continue,
            };
            let Some(line) = parse(&said) else { continue };
            if line.words.get(1) == Some(&mark) {
                return Ok(lines);
            }
            lines.push(line);
        }
    }
}

/// `1700000000.000000 [0 127.0.0.1:40000] "HGET" "key" "field"`; none for what a function sends.
fn parse(said: &str) -> Option<Line> {
    let (head, words) = said.split_once(']')?;
    let (_, place) = head.split_once('[')?;
    let (_, client) = place.split_once(' ')?;
    (client != "lua").then(|| Line { client: client.to_owned(), words: split(words) })
}

/// The words between quotes, with the server's escapes undone where they stand for one plain letter.
fn split(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (quoted, letter) {
            (false, '"') => quoted = true,
            (false, _) => {}
            (true, '"') => {
                quoted = false;
                words.push(std::mem::take(&mut word));
            }
            (true, '\\') => match letters.next() {
                Some(plain @ ('"' | '\\')) => word.push(plain),
                Some(other) => word.extend(['\\', other]),
                None => {}
            },
            (true, plain) => word.push(plain),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_sender_and_words() {
        let line = parse(r#"1.5 [0 127.0.0.1:7] "hget" "a ]\"\\b" "\xe6\n""#).expect("a command");
        assert_eq!((line.client.as_str(), line.name().as_str()), ("127.0.0.1:7", "HGET"));
        assert_eq!(line.words, ["hget", r#"a ]"\b"#, r"\xe6\n"]);
    }

    #[test]
    fn what_a_function_sends_is_left_out() {
        assert_eq!(parse(r#"1.5 [0 lua] "hget" "key" "field""#), None);
    }
}
