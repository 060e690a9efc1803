//! What the settings say to templates: `static`, `media`, `tz` and `i18n`.

use minijinja::context;
use minijinja::value::{Tuple, Value};
use quintette_core::settings::Settings;

use super::languages::LANGUAGES;
use crate::http::quote;

/// The languages that are written from right to left. Django's `LANGUAGES_BIDI`.
const BIDI: [&str; 7] = ["he", "ar", "ar-dz", "ckb", "fa", "ug", "ur"];

/// `STATIC_URL`, and `static(path)` for Django's tag `{% static path %}`.
pub(super) fn static_files(settings: &Settings) -> Value {
    let url = settings.static_url.as_deref().map(below_root);
    let prefix = url.clone().unwrap_or_default();
    let file = move |path: &str| format!("{prefix}{}", quote(path, b"/"));
    context! { STATIC_URL => url, static => Value::from_function(file) }
}

pub(super) fn media(settings: &Settings) -> Value {
    context! { MEDIA_URL => below_root(&settings.media_url) }
}

pub(super) fn tz(settings: &Settings) -> Value {
    context! { TIME_ZONE => settings.time_zone.name() }
}

pub(super) fn i18n(settings: &Settings) -> Value {
    let code = settings.language_code.as_str();
    let base = code.split('-').next().unwrap_or_default();
    let languages: Vec<Value> = LANGUAGES
        .iter()
        .map(|(code, name)| Value::from(Tuple::from([Value::from(*code), Value::from(*name)])))
        .collect();
    context! { LANGUAGES => languages, LANGUAGE_CODE => code, LANGUAGE_BIDI => BIDI.contains(&base) }
}

/// A relative address is meant from the site's root, whatever page it is on: Django adds the slash when it reads the setting.
fn below_root(url: &str) -> String {
    let is_relative =
        !url.starts_with('/') && !url.starts_with("http://") && !url.starts_with("https://");
    if is_relative {
        format!("/{url}")
    } else {
        url.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_meant_from_the_root() {
        for (url, meant) in [
            ("", "/"),
            ("static/", "/static/"),
            ("/s/", "/s/"),
            ("https://cdn.example/s/", "https://cdn.example/s/"),
        ] {
            assert_eq!(below_root(url), meant);
        }
    }
}
