//! `msgserver bench`: puts a load on a server, and on the floor beside it, and reports what both took.

mod audience;
mod certificate;
mod channel;
mod client;
mod connect;
mod deliver;
mod durable;
mod figures;
mod floor;
mod flow;
mod line;
mod options;
mod order;
mod own_process;
mod peer;
mod picture;
mod place;
mod process;
mod progress;
mod publisher;
mod readers;
mod report;
mod stamp;
mod stop;
mod subject;
mod table;
mod tally;
mod works;

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use clap::{Args, Subcommand};

use self::options::Options;
use self::progress::Progress;
use self::report::Report;
use self::stop::Stop;
use super::{Fault, descriptors};

/// How long a server may take over one step before that counts as a fault.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Args)]
#[command(
    disable_help_subcommand = true,
    subcommand_negates_reqs = true,
    after_help = "The floor is a process that does nothing but write what waits for each socket with one call; the \
    ratio to it is what the server adds. It and peers are always in the clear, also with --tls. Exit code 1 if a message was lost, doubled or out of order. Ctrl-C ends a \
    run with the report so far."
)]
pub(crate) struct Bench {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    child: Option<Child>,
}

/// What the bench starts.
#[derive(Subcommand)]
enum Child {
    /// Run this program with these arguments, for as long as the bench lives
    #[command(hide = true)]
    Child {
        /// Another program
        #[arg(long)]
        program: Option<PathBuf>,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Be the floor
    #[command(hide = true)]
    Floor,
}

/// What all works of one call share.
struct Run {
    options: Options,
    stop: Stop,
    progress: Progress,
}

impl Bench {
    pub(crate) fn run(self) -> Result<(), Fault> {
        match self.child {
            Some(Child::Child { program, arguments }) => become_child(program, &arguments),
            Some(Child::Floor) => {
                descriptors::raise();
                floor::serve()
            }
            None => bench(self.options),
        }
    }
}

/// A server that outlived its bench would be in somebody's way.
fn become_child(program: Option<PathBuf>, arguments: &[String]) -> Result<(), Fault> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .map_err(Fault::failed)?;
    let program = program.map_or_else(std::env::current_exe, Ok).map_err(Fault::failed)?;
    Err(Fault::failed(Command::new(program).args(arguments).exec()))
}

fn bench(options: Options) -> Result<(), Fault> {
    descriptors::raise();
    let stop = Stop::on_signals(std::thread::current())?;
    let run = Run { options, stop, progress: Progress::new() };
    let mut report = Report::new();
    let outcome = works::measure(&run, &mut report);
    report.complete = outcome.is_ok() && !run.stop.is_wanted();
    let Run { options, stop, progress } = run;
    drop(progress);
    let written = write(&options, &report);
    match outcome {
        // What a stop has broken off is no fault, and what was measured before is in the report.
        Err(fault) if !stop.is_wanted() => return Err(fault),
        _ => written?,
    }
    let faults = report.faults();
    if faults.is_empty() { Ok(()) } else { Err(Fault::Failed(faults.join("\nmsgserver: "))) }
}

fn write(options: &Options, report: &Report) -> Result<(), Fault> {
    let to_file = |flag: &str, path: &Path, text: &str| {
        let fault = |fault| Fault::Failed(format!("{flag} {}: {fault}", path.display()));
        std::fs::write(path, text).map_err(fault)
    };
    let mut out = table::table(report);
    if let Some(path) = &options.json {
        let json = serde_json::to_string_pretty(report).map_err(Fault::failed)? + "\n";
        if path.as_os_str() == "-" { out = json } else { to_file("--json", path, &json)? }
    }
    if let Some(path) = &options.svg
        && let Some(picture) = picture::picture(report)
    {
        to_file("--svg", path, &picture)?;
    }
    std::io::stdout().write_all(out.as_bytes()).map_err(Fault::failed)
}

/// In front of the names of a run's users, so that no run meets what another has left on a server.
fn prefix() -> String {
    format!("bench-{:08x}-", rand::random::<u32>())
}
