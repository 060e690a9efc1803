//! Cookies, as text: read and written as Python's `http.cookies` and Django do, to the order of the attributes. No HTTP
//! types, so that every web framework's adapter can use it.

use std::borrow::Cow;
use std::fmt::Write as _;

use chrono::{DateTime, Datelike, TimeDelta, Timelike, Utc};

use crate::settings::SameSite;
use crate::time::after;

/// The value of the cookie `name` in these `Cookie` headers; the last one, where there are several, as in Django.
///
/// ```
/// use quintette_core::cookie;
///
/// let headers = [b"theme=dark; sessionid=abc".as_slice()];
/// assert_eq!(cookie::value(headers, "sessionid").as_deref(), Some("abc"));
/// ```
pub fn value<'a>(headers: impl IntoIterator<Item = &'a [u8]>, name: &str) -> Option<Cow<'a, str>> {
    let mut found = None;
    for header in headers {
        for chunk in header.split(|byte| *byte == b';') {
            let Some(equals) = chunk.iter().position(|byte| *byte == b'=') else {
                continue;
            };
            if chunk[..equals].trim_ascii() == name.as_bytes() {
                found = Some(&chunk[equals + 1..]);
            }
        }
    }
    found.map(|value| match String::from_utf8_lossy(value.trim_ascii()) {
        Cow::Borrowed(text) => unquote(text).map_or(Cow::Borrowed(text), Cow::Owned),
        Cow::Owned(text) => Cow::Owned(unquote(&text).unwrap_or(text)),
    })
}

/// A cookie's name, where it goes, and who may read it.
///
/// ```
/// use quintette_core::settings::Settings;
///
/// let settings = Settings::new("a secret");
/// let header = settings.csrf_cookie().delete();
/// assert!(header.starts_with("csrftoken=\"\"; expires=Thu, 01 Jan 1970"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CookieAttributes<'a> {
    /// The name.
    pub name: &'a str,
    /// `Domain`; `None` for the host that sets it.
    pub domain: Option<&'a str>,
    /// `Path`.
    pub path: &'a str,
    /// `Secure`.
    pub secure: bool,
    /// `HttpOnly`.
    pub http_only: bool,
    /// `SameSite`.
    pub same_site: SameSite,
    /// `Partitioned`.
    pub partitioned: bool,
}

impl CookieAttributes<'_> {
    /// The `Set-Cookie` header that carries `value`; a cookie without `max_age` ends with the browser. Django's `set_cookie`.
    pub fn set(&self, value: &str, max_age: Option<TimeDelta>, now: DateTime<Utc>) -> String {
        let age = max_age.map(|age| (http_date(after(now, age)), age.num_seconds()));
        let age = age
            .as_ref()
            .map(|(expires, seconds)| (expires.as_str(), *seconds));
        self.write(&quote(value), age)
    }

    /// The `Set-Cookie` header that makes a browser forget the cookie. Django's `delete_cookie`.
    pub fn delete(&self) -> String {
        // Browsers refuse a prefixed or SameSite=None cookie without Secure, its deletion included.
        let prefixed = ["__secure-", "__host-"].iter().any(|prefix| {
            let start = self.name.get(..prefix.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        });
        let secure = prefixed || self.same_site == SameSite::None || self.partitioned;
        let forgotten = Self {
            secure,
            http_only: false,
            ..*self
        };
        forgotten.write("\"\"", Some(("Thu, 01 Jan 1970 00:00:00 GMT", 0)))
    }

    /// The attributes in the order of Python's `Morsel.OutputString`: sorted by name.
    fn write(&self, value: &str, age: Option<(&str, i64)>) -> String {
        let mut header = String::with_capacity(160 + value.len());
        header.push_str(self.name);
        header.push('=');
        header.push_str(value);
        if let Some(domain) = self.domain {
            header.push_str("; Domain=");
            header.push_str(domain);
        }
        if let Some((expires, _)) = age {
            header.push_str("; expires=");
            header.push_str(expires);
        }
        if self.http_only {
            header.push_str("; HttpOnly");
        }
        if let Some((_, seconds)) = age {
            let _ = write!(header, "; Max-Age={seconds}");
        }
        if self.partitioned {
            header.push_str("; Partitioned");
        }
        header.push_str("; Path=");
        header.push_str(self.path);
        if let Some(same_site) = self.same_site.attribute() {
            header.push_str("; SameSite=");
            header.push_str(same_site);
        }
        if self.secure {
            header.push_str("; Secure");
        }
        header
    }
}

