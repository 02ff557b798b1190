//! The members of a request. Unknown members and `null` are ignored; texts that are too short or too long are rejected with
//! Cognito's words.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::error::ApiError;
use crate::refusal::Refusal;

/// The body of a request, or a structure in it.
pub(super) struct Input(Map<String, Value>);

impl Input {
    pub(super) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        match serde_json::from_slice(body) {
            Ok(Value::Object(members)) => Ok(Self(members)),
            Ok(_) => Err(ApiError::serialization("The body must be a JSON object")),
            Err(error) => Err(ApiError::serialization(format!("The body is not JSON: {error}"))),
        }
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, Refusal> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let text = value.as_str().ok_or_else(|| wrong_type(name, "a string"))?;
        let (least, most) = lengths(name);
        let length = text.chars().count();
        if length < least {
            return Err(violation(
                name,
                &format!("Member must have length greater than or equal to {least}"),
            ));
        }
        if length > most {
            return Err(violation(name, &format!("Member must have length less than or equal to {most}")));
        }
        Ok(Some(text))
    }

    pub(super) fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.text(name)?.ok_or_else(|| violation(name, "Member must not be null"))
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, Refusal> {
        match self.get(name) {
            None => Ok(false),
            Some(value) => value.as_bool().ok_or_else(|| wrong_type(name, "a boolean")),
        }
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<i64>, Refusal> {
        self.get(name).map(|value| value.as_i64().ok_or_else(|| wrong_type(name, "a number"))).transpose()
    }

    pub(super) fn structure(&self, name: &str) -> Result<Option<Self>, Refusal> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Object(members)) => Ok(Some(Self(members.clone()))),
            Some(_) => Err(wrong_type(name, "a structure")),
        }
    }

    /// Returns a map of texts, such as `AuthParameters`; empty when it is absent.
    pub(super) fn texts(&self, name: &str) -> Result<BTreeMap<String, String>, Refusal> {
        let Some(Self(members)) = self.structure(name)? else { return Ok(BTreeMap::new()) };
        let entries = members.into_iter().filter(|(_, value)| !value.is_null());
        let text = |(key, value): (String, Value)| match value {
            Value::String(text) => Ok((key, text)),
            _ => Err(wrong_type(name, "a map of strings")),
        };
        entries.map(text).collect()
    }

    /// Returns a list of texts; empty when it is absent.
    pub(super) fn list(&self, name: &str) -> Result<Vec<String>, Refusal> {
        let text = |value: &Value| {
            value.as_str().map(str::to_owned).ok_or_else(|| wrong_type(name, "a list of strings"))
        };
        self.values(name)?.iter().map(text).collect()
    }

    /// Returns a list of attributes: `[{"Name": "email", "Value": "…"}]`; empty when it is absent.
    pub(super) fn attributes(&self, name: &str) -> Result<Vec<(String, String)>, Refusal> {
        let attribute = |value: &Value| {
            let members = value.as_object().ok_or_else(|| wrong_type(name, "a list of attributes"))?;
            let attribute = Self(members.clone());
            let value = attribute.text("Value")?.unwrap_or_default();
            Ok((attribute.required("Name")?.to_owned(), value.to_owned()))
        };
        self.values(name)?.iter().map(attribute).collect()
    }

    fn values(&self, name: &str) -> Result<&[Value], Refusal> {
        match self.get(name) {
            None => Ok(&[]),
            Some(Value::Array(values)) => Ok(values),
            Some(_) => Err(wrong_type(name, "a list")),
        }
    }
}

/// The least and the greatest length of a text (Cognito API Reference).
fn lengths(name: &str) -> (usize, usize) {
    match name {
        "Username" | "ClientId" | "GroupName" | "SecretHash" => (1, 128),
        "Password" | "PreviousPassword" | "ProposedPassword" | "TemporaryPassword" | "Filter" => (0, 256),
        "ConfirmationCode" | "Code" => (1, 2048),
        "UserPoolId" => (1, 55),
        "UserCode" => (6, 6),
        "Session" => (20, 4096),
        "Name" | "AttributeName" => (1, 32),
        "Value" | "Description" | "RoleArn" => (0, 2048),
        // Tokens have no limit but that of the body.
        _ => (0, usize::MAX),
    }
}

/// A value that breaks a rule of the service model.
pub(super) fn violation(name: &str, rule: &str) -> Refusal {
    let mut characters = name.chars();
    let first = characters.next().map(|first| first.to_ascii_lowercase());
    let member: String = first.into_iter().chain(characters).collect();
    Refusal::invalid_parameter(format!(
        "1 validation error detected: Value at '{member}' failed to satisfy constraint: {rule}"
    ))
}

fn wrong_type(name: &str, wanted: &str) -> Refusal {
    Refusal::known("SerializationException", format!("{name} must be {wanted}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(text: &str) -> Input {
        Input::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn null_and_absent_members_are_the_same() {
        let input = input(r#"{"Username": null, "Other": 1}"#);
        assert_eq!(input.text("Username").unwrap(), None);
        assert_eq!(
            input.required("Username").unwrap_err().to_string(),
            "1 validation error detected: Value at 'username' failed to satisfy constraint: Member must not be null"
        );
    }

    #[test]
    fn lengths_are_counted_in_characters() {
        let at = |length| input(&format!(r#"{{"Username": "{}"}}"#, "é".repeat(length)));
        assert!(at(128).required("Username").is_ok());
        assert!(at(129).required("Username").is_err() && at(0).required("Username").is_err());
    }

    #[test]
    fn wrong_types_are_rejected() {
        let input = input(r#"{"A": 1, "B": [1], "C": {"x": 1}, "D": [{"Name": 1}], "E": "true"}"#);
        assert!(input.text("A").is_err() && input.list("B").is_err() && input.texts("C").is_err());
        assert!(input.attributes("D").is_err() && input.flag("E").is_err() && input.structure("A").is_err());
        assert!(Input::parse(b"[]").is_err() && Input::parse(b"{").is_err() && Input::parse(b"").is_err());
    }
}
