//! The gateway's own disk as second level: a folder that is this gateway's alone, so that it is warm again after a restart.
//!
//! `foyer` keeps the values, in blocks that are overwritten in the order in which they were filled. It writes behind, leaves a write
//! out when it cannot keep up, and may find an older value again when it is opened. So nothing depends on what it has last: each
//! value says until when it is of use and which number it has, and [`Changes`] says from which number on values of a URL count.

mod changes;
mod folder;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use foyer::{
    BlockEngineConfig, Device, DeviceBuilder as _, EvictionInfo, EvictionPicker, FifoPicker, FsDeviceBuilder,
    HybridCache, HybridCacheBuilder, HybridCachePolicy, InvalidRatioPicker, Load, PsyncIoEngineConfig,
};
use parking_lot::Mutex;
use sluice_contract::link::SecondLevelDisk;
use tokio::sync::Semaphore;

use super::Location;
use super::seal::Seal;
use super::server::{Failure, Found, Wrote};
use super::settings::SecondLevelSettings;
use super::wire::{Origin, unix_ms};
pub(super) use changes::Changes;
use folder::Folder;

/// Bytes of the smallest block; the largest value fits into it.
const SMALLEST_BLOCK: u64 = 8 << 20;
/// Blocks that the folder is divided into, where they are not smaller than that.
const BLOCKS: u64 = 64;
/// Bytes of values that are on their way to the disk. Twice as many are taken, once for those that are collected meanwhile.
const BUFFER: usize = 8 << 20;
/// What a value takes is counted in these.
const PAGE: usize = 4 << 10;
/// Bytes that stand around a value: its key, and what `foyer` notes of it.
const AROUND: usize = 256;
/// Of a value: until when it is of use, and its number.
const HEAD: usize = 16;
/// How long a disk that took nothing is left alone.
const REST: Duration = Duration::from_secs(1);
/// What is written when the folder is closed is bound to this.
const CLOSED: &[u8] = b"closed";

type Values = HybridCache<Vec<u8>, Vec<u8>>;

/// Clones share it.
#[derive(Clone)]
pub(super) struct Disk(Arc<Open>);

struct Open {
    folder: Folder,
    seal: Seal,
    values: Values,
    device: Arc<dyn Device>,
    changes: Arc<Changes>,
    max_bytes: u64,
    /// Pages of values that may be on their way.
    room: Semaphore,
    evicted_bytes: Arc<AtomicU64>,
    refused: Mutex<Option<Instant>>,
    is_closed: AtomicBool,
}

impl Disk {
    /// Takes over what the folder has if it was closed in order, and begins anew if not.
    pub(super) async fn open(settings: &SecondLevelSettings, path: &Path) -> Result<Self, String> {
        let max_bytes = settings.disk_max_bytes;
        let (folder, seal) = (Folder::open(path)?, Seal::new(settings.key.as_ref(), usize::MAX));
        let closed = folder.take_closed()?.and_then(|sealed| seal.open(CLOSED, &sealed).ok());
        let changes = match closed.and_then(|bytes| Changes::decode(&bytes, max_bytes)) {
            Some(changes) => changes,
            None => {
                folder.discard()?;
                Changes::default()
            }
        };
        let broken = |error: foyer::Error| format!("`{}` cannot be used: {error}", path.display());
        let capacity = usize::try_from(max_bytes).unwrap_or(usize::MAX);
        let device = FsDeviceBuilder::new(folder.values()).with_capacity(capacity).build().map_err(broken)?;
        let evicted_bytes = Arc::default();
        let values = open_values(&device, max_bytes, &evicted_bytes).await.map_err(broken)?;
        Ok(Self(Arc::new(Open {
            folder,
            seal,
            values,
            device,
            changes: Arc::new(changes),
            max_bytes,
            room: Semaphore::new(BUFFER / PAGE),
            evicted_bytes,
            refused: Mutex::default(),
            is_closed: AtomicBool::new(false),
        })))
    }

    pub(super) fn changes(&self) -> &Arc<Changes> {
        &self.0.changes
    }

    pub(super) async fn read(&self, location: &Location, fields: &[&[u8]]) -> Result<Found, Failure> {
        let mut values = Vec::with_capacity(fields.len());
        for field in fields {
            values.push(self.value(location, field).await?);
        }
        Ok(Found { era: self.0.changes.era(location), values })
    }

    async fn value(&self, location: &Location, field: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        let (key, store) = (key(location, field), self.0.values.storage());
        let was_there = store.may_contains(&key);
        let value = match store.load(&key).await.map_err(|error| Failure::Lost(error.to_string()))? {
            Load::Entry { value, .. } => value,
            Load::Piece { piece, .. } => piece.value().clone(),
            // Taken out by who has read it because it is not what was written. That is no value, and is counted as such.
            Load::Miss if was_there && !store.may_contains(&key) => return Ok(Some(Vec::new())),
            Load::Miss | Load::Throttled => return Ok(None),
        };
        Ok(self.in_use(location, value))
    }

