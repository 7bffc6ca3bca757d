//! Purges, as they become true here.

use std::time::Duration;

use parking_lot::Mutex;
use sluice_contract::ids::{ApiId, TenantId};
use sluice_contract::journal::{Position, Purge, PurgeScope};

use super::Shared;
use crate::cache::{Amount, Covered, Label, Location, Stamp, Strength};
use crate::compile::Api;

/// Purges whose responses wait to be taken out of memory; past it everything of their APIs is looked at.
const MOST_UNFORGOTTEN: usize = 65_536;
/// Neither a fetch nor a copy in the second level lasts as long as this: what purges cover is gone by then.
const REMEMBERED: Duration = Duration::from_hours(8 * 24);
/// How often purges are looked for that may be forgotten.
const DROP_EVERY: Duration = Duration::from_hours(24);

/// What was purged and is in memory yet.
#[derive(Default)]
pub(super) struct Unforgotten {
    covered: Mutex<Vec<(ApiId, Covered)>>,
    /// When purges were last dropped, by the gateway's clock.
    dropped: Mutex<u64>,
}

/// What a purge covers of one API: a label, or everything.
type Target = (ApiId, Option<Label>, Covered);

impl Shared {
    /// Makes a purge true. Comes before the snapshot with its position is published, so that nobody who sees the
    /// position is served what the purge covers.
    pub fn purge(&self, purge: &Purge, position: Position) {
        if purge.id == self.changes.own {
            return self.changed_at(&purge.scope, position);
        }
        let stamp = Stamp { position, at: self.clock.now() };
        let strength = if purge.soft { Strength::Soft } else { Strength::Hard };
        if let (PurgeScope::Url { api, path }, Strength::Hard, false) =
            (&purge.scope, strength, purge.changed)
        {
            self.forget_in_second_level(*api, path);
        }
        if let PurgeScope::Everything | PurgeScope::Application { .. } | PurgeScope::Tag { api: None, .. } =
            &purge.scope
        {
            self.compiler.purges.note_wide(stamp);
        }
        for (api, label, covered) in self.targets(&purge.scope, purge.tenant) {
            let purges = self.compiler.purges.of(api);
            match label {
                Some(label) => purges.label(label, strength, stamp),
                None => purges.all(strength, stamp),
            }
            if strength == Strength::Hard {
                self.unforgotten.add(api, covered);
            }
        }
    }

    /// What this gateway has changed itself it has forgotten at once; what it has fetched since is good, and is for others as soon as
    /// they know of the change.
    fn changed_at(&self, scope: &PurgeScope, position: Position) {
        let PurgeScope::Url { api, path } = scope else { return };
        self.compiler.purges.of(*api).changed_at(position);
        if let Some(api) = self.peek().apis.get(*api) {
            crate::cache::share_again(self, api, path);
        }
    }

    /// How much of a tenant's responses a purge would cover. A tag that a response has as well as "more than are read" counts once
    /// for each.
    pub(crate) fn purge_amount(&self, scope: &PurgeScope, tenant: TenantId) -> Amount {
        let targets = self.targets(scope, Some(tenant)).into_iter();
        let own = targets.filter(|(api, ..)| self.compiler.purges.is_of(*api, tenant));
        own.map(|(api, _, covered)| self.cache.amount(api, &covered))
            .fold(Amount::default(), std::ops::Add::add)
    }

    /// What a purge names, API by API.
    fn targets(&self, scope: &PurgeScope, tenant: Option<TenantId>) -> Vec<Target> {
        let wide = |targets: &[(Option<Label>, Covered)]| {
            let apis = self.compiler.purges.of_all(tenant).into_iter();
            apis.flat_map(|api| targets.iter().map(move |(label, covered)| (api, *label, covered.clone())))
                .collect()
        };
        match scope {
            PurgeScope::Api { api } => vec![(*api, None, Covered::All)],
            PurgeScope::Url { api, path } => {
                let urls = crate::cache::purged_urls(self.peek().apis.get(*api).map(AsRef::as_ref), path);
                let targets = urls.into_iter().map(|(path, query)| {
                    let url = crate::cache::key::url(&path, &query);
                    (*api, Some(Label::Url(url)), Covered::Url(path, url))
                });
                targets.collect()
            }
            PurgeScope::Prefix { api, path } => {
                let normal = crate::pipeline::path::normalise(path);
                let path = normal.map_or_else(|_| path.clone(), |path| path.to_string());
                vec![(*api, Some(Label::prefix(&path)), Covered::Prefix(path))]
            }
            PurgeScope::Tag { api: Some(api), tag } => {
                tagged(tag).map(|(label, covered)| (*api, label, covered)).into()
            }
            PurgeScope::Tag { api: None, tag } => wide(&tagged(tag)),
            PurgeScope::Application { application } => wide(&[labelled(Label::application(*application))]),
            PurgeScope::Everything => wide(&[(None, Covered::All)]),
        }
    }

