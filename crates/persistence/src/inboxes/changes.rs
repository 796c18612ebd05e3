//! Changes on top of tables.

use std::collections::BTreeMap;
use std::collections::btree_map::Range;
use std::ops::{Bound, ControlFlow};

#[cfg(feature = "disk")]
use msgserver_message::{Seq, UserId};

#[cfg(feature = "disk")]
use super::rows::{self, UserRow};
#[cfg(feature = "disk")]
use super::tables;
use super::tables::{Around, Key, Row, Rows, Table, Tables, Visit};
use crate::{StepMade, StoreError};

/// Rows that have changed, each with its value, or nothing if it is deleted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Changed {
    rows: [BTreeMap<Key, Option<Vec<u8>>>; Table::ALL.len()],
    bytes: usize,
}

impl Changed {
    /// What a row takes in memory beside its key and value, about.
    const ROW: usize = 128;

    /// Sets a row, and gives what was set before.
    pub(crate) fn set(&mut self, table: Table, key: Key, value: Option<Vec<u8>>) -> Option<Option<Vec<u8>>> {
        let length = |value: &Option<Vec<u8>>| value.as_ref().map_or(0, Vec::len);
        let (key_bytes, value_bytes) = (key.len(), length(&value));
        let before = self.rows[table as usize].insert(key, value);
        self.bytes += value_bytes;
        match &before {
            Some(before) => self.bytes -= length(before),
            None => self.bytes += key_bytes + Self::ROW,
        }
        before
    }

    /// About how many bytes of memory it takes.
    #[cfg(feature = "disk")]
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    #[cfg(feature = "disk")]
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.iter().all(BTreeMap::is_empty)
    }

    /// The last number that was given in an inbox, if its row is among what has changed.
    #[cfg(feature = "disk")]
    pub(crate) fn last_given(&self, user: &UserId) -> Option<Seq> {
        let row = self.get(Table::Users, &tables::user(user))?.as_deref()?;
        rows::read(row).ok().map(|row: UserRow| Seq::new(row.last))
    }

    /// All rows, in the order of tables and keys.
    #[cfg(feature = "disk")]
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Table, &[u8], Option<&[u8]>)> {
        let tables = Table::ALL.into_iter().zip(&self.rows);
        tables.flat_map(|(table, rows)| {
            rows.iter().map(move |(key, value)| (table, key.as_slice(), value.as_deref()))
        })
    }

    pub(crate) fn into_rows(self) -> impl Iterator<Item = (Table, Key, Option<Vec<u8>>)> {
        let tables = Table::ALL.into_iter().zip(self.rows);
        tables.flat_map(|(table, rows)| rows.into_iter().map(move |(key, value)| (table, key, value)))
    }

    fn get(&self, table: Table, key: &[u8]) -> Option<&Option<Vec<u8>>> {
        self.rows[table as usize].get(key)
    }

    fn range(&self, table: Table, from: &[u8], to: &[u8]) -> Range<'_, Key, Option<Vec<u8>>> {
        if from >= to {
            return Range::default();
        }
        self.rows[table as usize].range::<[u8], _>((Bound::Included(from), Bound::Excluded(to)))
    }
}

/// Tables that read as if rows had changed.
#[derive(Debug)]
pub(crate) struct Over<'r, R: ?Sized> {
    pub(crate) changed: &'r Changed,
    pub(crate) under: &'r R,
}

impl<R: Rows + ?Sized> Rows for Over<'_, R> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.changed.get(table, key) {
            Some(value) => Ok(value.clone()),
            None => self.under.get(table, key),
        }
    }

    fn walk(&self, table: Table, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        let mut changed = self.changed.range(table, from, to).peekable();
        let mut going = ControlFlow::Continue(());
        self.under.walk(table, from, to, &mut |key, value| {
            let mut replaced = false;
            while going.is_continue()
                && let Some((of, change)) = changed.next_if(|(of, _)| of.as_slice() <= key)
            {
                replaced |= of.as_slice() == key;
                if let Some(value) = change {
                    going = visit(of, value)?;
                }
            }
            if going.is_continue() && !replaced {
                going = visit(key, value)?;
            }
            Ok(going)
        })?;
        while going.is_continue()
            && let Some((key, change)) = changed.next()
        {
            if let Some(value) = change {
                going = visit(key, value)?;
            }
        }
        Ok(())
    }

    fn last(&self, table: Table, from: &[u8], to: &[u8]) -> Result<Option<Row>, StoreError> {
        let mut to = Key::from(to);
        loop {
            let under = self.under.last(table, from, &to)?;
            let changed = self.changed.range(table, from, &to).next_back();
            match (under, changed) {
                (Some(under), Some((key, _))) if under.0 > *key => return Ok(Some(under)),
                (_, Some((key, Some(value)))) => return Ok(Some((key.clone(), value.clone()))),
                // Deleted: look before it.
                (_, Some((key, None))) => to.clone_from(key),
                (under, None) => return Ok(under),
            }
        }
    }
}

