//! The filter of `ListUsers`: `attribute = "value"`, or `attribute ^= "value"` for the beginning of a value.

use crate::attributes;
use crate::models::User;

/// The attributes that Cognito can search.
const SEARCHABLE: [&str; 11] = [
    "username",
    "email",
    "phone_number",
    "name",
    "given_name",
    "family_name",
    "preferred_username",
    "cognito:user_status",
    "status",
    "sub",
    "cognito:username",
];

/// A parsed filter.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UserFilter {
    attribute: String,
    is_prefix: bool,
    value: String,
}

impl UserFilter {
    /// Returns `None` for a text that is not a filter, or that names an attribute that cannot be searched.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (attribute, rest) = text.trim().split_once('=')?;
        let (attribute, is_prefix) = match attribute.strip_suffix('^') {
            Some(attribute) => (attribute, true),
            None => (attribute, false),
        };
        let attribute = attribute.trim().trim_matches('"');
        let value = unquoted(rest.trim())?;
        SEARCHABLE.contains(&attribute).then(|| Self { attribute: attribute.to_owned(), is_prefix, value })
    }

    pub(crate) fn matches(&self, user: &User) -> bool {
        match &*self.attribute {
            // Names are compared in lower case, as at sign-in.
            "username" | "cognito:username" => {
                self.holds(&user.username.to_lowercase(), &self.value.to_lowercase())
            }
            "cognito:user_status" => self.holds(user.status.as_str(), &self.value),
            "status" => self.holds(if user.enabled { "Enabled" } else { "Disabled" }, &self.value),
            name => attributes::list(user)
                .iter()
                .any(|(known, value)| *known == name && self.holds(value, &self.value)),
        }
    }

    fn holds(&self, present: &str, wanted: &str) -> bool {
        if self.is_prefix { present.starts_with(wanted) } else { present == wanted }
    }
}

/// Returns the text between quotation marks, in which a backslash stands before marks and backslashes.
fn unquoted(text: &str) -> Option<String> {
    let mut characters = text.strip_prefix('"')?.chars();
    let mut value = String::new();
    loop {
        match characters.next()? {
            '"' => return characters.as_str().is_empty().then_some(value),
            '\\' => value.push(characters.next()?),
            other => value.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_compare_whole_values_or_beginnings() {
        let parsed = UserFilter::parse(r#"email ^= "al\"ice""#).unwrap();
        assert_eq!((&*parsed.attribute, parsed.is_prefix, &*parsed.value), ("email", true, "al\"ice"));
        let parsed = UserFilter::parse(r#""family_name"="Liddell""#).unwrap();
        assert_eq!((&*parsed.attribute, parsed.is_prefix, &*parsed.value), ("family_name", false, "Liddell"));
    }

    #[test]
    fn other_texts_are_not_filters() {
        for text in [
            "",
            "email",
            "email = alice",
            "email = \"alice",
            "email = \"alice\" x",
            "email = \"alice\\\"",
            "custom:tenant = \"acme\"",
            "email > \"a\"",
            "= \"a\"",
            "email = \"a\" and name = \"b\"",
        ] {
            assert_eq!(UserFilter::parse(text), None, "{text}");
        }
    }
}
