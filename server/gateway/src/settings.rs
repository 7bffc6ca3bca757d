//! Settings of a gateway: file (TOML), environment (`SLUICE_GATEWAY_...`) and flags, the later winning; read once at
//! start and validated whole, so that every problem is told at once.

mod cache_limits;
mod keys;
mod second_level;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ArgMatches;
use ipnet::IpNet;
use sluice_contract::link::EnrolmentToken;
use sluice_settings::{InvalidSettings, LOG_KEYS, Log, Schema, Values, secure_url};
use url::Url;

use crate::cache::{CacheLimits, SecondLevelSettings};
use crate::link::Failpoint;

pub use cache_limits::take as take_cache_limits;
pub use keys::KEYS;

/// Everything that a gateway is told at start. `Default` is a gateway on loopback without a control plane.
#[derive(Clone, Debug)]
pub struct GatewaySettings {
    /// Where clients call. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where `/healthz`, `/readyz` and `/metrics` answer.
    pub status_listen: SocketAddr,
    /// Threads that serve; one for each core unless set.
    pub threads: usize,
    /// Identity, last configuration, spool. Belongs to one gateway alone.
    pub data: PathBuf,
    /// How to become a gateway of an environment. Needed once; afterwards the identity in `data` is enough.
    pub enrolment: Option<EnrolmentToken>,
    /// Base URL of the control plane's gateway link, when it is not the one in the token.
    pub control_url: Option<Url>,
    /// Name for people; the host name unless set.
    pub name: String,
    /// Where it stands, for people and routing.
    pub region: Option<String>,
    /// Where clients reach it, for the console's try-it.
    pub public_url: Option<Url>,
    /// Most bytes of call records that wait on disk for the control plane.
    pub spool_max_bytes: u64,
    /// How much memory cached responses may take, and whose go first.
    pub cache: CacheLimits,
    /// The level of the cache that gateways share.
    pub cache_l2: Option<SecondLevelSettings>,
    /// How long to serve without hearing from the control plane. The environment may set less.
    pub max_offline: Option<Duration>,
    /// How long calls in flight may take to finish when the gateway stops.
    pub drain: Duration,
    /// Networks that upstream targets may be in although they are refused by default, beside the environment's own.
    pub allowed_networks: Vec<IpNet>,
    /// Whether keys are taken from other machines over plain HTTP.
    pub plain_keys: bool,
    /// What is logged and how, when the gateway is a program of its own.
    pub log: Log,
    /// Where the link dies on purpose, for fault tests.
    pub failpoint: Option<Failpoint>,
}

impl Default for GatewaySettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8000)),
            status_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8001)),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            data: PathBuf::from("data/gateway"),
            enrolment: None,
            control_url: None,
            name: host_name(),
            region: None,
            public_url: None,
            spool_max_bytes: 256 << 20,
            cache: CacheLimits::default(),
            cache_l2: None,
            max_offline: None,
            drain: Duration::from_secs(10),
            allowed_networks: Vec::new(),
            plain_keys: false,
            log: Log::default(),
            failpoint: None,
        }
    }
}

impl GatewaySettings {
    /// The settings of the program `sluice-gateway`.
    pub fn schema() -> Schema {
        Schema { prefix: "SLUICE_GATEWAY_", keys: [KEYS, &LOG_KEYS].concat(), elsewhere: Vec::new() }
    }

    /// Reads settings from the flags and environment in `matches` (of [`Self::schema`]) and the file they name.
    ///
    /// # Errors
    /// Every setting that is wrong, with what to do.
    pub fn load(matches: &ArgMatches) -> Result<Self, InvalidSettings> {
        Self::from_values(Self::schema().values(matches))
    }

    fn from_values(mut values: Values) -> Result<Self, InvalidSettings> {
        let default = Self::default();
        let settings = Self {
            listen: values.parsed("listen").unwrap_or(default.listen),
            status_listen: values.parsed("status_listen").unwrap_or(default.status_listen),
            threads: values.number("threads", 1..=1024).map_or(default.threads, |count| count as usize),
            data: values.text("data").map_or(default.data, PathBuf::from),
            enrolment: enrolment(&mut values),
            control_url: values.secure_url("control_url"),
            name: values.text("name").unwrap_or(default.name),
            region: values.text("region"),
            public_url: values.url("public_url"),
            spool_max_bytes: values.bytes("spool_max_bytes").unwrap_or(default.spool_max_bytes),
            cache: cache_limits::take("", &mut values),
            cache_l2: second_level::take(&mut values),
            max_offline: values.duration("max_offline").or(default.max_offline),
            drain: values.duration("drain").unwrap_or(default.drain),
            allowed_networks: values.list("allowed_networks").unwrap_or(default.allowed_networks),
            plain_keys: values.parsed("plain_keys").unwrap_or(default.plain_keys),
            log: Log::take(&mut values),
            failpoint: values.parsed("failpoint").or(default.failpoint),
        };
        values.finish()?;
        Ok(settings)
    }

