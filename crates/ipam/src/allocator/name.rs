//! Names, stored in few bytes.

use super::names::Stored;

/// Longest name that is stored in place.
const SHORT_MAX: usize = 22;

/// A name that mostly takes no memory of its own, so that to compare it is to look at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Short(u8, [u8; SHORT_MAX]),
    Long(Box<str>),
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        let mut bytes = [0; SHORT_MAX];
        match bytes.get_mut(..text.len()) {
            Some(place) => {
                place.copy_from_slice(text.as_bytes());
                Self::Short(text.len() as u8, bytes)
            }
            None => Self::Long(text.into()),
        }
    }
}

impl Stored for Name {
    fn as_str(&self) -> &str {
        match self {
            Self::Short(..) => std::str::from_utf8(self.as_bytes()).expect("it was made of text"),
            Self::Long(text) => text,
        }
    }

    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Short(length, bytes) => &bytes[..usize::from(*length)],
            Self::Long(text) => text.as_bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_comes_back_as_it_was() {
        for length in [0, 1, 21, 22, 23, 253] {
            let text = "a".repeat(length);
            let name = Name::from(&*text);
            assert_eq!((name.as_str(), name.as_bytes()), (&*text, text.as_bytes()));
            assert_eq!(matches!(name, Name::Short(..)), length <= SHORT_MAX);
        }
    }
}
