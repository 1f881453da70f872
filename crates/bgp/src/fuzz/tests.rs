use keryx_fuzz_replay::replay;

use crate::tests::peers::start;

#[test]
fn the_corpus_of_opens_holds() {
    replay("bgp_open", super::open);
}

#[test]
fn the_corpus_of_updates_holds() {
    replay("bgp_update", super::update);
}

#[test]
fn the_corpus_of_notifications_holds() {
    replay("bgp_notification", super::notification);
}

#[test]
fn the_corpus_of_streams_holds() {
    replay("bgp_framer", super::framer);
}

#[test]
fn the_corpus_of_peers_holds() {
    let now = start();
    replay("bgp_peer", |script| super::peer(script, now));
}
