use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use pin_project_lite::pin_project;

pin_project! {
    /// A request's body as the inner service gets it: what was read to look for the token, and then the rest, so that
    /// nothing is missing.
    pub struct ReplayBody<B: Body> {
        #[pin]
        state: State<B>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<B: Body> {
        Unread { #[pin] body: B },
        Read { read: Option<Bytes>, rest: Rest<B> },
    }
}

enum Rest<B: Body> {
    Body(Pin<Box<B>>),
    Trailers(HeaderMap),
    Failed(B::Error),
    Nothing,
}

impl<B: Body<Data = Bytes>> ReplayBody<B> {
    /// The same request, with its body as it is.
    pub(super) fn unread(request: Request<B>) -> Request<Self> {
        request.map(|body| Self {
            state: State::Unread { body },
        })
    }
}

/// A body that is being read, and kept.
pub(super) struct Reading<B: Body> {
    read: Vec<u8>,
    rest: Rest<B>,
}

impl<B: Body<Data = Bytes>> Reading<B> {
    pub(super) fn new(body: B) -> Self {
        Self {
            read: Vec::new(),
            rest: Rest::Body(Box::pin(body)),
        }
    }

    /// Reads a further piece; `false` at the end, or where the body breaks off.
    pub(super) async fn more(&mut self) -> bool {
        while let Rest::Body(body) = &mut self.rest {
            match body.frame().await {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        self.read.extend_from_slice(&data);
                        return true;
                    }
                    Err(frame) => {
                        if let Ok(trailers) = frame.into_trailers() {
                            self.rest = Rest::Trailers(trailers);
                        }
                    }
                },
                Some(Err(error)) => self.rest = Rest::Failed(error),
                None => self.rest = Rest::Nothing,
            }
        }
        false
    }

    /// What has been read.
    pub(super) fn read(&self) -> &[u8] {
        &self.read
    }

    /// Whether the body broke off: the caller has gone, say.
    pub(super) fn has_failed(&self) -> bool {
        matches!(self.rest, Rest::Failed(_))
    }

    /// How many bytes there are at least, as far as is known.
    pub(super) fn least_size(&self) -> u64 {
        let rest = match &self.rest {
            Rest::Body(body) => body.size_hint().lower(),
            _ => 0,
        };
        rest.saturating_add(self.read.len() as u64)
    }

    pub(super) fn into_body(self) -> ReplayBody<B> {
        let read = (!self.read.is_empty()).then(|| self.read.into());
        ReplayBody {
            state: State::Read {
                read,
                rest: self.rest,
            },
        }
    }
}

impl<B: Body<Data = Bytes>> Body for ReplayBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let (read, rest) = match self.project().state.project() {
            StateProjection::Unread { body } => return body.poll_frame(context),
            StateProjection::Read { read, rest } => (read, rest),
        };
        if let Some(read) = read.take() {
            return Poll::Ready(Some(Ok(Frame::data(read))));
        }
        if let Rest::Body(body) = rest {
            let frame = ready!(body.as_mut().poll_frame(context));
            return Poll::Ready(frame);
        }
        Poll::Ready(match std::mem::replace(rest, Rest::Nothing) {
            Rest::Trailers(trailers) => Some(Ok(Frame::trailers(trailers))),
            Rest::Failed(error) => Some(Err(error)),
            Rest::Body(_) | Rest::Nothing => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        match &self.state {
            State::Unread { body } => body.is_end_stream(),
            State::Read { read: Some(_), .. } => false,
            State::Read { rest, .. } => match rest {
                Rest::Body(body) => body.is_end_stream(),
                Rest::Trailers(_) | Rest::Failed(_) => false,
                Rest::Nothing => true,
            },
        }
    }

    fn size_hint(&self) -> SizeHint {
        let (read, rest) = match &self.state {
            State::Unread { body } => return body.size_hint(),
            State::Read { read, rest } => (read.as_ref().map_or(0, Bytes::len) as u64, rest),
        };
        let rest = match rest {
            Rest::Body(body) => body.size_hint(),
            _ => SizeHint::with_exact(0),
        };
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(read));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(read));
        }
        hint
    }
}

impl<B: Body> fmt::Debug for ReplayBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplayBody").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// Frames, each of which comes when it is asked for.
    struct Frames(VecDeque<Result<Frame<Bytes>, &'static str>>);

    impl Body for Frames {
        type Data = Bytes;
        type Error = &'static str;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
            Poll::Ready(self.0.pop_front())
        }
    }

    fn frames(end: Result<Frame<Bytes>, &'static str>) -> Reading<Frames> {
        let data = |text: &'static str| Ok(Frame::data(Bytes::from(text)));
        Reading::new(Frames(VecDeque::from([
            data("one "),
            data("two "),
            data("three"),
            end,
        ])))
    }

    fn trailers() -> Frame<Bytes> {
        Frame::trailers(
            [(http::header::ETAG, "x".parse().unwrap())]
                .into_iter()
                .collect(),
        )
    }

    #[tokio::test]
    async fn what_was_read_and_the_rest_are_the_whole_with_its_trailers() {
        for pieces in 0..6 {
            let mut reading = frames(Ok(trailers()));
            for piece in 0..pieces {
                assert_eq!(reading.more().await, piece < 3);
            }
            let whole = reading.into_body().collect().await.unwrap();
            assert_eq!(whole.trailers().unwrap()["etag"], "x");
            assert_eq!(whole.to_bytes(), "one two three");
        }
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_breaks_off_behind_what_was_read() {
        let mut reading = frames(Err("gone"));
        while reading.more().await {}
        assert!(reading.has_failed());
        let mut body = reading.into_body();
        let first = body.frame().await.unwrap().unwrap();
        assert_eq!(first.into_data().unwrap(), "one two three");
        assert!(!body.is_end_stream());
        assert_eq!(body.frame().await.unwrap().unwrap_err(), "gone");
        assert!(body.frame().await.is_none());
    }

    #[tokio::test]
    async fn the_size_is_that_of_the_whole() {
        let mut reading = Reading::new(http_body_util::Full::new(Bytes::from("four")));
        assert_eq!(reading.least_size(), 4);
        reading.more().await;
        assert_eq!(reading.least_size(), 4);
        let body = reading.into_body();
        assert_eq!(body.size_hint().exact(), Some(4));
    }
}
