//! `sluice user`: people, for when nobody can sign in. Everything else is done in the console.

use anyhow::Context;
use clap::{Arg, ArgAction, ArgMatches, Command};
use serde::de::DeserializeOwned;
use sluice_contract::rest::users::{CreateUser, Role};
use sluice_control::operator;

use super::{block_on, open_store, say};
use crate::settings;

pub(crate) fn command() -> Command {
    let email = || Arg::new("email").long("email").value_name("EMAIL").required(true).help("Who");
    let add =
        Command::new("add").about("Adds a person to a tenant and prints a link to choose a password").args([
            email(),
            Arg::new("name").long("name").value_name("NAME").required(true).help("Name for people"),
            Arg::new("tenant").long("tenant").value_name("SLUG").required(true).help("The tenant's slug"),
            Arg::new("role")
                .long("role")
                .value_name("ROLE")
                .action(ArgAction::Append)
                .required(true)
                .help("tenant_admin, publisher, approver, consumer or viewer; may be repeated"),
            Arg::new("platform-admin")
                .long("platform-admin")
                .action(ArgAction::SetTrue)
                .help("Also an admin of the whole platform"),
        ]);
    let reset = Command::new("reset-password").about("Prints a link to choose a new password").arg(email());
    let database = settings::database_schema();
    Command::new("user")
        .about("Adds people, or lets one in who has lost the password")
        .subcommand_required(true)
        .subcommands([database.command(add), database.command(reset)])
}

pub(crate) fn run(matches: &ArgMatches) -> anyhow::Result<()> {
    match matches.subcommand() {
        Some(("add", matches)) => add(matches),
        Some(("reset-password", matches)) => reset_password(matches),
        _ => Ok(()),
    }
}

fn add(matches: &ArgMatches) -> anyhow::Result<()> {
    let data = settings::load_data(matches)?;
    let new = CreateUser {
        email: text(matches, "email")?,
        name: text(matches, "name")?,
        roles: named::<Role>(matches, "role")?,
    };
    let slug = text(matches, "tenant")?;
    block_on(async {
        let store = open_store(&data).await?;
        let platform_admin = matches.get_flag("platform-admin");
        let (user, link) = operator::create_user(&store, &slug, &new, platform_admin).await?;
        say(&format!("{} now belongs to {slug}.", user.email));
        if let Some(link) = link {
            say(&format!("Open this on the console to choose a password: {link}"));
        }
        Ok(())
    })
}

fn reset_password(matches: &ArgMatches) -> anyhow::Result<()> {
    let data = settings::load_data(matches)?;
    let email = text(matches, "email")?;
    block_on(async {
        let store = open_store(&data).await?;
        let link = operator::password_link(&store, &email).await?;
        say(&format!("Open this on the console to choose a password: {link}"));
        Ok(())
    })
}

/// The text of a required argument.
pub(super) fn text(matches: &ArgMatches, name: &str) -> anyhow::Result<String> {
    matches.get_one::<String>(name).cloned().with_context(|| format!("--{name} is missing"))
}

/// Values of a closed set, by their names in the API.
pub(super) fn named<T: DeserializeOwned>(matches: &ArgMatches, name: &str) -> anyhow::Result<Vec<T>> {
    let given = matches.get_many::<String>(name).into_iter().flatten();
    given
        .map(|text| {
            serde_json::from_value(serde_json::Value::String(text.clone()))
                .with_context(|| format!("--{name} {text}"))
        })
        .collect()
}
