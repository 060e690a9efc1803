//! The rules between settings, and those a field can break that was assigned in code.

use chrono::TimeDelta;
use serde_json::Value;

use super::cookie::{domain_problem, name_problem, path_problem};
use super::error::{Problem, SettingsError};
use super::sessions::SessionEngineName;
use super::{Settings, value};
use crate::cookie::CookieAttributes;

impl Settings {
    /// Checks what no setting can tell alone. [`Loader::load`](super::Loader::load) does it too.
    ///
    /// # Errors
    ///
    /// - `SESSION_COOKIE_NAME` or `CSRF_COOKIE_NAME` begins with `__Secure-` or `__Host-`, and the cookie is not what browsers then
    ///   demand (RFC 6265bis).
    /// - `SESSION_COOKIE_PARTITIONED` without `SESSION_COOKIE_SECURE`.
    /// - The `_DOMAIN` or `_PATH` of one of them holds what would end the attribute.
    /// - One of `CSRF_TRUSTED_ORIGINS` has no scheme.
    /// - `CACHES` has no `default`, or not the cache that `SESSION_CACHE_ALIAS` names while the engine uses it.
    /// - `SESSION_COOKIE_ENCRYPTED` with another engine than `signed_cookies`.
    /// - A time of more than a thousand years, or a limit below zero.
    /// - `SESSION_TOUCH_INTERVAL` is more than half of `SESSION_COOKIE_AGE`.
    pub fn check(&self) -> Result<(), SettingsError> {
        SettingsError::unless_empty(self.broken_rules())
    }

    pub(super) fn broken_rules(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        problems.extend(Self::cookie_rules("SESSION_COOKIE", &self.session_cookie()));
        problems.extend(Self::cookie_rules("CSRF_COOKIE", &self.csrf_cookie()));
        problems.extend(self.origins_rule());
        problems.extend(self.cache_rules());
        problems.extend(self.time_rules());
        problems.extend(self.touch_rule());
        if self.session_cookie_encrypted && self.session_engine != SessionEngineName::SignedCookies
        {
            problems.push(Problem::wrong(
                "SESSION_COOKIE_ENCRYPTED",
                &Value::from(true),
                format!(
                    "only the engine signed_cookies encrypts, and SESSION_ENGINE is {}; leave it out or change the engine",
                    self.session_engine
                ),
            ));
        }
        problems
    }

    /// The rules of one cookie, whose settings begin with `prefix`.
    fn cookie_rules(prefix: &str, cookie: &CookieAttributes<'_>) -> Vec<Problem> {
        let wrong = |setting: &str, value: Value, advice: String| {
            Problem::wrong(&format!("{prefix}_{setting}"), &value, advice)
        };
        let mut problems = Vec::new();
        if let Some(advice) = name_problem(prefix, cookie) {
            problems.push(wrong("NAME", cookie.name.into(), advice));
        }
        if let Some(domain) = cookie.domain
            && let Some(advice) = domain_problem(domain)
        {
            problems.push(wrong("DOMAIN", domain.into(), advice));
        }
        if let Some(advice) = path_problem(cookie.path) {
            problems.push(wrong("PATH", cookie.path.into(), advice));
        }
        if cookie.partitioned && !cookie.secure {
            let advice =
                format!("browsers take a partitioned cookie only with {prefix}_SECURE = true");
            problems.push(wrong("PARTITIONED", true.into(), advice));
        }
        problems
    }

    /// Django's system check `4_0.E001`, for origins that were assigned in code.
    fn origins_rule(&self) -> Option<Problem> {
        let origins = Value::from(self.csrf_trusted_origins.clone());
        let advice = value::origins(&origins).err()?;
        Some(Problem::wrong("CSRF_TRUSTED_ORIGINS", &origins, advice))
    }

    fn cache_rules(&self) -> Option<Problem> {
        if !self.caches.contains_key("default") {
            // Django's system check caches.E001.
            return Some(Problem::secret(
                "CACHES",
                "has no cache of the alias \"default\", which there must be",
            ));
        }
        let alias = &self.session_cache_alias;
        if self.session_engine.uses_cache() && !self.caches.contains_key(alias) {
            let aliases: Vec<&str> = self.caches.keys().map(String::as_str).collect();
            return Some(Problem::wrong(
                "SESSION_CACHE_ALIAS",
                &Value::from(alias.as_str()),
                format!(
                    "CACHES has no such cache, and SESSION_ENGINE is {}; there is {}",
                    self.session_engine,
                    aliases.join(", ")
                ),
            ));
        }
        None
    }

