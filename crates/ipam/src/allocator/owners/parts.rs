//! What is stored of an owner, in few bytes and mostly without memory of its own.

use std::net::IpAddr;

/// A uid, which is nearly always a UUID in its usual form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Uid {
    Uuid([u8; 16]),
    Text(Box<str>),
}

impl Uid {
    pub(super) fn new(text: &str) -> Self {
        uuid(text).map_or_else(|| Self::Text(text.into()), Self::Uuid)
    }

    pub(super) fn text(&self) -> String {
        match self {
            Self::Text(text) => text.to_string(),
            Self::Uuid(bytes) => {
                const DIGITS: &[u8; 16] = b"0123456789abcdef";
                let mut text = [b'-'; 36];
                for (byte, place) in bytes.iter().zip(PLACES) {
                    text[place] = DIGITS[usize::from(byte >> 4)];
                    text[place + 1] = DIGITS[usize::from(byte & 15)];
                }
                std::str::from_utf8(&text).expect("digits and dashes").to_owned()
            }
        }
    }
}

/// Where the two digits of each byte stand in a UUID.
const PLACES: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];

/// What each character stands for as a hexadecimal digit; 16 and more for what is none.
const VALUES: [u8; 256] = {
    let mut values = [0xff; 256];
    let mut value = 0;
    while value < 16 {
        values[b"0123456789abcdef"[value] as usize] = value as u8;
        value += 1;
    }
    values
};

/// The bytes of a UUID that is written as Kubernetes does, in lower case; `None` for any other text, which could not be given
/// back as it was.
fn uuid(text: &str) -> Option<[u8; 16]> {
    let text: &[u8; 36] = text.as_bytes().try_into().ok()?;
    if [8, 13, 18, 23].iter().any(|place| text[*place] != b'-') {
        return None;
    }
    let mut bytes = [0; 16];
    let mut seen = 0;
    for (byte, place) in bytes.iter_mut().zip(PLACES) {
        let (high, low) = (VALUES[usize::from(text[place])], VALUES[usize::from(text[place + 1])]);
        seen |= high | low;
        *byte = high << 4 | low;
    }
    (seen < 16).then_some(bytes)
}

/// The addresses of one owner, ascending.
#[derive(Clone, Debug, Default)]
pub(in crate::allocator) enum Held {
    #[default]
    None,
    One(IpAddr),
    Several(Box<[IpAddr]>),
}

impl Held {
    pub(in crate::allocator) fn as_slice(&self) -> &[IpAddr] {
        match self {
            Self::None => &[],
            Self::One(address) => std::slice::from_ref(address),
            Self::Several(addresses) => addresses,
        }
    }

    pub(super) fn add(&mut self, address: IpAddr) {
        let place = self.as_slice().partition_point(|other| *other < address);
        match self {
            Self::None => *self = Self::One(address),
            Self::One(_) | Self::Several(_) => {
                let mut addresses = self.as_slice().to_vec();
                addresses.insert(place, address);
                *self = Self::Several(addresses.into());
            }
        }
    }

    pub(super) fn remove(&mut self, address: IpAddr) {
        match self {
            Self::None => {}
            Self::One(one) => {
                if *one == address {
                    *self = Self::None;
                }
            }
            Self::Several(several) => {
                let left: Vec<IpAddr> = several.iter().copied().filter(|other| *other != address).collect();
                *self = match left[..] {
                    [] => Self::None,
                    [one] => Self::One(one),
                    _ => Self::Several(left.into()),
                };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_comes_back_as_it_was() {
        let uids = [
            "0f8fad5b-d9cb-469f-a165-70867728950e",
            "0F8FAD5B-d9cb-469f-a165-70867728950e",
            "0f8fad5bd9cb469fa16570867728950e",
            "0f8fad5b-d9cb-469f-a165-70867728950",
            "0f8fad5b-d9cb-469f-a165-70867728950g",
            "0f8fad5b0d9cb-469f-a165-70867728950e",
            "",
            "uid-x",
        ];
        for uid in uids {
            assert_eq!(Uid::new(uid).text(), uid);
        }
        assert!(matches!(Uid::new(uids[0]), Uid::Uuid(_)) && matches!(Uid::new(uids[1]), Uid::Text(_)));
    }

    #[test]
    fn addresses_are_kept_in_order() {
        let addresses: Vec<IpAddr> =
            ["192.0.2.1", "192.0.2.9", "2001:db8::1"].iter().map(|text| text.parse().unwrap()).collect();
        let mut held = Held::default();
        for address in [2, 0, 1] {
            held.add(addresses[address]);
        }
        assert_eq!(held.as_slice(), addresses);
        held.remove(addresses[1]);
        assert_eq!(held.as_slice(), [addresses[0], addresses[2]]);
        held.remove(addresses[0]);
        assert_eq!(held.as_slice(), [addresses[2]]);
        held.remove(addresses[2]);
        assert_eq!(held.as_slice(), [] as [IpAddr; 0]);
    }
}
