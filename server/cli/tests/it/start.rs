//! What keeps `sluice up` from starting is told in one clear line that says what to do.

use std::net::TcpListener;

use sluice_testkit::TestDatabase;

use crate::program::{Said, sluice};

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
