//! The journal: positions without gaps, snapshots that add up, compaction that loses nothing.

use std::collections::HashSet;

use chrono::TimeDelta;
use sluice_contract::environment::EnvironmentSettings;
use sluice_contract::ids::{ApiId, ApplicationId, CredentialId, EnvironmentId, PurgeId, ReleaseId, TenantId};
use sluice_contract::journal::{Change, CredentialEntry, Purge, PurgeScope, ReleasedApi};
use sluice_contract::part::Sha256Hash;
use sluice_store::journal::{self, Keep};
use sluice_store::{Error, Store, environments, parts};

use crate::databases::on_each;

async fn environment(store: &Store) -> EnvironmentId {
    let tx = store.begin().await.unwrap();
    let environment = environments::ensure_one(&tx, false).await.unwrap().unwrap();
    tx.commit().await.unwrap();
    environment.id
}

async fn append(store: &Store, environment: EnvironmentId, change: Change) -> u64 {
    let tx = store.begin().await.unwrap();
    let position = journal::append(&tx, environment, change).await.unwrap();
    tx.commit().await.unwrap();
    position
}

fn credential(key: &str) -> Change {
    Change::CredentialSet(Box::new(CredentialEntry {
        hash: Sha256Hash::of(key.as_bytes()),
        credential: CredentialId::generate(),
        application: ApplicationId::generate(),
        application_name: "shop".to_owned(),
        tenant: TenantId::generate(),
        expires_at: None,
        policies: Vec::new(),
        subscriptions: Vec::new(),
    }))
}

fn revocation(key: &str) -> Change {
    Change::CredentialRemoved { hash: Sha256Hash::of(key.as_bytes()) }
}

fn purge(api: ApiId) -> Change {
    Change::Purge(Purge {
        id: PurgeId::generate(),
        scope: PurgeScope::Api { api },
        tenant: None,
        soft: false,
        changed: false,
    })
}

