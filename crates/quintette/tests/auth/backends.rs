//! Users of an application's own, and several backends in their order.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::routing::get;
use http::StatusCode;
use quintette::auth::{
    AbstractUser, AuthError, AuthErrorKind, Authentication, AuthenticationBackend, Credentials,
    MODEL_BACKEND, User,
};
use quintette::settings::Settings;

use crate::site::{Site, pages};

/// Knows one robot, by a token in the place of its password.
struct Robots;

struct Robot;

impl AbstractUser for Robot {
    fn id(&self) -> String {
        "r2d2".to_owned()
    }

    fn username(&self) -> &'static str {
        "a robot"
    }

    fn password(&self) -> &'static str {
        "a token"
    }
}

const PATH: &str = "tests.Robots";

#[async_trait]
impl AuthenticationBackend for Robots {
    fn path(&self) -> &'static str {
        PATH
    }

    async fn authenticate(
        &self,
        credentials: &Credentials,
    ) -> Result<Option<Box<dyn AbstractUser>>, AuthError> {
        match credentials.username() {
            Some("banned") => Err(AuthError::new(AuthErrorKind::PermissionDenied, "no robots")),
            Some("r2d2") if credentials.password() == Some("a token") => Ok(Some(Box::new(Robot))),
            _ => Ok(None),
        }
    }

    async fn user(&self, id: &str) -> Result<Option<Box<dyn AbstractUser>>, AuthError> {
        Ok((id == "r2d2").then(|| Box::new(Robot) as _))
    }
}

fn backends(paths: &[&str]) -> impl FnOnce(&mut Settings) {
    let paths = paths.iter().map(ToString::to_string).collect();
    |settings| settings.authentication_backends = paths
}

#[tokio::test]
async fn a_user_of_the_applications_own_logs_in_and_is_itself() {
    let site = Site::built(backends(&[MODEL_BACKEND, PATH]), |builder| {
        builder.backend(Robots)
    })
    .await;
    let mut visitor = site.visitor();
    assert_eq!(
        visitor.log_in("r2d2", "a token").await.status,
        StatusCode::OK
    );
    assert_eq!(visitor.who().await, "a robot");
    let stored = site
        .stored(visitor.cookie.as_deref().unwrap())
        .await
        .unwrap();
    assert_eq!(stored["_auth_user_backend"], PATH);
    site.user("mei").await;
    assert_eq!(
        site.visitor().log_in("mei", "right").await.body,
        "hello mei"
    );
}

#[tokio::test]
async fn a_backend_that_forbids_ends_the_login_before_the_others_are_asked() {
    let site = Site::built(backends(&[PATH, MODEL_BACKEND]), |builder| {
        builder.backend(Robots)
    })
    .await;
    site.user("banned").await;
    assert_eq!(
        site.visitor().log_in("banned", "right").await.status,
        StatusCode::FORBIDDEN
    );
    let site = Site::built(backends(&[MODEL_BACKEND, PATH]), |builder| {
        builder.backend(Robots)
    })
    .await;
    site.user("banned").await;
    assert_eq!(
        site.visitor().log_in("banned", "right").await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn a_session_of_a_backend_that_is_no_longer_named_is_a_strangers() {
    let site = Site::built(backends(&[MODEL_BACKEND, PATH]), |builder| {
        builder.backend(Robots)
    })
    .await;
    let mut visitor = site.visitor();
    visitor.log_in("r2d2", "a token").await;
    let cookie = visitor.cookie;
    let site = site.restarted(backends(&[MODEL_BACKEND])).await;
    let mut visitor = site.visitor();
    visitor.cookie = cookie;
    assert_eq!(visitor.who().await, "a stranger");
}

#[tokio::test]
async fn who_is_not_active_may_log_in_where_the_backend_says_so() {
    let path = "django.contrib.auth.backends.AllowAllUsersModelBackend";
    let site = Site::with(backends(&[path])).await;
    let mei = site.user("mei").await;
    let record = mei.downcast_ref::<quintette::auth::UserRecord>().unwrap();
    let mut record = record.clone();
    record.is_active = false;
    site.users().save(&record).await.unwrap();
    let mut visitor = site.visitor();
    visitor.log_in("mei", "right").await;
    assert_eq!(visitor.who().await, "mei");
}

#[tokio::test]
async fn what_the_settings_name_wrongly_is_told_when_the_program_starts() {
    let named = |paths: &[&str]| {
        let mut settings = Settings::new("a secret");
        backends(paths)(&mut settings);
        Authentication::builder(settings)
    };
    let unknown = named(&["shop.Unknown"])
        .build()
        .await
        .unwrap_err()
        .to_string();
    assert!(
        unknown.contains("shop.Unknown") && unknown.contains(".backend("),
        "{unknown}"
    );
    let database = named(&[MODEL_BACKEND])
        .build()
        .await
        .unwrap_err()
        .to_string();
    assert!(database.contains(".database("), "{database}");
    let unnamed = named(&[PATH]).backend(Robots).build().await;
    assert!(unnamed.is_ok());
    let forgotten = Site::built(|_| {}, |builder| builder);
    let site = forgotten.await;
    let builder = Authentication::builder(site.sessions.settings().clone());
    let error = builder
        .database(&site.database)
        .backend(Robots)
        .build()
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("would never be asked"),
        "{error}"
    );
    let mut settings = site.sessions.settings().clone();
    backends(&[PATH])(&mut settings);
    let twice = Authentication::builder(settings)
        .backend(Robots)
        .backend(Robots);
    let error = twice.build().await.unwrap_err();
    assert!(error.to_string().contains("two backends"), "{error}");
    let mut settings = site.sessions.settings().clone();
    settings.password_hashers = vec!["shop.Sha256".to_owned()];
    let error = Authentication::connect(&site.database, settings)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("PASSWORD_HASHERS"), "{error}");
}

