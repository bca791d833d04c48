//! A set of TCP ports.

use alloc::boxed::Box;

/// A set of TCP ports, as a bitmap of eight kibibytes: asking costs one load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ports(Box<[u64; 1024]>);

impl Ports {
    /// The set of these ports.
    pub fn new(ports: &[u16]) -> Self {
        let mut bits = Box::new([0u64; 1024]);
        for &port in ports {
            if let Some(word) = bits.get_mut(usize::from(port >> 6)) {
                *word |= 1 << (port & 63);
            }
        }
        Self(bits)
    }

    /// Whether it holds `port`.
    #[inline]
    pub fn contains(&self, port: u16) -> bool {
        self.0.get(usize::from(port >> 6)).is_some_and(|word| word >> (port & 63) & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_was_put_in() {
        let ports = Ports::new(&[0, 25, 587, 65535]);
        for port in 0..=u16::MAX {
            assert_eq!(ports.contains(port), [0, 25, 587, 65535].contains(&port), "{port}");
        }
    }
}
