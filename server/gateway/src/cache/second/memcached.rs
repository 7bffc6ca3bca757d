//! Memcached as second level: several servers, each with the URLs that [`Nodes`] gives it.
//!
//! A client of our own, of the five classic text commands that are needed. Of the crates that are kept up, `async-memcached` lends a
//! connection to one question at a time and reads answers of any length; `memcache` blocks its thread. Here many calls share a
//! connection without waiting for each other's answers, and no server can make a gateway hold more than it asked for.
//!
//! What Redis has in one hash stands here under keys of its own: the era of a URL under its location, each response under location
//! and field, with the era's generation before it. All of them are asked for at once. A response of another generation, or of
//! none, is none: so one command takes all copies of a URL out, and an era that the server gives up takes them along.

mod connection;
mod figures;
mod protocol;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use sluice_contract::link::SecondLevelServer;

use super::era::Era;
use super::nodes::Nodes;
use super::server::{Failure, Found, Wrote};
use super::settings::SecondLevelSettings;
use super::wire::Origin;
use super::{LONGEST, Location};
use connection::{Connection, Target};
use figures::Sample;
use protocol::{Expect, Reply};

/// Bytes of the largest item, until the server has said how many it takes.
const USUAL_LARGEST: usize = 1 << 20;
/// Bytes of an item that are not its value: the key and what the server notes of it.
const AROUND: usize = 256;
const GENERATION: usize = 8;

#[derive(Clone)]
pub(super) struct Memcached {
    which: Arc<Nodes>,
    servers: Arc<[Server]>,
}

/// One of them. What is asked does not wait behind what is written.
struct Server {
    questions: Connection,
    orders: Connection,
    /// Bytes of the largest item that it takes.
    largest: AtomicUsize,
    before: Mutex<Option<Sample>>,
}

impl Memcached {
    /// Connects when it is first used. Needs a runtime.
    pub(super) fn new(settings: &SecondLevelSettings) -> Result<Self, String> {
        let server = |url: &String| {
            let target = Arc::new(Target::new(url, settings.ca.as_deref())?);
            Ok(Server {
                questions: Connection::start(Arc::clone(&target)),
                orders: Connection::start(target),
                largest: AtomicUsize::new(USUAL_LARGEST),
                before: Mutex::default(),
            })
        };
        let servers = settings.urls.iter().map(server).collect::<Result<_, String>>()?;
        Ok(Self { which: Arc::new(Nodes::new(settings.names())), servers })
    }

    fn of(&self, location: &Location) -> Result<&Server, Failure> {
        self.at(self.which.index_of(location))
    }

    fn at(&self, index: usize) -> Result<&Server, Failure> {
        self.servers.get(index).ok_or_else(|| Failure::Lost("there is no such server".to_owned()))
    }

    pub(super) async fn read(&self, location: &Location, fields: &[&[u8]]) -> Result<Found, Failure> {
        let keys: Vec<Vec<u8>> = fields.iter().map(|field| key(location, field)).collect();
        let mut command = [b"get ", &location.0[..]].concat();
        keys.iter().for_each(|key| command.extend([b" ", &key[..]].concat()));
        command.extend(b"\r\n");
        let replies = self.of(location)?.questions.ask(command, vec![Expect::Values(keys.len() + 1)]).await?;
        let mut found = values(replies)?;
        let Some(era) = found.remove(&location.0[..]).and_then(|bytes| Era::decode(&bytes)) else {
            return Ok(Found { era: None, values: vec![None; keys.len()] });
        };
        let value = |key: &Vec<u8>| {
            let mut value = found.remove(key)?;
            let is_of_era = value.first_chunk() == Some(&era.generation.to_le_bytes());
            is_of_era.then(|| value.split_off(GENERATION))
        };
        Ok(Found { era: Some(era), values: keys.iter().map(value).collect() })
    }

    pub(super) async fn write(
        &self,
        location: &Location,
        fields: &[(&[u8], &[u8])],
        seconds: u64,
        origin: &Origin,
    ) -> Result<Wrote, Failure> {
        let server = self.of(location)?;
        let largest = server.largest.load(Ordering::Relaxed);
        if fields.iter().any(|(_, value)| value.len() + AROUND > largest) {
            return Err(Failure::TooLarge);
        }
        let era = server.era(location).await?;
        if !era.allows(origin) {
            return Ok(Wrote::Outdated);
        }
        let mut command = Vec::new();
        for (field, value) in fields {
            let value = [&era.generation.to_le_bytes()[..], value].concat();
            store("set", &key(location, field), &value, seconds, &mut command);
        }
        let replies = server.orders.ask(command, vec![Expect::Line; fields.len()]).await?;
        replies.into_iter().try_for_each(stored)?;
        Ok(Wrote::Done)
    }

