//! Logins: what the settings let a guesser of passwords do, and where they send who logs in.

use super::Warning;
use crate::settings::Settings;
use crate::settings::auth::MODEL_BACKEND;
use crate::settings::caches::CacheBackend;

/// Where failed logins are counted.
const DEFAULT_CACHE: &str = "default";

const MD5: &str = "django.contrib.auth.hashers.MD5PasswordHasher";

impl Settings {
    pub(super) fn auth_warnings(&self) -> Vec<Warning> {
        if !self.has_users() {
            return Vec::new();
        }
        let mut warnings = Vec::new();
        warnings.extend(self.throttle_warning());
        if self
            .password_hashers
            .first()
            .is_some_and(|first| first == MD5)
        {
            warnings.push(Warning::new(
                "quintette.W023",
                "PASSWORD_HASHERS begins with MD5PasswordHasher, which is for tests: whoever gets the table of users \
                 tries billions of passwords a second.",
                "Put PBKDF2PasswordHasher or Argon2PasswordHasher first. Passwords are hashed anew when their users log in.",
            ));
        }
        if self.auth_password_validators.is_empty() {
            warnings.push(Warning::new(
                "quintette.W024",
                "AUTH_PASSWORD_VALIDATORS is empty: any password will do, and \"1234\" too.",
                "Name the four of django.contrib.auth.password_validation, as a new Django project does.",
            ));
        }
        warnings.extend(self.elsewhere_warnings());
        warnings
    }

    /// Whether anybody can log in: users are in a database, or where a backend of the application's own finds them.
    fn has_users(&self) -> bool {
        self.database_url.is_some()
            || self
                .authentication_backends
                .iter()
                .any(|path| path != MODEL_BACKEND)
    }

    fn throttle_warning(&self) -> Option<Warning> {
        if self.login_failure_limit.is_none() {
            return Some(Warning::new(
                "quintette.W021",
                "LOGIN_FAILURE_LIMIT is not set: passwords can be guessed without end.",
                "Set LOGIN_FAILURE_LIMIT = 5, unless something in front of this service counts logins.",
            ));
        }
        let (kept, hint) = match self.caches.get(DEFAULT_CACHE)?.backend {
            CacheBackend::LocMem => (
                "is each process' own memory: it is counted in each by itself, and forgotten at a restart",
                "Take a default cache that all processes share (Redis, Memcached), or run one process.",
            ),
            CacheBackend::Dummy => (
                "keeps nothing: passwords can be guessed without end",
                "Take a default cache that keeps something, such as Redis.",
            ),
            _ => return None,
        };
        Some(Warning::new(
            "quintette.W022",
            format!("LOGIN_FAILURE_LIMIT counts in the cache \"{DEFAULT_CACHE}\", which {kept}."),
            hint,
        ))
    }

    fn elsewhere_warnings(&self) -> Vec<Warning> {
        let settings = [
            ("LOGIN_URL", Some(&self.login_url)),
            ("LOGIN_REDIRECT_URL", Some(&self.login_redirect_url)),
            ("LOGOUT_REDIRECT_URL", self.logout_redirect_url.as_ref()),
        ];
        let elsewhere = settings.into_iter().filter_map(|(name, url)| {
            let host = host_of(url?)?;
            let is_ours = self.allowed_hosts.iter().any(|pattern| is_host(pattern, host));
            (!is_ours).then(|| {
                Warning::new(
                    "quintette.W025",
                    format!("{name} leads to another host, {host:?}, which is none of ALLOWED_HOSTS."),
                    "Write a path of this site, such as \"/accounts/login/\", unless logins are meant to be there.",
                )
            })
        });
        elsewhere.collect()
    }
}

/// The host that a browser would go to, without its port; `None` where it stays on this site.
fn host_of(url: &str) -> Option<&str> {
    // Browsers take a backslash for a slash.
    let is_slash = |character| matches!(character, '/' | '\\');
    let rest = match url.split_once(':') {
        Some((scheme, rest)) if is_scheme(scheme) => rest,
        _ => url
            .starts_with(is_slash)
            .then_some(url)?
            .strip_prefix(is_slash)
            .filter(|rest| rest.starts_with(is_slash))?,
    };
    let authority = rest.trim_start_matches(is_slash);
    let end = authority.find(|character| is_slash(character) || matches!(character, '?' | '#'));
    let authority = &authority[..end.unwrap_or(authority.len())];
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    // Not the colons of an address in brackets.
    let name_ends = host.rfind(']').unwrap_or(0);
    let port = host[name_ends..].find(':').map(|colon| name_ends + colon);
    Some(&host[..port.unwrap_or(host.len())])
}