async fn release(store: &Store, environment: EnvironmentId, api: ApiId, bytes: &[u8]) -> Sha256Hash {
    let tx = store.begin().await.unwrap();
    let part = parts::put(&tx, bytes.to_vec()).await.unwrap();
    let released =
        ReleasedApi { api, tenant: TenantId::generate(), release: ReleaseId::generate(), revision: 1, part };
    journal::append(&tx, environment, Change::ApiReleased(released)).await.unwrap();
    tx.commit().await.unwrap();
    part
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_changes_get_consecutive_positions_and_readers_never_see_a_gap() {
    on_each(async |store| {
        let environment = environment(&store).await;
        let start = journal::head(store.read(), environment).await.unwrap();
        let writers: Vec<_> = (0..8)
            .map(|writer| {
                let store = store.clone();
                tokio::spawn(async move {
                    for n in 0..25 {
                        append(&store, environment, credential(&format!("{writer}-{n}"))).await;
                    }
                })
            })
            .collect();
        let mut seen = start;
        while seen < start + 200 {
            for entry in journal::entries_after(store.read(), environment, seen, 50).await.unwrap() {
                assert_eq!(entry.position, seen + 1, "a reader saw a later entry before an earlier one");
                seen = entry.position;
            }
            tokio::task::yield_now().await;
        }
        for writer in writers {
            writer.await.unwrap();
        }
        assert_eq!(journal::head(store.read(), environment).await.unwrap(), start + 200);
    })
    .await;
}

#[tokio::test]
async fn a_change_that_is_rolled_back_takes_no_position() {
    on_each(async |store| {
        let environment = environment(&store).await;
        let first = append(&store, environment, credential("a")).await;
        let tx = store.begin().await.unwrap();
        assert_eq!(journal::append(&tx, environment, credential("b")).await.unwrap(), first + 1);
        drop(tx);
        assert_eq!(append(&store, environment, credential("c")).await, first + 1);
        let keys: Vec<_> = journal::snapshot(&store, environment).await.unwrap().credentials;
        let hashes: HashSet<_> = keys.iter().map(|key| key.hash).collect();
        assert_eq!(hashes, [Sha256Hash::of(b"a"), Sha256Hash::of(b"c")].into());
    })
    .await;
}

#[tokio::test]
async fn a_snapshot_is_what_the_entries_add_up_to() {
    on_each(async |store| {
        let environment = environment(&store).await;
        let (kept, withdrawn) = (ApiId::generate(), ApiId::generate());
        release(&store, environment, kept, b"one").await;
        let part = release(&store, environment, kept, b"two").await;
        release(&store, environment, withdrawn, b"three").await;
        let tx = store.begin().await.unwrap();
        let settings = EnvironmentSettings { max_offline_s: Some(7), ..EnvironmentSettings::default() };
        let changes = vec![
            credential("kept"),
            credential("revoked"),
            revocation("revoked"),
            credential("twice"),
            credential("twice"),
            Change::ApiWithdrawn { api: withdrawn },
            Change::SettingsSet(Box::new(settings.clone())),
            purge(kept),
        ];
        let head = journal::append_all(&tx, environment, changes).await.unwrap();
        tx.commit().await.unwrap();

        let snapshot = journal::snapshot(&store, environment).await.unwrap();
        assert_eq!(snapshot.position, head);
        assert_eq!(snapshot.settings, settings);
        assert_eq!(snapshot.apis.iter().map(|api| (api.api, api.part)).collect::<Vec<_>>(), [(kept, part)]);
        let keys: HashSet<_> = snapshot.credentials.iter().map(|key| key.hash).collect();
        assert_eq!(keys, [Sha256Hash::of(b"kept"), Sha256Hash::of(b"twice")].into());
        assert_eq!(snapshot.credentials.len(), 2);
        assert_eq!(snapshot.purges.iter().map(|entry| entry.position).collect::<Vec<_>>(), [head]);
        assert_eq!(snapshot.purges_from, 1);
    })
    .await;
}

#[tokio::test]
async fn environments_have_journals_of_their_own() {
    on_each(async |store| {
        let one = environment(&store).await;
        let tx = store.begin().await.unwrap();
        let new = sluice_contract::rest::environments::CreateEnvironment {
            slug: "staging".to_owned(),
            name: "Staging".to_owned(),
            dedicated_to: None,
        };
        let other = environments::create(&tx, &sluice_store::audit::Actor::system(), &new).await.unwrap().id;
        tx.commit().await.unwrap();
        let before = journal::head(store.read(), other).await.unwrap();
        append(&store, one, credential("a")).await;
        append(&store, one, credential("b")).await;
        assert_eq!(journal::head(store.read(), other).await.unwrap(), before);
        assert!(journal::snapshot(&store, other).await.unwrap().credentials.is_empty());
    })
    .await;
}

#[tokio::test]
async fn an_entry_that_names_a_part_that_is_not_there_is_refused() {
    on_each(async |store| {
        let environment = environment(&store).await;
        let tx = store.begin().await.unwrap();
        let released = ReleasedApi {
            api: ApiId::generate(),
            tenant: TenantId::generate(),
            release: ReleaseId::generate(),
            revision: 1,
            part: Sha256Hash::of(b"nowhere"),
        };
        let refused = journal::append(&tx, environment, Change::ApiReleased(released)).await;
        assert!(matches!(refused, Err(Error::Database(_))), "{refused:?}");
    })
    .await;
}

#[tokio::test]
async fn compaction_keeps_what_is_young_and_the_state_and_the_parts_that_are_served() {
    on_each(async |store| {
        let environment = environment(&store).await;
        let api = ApiId::generate();
        let old = release(&store, environment, api, b"old").await;
        let served = release(&store, environment, api, b"served").await;
        for n in 0..10 {
            append(&store, environment, credential(&n.to_string())).await;
        }
        let head = append(&store, environment, purge(api)).await;
        let before = journal::snapshot(&store, environment).await.unwrap();

        let young = Keep { entries: 0, age: TimeDelta::hours(1) };
        journal::compact_all(&store, young).await.unwrap();
        assert_eq!(journal::counter(store.read(), environment).await.unwrap().compacted_to, 0);

        // Of age zero everything is old; the newest three entries stay because of their number.
        let keep = Keep { entries: 3, age: TimeDelta::seconds(-1) };
        journal::compact_all(&store, keep).await.unwrap();
        let counter = journal::counter(store.read(), environment).await.unwrap();
        assert_eq!((counter.head, counter.compacted_to), (head, head - 3));
        let left = journal::entries_after(store.read(), environment, 0, 100).await.unwrap();
        assert_eq!(left.iter().map(|e| e.position).collect::<Vec<_>>(), [head - 2, head - 1, head]);
        assert_eq!(parts::get(store.read(), served).await.unwrap().unwrap(), b"served");
        assert_eq!(parts::get(store.read(), old).await.unwrap(), None);

        let after = journal::snapshot(&store, environment).await.unwrap();
        assert_eq!((after.apis, after.credentials), (before.apis, before.credentials));
        assert_eq!(after.purges_from, head - 2);
    })
    .await;
}

#[tokio::test]
async fn a_commit_wakes_who_waits_for_the_journal_and_a_rollback_does_not() {
    on_each(async |store| {
        let environment = environment(&store).await;
        let mut changes = store.journal_changes();
        changes.mark_unchanged();
        let tx = store.begin().await.unwrap();
        journal::append(&tx, environment, credential("a")).await.unwrap();
        assert!(!changes.has_changed().unwrap());
        drop(tx);
        assert!(!changes.has_changed().unwrap());
        append(&store, environment, credential("b")).await;
        assert!(changes.has_changed().unwrap());
    })
    .await;
}

#[tokio::test]
async fn a_new_incarnation_is_made_once_for_one_that_is_over() {
    on_each(async |store| {
        let first = journal::incarnation(store.read()).await.unwrap();
        let tx = store.begin().await.unwrap();
        let second = journal::new_incarnation(&tx, first).await.unwrap();
        assert_ne!(first, second);
        assert_eq!(journal::new_incarnation(&tx, first).await.unwrap(), second);
        tx.commit().await.unwrap();
        assert_eq!(journal::incarnation(store.read()).await.unwrap(), second);
    })
    .await;
}
