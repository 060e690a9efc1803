//! The names of all settings, and the nearest one to a name that is none.

use super::celery_names;

/// How an environment variable's text is understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As it stands: the setting is a string.
    Plain,
    /// As JSON, with Python's spellings of true, false and nothing.
    Json,
}

/// Every setting of Django's that is read here, and of ours.
const KNOWN: &[(&str, Form)] = &[
    ("ALLOWED_HOSTS", Form::Json),
    ("AUTHENTICATION_BACKENDS", Form::Json),
    ("AUTH_PASSWORD_VALIDATORS", Form::Json),
    ("AUTH_USER_MODEL", Form::Plain),
    ("CACHES", Form::Json),
    ("CACHE_URL", Form::Plain),
    ("CLIENT_ADDRESS_HEADER", Form::Plain),
    ("CSRF_COOKIE_AGE", Form::Json),
    ("CSRF_COOKIE_DOMAIN", Form::Plain),
    ("CSRF_COOKIE_HTTPONLY", Form::Json),
    ("CSRF_COOKIE_NAME", Form::Plain),
    ("CSRF_COOKIE_PATH", Form::Plain),
    ("CSRF_COOKIE_SAMESITE", Form::Plain),
    ("CSRF_COOKIE_SECURE", Form::Json),
    ("CSRF_HEADER_NAME", Form::Plain),
    ("CSRF_TRUSTED_ORIGINS", Form::Json),
    ("CSRF_USE_SESSIONS", Form::Json),
    ("DATABASE_URL", Form::Plain),
    ("DATA_UPLOAD_MAX_MEMORY_SIZE", Form::Json),
    ("DEBUG", Form::Json),
    ("INTERNAL_IPS", Form::Json),
    ("LANGUAGE_CODE", Form::Plain),
    ("LOGIN_COOLOFF_TIME", Form::Json),
    ("LOGIN_FAILURE_LIMIT", Form::Json),
    ("LOGIN_REDIRECT_URL", Form::Plain),
    ("LOGIN_URL", Form::Plain),
    ("LOGOUT_REDIRECT_URL", Form::Plain),
    ("MEDIA_URL", Form::Plain),
    ("MESSAGE_LEVEL", Form::Json),
    ("MESSAGE_STORAGE", Form::Plain),
    ("MESSAGE_TAGS", Form::Json),
    ("PASSWORD_HASHERS", Form::Json),
    ("PASSWORD_RESET_TIMEOUT", Form::Json),
    ("SECRET_KEY", Form::Plain),
    ("SECRET_KEY_FALLBACKS", Form::Json),
    ("SECURE_PROXY_SSL_HEADER", Form::Json),
    ("SESSION_CACHE_ALIAS", Form::Plain),
    ("SESSION_COOKIE_AGE", Form::Json),
    ("SESSION_COOKIE_DOMAIN", Form::Plain),
    ("SESSION_COOKIE_ENCRYPTED", Form::Json),
    ("SESSION_COOKIE_HTTPONLY", Form::Json),
    ("SESSION_COOKIE_NAME", Form::Plain),
    ("SESSION_COOKIE_PARTITIONED", Form::Json),
    ("SESSION_COOKIE_PATH", Form::Plain),
    ("SESSION_COOKIE_SAMESITE", Form::Plain),
    ("SESSION_COOKIE_SECURE", Form::Json),
    ("SESSION_ENGINE", Form::Plain),
    ("SESSION_EXPIRE_ABSOLUTE_SECONDS", Form::Json),
    ("SESSION_EXPIRE_AFTER_LAST_ACTIVITY", Form::Json),
    (
        "SESSION_EXPIRE_AFTER_LAST_ACTIVITY_GRACE_PERIOD",
        Form::Json,
    ),
    ("SESSION_EXPIRE_AT_BROWSER_CLOSE", Form::Json),
    ("SESSION_EXPIRE_SECONDS", Form::Json),
    ("SESSION_FILE_PATH", Form::Plain),
    ("SESSION_SAVE_EVERY_REQUEST", Form::Json),
    ("SESSION_SERIALIZER", Form::Plain),
    ("SESSION_STORE_TIMEOUT", Form::Json),
    ("SESSION_TIMEOUT_REDIRECT", Form::Plain),
    ("SESSION_TOUCH_INTERVAL", Form::Json),
    ("STATIC_URL", Form::Plain),
    ("TIME_ZONE", Form::Plain),
    ("USE_TZ", Form::Json),
    ("USE_X_FORWARDED_HOST", Form::Json),
    ("USE_X_FORWARDED_PORT", Form::Json),
];

