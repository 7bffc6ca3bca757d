//! The one place where errors become answers. What the caller reads and what the log says are different texts.
//!
//! An answer leaves a handler as a status and a [`Problem`] in its extensions; `middleware` writes the body, because
//! only there the request id is known.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sluice_contract::problem::{ErrorSource, FieldProblem, Problem};
use sluice_store::Error as StoreError;
use tower_sessions::{session, session_store};

/// Why a request was not carried out.
#[derive(Debug)]
pub struct ApiError {
    problem: Box<Problem>,
    retry_after: Option<u64>,
}

impl ApiError {
    fn client(status: StatusCode, code: &str, title: &str) -> Self {
        let mut problem = Box::new(Problem::new(status.as_u16(), code, title));
        problem.source = Some(ErrorSource::Client);
        Self { problem, retry_after: None }
    }

    /// 400: the request cannot be understood.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::client(StatusCode::BAD_REQUEST, "bad_request", "The request cannot be understood")
            .detail(detail)
    }

    /// 401: nobody is signed in.
    pub fn unauthenticated() -> Self {
        Self::client(StatusCode::UNAUTHORIZED, "unauthenticated", "Not signed in")
            .detail("sign in, or send an API token as Authorization: Bearer")
    }

    /// 401: sign-in failed; which of e-mail and password was wrong is not said.
    pub fn wrong_credentials() -> Self {
        Self::client(StatusCode::UNAUTHORIZED, "wrong_credentials", "E-mail or password is wrong")
    }

    /// 403: signed in, but may not do this.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::client(StatusCode::FORBIDDEN, "forbidden", "Not allowed").detail(detail)
    }

    /// 404: there is no such thing, or not for this caller.
    pub fn not_found() -> Self {
        Self::client(StatusCode::NOT_FOUND, "not_found", "Not found")
    }

    /// 405.
    pub fn method_not_allowed() -> Self {
        Self::client(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "This method is not for this address",
        )
    }

    /// 409: the state of things does not allow it.
    pub fn conflict(code: &str, detail: impl Into<String>) -> Self {
        Self::client(StatusCode::CONFLICT, code, "The state of things does not allow it").detail(detail)
    }

    /// 412: somebody else changed it.
    pub fn stale(current: u64) -> Self {
        Self::client(
            StatusCode::PRECONDITION_FAILED,
            "stale_version",
            "Changed by somebody else in the meantime",
        )
        .detail(format!("version {current} is current; get it again and repeat the change"))
    }

    /// 413.
    pub fn too_large(code: &str, detail: impl Into<String>) -> Self {
        Self::client(StatusCode::PAYLOAD_TOO_LARGE, code, "The request is too large").detail(detail)
    }

    /// 415.
    pub fn unsupported_media_type(detail: impl Into<String>) -> Self {
        let title = "The body is of a type that cannot be read";
        Self::client(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", title).detail(detail)
    }

    /// 422: fields at fault.
    pub fn invalid(fields: Vec<FieldProblem>) -> Self {
        let mut error = Self::client(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "Some fields are wrong");
        error.problem.fields = fields;
        error
    }

    /// 422: one field at fault.
    pub fn invalid_field(pointer: impl Into<String>, code: &str, message: impl Into<String>) -> Self {
        Self::invalid(vec![FieldProblem::new(pointer, code, message)])
    }

    /// 428: `If-Match` is missing.
    pub fn precondition_required() -> Self {
        Self::client(StatusCode::PRECONDITION_REQUIRED, "precondition_required", "The version is missing")
            .detail("send the ETag of what you have seen as If-Match")
    }

    /// 429: try again after so many seconds.
    pub fn too_many(code: &str, detail: impl Into<String>, retry_after: u64) -> Self {
        let mut error = Self::client(StatusCode::TOO_MANY_REQUESTS, code, "Too many requests").detail(detail);
        error.problem.retry = true;
        error.retry_after = Some(retry_after);
        error
    }

    /// 502: something that the control plane had to fetch could not be had.
    pub fn upstream(code: &str, detail: impl Into<String>) -> Self {
        let mut error =
            Self::client(StatusCode::BAD_GATEWAY, code, "Something else did not answer").detail(detail);
        error.problem.source = Some(ErrorSource::Upstream);
        error
    }

    /// 500: a fault of ours. The cause goes to the log only.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::error!(%cause, "request failed");
        let title = "Something went wrong here";
        let mut error = Self::client(StatusCode::INTERNAL_SERVER_ERROR, "internal", title)
            .detail("it was logged under the request id");
        error.problem.source = Some(ErrorSource::Control);
        error
    }

    /// 503: the database undid the change because of others at work. The same request can succeed a moment later; it is
    /// not repeated here, because a handler may have done more than its transaction.
    pub fn busy(cause: impl std::fmt::Display) -> Self {
        tracing::warn!(%cause, "others were in the way");
        let mut error = Self::client(StatusCode::SERVICE_UNAVAILABLE, "busy", "Others were in the way")
            .detail("nothing was changed; send it again");
        error.problem.source = Some(ErrorSource::Control);
        error.problem.retry = true;
        error.retry_after = Some(1);
        error
    }

    /// 503: the database does not answer, so that nobody can say who asks.
    pub fn unavailable(cause: impl std::fmt::Display) -> Self {
        tracing::error!(%cause, "the database does not answer");
        let title = "The database does not answer";
        let mut error = Self::client(StatusCode::SERVICE_UNAVAILABLE, "unavailable", title)
            .detail("try again in a moment");
        error.problem.source = Some(ErrorSource::Control);
        error.problem.retry = true;
        error.retry_after = Some(2);
        error
    }

    /// Says what went wrong this time.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.problem.detail = detail.into();
        self
    }

    /// Names the fields at fault.
    #[must_use]
    pub fn fields(mut self, fields: Vec<FieldProblem>) -> Self {
        self.problem.fields = fields;
        self
    }

    /// Names it by a more exact code.
    #[must_use]
    pub fn with_code(mut self, code: &str) -> Self {
        self.problem.kind = format!("urn:sluice:problem:{code}");
        self.problem.code = code.to_owned();
        self
    }

    /// The stable code.
    pub fn code(&self) -> &str {
        &self.problem.code
    }
}

