//! What was changed since the engine last took rows over, in files that are only ever added to.
//!
//! A file is a header and then records. A record is what one commit has changed: its mark, the length and the
//! checksum of its body, and a body: how much of the file was safe when it was written, and rows, each with a
//! checksum of its own. `docs/store.md` draws them.

use std::io;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use super::filesystem::{Filesystem, Growing};
use crate::inboxes::Changed;
use crate::inboxes::tables::Table;

const MAGIC: &[u8; 8] = b"msgjrnl\x01";
const HEADER: usize = 32;
const MARK: [u8; 4] = *b"rec:";
/// Before the body of a record, and the number that the body begins with.
const RECORD: usize = 16;
const SAFE: usize = 8;
const ROW: usize = 11;
/// Instead of the length of a value, where the row is deleted.
const DELETED: u32 = u32::MAX;
/// No key is longer: two names, their lengths and a number.
const MAX_KEY: usize = 1024;

/// The journal that is written.
#[derive(Debug)]
pub(super) struct Journal {
    file: Box<dyn Growing>,
    number: u64,
    /// What is safe, or will be with the next sync. Whatever stands behind it does not count.
    length: u64,
    /// What is safe already.
    safe: u64,
    buffer: Vec<u8>,
}

impl Journal {
    /// A new journal. Of the one before it, `before` bytes count.
    pub(super) fn create(
        files: &dyn Filesystem,
        directory: &Path,
        number: u64,
        before: u64,
    ) -> io::Result<Self> {
        let mut header = Vec::with_capacity(HEADER);
        header.extend_from_slice(MAGIC);
        header.extend_from_slice(&number.to_be_bytes());
        header.extend_from_slice(&before.to_be_bytes());
        let sum = xxh3_64(&header);
        header.extend_from_slice(&sum.to_be_bytes());
        // One that could not be finished before may be there, with nothing in it that counts.
        let mut file = files.create(&path(directory, number))?;
        file.add(&header)?;
        file.sync()?;
        files.sync_directory(directory)?;
        Ok(Self { file, number, length: HEADER as u64, safe: HEADER as u64, buffer: Vec::new() })
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Adds what was changed. It is not safe before [`Journal::sync`].
    pub(super) fn add(&mut self, changed: &Changed) -> io::Result<()> {
        self.buffer.clear();
        self.buffer.resize(RECORD, 0);
        self.buffer.extend_from_slice(&self.safe.to_be_bytes());
        for (table, key, value) in changed.iter() {
            write_row(&mut self.buffer, table, key, value);
        }
        let body = &self.buffer[RECORD..];
        let length =
            u32::try_from(body.len()).map_err(|_| io::Error::other("a commit of more than 4 GiB"))?;
        let sum = xxh3_64(body);
        self.buffer[..4].copy_from_slice(&MARK);
        self.buffer[4..8].copy_from_slice(&length.to_be_bytes());
        self.buffer[8..RECORD].copy_from_slice(&sum.to_be_bytes());
        self.file.add(&self.buffer)?;
        self.length += self.buffer.len() as u64;
        // One large commit should not stay in memory for ever.
        self.buffer.shrink_to(1024 * 1024);
        Ok(())
    }

    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.file.sync()?;
        self.safe = self.length;
        Ok(())
    }
}

fn write_row(to: &mut Vec<u8>, table: Table, key: &[u8], value: Option<&[u8]>) {
    let start = to.len();
    to.push(table as u8);
    to.extend_from_slice(&u16::try_from(key.len()).expect("keys are short").to_be_bytes());
    let length = value.map_or(DELETED, |value| u32::try_from(value.len()).expect("values are bounded"));
    to.extend_from_slice(&length.to_be_bytes());
    to.extend_from_slice(&[0; 4]);
    to.extend_from_slice(key);
    to.extend_from_slice(value.unwrap_or_default());
    let sum = row_sum(&to[start..]);
    to[start + 7..start + ROW].copy_from_slice(&sum);
}

/// The checksum of a row, which stands between its lengths and its key.
fn row_sum(row: &[u8]) -> [u8; 4] {
    let sum = xxh3_64(&row[..7]) ^ xxh3_64(&row[ROW..]).rotate_left(1);
    *sum.to_be_bytes().last_chunk().expect("eight bytes end with four")
}

