//! How far a journal position has got: which gateways serve it, how long each took, and who lags or failed.

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, Statement,
};
use sluice_contract::ids::{ApiId, EnvironmentId, GatewayId, IncarnationId};
use sluice_contract::journal::{Change, Position};
use sluice_contract::link::FailedPart;
use sluice_contract::part::Sha256Hash;
use sluice_contract::rest::releases::{GatewayProgress, Progress, ProgressState};
use sluice_entity::{gateway_acks, gateways, journal_state};
use uuid::Uuid;

use crate::gateways::{alive, applied};
use crate::{Result, journal};

/// A gateway that is behind for longer is a laggard.
const PATIENCE: TimeDelta = TimeDelta::seconds(30);
/// A gateway that was silent for longer before the change is not waited for, and not shown.
const FORGOTTEN: TimeDelta = TimeDelta::hours(1);

/// A change whose way to the gateways is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Awaited {
    pub environment: EnvironmentId,
    pub position: Position,
    /// When it became true.
    pub at: DateTime<Utc>,
    /// What must compile, when the change releases an API.
    pub part: Option<(ApiId, Sha256Hash)>,
}

/// How far a change has got.
///
/// # Errors
/// When the database fails.
pub async fn progress(db: &impl ConnectionTrait, awaited: &Awaited) -> Result<Progress> {
    World::read(db, std::slice::from_ref(awaited)).await?.progress(awaited)
}

/// The same for many changes, in their order, with as many queries as for one.
///
/// # Errors
/// When the database fails.
pub async fn progress_of_all(db: &impl ConnectionTrait, all: &[Awaited]) -> Result<Vec<Progress>> {
    let world = World::read(db, all).await?;
    all.iter().map(|awaited| world.progress(awaited)).collect()
}

/// What the progress of some changes is made from.
struct World {
    now: DateTime<Utc>,
    incarnation: IncarnationId,
    /// By environment, in the order of their names.
    gateways: HashMap<Uuid, Vec<gateways::Model>>,
    /// The first acknowledgement of each gateway that covers a position.
    acks: HashMap<(Uuid, i64), gateway_acks::Model>,
    /// What environments serve of the changes' APIs, by the keys of the journal's state.
    serving: HashMap<(Uuid, String), Change>,
}

impl World {
    async fn read(db: &impl ConnectionTrait, all: &[Awaited]) -> Result<Self> {
        Ok(Self {
            now: crate::now(),
            incarnation: journal::incarnation(db).await?,
            gateways: gateways_of(db, all).await?,
            acks: first_acks(db, all).await?,
            serving: serving(db, all).await?,
        })
    }

    fn progress(&self, awaited: &Awaited) -> Result<Progress> {
        let superseded = self.is_superseded(awaited);
        let mut gateways = Vec::new();
        for row in self.gateways.get(&awaited.environment.0).into_iter().flatten() {
            let ack = self.acks.get(&(row.id, journal::stored(awaited.position)));
            gateways.extend(of_gateway(row, ack, awaited, superseded, self.incarnation, self.now)?);
        }
        Ok(Progress { state: summary(&gateways, awaited, self.now), gateways })
    }

    /// Whether the API has another part now: what gateways say now is then about that one.
    fn is_superseded(&self, awaited: &Awaited) -> bool {
        let Some((api, part)) = awaited.part else { return false };
        let now = self.serving.get(&(awaited.environment.0, state_key(api)));
        !matches!(now, Some(Change::ApiReleased(released)) if released.part == part)
    }
}

async fn gateways_of(
    db: &impl ConnectionTrait,
    all: &[Awaited],
) -> Result<HashMap<Uuid, Vec<gateways::Model>>> {
    let environments: HashSet<_> = all.iter().map(|awaited| awaited.environment.0).collect();
    let rows = gateways::Entity::find()
        .filter(gateways::Column::EnvironmentId.is_in(environments))
        .filter(gateways::Column::RemovedAt.is_null())
        .order_by_asc(gateways::Column::Name)
        .all(db)
        .await?;
    let mut gateways: HashMap<_, Vec<_>> = HashMap::new();
    for row in rows {
        gateways.entry(row.environment_id).or_default().push(row);
    }
    Ok(gateways)
}

