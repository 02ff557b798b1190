use aws_sdk_dynamodb::{
    error::SdkError,
    operation::{delete_item::DeleteItemError, update_item::UpdateItemError},
    types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure::AllOld},
};

use super::{Attempts, Row, Store, StoreError, WriteId, classify_error, key};
use crate::models::{
    Timestamp,
    owner::Owner,
    profile::{NewProfile, Profile, UNVERSIONED},
    version::{IfMatch, IfNoneMatch, Preconditions},
};

const SORT_KEY: &str = "PROFILE";

impl Store {
    /// Reads the owner's profile: one `GetItem`.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn profile(&self, owner: &Owner) -> Result<Option<Profile>, StoreError> {
        let row = self.row(owner, SORT_KEY.to_owned()).await?;
        Ok(row.map(serde_dynamo::from_item).transpose()?)
    }

    /// Replaces or creates the owner's profile: one `UpdateItem`. Returns `None` if a precondition does not hold.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn put_profile(
        &self,
        owner: &Owner,
        new: NewProfile,
        preconditions: &Preconditions,
    ) -> Result<Option<Profile>, StoreError> {
        let write = WriteId::generate();
        let mut condition = Condition::of(preconditions);
        condition.terms.push("NOT :write IN (w0, w1, w2, w3)".to_owned());
        let (update, values) = update(new, &write)?;
        condition.values.extend(values);
        let request = self
            .client
            .update_item()
            .table_name(&*self.table)
            .set_key(Some(key(owner, SORT_KEY.to_owned())))
            .update_expression(update)
            .set_condition_expression(condition.expression())
            .set_expression_attribute_values(condition.values())
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(AllOld);
        match self.send("UpdateItem", request.send()).await {
            Ok(output) => Ok(Some(serde_dynamo::from_item(output.attributes.unwrap_or_default())?)),
            Err(SdkError::ServiceError(service)) => match service.err() {
                UpdateItemError::ConditionalCheckFailedException(failed) => {
                    let own = failed.item().filter(|row| write.has_written(row));
                    Ok(own.cloned().map(serde_dynamo::from_item).transpose()?)
                }
                _ => Err(classify_error("UpdateItem", SdkError::ServiceError(service))),
            },
            Err(error) => Err(classify_error("UpdateItem", error)),
        }
    }

    /// Deletes the owner's profile, if it exists: one `DeleteItem`. Returns `false` if it is not the version that the
    /// caller named.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn delete_profile(&self, owner: &Owner, if_match: &IfMatch) -> Result<bool, StoreError> {
        let attempts = Attempts::default();
        let mut condition = Condition::default();
        condition.require(if_match);
        let request = self
            .client
            .delete_item()
            .table_name(&*self.table)
            .set_key(Some(key(owner, SORT_KEY.to_owned())))
            .set_condition_expression(condition.expression())
            .set_expression_attribute_values(condition.values())
            .return_values_on_condition_check_failure(AllOld);
        match self.send("DeleteItem", request.customize().interceptor(attempts.clone()).send()).await {
            Ok(_) => Ok(true),
            Err(SdkError::ServiceError(service)) => match service.err() {
                // If the response to an earlier attempt was lost, that attempt has deleted the profile.
                DeleteItemError::ConditionalCheckFailedException(failed) => {
                    Ok(failed.item().is_none() && attempts.several())
                }
                _ => Err(classify_error("DeleteItem", SdkError::ServiceError(service))),
            },
            Err(error) => Err(classify_error("DeleteItem", error)),
        }
    }
}

/// Returns the update expression and its values.
fn update(new: NewProfile, write: &WriteId) -> Result<(String, Row), StoreError> {
    let now = Timestamp::now();
    // A profile starts with the time as its version, so that the tag of a deleted one never matches the next one.
    let mut expression = "SET display_name = :display_name, updated_at = :now, \
                          version = if_not_exists(version, :first) + :one, \
                          w3 = if_not_exists(w2, :write), w2 = if_not_exists(w1, :write), \
                          w1 = if_not_exists(w0, :write), w0 = :write"
        .to_owned();
    let mut values = Row::from([
        (":display_name".to_owned(), serde_dynamo::to_attribute_value(new.display_name)?),
        (":now".to_owned(), serde_dynamo::to_attribute_value(now)?),
        (":first".to_owned(), AttributeValue::N(now.unix_millis().to_string())),
        (":one".to_owned(), AttributeValue::N("1".to_owned())),
        (":write".to_owned(), write.0.clone()),
    ]);
    match new.bio {
        Some(bio) => {
            expression.push_str(", bio = :bio");
            values.insert(":bio".to_owned(), serde_dynamo::to_attribute_value(bio)?);
        }
        None => expression.push_str(" REMOVE bio"),
    }
    Ok((expression, values))
}

/// A condition on the profile's row: all of its terms.
#[derive(Default)]
struct Condition {
    terms: Vec<String>,
    values: Row,
}

impl Condition {
    fn of(Preconditions { if_match, if_none_match: IfNoneMatch(others) }: &Preconditions) -> Self {
        let mut condition = Self::default();
        condition.require(if_match);
        match others {
            IfMatch::Absent => {}
            IfMatch::Any => condition.terms.push("attribute_not_exists(pk)".to_owned()),
            IfMatch::Versions(versions) => {
                let is_one = condition.is_one_of(versions, "n");
                condition.terms.push(format!("(attribute_not_exists(pk) OR NOT {is_one})"));
            }
        }
        condition
    }

    fn require(&mut self, if_match: &IfMatch) {
        match if_match {
            IfMatch::Absent => {}
            IfMatch::Any => self.terms.push("attribute_exists(pk)".to_owned()),
            IfMatch::Versions(versions) => {
                let is_one = self.is_one_of(versions, "v");
                self.terms.push(is_one);
            }
        }
    }

    fn is_one_of(&mut self, versions: &[u64], prefix: &str) -> String {
        let names: Vec<_> = (0..versions.len()).map(|n| format!(":{prefix}{n}")).collect();
        let numbers = versions.iter().map(|version| AttributeValue::N(version.to_string()));
        self.values.extend(names.iter().cloned().zip(numbers));
        let is_named = format!("version IN ({})", names.join(", "));
        if versions.contains(&UNVERSIONED) {
            format!("({is_named} OR (attribute_exists(pk) AND attribute_not_exists(version)))")
        } else {
            is_named
        }
    }

    fn expression(&self) -> Option<String> {
        (!self.terms.is_empty()).then(|| self.terms.join(" AND "))
    }

    /// The values; DynamoDB rejects an empty map.
    fn values(self) -> Option<Row> {
        (!self.values.is_empty()).then_some(self.values)
    }
}
