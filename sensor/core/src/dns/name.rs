//! Names in messages: labels, with pointers back to labels that stood there before (RFC 1035 section 4.1.4).

/// The longest name, its lengths included (RFC 1035 section 2.3.4).
const LONGEST: usize = 255;
/// Pointers of one name that are followed. Each leads further back; real messages have one or two.
const POINTERS: usize = 16;

/// A name within a message.
#[derive(Clone, Copy, Debug)]
pub struct Name<'a> {
    message: &'a [u8],
    at: usize,
}

/// A name in lower case, its labels with dots between them; the root is empty.
#[derive(Clone, Copy)]
pub struct Plain {
    bytes: [u8; LONGEST],
    len: usize,
}

impl Plain {
    /// The name.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    fn push(&mut self, bytes: &[u8]) -> Option<()> {
        let end = self.len.checked_add(bytes.len())?;
        let room = self.bytes.get_mut(self.len..end)?;
        for (to, from) in room.iter_mut().zip(bytes) {
            *to = from.to_ascii_lowercase();
        }
        self.len = end;
        Some(())
    }
}

impl core::fmt::Debug for Plain {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}", self.as_bytes().escape_ascii())
    }
}

impl<'a> Name<'a> {
    /// The name that begins at `at`, and where what follows it begins. Only its own bytes are looked at, no pointers.
    pub(super) fn read(message: &'a [u8], at: usize) -> Option<(Self, usize)> {
        let mut place = at;
        loop {
            match *message.get(place)? {
                0 => return Some((Self { message, at }, place.checked_add(1)?)),
                length @ 1..=63 => place = place.checked_add(1 + usize::from(length))?,
                0xc0.. => {
                    message.get(place.checked_add(1)?)?;
                    return Some((Self { message, at }, place.checked_add(2)?));
                }
                // Label types that nobody uses (RFC 6891 section 5).
                _ => return None,
            }
            if place.saturating_sub(at) > LONGEST {
                return None;
            }
        }
    }

    /// The name written out. `None`: it is too long, or its pointers lead nowhere.
    pub fn plain(&self) -> Option<Plain> {
        let mut plain = Plain { bytes: [0; LONGEST], len: 0 };
        let (mut place, mut begin, mut pointers) = (self.at, self.at, 0);
        loop {
            match *self.message.get(place)? {
                0 => return Some(plain),
                length @ 1..=63 => {
                    let from = place.checked_add(1)?;
                    let to = from.checked_add(usize::from(length))?;
                    if plain.len > 0 {
                        plain.push(b".")?;
                    }
                    plain.push(self.message.get(from..to)?)?;
                    place = to;
                }
                high @ 0xc0.. => {
                    let low = *self.message.get(place.checked_add(1)?)?;
                    let target = usize::from(u16::from_be_bytes([high & 0x3f, low]));
                    // Back before where this run of labels began: so it ends.
                    if target >= begin || pointers == POINTERS {
                        return None;
                    }
                    pointers += 1;
                    (place, begin) = (target, target);
                }
                _ => return None,
            }
        }
    }
}
