//! The report as a table and as a picture.

use serde_json::Value;

use crate::{bench, succeed};

#[test]
fn without_a_mode_there_is_one_table_and_a_picture_of_everything() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name);
    let mut command = bench(&["--clients", "20", "--messages", "60"]);
    command.arg("--svg").arg(file("bench.svg")).arg("--json").arg(file("bench.json"));
    let output = command.output().unwrap();
    succeed(&output);
    let table = String::from_utf8(output.stdout).unwrap();
    for title in ["fan-out", "to one", "connect", "idle", "durable", "mixed"] {
        assert_eq!(
            table.lines().filter(|line| line.starts_with(&format!("{title}: "))).count(),
            1,
            "{table}"
        );
    }
    assert!(table.contains("none lost, none doubled, none out of order"), "{table}");
    let report: Value = serde_json::from_slice(&std::fs::read(file("bench.json")).unwrap()).unwrap();
    let works = report["works"].as_array().unwrap();
    let with_latency = works.iter().filter(|work| work["server"]["latency_us"].is_object()).count();
    assert_well_formed(&std::fs::read_to_string(file("bench.svg")).unwrap(), with_latency);
}

/// Every tag is closed in turn, and there are as many panels as should be.
fn assert_well_formed(svg: &str, panels: usize) {
    let mut open = Vec::new();
    let mut groups = 0;
    let mut rest = svg;
    while let Some(start) = rest.find('<') {
        assert!(!rest[..start].contains('>'), "a stray > in {}", &rest[..start]);
        let end = start + rest[start..].find('>').unwrap();
        let tag = &rest[start + 1..end];
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap();
        match tag {
            _ if tag.starts_with('/') => assert_eq!(open.pop(), Some(name), "{tag}"),
            _ if tag.ends_with('/') => {}
            _ => open.push(name),
        }
        groups += usize::from(tag.starts_with("g "));
        assert!(!tag.contains("NaN") && !tag.contains("inf"), "{tag}");
        rest = &rest[end + 1..];
    }
    assert_eq!((open.len(), groups), (0, panels));
}
