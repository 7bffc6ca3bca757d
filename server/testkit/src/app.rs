//! The control plane in this process, set up with a first tenant and its admin.

use axum::Router;
use serde_json::json;
use sluice_contract::ids::TenantId;
use sluice_contract::rest::session::Session;
use sluice_contract::rest::tenants::Tenant;
use sluice_contract::rest::users::{CreatedUser, Role};
use sluice_control::{App, ControlSettings, MasterKey, PasswordCost, setup};

use crate::client::Client;
use crate::database::TestDatabase;

/// Everybody's password.
pub const PASSWORD: &str = "correct horse battery staple";

/// The control plane in this process.
pub struct TestApp {
    pub app: App,
    /// Platform admin, and tenant admin of [`TestApp::tenant`].
    pub admin: Client,
    /// The first tenant, `acme`.
    pub tenant: TenantId,
    pub database: TestDatabase,
    router: Router,
}

/// Ends streams and jobs with the test.
impl Drop for TestApp {
    fn drop(&mut self) {
        self.app.stopping.cancel();
    }
}

impl TestApp {
    /// On a SQLite database of its own.
    pub async fn sqlite() -> Self {
        Self::on(TestDatabase::sqlite().await).await
    }

    /// On this database.
    pub async fn on(database: TestDatabase) -> Self {
        Self::with(database, Self::settings()).await
    }

    /// On this database with these settings.
    pub async fn with(database: TestDatabase, settings: ControlSettings) -> Self {
        let app = App::new(settings, database.store.clone()).await.expect("the control plane");
        let router = sluice_control::router(&app);
        let (admin, tenant) = set_up(&app, &router).await;
        Self { app, admin, tenant, database, router }
    }

    /// Settings for tests: loopback allowed, passwords cheap.
    pub fn settings() -> ControlSettings {
        ControlSettings {
            embedded: false,
            loopback_allowed: true,
            public_origin: None,
            link_url: Some("https://link.test:8443".to_owned()),
            trusted_proxies: Vec::new(),
            master_key: MasterKey::generate().expect("random numbers"),
            password_cost: PasswordCost { memory_kib: 8, passes: 1, at_once: 2 },
        }
    }

    /// The routes, to serve them on a port.
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    /// Somebody who is not signed in.
    pub fn stranger(&self) -> Client {
        Client::new(self.router.clone())
    }

    /// A program with this API token.
    pub fn with_token(&self, secret: &str) -> Client {
        Client::with_bearer(self.router.clone(), secret)
    }

    /// `/api/v1/tenants/<first tenant>` and `rest`.
    pub fn path(&self, rest: &str) -> String {
        in_tenant(self.tenant, rest)
    }

    /// Another tenant, made by the admin.
    pub async fn another_tenant(&self, slug: &str) -> TenantId {
        let reply = self.admin.post("/api/v1/tenants", &json!({"slug": slug, "name": slug})).await;
        reply.expect(201).json::<Tenant>().id
    }

    /// A new person with these roles in the first tenant, signed in.
    pub async fn member(&self, roles: &[Role]) -> Client {
        self.member_of(self.tenant, roles).await
    }

    /// A new person with these roles in this tenant, signed in.
    pub async fn member_of(&self, tenant: TenantId, roles: &[Role]) -> Client {
        let email = format!("{}@example.com", uuid::Uuid::new_v4().simple());
        let new = json!({"email": email, "name": "Test Member", "roles": roles});
        let reply = self.admin.post(&in_tenant(tenant, "/users"), &new).await;
        let created: CreatedUser = reply.expect(201).json();
        let link = created.invitation.expect("a new account is invited");
        let token = link.split_once("token=").expect("the link carries a token").1;
        let client = self.stranger();
        let accept = json!({"token": token, "password": PASSWORD});
        client.post("/api/v1/invitations", &accept).await.expect(201);
        client
    }
}

/// `/api/v1/tenants/<tenant>` and `rest`.
fn in_tenant(tenant: TenantId, rest: &str) -> String {
    format!("/api/v1/tenants/{tenant}{rest}")
}

async fn set_up(app: &App, router: &Router) -> (Client, TenantId) {
    let link = setup::issue_link(&app.store).await.expect("a setup link").expect("a fresh database");
    let token = link.split_once("token=").expect("the link carries a token").1;
    let admin = Client::new(router.clone());
    let setup = json!({
        "token": token, "organisation": "Acme", "name": "Ada Admin", "email": "ada@example.com", "password": PASSWORD,
    });
    let session: Session = admin.post("/api/v1/setup", &setup).await.expect(201).json();
    (admin, session.tenants.first().expect("the first tenant").id)
}
