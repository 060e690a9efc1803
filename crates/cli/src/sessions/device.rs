//! What a browser says of itself, in two words.

use crate::output::harmless;

/// Before the others whose words they also use.
const BROWSERS: [(&str, &str); 8] = [
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
];

const SYSTEMS: [(&str, &str); 8] = [
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("CrOS", "ChromeOS"),
    ("Mac OS X", "macOS"),
    ("Macintosh", "macOS"),
    ("Linux", "Linux"),
];

/// As many characters of an unknown program as are shown.
const SHOWN: usize = 30;

/// `Firefox on Linux`; what is no browser by its first word, `curl/8.1`; `None` where it says nothing.
pub(super) fn device(user_agent: &str) -> Option<String> {
    let among = |names: &[(&str, &'static str)]| {
        let found = names.iter().find(|(word, _)| user_agent.contains(word));
        found.map(|(_, name)| *name)
    };
    if user_agent.starts_with("Mozilla/") {
        match (among(&BROWSERS), among(&SYSTEMS)) {
            (Some(browser), Some(system)) => return Some(format!("{browser} on {system}")),
            (Some(name), None) | (None, Some(name)) => return Some(name.to_owned()),
            (None, None) => {}
        }
    }
    let first: String = user_agent
        .split_whitespace()
        .next()?
        .chars()
        .take(SHOWN)
        .collect();
    Some(harmless(&first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_told_apart_by_what_they_say() {
        for (user_agent, expected) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
                "Firefox on Linux",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36 Edg/126.0.0.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36",
                "Chrome on Android",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
                "Safari on iPhone",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15",
                "Safari on macOS",
            ),
            ("Mozilla/5.0 (X11; Linux x86_64)", "Linux"),
            ("curl/8.1 and more", "curl/8.1"),
            ("\u{1b}[2Jx", "\\u{1b}[2Jx"),
            ("Mozilla/5.0 \u{1b}[2J", "Mozilla/5.0"),
        ] {
            assert_eq!(
                device(user_agent).as_deref(),
                Some(expected),
                "{user_agent}"
            );
        }
        assert_eq!(device(&"a".repeat(255)).unwrap().len(), SHOWN);
        assert_eq!(device("  "), None);
    }
}
