//! What a trace tells against storing the responses of a route, or against showing them to others.

use std::collections::HashMap;

/// One response, as far as it tells whether it is the same for everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Names what was asked for, whoever asked.
    pub resource: u64,
    /// Names who asked; none where nobody said.
    pub caller: Option<u64>,
    pub at_ms: u64,
    pub status: u16,
    pub bytes: u64,
}

/// Resources that several callers asked for within a short time, and those of them whose answers differed between callers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Variety {
    pub compared: usize,
    pub differ: usize,
}

/// Answers further apart than this may differ because time went by, in milliseconds.
const TOGETHER_MS: u64 = 10_000;

/// Compares the answers of callers to the same question, by status and size: what they say is not known. Answers have to be in
/// order of time.
pub fn variety(answers: &[Answer]) -> Variety {
    let mut last: HashMap<u64, &Answer> = HashMap::new();
    let mut found: HashMap<u64, bool> = HashMap::new();
    for answer in answers {
        if let Some(before) = last.insert(answer.resource, answer)
            && before.caller != answer.caller
            && answer.at_ms - before.at_ms <= TOGETHER_MS
        {
            let differs = (before.status, before.bytes) != (answer.status, answer.bytes);
            *found.entry(answer.resource).or_default() |= differs;
        }
    }
    Variety { compared: found.len(), differ: found.values().filter(|differs| **differs).count() }
}

/// Segments of paths below which data of a person is usually found.
const PERSONAL: [&str; 19] = [
    "account",
    "accounts",
    "basket",
    "cart",
    "customer",
    "customers",
    "inbox",
    "me",
    "my",
    "order",
    "orders",
    "profile",
    "profiles",
    "self",
    "session",
    "sessions",
    "user",
    "users",
    "wallet",
];

/// The part of a path, or of a query, that looks like data of a person: an address of mail, or a segment such as `users`.
pub fn personal<'a>(path: &'a str, query: Option<&'a str>) -> Option<&'a str> {
    let has_address = |part: &&str| {
        let at = part.find('@').map(|at| (at, at + 1));
        let at = at.or_else(|| part.find("%40").map(|at| (at, at + 3)));
        at.is_some_and(|(before, after)| before > 0 && part[after..].contains('.'))
    };
    let is_personal = |part: &&str| PERSONAL.iter().any(|word| part.eq_ignore_ascii_case(word));
    let of_query = query.into_iter().flat_map(|query| query.split('&')).find(has_address);
    path.split('/').find(|part| has_address(part) || is_personal(part)).or(of_query)
}
