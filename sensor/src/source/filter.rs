//! Filter expressions of libpcap (pcap-filter(7)), applied to frames already read.

#[cfg(feature = "libpcap")]
pub(super) use with_libpcap::Filter;
#[cfg(not(feature = "libpcap"))]
pub(super) use without::Filter;

#[cfg(feature = "libpcap")]
mod with_libpcap {
    use pcap::{BpfProgram, Capture, Linktype};

    /// Link types that an expression is tried with before any capture is opened: Ethernet, raw IP, Linux cooked, 802.11.
    const TRIED: [u16; 4] = [1, 101, 113, 105];

    /// An expression, compiled for each link type met.
    pub(crate) struct Filter {
        expression: String,
        programs: Vec<(u16, BpfProgram)>,
    }

    impl Filter {
        /// Refuses an expression that fits no common link type.
        pub(crate) fn new(expression: &str) -> Result<Self, String> {
            let mut filter = Self { expression: expression.to_owned(), programs: Vec::new() };
            let [first, others @ ..] = TRIED.map(|number| filter.prepare(number));
            if first.is_err() && others.iter().all(Result::is_err) {
                first?;
            }
            filter.programs.clear();
            Ok(filter)
        }

        /// Compiles the expression for a link type, by its number in captures.
        pub(crate) fn prepare(&mut self, number: u16) -> Result<(), String> {
            if self.programs.iter().any(|(known, _)| *known == number) {
                return Ok(());
            }
            // The numbers of captures and those of this system's libpcap are the same but for raw IP.
            let dlt = if number == 101 { 12 } else { i32::from(number) };
            let program = Capture::dead(Linktype(dlt))
                .and_then(|dead| dead.compile(&self.expression, true))
                .map_err(|error| {
                    format!("{error} (in \"{}\", link type {number})", self.expression)
                })?;
            self.programs.push((number, program));
            Ok(())
        }

        /// Whether a frame of that link type, prepared before, passes. The captured bytes count as the whole frame.
        pub(crate) fn matches(&self, number: u16, frame: &[u8]) -> bool {
            self.programs.iter().any(|(known, program)| *known == number && program.filter(frame))
        }
    }
}

#[cfg(not(feature = "libpcap"))]
mod without {
    /// There are no filters without libpcap.
    pub(crate) enum Filter {}

    impl Filter {
        pub(crate) fn new(_expression: &str) -> Result<Self, String> {
            Err("this program was built without libpcap, which filters need; build it with the feature `libpcap`".into())
        }

        pub(crate) fn prepare(&mut self, _number: u16) -> Result<(), String> {
            match *self {}
        }

        pub(crate) fn matches(&self, _number: u16, _frame: &[u8]) -> bool {
            match *self {}
        }
    }
}
