//! `msgserver store`.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use bytesize::ByteSize;
use clap::{Args, Subcommand, ValueHint};
use msgserver::DiskStore;

use super::Fault;

#[derive(Args)]
pub(crate) struct Store {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Read everything and name each fault; exit code 1 if there is one. Changes nothing
    Check {
        #[command(flatten)]
        place: Place,
    },
    /// Count what is in it
    Stats {
        #[command(flatten)]
        place: Place,
    },
    /// Write everything as lines of JSON; what is damaged is left out, named, and makes the exit code 1
    Export {
        /// A new file; standard output if it is `-` or left out
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
        #[command(flatten)]
        place: Place,
    },
    /// Read what `export` has written into a new or empty directory
    Import {
        /// The file; standard input if it is `-` or left out
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Args)]
struct Place {
    /// Directory of the disk store; no server may be using it
    #[arg(
        long,
        value_name = "DIR",
        default_value = "./msgserver-data",
        env = "MSGSERVER_DATA_DIR",
        value_hint = ValueHint::DirPath
    )]
    data_dir: PathBuf,
}

impl Place {
    fn look_into(&self) -> Result<DiskStore, Fault> {
        let store = DiskStore::look_into(&self.data_dir).map_err(Fault::failed)?;
        let recovery = store.recovery().map_err(Fault::failed)?;
        if recovery.dropped_bytes > 0 {
            eprintln!(
                "msgserver: {} at the end of a journal are of commits that nobody was told of; \
                 the next start drops them",
                ByteSize(recovery.dropped_bytes)
            );
        }
        Ok(store)
    }
}

impl Store {
    pub(crate) fn run(self) -> Result<(), Fault> {
        match self.action {
            Action::Check { place } => check(&place),
            Action::Stats { place } => stats(&place),
            Action::Export { file, place } => export(file.as_deref(), &place),
            Action::Import { file, place } => import(file.as_deref(), &place),
        }
    }
}

fn check(place: &Place) -> Result<(), Fault> {
    let checked = place.look_into()?.check().map_err(Fault::failed)?;
    print(&format!("{} messages can be read\n", checked.messages))?;
    faults(&checked.faults)
}

fn stats(place: &Place) -> Result<(), Fault> {
    let stats = place.look_into()?.stats().map_err(Fault::failed)?;
    let rows = [
        ("users", stats.users.to_string()),
        ("devices", stats.devices.to_string()),
        ("messages", stats.messages.to_string()),
        ("scheduled", stats.scheduled.to_string()),
        ("receipts", stats.receipts.to_string()),
        ("journals", ByteSize(stats.journal_bytes).to_string()),
        ("rows", ByteSize(stats.row_bytes).to_string()),
    ];
    print(&rows.map(|(name, value)| format!("{name:<10} {value}\n")).concat())
}

fn export(file: Option<&Path>, place: &Place) -> Result<(), Fault> {
    let store = place.look_into()?;
    let exported = match file.filter(|file| *file != Path::new("-")) {
        Some(path) => {
            let named = |fault| Fault::Failed(format!("{}: {fault}", path.display()));
            let file = File::create_new(path).map_err(named)?;
            let exported = store.export(&mut BufWriter::new(&file)).map_err(Fault::failed)?;
            file.sync_all().map_err(named)?;
            exported
        }
        None => store.export(&mut BufWriter::new(io::stdout().lock())).map_err(Fault::failed)?,
    };
    eprintln!("msgserver: {} lines are exported", exported.lines);
    faults(&exported.lost)
}

fn import(file: Option<&Path>, place: &Place) -> Result<(), Fault> {
    let mut from: BufReader<Box<dyn io::Read + Send>> =
        BufReader::new(match file.filter(|file| *file != Path::new("-")) {
            Some(path) => {
                let file = File::open(path);
                Box::new(file.map_err(|fault| Fault::Failed(format!("{}: {fault}", path.display())))?)
            }
            None => Box::new(io::stdin()),
        });
    let store = DiskStore::open(&place.data_dir).map_err(Fault::failed)?;
    let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(Fault::failed)?;
    let imported = runtime.block_on(store.import(&mut from)).map_err(Fault::failed)?;
    eprintln!("msgserver: {} lines are imported", imported.lines);
    if imported.lost > 0 {
        eprintln!("msgserver: the export had left out what could not be read, {} times", imported.lost);
    }
    Ok(())
}

/// Names each fault; that there are some is one as well.
fn faults(faults: &[String]) -> Result<(), Fault> {
    for fault in faults {
        eprintln!("msgserver: {fault}");
    }
    match faults.len() {
        0 => Ok(()),
        1 => Err(Fault::Failed("there is 1 fault".to_owned())),
        more => Err(Fault::Failed(format!("there are {more} faults"))),
    }
}

fn print(text: &str) -> Result<(), Fault> {
    io::stdout().write_all(text.as_bytes()).map_err(Fault::failed)
}
