//! A call as it goes through the pipeline: what its record will say.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::header::HeaderValue;
use http::request::Parts;
use http::{HeaderMap, Method, Uri};
use sluice_contract::calls::wire::{CallRecord, Stage};
use sluice_contract::calls::{CacheOutcome, CacheSigns, SecondLevelAsked};
use sluice_contract::ids::CallId;
use sluice_contract::problem::ErrorSource;

use super::failure::Failure;
use super::fields::Fields;
use super::limit::RateFields;
use super::request_id::RequestId;
use super::trace::Trace;
use crate::body::BodyWatch;
use crate::compile::{Api, Credential, Upstream};
use crate::listen::{Busy, Connection};
use crate::telemetry::OpenCall;
use crate::worker::Worker;

/// A call, open until its last byte has left.
pub(crate) struct Call {
    pub(crate) worker: Rc<Worker>,
    pub(crate) connection: Rc<Connection>,
    open: Option<OpenCall>,
    /// Keeps the client's connection open.
    busy: Option<Busy>,
    id: CallId,
    /// Microseconds since the Unix epoch, as the record has it: a date would have to be taken apart again.
    at_us: i64,
    /// Nanoseconds of the gateway's clock.
    started: u64,
    pub(crate) request_id: RequestId,
    pub(crate) trace: Trace,
    pub(crate) told: Told,
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) host: Option<HeaderValue>,
    pub(super) user_agent: Option<HeaderValue>,
    pub(crate) origin: Option<HeaderValue>,
    /// The answer says already what pages may do.
    pub(crate) answered_preflight: bool,
    /// Who is connected; the client or a proxy.
    pub(crate) peer: IpAddr,
    pub(crate) client: IpAddr,
    pub(crate) version: http::Version,
    /// The head as it was written, where it is worth remembering what it means.
    pub(crate) words: Option<Bytes>,
    pub(crate) api: Option<Arc<Api>>,
    /// Index in the API's routes.
    pub(crate) route: Option<usize>,
    pub(crate) credential: Option<Arc<Credential>>,
    /// Index in the credential's subscriptions.
    pub(crate) subscription: Option<usize>,
    /// The query without the key, when the key was in it.
    pub(crate) clean_query: Option<Option<String>>,
    pub(crate) cache: CacheOutcome,
    signs: CacheSigns,
    /// What the cache's second level did for it, where it was asked.
    pub(crate) second_level: Option<SecondLevelAsked>,
    pub(crate) rate: Option<RateFields>,
    /// The upstream and the index of the target that answered.
    target: Option<(Arc<Upstream>, usize)>,
    upstream_us: Option<u64>,
    pub(crate) body_in: Rc<BodyWatch>,
    pub(crate) status: u16,
    error: Option<(&'static str, ErrorSource)>,
    stages: Vec<Stage<'static>>,
    /// Nanoseconds of the gateway's clock when the last stage ended.
    moment: u64,
}

/// What the header fields said that later stages decide by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    /// How many `Host` fields there were.
    pub(super) hosts: usize,
    /// Bytes of the body that were announced.
    pub(super) content_length: Option<u64>,
    /// The call has passed proxies that say so.
    pub(super) via: bool,
    /// How many of these gateways the call has passed.
    pub(super) hops: usize,
    /// Something was said to caches.
    pub(crate) to_caches: bool,
    /// There is `Authorization` or a cookie.
    pub(crate) personal: bool,
}

impl Told {
    fn of(fields: &Fields<'_>) -> Self {
        let hops = |via: &HeaderValue| via.to_str().unwrap_or_default().matches("sluice").count();
        Self {
            hosts: fields.hosts,
            content_length: fields.content_length.and_then(|value| value.to_str().ok()?.parse().ok()),
            via: fields.via.is_some(),
            hops: fields.via.map_or(0, hops),
            to_caches: fields.steers_caches,
            personal: fields.personal,
        }
    }
}

impl Call {
    /// A call that begins now. It is made where it stays, since it is too large to be moved for nothing.
    pub(super) fn begin(
        worker: &Rc<Worker>,
        connection: &Rc<Connection>,
        head: &Parts,
        fields: &Fields<'_>,
    ) -> Box<Self> {
        let place = Box::new_uninit();
        let started = worker.shared.clock.now();
        let at_us = worker.unix_us(started);
        let id = worker.ids.call(at_us);
        let call = Self {
            worker: Rc::clone(worker),
            connection: Rc::clone(connection),
            open: (!worker.internal).then(|| worker.recorder.open()),
            busy: Some(connection.busy()),
            id,
            at_us,
            started,
            request_id: RequestId::of(fields.request_id, id),
            trace: Trace::of(fields.traceparent, &worker.ids),
            told: Told::of(fields),
            method: head.method.clone(),
            uri: head.uri.clone(),
            // An absolute form and HTTP/2 name the host in the target; it counts (RFC 9112 §3.2.2).
            host: authority(&head.uri).or_else(|| fields.host.cloned()),
            user_agent: fields.user_agent.cloned(),
            origin: fields.origin.cloned(),
            answered_preflight: false,
            peer: connection.address(),
            client: connection.address(),
            version: head.version,
            words: None,
            api: None,
            route: None,
            credential: None,
            subscription: None,
            clean_query: None,
            cache: CacheOutcome::Uncached,
            signs: CacheSigns::default(),
            second_level: None,
            rate: None,
            target: None,
            upstream_us: None,
            body_in: Rc::default(),
            status: 0,
            error: None,
            stages: Vec::with_capacity(4),
            moment: started,
        };
        Box::write(place, call)
    }

    /// The query, without any key.
    pub(crate) fn query(&self) -> Option<&str> {
        match &self.clean_query {
            Some(clean) => clean.as_deref(),
            None => self.uri.query(),
        }
    }