/// Settings whose value may hold a secret, and so is never shown.
const SECRET: [&str; 7] = [
    "CACHES",
    "CACHE_URL",
    "CELERY_BROKER_URL",
    "CELERY_RESULT_BACKEND",
    "DATABASE_URL",
    "SECRET_KEY",
    "SECRET_KEY_FALLBACKS",
];

/// Variables of other programs that begin like ours. X11 session managers set the first in every terminal of a desktop.
const OF_OTHER_PROGRAMS: [&str; 1] = ["SESSION_MANAGER"];

/// Families of Django's settings that none of ours belongs to, so that a typing error in ours is not mistaken for one.
const OTHER_FAMILIES: &[&str] = &[
    "ADMIN",
    "CACHE_MIDDLEWARE_",
    "DATE_",
    "DATETIME_",
    "DEFAULT_",
    "EMAIL_",
    "FILE_UPLOAD_",
    "FORMAT_",
    "FORM_",
    "FORMS_",
    "LOCALE_",
    "LOGGING",
    "SECURE_HSTS_",
    "SECURE_SSL_",
    "SHORT_",
    "TEMPLATE",
    "TEST_",
];

/// Django's other settings, from its `conf/global_settings.py` (5.2 and 4.2), and what `startproject` writes beside them.
const OTHER_SETTINGS: &[&str] = &[
    "ABSOLUTE_URL_OVERRIDES",
    "APPEND_SLASH",
    "ASGI_APPLICATION",
    "BASE_DIR",
    "CSRF_COOKIE_MASKED",
    "CSRF_FAILURE_VIEW",
    "DATABASES",
    "DATABASE_ROUTERS",
    "DATA_UPLOAD_MAX_NUMBER_FIELDS",
    "DATA_UPLOAD_MAX_NUMBER_FILES",
    "DEBUG_PROPAGATE_EXCEPTIONS",
    "DECIMAL_SEPARATOR",
    "DISALLOWED_USER_AGENTS",
    "FIRST_DAY_OF_WEEK",
    "FIXTURE_DIRS",
    "FORCE_SCRIPT_NAME",
    "IGNORABLE_404_URLS",
    "INSTALLED_APPS",
    "LANGUAGES",
    "LANGUAGES_BIDI",
    "LANGUAGE_COOKIE_AGE",
    "LANGUAGE_COOKIE_DOMAIN",
    "LANGUAGE_COOKIE_HTTPONLY",
    "LANGUAGE_COOKIE_NAME",
    "LANGUAGE_COOKIE_PATH",
    "LANGUAGE_COOKIE_SAMESITE",
    "LANGUAGE_COOKIE_SECURE",
    "MANAGERS",
    "MEDIA_ROOT",
    "MIDDLEWARE",
    "MIGRATION_MODULES",
    "MONTH_DAY_FORMAT",
    "NUMBER_GROUPING",
    "PREPEND_WWW",
    "ROOT_URLCONF",
    "SECURE_CONTENT_TYPE_NOSNIFF",
    "SECURE_CROSS_ORIGIN_OPENER_POLICY",
    "SECURE_CSP",
    "SECURE_CSP_REPORT_ONLY",
    "SECURE_REDIRECT_EXEMPT",
    "SECURE_REFERRER_POLICY",
    "SERVER_EMAIL",
    "SIGNED_COOKIE_LEGACY_SALT_FALLBACK",
    "SIGNING_BACKEND",
    "SILENCED_SYSTEM_CHECKS",
    "SITE_ID",
    "STATICFILES_DIRS",
    "STATICFILES_FINDERS",
    "STATICFILES_STORAGE",
    "STATIC_ROOT",
    "STORAGES",
    "TASKS",
    "THOUSAND_SEPARATOR",
    "TIME_FORMAT",
    "TIME_INPUT_FORMATS",
    "URLIZE_ASSUME_HTTPS",
    "USE_DEPRECATED_PYTZ",
    "USE_I18N",
    "USE_L10N",
    "USE_THOUSAND_SEPARATOR",
    "WSGI_APPLICATION",
    "X_FRAME_OPTIONS",
    "YEAR_MONTH_FORMAT",
];

/// Every setting that is read here, Celery's among them.
fn known() -> impl Iterator<Item = &'static (&'static str, Form)> {
    KNOWN.iter().chain(celery_names::KNOWN)
}

/// How a setting of ours is written in the environment; `None` where the name is none of ours.
pub(super) fn form(name: &str) -> Option<Form> {
    known()
        .find(|(known, _)| *known == name)
        .map(|(_, form)| *form)
}

/// Whether a name is Django's or Celery's, but none of ours.
pub(super) fn is_of_django(name: &str) -> bool {
    form(name).is_none()
        && (OTHER_SETTINGS.contains(&name)
            || celery_names::is_of_celery(name)
            || OTHER_FAMILIES.iter().any(|family| name.starts_with(family)))
}