    /// The value without its head, unless it has expired or the URL has changed since.
    fn in_use(&self, location: &Location, mut value: Vec<u8>) -> Option<Vec<u8>> {
        let (words, _) = value.get(..HEAD).unwrap_or_default().as_chunks::<8>();
        let [expires_ms, number] = *words else { return Some(Vec::new()) };
        let is_in_use = u64::from_le_bytes(expires_ms) > unix_ms()
            && self.0.changes.is_current(location, u64::from_le_bytes(number));
        is_in_use.then(|| value.split_off(HEAD))
    }

    pub(super) async fn write(
        &self,
        location: &Location,
        fields: &[(&[u8], &[u8])],
        seconds: u64,
        origin: &Origin,
    ) -> Result<Wrote, Failure> {
        let Some(number) = self.0.changes.number(location, origin) else { return Ok(Wrote::Outdated) };
        let expires_ms = unix_ms().saturating_add(seconds.saturating_mul(1_000));
        let head = [expires_ms.to_le_bytes(), number.to_le_bytes()].concat();
        for (field, value) in fields {
            self.put(key(location, field), [&head[..], value].concat()).await?;
        }
        Ok(Wrote::Done)
    }

    /// Returns once the disk has it.
    async fn put(&self, key: Vec<u8>, value: Vec<u8>) -> Result<(), Failure> {
        let Open { values, room, refused, .. } = &*self.0;
        let size = value.len() + AROUND;
        if size > BUFFER - PAGE {
            return Err(Failure::TooLarge);
        }
        if refused.lock().is_some_and(|since| since.elapsed() < REST) {
            return Err(Failure::Refused("it took nothing a moment ago".to_owned()));
        }
        let pages = u32::try_from(size.div_ceil(PAGE)).unwrap_or(u32::MAX);
        let _room = room.acquire_many(pages).await.map_err(|error| Failure::Lost(error.to_string()))?;
        let store = values.storage();
        // What it replaces is gone even if this does not arrive.
        store.delete(&key);
        drop(values.storage_writer(key.clone()).force().insert(value));
        store.wait().await;
        if store.may_contains(&key) {
            return Ok(());
        }
        *refused.lock() = Some(Instant::now());
        Err(Failure::Refused("the disk did not take it".to_owned()))
    }

    /// Reads something there, past what is in memory of it.
    pub(super) async fn ping(&self) -> Result<(), Failure> {
        let open = Arc::clone(&self.0);
        let read = tokio::task::spawn_blocking(move || open.folder.probe()).await;
        let lost = |error: &dyn std::fmt::Display| Failure::Lost(error.to_string());
        read.map_err(|error| lost(&error))?.map_err(|error| lost(&error))
    }

    pub(super) async fn figures(&self) -> Result<SecondLevelDisk, Failure> {
        let open = Arc::clone(&self.0);
        let held = tokio::task::spawn_blocking(move || open.folder.held_bytes()).await;
        let lost = |error: &dyn std::fmt::Display| Failure::Lost(error.to_string());
        let statistics = self.0.values.statistics();
        Ok(SecondLevelDisk {
            held_bytes: held.map_err(|error| lost(&error))?.map_err(|error| lost(&error))?,
            max_bytes: self.0.max_bytes,
            evicted_bytes: self.0.evicted_bytes.load(Ordering::Relaxed),
            read_bytes: statistics.disk_read_bytes() as u64,
            written_bytes: statistics.disk_write_bytes() as u64,
        })
    }

    /// Writes what is on its way, and at last that this was so. What is changed later is lost.
    pub(super) async fn close(&self) -> Result<(), String> {
        self.0.values.close().await.map_err(|error| error.to_string())?;
        let changes = self.0.changes.encode(self.0.max_bytes);
        let sealed = self.0.seal.close(CLOSED, changes).ok_or("it cannot be sealed")?;
        let open = Arc::clone(&self.0);
        let closed = tokio::task::spawn_blocking(move || open.folder.close(&sealed)).await;
        closed.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        self.0.is_closed.store(true, Ordering::Relaxed);
        Ok(())
    }
}

impl Drop for Open {
    /// `foyer` hands its files to other threads by their numbers. What may still be written must not find another file under one:
    /// they stay open until the process ends.
    fn drop(&mut self) {
        if !self.is_closed.load(Ordering::Relaxed) {
            std::mem::forget(Arc::clone(&self.device));
        }
    }
}

