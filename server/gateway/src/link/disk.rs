//! The last configuration on disk: a base (the folded state at a position) and logs of the entries after it.
//!
//! An entry costs one append and one sync. Now and then the base is folded anew in the background: a new log is begun
//! first and the base that replaces the old one names it, so that at every moment base and logs together are the state
//! at some position, whatever dies when. Each line of a log carries a check of its bytes; a torn last line is as if it
//! had never arrived. When the disk refuses an entry, the base is removed: a gateway that cannot remember a revocation
//! must not start from a state without it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sluice_contract::journal::Entry;
use sluice_contract::part::Sha256Hash;

use super::failpoints::{Failpoints, Step};
use super::files;
use super::held::{Held, ServedParts, StoredHeld};

/// Bytes of the current log after which the base is folded anew, unless the base itself is larger.
const FOLD_AT: u64 = 4 << 20;
/// Shape of the base that this version writes.
const SCHEMA: u32 = 1;
/// Hex digits of a line's check.
const CHECK: usize = 16;

/// The configuration's directory.
pub(super) struct Disk {
    directory: PathBuf,
    failpoints: Arc<Failpoints>,
    log: Option<Log>,
    base_bytes: u64,
}

struct Log {
    number: u64,
    file: File,
    bytes: u64,
}

/// The base as it is written.
#[derive(Serialize, Deserialize)]
struct Base {
    schema: u32,
    /// First log whose entries come after this base.
    log: u64,
    held: StoredHeld,
}

/// A base to be folded in the background.
pub(super) struct Fold {
    directory: PathBuf,
    failpoints: Arc<Failpoints>,
    until_log: u64,
    served: ServedParts,
}

impl Disk {
    /// Opens a directory with what the last life left in it: None when there is nothing, or nothing whole.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub(super) fn open(directory: PathBuf, failpoints: Arc<Failpoints>) -> io::Result<(Self, Option<Held>)> {
        files::create_directory(&directory)?;
        let mut disk = Self { directory, failpoints, log: None, base_bytes: 0 };
        let held = disk.load().unwrap_or_else(|error| {
            tracing::error!(%error, "the configuration on disk is unusable; it will be taken anew");
            None
        });
        Ok((disk, held))
    }

    /// Whether what is on disk is what was last given to it.
    pub(super) fn is_current(&self) -> bool {
        self.log.is_some()
    }

    /// Adds entries. They outlive the process and the machine's power once this returns.
    ///
    /// # Errors
    /// When the disk refuses. Nothing is on disk from then on, until [`Self::replace`].
    pub(super) fn append(&mut self, entries: &[Entry]) -> io::Result<()> {
        let Some(log) = &mut self.log else { return Ok(()) };
        let lines = encode_lines(entries)?;
        self.failpoints.reach(Step::BeforePersist);
        let written =
            files::write(&mut log.file, &lines, &self.failpoints).and_then(|()| log.file.sync_data());
        match written {
            Ok(()) => {
                log.bytes += lines.len() as u64;
                Ok(())
            }
            Err(error) => {
                self.forget();
                Err(error)
            }
        }
    }

    /// Replaces everything.
    ///
    /// # Errors
    /// When the disk refuses. What was on disk is gone then too.
    pub(super) fn replace(&mut self, held: Held) -> io::Result<()> {
        self.failpoints.reach(Step::BeforePersist);
        let number = self.newest_log()?.map_or(0, |number| number + 1);
        let replaced = Log::create(&self.directory, number).and_then(|log| {
            self.base_bytes = write_base(&self.directory, number, held, &self.failpoints)?;
            self.log = Some(log);
            Ok(())
        });
        match replaced {
            Ok(()) => remove_logs_before(&self.directory, number),
            Err(error) => {
                self.forget();
                Err(error)
            }
        }
    }

    /// A fold to be run in the background when the log has grown enough for it.
    ///
    /// # Errors
    /// When no new log can be begun.
    pub(super) fn fold_if_due(&mut self, served: impl FnOnce() -> ServedParts) -> io::Result<Option<Fold>> {
        let due = FOLD_AT.max(self.base_bytes);
        let Some(log) = self.log.as_ref().filter(|log| log.bytes >= due) else { return Ok(None) };
        self.begin_log(log.number + 1).map(|()| Some(self.fold(served())))
    }

    /// A base has been folded, so large.
    pub(super) fn folded(&mut self, base_bytes: u64) {
        self.base_bytes = base_bytes;
    }

    fn begin_log(&mut self, number: u64) -> io::Result<()> {
        self.log = Some(Log::create(&self.directory, number)?);
        Ok(())
    }

    fn fold(&self, served: ServedParts) -> Fold {
        Fold {
            directory: self.directory.clone(),
            failpoints: Arc::clone(&self.failpoints),
            until_log: self.log.as_ref().map_or(0, |log| log.number),
            served,
        }
    }

    /// Fails closed: no configuration on disk rather than an old one.
    pub(super) fn forget(&mut self) {
        self.log = None;
        let removed = fs::remove_file(base_path(&self.directory));
        if let Err(error) = removed.or_else(ignore_missing) {
            tracing::error!(%error, "an outdated configuration could not be removed from the disk");
        }
    }

    fn load(&mut self) -> io::Result<Option<Held>> {
        let Some((base, base_bytes)) = read_base(&self.directory)? else { return Ok(None) };
        let (mut number, mut held) = (base.log, Held::from(base.held));
        let mut good = replay(&self.directory, number, &mut held)?;
        while let Some(next) = replay(&self.directory, number + 1, &mut held)? {
            (number, good) = (number + 1, Some(next));
        }
        self.log = Some(Log::open(&self.directory, number, good.unwrap_or(0))?);
        self.base_bytes = base_bytes;
        Ok(Some(held))
    }

    fn newest_log(&self) -> io::Result<Option<u64>> {
        let mut newest = None;
        for entry in fs::read_dir(&self.directory)? {
            newest = newest.max(log_number(&entry?.file_name().to_string_lossy()));
        }
        Ok(newest)
    }
}

