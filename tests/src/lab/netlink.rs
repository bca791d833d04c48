//! Links, addresses, routes and rules by rtnetlink: a machine with Rust alone may have no `ip`.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};

/// `NLM_F_CREATE | NLM_F_EXCL`.
const CREATE: u16 = 0x600;
/// `NLM_F_REQUEST | NLM_F_ACK`.
const REQUEST: u16 = 0x5;
const HEADER: usize = 16;

/// A request, built up attribute by attribute.
struct Request {
    bytes: Vec<u8>,
}

impl Request {
    fn new(kind: u16, flags: u16, body: &[u8]) -> Self {
        let mut bytes = vec![0; HEADER];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&(REQUEST | flags).to_ne_bytes());
        bytes[8..12].copy_from_slice(&1u32.to_ne_bytes());
        bytes.extend_from_slice(body);
        Self { bytes }
    }

    fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        let len = u16::try_from(value.len() + 4).expect("a short attribute");
        self.bytes.extend_from_slice(&len.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self
    }

    fn name(self, kind: u16, name: &str) -> Self {
        self.attribute(kind, format!("{name}\0").as_bytes())
    }

    /// An attribute of attributes.
    fn nest(mut self, kind: u16, inner: impl FnOnce(Self) -> Self) -> Self {
        let start = self.bytes.len();
        self = inner(self.attribute(kind, &[]));
        let len = u16::try_from(self.bytes.len() - start).expect("a short attribute");
        self.bytes[start..start + 2].copy_from_slice(&len.to_ne_bytes());
        self
    }

    fn send(mut self, what: &str) -> Result<(), String> {
        let len = u32::try_from(self.bytes.len()).expect("a short request");
        self.bytes[..4].copy_from_slice(&len.to_ne_bytes());
        exchange(&self.bytes).map_err(|error| format!("{what}: {error}"))
    }
}

/// Sends a request from the namespace of the calling thread and waits for the kernel's word.
fn exchange(request: &[u8]) -> io::Result<()> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.send(request, 0)?;
    let (answer, _) = socket.recv_from_full()?;
    // NLMSG_ERROR, with the negated errno; 0 is "done".
    let code = answer.get(HEADER..HEADER + 4).and_then(|code| code.try_into().ok());
    match code.map(i32::from_ne_bytes) {
        Some(0) => Ok(()),
        Some(code) => Err(io::Error::from_raw_os_error(-code)),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn index(name: &str) -> Result<[u8; 4], String> {
    let name_z = format!("{name}\0");
    // SAFETY: the name ends with a zero byte and outlives the call.
    match unsafe { libc::if_nametoindex(name_z.as_ptr().cast()) } {
        0 => Err(format!("{name}: {}", io::Error::last_os_error())),
        index => Ok(index.to_ne_bytes()),
    }
}

/// `struct ifinfomsg`.
fn link_body(index: [u8; 4], flags: u32) -> [u8; 16] {
    let mut body = [0; 16];
    body[4..8].copy_from_slice(&index);
    body[8..12].copy_from_slice(&flags.to_ne_bytes());
    body[12..16].copy_from_slice(&flags.to_ne_bytes());
    body
}

/// Two interfaces with a wire between them: one here, the other in another namespace.
pub(super) fn veth(here: &str, there: &str, namespace: BorrowedFd<'_>) -> Result<(), String> {
    Request::new(libc::RTM_NEWLINK, CREATE, &link_body([0; 4], 0))
        .name(libc::IFLA_IFNAME, here)
        .nest(libc::IFLA_LINKINFO, |request| {
            request.attribute(libc::IFLA_INFO_KIND, b"veth").nest(libc::IFLA_INFO_DATA, |request| {
                // VETH_INFO_PEER: a header of its own, then attributes.
                request.nest(1, |mut request| {
                    request.bytes.extend_from_slice(&link_body([0; 4], 0));
                    request
                        .name(libc::IFLA_IFNAME, there)
                        .attribute(libc::IFLA_NET_NS_FD, &namespace.as_raw_fd().to_ne_bytes())
                })
            })
        })
        .send(&format!("link add {here} type veth peer {there}"))
}

/// Switches an interface on.
pub(super) fn up(name: &str) -> Result<(), String> {
    Request::new(libc::RTM_NEWLINK, 0, &link_body(index(name)?, libc::IFF_UP as u32))
        .send(&format!("link set {name} up"))
}

/// Gives an interface an address.
pub(super) fn address(name: &str, address: Ipv4Addr, prefix: u8) -> Result<(), String> {
    let [a, b, c, d] = index(name)?;
    // struct ifaddrmsg: family, prefix length, flags, scope, index.
    let body = [libc::AF_INET as u8, prefix, 0, 0, a, b, c, d];
    Request::new(libc::RTM_NEWADDR, CREATE, &body)
        .attribute(libc::IFA_LOCAL, &address.octets())
        .attribute(libc::IFA_ADDRESS, &address.octets())
        .send(&format!("address add {address}/{prefix} dev {name}"))
}

/// What becomes of packets to a network.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    /// They go on by this neighbour.
    By(Ipv4Addr),
    /// All its addresses are this machine's own.
    Here,
    /// They vanish without a word.
    Nowhere,
}

/// Adds a route.
pub(super) fn route(net: Ipv4Addr, prefix: u8, way: Way) -> Result<(), String> {
    let (kind, table, scope) = match way {
        Way::By(_) => (libc::RTN_UNICAST, libc::RT_TABLE_MAIN, libc::RT_SCOPE_UNIVERSE),
        Way::Here => (libc::RTN_LOCAL, libc::RT_TABLE_LOCAL, libc::RT_SCOPE_HOST),
        Way::Nowhere => (libc::RTN_BLACKHOLE, libc::RT_TABLE_MAIN, libc::RT_SCOPE_UNIVERSE),
    };
    // struct rtmsg: family, both prefix lengths, tos, table, protocol, scope, kind, flags.
    const STATIC: u8 = 4;
    let body = [libc::AF_INET as u8, prefix, 0, 0, table, STATIC, scope, kind, 0, 0, 0, 0];
    let mut request = Request::new(libc::RTM_NEWROUTE, CREATE, &body);
    if prefix > 0 {
        request = request.attribute(libc::RTA_DST, &net.octets());
    }
    request = match way {
        Way::By(neighbour) => request.attribute(libc::RTA_GATEWAY, &neighbour.octets()),
        Way::Here => request.attribute(libc::RTA_OIF, &index("lo")?),
        Way::Nowhere => request,
    };
    request.send(&format!("route add {net}/{prefix} {way:?}"))
}

/// TCP from a network to a port is dropped where it is routed: what a hoster does with port 25.
pub(super) fn block(from: Ipv4Addr, prefix: u8, port: u16) -> Result<(), String> {
    // struct fib_rule_hdr: family, both prefix lengths, tos, table, two of no use, action (FR_ACT_BLACKHOLE), flags.
    let body = [libc::AF_INET as u8, 0, prefix, 0, 0, 0, 0, 6, 0, 0, 0, 0];
    let [a, b] = port.to_ne_bytes();
    Request::new(libc::RTM_NEWRULE, CREATE, &body)
        // FRA_SRC, FRA_PRIORITY, FRA_IP_PROTO, FRA_DPORT_RANGE.
        .attribute(2, &from.octets())
        .attribute(6, &100u32.to_ne_bytes())
        .attribute(22, &[libc::IPPROTO_TCP as u8])
        .attribute(24, &[a, b, a, b])
        .send(&format!("rule add from {from}/{prefix} dport {port} blackhole"))
}
