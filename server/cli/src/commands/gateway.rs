//! `sluice gateway`: one gateway, the same as the slim binary `sluice-gateway`.

use clap::{ArgMatches, Command};
use sluice_gateway::settings::GatewaySettings;

pub(crate) fn command() -> Command {
    GatewaySettings::schema().command(Command::new("gateway").about("Runs one gateway"))
}

pub(crate) fn run(matches: &ArgMatches) -> anyhow::Result<()> {
    sluice_gateway::main(GatewaySettings::load(matches)?)
}
