//! What is on disk after a restart, after damage, and after a kill at any step.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Mutex;

use chrono::DateTime;
use sluice_contract::environment::EnvironmentSettings;
use sluice_contract::ids::{ApiId, ApplicationId, CredentialId, IncarnationId, ReleaseId, TenantId};
use sluice_contract::journal::{Change, CredentialEntry, Position, ReleasedApi, Snapshot};
use sluice_contract::part::Sha256Hash;
use tempfile::TempDir;
use uuid::Uuid;

use super::base::base_path;
use super::log::log_path;
use super::*;

fn snapshot(position: Position) -> Snapshot {
    Snapshot {
        incarnation: IncarnationId(Uuid::from_u128(1)),
        position,
        settings: EnvironmentSettings::default(),
        apis: Vec::new(),
        credentials: Vec::new(),
        purges: Vec::new(),
        purges_from: 0,
    }
}

fn held(position: Position) -> Held {
    Held::of_snapshot(snapshot(position), &Default::default())
}

fn entry(position: Position, change: Change) -> Entry {
    Entry { position, at: DateTime::UNIX_EPOCH, change }
}

fn key_set(position: Position) -> Entry {
    let id = Uuid::from_u128(position.into());
    let credential = CredentialEntry {
        hash: Sha256Hash::of(&position.to_le_bytes()),
        credential: CredentialId(id),
        application: ApplicationId(id),
        application_name: "x".repeat(100),
        tenant: TenantId(id),
        expires_at: None,
        policies: Vec::new(),
        subscriptions: Vec::new(),
    };
    entry(position, Change::CredentialSet(Box::new(credential)))
}

fn released(api: u128, part: &str) -> Change {
    Change::ApiReleased(ReleasedApi {
        api: ApiId(Uuid::from_u128(api)),
        tenant: TenantId(Uuid::nil()),
        release: ReleaseId(Uuid::nil()),
        revision: 1,
        part: Sha256Hash::of(part.as_bytes()),
    })
}

fn open(directory: &TempDir) -> (Disk, Option<Held>) {
    Disk::open(directory.path().to_owned(), Arc::default()).unwrap()
}

fn begun(directory: &TempDir) -> (Disk, Held) {
    let (mut disk, nothing) = open(directory);
    assert_eq!(nothing, None);
    disk.replace(held(10)).unwrap();
    (disk, held(10))
}

fn append(disk: &mut Disk, expected: &mut Held, entry: Entry) {
    disk.append(std::slice::from_ref(&entry)).unwrap();
    expected.apply(entry);
}

#[test]
fn entries_are_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let (mut disk, mut expected) = begun(&directory);
    append(&mut disk, &mut expected, key_set(11));
    append(&mut disk, &mut expected, entry(12, released(1, "a")));
    append(&mut disk, &mut expected, entry(13, released(1, "b")));
    append(
        &mut disk,
        &mut expected,
        entry(14, Change::CredentialRemoved { hash: Sha256Hash::of(&11_u64.to_le_bytes()) }),
    );
    let (mut disk, loaded) = open(&directory);
    assert_eq!(loaded.as_ref(), Some(&expected));
    assert_eq!(expected.apis.iter().next().unwrap().1.versions.len(), 2, "the older version may be needed");
    append(&mut disk, &mut expected, key_set(15));
    assert_eq!(open(&directory).1, Some(expected));
}

#[test]
fn a_torn_line_is_as_if_it_had_never_arrived_and_the_next_replaces_it() {
    let directory = tempfile::tempdir().unwrap();
    let (mut disk, mut expected) = begun(&directory);
    append(&mut disk, &mut expected, key_set(11));
    disk.append(&[key_set(12)]).unwrap();
    let log = log_path(directory.path(), 0);
    let bytes = fs::read(&log).unwrap();
    for torn in [bytes.len() - 1, bytes.len() - 50] {
        fs::write(&log, &bytes[..torn]).unwrap();
        let (mut disk, loaded) = open(&directory);
        assert_eq!(loaded.as_ref(), Some(&expected));
        let mut longer = expected.clone();
        append(&mut disk, &mut longer, key_set(12));
        assert_eq!(open(&directory).1, Some(longer));
    }
}

#[test]
fn a_damaged_base_is_no_base() {
    let directory = tempfile::tempdir().unwrap();
    let (_, _) = begun(&directory);
    let path = base_path(directory.path());
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, bytes).unwrap();
    let (mut disk, loaded) = open(&directory);
    assert_eq!(loaded, None);
    disk.replace(held(20)).unwrap();
    assert_eq!(open(&directory).1, Some(held(20)));
}

