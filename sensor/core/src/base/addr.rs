//! Addresses, endpoints and flows.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Stamp;

/// An IP address in 16 bytes; IPv4 is kept in its mapped form (`::ffff:a.b.c.d`), so that both compare and hash alike.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Addr([u8; 16]);

impl Addr {
    /// An IPv4 address from its octets.
    pub const fn v4(o: [u8; 4]) -> Self {
        Self([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, o[0], o[1], o[2], o[3]])
    }

    /// An IPv6 address from its octets. A mapped IPv4 address becomes that IPv4 address.
    pub const fn v6(octets: [u8; 16]) -> Self {
        Self(octets)
    }

    /// The 16 octets, mapped for IPv4.
    pub const fn octets(&self) -> &[u8; 16] {
        &self.0
    }

    /// The four octets of an IPv4 address, `None` for IPv6.
    pub const fn as_v4(&self) -> Option<[u8; 4]> {
        match self.0 {
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d] => Some([a, b, c, d]),
            _ => None,
        }
    }

    /// Whether this is an IPv4 address.
    pub const fn is_v4(&self) -> bool {
        self.as_v4().is_some()
    }

    /// The standard library's form.
    pub const fn ip(&self) -> IpAddr {
        match self.as_v4() {
            Some([a, b, c, d]) => IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
            None => IpAddr::V6(Ipv6Addr::from_octets(self.0)),
        }
    }
}

impl From<IpAddr> for Addr {
    fn from(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(v4) => Self::v4(v4.octets()),
            IpAddr::V6(v6) => Self::v6(v6.octets()),
        }
    }
}

impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.ip(), f)
    }
}

impl fmt::Debug for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A network: an address and how many of its leading bits count. IPv4 networks count from the mapped form (96 bits more),
/// so that one comparison serves both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Net {
    /// The bits that belong to the network, as a number.
    network: u128,
    mask: u128,
}

impl Net {
    /// The network of `addr` with so many of its 128 bits; more count as 128.
    pub const fn new(addr: Addr, bits: u8) -> Self {
        let mask = match bits {
            0 => 0,
            1..=127 => u128::MAX << (128 - bits),
            _ => u128::MAX,
        };
        Self { network: u128::from_be_bytes(addr.0) & mask, mask }
    }

    /// Whether an address lies in it.
    pub const fn contains(&self, addr: Addr) -> bool {
        u128::from_be_bytes(addr.0) & self.mask == self.network
    }
}

/// An address and a TCP port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// The address.
    pub addr: Addr,
    /// The TCP port.
    pub port: u16,
}

/// Which end of a connection sent something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The SMTP client: who opened the connection.
    Client,
    /// The SMTP server: who listened.
    Server,
}

impl Side {
    /// The other end.
    pub const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// One TCP connection, and where it was first seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flow {
    /// The SMTP client.
    pub client: Endpoint,
    /// The SMTP server.
    pub server: Endpoint,
    /// The stamp of its first packet.
    pub start: Stamp,
    /// The number of its first frame, counted over the whole input from 1. Unique per flow together with the tuple.
    pub first_frame: u64,
    /// The interface it was first seen on: an index into what the source knows.
    pub iface: u32,
    /// The outermost VLAN id of its first packet, 0 when untagged.
    pub vlan: u16,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v4_and_its_mapped_form_are_one() {
        let a = Addr::from(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
        let b = Addr::from(IpAddr::V6(Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped()));
        assert_eq!(a, b);
        assert_eq!(a.as_v4(), Some([192, 0, 2, 1]));
        assert_eq!(alloc::format!("{a}"), "192.0.2.1");
        assert!(!Addr::from(IpAddr::V6(Ipv6Addr::LOCALHOST)).is_v4());
    }
}
