//! What is in the file.

use msgserver_message::{Seq, Timestamp, UserId};
use redb::{
    Database, ReadableTable, ReadableTableMetadata, StorageError, Table, TableDefinition, TableError,
    WriteTransaction,
};

use crate::{Appended, Cursor, ID_KEPT_MILLIS};

/// (user, number) → message.
pub(super) const LOG: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("log");
/// User → the last number given. Stays when the inbox is empty: numbers are never given twice.
pub(super) const LAST: TableDefinition<'_, &str, u64> = TableDefinition::new("last");
/// (user, device) → the last number acknowledged.
const CURSORS: TableDefinition<'_, (&str, &str), u64> = TableDefinition::new("cursors");
/// Id → fingerprint.
const IDS: TableDefinition<'_, [u8; 16], u128> = TableDefinition::new("ids");
/// (millisecond in which it came, id). A publisher's id may name any time, so its own does not tell how
/// long it has been here.
const IDS_BY_AGE: TableDefinition<'_, (u64, [u8; 16]), ()> = TableDefinition::new("ids by age");

/// How many ids one transaction forgets at most, so that it stays short.
const FORGOTTEN_AT_ONCE: usize = 4096;

pub(super) struct Tables<'t> {
    log: Table<'t, (&'static str, u64), &'static [u8]>,
    last: Table<'t, &'static str, u64>,
    cursors: Table<'t, (&'static str, &'static str), u64>,
    ids: Table<'t, [u8; 16], u128>,
    ids_by_age: Table<'t, (u64, [u8; 16]), ()>,
}

/// Makes the tables, so that readers find them; how many messages are kept.
pub(super) fn prepare(database: &Database) -> Result<u64, redb::Error> {
    let transaction = database.begin_write()?;
    let stored = Tables::open(&transaction)?.stored()?;
    transaction.commit()?;
    Ok(stored)
}

impl<'t> Tables<'t> {
    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, TableError> {
        Ok(Self {
            log: transaction.open_table(LOG)?,
            last: transaction.open_table(LAST)?,
            cursors: transaction.open_table(CURSORS)?,
            ids: transaction.open_table(IDS)?,
            ids_by_age: transaction.open_table(IDS_BY_AGE)?,
        })
    }

    pub(super) fn stored(&self) -> Result<u64, StorageError> {
        self.log.len()
    }

    fn last(&self, user: &str) -> Result<u64, StorageError> {
        Ok(self.last.get(user)?.map_or(0, |last| last.value()))
    }

    /// The devices of a user, up to where the slowest stands; nothing if there is none.
    fn slowest(&self, user: &str) -> Result<Option<u64>, StorageError> {
        let mut slowest: Option<u64> = None;
        for item in self.cursors.range((user, "")..)? {
            let (key, at) = item?;
            if key.value().0 != user {
                break;
            }
            slowest = Some(slowest.map_or(at.value(), |slowest| slowest.min(at.value())));
        }
        Ok(slowest)
    }

    /// Nothing if the id was used for something else.
    pub(super) fn append(
        &mut self,
        id: [u8; 16],
        print: Option<u128>,
        message: &[u8],
        users: &[UserId],
    ) -> Result<Option<Appended>, StorageError> {
        if let Some(print) = print {
            let known = self.ids.get(id)?.map(|known| known.value());
            match known {
                Some(known) => return Ok((known == print).then_some(Appended::Duplicate)),
                None => {
                    self.ids.insert(id, print)?;
                    self.ids_by_age.insert((Timestamp::now().as_millis(), id), ())?;
                }
            }
        }
        let mut seqs = Vec::with_capacity(users.len());
        for user in users {
            let seq = self.last(user.as_str())? + 1;
            self.last.insert(user.as_str(), seq)?;
            self.log.insert((user.as_str(), seq), message)?;
            seqs.push(Seq::new(seq));
        }
        Ok(Some(Appended::New(seqs)))
    }

    pub(super) fn open_device(&mut self, user: &str, device: &str) -> Result<Cursor, StorageError> {
        if let Some(at) = self.cursors.get((user, device))? {
            return Ok(Cursor { acknowledged: Seq::new(at.value()), known: true });
        }
        let mut at = self.last(user)?;
        if self.slowest(user)?.is_none()
            && let Some((oldest, _)) = self.log.range((user, 0)..=(user, u64::MAX))?.next().transpose()?
        {
            at = oldest.value().1 - 1;
        }
        self.cursors.insert((user, device), at)?;
        Ok(Cursor { acknowledged: Seq::new(at), known: false })
    }

    pub(super) fn acknowledge(&mut self, user: &str, device: &str, upto: u64) -> Result<(), StorageError> {
        let at = self.cursors.get((user, device))?.map(|at| at.value());
        let Some(at) = at else { return Ok(()) };
        let upto = upto.min(self.last(user)?);
        if upto <= at {
            return Ok(());
        }
        self.cursors.insert((user, device), upto)?;
        let passed_by_all = self.slowest(user)?.unwrap_or(0);
        self.log.retain_in((user, 0)..=(user, passed_by_all), |_, _| false)
    }

    /// Forgets ids that are older than they have to be kept; whether there may be more.
    pub(super) fn forget_ids(&mut self, now: u64) -> Result<bool, StorageError> {
        let end = (now.saturating_sub(ID_KEPT_MILLIS), [0; 16]);
        let old = self.ids_by_age.range(..end)?.take(FORGOTTEN_AT_ONCE);
        let old: Vec<_> = old.map(|item| item.map(|(key, _)| key.value())).collect::<Result<_, _>>()?;
        for key in &old {
            self.ids_by_age.remove(key)?;
            self.ids.remove(key.1)?;
        }
        Ok(old.len() == FORGOTTEN_AT_ONCE)
    }
}

#[cfg(test)]
mod tests {
    use redb::backends::InMemoryBackend;

    use super::*;

    #[test]
    fn ids_are_forgotten_after_a_day_and_not_before() {
        let database = Database::builder().create_with_backend(InMemoryBackend::new()).unwrap();
        let transaction = database.begin_write().unwrap();
        let mut tables = Tables::open(&transaction).unwrap();
        let users = [UserId::new("a").unwrap()];
        // All zeroes: made in 1970 by its own account.
        let append = |tables: &mut Tables<'_>| tables.append([0; 16], Some(1), b"", &users).unwrap();

        append(&mut tables);
        let now = Timestamp::now().as_millis();
        tables.forget_ids(now + ID_KEPT_MILLIS - 1000).unwrap();
        assert_eq!(append(&mut tables), Some(Appended::Duplicate));
        tables.forget_ids(now + ID_KEPT_MILLIS + 1000).unwrap();
        assert_eq!(append(&mut tables), Some(Appended::New(vec![Seq::new(2)])));
    }
}
