use proptest::prelude::*;

use super::*;

/// A router that is Up, asks for 50 ms both ways, and has been told down once; from no other source than §4.1.
const GOLDEN: [u8; PACKET_LEN] = [
    0x23, 0xe8, 0x03, 0x18, // version 1, diagnostic 3; Up, P, C; multiplier 3; length 24
    0x12, 0x34, 0x56, 0x78, // my discriminator
    0x9a, 0xbc, 0xde, 0xf0, // your discriminator
    0x00, 0x00, 0xc3, 0x50, // 50,000 microseconds
    0x00, 0x01, 0x86, 0xa0, // 100,000 microseconds
    0x00, 0x00, 0x00, 0x07, // 7 microseconds
];

fn discriminator(value: u32) -> Discriminator {
    Discriminator(NonZeroU32::new(value).unwrap())
}

fn golden() -> Packet {
    Packet {
        diagnostic: Diagnostic::NEIGHBOR_SIGNALED_SESSION_DOWN,
        state: State::Up,
        is_poll: true,
        is_final: false,
        is_control_plane_independent: true,
        is_demand: false,
        detect_multiplier: NonZeroU8::new(3).unwrap(),
        my_discriminator: discriminator(0x1234_5678),
        your_discriminator: Some(discriminator(0x9abc_def0)),
        desired_min_tx_interval: Duration::from_millis(50),
        required_min_rx_interval: Duration::from_millis(100),
        required_min_echo_rx_interval: Duration::from_micros(7),
    }
}

/// The golden packet with some octets changed.
fn changed(changes: &[(usize, u8)]) -> [u8; PACKET_LEN] {
    let mut octets = GOLDEN;
    for (offset, octet) in changes {
        octets[*offset] = *octet;
    }
    octets
}

#[test]
fn the_golden_packet_decodes_and_encodes() {
    assert_eq!(Packet::decode(&GOLDEN), Ok(golden()));
    assert_eq!(golden().encode(), GOLDEN);
}

#[test]
fn each_flag_has_its_own_bit() {
    let flags = |octet: u8| {
        let packet = Packet::decode(&changed(&[(1, 0xc0 | octet)])).unwrap();
        [packet.is_poll, packet.is_final, packet.is_control_plane_independent, packet.is_demand]
    };
    assert_eq!(flags(0), [false; 4]);
    for (index, bit) in [0x20, 0x10, 0x08, 0x02].into_iter().enumerate() {
        let mut expected = [false; 4];
        expected[index] = true;
        assert_eq!(flags(bit), expected);
    }
}

#[test]
fn each_state_has_its_own_two_bits() {
    for (bits, state) in [(0, State::AdminDown), (1, State::Down), (2, State::Init), (3, State::Up)] {
        let octets = changed(&[(1, bits << 6)]);
        let packet = Packet::decode(&octets).unwrap();
        assert_eq!(packet.state, state);
        assert_eq!(packet.encode(), octets);
    }
}

#[test]
fn every_shortened_packet_is_refused_as_too_short() {
    for length in 0..PACKET_LEN {
        assert_eq!(Packet::decode(&GOLDEN[..length]), Err(DecodeError::TooShort(length)));
    }
}

