//! What an upstream says before its answer (RFC 9110 §15.2), such as 103 (Early Hints, RFC 8297): it goes on to the client
//! at once, as a proxy must, where both sides speak HTTP/1.1.

use http::{HeaderMap, StatusCode, Version};

use super::{Authorised, Call, headers, transform};
use crate::state::Snapshot;

/// Passes it on to the client whose call is answered, changed as the answer will be.
pub(super) fn pass_on(
    call: &Call,
    snapshot: &Snapshot,
    authorised: &Authorised,
    status: StatusCode,
    mut fields: HeaderMap,
) {
    // Whether the client goes on with its body is between it and the gateway. HTTP/1.0 knows nothing of the kind.
    if status == StatusCode::CONTINUE || call.version != Version::HTTP_11 || !call.is_waited_for() {
        return;
    }
    headers::strip_response(&mut fields);
    headers::add_via(&mut fields, Version::HTTP_11);
    if let Some(rules) = transform::header_rules(snapshot, authorised) {
        rules.response.apply(&mut fields);
    }
    call.connection.say_before_the_answer(status, &fields);
}
