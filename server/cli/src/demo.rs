//! `sluice up --demo`: a tenant with published APIs, applications and traffic, made through the admin API like
//! everything else, so that it shows nothing that a user could not do.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::{Client, Method, StatusCode, header};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use sluice_contract::definition::PolicyAttachment;
use sluice_contract::ids::{ApiId, ApplicationId, EnvironmentId, PlanId, TenantId};
use sluice_contract::problem::Problem;
use sluice_contract::rest::apis::{Api, CreateApi, UpdateApi};
use sluice_contract::rest::applications::{Application, CreatedCredential, SaveApplication};
use sluice_contract::rest::environments::Environment;
use sluice_contract::rest::imports::{DocumentSource, ImportPreview, PreviewImport};
use sluice_contract::rest::page::Page;
use sluice_contract::rest::plans::{Approval, Plan, SavePlan};
use sluice_contract::rest::releases::{CreateRelease, Release};
use sluice_contract::rest::revisions::{CreateRevision, RevisionSummary};
use sluice_contract::rest::session::Session;
use sluice_contract::rest::setup::CompleteSetup;
use sluice_contract::rest::subscriptions::{RequestSubscription, Subscription};
use sluice_contract::rest::users::{AcceptInvitation, CreateUser, CreatedUser, Role};

use crate::sample_upstream;

/// How long the demo sends traffic, and how often.
const TRAFFIC: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(40);

/// What to tell the person who started the demo.
pub(crate) struct Demo {
    pub(crate) email: String,
    pub(crate) password: String,
    pub(crate) consumer_email: String,
    /// A command that answers from the bookstore through the gateway.
    pub(crate) curl: String,
}

/// File of the data directory that holds the port of the sample upstream, to which the demo's APIs point.
const PORT_FILE: &str = "demo-upstream";

/// Starts the sample upstream again where the APIs of a demo that was made earlier expect it. False: none was made here.
///
/// # Errors
/// When the port that it had is not written as it should be, or is taken.
pub(crate) async fn resume(data: &Path) -> anyhow::Result<bool> {
    let file = data.join(PORT_FILE);
    let port = match std::fs::read_to_string(&file) {
        Ok(port) => port,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
    };
    let port = port.trim().parse().with_context(|| format!("{} holds no port", file.display()))?;
    let started = sample_upstream::start(port).await;
    started.with_context(|| format!("cannot listen on 127.0.0.1:{port}, where the demo's APIs point"))?;
    Ok(true)
}

/// Seeds the demo tenant and starts its traffic. `setup_token` is the secret of the one-time setup link.
///
/// # Errors
/// When a call to the admin API fails; says which and why.
pub(crate) async fn seed(
    data: &Path,
    console: SocketAddr,
    gateway: SocketAddr,
    setup_token: &str,
) -> anyhow::Result<Demo> {
    let upstream = sample_upstream::start(0).await.context("cannot start the sample upstream")?;
    std::fs::write(data.join(PORT_FILE), upstream.port().to_string()).context("cannot note its port")?;
    let password = random_password()?;
    let admin = Admin::set_up(console, setup_token, &password).await?;
    admin.invite(console, "Casey Consumer", "consumer@demo.test", &[Role::Consumer], &password).await?;
    admin.invite(console, "Avery Approver", "approver@demo.test", &[Role::Approver], &password).await?;

    let books = admin.publish(sample_upstream::BOOKSTORE, upstream, bookstore_policies()).await?;
    let weather = admin.publish(sample_upstream::WEATHER, upstream, Vec::new()).await?;
    let free = admin.plan(books, "Free", Approval::Automatic, 600).await?;
    let partner = admin.plan(books, "Partner", Approval::Manual, 6_000).await?;
    let standard = admin.plan(weather, "Standard", Approval::Automatic, 1_200).await?;

    let shop = admin.application("Corner shop").await?;
    let planner = admin.application("Trip planner").await?;
    admin.subscribe(shop, books, free, "").await?;
    admin.subscribe(planner, weather, standard, "").await?;
    admin.subscribe(planner, books, partner, "We list books about the places people travel to.").await?;
    let shop_key = admin.key(shop).await?;
    let planner_key = admin.key(planner).await?;

    let base = format!("http://{gateway}/demo");
    wait_until_served(&format!("{base}/bookstore/books/1"), &shop_key).await?;
    let curl = format!("curl -i -H 'X-API-Key: {shop_key}' {base}/bookstore/books/1");
    tokio::spawn(traffic(base, shop_key, planner_key));
    let consumer_email = "consumer@demo.test".to_owned();
    Ok(Demo { email: "admin@demo.test".to_owned(), password, consumer_email, curl })
}

