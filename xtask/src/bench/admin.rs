//! The admin API as the benchmark needs it: sign in by the setup link, then JSON in and out. By curl, because one
//! request a second needs no HTTP library in xtask.

use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::process;

/// A signed-in caller.
pub struct Admin {
    origin: String,
    cookie: String,
}

struct Answer {
    status: u16,
    head: String,
    body: Value,
}

impl Admin {
    /// Completes the first-run setup; the account is as short-lived as the benchmark.
    pub fn set_up(origin: &str, token: &str) -> Result<(Self, Value)> {
        let mut admin = Self { origin: origin.to_owned(), cookie: String::new() };
        let account = serde_json::json!({
            "token": token,
            "organisation": "Bench",
            "name": "Bench",
            "email": "bench@example.com",
            "password": "only for this benchmark",
        });
        let answer = admin.send("POST", "/setup", Some(&account), None)?;
        let cookies = answer.head.lines().filter_map(|line| header(line, "set-cookie"));
        let pairs: Vec<&str> = cookies.filter_map(|cookie| cookie.split(';').next()).collect();
        admin.cookie = pairs.join("; ");
        Ok((admin, answer.body))
    }

    pub fn get(&self, path: &str) -> Result<Value> {
        Ok(self.send("GET", path, None, None)?.body)
    }

    pub fn post(&self, path: &str, body: &Value) -> Result<Value> {
        Ok(self.send("POST", path, Some(body), None)?.body)
    }

    /// Posts under the `ETag` that the resource at `of` has now.
    pub fn post_if_unchanged(&self, path: &str, body: &Value, of: &str) -> Result<Value> {
        let tag = self.tag(of)?;
        Ok(self.send("POST", path, Some(body), Some(&tag))?.body)
    }

    pub fn put(&self, path: &str, body: &Value) -> Result<Value> {
        let tag = self.tag(path)?;
        Ok(self.send("PUT", path, Some(body), Some(&tag))?.body)
    }

    fn tag(&self, path: &str) -> Result<String> {
        let answer = self.send("GET", path, None, None)?;
        let tag = answer.head.lines().find_map(|line| header(line, "etag")).map(str::to_owned);
        tag.with_context(|| format!("GET {path} has no ETag"))
    }

    fn send(&self, method: &str, path: &str, body: Option<&Value>, if_match: Option<&str>) -> Result<Answer> {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--include", "--max-time", "60", "--request", method]);
        curl.args(["--header", "x-sluice-csrf: 1", "--header", &format!("origin: {}", self.origin)]);
        if !self.cookie.is_empty() {
            curl.args(["--header", &format!("cookie: {}", self.cookie)]);
        }
        if let Some(tag) = if_match {
            curl.args(["--header", &format!("if-match: {tag}")]);
        }
        if let Some(body) = body {
            curl.args(["--header", "content-type: application/json", "--data", &body.to_string()]);
        }
        let text = process::output(curl.arg(format!("{}/api/v1{path}", self.origin)))?;
        let answer = parse(&text).with_context(|| format!("{method} {path} was not answered in HTTP"))?;
        if !(200..300).contains(&answer.status) {
            bail!("{method} {path}: {} {}", answer.status, answer.body);
        }
        Ok(answer)
    }
}

/// What `curl --include` prints; a body that is not JSON is null.
fn parse(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, head: head.to_owned(), body: serde_json::from_str(body).unwrap_or(Value::Null) })
}

/// The header's value when the line is that header.
fn header<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (found, value) = line.split_once(':')?;
    found.eq_ignore_ascii_case(name).then(|| value.trim())
}

#[cfg(test)]
mod tests {
    use super::{header, parse};

    #[test]
    fn an_answer_is_read_with_its_status_headers_and_body() {
        let answer = parse("HTTP/1.1 201 Created\r\nETag: \"3\"\r\n\r\n{\"id\":1}").unwrap();
        assert_eq!((answer.status, answer.body["id"].as_u64()), (201, Some(1)));
        assert_eq!(answer.head.lines().find_map(|line| header(line, "etag")), Some("\"3\""));
    }
}