    fn time_rules(&self) -> Vec<Problem> {
        let longest = value::LONGEST_SECONDS;
        [
            (
                "SESSION_COOKIE_AGE",
                Some(self.session_cookie_age),
                -longest,
            ),
            ("SESSION_EXPIRE_SECONDS", self.session_expire_seconds, 0),
            (
                "SESSION_EXPIRE_AFTER_LAST_ACTIVITY_GRACE_PERIOD",
                Some(self.session_expire_after_last_activity_grace_period),
                0,
            ),
            (
                "SESSION_EXPIRE_ABSOLUTE_SECONDS",
                self.session_expire_absolute_seconds,
                0,
            ),
            ("CSRF_COOKIE_AGE", self.csrf_cookie_age, -longest),
            // Zero is nothing to some caches, and for ever to others.
            ("LOGIN_COOLOFF_TIME", Some(self.login_cooloff_time), 1),
            (
                "PASSWORD_RESET_TIMEOUT",
                Some(self.password_reset_timeout),
                0,
            ),
        ]
        .into_iter()
        .filter_map(|(name, time, least)| {
            let time = time.filter(|time| {
                *time < TimeDelta::seconds(least) || *time > TimeDelta::seconds(longest)
            })?;
            Some(Problem::wrong(
                name,
                &Value::from(time.num_seconds()),
                format!("take from {least} to {longest} seconds (a thousand years)"),
            ))
        })
        .collect()
    }

