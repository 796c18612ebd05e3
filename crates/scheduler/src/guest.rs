//! Who has come, by what it says of itself.

use std::net::SocketAddr;

use msgserver_handshake::SessionCipher;
use msgserver_message::{DeviceId, UserId};
use msgserver_protocol::{ByeCode, Hello};

use crate::core::Core;
use crate::refusal::Refusal;

/// Who has come, and what it may do.
pub(crate) struct Guest {
    pub(crate) user: UserId,
    pub(crate) device: DeviceId,
    pub(crate) may_publish: bool,
    pub(crate) cipher: Option<SessionCipher>,
    /// What it has said beyond its first words.
    pub(crate) read_ahead: Vec<u8>,
}

impl Guest {
    /// Somebody of whom nothing was asked.
    pub(crate) fn anonymous(peer: SocketAddr) -> Self {
        Self::new(UserId::anonymous(peer), DeviceId::unnamed())
    }

    pub(crate) const fn new(user: UserId, device: DeviceId) -> Self {
        Self { user, device, may_publish: false, cipher: None, read_ahead: Vec::new() }
    }
}

impl Core {
    /// The guest that a `hello` introduces: the one way in for every door whose clients say hello.
    pub(crate) async fn introduce(&self, hello: Hello, peer: SocketAddr) -> Result<Guest, Refusal> {
        let Hello { user, device, token, topics } = hello;
        if !topics.is_empty() {
            return Err(Refusal::new(ByeCode::BadFrame, "topics are not supported"));
        }
        let publishers = &self.settings.publishers;
        let knows_key = token.as_deref().is_some_and(|token| publishers.know(token));
        let user = match &self.parts.authentication {
            // Whoever may send to everybody needs no other proof.
            _ if knows_key => user.unwrap_or_else(|| UserId::anonymous(peer)),
            None => user.unwrap_or_else(|| UserId::anonymous(peer)),
            Some(authentication) => {
                let token = token.unwrap_or_default();
                let text = user.map_or_else(|| token.clone(), |user| format!("{user};{token}"));
                let proven = authentication.authenticate(&text).await;
                proven.map_err(|text| Refusal::new(ByeCode::Unauthorized, text))?
            }
        };
        let device = device.unwrap_or_else(DeviceId::unnamed);
        let may_publish = knows_key || publishers.take_everybody();
        Ok(Guest { may_publish, ..Guest::new(user, device) })
    }
}
