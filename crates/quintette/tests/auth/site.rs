//! A site with users, its pages, and a visitor whose browser keeps cookies.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::Form;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, middleware};
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::BodyExt;
use quintette::auth::{
    Auth, AuthError, AuthLayer, Authentication, Builder, Credentials, User, Users,
};
use quintette::db::{Database, QueryLog};
use quintette::http::ClientAddress;
use quintette::sessions::{Session, SessionEngine, SessionKey, SessionLayer, Sessions};
use quintette::settings::{DatabaseUrl, Settings, SqliteLocation};
use quintette_testkit::{CountingEngine, GatedEngine, MemoryEngine};
use serde::Deserialize;
use tempfile::TempDir;
use tower::ServiceExt;

/// Users in a file, sessions in memory.
pub(crate) struct Site {
    pub(crate) authentication: Authentication,
    pub(crate) sessions: Sessions,
    /// What was asked of the sessions' store.
    pub(crate) counter: Arc<CountingEngine>,
    pub(crate) memory: Arc<MemoryEngine>,
    pub(crate) database: Database,
    _directory: TempDir,
}

impl Site {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(configure: impl FnOnce(&mut Settings)) -> Self {
        Self::built(configure, |builder| builder).await
    }

    pub(crate) async fn built(
        configure: impl FnOnce(&mut Settings),
        build: impl FnOnce(Builder) -> Builder,
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let settings = settings(&directory, configure);
        let database = Database::create(&settings).await.unwrap();
        database.migrate().await.unwrap();
        Self::on(directory, database, settings, build).await
    }

    async fn on(
        directory: TempDir,
        database: Database,
        settings: Settings,
        build: impl FnOnce(Builder) -> Builder,
    ) -> Self {
        let settings = Arc::new(settings);
        let memory = Arc::new(MemoryEngine::new());
        let counter = Arc::new(CountingEngine::new(memory.clone()));
        let builder = Authentication::builder(settings.clone()).database(&database);
        Self {
            authentication: build(builder).build().await.unwrap(),
            sessions: Sessions::new(counter.clone(), settings),
            counter,
            memory,
            database,
            _directory: directory,
        }
    }

    /// The same site with other settings: its sessions and users stay.
    pub(crate) async fn restarted(self, configure: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = self.sessions.settings().clone();
        configure(&mut settings);
        let settings = Arc::new(settings);
        let authentication = Authentication::connect(&self.database, settings.clone());
        Self {
            authentication: authentication.await.unwrap(),
            sessions: Sessions::new(self.counter.clone(), settings),
            ..self
        }
    }

    /// Its database, past the site.
    pub(crate) async fn pool(&self) -> sqlx::SqlitePool {
        let url = self.sessions.settings().database_url.clone();
        let Some(DatabaseUrl::Sqlite(SqliteLocation::File(path))) = url else {
            panic!("an SQLite file")
        };
        let url = format!("sqlite:{}", path.display());
        sqlx::SqlitePool::connect(&url).await.unwrap()
    }

    /// From now on nobody finds the users.
    pub(crate) async fn without_users(&self) {
        let gone = sqlx::query("ALTER TABLE auth_user RENAME TO elsewhere");
        gone.execute(&self.pool().await).await.unwrap();
    }

    pub(crate) async fn with_users_again(&self) {
        let back = sqlx::query("ALTER TABLE elsewhere RENAME TO auth_user");
        back.execute(&self.pool().await).await.unwrap();
    }

    pub(crate) fn users(&self) -> Users {
        self.authentication.users().unwrap()
    }

    /// A user of this name, whose password is `right`.
    pub(crate) async fn user(&self, name: &str) -> User {
        let email = format!("{name}@example.com");
        let users = self.users();
        users
            .create_user(name, &email, Some("right"))
            .await
            .unwrap()
    }

    /// Somebody who looks at the usual pages.
    pub(crate) fn visitor(&self) -> Visitor {
        self.visitor_of(pages())
    }

    pub(crate) fn visitor_of(&self, pages: Router) -> Visitor {
        let app = pages
            .layer(AuthLayer::new(self.authentication.clone()))
            .layer(SessionLayer::new(self.sessions.clone()));
        Visitor {
            app,
            cookie: None,
            address: Some(Ipv4Addr::new(192, 0, 2, 1).into()),
            user_agent: "Firefox".to_owned(),
        }
    }

    /// A visitor who has logged in.
    pub(crate) async fn logged_in(&self, name: &str) -> Visitor {
        let mut visitor = self.visitor();
        let answer = visitor.log_in(name, "right").await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        self.counter.take_calls();
        visitor
    }

    /// What is stored under a cookie, as JSON. Not counted.
    pub(crate) async fn stored(&self, cookie: &str) -> Option<serde_json::Value> {
        let key = SessionKey::parse(cookie).unwrap();
        let stored = self.memory.load(&key).await.unwrap()?;
        let text = stored.data.to_json().unwrap();
        Some(serde_json::from_str(&text).unwrap())
    }
}

/// The site with a store that a test can hold and make fail.
pub(crate) fn gated(mut site: Site) -> (Site, Arc<GatedEngine>) {
    let engine = Arc::new(GatedEngine::new(site.memory.clone()));
    site.sessions = Sessions::new(engine.clone(), site.sessions.settings().clone());
    (site, engine)
}

