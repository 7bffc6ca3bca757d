//! From a location of a sitemap to a path below an API's base: by the host on which the API answers.

use url::Url;

/// Why a location is left out.
type Reason = &'static str;

/// Where an API is reached.
#[derive(Clone, Debug)]
pub(in crate::warmings) struct Places {
    /// `/{tenant}/{api}`, on hosts that APIs share.
    pub(in crate::warmings) base: String,
    /// Names of hosts that are the API's own, whatever the port.
    pub(in crate::warmings) own: Vec<String>,
    /// Addresses of gateways, and of what stands before them.
    pub(in crate::warmings) shared: Vec<Url>,
    /// Where the sitemap is: the protocol wants a site's own there.
    sitemap: Option<Authority>,
}

/// Host and port.
type Authority = (String, Option<u16>);

impl Places {
    /// `shared` are addresses; what is none is left out.
    pub(in crate::warmings) fn new(base: String, own: Vec<String>, shared: &[String]) -> Self {
        let shared = shared.iter().filter_map(|address| Url::parse(address).ok()).collect();
        Self { base, own, shared, sitemap: None }
    }

    pub(super) fn with_sitemap(&self, at: &Url) -> Self {
        Self { sitemap: authority(at), ..self.clone() }
    }

    /// The path with its query, or why it is left out.
    pub(super) fn path_of(&self, location: &str) -> Result<String, Reason> {
        let url = Url::parse(location).map_err(|_| "invalid_location")?;
        let here = authority(&url).filter(|_| matches!(url.scheme(), "http" | "https"));
        let here = here.ok_or("invalid_location")?;
        let is_own = self.own.iter().any(|host| host.eq_ignore_ascii_case(&here.0));
        let shared = self.shared.iter().find(|address| authority(address).as_ref() == Some(&here));
        let path = match shared {
            _ if is_own => url.path(),
            Some(address) => {
                let whole = format!("{}{}", address.path().trim_end_matches('/'), self.base);
                below(&whole, url.path()).ok_or("not_below_base")?
            }
            None if self.sitemap.as_ref() == Some(&here) => url.path(),
            None => return Err("other_host"),
        };
        Ok(url.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}")))
    }
}

/// A path without the base that it has.
pub(in crate::warmings) fn below<'p>(base: &str, path: &'p str) -> Option<&'p str> {
    match path.strip_prefix(base)? {
        "" => Some("/"),
        rest => rest.starts_with('/').then_some(rest),
    }
}

fn authority(url: &Url) -> Option<Authority> {
    Some((url.host_str()?.to_owned(), url.port_or_known_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_become_paths_by_the_host_that_they_are_on() {
        let shared = ["http://gw.example:8000".to_owned(), "https://cdn.example/edge/".to_owned()];
        let places = Places::new("/acme/shop".to_owned(), vec!["shop.example".to_owned()], &shared);
        let places = places.with_sitemap(&Url::parse("http://origin.example:9000/sitemap.xml").unwrap());
        for (location, expected) in [
            ("https://SHOP.example/items?page=2#top", Ok("/items?page=2")),
            ("https://shop.example:8443/a b", Ok("/a%20b")),
            ("http://gw.example:8000/acme/shop/items", Ok("/items")),
            ("http://gw.example:8000/acme/shop", Ok("/")),
            ("http://gw.example:8000/acme/shopping", Err("not_below_base")),
            ("http://gw.example/acme/shop/items", Err("other_host")),
            ("https://cdn.example/edge/acme/shop/x", Ok("/x")),
            ("https://cdn.example/acme/shop/x", Err("not_below_base")),
            ("http://origin.example:9000/items/1", Ok("/items/1")),
            ("http://origin.example/items/1", Err("other_host")),
            ("https://elsewhere.example/items", Err("other_host")),
            ("ftp://shop.example/items", Err("invalid_location")),
            ("/items", Err("invalid_location")),
        ] {
            assert_eq!(places.path_of(location), expected.map(str::to_owned), "{location}");
        }
    }
}
