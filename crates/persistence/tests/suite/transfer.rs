//! An export and an import lose nothing.

use super::super::promises::model::{self, Model};
use super::super::*;
use msgserver_persistence::{DiskStore, Imported};
use proptest::prelude::*;

/// Everything in a store, without the moment of the export.
fn exported(directory: &Path) -> String {
    let mut bytes = Vec::new();
    let exported = DiskStore::look_into(directory).unwrap().export(&mut bytes).unwrap();
    assert_eq!(exported.lost, Vec::<String>::new());
    let text = String::from_utf8(bytes).unwrap();
    let (first, rest) = text.split_once('\n').unwrap();
    assert!(first.starts_with(r#"{"export":{"version":1,"#), "{first}");
    assert_eq!(rest.lines().count() as u64, exported.lines + 1);
    rest.to_owned()
}

fn with_first_line(rest: &str) -> String {
    format!("{{\"export\":{{\"version\":1,\"at\":\"2026-01-31T12:00:00Z\"}}}}\n{rest}")
}

async fn import(directory: &Path, text: &str) -> Result<Imported, StoreError> {
    let store = DiskStore::with_limits(directory, model::limits()).unwrap();
    store.import(&mut text.as_bytes()).await
}

#[test]
fn what_is_exported_and_imported_goes_on_as_the_model_does() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let config = ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(before in model::actions(), after in model::actions())| {
        let [old, new] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let mut model = Model::new();
        let live = async |directory: &Path, model: &mut Model, actions: &[model::Action]| {
            let store = DiskStore::with_limits(directory, model::limits()).unwrap();
            for action in actions {
                model.take(&store, action).await;
            }
            model.compare(&store).await;
        };
        runtime.block_on(live(old.path(), &mut model, &before));
        let text = exported(old.path());
        runtime.block_on(import(new.path(), &with_first_line(&text))).unwrap();
        prop_assert_eq!(&exported(new.path()), &text);
        let checked = DiskStore::look_into(new.path()).unwrap().check().unwrap();
        prop_assert_eq!(checked.faults, Vec::<String>::new());
        model.crash();
        runtime.block_on(async { model.compare(&DiskStore::with_limits(new.path(), model::limits()).unwrap()).await });
        runtime.block_on(live(new.path(), &mut model, &after));
    });
}

#[tokio::test]
async fn a_content_keeps_its_text() {
    let [old, new] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let json = r#"{"z":1.50,"a":[10000000000000000000000001,"ü\n\u0000"]}"#;
    let sent = Message {
        topic: Topic::new("news").ok(),
        properties: properties(),
        ..Message::new(Content::from_json(json).unwrap())
    };
    let spread = Message::new(Content::from_json("[1,\n 2]").unwrap());
    {
        let store = DiskStore::open(old.path()).unwrap();
        put(&store, named(&["a"], sent.clone())).await;
        put(&store, named(&["a"], spread.clone())).await;
    }
    import(new.path(), &with_first_line(&exported(old.path()))).await.unwrap();
    let store = DiskStore::open(new.path()).unwrap();
    let entries = store.read(&user("a"), Seq::ZERO, 10).await.unwrap();
    assert_eq!(*entries[0].message, sent);
    assert_eq!(entries[1].message.content.as_json(), "[1,  2]", "a line end is white space");
    for again in [sent, spread] {
        assert_eq!(try_append(&store, named(&["a"], again)).await.unwrap(), Appended::Duplicate);
    }
}

#[tokio::test]
async fn an_import_that_is_cut_short_is_no_store() {
    let old = tempfile::tempdir().unwrap();
    {
        let store = DiskStore::open(old.path()).unwrap();
        for _ in 0..3 {
            append(&store, "m", &["a"]).await;
        }
    }
    let text = with_first_line(&exported(old.path()));
    let lines: Vec<_> = text.lines().collect();
    for end in 1..lines.len() {
        let new = tempfile::tempdir().unwrap();
        let fault = import(new.path(), &lines[..end].join("\n")).await.unwrap_err();
        assert!(fault.to_string().contains("cut short"), "{fault}");
        let fault = DiskStore::open(new.path()).unwrap_err();
        assert!(fault.to_string().contains("import into it was cut short"), "{fault}");
    }
    for left_out in 1..lines.len() - 1 {
        let new = tempfile::tempdir().unwrap();
        let mut lines = lines.clone();
        lines.remove(left_out);
        assert!(import(new.path(), &lines.join("\n")).await.is_err(), "line {left_out} is missed by nobody");
    }
}

