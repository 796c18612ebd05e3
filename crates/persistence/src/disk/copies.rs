//! Copies of what says of which form the store is, and of what tells the engine where its rows are.
//!
//! A flipped bit in a block of rows loses the rows of that block. One in the list of the files, or behind the
//! blocks of a file, where its index is, would lose all of them. That is a small part of the bytes, so it is kept
//! twice, and mended at the start. `docs/store.md` draws the copies.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use xxhash_rust::xxh3::xxh3_128;

use super::files::{self, Fields};

const MAGIC: &[u8; 8] = b"msgcopy\x01";
const LIST: &str = "list";
const FORMAT: &str = "format";

#[derive(Debug)]
pub(super) struct Copies {
    /// What it is of.
    store: PathBuf,
    directory: PathBuf,
    rows: PathBuf,
    /// The tables that there is a copy for, each with the checksum that the list has for it.
    tables: Mutex<BTreeMap<u64, u128>>,
}

impl Copies {
    /// The copies in a data directory.
    pub(super) fn new(store: &Path) -> Self {
        let (directory, rows) = (store.join("copies"), store.join("rows"));
        Self { store: store.to_owned(), directory, rows, tables: Mutex::default() }
    }

    /// Puts back the format of the store if it is not as its copy says, and tells what was wrong with it. A version that
    /// changes the format has to remove the copy first.
    pub(super) fn mend_format(&self) -> io::Result<Option<String>> {
        let is = read(&self.store.join(FORMAT))?;
        let was = if is.is_some() { "damaged" } else { "missing" };
        match self.read(FORMAT)? {
            Some(copy) if is.as_ref() != Some(&copy) => {
                replace(&self.store, FORMAT, &copy)?;
                sync(&self.store)?;
                Ok(Some(format!("the file format was {was}; it is mended from its copy")))
            }
            // Each journal says of which version it is, so a new one may be made.
            None if is.is_none() && fs::read_dir(super::shared::journals(&self.store))?.next().is_some() => {
                Ok(Some(format!("the file format was {was}, and so was its copy; it is made anew")))
            }
            _ => Ok(None),
        }
    }

    /// Puts back what is not as its copy says, and tells what that was.
    pub(super) fn mend(&self) -> io::Result<Vec<String>> {
        let mut mended = Vec::new();
        if let Some(copy) = self.read(LIST)?.as_deref().and_then(List::read)
            && copy.tables.iter().all(|(table, _)| self.table(*table).exists())
        {
            for (name, bytes) in copy.files {
                if read(&self.rows.join(&name))?.as_ref() != Some(&bytes) {
                    self.put_back(&name, &bytes)?;
                    mended.push(format!("the file rows/{name} was damaged; it is mended from its copy"));
                }
            }
        }
        for (table, sum) in self.listed()? {
            let Some((from, end)) = self.end_of(table, sum)? else { continue };
            let file = OpenOptions::new().read(true).write(true).open(self.table(table));
            let file = match file {
                Err(fault) if fault.kind() == ErrorKind::NotFound => continue,
                file => file?,
            };
            self.tables.lock().insert(table, sum);
            let whole = from + end.len() as u64;
            if file.metadata()?.len() == whole && read_at(&file, from, end.len())? == end {
                continue;
            }
            file.set_len(whole)?;
            file.write_all_at(&end, from)?;
            file.sync_all()?;
            mended.push(format!(
                "the end of the file rows/tables/{table} was damaged; it is mended from its copy"
            ));
        }
        Ok(mended)
    }

    /// Before the list changes: an old copy would be worse than none.
    pub(super) fn forget_list(&self) -> io::Result<()> {
        match fs::remove_file(self.directory.join(LIST)) {
            Err(fault) if fault.kind() == ErrorKind::NotFound => Ok(()),
            Ok(()) => sync(&self.directory),
            fault => fault,
        }
    }

    /// Copies what is not copied yet, and removes the copies of what is gone.
    pub(super) fn update(&self) -> io::Result<()> {
        let listed = self.listed()?;
        let mut copied = self.tables.lock();
        for (table, sum) in &listed {
            if copied.get(table) == Some(sum) {
                continue;
            }
            let file = File::open(self.table(*table))?;
            let Some(from) = files::end_of_rows(&file)? else { continue };
            let length = usize::try_from(file.metadata()?.len() - from).unwrap_or(0);
            let end = read_at(&file, from, length)?;
            self.write(&name(*table), &[&sum.to_be_bytes(), &from.to_be_bytes(), &end])?;
            copied.insert(*table, *sum);
        }
        copied.retain(|table, _| listed.iter().any(|(of, _)| of == table));
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let table = entry.file_name().to_str().and_then(|name| name.strip_prefix("table-")?.parse().ok());
            if table.is_some_and(|table| !copied.contains_key(&table)) {
                fs::remove_file(entry.path())?;
            }
        }
        if let Some(list) = List::of(&self.rows)? {
            let parts: Vec<_> = list.files.iter().flat_map(|(name, bytes)| part(name, bytes)).collect();
            self.write(LIST, &parts.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
        }
        let format = read(&self.store.join(FORMAT))?;
        if let Some(format) =
            format.filter(|format| !matches!(self.read(FORMAT), Ok(Some(copy)) if copy == *format))
        {
            self.write(FORMAT, &[&format])?;
        }
        sync(&self.directory)
    }

