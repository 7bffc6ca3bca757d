//! JSON for people: spread over lines with nothing else changed. Numbers and the order of fields stay as they came.

use serde::de::IgnoredAny;

/// The text over several lines; none when it is no JSON.
pub fn indented(text: &str) -> Option<String> {
    serde_json::from_str::<IgnoredAny>(text).ok()?;
    let mut out = String::with_capacity(text.len() * 2);
    let mut depth = 0_usize;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' => {
                out.push(c);
                copy_string(&mut rest, &mut out);
            }
            '{' | '[' => {
                out.push(c);
                while rest.next_if(|c| c.is_ascii_whitespace()).is_some() {}
                match rest.next_if(|c| matches!(c, '}' | ']')) {
                    Some(end) => out.push(end),
                    None => {
                        depth += 1;
                        new_line(&mut out, depth);
                    }
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                new_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c if c.is_ascii_whitespace() => {}
            c => out.push(c),
        }
    }
    Some(out)
}

/// Up to the quote that ends it.
fn copy_string(rest: &mut impl Iterator<Item = char>, out: &mut String) {
    let mut escaped = false;
    for c in rest {
        out.push(c);
        match c {
            '"' if !escaped => return,
            _ => escaped = c == '\\' && !escaped,
        }
    }
}

fn new_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}

#[cfg(test)]
mod tests {
    use super::indented;

    #[test]
    fn nothing_but_white_space_changes() {
        let text = r#"{"b":[1,12345678901234567890, {}],"a":"x, \"y\": {z}\\","c":[ ]}"#;
        let lines = [
            "{",
            "  \"b\": [",
            "    1,",
            "    12345678901234567890,",
            "    {}",
            "  ],",
            "  \"a\": \"x, \\\"y\\\": {z}\\\\\",",
            "  \"c\": []",
            "}",
        ];
        assert_eq!(indented(text).unwrap(), lines.join("\n"));
        assert_eq!(indented("<html>"), None);
    }
}
