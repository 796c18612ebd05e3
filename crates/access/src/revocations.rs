//! All that was taken back, in memory and in a file.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use msgserver_message::{Timestamp, UserId};
use parking_lot::{Mutex, RwLock};

use crate::denied::is_over;
use crate::{Access, Revocation};

/// How many tokens and users may be noted.
const MOST: usize = 1_000_000;

/// Why a revocation is not kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RevocationError {
    /// There are too many.
    #[error("{MOST} tokens and users are revoked already; revoke all tokens before a time")]
    TooMany,
    /// It is in force, and will not be any more after a restart.
    #[error("it is in force, but not kept over a restart: {path}: {fault}")]
    NotKept {
        /// The file.
        path: String,
        /// What the system says.
        fault: io::Error,
    },
    /// The file says something that is no revocation. To pass it over would let somebody in.
    #[error("{path}, line {line}: it is no revocation: {fault}")]
    Damaged {
        /// The file.
        path: String,
        /// Where in it; the first is 1.
        line: usize,
        /// What is wrong.
        fault: serde_json::Error,
    },
    /// The file cannot be read.
    #[error("{path}: {fault}")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system says.
        fault: io::Error,
    },
}

#[derive(Debug, Default)]
struct Noted {
    tokens: HashMap<String, Option<Timestamp>>,
    users: HashMap<UserId, Timestamp>,
    all: Option<Timestamp>,
}

impl Noted {
    fn note(&mut self, revocation: Revocation) {
        match revocation {
            Revocation::Token { jti, expires_at } => _ = self.tokens.insert(jti, expires_at),
            Revocation::User { user, before } => {
                let until = self.users.entry(user).or_insert(before);
                *until = before.max(*until);
            }
            Revocation::All { before } => self.all = self.all.max(Some(before)),
        }
    }

    /// Forgets tokens that have ended anyway.
    fn forget_ended(&mut self) {
        self.tokens.retain(|_, expires_at| !is_over(*expires_at));
    }

    fn list(&self) -> impl Iterator<Item = Revocation> {
        let tokens = self.tokens.iter();
        let tokens =
            tokens.map(|(jti, expires_at)| Revocation::Token { jti: jti.clone(), expires_at: *expires_at });
        let users = self.users.iter();
        let users = users.map(|(user, before)| Revocation::User { user: user.clone(), before: *before });
        tokens.chain(users).chain(self.all.map(|before| Revocation::All { before }))
    }
}

/// All that was taken back. A file keeps it: a line of JSON for each revocation, of which the last may be torn by a
/// crash; it was not answered then.
#[derive(Debug, Default)]
pub struct Revocations {
    noted: RwLock<Noted>,
    path: Option<PathBuf>,
    /// Open from the first revocation on.
    file: Mutex<Option<File>>,
}

impl Revocations {
    /// Those that a file keeps, which need not be there yet.
    ///
    /// # Errors
    /// [`RevocationError`] if it is there and cannot be read.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, RevocationError> {
        let path = path.into();
        let unreadable = |fault| RevocationError::Unreadable { path: path.display().to_string(), fault };
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(fault) => return Err(unreadable(fault)),
        };
        let mut noted = Noted::default();
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        for (n, line) in text[..whole].split(|byte| *byte == b'\n').enumerate() {
            if line.is_empty() {
                continue;
            }
            let revocation = serde_json::from_slice(line).map_err(|fault| RevocationError::Damaged {
                path: path.display().to_string(),
                line: n + 1,
                fault,
            })?;
            noted.note(revocation);
        }
        noted.forget_ended();
        if !text.is_empty() {
            rewrite(&path, &noted).map_err(unreadable)?;
        }
        Ok(Self { noted: RwLock::new(noted), path: Some(path), file: Mutex::default() })
    }

    /// Takes back. Once it is done, the revocation is in force, and on disk if there is a file. Waits for the disk.
    ///
    /// # Errors
    /// [`RevocationError::TooMany`], and [`RevocationError::NotKept`] of one that is in force all the same.
    pub fn add(&self, revocation: Revocation) -> Result<(), RevocationError> {
        let line = serde_json::to_string(&revocation).expect("names and times have a form in JSON");
        {
            let mut noted = self.noted.write();
            if noted.tokens.len() + noted.users.len() >= MOST && !matches!(revocation, Revocation::All { .. })
            {
                noted.forget_ended();
                if noted.tokens.len() + noted.users.len() >= MOST {
                    return Err(RevocationError::TooMany);
                }
            }
            noted.note(revocation);
        }
        let Some(path) = &self.path else { return Ok(()) };
        let mut file = self.file.lock();
        append(&mut file, path, &line).map_err(|fault| {
            // What stands in it now is not known: the next one begins anew.
            *file = None;
            RevocationError::NotKept { path: path.display().to_string(), fault }
        })
    }

    /// Whether access was taken back. A token that does not say when it was made counts as old.
    #[must_use]
    pub fn cover(&self, access: &Access) -> bool {
        let noted = self.noted.read();
        let issued_at = access.issued_at.unwrap_or(Timestamp::from_millis(0));
        access.jti.as_ref().is_some_and(|jti| noted.tokens.contains_key(jti))
            || noted.all.is_some_and(|before| issued_at <= before)
            || access
                .user
                .as_ref()
                .is_some_and(|user| noted.users.get(user).is_some_and(|before| issued_at <= *before))
    }
}

