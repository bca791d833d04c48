//! Bounded copies of bytes from the wire.

use alloc::vec::Vec;

/// A bounded copy of wire bytes that remembers how long the original was. Clearing keeps the memory for the next use, so
/// a pooled owner allocates only until it has seen its largest value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    bytes: Vec<u8>,
    full: u32,
}

impl Text {
    /// An empty text.
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), full: 0 }
    }

    /// Replaces the content by the first `cap` bytes of `bytes`.
    pub fn set(&mut self, bytes: &[u8], cap: usize) {
        self.clear();
        self.push(bytes, cap);
    }

    /// Appends what still fits below `cap`; the rest is only counted.
    pub fn push(&mut self, bytes: &[u8], cap: usize) {
        let room = cap.saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
        self.full = self.full.saturating_add(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    }

    /// Counts `more` bytes of the original that were not kept.
    pub fn count(&mut self, more: u32) {
        self.full = self.full.saturating_add(more);
    }

    /// Empties it and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.full = 0;
    }

    /// The bytes that were kept.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether nothing was ever put in.
    pub fn is_empty(&self) -> bool {
        self.full == 0
    }

    /// The length of the original in bytes.
    pub fn full_len(&self) -> u32 {
        self.full
    }

    /// Whether the copy is shorter than the original.
    pub fn is_cut(&self) -> bool {
        (self.full as usize) > self.bytes.len()
    }
}

/// A capped list of [`Text`]s in one piece of memory; counts what did not fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextList {
    bytes: Vec<u8>,
    ends: Vec<u32>,
    total: u32,
    cut: u32,
}

impl TextList {
    /// An empty list.
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), ends: Vec::new(), total: 0, cut: 0 }
    }

    /// Appends the first `cap` bytes of `bytes`, unless the list already keeps `max` items; counts it in any case.
    pub fn push(&mut self, bytes: &[u8], cap: usize, max: usize) {
        self.total = self.total.saturating_add(1);
        if self.ends.len() < max {
            self.bytes.extend_from_slice(bytes.get(..cap.min(bytes.len())).unwrap_or_default());
            self.ends.push(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX));
            self.cut = self.cut.saturating_add(u32::from(bytes.len() > cap));
        }
    }

    /// Empties it and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.total = 0;
        self.cut = 0;
    }

    /// How many were pushed, kept or not.
    pub fn total(&self) -> u32 {
        self.total
    }

    /// How many were pushed and not kept.
    pub fn lost(&self) -> u32 {
        self.total.saturating_sub(u32::try_from(self.ends.len()).unwrap_or(u32::MAX))
    }

    /// How many of the items that were kept are shorter than they were.
    pub fn cut(&self) -> u32 {
        self.cut
    }

    /// The items that were kept, in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0usize;
        self.ends.iter().map(move |&end| {
            let item = self.bytes.get(start..end as usize).unwrap_or_default();
            start = end as usize;
            item
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_text_knows_its_length() {
        let mut t = Text::new();
        t.set(b"hello world", 5);
        assert_eq!(t.as_bytes(), b"hello");
        assert_eq!(t.full_len(), 11);
        assert!(t.is_cut());
        t.push(b"!", 5);
        assert_eq!((t.as_bytes(), t.full_len()), (&b"hello"[..], 12));
        t.clear();
        assert!(t.is_empty() && !t.is_cut());
    }

    #[test]
    fn a_list_keeps_its_first_items_and_counts_all() {
        let mut l = TextList::new();
        for item in [&b"one"[..], b"", b"three", b"four"] {
            l.push(item, 4, 3);
        }
        assert_eq!(l.iter().collect::<Vec<_>>(), [&b"one"[..], b"", b"thre"]);
        assert_eq!(l.total(), 4);
    }
}
