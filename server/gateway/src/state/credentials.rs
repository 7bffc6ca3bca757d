//! Keys by their hash. A change copies one small bucket, so that one of 100,000 keys costs microseconds and the rest is
//! shared with the snapshots before.

use std::sync::Arc;

use sluice_contract::part::Sha256Hash;

use crate::compile::Credential;

/// Two levels of 64 buckets each; hashes are evenly spread, so their own bits choose the bucket.
const FAN_OUT: usize = 64;

/// Keys by their hash, with structural sharing between versions.
#[derive(Clone)]
pub struct Credentials {
    roots: Arc<[Arc<Branch>; FAN_OUT]>,
    len: usize,
}

type Branch = [Arc<Bucket>; FAN_OUT];
/// Sorted by hash.
type Bucket = Vec<(Sha256Hash, Arc<Credential>)>;

impl Default for Credentials {
    fn default() -> Self {
        let bucket = Arc::new(Bucket::new());
        let branch: Arc<Branch> = Arc::new(std::array::from_fn(|_| Arc::clone(&bucket)));
        Self { roots: Arc::new(std::array::from_fn(|_| Arc::clone(&branch))), len: 0 }
    }
}

impl Credentials {
    /// The key with this hash.
    pub fn get(&self, hash: &Sha256Hash) -> Option<&Arc<Credential>> {
        let (root, branch) = place(hash);
        let bucket = &self.roots[root][branch];
        let at = bucket.binary_search_by(|(other, _)| other.0.cmp(&hash.0)).ok()?;
        Some(&bucket[at].1)
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Every key, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Credential>> {
        self.roots
            .iter()
            .flat_map(|branch| branch.iter())
            .flat_map(|bucket| bucket.iter().map(|(_, key)| key))
    }

    pub(super) fn set(&mut self, credential: Arc<Credential>) {
        let hash = credential.hash;
        let bucket = self.bucket(&hash);
        match bucket.binary_search_by(|(other, _)| other.0.cmp(&hash.0)) {
            Ok(at) => bucket[at].1 = credential,
            Err(at) => {
                bucket.insert(at, (hash, credential));
                self.len += 1;
            }
        }
    }

    pub(super) fn remove(&mut self, hash: &Sha256Hash) {
        if self.get(hash).is_none() {
            return;
        }
        self.bucket(hash).retain(|(other, _)| other != hash);
        self.len -= 1;
    }

    /// The bucket to change; copied first when another snapshot shares it.
    fn bucket(&mut self, hash: &Sha256Hash) -> &mut Bucket {
        let (root, branch) = place(hash);
        let roots = Arc::make_mut(&mut self.roots);
        Arc::make_mut(&mut Arc::make_mut(&mut roots[root])[branch])
    }
}

fn place(hash: &Sha256Hash) -> (usize, usize) {
    (usize::from(hash.0[0]) % FAN_OUT, usize::from(hash.0[1]) % FAN_OUT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u32) -> Arc<Credential> {
        Arc::new(Credential::for_test(&number.to_string()))
    }

    #[test]
    fn a_change_shows_in_the_new_version_only() {
        let mut old = Credentials::default();
        (0..10_000).for_each(|number| old.set(key(number)));
        let mut new = old.clone();
        new.remove(&key(7).hash);
        new.set(key(10_000));
        new.set(key(10_000));
        assert!(old.get(&key(7).hash).is_some() && old.get(&key(10_000).hash).is_none());
        assert!(new.get(&key(7).hash).is_none() && new.get(&key(10_000).hash).is_some());
        assert_eq!((old.len(), new.len(), new.iter().count()), (10_000, 10_000, 10_000));
        new.remove(&key(99_999).hash);
        assert_eq!(new.len(), 10_000);
    }

    #[test]
    fn a_change_shares_all_but_one_bucket() {
        let mut old = Credentials::default();
        (0..10_000).for_each(|number| old.set(key(number)));
        let mut new = old.clone();
        new.set(key(10_001));
        let copied = old.roots.iter().zip(new.roots.iter()).filter(|(a, b)| !Arc::ptr_eq(a, b)).count();
        assert_eq!(copied, 1);
    }
}
