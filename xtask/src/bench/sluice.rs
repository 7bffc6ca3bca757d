//! Sluice under the benchmark: a control plane of its own, one enrolled gateway with one thread on the proxy's core,
//! and APIs published through the admin API as a person would.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::admin::Admin;
use super::load::Request;
use super::machine::{Cores, pinned};
use super::server::{Server, free_address};

const START_LIMIT: Duration = Duration::from_secs(60);

/// The binaries under test.
pub struct Binaries {
    pub sluice: PathBuf,
    pub gateway: PathBuf,
}

/// An API that the gateway is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// A public API without policies.
    PassThrough,
    /// Key, subscription, rate limit, call record.
    FullPipeline,
    /// A public API with a cache; every request after the first is a hit.
    Cache,
    /// The same, asked for in calls that belong to a trace, whose heads the gateway reads anew each time.
    Traced,
    /// The same, asked for another of many keys with each request.
    ManyKeys,
    /// The same, before an origin that takes its time.
    Slow,
    /// The same, whose answers are in groups that are purged.
    Groups,
}

impl Api {
    pub fn name(self) -> &'static str {
        match self {
            Api::PassThrough => "sluice-pass-through",
            Api::FullPipeline => "sluice-full-pipeline",
            Api::Cache => "sluice-cache",
            Api::Traced => "sluice-cache-traced",
            Api::ManyKeys => "sluice-many-keys",
            Api::Slow => "sluice-slow",
            Api::Groups => "sluice-groups",
        }
    }

    fn slug(self) -> &'static str {
        match self {
            Api::PassThrough => "pass",
            Api::FullPipeline => "full",
            Api::Cache => "cached",
            Api::Traced => "traced",
            Api::ManyKeys => "keys",
            Api::Slow => "slow",
            Api::Groups => "groups",
        }
    }

    fn definition(self, origin: SocketAddr) -> Value {
        let (access, policies) = match self {
            Api::PassThrough => ("public", json!([])),
            Api::FullPipeline => ("subscription", json!([rate_limit()])),
            _ => ("public", json!([{ "type": "cache", "settings": { "ttl_s": 3600 } }])),
        };
        let path = match self {
            Api::PassThrough | Api::FullPipeline | Api::Cache | Api::Traced => "/",
            Api::ManyKeys | Api::Slow | Api::Groups => "/{*rest}",
        };
        json!({
            "access": access,
            "routes": [{ "id": "get", "methods": ["GET"], "path": path }],
            "upstreams": [{ "name": "origin", "targets": [{ "url": format!("http://{origin}") }] }],
            "policies": policies,
        })
    }
}

/// So high that it counts every request and refuses none.
fn rate_limit() -> Value {
    json!({ "type": "rate-limit", "settings": { "requests": 1_000_000_000, "period_s": 60 } })
}

/// A running control plane, the enrolled gateway's command, and what to ask it for.
pub struct Sluice {
    /// Ends after the gateway.
    control: Server,
    pub address: SocketAddr,
    status: SocketAddr,
    gateway: Command,
    /// What the gateway keeps.
    data: PathBuf,
    admin: Admin,
    published: Published,
}

/// The trace that calls belong to where they belong to one.
const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

/// Time in which the gateway hears from its control plane again; it trusts its cache only while it does.
const HEARD: Duration = Duration::from_secs(1);

impl Sluice {
    /// Runs without the control plane, which has a machine of its own where Sluice is used and would take the load's
    /// core here. The gateway records, compresses and keeps every call as always; only sending waits.
    pub fn without_control<T>(&self, run: impl FnOnce() -> Result<T>) -> Result<T> {
        std::thread::sleep(HEARD);
        self.control.aside(run)
    }

    /// With these APIs, each before its origin.
    pub fn start(
        binaries: &Binaries,
        cores: Cores,
        scratch: &Path,
        apis: &[(Api, SocketAddr)],
    ) -> Result<Self> {
        let address = free_address()?;
        let control_address = free_address()?;
        let folder = scratch.join("sluice");
        fs::create_dir_all(&folder).context("could not create the control plane's folder")?;
        let mut command = pinned(cores.load, &binaries.sluice);
        command.arg("control").env("SLUICE_DATA", &folder).env("SLUICE_LISTEN", control_address.to_string());
        command.env("SLUICE_LINK_LISTEN", free_address()?.to_string());
        let mut control = Server::start("sluice-control", &mut command, scratch)?;
        let log = scratch.join("sluice-control.log");
        let mut token = None;
        control.wait_until("print its setup link", START_LIMIT, || {
            token = setup_token(&fs::read_to_string(&log).unwrap_or_default());
            token.is_some()
        })?;
        control.wait_for(control_address, START_LIMIT)?;

        let origin_of_control = format!("http://{control_address}");
        let (admin, session) = Admin::set_up(&origin_of_control, &token.context("no setup link")?)?;
        let published = publish(&admin, &session, apis)?;
        let status = free_address()?;
        let mut gateway = Command::new(&binaries.gateway);
        let data = folder.join("gateway");
        gateway.env("SLUICE_GATEWAY_DATA", &data);
        gateway.env("SLUICE_GATEWAY_LISTEN", address.to_string());
        gateway.env("SLUICE_GATEWAY_STATUS_LISTEN", status.to_string());
        gateway.env("SLUICE_GATEWAY_ENROLMENT_TOKEN", &published.enrolment);
        gateway.env("SLUICE_GATEWAY_THREADS", "1").env("SLUICE_GATEWAY_NAME", "bench");
        gateway.env("SLUICE_GATEWAY_ALLOWED_NETWORKS", "127.0.0.0/8");
        Ok(Self { control, address, status, gateway, data, admin, published })
    }

