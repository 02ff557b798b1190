//! What the API speaks of: parsed on the way in, so that a value of these types is well formed.

pub mod attachment;
pub mod checksum;
pub mod cursor;
pub mod idempotency;
pub mod item;
pub mod owner;
pub mod profile;
pub mod text;
pub mod user;
pub mod version;

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// An instant, kept to the millisecond and written as RFC 3339 in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(OffsetDateTime);

impl Timestamp {
    /// This instant.
    pub fn now() -> Self {
        Self::at(OffsetDateTime::now_utc())
    }

    /// The given instant, cut to the millisecond.
    pub fn at(instant: OffsetDateTime) -> Self {
        let instant = instant.to_offset(time::UtcOffset::UTC);
        Self(instant.replace_millisecond(instant.millisecond()).unwrap_or(instant))
    }

    /// The instant itself.
    pub fn instant(self) -> OffsetDateTime {
        self.0
    }

    /// Milliseconds since 1970.
    pub fn unix_millis(self) -> i64 {
        self.0.unix_timestamp() * 1000 + i64::from(self.0.millisecond())
    }

    /// Seconds since 1970, as DynamoDB's time to live wants them.
    pub fn unix(self) -> i64 {
        self.0.unix_timestamp()
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.0.format(&Rfc3339).map_err(serde::ser::Error::custom)?;
        serializer.serialize_str(&text)
    }
}

impl<'de> serde::Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        OffsetDateTime::parse(&text, &Rfc3339).map(Self).map_err(serde::de::Error::custom)
    }
}

impl utoipa::PartialSchema for Timestamp {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        use utoipa::openapi::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .description(Some("An instant in UTC (RFC 3339), to the millisecond."))
            .examples(["2026-11-22T09:30:00.123Z"])
            .into()
    }
}

impl utoipa::ToSchema for Timestamp {}
