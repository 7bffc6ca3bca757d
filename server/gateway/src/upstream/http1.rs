//! An HTTP/1 connection to an upstream, driven by the call that uses it. In a task of its own it would cost each call two
//! more wake-ups, of the connection and back.

use std::pin::Pin;
use std::task::{Context, Waker};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::SendRequest;

use crate::body::RequestBody;

type Driver = Pin<Box<dyn Future<Output = hyper::Result<()>>>>;
type Sending = Result<Response<Incoming>, TrySendError<Request<RequestBody>>>;

/// A connection on which one call at a time is made. Nothing moves on it unless somebody drives it.
pub(crate) struct Http1 {
    sender: SendRequest<RequestBody>,
    /// None once the connection has ended.
    driver: Option<Driver>,
}

impl Http1 {
    pub(super) fn new(
        sender: SendRequest<RequestBody>,
        connection: impl Future<Output = hyper::Result<()>> + 'static,
    ) -> Self {
        Self { sender, driver: Some(Box::pin(connection)) }
    }

    /// Reads and writes what can be read and written now; the context's task is woken when there is more.
    pub(crate) fn drive(&mut self, context: &mut Context<'_>) {
        if let Some(driver) = &mut self.driver
            && driver.as_mut().poll(context).is_ready()
        {
            self.driver = None;
        }
    }

    /// Sends a request and waits for the head of its response.
    pub(super) async fn send(&mut self, request: Request<RequestBody>) -> Sending {
        let mut sending = std::pin::pin!(self.sender.try_send_request(request));
        let driver = &mut self.driver;
        std::future::poll_fn(|context| {
            if let Some(running) = driver
                && running.as_mut().poll(context).is_ready()
            {
                *driver = None;
            }
            sending.as_mut().poll(context)
        })
        .await
    }

    /// Whether another call could use it now: the last one is over, and the upstream has not closed.
    pub(super) fn is_idle(&mut self) -> bool {
        self.drive(&mut Context::from_waker(Waker::noop()));
        self.driver.is_some() && self.sender.is_ready()
    }

    /// Goes on in a task of its own, for a protocol that is not ours to drive.
    pub(super) fn detach(self) {
        if let Some(driver) = self.driver {
            tokio::task::spawn_local(driver);
        }
    }
}
