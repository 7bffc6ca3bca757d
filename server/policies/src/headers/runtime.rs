//! Applying header changes.

use http::header::{HeaderMap, HeaderName, HeaderValue};

use super::spec::{Changes, Header, Headers};
use crate::policy::Policy;
use crate::validate::SettingsError;

/// [`Headers`] as a gateway uses them.
#[derive(Clone, Debug, Default)]
pub struct HeaderRules {
    pub request: HeaderChanges,
    pub response: HeaderChanges,
}

/// Changes of one direction.
#[derive(Clone, Debug, Default)]
pub struct HeaderChanges {
    remove: Vec<HeaderName>,
    set: Vec<(HeaderName, HeaderValue)>,
    add: Vec<(HeaderName, HeaderValue)>,
}

impl HeaderRules {
    /// Prepares the settings.
    ///
    /// # Errors
    /// When a name or value is not one.
    pub fn compile(settings: Headers) -> Result<Self, SettingsError> {
        let Headers { request, response } = settings;
        Ok(Self { request: HeaderChanges::compile(request)?, response: HeaderChanges::compile(response)? })
    }
}

impl HeaderChanges {
    fn compile(changes: Changes) -> Result<Self, SettingsError> {
        let Changes { remove, set, add } = changes;
        Ok(Self {
            remove: remove.iter().map(|text| name(text)).collect::<Result<_, _>>()?,
            set: set.iter().map(pair).collect::<Result<_, _>>()?,
            add: add.iter().map(pair).collect::<Result<_, _>>()?,
        })
    }

    /// Removes, sets and adds.
    pub fn apply(&self, headers: &mut HeaderMap) {
        for name in &self.remove {
            headers.remove(name);
        }
        for (name, value) in &self.set {
            headers.insert(name.clone(), value.clone());
        }
        for (name, value) in &self.add {
            headers.append(name.clone(), value.clone());
        }
    }
}

fn name(text: &str) -> Result<HeaderName, SettingsError> {
    HeaderName::from_bytes(text.as_bytes()).map_err(|error| invalid(&error))
}

fn pair(header: &Header) -> Result<(HeaderName, HeaderValue), SettingsError> {
    let value = HeaderValue::from_str(&header.value).map_err(|error| invalid(&error))?;
    Ok((name(&header.name)?, value))
}

fn invalid(error: &dyn std::error::Error) -> SettingsError {
    SettingsError { kind: Headers::KIND, reason: error.to_string() }
}
