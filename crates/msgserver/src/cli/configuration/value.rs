//! The kinds of value that a key can have.
//!
//! Each borrows the place that it is written to, so that what is in force lies in plain settings and its
//! rules lie here.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;
use ipnet::IpNet;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// Stands for a secret wherever one would be shown.
pub(crate) const HIDDEN: &str = "***";

/// How a value stands in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Text,
    Number,
    Switch,
    List,
}

/// A value of a key, in its place.
pub(crate) trait Value {
    fn shape(&self) -> Shape {
        Shape::Text
    }

    /// Stands for the value in a flag's help.
    fn placeholder(&self) -> &'static str;

    /// What would be right.
    fn expected(&self) -> String;

    /// Takes a value as it stands in a flag or in the environment; `None` if it cannot be.
    fn set(&mut self, text: &str) -> Option<()>;

    /// What is in force, as [`Value::set`] takes it; `None` if nothing is.
    fn text(&self) -> Option<String>;

    /// The only values, if there are few.
    fn choices(&self) -> Vec<&'static str> {
        Vec::new()
    }

    /// A given value, right or wrong, without what is secret in it.
    fn shown(&self, given: &str) -> String {
        given.to_owned()
    }

    /// Whether what is in force only stands for a secret.
    fn is_hidden(&self) -> bool {
        false
    }
}

/// On or off.
pub(crate) struct Switch<'a>(pub(crate) &'a mut bool);

impl Value for Switch<'_> {
    fn shape(&self) -> Shape {
        Shape::Switch
    }

    fn placeholder(&self) -> &'static str {
        "BOOL"
    }

    fn expected(&self) -> String {
        "true or false".to_owned()
    }

    fn set(&mut self, text: &str) -> Option<()> {
        *self.0 = text.parse().ok()?;
        Some(())
    }

    fn text(&self) -> Option<String> {
        Some(self.0.to_string())
    }

    fn choices(&self) -> Vec<&'static str> {
        vec!["true", "false"]
    }
}

/// One of a few, by its name.
pub(crate) struct OneOf<'a, T: 'static>(pub(crate) &'a mut T, pub(crate) &'static [(&'static str, T)]);

impl<T: Copy + PartialEq> Value for OneOf<'_, T> {
    fn placeholder(&self) -> &'static str {
        "NAME"
    }

    fn expected(&self) -> String {
        self.choices().iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(" or ")
    }

    fn set(&mut self, text: &str) -> Option<()> {
        *self.0 = self.1.iter().find(|(name, _)| *name == text)?.1;
        Some(())
    }

    fn text(&self) -> Option<String> {
        self.1.iter().find(|(_, value)| value == self.0).map(|(name, _)| (*name).to_owned())
    }

    fn choices(&self) -> Vec<&'static str> {
        self.1.iter().map(|(name, _)| *name).collect()
    }
}

/// A whole number.
pub(crate) struct Count<'a, N>(pub(crate) &'a mut N, pub(crate) RangeInclusive<N>);

impl<N: FromStr + PartialOrd + ToString> Value for Count<'_, N> {
    fn shape(&self) -> Shape {
        Shape::Number
    }

    fn placeholder(&self) -> &'static str {
        "N"
    }

    fn expected(&self) -> String {
        format!("a whole number from {} to {}", self.1.start().to_string(), self.1.end().to_string())
    }

    fn set(&mut self, text: &str) -> Option<()> {
        *self.0 = text.parse().ok().filter(|number| self.1.contains(number))?;
        Some(())
    }

    fn text(&self) -> Option<String> {
        Some(self.0.to_string())
    }
}

/// A whole number that may be left out: then there is no limit.
pub(crate) struct Limit<'a>(pub(crate) &'a mut Option<usize>);