    pub(super) async fn forget(&self, location: &Location) -> Result<(), Failure> {
        let command = [b"delete ", &location.0[..], b"\r\n"].concat();
        for reply in self.of(location)?.orders.ask(command, vec![Expect::Line]).await? {
            match reply {
                Reply::Line(line) if matches!(&*line, "DELETED" | "NOT_FOUND") => {}
                other => return Err(refused(other)),
            }
        }
        Ok(())
    }

    pub(super) async fn begin(&self, location: &Location, era: &Era) -> Result<(), Failure> {
        self.of(location)?.begin(location, era).await
    }

    pub(super) async fn ping(&self, node: usize) -> Result<(), Failure> {
        let replies = self.at(node)?.questions.ask(b"version\r\n".to_vec(), vec![Expect::Line]).await?;
        replies.into_iter().try_for_each(|reply| match reply {
            Reply::Line(line) if line.starts_with("VERSION ") => Ok(()),
            other => Err(refused(other)),
        })
    }

    pub(super) async fn figures(&self, node: usize) -> Result<SecondLevelServer, Failure> {
        let server = self.at(node)?;
        let command = b"stats\r\nstats settings\r\n".to_vec();
        let replies = server.orders.ask(command, vec![Expect::Figures, Expect::Figures]).await?;
        let mut said = HashMap::new();
        for reply in replies {
            match reply {
                Reply::Figures(figures) => said.extend(figures),
                other => return Err(refused(other)),
            }
        }
        if let Some(most) = said.get("item_size_max").and_then(|most| most.parse().ok()) {
            server.largest.store(most, Ordering::Relaxed);
        }
        let sample = Sample::new(&said);
        let before = server.before.lock().replace(sample);
        Ok(sample.figures(before.as_ref()))
    }
}

impl Server {
    /// The era of a location, which begins with this when there is none.
    async fn era(&self, location: &Location) -> Result<Era, Failure> {
        let new = Era::beginning().ok_or_else(|| Failure::Lost("no random numbers".to_owned()))?;
        let mut command = Vec::new();
        store("add", &location.0, &new.encode(), LONGEST.as_secs(), &mut command);
        command.extend([b"get ", &location.0[..], b"\r\n"].concat());
        let mut replies = self.orders.ask(command, vec![Expect::Line, Expect::Values(1)]).await?.into_iter();
        match replies.next() {
            Some(Reply::Line(line)) if matches!(&*line, "STORED" | "NOT_STORED") => {}
            Some(other) => return Err(refused(other)),
            None => {}
        }
        let found = values(replies)?.remove(&location.0[..]);
        match found.and_then(|bytes| Era::decode(&bytes)) {
            Some(era) => Ok(era),
            // Somebody else's, or gone already.
            None => self.begin(location, &new).await.map(|()| new),
        }
    }

    async fn begin(&self, location: &Location, era: &Era) -> Result<(), Failure> {
        let mut command = Vec::new();
        store("set", &location.0, &era.encode(), LONGEST.as_secs(), &mut command);
        self.orders.ask(command, vec![Expect::Line]).await?.into_iter().try_for_each(stored)
    }
}

/// The key of a field: within the 250 bytes that a key may have, and without white space.
fn key(location: &Location, field: &[u8]) -> Vec<u8> {
    [&location.0[..], b":", URL_SAFE_NO_PAD.encode(field).as_bytes()].concat()
}

/// Seconds are taken for a time of day above thirty days; nothing here is kept for so long.
fn store(verb: &str, key: &[u8], value: &[u8], seconds: u64, into: &mut Vec<u8>) {
    let head = format!(" 0 {seconds} {}\r\n", value.len());
    into.extend([verb.as_bytes(), b" ", key, head.as_bytes(), value, b"\r\n"].concat());
}

fn stored(reply: Reply) -> Result<(), Failure> {
    match reply {
        Reply::Line(line) if *line == *"STORED" => Ok(()),
        Reply::Refused(why) if why.contains("too large") => Err(Failure::TooLarge),
        other => Err(refused(other)),
    }
}

fn values(replies: impl IntoIterator<Item = Reply>) -> Result<HashMap<Vec<u8>, Vec<u8>>, Failure> {
    let mut found = HashMap::new();
    for reply in replies {
        match reply {
            Reply::Values(values) => found.extend(values),
            other => return Err(refused(other)),
        }
    }
    Ok(found)
}