fn append(file: &mut Option<File>, path: &Path, line: &str) -> io::Result<()> {
    if file.is_none() {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        if let Some(parent) = parent {
            std::fs::create_dir_all(parent)?;
        }
        *file = Some(OpenOptions::new().create(true).append(true).open(path)?);
        // The name has to last as well.
        File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
        // Behind a line that was not written whole.
        if std::fs::read(path)?.last().is_some_and(|last| *last != b'\n') {
            rewrite_whole_lines(path)?;
        }
    }
    let file = file.as_mut().expect("opened above");
    file.write_all(format!("{line}\n").as_bytes())?;
    file.sync_data()
}

fn rewrite_whole_lines(path: &Path) -> io::Result<()> {
    let text = std::fs::read(path)?;
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
    OpenOptions::new().write(true).open(path)?.set_len(whole as u64)
}

/// Writes all anew, by a rename, so that a crash leaves the old file or the new one.
fn rewrite(path: &Path, noted: &Noted) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = File::create(&beside)?;
    let mut lines = Vec::new();
    for revocation in noted.list() {
        serde_json::to_writer(&mut lines, &revocation)?;
        lines.push(b'\n');
    }
    file.write_all(&lines)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn access(user: &str, jti: &str, issued_at: u64) -> Access {
        Access {
            user: Some(UserId::new(user).unwrap()),
            jti: Some(jti.to_owned()),
            issued_at: Some(at(issued_at)),
            ..Access::default()
        }
    }

    fn user(name: &str, before: u64) -> Revocation {
        Revocation::User { user: UserId::new(name).unwrap(), before: at(before) }
    }

    fn token(jti: &str, expires_at: Option<Timestamp>) -> Revocation {
        Revocation::Token { jti: jti.to_owned(), expires_at }
    }

    #[test]
    fn what_is_revoked_is_a_token_or_what_was_made_until_then() {
        let revocations = Revocations::default();
        assert!(!revocations.cover(&access("ada", "1", 5)));
        revocations.add(token("1", None)).unwrap();
        assert!(revocations.cover(&access("ada", "1", 5)) && !revocations.cover(&access("ada", "2", 5)));
        revocations.add(user("ada", 7)).unwrap();
        revocations.add(user("ada", 6)).unwrap();
        assert!(revocations.cover(&access("ada", "2", 7)) && !revocations.cover(&access("ada", "2", 8)));
        assert!(!revocations.cover(&access("bob", "2", 7)));
        revocations.add(Revocation::All { before: at(9) }).unwrap();
        assert!(revocations.cover(&access("bob", "2", 9)) && !revocations.cover(&access("bob", "2", 10)));
        assert!(revocations.cover(&Access::default()), "one without a date is old");
    }

    #[test]
    fn a_file_keeps_what_was_answered_and_survives_a_torn_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("not/there/yet/revocations");
        let open = || Revocations::open(&path).unwrap();
        let revocations = open();
        assert!(!path.exists());
        let later = Timestamp::now().saturating_add(Duration::from_secs(3600));
        for revocation in [token("1", None), token("2", Some(later)), token("3", Some(at(1))), user("ada", 7)]
        {
            revocations.add(revocation).unwrap();
        }
        let covers =
            |revocations: &Revocations| ["1", "2", "3"].map(|jti| revocations.cover(&access("bob", jti, 8)));
        assert_eq!(covers(&revocations), [true; 3]);
        File::options().append(true).open(&path).unwrap().write_all(b"{\"jti\":\"").unwrap();
        let again = open();
        assert_eq!(covers(&again), [true, true, false], "what has ended is forgotten");
        assert!(again.cover(&access("ada", "4", 7)));
        again.add(token("5", None)).unwrap();
        assert!(open().cover(&access("bob", "5", 8)));
    }

    #[test]
    fn a_damaged_file_is_named_with_the_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("revocations");
        std::fs::write(&path, "{\"jti\":\"1\"}\nnonsense\n").unwrap();
        let said = Revocations::open(&path).unwrap_err().to_string();
        assert!(said.contains("line 2") && said.contains("revocations"), "{said}");
    }

    #[test]
    fn one_that_cannot_be_kept_is_in_force_and_said_to_be_lost() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("file"), "").unwrap();
        let revocations =
            Revocations { path: Some(directory.path().join("file/below")), ..Default::default() };
        assert!(matches!(revocations.add(token("1", None)), Err(RevocationError::NotKept { .. })));
        assert!(revocations.cover(&access("ada", "1", 1)));
    }
}
