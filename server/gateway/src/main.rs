//! `sluice-gateway`: the data plane alone, for machines that run nothing else of Sluice.

use std::process::ExitCode;

use clap::Command;
use sluice_gateway::settings::GatewaySettings;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let command =
        Command::new("sluice-gateway").version(env!("CARGO_PKG_VERSION")).about("Sluice's data plane");
    let matches = GatewaySettings::schema().command(command).get_matches();
    match GatewaySettings::load(&matches).map_err(Into::into).and_then(serve) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            sluice_settings::tell_error("sluice-gateway", &error);
            ExitCode::FAILURE
        }
    }
}

fn serve(settings: GatewaySettings) -> anyhow::Result<()> {
    settings.log.start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let stop = sluice_settings::StopSignal::new()?;
        Ok(sluice_gateway::run(settings, stop.wait()).await?)
    })
}
