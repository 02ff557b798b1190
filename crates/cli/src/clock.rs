//! The time of day, and whether it is right.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use cognito_auth::VerifyError;
use reqwest::header::{DATE, HeaderMap};

/// Differences up to this are put down to slow answers and to the header's whole seconds.
const TOLERANCE: Duration = Duration::from_secs(60);

/// By how much this machine's clock is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Skew {
    direction: Direction,
    by: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Ahead,
    Behind,
}

/// Seconds since 1970, as this machine has it.
pub(crate) fn unix_seconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

impl Skew {
    /// Compares the `Date` of an answer that has just arrived (RFC 9110 §6.6.1) with this machine's clock.
    pub(crate) fn of_answer(headers: &HeaderMap) -> Option<Self> {
        let date = headers.get(DATE)?.to_str().ok()?;
        Self::between(httpdate::parse_http_date(date).ok()?, SystemTime::now())
    }

    /// What the refusal of a token that was issued a moment ago says about this machine's clock.
    pub(crate) fn of_fresh_token(refusal: &VerifyError) -> Option<Self> {
        match refusal {
            VerifyError::Expired { ago } => Some(Self { direction: Direction::Ahead, by: *ago }),
            _ => Self::of_token(refusal),
        }
    }

    /// What the refusal of any token says about this machine's clock: one from the future has come too early.
    pub(crate) fn of_token(refusal: &VerifyError) -> Option<Self> {
        match refusal {
            VerifyError::NotYetValid { ahead, .. } => Some(Self { direction: Direction::Behind, by: *ahead }),
            _ => None,
        }
    }

    fn between(theirs: SystemTime, ours: SystemTime) -> Option<Self> {
        let skew = match ours.duration_since(theirs) {
            Ok(by) => Self { direction: Direction::Ahead, by },
            Err(error) => Self { direction: Direction::Behind, by: error.duration() },
        };
        (skew.by > TOLERANCE).then_some(skew)
    }
}

impl fmt::Display for Skew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direction = match self.direction {
            Direction::Ahead => "ahead of",
            Direction::Behind => "behind",
        };
        write!(f, "this machine's clock is at least {} {direction} the user pool's", span(self.by))
    }
}

/// A duration in its largest unit: `3 min`.
pub(crate) fn span(duration: Duration) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    match duration.as_secs() {
        seconds if seconds < MINUTE => format!("{seconds} s"),
        seconds if seconds < HOUR => format!("{} min", seconds / MINUTE),
        seconds if seconds < 2 * DAY => format!("{} h", seconds / HOUR),
        seconds => format!("{} days", seconds / DAY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skew(theirs: u64, ours: u64) -> Option<String> {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        Skew::between(at(theirs), at(ours)).map(|skew| skew.to_string())
    }

    #[test]
    fn a_minute_is_tolerated_in_both_directions() {
        assert_eq!(skew(1_000_000, 1_000_060), None);
        assert_eq!(skew(1_000_060, 1_000_000), None);
        assert_eq!(
            skew(1_000_000, 1_000_061).as_deref(),
            Some("this machine's clock is at least 1 min ahead of the user pool's")
        );
        assert_eq!(
            skew(1_007_200, 1_000_000).as_deref(),
            Some("this machine's clock is at least 2 h behind the user pool's")
        );
    }

    #[test]
    fn only_times_tell_of_the_clock() {
        let ago = Duration::from_secs(7200);
        assert!(Skew::of_fresh_token(&VerifyError::Expired { ago }).is_some());
        assert!(Skew::of_fresh_token(&VerifyError::Signature).is_none());
    }

    #[test]
    fn spans_use_their_largest_unit() {
        let texts = [59, 60, 3599, 3600, 47 * 3600, 48 * 3600].map(|s| span(Duration::from_secs(s)));
        assert_eq!(texts, ["59 s", "1 min", "59 min", "1 h", "47 h", "2 days"]);
    }
}
