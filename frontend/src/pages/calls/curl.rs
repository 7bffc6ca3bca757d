//! A call as a curl command. Pure. Keys are never in the log, so that the command names where to put one.

use sluice_contract::calls::Call;

/// The command that sends the same request again. Bodies are not recorded.
pub fn command(call: &Call) -> String {
    let query = call.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
    let url = format!("http://{}{}{query}", call.host, call.path);
    let mut parts = vec!["curl -i".to_owned()];
    if call.method != "GET" {
        parts.push(format!("-X {}", quoted(&call.method)));
    }
    parts.push(quoted(&url));
    if call.credential.is_some() {
        parts.push("-H 'X-API-Key: <your key>'".to_owned());
    }
    parts.join(" \\\n  ")
}

/// In single quotes for a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn nothing_in_a_path_can_leave_its_quotes() {
        assert_eq!(quoted("/a'; rm -rf ~ #"), r"'/a'\''; rm -rf ~ #'");
    }
}
