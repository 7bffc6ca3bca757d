//! Settings of the control plane and of `sluice up`, and where data and keys are on disk.

mod keys;

use std::fs::{File, TryLockError};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::ArgMatches;
use ipnet::IpNet;
use sluice_control::MasterKey;
use sluice_settings::{InvalidSettings, Log, Values};
use sluice_store::DatabaseUrl;
use url::Url;

pub(crate) use keys::{control_schema, database_schema, up_schema};

/// Where the database is and what opens its secrets.
#[derive(Clone, Debug)]
pub(crate) struct Data {
    pub(crate) directory: PathBuf,
    pub(crate) database: DatabaseUrl,
    /// None: from [`Data::directory`], made at the first start.
    master_key: Option<MasterKey>,
}

/// What `sluice control` and `sluice up` are told about the control plane.
#[derive(Clone, Debug)]
pub(crate) struct Control {
    pub(crate) data: Data,
    /// Console and admin API.
    pub(crate) listen: SocketAddr,
    /// Where people reach the console, when a proxy stands before it.
    pub(crate) public_url: Option<Url>,
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// The gateways' link over TLS; `sluice up` has none: its gateway is on loopback.
    link: Option<Link>,
    pub(crate) log: Log,
}

/// Port of the TLS link unless one is given.
const LINK_PORT: u16 = 8443;

/// The gateways' link over TLS.
#[derive(Clone, Debug)]
struct Link {
    listen: SocketAddr,
    /// What gateways dial; becomes part of enrolment tokens.
    url: Option<Url>,
}

impl Data {
    fn take(values: &mut Values) -> Self {
        let directory = values.text("data").map_or_else(|| PathBuf::from("data"), PathBuf::from);
        let database =
            values.with("database_url", "Leave it out for SQLite in the data directory.", |text| {
                text.parse::<DatabaseUrl>()
            });
        let database = database.unwrap_or_else(|| DatabaseUrl::Sqlite(directory.join("sluice.db")));
        let master_key = values.with("master_key_file", "It holds 32 random bytes in base64.", |path| {
            MasterKey::read(Path::new(path)).map_err(|error| error.to_string())
        });
        Self { directory, database, master_key }
    }

    /// Makes the data directory, readable by its owner only, and tries to write to it.
    ///
    /// # Errors
    /// When it cannot be made or written.
    pub(crate) fn prepare(&self) -> anyhow::Result<()> {
        let shown = self.directory.display();
        make_private_directory(&self.directory)
            .and_then(|()| {
                let probe = self.directory.join(".writable");
                std::fs::write(&probe, b"")?;
                std::fs::remove_file(probe)
            })
            .with_context(|| {
                format!("cannot write to the data directory {shown}: choose another with --data")
            })
    }

    /// Makes the data directory this process's alone for as long as what this returns is kept.
    ///
    /// # Errors
    /// When another process has it, or it cannot be written.
    pub(crate) fn claim(&self) -> anyhow::Result<File> {
        self.prepare()?;
        let shown = self.directory.display();
        let file = File::create(self.directory.join("lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => {
                bail!(
                    "another Sluice runs on the data directory {shown}: stop it, or choose another with --data"
                )
            }
            Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock {shown}")),
        }
    }

    /// The key that seals secrets: the one that was given, or the one of the data directory (made when absent).
    ///
    /// # Errors
    /// When the file cannot be read or made, or others may read it.
    pub(crate) fn master_key(&self) -> anyhow::Result<MasterKey> {
        match &self.master_key {
            Some(key) => Ok(key.clone()),
            None => Ok(MasterKey::load_or_create(&self.directory.join("master.key"))?),
        }
    }
}

impl Control {
    /// Reads what `sluice control` is told.
    ///
    /// # Errors
    /// Every setting that is wrong.
    pub(crate) fn load(matches: &ArgMatches) -> Result<Self, InvalidSettings> {
        let mut values = control_schema().values(matches);
        let mut control = Self::take(&mut values);
        let listen = values.parsed("link_listen").unwrap_or_else(|| loopback(LINK_PORT));
        control.link = Some(Link { listen, url: values.secure_url("link_url") });
        values.finish()?;
        Ok(control)
    }

    /// Where the TLS link listens.
    pub(crate) fn link_listen(&self) -> SocketAddr {
        self.link.as_ref().map_or_else(|| loopback(LINK_PORT), |link| link.listen)
    }

    /// What gateways dial: the TLS link, or on one machine the console's listener.
    pub(crate) fn link_url(&self) -> String {
        match &self.link {
            Some(Link { url: Some(url), .. }) => url.as_str().trim_end_matches('/').to_owned(),
            Some(Link { listen, url: None }) => format!("https://{listen}"),
            None => format!("http://{}", from_here(self.listen)),
        }
    }

    /// Reads the settings that both commands have.
    pub(crate) fn take(values: &mut Values) -> Self {
        Self {
            data: Data::take(values),
            listen: values.parsed("listen").unwrap_or_else(|| loopback(8080)),
            public_url: values.url("public_url"),
            trusted_proxies: values.list("trusted_proxies").unwrap_or_default(),
            link: None,
            log: Log::take(values),
        }
    }
}

/// Reads where the database is, for the commands that need nothing else.
///
/// # Errors
/// Every setting that is wrong.
pub(crate) fn load_data(matches: &ArgMatches) -> Result<Data, InvalidSettings> {
    let mut values = database_schema().values(matches);
    let data = Data::take(&mut values);
    values.finish()?;
    Ok(data)
}

/// Where a listener is reached from this machine: 0.0.0.0 is no address that a browser opens.
pub(crate) fn from_here(listener: SocketAddr) -> SocketAddr {
    let ip = match listener.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listener.port())
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn make_private_directory(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}
