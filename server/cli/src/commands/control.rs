//! `sluice control`: the control plane of a fleet, with a TLS link for gateways on other machines.

use clap::{ArgMatches, Command};
use sluice_store::DatabaseUrl;

use super::{block_on, listen, open_control, say, stop_token};
use crate::settings::{self, Control};

pub(crate) fn command() -> Command {
    let command = Command::new("control").about("Runs the control plane of a fleet");
    settings::control_schema().command(command)
}

pub(crate) fn run(matches: &ArgMatches) -> anyhow::Result<()> {
    let control = Control::load(matches)?;
    control.log.start();
    block_on(async {
        let console = listen(control.listen, "--listen").await?;
        let link = listen(control.link_listen(), "--link-listen").await?;
        // Postgres serves several control planes, a SQLite file one.
        let _alone = match control.data.database {
            DatabaseUrl::Sqlite(_) => Some(control.data.claim()?),
            DatabaseUrl::Postgres(_) => None,
        };
        let app = open_control(&control, false).await?;
        let stop = stop_token()?;
        say(&format!("Console  {}", super::console_link(&control, &console, &app).await?));
        say(&format!("Gateways {}", control.link_url()));
        say("Stop     Ctrl-C");
        let gateways = sluice_control::link::serve(app.clone(), link);
        tokio::try_join!(sluice_control::serve(app, console, stop.cancelled_owned()), gateways).map(drop)
    })
}
