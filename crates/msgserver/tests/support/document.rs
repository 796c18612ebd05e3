//! The documents of this repository, whose examples are tried.

use std::path::Path;

/// A document as it stands in the repository.
pub fn document(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::fs::read_to_string(root.join(path)).unwrap()
}

/// The fenced blocks of a language in a document.
pub fn blocks(path: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    let text = document(path);
    text.split(&fence).skip(1).map(|block| block.split("```").next().unwrap().to_owned()).collect()
}
