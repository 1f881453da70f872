//! What was seen, and the file that keeps it. All times are nanoseconds of `CLOCK_REALTIME`: before and after the
//! POST as this process read it, at the watcher too, on the wire as the kernel stamped the frame.

use std::fmt::Write as _;
use std::fs;
use std::net::IpAddr;
use std::path::Path;

use anyhow::Result;

/// Everything that a run has seen.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    pub(crate) services: Vec<Sample>,
    pub(crate) gateways: Vec<Sample>,
}

/// One Service or Gateway.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// Whose it is.
    pub(crate) side: &'static str,
    /// Arm of the run, from 1; 0 for Gateways.
    pub(crate) arm: usize,
    pub(crate) name: String,
    pub(crate) address: IpAddr,
    /// Just before the POST; of a Gateway, before its own.
    pub(crate) posted: u64,
    /// When the POST was answered; of a Gateway, its route's.
    pub(crate) accepted: u64,
    /// When the watcher saw the address in the status.
    pub(crate) assigned: u64,
    /// When the first gratuitous ARP for the address reached the client.
    pub(crate) announced: u64,
    /// When the first connection was answered; Gateways only.
    pub(crate) connected: Option<u64>,
}

impl Samples {
    /// The Services of one side.
    pub(crate) fn of(&self, side: &str) -> Vec<&Sample> {
        self.services.iter().filter(|sample| sample.side == side).collect()
    }

    /// Writes all of it as CSV.
    pub(crate) fn save(&self, file: &Path) -> Result<()> {
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        Ok(fs::write(file, self.csv())?)
    }

    fn csv(&self) -> String {
        let mut text =
            "kind,side,arm,name,address,posted_nanos,accepted_nanos,assigned_nanos,announced_nanos,\
                        connected_nanos\n"
                .to_owned();
        let services = self.services.iter().map(|sample| ("service", sample));
        for (kind, s) in services.chain(self.gateways.iter().map(|sample| ("gateway", sample))) {
            let connected = s.connected.map(|nanos| nanos.to_string()).unwrap_or_default();
            let _infallible = writeln!(
                text,
                "{kind},{},{},{},{},{},{},{},{},{connected}",
                s.side, s.arm, s.name, s.address, s.posted, s.accepted, s.assigned, s.announced
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_has_one_row_for_each_sample_and_an_empty_field_where_nothing_was_measured() {
        let sample = Sample {
            side: "Keryx",
            arm: 1,
            name: "a".into(),
            address: "192.0.2.1".parse().unwrap(),
            posted: 1,
            accepted: 2,
            assigned: 3,
            announced: 4,
            connected: None,
        };
        let gateway = Sample { connected: Some(5), arm: 0, name: "b".into(), ..sample.clone() };
        let samples = Samples { services: vec![sample], gateways: vec![gateway] };
        let rows: Vec<String> = samples.csv().lines().skip(1).map(str::to_owned).collect();
        assert_eq!(rows, ["service,Keryx,1,a,192.0.2.1,1,2,3,4,", "gateway,Keryx,0,b,192.0.2.1,1,2,3,4,5"]);
    }
}
