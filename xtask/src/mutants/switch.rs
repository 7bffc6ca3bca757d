//! Which change is on, read once; or, while the tests are looked at one by one, which are reached.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

static CHOSEN: LazyLock<usize> =
    LazyLock::new(|| std::env::var("SLUICE_MUTANT").ok().and_then(|number| number.parse().ok()).unwrap_or(usize::MAX));
static REACHED: LazyLock<Option<(String, Vec<AtomicBool>)>> = LazyLock::new(|| {
    let file = std::env::var("SLUICE_MUTANTS_REACHED").ok()?;
    Some((file, (0..20_000).map(|_| AtomicBool::new(false)).collect()))
});

/// Whether this is the change to make.
#[inline]
pub fn on(number: usize) -> bool {
    if let Some((file, reached)) = &*REACHED {
        note(number, file, reached);
    }
    number == *CHOSEN
}

fn note(number: usize, file: &str, reached: &[AtomicBool]) {
    if reached[number].swap(true, Ordering::Relaxed) {
        return;
    }
    let mut file = OpenOptions::new().create(true).append(true).open(file).unwrap();
    file.write_all(format!("{number}\n").as_bytes()).unwrap();
}
