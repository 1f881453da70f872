//! BIRD 2.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use anyhow::{Result, bail, ensure};

use super::{ask, connect};
use crate::host::{Host, Process};

/// A running BIRD. It ends with this value.
#[derive(Debug)]
pub struct Bird {
    process: Process,
    config: PathBuf,
    control: UnixStream,
}

/// A route in BIRD's tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BirdRoute {
    /// The protocols that it came from, each with the next hops there; the best first.
    pub paths: Vec<BirdPath>,
}

/// A route, as one protocol has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BirdPath {
    /// Name of the protocol in the configuration.
    pub protocol: String,
    /// Next hops.
    pub next_hops: Vec<IpAddr>,
    /// Attributes by their names, such as `BGP.as_path`.
    pub attributes: BTreeMap<String, String>,
}

impl Bird {
    pub(super) fn start(host: &Host, config: &str) -> Result<Bird> {
        let folder = host.router_folder("bird")?;
        let (file, socket) = (folder.join("bird.conf"), folder.join("bird.ctl"));
        fs::write(&file, config)?;
        let path = |path: &PathBuf| path.to_string_lossy().into_owned();
        let arguments = [
            "-f".into(),
            "-c".into(),
            path(&file),
            "-s".into(),
            path(&socket),
            "-P".into(),
            path(&folder.join("pid")),
        ];
        let environment = [("LD_LIBRARY_PATH".to_owned(), host.site.parts.router_library_path())];
        let process = host.spawn("bird", host.site.parts.router("/usr/sbin/bird"), arguments, environment)?;
        let control = connect(&socket).inspect_err(|_| {
            eprintln!("lab: BIRD said: {}", fs::read_to_string(process.log()).unwrap_or_default());
        })?;
        let bird = Bird { process, config: file, control };
        // It greets first.
        bird.read(b"")?;
        Ok(bird)
    }

    /// The answer to a command of birdc, without the codes of its lines.
    ///
    /// # Errors
    /// BIRD does not answer, or answers with an error (codes 8000 and above).
    pub fn ask(&self, command: &str) -> Result<String> {
        let answer = self.read(format!("{command}\n").as_bytes())?;
        let mut text = String::new();
        for line in answer.lines() {
            let (code, rest) =
                match line.get(..4).filter(|code| code.bytes().all(|digit| digit.is_ascii_digit())) {
                    Some(code) => (code, line.get(5..).unwrap_or_default()),
                    // A line like the one before begins with a space.
                    None => ("", line.strip_prefix(' ').unwrap_or(line)),
                };
            ensure!(!code.starts_with(['8', '9']), "BIRD says to '{command}': {line}");
            text.push_str(rest);
            text.push('\n');
        }
        Ok(text)
    }

    /// Takes over another configuration.
    ///
    /// # Errors
    /// It is wrong.
    pub fn configure(&self, config: &str) -> Result<()> {
        fs::write(&self.config, config)?;
        self.ask("configure").map(drop)
    }

    /// The state of a protocol, such as `Established`, or what it says of its last error.
    ///
    /// # Errors
    /// There is no such protocol.
    pub fn state(&self, protocol: &str) -> Result<String> {
        let answer = self.ask(&format!("show protocols {protocol}"))?;
        let line = answer.lines().find(|line| line.starts_with(protocol));
        let Some(line) = line else { bail!("BIRD knows no protocol {protocol}: {answer}") };
        // Name, Proto, Table, State, Since, Info.
        Ok(line.split_whitespace().skip(5).collect::<Vec<_>>().join(" "))
    }

    /// All routes that came from BGP, by prefix.
    ///
    /// # Errors
    /// BIRD does not answer.
    pub fn routes(&self) -> Result<BTreeMap<String, BirdRoute>> {
        Ok(routes(&self.ask("show route all where source = RTS_BGP")?))
    }

    /// The route to this very prefix; without paths if there is none.
    ///
    /// # Errors
    /// BIRD does not answer.
    pub fn route(&self, prefix: &str) -> Result<BirdRoute> {
        let found = self.ask(&format!("show route all where net = {prefix}"))?;
        Ok(routes(&found).remove(prefix).unwrap_or_default())
    }

    /// The process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    fn read(&self, request: &[u8]) -> Result<String> {
        let answer = ask(&self.control, request, is_whole)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}

/// The last line of an answer has a code and a space; others have a dash, a plus or no code.
fn is_whole(answer: &[u8]) -> bool {
    let Some(text) = answer.strip_suffix(b"\n") else { return false };
    let last = text.rsplit(|octet| *octet == b'\n').next().unwrap_or_default();
    last.len() >= 5 && last[..4].iter().all(u8::is_ascii_digit) && last[4] == b' '
}

/// What `show route all` says.
fn routes(text: &str) -> BTreeMap<String, BirdRoute> {
    let mut routes: BTreeMap<String, BirdRoute> = BTreeMap::new();
    let mut prefix = String::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_path = words.contains(&"unicast") && line.contains('[');
        if is_path {
            if words[0].contains('/') {
                prefix = words[0].to_owned();
            }
            let protocol = line.split('[').nth(1).and_then(|rest| rest.split_whitespace().next());
            let path = BirdPath { protocol: protocol.unwrap_or_default().to_owned(), ..BirdPath::default() };
            routes.entry(prefix.clone()).or_default().paths.push(path);
            continue;
        }
        let Some(path) = routes.get_mut(&prefix).and_then(|route| route.paths.last_mut()) else { continue };
        if let ["via", address, ..] = words[..] {
            path.next_hops.extend(address.parse::<IpAddr>());
        } else if let Some((name, value)) = line.trim().split_once(':')
            && name.starts_with("BGP.")
        {
            path.attributes.insert(name.to_owned(), value.trim().to_owned());
        }
    }
    routes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_with_a_line_whose_code_a_space_follows() {
        assert!(!is_whole(b"1002-name\n more\n"));
        assert!(!is_whole(b"1002-name\n more\n0000 "));
        assert!(is_whole(b"1002-name\n more\n0000 \n"));
        assert!(is_whole(b"0001 BIRD 2.0.12 ready.\n"));
    }

    #[test]
    fn routes_are_read_with_their_paths_and_attributes() {
        let text = "Table master4:\n\
            198.51.100.1/32      unicast [n1 21:00:00.000] * (100) [AS64512i]\n\
            \tvia 10.98.0.11 on eth0\n\
            \tType: BGP univ\n\
            \tBGP.origin: IGP\n\
            \tBGP.as_path: 64512\n\
            \tBGP.community: (64512,1) (64512,2)\n\
            \x20                    unicast [n2 21:00:00.000] (100) [AS64512i]\n\
            \tvia 10.98.0.12 on eth0\n\
            \tBGP.as_path: 64512 64512\n";
        let routes = routes(text);
        let route = &routes["198.51.100.1/32"];
        assert_eq!(route.paths.len(), 2);
        assert_eq!((&*route.paths[0].protocol, &*route.paths[1].protocol), ("n1", "n2"));
        assert_eq!(route.paths[0].next_hops, ["10.98.0.11".parse::<IpAddr>().unwrap()]);
        assert_eq!(route.paths[0].attributes["BGP.community"], "(64512,1) (64512,2)");
        assert_eq!(route.paths[1].attributes["BGP.as_path"], "64512 64512");
    }
}
