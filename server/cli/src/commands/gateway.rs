//! `sluice gateway`: one gateway, the same as the slim binary `sluice-gateway`.

use clap::{ArgMatches, Command};
use sluice_gateway::settings::GatewaySettings;

use super::{block_on, stop_token};

pub(crate) fn command() -> Command {
    GatewaySettings::schema().command(Command::new("gateway").about("Runs one gateway"))
}

pub(crate) fn run(matches: &ArgMatches) -> anyhow::Result<()> {
    let settings = GatewaySettings::load(matches)?;
    settings.log.start();
    block_on(async {
        let stop = stop_token()?;
        Ok(sluice_gateway::run(settings, stop.cancelled_owned()).await?)
    })
}
