//! Who is signed in, in which tenant they are at work, and what they may do there.

use leptos::prelude::*;
use sluice_contract::ids::TenantId;
use sluice_contract::rest::session::{Permission, Session, SessionTenant};

const KEY: &str = "sluice.tenant";

/// The signed-in person; provided once, by the application.
#[derive(Clone, Copy)]
pub struct Current {
    session: RwSignal<Option<Session>>,
    /// What was chosen, in this browser; not necessarily a tenant of this person.
    chosen: RwSignal<Option<TenantId>>,
}

impl Current {
    pub fn provide() -> Self {
        let current = Self { session: RwSignal::new(None), chosen: RwSignal::new(saved()) };
        provide_context(current);
        current
    }

    /// Takes over who the API says is signed in.
    pub fn sign_in(self, session: Session) {
        self.session.set(Some(session));
    }

    pub fn sign_out(self) {
        self.session.set(None);
    }

    pub fn session(self) -> Option<Session> {
        self.session.get()
    }

    pub fn is_signed_in(self) -> bool {
        self.session.with(Option::is_some)
    }

    pub fn is_platform_admin(self) -> bool {
        self.session.with(|session| session.as_ref().is_some_and(|session| session.platform_admin))
    }

    /// The tenant at work: the chosen one, else the first.
    pub fn tenant(self) -> Option<SessionTenant> {
        let chosen = self.chosen.get();
        self.session.with(|session| {
            let tenants = &session.as_ref()?.tenants;
            tenants.iter().find(|tenant| Some(tenant.id) == chosen).or(tenants.first()).cloned()
        })
    }

    pub fn choose_tenant(self, tenant: TenantId) {
        if let Ok(Some(storage)) = window().local_storage() {
            // A browser that refuses storage still works in the tenant for as long as the page is open.
            drop(storage.set_item(KEY, &tenant.to_string()));
        }
        self.chosen.set(Some(tenant));
    }

    /// The API path of something of the tenant at work: `/tenants/{tenant}{rest}`. Tracks the tenant.
    pub fn path(self, rest: &str) -> String {
        self.tenant().map(|tenant| format!("/tenants/{}{rest}", tenant.id)).unwrap_or_default()
    }

    /// Whether something would be permitted in the tenant at work. The API decides; this only hides what it refuses.
    pub fn can(self, permission: Permission) -> bool {
        self.tenant().is_some_and(|tenant| tenant.permissions.contains(&permission))
    }
}

/// The signed-in person.
pub fn use_current() -> Current {
    use_context().unwrap_or_else(|| Current { session: RwSignal::new(None), chosen: RwSignal::new(None) })
}

fn saved() -> Option<TenantId> {
    window().local_storage().ok()??.get_item(KEY).ok()??.parse().ok()
}
