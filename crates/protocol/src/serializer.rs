//! How a value becomes bytes.

use std::io;

use msgserver_message::Content;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{DecodeError, EncodeError};

/// How a content becomes bytes.
pub trait Serializer: Send + Sync + 'static {
    /// The name that configurations use.
    fn name(&self) -> &str;

    /// Appends `content` to `out`.
    ///
    /// # Errors
    /// [`EncodeError`] if there is no form for it.
    fn serialize(&self, content: &Content, out: &mut Vec<u8>) -> Result<(), EncodeError>;

    /// Whether what it writes is JSON text. Only then can a `|` be written as an escape under the default
    /// protocol.
    fn is_json(&self) -> bool {
        false
    }

    /// Whether it has a form for every content. What may be refused is encoded before a notice is accepted; what
    /// cannot be waits until somebody is there to get it.
    fn takes_everything(&self) -> bool {
        false
    }

    /// The form of the `frame` protocol's objects under this serializer, if it has one.
    fn frame_format(&self) -> Option<FrameFormat> {
        None
    }
}

/// JSON, the default.
#[derive(Debug, Clone, Copy, Default)]
pub struct Json;

impl Serializer for Json {
    fn name(&self) -> &str {
        "json"
    }

    fn serialize(&self, content: &Content, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.extend_from_slice(content.as_json().as_bytes());
        Ok(())
    }

    fn is_json(&self) -> bool {
        true
    }

    fn takes_everything(&self) -> bool {
        true
    }

    fn frame_format(&self) -> Option<FrameFormat> {
        Some(FrameFormat::Json)
    }
}

/// [MessagePack](https://github.com/msgpack/msgpack/blob/master/spec.md).
#[derive(Debug, Clone, Copy, Default)]
pub struct MessagePack;

impl Serializer for MessagePack {
    fn name(&self) -> &str {
        "msgpack"
    }

    fn serialize(&self, content: &Content, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let mut from = serde_json::Deserializer::from_str(content.as_json());
        serde_transcode::transcode(&mut from, &mut rmp_serde::Serializer::new(out))
            .map_err(|fault| EncodeError { serializer: self.name().to_owned(), detail: fault.to_string() })
    }

    fn takes_everything(&self) -> bool {
        // A number that has no form is refused where the content is made.
        true
    }

    fn frame_format(&self) -> Option<FrameFormat> {
        Some(FrameFormat::MessagePack)
    }
}

/// The two forms of the `frame` protocol's objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameFormat {
    /// JSON text.
    Json,
    /// MessagePack, with maps for objects.
    MessagePack,
}

impl FrameFormat {
    /// Appends `value`.
    ///
    /// # Errors
    /// [`EncodeError`] if the format has no form for it.
    pub fn write<T: Serialize>(self, value: &T, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let fault = |name: &str, detail: String| EncodeError { serializer: name.to_owned(), detail };
        match self {
            Self::Json => serde_json::to_writer(out, value).map_err(|e| fault("json", e.to_string())),
            Self::MessagePack => {
                // By way of JSON: a content is JSON text, which only a JSON writer can take over as it is.
                let json = serde_json::to_string(value).map_err(|e| fault("msgpack", e.to_string()))?;
                let mut from = serde_json::Deserializer::from_str(&json);
                serde_transcode::transcode(&mut from, &mut rmp_serde::Serializer::new(out))
                    .map_err(|e| fault("msgpack", e.to_string()))
            }
        }
    }

    /// Reads a value that fills `bytes`.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`] if it does not, or nests too deep.
    pub fn read<T: DeserializeOwned>(self, bytes: &[u8]) -> Result<T, DecodeError> {
        let malformed = |e: &dyn std::fmt::Display| DecodeError::Malformed(one_line(&e.to_string()));
        match self {
            Self::Json => serde_json::from_slice(bytes).map_err(|e| malformed(&e)),
            Self::MessagePack => {
                let mut from = rmp_serde::Deserializer::new(bytes);
                from.set_max_depth(128);
                let mut json = Vec::with_capacity(bytes.len());
                let mut to = serde_json::Serializer::with_formatter(&mut json, OneKindOfFloat);
                serde_transcode::transcode(&mut from, &mut to).map_err(|e| malformed(&e))?;
                serde_json::from_slice(&json).map_err(|e| malformed(&e))
            }
        }
    }
}

/// Writes a short float as the long one that has the same digits. JSON does not tell them apart, and the two have
/// other forms: what came as one would be another text after a round trip.
struct OneKindOfFloat;

impl serde_json::ser::Formatter for OneKindOfFloat {
    fn write_f32<W: io::Write + ?Sized>(&mut self, writer: &mut W, value: f32) -> io::Result<()> {
        let long = value.to_string().parse().map_err(io::Error::other)?;
        self.write_f64(writer, long)
    }
}

/// A fault may quote what the peer wrote, and goes into logs: it must not begin a line there, nor fill them.
fn one_line(fault: &str) -> String {
    const MOST: usize = 256;
    fault.chars().take(MOST).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messagepack_is_what_the_specification_says() {
        let mut out = Vec::new();
        let content = Content::from_json(r#"{"a":[1,-1,null,true,1.5,"é"]}"#).unwrap();
        MessagePack.serialize(&content, &mut out).unwrap();
        let expected = [
            &[0x81, 0xa1, b'a', 0x96, 0x01, 0xff, 0xc0, 0xc3, 0xcb][..],
            &1.5f64.to_be_bytes(),
            &[0xa2, 0xc3, 0xa9],
        ]
        .concat();
        assert_eq!(out, expected);
    }

    #[test]
    fn a_fault_that_quotes_the_peer_is_one_short_line() {
        let kind = format!("dance\\n\\u001b[31m{}", "x".repeat(100_000));
        let frame = format!(r#"{{"type":"{kind}"}}"#);
        let fault = FrameFormat::Json.read::<crate::ClientFrame>(frame.as_bytes()).unwrap_err().to_string();
        assert!(fault.contains("dance  [31mxxx") && fault.len() < 300, "{fault}");
    }

    #[test]
    fn a_short_float_is_the_same_text_after_a_round_trip() {
        for float in [0.1, 2.954_575_6e-6, f32::MAX, f32::MIN_POSITIVE, -0.0] {
            let read = |bytes: &[u8]| FrameFormat::MessagePack.read::<Content>(bytes).unwrap();
            let came = read(&[&[0xca][..], &f32::to_be_bytes(float)].concat());
            let mut out = Vec::new();
            MessagePack.serialize(&came, &mut out).unwrap();
            assert_eq!(read(&out), came);
            assert_eq!(came.as_json().parse::<f32>(), Ok(float));
        }
        assert_eq!(
            FrameFormat::MessagePack.read::<Content>(&[0xca, 0x3d, 0xcc, 0xcc, 0xcd]).unwrap().as_json(),
            "0.1"
        );
    }

    #[test]
    fn deep_messagepack_is_refused() {
        assert!(FrameFormat::MessagePack.read::<serde_json::Value>(&[0x91; 100_000]).is_err());
        assert!(FrameFormat::Json.read::<serde_json::Value>(&[b'['; 100_000]).is_err());
    }
}
