//! The program `sluice`: both planes in one binary, and the commands of an operator.

mod commands;
mod demo;
mod sample_upstream;
mod settings;

use std::process::ExitCode;

use clap::{ArgMatches, Command};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let matches = program().get_matches();
    match run(&matches) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            sluice_settings::tell_error("sluice", &error);
            ExitCode::FAILURE
        }
    }
}

fn program() -> Command {
    Command::new("sluice")
        .about("API management platform and gateway")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands([
            commands::up::command(),
            commands::control::command(),
            commands::gateway::command(),
            commands::migrate::command(),
            commands::user::command(),
            commands::token::command(),
        ])
}

fn run(matches: &ArgMatches) -> anyhow::Result<()> {
    match matches.subcommand() {
        Some(("up", matches)) => commands::up::run(matches),
        Some(("control", matches)) => commands::control::run(matches),
        Some(("gateway", matches)) => commands::gateway::run(matches),
        Some(("migrate", matches)) => commands::migrate::run(matches),
        Some(("user", matches)) => commands::user::run(matches),
        Some(("token", matches)) => commands::token::run(matches),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
