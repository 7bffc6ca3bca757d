//! What this hop adds to a request. HTTP/1 writes it as it is: in the request's map first, these fields would cost more than
//! the client's.

use std::rc::Rc;

use bytes::{BufMut as _, BytesMut};
use http::header::HeaderValue;
use http::{HeaderMap, Version};

use super::trace::Trace;
use super::{Call, REQUEST_ID, RequestId, forwarded, headers};
use crate::listen::Connection;

/// The fields: who is connected, `Via`, request id and trace.
#[derive(Clone)]
pub(crate) struct Hop {
    connection: Rc<Connection>,
    host: Option<HeaderValue>,
    version: Version,
    request_id: RequestId,
    trace: Trace,
}

impl Hop {
    pub(super) fn of(call: &Call, host: Option<&HeaderValue>) -> Self {
        Self {
            connection: Rc::clone(&call.connection),
            host: host.cloned(),
            version: call.version,
            request_id: call.request_id.clone(),
            trace: call.trace,
        }
    }

    /// Adds the fields to those of the request, with which they may have to be joined.
    pub(crate) fn add(&self, request: &mut HeaderMap) {
        forwarded::add(&self.connection, self.host.as_ref(), request);
        headers::add_via(request, self.version);
        request.insert(REQUEST_ID.clone(), self.request_id.value());
        self.trace.add(request);
    }

    /// Writes the fields of a request that says nothing of hops before.
    pub(crate) fn write(&self, into: &mut BytesMut) {
        forwarded::write(&self.connection, self.host.as_ref(), into);
        into.put_slice(b"via: ");
        into.put_slice(headers::own_via(self.version).as_bytes());
        into.put_slice(b"\r\n");
        self.request_id.write(into);
        self.trace.write(into);
    }
}
