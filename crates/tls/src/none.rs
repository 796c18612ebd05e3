//! What stands for TLS in a build without it: types of which there are no values.

use crate::Broken;

/// A TLS connection, of which there is none in this build.
#[derive(Debug)]
pub enum Channel {}

/// What has come of bytes from the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came {
    /// Nothing is to be noted.
    More,
    /// The peer has said that it sends no more.
    End,
}

/// What a door shows its clients, of which there is nothing in this build.
#[derive(Debug, Clone)]
pub enum DoorTls {}

#[allow(missing_docs, clippy::missing_errors_doc, reason = "there is nobody to call these")]
impl Channel {
    pub const fn is_open(&self) -> bool {
        match *self {}
    }

    pub fn take(&mut self, _: &mut [u8], _: &mut Vec<u8>, _: &mut Vec<u8>) -> Result<Came, Broken> {
        match *self {}
    }

    pub fn seal(&mut self, _: &[u8], _: &mut Vec<u8>) -> Result<(), Broken> {
        match *self {}
    }

    pub fn close(&mut self, _: &mut Vec<u8>) -> Result<(), Broken> {
        match *self {}
    }
}

#[allow(missing_docs, clippy::missing_errors_doc, reason = "there is nobody to call these")]
impl DoorTls {
    pub fn channel(&self) -> Result<Channel, Broken> {
        match *self {}
    }

    pub fn user(&self, _: &Channel) -> Result<Option<String>, Broken> {
        match *self {}
    }
}