    /// Nanoseconds of the gateway's clock when the last stage ended, or the call began: now, for what happens without
    /// waiting. Reading the clock costs more than deciding most things.
    pub(crate) fn moment(&self) -> u64 {
        self.moment
    }

    /// A stage has ended; it began where the one before ended.
    pub(crate) fn mark(&mut self, stage: &'static str) {
        let start_us = self.since_start_us();
        self.moment = self.worker.shared.clock.now();
        self.stages.push(Stage { stage, start_us, took_us: self.since_start_us() - start_us });
    }

    /// Microseconds from the call's beginning to its last mark.
    fn since_start_us(&self) -> u64 {
        (self.moment - self.started) / 1_000
    }

    /// This target is tried.
    pub(crate) fn trying(&mut self, upstream: &Arc<Upstream>, target: usize) {
        self.target = Some((Arc::clone(upstream), target));
    }

    /// The target to which the request was sent at this moment had answered when the last stage ended.
    pub(crate) fn answered(&mut self, sent: u64) {
        self.upstream_us = Some(self.moment.saturating_sub(sent) / 1_000);
    }

    /// Whether the client waits for the answer: not for what goes on behind one.
    pub(super) fn is_waited_for(&self) -> bool {
        self.busy.is_some()
    }

    /// No cache policy covers the call: its record says what a cache would go by, where one might be worth having.
    pub(super) fn passed_no_cache(&mut self, response: &HeaderMap) {
        if self.open.is_some() && self.method == Method::GET {
            self.signs = crate::cache::signs(self.told.personal, response);
        }
    }

    /// The gateway answers with an error.
    pub(super) fn failed(&mut self, failure: &Failure) {
        self.error = Some((failure.kind.code(), failure.kind.source()));
    }

    /// The answer could not be sent whole.
    pub(crate) fn broke_off(&mut self, code: &'static str, source: ErrorSource) {
        self.error.get_or_insert((code, source));
    }

    /// The call itself; what is left records nothing.
    pub(super) fn take(&mut self) -> Self {
        Self {
            worker: Rc::clone(&self.worker),
            connection: Rc::clone(&self.connection),
            open: self.open.take(),
            busy: self.busy.take(),
            request_id: self.request_id.clone(),
            method: self.method.clone(),
            uri: self.uri.clone(),
            host: self.host.take(),
            user_agent: self.user_agent.take(),
            origin: self.origin.clone(),
            words: None,
            api: self.api.clone(),
            credential: self.credential.take(),
            clean_query: self.clean_query.take(),
            rate: None,
            target: self.target.take(),
            body_in: Rc::clone(&self.body_in),
            stages: std::mem::take(&mut self.stages),
            ..*self
        }
    }

    /// A call that records nothing and keeps nobody waiting, for what goes on behind an answer.
    pub(crate) fn behind(&self) -> Self {
        Self {
            worker: Rc::clone(&self.worker),
            connection: Rc::clone(&self.connection),
            open: None,
            busy: None,
            request_id: self.request_id.clone(),
            method: self.method.clone(),
            uri: self.uri.clone(),
            host: self.host.clone(),
            user_agent: self.user_agent.clone(),
            origin: self.origin.clone(),
            words: None,
            api: self.api.clone(),
            credential: self.credential.clone(),
            clean_query: self.clean_query.clone(),
            rate: None,
            target: None,
            body_in: Rc::default(),
            stages: Vec::new(),
            ..*self
        }
    }

    /// The call has ended: records it.
    pub(crate) fn end(&mut self, bytes_out: u64) {
        let Some(open) = self.open.take() else { return };
        self.mark("respond");
        let query = self.query();
        let subscription = self
            .credential
            .as_ref()
            .zip(self.subscription)
            .and_then(|(credential, index)| credential.subscriptions.get(index));
        let api = self.api.as_deref();
        let route = api.zip(self.route).and_then(|(api, index)| api.routes.get(index));
        open.record(&CallRecord {
            id: self.id,
            at_us: self.at_us,
            tenant: api.map(|api| api.tenant),
            api: api.map(|api| api.id),
            route: route.map(|route| &*route.id),
            method: self.method.as_str(),
            host: text(self.host.as_ref()).unwrap_or_default(),
            path: self.uri.path(),
            query,
            status: self.status,
            error: self.error.map(|(code, _)| code),
            error_source: self.error.map(|(_, source)| source),
            application: self.credential.as_ref().map(|credential| credential.application),
            credential: self.credential.as_ref().map(|credential| credential.id),
            subscription: subscription.map(|subscription| subscription.id),
            plan: subscription.map(|subscription| subscription.plan),
            cache: self.cache,
            signs: self.signs,
            second_level: self.second_level,
            target: self
                .target
                .as_ref()
                .and_then(|(upstream, index)| Some(&*upstream.targets.get(*index)?.url)),
            duration_us: self.since_start_us(),
            upstream_us: self.upstream_us,
            bytes_in: self.body_in.bytes.get(),
            bytes_out,
            client_ip: self.client,
            user_agent: text(self.user_agent.as_ref()),
            request_id: self.request_id.sent(),
            trace_id: Some(u128::from_be_bytes(self.trace.id)),
            stages: &self.stages,
        });
    }
}

fn authority(uri: &Uri) -> Option<HeaderValue> {
    HeaderValue::from_str(uri.authority()?.as_str()).ok()
}

/// The value where it is ASCII, looked at in words and not byte by byte as `HeaderValue::to_str` does.
pub(super) fn text(value: Option<&HeaderValue>) -> Option<&str> {
    let bytes = value?.as_bytes();
    if bytes.is_ascii() { str::from_utf8(bytes).ok() } else { None }
}