    /// An expiry that is put off for longer would end the sessions of visitors who were there lately.
    fn touch_rule(&self) -> Option<Problem> {
        let interval = self.session_touch_interval;
        let longest = self.session_cookie_age / 2;
        (interval > TimeDelta::zero() && interval > longest).then(|| {
            Problem::wrong(
                "SESSION_TOUCH_INTERVAL",
                &Value::from(interval.num_seconds()),
                format!(
                    "take at most half of SESSION_COOKIE_AGE, which is {} seconds",
                    self.session_cookie_age.num_seconds()
                ),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::{CacheBackend, CacheSettings, SameSite};
    use super::*;

    /// Django's defaults, changed.
    fn with(change: impl FnOnce(&mut Settings)) -> Settings {
        let mut settings = Settings::new("secret");
        change(&mut settings);
        settings
    }

    fn complaint(change: impl FnOnce(&mut Settings)) -> String {
        with(change).check().unwrap_err().to_string()
    }

    #[test]
    fn djangos_defaults_break_no_rule() {
        with(|_| {}).check().unwrap();
    }

    #[test]
    fn a_secure_name_needs_a_secure_cookie() {
        let name = |s: &mut Settings| s.session_cookie_name = "__Secure-id".parse().unwrap();
        assert!(complaint(name).contains("SESSION_COOKIE_SECURE"));
        with(|s| {
            name(s);
            s.session_cookie_secure = true;
            s.session_cookie_domain = Some("example.com".to_owned());
            s.session_cookie_path = "/shop/".to_owned();
        })
        .check()
        .unwrap();
    }

    #[test]
    fn a_host_name_needs_a_cookie_of_the_host_alone() {
        let named = |s: &mut Settings| {
            s.session_cookie_name = "__Host-id".parse().unwrap();
            s.session_cookie_secure = true;
        };
        with(named).check().unwrap();
        let domain = complaint(|s| {
            named(s);
            s.session_cookie_domain = Some("example.com".to_owned());
        });
        assert!(domain.contains("SESSION_COOKIE_DOMAIN"), "{domain}");
        let path = complaint(|s| {
            named(s);
            s.session_cookie_path = "/shop/".to_owned();
        });
        assert!(path.contains("SESSION_COOKIE_PATH"), "{path}");
    }

    #[test]
    fn the_csrf_cookie_is_held_to_the_same_rules() {
        let name = |name: &str| {
            let name = name.parse().unwrap();
            move |s: &mut Settings| s.csrf_cookie_name = name
        };
        let secure = complaint(name("__Secure-csrf"));
        assert!(secure.starts_with("CSRF_COOKIE_NAME"), "{secure}");
        assert!(secure.contains("CSRF_COOKIE_SECURE"), "{secure}");
        let host = |change: fn(&mut Settings)| {
            complaint(|s| {
                name("__Host-csrf")(s);
                s.csrf_cookie_secure = true;
                change(s);
            })
        };
        assert!(host(|s| s.csrf_cookie_domain = Some("a.b".into())).contains("CSRF_COOKIE_DOMAIN"));
        assert!(host(|s| s.csrf_cookie_path = "/a".into()).contains("CSRF_COOKIE_PATH"));
        for (setting, told) in [
            (
                "CSRF_COOKIE_DOMAIN",
                complaint(|s| s.csrf_cookie_domain = Some("a;b".into())),
            ),
            (
                "CSRF_COOKIE_PATH",
                complaint(|s| s.csrf_cookie_path = "/\r\nX: y".into()),
            ),
            (
                "CSRF_COOKIE_AGE",
                complaint(|s| s.csrf_cookie_age = Some(TimeDelta::MAX)),
            ),
        ] {
            assert!(told.starts_with(setting), "{told}");
        }
    }

    #[test]
    fn trusted_origins_have_a_scheme() {
        let told = complaint(|s| s.csrf_trusted_origins = vec!["shop.example.com".into()]);
        assert!(told.starts_with("CSRF_TRUSTED_ORIGINS"), "{told}");
        with(|s| s.csrf_trusted_origins = vec!["https://*.example.com".into()])
            .check()
            .unwrap();
    }

    #[test]
    fn samesite_none_without_secure_is_for_the_deploy_check_as_django_allows_it() {
        with(|s| s.session_cookie_samesite = SameSite::None)
            .check()
            .unwrap();
    }

    #[test]
    fn what_would_split_the_header_is_refused() {
        assert!(
            complaint(|s| s.session_cookie_domain = Some("a;b".to_owned()))
                .contains("SESSION_COOKIE_DOMAIN")
        );
        assert!(
            complaint(|s| s.session_cookie_path = "/\r\nX: y".to_owned())
                .contains("SESSION_COOKIE_PATH")
        );
    }

    #[test]
    fn a_partitioned_cookie_is_secure() {
        assert!(
            complaint(|s| s.session_cookie_partitioned = true).contains("SESSION_COOKIE_SECURE")
        );
    }

    #[test]
    fn the_session_cache_exists_where_the_engine_uses_it() {
        let elsewhere = |s: &mut Settings| s.session_cache_alias = "sessions".to_owned();
        with(elsewhere).check().unwrap();
        for engine in [SessionEngineName::Cache, SessionEngineName::CachedDb] {
            let error = complaint(|s| {
                elsewhere(s);
                s.session_engine = engine;
            });
            assert!(
                error.starts_with("SESSION_CACHE_ALIAS (in code) is \"sessions\""),
                "{error}"
            );
        }
        let without_default = complaint(|s| {
            s.caches = BTreeMap::from([("x".to_owned(), CacheSettings::new(CacheBackend::Dummy))]);
        });
        assert!(without_default.contains("\"default\""), "{without_default}");
    }

    #[test]
    fn only_signed_cookies_are_encrypted() {
        assert!(complaint(|s| s.session_cookie_encrypted = true).contains("signed_cookies"));
        with(|s| {
            s.session_cookie_encrypted = true;
            s.session_engine = SessionEngineName::SignedCookies;
        })
        .check()
        .unwrap();
    }

    #[test]
    fn times_set_in_code_are_bounded_too() {
        assert!(
            complaint(|s| s.session_cookie_age = TimeDelta::MAX).contains("SESSION_COOKIE_AGE")
        );
        assert!(
            complaint(|s| s.session_cookie_age = TimeDelta::MIN).contains("SESSION_COOKIE_AGE")
        );
        assert!(
            complaint(|s| s.session_expire_seconds = Some(TimeDelta::seconds(-1)))
                .contains("SESSION_EXPIRE_SECONDS")
        );
        for seconds in [0, -1] {
            let time = TimeDelta::seconds(seconds);
            assert!(complaint(|s| s.login_cooloff_time = time).contains("LOGIN_COOLOFF_TIME"));
        }
        assert!(
            complaint(|s| s.password_reset_timeout = TimeDelta::MAX)
                .contains("PASSWORD_RESET_TIMEOUT")
        );
        with(|s| s.session_cookie_age = TimeDelta::seconds(-1))
            .check()
            .unwrap();
    }

    #[test]
    fn a_touch_is_put_off_for_half_of_the_cookies_age_at_the_most() {
        let hours = TimeDelta::hours;
        let settings = |age, interval| {
            with(|s| {
                (s.session_cookie_age, s.session_touch_interval) = (hours(age), hours(interval));
            })
        };
        settings(2, 1).check().unwrap();
        settings(-1, 0).check().unwrap();
        for (age, interval) in [(2, 2), (3, 2), (0, 1), (-2, 1)] {
            let told = settings(age, interval).check().unwrap_err().to_string();
            assert!(told.contains("SESSION_TOUCH_INTERVAL"), "{told}");
        }
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let error = with(|s| {
            s.session_cookie_partitioned = true;
            s.session_cookie_encrypted = true;
        })
        .check()
        .unwrap_err();
        let named: Vec<_> = error
            .problems()
            .iter()
            .filter_map(Problem::setting)
            .collect();
        assert_eq!(
            named,
            ["SESSION_COOKIE_PARTITIONED", "SESSION_COOKIE_ENCRYPTED"]
        );
    }
}
