//! Extractors whose refusals are problems like all others, and answers with a version.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use memchr::memmem;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;
use sluice_contract::problem::FieldProblem;

use crate::problem::ApiError;

/// A JSON body. A body that does not fit is 422 with the JSON pointer at fault.
pub struct Json<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        if !is_json(&request) {
            return Err(ApiError::unsupported_media_type("send JSON with Content-Type: application/json"));
        }
        let body = Bytes::from_request(request, state).await.map_err(|rejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                ApiError::too_large("body_too_large", "the body is larger than this operation takes")
            } else {
                ApiError::bad_request("the body ended early")
            }
        })?;
        parse(&body).map(Self)
    }
}

/// Reads JSON; what does not fit is named by its pointer.
///
/// # Errors
/// 422 with the field at fault.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    if memmem::find(body, ESCAPED_NUL).is_some()
        && let Ok(value) = serde_json::from_slice(body)
    {
        refuse_nul(&value)?;
    }
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let pointer = pointer(error.path());
        misfit(pointer, error.inner())
    })?;
    deserializer.end().map_err(|error| misfit(String::new(), &error))?;
    Ok(value)
}

/// [`parse`] for bodies of megabytes that are one long text: the text is moved into the result, not read again.
///
/// # Errors
/// 422 with the field at fault.
pub(crate) fn parse_large<T: DeserializeOwned>(body: Vec<u8>) -> Result<T, ApiError> {
    let text =
        String::from_utf8(body).map_err(|_| ApiError::invalid_field("", "not_json", "not UTF-8 text"))?;
    let value: Value = text.parse().map_err(|error| misfit(String::new(), &error))?;
    if memmem::find(text.as_bytes(), ESCAPED_NUL).is_some() {
        refuse_nul(&value)?;
    }
    drop(text);
    serde_path_to_error::deserialize(value).map_err(|error| {
        let pointer = pointer(error.path());
        misfit(pointer, error.inner())
    })
}

/// JSON can say it in no other way. Postgres stores no text with it, and nothing that people write has it.
const ESCAPED_NUL: &[u8] = b"\\u0000";

/// Refuses texts with a NUL character, each by its pointer.
fn refuse_nul(value: &Value) -> Result<(), ApiError> {
    let mut fields = Vec::new();
    find_nul(value, "", &mut fields);
    if fields.is_empty() { Ok(()) } else { Err(ApiError::invalid(fields)) }
}

fn find_nul(value: &Value, at: &str, found: &mut Vec<FieldProblem>) {
    let below = |key: &str| format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
    match value {
        Value::String(text) if text.contains('\0') => found.push(nul(at)),
        Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(index, item)| find_nul(item, &below(&index.to_string()), found));
        }
        Value::Object(fields) => {
            for (key, value) in fields {
                if key.contains('\0') {
                    found.push(nul(at));
                }
                find_nul(value, &below(key), found);
            }
        }
        _ => {}
    }
}

fn nul(at: &str) -> FieldProblem {
    FieldProblem::new(at, "nul", "a text cannot have a NUL character")
}

fn misfit(mut pointer: String, error: &serde_json::Error) -> ApiError {
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or_default();
    let code = if !error.is_data() {
        "not_json"
    } else if let Some(field) = quoted_after(message, "missing field `") {
        pointer = format!("{pointer}/{field}");
        "required"
    } else if message.starts_with("unknown field") {
        "unknown_field"
    } else {
        "wrong_type"
    };
    ApiError::invalid(vec![FieldProblem::new(pointer, code, message)])
}

fn quoted_after<'a>(message: &'a str, start: &str) -> Option<&'a str> {
    message.strip_prefix(start)?.split('`').next()
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    let segment = |segment: &Segment| match segment {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
        Segment::Enum { .. } | Segment::Unknown => String::new(),
    };
    path.iter().map(segment).collect()
}

