//! Beginning of what nobody asked for: plans that are due, and gateways that have come up.

use sluice_store::audit::Actor;
use sluice_store::warmings::{self, Arrival, Due, Urls};
use sluice_store::{Error, Result, Tx};

use super::sources::{self, Unresolved};
use crate::state::App;

/// What the sources of a plan gave, or why they gave nothing.
type Given = std::result::Result<Urls, String>;

/// Begins what is due.
pub(super) async fn plan(app: App, due: Due) {
    let Some(urls) = urls(&app, &due).await else { return };
    let begun = async {
        let tx = app.store.begin().await?;
        if !warmings::take_due(&tx, &due).await? {
            return Ok(());
        }
        create(&tx, &due, urls).await?;
        tx.commit().await
    };
    warn(begun.await);
}

/// Begins the plans that warm a gateway that has come up.
pub(super) async fn arrival(app: App, arrival: Arrival) {
    let begun = async {
        let mut given = Vec::new();
        for due in warmings::plans_for(app.store.read(), arrival).await? {
            // One whose sources fail keeps the others from nothing.
            if let Some(urls) = urls(&app, &due).await {
                given.push((due, urls));
            }
        }
        let tx = app.store.begin().await?;
        if !warmings::take_arrival(&tx, arrival).await? {
            return Ok(());
        }
        for (due, urls) in given {
            create(&tx, &due, urls).await?;
        }
        tx.commit().await
    };
    warn(begun.await);
}

fn warn(begun: Result<()>) {
    if let Err(error) = begun {
        tracing::warn!(%error, "a warming could not begin; it will be tried again");
    }
}

/// None: it has to be tried again.
async fn urls(app: &App, due: &Due) -> Option<Given> {
    match sources::resolve(app, due.what, &due.plan).await {
        Ok(urls) => Some(Ok(urls)),
        Err(Unresolved::Source { message, .. }) => Some(Err(message)),
        Err(Unresolved::Failed(error)) => {
            tracing::warn!(%error, "the sources of a plan could not be looked at; it will be tried again");
            None
        }
    }
}

/// Where it cannot begin, that is kept for people to see.
async fn create(tx: &Tx, due: &Due, urls: Given) -> Result<()> {
    let begun = match urls {
        Ok(urls) => warmings::create(tx, &Actor::system(), due.what, &due.plan, &urls).await,
        Err(message) => Err(Error::conflict("no_urls", message)),
    };
    let of_gateway = due.what.only.is_some();
    let problem = match begun {
        Ok(_) => return Ok(()),
        // The one that goes on does for this one too.
        Err(Error::Conflict { code: "already_warming", .. }) => return Ok(()),
        // There is nothing for a gateway to begin with, or it has gone again.
        Err(
            Error::Conflict { code: "not_live" | "no_gateway", .. } | Error::NotFound | Error::Invalid(_),
        ) if of_gateway => {
            return Ok(());
        }
        Err(Error::Conflict { message, .. }) => message,
        Err(error) => return Err(error),
    };
    warmings::create_failed(tx, due.what, &due.plan, problem).await?;
    Ok(())
}
