//! `sluice-gateway`: the data plane alone, for machines that run nothing else of Sluice.

use std::process::ExitCode;

use clap::{Arg, Command};
use sluice_gateway::settings::GatewaySettings;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let matches = command().get_matches();
    let filter = matches.get_one::<String>("log").map_or("info", String::as_str);
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(std::io::stderr)
        .with_target(false)
        .init();
    let result = GatewaySettings::load(&matches).map_err(anyhow::Error::from).and_then(serve);
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn command() -> Command {
    let command =
        Command::new("sluice-gateway").version(env!("CARGO_PKG_VERSION")).about("Sluice's data plane").arg(
            Arg::new("log")
                .long("log")
                .env("SLUICE_LOG")
                .value_name("FILTER")
                .help("What is logged: error, warn, info, debug, or a filter by module [default: info]"),
        );
    GatewaySettings::schema().command(command)
}

fn serve(settings: GatewaySettings) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let shutdown = async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        };
        Ok(sluice_gateway::run(settings, shutdown).await?)
    })
}

#[expect(clippy::print_stderr, reason = "a program that cannot start says why where its user looks")]
fn say(line: &str) {
    eprintln!("{line}");
}
