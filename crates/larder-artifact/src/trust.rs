//! Whom to believe: minisign keys, and what a signature must cover.
//!
//! A checksum beside the binary on the same CDN proves the transport, not the origin: whoever can
//! change one can change both. So metadata may carry `signed`, the exact JSON text that was signed,
//! and `sig`, a minisign signature of those bytes, which stock tools can make. Format:
//! <https://jedisct1.github.io/minisign/>.

use minisign_verify::{PublicKey, Signature};
use serde::{Deserialize, Serialize};

/// The keys to believe, and whether to believe anything without one.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    keys: Vec<PublicKey>,
    required: bool,
    min_epoch: u64,
}

/// A text that is not a minisign public key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a minisign public key: the line of a .pub file that begins with RW")]
pub struct InvalidKey {
    text: String,
}

impl Trust {
    /// Believes metadata that any one of `keys` signed (minisign's base64 form, `RW…`); two let one
    /// be rotated. With `required`, nothing else is believed. Without it, metadata that carries no
    /// signature at all is, yet a signature that is there has to be right. Epochs under `min_epoch`
    /// are refused as rolled back.
    pub fn new<'a>(
        keys: impl IntoIterator<Item = &'a str>,
        required: bool,
        min_epoch: u64,
    ) -> Result<Self, InvalidKey> {
        let keys = keys
            .into_iter()
            .map(|text| {
                PublicKey::from_base64(text).map_err(|_| InvalidKey {
                    text: text.to_owned(),
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            keys,
            required,
            min_epoch,
        })
    }

    /// Whether unsigned metadata is refused.
    pub(crate) fn required(&self) -> bool {
        self.required
    }

    /// The lowest epoch that the configuration accepts.
    pub(crate) fn min_epoch(&self) -> u64 {
        self.min_epoch
    }

    /// Whether there is a key to verify with.
    pub(crate) fn has_keys(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Whether one of the keys signed `proof`.
    pub(crate) fn verify(&self, proof: &Proof) -> bool {
        let Ok(signature) = Signature::decode(&proof.sig) else {
            return false;
        };
        // Signatures of minisign's legacy form (not pre-hashed) are refused: no tool has made them
        // by default since 2020.
        self.keys.iter().any(|key| {
            key.verify(proof.signed.as_bytes(), &signature, false)
                .is_ok()
        })
    }
}

/// A text and the signature over it, kept as they came so that they can be verified again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Proof {
    pub(crate) signed: String,
    pub(crate) sig: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of minisign-verify's own documentation: a key and its pre-hashed signature of
    /// "test".
    const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
    const OTHER_KEY: &str = "RWQf6LRCGA9i59SLOFxz6NxvASXDJeRtuZykwQepbDEGt87ig1BNpWaV";
    const SIG: &str = "untrusted comment: signature from minisign secret key\n\
        RUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=\n\
        trusted comment: timestamp:1633700835\tfile:test\tprehashed\n\
        wLMDjy9FLAuxZ3q4NlEvkgtyhrr0gtTu6KC4KBJdITbbOeAi1zBIYo0v4iTgt8jJpIidRJnp94ABQkJAgAooBQ==";

    fn proof(signed: &str) -> Proof {
        Proof {
            signed: signed.to_owned(),
            sig: SIG.to_owned(),
        }
    }

    #[test]
    fn any_one_of_the_keys_will_do() {
        assert!(Trust::new([KEY], true, 0).unwrap().verify(&proof("test")));
        assert!(
            Trust::new([OTHER_KEY, KEY], true, 0)
                .unwrap()
                .verify(&proof("test"))
        );
        assert!(
            !Trust::new([OTHER_KEY], true, 0)
                .unwrap()
                .verify(&proof("test"))
        );
        assert!(!Trust::new([], true, 0).unwrap().verify(&proof("test")));
    }

    #[test]
    fn one_changed_byte_is_enough_to_refuse() {
        let trust = Trust::new([KEY], true, 0).unwrap();
        assert!(!trust.verify(&proof("Test")));
        assert!(!trust.verify(&Proof {
            signed: "test".to_owned(),
            sig: SIG.replace("wLMD", "wLMd")
        }));
        assert!(!trust.verify(&Proof {
            signed: "test".to_owned(),
            sig: "no signature".to_owned()
        }));
    }

    #[test]
    fn a_key_that_is_none_is_named() {
        assert!(
            Trust::new(["RWnonsense"], false, 0)
                .unwrap_err()
                .to_string()
                .contains("RWnonsense")
        );
    }
}