/// For each gateway and position one step into the primary key, however many acknowledgements there are.
async fn first_acks(
    db: &impl ConnectionTrait,
    all: &[Awaited],
) -> Result<HashMap<(Uuid, i64), gateway_acks::Model>> {
    let wanted: BTreeSet<_> =
        all.iter().map(|awaited| (awaited.environment.0, journal::stored(awaited.position))).collect();
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<_> = (0..wanted.len()).map(|n| format!("(${}, ${})", 2 * n + 1, 2 * n + 2)).collect();
    let find = format!(
        "WITH wanted (environment, awaited) AS (VALUES {}) \
         SELECT wanted.awaited, ack.* FROM wanted \
         JOIN gateways ON gateways.environment_id = wanted.environment AND gateways.removed_at IS NULL \
         JOIN gateway_acks AS ack ON ack.gateway_id = gateways.id AND ack.position = \
         (SELECT MIN(position) FROM gateway_acks WHERE gateway_id = gateways.id AND position >= wanted.awaited)",
        rows.join(", ")
    );
    let values = wanted.into_iter().flat_map(|(environment, position)| [environment.into(), position.into()]);
    let statement = Statement::from_sql_and_values(db.get_database_backend(), find, values);
    let mut acks = HashMap::new();
    for row in db.query_all_raw(statement).await? {
        let ack = gateway_acks::Model::from_query_result(&row, "")?;
        acks.insert((ack.gateway_id, row.try_get("", "awaited")?), ack);
    }
    Ok(acks)
}

async fn serving(db: &impl ConnectionTrait, all: &[Awaited]) -> Result<HashMap<(Uuid, String), Change>> {
    let environments: HashSet<_> = all.iter().map(|awaited| awaited.environment.0).collect();
    let keys: HashSet<_> = all.iter().filter_map(|awaited| Some(state_key(awaited.part?.0))).collect();
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = journal_state::Entity::find()
        .filter(journal_state::Column::EnvironmentId.is_in(environments))
        .filter(journal_state::Column::Key.is_in(keys))
        .all(db)
        .await?;
    let change =
        |row: journal_state::Model| Ok(((row.environment_id, row.key), serde_json::from_str(&row.change)?));
    rows.into_iter().map(change).collect()
}

fn state_key(api: ApiId) -> String {
    format!("api:{api}")
}

fn of_gateway(
    row: &gateways::Model,
    ack: Option<&gateway_acks::Model>,
    awaited: &Awaited,
    superseded: bool,
    incarnation: IncarnationId,
    now: DateTime<Utc>,
) -> Result<Option<GatewayProgress>> {
    let live = alive(row.last_seen_at, now);
    let applied = applied(row, incarnation) >= awaited.position;
    let expected = live || row.last_seen_at.is_some_and(|seen| seen > awaited.at - FORGOTTEN);
    if !expected {
        return Ok(None);
    }
    // One that enrolled later got the change with its snapshot: that took no time that anybody waited.
    let waited = row.enrolled_at <= awaited.at;
    let took = ack.filter(|_| applied && waited).map(|ack| (ack.received_at - awaited.at).num_milliseconds());
    let failed = match ack {
        Some(ack) if superseded => ack.failed_parts.as_deref(),
        _ => applied.then_some(row.failed_parts.as_str()),
    };
    Ok(Some(GatewayProgress {
        gateway: GatewayId(row.id),
        name: row.name.clone(),
        live,
        applied,
        took_ms: took.map(|took| u64::try_from(took).unwrap_or(0)),
        laggard: !applied && now - awaited.at > PATIENCE,
        failure: failure(failed, awaited)?,
    }))
}

fn failure(failed: Option<&str>, awaited: &Awaited) -> Result<Option<String>> {
    let (Some(failed), Some((api, part))) = (failed, awaited.part) else { return Ok(None) };
    let failed: Vec<FailedPart> = serde_json::from_str(failed)?;
    let ours = failed.into_iter().find(|failed| failed.api == api && failed.part == part);
    Ok(ours.map(|failed| failed.reason))
}

fn summary(gateways: &[GatewayProgress], awaited: &Awaited, now: DateTime<Utc>) -> ProgressState {
    let mut live = gateways.iter().filter(|gateway| gateway.live).peekable();
    if gateways.iter().any(|gateway| gateway.failure.is_some()) {
        ProgressState::Failed
    } else if live.peek().is_none() {
        // Nobody is up. It is done if it was done before they went.
        let reached = gateways.iter().any(|gateway| gateway.applied);
        if reached { ProgressState::Done } else { ProgressState::Waiting }
    } else if live.all(|gateway| gateway.applied) {
        ProgressState::Done
    } else if now - awaited.at > PATIENCE {
        ProgressState::Lagging
    } else {
        ProgressState::Running
    }
}
