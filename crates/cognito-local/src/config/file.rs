//! The configuration as a TOML file.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::PoolConfig;
use super::validation::{Key, KeyPart};

/// A mistake in a configuration file: its place and how to fix it.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {}{problem}", self.shown_key())]
pub struct ConfigFileError {
    line: usize,
    key: String,
    problem: String,
}

impl ConfigFileError {
    /// The line, from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }

    /// The key, such as `clients[0].scopes[1]`; empty where the file is not TOML at all.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    fn shown_key(&self) -> String {
        if self.key.is_empty() { String::new() } else { format!("{}: ", self.key) }
    }

    fn new(text: &str, span: Option<Range<usize>>, key: String, problem: String) -> Self {
        let before = span.map_or("", |span| text.get(..span.start).unwrap_or(text));
        Self { line: before.matches('\n').count() + 1, key, problem }
    }
}

impl PoolConfig {
    /// Reads a configuration from TOML. The keys are the fields of [`PoolConfig`] and the types in it; omitted keys
    /// have their defaults.
    ///
    /// ```
    /// use cognito_local::PoolConfig;
    ///
    /// let config = PoolConfig::from_toml(r#"
    ///     pool_id = "eu-west-1_Example"
    ///
    ///     [[clients]]
    ///     id = "web"
    ///     callback_urls = ["http://localhost:3000/callback"]
    ///     scopes = ["openid", "profil"]
    /// "#);
    /// assert_eq!(
    ///     config.unwrap_err().to_string(),
    ///     "line 7: clients[0].scopes[1]: `profil` is not a scope of a resource server of this pool"
    /// );
    /// ```
    ///
    /// # Errors
    /// [`ConfigFileError`] names the line and the key of the first mistake: what is not TOML, an unknown key, a value
    /// of the wrong type, or one that [`PoolConfig::validate`] refuses.
    pub fn from_toml(text: &str) -> Result<Self, ConfigFileError> {
        let not_toml =
            |e: toml::de::Error| ConfigFileError::new(text, e.span(), String::new(), e.message().to_owned());
        let document = DeTable::parse(text).map_err(not_toml)?;
        let deserializer = toml::Deserializer::parse(text).map_err(not_toml)?;
        let config: Self = serde_path_to_error::deserialize(deserializer).map_err(|error| {
            let key = match error.path().to_string() {
                path if path == "." => String::new(),
                path => path,
            };
            let cause = error.into_inner();
            ConfigFileError::new(text, cause.span(), key, cause.message().to_owned())
        })?;
        config.validate().map_err(|error| {
            let span = locate(&document, &error.key);
            ConfigFileError::new(text, Some(span), error.key.to_string(), error.problem().to_owned())
        })?;
        Ok(config)
    }
}

/// Returns the place of a key, or of the nearest enclosing one in the file.
fn locate(document: &Spanned<DeTable<'_>>, key: &Key) -> Range<usize> {
    let mut span = document.span();
    let mut parts = key.0.iter();
    let Some(KeyPart::Name(first)) = parts.next() else { return span };
    let mut value = document.get_ref().get(*first);
    while let Some(found) = value {
        span = found.span();
        value = match (found.get_ref(), parts.next()) {
            (DeValue::Table(table), Some(KeyPart::Name(name))) => table.get(*name),
            (DeValue::Array(array), Some(KeyPart::Index(index))) => array.get(*index),
            _ => None,
        };
    }
    span
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn error_of(text: &str) -> String {
        PoolConfig::from_toml(text).unwrap_err().to_string()
    }

    #[test]
    fn example_file_is_valid() {
        let config = PoolConfig::from_toml(include_str!("../../pool.example.toml")).unwrap();
        assert_eq!(config.pool_id, "eu-west-1_Example");
        assert_eq!(config.clients.len(), 2);
        assert_eq!(config.users[0].attributes["custom:tenant"], "acme");
        assert_eq!(config.clients[0].refresh_token_rotation.unwrap().retry_grace_period_seconds, 10);
    }

    #[test]
    fn omitted_keys_have_defaults() {
        let config = PoolConfig::from_toml("").unwrap();
        assert_eq!(config.pool_id, PoolConfig::default().pool_id);
        assert!(config.self_sign_up);
    }

    #[test]
    fn errors_name_line_and_key() {
        let client = "[[clients]]\nid = \"web\"\ncallback_urls = [\"https://a.test/\"]\n";
        assert!(error_of("\npool_id = = 1").starts_with("line 2: "));
        assert!(
            error_of("\n\npool = 1").starts_with("line 3: pool: unknown field `pool`"),
            "{}",
            error_of("\n\npool = 1")
        );
        assert_eq!(
            error_of(&format!("{client}lifetimes.access_token_seconds = \"1h\"")),
            "line 4: clients[0].lifetimes.access_token_seconds: invalid type: string \"1h\", expected u32"
        );
        assert_eq!(
            error_of(&format!("{client}lifetimes.access_token_seconds = 60")),
            "line 4: clients[0].lifetimes.access_token_seconds: must be 300 to 86400"
        );
        assert_eq!(
            error_of(&format!("{client}scopes = [\n  \"openid\",\n  \"items/read\",\n]")),
            "line 6: clients[0].scopes[1]: `items/read` is not a scope of a resource server of this pool"
        );
        assert_eq!(
            error_of(&format!("{client}\n[[users]]\nusername = \"carol\"")),
            "line 5: users[0].password: Password not long enough"
        );
        assert!(error_of("mfa = \"sms\"").starts_with("line 1: mfa: unknown variant `sms`"));
        assert!(error_of("groups = \"admins\"").starts_with("line 1: groups: invalid type"));
    }
}
