//! The attributes of users, as the AWS API reads and writes them: names and texts.

use std::collections::BTreeMap;

use crate::config::validation::{is_email, is_settable_attribute};
use crate::models::{Credentials, User};
use crate::refusal::Refusal;

/// Who changes an attribute.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Author {
    User,
    Administrator,
}

/// Returns all attributes of a user, `sub` first.
pub(crate) fn list(user: &User) -> Vec<(&str, &str)> {
    let mut attributes = vec![("sub", user.sub.as_str())];
    if let Some(email) = &user.email {
        attributes.push(("email", email));
        attributes.push(("email_verified", if user.email_verified { "true" } else { "false" }));
    }
    attributes.extend(user.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    attributes
}

/// Changes attributes of `user`. An empty text deletes the attribute. A new address is unverified, unless an
/// administrator says otherwise.
///
/// Returns whether the address changed, so that codes that were mailed before must no longer be valid.
pub(crate) fn apply(user: &mut User, changes: &[(String, String)], author: Author) -> Result<bool, Refusal> {
    let before = user.email.clone();
    for (name, value) in changes {
        set(user, name, value, author)?;
    }
    let changed = user.email != before;
    let verified = |(name, value): &(String, String)| name == "email_verified" && value == "true";
    if changed {
        user.email_verified = author == Author::Administrator && changes.iter().any(verified);
    }
    user.email_verified &= user.email.is_some();
    Ok(changed)
}

/// Deletes attributes of `user`; see [`apply`].
pub(crate) fn delete(user: &mut User, names: &[String], author: Author) -> Result<bool, Refusal> {
    let changes: Vec<_> = names.iter().map(|name| (name.clone(), String::new())).collect();
    apply(user, &changes, author)
}

/// Checks that none of these attributes has a value yet, which a user must not change while setting a first password.
pub(crate) fn require_unset(user: &User, changes: &[(String, String)]) -> Result<(), Refusal> {
    let present = list(user);
    match changes.iter().find(|(name, _)| present.iter().any(|(known, _)| known == name)) {
        Some((name, _)) => Err(Refusal::not_authorized(format!("Cannot modify an already provided {name}"))),
        None => Ok(()),
    }
}

fn set(user: &mut User, name: &str, value: &str, author: Author) -> Result<(), Refusal> {
    match name {
        "email" if value.is_empty() => user.email = None,
        "email" if is_email(value) => user.email = Some(value.to_owned()),
        "email" => return Err(Refusal::invalid_parameter("Invalid email address format.")),
        "email_verified" if author == Author::Administrator => user.email_verified = value == "true",
        "phone_number_verified" if author == Author::Administrator => set_other(user, name, value),
        "sub" | "email_verified" | "phone_number_verified" | "identities" => {
            return Err(Refusal::not_authorized("A client attempted to write unauthorized attribute"));
        }
        "phone_number" => {
            check_phone_number(value)?;
            user.attributes.remove("phone_number_verified");
            set_other(user, name, value);
        }
        _ if is_settable_attribute(name) => set_other(user, name, value),
        _ => {
            let message = "Attribute does not exist in the schema.";
            return Err(Refusal::invalid_parameter(format!(
                "Attributes did not conform to the schema: {name}: {message}"
            )));
        }
    }
    Ok(())
}

fn set_other(user: &mut User, name: &str, value: &str) {
    if value.is_empty() {
        user.attributes.remove(name);
    } else {
        user.attributes.insert(name.to_owned(), value.to_owned());
    }
}

/// E.164: a plus sign and up to 15 digits.
fn check_phone_number(value: &str) -> Result<(), Refusal> {
    let good = value
        .strip_prefix('+')
        .is_some_and(|digits| (1..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()));
    if good || value.is_empty() {
        Ok(())
    } else {
        Err(Refusal::invalid_parameter("Invalid phone number format."))
    }
}

/// Returns the address and the other attributes of a new account.
pub(crate) fn of_new_account(
    changes: &[(String, String)],
) -> Result<(Option<String>, BTreeMap<String, String>), Refusal> {
    let nobody = Credentials { hash: String::new(), srp: None };
    let mut draft = User::new(String::new(), String::new(), nobody, 0);
    apply(&mut draft, changes, Author::User)?;
    Ok((draft.email, draft.attributes))
}