/// The numbers of the journals in a directory, in order.
pub(super) fn numbers(files: &dyn Filesystem, directory: &Path) -> io::Result<Vec<u64>> {
    let names = files.names(directory)?;
    let number = |name: &String| name.strip_prefix("journal-")?.parse::<u64>().ok();
    let mut numbers: Vec<_> = names.iter().filter_map(number).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// Removes the journals up to a number.
pub(super) fn remove(files: &dyn Filesystem, directory: &Path, upto: u64) -> io::Result<()> {
    for number in numbers(files, directory)?.into_iter().filter(|number| *number <= upto) {
        files.remove(&path(directory, number))?;
    }
    files.sync_directory(directory)
}

pub(super) fn path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("journal-{number:010}"))
}

/// What was found in a journal beside its rows.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// How many bytes of the file count.
    pub(super) length: u64,
    /// Bytes at the end that no whole record could be made of: of a commit that nobody was told of.
    pub(super) dropped: u64,
    /// What is damaged before the end, and lost.
    pub(super) lost: Vec<Lost>,
}

/// A stretch of a journal that cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lost {
    /// Where it begins in the file.
    pub(super) at: u64,
    /// What the damaged row was, if that can still be told: it may be what is damaged.
    pub(super) row: Option<(Table, Vec<u8>)>,
}

/// How many bytes of the journal before this one count, if its header says so.
pub(super) fn length_of_the_one_before(bytes: &[u8]) -> Option<u64> {
    let header = bytes.get(..HEADER)?;
    let (fields, sum) = header.split_at(HEADER - 8);
    let right = fields.starts_with(MAGIC) && xxh3_64(fields).to_be_bytes() == sum;
    right.then(|| fields[16..].try_into().map(u64::from_be_bytes).ok()).flatten()
}

/// The version of the format, if this is a journal of another one and not a damaged one: whatever the version,
/// its header has its checksum there.
pub(super) fn other_version(bytes: &[u8]) -> Option<u8> {
    let (fields, sum) = bytes.get(..HEADER)?.split_at(HEADER - 8);
    let (magic, version) = (&fields[..7], fields[7]);
    let whole = xxh3_64(fields).to_be_bytes() == sum;
    (whole && *magic == MAGIC[..7] && version != MAGIC[7]).then_some(version)
}

/// Reads a journal into rows. If it is known how many bytes of it count, `whole`, then what cannot be read is
/// damaged; else what stands behind all that a record calls safe may be of a commit that was cut short. Then
/// nothing that stands behind that counts either: a disk may write what is not synced in any order.
pub(super) fn read(bytes: &[u8], whole: Option<u64>, into: &mut Changed) -> Found {
    let mut found = Found::default();
    let end =
        whole.map_or(bytes.len(), |whole| bytes.len().min(usize::try_from(whole).unwrap_or(usize::MAX)));
    let bytes = &bytes[..end];
    let safe = if whole.is_some() { end } else { safe_length(bytes) };
    let mut at = HEADER.min(end);
    while at < end {
        if let Some(record) = record(&bytes[at..]) {
            read_rows(record.rows, at + RECORD + SAFE, into, &mut found.lost);
            at += record.length();
            continue;
        }
        if at >= safe {
            found.dropped = (end - at) as u64;
            break;
        }
        // The rows in it whose own checksums are right are what they were.
        let next = next_record(bytes, at + 1).unwrap_or(end);
        let body = (at + RECORD + SAFE).min(next);
        let before = found.lost.len();
        read_rows(&bytes[body..next], body, into, &mut found.lost);
        if found.lost.len() == before {
            found.lost.push(Lost { at: at as u64, row: None });
        }
        at = next;
    }
    found.length = at as u64;
    found
}

/// A whole record.
struct Record<'b> {
    /// How much of the file was safe when it was written.
    safe: usize,
    rows: &'b [u8],
}

impl Record<'_> {
    fn length(&self) -> usize {
        RECORD + SAFE + self.rows.len()
    }
}

