//! tshark: what an independent program makes of frames.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::lab::Lab;
use crate::machine;

/// One frame of a capture file, as tshark sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dissected {
    /// Its number in the file, from 1.
    pub number: u32,
    /// What it is, in tshark's words.
    pub info: String,
    /// Whether its ICMPv6 checksum is right; `None` if it has none.
    pub checksum_is_right: Option<bool>,
    /// What is wrong or odd about it, in tshark's words; empty if nothing is.
    pub complaints: String,
}

/// The fields that tshark is asked for.
const FIELDS: [&str; 4] = ["frame.number", "_ws.col.Info", "icmpv6.checksum.status", "_ws.expert.message"];

impl Lab {
    /// Reads a capture file with tshark and gives the frames that a display filter chooses.
    ///
    /// # Errors
    /// tshark cannot read the file or the filter; the lab was built without
    /// [`Builder::dissector`](crate::Builder::dissector).
    pub fn dissect(&self, pcap: &Path, filter: &str) -> Result<Vec<Dissected>> {
        let parts = &self.site.parts;
        let mut tshark = Command::new(parts.dissector("/usr/bin/tshark"));
        tshark.env("LD_LIBRARY_PATH", parts.dissector_library_path());
        // Its own settings, and not those of whoever runs it.
        tshark.env("HOME", self.site.state.path("")).env("XDG_CONFIG_HOME", self.site.state.path(""));
        // Frames are taken one by one: that an address is claimed twice, or often, is for the tests to judge.
        tshark.args(["-o", "arp.detect_duplicate_ips:FALSE", "-o", "arp.detect_request_storms:FALSE"]);
        tshark.arg("-n").arg("-r").arg(pcap).args(["-Y", filter, "-T", "fields", "-E", "separator=/t"]);
        FIELDS.iter().for_each(|field| {
            tshark.args(["-e", field]);
        });
        machine::run(&mut tshark)?.lines().map(parse).collect()
    }
}

fn parse(line: &str) -> Result<Dissected> {
    let mut fields = line.split('\t');
    let mut next = || fields.next().with_context(|| format!("tshark gives too few fields: {line}"));
    let number = next()?.parse()?;
    let info = next()?.to_owned();
    let checksum_is_right = match next()? {
        "" => None,
        status => Some(status == "1"),
    };
    Ok(Dissected { number, info, checksum_is_right, complaints: next()?.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_tshark_is_read() {
        let line = "3\tNeighbor Advertisement fd98::200\t0\tBad checksum [should be 0x1234]";
        let expected = Dissected {
            number: 3,
            info: "Neighbor Advertisement fd98::200".to_owned(),
            checksum_is_right: Some(false),
            complaints: "Bad checksum [should be 0x1234]".to_owned(),
        };
        assert_eq!(parse(line).unwrap(), expected);
        assert_eq!(parse("1\tWho has\t\t").unwrap().checksum_is_right, None);
        assert!(parse("1\tWho has").is_err());
    }
}