#[test]
fn what_the_rfc_discards_is_refused_by_name() {
    let length = |field| DecodeError::Length { field, payload: PACKET_LEN };
    let zero = |offset| [(offset, 0), (offset + 1, 0), (offset + 2, 0), (offset + 3, 0)];
    let without_receiver = |state: u8| [&zero(8)[..], &[(1, state << 6)]].concat();
    type Case = (&'static str, Vec<(usize, u8)>, DecodeError);
    let cases: &[Case] = &[
        ("version 0", vec![(0, 0x03)], DecodeError::Version(0)),
        ("version 2", vec![(0, 0x43)], DecodeError::Version(2)),
        ("length 23", vec![(3, 23)], length(23)),
        ("length past the end", vec![(3, 25)], length(25)),
        ("multiplier 0", vec![(2, 0)], DecodeError::DetectMultiplier),
        ("multipoint", vec![(1, 0xc1)], DecodeError::Multipoint),
        ("no sender", zero(4).to_vec(), DecodeError::MyDiscriminator),
        ("no receiver while Init", without_receiver(2), DecodeError::YourDiscriminator(State::Init)),
        ("no receiver while Up", without_receiver(3), DecodeError::YourDiscriminator(State::Up)),
    ];
    for (name, changes, expected) in cases {
        assert_eq!(Packet::decode(&changed(changes)), Err(*expected), "{name}");
    }
}

#[test]
fn the_receiver_may_be_unknown_while_the_sender_is_down() {
    for state in [0, 1] {
        let octets = changed(&[(1, state << 6), (8, 0), (9, 0), (10, 0), (11, 0)]);
        let packet = Packet::decode(&octets).unwrap();
        assert_eq!(packet.your_discriminator, None);
        assert_eq!(packet.encode(), octets);
    }
}

#[test]
fn an_authenticated_packet_is_refused_as_such() {
    let mut octets = changed(&[(1, 0xc4), (3, 26)]).to_vec();
    octets.extend([1, 2]);
    assert_eq!(Packet::decode(&octets), Err(DecodeError::Authentication));
}

#[test]
fn the_length_of_an_authenticated_packet_is_26_at_least() {
    let mut octets = changed(&[(1, 0xc4), (3, 25)]).to_vec();
    octets.extend([1, 2]);
    assert_eq!(Packet::decode(&octets), Err(DecodeError::Length { field: 25, payload: 26 }));
}

#[test]
fn octets_after_the_packet_and_after_its_sections_are_ignored() {
    for length in [24, 30] {
        let mut octets = changed(&[(3, length)]).to_vec();
        octets.extend([0xa5; 40]);
        assert_eq!(Packet::decode(&octets), Ok(golden()));
    }
}

#[test]
fn an_interval_that_is_too_long_for_the_wire_is_sent_as_the_longest() {
    let packet = Packet { desired_min_tx_interval: Duration::from_secs(5_000), ..golden() };
    assert_eq!(packet.encode()[12..16], [0xff; 4]);
}

#[test]
fn diagnostics_have_their_names_and_the_others_their_number() {
    assert_eq!(Diagnostic::from_code(1).to_string(), "control detection time expired");
    assert_eq!(Diagnostic::from_code(7), Diagnostic::ADMINISTRATIVELY_DOWN);
    assert_eq!(Diagnostic::from_code(9).to_string(), "unassigned diagnostic 9");
    assert_eq!(Diagnostic::from_code(0x20 | 5).code(), 5);
}

prop_compose! {
    fn any_interval()(micros in any::<u32>()) -> Duration {
        Duration::from_micros(micros.into())
    }
}

prop_compose! {
    fn any_packet()(
        code in 0..32_u8,
        bits in 0..4_u8,
        flags in any::<[bool; 4]>(),
        detect_multiplier in 1..=u8::MAX,
        my in 1..=u32::MAX,
        your in 0..=u32::MAX,
        intervals in [any_interval(), any_interval(), any_interval()],
    ) -> Packet {
        let state = State::from_bits(bits);
        let is_unknown_allowed = matches!(state, State::Down | State::AdminDown);
        Packet {
            diagnostic: Diagnostic::from_code(code),
            state,
            is_poll: flags[0],
            is_final: flags[1],
            is_control_plane_independent: flags[2],
            is_demand: flags[3],
            detect_multiplier: NonZeroU8::new(detect_multiplier).unwrap(),
            my_discriminator: discriminator(my),
            // One half without, as far as the state allows it.
            your_discriminator: if is_unknown_allowed && my % 2 == 0 {
                None
            } else {
                Discriminator::from_wire(your.max(1))
            },
            desired_min_tx_interval: intervals[0],
            required_min_rx_interval: intervals[1],
            required_min_echo_rx_interval: intervals[2],
        }
    }
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded_back(packet in any_packet()) {
        prop_assert_eq!(Packet::decode(&packet.encode()), Ok(packet));
    }

    /// Whatever is accepted says all that the first 24 octets say, but for the length.
    #[test]
    fn mutated_packets_never_panic_and_only_true_copies_are_accepted(
        packet in any_packet(),
        mutations in prop::collection::vec((0..PACKET_LEN, any::<u8>()), 0..6),
        tail in prop::collection::vec(any::<u8>(), 0..30),
        length in 0..=PACKET_LEN + 30,
    ) {
        let mut octets = packet.encode().to_vec();
        for (offset, octet) in mutations {
            octets[offset] = octet;
        }
        octets.extend(tail);
        octets.truncate(length);
        if let Ok(packet) = Packet::decode(&octets) {
            prop_assert!(usize::from(octets[3]) <= octets.len());
            octets[3] = PACKET_LEN as u8;
            prop_assert_eq!(&packet.encode()[..], &octets[..PACKET_LEN]);
        }
    }

    #[test]
    fn random_octets_never_panic(octets in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Packet::decode(&octets);
    }
}