/// The record that stands here, if one does.
fn record(bytes: &[u8]) -> Option<Record<'_>> {
    let (head, rest) = bytes.split_at_checked(RECORD)?;
    let length = u32::from_be_bytes(head[4..8].try_into().ok()?);
    let body = rest.get(..usize::try_from(length).ok()?)?;
    if !head.starts_with(&MARK) || xxh3_64(body).to_be_bytes() != head[8..] {
        return None;
    }
    let (safe, rows) = body.split_first_chunk::<SAFE>()?;
    Some(Record { safe: usize::try_from(u64::from_be_bytes(*safe)).ok()?, rows })
}

/// Where the next whole record begins.
fn next_record(bytes: &[u8], from: usize) -> Option<usize> {
    (from..bytes.len()).find(|at| bytes[*at..].starts_with(&MARK) && record(&bytes[*at..]).is_some())
}

/// How much of a journal is known to have been safe: the most that any of its records says.
fn safe_length(bytes: &[u8]) -> usize {
    let (mut safe, mut next) = (0, Some(HEADER));
    while let Some(at) = next {
        let here = bytes.get(at..).and_then(record);
        safe = here.as_ref().map_or(safe, |record| safe.max(record.safe));
        next = match here {
            Some(record) => Some(at + record.length()),
            None => next_record(bytes, at + 1),
        };
    }
    safe.min(bytes.len())
}

fn read_rows(mut bytes: &[u8], mut at: usize, into: &mut Changed, lost: &mut Vec<Lost>) {
    let mut in_damage = false;
    while !bytes.is_empty() {
        let length = match framed(bytes) {
            Some(row) if row_sum(row.bytes) == row.bytes[7..ROW] => {
                into.set(row.table, row.key.to_vec(), row.value.map(<[u8]>::to_vec));
                in_damage = false;
                row.bytes.len()
            }
            // If the next row begins where this one ends, its lengths are right, and perhaps its key is.
            Some(row) if !in_damage && follows(&bytes[row.bytes.len()..]) => {
                lost.push(Lost { at: at as u64, row: Some((row.table, row.key.to_vec())) });
                row.bytes.len()
            }
            _ => {
                if !in_damage {
                    lost.push(Lost { at: at as u64, row: None });
                }
                in_damage = true;
                1
            }
        };
        at += length;
        bytes = &bytes[length..];
    }
}

fn follows(bytes: &[u8]) -> bool {
    bytes.is_empty() || framed(bytes).is_some_and(|row| row_sum(row.bytes) == row.bytes[7..ROW])
}

struct Framed<'b> {
    table: Table,
    key: &'b [u8],
    value: Option<&'b [u8]>,
    bytes: &'b [u8],
}

/// What would be a row, by its lengths.
fn framed(bytes: &[u8]) -> Option<Framed<'_>> {
    let (head, rest) = bytes.split_at_checked(ROW)?;
    let table = Table::of(head[0])?;
    let key_length = usize::from(u16::from_be_bytes([head[1], head[2]]));
    let value_length = u32::from_be_bytes(head[3..7].try_into().ok()?);
    let (key, rest) = rest.split_at_checked(key_length).filter(|_| key_length <= MAX_KEY)?;
    let value = match value_length {
        DELETED => None,
        length => Some(rest.get(..usize::try_from(length).ok()?)?),
    };
    let length = ROW + key_length + value.map_or(0, <[u8]>::len);
    Some(Framed { table, key, value, bytes: &bytes[..length] })
}

#[cfg(test)]
mod tests {
    use super::super::filesystem::Local;
    use super::*;

    type Rows = Vec<(Vec<u8>, Option<Vec<u8>>)>;

    fn rows(changed: &Changed) -> Rows {
        changed.iter().map(|(_, key, value)| (key.to_vec(), value.map(<[u8]>::to_vec))).collect()
    }

    /// A journal of three commits of three rows each, the last of them deleted; each was synced.
    fn written() -> (Vec<u8>, Rows) {
        let directory = tempfile::tempdir().unwrap();
        let mut journal = Journal::create(&Local, directory.path(), 1, 0).unwrap();
        let mut all = Changed::default();
        for commit in 0..3_u8 {
            let mut changed = Changed::default();
            for row in 0..3_u8 {
                let (key, value) = (vec![commit, row, 7], (row < 2).then(|| vec![row; 20]));
                changed.set(Table::Log, key.clone(), value.clone());
                all.set(Table::Log, key, value);
            }
            journal.add(&changed).unwrap();
            journal.sync().unwrap();
        }
        let bytes = Local.read(&path(directory.path(), 1)).unwrap();
        assert_eq!(journal.length(), bytes.len() as u64);
        (bytes, rows(&all))
    }

