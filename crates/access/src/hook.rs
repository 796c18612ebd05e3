//! Asking the application.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use msgserver_message::{DeviceId, Timestamp, UserId};
use parking_lot::Mutex;
use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use crate::remote::{Address, Remote};
use crate::{Access, Claims, Denied, Offer};

/// How many questions are asked at a time; the others wait, within their deadline.
const AT_ONCE: usize = 256;

/// How many answers are kept, and how long at most.
const KEPT: usize = 100_000;
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// The longest answer.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// The question, as JSON.
#[derive(Serialize)]
struct Question<'a> {
    user: Option<&'a UserId>,
    device: Option<&'a DeviceId>,
    token: Option<&'a str>,
    peer: Option<String>,
    door: &'a str,
}

type Outcome = Result<Access, Denied>;

/// Asks the application who somebody is: `POST` with `{"user","device","token","peer","door"}` as JSON.
///
/// 200 with [`Claims`] lets in, 401 and 403 refuse; whatever else happens, a late answer included, lets nobody in
/// and says so. An answer is used again for the same question as long as its `Cache-Control: max-age` says; without
/// one, not at all.
pub struct Hook {
    address: Address,
    remote: Remote,
    deadline: Duration,
    turns: Semaphore,
    answers: Mutex<HashMap<[u8; 32], (Instant, Outcome)>>,
}

impl Hook {
    /// Asks at an address, and waits for an answer so long.
    #[must_use]
    pub fn new(address: Address, deadline: Duration) -> Self {
        Self {
            address,
            remote: Remote::new(deadline, MAX_ANSWER_BYTES),
            deadline,
            turns: Semaphore::new(AT_ONCE),
            answers: Mutex::default(),
        }
    }

    /// What the application says to an offer.
    ///
    /// # Errors
    /// [`Denied::Refused`], or [`Denied::Unavailable`] if there is no answer that can be used.
    pub async fn ask(&self, offer: &Offer<'_>) -> Outcome {
        let question = fingerprint(offer);
        if let Some(outcome) = self.answers.lock().get(&question).filter(|(until, _)| *until > Instant::now())
        {
            return outcome.1.clone();
        }
        let since = Timestamp::now();
        let asked = tokio::time::timeout(self.deadline, async {
            let _turn = self.turns.acquire().await.map_err(|fault| fault.to_string())?;
            let question = Question {
                user: offer.user,
                device: offer.device,
                token: offer.token,
                peer: offer.peer.map(|peer| peer.to_string()),
                door: offer.door,
            };
            let json = serde_json::to_vec(&question).expect("names and texts have a form in JSON");
            self.remote.post(&self.address, json).await
        });
        let late = || Err(format!("no answer within {} ms", self.deadline.as_millis()));
        let answer = asked.await.unwrap_or_else(|_| late());
        let (outcome, max_age) = match answer {
            Ok(answer) => (read(answer.status, &answer.body, since), answer.max_age),
            Err(fault) => (Err(fault), Duration::ZERO),
        };
        match outcome {
            Ok(outcome) => {
                if !max_age.is_zero() {
                    self.keep(question, max_age, outcome.clone());
                }
                outcome
            }
            Err(fault) => {
                tracing::warn!(address = %self.address, %fault, "the application did not say who somebody is");
                // What is wrong behind it is not the client's to know.
                Err(Denied::Unavailable("the application could not be asked".to_owned()))
            }
        }
    }

    /// Forgets all answers.
    pub fn forget(&self) {
        self.answers.lock().clear();
    }

    fn keep(&self, question: [u8; 32], max_age: Duration, outcome: Outcome) {
        let mut answers = self.answers.lock();
        let now = Instant::now();
        if answers.len() >= KEPT {
            answers.retain(|_, (until, _)| *until > now);
            if answers.len() >= KEPT {
                answers.clear();
            }
        }
        answers.insert(question, (now + max_age.min(LONGEST), outcome));
    }
}

/// What an answer says; or why it says nothing. It counts as given when it was asked for: what is revoked while the
/// application thinks is revoked.
fn read(status: u16, body: &[u8], since: Timestamp) -> Result<Outcome, String> {
    match status {
        200 => {
            let mut claims: Claims =
                serde_json::from_slice(body).map_err(|fault| format!("the answer: {fault}"))?;
            claims.iat = claims.iat.or(Some(since));
            Ok(Ok(Access::of(claims, Duration::ZERO)))
        }
        401 | 403 => Ok(Err(Denied::Refused)),
        status => Err(format!("it answers {status}")),
    }
}

/// The question without its token in the clear. Of the peer its address counts, and not its port, which is another
/// one with each connection.
fn fingerprint(offer: &Offer<'_>) -> [u8; 32] {
    let ip: Option<IpAddr> = offer.peer.map(|peer| peer.ip().to_canonical());
    let parts = (offer.user, offer.device, offer.token, ip, offer.door);
    Sha256::digest(serde_json::to_vec(&parts).expect("names and texts have a form in JSON")).into()
}

impl std::fmt::Debug for Hook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hook({})", self.address)
    }
}
