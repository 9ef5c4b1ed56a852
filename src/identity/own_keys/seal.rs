//! Provider keys and other secrets of accounts at rest: AES-256-GCM (NIST SP 800-38D) under a master key of the deployment.
//!
//! A sealed text is `<master key's id>.<base64 of nonce, ciphertext and tag>`. The nonce is random, so one master key is good
//! for some 2^32 sealings. The additional data binds the text to the credential's account, provider and id and to the master
//! key's id: a row that is moved to another account, provider or id does not open.
//! Out of scope: where sealed texts are kept, and where the master keys come from.

use std::fmt;

use aes_gcm::{
    Aes256Gcm,
    aead::{AeadInOut, KeyInit},
};
use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use sha2::{Digest, Sha256};

use crate::identity::keys::hex;

const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
const KEY_BYTES: usize = 32;
/// Bytes of a digest that name a master key: it is random, so its digest tells nothing of it.
const ID_BYTES: usize = 8;

/// Base64 as `openssl rand -base64 32` writes it, with or without its padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a sealed text belongs to.
#[derive(Debug, Clone, Copy)]
pub struct Binding<'a> {
    /// The account.
    pub account: &'a str,
    /// The provider's slug.
    pub provider: &'a str,
    /// The credential's id.
    pub id: &'a str,
}

impl Binding<'_> {
    fn bound(&self) -> Bound<'_> {
        Bound {
            kind: "patchbay own key 1",
            parts: [self.account, self.provider, self.id],
        }
    }
}

/// What a text of another kind belongs to: nothing sealed as one kind opens as another.
#[derive(Debug, Clone, Copy)]
pub struct Bound<'a> {
    /// What the text is, with a version.
    pub kind: &'static str,
    /// Whose it is, and which one.
    pub parts: [&'a str; 3],
}

impl Bound<'_> {
    /// Each part after its length: no two bindings are spelt alike.
    fn additional_data(&self, master: &str) -> Vec<u8> {
        let mut data = Vec::new();
        for part in [self.kind, master].iter().chain(&self.parts) {
            data.extend_from_slice(&(part.len() as u64).to_be_bytes());
            data.extend_from_slice(part.as_bytes());
        }
        data
    }
}

/// Why a sealed text does not open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpenError {
    /// The deployment has no master key.
    NoMaster,
    /// It is no sealed text.
    Malformed,
    /// It was sealed under a master key that the deployment does not have.
    UnknownMaster(String),
    /// It was changed, or belongs to something else.
    Refused,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMaster => f.write_str("the secret BYOK_MASTER_KEY is not set"),
            Self::Malformed => f.write_str("it is no sealed key"),
            Self::UnknownMaster(id) => write!(f, "the master key {id} is not set"),
            Self::Refused => f.write_str("it was changed or belongs elsewhere"),
        }
    }
}

impl std::error::Error for OpenError {}

struct Master {
    id: String,
    cipher: Aes256Gcm,
}

/// The deployment's master keys: the one that seals, and former ones that only open.
pub struct Keyring {
    current: Master,
    former: Vec<Master>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring")
            .field("current", &self.current.id)
            .finish_non_exhaustive()
    }
}

impl Keyring {
    /// Reads the master key, and former ones with commas between them: each 32 bytes in base64.
    ///
    /// # Errors
    /// A sentence that says which is malformed and quotes nothing of it.
    pub fn read(current: &str, former: Option<&str>) -> Result<Self, String> {
        let former = former.unwrap_or_default().split(',').map(str::trim);
        Ok(Self {
            current: master(current)
                .ok_or("the secret BYOK_MASTER_KEY is not the base64 of 32 bytes")?,
            former: former
                .filter(|text| !text.is_empty())
                .map(master)
                .collect::<Option<_>>()
                .ok_or("the secret BYOK_MASTER_KEY_PREVIOUS is not the base64 of 32 bytes")?,
        })
    }

    /// The id of the master key that seals.
    pub fn current(&self) -> &str {
        &self.current.id
    }

    /// Seals a secret. `random` must be fresh: its first 12 bytes are the nonce.
    ///
    /// # Errors
    /// When the secret is longer than the cipher takes (64 GiB).
    pub fn seal(
        &self,
        random: &[u8; 32],
        binding: &Binding<'_>,
        secret: &str,
    ) -> Result<String, OpenError> {
        self.seal_bound(random, &binding.bound(), secret)
    }

