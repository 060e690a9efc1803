//! A site of one template, with all layers before it, and a visitor whose browser keeps cookies.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use axum::body::Body;
use axum::extract::Path;
use axum::response::Html;
use axum::routing::get;
use axum::{Extension, Router};
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use http_body_util::BodyExt;
use quintette::auth::{
    AbstractUser, Auth, AuthError, AuthLayer, Authentication, AuthenticationBackend, Credentials,
};
use quintette::csrf::CsrfLayer;
use quintette::messages::{Message, Messages, MessagesLayer};
use quintette::sessions::{SessionLayer, Sessions};
use quintette::settings::Settings;
use quintette::templates::minijinja::{Environment, context};
use quintette::templates::{TemplateError, TemplatePage, Templates};
use quintette_testkit::{CountingEngine, GatedEngine, MemoryEngine};
use tower::ServiceExt;

pub(crate) struct Site {
    pub(crate) counter: Arc<CountingEngine>,
    pub(crate) gates: Arc<GatedEngine>,
    pub(crate) users: Arc<Users>,
    pub(crate) app: Router,
}

/// What a case changes.
pub(crate) struct Plan {
    pub(crate) settings: Settings,
    pub(crate) environment: Environment<'static>,
    pub(crate) with: fn(Templates) -> Templates,
    /// Whether anything but the templates stands before the handler.
    pub(crate) layers: bool,
}

impl Plan {
    /// A site whose page is this template.
    pub(crate) fn new(page: &'static str) -> Self {
        let mut settings = Settings::new("a secret that is for tests alone");
        settings.allowed_hosts = vec!["testserver".to_owned()];
        settings.authentication_backends = vec![PATH.to_owned()];
        let mut environment = Environment::new();
        environment.add_template("page.html", page).unwrap();
        Self {
            settings,
            environment,
            with: |templates| templates,
            layers: true,
        }
    }

    /// With another template beside it.
    pub(crate) fn and(mut self, name: &'static str, source: &'static str) -> Self {
        self.environment.add_template(name, source).unwrap();
        self
    }

    pub(crate) async fn build(self) -> Site {
        self.settings.check().unwrap();
        let templates = Templates::new(self.environment, self.settings.clone());
        let templates = (self.with)(templates);
        let gates = Arc::new(GatedEngine::new(Arc::new(MemoryEngine::new())));
        let counter = Arc::new(CountingEngine::new(gates.clone()));
        let users = Arc::new(Users::default());
        let authentication = Authentication::builder(self.settings.clone())
            .backend(Backend(users.clone()))
            .build()
            .await
            .unwrap();
        let mut app = Router::new()
            .route("/-/login/{name}", get(login))
            .route("/-/message", get(message))
            .nest("/nested", Router::new().fallback(get(page)))
            .fallback(get(page))
            .with_state(templates);
        if self.layers {
            app = app
                .layer(MessagesLayer::new(&self.settings))
                .layer(AuthLayer::new(authentication))
                .layer(CsrfLayer::new(self.settings.clone()))
                .layer(SessionLayer::new(Sessions::new(
                    counter.clone(),
                    self.settings,
                )));
        }
        Site {
            counter,
            gates,
            users,
            app,
        }
    }
}

impl Site {
    pub(crate) async fn new(page: &'static str) -> Self {
        Plan::new(page).build().await
    }

    pub(crate) fn visitor(&self) -> Visitor {
        Visitor {
            app: self.app.clone(),
            cookies: BTreeMap::new(),
        }
    }

    /// A visitor who has logged in under this name. What that cost is not counted.
    pub(crate) async fn user(&self, name: &str) -> Visitor {
        let mut visitor = self.visitor();
        let answer = visitor.get(&format!("/-/login/{name}")).await;
        assert_eq!(answer.body, name);
        visitor.cookies.remove("csrftoken");
        self.counter.take_calls();
        self.users.take_calls();
        visitor
    }

    /// The one page that a stranger is shown.
    pub(crate) async fn page(&self) -> String {
        self.visitor().page("/").await
    }
}

/// The page that a stranger is shown of a site with this template.
pub(crate) async fn rendered(page: &'static str) -> String {
    Site::new(page).await.page().await
}

async fn page(page: TemplatePage) -> Result<Html<String>, TemplateError> {
    let own = context! { own => "the view's", html => "<b>&\"'", items => [1, 2] };
    page.render("page.html", own).await
}

async fn login(auth: Auth, Path(name): Path<String>) -> Result<String, AuthError> {
    let credentials = Credentials::new(name, "secret");
    let user = auth.authenticate(&credentials).await?.expect("a user");
    auth.login(&user).await?;
    Ok(user.username().to_owned())
}

