use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use chrono::Utc;
use http::{HeaderValue, Response, header};
use http_body_util::{Either, Full};
use pin_project_lite::pin_project;
use quintette_core::session::{CookieAction, Outcome, Session, SessionError, Sessions};

use crate::http::vary_on_cookie;
use crate::sessions::response::error_response;

type Finish = Pin<Box<dyn Future<Output = Result<Outcome, SessionError>> + Send>>;

pin_project! {
    /// The response of a [`SessionService`](super::SessionService): the inner one, once its session is saved.
    pub struct ResponseFuture<F, ResBody> {
        #[pin]
        handler: F,
        session: Session,
        sessions: Sessions,
        finishing: Option<(Finish, Response<ResBody>)>,
    }
}

impl<F, ResBody> ResponseFuture<F, ResBody> {
    pub(super) fn new(handler: F, session: Session, sessions: Sessions) -> Self {
        Self {
            handler,
            session,
            sessions,
            finishing: None,
        }
    }
}

impl<F, ResBody, E> Future for ResponseFuture<F, ResBody>
where
    F: Future<Output = Result<Response<ResBody>, E>>,
{
    type Output = Result<Response<Either<ResBody, Full<Bytes>>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if this.finishing.is_none() {
            let response = ready!(this.handler.poll(context))?;
            if !this.session.needs_finish() {
                return Poll::Ready(Ok(response.map(Either::Left)));
            }
            let session = this.session.clone();
            let server_error = response.status().is_server_error();
            let finish: Finish = Box::pin(async move { session.finish(server_error).await });
            *this.finishing = Some((finish, response));
        }
        let (finish, _) = this.finishing.as_mut().expect("set just above");
        let outcome = ready!(finish.as_mut().poll(context));
        let (_, response) = this.finishing.take().expect("set just above");
        Poll::Ready(Ok(match outcome {
            Ok(outcome) => apply(response, &outcome, this.sessions).map(Either::Left),
            Err(error) => error_response(&error).map(Either::Right),
        }))
    }
}

impl<F, ResBody> std::fmt::Debug for ResponseFuture<F, ResBody> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseFuture")
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

fn apply<B>(mut response: Response<B>, outcome: &Outcome, sessions: &Sessions) -> Response<B> {
    let headers = response.headers_mut();
    if outcome.vary {
        vary_on_cookie(headers);
    }
    let settings = sessions.settings();
    let cookie = match &outcome.cookie {
        CookieAction::Keep => return response,
        CookieAction::Delete => settings.session_cookie().delete(),
        CookieAction::Set { key, max_age } => {
            let cookie = settings.session_cookie();
            cookie.set(key.as_str(), *max_age, Utc::now())
        }
    };
    match HeaderValue::try_from(cookie) {
        Ok(cookie) => {
            headers.append(header::SET_COOKIE, cookie);
            response
        }
        // The settings are checked at start-up, and a value is quoted: not reachable but through a defect.
        Err(error) => {
            tracing::error!(target: "quintette::session", %error, "the session's cookie is no header value");
            response
        }
    }
}
