//! Who signs releases: a minisign key, which stock tools make (`minisign -G`) and whose signatures stock tools verify.

use std::{fmt, io::Cursor};

use minisign::{KeyPair, PublicKey, SecretKey, SecretKeyBox, SignatureBox};
use secrecy::{ExposeSecret as _, SecretString};

/// No key file is longer.
pub const MAX_KEY_FILE: u64 = 16 * 1024;
/// Where a key's password is: never in arguments, which every process of the machine can read.
pub const PASSWORD: &str = "MINISIGN_PASSWORD";

/// A key that signs. It cannot be printed.
pub struct Signer {
    public: PublicKey,
    secret: SecretKey,
}

/// Something could not be signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// The key has a password, which is not known; or it is no key at all.
    #[error(
        "it is encrypted, or no minisign secret key: set {PASSWORD} to its password, and give the file that `minisign -G` wrote"
    )]
    Locked,
    /// With that password it is none.
    #[error("it cannot be opened with the password in {PASSWORD}: {0}")]
    Password(String),
    /// The signing itself failed.
    #[error("nothing could be signed: {0}")]
    Failed(String),
}

impl Signer {
    /// A new key, for development: it lives as long as this value.
    pub fn generate() -> Result<Self, SignError> {
        let keys = KeyPair::generate_unencrypted_keypair();
        let KeyPair { pk, sk } = keys.map_err(|error| SignError::Failed(error.to_string()))?;
        Ok(Self {
            public: pk,
            secret: sk,
        })
    }

    /// The key in the text of a key file, with its password if it has one. With a password this takes seconds, and much
    /// memory, which is what makes guessing dear.
    pub fn from_key_file(text: &str, password: Option<&SecretString>) -> Result<Self, SignError> {
        let boxed = || SecretKeyBox::from(text.to_owned());
        // Asked for a password on the terminal, a pipeline would hang: it is given, or not needed.
        let secret = match (boxed().into_unencrypted_secret_key(), password) {
            (Ok(secret), _) => secret,
            (Err(_), None) => return Err(SignError::Locked),
            (Err(_), Some(password)) => {
                let password = password.expose_secret().to_owned();
                let opened = boxed().into_secret_key(Some(password));
                opened.map_err(|error| SignError::Password(error.to_string()))?
            }
        };
        let public = PublicKey::from_secret_key(&secret);
        let public = public.map_err(|error| SignError::Failed(error.to_string()))?;
        Ok(Self { public, secret })
    }

    /// The key that verifies what this one signs, for `TRUSTED_KEYS`.
    #[must_use]
    pub fn public_key(&self) -> String {
        self.public.to_base64()
    }

    /// A minisign signature over `text`.
    pub fn sign(&self, text: &str) -> Result<String, SignError> {
        let public = Some(&self.public);
        let signature = minisign::sign(public, &self.secret, text.as_bytes(), None, None);
        let signature = signature.map_err(|error| SignError::Failed(error.to_string()))?;
        Ok(signature.into_string())
    }

    /// Whether `signature` over `text` is by this key.
    #[must_use]
    pub fn has_signed(&self, text: &str, signature: &str) -> bool {
        let Ok(signature) = SignatureBox::from_string(signature) else {
            return false;
        };
        let text = Cursor::new(text.as_bytes());
        minisign::verify(&self.public, &signature, text, true, false, false).is_ok()
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut signer = f.debug_struct("Signer");
        signer
            .field("public", &self.public_key())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_is_by_this_key_alone() {
        let [signer, other] = [(); 2].map(|()| Signer::generate().unwrap());
        let signature = signer.sign("text").unwrap();
        assert!(signer.has_signed("text", &signature));
        assert!(!signer.has_signed("Text", &signature));
        assert!(!other.has_signed("text", &signature));
        assert!(!signer.has_signed("text", "no signature"));
    }

    /// Made for this test, with the password `hunter2`.
    const ENCRYPTED: &str = "untrusted comment: rsign encrypted secret key\n\
        RWRTY0Iyk/J5b5Zkih8yoaNqhHC8aFv0cNI8AfuLEJO8gEfciusAABAAAAAAAAAAAAIAAAAA7WcTGJ5udFEkYiotecjgFajnWbMgrajIw3\
        CdNZTBbHWxHA3So38NeTk2Kn5oj4gkbHZOWpncWdRDE6vw9J37IFvqsvkTu6VEPWsQGuyIyqefSInN0bdG54fEe19K/B4Bpd6GrpFa2yY=\n";

    #[test]
    fn a_password_opens_a_key_that_has_one() {
        let password = SecretString::from("hunter2");
        let signer = Signer::from_key_file(ENCRYPTED, Some(&password)).unwrap();
        assert_eq!(
            signer.public_key(),
            "RWSoaH0xII/JJBrbOH2m5UmF2bEMpKEUEk8QVxhnZoQzspGjJeic42Rl"
        );
        let wrong = SecretString::from("hunter3");
        let told = Signer::from_key_file(ENCRYPTED, Some(&wrong)).unwrap_err();
        assert!(!told.to_string().contains("hunter3"), "{told}");
    }

    #[test]
    fn a_key_file_is_opened_and_what_is_none_says_so_without_showing_it() {
        let keys = KeyPair::generate_unencrypted_keypair().unwrap();
        let file = keys.sk.to_box(None).unwrap().into_string();
        let signer = Signer::from_key_file(&file, None).unwrap();
        assert_eq!(signer.public_key(), keys.pk.to_base64());
        assert!(!format!("{signer:?}").contains(file.lines().nth(1).unwrap()));
        for text in [ENCRYPTED, "not a key", ""] {
            let told = Signer::from_key_file(text, None).unwrap_err().to_string();
            assert!(told.contains(PASSWORD), "{told}");
            assert!(!told.contains("RWRTY0Iy"), "{told}");
        }
    }
}