    #[test]
    fn what_was_added_is_read() {
        let (bytes, right) = written();
        let mut read_back = Changed::default();
        let found = read(&bytes, None, &mut read_back);
        assert_eq!(found, Found { length: bytes.len() as u64, ..Found::default() });
        assert_eq!(rows(&read_back), right);
        assert_eq!(length_of_the_one_before(&bytes), Some(0));
    }

    #[test]
    fn a_commit_that_was_cut_short_is_dropped_and_the_ones_before_it_stay() {
        let (bytes, right) = written();
        let commit = (bytes.len() - HEADER) / 3;
        for end in HEADER..=bytes.len() {
            let mut read_back = Changed::default();
            let found = read(&bytes[..end], None, &mut read_back);
            let whole = (end - HEADER) / commit;
            assert_eq!(rows(&read_back), right[..whole * 3], "cut at {end}");
            assert_eq!(found.length, (HEADER + whole * commit) as u64);
            assert_eq!(found.dropped, ((end - HEADER) % commit) as u64);
            assert!(found.lost.is_empty());
        }
    }

    #[test]
    fn a_flipped_bit_loses_one_row_at_most() {
        let (bytes, right) = written();
        let commit = (bytes.len() - HEADER) / 3;
        for bit in HEADER * 8..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            for whole in [None, Some(bytes.len() as u64)] {
                let mut read_back = Changed::default();
                let found = read(&damaged, whole, &mut read_back);
                let kept = rows(&read_back);
                assert!(kept.iter().all(|row| right.contains(row)), "bit {bit} made a row");
                if whole.is_none() && bit / 8 >= HEADER + 2 * commit {
                    assert_eq!((kept.len(), found.dropped), (6, commit as u64), "bit {bit}");
                } else {
                    assert!(kept.len() >= 8, "bit {bit} lost {}", 9 - kept.len());
                    assert_eq!(found.lost.len(), 1, "bit {bit} is not named");
                }
            }
        }
    }

    #[test]
    fn what_was_not_synced_may_be_there_in_any_order_and_does_not_count() {
        let directory = tempfile::tempdir().unwrap();
        let mut journal = Journal::create(&Local, directory.path(), 1, 0).unwrap();
        let add = |journal: &mut Journal, row: u8| {
            let mut changed = Changed::default();
            changed.set(Table::Log, vec![row], Some(vec![row; 20]));
            journal.add(&changed).unwrap();
        };
        add(&mut journal, 1);
        journal.sync().unwrap();
        let safe = journal.length();
        add(&mut journal, 2);
        add(&mut journal, 3);
        let mut bytes = Local.read(&path(directory.path(), 1)).unwrap();
        bytes[safe as usize..safe as usize + 30].fill(0);
        let mut read_back = Changed::default();
        let found = read(&bytes, None, &mut read_back);
        assert_eq!(rows(&read_back), [(vec![1], Some(vec![1; 20]))]);
        assert_eq!(found, Found { length: safe, dropped: bytes.len() as u64 - safe, lost: Vec::new() });
    }

    #[test]
    fn a_damaged_row_is_named_where_its_key_can_be_read() {
        let (mut bytes, _) = written();
        let value = HEADER + RECORD + SAFE + ROW + 3;
        bytes[value] ^= 1;
        let found = read(&bytes, None, &mut Changed::default());
        assert_eq!(
            found.lost,
            [Lost { at: (HEADER + RECORD + SAFE) as u64, row: Some((Table::Log, vec![0, 0, 7])) }]
        );
    }

    #[test]
    fn what_does_not_count_is_not_read() {
        let (bytes, right) = written();
        let commit = (bytes.len() - HEADER) / 3;
        let mut read_back = Changed::default();
        read(&bytes, Some((HEADER + commit) as u64), &mut read_back);
        assert_eq!(rows(&read_back), right[..3]);
    }
}
