//! `keryx bgp`: how the BGP sessions of all nodes stand, as the speakers' statuses say.

use std::fmt::Write as _;

use anyhow::Context as _;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use keryx_api::speaker_status::{BgpSession, SpeakerStatus};
use keryx_daemon::connect;
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};

use crate::args::Args;

const COLUMNS: [&str; 9] =
    ["NODE", "PEER", "ADDRESS", "ASN", "STATE", "SINCE", "BFD", "PREFIXES", "LAST ERROR"];

/// Prints the sessions; true if all of them stand.
///
/// # Errors
/// The API server cannot be asked.
pub(crate) async fn bgp(args: &Args, node: Option<&str>) -> anyhow::Result<bool> {
    let client = connect::client(args.kubeconfig.as_deref()).await?;
    let statuses: Api<SpeakerStatus> = Api::namespaced(client, &args.keryx_namespace);
    let all = statuses.list(&ListParams::default()).await.context("failed to read the speakers' statuses")?;
    let mut sessions = Vec::new();
    for status in &all.items {
        let of_node = node.is_none_or(|node| node == status.name_any());
        let listed = status.status.iter().flat_map(|status| &status.sessions);
        sessions.extend(listed.filter(|_| of_node).map(|session| (status.name_any(), session)));
    }
    if sessions.is_empty() {
        println!("no node has a BGP session: no BGPPeer selects one");
        return Ok(true);
    }
    print!("{}", table(&sessions));
    Ok(sessions.iter().all(|(_, session)| session.state == "Established"))
}

fn table(sessions: &[(String, &BgpSession)]) -> String {
    let mut rows: Vec<[String; 9]> = vec![COLUMNS.map(str::to_owned)];
    rows.extend(sessions.iter().map(|(node, session)| row(node, session)));
    let widths: [usize; 9] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            let _ = write!(line, "{cell:width$}  ");
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// Where the router is: its address, its interface, or both in the form of RFC 4007 §11.
fn place(session: &BgpSession) -> Option<String> {
    match (session.address, &session.interface) {
        (Some(address), Some(interface)) => Some(format!("{address}%{interface}")),
        (Some(address), None) => Some(address.to_string()),
        (None, interface) => interface.clone(),
    }
}

fn row(node: &str, session: &BgpSession) -> [String; 9] {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let Time(since) = &session.since;
    [
        node.to_owned(),
        session.peer.clone(),
        or_dash(place(session)),
        or_dash(session.remote_asn.map(|number| number.to_string())),
        session.state.clone(),
        since.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        or_dash(session.bfd.clone()),
        session.prefixes_sent.to_string(),
        or_dash(session.last_error.clone()),
    ]
}
