//! An assembler for classic BPF: labels instead of distances.
//!
//! A conditional jump of classic BPF reaches 255 instructions; one that goes farther is written with the help of two
//! unconditional ones. Jumps go forward only, and all labels must be placed: both are the kernel's rules, checked here.

use libc::sock_filter;

// The parts of an instruction's code, as in `linux/bpf_common.h`.
const LD: u16 = 0x00;
const LDX: u16 = 0x01;
const ST: u16 = 0x02;
const ALU: u16 = 0x04;
const JMP: u16 = 0x05;
const RET: u16 = 0x06;
const MISC: u16 = 0x07;
const H: u16 = 0x08;
const B: u16 = 0x10;
const ABS: u16 = 0x20;
const IND: u16 = 0x40;
const MEM: u16 = 0x60;
const X: u16 = 0x08;

/// What the kernel takes at most (`BPF_MAXINSNS`).
const MAX: usize = 4096;

/// An instruction that is no jump.
#[derive(Clone, Copy, Debug)]
pub(super) enum Op {
    /// A = what the kernel knows of the packet beside its bytes (`SKF_AD_…`).
    Meta(i32),
    /// A = the two bytes here.
    Half(u32),
    /// A = the byte here.
    Byte(u32),
    /// A = the two bytes at X and so many more.
    HalfAtX(u32),
    /// A = the byte at X and so many more.
    ByteAtX(u32),
    /// X = this.
    SetX(u32),
    /// Keeps A.
    Keep,
    /// A = what was kept.
    Kept,
    /// A = A & this.
    And(u32),
    /// A = A << this.
    Left(u32),
    /// A = A >> this.
    Right(u32),
    /// A = A + this.
    Add(u32),
    /// A = A + X.
    AddX,
    /// A = X.
    FromX,
    /// X = A.
    ToX,
    /// Ends: so many bytes of the packet are taken; 0 is none.
    Take(u32),
    /// Ends: as many bytes as A says are taken.
    TakeA,
}

impl Op {
    fn code(self) -> (u16, u32) {
        match self {
            Self::Meta(what) => (LD | ABS, (libc::SKF_AD_OFF + what) as u32),
            Self::Half(k) => (LD | H | ABS, k),
            Self::Byte(k) => (LD | B | ABS, k),
            Self::HalfAtX(k) => (LD | H | IND, k),
            Self::ByteAtX(k) => (LD | B | IND, k),
            Self::SetX(k) => (LDX, k),
            Self::Keep => (ST, 0),
            Self::Kept => (LD | MEM, 0),
            Self::And(k) => (ALU | 0x50, k),
            Self::Left(k) => (ALU | 0x60, k),
            Self::Right(k) => (ALU | 0x70, k),
            Self::Add(k) => (ALU, k),
            Self::AddX => (ALU | X, 0),
            Self::FromX => (MISC | 0x80, 0),
            Self::ToX => (MISC, 0),
            Self::Take(k) => (RET, k),
            Self::TakeA => (RET | 0x10, 0),
        }
    }
}

/// What a conditional jump asks of A.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ask {
    /// Is it this?
    Is(u32),
    /// Is it this or more?
    AtLeast(u32),
    /// Is it more than this?
    Above(u32),
    /// Has it any of these bits?
    Any(u32),
}

/// A place in a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Label(usize);

#[derive(Clone, Copy, Debug)]
enum Item {
    Op(Op),
    Jump { ask: Ask, yes: Label, no: Label, far: bool },
    Go(Label),
    Here(Label),
}

impl Item {
    const fn size(self) -> usize {
        match self {
            Self::Here(_) => 0,
            Self::Op(_) | Self::Go(_) => 1,
            Self::Jump { far, .. } => {
                if far {
                    3
                } else {
                    1
                }
            }
        }
    }
}

/// A program being written.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    items: Vec<Item>,
    labels: usize,
}

impl Assembler {
    /// A label to be placed later.
    pub(super) const fn label(&mut self) -> Label {
        self.labels += 1;
        Label(self.labels - 1)
    }

    /// The next instruction is where this label stands.
    pub(super) fn here(&mut self, label: Label) {
        self.items.push(Item::Here(label));
    }