    /// The tables that the list names, if it is whole.
    fn listed(&self) -> io::Result<Vec<(u64, u128)>> {
        Ok(List::of(&self.rows)?.map(|list| list.tables).unwrap_or_default())
    }

    fn table(&self, table: u64) -> PathBuf {
        self.rows.join("tables").join(table.to_string())
    }

    /// From where on a table's file is copied, and the bytes, if there is a copy of that very file.
    fn end_of(&self, table: u64, sum: u128) -> io::Result<Option<(u64, Vec<u8>)>> {
        let Some(body) = self.read(&name(table))? else { return Ok(None) };
        let Some((head, end)) = body.split_first_chunk::<24>() else { return Ok(None) };
        let (of, from) = head.split_at(16);
        let from = from.try_into().map(u64::from_be_bytes).ok();
        Ok(from.filter(|_| *of == sum.to_be_bytes()).map(|from| (from, end.to_vec())))
    }

    /// What a copy holds, if it is whole.
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let whole = |bytes: Vec<u8>| {
            let (bytes, sum) = bytes.split_last_chunk::<16>()?;
            let body = bytes.strip_prefix(MAGIC)?;
            (xxh3_128(bytes).to_be_bytes() == *sum).then(|| body.to_vec())
        };
        Ok(read(&self.directory.join(name))?.and_then(whole))
    }

    fn write(&self, name: &str, parts: &[&[u8]]) -> io::Result<()> {
        let mut bytes = MAGIC.to_vec();
        parts.iter().for_each(|part| bytes.extend_from_slice(part));
        let sum = xxh3_128(&bytes).to_be_bytes();
        bytes.extend_from_slice(&sum);
        replace(&self.directory, name, &bytes)
    }

    fn put_back(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        replace(&self.rows, name, bytes)?;
        sync(&self.rows)
    }
}

/// The list of the engine's files, and what it consists of.
struct List {
    /// Names in the directory of the rows, and bytes.
    files: Vec<(String, Vec<u8>)>,
    tables: Vec<(u64, u128)>,
}

impl List {
    /// The list as it is, if it is whole.
    fn of(rows: &Path) -> io::Result<Option<Self>> {
        let Some(current) = read(&rows.join("current"))? else { return Ok(None) };
        let Some((version, _)) = files::named_list(&current) else { return Ok(None) };
        let mut files = vec![("current".to_owned(), current)];
        for name in [format!("v{version}"), "manifest".to_owned()] {
            if let Some(bytes) = read(&rows.join(&name))? {
                files.push((name, bytes));
            }
        }
        Ok(Self::whole(files))
    }

    fn read(body: &[u8]) -> Option<Self> {
        let (mut body, mut files) = (Fields(body), Vec::new());
        while !body.0.is_empty() {
            let length = body.u16()?;
            let name = std::str::from_utf8(body.take(length.into())?).ok()?.to_owned();
            let length = usize::try_from(body.u64()?).ok()?;
            files.push((name, body.take(length)?.to_vec()));
        }
        Self::whole(files)
    }

    fn whole(files: Vec<(String, Vec<u8>)>) -> Option<Self> {
        let find = |name: &str| files.iter().find(|(of, _)| of == name).map(|(_, bytes)| bytes.as_slice());
        let (version, sum) = files::named_list(find("current")?)?;
        let list = find(&format!("v{version}"))?;
        let tables = files::tables(list).filter(|_| xxh3_128(list) == sum)?;
        Some(Self { files, tables })
    }
}

fn part(name: &str, bytes: &[u8]) -> [Vec<u8>; 4] {
    let length = u16::try_from(name.len()).expect("the names of the engine's files are short");
    let (head, tail) = (length.to_le_bytes(), (bytes.len() as u64).to_le_bytes());
    [head.to_vec(), name.into(), tail.to_vec(), bytes.to_vec()]
}

fn name(table: u64) -> String {
    format!("table-{table}")
}

/// The bytes of a file, if it is there.
fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Err(fault) if fault.kind() == ErrorKind::NotFound => Ok(None),
        bytes => bytes.map(Some),
    }
}

fn read_at(file: &File, from: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, from)?;
    Ok(bytes)
}

/// Gives a name to bytes that are safe; the name is so when its directory is synced.
fn replace(directory: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let new = directory.join(format!("{name}.new"));
    let mut file = File::create(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(new, directory.join(name))
}

fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}