/// Adds what the headers say: the text, and whether it is safe.
async fn message(messages: Messages, headers: HeaderMap) {
    let text = headers["x-text"].to_str().unwrap();
    let message = Message::new(25, text).with_extra_tags("order");
    messages.add_message(if headers.contains_key("x-safe") {
        message.mark_safe()
    } else {
        message
    });
}

const PATH: &str = "tests.Backend";

/// Everybody is a user, by any name. `root` may do everything, `clerk` a little, and `gone` nothing any more.
#[derive(Default)]
pub(crate) struct Users {
    loads: AtomicUsize,
    permissions: AtomicUsize,
}

impl Users {
    /// How often a user was loaded, and how often permissions were, since the last time.
    pub(crate) fn take_calls(&self) -> (usize, usize) {
        let take = |count: &AtomicUsize| count.swap(0, Ordering::Relaxed);
        (take(&self.loads), take(&self.permissions))
    }
}

struct Backend(Arc<Users>);

#[async_trait]
impl AuthenticationBackend for Backend {
    fn path(&self) -> &'static str {
        PATH
    }

    async fn authenticate(
        &self,
        credentials: &Credentials,
    ) -> Result<Option<Box<dyn AbstractUser>>, AuthError> {
        let name = credentials.username().unwrap_or_default().to_owned();
        Ok(Some(Box::new(Person(name))))
    }

    async fn user(&self, id: &str) -> Result<Option<Box<dyn AbstractUser>>, AuthError> {
        self.0.loads.fetch_add(1, Ordering::Relaxed);
        tokio::task::yield_now().await;
        Ok(Some(Box::new(Person(id[3..].to_owned()))))
    }

    async fn permissions(&self, user: &dyn AbstractUser) -> Result<BTreeSet<String>, AuthError> {
        self.0.permissions.fetch_add(1, Ordering::Relaxed);
        tokio::task::yield_now().await;
        let of_clerk = ["shop.add_order", "shop.view_order", "zoo.feed"];
        let permissions = of_clerk.map(str::to_owned);
        Ok(match user.username() {
            "clerk" | "gone" => permissions.into(),
            _ => BTreeSet::new(),
        })
    }
}

struct Person(String);

impl AbstractUser for Person {
    fn id(&self) -> String {
        format!("id-{}", self.0)
    }

    fn username(&self) -> &str {
        &self.0
    }

    fn password(&self) -> &'static str {
        "a hash"
    }

    fn is_active(&self) -> bool {
        self.0 != "gone"
    }

    fn is_superuser(&self) -> bool {
        self.0 == "root" || self.0 == "gone"
    }

    fn email(&self) -> &'static str {
        "mail@example.com"
    }

    fn first_name(&self) -> &'static str {
        "Ada"
    }

    fn last_name(&self) -> &'static str {
        "L."
    }
}

pub(crate) struct Visitor {
    app: Router,
    pub(crate) cookies: BTreeMap<String, String>,
}

impl Visitor {
    pub(crate) async fn get(&mut self, uri: &str) -> Answer {
        self.send(Request::get(uri).body(Body::empty()).unwrap())
            .await
    }

    /// The page at this address, which must be one.
    pub(crate) async fn page(&mut self, uri: &str) -> String {
        let answer = self.get(uri).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        answer.body
    }

    /// Leaves the visitor a message that waits for the next page.
    pub(crate) async fn is_told(&mut self, text: &str, safe: bool) {
        let mut request = Request::get("/-/message").header("x-text", text);
        if safe {
            request = request.header("x-safe", "");
        }
        let answer = self.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::OK);
    }

    pub(crate) async fn send(&mut self, mut request: Request<Body>) -> Answer {
        let headers = request.headers_mut();
        headers
            .entry(header::HOST)
            .or_insert(HeaderValue::from_static("testserver"));
        let cookies = self.cookies.iter();
        let cookies: Vec<_> = cookies
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        if !cookies.is_empty() {
            let cookies = HeaderValue::try_from(cookies.join("; ")).unwrap();
            headers.append(header::COOKIE, cookies);
        }
        let response = self.app.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        for cookie in head.headers.get_all(header::SET_COOKIE) {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: head.status,
            headers: head.headers,
            body: String::from_utf8(body.into()).unwrap(),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    /// That neither the session nor a cookie had to do with it.
    #[track_caller]
    pub(crate) fn assert_same_for_all(&self) {
        assert_eq!(self.status, StatusCode::OK, "{}", self.body);
        assert!(!self.headers.contains_key(header::VARY), "{self:?}");
        assert!(!self.headers.contains_key(header::SET_COOKIE), "{self:?}");
    }
}

/// The same app with something in each request's extensions.
pub(crate) fn knowing<T: Clone + Send + Sync + 'static>(site: &Site, what: T) -> Visitor {
    Visitor {
        app: site.app.clone().layer(Extension(what)),
        cookies: BTreeMap::new(),
    }
}
