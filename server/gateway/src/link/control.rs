//! The control plane's gateway API as functions; see [`sluice_contract::link`].

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, header};
use http_body_util::Full;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sluice_contract::calls::BatchReceipt;
use sluice_contract::ids::IncarnationId;
use sluice_contract::journal::{Position, Snapshot};
use sluice_contract::link::{
    ACKNOWLEDGE_PATH, ANSWERS_PATH, Acknowledgement, CALLS_PATH, CHANGED_PATH, ChangedUrls, ENROL_PATH,
    EnrolRequest, EnrolResponse, HEARTBEAT_PATH, Heartbeat, JOURNAL_PATH, PARTS_PATH, SESSION_PATH,
    SNAPSHOT_PATH, SessionRequest, SessionResponse,
};
use sluice_contract::part::Sha256Hash;
use sluice_contract::questions::Answer;

use super::client::{Bounds, Client};
use super::error::LinkError;
use super::identity::ControlAddress;
use super::stream::JournalStream;

const PART: Bounds = Bounds { wait: Duration::from_secs(60), bytes: 256 << 20 };
const SNAPSHOT: Bounds = Bounds { wait: Duration::from_secs(120), bytes: 1 << 30 };
const CALLS: Bounds = Bounds { wait: Duration::from_secs(30), ..Bounds::SMALL };

/// A control plane.
pub(super) struct Control {
    client: Client,
}

/// A session: what later requests are sent with.
#[derive(Clone, Debug)]
pub(super) struct Session {
    authorization: HeaderValue,
    pub(super) incarnation: IncarnationId,
}

impl Control {
    pub(super) fn new(address: &ControlAddress) -> Result<Self, LinkError> {
        let client = Client::new(&address.url, address.fingerprint)?;
        Ok(Self { client })
    }

    pub(super) async fn enrol(&self, request: &EnrolRequest) -> Result<EnrolResponse, LinkError> {
        let body = self.client.exchange(post(ENROL_PATH, request)?, Bounds::SMALL).await?;
        decode(&body)
    }

    pub(super) async fn open_session(&self, request: &SessionRequest) -> Result<Session, LinkError> {
        let body = self.client.exchange(post(SESSION_PATH, request)?, Bounds::SMALL).await?;
        let SessionResponse { access_token, incarnation, environment_name } = decode(&body)?;
        tracing::info!(environment = environment_name, "connected to the control plane");
        let mut authorization = HeaderValue::from_str(&format!("Bearer {access_token}"))
            .map_err(|_| LinkError::Protocol("the access token is not a header value".to_owned()))?;
        authorization.set_sensitive(true);
        Ok(Session { authorization, incarnation })
    }

    /// Entries after `from`.
    pub(super) async fn journal(
        &self,
        session: &Session,
        incarnation: IncarnationId,
        from: Position,
    ) -> Result<JournalStream, LinkError> {
        let path = format!("{JOURNAL_PATH}?from={from}&incarnation={incarnation}&questions=true");
        let response = self.client.stream(session.get(&path)?, Bounds::SMALL.wait).await?;
        Ok(JournalStream::new(response.into_body()))
    }

    pub(super) async fn snapshot(&self, session: &Session) -> Result<Snapshot, LinkError> {
        decode(&self.client.exchange(session.get(SNAPSHOT_PATH)?, SNAPSHOT).await?)
    }

    /// The bytes of a part, checked against its hash.
    pub(super) async fn part(&self, session: &Session, hash: &Sha256Hash) -> Result<Bytes, LinkError> {
        let request = session.get(&format!("{PARTS_PATH}/{hash}"))?;
        let bytes = self.client.exchange(request, PART).await?;
        if Sha256Hash::of(&bytes) == *hash {
            Ok(bytes)
        } else {
            Err(LinkError::Protocol(format!("what came for part {hash} has another hash")))
        }
    }

    pub(super) async fn acknowledge(
        &self,
        session: &Session,
        acknowledgement: &Acknowledgement,
    ) -> Result<(), LinkError> {
        let request = session.authorise(post(ACKNOWLEDGE_PATH, acknowledgement)?);
        self.client.exchange(request, Bounds::SMALL).await.map(drop)
    }

    pub(super) async fn heartbeat(&self, session: &Session, heartbeat: &Heartbeat) -> Result<(), LinkError> {
        let request = session.authorise(post(HEARTBEAT_PATH, heartbeat)?);
        self.client.exchange(request, Bounds::SMALL).await.map(drop)
    }

    pub(super) async fn answer(&self, session: &Session, answer: &Answer) -> Result<(), LinkError> {
        let request = session.authorise(post(ANSWERS_PATH, answer)?);
        self.client.exchange(request, Bounds::SMALL).await.map(drop)
    }

    pub(super) async fn changed(&self, session: &Session, changed: &ChangedUrls) -> Result<(), LinkError> {
        let request = session.authorise(post(CHANGED_PATH, changed)?);
        self.client.exchange(request, Bounds::SMALL).await.map(drop)
    }

    /// Hands over a batch.
    pub(super) async fn send_calls(
        &self,
        session: &Session,
        batch: Bytes,
    ) -> Result<BatchReceipt, LinkError> {
        let request = session.authorise(request(Method::POST, CALLS_PATH, batch)?);
        decode(&self.client.exchange(request, CALLS).await?)
    }
}

impl Session {
    /// Whether it is the same session.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.authorization == other.authorization
    }

    fn get(&self, path: &str) -> Result<Request<Full<Bytes>>, LinkError> {
        Ok(self.authorise(request(Method::GET, path, Bytes::new())?))
    }

    fn authorise(&self, mut request: Request<Full<Bytes>>) -> Request<Full<Bytes>> {
        request.headers_mut().insert(header::AUTHORIZATION, self.authorization.clone());
        request
    }
}

fn post(path: &str, body: &impl Serialize) -> Result<Request<Full<Bytes>>, LinkError> {
    request(Method::POST, path, serde_json::to_vec(body)?.into())
}

fn request(method: Method, path: &str, body: Bytes) -> Result<Request<Full<Bytes>>, LinkError> {
    Request::builder()
        .method(method)
        .uri(path)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(body))
        .map_err(|error| LinkError::Protocol(error.to_string()))
}

fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, LinkError> {
    serde_json::from_slice(body).map_err(LinkError::from)
}
