//! Which cells answer a question: the cube for the points, and one for each ranking.

use sluice_contract::ids::TenantId;

use super::TrafficQuery;
use super::rollup::{Cube, Place};
use super::sql::Conditions;
use crate::error::{Error, Result};

/// A part of a cube.
#[derive(Clone, Debug)]
pub(super) struct Slice {
    pub(super) cube: Cube,
    pub(super) a: Option<String>,
    pub(super) b: Option<String>,
}

impl Slice {
    fn new(cube: Cube, a: Option<String>, b: Option<String>) -> Self {
        Self { cube, a, b }
    }

    /// Whether this place is in it.
    pub(super) fn holds(&self, place: &Place) -> bool {
        let is = |wanted: &Option<String>, name: &str| wanted.as_deref().is_none_or(|wanted| wanted == name);
        self.cube == place.cube && is(&self.a, &place.a) && is(&self.b, &place.b)
    }

    /// The same as a condition.
    pub(super) fn conditions(&self, tenant: TenantId) -> Conditions {
        let mut all = Conditions::default();
        all.add("tenant = ? AND cube = ?", [tenant.0.into(), self.cube.name().into()]);
        if let Some(a) = &self.a {
            all.add("a = ?", [a.clone().into()]);
        }
        if let Some(b) = &self.b {
            all.add("b = ?", [b.clone().into()]);
        }
        all
    }
}

/// Where to read what for a combination of filters. A ranking that no cube can give is absent.
pub(super) struct Focus {
    pub(super) series: Slice,
    /// By `a`.
    pub(super) apis: Slice,
    /// By `a` and `b`.
    pub(super) routes: Option<Slice>,
    /// By `a` in [`Cube::Application`], by `b` in [`Cube::Consumer`].
    pub(super) applications: Option<Slice>,
    /// By `b`.
    pub(super) plans: Option<Slice>,
    /// By `b`.
    pub(super) targets: Option<Slice>,
}

impl Focus {
    pub(super) fn of(query: &TrafficQuery) -> Result<Self> {
        let api = query.api.map(|api| api.to_string());
        let application = query.application.map(|application| application.to_string());
        match (api, query.route.clone(), application) {
            (_, Some(_), Some(_)) => Err(Error::invalid(
                "route",
                "unsupported",
                "traffic is kept by route or by application, not by both; leave one out",
            )),
            (api, Some(route), None) => Ok(Self::route(api, route)),
            (api, None, Some(application)) => Ok(Self::application(api, application)),
            (Some(api), None, None) => Ok(Self::api(api)),
            (None, None, None) => Ok(Self::everything()),
        }
    }

    fn everything() -> Self {
        Self {
            // The tenant's cells have empty names: naming them makes the series one run of the primary key.
            series: Slice::new(Cube::Tenant, Some(String::new()), Some(String::new())),
            apis: Slice::new(Cube::Api, None, Some(String::new())),
            routes: Some(Slice::new(Cube::Route, None, None)),
            applications: Some(Slice::new(Cube::Application, None, Some(String::new()))),
            plans: Some(Slice::new(Cube::Plan, None, None)),
            targets: Some(Slice::new(Cube::Target, None, None)),
        }
    }

    fn api(api: String) -> Self {
        let one = Slice::new(Cube::Api, Some(api.clone()), Some(String::new()));
        Self {
            series: one.clone(),
            apis: one,
            routes: Some(Slice::new(Cube::Route, Some(api.clone()), None)),
            applications: Some(Slice::new(Cube::Consumer, Some(api), None)),
            plans: None,
            targets: None,
        }
    }

    fn route(api: Option<String>, route: String) -> Self {
        let one = Slice::new(Cube::Route, api, Some(route));
        Self {
            series: one.clone(),
            apis: one.clone(),
            routes: Some(one),
            applications: None,
            plans: None,
            targets: None,
        }
    }

    fn application(api: Option<String>, application: String) -> Self {
        let with_api = Slice::new(Cube::Consumer, api.clone(), Some(application.clone()));
        let plans = api.is_none().then(|| Slice::new(Cube::Plan, Some(application.clone()), None));
        let whole = Slice::new(Cube::Application, Some(application), Some(String::new()));
        let one = if api.is_some() { with_api.clone() } else { whole };
        Self {
            series: one.clone(),
            apis: with_api,
            routes: None,
            applications: Some(one),
            plans,
            targets: None,
        }
    }
}