async fn open_values(
    device: &Arc<dyn Device>,
    max_bytes: u64,
    evicted_bytes: &Arc<AtomicU64>,
) -> foyer::Result<Values> {
    let block = usize::try_from((max_bytes / BLOCKS).max(SMALLEST_BLOCK)).unwrap_or(usize::MAX) / PAGE * PAGE;
    let engine = BlockEngineConfig::new(Arc::clone(device))
        .with_block_size(block)
        .with_buffer_pool_size(BUFFER)
        // `room` keeps less than that on its way.
        .with_submit_queue_size_threshold(2 * BUFFER)
        .with_eviction_pickers(vec![
            Box::new(Evicted { block: block as u64, bytes: Arc::clone(evicted_bytes) }),
            Box::new(InvalidRatioPicker::new(0.8)),
            Box::<FifoPicker>::default(),
        ]);
    // What is in memory is the first level's: nothing stays in this one.
    HybridCacheBuilder::new()
        .with_policy(HybridCachePolicy::WriteOnInsertion)
        .with_flush_on_close(false)
        .memory(1)
        .with_shards(1)
        .storage()
        .with_io_engine_config(PsyncIoEngineConfig::new())
        .with_engine_config(engine)
        .build()
        .await
}

/// Picks nothing and counts what the others pick.
#[derive(Debug)]
struct Evicted {
    block: u64,
    bytes: Arc<AtomicU64>,
}

impl EvictionPicker for Evicted {
    fn pick(&mut self, _: EvictionInfo<'_>) -> Option<u32> {
        None
    }

    fn on_block_evictable(&mut self, _: EvictionInfo<'_>, _: u32) {}

    fn on_block_evict(&mut self, _: EvictionInfo<'_>, _: u32) {
        self.bytes.fetch_add(self.block, Ordering::Relaxed);
    }
}

fn key(location: &Location, field: &[u8]) -> Vec<u8> {
    [&location.0[..], field].concat()
}

#[cfg(test)]
mod tests {
    use sluice_contract::ids::{ApiId, EnvironmentId, IncarnationId};
    use tempfile::TempDir;

    use super::*;

    const FIELD: &[u8] = &[7; 32];

    /// The smallest there is, with a place in it.
    async fn smallest() -> (TempDir, Disk, Location) {
        let folder = tempfile::tempdir().unwrap();
        let settings = SecondLevelSettings::new(vec![format!("disk:{}", folder.path().display())]);
        let settings = SecondLevelSettings { disk_max_bytes: 64 << 20, ..settings };
        let disk = Disk::open(&settings, folder.path()).await.unwrap();
        (folder, disk, Location::new(EnvironmentId::generate(), ApiId::generate(), "/", b""))
    }

    async fn write(disk: &Disk, location: &Location, value: &[u8]) -> Result<Wrote, Failure> {
        let incarnation = IncarnationId::generate();
        let origin = Origin { incarnation, position: 1, boot: 1, at: 1, begun_ms: 1, made_ms: 1 };
        disk.write(location, &[(FIELD, value)], 60, &origin).await
    }

    async fn length(disk: &Disk, location: &Location) -> Option<usize> {
        disk.read(location, &[FIELD]).await.unwrap().values.remove(0).map(|value| value.len())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_largest_value_finds_room_and_a_larger_one_is_refused_at_once() {
        let (_folder, disk, location) = smallest().await;
        let largest = BUFFER - PAGE - AROUND - HEAD;
        let refused = write(&disk, &location, &vec![1; largest + 1]).await;
        assert!(matches!(refused, Err(Failure::TooLarge)), "{refused:?}");
        assert_eq!(length(&disk, &location).await, None);
        assert_eq!(write(&disk, &location, &vec![1; largest]).await.unwrap(), Wrote::Done);
        assert_eq!(length(&disk, &location).await, Some(largest));
        disk.close().await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_disk_that_took_nothing_is_left_alone_for_a_while() {
        let (_folder, disk, location) = smallest().await;
        *disk.0.refused.lock() = Some(Instant::now());
        assert!(matches!(write(&disk, &location, b"x").await, Err(Failure::Refused(_))));
        *disk.0.refused.lock() = Instant::now().checked_sub(REST);
        assert_eq!(write(&disk, &location, b"x").await.unwrap(), Wrote::Done);
        disk.close().await.unwrap();
    }

    /// How many files of the folder this process has open.
    fn open_files(folder: &TempDir) -> usize {
        let all = std::fs::read_dir("/proc/self/fd").unwrap();
        let files = all.filter_map(|file| std::fs::read_link(file.unwrap().path()).ok());
        files.filter(|file| file.starts_with(folder.path().join("sluice-cache-values"))).count()
    }

    #[test]
    fn files_stay_open_for_what_may_still_be_written_unless_the_folder_was_closed_in_order() {
        for closed in [true, false] {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            let folder = runtime.block_on(async {
                let (folder, disk, _) = smallest().await;
                if closed {
                    disk.close().await.unwrap();
                }
                assert!(open_files(&folder) > 0);
                folder
            });
            drop(runtime);
            assert_eq!(open_files(&folder) == 0, closed);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_folder_that_cannot_be_read_any_more_does_not_answer() {
        let (folder, disk, location) = smallest().await;
        assert_eq!(write(&disk, &location, b"x").await.unwrap(), Wrote::Done);
        disk.ping().await.unwrap();
        folder.close().unwrap();
        assert!(matches!(disk.ping().await, Err(Failure::Lost(_))));
    }
}