    /// Whether this data directory already belongs to a gateway, so that no enrolment is needed.
    pub fn is_enrolled(&self) -> bool {
        crate::link::has_identity(&self.data)
    }

    /// A directory below the data directory.
    pub(crate) fn directory(&self, name: &str) -> PathBuf {
        Path::join(&self.data, name)
    }
}

/// The enrolment token, given directly or in a file.
fn enrolment(values: &mut Values) -> Option<EnrolmentToken> {
    const HINT: &str = "Create one in the console under Gateways.";
    let from_file = values.with("enrolment_token_file", HINT, |path| {
        let text =
            std::fs::read_to_string(path).map_err(|error| format!("`{path}` cannot be read: {error}"))?;
        read_enrolment(&text)
    });
    values.with("enrolment_token", HINT, read_enrolment).or(from_file)
}

fn read_enrolment(text: &str) -> Result<EnrolmentToken, String> {
    let token = EnrolmentToken::decode(text).map_err(|error| error.to_string())?;
    let url = secure_url(&token.url)?;
    if url.scheme() == "https" && token.fingerprint.is_none() {
        return Err("the token names an https control plane without its certificate's fingerprint".to_owned());
    }
    Ok(token)
}

fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map(|name| name.trim().to_owned())
        .ok()
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "gateway".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Command;

    use super::*;
    use crate::cache::Eviction;

    fn load(arguments: &[&str]) -> Result<GatewaySettings, InvalidSettings> {
        let matches = GatewaySettings::schema()
            .command(Command::new("gateway"))
            .try_get_matches_from([&["gateway"], arguments].concat())
            .unwrap();
        GatewaySettings::load(&matches)
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_defaults() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(
            file.path(),
            "listen = '127.0.0.1:1'\nregion = 'eu'\nthreads = 3\nspool_max_bytes = '1MiB'\nallowed_networks = ['10.0.0.0/8']",
        )
        .unwrap();
        let path = file.path().to_str().unwrap();
        let settings = load(&["--config", path, "--listen", "127.0.0.1:2", "--max-offline", "90s"]).unwrap();
        assert_eq!(settings.listen.port(), 2);
        assert_eq!(settings.status_listen.port(), 8001);
        assert_eq!((settings.region.as_deref(), settings.threads), (Some("eu"), 3));
        assert_eq!(settings.spool_max_bytes, 1 << 20);
        assert_eq!(settings.max_offline, Some(Duration::from_secs(90)));
        assert_eq!(settings.allowed_networks.len(), 1);
    }

    #[test]
    fn every_problem_is_told_at_once_with_its_path_origin_and_a_hint() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "listn = '127.0.0.1:1'\nthreads = 0\ndata = { a = 1 }").unwrap();
        let path = file.path().to_str().unwrap();
        let arguments = ["--config", path, "--listen", "nowhere", "--control-url", "http://control.example"];
        let InvalidSettings(problems) = load(&arguments).unwrap_err();
        let paths: Vec<_> = problems.iter().map(|problem| problem.path.as_str()).collect();
        assert_eq!(paths, ["data", "listn", "listen", "threads", "control_url"]);
        assert_eq!(problems[2].origin, "--listen");
        assert!(problems[1].hint.contains("`listen`"), "{:?}", problems[1]);
        assert!(problems.iter().all(|problem| !problem.hint.is_empty()));
    }

    #[test]
    fn a_token_is_read_from_a_file_so_that_it_need_not_be_on_the_command_line() {
        let token =
            EnrolmentToken { secret: "s".into(), url: "http://127.0.0.1:8080".into(), fingerprint: None };
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("{}\n", token.encode())).unwrap();
        let settings = load(&["--enrolment-token-file", file.path().to_str().unwrap()]).unwrap();
        assert_eq!(settings.enrolment, Some(token));
        assert!(load(&["--enrolment-token", "nonsense"]).is_err());
    }

    #[test]
    fn a_token_for_a_plain_control_plane_off_loopback_is_refused() {
        for (url, fine) in [
            ("http://10.0.0.1:8080", false),
            ("http://localhost:8080", true),
            ("http://[::1]:8080", true),
            ("https://10.0.0.1:8443", true),
        ] {
            let fingerprint = url.starts_with("https").then(|| sluice_contract::part::Sha256Hash::of(b"x"));
            let token = EnrolmentToken { secret: "s".into(), url: url.into(), fingerprint };
            assert_eq!(load(&["--enrolment-token", &token.encode()]).is_ok(), fine, "{url}");
        }
    }

    #[test]
    fn the_memory_of_the_cache_is_shared_as_the_settings_say() {
        let given =
            load(&["--cache-max-bytes", "1MiB", "--cache-eviction", "lru", "--cache-api-share", "30"]);
        let CacheLimits { max_bytes, eviction, shares } = given.unwrap().cache;
        assert_eq!((max_bytes, eviction, shares.api, shares.tenant), (1 << 20, Eviction::Lru, 30, 75));
        let wrong = ["--cache-eviction", "luck", "--cache-api-share", "0", "--cache-tenant-share", "101"];
        let InvalidSettings(problems) = load(&wrong).unwrap_err();
        let paths: Vec<_> = problems.iter().map(|problem| problem.path.as_str()).collect();
        assert_eq!(paths, ["cache_eviction", "cache_api_share", "cache_tenant_share"]);
        assert!(problems[0].hint.contains("sizelfu"), "{:?}", problems[0]);
    }

    #[test]
    fn the_second_level_is_off_unless_it_has_a_url_and_its_problems_show_no_password() {
        assert!(load(&["--cache-l2-budget", "1ms"]).unwrap().cache_l2.is_none());
        let key = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(key.path(), "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n").unwrap();
        let key = key.path().to_str().unwrap();
        let url = "rediss://:secret@a:1,redis://b:2";
        let given =
            load(&["--cache-l2-url", url, "--cache-l2-key-file", key, "--cache-l2-budget", "9ms"]).unwrap();
        let level = given.cache_l2.clone().unwrap();
        assert_eq!((level.urls.len(), level.key, level.budget.as_millis()), (2, Some([0; 32]), 9));
        assert!(!format!("{given:?}").contains("secret"));
        let InvalidSettings(problems) = load(&["--cache-l2-url", "http://:secret@a"]).unwrap_err();
        assert!(problems[0].message.contains("none of redis") && !problems[0].message.contains("secret"));
    }

    #[test]
    fn a_folder_as_second_level_has_a_bound_and_nothing_that_is_for_servers() {
        let url = ["--cache-l2-url", "disk:/var/lib/sluice/cache"];
        let given = |more: &[&str]| load(&[&url, more].concat());
        assert_eq!(given(&[]).unwrap().cache_l2.unwrap().disk_max_bytes, 1 << 30);
        let level = given(&["--cache-l2-disk-max-bytes", "64MiB"]).unwrap().cache_l2.unwrap();
        assert_eq!((&level.urls[..], level.disk_max_bytes), (&[url[1].to_owned()][..], 64 << 20));
        let ca = tempfile::NamedTempFile::new().unwrap();
        let ca = ca.path().to_str().unwrap();
        for (wrong, said, hint) in [
            (["--cache-l2-disk-max-bytes", "63MiB"], "too little", "64MiB"),
            (["--cache-l2-disk-max-bytes", "257GiB"], "too much", "256GiB"),
            (["--cache-l2-disk-max-bytes", "much"], "not a size", "1GiB"),
            (["--cache-l2-ca-file", ca], "names a folder", "Leave it out"),
        ] {
            let InvalidSettings(problems) = given(&wrong).unwrap_err();
            let [problem] = &problems[..] else { panic!("{problems:?}") };
            assert!(problem.message.contains(said) && problem.hint.contains(hint), "{problem:?}");
        }
    }

    #[test]
    fn the_failpoint_is_hidden_from_help() {
        let help = GatewaySettings::schema().command(Command::new("gateway")).render_long_help().to_string();
        assert!(!help.contains("failpoint") && help.contains("SLUICE_GATEWAY_LISTEN"));
    }
}
