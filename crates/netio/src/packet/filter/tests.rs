use super::*;

const REQUEST: [u8; 42] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0, 0, 0, 0, 0x0c, 0x08, 0x06, // Ethernet
    0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x01, // types, lengths, operation
    0x02, 0, 0, 0, 0, 0x0c, 192, 0, 2, 200, // sender
    0, 0, 0, 0, 0, 0, 192, 0, 2, 10, // target
];

/// Runs a program as the kernel does. Returns how many octets pass.
fn run(program: &[Instruction], frame: &[u8], packet_type: u8) -> u32 {
    let mut accumulator = 0;
    let mut at = 0;
    loop {
        let Instruction { code, jump_true, jump_false, operand } = program[at];
        at += 1;
        let offset = operand as usize;
        let mut jump = |holds: bool| at += usize::from(if holds { jump_true } else { jump_false });
        match code {
            LOAD_WORD if operand == PACKET_TYPE => accumulator = packet_type.into(),
            LOAD_HALF_WORD => match frame.get(offset..offset + 2) {
                Some(octets) => accumulator = u16::from_be_bytes(octets.try_into().unwrap()).into(),
                None => return 0,
            },
            LOAD_LENGTH => accumulator = frame.len() as u32,
            JUMP_EQUAL => jump(accumulator == operand),
            JUMP_GREATER => jump(accumulator > operand),
            JUMP_GREATER_OR_EQUAL => jump(accumulator >= operand),
            RETURN => return operand,
            _ => panic!("an instruction that no step makes: {code:#x}"),
        }
    }
}

fn with(offset: usize, octets: &[u8]) -> Vec<u8> {
    let mut frame = REQUEST.to_vec();
    frame[offset..offset + octets.len()].copy_from_slice(octets);
    frame
}

#[test]
fn only_arp_requests_for_this_host_pass() {
    let (host, broadcast, multicast, other_host) =
        (libc::PACKET_HOST, libc::PACKET_BROADCAST, libc::PACKET_MULTICAST, libc::PACKET_OTHERHOST);
    let padded = [&REQUEST[..], &[0; 18]].concat();
    let cases = [
        ("broadcast request", REQUEST.to_vec(), broadcast, 42),
        ("unicast request", with(0, &[0x02, 0, 0, 0, 0, 0x0a]), host, 42),
        ("padded request, without its padding", padded, broadcast, 42),
        ("reply", with(20, &[0, 2]), host, 0),
        ("high octet of the operation set", with(20, &[1, 1]), broadcast, 0),
        ("IPv4", with(12, &[0x08, 0x00]), host, 0),
        ("IPv6", with(12, &[0x86, 0xdd]), host, 0),
        ("RARP", with(12, &[0x80, 0x35]), broadcast, 0),
        ("for another station", REQUEST.to_vec(), other_host, 0),
        ("to a group", with(0, &[0x01, 0, 0x5e, 0, 0, 1]), multicast, 0),
        ("our own on its way out", REQUEST.to_vec(), libc::PACKET_OUTGOING, 0),
        ("one octet too short", REQUEST[..41].to_vec(), broadcast, 0),
        ("cut within the operation", REQUEST[..21].to_vec(), broadcast, 0),
        ("Ethernet header only", REQUEST[..14].to_vec(), broadcast, 0),
        ("empty", Vec::new(), broadcast, 0),
    ];
    let program = compile(&ARP_REQUESTS);
    for (name, frame, packet_type, passed) in cases {
        assert_eq!(run(&program, &frame, packet_type), passed, "{name}");
    }
}

#[test]
fn each_requirement_jumps_to_the_drop_at_the_end() {
    let program = compile(&[
        Step::LoadLength,
        Step::RequireAtLeast(2),
        Step::RequireAtMost(4),
        Step::RequireEqual(3),
        Step::Accept(7),
    ]);
    assert_eq!(program.len(), 6);
    for (length, passed) in [(1, 0), (2, 0), (3, 7), (4, 0), (5, 0)] {
        assert_eq!(run(&program, &vec![0; length], 0), passed, "{length} octets");
    }
}
