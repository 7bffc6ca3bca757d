//! Policies of one place, compiled; and which attachment wins where several levels have one of a type.

use std::sync::Arc;

use http::header::HeaderValue;
use sluice_contract::definition::PolicyAttachment;
use sluice_contract::ids::{ApiId, ApplicationId, SubscriptionId};
use sluice_contract::part::Sha256Hash;
use sluice_contract::rest::policy_types::PolicyScope;
use sluice_policies::cache::{Cache, CacheRule};
use sluice_policies::cors::{Cors, CorsRule};
use sluice_policies::headers::{HeaderRules, Headers};
use sluice_policies::key_auth::{KeyAuth, KeyRule};
use sluice_policies::rate_limit::{CountedFor, Counter, CounterKey, Counters, Limit, RateLimit};
use sluice_policies::rewrite::{PathRule, Rewrite};
use sluice_policies::{Policy, parse};

use super::CompileError;

/// What a route (or the environment, for routes that say nothing) does to a call.
#[derive(Default)]
pub struct RoutePolicies {
    pub key: Option<KeyRule>,
    pub limits: Vec<BoundLimit>,
    pub cache: Option<CacheRule>,
    pub headers: Option<HeaderRules>,
    pub rewrite: Option<PathRule>,
    pub cors: Option<CorsRule>,
}

/// A limit and the counter that it counts in, or the name under which each caller has one.
pub struct BoundLimit {
    pub limit: Limit,
    /// What it belongs to, in the `RateLimit` header fields.
    pub name: &'static str,
    /// The `RateLimit-Policy` field: the same for every call.
    pub policy: HeaderValue,
    pub counting: Counting,
}

/// Where a limit counts.
pub enum Counting {
    /// In this one.
    One(Arc<Counter>),
    /// In one for each caller: limit and index of a [`CounterKey`].
    Caller { limit: u128, index: u32 },
}

/// What limits belong to. Counters survive new versions of it.
#[derive(Clone, Copy)]
pub enum LimitOf<'a> {
    Environment,
    Api(ApiId),
    Route(ApiId, &'a str),
    Plan(SubscriptionId),
    Application(ApplicationId),
}

/// Settings of the policies of one place, read.
#[derive(Clone, Default)]
pub(super) struct Policies {
    pub(super) key: Option<KeyAuth>,
    pub(super) limits: Vec<RateLimit>,
    pub(super) cache: Option<Cache>,
    pub(super) headers: Option<Headers>,
    pub(super) rewrite: Option<Rewrite>,
    pub(super) cors: Option<Cors>,
}

impl Policies {
    /// Reads the attachments that are switched on.
    pub(super) fn read<'a>(
        attachments: impl Iterator<Item = &'a PolicyAttachment>,
        scope: PolicyScope,
    ) -> Result<Self, CompileError> {
        let mut read = Self::default();
        for PolicyAttachment { kind, enabled: _, settings } in attachments.filter(|policy| policy.enabled) {
            if scope_refuses(kind, scope) {
                return Err(CompileError::UnknownPolicy(format!("{kind} ({scope:?})")));
            }
            match kind.as_str() {
                KeyAuth::KIND => read.key = Some(parse(settings)?),
                RateLimit::KIND => read.limits.push(parse(settings)?),
                Cache::KIND => read.cache = Some(parse(settings)?),
                Headers::KIND => read.headers = Some(parse(settings)?),
                Rewrite::KIND => read.rewrite = Some(parse(settings)?),
                Cors::KIND => read.cors = Some(parse(settings)?),
                _ => return Err(CompileError::UnknownPolicy(kind.clone())),
            }
        }
        Ok(read)
    }

    /// Compiles; `parameters` are those of the route's path.
    pub(super) fn bind(
        self,
        of: LimitOf<'_>,
        parameters: &[&str],
        counters: &Counters,
    ) -> Result<RoutePolicies, CompileError> {
        let Self { key, limits, cache, headers, rewrite, cors } = self;
        Ok(RoutePolicies {
            key: key.map(KeyRule::compile).transpose()?,
            limits: bind_limits(&limits, of, counters),
            cache: cache.map(CacheRule::compile).transpose()?,
            headers: headers.map(HeaderRules::compile).transpose()?,
            rewrite: rewrite.map(|rewrite| PathRule::compile(&rewrite, parameters)).transpose()?,
            cors: cors.map(CorsRule::compile).transpose()?,
        })
    }
}

/// Gives each limit its counter, the same one as before when nothing but numbers changed.
pub(super) fn bind_limits(limits: &[RateLimit], of: LimitOf<'_>, counters: &Counters) -> Vec<BoundLimit> {
    let bind = |(index, settings): (usize, &RateLimit)| {
        let (limit, index) = (of.key(), index as u32);
        let for_caller = settings.per == CountedFor::Caller && !of.is_of_one_caller();
        let counting = if for_caller {
            Counting::Caller { limit, index }
        } else {
            Counting::One(counters.counter(CounterKey { limit, subject: 0, index }))
        };
        let (limit, name) = (Limit::compile(settings), of.name());
        let policy = format!("\"{name}\";q={};w={}", limit.requests, limit.period_s);
        let policy = HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static(""));
        BoundLimit { limit, name, policy, counting }
    };
    limits.iter().enumerate().map(bind).collect()
}

fn scope_refuses(kind: &str, scope: PolicyScope) -> bool {
    sluice_policies::scopes(kind).is_some_and(|scopes| !scopes.contains(&scope))
}

impl LimitOf<'_> {
    fn is_of_one_caller(self) -> bool {
        matches!(self, Self::Plan(_) | Self::Application(_))
    }

    fn name(self) -> &'static str {
        match self {
            Self::Environment => "environment",
            Self::Api(_) => "api",
            Self::Route(..) => "route",
            Self::Plan(_) => "plan",
            Self::Application(_) => "application",
        }
    }

    fn key(self) -> u128 {
        match self {
            Self::Environment => 0,
            Self::Api(api) => api.0.as_u128(),
            Self::Plan(subscription) => subscription.0.as_u128(),
            Self::Application(application) => application.0.as_u128(),
            Self::Route(api, route) => {
                let hash = Sha256Hash::of(format!("{api}/{route}").as_bytes()).0;
                u128::from_be_bytes(std::array::from_fn(|i| hash[i]))
            }
        }
    }
}