/// Changes that are not in their tables yet, and are read as if they were.
///
/// A store makes many at once and makes them safe as one; and what fails half way is undone here, so that no
/// rule has to look at everything before it changes anything.
#[derive(Debug)]
pub(crate) struct Changes<'r, R> {
    under: &'r R,
    changed: Changed,
    /// What stood here before each change, since the last that is sure to stay.
    undo: Vec<Before>,
    steps: Vec<StepMade>,
}

/// A row, and what was set for it before, if anything was.
type Before = (Table, Key, Option<Option<Vec<u8>>>);

impl<'r, R: Rows> Changes<'r, R> {
    pub(crate) fn new(under: &'r R) -> Self {
        Self { under, changed: Changed::default(), undo: Vec::new(), steps: Vec::new() }
    }

    /// Does something as a whole: if it fails, it leaves nothing behind.
    pub(crate) fn whole<T, E>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, E>) -> Result<T, E> {
        self.undo.clear();
        let told = self.steps.len();
        work(self).inspect_err(|_| {
            self.steps.truncate(told);
            while let Some((table, key, before)) = self.undo.pop() {
                match before {
                    Some(before) => drop(self.changed.set(table, key, before)),
                    None => drop(self.changed.rows[table as usize].remove(&key)),
                }
            }
        })
    }

    /// About how many bytes of memory the changes take.
    #[cfg(feature = "disk")]
    pub(crate) fn bytes(&self) -> usize {
        self.changed.bytes()
    }

    /// What is changed, and the steps that messages come to by it.
    pub(crate) fn into_changed(self) -> (Changed, Vec<StepMade>) {
        (self.changed, self.steps)
    }

    fn over(&self) -> Over<'_, R> {
        Over { changed: &self.changed, under: self.under }
    }

    fn set(&mut self, table: Table, key: Key, value: Option<Vec<u8>>) {
        let before = self.changed.set(table, key.clone(), value);
        self.undo.push((table, key, before));
    }
}

impl<R: Rows> Rows for Changes<'_, R> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.over().get(table, key)
    }

    fn walk(&self, table: Table, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.over().walk(table, from, to, visit)
    }

    fn walk_around(
        &self,
        table: Table,
        from: &[u8],
        to: &[u8],
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        Over { changed: &self.changed, under: &Around(self.under) }.walk(table, from, to, visit)
    }

    fn last(&self, table: Table, from: &[u8], to: &[u8]) -> Result<Option<Row>, StoreError> {
        self.over().last(table, from, to)
    }
}

impl<R: Rows> Tables for Changes<'_, R> {
    fn put(&mut self, table: Table, key: Key, value: Vec<u8>) {
        self.set(table, key, Some(value));
    }

    fn delete(&mut self, table: Table, key: Key) {
        self.set(table, key, None);
    }

    fn tell(&mut self, step: StepMade) {
        self.steps.push(step);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::memory::InMemory;

    fn rows(tables: &impl Rows, from: &[u8], to: &[u8], limit: usize) -> Vec<Row> {
        tables.first(Table::Log, from, to, limit).unwrap()
    }

    proptest! {
        /// Reading through changes is reading the tables that they are made to.
        #[test]
        fn changes_read_like_what_they_become(
            before in proptest::collection::btree_map(0_u8..32, any::<u8>(), 0..16),
            steps in proptest::collection::vec((0_u8..32, any::<Option<u8>>(), any::<bool>()), 0..32),
            (from, to, limit) in (0_u8..32, 0_u8..34, 0_usize..8),
        ) {
            let mut under = InMemory::default();
            for (key, value) in before {
                under.put(Table::Log, Key::from_slice(&[key]), vec![value]);
            }
            let mut direct = under.clone();
            let mut changes = Changes::new(&under);
            for (key, value, fails) in steps {
                let change = |tables: &mut dyn Tables| match value {
                    Some(value) => tables.put(Table::Log, Key::from_slice(&[key]), vec![value]),
                    None => tables.delete(Table::Log, Key::from_slice(&[key])),
                };
                let outcome = changes.whole(|changes| {
                    change(changes);
                    if fails { Err(()) } else { Ok(()) }
                });
                if outcome.is_ok() {
                    change(&mut direct);
                }
            }
            let (from, to) = (&[from][..], &[to][..]);
            prop_assert_eq!(rows(&changes, from, to, limit), rows(&direct, from, to, limit));
            prop_assert_eq!(changes.last(Table::Log, from, to).unwrap(), direct.last(Table::Log, from, to).unwrap());
            prop_assert_eq!(changes.get(Table::Log, from).unwrap(), direct.get(Table::Log, from).unwrap());
            let all = rows(&changes, &[], &[255], usize::MAX);
            prop_assert_eq!(&all, &rows(&direct, &[], &[255], usize::MAX));
            let mut applied = under.clone();
            applied.apply(changes.into_changed().0.into_rows());
            prop_assert_eq!(all, rows(&applied, &[], &[255], usize::MAX));
        }
    }
}