/// One customer or one guest, with the number that the first row has in the table of users, and without a password.
struct Number1<const GUEST: bool>;

impl<const GUEST: bool> AbstractUser for Number1<GUEST> {
    fn id(&self) -> String {
        "1".to_owned()
    }

    fn username(&self) -> &'static str {
        if GUEST { "guest" } else { "customer" }
    }

    fn password(&self) -> &'static str {
        ""
    }
}

/// The backend that knows it.
struct Shop<const GUEST: bool>;

#[async_trait]
impl<const GUEST: bool> AuthenticationBackend for Shop<GUEST> {
    fn path(&self) -> &'static str {
        if GUEST { GUESTS } else { CUSTOMERS }
    }

    async fn authenticate(
        &self,
        credentials: &Credentials,
    ) -> Result<Option<Box<dyn AbstractUser>>, AuthError> {
        let one = Number1::<GUEST>;
        let is_known = credentials.username() == Some(one.username());
        Ok(is_known.then(|| Box::new(one) as _))
    }

    async fn user(&self, id: &str) -> Result<Option<Box<dyn AbstractUser>>, AuthError> {
        Ok((id == "1").then(|| Box::new(Number1::<GUEST>) as _))
    }
}

const CUSTOMERS: &str = "tests.Customers";
const GUESTS: &str = "tests.Guests";

#[tokio::test]
async fn a_user_of_another_backend_has_nothing_of_the_user_with_the_same_id() {
    let site = Site::built(backends(&[MODEL_BACKEND, CUSTOMERS]), |builder| {
        builder.backend(Shop::<false>)
    })
    .await;
    let mei = site.user("mei").await;
    assert_eq!(mei.id(), "1");
    let users = site.users();
    users.grant(&mei, "auth.view_user").await.unwrap();
    let seen = Arc::new(Mutex::new(None));
    let look = {
        let seen = seen.clone();
        async move |user: User| {
            *seen.lock().unwrap() = Some(user.clone());
            user.has_perm("auth.view_user").await.unwrap().to_string()
        }
    };
    let mut visitor = site.visitor_of(pages().route("/may", get(look)));
    visitor.log_in("customer", "any").await;
    assert_eq!(visitor.get("/may").await.body, "false");
    let customer = seen.lock().unwrap().take().unwrap();
    let refused = [
        users.delete(&customer).await,
        users.grant(&customer, "auth.add_user").await,
        users.add_to_group(&customer, "staff").await,
        users.groups(&customer).await.map(drop),
    ];
    for refused in refused {
        assert_eq!(refused.unwrap_err().kind(), AuthErrorKind::Value);
    }
    assert_eq!(users.by_id("1").await.unwrap(), Some(mei));
}

#[tokio::test]
async fn a_user_of_another_backend_with_the_same_id_does_not_get_the_session() {
    let site = Site::built(backends(&[CUSTOMERS, GUESTS]), |builder| {
        builder.backend(Shop::<false>).backend(Shop::<true>)
    })
    .await;
    let mut visitor = site.visitor();
    visitor.log_in("customer", "any").await;
    visitor.get("/cart").await;
    let customers = visitor.cookie.clone().unwrap();
    visitor.log_in("guest", "any").await;
    assert_eq!(visitor.who().await, "guest");
    assert_eq!(site.stored(&customers).await, None);
    let stored = site.stored(visitor.cookie.as_deref().unwrap()).await;
    assert_eq!(stored.unwrap().get("cart"), None);
}

#[tokio::test]
async fn a_user_who_comes_by_another_backend_keeps_the_session() {
    let all = "django.contrib.auth.backends.AllowAllUsersModelBackend";
    let site = Site::with(backends(&[MODEL_BACKEND, all])).await;
    site.user("mei").await;
    let mut visitor = site.logged_in("mei").await;
    visitor.get("/cart").await;
    let site = site.restarted(backends(&[all, MODEL_BACKEND])).await;
    let mut again = site.visitor();
    again.cookie = visitor.cookie;
    again.log_in("mei", "right").await;
    let stored = site.stored(again.cookie.as_deref().unwrap()).await.unwrap();
    assert_eq!(
        (&stored["cart"], &stored["_auth_user_backend"]),
        (&"tea".into(), &all.into())
    );
}
