//! The command line as a whole, and the reference that is generated from its tables.

use sluice_gateway::settings::GatewaySettings;
use sluice_settings::Schema;

use crate::program;
use crate::settings::{control_schema, database_schema, up_schema};

#[test]
fn every_command_and_flag_is_well_formed() {
    program().debug_assert();
}

/// `SLUICE_BLESS=1 cargo test -p sluice` writes the page anew.
#[test]
fn the_configuration_reference_is_what_the_tables_say() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
    let wanted = reference();
    #[expect(clippy::disallowed_methods, reason = "a switch of this test, not a setting of the program")]
    if std::env::var("SLUICE_BLESS").is_ok() {
        std::fs::write(path, &wanted).unwrap();
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(found == wanted, "docs/configuration.md is out of date: SLUICE_BLESS=1 cargo test -p sluice");
}

fn reference() -> String {
    let mut page = String::from(
        "# Configuration\n\nEach setting can be given as a flag, an environment variable, or a line of a TOML file \
         (`--config FILE`); flags win over the environment, the environment over the file. Everything is checked at \
         start, and every problem is told at once.\n\nThis page is generated from the tables in the code.\n",
    );
    for (program, about, schema) in all_schemas() {
        page.push_str(&format!(
            "\n## `{program}`\n\n{about}\n\n| file | environment | default | |\n| --- | --- | --- | --- |\n"
        ));
        for key in schema.keys.iter().filter(|key| !key.hidden) {
            let default = if key.default.is_empty() { String::new() } else { format!("`{}`", key.default) };
            page.push_str(&format!(
                "| `{}` | `{}` | {default} | {} |\n",
                key.name,
                key.variable_name(schema.prefix),
                key.help
            ));
        }
    }
    page.push_str(
        "\nIn a file, the name is as in the first column: `listen = \"127.0.0.1:8080\"`. As a flag, with dashes: `--listen`. \
         Sizes take `KiB`, `MiB`, `GiB`; durations `ms`, `s`, `m`, `h`, `d`; lists are separated by commas.\n",
    );
    page
}

/// Every program, what it is, its settings.
fn all_schemas() -> Vec<(&'static str, &'static str, Schema)> {
    vec![
        ("sluice up", "Both planes on one machine.", up_schema()),
        ("sluice control", "The control plane of a fleet.", control_schema()),
        ("sluice-gateway", "One gateway; also `sluice gateway`.", GatewaySettings::schema()),
        ("sluice migrate, user, token", "Commands on the database.", database_schema()),
    ]
}
