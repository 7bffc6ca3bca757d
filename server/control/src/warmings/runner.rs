//! Begins warmings whose time has come, and sees to the gateways that are connected here. Several control planes do so at once:
//! the database says which of them takes what.

use std::time::Duration;

use chrono::TimeDelta;
use sluice_contract::rest::warmings::GatewayWarmingState;
use sluice_store::audit::Actor;
use sluice_store::warmings::{self, Due, Open, OpenGateway};
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

use super::{drive, sources};
use crate::state::App;

const EVERY: Duration = Duration::from_millis(500);
/// How long a gateway is waited for that lives but is connected to no control plane that could ask it.
const PATIENCE: TimeDelta = TimeDelta::minutes(2);

/// Starts; it ends when the control plane stops.
pub(crate) fn start(app: &App) {
    let app = app.clone();
    tokio::spawn(async move {
        let runner = Uuid::now_v7();
        let mut clock = tokio::time::interval(EVERY);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = app.stopping.cancelled() => return,
                _ = clock.tick() => {}
            }
            if let Err(error) = look(&app, runner).await {
                tracing::warn!(%error, "warmings could not be seen to; it will be tried again");
            }
        }
    });
}

async fn look(app: &App, runner: Uuid) -> sluice_store::Result<()> {
    for due in warmings::due(app.store.read()).await? {
        begin(app, &due).await?;
    }
    for open in warmings::open(app.store.read()).await? {
        for gateway in &open.gateways {
            see_to(app, &open, gateway, runner).await?;
        }
    }
    Ok(())
}

/// Begins what is due; where it cannot be begun, that is kept for people to see.
async fn begin(app: &App, due: &Due) -> sluice_store::Result<()> {
    let urls = sources::resolve(app, due.what, &due.plan.sources).await?;
    let tx = app.store.begin().await?;
    if !warmings::take_due(&tx, due).await? {
        return Ok(());
    }
    let begun = warmings::create(&tx, &Actor::system(), due.what, &due.plan, &urls).await;
    let problem = match begun {
        Ok(_) => return tx.commit().await,
        // The one that goes on does for this one too.
        Err(sluice_store::Error::Conflict { code: "already_warming", .. }) => return tx.commit().await,
        Err(sluice_store::Error::Conflict { message, .. }) => message,
        Err(error) => return Err(error),
    };
    warmings::create_failed(&tx, due.what, &due.plan, problem).await?;
    tx.commit().await
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