    /// Seals a text of another kind. `random` must be fresh: its first 12 bytes are the nonce.
    ///
    /// # Errors
    /// When the text is longer than the cipher takes (64 GiB).
    pub fn seal_bound(
        &self,
        random: &[u8; 32],
        bound: &Bound<'_>,
        secret: &str,
    ) -> Result<String, OpenError> {
        let Master { id, cipher } = &self.current;
        let nonce: [u8; NONCE_BYTES] =
            std::array::from_fn(|at| random.get(at).copied().unwrap_or_default());
        let mut text = secret.as_bytes().to_vec();
        let tag = cipher
            .encrypt_inout_detached(
                &nonce.into(),
                &bound.additional_data(id),
                text.as_mut_slice().into(),
            )
            .map_err(|_| OpenError::Refused)?;
        let sealed = [nonce.as_slice(), &text, &tag].concat();
        Ok(format!("{id}.{}", BASE64.encode(sealed)))
    }

    /// Opens what [`Keyring::seal`] made for the same binding, under the current or a former master key.
    ///
    /// # Errors
    /// When it was made for another binding, under another master key, or was changed.
    pub fn open(&self, binding: &Binding<'_>, sealed: &str) -> Result<String, OpenError> {
        self.open_bound(&binding.bound(), sealed)
    }

    /// Opens what [`Keyring::seal_bound`] made for the same binding, under the current or a former master key.
    ///
    /// # Errors
    /// As [`Keyring::open`].
    pub fn open_bound(&self, bound: &Bound<'_>, sealed: &str) -> Result<String, OpenError> {
        let (id, text) = sealed.split_once('.').ok_or(OpenError::Malformed)?;
        let mut masters = std::iter::once(&self.current).chain(&self.former);
        let master = masters
            .find(|master| master.id == id)
            .ok_or_else(|| OpenError::UnknownMaster(id.to_owned()))?;
        let mut bytes = BASE64.decode(text).map_err(|_| OpenError::Malformed)?;
        let (nonce, rest) = bytes
            .split_first_chunk_mut::<NONCE_BYTES>()
            .ok_or(OpenError::Malformed)?;
        let (text, tag) = rest
            .split_last_chunk_mut::<TAG_BYTES>()
            .ok_or(OpenError::Malformed)?;
        master
            .cipher
            .decrypt_inout_detached(
                &(*nonce).into(),
                &bound.additional_data(id),
                (&mut *text).into(),
                &(*tag).into(),
            )
            .map_err(|_| OpenError::Refused)?;
        String::from_utf8(text.to_vec()).map_err(|_| OpenError::Refused)
    }
}

