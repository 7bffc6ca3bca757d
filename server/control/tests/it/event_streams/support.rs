//! Control planes that read, and what is seen of what they read.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sea_orm::ConnectionTrait;
use serde_json::{Value, json};
use sluice_contract::ids::ApiId;
use sluice_contract::journal::PurgeScope;
use sluice_contract::rest::event_sources::{
    DeliveryOutcome, EventDelivery, EventSource, EventSourceSecret, StreamReading,
};
use sluice_contract::rest::page::Page;
use sluice_contract::rest::purges::PurgeRecord;
use sluice_control::{App, ControlSettings};
use sluice_store::{DatabaseUrl, Store};
use sluice_testkit::TestApp;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use crate::publishing::{draft, make_api, production};

/// Nothing here takes long; a test that waits for longer has failed.
const PATIENCE: Duration = Duration::from_secs(90);

pub async fn eventually<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = probe().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("not in time: {what}"))
}

/// A certificate of 127.0.0.1 that vouches for itself.
pub struct Certified {
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub pem: String,
}

impl Certified {
    pub fn in_folder(folder: &Path) -> Self {
        let rcgen::CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
        std::fs::write(&certificate, cert.pem()).unwrap();
        std::fs::write(&key, signing_key.serialize_pem()).unwrap();
        Self { certificate, key, pem: cert.pem() }
    }
}

/// A control plane over the database of `app`, with its jobs; it runs until it is stopped.
pub struct Control {
    pub app: App,
    serving: JoinHandle<()>,
}

impl Control {
    pub async fn start(of: &TestApp) -> Self {
        Self::with(of, of.app.settings.clone()).await
    }

    pub async fn with(of: &TestApp, settings: ControlSettings) -> Self {
        let app = App::new(settings, of.database.store.clone()).await.unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let (served, stopping) = (app.clone(), app.stopping.clone());
        let stopped = async move { stopping.cancelled().await };
        let serving = tokio::spawn(async move {
            sluice_control::serve(served, listener, stopped).await.unwrap();
        });
        Self { app, serving }
    }

    pub async fn stop(self) {
        self.app.stopping.cancel();
        self.serving.await.unwrap();
    }
}

/// A control plane that can be killed: threads and connections of its own, which end wherever they are.
pub struct Doomed(Runtime);

impl Doomed {
    pub async fn start(of: &TestApp) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (url, settings) = (of.database.store.url().clone(), of.app.settings.clone());
        let serving = async move {
            let app = App::new(settings, Store::connect(&url).await.unwrap()).await.unwrap();
            let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
            sluice_control::serve(app, listener, std::future::pending()).await.unwrap();
        };
        runtime.spawn(serving);
        Self(runtime)
    }

    pub fn kill(self) {
        self.0.shutdown_background();
    }
}

/// The one that reads is killed amid its work: the other goes on, and each event is carried out once. `add` adds the
/// event of a product to the stream.
pub async fn goes_on_after_a_kill(app: &TestApp, source: &Source<'_>, add: impl AsyncFn(u32)) {
    let first = Doomed::start(app).await;
    source.until_read().await;
    let second = Control::start(app).await;
    for id in 0..40 {
        add(id).await;
    }
    let done = source.until_logged(3).await.len();
    first.kill();
    assert!(done < 40, "it is killed amid its work");
    source.until_purged(0..40).await;
    source.until_read().await;
    second.stop().await;
}

/// How long the database fails: several rounds of reading.
const FAILS: Duration = Duration::from_secs(4);

