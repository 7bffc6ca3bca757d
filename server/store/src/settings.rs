//! Settings of the platform that people may change at run time: one row, defaults until somebody saves.

use sea_orm::{ActiveModelTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QuerySelect, Set};
use sluice_contract::rest::settings::PlatformSettings;
use sluice_entity::settings;

use crate::audit::{self, Actor, Change, seen};
use crate::error::{Error, Result};
use crate::{Tx, check_version, text};

const ROW: i32 = 1;

/// The settings and their version (0 before anybody saved).
///
/// # Errors
/// When the database fails.
pub async fn get(db: &impl ConnectionTrait) -> Result<(PlatformSettings, u64)> {
    match settings::Entity::find_by_id(ROW).one(db).await? {
        Some(row) => Ok((serde_json::from_value(row.value)?, crate::version(row.version))),
        None => Ok((PlatformSettings::default(), 0)),
    }
}

/// Saves the settings when they are still at `version`. Returns the new version.
///
/// # Errors
/// [`Error::Stale`], [`Error::Invalid`].
pub async fn update(tx: &Tx, actor: &Actor, version: u64, new: &PlatformSettings) -> Result<u64> {
    validate(new)?;
    let (before, _) = get(tx).await?;
    let value = serde_json::to_value(new)?;
    let next = match settings::Entity::find_by_id(ROW).lock_exclusive().one(tx).await? {
        Some(row) => {
            let next = check_version(row.version, version)?;
            let mut row = row.into_active_model();
            row.value = Set(value);
            row.version = Set(next);
            row.update(tx).await?;
            next
        }
        None => {
            let next = check_version(0, version)?;
            settings::ActiveModel { id: Set(ROW), value: Set(value), version: Set(next) }.insert(tx).await?;
            next
        }
    };
    let change = Change {
        tenant: None,
        action: "update_settings",
        resource: "settings",
        id: "platform".to_owned(),
        name: "Platform settings",
        before: seen(&before)?,
        after: seen(new)?,
    };
    audit::record(tx, actor, change).await?;
    Ok(crate::version(next))
}

fn validate(settings: &PlatformSettings) -> Result<()> {
    let PlatformSettings {
        call_retention_days,
        rollup_retention_days,
        audit_retention_days,
        session_idle_minutes,
        session_absolute_hours,
    } = *settings;
    text::all([
        between("/call_retention_days", call_retention_days, 1, 3650),
        between("/rollup_retention_days", rollup_retention_days, 1, 3650),
        between("/audit_retention_days", audit_retention_days, 30, 3650),
        between("/session_idle_minutes", session_idle_minutes, 5, 24 * 60),
        between("/session_absolute_hours", session_absolute_hours, 1, 30 * 24),
    ])
}

fn between(pointer: &str, value: u32, least: u32, most: u32) -> Result<()> {
    if (least..=most).contains(&value) {
        Ok(())
    } else {
        Err(Error::invalid(pointer, "out_of_range", format!("{least} to {most}")))
    }
}