/// For the command line, which does some of what the API does.
impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Problem { code, detail, fields, .. } = self.problem.as_ref();
        write!(f, "{code}:")?;
        if !detail.is_empty() {
            write!(f, " {detail}")?;
        }
        fields.iter().try_for_each(|field| write!(f, " {}: {}", field.pointer, field.message))
    }
}

impl std::error::Error for ApiError {}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound => Self::not_found(),
            StoreError::Stale { current } => Self::stale(current),
            StoreError::NotUnique { field } => Self::conflict("not_unique", "another one has this value")
                .fields(vec![FieldProblem::new(field, "not_unique", "taken; choose another")]),
            StoreError::Conflict { code, message } => Self::conflict(code, message),
            StoreError::Invalid(fields) => Self::invalid(fields),
            cause if cause.is_contention() => Self::busy(cause),
            cause @ (StoreError::Database(_) | StoreError::Json(_)) => Self::internal(cause),
        }
    }
}

impl From<session::Error> for ApiError {
    fn from(error: session::Error) -> Self {
        match error {
            session::Error::Store(session_store::Error::Backend(cause)) => Self::unavailable(cause),
            other => Self::internal(other),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(self.problem);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_that_the_database_does_not_give_is_no_fault_of_the_request() {
        let away = session_store::Error::Backend("pool timed out".to_owned());
        let ApiError { problem, retry_after } = session::Error::Store(away).into();
        assert_eq!((problem.status, problem.code.as_str(), problem.retry), (503, "unavailable", true));
        assert!(retry_after.is_some());
    }
}