/// The database takes no event, first at the last step of one and then at all: each is done wholly once it does again.
pub async fn is_carried_out_when_the_database_is_back(
    app: &TestApp,
    source: &Source<'_>,
    add: impl AsyncFn(u32),
) {
    let change = async |statement: &str| {
        let tx = app.database.store.begin().await.unwrap();
        tx.execute_unprepared(statement).await.unwrap();
        tx.commit().await.unwrap();
    };
    add(1).await;
    source.until_purged([1]).await;
    let (full, free) = match app.database.store.url() {
        DatabaseUrl::Sqlite(_) => (
            "CREATE TRIGGER is_full BEFORE INSERT ON event_deliveries BEGIN SELECT RAISE(ABORT, 'full'); END",
            "DROP TRIGGER is_full",
        ),
        DatabaseUrl::Postgres(_) => (
            "CREATE FUNCTION is_full() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''full''; END';
             CREATE TRIGGER is_full BEFORE INSERT ON event_deliveries EXECUTE FUNCTION is_full()",
            "DROP TRIGGER is_full ON event_deliveries",
        ),
    };
    change(full).await;
    add(2).await;
    tokio::time::sleep(FAILS).await;
    assert_eq!(source.purged().await, products([1]), "what is not written down is not done");
    change(free).await;
    source.until_purged([1, 2]).await;
    change("ALTER TABLE event_sources RENAME TO away").await;
    add(3).await;
    tokio::time::sleep(FAILS).await;
    change("ALTER TABLE away RENAME TO event_sources").await;
    source.until_purged([1, 2, 3]).await;
    let log = source.log().await;
    assert!(log.iter().all(|entry| entry.outcome == DeliveryOutcome::Purged), "{log:?}");
}

pub struct Source<'a> {
    app: &'a TestApp,
    pub it: EventSource,
}

/// What is saved of a source that reads this stream.
pub async fn saved(app: &TestApp, stream: &Value) -> Value {
    json!({
        "name": "Shop", "environment": production(app).await, "per_minute": 600,
        "rules": [{"pointer": "/products/*/id", "purge": "tag", "template": "product-{value}"}],
        "stream": stream,
    })
}

impl<'a> Source<'a> {
    /// Of an API of its own, whose slug this is.
    pub async fn make(app: &'a TestApp, api: &str, new: &Value) -> Self {
        let api = make_api(app, api, draft()).await.id;
        let path = app.path(&format!("/apis/{api}/event-sources"));
        let made: EventSourceSecret = app.admin.post(&path, new).await.expect(201).json();
        assert_eq!(made.secret, None);
        Self { app, it: made.source }
    }

    pub fn path(&self, rest: &str) -> String {
        self.app.path(&format!("/apis/{}/event-sources/{}{rest}", self.it.api, self.it.id))
    }

    /// The ids of entries and what became of them, oldest first.
    pub async fn log(&self) -> Vec<EventDelivery> {
        let path = self.path("/deliveries?limit=200");
        let mut log = self.app.admin.get(&path).await.expect(200).json::<Page<EventDelivery>>().items;
        log.reverse();
        log
    }

    pub async fn until_logged(&self, count: usize) -> Vec<EventDelivery> {
        let enough = async || Some(self.log().await).filter(|log| log.len() >= count);
        eventually(&format!("{count} events are taken"), enough).await
    }

    pub async fn reading(&self) -> StreamReading {
        let source: EventSource = self.app.admin.get(&self.path("")).await.expect(200).json();
        source.reading.unwrap()
    }

    /// Why it cannot be read, in exactly these words.
    pub async fn until_told(&self, why: &str) {
        eventually(why, async || (self.reading().await.error? == why).then_some(())).await;
    }

    pub async fn until_read(&self) {
        eventually("it is read", async || self.reading().await.since).await;
    }

    /// Exactly these tags are purged, in whatever order.
    pub async fn until_purged(&self, expected: impl IntoIterator<Item = u32>) {
        let mut expected = products(expected);
        expected.sort();
        eventually(&format!("{expected:?} are purged"), async || {
            let mut purged = self.purged().await;
            purged.sort();
            (purged == expected).then_some(())
        })
        .await;
    }

    /// Tags that were purged, oldest first.
    pub async fn purged(&self) -> Vec<String> {
        let path = self.app.path("/purges?limit=200");
        let list: Page<PurgeRecord> = self.app.admin.get(&path).await.expect(200).json();
        let tags = list.items.into_iter().rev().map(|purge| {
            assert_eq!(purge.created_by, "stream:Shop");
            tag(&purge.scope, self.it.api)
        });
        tags.collect()
    }
}

fn tag(scope: &PurgeScope, of: ApiId) -> String {
    match scope {
        PurgeScope::Tag { api: Some(api), tag } if *api == of => tag.clone(),
        other => panic!("{other:?}"),
    }
}

pub fn products(ids: impl IntoIterator<Item = u32>) -> Vec<String> {
    ids.into_iter().map(|id| format!("product-{id}")).collect()
}