impl Value for Limit<'_> {
    fn shape(&self) -> Shape {
        Shape::Number
    }

    fn placeholder(&self) -> &'static str {
        "N"
    }

    fn expected(&self) -> String {
        "a whole number from 1, or leave it out".to_owned()
    }

    fn set(&mut self, text: &str) -> Option<()> {
        *self.0 = Some(text.parse().ok().filter(|number| *number > 0)?);
        Some(())
    }

    fn text(&self) -> Option<String> {
        self.0.map(|number| number.to_string())
    }
}

/// So many bytes, with a unit.
pub(crate) struct Size<'a>(pub(crate) &'a mut usize, pub(crate) RangeInclusive<usize>);

/// In the largest unit that leaves no rest: what is printed has to be read back as the same.
fn size_text(bytes: usize) -> String {
    let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let unit = units.iter().find(|(_, unit)| bytes > 0 && bytes.is_multiple_of(*unit));
    unit.map_or_else(|| format!("{bytes} B"), |(name, unit)| format!("{} {name}", bytes / unit))
}

impl Value for Size<'_> {
    fn placeholder(&self) -> &'static str {
        "SIZE"
    }

    fn expected(&self) -> String {
        let (least, most) = (size_text(*self.1.start()), size_text(*self.1.end()));
        format!("a size with its unit, such as \"1 MiB\", from {least} to {most}")
    }

    fn set(&mut self, text: &str) -> Option<()> {
        // The parser takes a bare number for bytes; here each size says what it is.
        let unit = text.ends_with(|last: char| last.is_ascii_alphabetic());
        let bytes: ByteSize = text.parse().ok().filter(|_| unit)?;
        *self.0 = usize::try_from(bytes.as_u64()).ok().filter(|bytes| self.1.contains(bytes))?;
        Some(())
    }

    fn text(&self) -> Option<String> {
        Some(size_text(*self.0))
    }
}

/// A stretch of time, with a unit.
pub(crate) struct Time<'a>(pub(crate) &'a mut Duration, pub(crate) RangeInclusive<Duration>);

impl Value for Time<'_> {
    fn placeholder(&self) -> &'static str {
        "TIME"
    }

    fn expected(&self) -> String {
        let [least, most] = [self.1.start(), self.1.end()].map(|time| humantime::format_duration(*time));
        format!("a time with its unit, such as \"10s\", from {least} to {most}")
    }

    fn set(&mut self, text: &str) -> Option<()> {
        *self.0 = humantime::parse_duration(text).ok().filter(|time| self.1.contains(time))?;
        Some(())
    }

    fn text(&self) -> Option<String> {
        Some(humantime::format_duration(*self.0).to_string())
    }
}

/// What a list consists of: its items have commas between them.
pub(super) fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

/// Networks, or single addresses.
pub(crate) struct NetworkList<'a>(pub(crate) &'a mut Vec<IpNet>);

impl Value for NetworkList<'_> {
    fn shape(&self) -> Shape {
        Shape::List
    }

    fn placeholder(&self) -> &'static str {
        "NETWORK"
    }

    fn expected(&self) -> String {
        "networks such as \"10.0.0.0/8\" or \"fd00::/8\", or addresses".to_owned()
    }

    fn set(&mut self, text: &str) -> Option<()> {
        let network = |text: &str| text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
        *self.0 = items(text).map(network).collect::<Option<_>>()?;
        Some(())
    }

    fn text(&self) -> Option<String> {
        Some(self.0.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
    }
}

/// Origins of web pages.
pub(crate) struct OriginList<'a>(pub(crate) &'a mut Vec<String>);

impl Value for OriginList<'_> {
    fn shape(&self) -> Shape {
        Shape::List
    }

    fn placeholder(&self) -> &'static str {
        "ORIGIN"
    }

    fn expected(&self) -> String {
        "origins such as \"https://example.org\", without a path, or \"*\" for all".to_owned()
    }

    fn set(&mut self, text: &str) -> Option<()> {
        let is_origin = |text: &str| match text.split_once("://") {
            Some((scheme, host)) => {
                !scheme.is_empty() && !host.is_empty() && !host.contains(['/', '?', '#', '@'])
            }
            None => matches!(text, "*" | "null"),
        };
        let origin = |part: &str| is_origin(part).then(|| part.to_owned());
        *self.0 = items(text).map(origin).collect::<Option<_>>()?;
        Some(())
    }

    fn text(&self) -> Option<String> {
        Some(self.0.join(","))
    }
}

