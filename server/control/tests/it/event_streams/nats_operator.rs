//! An operator of NATS: who vouches for accounts, which vouch for users (JSON web tokens signed by nkeys, as NATS has them).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nkeys::KeyPair;
use serde_json::{Value, json};

/// One with an account that may do everything, and a user of it.
pub struct Operator {
    jwt: String,
    system: Account,
    account: Account,
    /// What stands in the user's file of credentials.
    pub credentials: String,
}

struct Account {
    id: String,
    jwt: String,
}

impl Operator {
    pub fn new() -> Self {
        let operator = KeyPair::new_operator();
        let (account, user) = (KeyPair::new_account(), KeyPair::new_user());
        let vouched = signed(
            &account,
            &user.public_key(),
            &json!({"type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1}),
        );
        let seed = user.seed().unwrap();
        let credentials = format!(
            "-----BEGIN NATS USER JWT-----\n{vouched}\n------END NATS USER JWT------\n\n\
             ************************* IMPORTANT *************************\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        );
        Self {
            jwt: signed(&operator, &operator.public_key(), &json!({"type": "operator", "version": 2})),
            // A system account keeps no streams.
            system: Account::of(&operator, &KeyPair::new_account(), 0),
            account: Account::of(&operator, &account, -1),
            credentials,
        }
    }

    /// What a server must know to let its users in.
    pub fn settings(&self) -> String {
        let Self { jwt, system, account, .. } = self;
        format!(
            "operator: {jwt}\nsystem_account: {}\nresolver: MEMORY\nresolver_preload {{\n{}: {}\n{}: {}\n}}",
            system.id, system.id, system.jwt, account.id, account.jwt
        )
    }
}

impl Account {
    fn of(operator: &KeyPair, keys: &KeyPair, storage: i64) -> Self {
        let limits = json!({
            "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1,
            "leaf": -1, "mem_storage": storage, "disk_storage": storage, "streams": storage, "consumer": storage,
        });
        let id = keys.public_key();
        let jwt = signed(operator, &id, &json!({"type": "account", "version": 2, "limits": limits}));
        Self { id, jwt }
    }
}

/// That `by` says this of who has this key.
fn signed(by: &KeyPair, of: &str, says: &Value) -> String {
    let part = |it: &Value| URL_SAFE_NO_PAD.encode(it.to_string());
    let claims = json!({"jti": of, "iat": 1_700_000_000, "iss": by.public_key(), "name": "test", "sub": of, "nats": says});
    let said = format!("{}.{}", part(&json!({"typ": "JWT", "alg": "ed25519-nkey"})), part(&claims));
    let signature = by.sign(said.as_bytes()).unwrap();
    format!("{said}.{}", URL_SAFE_NO_PAD.encode(signature))
}
