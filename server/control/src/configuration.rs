//! What the control plane is told at start. The command line reads it; nothing here reads the environment.

use ipnet::IpNet;

use crate::seal::MasterKey;

/// What the control plane is told at start.
#[derive(Clone, Debug)]
pub struct ControlSettings {
    /// Whether this is `sluice up`: one machine, one control plane, gateways on loopback.
    pub embedded: bool,
    /// Whether upstreams on this machine are allowed in the environment that is made at the first start.
    pub loopback_allowed: bool,
    /// Where browsers reach the console when that differs from what they send as `Host`, for example
    /// `https://console.example.com`: also accepted as `Origin`.
    pub public_origin: Option<String>,
    /// What gateways dial; goes into enrolment tokens. `https://` and the address of [`crate::link::serve`]'s listener,
    /// or `http://` and the console's address for gateways on this machine. Without it no tokens can be made.
    pub link_url: Option<String>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Seals the secrets in the database.
    pub master_key: MasterKey,
    pub password_cost: PasswordCost,
}

/// What hashing a password costs (argon2id).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordCost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// How many are hashed at once; others wait.
    pub at_once: usize,
}

/// OWASP's recommendation for argon2id with one lane.
impl Default for PasswordCost {
    fn default() -> Self {
        Self { memory_kib: 19 * 1024, passes: 2, at_once: 2 }
    }
}