/// A secret, if there is one.
pub(crate) struct Secret<'a>(pub(crate) &'a mut Option<String>);

impl Value for Secret<'_> {
    fn placeholder(&self) -> &'static str {
        "SECRET"
    }

    fn expected(&self) -> String {
        "at least one visible character and no control characters, or leave it out".to_owned()
    }

    fn set(&mut self, text: &str) -> Option<()> {
        let good = !text.trim().is_empty() && !text.contains(char::is_control);
        *self.0 = Some(good.then(|| text.to_owned())?);
        Some(())
    }

    fn text(&self) -> Option<String> {
        self.0.clone()
    }

    fn shown(&self, _: &str) -> String {
        HIDDEN.to_owned()
    }

    fn is_hidden(&self) -> bool {
        self.0.as_deref() == Some(HIDDEN)
    }
}

/// A directory.
pub(crate) struct Directory<'a>(pub(crate) &'a mut PathBuf);

impl Value for Directory<'_> {
    fn placeholder(&self) -> &'static str {
        "DIR"
    }

    fn expected(&self) -> String {
        "the path of a directory".to_owned()
    }

    fn set(&mut self, text: &str) -> Option<()> {
        *self.0 = (!text.is_empty()).then(|| text.into())?;
        Some(())
    }

    fn text(&self) -> Option<String> {
        Some(self.0.to_string_lossy().into_owned())
    }
}

/// A file, if one is wanted.
pub(crate) struct File<'a>(pub(crate) &'a mut Option<PathBuf>);

impl Value for File<'_> {
    fn placeholder(&self) -> &'static str {
        "PATH"
    }

    fn expected(&self) -> String {
        "the path of a file, or leave it out".to_owned()
    }

    fn set(&mut self, text: &str) -> Option<()> {
        let path = PathBuf::from(text);
        // A path without a name is a directory.
        path.file_name()?;
        *self.0 = Some(path);
        Some(())
    }

    fn text(&self) -> Option<String> {
        self.0.as_ref().map(|path| path.to_string_lossy().into_owned())
    }
}

/// What is logged.
pub(crate) struct Level<'a>(pub(crate) &'a mut String);

impl Value for Level<'_> {
    fn placeholder(&self) -> &'static str {
        "LEVEL"
    }

    fn expected(&self) -> String {
        "error, warn, info, debug, trace or off, alone or as \"info,msgserver_pool=debug\"".to_owned()
    }

    fn set(&mut self, text: &str) -> Option<()> {
        // The filter takes every other word for the name of a crate of which all is logged, and a slip of
        // the pen would silence the log.
        let good = |part: &str| part.contains('=') || !part.is_empty() && part.parse::<LevelFilter>().is_ok();
        EnvFilter::try_new(text).ok().filter(|_| text.split(',').all(good))?;
        text.clone_into(self.0);
        Some(())
    }

    fn text(&self) -> Option<String> {
        Some(self.0.clone())
    }
}

/// Where undelivered messages live.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum StoreChoice {
    Memory,
    #[default]
    Disk,
    /// The URL.
    Redis(String),
}

/// A store by its name or URL.
pub(crate) struct StoreName<'a>(pub(crate) &'a mut StoreChoice);

