//! Regular expressions over text that arrives in pieces: all of them as one automaton, whose state is all that is kept between
//! two pieces. Each byte is seen once.

use regex_automata::hybrid::LazyStateID;
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson;
use regex_automata::util::syntax;
use regex_automata::{Input, MatchKind};

/// An e-mail address, with its `@` also as URLs and JSON may write it.
pub(super) const EMAIL: &str = r"[A-Za-z0-9._%+'-](?:@|%40|\\u0040)(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2}";

/// Bytes of an automaton before it is made deterministic: a byte costs at most as many steps as it has states.
const MOST_NFA_BYTES: usize = 128 << 10;
/// Bytes of states that are remembered, and how often they are forgotten before a text costs too much.
const MOST_STATE_BYTES: usize = 256 << 10;
const MOST_CLEARED: usize = 8;

/// Patterns, made ready.
#[derive(Debug)]
pub(super) struct Patterns(DFA);

/// Patterns on their way through a text.
#[derive(Debug)]
pub(super) struct Scan {
    cache: Cache,
    state: LazyStateID,
}

/// The text costs too much.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooDear;

impl Patterns {
    /// The reason when one of them is none, or too large.
    pub(super) fn compile(patterns: &[&str]) -> Result<Self, String> {
        let config = DFA::config()
            .match_kind(MatchKind::All)
            .cache_capacity(MOST_STATE_BYTES)
            .minimum_cache_clear_count(Some(MOST_CLEARED));
        let dfa = DFA::builder()
            .configure(config)
            .syntax(syntax::Config::new().unicode(false).utf8(false))
            .thompson(thompson::Config::new().utf8(false).nfa_size_limit(Some(MOST_NFA_BYTES)))
            .build_many(patterns)
            .map_err(|error| why(&error))?;
        Ok(Self(dfa))
    }

    pub(super) fn scan(&self) -> Option<Scan> {
        let mut cache = self.0.create_cache();
        let state = self.0.start_state_forward(&mut cache, &Input::new("")).ok()?;
        Some(Scan { cache, state })
    }

    /// The number of a pattern that the text has had by now.
    pub(super) fn see(&self, scan: &mut Scan, bytes: &[u8]) -> Result<Option<usize>, TooDear> {
        for &byte in bytes {
            scan.state = self.0.next_state(&mut scan.cache, scan.state, byte).map_err(|_| TooDear)?;
            if scan.state.is_tagged() {
                match self.found(scan)? {
                    None if scan.state.is_dead() => return Ok(None),
                    None => {}
                    found => return Ok(found),
                }
            }
        }
        Ok(None)
    }

    /// The number of one that the text has at its end.
    pub(super) fn end(&self, scan: &mut Scan) -> Result<Option<usize>, TooDear> {
        scan.state = self.0.next_eoi_state(&mut scan.cache, scan.state).map_err(|_| TooDear)?;
        self.found(scan)
    }

    fn found(&self, scan: &Scan) -> Result<Option<usize>, TooDear> {
        if scan.state.is_quit() {
            return Err(TooDear);
        }
        let found = scan.state.is_match().then(|| self.0.match_pattern(&scan.cache, scan.state, 0));
        Ok(found.map(|pattern| pattern.as_usize()))
    }
}

/// The innermost reason: the outer ones say only in which step it failed.
fn why(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(inner) = error.source() {
        error = inner;
    }
    format!("Not a regular expression that can be used: {error}")
}
