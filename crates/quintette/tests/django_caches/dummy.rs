use quintette::sessions::{self, SessionKey};
use quintette::settings::SessionEngineName;

use super::with_cache;

#[tokio::test]
async fn each_request_begins_a_new_session() {
    let mut settings = with_cache("dummy://");
    settings.session_engine = SessionEngineName::Cache;
    let sessions = sessions::connect(settings).await.unwrap();
    let session = sessions.session(None);
    session.insert("n", 1).unwrap();
    session.save().await.unwrap();
    // Within the request, all is well.
    session.insert("n", 2).unwrap();
    session.save().await.unwrap();
    session.cycle_key().await.unwrap();
    let key = session.key();
    let next = sessions.session(key.as_ref().map(SessionKey::as_str));
    assert_eq!(next.get::<u8>("n").await.unwrap(), None);
    next.insert("n", 3).unwrap();
    next.save().await.unwrap();
    assert_ne!(next.key(), key);
    next.flush().await.unwrap();
}