fn random_password() -> anyhow::Result<String> {
    let mut bytes = [0; 12];
    getrandom::fill(&mut bytes).context("the operating system gives no random numbers")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn bookstore_policies() -> Vec<PolicyAttachment> {
    let policy = |kind: &str, settings| PolicyAttachment { kind: kind.to_owned(), enabled: true, settings };
    vec![policy("cache", json!({ "shared": true, "confirmed": ["shared"] }))]
}

/// A signed-in admin of the demo tenant.
struct Admin {
    client: Client,
    base: String,
    tenant: TenantId,
    environment: EnvironmentId,
}

impl Admin {
    async fn set_up(console: SocketAddr, token: &str, password: &str) -> anyhow::Result<Self> {
        let client = browser()?;
        let base = format!("http://{console}/api/v1");
        let setup = CompleteSetup {
            token: token.to_owned(),
            organisation: "Demo".to_owned(),
            name: "Demo admin".to_owned(),
            email: "admin@demo.test".to_owned(),
            password: password.to_owned(),
        };
        let session: Session = call(&client, Method::POST, &format!("{base}/setup"), Some(&setup)).await?;
        let tenant = session.tenants.first().context("setup made no tenant")?.id;
        let environments: Page<Environment> =
            call(&client, Method::GET, &format!("{base}/tenants/{tenant}/environments"), None::<&()>).await?;
        let environment = environments.items.first().context("setup made no environment")?.id;
        Ok(Self { client, base, tenant, environment })
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> anyhow::Result<T> {
        let url = format!("{}/tenants/{}/{path}", self.base, self.tenant);
        call(&self.client, Method::POST, &url, Some(body)).await
    }

    async fn invite(
        &self,
        console: SocketAddr,
        name: &str,
        email: &str,
        roles: &[Role],
        password: &str,
    ) -> anyhow::Result<()> {
        let user = CreateUser { email: email.to_owned(), name: name.to_owned(), roles: roles.to_vec() };
        let created: CreatedUser = self.post("users", &user).await?;
        let invitation = created.invitation.context("a new user got no invitation")?;
        let token = invitation.split_once("token=").context("an invitation without a token")?.1.to_owned();
        let accept = AcceptInvitation { token, password: password.to_owned() };
        let url = format!("http://{console}/api/v1/invitations");
        call::<Session>(&browser()?, Method::POST, &url, Some(&accept)).await.map(drop)
    }

    /// Imports a document, points it to the sample upstream, freezes a revision and releases it.
    async fn publish(
        &self,
        document: &str,
        upstream: SocketAddr,
        policies: Vec<PolicyAttachment>,
    ) -> anyhow::Result<ApiId> {
        let mut document: Value = serde_json::from_str(document)?;
        document["servers"] = json!([{ "url": format!("http://{upstream}") }]);
        let preview = PreviewImport { source: DocumentSource::Text(document.to_string()), api: None };
        let ImportPreview { title, description, suggested_slug, mut draft, .. } =
            self.post("imports/preview", &preview).await?;
        draft.policies = policies;
        let create = CreateApi { slug: suggested_slug, name: title, description, team: None, draft };
        let api: Api = self.post("apis", &create).await?;
        let api = self.list_in_catalogue(api).await?;
        let revision = self.freeze(&api).await?;
        let release = CreateRelease { environment: self.environment, revision: Some(revision) };
        self.post::<Release>(&format!("apis/{}/releases", api.id), &release).await?;
        Ok(api.id)
    }

    async fn list_in_catalogue(&self, api: Api) -> anyhow::Result<Api> {
        let Api { id, name, description, team, draft, version, .. } = api;
        let update = UpdateApi { name, description, team, listed: true, draft };
        let url = format!("{}/tenants/{}/apis/{id}", self.base, self.tenant);
        call_if_match(&self.client, Method::PUT, &url, Some(&update), Some(version)).await
    }

    async fn freeze(&self, api: &Api) -> anyhow::Result<u32> {
        let url = format!("{}/tenants/{}/apis/{}/revisions", self.base, self.tenant, api.id);
        let create = CreateRevision { note: "First revision".to_owned() };
        let revision: RevisionSummary =
            call_if_match(&self.client, Method::POST, &url, Some(&create), Some(api.version)).await?;
        Ok(revision.number)
    }

    async fn plan(
        &self,
        api: ApiId,
        name: &str,
        approval: Approval,
        per_minute: u32,
    ) -> anyhow::Result<PlanId> {
        let limit = json!({ "requests": per_minute, "period_s": 60 });
        let policy = PolicyAttachment { kind: "rate-limit".to_owned(), enabled: true, settings: limit };
        let plan = SavePlan {
            name: name.to_owned(),
            description: format!("{per_minute} requests a minute"),
            approval,
            policies: vec![policy],
            closed: false,
        };
        Ok(self.post::<Plan>(&format!("apis/{api}/plans"), &plan).await?.id)
    }

    async fn application(&self, name: &str) -> anyhow::Result<ApplicationId> {
        let application = SaveApplication {
            name: name.to_owned(),
            description: String::new(),
            team: None,
            policies: Vec::new(),
        };
        Ok(self.post::<Application>("applications", &application).await?.id)
    }

    async fn subscribe(
        &self,
        application: ApplicationId,
        api: ApiId,
        plan: PlanId,
        message: &str,
    ) -> anyhow::Result<()> {
        let request = RequestSubscription { application, api, plan, message: message.to_owned() };
        self.post::<Subscription>("subscriptions", &request).await.map(drop)
    }

    async fn key(&self, application: ApplicationId) -> anyhow::Result<String> {
        let create = json!({ "name": "demo", "environment": self.environment });
        let path = format!("applications/{application}/credentials");
        Ok(self.post::<CreatedCredential>(&path, &create).await?.key)
    }
}

/// A client that keeps cookies, as a browser does.
fn browser() -> anyhow::Result<Client> {
    let mut headers = header::HeaderMap::new();
    headers.insert("x-sluice-csrf", header::HeaderValue::from_static("1"));
    Ok(Client::builder().cookie_store(true).default_headers(headers).build()?)
}

async fn call<T: DeserializeOwned>(
    client: &Client,
    method: Method,
    url: &str,
    body: Option<&impl Serialize>,
) -> anyhow::Result<T> {
    call_if_match(client, method, url, body, None).await
}

async fn call_if_match<T: DeserializeOwned>(
    client: &Client,
    method: Method,
    url: &str,
    body: Option<&impl Serialize>,
    version: Option<u64>,
) -> anyhow::Result<T> {
    let mut request = client.request(method.clone(), url);
    if let Some(body) = body {
        request = request.json(body);
    }
    if let Some(version) = version {
        request = request.header(header::IF_MATCH, format!("\"{version}\""));
    }
    let response = request.send().await.with_context(|| format!("{method} {url}"))?;
    if !response.status().is_success() {
        let problem: Problem = response.json().await.with_context(|| format!("{method} {url}"))?;
        bail!(
            "{method} {url}: {} ({}) {} {:?}",
            problem.status,
            problem.code,
            problem.detail,
            problem.fields
        );
    }
    Ok(response.json().await?)
}

async fn wait_until_served(url: &str, key: &str) -> anyhow::Result<()> {
    let client = Client::new();
    for _ in 0..100 {
        if let Ok(response) = client.get(url).header("x-api-key", key).send().await
            && response.status() == StatusCode::OK
        {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bail!("the gateway does not serve {url} after ten seconds")
}

/// A minute of what a small shop and a travel site would send, errors among it.
async fn traffic(base: String, shop_key: String, planner_key: String) {
    let client = Client::new();
    let end = tokio::time::Instant::now() + TRAFFIC;
    let mut turn = 0_usize;
    while tokio::time::Instant::now() < end {
        turn += 1;
        let request = match turn % 12 {
            0 => client
                .post(format!("{base}/bookstore/orders"))
                .json(&json!({ "book": 1 + turn % 6, "copies": 1 })),
            1 => client.get(format!("{base}/bookstore/books/{}", 1 + turn % 9)),
            2 => client.get(format!("{base}/weather/forecast/oslo")),
            3 | 4 => {
                client.get(format!("{base}/weather/weather/{}", ["lisbon", "kyoto", "atlantis"][turn % 3]))
            }
            _ => client.get(format!("{base}/bookstore/books")),
        };
        let key = if matches!(turn % 12, 2..=4) { &planner_key } else { &shop_key };
        // What an answer says is for the dashboards; one that fails is part of the picture.
        drop(request.header("x-api-key", key).send().await);
        tokio::time::sleep(PAUSE).await;
    }
}
