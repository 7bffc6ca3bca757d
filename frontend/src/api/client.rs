//! One request to the admin API. All of it is in [`exchange`]; the rest gives it types.

use std::cell::RefCell;
use std::pin::Pin;

use gloo_net::http::{Method, Request, RequestBuilder};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sluice_contract::problem::Problem;

const BASE: &str = "/api/v1";
/// Any value will do: another site's form cannot send the header at all.
const CSRF_HEADER: &str = "x-sluice-csrf";

/// A resource and the version of it that was read, for `If-Match`.
#[derive(Clone, Debug, PartialEq)]
pub struct Tagged<T> {
    pub value: T,
    pub etag: Option<String>,
}

struct Reply {
    etag: Option<String>,
    text: String,
}

thread_local! {
    static SIGNED_OUT: RefCell<Option<Box<dyn Fn()>>> = const { RefCell::new(None) };
}

/// Says what happens when the API answers that nobody is signed in.
pub fn on_signed_out(act: impl Fn() + 'static) {
    SIGNED_OUT.with_borrow_mut(|slot| *slot = Some(Box::new(act)));
}

pub async fn get<T: DeserializeOwned>(path: &str) -> Result<T, Problem> {
    parse(&exchange(Method::GET, path, None, None).await?.text)
}

pub async fn get_tagged<T: DeserializeOwned>(path: &str) -> Result<Tagged<T>, Problem> {
    tagged(exchange(Method::GET, path, None, None).await?)
}

pub async fn post<B: Serialize, T: DeserializeOwned>(path: &str, body: &B) -> Result<T, Problem> {
    parse(&exchange(Method::POST, path, Some(json(body)?), None).await?.text)
}

/// A change of one version of a resource; stale versions are refused with 412.
pub async fn put<B: Serialize, T: DeserializeOwned>(
    path: &str,
    body: &B,
    etag: Option<&str>,
) -> Result<T, Problem> {
    Ok(put_tagged(path, body, etag).await?.value)
}

/// Like [`put`], with the new version.
pub async fn put_tagged<B: Serialize, T: DeserializeOwned>(
    path: &str,
    body: &B,
    etag: Option<&str>,
) -> Result<Tagged<T>, Problem> {
    tagged(exchange(Method::PUT, path, Some(json(body)?), etag).await?)
}

/// `POST` with the version of the resource that it acts on.
pub async fn post_tagged<B: Serialize, T: DeserializeOwned>(
    path: &str,
    body: &B,
    etag: Option<&str>,
) -> Result<T, Problem> {
    parse(&exchange(Method::POST, path, Some(json(body)?), etag).await?.text)
}

/// A request whose answer carries nothing that matters.
pub async fn send<B: Serialize>(
    method: Method,
    path: &str,
    body: Option<&B>,
    etag: Option<&str>,
) -> Result<(), Problem> {
    let body = body.map(json).transpose()?;
    exchange(method, path, body, etag).await.map(drop)
}

pub async fn delete(path: &str, etag: Option<&str>) -> Result<(), Problem> {
    exchange(Method::DELETE, path, None, etag).await.map(drop)
}

/// `DELETE` that answers with what became of it.
pub async fn delete_reply<T: DeserializeOwned>(path: &str) -> Result<T, Problem> {
    parse(&exchange(Method::DELETE, path, None, None).await?.text)
}

/// The entity tag of a resource's version number, as the API writes it.
pub fn version_tag(version: u64) -> String {
    format!("\"{version}\"")
}

/// Boxed, so that what waits for an answer is small, whatever the answer is.
fn exchange<'a>(
    method: Method,
    path: &'a str,
    body: Option<String>,
    etag: Option<&'a str>,
) -> Pin<Box<dyn Future<Output = Result<Reply, Problem>> + 'a>> {
    Box::pin(send_and_read(method, path, body, etag))
}

async fn send_and_read(
    method: Method,
    path: &str,
    body: Option<String>,
    etag: Option<&str>,
) -> Result<Reply, Problem> {
    let mut request = RequestBuilder::new(&format!("{BASE}{path}"))
        .method(method)
        .header("accept", "application/json")
        .header(CSRF_HEADER, "1");
    if let Some(etag) = etag {
        request = request.header("if-match", etag);
    }
    let request: Request = match body {
        Some(body) => request.header("content-type", "application/json").body(body),
        None => request.build(),
    }
    .map_err(|error| unreachable_problem(&error.to_string()))?;

    let response = request.send().await.map_err(|error| unreachable_problem(&error.to_string()))?;
    let status = response.status();
    let etag = response.headers().get("etag");
    let text = response.text().await.map_err(|error| unreachable_problem(&error.to_string()))?;
    if (200..300).contains(&status) {
        return Ok(Reply { etag, text });
    }
    // A wrong password is also a 401, but of the page that asks for one.
    if status == 401 && path != "/session" {
        SIGNED_OUT.with_borrow(|act| {
            if let Some(act) = act {
                act();
            }
        });
    }
    Err(problem_of(status, &text))
}

fn tagged<T: DeserializeOwned>(reply: Reply) -> Result<Tagged<T>, Problem> {
    Ok(Tagged { value: parse(&reply.text)?, etag: reply.etag })
}

fn json<B: Serialize>(body: &B) -> Result<String, Problem> {
    serde_json::to_string(body).map_err(not_sendable)
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Problem> {
    // 204 and empty bodies read as `()`.
    serde_json::from_str(if text.is_empty() { "null" } else { text }).map_err(unexpected)
}

fn not_sendable(error: serde_json::Error) -> Problem {
    Problem::new(0, "not_sendable", "This cannot be sent").detail(error.to_string())
}

fn unexpected(error: serde_json::Error) -> Problem {
    Problem::new(0, "unexpected_answer", "The control plane answered something unexpected")
        .detail(format!("{error}. Reload the page: the console may be older than the control plane."))
}

fn problem_of(status: u16, text: &str) -> Problem {
    serde_json::from_str(text).unwrap_or_else(|_| {
        Problem::new(status, "http_error", &format!("The control plane answered with status {status}"))
            .detail(text.chars().take(300).collect::<String>())
    })
}

fn unreachable_problem(detail: &str) -> Problem {
    let mut problem = Problem::new(0, "unreachable", "The control plane cannot be reached")
        .detail(format!("Check that it runs and that this machine reaches it. ({detail})"));
    problem.retry = true;
    problem
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_body_is_taken_as_it_is() {
        let sent = Problem::new(412, "stale_version", "Somebody else changed this").detail("Reload.");
        let text = serde_json::to_string(&sent).unwrap();
        assert_eq!(problem_of(412, &text), sent);
    }

    #[test]
    fn an_error_that_is_no_problem_still_says_its_status() {
        let problem = problem_of(502, "<html>Bad Gateway</html>");
        assert_eq!((problem.status, problem.code.as_str()), (502, "http_error"));
        assert!(problem.detail.contains("Bad Gateway"));
    }

    #[test]
    fn an_empty_answer_reads_as_nothing() {
        assert_eq!(parse::<()>(""), Ok(()));
        assert_eq!(parse::<u8>("").unwrap_err().code, "unexpected_answer");
    }
}
