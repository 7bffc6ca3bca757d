//! The commands, one file each, and what several of them need.

pub(crate) mod control;
pub(crate) mod gateway;
pub(crate) mod migrate;
pub(crate) mod token;
pub(crate) mod up;
pub(crate) mod user;

use std::net::SocketAddr;

use anyhow::{Context, anyhow};
use sluice_control::{App, ControlSettings, PasswordCost};
use sluice_settings::StopSignal;
use sluice_store::Store;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::settings::{Control, Data, from_here};

/// Prints a line for the person at the terminal.
#[expect(clippy::print_stdout, reason = "this is the one place where the program answers its user")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}

/// Runs a command's future on a runtime of its own.
pub(crate) fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    // Every TLS connection of this process uses this library.
    drop(rustls::crypto::ring::default_provider().install_default());
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?
        .block_on(future)
}

/// Connects to the database and brings its schema up to date.
pub(crate) async fn open_store(data: &Data) -> anyhow::Result<Store> {
    data.prepare()?;
    let place = &data.database;
    // The database's errors say their causes themselves.
    let store = Store::connect(place).await.map_err(|error| {
        anyhow!("cannot open the database {place}: check DATABASE_URL (or --database-url): {error}")
    })?;
    store.migrate().await.with_context(|| format!("cannot bring the database {place} up to date"))?;
    Ok(store)
}

/// Listens, or says plainly that the port is taken and how to choose another.
pub(crate) async fn listen(address: SocketAddr, flag: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}: choose another with {flag}"))
}

/// The control plane over the database of these settings.
pub(crate) async fn open_control(control: &Control, embedded: bool) -> anyhow::Result<App> {
    let store = open_store(&control.data).await?;
    let settings = ControlSettings {
        embedded,
        // On one machine, that is where upstreams are.
        loopback_allowed: embedded,
        public_origin: control.public_url.as_ref().map(|url| url.origin().ascii_serialization()),
        link_url: Some(control.link_url()),
        trusted_proxies: control.trusted_proxies.clone(),
        master_key: control.data.master_key()?,
        password_cost: PasswordCost::default(),
    };
    App::new(settings, store).await
}

/// Where to open the console; with the one-time setup link while nobody has set it up.
pub(crate) async fn console_link(
    control: &Control,
    listener: &TcpListener,
    app: &App,
) -> anyhow::Result<String> {
    let base = match &control.public_url {
        Some(url) => url.as_str().trim_end_matches('/').to_owned(),
        None => format!("http://{}", from_here(listener.local_addr()?)),
    };
    let path = sluice_control::setup::issue_link(&app.store).await?;
    Ok(format!("{base}{}", path.unwrap_or_default()))
}

/// Cancelled by Ctrl-C or SIGTERM.
pub(crate) fn stop_token() -> anyhow::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let signal = StopSignal::new().context("cannot wait for Ctrl-C")?;
    let stopping = stop.clone();
    tokio::spawn(async move {
        signal.wait().await;
        stopping.cancel();
    });
    Ok(stop)
}