    /// The gateway, on the proxy's core; ready when it serves what was published.
    pub fn start_gateway(&self, cores: Cores, scratch: &Path) -> Result<Server> {
        let mut command = pinned(cores.proxy, self.gateway.get_program());
        for (name, value) in self.gateway.get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        let mut server = Server::start("sluice-gateway", &mut command, scratch)?;
        server.wait_for(self.address, START_LIMIT)?;
        let ready = format!("http://{}/readyz", self.status);
        server.wait_until("be ready", START_LIMIT, || {
            crate::process::succeeds(Command::new("curl").args([
                "--silent",
                "--fail",
                "--max-time",
                "2",
                &ready,
            ]))
        })?;
        Ok(server)
    }

    /// How to start the gateway by hand, for callgrind.
    pub fn gateway_program(&self) -> &Command {
        &self.gateway
    }

    /// Removes what a gateway that has ended did not send yet.
    pub fn forget_calls(&self) -> Result<()> {
        let spool = self.data.join("spool");
        if spool.exists() { fs::remove_dir_all(&spool).context("could not empty the spool") } else { Ok(()) }
    }

    pub fn request(&self, api: Api) -> Request {
        let headers = match api {
            Api::FullPipeline => vec![format!("X-API-Key: {}", self.published.key)],
            Api::Traced => vec![format!("traceparent: {TRACE}")],
            _ => Vec::new(),
        };
        Request { url: format!("http://{}/{}/{}/", self.address, self.published.tenant, api.slug()), headers }
    }

    /// Purges what has the tag.
    pub fn purge(&self, api: Api, tag: &str) -> Result<()> {
        let Published { base, environment, apis, .. } = &self.published;
        let (_, id) = apis.iter().find(|(published, _)| *published == api).context("the API is not there")?;
        let scope = json!({ "by": "tag", "api": id, "tag": tag });
        self.admin.post(&format!("{base}/purges"), &json!({ "environment": environment, "scope": scope }))?;
        Ok(())
    }
}

/// The secret of the one-time link, wherever in its output the program prints it.
fn setup_token(output: &str) -> Option<String> {
    let (_, rest) = output.split_once("/setup?token=")?;
    // A line that is still being written would give half a token.
    let (line, _) = rest.split_once('\n')?;
    Some(line.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).collect())
}

struct Published {
    tenant: String,
    /// Path of the tenant in the admin API.
    base: String,
    environment: String,
    apis: Vec<(Api, String)>,
    key: String,
    enrolment: String,
}

/// Publishes the APIs, and makes an application with a key and a subscription.
fn publish(admin: &Admin, session: &Value, apis: &[(Api, SocketAddr)]) -> Result<Published> {
    let tenant = text(session, "/tenants/0/slug")?;
    let base = format!("/tenants/{}", text(session, "/tenants/0/id")?);
    let environment = text(&admin.get(&format!("{base}/environments"))?, "/items/0/id")?;
    allow_loopback(admin, &environment)?;
    let application = admin.post(&format!("{base}/applications"), &json!({ "name": "bench" }))?;
    let application = text(&application, "/id")?;
    let credential = json!({ "name": "bench", "environment": environment });
    let credential = admin.post(&format!("{base}/applications/{application}/credentials"), &credential)?;
    let mut ids = Vec::new();
    for (api, origin) in apis {
        let created = json!({ "slug": api.slug(), "name": api.name(), "draft": api.definition(*origin) });
        let id = text(&admin.post(&format!("{base}/apis"), &created)?, "/id")?;
        let path = format!("{base}/apis/{id}");
        let plan = json!({ "name": "bench", "approval": "automatic", "policies": [rate_limit()] });
        let plan = text(&admin.post(&format!("{path}/plans"), &plan)?, "/id")?;
        let subscription = json!({ "application": application, "api": id, "plan": plan });
        let revision = admin.post_if_unchanged(&format!("{path}/revisions"), &json!({}), &path)?;
        let release = json!({ "environment": environment, "revision": revision["number"] });
        admin.post(&format!("{path}/releases"), &release)?;
        admin.post(&format!("{base}/subscriptions"), &subscription)?;
        ids.push((*api, id));
    }
    let enrolment =
        admin.post(&format!("/environments/{environment}/enrolment-tokens"), &json!({ "name": "bench" }))?;
    Ok(Published {
        tenant,
        base,
        environment,
        apis: ids,
        key: text(&credential, "/key")?,
        enrolment: text(&enrolment, "/token")?,
    })
}

/// The origin of the benchmark is on loopback, where a control plane allows no upstream by itself.
fn allow_loopback(admin: &Admin, environment: &str) -> Result<()> {
    let path = format!("/environments/{environment}");
    let current = admin.get(&path)?;
    let mut settings = current["settings"].clone();
    settings["allowed_networks"] = json!(["127.0.0.0/8"]);
    admin.put(&path, &json!({ "name": current["name"], "settings": settings }))?;
    Ok(())
}

fn text(value: &Value, pointer: &str) -> Result<String> {
    let found = value.pointer(pointer).and_then(Value::as_str);
    found.map(str::to_owned).with_context(|| format!("no {pointer} in {value}"))
}

#[cfg(test)]
mod tests {
    use super::setup_token;

    #[test]
    fn the_setup_token_is_read_once_its_line_is_whole() {
        assert_eq!(
            setup_token("Console  http://127.0.0.1:1/setup?token=aB-_9\nnext"),
            Some("aB-_9".to_owned())
        );
        assert_eq!(setup_token("Console  http://127.0.0.1:1/setup?token=aB-"), None);
    }
}
