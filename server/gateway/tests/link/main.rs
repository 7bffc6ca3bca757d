//! The link against a control plane over real sockets: what is served, acknowledged, kept and delivered under faults.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on says why and fails")]

mod calls;
mod changed;
mod configuration;
mod fake_control;
mod heartbeats;
mod identity;
mod offline;
mod process;
mod questions;
mod warm;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sluice_contract::definition::{Access, ApiDefinition, Route, Target, Upstream};
use sluice_contract::guard::Guard;
use sluice_contract::ids::{ApiId, ApplicationId, BootId, CredentialId, TenantId};
use sluice_contract::journal::{Change, CredentialEntry};
use sluice_contract::part::{ApiPart, PART_SCHEMA, Sha256Hash};
use sluice_gateway::Shared;
use sluice_gateway::cache::{Cache, CacheLimits};
use sluice_gateway::link::Link;
use sluice_gateway::settings::GatewaySettings;
use sluice_gateway::telemetry::Telemetry;
use uuid::Uuid;

use fake_control::FakeControl;

/// The parts of a gateway that the link works with.
struct Gateway {
    shared: Arc<Shared>,
    telemetry: Arc<Telemetry>,
    link: Option<Link>,
    boot: BootId,
}

impl Gateway {
    fn start(data: &Path, control: &FakeControl) -> Self {
        Self::start_with(settings(data, control))
    }

    fn start_with(settings: GatewaySettings) -> Self {
        Self::start_with_cache(settings, Cache::new(CacheLimits::default()))
    }

    fn start_with_cache(settings: GatewaySettings, cache: Cache) -> Self {
        let boot = BootId::generate();
        let telemetry = Arc::new(Telemetry::start(&settings.data, settings.spool_max_bytes, boot).unwrap());
        let guard = Guard::default().with_loopback();
        let shared = Arc::new(Shared::new(Arc::clone(telemetry.recorders()), guard).with_cache(cache));
        let link = Link::start(settings, Arc::clone(&shared), Arc::clone(&telemetry), boot).unwrap();
        Self { shared, telemetry, link: Some(link), boot }
    }

    /// Ends well.
    fn stop(mut self) {
        self.telemetry.stop();
        self.link.take().unwrap().stop();
        self.telemetry.close();
    }

    fn position(&self) -> u64 {
        self.shared.snapshot().position
    }

    /// Revision of an API that is served.
    fn revision(&self, api: ApiId) -> Option<u32> {
        self.shared.snapshot().apis.get(api).map(|api| api.revision)
    }

    fn accepts(&self, key: &str) -> bool {
        self.shared.snapshot().credentials.get(&Sha256Hash::of(key.as_bytes())).is_some()
    }
}

fn settings(data: &Path, control: &FakeControl) -> GatewaySettings {
    GatewaySettings {
        data: data.to_owned(),
        enrolment: Some(control.token()),
        name: "tester".to_owned(),
        ..GatewaySettings::default()
    }
}

/// Waits for something that must become true; far longer than it takes.
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(60), "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// An API with one route that anybody may call.
fn part(api: ApiId, revision: u32) -> ApiPart {
    let route = Route {
        id: "get".to_owned(),
        summary: String::new(),
        description: String::new(),
        tags: Vec::new(),
        deprecated: false,
        methods: vec!["GET".to_owned()],
        path: "/things/{id}".to_owned(),
        headers: Vec::new(),
        upstream: None,
        access: None,
        policies: Vec::new(),
        imported: false,
    };
    let upstream = Upstream {
        name: "main".to_owned(),
        targets: vec![Target { url: "http://192.0.2.1".to_owned(), weight: 1, zone: None }],
        protocol: Default::default(),
        host: Default::default(),
        timeouts: Default::default(),
        breaker: None,
    };
    ApiPart {
        schema: PART_SCHEMA,
        tenant: TenantId(Uuid::nil()),
        tenant_slug: "acme".to_owned(),
        api,
        slug: format!("api-{}", api.0.simple()),
        revision,
        definition: ApiDefinition {
            access: Access::Public,
            routes: vec![route],
            upstreams: vec![upstream],
            ..ApiDefinition::default()
        },
    }
}

fn key_set(key: &str) -> Change {
    let id = Uuid::new_v4();
    Change::CredentialSet(Box::new(CredentialEntry {
        hash: Sha256Hash::of(key.as_bytes()),
        credential: CredentialId(id),
        application: ApplicationId(id),
        application_name: "app".to_owned(),
        tenant: TenantId(Uuid::nil()),
        expires_at: None,
        policies: Vec::new(),
        subscriptions: Vec::new(),
    }))
}

fn key_removed(key: &str) -> Change {
    Change::CredentialRemoved { hash: Sha256Hash::of(key.as_bytes()) }
}
