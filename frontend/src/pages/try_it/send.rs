//! Sends a request to a gateway from the browser, as any other page would.

use gloo_net::http::{Method, RequestBuilder, Response};
use js_sys::Date;
use sluice_contract::problem::Problem;
use web_sys::{RequestCache, RequestCredentials, RequestMode, RequestRedirect};

use crate::curl::Command;

/// Characters of a text that are shown.
const SHOWN: usize = 200_000;

/// What came back.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// 0 for a redirect: browsers do not tell pages more.
    pub status: u16,
    /// Microseconds until the head had arrived, and until the last byte had.
    pub head_us: u64,
    pub whole_us: u64,
    pub headers: Vec<(String, String)>,
    pub bytes: usize,
    pub content: Content,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    Nothing,
    /// A text, and whether it was cut.
    Text(String, bool),
    Binary,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }
}

/// Sends it with the key, which goes nowhere else.
pub async fn send(command: Command, key: String) -> Result<Answer, Problem> {
    let started = Date::now();
    let response = request(&command, &key)?.send().await.map_err(|error| unreadable(&error.to_string()))?;
    let head_us = since(started);
    let mut headers: Vec<_> = response.headers().entries().collect();
    headers.sort();
    let status = response.status();
    let body = read(&response).await?;
    Ok(Answer {
        status,
        head_us,
        whole_us: since(started),
        headers,
        bytes: body.len(),
        content: content(body),
    })
}

fn request(command: &Command, key: &str) -> Result<gloo_net::http::Request, Problem> {
    let Command { method, url, headers, key_header, body } = command;
    let method = Method::from_bytes(method.as_bytes()).map_err(|error| unsendable(&error.to_string()))?;
    let mut request = RequestBuilder::new(url)
        .method(method)
        .mode(RequestMode::Cors)
        .credentials(RequestCredentials::Omit)
        .redirect(RequestRedirect::Manual)
        // An answer that the browser kept would say nothing about the gateway.
        .cache(RequestCache::NoStore);
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("cache-control")) {
        // Else the browser adds `no-cache`, and the gateway would never answer from its cache.
        request = request.header("cache-control", "no-transform");
    }
    for (name, value) in headers {
        request = request.header(name, value);
    }
    if let (Some(name), false) = (key_header, key.is_empty()) {
        request = request.header(name, key);
    }
    let request = match body {
        Some(body) => request.body(body.clone()),
        None => request.build(),
    };
    request.map_err(|error| unsendable(&error.to_string()))
}

async fn read(response: &Response) -> Result<Vec<u8>, Problem> {
    response.binary().await.map_err(|error| unreadable(&error.to_string()))
}

fn content(body: Vec<u8>) -> Content {
    if body.is_empty() {
        return Content::Nothing;
    }
    match String::from_utf8(body) {
        Ok(text) if !text.contains('\0') => match text.char_indices().nth(SHOWN) {
            Some((end, _)) => Content::Text(text[..end].to_owned(), true),
            None => Content::Text(text, false),
        },
        _ => Content::Binary,
    }
}

/// Microseconds, as exact as a browser's clock: to the millisecond. The call log knows more.
fn since(started: f64) -> u64 {
    ((Date::now() - started) * 1000.0).max(0.0) as u64
}

fn unsendable(detail: &str) -> Problem {
    Problem::new(0, "not_sendable", "The browser cannot send this").detail(detail)
}

fn unreadable(detail: &str) -> Problem {
    let text = "A browser does not say why. The gateway may not be reachable from here; it may not have told the \
                browser yet that this page may read its answers; this page may be older than the gateway (reload \
                it); or the page came over https and the gateway speaks http. The curl command is free of all of this.";
    Problem::new(0, "no_answer", "The browser got no answer that it may show")
        .detail(format!("{text} ({detail})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_is_not_shown_as_one() {
        assert_eq!(content(Vec::new()), Content::Nothing);
        assert_eq!(content(b"{}".to_vec()), Content::Text("{}".to_owned(), false));
        assert_eq!(content(vec![0x89, b'P', b'N', b'G']), Content::Binary);
        assert_eq!(content(b"a\0b".to_vec()), Content::Binary);
        let long = "ü".repeat(SHOWN + 1);
        assert_eq!(content(long.into_bytes()), Content::Text("ü".repeat(SHOWN), true));
    }
}
