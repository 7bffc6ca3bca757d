//! What a response must not have to be stored: fields, paths of JSON, card numbers, bank accounts, addresses, patterns.

mod card;
mod iban;
mod json;
mod look;
mod path;
mod pattern;
#[cfg(test)]
mod tests;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sluice_contract::problem::FieldProblem;

pub use look::{ForbiddenRule, Look};

/// Something that a response must not have to be stored.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "what", deny_unknown_fields)]
pub enum Forbidden {
    /// A number of a payment card, in one piece or in groups, whose check digit is right.
    #[schemars(title = "Card number")]
    CardNumber,
    /// An e-mail address.
    #[schemars(title = "E-mail address")]
    Email,
    /// An international bank account number whose check digits are right.
    #[schemars(title = "IBAN")]
    Iban,
    /// Text that a regular expression describes.
    #[schemars(title = "Regular expression")]
    Pattern {
        /// In the syntax of Rust's `regex` crate, where `\d`, `\w` and `\b` are about ASCII.
        #[schemars(title = "Expression")]
        expression: String,
    },
    /// A value in JSON, whatever it is.
    #[schemars(title = "JSON path")]
    JsonPath {
        /// `$.customer.ssn`, `$.items[*].card`, or `$..password` for any depth.
        #[schemars(title = "Path")]
        path: String,
    },
    /// A field of the response.
    #[schemars(title = "Header")]
    Header {
        /// Its name.
        #[schemars(title = "Name")]
        name: String,
    },
}

/// Why a response is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    CardNumber,
    Email,
    Iban,
    Pattern,
    JsonPath,
    Header,
    /// It cannot be told: its coding, character set or JSON cannot be read, or a pattern costs too much.
    Unreadable,
    /// There is more of it than is looked at.
    TooLarge,
}

impl Found {
    /// Every reason, in the order of their numbers.
    pub const ALL: [Self; 8] = [
        Self::CardNumber,
        Self::Email,
        Self::Iban,
        Self::Pattern,
        Self::JsonPath,
        Self::Header,
        Self::Unreadable,
        Self::TooLarge,
    ];

    /// As `Cache-Status` and metrics name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::CardNumber => "card_number",
            Self::Email => "email",
            Self::Iban => "iban",
            Self::Pattern => "pattern",
            Self::JsonPath => "json_path",
            Self::Header => "header",
            Self::Unreadable => "unreadable",
            Self::TooLarge => "too_large",
        }
    }
}

/// The most rules of one policy.
const MOST: usize = 32;

/// The most bytes of a body that are looked at, decoded.
pub(super) const MOST_BYTES: u64 = 64 << 20;

pub(super) fn problems(rules: &[Forbidden], pointer: &str) -> Vec<FieldProblem> {
    let mut problems = Vec::new();
    if rules.len() > MOST {
        problems.push(FieldProblem::new(pointer, "too_many", format!("There are at most {MOST}.")));
    }
    for (i, rule) in rules.iter().enumerate() {
        let bad = match rule {
            Forbidden::CardNumber | Forbidden::Email | Forbidden::Iban => None,
            Forbidden::Pattern { expression } => {
                pattern_problem(expression).map(|message| ("expression", "invalid_expression", message))
            }
            Forbidden::JsonPath { path } => {
                path::Path::parse(path).err().map(|message| ("path", "invalid_path", message.to_owned()))
            }
            Forbidden::Header { name } => http::HeaderName::from_bytes(name.as_bytes())
                .err()
                .map(|_| ("name", "invalid_header", format!("`{name}` is not a header name."))),
        };
        problems.extend(
            bad.map(|(at, code, message)| FieldProblem::new(format!("{pointer}/{i}/{at}"), code, message)),
        );
    }
    problems
}

fn pattern_problem(expression: &str) -> Option<String> {
    pattern::Patterns::compile(&[expression]).err()
}
