//! A door as it is, of a server that speaks TLS.

use std::path::Path;

use crate::door::{Device, Door, Line};
use crate::support::Server;

/// A door whose stream is within TLS, which the server's [`dial`](Server::dial) sees to.
pub struct WithinTls<D>(pub D);

impl<D: Door> Door for WithinTls<D> {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn flags<'a>(&self, more: &[&'a str]) -> Vec<&'a str> {
        self.0.flags(more)
    }

    fn start(&self, directory: &Path, flags: &[&str]) -> Server {
        Server::start_within_tls(directory, &self.flags(flags))
    }

    fn connect(&self, server: &Server, device: Device<'_>) -> Result<Box<dyn Line>, String> {
        self.0.connect(server, device)
    }

    fn refusals(&self) -> [&'static str; 2] {
        self.0.refusals()
    }

    fn says_why(&self) -> bool {
        self.0.says_why()
    }

    fn says_what_was_wrong(&self, server: &Server) {
        self.0.says_what_was_wrong(server);
    }
}
