//! Empties the outbox of what CDNs are to be told: woken by each change, and when something is to be sent again. Several
//! control planes may do it at once.

use std::time::Duration;

use chrono::Utc;
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use sluice_contract::cdn_request::{self, CdnRequest};
use sluice_store::cdn_hooks::{self, Due, Sent};
use tokio::task::JoinSet;
use url::Url;

use super::about;
use crate::hooks::{secret, sign};
use crate::outbound::{self, OutboundGuard};
use crate::problem::ApiError;
use crate::seal::Sealed;
use crate::state::App;

/// How long a CDN has to answer.
const WHOLE: Duration = Duration::from_secs(20);
/// How often it is looked what other control planes may have left behind.
const LOOK: Duration = Duration::from_secs(5);
const AFTER_ERROR: Duration = Duration::from_secs(2);

/// Starts it; it ends when the control plane stops.
pub(crate) fn start(app: &App) {
    tokio::spawn(run(app.clone()));
}

async fn run(app: App) {
    let mut changes = app.store.journal_changes();
    loop {
        let rest = match send_due(&app).await {
            Ok(true) => continue,
            Ok(false) => until_next(&app).await,
            Err(error) => {
                tracing::warn!(%error, "CDNs could not be told of purges; it will be tried again");
                AFTER_ERROR
            }
        };
        tokio::select! {
            () = app.stopping.cancelled() => return,
            _ = changes.changed() => {}
            () = tokio::time::sleep(rest) => {}
        }
    }
}

async fn until_next(app: &App) -> Duration {
    let next = cdn_hooks::next_due(app.store.read()).await.ok().flatten();
    let wait = next.and_then(|at| (at - Utc::now()).to_std().ok());
    wait.unwrap_or(LOOK).min(LOOK)
}

/// Sends what is due; true when there was something.
async fn send_due(app: &App) -> Result<bool, ApiError> {
    if cdn_hooks::next_due(app.store.read()).await?.is_none_or(|at| at > sluice_store::now()) {
        return Ok(false);
    }
    let tx = app.store.begin().await?;
    let due = cdn_hooks::due(&tx).await?;
    app.commit(tx).await?;
    let any = !due.is_empty();
    let mut sending = JoinSet::new();
    for call in due {
        let app = app.clone();
        sending.spawn(async move {
            let outcome = send(&app, &call).await;
            let tx = app.store.begin().await?;
            cdn_hooks::sent(&tx, &call, outcome).await?;
            app.commit(tx).await
        });
    }
    for done in sending.join_all().await {
        done?;
    }
    Ok(any)
}

async fn send(app: &App, call: &Due) -> Sent {
    let never = |error: String| Sent::Never { status: None, error };
    let (request, client) = match prepare(app, call).await {
        Ok(prepared) => prepared,
        Err(error) => return never(error),
    };
    match client.execute(request).await {
        Ok(response) => judge(response.status()),
        Err(error) => match outbound::forbidden(&error) {
            Some(forbidden) => never(forbidden.to_string()),
            None => Sent::Later { status: None, error: outbound::reason(&error) },
        },
    }
}

/// What the CDN meant by its status.
fn judge(status: StatusCode) -> Sent {
    let number = Some(status.as_u16());
    let error = format!("it answered {status}");
    let may_pass =
        matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS);
    match status {
        taken if taken.is_success() => Sent::Taken(taken.as_u16()),
        later if may_pass || later.is_server_error() => Sent::Later { status: number, error },
        _ => Sent::Never { status: number, error },
    }
}

/// The request as it is sent, or why it cannot be.
async fn prepare(app: &App, call: &Due) -> Result<(reqwest::Request, reqwest::Client), String> {
    let said = |error: &dyn std::fmt::Display| error.to_string();
    let guard = OutboundGuard::of_environment(app, call.environment).await.map_err(|error| said(&error))?;
    let secret = match &call.secret {
        Some(sealed) => {
            let opened = app.sealer.open(&about(call.hook), &Sealed(sealed.clone()));
            let bytes = opened.map_err(|error| said(&error))?;
            Some(String::from_utf8(bytes).map_err(|error| said(&error))?)
        }
        None => None,
    };
    let CdnRequest { url, headers, body } =
        cdn_request::fill(&call.templates, &call.facts, secret.as_deref());
    let url = Url::parse(&url).map_err(|error| said(&error))?;
    guard.check_url(&url).map_err(|error| said(&error))?;
    let method = Method::from_bytes(call.templates.method.as_bytes()).map_err(|error| said(&error))?;
    let client = guard.client(WHOLE).map_err(|error| said(&error))?;
    let mut request = reqwest::Request::new(method, url);
    for (name, value) in headers.into_iter().chain(signature(call, secret.as_deref(), &body)) {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| said(&error))?;
        let value = HeaderValue::from_str(&value).map_err(|error| said(&error))?;
        request.headers_mut().append(name, value);
    }
    if !body.is_empty() {
        *request.body_mut() = Some(body.into());
    }
    Ok((request, client))
}

/// The headers of Standard Webhooks, where the secret is one of them. The id is the same each time it is sent.
fn signature(call: &Due, secret: Option<&str>, body: &str) -> Vec<(String, String)> {
    let Some(key) = secret.and_then(secret::bytes) else { return Vec::new() };
    let (id, at) = (call.id.to_string(), sluice_store::now().timestamp().to_string());
    let signature = sign(&key, &id, &at, body.as_bytes());
    [("webhook-id", id), ("webhook-timestamp", at), ("webhook-signature", signature)]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
}
