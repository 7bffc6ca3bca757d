//! A request on its way to a target.

use http::Request;

use crate::body::RequestBody;
use crate::pipeline::Hop;

pub(crate) struct Outgoing {
    pub(crate) request: Request<RequestBody>,
    /// What is said apart from the request's fields, none of which has these names.
    pub(crate) hop: Option<Hop>,
}

impl Outgoing {
    /// The same without its body.
    pub(super) fn copy(&self) -> Self {
        let mut request = Request::new(RequestBody::Empty);
        *request.method_mut() = self.request.method().clone();
        *request.uri_mut() = self.request.uri().clone();
        *request.headers_mut() = self.request.headers().clone();
        Self { request, hop: self.hop.clone() }
    }

    /// The request with all fields, as HTTP/2 takes it.
    pub(super) fn into_request(mut self) -> Request<RequestBody> {
        if let Some(hop) = self.hop.take() {
            hop.add(self.request.headers_mut());
        }
        self.request
    }
}