#[tokio::test]
async fn what_is_no_export_is_refused_by_line() {
    let new = tempfile::tempdir().unwrap();
    let head = with_first_line("");
    for (text, says) in [
        ("", "line 1"),
        ("{\"end\":{\"lines\":0,\"lost\":0}}", "line 1"),
        ("{\"export\":{\"version\":2,\"at\":\"2026-01-31T12:00:00Z\"}}", "version 2"),
    ] {
        let fault = import(new.path(), text).await.unwrap_err().to_string();
        assert!(fault.contains(says), "{fault}");
    }
    let fault =
        import(new.path(), &format!("{head}{{\"user\":{{\"user\":\"a\"}}}}")).await.unwrap_err().to_string();
    assert!(fault.contains("line 2") && fault.contains("last"), "{fault}");
}

#[tokio::test]
async fn an_import_needs_an_empty_store() {
    let directory = tempfile::tempdir().unwrap();
    append(&DiskStore::open(directory.path()).unwrap(), "m", &["a"]).await;
    let text = with_first_line(&exported(directory.path()));
    let fault = import(directory.path(), &text).await.unwrap_err();
    assert!(matches!(fault, StoreError::NotEmpty), "{fault}");
    assert_eq!(all(&DiskStore::open(directory.path()).unwrap(), "a").await, ["1:m"]);
}

#[tokio::test]
async fn what_is_looked_into_does_not_change() {
    let directory = tempfile::tempdir().unwrap();
    append(&DiskStore::open(directory.path()).unwrap(), "m", &["a"]).await;
    let journals = || {
        let files = std::fs::read_dir(directory.path().join("journals")).unwrap().map(|file| file.unwrap());
        let mut files: Vec<_> =
            files.map(|file| (file.path(), std::fs::read(file.path()).unwrap())).collect();
        files.sort();
        files
    };
    let before = journals();
    let store = DiskStore::look_into(directory.path()).unwrap();
    assert_eq!(all(&store, "a").await, ["1:m"]);
    assert_eq!(store.stats().unwrap().messages, 1);
    assert!(try_append(&store, to(&["a"], message("n"))).await.is_err());
    let fault = DiskStore::open(directory.path()).unwrap_err();
    assert!(matches!(fault, StoreError::InUse(_)), "{fault}");
    drop(store);
    assert_eq!(journals(), before);
    let none = tempfile::tempdir().unwrap();
    let fault = DiskStore::look_into(none.path()).unwrap_err();
    assert!(fault.to_string().contains("there is no store in it"), "{fault}");
    assert_eq!(std::fs::read_dir(none.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn topics_with_their_followers_and_their_logs_come_along() {
    let [old, new] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let news = Topic::new("news/sport").unwrap();
    let to_topic = |text: &str| Append {
        recipients: Recipients::Followers,
        ..named(&[], Message { topic: Some(news.clone()), ..message(text) })
    };
    let filters = ["news/sport", "news/+"].map(|name| TopicFilter::new(name).unwrap());
    let limits = Limits { history: 2, ..Limits::default() };
    {
        let store = DiskStore::with_limits(old.path(), limits).unwrap();
        for (name, filter) in ["a", "b"].into_iter().zip(&filters) {
            open(&store, name, "x").await;
            store.follow(&user(name), &device("x"), filter).await.unwrap();
        }
        for text in ["1", "2", "3"] {
            assert_eq!(put(&store, to_topic(text)).await.len(), 2);
        }
    }
    let text = exported(old.path());
    for kind in ["\"follows\"", "\"topic\"", "\"published\""] {
        assert!(text.contains(kind), "{kind} is not in {text}");
    }
    let store = DiskStore::with_limits(new.path(), limits).unwrap();
    store.import(&mut with_first_line(&text).as_bytes()).await.unwrap();
    drop(store);
    assert_eq!(exported(new.path()), text);

    let store = DiskStore::with_limits(new.path(), limits).unwrap();
    assert_eq!(store.check().unwrap().faults, Vec::<String>::new());
    let log = store.topic(&news).await.unwrap();
    assert_eq!((log.followers, log.kept, log.last), (2, 2, Seq::new(3)));
    for (n, name) in ["a", "b"].into_iter().enumerate() {
        assert_eq!(all(&store, name).await, ["1:1", "2:2", "3:3"]);
        let cursor = store.open(&user(name), &device("x")).await.unwrap();
        assert_eq!(cursor.topics, [filters[n].clone()]);
    }
    assert_eq!(put(&store, to_topic("4")).await, [4, 4]);
    let last = store.published(&news, Seq::ZERO, 10).await.unwrap();
    let last: Vec<_> = last.iter().map(|entry| entry.message.content.as_text().unwrap()).collect();
    assert_eq!(last, ["3", "4"]);
}
