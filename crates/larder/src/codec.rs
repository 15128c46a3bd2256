//! How a keyspace's values become bytes, and values again.

use std::fmt;

use serde::{Serialize, de::DeserializeOwned};

/// Writes values of type `V` as bytes, and reads them again.
pub struct Codec<V> {
    name: &'static str,
    encode: fn(&V) -> Result<Vec<u8>, CodecError>,
    decode: fn(&[u8]) -> Result<V, CodecError>,
}

/// A value that could not be written, or bytes that are no value of this type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CodecError(String);

impl CodecError {
    /// With this reason. It must not quote the value, which may be a secret.
    #[must_use]
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl<V> Codec<V> {
    /// One of your own. `name` is part of the schema: entries of another codec are not read.
    #[must_use]
    pub const fn new(
        name: &'static str,
        encode: fn(&V) -> Result<Vec<u8>, CodecError>,
        decode: fn(&[u8]) -> Result<V, CodecError>,
    ) -> Self {
        Self {
            name,
            encode,
            decode,
        }
    }

    pub(crate) const fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn encode(&self, value: &V) -> Result<Vec<u8>, CodecError> {
        (self.encode)(value)
    }

    pub(crate) fn decode(&self, bytes: &[u8]) -> Result<V, CodecError> {
        (self.decode)(bytes)
    }
}

impl<V: Serialize + DeserializeOwned> Codec<V> {
    /// [Postcard](https://postcard.jamesmunns.com): small, fast, and not self-describing. The default.
    #[must_use]
    pub const fn postcard() -> Self {
        Self::new(
            "postcard",
            |value| {
                postcard::to_allocvec(value).map_err(|error| CodecError::new(error.to_string()))
            },
            |bytes| match postcard::take_from_bytes(bytes) {
                Ok((value, [])) => Ok(value),
                Ok(_) => Err(CodecError::new("bytes are left over")),
                Err(error) => Err(CodecError::new(error.to_string())),
            },
        )
    }

    /// JSON, where people or other programs read along.
    #[cfg(feature = "json")]
    #[must_use]
    pub const fn json() -> Self {
        /// Without the text that serde quotes from the value.
        fn error(error: &serde_json::Error) -> CodecError {
            let (line, column) = (error.line(), error.column());
            CodecError::new(format!(
                "{:?} error at line {line} column {column}",
                error.classify()
            ))
        }
        Self::new(
            "json",
            |value| serde_json::to_vec(value).map_err(|e| error(&e)),
            |bytes| serde_json::from_slice(bytes).map_err(|e| error(&e)),
        )
    }
}

impl Codec<Vec<u8>> {
    /// Bytes as they are: a chart, a PDF.
    #[must_use]
    pub const fn bytes() -> Self {
        Self::new(
            "bytes",
            |bytes| Ok(bytes.clone()),
            |bytes| Ok(bytes.to_vec()),
        )
    }
}

impl<V> Clone for Codec<V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Copy for Codec<V> {}

impl<V> fmt::Debug for Codec<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Codec").field(&self.name).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back<V: PartialEq + fmt::Debug>(codec: Codec<V>, value: &V) {
        let bytes = codec.encode(value).unwrap();
        assert_eq!(codec.decode(&bytes).as_ref(), Ok(value), "{codec:?}");
    }

    #[test]
    fn falsy_values_come_back() {
        there_and_back(Codec::postcard(), &false);
        there_and_back(Codec::postcard(), &0_u64);
        there_and_back(Codec::postcard(), &String::new());
        there_and_back(Codec::postcard(), &Vec::<String>::new());
        there_and_back(Codec::postcard(), &None::<String>);
        there_and_back(Codec::bytes(), &Vec::new());
    }

    #[test]
    fn bytes_of_another_type_are_refused() {
        let bytes = Codec::postcard().encode(&("a".to_owned(), 7_u64)).unwrap();
        assert!(Codec::<String>::postcard().decode(&bytes).is_err());
        assert!(
            Codec::<(String, u64, u64)>::postcard()
                .decode(&bytes)
                .is_err()
        );
    }

    #[cfg(feature = "json")]
    #[test]
    fn an_error_does_not_quote_the_value() {
        there_and_back(Codec::json(), &vec![0.1_f64]);
        let error = Codec::<u64>::json().decode(b"\"hunter2\"").unwrap_err();
        assert_eq!(error.to_string(), "Data error at line 1 column 9");
    }
}
