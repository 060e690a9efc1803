use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How deep an answer is nested at most: `CLUSTER SLOTS` has four levels.
const DEPTH: usize = 8;

/// An answer of Redis.
#[derive(Debug)]
pub(super) enum Answer {
    Nothing,
    Text(String),
    Number(i64),
    List(Vec<Answer>),
}

impl Answer {
    /// A text or a number as text; empty for anything else.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
            Self::Nothing | Self::List(_) => String::new(),
        }
    }
}

/// Asks one thing on a connection of its own: an error of Redis is an [`io::Error`] with its words.
///
/// Source: redis.io, "Redis serialization protocol specification", version 2.
pub(super) fn ask(address: SocketAddr, words: &[&str]) -> io::Result<Answer> {
    let patience = Duration::from_secs(5);
    let mut stream = TcpStream::connect_timeout(&address, patience)?;
    stream.set_read_timeout(Some(patience))?;
    let word = |word: &&str| format!("${}\r\n{word}\r\n", word.len());
    let written: String = words.iter().map(word).collect();
    let request = format!("*{}\r\n{written}", words.len());
    stream.write_all(request.as_bytes())?;
    read(&mut BufReader::new(stream), DEPTH)
}

fn read(stream: &mut BufReader<TcpStream>, depth: usize) -> io::Result<Answer> {
    let strange = || io::Error::other("something else than Redis answers");
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let line = line.strip_suffix("\r\n").ok_or_else(strange)?;
    let (kind, rest) = line.split_at_checked(1).ok_or_else(strange)?;
    let number = || rest.parse::<i64>().map_err(|_| strange());
    match kind {
        "+" => Ok(Answer::Text(rest.to_owned())),
        "-" => Err(io::Error::other(rest.to_owned())),
        ":" => Ok(Answer::Number(number()?)),
        "$" | "*" if number()? < 0 => Ok(Answer::Nothing),
        "$" => {
            let length = number()?.unsigned_abs();
            let mut bytes = Vec::new();
            stream.take(length + 2).read_to_end(&mut bytes)?;
            let text = bytes.strip_suffix(b"\r\n").ok_or_else(strange)?;
            Ok(Answer::Text(String::from_utf8_lossy(text).into_owned()))
        }
        "*" if depth > 0 => {
            let items = (0..number()?).map(|_| read(stream, depth - 1));
            Ok(Answer::List(items.collect::<io::Result<_>>()?))
        }
        _ => Err(strange()),
    }
}
