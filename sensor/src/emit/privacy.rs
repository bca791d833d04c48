//! How names of people are written: as they are, as a keyed hash, or not at all.
//!
//! A hash is the first eight bytes of SipHash-2-4-128 under the configured key, as `h:` and 16 hexadecimal digits: equal
//! values stay equal within one key, so they can be counted and joined, and nobody without the key can tell by trying
//! which value it was. ASCII letters are folded before, so that one mailbox has one hash.

use siphasher::sip128::SipHasher24;

use super::id::PUBLISHED_KEY;
use super::write;

/// What is done with one kind of value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Written as it is.
    #[default]
    Clear,
    /// Written as a keyed hash.
    Hash,
    /// Not written.
    Drop,
}

impl Mode {
    /// All, with their words.
    pub const ALL: [(Self, &'static str); 3] =
        [(Self::Clear, "clear"), (Self::Hash, "hash"), (Self::Drop, "drop")];

    /// As written in lines and configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Clear => "clear",
            Self::Hash => "hash",
            Self::Drop => "drop",
        }
    }
}

/// What one output does with names of people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Privacy {
    /// Mail addresses as a whole, and the header fields that consist of them.
    pub addresses: Mode,
    /// The part of an address before the `@`; the domain stays. Where both apply, the stricter one does.
    pub local_parts: Mode,
    /// Subjects, and Message-IDs beside them, which often hold the address or the host of a person.
    pub subjects: Mode,
}

impl Privacy {
    /// The same for all kinds.
    pub const fn all(mode: Mode) -> Self {
        Self { addresses: mode, local_parts: mode, subjects: mode }
    }

    /// Whether nothing is hidden.
    pub fn is_clear(&self) -> bool {
        *self == Self::default()
    }
}

/// The key of ids and hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    bytes: [u8; 16],
    configured: bool,
}

impl Default for Key {
    /// The published one.
    fn default() -> Self {
        Self { bytes: PUBLISHED_KEY, configured: false }
    }
}

impl Key {
    /// A key of the operator's.
    pub const fn configured(bytes: [u8; 16]) -> Self {
        Self { bytes, configured: true }
    }

    /// Its bytes.
    pub const fn bytes(&self) -> &[u8; 16] {
        &self.bytes
    }

    /// Whether it is the operator's, not the published one.
    pub const fn is_configured(&self) -> bool {
        self.configured
    }
}

/// Appends the hash of a value.
fn hashed(out: &mut Vec<u8>, key: &Key, value: &[u8]) {
    let digest =
        SipHasher24::new_with_key(key.bytes()).hash(&value.to_ascii_lowercase()).as_bytes();
    out.extend_from_slice(b"h:");
    write::hex(out, &digest[..8]);
}

/// `value` as `mode` wants it; `None` where it is not to be written.
pub(super) fn whole<'a>(
    mode: Mode,
    key: &Key,
    value: &'a [u8],
    scratch: &'a mut Vec<u8>,
) -> Option<&'a [u8]> {
    match mode {
        Mode::Clear => Some(value),
        Mode::Drop => None,
        Mode::Hash => {
            scratch.clear();
            hashed(scratch, key, value);
            Some(scratch)
        }
    }
}

impl Privacy {
    /// An address as this wants it; `None` where it is not to be written. The null sender is nobody's and stays.
    pub(super) fn address<'a>(
        &self,
        key: &Key,
        value: &'a [u8],
        scratch: &'a mut Vec<u8>,
    ) -> Option<&'a [u8]> {
        if self.addresses != Mode::Clear {
            return whole(self.addresses, key, value, scratch);
        }
        if self.local_parts == Mode::Clear {
            return Some(value);
        }
        let (local, domain) = match value.iter().rposition(|b| *b == b'@') {
            Some(at) => value.split_at(at),
            None => (value, &b""[..]),
        };
        scratch.clear();
        if self.local_parts == Mode::Hash {
            hashed(scratch, key, local);
        }
        scratch.extend_from_slice(domain);
        if scratch.is_empty() { None } else { Some(scratch) }
    }

    /// A text that may hold addresses among other things: header fields, bytes of the dialogue.
    pub(super) fn mixed<'a>(
        &self,
        key: &Key,
        value: &'a [u8],
        scratch: &'a mut Vec<u8>,
    ) -> Option<&'a [u8]> {
        let mode = match (self.addresses, self.local_parts) {
            (Mode::Drop, _) | (_, Mode::Drop) => Mode::Drop,
            (Mode::Hash, _) | (_, Mode::Hash) => Mode::Hash,
            (Mode::Clear, Mode::Clear) => Mode::Clear,
        };
        whole(mode, key, value, scratch)
    }

    /// A value that is an address only where it holds an `@`, like the argument of HELO or a piece of evidence.
    pub(super) fn perhaps<'a>(
        &self,
        key: &Key,
        value: &'a [u8],
        scratch: &'a mut Vec<u8>,
    ) -> Option<&'a [u8]> {
        if value.contains(&b'@') { self.mixed(key, value, scratch) } else { Some(value) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mode_does_what_it_says() {
        use Mode::{Clear, Drop, Hash};
        let key = Key::default();
        let mut scratch = Vec::new();
        let mut address = |addresses, local_parts, value: &str| {
            Privacy { addresses, local_parts, subjects: Clear }
                .address(&key, value.as_bytes(), &mut scratch)
                .map(|b| String::from_utf8(b.to_vec()).unwrap())
        };

        assert_eq!(address(Clear, Clear, "a@b.c").as_deref(), Some("a@b.c"));
        assert_eq!(address(Clear, Drop, "a@b.c").as_deref(), Some("@b.c"));
        assert_eq!(address(Clear, Drop, "postmaster"), None);
        assert_eq!(address(Drop, Clear, "a@b.c"), None);
        assert_eq!(address(Drop, Hash, "a@b.c"), None);
        let hashed = address(Clear, Hash, "a@b.c").unwrap();
        assert!(
            hashed.starts_with("h:") && hashed.ends_with("@b.c") && hashed.len() == 2 + 16 + 4,
            "{hashed}"
        );
        assert_eq!(address(Clear, Hash, "A@b.c"), Some(hashed));
        let whole = address(Hash, Clear, "a@b.c").unwrap();
        assert_eq!(whole.len(), 18);
        assert_eq!(address(Hash, Drop, "A@B.c"), Some(whole.clone()));
        assert_ne!(address(Hash, Drop, "b@b.c"), Some(whole));
    }

    #[test]
    fn another_key_is_another_hash() {
        let (mut a, mut b) = (Vec::new(), Vec::new());
        hashed(&mut a, &Key::default(), b"x");
        hashed(&mut b, &Key::configured([1; 16]), b"x");
        assert_ne!(a, b);
    }
}
