//! What is measured: a server of its own, another's, the floor, or a peer.

mod other;
mod own;

use serde_json::Value;

pub(super) use self::own::Wanted;
use super::line::Entrance;
use super::options::Options;
use super::own_process::OwnProcess;
use super::place::Place;
use super::process::Process;
use super::publisher::{Publishing, Way, get};
use crate::cli::Fault;

/// A server that is measured. One of its own ends with this value.
pub(super) struct Subject {
    pub(super) process: Option<Process>,
    pub(super) place: Place,
    pub(super) entrance: Entrance,
    ways: Ways,
    /// Ends with this value.
    _own: Option<OwnProcess>,
}

struct Ways {
    http: Place,
    host: String,
    frame: Option<Place>,
    key: Option<String>,
    secret: Option<String>,
}

impl Subject {
    /// The server that the options name, or one of its own that is as wanted.
    pub(super) fn server(options: &Options, wanted: &Wanted<'_>) -> Result<Self, Fault> {
        options.url.as_deref().map_or_else(
            || Self::own_server(options, wanted),
            |url| Self::other_server(options, url, wanted.door),
        )
    }

    /// Whether it is a msgserver, which can be asked how it is.
    const fn is_msgserver(&self) -> bool {
        matches!(self.entrance, Entrance::Door { .. })
    }

    /// The way in which a publisher of this kind hands over.
    pub(super) fn way(&self, publishing: Publishing, user: String) -> Way {
        if let Entrance::Peer { peer, .. } = self.entrance {
            return Way::Peer { place: self.place.clone(), peer };
        }
        let Ways { http: place, host, frame, key, secret } = &self.ways;
        let (place, host, key) = (place.clone(), host.clone(), key.clone());
        match (publishing, frame.clone()) {
            (Publishing::Frame, Some(place)) => {
                Way::Frame { place, user, token: key.or_else(|| secret.clone()) }
            }
            (_, None) => Way::Floor { place },
            (Publishing::Http, _) => Way::Http { place, host, key },
            (Publishing::Batch, _) => Way::Batch { place, host, key },
        }
    }

    fn get(&self, path: &str) -> Result<String, Fault> {
        let Ways { http, host, key, .. } = &self.ways;
        let scheme = if http.tls.is_some() { "https" } else { "http" };
        get(http, host, path, key.as_deref()).map_err(|fault| {
            Fault::Failed(format!("{scheme}://{host}{path}: {fault}; is a server running there?"))
        })
    }

    /// How many connections the server has; nothing of others, whose clients know for themselves.
    pub(super) fn connections(&self) -> Result<Option<u64>, Fault> {
        if !self.is_msgserver() {
            return Ok(None);
        }
        let stats: Value = serde_json::from_str(&self.get("/v1/stats")?).map_err(Fault::failed)?;
        stats["connections"]
            .as_u64()
            .map(Some)
            .ok_or_else(|| Fault::Failed(format!("{} counts no connections: {stats}", self.ways.host)))
    }

    /// How often the server has asked the disk to keep what was written, if it counts that.
    pub(super) fn syncs(&self) -> Option<u64> {
        let metrics = self.get("/metrics").ok()?;
        let line = metrics.lines().find(|line| !line.starts_with('#') && line.contains("syncs"))?;
        Some(line.rsplit_once(' ')?.1.parse::<f64>().ok()? as u64)
    }
}
