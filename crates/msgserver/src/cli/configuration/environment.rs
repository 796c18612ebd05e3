//! The layer of the environment.

use std::ffi::OsString;

use super::given::{Given, Source, nearest, unknown};
use super::key::Key;
use super::{Configuration, Layered, keys};

const PREFIX: &str = "MSGSERVER_";

/// What other commands and other places read.
const NOT_KEYS: &[&str] = &["MSGSERVER_CONFIG", "MSGSERVER_URL", "MSGSERVER_TOKEN"];

pub(super) fn read(
    variables: impl Iterator<Item = (OsString, OsString)>,
    layered: &mut Layered<Configuration>,
    faults: &mut Vec<String>,
) {
    let mut variables: Vec<_> = variables
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .filter(|(name, _)| name.starts_with(PREFIX) && !NOT_KEYS.contains(&name.as_str()))
        .filter(|(name, _)| !is_service_link(name))
        .collect();
    // The environment has no order of its own; faults should come in the same one each time.
    variables.sort_unstable();
    for (name, value) in variables {
        let source = Source::Environment(name.clone());
        let key = keys().find(|key| key.environment() == name);
        let Ok(text) = value.into_string() else {
            faults.push(format!("{}: its value is not UTF-8 ({source})", key.map_or(&*name, |key| key.name)));
            continue;
        };
        let given = Given::Text(text);
        match key {
            Some(key) => faults.extend(layered.set(key, key.name, &given, source).err()),
            None => {
                let spelt = name[PREFIX.len()..].to_lowercase().replace("__", ".");
                let meant = nearest(&spelt, keys().map(|key| key.name));
                let meant = keys().find(|key| Some(key.name) == meant).map(Key::environment);
                faults.push(unknown(&name, &given, meant.as_deref(), &source));
            }
        }
    }
}

/// Whether Kubernetes set this variable, as it does in every container beside a service whose name begins
/// with `msgserver`.
fn is_service_link(name: &str) -> bool {
    let port_number = name
        .split_once("_PORT_")
        .is_some_and(|(_, rest)| rest.starts_with(|first: char| first.is_ascii_digit()));
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || name.ends_with("_PORT")
        || port_number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kubernetes_sets_is_passed_over_and_the_rest_is_not() {
        let read = |name: &str| {
            let (mut layered, mut faults) = (Layered::default(), Vec::new());
            read([(name.into(), "tcp://10.0.0.1:80".into())].into_iter(), &mut layered, &mut faults);
            faults
        };
        for name in [
            "MSGSERVER_SERVICE_HOST",
            "MSGSERVER_SERVICE_PORT",
            "MSGSERVER_SERVICE_PORT_HTTP",
            "MSGSERVER_PORT",
            "MSGSERVER_HTTP_PORT",
            "MSGSERVER_PORT_3366_TCP",
            "MSGSERVER_PORT_3366_TCP_ADDR",
        ] {
            assert!(read(name).is_empty(), "{name}");
        }
        assert!(read("MSGSERVER_LISTNE")[0].contains("did you mean MSGSERVER_LISTEN?"));
        assert!(read("MSGSERVER_LIMITS_QUEUE")[0].contains("did you mean MSGSERVER_LIMITS__QUEUE?"));
        assert!(!read("MSGSERVER_COLOUR")[0].contains("did you mean"));
    }

    #[test]
    fn no_key_has_a_name_that_kubernetes_may_use() {
        for key in keys() {
            assert!(!is_service_link(&key.environment()), "{}", key.name);
        }
    }
}
