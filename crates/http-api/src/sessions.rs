//! Requests that become sessions, or speak for one.

use std::sync::Arc;

use msgserver_listener::Peer;
use msgserver_scheduler::Scheduler;
use warp::http::{HeaderMap, StatusCode};

use crate::line::Line;
use crate::origins::Origins;
use crate::problem::Problem;
use crate::said::Said;

/// Who may open sessions here.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sessions {
    pub(crate) origins: Arc<Origins>,
    pub(crate) refuse_strangers: bool,
}

/// A request for a session, from a page that may ask.
pub(crate) struct Wanted {
    pub(crate) said: Said,
    /// Who asks.
    pub(crate) peer: Peer,
    #[cfg_attr(not(feature = "sse"), allow(dead_code, reason = "a WebSocket is taken over by an upgrade"))]
    pub(crate) line: Arc<Line>,
    /// Whose page asks, if it is one.
    #[cfg_attr(not(feature = "sse"), allow(dead_code, reason = "a WebSocket needs no leave to be read"))]
    pub(crate) origin: Option<String>,
}

impl Sessions {
    /// What a request wants, if it may.
    pub(crate) fn want(
        &self,
        scheduler: &Scheduler,
        query: &str,
        headers: &HeaderMap,
        peer: Option<Peer>,
        line: Option<&Arc<Line>>,
    ) -> Result<Wanted, Problem> {
        let origin = self.origins.check(headers)?.map(str::to_owned);
        let said = Said::of(query, headers)?;
        let knows_key = || said.hello.token.as_deref().is_some_and(|token| scheduler.knows_key(token));
        let certified = peer.as_ref().is_some_and(|peer| peer.user.is_some());
        if self.refuse_strangers && !certified && !scheduler.asks_for_proof() && !knows_key() {
            let detail = "this door is open to the network, and the server has no way to tell who a client is; \
                          give it one (--shared-secret), or say that this is meant (--allow-anonymous)";
            return Err(Problem::new(StatusCode::FORBIDDEN, detail));
        }
        let (Some(peer), Some(line)) = (peer, line.cloned()) else {
            return Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "no connection"));
        };
        Ok(Wanted { said, peer, line, origin })
    }
}
