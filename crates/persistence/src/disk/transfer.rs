//! Everything in a store as lines of JSON, and back.

use std::collections::BTreeSet;
use std::io::{BufRead, Write};

use msgserver_message::Timestamp;

use super::check::walk_in_parts;
use super::writer::{Commit, at_once};
use super::{DiskStore, unavailable};
use crate::StoreError;
use crate::inboxes::lines::{self, EndLine, ExportLine, Line};
use crate::inboxes::{self, Changes, corrupt};

/// What was exported.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exported {
    /// Lines beside the first and the last.
    pub lines: u64,
    /// What cannot be read and is not in the export, each in words.
    pub lost: Vec<String>,
}

/// What was imported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Imported {
    /// Lines beside the first and the last.
    pub lines: u64,
    /// How many stretches the export could not read.
    pub lost: u64,
}

/// How many lines share a commit.
const BATCH: usize = 1000;

impl DiskStore {
    /// Writes everything that can be read as lines of JSON: inboxes, cursors, what is scheduled, receipts, ids.
    /// `docs/store.md` has their form. What is damaged is left out and named.
    ///
    /// # Errors
    /// [`StoreError::Closed`]; [`StoreError::Unavailable`] if the store cannot be read or `to` not be written.
    pub fn export(&self, to: &mut dyn Write) -> Result<Exported, StoreError> {
        let shared = self.shared()?;
        let mut exported = Exported { lines: 0, lost: shared.recovery.lost.clone() };
        write_line(to, &Line::Export(ExportLine { version: lines::VERSION, at: Timestamp::now() }))?;
        for table in lines::TABLES {
            let (mut damaged, mut unreadable) = (BTreeSet::new(), Vec::new());
            walk_in_parts(&shared, table, &mut damaged, &mut |rows, key, value| {
                match Line::of(rows, table, key, value) {
                    Ok(Some(line)) => {
                        write_line(to, &line)?;
                        exported.lines += 1;
                    }
                    Ok(None) => {}
                    Err(StoreError::Corrupt { detail, .. }) => {
                        unreadable.push(format!("{}: {detail}", super::salvage::name_of(table, key)));
                    }
                    Err(fault) => return Err(fault),
                }
                Ok(())
            })?;
            exported.lost.extend(damaged);
            exported.lost.append(&mut unreadable);
        }
        write_line(to, &Line::End(EndLine { lines: exported.lines, lost: exported.lost.len() as u64 }))?;
        to.flush().map_err(not_written)?;
        Ok(exported)
    }

    /// Reads what [`DiskStore::export`] has written into this store, which has to be an empty one. If it is cut
    /// short, the store refuses to open until it is removed.
    ///
    /// # Errors
    /// [`StoreError::NotEmpty`]; [`StoreError::BadImport`] names the line and what is wrong with it;
    /// [`StoreError::Closed`], [`StoreError::Unavailable`].
    pub async fn import(&self, from: &mut (dyn BufRead + Send)) -> Result<Imported, StoreError> {
        let mut numbered = from.lines().zip(1_u64..).map(|(line, number)| {
            let line = line.map_err(|fault| bad(number, fault))?;
            Ok::<(u64, Line), StoreError>((
                number,
                serde_json::from_str(&line).map_err(|fault| bad(number, fault))?,
            ))
        });
        match numbered.next().transpose()? {
            Some((_, Line::Export(ExportLine { version: lines::VERSION, .. }))) => {}
            Some((_, Line::Export(ExportLine { version, .. }))) => {
                return Err(bad(
                    1,
                    format_args!("an export of version {version}, where {} is known", lines::VERSION),
                ));
            }
            _ => return Err(bad(1, "an export begins with {\"export\":{\"version\":1,…}}")),
        }
        self.rows_job(|tables| {
            if !lines::are_empty(tables)? {
                return Err(StoreError::NotEmpty);
            }
            inboxes::set_importing(tables, true);
            Ok(())
        })
        .await?;
        let (mut imported, mut end) = (Imported::default(), None);
        while end.is_none() {
            let mut batch = Vec::with_capacity(BATCH);
            while batch.len() < BATCH && end.is_none() {
                match numbered.next().transpose()? {
                    Some((number, Line::End(last))) => end = Some((number, last)),
                    Some(line) => batch.push(line),
                    None => {
                        return Err(bad(
                            imported.lines + 2,
                            "the last line is missing: the export was cut short",
                        ));
                    }
                }
            }
            imported.lines += batch.len() as u64;
            let mut batch = Some(batch);
            self.rows_job(move |tables| {
                for (number, line) in batch.take().into_iter().flatten() {
                    line.put(tables).map_err(|fault| match fault {
                        StoreError::Corrupt { detail, .. } => bad(number, detail),
                        fault => fault,
                    })?;
                }
                Ok(())
            })
            .await?;
        }
        let Some((number, EndLine { lines, lost })) = end else { return Ok(imported) };
        if lines != imported.lines {
            let counted = imported.lines;
            return Err(bad(number, format_args!("{lines} lines were exported, and {counted} are here")));
        }
        imported.lost = lost;
        self.rows_job(|tables| {
            inboxes::set_importing(tables, false);
            Ok(())
        })
        .await?;
        Ok(imported)
    }

    async fn rows_job(
        &self,
        mut work: impl FnMut(&mut Commit<'_>) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<(), StoreError> {
        self.write_rows(at_once, move |tables: &mut Changes<'_, _>, _| work(tables)).await
    }
}

fn write_line(to: &mut dyn Write, line: &Line) -> Result<(), StoreError> {
    let mut text = serde_json::to_string(line).map_err(corrupt)?;
    text.push('\n');
    to.write_all(text.as_bytes()).map_err(not_written)
}

fn not_written(fault: std::io::Error) -> StoreError {
    unavailable(format_args!("the export cannot be written: {fault}"))
}

fn bad(line: u64, detail: impl ToString) -> StoreError {
    StoreError::BadImport { line, detail: detail.to_string() }
}
