//! Stands in for what other modules are to have.
#![allow(missing_docs)]

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
    pub fn level(&self) -> Level {
        Level
    }
    pub fn message(&self) -> &str {
        &self.message
    }
    pub fn extra_tags(&self) -> Option<&str> {
        None
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
    pub async fn peek(&self) -> Result<Vec<Message>, SessionError> {
        let texts: Option<Vec<String>> = self.session.get("_messages").await?;
        let texts = texts.unwrap_or_default().into_iter();
        Ok(texts
            .map(|message| Message {
                safe: message.starts_with("<b>"),
                message,
            })
            .collect())
    }
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

pub struct Level;
impl Level {
    pub fn get(self) -> i64 {
        20
    }
}
