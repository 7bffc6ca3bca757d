//! What keeps `sluice up` from starting is told in one clear line that says what to do.

use std::net::TcpListener;

use sluice_testkit::TestDatabase;

use crate::program::{Running, Said, sluice};

const FREE_PORTS: [&str; 6] =
    ["--listen", "127.0.0.1:0", "--gateway-listen", "127.0.0.1:0", "--gateway-status-listen", "127.0.0.1:0"];

fn up(data: &std::path::Path, arguments: &[&str]) -> Said {
    sluice(data, &[&["up"], arguments].concat())
}

#[test]
fn a_taken_port_is_named_with_the_flag_that_chooses_another() {
    let directory = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for flag in [0, 2, 4] {
        let mut arguments = FREE_PORTS;
        arguments[flag + 1] = &address;
        let said = up(directory.path(), &arguments);
        let line = said.only_complaint();
        assert!(line.contains(&address) && line.contains(FREE_PORTS[flag]), "{line}");
    }
    assert!(std::fs::read_dir(directory.path()).unwrap().next().is_none(), "nothing was made");
}

#[test]
fn a_data_directory_that_cannot_be_written_is_named() {
    let directory = tempfile::tempdir().unwrap();
    // Nobody, not even root, can make a directory below a file.
    let file = directory.path().join("file");
    std::fs::write(&file, b"").unwrap();
    let data = file.join("data");
    let said = up(&data, &FREE_PORTS);
    let line = said.only_complaint();
    assert!(line.contains(&data.display().to_string()) && line.contains("--data"), "{line}");
}

#[test]
fn a_database_url_that_is_none_is_told_with_what_one_looks_like() {
    let directory = tempfile::tempdir().unwrap();
    let said =
        up(directory.path(), &[&FREE_PORTS[..], &["--database-url", "mysql://root@localhost/x"]].concat());
    let line = said.only_complaint();
    assert!(line.contains("database_url") && line.contains("postgres://"), "{line}");
}

#[test]
fn a_database_that_nobody_serves_is_named_without_its_password() {
    let directory = tempfile::tempdir().unwrap();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("postgres://sluice:secret@{nobody}/sluice");
    let said = up(directory.path(), &[&FREE_PORTS[..], &["--database-url", &url]].concat());
    let line = said.only_complaint();
    assert!(line.contains(&nobody.to_string()) && line.contains("DATABASE_URL"), "{line}");
    assert!(!line.contains("secret"), "{line}");
    assert_eq!(line.matches("refused").count(), 1, "{line}");
}

#[tokio::test]
async fn a_database_that_does_not_exist_is_named() {
    let Some(database) = TestDatabase::empty_postgres().await else { return };
    let directory = tempfile::tempdir().unwrap();
    let url = format!("{}_gone", database.url);
    let said = up(directory.path(), &[&FREE_PORTS[..], &["--database-url", &url]].concat());
    let line = said.only_complaint();
    assert!(line.contains("does not exist") && line.contains("DATABASE_URL"), "{line}");
}

#[test]
fn a_second_control_plane_on_the_same_data_is_refused_before_it_says_anything_else() {
    let directory = tempfile::tempdir().unwrap();
    let first = Running::start(directory.path(), &[&["up"][..], &FREE_PORTS].concat());
    let console = first.line("Console  http://127.0.0.1:");
    assert!(!console.contains(":0/"), "the port that it listens on: {console}");
    assert!(!first.line("Gateway  http://127.0.0.1:").ends_with(":0"));
    let link = ["--listen", "127.0.0.1:0", "--link-listen", "127.0.0.1:0"];
    for arguments in [[&["up"][..], &FREE_PORTS].concat(), [&["control"][..], &link].concat()] {
        let said = sluice(directory.path(), &arguments);
        let line = said.only_complaint();
        assert!(line.contains("another Sluice") && line.contains("--data"), "{line}");
        assert!(said.out.is_empty(), "{}", said.out);
    }
    // Commands on the database are for while it runs.
    let said = sluice(directory.path(), &["token", "enrol", "--name", "more"]);
    assert!(said.success && said.out.starts_with("sle_"), "{}", said.err);
}

#[test]
fn on_every_address_it_is_reached_from_here_at_loopback() {
    let directory = tempfile::tempdir().unwrap();
    let mut arguments = FREE_PORTS;
    (arguments[1], arguments[3]) = ("0.0.0.0:0", "[::]:0");
    let running = Running::start(directory.path(), &[&["up"][..], &arguments].concat());
    running.line("Console  http://127.0.0.1:");
    running.line("Gateway  http://[::1]:");
}

#[test]
fn a_file_that_is_no_toml_is_told_in_one_line_with_the_place() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("sluice.toml");
    std::fs::write(&file, "log = \"info\"\nlisten = \n").unwrap();
    let said = up(directory.path(), &["--config", &file.display().to_string()]);
    let line = said.only_complaint();
    assert!(line.contains("sluice.toml") && line.contains("line 2"), "{line}");
}

#[test]
fn a_token_is_not_made_for_longer_than_there_are_dates() {
    let directory = tempfile::tempdir().unwrap();
    let arguments =
        ["token", "create", "--name", "x", "--tenant", "x", "--permission", "read_calls", "--valid-days"];
    let said = sluice(directory.path(), &[&arguments[..], &["4294967295"]].concat());
    assert!(!said.success && said.err.contains("--valid-days"), "{}", said.err);
}
