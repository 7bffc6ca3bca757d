//! `sluice user`: people, for when nobody can sign in. Everything else is done in the console.

use anyhow::{Context, bail};
use chrono::Duration;
use clap::{Arg, ArgAction, ArgMatches, Command};
use serde::de::DeserializeOwned;
use sluice_contract::ids::UserId;
use sluice_contract::rest::users::{CreateUser, Role};
use sluice_store::audit::Actor;
use sluice_store::one_time_tokens::{self, Purpose};
use sluice_store::{Tx, tenants, users};

use super::{block_on, open_store, random_secret, say};
use crate::settings;

const LINK_VALID: Duration = Duration::days(7);

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
        let tx = store.begin().await?;
        let tenant =
            tenants::by_slug(&tx, &slug).await.with_context(|| format!("there is no tenant `{slug}`"))?;
        let (user, is_new) = users::create(&tx, &Actor::system(), tenant.id, &new).await?;
        if matches.get_flag("platform-admin") {
            users::set_platform_admin(&tx, user.id, true).await?;
        }
        let link = if is_new { Some(issue_link(&tx, user.id).await?) } else { None };
        tx.commit().await?;
        say(&format!("{} now belongs to {}.", user.email, tenant.name));
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
        let tx = store.begin().await?;
        let Some(account) = users::account_by_email(&tx, &email).await? else {
            bail!("nobody has the e-mail address {email}")
        };
        let link = issue_link(&tx, account.id).await?;
        tx.commit().await?;
        say(&format!("Open this on the console to choose a password: {link}"));
        Ok(())
    })
}

async fn issue_link(tx: &Tx, user: UserId) -> anyhow::Result<String> {
    let secret = random_secret()?;
    one_time_tokens::issue(tx, Purpose::Invitation(user), &secret, LINK_VALID).await?;
    Ok(format!("/welcome?token={secret}"))
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
