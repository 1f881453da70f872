//! An assembler for classic BPF, which only jumps forward. So programs are written from their end to their beginning:
//! each part is told where to go on, and that is known already.

/// One instruction, as `struct sock_filter` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::packet) struct Instruction {
    pub(in crate::packet) code: u16,
    /// Instructions to skip if a comparison holds …
    pub(in crate::packet) jump_true: u8,
    /// … and if it does not.
    pub(in crate::packet) jump_false: u8,
    pub(in crate::packet) operand: u32,
}

pub(super) const LOAD_WORD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
pub(super) const LOAD_HALF_WORD: u16 = (libc::BPF_LD | libc::BPF_H | libc::BPF_ABS) as u16;
pub(super) const LOAD_BYTE: u16 = (libc::BPF_LD | libc::BPF_B | libc::BPF_ABS) as u16;
pub(super) const LOAD_LENGTH: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_LEN) as u16;
pub(super) const JUMP: u16 = (libc::BPF_JMP | libc::BPF_JA) as u16;
pub(super) const JUMP_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
pub(super) const JUMP_GREATER: u16 = (libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K) as u16;
pub(super) const JUMP_GREATER_OR_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
pub(super) const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

/// Where a load finds how the frame is addressed, as the kernel saw it.
pub(super) const PACKET_TYPE: u32 = (libc::SKF_AD_OFF + libc::SKF_AD_PKTTYPE) as u32;

/// An instruction that is written already: how many there are from it to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Label(usize);

/// A program, last instruction first.
#[derive(Debug, Default)]
pub(super) struct Assembly(Vec<Instruction>);

impl Assembly {
    /// Ends the program: so many octets of the frame pass, 0 = none.
    pub(super) fn ret(&mut self, octets: u32) -> Label {
        self.plain(RETURN, octets)
    }

    pub(super) fn load_packet_type(&mut self, next: Label) -> Label {
        self.load(LOAD_WORD, PACKET_TYPE, next)
    }

    pub(super) fn load_length(&mut self, next: Label) -> Label {
        self.load(LOAD_LENGTH, 0, next)
    }

    pub(super) fn load_word(&mut self, offset: u32, next: Label) -> Label {
        self.load(LOAD_WORD, offset, next)
    }

    pub(super) fn load_half_word(&mut self, offset: u32, next: Label) -> Label {
        self.load(LOAD_HALF_WORD, offset, next)
    }

    pub(super) fn load_byte(&mut self, offset: u32, next: Label) -> Label {
        self.load(LOAD_BYTE, offset, next)
    }

    pub(super) fn require_equal(&mut self, value: u32, next: Label, otherwise: Label) -> Label {
        self.branch(JUMP_EQUAL, value, next, otherwise)
    }

    pub(super) fn require_at_least(&mut self, value: u32, next: Label, otherwise: Label) -> Label {
        self.branch(JUMP_GREATER_OR_EQUAL, value, next, otherwise)
    }

    pub(super) fn require_at_most(&mut self, value: u32, next: Label, otherwise: Label) -> Label {
        self.branch(JUMP_GREATER, value, otherwise, next)
    }

    /// The program in its own order; it begins with what was written last.
    pub(super) fn finish(mut self) -> Vec<Instruction> {
        self.0.reverse();
        self.0
    }

    /// A load past the frame's end drops the frame, by the kernel's rule.
    fn load(&mut self, code: u16, operand: u32, next: Label) -> Label {
        if next.0 != self.0.len() {
            self.jump(next);
        }
        self.plain(code, operand)
    }

    fn branch(&mut self, code: u16, operand: u32, holds: Label, otherwise: Label) -> Label {
        let holds = self.near(holds);
        let otherwise = self.near(otherwise);
        let distance = |label: Label| {
            u8::try_from(self.0.len() - label.0).expect("`near` keeps what a branch reaches within 255")
        };
        let (jump_true, jump_false) = (distance(holds), distance(otherwise));
        self.push(Instruction { code, jump_true, jump_false, operand })
    }

    /// The label, or a jump to it if a branch written after one more such jump would not reach it.
    fn near(&mut self, label: Label) -> Label {
        if self.0.len() + 1 - label.0 > u8::MAX.into() { self.jump(label) } else { label }
    }

    fn jump(&mut self, to: Label) -> Label {
        let distance = u32::try_from(self.0.len() - to.0).expect("a program is far shorter than 2^32");
        self.plain(JUMP, distance)
    }

    fn plain(&mut self, code: u16, operand: u32) -> Label {
        self.push(Instruction { code, jump_true: 0, jump_false: 0, operand })
    }

    fn push(&mut self, instruction: Instruction) -> Label {
        self.0.push(instruction);
        Label(self.0.len())
    }
}