/// Whether an environment variable that is no setting claims to be one.
pub(super) fn is_unknown_variable(name: &str) -> bool {
    let of_session =
        name.starts_with("SESSION_") && form(name).is_none() && !OF_OTHER_PROGRAMS.contains(&name);
    of_session || celery_names::is_unknown_variable(name)
}

/// Whether the value of a setting may hold a secret.
pub(super) fn is_secret(name: &str) -> bool {
    SECRET.contains(&name)
}

/// What to say of a name that is no setting.
pub(super) fn unknown(name: &str) -> String {
    let is_of_celery = |name: &str| name.to_ascii_uppercase().starts_with("CELERY");
    // TIMEZONE is Django's TIME_ZONE misspelt, though it is a word of Celery's name.
    let of_its_kind = known()
        .map(|(known, _)| *known)
        .filter(|known| is_of_celery(known) == is_of_celery(name));
    match nearest(name, of_its_kind) {
        Some(known) => format!("there is no setting of this name; did you mean {known}?"),
        None => "there is no setting of this name".to_owned(),
    }
}

/// The candidate that has all words of `name`, or else the fewest typing errors between the two, where they are few enough to be some.
pub(super) fn nearest<'a>(
    name: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    // The comparison takes quadratic time, and no setting's name is nearly as long.
    if name.len() > 80 {
        return None;
    }
    let upper = name.to_ascii_uppercase();
    // SESSION_SAMESITE is nearer to SESSION_ENGINE by letters, but it is SESSION_COOKIE_SAMESITE that has its words.
    let lacks_a_word = |candidate: &str| {
        !upper
            .split('_')
            .all(|word| candidate.split('_').any(|other| other == word))
    };
    let (_, errors, candidate) = candidates
        .map(|candidate| {
            (
                lacks_a_word(candidate),
                typing_errors(&upper, candidate),
                candidate,
            )
        })
        .min()?;
    // Whoever writes SESSION_ means one of ours, however far off the rest is.
    let meant = upper.starts_with("SESSION_") || errors <= 2.max(upper.chars().count() / 3);
    meant.then_some(candidate)
}

/// The optimal string alignment distance: insertions, deletions, replacements, and swaps of neighbours.
fn typing_errors(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in right.iter().enumerate() {
            let replaced = above[j] + usize::from(a != b);
            let mut best = replaced.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == right[j - 1] && left[i - 1] == *b {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_leads_to_the_setting_that_was_meant() {
        for (typed, meant) in [
            ("SESSION_COOKIE_AEG", "SESSION_COOKIE_AGE"),
            ("SESSION_COOKIE_HTTP_ONLY", "SESSION_COOKIE_HTTPONLY"),
            ("SESSION_SAMESITE", "SESSION_COOKIE_SAMESITE"),
            ("SESSION_AGE", "SESSION_COOKIE_AGE"),
            ("session_engine", "SESSION_ENGINE"),
            ("SECERT_KEY", "SECRET_KEY"),
            ("ALLOWED_HOST", "ALLOWED_HOSTS"),
            ("DATABASE_ULR", "DATABASE_URL"),
            ("TIMEZONE", "TIME_ZONE"),
            ("CELERY_ACKS_LATE", "CELERY_TASK_ACKS_LATE"),
            ("CELERY_BROKER_ULR", "CELERY_BROKER_URL"),
        ] {
            assert!(
                unknown(typed).contains(&format!("did you mean {meant}?")),
                "{typed}"
            );
        }
    }

    #[test]
    fn a_name_that_resembles_nothing_gets_no_suggestion() {
        assert_eq!(
            unknown("REST_FRAMEWORK"),
            "there is no setting of this name"
        );
        assert_eq!(
            unknown(&"S".repeat(10_000)),
            "there is no setting of this name"
        );
    }

    #[test]
    fn no_setting_of_ours_is_taken_for_one_of_djangos_others() {
        for (name, _) in KNOWN {
            assert!(
                !OTHER_SETTINGS.contains(name)
                    && !OTHER_FAMILIES.iter().any(|family| name.starts_with(family)),
                "{name}"
            );
        }
    }

    #[test]
    fn what_may_hold_a_secret_is_a_setting() {
        assert!(SECRET.iter().all(|name| form(name).is_some()));
    }

    #[test]
    fn a_desktops_session_manager_is_no_typing_error() {
        assert!(!is_unknown_variable("SESSION_MANAGER"));
        assert!(is_unknown_variable("SESSION_MANAGERS"));
        assert!(!is_unknown_variable("XDG_SESSION_ID"));
    }
}
