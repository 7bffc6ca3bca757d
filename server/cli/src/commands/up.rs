//! `sluice up`: both planes on one machine, over the same HTTP contract as on many.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context;
use clap::{Arg, ArgAction, ArgMatches, Command};
use sluice_contract::link::EnrolmentToken;
use sluice_contract::rest::gateways::CreateEnrolmentToken;
use sluice_control::{App, enrolment_tokens};
use sluice_gateway::settings::{GatewaySettings, take_cache_limits};
use sluice_settings::{InvalidSettings, Values};
use sluice_store::audit::Actor;
use sluice_store::environments;
use tokio_util::sync::CancellationToken;

use super::{block_on, console_link, listen, open_control, say, stop_token};
use crate::demo;
use crate::settings::{self, Control, from_here};

/// What the two planes of `sluice up` are told.
struct Up {
    control: Control,
    gateway: GatewaySettings,
    demo: bool,
}

pub(crate) fn command() -> Command {
    let demo = Arg::new("demo")
        .long("demo")
        .action(ArgAction::SetTrue)
        .help("Also makes a demo tenant with published APIs, applications and a minute of traffic");
    let command =
        Command::new("up").about("Runs everything on this machine: console, admin API and a gateway");
    settings::up_schema().command(command.arg(demo))
}

pub(crate) fn run(matches: &ArgMatches) -> anyhow::Result<()> {
    let up = load(matches)?;
    up.control.log.start();
    block_on(serve(up))
}

fn load(matches: &ArgMatches) -> Result<Up, InvalidSettings> {
    let mut values = settings::up_schema().values(matches);
    let control = Control::take(&mut values);
    let gateway = gateway_settings(&mut values, &control.data.directory);
    values.finish()?;
    Ok(Up { control, gateway, demo: matches.get_flag("demo") })
}

fn gateway_settings(values: &mut Values, data: &Path) -> GatewaySettings {
    let default = GatewaySettings::default();
    GatewaySettings {
        listen: values.parsed("gateway_listen").unwrap_or(default.listen),
        status_listen: values.parsed("gateway_status_listen").unwrap_or(default.status_listen),
        threads: values.number("gateway_threads", 1..=1024).map_or(default.threads, |count| count as usize),
        cache: take_cache_limits("gateway_", values),
        spool_max_bytes: values.bytes("gateway_spool_max_bytes").unwrap_or(default.spool_max_bytes),
        plain_keys: values.parsed("gateway_plain_keys").unwrap_or(default.plain_keys),
        data: data.join("gateway"),
        name: "local".to_owned(),
        ..default
    }
}

async fn serve(Up { mut control, mut gateway, demo }: Up) -> anyhow::Result<()> {
    let console = listen(control.listen, "--listen").await?;
    // From here on where it listens, also when any port would do.
    control.listen = console.local_addr()?;
    gateway.listen = free(gateway.listen, "--gateway-listen").await?;
    free(gateway.status_listen, "--gateway-status-listen").await?;
    let _alone = control.data.claim()?;
    let app = open_control(&control, true).await?;
    let stop = stop_token()?;
    let link = console_link(&control, &console, &app).await?;
    let gateway = enrol(&app, gateway).await?;
    let (console_address, gateway_address) = (from_here(control.listen), from_here(gateway.listen));
    let data = &control.data.directory;
    let has_demo = demo::resume(data).await.unwrap_or_else(|error| {
        tracing::warn!("the demo's APIs have no upstream: {error:#}");
        true
    });

    // The gateway stops first, so that its last calls still find the control plane.
    let control_stop = CancellationToken::new();
    let control_task =
        tokio::spawn(sluice_control::serve(app, console, control_stop.clone().cancelled_owned()));
    let gateway_task = tokio::spawn(sluice_gateway::run(gateway, stop.clone().cancelled_owned()));

    let link = match demo {
        true if has_demo => {
            say("The demo is there from an earlier start: sign in as then.");
            link
        }
        // The demo uses the setup link up.
        true => seed_demo(data, console_address, gateway_address, link).await?,
        false => link,
    };
    say(&format!("Console  {link}"));
    say(&format!("Gateway  http://{gateway_address}"));
    say("Stop     Ctrl-C");

    let ended = gateway_task.await.context("the gateway failed")?;
    stop.cancel();
    control_stop.cancel();
    control_task.await.context("the control plane failed")??;
    ended.context("the gateway failed")
}

/// A taken port should be told before anything else is started. The address, with the port that was free when any will do.
async fn free(address: SocketAddr, flag: &str) -> anyhow::Result<SocketAddr> {
    Ok(listen(address, flag).await?.local_addr()?)
}

/// Lets the gateway of this machine in, unless it has been here before.
async fn enrol(app: &App, gateway: GatewaySettings) -> anyhow::Result<GatewaySettings> {
    let public_url = format!("http://{}", from_here(gateway.listen)).parse().ok();
    let control_url = app.settings.link_url.as_ref().and_then(|url| url.parse().ok());
    let gateway = GatewaySettings { public_url, control_url, ..gateway };
    if gateway.is_enrolled() {
        return Ok(gateway);
    }
    let environment = environments::all(app.store.read()).await?.into_iter().next();
    let environment = environment.context("there is no environment for the gateway")?.id;
    let new = CreateEnrolmentToken { name: "sluice up".to_owned(), valid_hours: Some(1) };
    let created = enrolment_tokens::create(app, &Actor::system(), environment, &new).await?;
    Ok(GatewaySettings { enrolment: Some(EnrolmentToken::decode(&created.token)?), ..gateway })
}

async fn seed_demo(
    data: &Path,
    console: SocketAddr,
    gateway: SocketAddr,
    link: String,
) -> anyhow::Result<String> {
    let Some((base, token)) = link.split_once("/setup?token=") else {
        say(
            "This data directory is set up already: the demo is made only in a fresh one (choose it with --data).",
        );
        return Ok(link);
    };
    say("Making the demo tenant...");
    let demo = demo::seed(data, console, gateway, token).await.context("cannot make the demo tenant")?;
    say(&format!("Sign in  {} (or {}), password {}", demo.email, demo.consumer_email, demo.password));
    say(&format!("Try      {}", demo.curl));
    Ok(base.to_owned())
}
