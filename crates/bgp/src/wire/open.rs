//! OPEN (RFC 4271 §4.2).

use std::net::Ipv4Addr;

use super::octets::{Reader, Truncated, with_length_u8};
use super::{Capabilities, ErrorCode, MessageType, Notification, write_message};

const VERSION: u8 = 4;
const CAPABILITIES: u8 = 2;
/// As the first parameter type it says that lengths have two octets (RFC 9072 §2).
const EXTENDED_LENGTH: u8 = 255;

/// An OPEN as it stands on the wire: whether its values are acceptable is another question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Open {
    /// My Autonomous System, the field of two octets.
    pub(crate) my_as: u16,
    /// In seconds.
    pub(crate) hold_time_secs: u16,
    pub(crate) identifier: Ipv4Addr,
    pub(crate) capabilities: Capabilities,
}

impl Open {
    /// Reads the body of a message.
    ///
    /// # Errors
    /// Another version, a parameter that is not known, or lengths that contradict each other (RFC 4271 §6.2).
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Notification> {
        let malformed = |Truncated| Notification::new(ErrorCode::OPEN_UNSPECIFIC, Vec::new());
        let mut reader = Reader::new(body);
        if reader.u8().map_err(malformed)? != VERSION {
            let supported = u16::from(VERSION).to_be_bytes().to_vec();
            return Err(Notification::new(ErrorCode::UNSUPPORTED_VERSION_NUMBER, supported));
        }
        let my_as = reader.u16().map_err(malformed)?;
        let hold_time_secs = reader.u16().map_err(malformed)?;
        let identifier = reader.array().map_err(malformed)?.into();
        let capabilities = parameters(reader)?;
        Ok(Self { my_as, hold_time_secs, identifier, capabilities })
    }

    /// Appends the message, all capabilities in one parameter.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        write_message(out, MessageType::Open, |out| {
            out.push(VERSION);
            out.extend_from_slice(&self.my_as.to_be_bytes());
            out.extend_from_slice(&self.hold_time_secs.to_be_bytes());
            out.extend_from_slice(&self.identifier.octets());
            with_length_u8(out, |out| {
                out.push(CAPABILITIES);
                with_length_u8(out, |out| self.capabilities.write(out));
            });
        });
    }
}

/// Reads the optional parameters with the length before them, which has to name all that is left.
fn parameters(mut reader: Reader<'_>) -> Result<Capabilities, Notification> {
    let malformed = |Truncated| Notification::new(ErrorCode::OPEN_UNSPECIFIC, Vec::new());
    let mut length = usize::from(reader.u8().map_err(malformed)?);
    // RFC 9072 §2: the length before it should be 255, but any other than 0 will do.
    let extended = length != 0 && reader.rest().first() == Some(&EXTENDED_LENGTH);
    if extended {
        let [_, high, low] = reader.array().map_err(malformed)?;
        length = usize::from(u16::from_be_bytes([high, low]));
    }
    if reader.rest().len() != length {
        return Err(malformed(Truncated));
    }
    let mut capabilities = Capabilities::default();
    while !reader.is_empty() {
        let parameter = reader.u8().map_err(malformed)?;
        let length = if extended { reader.u16().map(usize::from) } else { reader.u8().map(usize::from) };
        let value = reader.slice(length.map_err(malformed)?).map_err(malformed)?;
        if parameter != CAPABILITIES {
            return Err(Notification::new(ErrorCode::UNSUPPORTED_OPTIONAL_PARAMETER, Vec::new()));
        }
        capabilities.read(value).map_err(malformed)?;
    }
    Ok(capabilities)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::PerFamily;
    use crate::wire::HEADER_LEN;

    fn body(parameters: &[u8]) -> Vec<u8> {
        let mut body = vec![4, 0xfd, 0xe9, 0, 90, 192, 0, 2, 1];
        body.extend(parameters);
        body
    }

    fn error(body: &[u8]) -> ErrorCode {
        Open::parse(body).unwrap_err().error
    }

    #[test]
    fn what_is_written_is_read_back() {
        let capabilities = Capabilities {
            multiprotocol: Some(PerFamily { ipv4: true, ipv6: true }),
            ..Capabilities::default()
        };
        let open =
            Open { my_as: 65_001, hold_time_secs: 90, identifier: [192, 0, 2, 1].into(), capabilities };
        let mut octets = Vec::new();
        open.write(&mut octets);
        assert_eq!(Open::parse(&octets[HEADER_LEN..]).unwrap(), open);
    }

    #[test]
    fn another_version_is_told_ours() {
        let mut other = body(&[0]);
        other[0] = 5;
        assert_eq!(
            Open::parse(&other),
            Err(Notification::new(ErrorCode::UNSUPPORTED_VERSION_NUMBER, vec![0, 4]))
        );
    }

    #[test]
    fn parameters_are_read_in_both_forms_of_length() {
        for parameters in
            [&[4, 2, 2, 2, 0][..], &[255, 255, 0, 5, 2, 0, 2, 2, 0], &[7, 255, 0, 5, 2, 0, 2, 2, 0]]
        {
            assert!(Open::parse(&body(parameters)).unwrap().capabilities.route_refresh, "{parameters:?}");
        }
        // Capabilities may be spread over parameters.
        let spread = Open::parse(&body(&[12, 2, 2, 2, 0, 2, 6, 65, 4, 0, 1, 0, 0])).unwrap();
        assert_eq!(spread.capabilities.four_octet_as, Some(65_536));
    }

    #[test]
    fn lengths_that_contradict_each_other_are_malformed() {
        for parameters in
            [&[][..], &[1], &[0, 2], &[3, 2, 2, 2], &[4, 2, 5, 2, 0], &[4, 2, 2, 2, 1], &[255, 255, 0]]
        {
            assert_eq!(error(&body(parameters)), ErrorCode::OPEN_UNSPECIFIC, "{parameters:?}");
        }
    }

    #[test]
    fn an_unknown_parameter_is_refused() {
        assert_eq!(error(&body(&[2, 1, 0])), ErrorCode::UNSUPPORTED_OPTIONAL_PARAMETER);
    }
}
