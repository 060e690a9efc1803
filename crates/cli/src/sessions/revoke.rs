//! `quintette sessions revoke`.

use std::io::Write as _;

use quintette::auth::UserSessions;
use quintette::sessions;
use quintette::settings::{CacheBackend, SessionEngineName, Settings};

use super::find::find;
use super::of_user::{Index, ONLY_SEEN};
use crate::arguments::RevokeArguments;
use crate::error::Error;
use crate::output::{count, harmless, print_error, print_note};
use crate::users::prompt::Terminal;

/// Ends sessions, and says how many.
pub(crate) async fn run(settings: Settings, arguments: &RevokeArguments) -> Result<(), Error> {
    let copies_stay = keeps_copies(&settings);
    // On the heap: what opens every kind of store is large.
    let ended = match &arguments.user {
        Some(user) => Box::pin(by_user(settings, user, arguments)).await,
        None => Box::pin(by_keys(settings, &arguments.keys)).await,
    };
    if copies_stay && ended.is_ok() {
        print_note(
            "a service that runs has copies of sessions in its own memory (LocMemCache of CACHES), which are good until \
             they expire: restart it",
        );
    }
    ended
}

/// Whether a service looks into its own memory before it looks into the store.
fn keeps_copies(settings: &Settings) -> bool {
    let cache = settings.caches.get(&settings.session_cache_alias);
    settings.session_engine == SessionEngineName::CachedDb
        && cache.is_some_and(|cache| cache.backend == CacheBackend::LocMem)
}

async fn by_user(settings: Settings, user: &str, arguments: &RevokeArguments) -> Result<(), Error> {
    let index = Index::open(settings).await?;
    let sessions = index.of(user).await?;
    match &arguments.session {
        Some(id) => one(&sessions, id).await?,
        None => all(&sessions, user, arguments.yes).await?,
    }
    if !index.can_list() && arguments.session.is_none() {
        print_note(&format!(
            "{ONLY_SEEN}. Another password (`quintette changepassword`) ends them all"
        ));
    }
    Ok(())
}

async fn by_keys(settings: Settings, keys: &[String]) -> Result<(), Error> {
    if settings.session_engine == SessionEngineName::SignedCookies {
        return Err(Error::Other(
            "SESSION_ENGINE is signed_cookies, which stores no session here: nobody can end what is in the visitors' \
             browsers. Another password of the user, or another SECRET_KEY, does"
                .to_owned(),
        ));
    }
    let sessions = sessions::connect(settings).await?;
    let mut ended = 0;
    let mut failed = 0;
    for text in keys {
        match find(&sessions, text).await {
            Ok(found) => {
                sessions.engine().delete(&found.key, None).await?;
                ended += 1;
            }
            Err(error @ Error::Other(_)) => {
                // The beginning alone: the whole is that visitor's.
                print_error(&format!("{}: {error}", harmless(&super::shortened(text))));
                failed += 1;
            }
            Err(error) => return Err(error),
        }
    }
    tell(ended, "")?;
    match failed {
        0 => Ok(()),
        failed => Err(Error::Other(format!(
            "{} could not be ended",
            count(failed, "session")
        ))),
    }
}

/// The session of this id, or the only one whose id begins so.
async fn one(sessions: &UserSessions, text: &str) -> Result<(), Error> {
    let text = text.trim_end_matches('…');
    let listed = sessions.list().await?;
    let mut beginning_so = listed
        .iter()
        .filter(|session| !text.is_empty() && session.id.starts_with(text));
    let id = match (beginning_so.next(), beginning_so.next()) {
        (Some(session), None) => &session.id,
        (Some(_), Some(_)) => {
            return Err(Error::Other(
                "several sessions' ids begin so: give more of it".to_owned(),
            ));
        }
        (None, _) => {
            return Err(Error::Other(
                "the user has no session of this id: `quintette sessions list --user` prints those there are".to_owned(),
            ));
        }
    };
    let ended = sessions.end(id).await?;
    tell(u64::from(ended), "")
}

async fn all(sessions: &UserSessions, user: &str, is_certain: bool) -> Result<(), Error> {
    let user = harmless(user);
    if !is_certain {
        let number = sessions.list().await?.len() as u64;
        if number == 0 {
            return tell(0, &user);
        }
        let terminal = Terminal::open().ok_or_else(|| {
            Error::Other(format!(
                "this would end {} of {user}: say --yes to it",
                count(number, "session")
            ))
        })?;
        let question = format!("End {} of {user}?", count(number, "session"));
        if !terminal.confirms(&question).await? {
            return Err(Error::Other("nothing was ended".to_owned()));
        }
    }
    tell(sessions.end_all().await?, &user)
}

fn tell(ended: u64, user: &str) -> Result<(), Error> {
    let of = if user.is_empty() {
        String::new()
    } else {
        format!(" of {user}")
    };
    let mut out = anstream::stdout();
    match ended {
        0 if user.is_empty() => writeln!(out, "Ended no session.")?,
        0 => writeln!(out, "{user} is logged in nowhere: there is nothing to end.")?,
        ended => writeln!(out, "Ended {}{of}.", count(ended, "session"))?,
    }
    Ok(())
}