#[test]
fn a_disk_that_refuses_an_entry_leaves_no_state_rather_than_an_old_one() {
    let directory = tempfile::tempdir().unwrap();
    let (mut disk, _) = begun(&directory);
    // A file opened for reading refuses writes as a full disk does.
    disk.log.as_mut().unwrap().file = File::open(log_path(directory.path(), 0)).unwrap();
    assert!(disk.append(&[key_set(11)]).is_err());
    assert!(!disk.is_current());
    disk.append(&[key_set(12)]).unwrap();
    assert_eq!(open(&directory).1, None);
    disk.replace(held(30)).unwrap();
    assert!(disk.is_current());
    assert_eq!(open(&directory).1, Some(held(30)));
}

#[test]
fn folding_changes_nothing_but_what_is_no_longer_served() {
    let directory = tempfile::tempdir().unwrap();
    let (mut disk, mut expected) = begun(&directory);
    for (position, part) in (11..).zip(["a", "b", "c"]) {
        append(&mut disk, &mut expected, entry(position, released(1, part)));
    }
    assert!(disk.fold_if_due(HashMap::new).unwrap().is_none());
    let mut position = 14;
    while disk.log.as_ref().unwrap().bytes < FOLD_AT {
        let entries: Vec<Entry> = (position..position + 500).map(key_set).collect();
        position += 500;
        disk.append(&entries).unwrap();
        entries.into_iter().for_each(|entry| expected.apply(entry));
    }
    let served = HashMap::from([(ApiId(Uuid::from_u128(1)), Sha256Hash::of(b"a"))]);
    let fold = disk.fold_if_due(|| served.clone()).unwrap().unwrap();
    // Entries that arrive while the fold runs.
    append(&mut disk, &mut expected, key_set(position));
    assert_eq!(open(&directory).1.as_ref(), Some(&expected), "before the fold");
    let (_, bytes) = fold.run().unwrap();
    disk.folded(bytes);
    append(&mut disk, &mut expected, key_set(position + 1));
    expected.apis.forget_unserved(&served);
    assert_eq!(expected.apis.parts(), [b"a", b"c"].map(|part| Sha256Hash::of(part)).into());
    assert_eq!(open(&directory).1, Some(expected));
    assert!(!log_path(directory.path(), 0).exists());
}

/// Copies the directory at every step of `act`, as a kill there would leave it, and loads each copy.
fn states_after_a_kill(
    prepare: impl FnOnce(&mut Disk),
    act: impl FnOnce(&mut Disk),
) -> Vec<(Step, Option<Held>)> {
    let directory = tempfile::tempdir().unwrap();
    let copies: Arc<Mutex<Vec<(Step, TempDir)>>> = Arc::default();
    let (source, taken) = (directory.path().to_owned(), Arc::clone(&copies));
    let failpoints = Failpoints::observed(move |step| taken.lock().unwrap().push((step, copy(&source))));
    let (mut disk, _) = Disk::open(directory.path().to_owned(), Arc::new(failpoints)).unwrap();
    prepare(&mut disk);
    copies.lock().unwrap().clear();
    act(&mut disk);
    let copies = std::mem::take(&mut *copies.lock().unwrap());
    copies.into_iter().map(|(step, copy)| (step, open(&copy).1)).collect()
}

fn copy(source: &Path) -> TempDir {
    let to = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(source).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.path().join(entry.file_name())).unwrap();
    }
    to
}

#[test]
fn a_kill_while_appending_leaves_the_old_or_the_new_state() {
    let states = states_after_a_kill(
        |disk| disk.replace(held(10)).unwrap(),
        |disk| disk.append(&[key_set(11)]).unwrap(),
    );
    assert_eq!(
        states.iter().map(|(step, _)| *step).collect::<Vec<_>>(),
        [Step::BeforePersist, Step::MidWrite]
    );
    assert!(states.iter().all(|(_, state)| *state == Some(held(10))), "{states:?}");
}

#[test]
fn a_kill_while_taking_a_snapshot_leaves_the_old_or_the_new_state() {
    let old = {
        let mut old = held(10);
        old.apply(key_set(11));
        old
    };
    let states = states_after_a_kill(
        |disk| {
            disk.replace(held(10)).unwrap();
            disk.append(&[key_set(11)]).unwrap();
        },
        |disk| disk.replace(held(50)).unwrap(),
    );
    let expected = [
        (Step::BeforePersist, Some(old.clone())),
        (Step::MidWrite, Some(old)),
        (Step::AfterRename, Some(held(50))),
    ];
    assert_eq!(states, expected);
}
