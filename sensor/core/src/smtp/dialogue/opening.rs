//! What may come before SMTP, or instead of it: a PROXY header, TLS; and the first bytes of a client, kept as evidence.

use super::super::line::Piece;
use crate::base::Text;

/// Bytes of the client that are kept.
const FIRST_BYTES: usize = 100;

/// Keeps the first bytes of a client, up to a secret, a gap or a message's content.
#[derive(Debug, Default)]
pub(super) struct FirstBytes {
    /// Nothing more is kept.
    over: bool,
    /// So many letters of AUTH were read at the beginning of this line; `None`: it is another line.
    matched: Option<usize>,
    /// A line was begun.
    in_line: bool,
}

impl FirstBytes {
    /// Nothing more is kept.
    pub(super) fn end(&mut self) {
        self.over = true;
    }

    pub(super) fn keep(&mut self, bytes: &[u8], kept: &mut Text) {
        if self.over {
            return;
        }
        let room = FIRST_BYTES.saturating_sub(kept.as_bytes().len());
        let mut rest = bytes.get(..room.min(bytes.len())).unwrap_or_default();
        while let Some((&byte, behind)) = rest.split_first() {
            if self.in_line && self.matched.is_none() {
                // A line that does not say AUTH is kept to its end in one go.
                let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
                let (line, behind) = rest.split_at_checked(end).unwrap_or((rest, &[]));
                kept.push(line, FIRST_BYTES);
                rest = behind;
                self.in_line = rest.is_empty();
                continue;
            }
            kept.push(&[byte], FIRST_BYTES);
            rest = behind;
            if self.is_auth(byte) {
                self.over = true;
                return;
            }
        }
        self.over = kept.as_bytes().len() >= FIRST_BYTES;
    }

    /// Whether the line so far says AUTH: what follows may be a secret.
    fn is_auth(&mut self, byte: u8) -> bool {
        const AUTH: &[u8] = b"AUTH";
        if byte == b'\n' {
            self.in_line = false;
            return false;
        }
        if !self.in_line {
            if byte.is_ascii_whitespace() {
                return false;
            }
            self.in_line = true;
            self.matched = Some(0);
        }
        self.matched = match self.matched {
            Some(n) if AUTH.get(n) == Some(&byte.to_ascii_uppercase()) => n.checked_add(1),
            _ => None,
        };
        self.matched == Some(AUTH.len())
    }
}

/// What the first bytes of a line say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TlsLook {
    /// A TLS record.
    Yes,
    /// Something else.
    No,
    /// Too few bytes to tell.
    More,
}

/// Looks for a TLS record header (RFC 8446 section 5.1): a type, 3, a minor version up to 4. Where the beginning of the
/// TLS connection may have been missed, any type of record will do, otherwise only the handshake.
pub(super) fn tls(kept: &[u8], fresh: &[u8], any_type: bool) -> TlsLook {
    let mut bytes = kept.iter().chain(fresh).copied();
    let Some(kind) = bytes.next() else { return TlsLook::More };
    if !(kind == 22 || any_type && (20..=23).contains(&kind)) {
        return TlsLook::No;
    }
    match (bytes.next(), bytes.next()) {
        (Some(3), Some(0..=4)) => TlsLook::Yes,
        (Some(3) | None, None) => TlsLook::More,
        _ => TlsLook::No,
    }
}

/// Whether no text line holds this byte.
pub(super) fn is_binary(byte: u8) -> bool {
    !matches!(byte, b'\t' | b'\r' | b'\n' | 32..=126)
}

/// Where the search for a PROXY header stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proxy {
    /// So many bytes of a signature were read.
    Signature {
        /// The binary one, or else the text one.
        binary: bool,
        /// Bytes read.
        read: usize,
    },
    /// The rest of the text form's line, of which so many bytes were read.
    Line(usize),
    /// The four bytes behind the binary signature: so many were read, and the length as far as they told.
    Header(usize, u16),
    /// So many bytes of the binary form are left.
    Addresses(u16),
}

/// What a piece did to the search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProxyEnd {
    /// The piece was used up.
    More,
    /// A header ended.
    Found,
    /// There is none; these bytes had been taken for one.
    Not(&'static [u8]),
}

const TEXT: &[u8] = b"PROXY ";
const BINARY: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// The longest text header (PROXY protocol specification, section 2.1).
const LINE: usize = 107;

impl Default for Proxy {
    fn default() -> Self {
        Self::Signature { binary: false, read: 0 }
    }
}

impl Proxy {
    /// Reads on.
    pub(super) fn read(&mut self, piece: &mut Piece<'_>) -> ProxyEnd {
        while let Some(&byte) = piece.bytes.first() {
            match *self {
                Self::Signature { binary, read } => {
                    let binary = if read == 0 { byte == b'\r' } else { binary };
                    let signature = if binary { BINARY } else { TEXT };
                    if signature.get(read) != Some(&byte) {
                        return ProxyEnd::Not(signature.get(..read).unwrap_or_default());
                    }
                    let read = read.saturating_add(1);
                    *self = match read == signature.len() {
                        false => Self::Signature { binary, read },
                        true if binary => Self::Header(0, 0),
                        true => Self::Line(read),
                    };
                }
                Self::Line(read) => {
                    if byte == b'\n' || read >= LINE {
                        piece.eat(1);
                        return ProxyEnd::Found;
                    }
                    *self = Self::Line(read.saturating_add(1));
                }
                Self::Header(read, len) => {
                    let len = if read >= 2 { len << 8 | u16::from(byte) } else { 0 };
                    *self = match read {
                        0..3 => Self::Header(read.saturating_add(1), len),
                        _ if len == 0 => {
                            piece.eat(1);
                            return ProxyEnd::Found;
                        }
                        _ => Self::Addresses(len),
                    };
                }
                Self::Addresses(left) => {
                    let eaten = piece.eat(usize::from(left)).len();
                    let left = left.saturating_sub(u16::try_from(eaten).unwrap_or(u16::MAX));
                    *self = Self::Addresses(left);
                    if left == 0 {
                        return ProxyEnd::Found;
                    }
                    continue;
                }
            }
            piece.eat(1);
        }
        ProxyEnd::More
    }
}
