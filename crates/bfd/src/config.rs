//! What is asked of a session, and what becomes of several wishes for one.

use std::num::NonZeroU8;
use std::time::Duration;

#[cfg(test)]
mod tests;

/// Shortest interval that may be asked for; shorter ones want hardware.
pub const INTERVAL_MIN: Duration = Duration::from_millis(10);
/// Longest interval that may be asked for.
pub const INTERVAL_MAX: Duration = Duration::from_secs(60);

/// What a client asks of a session. The default is 300 ms in both directions, multiplier 3, active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// At most one packet in this time is taken from the peer: bfd.RequiredMinRxInterval.
    pub receive_interval: Duration,
    /// A packet is sent at least this often while Up, if the peer takes that many: bfd.DesiredMinTxInterval.
    pub transmit_interval: Duration,
    /// After how many transmit intervals without a packet the peer takes this side for lost: bfd.DetectMult.
    pub detect_multiplier: NonZeroU8,
    /// Whether this side begins.
    pub role: Role,
    /// Multihop only: packets with a lower TTL or hop limit are discarded. Single hop always requires 255.
    pub minimum_ttl: u8,
}

/// Whether a side speaks before it has heard the other (RFC 5880 §6.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// It does.
    #[default]
    Active,
    /// It waits. One side of a session has to be active. RFC 5881 §3 wants both sides of a single hop to be.
    Passive,
}

impl Default for Config {
    fn default() -> Self {
        let interval = Duration::from_millis(300);
        Self {
            receive_interval: interval,
            transmit_interval: interval,
            detect_multiplier: const { NonZeroU8::new(3).expect("3 is not 0") },
            role: Role::Active,
            minimum_ttl: 254,
        }
    }
}

impl Config {
    /// Says whether the intervals are within their limits.
    ///
    /// # Errors
    /// Which one is not.
    pub fn check(&self) -> Result<(), ConfigError> {
        let allowed = INTERVAL_MIN..=INTERVAL_MAX;
        if !allowed.contains(&self.receive_interval) {
            return Err(ConfigError::ReceiveInterval(self.receive_interval));
        }
        if !allowed.contains(&self.transmit_interval) {
            return Err(ConfigError::TransmitInterval(self.transmit_interval));
        }
        Ok(())
    }

    /// One configuration for all who share a session; `None` if there is nobody.
    ///
    /// The rule: the fastest wish wins, and nobody gets a slower detection than was asked for (RFC 5882 §4.1 leaves it to a
    /// client to react later).
    ///
    /// - Intervals: the shortest one.
    /// - Multiplier: the detection time at the peer is to be the shortest that anybody asked for, `multiplier ×
    ///   transmit_interval`. The multiplier is that time in merged intervals, rounded down. It is never less than that of
    ///   the client who asked for that time, so as many packets may be lost in a row as that one wanted.
    /// - Role: passive only if all want that.
    /// - Minimum TTL: the highest, since one client's wish must not weaken another's guard.
    pub(crate) fn merged<'a>(wishes: impl Iterator<Item = &'a Self> + Clone) -> Option<Self> {
        let transmit_interval = wishes.clone().map(|wish| wish.transmit_interval).min()?;
        let detection_time = wishes
            .clone()
            .map(|wish| wish.transmit_interval * u32::from(wish.detect_multiplier.get()))
            .min()?;
        let multiplier = detection_time.as_nanos() / transmit_interval.as_nanos();
        let is_active = wishes.clone().any(|wish| wish.role == Role::Active);
        Some(Self {
            receive_interval: wishes.clone().map(|wish| wish.receive_interval).min()?,
            transmit_interval,
            // Between the multiplier of the one with that time and that of the one with the shortest interval.
            detect_multiplier: NonZeroU8::new(u8::try_from(multiplier).ok()?)?,
            role: if is_active { Role::Active } else { Role::Passive },
            minimum_ttl: wishes.map(|wish| wish.minimum_ttl).max()?,
        })
    }
}

/// Why a session cannot be had as asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// [`Config::receive_interval`] is out of range.
    #[error("receive interval {0:?} is not between 10 ms and 60 s")]
    ReceiveInterval(Duration),
    /// [`Config::transmit_interval`] is out of range.
    #[error("transmit interval {0:?} is not between 10 ms and 60 s")]
    TransmitInterval(Duration),
}
