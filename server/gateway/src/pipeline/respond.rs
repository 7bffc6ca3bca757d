//! What every answer carries, whoever made it; and the hand-over of the call to the body that ends it.

use http::Response;
use http::header::HeaderMap;

use super::failure::Failure;
use super::{Call, REQUEST_ID, cors};
use crate::body::Body;
use crate::state::Snapshot;

/// Adds the request id, rate fields and CORS marks.
pub(super) fn finish(
    mut call: Box<Call>,
    snapshot: &Snapshot,
    mut response: Response<Body>,
) -> Response<Body> {
    call.status = response.status().as_u16();
    match response.body_mut().lead_mut() {
        Some(lead) => lead.answers(call.request_id.clone(), call.rate.take()),
        None => _ = response.headers_mut().insert(REQUEST_ID.clone(), call.request_id.value()),
    }
    common(&call, snapshot, response.headers_mut());
    response.body_mut().ends(call);
    response
}

/// The answer to a call that fails.
pub(super) fn with_failure(call: &mut Call, failure: Box<Failure>) -> Response<Body> {
    call.failed(&failure);
    failure.into_response(&call.request_id)
}

fn common(call: &Call, snapshot: &Snapshot, headers: &mut HeaderMap) {
    if let Some(rate) = &call.rate {
        rate.add(headers);
    }
    cors::mark(snapshot, call, headers);
}