fn is_scheme(text: &str) -> bool {
    ["http", "https"]
        .iter()
        .any(|scheme| text.eq_ignore_ascii_case(scheme))
}

/// As `ALLOWED_HOSTS` means it: `*` is any, `.example.com` also what is below it.
fn is_host(pattern: &str, host: &str) -> bool {
    let (pattern, host) = (pattern.to_ascii_lowercase(), host.to_ascii_lowercase());
    match pattern.strip_prefix('.') {
        Some(parent) => host == parent || host.ends_with(&pattern),
        None => pattern == "*" || pattern == host,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::settings::{CacheSettings, PasswordValidatorSettings};

    fn sound() -> Settings {
        let mut settings = Settings::new("k");
        settings.database_url = Some("postgres://shop@127.0.0.1/shop".parse().unwrap());
        settings.allowed_hosts = vec!["shop.example.com".to_owned(), ".example.net".to_owned()];
        settings.login_failure_limit = Some(5);
        settings.auth_password_validators = vec![PasswordValidatorSettings {
            name: "django.contrib.auth.password_validation.MinimumLengthValidator".to_owned(),
            options: serde_json::Map::new(),
        }];
        let cache = CacheSettings::from_url("redis://127.0.0.1").unwrap();
        settings.caches.insert(DEFAULT_CACHE.to_owned(), cache);
        settings
    }

    fn ids(change: impl FnOnce(&mut Settings)) -> Vec<&'static str> {
        let mut settings = sound();
        change(&mut settings);
        settings
            .auth_warnings()
            .iter()
            .map(|warning| warning.id)
            .collect()
    }

    #[test]
    fn sound_logins_are_warned_of_nothing() {
        assert!(ids(|_| {}).is_empty());
    }

    #[test]
    fn a_site_without_users_is_not_warned_of_its_logins() {
        assert!(Settings::new("k").auth_warnings().is_empty());
        let mut own = Settings::new("k");
        own.authentication_backends = vec!["shop.auth.Tokens".to_owned()];
        let ids: Vec<_> = own
            .auth_warnings()
            .iter()
            .map(|warning| warning.id)
            .collect();
        assert_eq!(ids, ["quintette.W021", "quintette.W024"]);
    }

    #[test]
    fn guessing_without_end_is_warned_of() {
        assert_eq!(
            ids(|settings| settings.login_failure_limit = None),
            ["quintette.W021"]
        );
        for cache in ["locmem://", "dummy://"] {
            let with_cache = |settings: &mut Settings| {
                let cache = CacheSettings::from_url(cache).unwrap();
                settings.caches.insert(DEFAULT_CACHE.to_owned(), cache);
            };
            assert_eq!(ids(with_cache), ["quintette.W022"], "{cache}");
        }
    }

    #[test]
    fn passwords_that_are_easily_guessed_are_warned_of() {
        assert_eq!(
            ids(|settings| settings.password_hashers.insert(0, MD5.to_owned())),
            ["quintette.W023"]
        );
        assert!(ids(|settings| settings.password_hashers.push(MD5.to_owned())).is_empty());
        assert_eq!(
            ids(|settings| settings.auth_password_validators.clear()),
            ["quintette.W024"]
        );
    }

    #[test]
    fn redirects_to_another_host_are_warned_of_by_the_name_of_the_setting() {
        let mut settings = sound();
        settings.login_url = "https://evil.example/login".to_owned();
        settings.login_redirect_url = "//SHOP.example.com/me".to_owned();
        settings.logout_redirect_url = Some("/\\evil.example".to_owned());
        let messages: Vec<_> = settings
            .auth_warnings()
            .into_iter()
            .map(|warning| warning.message)
            .collect();
        assert_eq!(messages.len(), 2, "{messages:?}");
        assert!(
            messages[0].starts_with("LOGIN_URL leads to another host, \"evil.example\""),
            "{messages:?}"
        );
        assert!(
            messages[1].starts_with("LOGOUT_REDIRECT_URL"),
            "{messages:?}"
        );
    }

    #[test]
    fn the_host_is_the_one_that_a_browser_goes_to() {
        for (url, host) in json!({
            "/accounts/login/": null,
            "login": null,
            "accounts:login": null,
            "?next=//evil": null,
            "/a//b": null,
            "//evil": "evil",
            "\\/evil/x": "evil",
            "https:evil": "evil",
            "HTTPS://a@evil:8000?x": "evil",
            "http://[::1]:8000/": "[::1]",
        })
        .as_object()
        .unwrap()
        {
            assert_eq!(host_of(url), host.as_str(), "{url}");
        }
    }
}
