//! A record of the ring: a [`Header`], and after it the bytes of the frame that were copied.
//!
//! A record has one of a few sizes ([`CLASSES`]), since the kernel wants to know at load how much a program reserves. What
//! lies behind [`Header::len`] bytes is of no meaning.

/// The sizes of a record, header included. The largest holds every packet of 64 KiB with its link layer.
pub const CLASSES: [usize; 7] = [256, 1664, 4352, 9216, 17_408, 33_792, 65_664];

/// Bytes of a frame that the largest record holds.
pub const LARGEST: usize = CLASSES[CLASSES.len() - 1] - Header::SIZE;

/// What the probe says of a frame.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Nanoseconds since the machine started, times of sleep included.
    pub time: u64,
    /// The interface.
    pub ifindex: u32,
    /// Length of the frame on the wire, the tag in [`tci`](Self::tci) not included.
    pub orig_len: u32,
    /// Bytes that were copied.
    pub len: u32,
    /// [`EGRESS`](Self::EGRESS) and others.
    pub flags: u16,
    /// The ethertype of the VLAN tag that the kernel took out of the frame, 0 where there was none.
    pub tpid: u16,
    /// That tag.
    pub tci: u16,
    /// Nothing.
    pub reserved: [u16; 3],
}

impl Header {
    /// Its length.
    pub const SIZE: usize = size_of::<Self>();
    /// The frame was leaving the machine.
    pub const EGRESS: u16 = 1;
    /// The frame is longer than the largest record.
    pub const CUT: u16 = 2;
    /// Payload is left out because of the interface's `observe`.
    pub const HELD: u16 = 4;

    /// A record as it lies in the ring; `None` where it cannot be one.
    pub fn read(record: &[u8]) -> Option<(Self, &[u8])> {
        let (head, data) = record.split_first_chunk::<{ Self::SIZE }>()?;
        let four = |at: usize| Some(u32::from_ne_bytes(*head.get(at..)?.first_chunk()?));
        let two = |at: usize| Some(u16::from_ne_bytes(*head.get(at..)?.first_chunk()?));
        let header = Self {
            time: u64::from_ne_bytes(*head.first_chunk()?),
            ifindex: four(8)?,
            orig_len: four(12)?,
            len: four(16)?,
            flags: two(20)?,
            tpid: two(22)?,
            tci: two(24)?,
            reserved: [0; 3],
        };
        Some((header, data.get(..header.len as usize)?))
    }
}

/// How the probe is told to treat an interface. One that it was told nothing of is looked at as [`OBSERVE_METADATA`].
pub const OBSERVE_METADATA: u8 = 0;
/// All of a frame of interest is copied.
pub const OBSERVE_FULL: u8 = 1;

/// The reader is awake.
pub const AWAKE: u32 = 0;
/// The reader sleeps for a short time: it is to be woken above the fill level only.
pub const NAPS: u32 = 1;
/// The reader sleeps: it is to be woken by the next record.
pub const SLEEPS: u32 = 2;

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// What the probe counts, on each processor apart.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(usize)]
        pub enum Count {
            $($(#[doc = $doc])+ $name,)+
        }

        /// How many there are.
        pub const COUNTS: usize = [$(Count::$name),+].len();

        /// All of them, summed up.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Counts(pub [u64; COUNTS]);
    };
}

counters! {
    /// Frames of no interest.
    Foreign,
    /// Frames of `smtp`.
    Smtp,
    /// Frames of `dns`.
    Dns,
    /// Frames of `syn` alone.
    Syn,
    /// Frames that were put into the ring.
    Copied,
    /// Frames lost because the ring was full.
    RingFull,
    /// Frames of interest, as it seemed, that could not be read.
    Unreadable,
    /// Frames longer than the largest record, which were cut.
    Oversized,
    /// Later fragments of UDP datagrams, which are left out.
    Fragments,
    /// Frames of which payload was held back because of `observe`.
    Held,
    /// Connections that the gate could not remember.
    FlowsLost,
}

impl Counts {
    /// One of them.
    pub const fn get(&self, count: Count) -> u64 {
        self.0[count as usize]
    }

    /// Adds those of a processor.
    pub fn add(&mut self, others: &[u64; COUNTS]) {
        for (mine, other) in self.0.iter_mut().zip(others) {
            *mine = mine.wrapping_add(*other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_as_it_was_written() {
        let header = Header {
            time: 1 << 40 | 7,
            ifindex: 3,
            orig_len: 1500,
            len: 5,
            flags: Header::EGRESS,
            tpid: 0x8100,
            tci: 42,
            reserved: [0; 3],
        };
        let mut record = [0u8; 64];
        // SAFETY: `Header` is `repr(C)` without padding (its size is the sum of its fields), and the buffer is larger.
        unsafe { record.as_mut_ptr().cast::<Header>().write_unaligned(header) };
        record[Header::SIZE..][..6].copy_from_slice(b"hello!");
        assert_eq!(Header::read(&record), Some((header, &b"hello"[..])));
        assert_eq!(Header::read(&record[..Header::SIZE + 4]), None);
        assert_eq!(Header::read(&record[..8]), None);
        assert_eq!(Header::SIZE, 32);
    }

    #[test]
    fn the_largest_record_holds_what_passes() {
        // 64 KiB of IP, Ethernet, two tags; the loopback's largest frame.
        const { assert!(LARGEST >= 65_535 + 14 + 8 && LARGEST >= 65_536 + 14) };
        assert!(CLASSES.is_sorted() && CLASSES.iter().all(|class| class % 8 == 0));
    }
}