impl Fold {
    /// Folds the logs before the current one into the base. Returns the state up to there and the base's bytes.
    ///
    /// # Errors
    /// When the disk refuses; then everything stays as it was.
    pub(super) fn run(self) -> io::Result<(Held, u64)> {
        let (base, _) = read_base(&self.directory)?.ok_or(io::ErrorKind::NotFound)?;
        let (first, mut held) = (base.log, Held::from(base.held));
        for number in first..self.until_log {
            replay(&self.directory, number, &mut held)?;
        }
        held.apis.forget_unserved(&self.served);
        let bytes = write_base(&self.directory, self.until_log, held.clone(), &self.failpoints)?;
        remove_logs_before(&self.directory, self.until_log)?;
        Ok((held, bytes))
    }
}

impl Log {
    fn create(directory: &Path, number: u64) -> io::Result<Self> {
        let path = log_path(directory, number);
        let file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&path)?;
        files::sync_directory_of(&path)?;
        Ok(Self { number, file, bytes: 0 })
    }

    /// Goes on after the last whole line.
    fn open(directory: &Path, number: u64, bytes: u64) -> io::Result<Self> {
        let path = log_path(directory, number);
        let mut file = OpenOptions::new().create(true).write(true).truncate(false).mode(0o600).open(path)?;
        file.set_len(bytes)?;
        file.seek(SeekFrom::Start(bytes))?;
        Ok(Self { number, file, bytes })
    }
}

fn ignore_missing(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

fn base_path(directory: &Path) -> PathBuf {
    directory.join("base.json")
}

fn log_path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number}.log"))
}

fn log_number(file_name: &str) -> Option<u64> {
    file_name.strip_suffix(".log")?.parse().ok()
}

/// The base is one line of its body's hash, then the body.
fn write_base(directory: &Path, log: u64, held: Held, failpoints: &Failpoints) -> io::Result<u64> {
    let body = serde_json::to_vec(&Base { schema: SCHEMA, log, held: held.into() })?;
    let bytes = [format!("{}\n", Sha256Hash::of(&body)).as_bytes(), &body].concat();
    files::replace(&base_path(directory), &bytes, failpoints)?;
    Ok(bytes.len() as u64)
}

fn read_base(directory: &Path) -> io::Result<Option<(Base, u64)>> {
    let bytes = match fs::read(base_path(directory)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "the base is damaged");
    let (hash, body) = bytes.split_at_checked(65).ok_or_else(damaged)?;
    if hash != format!("{}\n", Sha256Hash::of(body)).as_bytes() {
        return Err(damaged());
    }
    let base: Base = serde_json::from_slice(body)?;
    if base.schema > SCHEMA {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the base was written by a newer version"));
    }
    Ok(Some((base, bytes.len() as u64)))
}

fn encode_lines(entries: &[Entry]) -> io::Result<Vec<u8>> {
    let mut lines = Vec::new();
    for entry in entries {
        let json = serde_json::to_vec(entry)?;
        lines.extend_from_slice(&Sha256Hash::of(&json).to_string().as_bytes()[..CHECK]);
        lines.push(b' ');
        lines.extend_from_slice(&json);
        lines.push(b'\n');
    }
    Ok(lines)
}

fn decode_line(line: &[u8]) -> Option<Entry> {
    let (check, json) = line.strip_suffix(b"\n")?.split_at_checked(CHECK)?;
    let json = json.strip_prefix(b" ")?;
    (Sha256Hash::of(json).to_string().as_bytes()[..CHECK] == *check).then_some(())?;
    serde_json::from_slice(json).ok()
}

/// Applies a log's whole lines. Returns their bytes; None when there is no such log.
fn replay(directory: &Path, number: u64, held: &mut Held) -> io::Result<Option<u64>> {
    let bytes = match fs::read(log_path(directory, number)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut good = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let Some(entry) = decode_line(line) else { break };
        if entry.position != held.position + 1 {
            break;
        }
        held.apply(entry);
        good += line.len() as u64;
    }
    Ok(Some(good))
}

fn remove_logs_before(directory: &Path, number: u64) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if log_number(&entry.file_name().to_string_lossy()).is_some_and(|other| other < number) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Mutex;

    use chrono::DateTime;
    use sluice_contract::environment::EnvironmentSettings;
    use sluice_contract::ids::{ApiId, ApplicationId, CredentialId, IncarnationId, ReleaseId, TenantId};
    use sluice_contract::journal::{Change, CredentialEntry, Position, ReleasedApi, Snapshot};
    use tempfile::TempDir;
    use uuid::Uuid;

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
        assert_eq!(
            expected.apis.iter().next().unwrap().1.versions.len(),
            2,
            "the older version may be needed"
        );
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
}
