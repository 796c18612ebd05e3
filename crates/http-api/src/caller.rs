//! Who makes a call, and what they may do.

use std::net::SocketAddr;
use std::sync::Arc;

use msgserver_access::{Access, Denied, Gate, Offer, PublishRight, Scope};
use msgserver_message::Target;
use subtle::ConstantTimeEq;
use warp::http::{HeaderMap, StatusCode, header};

use crate::problem::Problem;
use crate::routes::Needs;

/// Who makes a call that they may make.
#[derive(Debug, Clone)]
pub(crate) enum Caller {
    /// Somebody who may publish to whom they like: nothing is asked, or they have shown a key.
    Trusted,
    /// Somebody with a token.
    Token(Arc<Access>),
}

impl Caller {
    /// Whether they may publish to a target.
    pub(crate) fn may_publish(&self, target: &Target) -> Result<(), Problem> {
        match self {
            Self::Token(access) if !access.may_publish(target) => {
                let detail = format!("this token does not allow to publish to {target}");
                Err(Problem::new(StatusCode::FORBIDDEN, detail))
            }
            _ => Ok(()),
        }
    }
}

/// What a server asks for.
pub(crate) struct Asked<'a> {
    /// The key for everything, if there is one.
    pub(crate) key: Option<&'a str>,
    pub(crate) gate: &'a Gate,
}

impl Asked<'_> {
    /// Who has sent these headers, if they may make a call that needs this.
    pub(crate) async fn of(
        &self,
        headers: &HeaderMap,
        peer: Option<SocketAddr>,
        needs: Needs,
    ) -> Result<Caller, Problem> {
        if needs == Needs::Nothing || self.key.is_none() && self.gate.is_open() {
            return Ok(Caller::Trusted);
        }
        let given = headers.get(header::AUTHORIZATION);
        let given = given.and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        let Some(given) = given else { return Err(self.nothing_good()) };
        if self.key.is_some_and(|key| given.ct_eq(key.as_bytes()).into()) {
            return Ok(Caller::Trusted);
        }
        let Ok(given) = std::str::from_utf8(given) else { return Err(self.nothing_good()) };
        if let Some(key) = self.gate.key(given) {
            let scopes = match needs {
                Needs::Key(scopes) => scopes,
                Needs::Publishing => &[Scope::Publish],
                Needs::Anything | Needs::Nothing => &Scope::ALL,
            };
            return match scopes.iter().any(|scope| key.may(*scope)) {
                true => Ok(Caller::Trusted),
                false => Err(forbidden(scopes)),
            };
        }
        if !self.gate.asks() {
            return Err(self.nothing_good());
        }
        let offer = Offer { user: None, device: None, token: Some(given), peer, door: "http" };
        let access = self.gate.admit(&offer).await?;
        match needs {
            // Who may publish everything is as good as a key for publishing.
            Needs::Key(scopes)
                if scopes.contains(&Scope::Publish) && access.publish.contains(&PublishRight::Everything) => {
            }
            Needs::Key(scopes) => return Err(forbidden(scopes)),
            Needs::Publishing if !access.is_publisher() => {
                return Err(Problem::new(StatusCode::FORBIDDEN, "this token does not allow to publish"));
            }
            _ => {}
        }
        Ok(Caller::Token(Arc::new(access)))
    }

    fn nothing_good(&self) -> Problem {
        let what = match (self.key, self.gate.asks()) {
            (_, true) => "send `Authorization: Bearer …` with an access token or an API key",
            _ => "send `Authorization: Bearer KEY` with the server's API key",
        };
        Problem::new(StatusCode::UNAUTHORIZED, what)
    }
}

fn forbidden(scopes: &[Scope]) -> Problem {
    let scopes: Vec<_> = scopes.iter().map(|scope| scope.as_str()).collect();
    Problem::new(StatusCode::FORBIDDEN, format!("this takes an API key for {}", scopes.join(" or ")))
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        let status =
            if denied.is_temporary() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::UNAUTHORIZED };
        Self::new(status, denied)
    }
}
