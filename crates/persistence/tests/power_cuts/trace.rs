//! What strace has written down.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// The system calls that change files, or make them safe.
pub(crate) const CALLS: &str = "trace=openat,open,creat,write,pwrite64,writev,pwritev,pwritev2,fsync,fdatasync,\
    sync_file_range,rename,renameat,renameat2,unlink,unlinkat,rmdir,mkdir,mkdirat,ftruncate,truncate,lseek,link,\
    linkat,symlink,symlinkat,fallocate,mmap,copy_file_range,sendfile,sendfile64";

/// A call that was done.
#[derive(Debug, Clone)]
pub(crate) enum Call {
    /// A file is opened under a name, with what the number of its descriptor is.
    Open {
        path: PathBuf,
        file: u64,
        create: bool,
        truncate: bool,
    },
    /// Bytes, from a position on, or where the file stands.
    Write {
        file: u64,
        path: PathBuf,
        at: Option<u64>,
        bytes: Vec<u8>,
    },
    Seek {
        file: u64,
        to: u64,
    },
    Truncate {
        file: u64,
        length: u64,
    },
    Sync {
        path: PathBuf,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
    },
    Remove {
        path: PathBuf,
    },
    MakeDirectory {
        path: PathBuf,
    },
}

/// The calls, in the order in which they were done.
pub(crate) fn read(log: &[u8]) -> Vec<Call> {
    let mut unfinished: BTreeMap<String, String> = BTreeMap::new();
    let mut calls = Vec::new();
    for line in std::str::from_utf8(log).unwrap().lines() {
        let (thread, text) = line.split_once(' ').unwrap();
        let text = text.trim_start();
        if let Some(begun) = text.strip_suffix(" <unfinished ...>") {
            unfinished.insert(thread.to_owned(), begun.to_owned());
        } else if let Some(rest) = text.strip_prefix("<... ") {
            let (_, rest) = rest.split_once(" resumed>").unwrap();
            let begun = unfinished.remove(thread).unwrap();
            calls.extend(call(&format!("{begun}{rest}")));
        } else {
            calls.extend(call(text));
        }
    }
    calls
}

fn call(text: &str) -> Option<Call> {
    let (name, rest) = text.split_once('(')?;
    // Signals, the ends of threads, and whatever failed.
    let (arguments, result) = rest.rsplit_once(") = ").or_else(|| {
        let (arguments, result) = rest.rsplit_once(" = ")?;
        Some((arguments.trim_end().strip_suffix(')')?, result))
    })?;
    if result.starts_with('-') || result.starts_with('?') {
        return None;
    }
    let result: u64 = result.split(['<', ' ']).next()?.parse().unwrap_or(0);
    let arguments: Vec<&str> = arguments.split(", ").collect();
    Some(match name {
        "openat" | "open" | "creat" => {
            let flags = arguments.iter().find(|argument| argument.starts_with("O_"))?;
            let path = text_of(arguments.iter().find(|argument| argument.starts_with('"'))?);
            Call::Open {
                path,
                file: result,
                create: flags.contains("O_CREAT"),
                truncate: flags.contains("O_TRUNC"),
            }
        }
        "write" | "pwrite64" => {
            let (file, path) = descriptor(arguments[0]);
            let mut bytes = bytes_of(arguments[1]);
            bytes.truncate(result as usize);
            let at = (name == "pwrite64").then(|| arguments[3].parse().unwrap());
            Call::Write { file, path, at, bytes }
        }
        "lseek" => Call::Seek { file: descriptor(arguments[0]).0, to: result },
        "ftruncate" => {
            Call::Truncate { file: descriptor(arguments[0]).0, length: arguments[1].parse().unwrap() }
        }
        "fsync" | "fdatasync" => Call::Sync { path: descriptor(arguments[0]).1 },
        "rename" | "renameat" | "renameat2" => {
            let mut paths =
                arguments.iter().filter(|argument| argument.starts_with('"')).map(|path| text_of(path));
            Call::Rename { from: paths.next()?, to: paths.next()? }
        }
        "unlink" | "unlinkat" | "rmdir" => {
            Call::Remove { path: text_of(arguments.iter().find(|argument| argument.starts_with('"'))?) }
        }
        "mkdir" | "mkdirat" => Call::MakeDirectory {
            path: text_of(arguments.iter().find(|argument| argument.starts_with('"'))?),
        },
        // A map of a file that is written to would be seen by nobody here.
        "mmap" => {
            let writes = arguments.iter().any(|argument| argument.contains("MAP_SHARED"))
                && arguments.iter().any(|argument| argument.contains("PROT_WRITE"));
            assert!(!writes || text.contains("MAP_ANONYMOUS"), "a file is written through memory: {text}");
            return None;
        }
        other => panic!("a store calls {other}, and this test does not know what that does: {text}"),
    })
}

/// The number of a descriptor, and the path that it has now.
fn descriptor(argument: &str) -> (u64, PathBuf) {
    let (number, rest) = argument.split_once('<').unwrap();
    let path = rest.split('>').next().unwrap();
    (number.parse().unwrap(), PathBuf::from(String::from_utf8(unescaped(path)).unwrap()))
}

fn text_of(argument: &str) -> PathBuf {
    PathBuf::from(String::from_utf8(bytes_of(argument)).unwrap())
}

fn bytes_of(argument: &str) -> Vec<u8> {
    let text = argument.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    unescaped(
        text.unwrap_or_else(|| panic!("the trace is cut short: {:?}", &argument[..argument.len().min(40)])),
    )
}

/// `\x6d\x73…` as bytes.
fn unescaped(text: &str) -> Vec<u8> {
    let parts = text.split("\\x").skip(1);
    parts.map(|part| u8::from_str_radix(&part[..2], 16).unwrap()).collect()
}
