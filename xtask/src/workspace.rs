//! Where things are: the repository, cargo's target folder, and the folders that tasks keep their output in.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::process;

pub struct Workspace {
    pub root: PathBuf,
    /// Cargo's target folder, wherever `CARGO_TARGET_DIR` puts it.
    pub target: PathBuf,
}

impl Workspace {
    pub fn find() -> Result<Self> {
        let here = std::env::current_dir().context("the current folder is gone")?;
        let text = process::output(process::cargo(&here).args([
            "metadata",
            "--no-deps",
            "--format-version",
            "1",
            "--locked",
        ]))?;
        let metadata: Value =
            serde_json::from_str(&text).context("`cargo metadata` printed something else than JSON")?;
        let folder = |key: &str| -> Result<PathBuf> {
            Ok(PathBuf::from(
                metadata[key].as_str().with_context(|| format!("`cargo metadata` has no {key}"))?,
            ))
        };
        Ok(Self { root: folder("workspace_root")?, target: folder("target_directory")? })
    }

    /// The built console. Always below the repository, because the control plane embeds it from there.
    pub fn console(&self) -> PathBuf {
        self.root.join("target").join("console")
    }

    /// Programs that tasks install for themselves.
    pub fn tools(&self) -> PathBuf {
        self.root.join("target").join("tools")
    }
}
