//! The entries of one user.

use std::ops::ControlFlow;

use msgserver_message::{CollapseKey, MessageId, Seq, Stage, Step, UserId};

use super::rows::{self, Head, UserRow};
use super::tables::{self, Rows, Table, Tables};
use super::{Inboxes, STORED};
use crate::StoreError;

/// An entry, without what it says.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) seq: Seq,
    /// Nothing if the entry cannot be read.
    pub(super) head: Option<Head>,
    pub(super) collapse_key: Option<CollapseKey>,
}

impl Kept {
    fn read(seq: Seq, entry: Option<(Head, &[u8])>) -> Self {
        let collapses = entry.filter(|(head, _)| head.collapses);
        let collapse_key = collapses.and_then(|(_, bytes)| rows::message(bytes).ok()?.collapse_key);
        Self { seq, head: entry.map(|(head, _)| head), collapse_key }
    }
}

/// What is done with each entry of a walk; one that cannot be read is nothing.
type Visit<'v> = dyn FnMut(Seq, Option<(Head, &[u8])>) -> ControlFlow<()> + 'v;

/// Walks over a user's entries with `after < number <= upto`. What cannot be read is reported, and the walk
/// goes on behind it.
pub(super) fn walk(
    tables: &impl Rows,
    user: &UserId,
    after: Seq,
    upto: Seq,
    visit: &mut Visit<'_>,
) -> Result<(), StoreError> {
    /// So few numbers are looked up one by one: for a walk an engine opens each of its files, and mostly for
    /// nothing, as what came last is in memory.
    const FEW: u64 = 4;
    /// Where an engine cannot walk on, so many numbers are looked up one by one before it is tried again.
    const MANY: u64 = 256;

    let mut done = after.get();
    let mut one_by_one = if upto.get().saturating_sub(done) <= FEW { FEW } else { 0 };
    loop {
        for _ in 0..one_by_one.min(upto.get().saturating_sub(done)) {
            done += 1;
            let seq = Seq::new(done);
            let going = match tables.get(Table::Log, &tables::entry(user, seq)) {
                Ok(None) => ControlFlow::Continue(()),
                Ok(Some(entry)) => visit(seq, readable(user, seq, &entry)),
                Err(fault @ StoreError::Corrupt { .. }) => {
                    report(user, seq, &fault);
                    visit(seq, None)
                }
                Err(fault) => return Err(fault),
            };
            if going.is_break() {
                return Ok(());
            }
        }
        if done >= upto.get() {
            return Ok(());
        }
        let mut ended = false;
        let to = tables::entry(user, upto.next());
        let walked =
            tables.walk(Table::Log, &tables::entry(user, Seq::new(done + 1)), &to, &mut |key, entry| {
                let Some(seq) = tables::seq(key) else { return Ok(ControlFlow::Continue(())) };
                done = seq.get();
                let going = visit(seq, readable(user, seq, entry));
                ended = going.is_break();
                Ok(going)
            });
        match walked {
            Err(StoreError::Corrupt { .. }) if !ended => one_by_one = MANY,
            walked => return walked,
        }
    }
}

fn readable<'e>(user: &UserId, seq: Seq, entry: &'e [u8]) -> Option<(Head, &'e [u8])> {
    let head = Head::read(entry).inspect_err(|fault| report(user, seq, fault));
    Some((head.ok()?, entry))
}

pub(super) fn report(user: &UserId, seq: Seq, fault: &StoreError) {
    tracing::error!(%user, %seq, %fault, "a message cannot be read, and is passed over");
}

/// The entries of a user with `after < number <= upto`.
pub(super) fn kept(
    tables: &impl Rows,
    user: &UserId,
    after: Seq,
    upto: Seq,
) -> Result<Vec<Kept>, StoreError> {
    let mut kept = Vec::new();
    walk(tables, user, after, upto, &mut |seq, entry| {
        kept.push(Kept::read(seq, entry));
        ControlFlow::Continue(())
    })?;
    Ok(kept)
}

