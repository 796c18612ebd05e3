//! The keys that count now.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::kept::{Kept, LOOK_EVERY};
use crate::key_text::MAX_KEYS_BYTES;
use crate::remote::{Address, Remote};
use crate::{Key, KeyError};

/// An address is asked this often at most for a key that is not known, and again after it did not answer: tokens
/// with made-up key names must not become a flood of questions.
const ASK_AGAIN: Duration = Duration::from_secs(10);

/// How long an address may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// Where keys come from.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// They are here, and stay.
    Fixed(Vec<Key>),
    /// A file, which is looked at every 2 seconds.
    File(PathBuf),
    /// A JWKS address, which is asked so often, and when a token names a key that is not known.
    Address(Address, Duration),
}

/// A source and what it gave last.
struct Source {
    from: KeySource,
    keys: Kept<Key>,
    /// When it was last asked.
    asked: tokio::sync::Mutex<Option<Instant>>,
}

/// The keys of all sources together. A source that gives nothing for a while, or something that is no key, leaves
/// those that it gave before in force.
pub struct KeyRing {
    sources: Vec<Source>,
    remote: Option<Remote>,
}

impl KeyRing {
    /// Reads all sources but addresses, which are asked for by [`KeyRing::keep`], or when a token needs them.
    ///
    /// # Errors
    /// [`KeyError`] says what is wrong with a file.
    pub fn open(sources: Vec<KeySource>) -> Result<Self, KeyError> {
        let open = |from: KeySource| {
            let keys = match &from {
                KeySource::Fixed(keys) => keys.clone(),
                KeySource::File(path) => Key::read_file(path)?,
                KeySource::Address(..) => Vec::new(),
            };
            Ok(Source { from, keys: Kept::new("the keys of tokens", keys), asked: None.into() })
        };
        let sources: Vec<_> = sources.into_iter().map(open).collect::<Result<_, KeyError>>()?;
        let has_address = sources.iter().any(|source| matches!(source.from, KeySource::Address(..)));
        let remote = has_address.then(|| Remote::new(DEADLINE, MAX_KEYS_BYTES));
        Ok(Self { sources, remote })
    }

    /// Whether there is a source.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// Keeps the keys fresh, for as long as anybody else holds the ring.
    pub async fn keep(self: Arc<Self>) {
        let ring = Arc::downgrade(&self);
        let mut due: Vec<Instant> = self.sources.iter().map(|_| Instant::now()).collect();
        drop(self);
        loop {
            let Some(ring) = ring.upgrade() else { return };
            for (source, due) in ring.sources.iter().zip(&mut due) {
                if *due <= Instant::now() {
                    *due = Instant::now() + ring.refresh(source).await;
                }
            }
            drop(ring);
            let next = due.iter().min().copied().unwrap_or_else(Instant::now);
            tokio::time::sleep_until(next.max(Instant::now() + Duration::from_millis(10)).into()).await;
        }
    }

    /// Asks a source; gives how long that will do.
    async fn refresh(&self, source: &Source) -> Duration {
        match &source.from {
            KeySource::Fixed(_) => Duration::from_secs(3600),
            KeySource::File(path) => {
                let path = path.clone();
                let read = tokio::task::spawn_blocking(move || Key::read_file(&path)).await;
                source.keys.take(read.unwrap_or(Err(KeyError::None)));
                LOOK_EVERY
            }
            KeySource::Address(address, every) => {
                let mut asked = source.asked.lock().await;
                let good = self.ask(source, address).await;
                *asked = Some(Instant::now());
                if good { *every } else { ASK_AGAIN.min(*every) }
            }
        }
    }

    /// Asks the addresses once more for a key that is not known, unless that was done a moment ago. Gives whether
    /// it was done now.
    pub(crate) async fn look_again(&self) -> bool {
        let mut looked = false;
        for source in &self.sources {
            let KeySource::Address(address, _) = &source.from else { continue };
            let came = Instant::now();
            // Those who wait here meanwhile find the answer when it is their turn.
            let mut asked = source.asked.lock().await;
            if asked.is_some_and(|asked| asked >= came) {
                looked = true;
            } else if asked.is_none_or(|asked| asked.elapsed() >= ASK_AGAIN) {
                looked |= self.ask(source, address).await;
                *asked = Some(Instant::now());
            }
        }
        looked
    }

    async fn ask(&self, source: &Source, address: &Address) -> bool {
        let Some(remote) = &self.remote else { return false };
        let unreadable = |fault| KeyError::Unreadable { place: address.to_string(), fault };
        let read = remote.get(address).await.and_then(|answer| match answer.status {
            200 => Key::read_public(&answer.body).map_err(|fault| fault.to_string()),
            status => Err(format!("it answers {status}")),
        });
        source.keys.take(read.map_err(unreadable))
    }

    /// The keys that count now.
    pub(crate) fn keys(&self) -> Vec<Arc<[Key]>> {
        self.sources.iter().map(|source| source.keys.now()).collect()
    }
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.sources.iter().map(|source| &source.from)).finish()
    }
}
