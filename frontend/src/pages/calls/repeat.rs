//! A recorded call as a command that sends the same again. Bodies and keys are not recorded.

use sluice_contract::calls::Call;

use crate::curl::Command;

/// `gateway` is where clients reach the gateway that served the call, `tenant` the slug that paths on the shared host
/// begin with. Without a gateway's word the host that the call named is all there is to go by.
pub fn command(call: &Call, gateway: Option<&str>, tenant: &str) -> String {
    let query = call.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
    let url = format!("{}{}{query}", origin(call, gateway, tenant), call.path);
    let key_header = call.credential.is_some().then(|| "X-API-Key".to_owned());
    Command { method: call.method.clone(), url, key_header, ..Command::default() }.text()
}

/// An API that answers on a host of its own is called there, but as securely as the gateway is.
fn origin(call: &Call, gateway: Option<&str>, tenant: &str) -> String {
    let Some(gateway) = gateway else { return format!("http://{}", call.host) };
    let on_shared_host = call.path.starts_with(&format!("/{tenant}/"));
    match gateway.split_once("://") {
        Some((scheme, _)) if !on_shared_host => format!("{scheme}://{}", call.host),
        _ => gateway.trim_end_matches('/').to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(host: &str, path: &str) -> Call {
        let call = serde_json::json!({
            "id": uuid::Uuid::nil(), "at": "2026-01-01T00:00:00Z", "tenant": null, "api": null, "route": null,
            "method": "GET", "host": host, "path": path, "query": "page=2", "status": 200, "application": null,
            "credential": null, "subscription": null, "plan": null, "cache": "bypass", "duration_us": 1,
            "bytes_in": 0, "bytes_out": 0, "client_ip": "192.0.2.1", "request_id": "r",
        });
        serde_json::from_value(call).unwrap()
    }

    #[test]
    fn a_call_is_repeated_where_clients_reach_the_gateway() {
        let shared = call("10.0.0.7:8000", "/acme/items");
        let text = command(&shared, Some("https://gateway.example.com/"), "acme");
        assert!(text.contains("'https://gateway.example.com/acme/items?page=2'"), "{text}");
        assert!(command(&shared, None, "acme").contains("'http://10.0.0.7:8000/acme/items?page=2'"));
    }

    #[test]
    fn a_host_of_its_own_is_kept() {
        let own = call("items.example.com", "/items");
        let text = command(&own, Some("https://gateway.example.com"), "acme");
        assert!(text.contains("'https://items.example.com/items?page=2'"), "{text}");
    }
}
