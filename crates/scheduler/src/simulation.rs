//! A scheduler whose clients come over connections that somebody else makes: for simulations.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use msgserver_pool::simulation::Wire;
use msgserver_pool::{Connection, Events, Reactor};

use crate::entrance::{Admitted, Entered};
use crate::{Parts, Scheduler, Settings};

impl Scheduler {
    /// Starts the workers, on a reactor that somebody else makes.
    ///
    /// # Errors
    /// Those of `reactor`.
    pub fn simulated(
        parts: Parts,
        settings: Settings,
        reactor: impl FnOnce(&Arc<dyn Events>) -> io::Result<Reactor>,
    ) -> io::Result<Self> {
        Self::start_on(parts, settings, reactor)
    }
}

impl Admitted {
    /// Brings the client online over a wire.
    pub async fn enter_on(self, wire: Box<dyn Wire>) -> Option<Entered> {
        let Self { core, expected } = self;
        core.enter(expected, Ok(Connection::Simulated(wire)), Bytes::new()).await.map(Entered)
    }
}
