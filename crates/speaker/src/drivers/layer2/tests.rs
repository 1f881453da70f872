//! What the driver carries between its machines, told as stories.

use std::collections::BTreeMap;
use std::time::Duration;

use world::{World, links, machines, orders, tell};

use crate::clock;

mod world;

/// A death has to be known, and the segment asked.
const HALF_A_SECOND: Duration = Duration::from_millis(500);

#[test]
fn the_first_candidate_announces_both_families_and_keeps_them() {
    tell(3, false, |world| {
        let holder = world.holder();
        world.run(Duration::from_secs(20));
        assert_eq!(world.holder(), holder);
        assert_eq!(world.overlap, Duration::ZERO);
    });
}

#[test]
fn a_speaker_that_dies_is_followed_in_half_a_second() {
    tell(3, false, |world| {
        let holder = world.holder();
        world.nodes[holder].frozen = true;
        world.run(HALF_A_SECOND);
        let others: Vec<usize> = world.announcers().into_iter().filter(|place| *place != holder).collect();
        assert_eq!(others.len(), 1);
    });
}

#[test]
fn a_frozen_speaker_that_goes_on_stays_silent() {
    tell(3, false, |world| {
        let holder = world.holder();
        world.nodes[holder].frozen = true;
        world.run(Duration::from_secs(2));
        world.thaw(holder);
        world.run(Duration::from_secs(3));
        assert_ne!(world.holder(), holder);
        assert_eq!(world.overlap, Duration::ZERO);
    });
}

#[test]
fn a_speaker_that_was_frozen_shortly_leaves_its_group_to_whoever_took_it() {
    for frozen_ms in (500..1_500).step_by(100) {
        tell(3, false, |world| {
            let holder = world.holder();
            world.nodes[holder].frozen = true;
            world.run(Duration::from_millis(frozen_ms));
            let after = |world: &World| world.announcers().into_iter().find(|place| *place != holder);
            let successor = after(world);
            // What was learned meanwhile takes its time to get through.
            world.loss = 20;
            world.thaw(holder);
            world.run(Duration::from_secs(1));
            world.loss = 0;
            world.run(Duration::from_secs(3));
            assert_eq!(Some(world.holder()), successor, "after {frozen_ms} ms");
            assert_eq!(world.overlap, Duration::ZERO, "after {frozen_ms} ms");
        });
    }
}

#[test]
fn a_rolling_update_moves_nothing() {
    tell(3, false, |world| {
        let holder = world.holder();
        for place in 0..3 {
            world.restart(place, Duration::from_millis(1500));
            world.run(Duration::from_secs(2));
            assert_eq!(world.holder(), holder, "after the restart of {place}");
        }
        assert_eq!(world.overlap, Duration::ZERO);
    });
}

#[test]
fn a_node_that_is_switched_off_is_replaced_although_its_speaker_said_that_it_would_be_back() {
    tell(3, false, |world| {
        let holder = world.holder();
        world.nodes[holder].machines.announce_restart(10, world.now);
        world.deliver();
        world.nodes[holder].frozen = true;
        world.run(Duration::from_secs(3));
        assert!(!world.announcers().iter().any(|place| *place != holder), "its kernel answers");
        world.nodes[holder].unplugged = true;
        world.run(Duration::from_millis(1_100));
        assert_ne!(world.announcers(), [holder]);
        assert_eq!(world.overlap, Duration::ZERO);
    });
}

#[test]
fn a_node_that_is_cut_off_the_segment_alone_gives_up_and_is_followed() {
    tell(3, false, |world| {
        let holder = world.holder();
        world.nodes[holder].unplugged = true;
        world.run(HALF_A_SECOND);
        let successor = world.holder();
        assert_ne!(successor, holder);
        world.nodes[holder].unplugged = false;
        world.run(Duration::from_secs(3));
        assert_eq!(world.holder(), successor, "it came back and took it");
        assert_eq!(world.overlap, Duration::ZERO);
    });
}

#[test]
fn a_lost_carrier_is_told_by_the_other_network_at_once() {
    tell(3, false, |world| {
        let holder = world.holder();
        world.set_carrier(holder, false);
        world.run(Duration::from_millis(20));
        let successor = world.holder();
        assert_ne!(successor, holder);
        // Until heartbeats have told the old holder on the other network who has it now.
        world.run(Duration::from_millis(300));
        world.set_carrier(holder, true);
        world.run(Duration::from_secs(3));
        assert_eq!(world.holder(), successor);
    });
}

/// Without the management network, which is cut first.
fn tell_on_one_network(count: u8, story: impl Fn(&mut World)) {
    tell(count, false, |world| {
        world.one_network = true;
        world.run(Duration::from_secs(1));
        story(world);
    });
}

#[test]
fn a_holder_that_sends_and_hears_nothing_is_followed_in_half_a_second_and_no_second_announcer_afterwards() {
    for count in [2, 3] {
        tell_on_one_network(count, |world| {
            let holder = world.holder();
            world.nodes[holder].deaf = true;
            world.run(HALF_A_SECOND);
            let [successor] = world.answerers()[..] else { panic!("{:?} answer", world.answerers()) };
            assert!(world.outage < HALF_A_SECOND, "nobody answered for {:?}", world.outage);
            // It repeats its announcement each minute, and a client that takes that in is told better at once.
            world.run(Duration::from_secs(70));
            assert_eq!(world.cached, Some(world.mac(successor)));
            world.nodes[holder].deaf = false;
            world.run(Duration::from_secs(3));
            assert_eq!(world.holder(), successor);
            assert!(world.overlap <= Duration::from_millis(200), "two answered for {:?}", world.overlap);
        });
    }
}

