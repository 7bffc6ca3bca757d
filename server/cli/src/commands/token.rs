//! `sluice token`: tokens for automation and for new gateways, where no browser is at hand.

use anyhow::Context;
use chrono::{Duration, Utc};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use sluice_contract::rest::api_tokens::CreateApiToken;
use sluice_contract::rest::gateways::CreateEnrolmentToken;
use sluice_contract::rest::session::Permission;
use sluice_control::{enrolment_tokens, operator};
use sluice_store::audit::Actor;
use sluice_store::environments;

use super::user::{named, text};
use super::{block_on, open_control, open_store, say};
use crate::settings::{self, Control};

/// A hundred years: past what anybody plans, and within what dates can hold.
const MOST_DAYS: i64 = 36_500;

pub(crate) fn command() -> Command {
    let name = || Arg::new("name").long("name").value_name("NAME").required(true).help("Name for people");
    let create = Command::new("create").about("Makes an API token and prints it, once").args([
        name(),
        Arg::new("tenant").long("tenant").value_name("SLUG").required(true).help("The tenant's slug"),
        Arg::new("permission")
            .long("permission")
            .value_name("PERMISSION")
            .action(ArgAction::Append)
            .required(true)
            .help("manage_tenant, manage_apis, manage_cache, approve_subscriptions, manage_applications, read_management, read_calls, read_audit, read_catalogue or manage_platform; may be repeated"),
        Arg::new("valid-days")
            .long("valid-days")
            .value_name("DAYS")
            .value_parser(value_parser!(u32).range(1..=MOST_DAYS))
            .help("Ends after this many days (up to 36500); never unless given"),
    ]);
    let enrol =
        Command::new("enrol").about("Makes a token with which gateways enrol and prints it, once").args([
            name(),
            Arg::new("environment")
                .long("environment")
                .value_name("SLUG")
                .default_value("production")
                .help("Where they serve"),
            Arg::new("valid-hours")
                .long("valid-hours")
                .value_name("HOURS")
                .value_parser(value_parser!(u32))
                .help("Ends after this many hours; 24 unless given"),
        ]);
    Command::new("token")
        .about("Makes tokens for automation and for gateways")
        .subcommand_required(true)
        .subcommands([settings::database_schema().command(create), settings::control_schema().command(enrol)])
}

pub(crate) fn run(matches: &ArgMatches) -> anyhow::Result<()> {
    match matches.subcommand() {
        Some(("create", matches)) => create(matches),
        Some(("enrol", matches)) => enrol(matches),
        _ => Ok(()),
    }
}

fn create(matches: &ArgMatches) -> anyhow::Result<()> {
    let data = settings::load_data(matches)?;
    let new = CreateApiToken {
        name: text(matches, "name")?,
        permissions: named::<Permission>(matches, "permission")?,
        expires_at: matches
            .get_one::<u32>("valid-days")
            .map(|days| Utc::now() + Duration::days((*days).into())),
    };
    let slug = text(matches, "tenant")?;
    block_on(async {
        let store = open_store(&data).await?;
        say(&operator::create_api_token(&store, &slug, &new).await?.secret);
        Ok(())
    })
}

fn enrol(matches: &ArgMatches) -> anyhow::Result<()> {
    let control = Control::load(matches)?;
    let new = CreateEnrolmentToken {
        name: text(matches, "name")?,
        valid_hours: matches.get_one::<u32>("valid-hours").copied(),
    };
    let slug = text(matches, "environment")?;
    block_on(async {
        let app = open_control(&control, false).await?;
        let all = environments::all(app.store.read()).await?;
        let environment = all.iter().find(|environment| environment.slug == slug);
        let environment = environment.with_context(|| format!("there is no environment `{slug}`"))?.id;
        let created = enrolment_tokens::create(&app, &Actor::system(), environment, &new).await?;
        say(&created.token);
        Ok(())
    })
}
