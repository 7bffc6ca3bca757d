//! `sluice migrate`: brings both schemas up to date (management and telemetry), and gives a restored database a new
//! incarnation.

use anyhow::Context;
use clap::{Arg, ArgAction, ArgMatches, Command};
use sluice_store::{journal, telemetry};

use super::{block_on, open_store, say};
use crate::settings;

pub(crate) fn command() -> Command {
    let incarnation = Arg::new("new-incarnation").long("new-incarnation").action(ArgAction::SetTrue).help(
        "After a restore from a backup: makes gateways take a snapshot instead of trusting their positions",
    );
    let command = Command::new("migrate").about("Brings the database schema up to date").arg(incarnation);
    settings::database_schema().command(command)
}

pub(crate) fn run(matches: &ArgMatches) -> anyhow::Result<()> {
    let data = settings::load_data(matches)?;
    block_on(async {
        let store = open_store(&data).await?;
        telemetry::open(store.url())
            .await
            .with_context(|| format!("cannot bring the telemetry of {} up to date", data.database))?;
        say(&format!("The schema of {} is up to date.", data.database));
        if matches.get_flag("new-incarnation") {
            let was = journal::incarnation(store.read()).await?;
            let tx = store.begin().await?;
            let incarnation = journal::new_incarnation(&tx, was).await?;
            tx.commit().await?;
            say(&format!("This database is now incarnation {incarnation}; gateways will take a snapshot."));
        }
        Ok(())
    })
}
