//! The two forms of an object.

use serde_json::Value;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Json,
    MessagePack,
}

impl Form {
    pub fn write(self, object: &Value) -> Vec<u8> {
        match self {
            Self::Json => serde_json::to_vec(object).unwrap(),
            Self::MessagePack => rmp_serde::to_vec(object).unwrap(),
        }
    }

    pub fn read(self, bytes: &[u8]) -> Value {
        match self {
            Self::Json => serde_json::from_slice(bytes).unwrap(),
            Self::MessagePack => rmp_serde::from_slice(bytes).unwrap(),
        }
    }
}