pub(crate) fn settings(directory: &TempDir, configure: impl FnOnce(&mut Settings)) -> Settings {
    let mut settings = Settings::new("a secret that is for tests alone");
    let file = SqliteLocation::File(directory.path().join("db.sqlite3"));
    settings.database_url = Some(DatabaseUrl::Sqlite(file));
    // Quick: what a hasher costs is not what is tested here.
    settings.password_hashers = vec!["django.contrib.auth.hashers.MD5PasswordHasher".to_owned()];
    settings.allowed_hosts = vec!["*".to_owned()];
    configure(&mut settings);
    settings.check().unwrap();
    settings
}

#[derive(Deserialize)]
pub(crate) struct Login {
    pub(crate) username: String,
    pub(crate) password: String,
}

pub(crate) fn pages() -> Router {
    Router::new()
        .route("/", get(async || "a page for everyone"))
        .route("/who", get(who))
        .route("/mine", get(async |user: User| format!("of {user}")))
        .route("/cart", get(cart))
        .route("/login", post(login))
        .route("/logout", post(logout))
        .route("/password", post(change_password))
        .layer(middleware::map_response(async |response: Response| {
            response
        }))
}

async fn who(user: Option<User>) -> String {
    user.map_or_else(|| "a stranger".to_owned(), |user| user.to_string())
}

/// Puts something into the session.
async fn cart(session: Session) -> Result<String, quintette::sessions::SessionError> {
    session.insert("cart", "tea")?;
    Ok("tea".to_owned())
}

pub(crate) async fn login(auth: Auth, Form(form): Form<Login>) -> Result<Response, AuthError> {
    let credentials = Credentials::new(form.username, form.password);
    let Some(user) = auth.authenticate(&credentials).await? else {
        return Ok((StatusCode::FORBIDDEN, "wrong").into_response());
    };
    auth.login(&user).await?;
    Ok(format!("hello {user}").into_response())
}

async fn logout(auth: Auth) -> Result<&'static str, AuthError> {
    auth.logout().await?;
    Ok("bye")
}

#[derive(Deserialize)]
struct Password {
    password: String,
}

async fn change_password(
    auth: Auth,
    user: User,
    Form(form): Form<Password>,
) -> Result<&'static str, AuthError> {
    let users = auth.authentication().users()?;
    let user = users.set_password(&user, Some(&form.password)).await?;
    auth.update_session_auth_hash(&user).await?;
    Ok("changed")
}

/// A browser: it sends the session's cookie that it was last given.
#[derive(Clone)]
pub(crate) struct Visitor {
    app: Router,
    pub(crate) cookie: Option<String>,
    pub(crate) address: Option<IpAddr>,
    pub(crate) user_agent: String,
}

impl Visitor {
    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap())
            .await
    }

    pub(crate) async fn post(&mut self, path: &str, form: &[(&str, &str)]) -> Answer {
        let body = serde_urlencoded(form);
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(body));
        self.send(request.unwrap()).await
    }

    pub(crate) async fn log_in(&mut self, username: &str, password: &str) -> Answer {
        let form = [("username", username), ("password", password)];
        self.post("/login", &form).await
    }

    /// What `/who` says.
    pub(crate) async fn who(&mut self) -> String {
        let answer = self.get("/who").await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer.body
    }

    pub(crate) async fn send(&mut self, mut request: Request<Body>) -> Answer {
        let headers = request.headers_mut();
        headers.insert(header::HOST, "shop.example.com".parse().unwrap());
        headers.insert(header::USER_AGENT, self.user_agent.parse().unwrap());
        if let Some(cookie) = &self.cookie {
            let pair = format!("sessionid={cookie}");
            headers.insert(header::COOKIE, pair.parse().unwrap());
        }
        if let Some(address) = self.address {
            request.extensions_mut().insert(ClientAddress(address));
        }
        let response = self.app.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let answer = Answer {
            status: head.status,
            headers: head.headers,
            body: String::from_utf8(body.into()).unwrap(),
        };
        match answer.cookie() {
            Some("\"\"") => self.cookie = None,
            Some(value) => self.cookie = Some(value.to_owned()),
            None => {}
        }
        answer
    }
}

fn serde_urlencoded(form: &[(&str, &str)]) -> String {
    let pairs = form.iter().map(|(name, value)| {
        let value: String = value
            .bytes()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
                byte => format!("%{byte:02X}"),
            })
            .collect();
        format!("{name}={value}")
    });
    pairs.collect::<Vec<_>>().join("&")
}

/// A response, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        Some(self.headers.get(name)?.to_str().unwrap())
    }

    /// What the one `Set-Cookie` gives the session's cookie.
    pub(crate) fn cookie(&self) -> Option<&str> {
        let (_, value) = self
            .header("set-cookie")?
            .split(';')
            .next()?
            .split_once('=')?;
        Some(value)
    }
}

/// What a future does, and how many statements that takes.
pub(crate) async fn counted<T>(future: impl Future<Output = T>) -> (T, usize) {
    let log = QueryLog::new();
    let output = log.record(future).await;
    (output, log.queries().len())
}
