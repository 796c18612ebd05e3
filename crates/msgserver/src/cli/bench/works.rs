//! Which loads are run for each mode, on what, and beside what.

mod beside;

use indicatif::HumanCount;

use super::Run;
use super::connect::connect;
use super::deliver::Load;
use super::durable::{Durable, disk_floor};
use super::figures::Figures;
use super::line::Door;
use super::options::Mode;
use super::publisher::Publishing;
use super::report::{Report, Work};
use super::subject::{Subject, Wanted};
use crate::cli::{Fault, descriptors};

/// How long a load lasts where neither messages nor seconds are given: alone, and as one of all.
const ALONE: f64 = 3.0;
const ONE_OF_ALL: f64 = 1.0;

/// Descriptors that the bench needs for itself.
const OWN_DESCRIPTORS: u64 = 64;

/// Runs what the options ask for and notes it work by work, so that a stop loses nothing that is whole.
pub(super) fn measure(run: &Run, report: &mut Report) -> Result<(), Fault> {
    let modes = run.options.mode.map_or_else(
        || vec![Mode::FanOut, Mode::ToOne, Mode::Connect, Mode::Idle, Mode::Durable, Mode::Mixed],
        |mode| vec![mode],
    );
    for peer in &run.options.peer {
        // Before anything is measured that would be lost then.
        peer.program()?;
    }
    if !run.options.peer.is_empty()
        && let Some(mode @ (Mode::Durable | Mode::Mixed)) = run.options.mode
    {
        let mode = format!("{mode:?}").to_lowercase();
        return Err(Fault::Usage(vec![format!(
            "--peer: not in {mode}; in fan-out, to-one, idle and connect"
        )]));
    }
    if run.options.unkept && run.options.mode != Some(Mode::ToOne) {
        return Err(Fault::Usage(vec!["--unkept: in to-one alone".to_owned()]));
    }
    if run.options.is_under_tls() && run.options.door == Some(Door::Encrypted) {
        let line = "--door encrypted: its clients know no other handshake; give another door for TLS";
        return Err(Fault::Usage(vec![line.to_owned()]));
    }
    let mut measure = Measure { run, usual: if modes.len() == 1 { ALONE } else { ONE_OF_ALL }, report };
    for mode in modes {
        if run.stop.is_wanted() {
            break;
        }
        match mode {
            Mode::FanOut => measure.fan_out()?,
            Mode::ToOne => measure.one_at_a_time()?,
            Mode::Idle | Mode::Connect => measure.connect(mode)?,
            Mode::Durable => measure.durable()?,
            Mode::Mixed => measure.mixed()?,
        }
    }
    Ok(())
}

struct Measure<'a> {
    run: &'a Run,
    usual: f64,
    report: &'a mut Report,
}

