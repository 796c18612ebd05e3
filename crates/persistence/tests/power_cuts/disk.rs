//! A disk as a power cut may leave it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::Dice;
use super::trace::Call;

/// The unit in which a write may have come to the disk and the rest of it not.
const SECTOR: usize = 512;

/// A file or a directory, whatever its name.
type Inode = usize;

/// What was done to a file since its last sync.
#[derive(Debug, Clone)]
enum Change {
    Write(u64, Vec<u8>),
    Truncate(u64),
}

#[derive(Debug, Default, Clone)]
struct File {
    safe: Vec<u8>,
    changes: Vec<Change>,
}

/// A name in a directory, and what it stands for now.
type Renamed = Vec<(String, Option<Inode>)>;

#[derive(Debug, Default, Clone)]
struct Directory {
    safe: BTreeMap<String, Inode>,
    now: BTreeMap<String, Inode>,
    /// What was done since the last sync. A file that gets another name has both or one, and never none.
    changes: Vec<Renamed>,
}

#[derive(Debug, Clone)]
enum Node {
    File(File),
    Directory(Directory),
}

/// Everything below one directory.
pub(crate) struct Disk {
    root: PathBuf,
    nodes: Vec<Node>,
    /// What each descriptor stands for, and where it stands.
    open: BTreeMap<u64, (Inode, u64)>,
}

impl Disk {
    pub(crate) fn new(root: &Path) -> Self {
        let nodes = vec![Node::Directory(Directory::default())];
        Self { root: root.to_owned(), nodes, open: BTreeMap::new() }
    }

    /// Does what a call did.
    pub(crate) fn take(&mut self, call: Call) {
        match call {
            Call::Open { path, file, create, truncate } => {
                self.open.remove(&file);
                let Some((directory, name)) = self.parent(&path) else { return };
                let inode = self.find(&path).or_else(|| {
                    create.then(|| {
                        let inode = self.add(Node::File(File::default()));
                        self.rename(directory, vec![(name, Some(inode))]);
                        inode
                    })
                });
                let Some(inode) = inode else { return };
                self.open.insert(file, (inode, 0));
                if truncate {
                    self.change(inode, Change::Truncate(0));
                }
            }
            Call::Write { file, at, bytes, .. } => {
                let Some((inode, position)) = self.open.get_mut(&file) else { return };
                let (inode, from) = (*inode, at.unwrap_or(*position));
                if at.is_none() {
                    *position += bytes.len() as u64;
                }
                self.change(inode, Change::Write(from, bytes));
            }
            Call::Seek { file, to } => {
                if let Some((_, position)) = self.open.get_mut(&file) {
                    *position = to;
                }
            }
            Call::Truncate { file, length } => {
                if let Some((inode, _)) = self.open.get(&file) {
                    self.change(*inode, Change::Truncate(length));
                }
            }
            Call::Sync { path } => {
                let Some(inode) = self.find(&path) else { return };
                match &mut self.nodes[inode] {
                    Node::File(file) => {
                        let changes = std::mem::take(&mut file.changes);
                        changes.into_iter().for_each(|change| apply(&mut file.safe, change));
                    }
                    Node::Directory(directory) => {
                        directory.safe = directory.now.clone();
                        directory.changes.clear();
                    }
                }
            }
            Call::Rename { from, to } => {
                let (Some(inode), Some((one, old)), Some((other, new))) =
                    (self.find(&from), self.parent(&from), self.parent(&to))
                else {
                    return;
                };
                assert_eq!(one, other, "a store gives names within one directory");
                self.rename(one, vec![(new, Some(inode)), (old, None)]);
            }
            Call::Remove { path } => {
                let Some((directory, name)) = self.parent(&path) else { return };
                self.rename(directory, vec![(name, None)]);
            }
            Call::MakeDirectory { path } => {
                let Some((directory, name)) = self.parent(&path) else { return };
                let inode = self.add(Node::Directory(Directory::default()));
                self.rename(directory, vec![(name, Some(inode))]);
            }
        }
    }

