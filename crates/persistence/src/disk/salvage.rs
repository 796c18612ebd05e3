//! Reading around what is damaged.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::ControlFlow;

use msgserver_message::Seq;

use super::engine::{Key, Sorted};
use super::shared::Recent;
use crate::StoreError;
use crate::inboxes::Over;
use crate::inboxes::tables::{self, Row, Rows, Table, Visit};

/// The engine's rows without what cannot be read, which is named.
struct Readable<'e> {
    engine: &'e dyn Sorted,
    lost: RefCell<&'e mut BTreeSet<String>>,
}

/// Walks over the rows of a table that can be read, and names what cannot.
pub(super) fn walk(
    recent: &Recent,
    engine: &dyn Sorted,
    (table, from, to): (Table, &[u8], &[u8]),
    lost: &mut BTreeSet<String>,
    visit: &mut Visit<'_>,
) -> Result<(), StoreError> {
    let readable = Readable { engine, lost: RefCell::new(lost) };
    let Recent { current, frozen } = recent;
    let rows = Over { changed: current, under: &Over { changed: frozen, under: &readable } };
    rows.walk(table, from, to, visit)
}

impl Rows for Readable<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.engine.get(table, key)
    }

    fn walk(&self, table: Table, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        let (mut next, mut ended) = (from.to_vec(), false);
        let walked = self.engine.walk(table, from, to, &mut |key, value| {
            next.clear();
            next.extend_from_slice(key);
            next.push(0);
            let going = visit(key, value);
            ended = !matches!(going, Ok(ControlFlow::Continue(())));
            going
        });
        if ended || !matches!(walked, Err(StoreError::Corrupt { .. })) {
            return walked;
        }
        // A walk over all files at once loses rows of one where another is damaged, and may show an old row
        // where the new one cannot be read. So each key is looked up, which does neither.
        self.engine.walk_keys(table, &next, to, &mut |key| {
            let key = match key {
                Key::Readable(key) => key,
                Key::Lost { file, before, behind } => {
                    let edge = |key: Option<&[u8]>, edge: &str| {
                        key.map_or_else(|| edge.to_owned(), |key| name_of(table, key))
                    };
                    let (from, to) = (edge(before, "the start"), edge(behind, "the end"));
                    let lost = format!("{file}: rows of table {table:?} between {from} and {to} are damaged");
                    self.lost.borrow_mut().insert(lost);
                    return Ok(ControlFlow::Continue(()));
                }
            };
            match self.engine.get(table, key) {
                Ok(Some(value)) => visit(key, &value),
                Ok(None) => Ok(ControlFlow::Continue(())),
                Err(StoreError::Corrupt { .. }) => {
                    self.lost.borrow_mut().insert(format!("{} cannot be read", name_of(table, key)));
                    Ok(ControlFlow::Continue(()))
                }
                Err(fault) => Err(fault),
            }
        })
    }

    fn last(&self, table: Table, from: &[u8], to: &[u8]) -> Result<Option<Row>, StoreError> {
        self.engine.last(table, from, to)
    }
}

/// What a row is, in words.
pub(super) fn name_of(table: Table, key: &[u8]) -> String {
    let of = match table {
        Table::Log | Table::Users | Table::Devices | Table::Collapse => tables::split_user(key),
        _ => None,
    };
    match (table, of) {
        (Table::Log, Some((user, _))) => {
            format!("message {} of user {user:?}", tables::seq(key).unwrap_or(Seq::ZERO))
        }
        (Table::Users, Some((user, _))) => format!("the inbox of user {user:?}"),
        (Table::Devices, Some((user, _))) => format!("a device of user {user:?}"),
        (Table::Collapse, Some((user, _))) => format!("a collapse key of user {user:?}"),
        (Table::Messages | Table::Aging | Table::Schedule, _) => match tables::id(key) {
            Some(id) => format!("what is known of message {id}"),
            None => format!("a row of table {table:?}"),
        },
        (table, _) => format!("a row of table {table:?}"),
    }
}
