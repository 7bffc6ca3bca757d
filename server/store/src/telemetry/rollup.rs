//! The cubes that dashboards read, and how a delta from a gateway falls into their cells.
//!
//! Every cell exists three times, by minute, hour and day; each is complete by itself, so that a reader takes the
//! coarsest that fits and never adds two up.

use std::borrow::Cow;
use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sluice_contract::ids::GatewayId;
use sluice_contract::rollup::{Cell, Counts, RollupDelta};
use uuid::Uuid;

use super::row::{Hex, MAX_NAME, clip};

/// Lengths of buckets in minutes.
pub(super) const MINUTE: u32 = 1;
pub(super) const HOUR: u32 = 60;
pub(super) const DAY: u32 = 1_440;
pub(super) const STEPS: [u32; 3] = [MINUTE, HOUR, DAY];

/// A cube: what its cells' `a` and `b` name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Cube {
    /// All traffic.
    Tenant,
    /// API.
    Api,
    /// API, route.
    Route,
    /// Application.
    Application,
    /// API, application.
    Consumer,
    /// Application, plan.
    Plan,
    /// Gateway, target.
    Target,
}

impl Cube {
    const ALL: [Self; 7] =
        [Self::Tenant, Self::Api, Self::Route, Self::Application, Self::Consumer, Self::Plan, Self::Target];

    /// The cube of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cube| cube.name() == name)
    }

    /// As stored.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Api => "api",
            Self::Route => "route",
            Self::Application => "application",
            Self::Consumer => "consumer",
            Self::Plan => "plan",
            Self::Target => "target",
        }
    }
}

/// A place in a cube, whatever the time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) cube: Cube,
    pub(super) a: String,
    pub(super) b: String,
}

impl Place {
    fn new(cube: Cube, a: impl ToString, b: impl ToString) -> Self {
        let [a, b] = [a.to_string(), b.to_string()].map(|name| clip(&name, MAX_NAME).to_owned());
        Self { cube, a, b }
    }
}

/// One cell at one time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) tenant: Uuid,
    pub(super) place: Place,
    pub(super) step: u32,
    /// Start of the bucket in minutes since the Unix epoch.
    pub(super) bucket: u32,
}

/// Cells with what they count.
pub(super) type Cells = HashMap<Key, Counts>;

/// A key as the statements take it.
#[derive(Serialize)]
pub(super) struct KeyRow<'a> {
    tenant: Hex,
    cube: &'static str,
    step: u32,
    bucket: u32,
    a: &'a str,
    b: &'a str,
}

impl<'a> From<&'a Key> for KeyRow<'a> {
    fn from(key: &'a Key) -> Self {
        let Key { tenant, place: Place { cube, a, b }, step, bucket } = key;
        Self { tenant: Hex(*tenant), cube: cube.name(), step: *step, bucket: *bucket, a, b }
    }
}

/// Adds a delta of this gateway to every cell that it belongs to.
pub(super) fn fold(cells: &mut Cells, tenant: Uuid, gateway: GatewayId, delta: &RollupDelta) {
    let counts = counts(delta);
    for place in places(gateway, &delta.cell) {
        for step in STEPS {
            let bucket = delta.minute - delta.minute % step;
            let key = Key { tenant, place: place.clone(), step, bucket };
            cells.entry(key).or_default().merge(&counts);
        }
    }
}

/// What a delta counts; where its cell is of one outcome of the cache, told apart by that.
pub(super) fn counts(delta: &RollupDelta) -> Cow<'_, Counts> {
    match delta.cell {
        Cell::Traffic { cache, .. } => Cow::Owned(delta.counts.clone().of_outcome(cache)),
        Cell::Consumer { .. } | Cell::Target { .. } => Cow::Borrowed(&delta.counts),
    }
}

/// Where a cell of a gateway belongs. Traffic without an API, or without a route, still counts for what is around it.
pub(super) fn places(gateway: GatewayId, cell: &Cell) -> Vec<Place> {
    match cell {
        Cell::Traffic { tenant: _, api, route, status: _, cache: _ } => {
            let api = api.map(|api| api.to_string()).unwrap_or_default();
            let route = route.as_deref().unwrap_or_default();
            vec![
                Place::new(Cube::Tenant, "", ""),
                Place::new(Cube::Api, &api, ""),
                Place::new(Cube::Route, &api, route),
            ]
        }
        Cell::Consumer { tenant: _, application, plan, api, failed: _ } => {
            let plan = plan.map(|plan| plan.to_string()).unwrap_or_default();
            vec![
                Place::new(Cube::Application, application, ""),
                Place::new(Cube::Consumer, api, application),
                Place::new(Cube::Plan, application, plan),
            ]
        }
        Cell::Target { tenant: _, api: _, target, failed: _ } => {
            vec![Place::new(Cube::Target, gateway, target)]
        }
    }
}

/// Calls that were answered with an error.
pub(super) fn errors(counts: &Counts) -> u64 {
    counts.with_status(400, u16::MAX)
}

/// Minutes since the Unix epoch.
pub(super) fn minute(at: DateTime<Utc>) -> u32 {
    u32::try_from(at.timestamp().div_euclid(60)).unwrap_or_default()
}
