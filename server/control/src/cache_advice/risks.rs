//! What the calls of a route tell against caching. Pure.

use sluice_advisor::risk::{Answer, variety};
use sluice_contract::calls::CacheSign;
use sluice_contract::rest::cache_advice::CacheRisk;

use super::advise::STORED;
use super::trace::{Seen, Trace};

/// Those to confirm come first.
pub(super) fn risks(trace: &Trace) -> Vec<CacheRisk> {
    let calls = &trace.calls;
    let count = |of: fn(&Seen) -> bool| Some(calls.iter().filter(|call| of(call)).count() as u64);
    let some = |of: fn(&Seen) -> bool| count(of).filter(|calls| *calls > 0);
    [
        varies_by_caller(calls),
        some(|call| call.signs.has(CacheSign::SetsCookie)).map(|calls| CacheRisk::SetsCookies { calls }),
        trace.personal.clone().map(|example| CacheRisk::PersonalData { example }),
        some(|call| call.has_application || call.signs.has(CacheSign::Personal))
            .map(|calls| CacheRisk::Credentials { calls }),
        some(|call| call.signs.has(CacheSign::Varies)).map(|calls| CacheRisk::Varies { calls }),
        some(|call| call.signs.has(CacheSign::Forbids)).map(|calls| CacheRisk::Forbidden { calls }),
        some(|call| call.signs.has(CacheSign::Lifetime) && !call.signs.has(CacheSign::Forbids))
            .map(|calls| CacheRisk::OwnLifetime { calls }),
        some(|call| !STORED.contains(&call.status)).map(|calls| CacheRisk::NotStored { calls }),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn varies_by_caller(calls: &[Seen]) -> Option<CacheRisk> {
    let answer = |call: &Seen| Answer {
        resource: call.resource,
        caller: call.caller,
        at_ms: call.at_ms,
        status: call.status,
        bytes: call.bytes,
    };
    // Nothing is known of the answer behind one that says that the client has it already.
    let whole = calls.iter().filter(|call| call.status != 304).map(answer);
    let found = variety(&whole.collect::<Vec<_>>());
    let (compared, differ) = (found.compared as u64, found.differ as u64);
    (differ > 0).then_some(CacheRisk::VariesByCaller { compared, differ })
}
