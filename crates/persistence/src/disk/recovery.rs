//! What a start finds.

use std::io;
use std::path::Path;

use super::check::Recovery;
use super::filesystem::Filesystem;
use super::journal::{self, Lost};
use super::{salvage, shared, unavailable};
use crate::StoreError;
use crate::inboxes::{Changed, corrupt};

/// Names the form of everything in the directory.
const FORMAT: &str = "msgserver store 1\n";

/// Refuses a directory of another format; a new one is marked with this one.
pub(super) fn check_format(files: &dyn Filesystem, directory: &Path) -> Result<(), StoreError> {
    let path = directory.join("format");
    match files.read(&path) {
        Ok(format) if format == FORMAT.as_bytes() => Ok(()),
        Ok(format) => Err(corrupt(format_args!(
            "its format is {:?}, where {:?} is known; if that is damaged, write the known one into the file `format`",
            String::from_utf8_lossy(&format).trim_end(),
            FORMAT.trim_end()
        ))),
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => {
            let new = directory.join("format.new");
            let write = || {
                let mut file = files.create(&new)?;
                file.add(FORMAT.as_bytes())?;
                file.sync()?;
                files.rename(&new, &path)?;
                files.sync_directory(directory)
            };
            write().map_err(unavailable)
        }
        Err(fault) => Err(unavailable(fault)),
    }
}

/// What the journals say.
#[derive(Debug, Default)]
pub(super) struct Recovered {
    pub(super) changed: Changed,
    /// The number of the last journal, and how many bytes of it count.
    pub(super) last: (u64, u64),
    pub(super) recovery: Recovery,
}

/// Reads all journals, in order, and reports what of them cannot be read.
pub(super) fn read_journals(files: &dyn Filesystem, directory: &Path) -> Result<Recovered, StoreError> {
    let journals = shared::journals(directory);
    let mut recovered = Recovered::default();
    let numbers = journal::numbers(files, &journals).map_err(unavailable)?;
    let numbers = in_a_row(&numbers);
    let mut next = numbers.iter().copied().map(|number| -> Result<_, StoreError> {
        let bytes = files.read(&journal::path(&journals, number)).map_err(unavailable)?;
        match journal::other_version(&bytes) {
            Some(version) => Err(corrupt(format_args!("a journal of version {version}, where 1 is known"))),
            None => Ok((number, bytes)),
        }
    });
    let mut read = next.next().transpose()?;
    while let Some((number, bytes)) = read {
        let following = next.next().transpose()?;
        // The next one says how much of this one counts, if it comes right after it.
        let following_number = following.as_ref().filter(|(of, _)| *of == number + 1);
        let whole = following_number.and_then(|(_, bytes)| journal::length_of_the_one_before(bytes));
        let found = journal::read(&bytes, whole, &mut recovered.changed);
        recovered.recovery.dropped_bytes += found.dropped;
        if found.dropped > 0 {
            tracing::warn!(
                journal = number,
                bytes = found.dropped,
                "a commit was cut short, and is dropped: nobody was told that it was done"
            );
        }
        for lost in &found.lost {
            let what = describe(lost);
            tracing::error!(journal = number, at = lost.at, what, "a row is damaged, and is lost");
            recovered.recovery.lost.push(format!("journal {number} at byte {}: {what}", lost.at));
        }
        recovered.last = (number, found.length);
        read = following;
    }
    Ok(recovered)
}

/// The numbers up to the last that follow each other. Journals are removed when the engine has them, but a power cut may
/// bring one back where a later one stays away; what it says has changed since.
fn in_a_row(numbers: &[u64]) -> &[u64] {
    let gap = numbers.windows(2).rposition(|pair| pair[0] + 1 != pair[1]);
    &numbers[gap.map_or(0, |before| before + 1)..]
}

/// What a damaged row was, as far as can be told.
fn describe(lost: &Lost) -> String {
    match &lost.row {
        Some((table, key)) => salvage::name_of(*table, key),
        None => "it cannot be told what it was".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn journals_that_came_back_are_passed_over() {
        for (all, right) in [
            (&[][..], &[][..]),
            (&[3], &[3]),
            (&[3, 4, 5], &[3, 4, 5]),
            (&[1, 3, 4], &[3, 4]),
            (&[1, 2, 4, 6], &[6]),
        ] {
            assert_eq!(in_a_row(all), right);
        }
    }
}