impl Measure<'_> {
    /// How many clients: as told, or as suits the mode and the descriptors.
    fn clients(&self, usual: u64) -> Result<u64, Fault> {
        let most = descriptors::raise().unwrap_or(u64::MAX).saturating_sub(OWN_DESCRIPTORS);
        let most = match self.run.options.url {
            Some(_) => most,
            // A server of its own has the same limit.
            None => most.min(descriptors::for_connections() as u64),
        };
        match self.run.options.clients {
            Some(clients) if clients > most => Err(Fault::Usage(vec![format!(
                "--clients {clients}: at most {most} here; the limit of open files is too low, see ulimit -n"
            )])),
            Some(clients) => Ok(clients),
            None => Ok(usual.min(most)),
        }
    }

    fn publishings(&self, usual: &[Publishing]) -> Vec<Publishing> {
        self.run.options.publisher.map_or_else(|| usual.to_vec(), |publishing| vec![publishing])
    }

    fn store<'s>(&'s self, usual: &'s str) -> &'s str {
        self.run.options.store.as_deref().unwrap_or(usual)
    }

    /// The door that the clients use. At the raw one nobody is told when it is online.
    fn door(&self, mode: Mode) -> Door {
        let usual = if mode == Mode::Connect { Door::Frame } else { Door::Raw };
        self.run.options.door.unwrap_or(usual)
    }

    fn begin(&self, work: &Work, what: &str) {
        self.run.progress.begin(&format!("{} {what}", work.name));
    }

    fn work(&self, mode: Mode, title: String, clients: u64, store: Option<&str>) -> Work {
        let tls = self.run.options.is_under_tls();
        Work {
            mode,
            title: if tls { title + ", under TLS" } else { title },
            name: String::new(),
            unit: "deliveries",
            door: self.door(mode).to_string(),
            tls,
            publisher: None,
            store: store.filter(|_| self.run.options.url.is_none()).map(ToOwned::to_owned),
            clients,
            size: None,
            window: None,
            rate: None,
            server: Figures::default(),
            beside: Vec::new(),
        }
    }

    fn load(&self, clients: u64, publishing: Publishing, to_one: bool) -> Load {
        let options = &self.run.options;
        Load {
            to_one,
            clients,
            slow: 0,
            publishing,
            window: options.window.unwrap_or(if to_one { 256 } else { 32 }),
            rate: options.rate,
            size: options.size(),
            unkept: options.unkept,
            messages: options.messages,
            time: options.time(self.usual),
        }
    }

    fn loaded(&self, mode: Mode, load: &Load, store: &str) -> Work {
        let how = load.rate.map_or_else(
            || format!("{} on their way", HumanCount(load.window)),
            |rate| format!("{rate} a second"),
        );
        let (mode_name, slow) = match mode {
            Mode::ToOne if load.unkept => ("to one, unkept", String::new()),
            Mode::ToOne => ("to one", String::new()),
            Mode::Mixed => ("mixed", format!(" and {} that hardly read", HumanCount(load.slow))),
            _ => ("fan-out", String::new()),
        };
        let title = format!(
            "{mode_name}: {} clients{slow}, {} B, {how}",
            HumanCount(load.clients),
            HumanCount(load.size as u64)
        );
        let mut work = self.work(mode, title, load.clients, Some(store));
        work.name = format!("{}, {}", work.door, load.publishing);
        work.publisher = Some(load.publishing.to_string());
        work.size = Some(load.size);
        work.rate = load.rate;
        work.window = load.rate.is_none().then_some(load.window);
        work
    }

    fn fan_out(&mut self) -> Result<(), Fault> {
        let clients = self.clients(1000)?;
        for publishing in self.publishings(&[Publishing::Http]) {
            let load = self.load(clients, publishing, false);
            self.beside_floor(Mode::FanOut, &load, false)?;
        }
        Ok(())
    }

    fn one_at_a_time(&mut self) -> Result<(), Fault> {
        if self.door(Mode::ToOne) == Door::Sse {
            // Who does not acknowledge is sent so many messages and no more.
            let line = "--door sse: its clients acknowledge by a call of their own; give another for to-one";
            return Err(Fault::Usage(vec![line.to_owned()]));
        }
        let clients = self.clients(1000)?;
        for publishing in self.publishings(&[Publishing::Http, Publishing::Batch, Publishing::Frame]) {
            let load = self.load(clients, publishing, true);
            self.beside_floor(Mode::ToOne, &load, true)?;
        }
        Ok(())
    }

    fn server(&self, mode: Mode, store: &str, users: bool) -> Result<Subject, Fault> {
        Subject::server(&self.run.options, &Wanted { door: self.door(mode), store, users })
    }

    fn connect(&mut self, mode: Mode) -> Result<(), Fault> {
        let clients = self.clients(if mode == Mode::Idle { 10_000 } else { 2000 })?;
        let store = self.store("memory").to_owned();
        let (title, unit) = match mode {
            Mode::Idle => (format!("idle: {} connections", HumanCount(clients)), "connections"),
            _ => (format!("connect: {} clients", HumanCount(clients)), "connects"),
        };
        let mut work = self.work(mode, title, clients, Some(&store));
        work.unit = unit;
        work.name = work.door.clone();
        self.begin(&work, if mode == Mode::Idle { "idle" } else { "connect" });
        let server = self.server(mode, &store, false)?;
        work.server = connect(&server, clients, self.run)?;
        drop(server);
        self.note_beside_floor(work, |subject, run| connect(subject, clients, run), false)
    }

    fn durable(&mut self) -> Result<(), Fault> {
        let options = &self.run.options;
        let window = options.window.unwrap_or(256);
        let clients = self.clients(256)?;
        let store = self.store("disk").to_owned();
        let single = (Publishing::Http, 1);
        let mut loads = vec![single];
        let many = self.publishings(&[Publishing::Http, Publishing::Batch, Publishing::Frame]);
        loads.extend(many.into_iter().map(|publishing| (publishing, window)));
        let mut first: Option<Figures> = None;
        for (publishing, window) in loads {
            if self.run.stop.is_wanted() {
                break;
            }
            let options = &self.run.options;
            let (users, size) = (clients, options.size());
            let time = options.time(self.usual);
            let durable = Durable { users, publishing, window, size, messages: options.messages, time };
            let (users, bytes) = (HumanCount(clients), HumanCount(size as u64));
            let title = format!("durable: to {users} users who are away, {bytes} B, {store} store");
            let mut work = self.work(Mode::Durable, title, clients, Some(&store));
            work.unit = "publications";
            work.door = Door::Frame.to_string();
            work.publisher = Some(publishing.to_string());
            (work.size, work.window) = (Some(size), Some(window));
            work.name = format!("{publishing}, {} at a time", HumanCount(window));
            self.begin(&work, "");
            // Those who fetch what was kept are to acknowledge it.
            let wanted = Wanted { door: Door::Frame, store: &store, users: false };
            let server = Subject::server(options, &wanted)?;
            work.server = durable.run(&server, self.run)?;
            drop(server);
            if let Some(single) = &first {
                work.compare("http, 1 at a time", Some(work.tls), single.clone());
            } else {
                first = Some(work.server.clone());
            }
            if store == "disk" && options.url.is_none() {
                let temporary = std::env::temp_dir();
                let directory = options.directory.as_deref().unwrap_or(&temporary);
                work.compare("floor: write and sync", None, disk_floor(directory, size, window)?);
            }
            self.report.works.push(work);
        }
        Ok(())
    }

    fn mixed(&mut self) -> Result<(), Fault> {
        let all = self.clients(1000)?;
        let store = self.store("memory").to_owned();
        let slow = (all / 10).max(1);
        for publishing in self.publishings(&[Publishing::Http]) {
            let alone = self.load(all - slow, publishing, false);
            if alone.clients == 0 {
                return Err(Fault::Usage(vec!["--clients 1: mixed takes at least 2".to_owned()]));
            }
            let load = Load { slow, ..alone.clone() };
            let mut work = self.loaded(Mode::Mixed, &load, &store);
            self.begin(&work, "mixed");
            work.server = load.run(&self.server(Mode::Mixed, &store, false)?, self.run)?;
            let others = self.server(Mode::Mixed, &store, false)?;
            self.note(work, "the same without them", |run| alone.run(&others, run))?;
        }
        Ok(())
    }
}