#[test]
fn a_node_that_hears_nothing_takes_no_client_from_the_holder() {
    tell_on_one_network(3, |world| {
        let holder = world.holder();
        let deaf = (holder + 1) % 3;
        world.nodes[deaf].deaf = true;
        for _ in 0..15 {
            world.run(Duration::from_secs(5));
            assert_eq!(world.answerers(), [holder]);
            assert_eq!(world.cached, Some(world.mac(holder)));
        }
        world.nodes[deaf].deaf = false;
        world.run(Duration::from_secs(3));
        assert_eq!(world.holder(), holder);
        assert!(world.overlap <= Duration::from_millis(200), "two answered for {:?}", world.overlap);
    });
}

#[test]
fn the_last_living_node_hears_nobody_and_goes_on() {
    tell_on_one_network(2, |world| {
        let holder = world.holder();
        let other = 1 - holder;
        (world.nodes[other].frozen, world.nodes[other].unplugged) = (true, true);
        world.run(Duration::from_secs(10));
        assert_eq!(world.holder(), holder);
        (world.nodes[other].frozen, world.nodes[other].unplugged) = (false, false);
        world.restart(other, Duration::from_millis(10));
        world.run(Duration::from_secs(5));
        assert_eq!(world.holder(), holder, "who comes back takes nothing away");
        assert_eq!((world.outage, world.overlap), (Duration::ZERO, Duration::ZERO));
    });
}

#[test]
fn a_holder_that_cannot_send_on_the_segment_alone_gives_up_and_is_followed_in_half_a_second() {
    tell(3, false, |world| {
        let holder = world.holder();
        world.nodes[holder].mute = true;
        world.run(HALF_A_SECOND);
        let successor = world.holder();
        assert_ne!(successor, holder);
        assert!(world.outage < HALF_A_SECOND, "nobody answered for {:?}", world.outage);
        // As long as it cannot, it is no candidate.
        world.run(Duration::from_secs(10));
        assert_eq!(world.holder(), successor);
        world.nodes[holder].mute = false;
        world.run(Duration::from_secs(3));
        assert_eq!((world.holder(), world.overlap), (successor, Duration::ZERO));
        assert!(world.nodes[holder].machines.placing.cut_off.is_empty(), "it answers again");
    });
}

#[test]
fn a_tenth_of_all_frames_and_datagrams_lost_moves_nothing() {
    for one_network in [false, true] {
        tell(3, false, |world| {
            world.one_network = one_network;
            world.run(Duration::from_secs(1));
            let holder = world.holder();
            (world.loss, world.frame_loss) = (10, 10);
            world.run(Duration::from_secs(30));
            assert_eq!(world.holder(), holder);
            assert_eq!((world.outage, world.overlap), (Duration::ZERO, Duration::ZERO));
        });
    }
}

#[test]
fn blocked_gossip_moves_nothing_and_a_dead_node_is_found_without_it() {
    tell(3, false, |world| {
        let holder = world.holder();
        world.gossip_blocked = true;
        world.run(Duration::from_secs(10));
        assert_eq!(world.holder(), holder);
        assert_eq!(world.overlap, Duration::ZERO);
        world.nodes[holder].unplugged = true;
        // Until the successor has sent its last announcement.
        world.run(Duration::from_secs(12));
        let others: Vec<usize> = world.announcers().into_iter().filter(|place| *place != holder).collect();
        assert_eq!(others.len(), 1);
        // Both announce when the cable is back, and nobody says so on the segment; gossip tells them of each other.
        world.nodes[holder].unplugged = false;
        world.gossip_blocked = false;
        world.run(Duration::from_secs(1));
        world.holder();
        assert!(world.overlap < HALF_A_SECOND, "two announced for {:?}", world.overlap);
    });
}

#[test]
fn gossip_that_is_blocked_on_the_segment_alone_moves_nothing_and_hides_no_cut() {
    tell(3, false, |world| {
        let holder = world.holder();
        world.gossip_blocked_on_segment = true;
        world.run(Duration::from_secs(10));
        assert_eq!(world.holder(), holder);
        world.nodes[holder].unplugged = true;
        world.run(Duration::from_millis(1_200));
        assert_ne!(world.holder(), holder, "it still believes to be heard");
        assert_eq!(world.overlap, Duration::ZERO);
    });
}

#[test]
fn nodes_that_never_heard_of_each_other_ask_the_segment_before_one_announces() {
    tell(3, true, |world| {
        world.run(Duration::from_secs(10));
        world.holder();
        assert_eq!(world.overlap, Duration::ZERO);
    });
}

#[test]
fn two_nodes_without_a_word_from_each_other_do_not_both_announce() {
    tell(2, false, |world| {
        let holder = world.holder();
        world.gossip_blocked = true;
        world.run(Duration::from_secs(10));
        assert_eq!(world.holder(), holder);
        assert_eq!(world.overlap, Duration::ZERO);
    });
}

#[test]
fn a_node_that_is_alone_in_its_cluster_waits_for_nobody() {
    let now = clock::now();
    let mut alone = machines(1, &BTreeMap::new(), 1, now);
    alone.follow(&orders(1, 1), &links(1, true), now);
    assert!(alone.takeover.is_active());
    let mut one_of_two = machines(1, &BTreeMap::new(), 1, now);
    one_of_two.follow(&orders(1, 2), &links(1, true), now);
    assert!(!one_of_two.takeover.is_active());
}
