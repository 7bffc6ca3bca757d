//! The filters of the call log, decided in memory: for calls that are watched as they arrive.

use sluice_contract::calls::Call;
use sluice_contract::ids::GatewayId;
use sluice_contract::rest::calls::CallFilter;

use super::log;
use crate::error::Result;

/// A filter that was read. Keeps what the log's query keeps.
#[derive(Clone, Debug)]
pub struct Matcher {
    filter: CallFilter,
    status: Option<(i32, Option<i32>)>,
}

impl Matcher {
    /// Reads the filter.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for a filter that cannot be read.
    pub fn new(filter: CallFilter) -> Result<Self> {
        let status = filter.status.as_deref().map(log::read_status).transpose()?;
        Ok(Self { filter, status })
    }

    /// The filter as it was given.
    pub fn filter(&self) -> &CallFilter {
        &self.filter
    }

    /// Whether the filter keeps a call that this gateway served.
    pub fn keeps(&self, call: &Call, served_by: GatewayId) -> bool {
        let CallFilter {
            from,
            to,
            api,
            route,
            application,
            gateway,
            method,
            status: _,
            cache,
            path,
            request_id,
            min_duration_us,
        } = &self.filter;
        from.is_none_or(|from| call.at >= from)
            && to.is_none_or(|to| call.at < to)
            && (api.is_none() || *api == call.api)
            && (route.is_none() || *route == call.route)
            && (application.is_none() || *application == call.application)
            && gateway.is_none_or(|gateway| gateway == served_by)
            && method.as_ref().is_none_or(|method| method.eq_ignore_ascii_case(&call.method))
            && self.keeps_status(call.status.into())
            && cache.is_none_or(|cache| cache == call.cache)
            && path.as_ref().is_none_or(|path| call.path.starts_with(path.as_str()))
            && request_id.as_ref().is_none_or(|id| *id == call.request_id)
            && min_duration_us.is_none_or(|least| call.duration_us >= least)
    }

    fn keeps_status(&self, status: i32) -> bool {
        self.status
            .is_none_or(|(class, exact)| status / 100 == class && exact.is_none_or(|exact| exact == status))
    }
}
