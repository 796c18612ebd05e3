//! TLS at one door.

use std::sync::Arc;

use crate::{Broken, Channel, Tls, certificate};

/// What is spoken at a door under TLS: a client that says so in its first words (ALPN) is told that it is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Application {
    /// A protocol of which the registry of names knows none; whatever a client says is passed over.
    Unnamed,
    /// `http/1.1`
    Http,
    /// `mqtt`
    Mqtt,
}

impl Application {
    pub(crate) const ALL: [Self; 3] = [Self::Unnamed, Self::Http, Self::Mqtt];

    pub(crate) fn names(self) -> Vec<Vec<u8>> {
        match self {
            Self::Unnamed => Vec::new(),
            Self::Http => vec![b"http/1.1".to_vec()],
            Self::Mqtt => vec![b"mqtt".to_vec()],
        }
    }
}

/// TLS at one door. Cheap to clone.
#[derive(Debug, Clone)]
pub struct DoorTls {
    tls: Arc<Tls>,
    application: Application,
}

impl DoorTls {
    /// TLS for who speaks this.
    #[must_use]
    pub const fn new(tls: Arc<Tls>, application: Application) -> Self {
        Self { tls, application }
    }

    /// A channel for a connection that has come now.
    ///
    /// # Errors
    /// [`Broken`] if there can be none.
    pub fn channel(&self) -> Result<Channel, Broken> {
        Channel::new(self.tls.config(self.application))
    }

    /// The user whom the client's certificate names; nothing if it has shown none.
    ///
    /// # Errors
    /// [`Broken`] if the certificate names nobody.
    pub fn user(&self, channel: &Channel) -> Result<Option<String>, Broken> {
        let shown = channel.client_certificate();
        shown.map(|der| certificate::user(der, self.tls.files().user)).transpose()
    }
}