fn is_json(request: &Request) -> bool {
    let kind =
        request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
        || (kind.to_ascii_lowercase().starts_with("application/")
            && kind.to_ascii_lowercase().ends_with("+json"))
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
            Err(error) => ApiError::internal(error).into_response(),
        }
    }
}

/// Path parameters. An id that is none is not found.
pub struct Path<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = axum::extract::Path::from_request_parts(parts, state).await;
        path.map(|axum::extract::Path(path)| Self(path)).map_err(|_| ApiError::not_found())
    }
}

/// Query parameters.
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        if let Some(field) = field_with_nul(parts.uri.query().unwrap_or_default()) {
            return Err(ApiError::invalid(vec![nul(&field)]));
        }
        match axum::extract::Query::try_from_uri(&parts.uri) {
            Ok(axum::extract::Query(query)) => Ok(Self(query)),
            Err(rejection) => {
                let cause = std::error::Error::source(&rejection);
                Err(misfit_query(&cause.map_or_else(|| rejection.to_string(), ToString::to_string)))
            }
        }
    }
}

/// The query parameter whose name or value has a NUL character.
fn field_with_nul(query: &str) -> Option<String> {
    memmem::find(query.as_bytes(), b"%00")?;
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    pairs
        .find(|(name, value)| name.contains('\0') || value.contains('\0'))
        .map(|(name, _)| name.replace('\0', ""))
}

/// `limit: invalid digit found in string`, ``missing field `from` ``.
fn misfit_query(text: &str) -> ApiError {
    if let Some(field) = quoted_after(text, "missing field `") {
        return ApiError::invalid_field(field, "required", "this query parameter is needed");
    }
    let (field, message) = text.split_once(": ").unwrap_or(("", text));
    ApiError::invalid_field(field, "wrong_type", message)
}

/// The version that the caller has seen, from `If-Match` (RFC 9110 §13.1.1). Missing: 428.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IfMatch(pub u64);

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let tag = parts.headers.get(header::IF_MATCH).ok_or_else(ApiError::precondition_required)?;
        let version =
            tag.to_str().ok().and_then(|tag| tag.trim().strip_prefix('"')?.strip_suffix('"')?.parse().ok());
        version.map(Self).ok_or_else(|| {
            ApiError::precondition_required().detail("If-Match must be the ETag as it was sent, in quotes")
        })
    }
}

/// A JSON answer with its version as `ETag`.
pub struct Tagged<T> {
    pub version: u64,
    pub body: T,
}

/// A JSON answer with its version as `ETag`.
pub fn tagged<T>(version: u64, body: T) -> Tagged<T> {
    Tagged { version, body }
}

impl<T: Serialize> IntoResponse for Tagged<T> {
    fn into_response(self) -> Response {
        let mut response = Json(self.body).into_response();
        if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", self.version)) {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[expect(dead_code, reason = "only its reading is tested")]
        inner: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[expect(dead_code, reason = "only its reading is tested")]
        number: u32,
    }

    fn field(body: &str) -> (String, String) {
        let response = parse::<Outer>(body.as_bytes()).unwrap_err().into_response();
        let problem = response.extensions().get::<Box<sluice_contract::problem::Problem>>().unwrap();
        (problem.fields[0].pointer.clone(), problem.fields[0].code.clone())
    }

    #[test]
    fn the_field_at_fault_is_named_by_its_pointer() {
        let expect = |body, pointer: &str, code: &str| {
            assert_eq!(field(body), (pointer.to_owned(), code.to_owned()), "{body}");
        };
        expect("{}", "/inner", "required");
        expect(r#"{"inner": [{}]}"#, "/inner/0/number", "required");
        expect(r#"{"inner": [{"number": 1}, {"number": "x"}]}"#, "/inner/1/number", "wrong_type");
        expect(r#"{"inner": [{"number": 1, "more": 1}]}"#, "/inner/0/more", "unknown_field");
        expect("{", "", "not_json");
        expect(r#"{"inner": []} x"#, "", "not_json");
    }
}
