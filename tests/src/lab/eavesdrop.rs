//! The simplest live source that can be: packet sockets, one an interface, read one packet at a time.

use std::io;
use std::os::fd::AsRawFd as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use botlike::source::Frame;
use botlike::source::live::{Live, Losses, Observe, Places, RungError, RungKind, Taker};
use botlike_core::base::Stamp;
use botlike_core::wire::LinkType;
use socket2::{Domain, Protocol, Socket, Type};

/// Packet sockets.
pub struct Eavesdrop {
    sockets: Vec<(String, Socket)>,
    told: bool,
}

impl Eavesdrop {
    /// Listens at these interfaces.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn new(names: &[String]) -> io::Result<Self> {
        let mut sockets = Vec::new();
        for name in names {
            let socket = Socket::new(
                Domain::from(libc::AF_PACKET),
                Type::from(libc::SOCK_RAW),
                Some(Protocol::from(0)),
            )?;
            let name_z = format!("{name}\0");
            // SAFETY: the name ends with a zero byte and outlives the call.
            let index = unsafe { libc::if_nametoindex(name_z.as_ptr().cast()) };
            let address = libc::sockaddr_ll {
                sll_family: libc::AF_PACKET as u16,
                sll_protocol: (libc::ETH_P_ALL as u16).to_be(),
                sll_ifindex: index as i32,
                sll_hatype: 0,
                sll_pkttype: 0,
                sll_halen: 0,
                sll_addr: [0; 8],
            };
            socket.set_recv_buffer_size(16 << 20)?;
            // SAFETY: the address is whole and its length is told.
            let bound = unsafe {
                libc::bind(
                    socket.as_raw_fd(),
                    (&raw const address).cast(),
                    size_of::<libc::sockaddr_ll>() as u32,
                )
            };
            if bound != 0 {
                return Err(io::Error::last_os_error());
            }
            socket.set_nonblocking(true)?;
            sockets.push((name.clone(), socket));
        }
        Ok(Self { sockets, told: false })
    }
}

fn now() -> Stamp {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Stamp::from_nanos(now.as_nanos() as u64)
}

impl Live for Eavesdrop {
    fn next(&mut self, patience: Duration, taker: &mut dyn Taker) -> Result<(), RungError> {
        if !self.told {
            self.told = true;
            for (number, (name, _)) in (0..).zip(&self.sockets) {
                taker.interface(number, name);
            }
            taker.places(&self.places());
        }
        let mut polls: Vec<_> = self
            .sockets
            .iter()
            .map(|(_, socket)| libc::pollfd {
                fd: socket.as_raw_fd(),
                events: libc::POLLIN,
                revents: 0,
            })
            .collect();
        // SAFETY: the list is as long as it says.
        unsafe { libc::poll(polls.as_mut_ptr(), polls.len() as u64, patience.as_millis() as i32) };
        let mut buffer = vec![0u8; 128 << 10];
        let mut more = true;
        while more {
            more = false;
            for (iface, (_, socket)) in (0..).zip(&self.sockets) {
                if let Ok(len) = io::Read::read(&mut &*socket, &mut buffer) {
                    more = true;
                    let data = &buffer[..len];
                    let (at, link) = (now(), LinkType::Ethernet);
                    taker.frame(&Frame { at, link, iface, data, orig_len: len as u32 });
                }
            }
        }
        taker.time(now());
        Ok(())
    }

    fn losses(&mut self) -> Losses {
        Losses::default()
    }

    fn places(&self) -> Places {
        let interfaces = self.sockets.iter().map(|(name, _)| (name.clone(), Observe::Full));
        Places { rung: Some(RungKind::AfPacket), interfaces: interfaces.collect() }
    }
}
