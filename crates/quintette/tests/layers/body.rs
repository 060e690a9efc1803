//! A response body whose frames a test hands out one by one.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use hyper::body::{Body, Frame};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Ends when its [`Source`] is dropped.
pub(crate) struct Stream(UnboundedReceiver<Frame<Bytes>>);

pub(crate) struct Source(UnboundedSender<Frame<Bytes>>);

pub(crate) fn stream() -> (Source, Stream) {
    let (sender, receiver) = unbounded_channel();
    (Source(sender), Stream(receiver))
}

impl Source {
    pub(crate) fn send(&self, text: &'static str) {
        self.0
            .send(Frame::data(Bytes::from_static(text.as_bytes())))
            .unwrap();
    }

    pub(crate) fn trailers(&self, trailers: HeaderMap) {
        self.0.send(Frame::trailers(trailers)).unwrap();
    }
}

impl Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|frame| frame.map(Ok))
    }
}