impl Value for StoreName<'_> {
    fn placeholder(&self) -> &'static str {
        "STORE"
    }

    fn expected(&self) -> String {
        "\"memory\", \"disk\", \"redis://HOST:PORT\" or \"redis+unix:///PATH\"".to_owned()
    }

    fn set(&mut self, text: &str) -> Option<()> {
        *self.0 = match text {
            "memory" => StoreChoice::Memory,
            "disk" => StoreChoice::Disk,
            url => {
                let rest = url.strip_prefix("redis://").or_else(|| url.strip_prefix("redis+unix://"));
                rest.filter(|rest| !rest.is_empty())?;
                StoreChoice::Redis(url.to_owned())
            }
        };
        Some(())
    }

    fn text(&self) -> Option<String> {
        Some(match &*self.0 {
            StoreChoice::Memory => "memory".to_owned(),
            StoreChoice::Disk => "disk".to_owned(),
            StoreChoice::Redis(url) => url.clone(),
        })
    }

    /// A URL can hold a password: `redis://USER:PASSWORD@HOST`.
    fn shown(&self, given: &str) -> String {
        let Some((scheme, rest)) = given.split_once("://") else { return given.to_owned() };
        let Some((who, host)) = rest.rsplit_once('@') else { return given.to_owned() };
        let user = who.split_once(':').map_or("", |(user, _)| user);
        format!("{scheme}://{user}:{HIDDEN}@{host}")
    }

    fn is_hidden(&self) -> bool {
        matches!(&*self.0, StoreChoice::Redis(url) if url.contains(&format!(":{HIDDEN}@")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_a_unit_and_are_read_back_as_printed() {
        let mut bytes = 0;
        let mut size = Size(&mut bytes, 1..=1 << 30);
        for bad in ["", "1", "1024", "MiB", "0 B", "2 GiB", "1 parsec", "-1 KiB", "1e3 B"] {
            assert!(size.set(bad).is_none(), "{bad}");
        }
        for (text, printed) in
            [("1MiB", "1 MiB"), ("1.5 MiB", "1536 KiB"), ("1 kB", "1000 B"), ("1052672 B", "1028 KiB")]
        {
            size.set(text).unwrap();
            assert_eq!(size.text().unwrap(), printed);
            size.set(printed).unwrap();
            assert_eq!(size.text().unwrap(), printed);
        }
    }

    #[test]
    fn times_have_a_unit_and_are_read_back_as_printed() {
        let mut time = Duration::ZERO;
        let mut time = Time(&mut time, Duration::from_millis(1)..=Duration::from_secs(86_400));
        for bad in ["", "1", "10", "s", "0s", "2days", "1 parsec", "-1s", "10 000"] {
            assert!(time.set(bad).is_none(), "{bad}");
        }
        for (text, printed) in [("90s", "1m 30s"), ("1500 ms", "1s 500ms"), ("24h", "1day")] {
            time.set(text).unwrap();
            assert_eq!(time.text().unwrap(), printed);
            time.set(printed).unwrap();
            assert_eq!(time.text().unwrap(), printed);
        }
    }

    #[test]
    fn a_misspelt_level_is_not_taken_for_the_name_of_a_crate() {
        let mut level = String::new();
        let mut level = Level(&mut level);
        for good in ["info", "off", "warn,msgserver_pool=debug", "msgserver=trace"] {
            assert!(level.set(good).is_some(), "{good}");
        }
        for bad in ["", "verbose", "infos", "info,msgserver", "msgserver=loud"] {
            assert!(level.set(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn the_password_of_a_store_is_not_shown() {
        let mut store = StoreChoice::default();
        let mut store = StoreName(&mut store);
        for (given, shown) in [
            ("redis://127.0.0.1:6379", "redis://127.0.0.1:6379"),
            ("redis://:s3cret@db:6379/1", "redis://:***@db:6379/1"),
            ("redis://ada:s3:c@ret@db", "redis://ada:***@db"),
            ("redis://s3cret@db", "redis://:***@db"),
        ] {
            assert_eq!(store.shown(given), shown);
        }
        store.set("redis://:***@db").unwrap();
        assert!(store.is_hidden());
    }
}
