//! SUBSCRIBE and UNSUBSCRIBE.

use std::num::NonZeroU16;

use crate::properties::{OF_SUBSCRIBE, OF_UNSUBSCRIBE, Properties};
use crate::reader::Reader;
use crate::{Fault, Qos, Version};

/// What a client wants to get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscribe {
    /// What the answer has to name.
    pub packet: NonZeroU16,
    /// What it wants, one at least.
    pub filters: Vec<Subscription>,
}

/// One of the things that a client wants to get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// From which topics.
    pub filter: String,
    /// How sure at most.
    pub qos: Qos,
    /// Not what it publishes itself.
    pub no_local: bool,
    /// Whether what is forwarded keeps the retain flag that it was published with.
    pub retain_as_published: bool,
    /// When it wants what is retained.
    pub retained: Retained,
}

/// When a client wants what is retained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retained {
    /// Each time that it subscribes.
    Always,
    /// Only if it had not subscribed already.
    IfNew,
    /// Never.
    Never,
}

/// What a client wants to get no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsubscribe {
    /// What the answer has to name.
    pub packet: NonZeroU16,
    /// The filters, as they were subscribed to; one at least.
    pub filters: Vec<String>,
}

impl Subscribe {
    pub(crate) fn read(mut from: Reader, version: Version) -> Result<Self, Fault> {
        let packet = from.packet_id()?;
        let properties = Properties::read(&mut from, version, &OF_SUBSCRIBE)?;
        if properties.subscription_id.is_some() {
            return Err(Fault::SubscriptionId);
        }
        let mut filters = Vec::new();
        while !from.is_empty() {
            filters.push(Subscription::read(&mut from, version)?);
        }
        if filters.is_empty() { Err(Fault::Nothing("SUBSCRIBE")) } else { Ok(Self { packet, filters }) }
    }
}

impl Subscription {
    fn read(from: &mut Reader, version: Version) -> Result<Self, Fault> {
        let filter = from.text("a topic filter")?;
        if filter.is_empty() {
            return Err(Fault::Reserved("a topic filter without characters"));
        }
        let options = from.byte("the options of a subscription")?;
        let reserved = if version == Version::V311 { 0xfc } else { 0xc0 };
        let retained = match (options >> 4) & 0x3 {
            0 => Some(Retained::Always),
            1 => Some(Retained::IfNew),
            2 => Some(Retained::Never),
            _ => None,
        };
        let (Some(qos), Some(retained), 0) = (Qos::of_bits(options & 0x3), retained, options & reserved)
        else {
            return Err(Fault::Reserved("an option of a subscription"));
        };
        let no_local = options & 0x4 != 0;
        if no_local && filter.starts_with("$share/") {
            return Err(Fault::Unexpected("no local with a shared subscription"));
        }
        Ok(Self { filter, qos, no_local, retain_as_published: options & 0x8 != 0, retained })
    }
}

impl Unsubscribe {
    pub(crate) fn read(mut from: Reader, version: Version) -> Result<Self, Fault> {
        let packet = from.packet_id()?;
        Properties::read(&mut from, version, &OF_UNSUBSCRIBE)?;
        let mut filters = Vec::new();
        while !from.is_empty() {
            let filter = from.text("a topic filter")?;
            if filter.is_empty() {
                return Err(Fault::Reserved("a topic filter without characters"));
            }
            filters.push(filter);
        }
        if filters.is_empty() { Err(Fault::Nothing("UNSUBSCRIBE")) } else { Ok(Self { packet, filters }) }
    }
}