    /// The next instructions.
    pub(super) fn ops(&mut self, ops: &[Op]) {
        self.items.extend(ops.iter().copied().map(Item::Op));
    }

    /// Goes on at a label.
    pub(super) fn go(&mut self, label: Label) {
        self.items.push(Item::Go(label));
    }

    /// Goes on at one of two labels.
    pub(super) fn ask(&mut self, ask: Ask, yes: Label, no: Label) {
        self.items.push(Item::Jump { ask, yes, no, far: false });
    }

    /// Goes on at a label, if so; otherwise with the next instruction.
    pub(super) fn when(&mut self, ask: Ask, yes: Label) {
        let next = self.label();
        self.ask(ask, yes, next);
        self.here(next);
    }

    /// Goes on at `yes` where A lies in one of these ranges, which are in order and apart, else at `no`.
    pub(super) fn among(&mut self, ranges: &[(u32, u32)], yes: Label, no: Label) {
        match *ranges {
            [] => self.go(no),
            [(one, last)] if one == last => self.ask(Ask::Is(one), yes, no),
            [(first, last)] => {
                let above = self.label();
                self.ask(Ask::AtLeast(first), above, no);
                self.here(above);
                self.ask(Ask::Above(last), no, yes);
            }
            _ => {
                let (low, high) = ranges.split_at(ranges.len() / 2);
                let (at_low, at_high) = (self.label(), self.label());
                self.ask(Ask::AtLeast(high[0].0), at_high, at_low);
                self.here(at_low);
                self.among(low, yes, no);
                self.here(at_high);
                self.among(high, yes, no);
            }
        }
    }

    /// The program; `None` where it is longer than the kernel takes, a label is not placed, or a jump goes back.
    pub(super) fn finish(mut self) -> Option<Vec<sock_filter>> {
        // Each round only makes jumps far, so it ends.
        let places = loop {
            let places = self.places();
            let mut at = 0;
            let mut grew = false;
            for item in &mut self.items {
                let size = item.size();
                if let Item::Jump { yes, no, far, .. } = item
                    && !*far
                    && [yes, no].iter().any(|label| places[label.0].saturating_sub(at + 1) > 255)
                {
                    *far = true;
                    grew = true;
                }
                at += size;
            }
            if !grew {
                break places;
            }
        };
        let mut program = Vec::new();
        for item in &self.items {
            let at = program.len();
            let distance = |from: usize, label: Label| places.get(label.0)?.checked_sub(from + 1);
            let go = |from: usize, label: Label| {
                let k = u32::try_from(distance(from, label)?).ok()?;
                Some(sock_filter { code: JMP, jt: 0, jf: 0, k })
            };
            match *item {
                Item::Here(_) => {}
                Item::Op(op) => {
                    let (code, k) = op.code();
                    program.push(sock_filter { code, jt: 0, jf: 0, k });
                }
                Item::Go(label) => program.push(go(at, label)?),
                Item::Jump { ask, yes, no, far } => {
                    let (code, k) = match ask {
                        Ask::Is(k) => (JMP | 0x10, k),
                        Ask::Above(k) => (JMP | 0x20, k),
                        Ask::AtLeast(k) => (JMP | 0x30, k),
                        Ask::Any(k) => (JMP | 0x40, k),
                    };
                    if far {
                        program.push(sock_filter { code, jt: 0, jf: 1, k });
                        program.push(go(at + 1, yes)?);
                        program.push(go(at + 2, no)?);
                    } else {
                        let jt = u8::try_from(distance(at, yes)?).ok()?;
                        let jf = u8::try_from(distance(at, no)?).ok()?;
                        program.push(sock_filter { code, jt, jf, k });
                    }
                }
            }
        }
        (program.len() <= MAX).then_some(program)
    }

    /// Where each label stands; far away where it is not placed.
    fn places(&self) -> Vec<usize> {
        let mut places = vec![usize::MAX; self.labels];
        let mut at = 0;
        for item in &self.items {
            if let Item::Here(label) = item {
                places[label.0] = at;
            }
            at += item.size();
        }
        places
    }
}
