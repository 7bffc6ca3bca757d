//! APIs by what a request names them with: `{tenant}/{api}` on the shared host, or a host of their own.

use std::sync::Arc;

use hashbrown::HashMap;
use sluice_contract::ids::ApiId;

use crate::compile::Api;

/// The APIs of an environment.
#[derive(Default)]
pub struct Apis {
    by_id: HashMap<ApiId, Arc<Api>, ahash::RandomState>,
    /// `{tenant slug}/{api slug}`.
    by_slug: HashMap<Box<str>, Arc<Api>, ahash::RandomState>,
    /// Lower-case host without port; the oldest API first where several claim one host.
    by_host: HashMap<Box<str>, Vec<Arc<Api>>, ahash::RandomState>,
}

impl Apis {
    /// These APIs.
    pub fn of(apis: impl IntoIterator<Item = Arc<Api>>) -> Self {
        let mut all = Self::default();
        for api in apis {
            all.by_id.insert(api.id, api);
        }
        all.index()
    }

    /// The API with this id.
    pub fn get(&self, id: ApiId) -> Option<&Arc<Api>> {
        self.by_id.get(&id)
    }

    /// The API at `{tenant}/{api}`.
    pub fn at(&self, slugs: &str) -> Option<&Arc<Api>> {
        self.by_slug.get(slugs)
    }

    /// The APIs on a host of their own (lower case, no port).
    pub fn on_host(&self, host: &str) -> &[Arc<Api>] {
        self.by_host.get(host).map_or(&[], Vec::as_slice)
    }

    /// Whether any API has a host of its own.
    pub fn some_have_hosts(&self) -> bool {
        !self.by_host.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Api>> {
        self.by_id.values()
    }

    pub(super) fn with(&self, api: Arc<Api>) -> Self {
        let mut by_id = self.by_id.clone();
        by_id.insert(api.id, api);
        Self { by_id, ..Self::default() }.index()
    }

    pub(super) fn without(&self, api: ApiId) -> Self {
        let mut by_id = self.by_id.clone();
        by_id.remove(&api);
        Self { by_id, ..Self::default() }.index()
    }

    fn index(mut self) -> Self {
        // Ids sort by age, so that who claimed a host first keeps it whatever the order of releases.
        let mut oldest_first: Vec<&Arc<Api>> = self.by_id.values().collect();
        oldest_first.sort_by_key(|api| api.id);
        for api in oldest_first {
            let slugs = format!("{}/{}", api.tenant_slug, api.slug).into_boxed_str();
            self.by_slug.entry(slugs).or_insert_with(|| Arc::clone(api));
            for host in &api.hosts {
                self.by_host.entry(host.clone()).or_default().push(Arc::clone(api));
            }
        }
        self
    }
}
