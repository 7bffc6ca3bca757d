//! A key taken apart again, for people.

use sluice_contract::ids::ApplicationId;
use sluice_policies::cache::CacheRule;

use super::Digest;

/// The parts of a key, as [`super::Keys::new`] writes them.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::cache) struct Parts<'k> {
    pub(in crate::cache) https: bool,
    pub(in crate::cache) epoch: u32,
    pub(in crate::cache) revision: Option<u32>,
    pub(in crate::cache) body: Option<&'k Digest>,
    pub(in crate::cache) route: &'k [u8],
    pub(in crate::cache) host: &'k [u8],
    pub(in crate::cache) path: &'k [u8],
    pub(in crate::cache) query: Option<&'k [u8]>,
    /// Of each cookie that the policy names, its values.
    pub(in crate::cache) cookies: Vec<Vec<&'k [u8]>>,
    pub(in crate::cache) caller: Option<&'k Digest>,
}

/// The route of a key, which says whose rule it was made by.
pub(in crate::cache) fn route(key: &[u8]) -> Option<&[u8]> {
    let mut rest = Rest(key);
    head(&mut rest)?;
    rest.framed()?
}

/// The application that is told apart from others by its name alone.
pub(in crate::cache) fn application_of(identity: &Digest) -> Option<ApplicationId> {
    let (id, rest) = identity.split_first_chunk::<16>()?;
    rest.iter().all(|byte| *byte == 0).then(|| ApplicationId(uuid::Uuid::from_bytes(*id)))
}

/// What has the same length in all keys: flags, generation, revision; and the body's digest.
fn head<'k>(rest: &mut Rest<'k>) -> Option<(u8, u32, u32, Option<&'k Digest>)> {
    rest.take::<16>()?;
    let [flags] = *rest.take::<1>()?;
    let epoch = u32::from_le_bytes(*rest.take()?);
    // Beside the policy's epoch: a number for what must not be stored, which tells people nothing.
    rest.take::<4>()?;
    let revision = u32::from_le_bytes(*rest.take()?);
    let body = if flags & 2 == 0 { None } else { Some(rest.take()?) };
    Some((flags, epoch, revision, body))
}

/// Reads a key by the rule that it was made by. None: it was made by another.
pub(in crate::cache) fn read<'k>(key: &'k [u8], rule: &CacheRule) -> Option<Parts<'k>> {
    let mut rest = Rest(key);
    let (flags, epoch, revision, body) = head(&mut rest)?;
    let [route, host, path] = [rest.framed()??, rest.framed()??, rest.framed()??];
    let query = rest.framed()?;
    let cookies = rule.cookies.iter().map(|_| rest.framed_to_end()).collect::<Option<_>>()?;
    let caller = if rest.0.is_empty() { None } else { Some(rest.take()?) };
    rest.0.is_empty().then_some(Parts {
        https: flags & 1 != 0,
        epoch,
        revision: (flags & 4 != 0).then_some(revision),
        body,
        route,
        host,
        path,
        query,
        cookies,
        caller,
    })
}

/// What is not read yet.
struct Rest<'k>(&'k [u8]);

impl<'k> Rest<'k> {
    fn take<const N: usize>(&mut self) -> Option<&'k [u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(taken)
    }

    /// Some(None): there is none, which is no empty one.
    fn framed(&mut self) -> Option<Option<&'k [u8]>> {
        let length = u32::from_le_bytes(*self.take()?);
        if length == u32::MAX {
            return Some(None);
        }
        let (taken, rest) = self.0.split_at_checked(length as usize)?;
        self.0 = rest;
        Some(Some(taken))
    }

    /// Any number, and the end that is none.
    fn framed_to_end(&mut self) -> Option<Vec<&'k [u8]>> {
        let mut values = Vec::new();
        while let Some(value) = self.framed()? {
            values.push(value);
        }
        Some(values)
    }
}
