//! What stands beside a work: the same load elsewhere, or another one.

use super::Measure;
use crate::cli::Fault;
use crate::cli::bench::Run;
use crate::cli::bench::deliver::Load;
use crate::cli::bench::figures::Figures;
use crate::cli::bench::options::Mode;
use crate::cli::bench::report::Work;
use crate::cli::bench::subject::Subject;

const FLOOR: &str = "floor";

impl Measure<'_> {
    pub(super) fn beside_floor(&mut self, mode: Mode, load: &Load, users: bool) -> Result<(), Fault> {
        let store = self.store("memory").to_owned();
        let mut work = self.loaded(mode, load, &store);
        self.begin(&work, "");
        let server = self.server(mode, &store, users)?;
        work.server = load.run(&server, self.run)?;
        drop(server);
        self.note_beside_floor(work, |subject, run| load.run(subject, run), load.to_one)
    }

    /// Puts a work into the report, with the floor and the peers beside it.
    pub(super) fn note_beside_floor(
        &mut self,
        mut work: Work,
        measure: impl Fn(&Subject, &Run) -> Result<Figures, Fault>,
        to_one: bool,
    ) -> Result<(), Fault> {
        let mut outcome =
            self.compare(&mut work, FLOOR, false, |run| measure(&Subject::floor(&run.options)?, run));
        for &peer in &self.run.options.peer {
            if outcome.is_err() {
                break;
            }
            outcome = self.compare(&mut work, peer.name(), false, |run| {
                measure(&Subject::peer(&run.options, peer, to_one)?, run)
            });
        }
        self.report.works.push(work);
        outcome
    }

    /// Puts a work into the report, with another load on such a server beside it. A stop leaves out the latter and keeps the work.
    pub(super) fn note(
        &mut self,
        mut work: Work,
        name: &str,
        measure: impl FnOnce(&Run) -> Result<Figures, Fault>,
    ) -> Result<(), Fault> {
        let tls = work.tls;
        let outcome = self.compare(&mut work, name, tls, measure);
        self.report.works.push(work);
        outcome
    }

    /// Measures what is to stand beside a work, unless the run is to stop.
    fn compare(
        &self,
        work: &mut Work,
        name: &str,
        tls: bool,
        measure: impl FnOnce(&Run) -> Result<Figures, Fault>,
    ) -> Result<(), Fault> {
        if self.run.stop.is_wanted() {
            return Ok(());
        }
        self.begin(work, name);
        match measure(self.run) {
            Ok(figures) => work.compare(name, Some(tls), figures),
            Err(_) if self.run.stop.is_wanted() => {}
            Err(fault) => return Err(fault),
        }
        Ok(())
    }
}
