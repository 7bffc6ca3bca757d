//! Answering preflights and marking responses (Fetch standard, "CORS protocol").

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, HeaderMap, HeaderValue, VARY,
};

use super::spec::Cors;
use crate::policy::Policy;
use crate::validate::SettingsError;

/// [`Cors`] as a gateway uses it.
#[derive(Clone, Debug)]
pub struct CorsRule {
    any_origin: bool,
    origins: Vec<OriginRule>,
    methods: Option<HeaderValue>,
    headers: Option<HeaderValue>,
    expose: Option<HeaderValue>,
    credentials: bool,
    max_age: HeaderValue,
}

#[derive(Clone, Debug)]
enum OriginRule {
    Exact(Box<str>),
    /// `https://` and `.example.com`: anything in between is allowed.
    Below {
        scheme: Box<str>,
        suffix: Box<str>,
    },
}

impl CorsRule {
    /// Prepares the settings.
    ///
    /// # Errors
    /// When a name cannot stand in a header.
    pub fn compile(settings: Cors) -> Result<Self, SettingsError> {
        let Cors { origins, methods, headers, expose, credentials, max_age_s } = settings;
        Ok(Self {
            any_origin: origins.iter().any(|origin| origin == "*"),
            origins: origins.iter().map(|origin| OriginRule::new(origin)).collect(),
            methods: list(&methods)?,
            headers: list(&headers)?,
            expose: list(&expose)?,
            credentials,
            max_age: HeaderValue::from(max_age_s),
        })
    }

    /// Headers of the answer to a preflight; none of them when the origin may not call. `allowed` are the methods
    /// of the route, for settings that name none.
    pub fn preflight(&self, request: &HeaderMap, origin: &HeaderValue, allowed: &HeaderValue) -> HeaderMap {
        let mut answer = HeaderMap::new();
        if !self.allow_origin(origin, &mut answer) {
            return answer;
        }
        answer.insert(ACCESS_CONTROL_ALLOW_METHODS, self.methods.as_ref().unwrap_or(allowed).clone());
        let headers = self.headers.as_ref().or_else(|| request.get(ACCESS_CONTROL_REQUEST_HEADERS));
        if let Some(headers) = headers {
            answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, headers.clone());
        }
        answer.insert(ACCESS_CONTROL_MAX_AGE, self.max_age.clone());
        answer
    }

    /// Marks a response. What the upstream itself says about cross-origin access is replaced.
    pub fn mark(&self, origin: Option<&HeaderValue>, response: &mut HeaderMap) {
        for name in
            [ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_EXPOSE_HEADERS]
        {
            response.remove(name);
        }
        let Some(origin) = origin else {
            self.vary(response);
            return;
        };
        if !self.allow_origin(origin, response) {
            return;
        }
        if let Some(expose) = &self.expose {
            response.insert(ACCESS_CONTROL_EXPOSE_HEADERS, expose.clone());
        }
    }

    fn allow_origin(&self, origin: &HeaderValue, answer: &mut HeaderMap) -> bool {
        self.vary(answer);
        if self.any_origin {
            answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
            return true;
        }
        let allowed = origin.to_str().is_ok_and(|text| self.origins.iter().any(|rule| rule.matches(text)));
        if allowed {
            answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            if self.credentials {
                answer.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            }
        }
        allowed
    }

    /// A response that depends on the origin says so, even to requests without one.
    fn vary(&self, headers: &mut HeaderMap) {
        if !self.any_origin {
            headers.append(VARY, HeaderValue::from_static("Origin"));
        }
    }
}

impl OriginRule {
    fn new(origin: &str) -> Self {
        match origin.split_once("*.") {
            Some((scheme, host)) => Self::Below { scheme: scheme.into(), suffix: format!(".{host}").into() },
            None => Self::Exact(origin.into()),
        }
    }

    fn matches(&self, origin: &str) -> bool {
        match self {
            Self::Exact(exact) => exact.eq_ignore_ascii_case(origin),
            Self::Below { scheme, suffix } => origin
                .strip_prefix(&**scheme)
                .and_then(|host| host.strip_suffix(&**suffix))
                .is_some_and(|name| !name.is_empty()),
        }
    }
}

fn list(names: &[String]) -> Result<Option<HeaderValue>, SettingsError> {
    if names.is_empty() {
        return Ok(None);
    }
    HeaderValue::from_str(&names.join(", "))
        .map(Some)
        .map_err(|error| SettingsError { kind: Cors::KIND, reason: error.to_string() })
}
