//! Who hangs up in the middle of a change: the change is whole, and nothing of it stays behind on a connection to the
//! database that the next request gets.

use std::net::SocketAddr;
use std::time::Duration;

use http::Method;
use sea_orm::ConnectionTrait;
use serde_json::json;
use sluice_contract::rest::applications::Application;
use sluice_contract::rest::audit::AuditEntry;
use sluice_contract::rest::page::Page;
use sluice_contract::rest::setup::DatabaseKind;
use sluice_store::{Store, Tx};
use sluice_testkit::{TestApp, each_database};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

/// Callers who hang up.
const IMPATIENT: usize = 5;
/// More than there are connections to the database.
const NEXT: usize = 30;
const PATIENCE: Duration = Duration::from_secs(20);

/// Serves on a port: only a real connection can be hung up.
async fn serve(app: &TestApp) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = app.router().into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    address
}

/// Sends a request that makes an application, and waits for nothing.
async fn send(app: &TestApp, address: SocketAddr, name: &str) -> TcpStream {
    let body = json!({"name": name}).to_string();
    let request = app.admin.request(Method::POST, &app.path("/applications")).body(()).unwrap();
    let mut bytes = format!("{} {} HTTP/1.1\r\n", request.method(), request.uri());
    for (name, value) in request.headers() {
        bytes += &format!("{name}: {}\r\n", value.to_str().unwrap());
    }
    bytes += &format!("content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    stream
}

/// Keeps every change from getting to its end: on Postgres each comes as far as its audit line, on SQLite none begins.
async fn stop_changes(store: &Store) -> Tx {
    let tx = store.begin().await.unwrap();
    if store.kind() == DatabaseKind::Postgres {
        tx.execute_unprepared("LOCK TABLE audit IN EXCLUSIVE MODE").await.unwrap();
    }
    tx
}

/// How many connections to this database are in such a state. On SQLite there is nothing to see.
async fn connections(store: &Store, condition: &str) -> i64 {
    let count = format!(
        "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() \
         AND pid <> pg_backend_pid() AND {condition}"
    );
    let row =
        store.read().query_one_raw(sea_orm::Statement::from_string(sea_orm::DbBackend::Postgres, count));
    row.await.unwrap().unwrap().try_get_by_index(0).unwrap()
}

async fn wait_for_connections(store: &Store, condition: &str, wanted: i64) {
    if store.kind() == DatabaseKind::Sqlite {
        return tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let seen = async {
        while connections(store, condition).await != wanted {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let seen = tokio::time::timeout(PATIENCE, seen).await;
    assert!(seen.is_ok(), "{condition}: {} instead of {wanted}", connections(store, condition).await);
}

async fn names(app: &TestApp) -> Vec<String> {
    let page: Page<Application> =
        app.admin.get(&app.path("/applications?limit=200")).await.expect(200).json();
    page.items.into_iter().map(|application| application.name).collect()
}

async fn recorded(app: &TestApp) -> Vec<String> {
    let path = app.path("/audit?resource=application&limit=200");
    let page: Page<AuditEntry> = app.admin.get(&path).await.expect(200).json();
    page.items.into_iter().map(|entry| entry.resource_name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_whose_caller_hangs_up_is_whole_and_leaves_no_connection_in_a_transaction() {
    each_database(|app| async move {
        let store = &app.database.store;
        let address = serve(&app).await;
        let stopped = stop_changes(store).await;
        let mut streams = Vec::new();
        for n in 0..IMPATIENT {
            streams.push(send(&app, address, &format!("impatient {n}")).await);
        }
        wait_for_connections(store, "wait_event_type = 'Lock'", IMPATIENT as i64).await;
        drop(streams);
        // Time to hear of it while the changes are still held.
        tokio::time::sleep(Duration::from_millis(200)).await;
        drop(stopped);

        let whole = async {
            while names(&app).await.len() < IMPATIENT || recorded(&app).await.len() < IMPATIENT {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let whole = tokio::time::timeout(PATIENCE, whole).await;
        assert!(whole.is_ok(), "{:?}, of which recorded {:?}", names(&app).await, recorded(&app).await);
        wait_for_connections(store, "state LIKE 'idle in transaction%'", 0).await;

        let next = (0..NEXT).map(|n| {
            let app = &app;
            async move {
                let new = json!({"name": format!("next {n}")});
                app.admin.post(&app.path("/applications"), &new).await.expect(201)
            }
        });
        futures_util::future::join_all(next).await;
        assert_eq!(names(&app).await.len(), IMPATIENT + NEXT);
        assert_eq!(recorded(&app).await.len(), IMPATIENT + NEXT);
    })
    .await;
}
