//! A client that behaves like the console: keeps its cookie, sends the header against forgery, takes JSON.

use std::sync::{Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sluice_contract::problem::{PROBLEM_JSON, Problem};
use tower::ServiceExt;

/// Somebody who calls the API.
pub struct Client {
    router: Router,
    cookie: Mutex<Option<String>>,
    bearer: Option<String>,
}

impl Client {
    /// Somebody without a cookie yet.
    pub fn new(router: Router) -> Self {
        Self { router, cookie: Mutex::default(), bearer: None }
    }

    /// A program with an API token.
    pub fn with_bearer(router: Router, secret: &str) -> Self {
        Self { router, cookie: Mutex::default(), bearer: Some(secret.to_owned()) }
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Reply {
        self.send(self.request(Method::GET, path), Body::empty()).await
    }

    /// `POST` with a JSON body.
    pub async fn post(&self, path: &str, body: &impl Serialize) -> Reply {
        self.send_json(self.request(Method::POST, path), body).await
    }

    /// `POST` with a JSON body and `If-Match`.
    pub async fn post_if(&self, path: &str, etag: &str, body: &impl Serialize) -> Reply {
        self.send_json(self.request(Method::POST, path).header(header::IF_MATCH, etag), body).await
    }

    /// `PUT` with a JSON body and `If-Match`.
    pub async fn put(&self, path: &str, etag: &str, body: &impl Serialize) -> Reply {
        self.send_json(self.request(Method::PUT, path).header(header::IF_MATCH, etag), body).await
    }

    /// `DELETE`.
    pub async fn delete(&self, path: &str) -> Reply {
        self.send(self.request(Method::DELETE, path), Body::empty()).await
    }

    /// `DELETE` with `If-Match`.
    pub async fn delete_if(&self, path: &str, etag: &str) -> Reply {
        self.send(self.request(Method::DELETE, path).header(header::IF_MATCH, etag), Body::empty()).await
    }

    /// A request as this client sends it, to be changed before [`Client::send`].
    pub fn request(&self, method: Method, path: &str) -> http::request::Builder {
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, "console.test");
        if let Some(bearer) = &self.bearer {
            request = request.header(header::AUTHORIZATION, format!("Bearer {bearer}"));
        } else {
            request = request.header("x-sluice-csrf", "1").header(header::ORIGIN, "https://console.test");
        }
        match self.cookie() {
            Some(cookie) => request.header(header::COOKIE, cookie),
            None => request,
        }
    }

    /// Sends a request with a JSON body.
    pub async fn send_json(&self, request: http::request::Builder, body: &impl Serialize) -> Reply {
        let body = serde_json::to_vec(body).expect("a JSON body");
        self.send(request.header(header::CONTENT_TYPE, "application/json"), body.into()).await
    }

    /// Sends a request; keeps the cookie that comes back.
    pub async fn send(&self, request: http::request::Builder, body: Body) -> Reply {
        let request = request.body(body).expect("a request");
        let line = format!("{} {}", request.method(), request.uri());
        let response = self.router.clone().oneshot(request).await.expect("the router never fails");
        self.keep_cookie(response.headers());
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("the whole body").to_bytes();
        Reply { line, status: parts.status, headers: parts.headers, body }
    }

    /// The cookie as it would be sent.
    pub fn cookie(&self) -> Option<String> {
        self.cookie.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends this cookie from now on.
    pub fn set_cookie(&self, cookie: Option<String>) {
        *self.cookie.lock().unwrap_or_else(PoisonError::into_inner) = cookie;
    }

    fn keep_cookie(&self, headers: &HeaderMap) {
        for cookie in headers.get_all(header::SET_COOKIE) {
            let cookie = cookie.to_str().expect("a cookie is text");
            let (pair, attributes) = cookie.split_once(';').unwrap_or((cookie, ""));
            let ends = attributes.to_ascii_lowercase().contains("max-age=0");
            self.set_cookie((!ends).then(|| pair.to_owned()));
        }
    }
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    /// Method and address that were asked, for messages.
    pub line: String,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Reply {
    /// Fails the test unless the status is this.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}: {}", self.line, self.text());
        self
    }

    /// Fails the test unless it is a problem of this status and code.
    #[track_caller]
    pub fn expect_problem(self, status: u16, code: &str) -> Problem {
        let problem = self.expect(status).problem();
        assert_eq!(problem.code, code, "{problem:?}");
        problem
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json<T: DeserializeOwned>(&self) -> T {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => panic!("{}: {error}: {}", self.line, self.text()),
        }
    }

    /// The body as a problem.
    #[track_caller]
    pub fn problem(&self) -> Problem {
        assert_eq!(self.header("content-type"), PROBLEM_JSON, "{}: {}", self.line, self.text());
        self.json()
    }

    /// The `ETag`.
    #[track_caller]
    pub fn etag(&self) -> String {
        let etag = self.header("etag");
        assert!(!etag.is_empty(), "{}: no ETag", self.line);
        etag.to_owned()
    }

    /// A header's value, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}