fn master(text: &str) -> Option<Master> {
    let key: [u8; KEY_BYTES] = BASE64.decode(text.trim()).ok()?.try_into().ok()?;
    let digest = Sha256::new()
        .chain_update("patchbay master key 1")
        .chain_update(key)
        .finalize();
    Some(Master {
        id: hex(digest.first_chunk::<ID_BYTES>()?),
        cipher: Aes256Gcm::new(&key.into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const NEW: &str = "//////////////////////////////////////////8=";
    const RANDOM: [u8; 32] = [7; 32];

    fn binding() -> Binding<'static> {
        Binding {
            account: "acc_1",
            provider: "openai",
            id: "7f0c",
        }
    }

    fn ring(current: &str, former: Option<&str>) -> Keyring {
        Keyring::read(current, former).unwrap()
    }

    // Test case 16 of the GCM specification (McGrew and Viega): 256-bit key, 96-bit nonce, additional data.
    #[test]
    fn the_cipher_gives_the_published_answer() {
        let bytes = |hex: &str| -> Vec<u8> {
            let digits: Vec<u8> = hex
                .bytes()
                .map(|d| (d as char).to_digit(16).unwrap() as u8)
                .collect();
            digits
                .chunks(2)
                .map(|pair| pair[0] << 4 | pair[1])
                .collect()
        };
        let key = bytes("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
        let nonce: [u8; 12] = bytes("cafebabefacedbaddecaf888").try_into().unwrap();
        let mut text = bytes(
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
        );
        let data = bytes("feedfacedeadbeeffeedfacedeadbeefabaddad2");
        let key: [u8; 32] = key.try_into().unwrap();
        let tag = Aes256Gcm::new(&key.into())
            .encrypt_inout_detached(&nonce.into(), &data, text.as_mut_slice().into())
            .unwrap();
        assert_eq!(
            hex(&text),
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
        );
        assert_eq!(hex(&tag), "76fc6ece0f4e1768cddf8853bb2d551b");
    }

    #[test]
    fn a_sealed_text_has_one_spelling_and_opens_again() {
        let ring = ring(OLD, None);
        let sealed = ring.seal(&RANDOM, &binding(), "sk-secret").unwrap();
        assert_eq!(sealed, KNOWN);
        assert_eq!(ring.open(&binding(), &sealed).unwrap(), "sk-secret");
        assert!(sealed.starts_with(ring.current()));
        let other = ring.seal(&[8; 32], &binding(), "sk-secret").unwrap();
        assert_ne!(sealed, other, "another nonce");
    }

    /// OpenSSL agrees. Were it to change, rows sealed by earlier versions would no longer open.
    const KNOWN: &str = "2d7017981d0e0dd0.BwcHBwcHBwcHBwcHfAGLLwpspZGyn0F346zemifB1nTjfl873g==";

    #[test]
    fn what_is_moved_or_changed_does_not_open() {
        let ring = ring(OLD, None);
        let sealed = ring.seal(&RANDOM, &binding(), "sk-secret").unwrap();
        let own = binding();
        for (account, provider, id) in [
            ("acc_2", own.provider, own.id),
            (own.account, "anthropic", own.id),
            (own.account, own.provider, "7f0d"),
            // The same letters, cut elsewhere.
            ("acc_1o", "penai", own.id),
        ] {
            let elsewhere = Binding {
                account,
                provider,
                id,
            };
            assert_eq!(ring.open(&elsewhere, &sealed), Err(OpenError::Refused));
        }
        let (id, text) = sealed.split_once('.').unwrap();
        let bytes = BASE64.decode(text).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let changed = format!("{id}.{}", BASE64.encode(changed));
            assert_eq!(ring.open(&own, &changed), Err(OpenError::Refused), "{at}");
        }
        for cut in [
            "",
            ".",
            id,
            "a.b",
            &format!("{id}.AAAA"),
            &format!("{id}.!"),
        ] {
            assert!(ring.open(&own, cut).is_err(), "{cut}");
        }
    }

    #[test]
    fn a_master_key_is_replaced_without_losing_what_it_sealed() {
        let sealed = ring(OLD, None)
            .seal(&RANDOM, &binding(), "sk-secret")
            .unwrap();
        let rotated = ring(NEW, Some(&format!("{NEW}, {OLD}")));
        assert_eq!(rotated.open(&binding(), &sealed).unwrap(), "sk-secret");
        let again = rotated.seal(&RANDOM, &binding(), "sk-secret").unwrap();
        let new = ring(NEW, None);
        assert_eq!(new.open(&binding(), &again).unwrap(), "sk-secret");
        let old = ring(OLD, None).current().to_owned();
        assert_eq!(
            new.open(&binding(), &sealed),
            Err(OpenError::UnknownMaster(old.clone()))
        );
        // Under the right id, yet with another key.
        let forged = again.replace(new.current(), &old);
        assert_eq!(rotated.open(&binding(), &forged), Err(OpenError::Refused));
    }

    #[test]
    fn a_master_key_is_32_bytes_and_is_never_quoted() {
        assert!(Keyring::read(&format!(" {} ", OLD.trim_end_matches('=')), Some("")).is_ok());
        for (current, former) in [
            ("", None),
            ("c2hvcnQ=", None),
            (OLD, Some("c2hvcnQ=")),
            ("no base64!", None),
        ] {
            let error = Keyring::read(current, former).unwrap_err();
            assert!(
                error.contains("BYOK_MASTER_KEY") && !error.contains("c2hvcnQ"),
                "{error}"
            );
        }
        let printed = format!("{:?}", ring(OLD, None));
        assert!(
            !printed.contains("AAEC") && !printed.contains("cipher"),
            "{printed}"
        );
    }
}
