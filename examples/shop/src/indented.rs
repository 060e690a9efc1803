//! JSON for people to read.

/// JSON with a line for each value. Only white space is added: numbers and strings stay as they are stored.
pub(crate) fn indented(json: &str) -> String {
    const DEEPEST: usize = 32;
    let mut text = String::with_capacity(json.len() * 2);
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    let line = |text: &mut String, depth: usize| {
        text.push('\n');
        text.extend(std::iter::repeat_n("  ", depth.min(DEEPEST)));
    };
    let mut chars = json.chars().peekable();
    while let Some(char) = chars.next() {
        if in_string {
            in_string = escaped || char != '"';
            escaped = !escaped && char == '\\';
            text.push(char);
            continue;
        }
        match char {
            '{' | '[' => {
                text.push(char);
                while chars.next_if(char::is_ascii_whitespace).is_some() {}
                if let Some(end) = chars.next_if(|next| matches!(next, '}' | ']')) {
                    text.push(end);
                } else {
                    depth += 1;
                    line(&mut text, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut text, depth);
                text.push(char);
            }
            ',' => {
                text.push(char);
                line(&mut text, depth);
            }
            ':' => text.push_str(": "),
            char if char.is_ascii_whitespace() => {}
            char => {
                in_string = char == '"';
                text.push(char);
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_indented_and_nothing_in_it_changed() {
        assert_eq!(
            indented(r#"{"a":1e400,"b":["x, \"y\": {",{}],"c": [ ]}"#),
            "{\n  \"a\": 1e400,\n  \"b\": [\n    \"x, \\\"y\\\": {\",\n    {}\n  ],\n  \"c\": []\n}"
        );
        assert_eq!(indented(r#""\\""#), r#""\\""#);
    }

    #[test]
    fn any_text_is_indented_without_an_accident() {
        for text in ["", "}", "]]]]", "{", "\"", "\"\\", "한[", ",,:"] {
            let _ = indented(text);
        }
        let deep = "[".repeat(10_000);
        assert!(indented(&deep).len() < 1_000_000);
    }
}
