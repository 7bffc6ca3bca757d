//! Checks of what people type: names, slugs, e-mails.

use sluice_contract::problem::FieldProblem;

use crate::error::{Error, Result};

/// Longest name, in characters.
const NAME_MAX: usize = 120;
/// Longest slug: a label of a host name.
const SLUG_MAX: usize = 63;

/// A name without surrounding space: 1 to 120 characters, none of them a control character.
///
/// # Errors
/// [`Error::Invalid`] at `pointer`.
pub fn name(pointer: &str, text: &str) -> Result<String> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Error::invalid(pointer, "required", "give it a name"));
    }
    if text.chars().count() > NAME_MAX {
        return Err(Error::invalid(pointer, "too_long", format!("at most {NAME_MAX} characters")));
    }
    if text.chars().any(char::is_control) {
        return Err(Error::invalid(pointer, "bad_character", "no control characters"));
    }
    Ok(text.to_owned())
}

/// Free text of at most `max` characters, without surrounding space.
///
/// # Errors
/// [`Error::Invalid`] at `pointer`.
pub fn free(pointer: &str, text: &str, max: usize) -> Result<String> {
    let text = text.trim();
    if text.chars().count() > max {
        return Err(Error::invalid(pointer, "too_long", format!("at most {max} characters")));
    }
    Ok(text.to_owned())
}

/// A slug: lower-case letters, digits and single hyphens inside, at most 63 characters.
///
/// # Errors
/// [`Error::Invalid`] at `pointer`.
pub fn slug(pointer: &str, text: &str) -> Result<String> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if text.is_empty() {
        return Err(Error::invalid(pointer, "required", "give it a short name for URLs"));
    }
    if text.len() > SLUG_MAX {
        return Err(Error::invalid(pointer, "too_long", format!("at most {SLUG_MAX} characters")));
    }
    if !text.chars().all(allowed) || text.starts_with('-') || text.ends_with('-') || text.contains("--") {
        let message = "lower-case letters, digits and single hyphens between them";
        return Err(Error::invalid(pointer, "bad_character", message));
    }
    Ok(text.to_owned())
}

/// A slug made of a name: `Acme & Söhne` becomes `acme-s-hne`. None when nothing is left.
pub fn slug_of(name: &str) -> Option<String> {
    let words = name.to_lowercase();
    let words =
        words.split(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit()).filter(|w| !w.is_empty());
    let mut slug = words.collect::<Vec<_>>().join("-");
    slug.truncate(SLUG_MAX);
    let slug = slug.trim_end_matches('-');
    (!slug.is_empty()).then(|| slug.to_owned())
}

/// An e-mail in lower case. Only its shape is checked: the one-time link is the proof.
///
/// # Errors
/// [`Error::Invalid`] at `pointer`.
pub fn email(pointer: &str, text: &str) -> Result<String> {
    let email = text.trim().to_lowercase();
    let shape = email.split_once('@').is_some_and(|(local, host)| {
        !local.is_empty() && !host.is_empty() && !host.contains('@') && !email.contains(char::is_whitespace)
    });
    if shape && email.len() <= 254 && !email.chars().any(char::is_control) {
        Ok(email)
    } else {
        Err(Error::invalid(pointer, "not_an_email", "an e-mail address such as name@example.com"))
    }
}

/// Carries out all checks and reports every field that is wrong, not only the first.
///
/// # Errors
/// [`Error::Invalid`] with the problems of all failed checks; any other error at once.
pub fn all<const N: usize>(checks: [Result<()>; N]) -> Result<()> {
    let mut problems: Vec<FieldProblem> = Vec::new();
    for check in checks {
        match check {
            Ok(()) => {}
            Err(Error::Invalid(more)) => problems.extend(more),
            Err(other) => return Err(other),
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(Error::Invalid(problems)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_labels_of_host_names() {
        assert!(slug("/slug", "acme-2").is_ok());
        for bad in ["", "-a", "a-", "a--b", "A", "ä", "a/b", "a.b", &"a".repeat(64)] {
            assert!(slug("/slug", bad).is_err(), "{bad}");
        }
        assert_eq!(slug_of("Acme & Söhne GmbH").as_deref(), Some("acme-s-hne-gmbh"));
        assert_eq!(slug_of("株式会社"), None);
    }

    #[test]
    fn emails_are_kept_in_lower_case() {
        assert_eq!(email("/email", " Ada@Example.com ").unwrap(), "ada@example.com");
        for bad in ["", "a", "@b", "a@", "a@b@c", "a b@c"] {
            assert!(email("/email", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_wrong_field_is_reported() {
        let error = all([name("/name", "").map(drop), slug("/slug", "A").map(drop)]).unwrap_err();
        let Error::Invalid(problems) = error else { panic!("{error}") };
        let pointers: Vec<_> = problems.iter().map(|p| p.pointer.as_str()).collect();
        assert_eq!(pointers, ["/name", "/slug"]);
    }
}
