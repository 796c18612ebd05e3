//! Ctrl-C: once for the report so far, twice to end at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Thread;

use tokio::signal::unix::{SignalKind, signal};

use crate::cli::Fault;

/// Whether somebody wants the run to end.
#[derive(Debug, Clone)]
pub(super) struct Stop(Arc<AtomicBool>);

/// What a shell gives for a program that SIGINT has ended.
const INTERRUPTED: i32 = 130;

impl Stop {
    /// Listens for SIGINT and SIGTERM from now on, and wakes the thread that waits for the run.
    pub(super) fn on_signals(waiting: Thread) -> Result<Self, Fault> {
        let stop = Self(Arc::new(AtomicBool::new(false)));
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Fault::failed)?;
        let (mut interrupt, mut terminate) = {
            let _in_runtime = runtime.enter();
            let signal = |kind| signal(kind).map_err(Fault::failed);
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
        };
        let told = stop.clone();
        std::thread::spawn(move || {
            runtime.block_on(async {
                loop {
                    tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
                    if told.0.swap(true, Ordering::SeqCst) {
                        // The children end with this process.
                        std::process::exit(INTERRUPTED);
                    }
                    waiting.unpark();
                }
            });
        });
        Ok(stop)
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}