/// `%a, %d %b %Y %H:%M:%S GMT`, without interpreting that for each cookie.
fn http_date(date: DateTime<Utc>) -> String {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (weekday, day, year) = (date.weekday(), date.day(), date.year());
    let month = MONTHS[date.month0() as usize % 12];
    let (hour, minute, second) = (date.hour(), date.minute(), date.second());
    format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
}

/// Python's `_LegalChars` beyond letters and digits.
const LEGAL: &[u8] = b"!#$%&'*+-.^_`|~:";
/// And what it leaves as it is inside quotes.
const LEGAL_IN_QUOTES: &[u8] = b" ()/<=>?@[]{}";

fn quote(value: &str) -> Cow<'_, str> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || LEGAL.contains(&byte);
    if !value.is_empty() && value.bytes().all(legal) {
        return Cow::Borrowed(value);
    }
    let mut quoted = String::with_capacity(value.len() + 2);
    quoted.push('"');
    for byte in value.bytes() {
        match byte {
            b'"' | b'\\' => {
                quoted.push('\\');
                quoted.push(char::from(byte));
            }
            byte if legal(byte) || LEGAL_IN_QUOTES.contains(&byte) => quoted.push(char::from(byte)),
            byte => {
                let _ = write!(quoted, "\\{byte:03o}");
            }
        }
    }
    quoted.push('"');
    Cow::Owned(quoted)
}

/// Takes the quotes off a quoted value and undoes its escapes: `\"`, and three octal digits for a byte.
fn unquote(value: &str) -> Option<String> {
    let inner = value.strip_prefix('"')?.strip_suffix('"')?;
    let mut text = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let octal = rest.get(..3).filter(|digits| {
            digits.bytes().all(|digit| (b'0'..=b'7').contains(&digit))
                && digits.as_bytes()[0] <= b'3'
        });
        if let Some(byte) = octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            text.push(char::from(byte));
            rest = &rest[3..];
        } else if let Some(escaped) = rest.chars().next() {
            text.push(escaped);
            rest = &rest[escaped.len_utf8()..];
        } else {
            text.push('\\');
        }
    }
    text.push_str(rest);
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    fn read(header: &str) -> Option<String> {
        value([header.as_bytes()], "sessionid").map(Cow::into_owned)
    }

    #[test]
    fn the_last_of_several_wins() {
        assert_eq!(
            read("sessionid=one; a=b; sessionid = two ").as_deref(),
            Some("two")
        );
        assert_eq!(
            read("xsessionid=one;sessionidx=two;sessionid").as_deref(),
            None
        );
        assert_eq!(read("sessionid=").as_deref(), Some(""));
    }

    #[test]
    fn quotes_are_pythons() {
        assert_eq!(read(r#"sessionid="a\"b\054c""#).as_deref(), Some("a\"b,c"));
        assert_eq!(read(r#"sessionid=""#).as_deref(), Some("\""));
        assert_eq!(quote("a b;c\r\n"), r#""a b\073c\015\012""#);
    }

    #[test]
    fn a_cookie_has_djangos_attributes_in_djangos_order() {
        let mut settings = Settings::new("a secret");
        settings.session_cookie_domain = Some("example.com".into());
        settings.session_cookie_secure = true;
        let now = DateTime::<Utc>::UNIX_EPOCH;
        assert_eq!(
            settings
                .session_cookie()
                .set("abc", Some(TimeDelta::seconds(60)), now),
            "sessionid=abc; Domain=example.com; expires=Thu, 01 Jan 1970 00:01:00 GMT; HttpOnly; Max-Age=60; Path=/; \
             SameSite=Lax; Secure"
        );
        assert_eq!(
            settings.session_cookie().delete(),
            "sessionid=\"\"; Domain=example.com; expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/; \
             SameSite=Lax"
        );
    }

    #[test]
    fn dates_are_those_of_http() {
        for seconds in (0..4_000_000_000).step_by(12_345_678) {
            let date = DateTime::from_timestamp(seconds, 0).expect("a date");
            let expected = date.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
            assert_eq!(http_date(date), expected);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_header_is_read_without_an_accident(header: Vec<u8>) {
            let _ = value([header.as_slice()], "s");
        }

        #[test]
        fn what_is_written_is_read(text in "[ -~]{1,64}") {
            let header = format!("sessionid={}", quote(&text));
            proptest::prop_assert_eq!(read(&header), Some(text));
        }
    }
}