/// The oldest entry of a user.
pub(super) fn oldest(tables: &impl Rows, user: &UserId, row: &UserRow) -> Result<Option<Kept>, StoreError> {
    let mut oldest = None;
    walk(tables, user, Seq::new(row.trimmed), Seq::new(row.last), &mut |seq, entry| {
        oldest = Some(Kept::read(seq, entry));
        ControlFlow::Break(())
    })?;
    Ok(oldest)
}

/// The entry of a message, which was put in at a number and may have moved since.
pub(super) fn find(
    tables: &impl Rows,
    user: &UserId,
    row: &UserRow,
    id: MessageId,
    put_at: Seq,
) -> Result<Option<Kept>, StoreError> {
    let is_it = |kept: &Kept| kept.head.is_some_and(|head| head.id == id);
    if let Some(kept) = at(tables, user, put_at)?.filter(is_it) {
        return Ok(Some(kept));
    }
    // Messages move towards the end only.
    let mut found = None;
    walk(
        tables,
        user,
        put_at.max(Seq::new(row.trimmed)),
        Seq::new(row.last),
        &mut |seq, entry| match entry {
            Some((head, _)) if head.id == id => {
                found = Some(Kept::read(seq, entry));
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        },
    )?;
    Ok(found)
}

/// The entry at a number, if one is there that can be read.
pub(super) fn at(tables: &impl Rows, user: &UserId, seq: Seq) -> Result<Option<Kept>, StoreError> {
    match tables.get(Table::Log, &tables::entry(user, seq)) {
        Ok(entry) => {
            Ok(entry.and_then(|entry| readable(user, seq, &entry).map(|entry| Kept::read(seq, Some(entry)))))
        }
        Err(StoreError::Corrupt { .. }) => Ok(None),
        Err(fault) => Err(fault),
    }
}

impl<T: Tables> Inboxes<'_, T> {
    /// Takes an entry out.
    pub(super) fn take_out(
        &mut self,
        user: &UserId,
        row: &mut UserRow,
        kept: &Kept,
    ) -> Result<(), StoreError> {
        self.tables.delete(Table::Log, tables::entry(user, kept.seq));
        if let Some(head) = &kept.head {
            row.subtract(head);
            if let Some(end) = head.expires_at {
                self.tables.delete(Table::Expiring, tables::expiring(end, user, head.id));
            }
        } else if let Some(waiting) = row.waiting.iter_mut().find(|waiting| **waiting > 0) {
            *waiting -= 1;
        }
        if let Some(about) = &kept.collapse_key {
            let key = tables::collapse(user, about);
            if self.tables.get(Table::Collapse, &key)?.as_deref().and_then(tables::seq) == Some(kept.seq) {
                self.tables.delete(Table::Collapse, key);
            }
        }
        self.add(STORED, -1).map(drop)
    }

    /// Takes an entry out that its user will not get, and notes why.
    pub(super) fn lose(
        &mut self,
        user: &UserId,
        row: &mut UserRow,
        kept: &Kept,
        state: Stage,
        reason: Option<&'static str>,
    ) -> Result<(), StoreError> {
        self.take_out(user, row, kept)?;
        let Some(head) = kept.head else { return Ok(()) };
        let step = Step { reason: reason.map(Into::into), ..Step::of(user, state, self.setting.now) };
        self.make_step(head.id, step)
    }

    /// Takes out everything up to a number.
    pub(super) fn trim(&mut self, user: &UserId, row: &mut UserRow, upto: u64) -> Result<(), StoreError> {
        if upto <= row.trimmed {
            return Ok(());
        }
        for kept in kept(self.tables, user, Seq::new(row.trimmed), Seq::new(upto))? {
            self.take_out(user, row, &kept)?;
        }
        row.trimmed = upto;
        self.mend(row)
    }

    /// Where nothing can be left, nothing is counted, whatever was lost before.
    pub(super) fn mend(&mut self, row: &mut UserRow) -> Result<(), StoreError> {
        if row.trimmed == row.last && row.count() > 0 {
            self.add(STORED, -i64::try_from(row.count()).unwrap_or(i64::MAX))?;
            (row.waiting, row.bytes) = Default::default();
        }
        Ok(())
    }
}
