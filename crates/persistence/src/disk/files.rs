//! Whether the engine's files are whole at their ends, where they say what stands where.
//!
//! The engine checks each block of rows that it reads. What tells it where the blocks are, it believes: the list
//! of its files, and the table of contents at the end of each. A flipped bit there could have it ask for more
//! memory than there is. So these are checked here, before it sees them; it is little that is read.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

use xxhash_rust::xxh3::xxh3_128;

use super::unavailable;
use crate::StoreError;
use crate::inboxes::corrupt;

/// Refuses files that the engine could not find its way in.
pub(super) fn check(rows: &Path) -> Result<(), StoreError> {
    let current = match fs::read(rows.join("current")) {
        Ok(current) => current,
        // Nothing was ever kept, unless there are files.
        Err(fault) if fault.kind() == ErrorKind::NotFound => {
            let tables = fs::read_dir(rows.join("tables")).is_ok_and(|mut tables| tables.next().is_some());
            return if tables { Err(damaged("current", "it is missing")) } else { Ok(()) };
        }
        Err(fault) => return Err(unavailable(fault)),
    };
    let (version, sum) =
        named_list(&current).ok_or_else(|| damaged("current", "it is no pointer to a list"))?;

    let list_name = format!("v{version}");
    let list = match fs::read(rows.join(&list_name)) {
        Err(fault) if fault.kind() == ErrorKind::NotFound => {
            return Err(damaged("current", "what it names is missing"));
        }
        list => list.map_err(unavailable)?,
    };
    if xxh3_128(&list) != sum {
        return Err(damaged(&list_name, "its checksum is not the one in `current`"));
    }
    let tables = tables(&list).ok_or_else(|| damaged(&list_name, "it is no list of files"))?;
    for (table, _) in tables {
        let name = format!("tables/{table}");
        match end_is_whole(&rows.join(&name)) {
            Ok(true) => {}
            Ok(false) => return Err(damaged(&name, "its table of contents is not what its checksum says")),
            Err(fault) if fault.kind() == ErrorKind::NotFound => return Err(damaged(&name, "it is missing")),
            Err(fault) => return Err(unavailable(fault)),
        }
    }
    Ok(())
}

/// The version of the list that is in force, and its checksum.
pub(super) fn named_list(current: &[u8]) -> Option<(u64, u128)> {
    let mut fields = Fields(current);
    fields.u64().zip(fields.u128()).filter(|_| fields.0 == [0])
}

fn damaged(file: &str, how: &str) -> StoreError {
    corrupt(format_args!("the file rows/{file} is damaged: {how}"))
}

/// What stands at the end of each file: a mark, a version, the kind of checksum, the checksum of the table of
/// contents, where that begins, and its length.
const END: usize = 38;
const END_MARK: &[u8] = b"SFA!\x01\0";

fn end_is_whole(path: &Path) -> io::Result<bool> {
    Ok(contents(&File::open(path)?)?.is_some())
}

/// Where the rows of a table end and what tells where they are begins, if its table of contents is whole.
pub(super) fn end_of_rows(table: &File) -> io::Result<Option<u64>> {
    let contents = contents(table)?;
    let rows = contents.as_deref().and_then(sections).and_then(|sections| {
        let rows = sections.into_iter().find(|section| section.name == b"data")?;
        rows.from.checked_add(rows.length)
    });
    Ok(rows)
}

/// The table of contents of a file, if it is whole.
fn contents(mut file: &File) -> io::Result<Option<Vec<u8>>> {
    let length = file.metadata()?.len();
    let Some(end_at) = length.checked_sub(END as u64) else { return Ok(None) };
    file.seek(SeekFrom::Start(end_at))?;
    let mut end = [0; END];
    file.read_exact(&mut end)?;
    let Some((sum, from)) = contents_of_end(&end, end_at) else { return Ok(None) };
    file.seek(SeekFrom::Start(from))?;
    let mut contents = vec![0; usize::try_from(end_at - from).unwrap_or(0)];
    file.read_exact(&mut contents)?;
    Ok((xxh3_128(&contents) == sum).then_some(contents))
}

/// The checksum of the table of contents, and where it begins.
fn contents_of_end(end: &[u8], end_at: u64) -> Option<(u128, u64)> {
    let mut fields = Fields(end.strip_prefix(END_MARK)?);
    let (sum, from, length) = (fields.u128()?, fields.u64()?, fields.u64()?);
    (from.checked_add(length)? == end_at).then_some((sum, from))
}

/// A part of a file that its table of contents names.
struct Section<'c> {
    name: &'c [u8],
    from: u64,
    length: u64,
}

fn sections(contents: &[u8]) -> Option<Vec<Section<'_>>> {
    let mut contents = Fields(contents);
    // A mark, and how many sections there are.
    contents.take(4)?;
    let count = contents.u32()?;
    let section = |_| {
        let (from, length, name) = (contents.u64()?, contents.u64()?, contents.u16()?);
        Some(Section { name: contents.take(name.into())?, from, length })
    };
    (0..count).map(section).collect()
}

/// The numbers of the tables in a list of files, each with the checksum of its file.
pub(super) fn tables(list: &[u8]) -> Option<Vec<(u64, u128)>> {
    let end_at = list.len().checked_sub(END)?;
    let (_, from) = contents_of_end(&list[end_at..], end_at as u64)?;
    let sections = sections(list.get(usize::try_from(from).ok()?..end_at)?)?;
    let Section { from, length, .. } = sections.into_iter().find(|section| section.name == b"tables")?;
    let from = usize::try_from(from).ok()?;
    let mut section = Fields(list.get(from..from.checked_add(usize::try_from(length).ok()?)?)?);
    let mut tables = Vec::new();
    for _level in 0..section.u8()? {
        for _run in 0..section.u8()? {
            for _table in 0..section.u32()? {
                let (table, _kind, sum) = (section.u64()?, section.u8()?, section.u128()?);
                tables.push((table, sum));
                // A number that its rows have.
                section.take(8)?;
            }
        }
    }
    Some(tables)
}

/// Numbers, the lowest byte first, one after the other.
pub(super) struct Fields<'b>(pub(super) &'b [u8]);

impl<'b> Fields<'b> {
    pub(super) fn take(&mut self, bytes: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn u128(&mut self) -> Option<u128> {
        self.array().map(u128::from_le_bytes)
    }
}
