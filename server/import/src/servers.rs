//! Server addresses of a document to upstreams.

use serde_json::value::RawValue;
use sluice_contract::definition::{HostHeader, Target, Timeouts, Upstream, UpstreamProtocol};
use url::Url;

use crate::findings::Findings;
use crate::raw::{self, Object};

/// The upstream of the whole document.
const DEFAULT_NAME: &str = "default";

/// The upstreams found so far.
pub(crate) struct Servers {
    upstreams: Vec<Upstream>,
    fetched_from: Option<Url>,
}

/// `schemes`, `host` and `basePath` of Swagger 2.0; what is missing is taken from where the document was fetched.
pub(crate) fn of_swagger(root: &Object<'_>, fetched_from: Option<&Url>, findings: &mut Findings) -> Servers {
    let mut servers = Servers { upstreams: Vec::new(), fetched_from: fetched_from.cloned() };
    let host = findings.string(root.get("host"), "/host");
    let base_path = findings.string(root.get("basePath"), "/basePath").unwrap_or_default();
    let schemes = findings.list(root.get("schemes"), "/schemes").unwrap_or_default();
    let schemes: Vec<String> = schemes.into_iter().filter_map(raw::string).collect();
    let path = format!("/{}", base_path.trim_start_matches('/'));
    let address = match host {
        Some(host) => format!("{}://{host}{path}", scheme(&schemes, fetched_from)),
        None => path,
    };
    servers.add_default(&address, "/host", findings);
    servers
}

/// HTTPS where the document offers it or says nothing.
fn scheme(offered: &[String], fetched_from: Option<&Url>) -> &'static str {
    let plain = match offered {
        [] => fetched_from.is_some_and(|url| url.scheme() == "http"),
        offered => !offered.iter().any(|scheme| scheme == "https"),
    };
    if plain { "http" } else { "https" }
}

/// `servers` of OpenAPI 3. They are alternatives (production, staging, ...), so that only the first becomes a target.
pub(crate) fn of_openapi(root: &Object<'_>, fetched_from: Option<&Url>, findings: &mut Findings) -> Servers {
    let mut servers = Servers { upstreams: Vec::new(), fetched_from: fetched_from.cloned() };
    let listed = findings.list(root.get("servers"), "/servers").unwrap_or_default();
    match listed.first() {
        Some(first) => {
            warn_of_others(&listed, "/servers", findings);
            if let Some(address) = address_of(first, "/servers/0", findings) {
                servers.add_default(&address, "/servers/0/url", findings);
            }
        }
        // "The default value would be a Server Object with a url value of /" (OpenAPI 3.1 §4.8.1).
        None => servers.add_default("/", "/servers", findings),
    }
    servers
}

fn warn_of_others(listed: &[&RawValue], at: &str, findings: &mut Findings) {
    if listed.len() > 1 {
        let message =
            "Several servers are alternatives: the first becomes the target, the others are left out.";
        findings.warning(format!("{at}/1"), message);
    }
}

impl Servers {
    pub(crate) fn into_upstreams(self) -> Vec<Upstream> {
        self.upstreams
    }

    /// The name of the upstream for servers of a path or operation; none when it is the document's own.
    pub(crate) fn for_route(
        &mut self,
        listed: &[&RawValue],
        at: &str,
        findings: &mut Findings,
    ) -> Option<String> {
        warn_of_others(listed, at, findings);
        let at = format!("{at}/0");
        let address = address_of(listed.first()?, &at, findings)?;
        let target = self.absolute(&address, &format!("{at}/url"), findings)?;
        let has_target = |upstream: &&Upstream| upstream.targets.iter().any(|known| known.url == target);
        if let Some(known) = self.upstreams.iter().find(has_target) {
            return Some(known.name.clone()).filter(|name| name != DEFAULT_NAME);
        }
        let name = self.unused_name(&target);
        self.upstreams.push(upstream(name.clone(), target));
        Some(name)
    }

    fn add_default(&mut self, address: &str, at: &str, findings: &mut Findings) {
        if let Some(target) = self.absolute(address, at, findings) {
            self.upstreams.push(upstream(DEFAULT_NAME.to_owned(), target));
        }
    }

    /// The address as a target's URL: without a slash at the end, query, fragment or user.
    fn absolute(&self, address: &str, at: &str, findings: &mut Findings) -> Option<String> {
        let url = match (Url::parse(address), &self.fetched_from) {
            (Ok(url), _) => Ok(url),
            (Err(url::ParseError::RelativeUrlWithoutBase), Some(base)) => base.join(address),
            (Err(url::ParseError::RelativeUrlWithoutBase), None) => {
                let message =
                    "The document does not say on which host the API runs: add a target to its upstream.";
                findings.warning(at, message);
                return None;
            }
            (Err(error), _) => Err(error),
        };
        match url {
            Ok(url) if matches!(url.scheme(), "http" | "https") => Some(target_url(url)),
            Ok(url) => {
                let message =
                    format!("`{}` servers are left out: add a target to the upstream.", url.scheme());
                findings.warning(at, message);
                None
            }
            Err(error) => {
                findings.problem(at, "invalid_url", format!("`{address}` is not an address: {error}."));
                None
            }
        }
    }

    fn unused_name(&self, target: &str) -> String {
        let host = Url::parse(target).ok().and_then(|url| url.host_str().map(str::to_owned));
        let wanted = host.unwrap_or_else(|| "server".to_owned());
        let taken = |name: &str| self.upstreams.iter().any(|upstream| upstream.name == name);
        if !taken(&wanted) {
            return wanted;
        }
        let numbered = (2..=self.upstreams.len() + 2).map(|n| format!("{wanted}-{n}"));
        numbered.into_iter().find(|name| !taken(name)).unwrap_or(wanted)
    }
}

fn target_url(mut url: Url) -> String {
    url.set_query(None);
    url.set_fragment(None);
    // Neither fails for http and https.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.as_str().trim_end_matches('/').to_owned()
}

fn upstream(name: String, target: String) -> Upstream {
    Upstream {
        name,
        targets: vec![Target { url: target, weight: 1, zone: None }],
        protocol: UpstreamProtocol::default(),
        host: HostHeader::default(),
        timeouts: Timeouts::default(),
        breaker: None,
    }
}

/// The `url` of a server object with each variable at its default.
fn address_of(server: &RawValue, at: &str, findings: &mut Findings) -> Option<String> {
    let server = findings.object(Some(server), at)?;
    if server.get("url").is_none() {
        findings.problem(format!("{at}/url"), "required", "A server needs `url`.");
    }
    let mut address = findings.string(server.get("url"), &format!("{at}/url"))?;
    let at = format!("{at}/variables");
    if let Some(variables) = findings.object(server.get("variables"), &at) {
        for (name, variable) in variables.iter() {
            let at = format!("{at}/{}", crate::references::escape(name));
            let Some(variable) = findings.object(Some(variable), &at) else { continue };
            let default = variable.get("default").map(raw::text_of);
            address = address.replace(&format!("{{{name}}}"), &default.unwrap_or_default());
        }
    }
    if address.contains('{') {
        findings.problem(&at, "required", format!("`{address}` has a variable without a default."));
        return None;
    }
    Some(address)
}
