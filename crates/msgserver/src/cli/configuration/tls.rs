//! What is said of TLS, and the kinds of value that it takes.

use std::path::PathBuf;

use msgserver::{ClientCertificates, NameIn, TlsFiles};

use super::value::{Shape, Value, items};
use super::{Configuration, Listener, Place};

/// Which TLS there is.
#[derive(Debug, Clone, Default)]
pub(crate) struct TlsSettings {
    pub(crate) certificates: Vec<PathBuf>,
    /// Of the certificates, in their order.
    pub(crate) keys: Vec<PathBuf>,
    pub(crate) client_ca: Option<PathBuf>,
    pub(crate) clients: ClientCertificates,
    pub(crate) user: NameIn,
    /// The doors that stay in the clear.
    pub(crate) except: Vec<String>,
}

impl TlsSettings {
    /// Whether there is TLS.
    pub(crate) fn is_on(&self) -> bool {
        !self.certificates.is_empty()
    }

    /// Whether clients have to show a certificate where there is TLS.
    pub(crate) fn asks_clients(&self) -> bool {
        self.client_ca.is_some() && self.clients == ClientCertificates::Required
    }

    pub(crate) fn files(&self) -> TlsFiles {
        TlsFiles {
            certificates: self.certificates.iter().cloned().zip(self.keys.iter().cloned()).collect(),
            client_ca: self.client_ca.clone(),
            clients: self.clients,
            user: self.user,
        }
    }
}

impl Configuration {
    /// Whether TLS is spoken at a door of the flags.
    pub(crate) fn has_tls(&self, door: &str, place: &Place) -> bool {
        // Who chooses the old handshake for the door has clients that know no other.
        let encrypts = door == "listen" && self.listen.encrypt;
        self.tls.is_on()
            && matches!(place, Place::Tcp(_))
            && !encrypts
            && !self.tls.except.iter().any(|name| name == door)
    }

    /// Whether TLS is spoken at a door of the list.
    pub(crate) fn listener_has_tls(&self, listener: &Listener) -> bool {
        let is_remote = matches!(listener.address, Some(Place::Tcp(_)));
        listener.tls.unwrap_or(self.tls.is_on() && is_remote && !listener.encrypt)
    }

    /// Whether connections at a door have to say for whom they come.
    pub(crate) fn is_behind_proxies(&self, place: &Place) -> bool {
        self.proxy_protocol && matches!(place, Place::Tcp(_))
    }

    /// As [`Configuration::is_behind_proxies`], for a door of the list.
    pub(crate) fn listener_is_behind_proxies(&self, listener: &Listener) -> bool {
        let is_remote = matches!(listener.address, Some(Place::Tcp(_)));
        listener.proxy_protocol.unwrap_or(self.proxy_protocol && is_remote)
    }
}

/// Files, in an order that matters.
pub(crate) struct Files<'a>(pub(crate) &'a mut Vec<PathBuf>);

impl Value for Files<'_> {
    fn shape(&self) -> Shape {
        Shape::List
    }

    fn placeholder(&self) -> &'static str {
        "PATH"
    }

    fn expected(&self) -> String {
        "paths of files".to_owned()
    }

    fn set(&mut self, text: &str) -> Option<()> {
        let file = |text: &str| PathBuf::from(text).file_name().map(|_| text.into());
        *self.0 = items(text).map(file).collect::<Option<_>>()?;
        Some(())
    }

    fn text(&self) -> Option<String> {
        Some(self.0.iter().map(|path| path.to_string_lossy()).collect::<Vec<_>>().join(","))
    }
}

/// Some of a few names.
pub(crate) struct SomeOf<'a>(pub(crate) &'a mut Vec<String>, pub(crate) &'static [&'static str]);

impl Value for SomeOf<'_> {
    fn shape(&self) -> Shape {
        Shape::List
    }

    fn placeholder(&self) -> &'static str {
        "NAME"
    }

    fn expected(&self) -> String {
        let names: Vec<_> = self.1.iter().map(|name| format!("{name:?}")).collect();
        format!("some of {}", names.join(", "))
    }

    fn set(&mut self, text: &str) -> Option<()> {
        let known = |name: &str| self.1.contains(&name).then(|| name.to_owned());
        *self.0 = items(text).map(known).collect::<Option<_>>()?;
        Some(())
    }

    fn text(&self) -> Option<String> {
        Some(self.0.join(","))
    }
}

/// On or off, or as it is for all.
pub(crate) struct OwnSwitch<'a>(pub(crate) &'a mut Option<bool>);

impl Value for OwnSwitch<'_> {
    fn shape(&self) -> Shape {
        Shape::Switch
    }

    fn placeholder(&self) -> &'static str {
        "BOOL"
    }

    fn expected(&self) -> String {
        "true or false, or leave it out".to_owned()
    }

    fn set(&mut self, text: &str) -> Option<()> {
        *self.0 = Some(text.parse().ok()?);
        Some(())
    }

    fn text(&self) -> Option<String> {
        self.0.map(|on| on.to_string())
    }
}
