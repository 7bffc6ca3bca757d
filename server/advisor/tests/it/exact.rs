//! A cache that is kept: what was not used for longest goes when there is no room.

use sluice_advisor::{Plan, Request};

pub struct Exact {
    plan: Plan,
    /// What was used last comes last. Key, bytes, and when it was fetched.
    kept: Vec<(u64, u64, u64)>,
}

impl Exact {
    pub fn new(plan: Plan) -> Self {
        Self { plan, kept: Vec::new() }
    }

    /// Whether it is a hit.
    pub fn request(&mut self, request: &Request) -> bool {
        let &Request { at_ms, key, bytes, is_storable } = request;
        let place = self.kept.iter().position(|(kept, ..)| *kept == key);
        let before = place.map(|place| self.kept.remove(place));
        if let Some(hit) = before.filter(|(_, _, fetched_ms)| at_ms - fetched_ms < self.plan.ttl_ms) {
            self.kept.push(hit);
            return true;
        }
        if is_storable {
            self.kept.push((key, bytes, at_ms));
            while self.kept.iter().map(|(_, bytes, _)| u128::from(*bytes)).sum::<u128>()
                > self.plan.memory_bytes.into()
            {
                self.kept.remove(0);
            }
        } else if let Some(kept) = before {
            self.kept.push(kept);
        }
        false
    }
}
