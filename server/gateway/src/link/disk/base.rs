//! The base: the folded state at a position, in a file that is replaced whole.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sluice_contract::part::Sha256Hash;

use crate::link::failpoints::Failpoints;
use crate::link::files;
use crate::link::held::{Held, StoredHeld};

/// Shape of the base that this version writes.
const SCHEMA: u32 = 1;

/// The base as it is written.
#[derive(Serialize, Deserialize)]
pub(super) struct Base {
    schema: u32,
    /// First log whose entries come after this base.
    pub(super) log: u64,
    pub(super) held: StoredHeld,
}

pub(super) fn base_path(directory: &Path) -> PathBuf {
    directory.join("base.json")
}

/// Replaces the base; returns its bytes. It is one line of its body's hash, then the body.
pub(super) fn write_base(directory: &Path, log: u64, held: Held, failpoints: &Failpoints) -> io::Result<u64> {
    let body = serde_json::to_vec(&Base { schema: SCHEMA, log, held: held.into() })?;
    let bytes = [format!("{}\n", Sha256Hash::of(&body)).as_bytes(), &body].concat();
    files::replace(&base_path(directory), &bytes, failpoints)?;
    Ok(bytes.len() as u64)
}

/// The base and its bytes; None when there is none.
pub(super) fn read_base(directory: &Path) -> io::Result<Option<(Base, u64)>> {
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
