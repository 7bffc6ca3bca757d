//! Adds up what the test runners report: cargo's closing lines, and the summary of a TAP file.

/// Tests of one run.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    passed: u64,
    failed: u64,
}

impl Tally {
    /// `test result: ok. 7 passed; 0 failed; 0 ignored; ...`; any other line counts nothing.
    pub fn read_cargo_line(&mut self, line: &str) {
        let Some(counts) = line.trim().strip_prefix("test result: ") else { return };
        let words: Vec<&str> =
            counts.split(|c: char| c.is_whitespace() || c == ';').filter(|w| !w.is_empty()).collect();
        for pair in words.windows(2) {
            let [count, what] = pair else { continue };
            match (count.parse::<u64>(), *what) {
                (Ok(count), "passed") => self.passed += count,
                (Ok(count), "failed") => self.failed += count,
                _ => {}
            }
        }
    }

    /// The comment lines that end node's TAP report. A cancelled test did not pass.
    pub fn read_tap(&mut self, report: &str) {
        for line in report.lines() {
            let count =
                |prefix| line.strip_prefix(prefix).and_then(|count: &str| count.trim().parse::<u64>().ok());
            self.passed += count("# pass ").unwrap_or(0);
            self.failed += count("# fail ").unwrap_or(0) + count("# cancelled ").unwrap_or(0);
        }
    }

    /// A step that failed without a failed test (a crash, a missing tool) is a failure all the same.
    pub fn count_unseen_failures(&mut self, a_step_failed: bool) {
        if a_step_failed && self.failed == 0 {
            self.failed = 1;
        }
    }

    pub fn line(&self) -> String {
        format!("{} passed, {} failed", self.passed, self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn the_closing_lines_of_several_runs_add_up() {
        let mut tally = Tally::default();
        tally.read_cargo_line(
            "test result: ok. 7 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s",
        );
        tally.read_cargo_line("test the_result_is_shown ... ok");
        tally.read_cargo_line(
            "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1s",
        );
        tally.read_tap(
            "TAP version 13\nok 1 - a\n1..4\n# tests 4\n# pass 1\n# fail 1\n# cancelled 1\n# skipped 1\n",
        );
        assert_eq!(tally.line(), "11 passed, 4 failed");
    }

    #[test]
    fn a_crash_without_a_failed_test_is_a_failure() {
        let mut tally = Tally::default();
        tally.count_unseen_failures(true);
        assert_eq!(tally.line(), "0 passed, 1 failed");
    }
}
