//! A request as a curl command. Pure. Keys are never in it: the command names where to put one.

/// What is sent, without any key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    /// The header that a key goes into, when one is needed.
    pub key_header: Option<String>,
    pub body: Option<String>,
}

impl Command {
    /// The command, one option on each line.
    pub fn text(&self) -> String {
        let Self { method, url, headers, key_header, body } = self;
        let mut parts = vec!["curl -i".to_owned()];
        // With a body curl would send POST by itself.
        if method != "GET" || body.is_some() {
            parts.push(format!("-X {}", quoted(method)));
        }
        parts.push(quoted(url));
        parts.extend(
            headers.iter().map(|(name, value)| format!("-H {}", quoted(&format!("{name}: {value}")))),
        );
        parts.extend(key_header.iter().map(|name| format!("-H {}", quoted(&format!("{name}: <your key>")))));
        parts.extend(body.iter().map(|body| format!("--data-binary {}", quoted(body))));
        parts.join(" \\\n  ")
    }
}

/// In single quotes for a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_path_can_leave_its_quotes() {
        assert_eq!(quoted("/a'; rm -rf ~ #"), r"'/a'\''; rm -rf ~ #'");
    }

    #[test]
    fn a_command_says_everything_but_the_key() {
        let command = Command {
            method: "POST".to_owned(),
            url: "https://gateway.example.com/acme/items?page=2".to_owned(),
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            key_header: Some("X-API-Key".to_owned()),
            body: Some("{\"it's\":1}".to_owned()),
        };
        let lines = [
            "curl -i",
            "-X 'POST'",
            "'https://gateway.example.com/acme/items?page=2'",
            "-H 'content-type: application/json'",
            "-H 'X-API-Key: <your key>'",
            r#"--data-binary '{"it'\''s":1}'"#,
        ];
        assert_eq!(command.text(), lines.join(" \\\n  "));
    }
}
