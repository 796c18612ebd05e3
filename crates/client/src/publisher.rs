//! Publishing over HTTP.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use hyper::header::HeaderValue;
use serde::Deserialize;
use tokio::time::{Instant, sleep, timeout_at};

use crate::http::{Http, Miss, Problem};
use crate::waits::Waits;
use crate::{Error, Publication, Published, Trust};

const ONE: &str = "/v1/messages";
const MANY: &str = "/v1/messages/batch";

/// How many messages go in one request, and about how many bytes of them: half of what a server takes unless told.
const MESSAGES: usize = 1000;
const BYTES: usize = 4 * 1024 * 1024;

type OnRetry = Arc<dyn Fn(&str, Duration) + Send + Sync>;

/// Publishes over HTTP, without a session. Each message is tried under its id until it is answered or the deadline is
/// over, so that it counts once.
///
/// ```no_run
/// use msgserver_client::{Content, Publication, Publisher, UserId};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let publisher = Publisher::new("http://127.0.0.1:3365")?.key("the server's API key")?;
/// let lunch = Publication::to_user(UserId::new("ada")?, Content::text("lunch?"));
/// let published = publisher.publish(&lunch).await?;
/// println!("{} {}", published.id, published.state.as_str());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Publisher {
    http: Http,
    deadline: Duration,
    on_retry: OnRetry,
}

impl std::fmt::Debug for Publisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publisher").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

impl Publisher {
    /// A publisher at the server's HTTP address.
    ///
    /// # Errors
    /// [`Error::Address`] if it is none, [`Error::Trust`] if it begins with `https://` and the system has no
    /// authorities.
    pub fn new(url: &str) -> Result<Self, Error> {
        Self::trusting(url, &Trust::System)
    }

