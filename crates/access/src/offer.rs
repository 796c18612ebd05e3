//! What somebody who wants in has said.

use std::fmt;
use std::net::SocketAddr;

use msgserver_message::{DeviceId, UserId};

/// What somebody who wants in has said, and where.
#[derive(Clone, Copy)]
pub struct Offer<'a> {
    /// The user that they say they are.
    pub user: Option<&'a UserId>,
    /// The device.
    pub device: Option<&'a DeviceId>,
    /// The proof.
    pub token: Option<&'a str>,
    /// Where they are, if that is known.
    pub peer: Option<SocketAddr>,
    /// The name of the door: `default`, `frame`, `http`.
    pub door: &'a str,
}

impl fmt::Debug for Offer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offer")
            .field("user", &self.user)
            .field("device", &self.device)
            .field("token", &self.token.map(|_| "***"))
            .field("peer", &self.peer)
            .field("door", &self.door)
            .finish()
    }
}