fn refused(reply: Reply) -> Failure {
    Failure::Refused(match reply {
        Reply::Refused(text) | Reply::Line(text) => text.into(),
        Reply::Values(_) | Reply::Figures(_) => "it answers another question".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use sluice_contract::ids::{ApiId, EnvironmentId, IncarnationId};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    fn at(address: &str) -> (Memcached, Location) {
        let settings = SecondLevelSettings::new(vec![format!("memcached://{address}")]);
        let location = Location::new(EnvironmentId::generate(), ApiId::generate(), "/", b"");
        (Memcached::new(&settings).unwrap(), location)
    }

    fn origin() -> Origin {
        let incarnation = IncarnationId::generate();
        Origin { incarnation, position: 1, boot: 1, at: 1, begun_ms: 1, made_ms: 1 }
    }

    #[tokio::test]
    async fn what_is_larger_than_the_largest_item_is_not_even_sent() {
        let (memcached, location) = at("127.0.0.1:1");
        for (size, is_sent) in [(USUAL_LARGEST - AROUND, true), (USUAL_LARGEST - AROUND + 1, false)] {
            let fields: [(&[u8], &[u8]); 2] = [(b"a", b"small"), (b"b", &vec![0; size])];
            let failure = memcached.write(&location, &fields, 60, &origin()).await.unwrap_err();
            assert_eq!(matches!(failure, Failure::Lost(_)), is_sent, "{failure}");
            assert_eq!(matches!(failure, Failure::TooLarge), !is_sent, "{failure}");
        }
    }

    /// A server that answers whatever it reads with this.
    async fn one_that(
        answers: impl Fn(&str) -> &'static str + Clone + Send + 'static,
    ) -> (Memcached, Location) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (memcached, location) = at(&listener.local_addr().unwrap().to_string());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let answers = answers.clone();
                let speaks = async move {
                    let mut asked = [0; 512];
                    while let Ok(length @ 1..) = stream.read(&mut asked).await {
                        let answer = answers(&String::from_utf8_lossy(&asked[..length]));
                        stream.write_all(answer.as_bytes()).await.unwrap();
                    }
                };
                tokio::spawn(speaks);
            }
        });
        (memcached, location)
    }

    #[tokio::test]
    async fn one_that_says_something_else_neither_answers_nor_forgets() {
        let (memcached, location) = one_that(|_| "OK\r\n").await;
        assert!(matches!(memcached.ping(0).await, Err(Failure::Refused(_))));
        assert!(matches!(memcached.forget(&location).await, Err(Failure::Refused(_))));
    }

    #[tokio::test]
    async fn one_that_says_more_than_it_was_asked_for_is_left_before_that_answers_somebody_else() {
        let (memcached, _) = one_that(|_| "VERSION 1\r\nSTORED\r\n").await;
        for _ in 0..3 {
            memcached.ping(0).await.unwrap();
        }
    }

    #[tokio::test]
    async fn only_what_the_server_says_that_it_has_stored_is_written() {
        let full = "SERVER_ERROR out of memory storing object\r\n";
        let cases = [
            ("STORED\r\nEND\r\n", "STORED\r\n", true),
            ("NOT_STORED\r\nEND\r\n", "STORED\r\n", true),
            ("NOT_STORED\r\nEND\r\n", full, false),
            ("OK\r\nEND\r\n", "STORED\r\n", false),
        ];
        for (to_era, to_value, is_written) in cases {
            let (memcached, location) = one_that(move |asked| match asked {
                _ if asked.starts_with("add ") => to_era,
                _ if asked.contains(":YQ ") => to_value,
                _ => "STORED\r\n",
            })
            .await;
            let wrote = memcached.write(&location, &[(b"a", b"value")], 60, &origin()).await;
            assert_eq!(matches!(wrote, Ok(Wrote::Done)), is_written, "{to_era} {to_value}");
            assert_eq!(matches!(wrote, Err(Failure::Refused(_))), !is_written, "{to_era} {to_value}");
        }
    }

    #[test]
    fn only_stored_is_stored_and_too_large_is_told_from_other_refusals() {
        let refused = |text: &str| stored(Reply::Refused(text.into())).unwrap_err();
        assert!(stored(Reply::Line("STORED".into())).is_ok());
        assert!(matches!(stored(Reply::Line("NOT_STORED".into())), Err(Failure::Refused(_))));
        assert!(matches!(refused("SERVER_ERROR object too large for cache"), Failure::TooLarge));
        assert!(matches!(refused("SERVER_ERROR out of memory storing object"), Failure::Refused(_)));
    }
}
