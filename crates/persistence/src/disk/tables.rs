//! The tables in a redb file.

use std::ops::Bound;

use redb::{
    Database, ReadTransaction, ReadableTable, StorageError, TableDefinition, TableError, WriteTransaction,
};

use super::unavailable;
use crate::StoreError;
use crate::inboxes::{Row, Rows, Table, Tables};

type Bytes = &'static [u8];

const fn definition(table: Table) -> TableDefinition<'static, Bytes, Bytes> {
    TableDefinition::new(table.name())
}

/// The tables of a transaction that writes.
pub(super) struct Written<'t>(Vec<redb::Table<'t, Bytes, Bytes>>);

impl<'t> Written<'t> {
    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, TableError> {
        let tables = Table::ALL.into_iter().map(|table| transaction.open_table(definition(table)));
        Ok(Self(tables.collect::<Result<_, _>>()?))
    }
}

/// How many processes have had the file, in [`Table::Sums`].
const PROCESSES: &[u8] = b"processes";

/// Makes the tables, so that readers find them; gives the number of this process.
pub(super) fn prepare(database: &Database) -> Result<u64, redb::Error> {
    let transaction = database.begin_write()?;
    let mut tables = Written::open(&transaction)?;
    let sums = &mut tables.0[Table::Sums as usize];
    let before = get(sums, PROCESSES)?.and_then(|number| number.try_into().ok());
    let process = before.map_or(0, u64::from_be_bytes) + 1;
    sums.insert(PROCESSES, &process.to_be_bytes()[..])?;
    drop(tables);
    transaction.commit()?;
    Ok(process)
}

/// The tables of a transaction that reads.
pub(super) struct Snapshot(pub(super) ReadTransaction);

fn get(table: &impl ReadableTable<Bytes, Bytes>, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
    Ok(table.get(key)?.map(|value| value.value().to_vec()))
}

fn range(
    table: &impl ReadableTable<Bytes, Bytes>,
    from: &[u8],
    to: &[u8],
    limit: usize,
) -> Result<Vec<Row>, StorageError> {
    if from >= to {
        return Ok(Vec::new());
    }
    let rows = table.range::<&[u8]>((Bound::Included(from), Bound::Excluded(to)))?.take(limit);
    rows.map(|row| row.map(|(key, value)| (key.value().to_vec(), value.value().to_vec()))).collect()
}

impl Rows for Snapshot {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let table = self.0.open_table(definition(table)).map_err(unavailable)?;
        get(&table, key).map_err(unavailable)
    }

    fn range(&self, table: Table, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Row>, StoreError> {
        let table = self.0.open_table(definition(table)).map_err(unavailable)?;
        range(&table, from, to, limit).map_err(unavailable)
    }
}

impl Rows for Written<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        get(&self.0[table as usize], key).map_err(unavailable)
    }

    fn range(&self, table: Table, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Row>, StoreError> {
        range(&self.0[table as usize], from, to, limit).map_err(unavailable)
    }
}

impl Tables for Written<'_> {
    fn put(&mut self, table: Table, key: Vec<u8>, value: Vec<u8>) -> Result<(), StoreError> {
        self.0[table as usize].insert(&key[..], &value[..]).map(drop).map_err(unavailable)
    }

    fn delete(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError> {
        self.0[table as usize].remove(key).map(drop).map_err(unavailable)
    }
}