    /// Writes what a power cut may leave of a directory, and says what the choice was.
    pub(crate) fn cut(&self, of: &Path, to: &Path, dice: &mut Dice) -> &'static str {
        let (how, what) = match dice.throw(5) {
            0 => (How::Nothing, "nothing unsynced is left"),
            1 => (How::Everything, "all is left"),
            2 => (How::Prefix, "the first of it is left, the last of that torn"),
            3 => (How::Any, "any of it is left, torn"),
            _ => (How::AnyData, "all names are left, and any of the bytes, torn"),
        };
        if let Some(name) = of.strip_prefix(&self.root).ok().and_then(Path::to_str) {
            let Node::Directory(root) = &self.nodes[0] else { return what };
            if let Some(inode) = kept_names(root, how, dice).get(name) {
                self.write(*inode, to, how, dice);
            }
        }
        what
    }

    fn write(&self, inode: Inode, to: &Path, how: How, dice: &mut Dice) {
        match &self.nodes[inode] {
            Node::File(file) => fs::write(to, kept_bytes(file, how, dice)).unwrap(),
            Node::Directory(directory) => {
                fs::create_dir(to).unwrap();
                for (name, inode) in kept_names(directory, how, dice) {
                    self.write(inode, &to.join(name), how, dice);
                }
            }
        }
    }

    fn add(&mut self, node: Node) -> Inode {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    fn change(&mut self, inode: Inode, change: Change) {
        if let Node::File(file) = &mut self.nodes[inode] {
            file.changes.push(change);
        }
    }

    fn rename(&mut self, directory: Inode, renamed: Renamed) {
        let Node::Directory(directory) = &mut self.nodes[directory] else { return };
        put(&mut directory.now, &renamed);
        directory.changes.push(renamed);
    }

    fn find(&self, path: &Path) -> Option<Inode> {
        let mut inode = 0;
        for name in path.strip_prefix(&self.root).ok()?.iter() {
            let Node::Directory(directory) = &self.nodes[inode] else { return None };
            inode = *directory.now.get(name.to_str()?)?;
        }
        Some(inode)
    }

    /// The directory of a path below the root, and the name in it.
    fn parent(&self, path: &Path) -> Option<(Inode, String)> {
        Some((self.find(path.parent()?)?, path.file_name()?.to_str()?.to_owned()))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Nothing,
    Everything,
    Prefix,
    Any,
    AnyData,
}

fn kept_names(directory: &Directory, how: How, dice: &mut Dice) -> BTreeMap<String, Inode> {
    let mut names = directory.safe.clone();
    let first = dice.throw(directory.changes.len() + 1);
    for (n, renamed) in directory.changes.iter().enumerate() {
        let kept = match how {
            How::Nothing => false,
            How::Everything | How::AnyData => true,
            How::Prefix => n < first,
            How::Any => dice.throw(2) == 0,
        };
        if kept {
            put(&mut names, renamed);
        }
    }
    names
}

fn put(names: &mut BTreeMap<String, Inode>, renamed: &Renamed) {
    for (name, inode) in renamed {
        match inode {
            Some(inode) => drop(names.insert(name.clone(), *inode)),
            None => drop(names.remove(name)),
        }
    }
}

fn kept_bytes(file: &File, how: How, dice: &mut Dice) -> Vec<u8> {
    let mut bytes = file.safe.clone();
    let first = dice.throw(file.changes.len() + 1);
    for (n, change) in file.changes.iter().enumerate() {
        match how {
            How::Nothing => {}
            How::Everything => apply(&mut bytes, change.clone()),
            How::Prefix if n < first => apply(&mut bytes, change.clone()),
            How::Prefix if n == first => torn(&mut bytes, change, dice, true),
            How::Prefix => {}
            How::Any | How::AnyData => torn(&mut bytes, change, dice, false),
        }
    }
    bytes
}

fn apply(bytes: &mut Vec<u8>, change: Change) {
    match change {
        Change::Write(at, written) => {
            let (from, to) = (at as usize, at as usize + written.len());
            // What lies between is a hole.
            bytes.resize(bytes.len().max(to), 0);
            bytes[from..to].copy_from_slice(&written);
        }
        Change::Truncate(length) => bytes.resize(length as usize, 0),
    }
}

/// Does a part of a change: some of its sectors, or only the first of them.
fn torn(bytes: &mut Vec<u8>, change: &Change, dice: &mut Dice, from_the_start: bool) {
    let Change::Write(at, written) = change else {
        if dice.throw(2) == 0 {
            apply(bytes, change.clone());
        }
        return;
    };
    let sectors = written.len().div_ceil(SECTOR);
    let first = dice.throw(sectors + 1);
    // Often all of it or nothing of it, so that what comes after it matters.
    let choice = dice.throw(4);
    for sector in 0..sectors {
        let kept = match choice {
            _ if from_the_start => sector < first,
            0 => true,
            1 => false,
            _ => dice.throw(2) == 0,
        };
        if kept {
            let part = sector * SECTOR..written.len().min((sector + 1) * SECTOR);
            apply(bytes, Change::Write(at + part.start as u64, written[part].to_vec()));
        }
    }
}
