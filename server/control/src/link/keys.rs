//! Keys of the link: made once, kept sealed in the database, the same for every control plane on it.

use anyhow::Context;
use sluice_store::{Store, secrets};

use crate::seal::{Sealed, Sealer};

const SCOPE: &str = "link";

/// The key of this name. `make` is asked for one when there is none yet; of several control planes that start at
/// once, one wins and all get its key.
///
/// # Errors
/// When the database fails, or the key was sealed with a master key that is not known here.
pub(super) async fn load_or_make(
    store: &Store,
    sealer: &Sealer,
    name: &str,
    make: impl FnOnce() -> anyhow::Result<Vec<u8>>,
) -> anyhow::Result<Vec<u8>> {
    let about = format!("{SCOPE}/{name}");
    let sealed = match secrets::get(store.read(), SCOPE, name).await? {
        Some(sealed) => sealed,
        None => {
            let new = sealer.seal(&about, &make()?)?;
            let tx = store.begin().await?;
            let kept = secrets::get_or_put(&tx, SCOPE, name, new.0).await?;
            tx.commit().await?;
            kept
        }
    };
    sealer
        .open(&about, &Sealed(sealed))
        .with_context(|| format!("the key {about} in the database does not open with this master key: give the one that the installation began with (--master-key-file)"))
}
