//! The tokens of a JSON text that is known to be valid, one after the other.

use quintette_core::json::RawJson;

/// A token with a meaning of its own: commas and colons have none that the others do not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    OpenArray,
    OpenObject,
    Close,
    /// What stands between the quotes of a member's name.
    Key(&'a str),
    /// What stands between the quotes of any other string.
    String(&'a str),
    /// `null`, `true`, `false`, or one of Python's three words for numbers that are none.
    Word(&'a str),
    Number(&'a str),
}

/// Walks through a value without recursion.
pub(super) struct Tokens<'a> {
    rest: &'a str,
}

impl<'a> Tokens<'a> {
    pub(super) fn of(value: &'a RawJson) -> Self {
        Self {
            rest: value.as_str(),
        }
    }

    /// Passes what is left of a container that has just been opened.
    pub(super) fn skip_container(&mut self) {
        let mut depth = 1;
        while depth > 0 {
            match self.next() {
                Some(Token::OpenArray | Token::OpenObject) => depth += 1,
                Some(Token::Close) => depth -= 1,
                Some(_) => {}
                None => return,
            }
        }
    }

    fn take(&mut self, length: usize) -> &'a str {
        // A RawJson is ASCII, so there is a boundary anywhere.
        let (token, rest) = self.rest.split_at(length.min(self.rest.len()));
        self.rest = rest;
        token
    }

    fn string(&mut self) -> Token<'a> {
        self.take(1);
        let content = self.take(content_length(self.rest));
        self.take(1);
        if self.rest.trim_start_matches(SPACES).starts_with(':') {
            Token::Key(content)
        } else {
            Token::String(content)
        }
    }
}

const SPACES: [char; 4] = [' ', '\t', '\n', '\r'];

/// How long a string is up to its closing quote.
fn content_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => break,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    at
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        self.rest = self
            .rest
            .trim_start_matches([' ', '\t', '\n', '\r', ',', ':']);
        Some(match self.rest.bytes().next()? {
            b'[' => {
                self.take(1);
                Token::OpenArray
            }
            b'{' => {
                self.take(1);
                Token::OpenObject
            }
            b']' | b'}' => {
                self.take(1);
                Token::Close
            }
            b'"' => self.string(),
            first => {
                let end = |char: char| matches!(char, ',' | ']' | '}') || SPACES.contains(&char);
                let scalar = self.take(self.rest.find(end).unwrap_or(self.rest.len()));
                if first.is_ascii_digit() || (first == b'-' && !scalar.ends_with('y')) {
                    Token::Number(scalar)
                } else {
                    Token::Word(scalar)
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_walked_through_token_by_token() {
        let value =
            RawJson::parse(r#" {"a\"": [1 , -2.5e3, "x:", {}], "b" : -Infinity } "#).unwrap();
        let tokens: Vec<Token<'_>> = Tokens::of(&value).collect();
        assert_eq!(
            tokens,
            [
                Token::OpenObject,
                Token::Key("a\\\""),
                Token::OpenArray,
                Token::Number("1"),
                Token::Number("-2.5e3"),
                Token::String("x:"),
                Token::OpenObject,
                Token::Close,
                Token::Close,
                Token::Key("b"),
                Token::Word("-Infinity"),
                Token::Close,
            ]
        );
    }

    #[test]
    fn a_container_is_passed_whole() {
        let value = RawJson::parse(r#"[[1,[2],{"a":[]}],3]"#).unwrap();
        let mut tokens = Tokens::of(&value).skip(1);
        assert_eq!(tokens.next(), Some(Token::OpenArray));
        let mut tokens = Tokens::of(&value);
        tokens.by_ref().nth(1);
        tokens.skip_container();
        assert_eq!(tokens.next(), Some(Token::Number("3")));
    }
}
