//! An API: its routes with their policies, found by a router, and their upstreams.

use std::sync::Arc;

use http::{HeaderName, HeaderValue, Method};
use sluice_contract::definition::{Access, ApiDefinition, HeaderMatch, Route as RouteDefinition};
use sluice_contract::ids::{ApiId, TenantId};
use sluice_contract::part::{ApiPart, PART_SCHEMA};
use sluice_contract::path::{PathTemplate, Segment};
use sluice_contract::rest::policy_types::PolicyScope;

use super::policies::{LimitOf, Policies, RoutePolicies};
use super::upstream::Upstream;
use super::{CompileError, Compiler};
use crate::cache::ApiPurges;
use crate::router::Router;

/// An API as it is served.
pub struct Api {
    pub id: ApiId,
    pub tenant: TenantId,
    pub tenant_slug: Box<str>,
    pub slug: Box<str>,
    pub revision: u32,
    /// Hosts of its own, lower case.
    pub hosts: Vec<Box<str>>,
    pub routes: Vec<Route>,
    /// Finds the index of a route.
    pub router: Router,
    pub purges: Arc<ApiPurges>,
}

/// A route as it is served.
pub struct Route {
    /// Names the operation in records.
    pub id: Box<str>,
    pub template: PathTemplate,
    /// Empty: any.
    pub methods: Vec<Method>,
    pub headers: Vec<HeaderCondition>,
    pub access: Access,
    /// None: the API has no upstream at all.
    pub upstream: Option<Arc<Upstream>>,
    pub policies: RoutePolicies,
}

/// A header that a request must carry.
pub struct HeaderCondition {
    pub name: HeaderName,
    /// None: any value.
    pub value: Option<HeaderValue>,
}

impl Compiler {
    /// Compiles a part.
    ///
    /// # Errors
    /// Says which route, upstream or policy cannot be used.
    pub fn api(&self, part: &ApiPart) -> Result<Arc<Api>, CompileError> {
        let ApiPart { schema, tenant, tenant_slug, api, slug, revision, definition } = part;
        if *schema > PART_SCHEMA {
            return Err(CompileError::Schema { found: *schema, known: PART_SCHEMA });
        }
        let ApiDefinition { access, hosts, routes, upstreams, policies } = definition;
        let upstreams: Vec<Arc<Upstream>> = upstreams
            .iter()
            .map(|upstream| self.upstream(*api, upstream).map(Arc::new))
            .collect::<Result<_, _>>()?;
        let defaults = Policies::read(policies.iter(), PolicyScope::Api)?;
        let context = ApiContext { id: *api, access: *access, upstreams: &upstreams, policies: &defaults };
        let compiled: Vec<(PathTemplate, Route)> =
            routes.iter().map(|route| self.route(&context, route)).collect::<Result<_, _>>()?;
        let router = Router::new(compiled.iter().map(|(path, route)| (path, route)));
        Ok(Arc::new(Api {
            id: *api,
            tenant: *tenant,
            tenant_slug: tenant_slug.as_str().into(),
            slug: slug.as_str().into(),
            revision: *revision,
            hosts: hosts.iter().map(|host| host.to_ascii_lowercase().into_boxed_str()).collect(),
            routes: compiled.into_iter().map(|(_, route)| route).collect(),
            router,
            purges: self.purges.of_tenant(*api, *tenant),
        }))
    }

    fn route(
        &self,
        api: &ApiContext<'_>,
        definition: &RouteDefinition,
    ) -> Result<(PathTemplate, Route), CompileError> {
        let RouteDefinition {
            id,
            summary: _,
            description: _,
            tags: _,
            deprecated: _,
            methods,
            path,
            headers,
            upstream,
            access,
            policies,
            imported: _,
        } = definition;
        let error = |reason: String| CompileError::Route { route: id.clone(), reason };
        let template =
            PathTemplate::parse(path).map_err(|source| CompileError::Path { route: id.clone(), source })?;
        let parameters: Vec<&str> =
            template.segments().iter().flat_map(parameter_names).map(String::as_str).collect();
        let policies = self.route_policies(api, id, policies, &parameters)?;
        let upstream = match upstream {
            None => api.upstreams.first(),
            Some(name) => {
                let found = api.upstreams.iter().find(|upstream| *upstream.name == **name);
                Some(found.ok_or_else(|| error(format!("there is no upstream `{name}`")))?)
            }
        };
        let route = Route {
            id: id.as_str().into(),
            template: template.clone(),
            methods: methods
                .iter()
                .map(|method| Method::from_bytes(method.as_bytes()).map_err(|e| error(e.to_string())))
                .collect::<Result<_, _>>()?,
            headers: headers
                .iter()
                .map(|condition| HeaderCondition::compile(condition).map_err(error))
                .collect::<Result<_, _>>()?,
            access: access.unwrap_or(api.access),
            upstream: upstream.cloned(),
            policies,
        };
        Ok((template, route))
    }

    /// The route's own attachments, and the API's for the types that the route says nothing about.
    fn route_policies(
        &self,
        api: &ApiContext<'_>,
        route: &str,
        own: &[sluice_contract::definition::PolicyAttachment],
        parameters: &[&str],
    ) -> Result<RoutePolicies, CompileError> {
        let own = Policies::read(own.iter(), PolicyScope::Route)?;
        let defaults = api.policies.clone();
        let of = if own.limits.is_empty() { LimitOf::Api(api.id) } else { LimitOf::Route(api.id, route) };
        let merged = Policies {
            key: own.key.or(defaults.key),
            limits: if own.limits.is_empty() { defaults.limits } else { own.limits },
            cache: own.cache.or(defaults.cache),
            headers: own.headers.or(defaults.headers),
            rewrite: own.rewrite,
            cors: own.cors.or(defaults.cors),
        };
        merged.bind(of, parameters, &self.counters)
    }
}

/// What the routes of one API have in common.
struct ApiContext<'a> {
    id: ApiId,
    access: Access,
    upstreams: &'a [Arc<Upstream>],
    policies: &'a Policies,
}

impl HeaderCondition {
    fn compile(condition: &HeaderMatch) -> Result<Self, String> {
        let HeaderMatch { name, value } = condition;
        Ok(Self {
            name: HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| format!("`{name}` is not a header name"))?,
            value: value
                .as_ref()
                .map(|value| {
                    HeaderValue::from_str(value).map_err(|_| format!("`{value}` is not a header value"))
                })
                .transpose()?,
        })
    }
}

fn parameter_names(segment: &Segment) -> &[String] {
    match segment {
        Segment::Literal(_) => &[],
        Segment::Mixed { names, .. } => names,
        Segment::Parameter(name) | Segment::Multi(name) => std::slice::from_ref(name),
    }
}
