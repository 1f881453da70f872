//! The state machine, row by row (RFC 5880 §6.2, §6.8.4, §6.8.6, §6.8.16).

use super::*;

#[derive(Clone, Copy, Debug)]
enum Input {
    /// A packet with this state.
    Hears(State),
    /// A detection time without a packet.
    Silence,
    Enable,
    Disable,
}

use Input::{Disable, Enable, Hears, Silence};
use State::{AdminDown, Down, Init, Up};

/// No change of the diagnostic.
const KEPT: Option<Diagnostic> = None;
const EXPIRED: Option<Diagnostic> = Some(Diagnostic::CONTROL_DETECTION_TIME_EXPIRED);
const SIGNALED: Option<Diagnostic> = Some(Diagnostic::NEIGHBOR_SIGNALED_SESSION_DOWN);
const ADMIN: Option<Diagnostic> = Some(Diagnostic::ADMINISTRATIVELY_DOWN);

/// State, what happens, the state after it, the diagnostic after it, what clients are told.
type Row = (State, Input, State, Option<Diagnostic>, Option<Change>);

fn down(cause: DownCause) -> Option<Change> {
    Some(Change::Down(cause))
}

#[rustfmt::skip]
fn rows() -> [Row; 28] {
    let peer_down = down(DownCause::PeerDown(Diagnostic::PATH_DOWN));
    let peer_admin_down = down(DownCause::PeerAdminDown(Diagnostic::PATH_DOWN));
    let up = Some(Change::Up);
    [
        (AdminDown, Hears(AdminDown), AdminDown, KEPT,     None),
        (AdminDown, Hears(Down),      AdminDown, KEPT,     None),
        (AdminDown, Hears(Init),      AdminDown, KEPT,     None),
        (AdminDown, Hears(Up),        AdminDown, KEPT,     None),
        (AdminDown, Silence,          AdminDown, KEPT,     None),
        (AdminDown, Enable,           Down,      KEPT,     None),
        (AdminDown, Disable,          AdminDown, KEPT,     None),

        (Down,      Hears(AdminDown), Down,      KEPT,     None),
        (Down,      Hears(Down),      Init,      KEPT,     None),
        (Down,      Hears(Init),      Up,        KEPT,     up),
        (Down,      Hears(Up),        Down,      KEPT,     None),
        (Down,      Silence,          Down,      KEPT,     None),
        (Down,      Enable,           Down,      KEPT,     None),
        (Down,      Disable,          AdminDown, ADMIN,    None),

        (Init,      Hears(AdminDown), Down,      SIGNALED, None),
        (Init,      Hears(Down),      Init,      KEPT,     None),
        (Init,      Hears(Init),      Up,        KEPT,     up),
        (Init,      Hears(Up),        Up,        KEPT,     up),
        (Init,      Silence,          Down,      EXPIRED,  None),
        (Init,      Enable,           Init,      KEPT,     None),
        (Init,      Disable,          AdminDown, ADMIN,    None),

        (Up,        Hears(AdminDown), Down,      SIGNALED, peer_admin_down),
        (Up,        Hears(Down),      Down,      SIGNALED, peer_down),
        (Up,        Hears(Init),      Up,        KEPT,     None),
        (Up,        Hears(Up),        Up,        KEPT,     None),
        (Up,        Silence,          Down,      EXPIRED,  down(DownCause::DetectionTimeExpired)),
        (Up,        Enable,           Up,        KEPT,     None),
        (Up,        Disable,          AdminDown, ADMIN,    down(DownCause::Disabled)),
    ]
}

fn apply(bench: &mut Bench, input: Input) -> Option<Change> {
    match input {
        Hears(state) => bench.receive(&Packet { diagnostic: Diagnostic::PATH_DOWN, ..packet(state) }),
        Silence => {
            let due = bench.now + bench.session.detection_time();
            bench.session.handle_timeout(due)
        }
        Enable => {
            bench.session.enable(bench.now);
            None
        }
        Disable => bench.session.disable(bench.now),
    }
}

#[test]
fn the_table_has_a_row_for_each_state_and_input() {
    let rows: std::collections::BTreeSet<_> =
        rows().iter().map(|(state, input, ..)| format!("{state:?} {input:?}")).collect();
    assert_eq!(rows.len(), 4 * (4 + 3));
}

#[test]
fn every_state_goes_where_the_rfc_says_and_clients_are_told_what_concerns_them() {
    for row @ (state, input, after, diagnostic, change) in rows() {
        let mut bench = Bench::in_state(state, &Config::default());
        let before = bench.session.diagnostic();
        assert_eq!(apply(&mut bench, input), change, "{row:?}");
        assert_eq!(bench.session.state(), after, "{row:?}");
        assert_eq!(bench.session.diagnostic(), diagnostic.unwrap_or(before), "{row:?}");
    }
}

#[test]
fn every_change_of_state_is_sent_at_once_and_only_that() {
    for row @ (state, input, after, ..) in rows() {
        let mut bench = Bench::in_state(state, &Config::default());
        if matches!(input, Silence) {
            // A periodic packet would be due, too.
            continue;
        }
        apply(&mut bench, input);
        let sent: Vec<State> = bench.drain().iter().map(|packet| packet.state).collect();
        assert_eq!(sent, if state == after { vec![] } else { vec![after] }, "{row:?}");
    }
}

#[test]
fn the_diagnostic_of_the_last_failure_stays_while_the_session_is_up_again() {
    let mut bench = Bench::up();
    bench.receive(&packet(Down));
    bench.receive(&packet(Init));
    assert_eq!(bench.session.state(), Up);
    assert_eq!(bench.drain()[0].diagnostic, Diagnostic::NEIGHBOR_SIGNALED_SESSION_DOWN);
}
