//! Capabilities (RFC 5492), as far as they matter to whom only announces.

use super::octets::{Reader, Truncated, with_length_u8};
use crate::values::{Asn, Family, PerFamily, SAFI_UNICAST};

const MULTIPROTOCOL: u8 = 1;
const ROUTE_REFRESH: u8 = 2;
const EXTENDED_NEXT_HOP: u8 = 5;
const GRACEFUL_RESTART: u8 = 64;
const FOUR_OCTET_AS: u8 = 65;

/// RFC 4724 §3: the R bit, and RFC 8538 §2: the N bit, in the first four bits of two octets.
const RESTARTING: u16 = 0x8000;
const NOTIFICATION: u16 = 0x4000;
const TIME: u16 = 0x0fff;
/// The F bit of a family (RFC 4724 §3).
const FORWARDING: u8 = 0x80;

/// The capabilities of one speaker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Capabilities {
    /// Address families (RFC 4760 §8); `None` if the capability is not there at all.
    pub(crate) multiprotocol: Option<PerFamily<bool>>,
    /// The AS number of an OPEN whose own field has only two octets (RFC 6793 §3); 0 is possible on the wire.
    pub(crate) four_octet_as: Option<u32>,
    /// RFC 2918.
    pub(crate) route_refresh: bool,
    /// IPv4 unicast may have an IPv6 next hop (RFC 8950 §4).
    pub(crate) ipv4_over_ipv6: bool,
    /// RFC 4724.
    pub(crate) graceful_restart: Option<RestartCapability>,
}

/// The graceful restart capability (RFC 4724 §3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RestartCapability {
    /// The R bit: the speaker has just started again.
    pub(crate) restarting: bool,
    /// The N bit: routes are kept over a NOTIFICATION, too (RFC 8538).
    pub(crate) notification: bool,
    /// How long its routes are to be kept, at most 4,095.
    pub(crate) time_secs: u16,
    /// Families for which it keeps forwarding; with them the F bit is set.
    pub(crate) forwarding: PerFamily<bool>,
}

impl Capabilities {
    /// A speaker that says nothing of families speaks IPv4 unicast (RFC 4271).
    pub(crate) fn families(&self) -> PerFamily<bool> {
        self.multiprotocol.unwrap_or(PerFamily { ipv4: true, ipv6: false })
    }

    /// Adds what the value of one optional parameter says. What is not known is ignored (RFC 5492 §3), and so is what
    /// has not the length that its kind has.
    ///
    /// # Errors
    /// The parameter ends in the midst of a capability.
    pub(crate) fn read(&mut self, parameter: &[u8]) -> Result<(), Truncated> {
        let mut reader = Reader::new(parameter);
        while !reader.is_empty() {
            let code = reader.u8()?;
            let length = reader.u8()?;
            let value = reader.slice(length.into())?;
            self.read_one(code, value);
        }
        Ok(())
    }

    fn read_one(&mut self, code: u8, value: &[u8]) {
        match (code, value) {
            (MULTIPROTOCOL, &[high, low, _, safi]) => {
                let families = self.multiprotocol.get_or_insert_default();
                if let Some(family) = Family::from_wire(u16::from_be_bytes([high, low]), safi) {
                    families[family] = true;
                }
            }
            (ROUTE_REFRESH, []) => self.route_refresh = true,
            (EXTENDED_NEXT_HOP, value) => {
                let ipv4_over_ipv6 = [0, 1, 0, SAFI_UNICAST, 0, 2];
                self.ipv4_over_ipv6 |= value.chunks_exact(6).any(|triple| triple == ipv4_over_ipv6);
            }
            (FOUR_OCTET_AS, value) => {
                if let Ok(octets) = value.try_into() {
                    self.four_octet_as = Some(u32::from_be_bytes(octets));
                }
            }
            (GRACEFUL_RESTART, [high, low, families @ ..]) => {
                let field = u16::from_be_bytes([*high, *low]);
                let mut forwarding = PerFamily::default();
                for tuple in families.chunks_exact(4) {
                    let afi = u16::from_be_bytes([tuple[0], tuple[1]]);
                    if let Some(family) = Family::from_wire(afi, tuple[2]) {
                        forwarding[family] = tuple[3] & FORWARDING != 0;
                    }
                }
                self.graceful_restart = Some(RestartCapability {
                    restarting: field & RESTARTING != 0,
                    notification: field & NOTIFICATION != 0,
                    time_secs: field & TIME,
                    forwarding,
                });
            }
            _ => {}
        }
    }

