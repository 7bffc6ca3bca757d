//! Paths of a document to path templates of a route.

use sluice_contract::path::PathTemplate;

use crate::findings::Findings;

/// The template for `path`; none after a problem has been noted. `parameters` says which span segments.
pub(crate) fn convert(
    path: &str,
    parameters: &[(String, bool)],
    at: &str,
    findings: &mut Findings,
) -> Option<String> {
    let spans = |name: &str| parameters.iter().any(|(known, multi)| *multi && known == name);
    let segments: Vec<String> = path.split('/').map(|segment| convert_segment(segment, &spans)).collect();
    let converted = keep_last_multi(segments, at, findings).join("/");
    match PathTemplate::parse(&converted) {
        Ok(_) => Some(converted),
        Err(error) => {
            findings.problem(at, "invalid_path", format!("The gateway cannot match this path: {error}."));
            None
        }
    }
}

fn convert_segment(segment: &str, spans: &dyn Fn(&str) -> bool) -> String {
    let whole = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    if let Some(name) = whole.filter(|name| !name.contains(['{', '}'])) {
        // `{proxy+}` is how another gateway writes a parameter over several segments.
        return match name.strip_suffix('+') {
            Some(name) => format!("{{*{}}}", clean(name)),
            None if spans(name) => format!("{{*{}}}", clean(name)),
            None => format!("{{{}}}", clean(name)),
        };
    }
    let mut out = String::new();
    let mut rest = segment;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else { break };
        out.push_str(before);
        out.push_str(&format!("{{{}}}", clean(name)));
        rest = after;
    }
    out + rest
}

/// The name with `_` in place of what a template cannot hold. An empty name stays: it is a mistake to be reported.
fn clean(name: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '$');
    name.trim().chars().map(|c| if allowed(c) { c } else { '_' }).collect()
}

/// A template has at most one parameter over several segments: the others match one segment.
fn keep_last_multi(mut segments: Vec<String>, at: &str, findings: &mut Findings) -> Vec<String> {
    let mut later = false;
    for segment in segments.iter_mut().rev().filter(|segment| segment.starts_with("{*")) {
        if later {
            *segment = segment.replacen("{*", "{", 1);
            let message = format!("Only the last parameter can span segments: `{segment}` matches one.");
            findings.warning(at, message);
        }
        later = true;
    }
    segments
}
