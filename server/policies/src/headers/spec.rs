//! Settings of the header transform.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sluice_contract::problem::FieldProblem;
use sluice_contract::rest::policy_types::PolicyScope;

use crate::policy::Policy;

/// Changes to the headers of requests and responses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Headers {
    /// What the upstream sees.
    #[schemars(title = "Request")]
    pub request: Changes,
    /// What the caller sees.
    #[schemars(title = "Response")]
    pub response: Changes,
}

/// Changes, made in this order: remove, set, add.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Changes {
    /// Headers to take out.
    #[schemars(title = "Remove")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
    /// Headers that have exactly this value afterwards.
    #[schemars(title = "Set")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub set: Vec<Header>,
    /// Headers to add beside those of the same name.
    #[schemars(title = "Add")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub add: Vec<Header>,
}

/// A header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Compared without case.
    #[schemars(title = "Name")]
    pub name: String,
    /// Printable text.
    #[schemars(title = "Value")]
    pub value: String,
}

impl Policy for Headers {
    const KIND: &'static str = "headers";
    const TITLE: &'static str = "Headers";
    const DESCRIPTION: &'static str = "Removes, sets and adds headers of the request before it goes to the upstream, \
        and of the response before it goes to the caller. The most specific attachment wins (route, then API, then \
        environment).";
    const SCOPES: &'static [PolicyScope] = &[PolicyScope::Environment, PolicyScope::Api, PolicyScope::Route];

    fn example() -> Self {
        let header = |name: &str, value: &str| Header { name: name.to_owned(), value: value.to_owned() };
        Self {
            request: Changes { set: vec![header("x-from", "sluice")], ..Changes::default() },
            response: Changes { remove: vec!["server".to_owned()], ..Changes::default() },
        }
    }

    fn problems(&self) -> Vec<FieldProblem> {
        let Self { request, response } = self;
        let mut problems = Vec::new();
        request.check("/request", &mut problems);
        response.check("/response", &mut problems);
        problems
    }
}

impl Changes {
    fn check(&self, at: &str, problems: &mut Vec<FieldProblem>) {
        let Self { remove, set, add } = self;
        for (i, name) in remove.iter().enumerate() {
            check_name(name, &format!("{at}/remove/{i}"), problems);
        }
        for (list, headers) in [("set", set), ("add", add)] {
            for (i, Header { name, value }) in headers.iter().enumerate() {
                check_name(name, &format!("{at}/{list}/{i}/name"), problems);
                if http::HeaderValue::from_str(value).is_err() {
                    let message = "A header value has no line breaks or control characters.";
                    problems.push(FieldProblem::new(
                        format!("{at}/{list}/{i}/value"),
                        "invalid_value",
                        message,
                    ));
                }
            }
        }
    }
}

/// Framing and connection headers belong to the gateway: changing them would break the message.
const RESERVED: [&str; 9] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

fn check_name(name: &str, pointer: &str, problems: &mut Vec<FieldProblem>) {
    match http::HeaderName::from_bytes(name.as_bytes()) {
        Err(_) => {
            let message = format!("`{name}` is not a header name.");
            problems.push(FieldProblem::new(pointer, "invalid_header", message));
        }
        Ok(name) if RESERVED.contains(&name.as_str()) => {
            let message = format!("`{name}` is set by the gateway itself.");
            problems.push(FieldProblem::new(pointer, "reserved_header", message));
        }
        Ok(_) => {}
    }
}
