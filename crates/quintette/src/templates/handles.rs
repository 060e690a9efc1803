//! Stands in for what other modules are to have.
#![allow(missing_docs)]

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use quintette_core::session::{Session, SessionError};

#[derive(Clone, Debug)]
pub struct Csrf {
    pub session: Session,
}

impl Csrf {
    pub async fn token(&self) -> Result<String, SessionError> {
        self.session
            .get_or_insert("_csrftoken", "x".repeat(64))
            .await
    }
}

#[derive(Clone, Debug)]
pub struct Message {
    pub message: String,
    pub safe: bool,
}

impl Message {
    pub fn level(&self) -> i64 {
        20
    }
    pub fn message(&self) -> &str {
        &self.message
    }
    pub fn extra_tags(&self) -> &str {
        ""
    }
    pub fn level_tag(&self) -> &str {
        "info"
    }
    pub fn tags(&self) -> String {
        "info".to_owned()
    }
    pub fn is_safe(&self) -> bool {
        self.safe
    }
}

#[derive(Clone, Debug)]
pub struct Messages {
    pub session: Session,
}

impl Messages {
    pub async fn take(&self) -> Result<Vec<Message>, SessionError> {
        let texts: Option<Vec<String>> = self.session.take("_messages").await?;
        let texts = texts.unwrap_or_default().into_iter();
        Ok(texts
            .map(|message| Message {
                safe: message.starts_with("<b>"),
                message,
            })
            .collect())
    }
}

#[derive(Clone, Debug)]
pub struct Auth {
    pub session: Session,
}

#[derive(Clone, Debug)]
pub struct User(String);

impl Auth {
    pub async fn user(&self) -> Result<Option<User>, SessionError> {
        Ok(self.session.get::<String>("user").await?.map(User))
    }
    pub async fn permissions(&self) -> Result<Arc<BTreeSet<String>>, SessionError> {
        Ok(Arc::new(
            self.session.get("perms").await?.unwrap_or_default(),
        ))
    }
}

impl User {
    pub fn id(&self) -> String {
        "7".to_owned()
    }
    pub fn username(&self) -> &str {
        &self.0
    }
    pub fn email(&self) -> &str {
        ""
    }
    pub fn first_name(&self) -> &str {
        ""
    }
    pub fn last_name(&self) -> &str {
        ""
    }
    pub fn full_name(&self) -> String {
        String::new()
    }
    pub fn is_active(&self) -> bool {
        true
    }
    pub fn is_staff(&self) -> bool {
        false
    }
    pub fn is_superuser(&self) -> bool {
        self.0 == "root"
    }
    pub fn last_login(&self) -> Option<DateTime<Utc>> {
        None
    }
    pub fn date_joined(&self) -> Option<DateTime<Utc>> {
        None
    }
}

#[derive(Clone, Debug)]
pub struct Query {
    pub sql: String,
    pub time: std::time::Duration,
}

#[derive(Clone, Debug, Default)]
pub struct QueryLog {
    pub noted: Arc<std::sync::Mutex<Vec<Query>>>,
}

impl QueryLog {
    pub fn queries(&self) -> Vec<Query> {
        self.noted.lock().map(|noted| noted.clone()).unwrap_or_default()
    }
}
