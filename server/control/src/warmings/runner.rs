//! Begins warmings whose time has come, and sees to the gateways that are connected here. Several control planes do so at once:
//! the database says which of them takes what.

use std::collections::HashMap;
use std::time::Duration;

use chrono::TimeDelta;
use sluice_contract::ids::{ApiId, EnvironmentId, GatewayId};
use sluice_contract::rest::warmings::GatewayWarmingState;
use sluice_store::warmings::{self, Open, OpenGateway};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

use super::{begin, drive};
use crate::state::App;

const EVERY: Duration = Duration::from_millis(500);
/// How long a gateway is waited for that lives but is connected to no control plane that could ask it.
const PATIENCE: TimeDelta = TimeDelta::minutes(2);

/// Starts; it ends when the control plane stops.
pub(crate) fn start(app: &App) {
    let app = app.clone();
    tokio::spawn(async move {
        let runner = Uuid::now_v7();
        let mut beginning = Beginning::new();
        let mut clock = tokio::time::interval(EVERY);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = app.stopping.cancelled() => return,
                _ = clock.tick() => {}
            }
            if let Err(error) = look(&app, runner, &mut beginning).await {
                tracing::warn!(%error, "warmings could not be seen to; it will be tried again");
            }
        }
    });
}

/// What is begun, whose URLs are being had: that takes its time where they come from a sitemap.
type Beginning = HashMap<Occasion, JoinHandle<()>>;

#[derive(PartialEq, Eq, Hash)]
enum Occasion {
    Plan(ApiId, EnvironmentId),
    Gateway(GatewayId),
}

async fn look(app: &App, runner: Uuid, beginning: &mut Beginning) -> sluice_store::Result<()> {
    beginning.retain(|_, task| !task.is_finished());
    for due in warmings::due(app.store.read()).await? {
        let occasion = Occasion::Plan(due.what.api, due.what.environment);
        beginning.entry(occasion).or_insert_with(|| tokio::spawn(begin::plan(app.clone(), due)));
    }
    for arrival in warmings::arrivals(app.store.read()).await? {
        let occasion = Occasion::Gateway(arrival.gateway);
        beginning.entry(occasion).or_insert_with(|| tokio::spawn(begin::arrival(app.clone(), arrival)));
    }
    for open in warmings::open(app.store.read()).await? {
        for gateway in &open.gateways {
            see_to(app, &open, gateway, runner).await?;
        }
    }
    Ok(())
}

async fn see_to(app: &App, open: &Open, gateway: &OpenGateway, runner: Uuid) -> sluice_store::Result<()> {
    let id = gateway.gateway;
    if open.cancelled {
        return drive::end(app, open.id, id, GatewayWarmingState::Cancelled, None).await;
    }
    if !app.link.questions().is_listening(id) {
        let given_up = sluice_store::now() - open.created_at > PATIENCE;
        return match gateway.alive && !given_up {
            true => Ok(()),
            false => drive::end(app, open.id, id, GatewayWarmingState::NotReached, None).await,
        };
    }
    let tx = app.store.begin().await?;
    let share = warmings::claim(&tx, open.id, id, runner).await?;
    tx.commit().await?;
    if let Some(share) = share {
        tokio::spawn(drive::drive(app.clone(), open.clone(), gateway.name.clone(), share));
    }
    Ok(())
}