    /// The same, with a choice of whom to take for the server.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn trusting(url: &str, trust: &Trust) -> Result<Self, Error> {
        let http = Http::new(url, trust)?;
        Ok(Self { http, deadline: Duration::from_secs(30), on_retry: Arc::new(|_, _| {}) })
    }

    /// The server's API key, or an access token that may publish.
    ///
    /// # Errors
    /// [`Error::Key`] if it has characters that cannot stand in a header.
    pub fn key(mut self, key: &str) -> Result<Self, Error> {
        let mut bearer = HeaderValue::try_from(format!("Bearer {key}")).map_err(|_| Error::Key)?;
        bearer.set_sensitive(true);
        self.http.authorization = Some(bearer);
        Ok(self)
    }

    /// How long a message is tried, 30 s unless said.
    #[must_use]
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Is told why something has to be tried again, and after how long that will be.
    #[must_use]
    pub fn on_retry(mut self, told: impl Fn(&str, Duration) + Send + Sync + 'static) -> Self {
        self.on_retry = Arc::new(told);
        self
    }

    /// Publishes a message, and returns once it is as safe as the server's store promises.
    ///
    /// # Errors
    /// [`Error::Status`] if the server refuses it, [`Error::Deadline`] if it was not answered in time.
    pub async fn publish(&self, publication: &Publication) -> Result<Published, Error> {
        let body = Bytes::from(publication.to_json().map_err(unwritable)?.into_string());
        let mut tries = Tries::new(self);
        loop {
            let missed = match tries.answer(self.http.post(ONE, body.clone())).await {
                Ok(answer) => return serde_json::from_slice(&answer).map_err(|fault| unreadable(&fault)),
                Err(Miss::Final(error)) => return Err(error),
                Err(Miss::Passing { detail, retry_after }) => tries.wait(detail, retry_after).await,
            };
            missed.map_err(|last| tries.over(publication, last))?;
        }
    }

    /// Publishes many, in as few requests as they fit in, and gives a result for each in their order. What was refused
    /// for now is tried again, and so may be accepted after what stands behind it.
    ///
    /// # Errors
    /// [`Error::Status`] if the server refuses a whole request: of those that had gone before, nothing is told, and
    /// under their ids they can be published again.
    pub async fn publish_all(
        &self,
        publications: &[Publication],
    ) -> Result<Vec<Result<Published, Error>>, Error> {
        let mut results = Vec::with_capacity(publications.len());
        let mut rest = publications;
        while !rest.is_empty() {
            let (mut bodies, mut bytes) = (Vec::new(), 0);
            while bodies.len() < rest.len() && bodies.len() < MESSAGES && bytes < BYTES {
                let json = rest[bodies.len()].to_json().map_err(unwritable)?;
                bytes += json.len();
                bodies.push(json);
            }
            let (batch, behind) = rest.split_at(bodies.len());
            results.extend(self.publish_batch(batch, &bodies).await?);
            rest = behind;
        }
        Ok(results)
    }

    async fn publish_batch(
        &self,
        batch: &[Publication],
        bodies: &[Box<str>],
    ) -> Result<Vec<Result<Published, Error>>, Error> {
        let mut results: Vec<Option<Result<Published, Error>>> = batch.iter().map(|_| None).collect();
        let mut tries = Tries::new(self);
        loop {
            let open: Vec<usize> = (0..batch.len()).filter(|at| results[*at].is_none()).collect();
            if open.is_empty() {
                return Ok(results.into_iter().flatten().collect());
            }
            let texts: Vec<&str> = open.iter().map(|at| &*bodies[*at]).collect();
            let body = Bytes::from(format!("[{}]", texts.join(",")));
            let (detail, retry_after) = match tries.answer(self.http.post(MANY, body)).await {
                Ok(answer) => match self.take(&answer, &open, &mut results)? {
                    Some(passing) => passing,
                    None => continue,
                },
                Err(Miss::Final(error)) => return Err(error),
                Err(Miss::Passing { detail, retry_after }) => (detail, retry_after),
            };
            if let Err(last) = tries.wait(detail, retry_after).await {
                for at in open.into_iter().filter(|at| results[*at].is_none()).collect::<Vec<_>>() {
                    results[at] = Some(Err(tries.over(&batch[at], last.clone())));
                }
            }
        }
    }

    /// Takes the results of a batch; gives why some are left, if some are.
    fn take(
        &self,
        answer: &[u8],
        open: &[usize],
        results: &mut [Option<Result<Published, Error>>],
    ) -> Result<Option<(String, Option<Duration>)>, Error> {
        let answers: Vec<Outcome> = serde_json::from_slice(answer).map_err(|fault| unreadable(&fault))?;
        if answers.len() != open.len() {
            let detail = format!("{} results for {} messages", answers.len(), open.len());
            return Err(Error::Answer(detail));
        }
        let mut left = None;
        for (at, outcome) in open.iter().zip(answers) {
            results[*at] = match outcome {
                Outcome::Published(published) => Some(Ok(published)),
                Outcome::Refused(problem) => match self.http.refused(MANY, problem, None) {
                    Miss::Final(error) => Some(Err(error)),
                    Miss::Passing { detail, retry_after } => {
                        left = Some((detail, retry_after));
                        None
                    }
                },
            };
        }
        Ok(left)
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Outcome {
    Published(Published),
    Refused(Problem),
}

/// The tries of one request, until its time is over.
struct Tries<'a> {
    publisher: &'a Publisher,
    waits: Waits,
    end: Instant,
}

impl<'a> Tries<'a> {
    fn new(publisher: &'a Publisher) -> Self {
        Self { publisher, waits: Waits::new(), end: Instant::now() + publisher.deadline }
    }

    async fn answer(&self, answered: impl Future<Output = Result<Bytes, Miss>>) -> Result<Bytes, Miss> {
        timeout_at(self.end, answered).await.unwrap_or_else(|_| {
            Err(Miss::Passing { detail: "the server does not answer".to_owned(), retry_after: None })
        })
    }

    /// Waits for the next try; gives back why the last one failed if there is no time for another.
    async fn wait(&mut self, detail: String, retry_after: Option<Duration>) -> Result<(), String> {
        let wait = self.waits.spread(retry_after);
        if Instant::now() + wait >= self.end {
            return Err(detail);
        }
        (self.publisher.on_retry)(&detail, wait);
        sleep(wait).await;
        Ok(())
    }

    fn over(&self, publication: &Publication, last: String) -> Error {
        Error::Deadline { id: Some(publication.id()), within: self.publisher.deadline, last }
    }
}

fn unwritable(fault: serde_json::Error) -> Error {
    Error::Answer(format!("a message that is no JSON: {fault}"))
}

fn unreadable(fault: &serde_json::Error) -> Error {
    Error::Answer(fault.to_string())
}
