//! UDP headers (RFC 768).

use super::ip::{Body, Header};
use super::{DNS_PORT, Datagram, Other};
use crate::base::Endpoint;

/// Whether a datagram or segment between these ports is DNS.
#[inline]
pub(super) const fn is_dns(src: u16, dst: u16) -> bool {
    src == DNS_PORT || dst == DNS_PORT
}

/// Reads a datagram, if it is DNS by its ports.
#[inline]
pub(super) fn datagram<'a>(
    header: Header,
    vlan: u16,
    iface: u32,
    body: Body<'a>,
) -> Result<Datagram<'a>, Other> {
    // The ports first: of a foreign datagram nothing else is looked at.
    let Some(&[s1, s2, d1, d2]) = body.bytes.first_chunk::<4>() else {
        return Err(Other::Malformed);
    };
    let (src, dst) = (u16::from_be_bytes([s1, s2]), u16::from_be_bytes([d1, d2]));
    if !is_dns(src, dst) {
        return Err(Other::NotTcp);
    }
    let Some((&[.., l1, l2, _, _], payload)) = body.bytes.split_first_chunk::<8>() else {
        return Err(Other::Malformed);
    };
    let len = match usize::from(u16::from_be_bytes([l1, l2])) {
        // Segmentation offload: to the end of the packet.
        0 => body.len,
        len if len > body.len => return Err(Other::Malformed),
        len => len,
    };
    let Some(len) = len.checked_sub(8) else { return Err(Other::Malformed) };
    Ok(Datagram {
        src: Endpoint { addr: header.src, port: src },
        dst: Endpoint { addr: header.dst, port: dst },
        payload: payload.get(..len).unwrap_or(payload),
        len: u32::try_from(len).unwrap_or(u32::MAX),
        over_tcp: false,
        vlan,
        iface,
    })
}