    /// Every purge after this position is or will be made true; of those before nothing is known.
    pub fn know_purges_from(&self, position: Position) {
        self.compiler.purges.know_from(position);
    }

    /// Makes a purge true before anything is known of the API that it is for: all of it is purged, which is too much, but never
    /// too little. For what other gateways have stored and shared.
    pub fn purge_unseen(&self, purge: &Purge, position: Position) {
        let stamp = Stamp { position, at: self.clock.now() };
        match purge.scope.api() {
            Some(api) => self.compiler.purges.of(api).all(Strength::Hard, stamp),
            None => {
                self.compiler.purges.note_wide(stamp);
                for api in self.compiler.purges.of_all(purge.tenant) {
                    self.compiler.purges.of(api).all(Strength::Hard, stamp);
                }
            }
        }
    }

    /// What an unsafe method has changed: forgotten here, and in what gateways share, where it is remembered too so that what
    /// another gateway has begun to fetch before does not come back.
    pub(crate) fn purge_changed(&self, api: &Api, path: &str, query: &str) {
        let stamp = Stamp { position: 0, at: self.clock.now() };
        api.purges.label(Label::Url(crate::cache::key::url(path, query)), Strength::Hard, stamp);
        if let (Some(second), Some(environment)) = (self.cache.second_level(), self.environment()) {
            second.changed(Location::new(environment, api.id, path, query.as_bytes()), stamp.at);
        }
    }

    fn forget_in_second_level(&self, api: ApiId, path: &str) {
        let (Some(second), Some(environment)) = (self.cache.second_level(), self.environment()) else {
            return;
        };
        for (path, query) in crate::cache::purged_urls(self.peek().apis.get(api).map(AsRef::as_ref), path) {
            second.forget(Location::new(environment, api, &path, query.as_bytes()));
        }
    }

    /// Gives back the memory of purged responses, if there was a purge since the last time. Takes a while.
    pub(crate) fn forget_purged(&self) {
        let covered = std::mem::take(&mut *self.unforgotten.covered.lock());
        for (api, covered) in covered {
            self.cache.forget(api, &covered, &self.compiler.purges.of(api));
        }
        self.drop_old_purges();
    }

    /// Forgets purges that are older than anything that they could cover.
    fn drop_old_purges(&self) {
        let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let now = self.clock.now();
        let mut dropped = self.unforgotten.dropped.lock();
        if now.saturating_sub(*dropped) < nanos(DROP_EVERY) {
            return;
        }
        *dropped = now;
        if let Some(old) = now.checked_sub(nanos(REMEMBERED)) {
            self.cache.forget_purged_before(old, &self.compiler.purges);
            self.compiler.purges.drop_before(old);
        }
    }

    /// Forgets every stored response: the journal has another incarnation, or purges were missed.
    pub fn drop_cache(&self, position: Position) {
        self.compiler.purges.begin_anew(Stamp { position, at: self.clock.now() });
        for api in self.compiler.purges.of_all(None) {
            self.unforgotten.add(api, Covered::All);
        }
    }
}

/// A tag, and what has more tags than were read.
fn tagged(tag: &str) -> [(Option<Label>, Covered); 2] {
    [labelled(Label::tag(tag)), labelled(Label::any_tag())]
}

fn labelled(label: Label) -> (Option<Label>, Covered) {
    (Some(label), Covered::Tag(label.hash()))
}

impl Unforgotten {
    fn add(&self, api: ApiId, covered: Covered) {
        let mut waiting = self.covered.lock();
        if waiting.len() >= MOST_UNFORGOTTEN {
            // What a purge does not cover stays: everything of the API is only looked at.
            let mut apis: Vec<ApiId> = waiting.drain(..).map(|(api, _)| api).collect();
            apis.sort_unstable();
            apis.dedup();
            waiting.extend(apis.into_iter().map(|api| (api, Covered::All)));
        }
        waiting.push((api, covered));
    }
}
