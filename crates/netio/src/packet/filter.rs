//! Kernel filters in classic BPF (Linux `filter.rst`), written as a list of named steps.

/// One step of a filter. A `Require…` that does not hold drops the frame; so does a load past the frame's end, by
/// the kernel's rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Loads how the frame is addressed, as the kernel saw it (`PACKET_HOST`, …).
    LoadPacketType,
    /// Loads the 16-bit number at this offset of the frame.
    LoadHalfWord(u32),
    /// Loads the length of the frame.
    LoadLength,
    /// What was loaded last must be this.
    RequireEqual(u32),
    /// What was loaded last must be this or less.
    RequireAtMost(u32),
    /// What was loaded last must be this or more.
    RequireAtLeast(u32),
    /// Passes so many octets of the frame on.
    Accept(u32),
}

/// Octets of an Ethernet header and an ARP packet for IPv4.
const ARP_FRAME_LEN: u32 = 42;
const ETHERTYPE_OFFSET: u32 = 12;
const ARP_OPERATION_OFFSET: u32 = 20;
const ARP_OPERATION_REQUEST: u32 = 1;

/// ARP requests that are broadcast or sent to this host.
pub(super) const ARP_REQUESTS: [Step; 9] = [
    // `PACKET_HOST` is 0 and `PACKET_BROADCAST` 1. Higher are frames for others, among them those of a VLAN that has
    // no interface here, whose tag is no longer there to see.
    Step::LoadPacketType,
    Step::RequireAtMost(libc::PACKET_BROADCAST as u32),
    Step::LoadHalfWord(ETHERTYPE_OFFSET),
    Step::RequireEqual(libc::ETH_P_ARP as u32),
    Step::LoadHalfWord(ARP_OPERATION_OFFSET),
    Step::RequireEqual(ARP_OPERATION_REQUEST),
    Step::LoadLength,
    Step::RequireAtLeast(ARP_FRAME_LEN),
    // Padding stays in the kernel.
    Step::Accept(ARP_FRAME_LEN),
];

/// One instruction, as `struct sock_filter` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Instruction {
    pub(super) code: u16,
    /// Instructions to skip if a comparison holds …
    pub(super) jump_true: u8,
    /// … and if it does not.
    pub(super) jump_false: u8,
    pub(super) operand: u32,
}

const LOAD_WORD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const LOAD_HALF_WORD: u16 = (libc::BPF_LD | libc::BPF_H | libc::BPF_ABS) as u16;
const LOAD_LENGTH: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_LEN) as u16;
const JUMP_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const JUMP_GREATER: u16 = (libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K) as u16;
const JUMP_GREATER_OR_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

/// Where a load finds what the kernel knows about the frame, beside its octets.
const PACKET_TYPE: u32 = (libc::SKF_AD_OFF + libc::SKF_AD_PKTTYPE) as u32;

/// Translates steps, with a last instruction that drops the frame. `steps` has at most 255 members, since a jump
/// reaches no further.
pub(super) fn compile(steps: &[Step]) -> Vec<Instruction> {
    let drop_at = steps.len();
    let mut program: Vec<_> = steps
        .iter()
        .enumerate()
        .map(|(position, step)| {
            let plain = |code, operand| Instruction { code, jump_true: 0, jump_false: 0, operand };
            // A jump counts from the instruction after it.
            let to_drop = u8::try_from(drop_at - position - 1).expect("a filter has at most 255 steps");
            match *step {
                Step::LoadPacketType => plain(LOAD_WORD, PACKET_TYPE),
                Step::LoadHalfWord(offset) => plain(LOAD_HALF_WORD, offset),
                Step::LoadLength => plain(LOAD_LENGTH, 0),
                Step::RequireEqual(value) => Instruction { jump_false: to_drop, ..plain(JUMP_EQUAL, value) },
                Step::RequireAtMost(value) => {
                    Instruction { jump_true: to_drop, ..plain(JUMP_GREATER, value) }
                }
                Step::RequireAtLeast(value) => {
                    Instruction { jump_false: to_drop, ..plain(JUMP_GREATER_OR_EQUAL, value) }
                }
                Step::Accept(octets) => plain(RETURN, octets),
            }
        })
        .collect();
    program.push(Instruction { code: RETURN, jump_true: 0, jump_false: 0, operand: 0 });
    program
}

#[cfg(test)]
mod tests;
