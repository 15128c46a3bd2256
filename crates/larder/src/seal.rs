//! Encryption of what leaves the process: XChaCha20-Poly1305, with a random nonce each time.
//!
//! A sealed payload is the nonce, 24 bytes, and the ciphertext with its tag. The entry's key, which holds its
//! schema, its deadlines and its `ETag` are authenticated with it. So whoever may write into a tier can neither
//! read a secret, nor make one, nor put it in another's place, nor lengthen its life; to bring back an older entry whole,
//! while that lives, is all that is left.

use std::fmt;

use chacha20poly1305::{
    AeadCore as _, KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, OsRng, Payload},
};

use crate::frame::Frame;

const NONCE: usize = 24;

/// The key that sealed keyspaces are encrypted with. It cannot be printed.
#[derive(Clone)]
pub struct SealingKey(XChaCha20Poly1305);

impl SealingKey {
    /// Of 32 random bytes, which all processes share: from Secrets Manager, or an SSM `SecureString`.
    #[must_use]
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self(XChaCha20Poly1305::new(bytes.into()))
    }

    /// `payload`, sealed and bound to what else is there; `None` if it is too large to be.
    pub(crate) fn seal(&self, payload: &[u8], bound_to: &[u8]) -> Option<Vec<u8>> {
        let nonce = XChaCha20Poly1305::generate_nonce(&mut OsRng);
        let payload = Payload {
            msg: payload,
            aad: bound_to,
        };
        let ciphertext = self.0.encrypt(&nonce, payload).ok()?;
        let mut sealed = Vec::with_capacity(NONCE + ciphertext.len());
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&ciphertext);
        Some(sealed)
    }

    /// What was sealed with this key and bound to the same.
    pub(crate) fn open(&self, sealed: &[u8], bound_to: &[u8]) -> Option<Vec<u8>> {
        let (nonce, ciphertext) = sealed.split_at_checked(NONCE)?;
        let payload = Payload {
            msg: ciphertext,
            aad: bound_to,
        };
        self.0.decrypt(XNonce::from_slice(nonce), payload).ok()
    }
}

/// What a sealed payload is bound to: it opens at no other key, and with no other life.
pub(crate) fn bound_to(frame: &Frame<'_>, text: &str) -> Vec<u8> {
    let mut bound = text.as_bytes().to_vec();
    for time in frame.life.times() {
        bound.extend_from_slice(&time.get().to_le_bytes());
    }
    bound.push(u8::from(frame.life.negative));
    bound.extend_from_slice(frame.etag.unwrap_or_default().as_bytes());
    bound
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_with_its_key_for_its_entry_alone() {
        let (key, other) = (SealingKey::new(&[7; 32]), SealingKey::new(&[8; 32]));
        let sealed = key.seal(b"token", b"app:tokens:1").unwrap();
        assert_eq!(
            key.open(&sealed, b"app:tokens:1").as_deref(),
            Some(&b"token"[..])
        );
        assert_eq!(
            key.open(&sealed, b"app:tokens:2"),
            None,
            "in another's place"
        );
        assert_eq!(other.open(&sealed, b"app:tokens:1"), None);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(key.open(&changed, b"app:tokens:1"), None, "byte {at}");
        }
        assert_eq!(key.open(&sealed[..20], b"app:tokens:1"), None);
        assert_ne!(
            key.seal(b"token", b"app:tokens:1").unwrap(),
            sealed,
            "never the same"
        );
        assert!(!sealed.windows(5).any(|bytes| bytes == b"token"));
    }
}