    /// Appends all, to be the value of one optional parameter: at most 50 octets.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        self.write_multiprotocol(out);
        if self.route_refresh {
            out.extend_from_slice(&[ROUTE_REFRESH, 0]);
        }
        if self.ipv4_over_ipv6 {
            out.extend_from_slice(&[EXTENDED_NEXT_HOP, 6, 0, 1, 0, SAFI_UNICAST, 0, 2]);
        }
        if let Some(restart) = self.graceful_restart {
            out.push(GRACEFUL_RESTART);
            with_length_u8(out, |out| restart.write(out));
        }
        if let Some(number) = self.four_octet_as {
            out.extend_from_slice(&[FOUR_OCTET_AS, 4]);
            out.extend_from_slice(&number.to_be_bytes());
        }
    }

    /// Appends the multiprotocol capabilities alone, as a NOTIFICATION about them wants it (RFC 5492 §5).
    pub(crate) fn write_multiprotocol(&self, out: &mut Vec<u8>) {
        let Some(families) = self.multiprotocol else { return };
        for family in Family::ALL.into_iter().filter(|family| families[*family]) {
            let [high, low] = family.afi().to_be_bytes();
            out.extend_from_slice(&[MULTIPROTOCOL, 4, high, low, 0, SAFI_UNICAST]);
        }
    }

    /// The AS number of an OPEN with these capabilities and this field; 0 is possible on the wire.
    pub(crate) fn asn(&self, field: u16) -> Option<Asn> {
        Asn::new(self.four_octet_as.unwrap_or(field.into()))
    }
}

impl RestartCapability {
    fn write(self, out: &mut Vec<u8>) {
        let mut field = self.time_secs & TIME;
        field |= if self.restarting { RESTARTING } else { 0 };
        field |= if self.notification { NOTIFICATION } else { 0 };
        out.extend_from_slice(&field.to_be_bytes());
        for family in Family::ALL.into_iter().filter(|family| self.forwarding[*family]) {
            let [high, low] = family.afi().to_be_bytes();
            out.extend_from_slice(&[high, low, SAFI_UNICAST, FORWARDING]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(parameter: &[u8]) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.read(parameter).unwrap();
        capabilities
    }

    #[test]
    fn all_that_is_written_is_read_back() {
        let capabilities = Capabilities {
            multiprotocol: Some(PerFamily { ipv4: true, ipv6: true }),
            four_octet_as: Some(4_200_000_000),
            route_refresh: true,
            ipv4_over_ipv6: true,
            graceful_restart: Some(RestartCapability {
                restarting: true,
                notification: true,
                time_secs: 120,
                forwarding: PerFamily { ipv4: true, ipv6: true },
            }),
        };
        let mut octets = Vec::new();
        capabilities.write(&mut octets);
        assert!(octets.len() <= 50, "{}", octets.len());
        assert_eq!(read(&octets), capabilities);
    }

    #[test]
    fn what_is_not_known_shifts_nothing() {
        // An unknown family, Multiple Labels, one of the wrong length, an unknown capability; then one that is known.
        let strange = [1, 4, 0x40, 99, 0, 200, 8, 4, 0, 1, 1, 2, 65, 3, 1, 2, 3, 200, 3, 65, 4, 0, 2, 0];
        let capabilities = read(&strange);
        assert!(capabilities.route_refresh);
        assert_eq!(capabilities.four_octet_as, None);
        assert!(!read(&[2, 1, 0]).route_refresh);
        assert_eq!(capabilities.families(), PerFamily { ipv4: false, ipv6: false });
    }

    #[test]
    fn one_that_ends_too_early_is_an_error() {
        for octets in [&[1][..], &[1, 4, 0, 1, 0], &[2, 0, 65]] {
            assert_eq!(Capabilities::default().read(octets), Err(Truncated), "{octets:?}");
        }
    }

    #[test]
    fn who_says_nothing_of_families_speaks_ipv4() {
        assert_eq!(read(&[2, 0]).families(), PerFamily { ipv4: true, ipv6: false });
    }
}
