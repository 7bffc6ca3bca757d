//! Numbers, durations, sizes and times as people read them. Everything here is pure.

use chrono::{DateTime, Local, Utc};

/// `1,234`, `56.1 k`, `7.9 M`: three significant digits from ten thousand on.
pub fn count(value: u64) -> String {
    match value {
        0..10_000 => grouped(value),
        10_000..1_000_000 => format!("{} k", short(value as f64 / 1e3)),
        1_000_000..1_000_000_000 => format!("{} M", short(value as f64 / 1e6)),
        _ => format!("{} G", short(value as f64 / 1e9)),
    }
}

/// All digits, in groups of three: `1,234,567`.
pub fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn short(value: f64) -> String {
    let digits = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A duration given in microseconds: `850 µs`, `12.4 ms`, `3.1 s`, `2 min`.
pub fn micros(value: u64) -> String {
    match value {
        0..1_000 => format!("{value} µs"),
        1_000..1_000_000 => format!("{} ms", short(value as f64 / 1e3)),
        1_000_000..120_000_000 => format!("{} s", short(value as f64 / 1e6)),
        _ => format!("{} min", short(value as f64 / 6e7)),
    }
}

/// A size in bytes: `512 B`, `1.5 kB`, `20 MB` (powers of 1000).
pub fn bytes(value: u64) -> String {
    match value {
        0..1_000 => format!("{value} B"),
        1_000..1_000_000 => format!("{} kB", short(value as f64 / 1e3)),
        1_000_000..1_000_000_000 => format!("{} MB", short(value as f64 / 1e6)),
        _ => format!("{} GB", short(value as f64 / 1e9)),
    }
}

/// A share of a whole: `0 %`, `0.4 %`, `97 %`. None when there is no whole.
pub fn share(part: u64, whole: u64) -> Option<String> {
    (whole > 0).then(|| percent(part as f64 / whole as f64))
}

/// A ratio between 0 and 1 as a percentage. What is neither 0 nor 1 never rounds to look like it.
pub fn percent(ratio: f64) -> String {
    let percent = ratio * 100.0;
    if ratio > 0.0 && percent < 0.1 {
        return "< 0.1 %".to_owned();
    }
    if ratio < 1.0 && percent > 99.9 {
        return "> 99.9 %".to_owned();
    }
    let text = format!("{percent:.1}");
    format!("{} %", text.strip_suffix(".0").unwrap_or(&text))
}

/// `just now`, `4 min ago`, `3 h ago`, `12 d ago`; `in 5 min` for what is to come.
pub fn ago(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let seconds = now.signed_duration_since(at).num_seconds();
    if (-5..10).contains(&seconds) {
        return "just now".to_owned();
    }
    let text = span(seconds.unsigned_abs());
    if seconds < 0 { format!("in {text}") } else { format!("{text} ago") }
}

/// A number of seconds in its largest whole unit: `42 s`, `4 min`, `3 h`, `12 d`.
pub fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// Date and time to the second in the browser's time zone.
pub fn date_time(at: DateTime<Utc>) -> String {
    at.with_timezone(&Local).format("%-d %b %Y, %H:%M:%S").to_string()
}

/// Time to the millisecond, for logs.
pub fn clock(at: DateTime<Utc>) -> String {
    at.with_timezone(&Local).format("%H:%M:%S%.3f").to_string()
}

/// `1 key`, `2 keys`.
pub fn plural(count: usize, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count as u64), if count == 1 { one } else { many })
}

/// A value for a URL's query (RFC 3986 §2.3: all but the unreserved characters are encoded).
pub fn query_value(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// `?key=value&…` of what is not empty; nothing when all is.
pub fn query(pairs: &[(&str, String)]) -> String {
    let set = pairs.iter().filter(|(_, value)| !value.is_empty());
    let text = set.map(|(key, value)| format!("{key}={}", query_value(value))).collect::<Vec<_>>().join("&");
    if text.is_empty() { text } else { format!("?{text}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_keep_three_digits() {
        let seen: Vec<_> = [0, 999, 1_234, 9_999, 10_000, 56_120, 999_499, 7_940_000, 12_000_000_000]
            .into_iter()
            .map(count)
            .collect();
        assert_eq!(seen, ["0", "999", "1,234", "9,999", "10 k", "56.1 k", "999 k", "7.94 M", "12 G"]);
    }

    #[test]
    fn durations_pick_their_unit() {
        assert_eq!(
            [850, 12_400, 3_100_000, 150_000_000].map(micros),
            ["850 µs", "12.4 ms", "3.1 s", "2.5 min"]
        );
    }

    #[test]
    fn a_rare_error_never_reads_as_none_and_a_near_whole_never_as_all() {
        assert_eq!(percent(0.0), "0 %");
        assert_eq!(percent(0.000_01), "< 0.1 %");
        assert_eq!(percent(0.999_99), "> 99.9 %");
        assert_eq!(percent(1.0), "100 %");
        assert_eq!(share(1, 3).as_deref(), Some("33.3 %"));
        assert_eq!(share(0, 0), None);
    }

    #[test]
    fn times_read_relative_to_now() {
        let now = Utc::now();
        let before = |seconds| ago(now - chrono::Duration::seconds(seconds), now);
        assert_eq!(
            [0, 42, 250, 7_300, 500_000, -300].map(before),
            ["just now", "42 s ago", "4 min ago", "2 h ago", "5 d ago", "in 5 min"]
        );
    }

    #[test]
    fn a_query_value_cannot_end_its_parameter() {
        assert_eq!(query_value("a&b=c d/ü"), "a%26b%3Dc%20d%2F%C3%BC");
    }

    #[test]
    fn what_is_empty_is_not_asked_for() {
        let pair = |value: &str| value.to_owned();
        assert_eq!(
            query(&[("q", pair("a b")), ("sort", pair("")), ("limit", pair("5"))]),
            "?q=a%20b&limit=5"
        );
        assert_eq!(query(&[("q", pair(""))]), "");
    }
}
