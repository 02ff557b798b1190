//! Administration of groups.

use serde_json::{Value, json};

use super::admin_users::{user_with_attributes, username};
use super::input::Input;
use super::paging::PageRequest;
use super::pool::require_pool;
use crate::groups::GroupSettings;
use crate::http::state::AppState;
use crate::models::{Group, User};
use crate::refusal::Refusal;
use crate::store::users::login_key;

/// Returns the name of the group of a request for this pool.
fn group_name<'a>(pool: &AppState, input: &'a Input) -> Result<&'a str, Refusal> {
    require_pool(pool, input)?;
    input.required("GroupName")
}

fn settings(pool: &AppState, input: &Input) -> Result<GroupSettings, Refusal> {
    let name = group_name(pool, input)?;
    if name.chars().any(|character| character.is_whitespace() || character.is_control()) {
        return Err(Refusal::invalid_parameter("GroupName must not contain spaces"));
    }
    let precedence = input.number("Precedence")?;
    if precedence.is_some_and(|precedence| precedence < 0) {
        return Err(Refusal::invalid_parameter("Precedence must not be negative"));
    }
    Ok(GroupSettings {
        name: name.to_owned(),
        description: input.text("Description")?.map(str::to_owned),
        role_arn: input.text("RoleArn")?.map(str::to_owned),
        precedence,
    })
}

pub(super) async fn create_group(pool: &AppState, input: &Input) -> Result<Value, Refusal> {
    let group = pool.groups.create(settings(pool, input)?).await?;
    Ok(json!({ "Group": description(pool, &group) }))
}

pub(super) async fn get_group(pool: &AppState, input: &Input) -> Result<Value, Refusal> {
    let group = pool.groups.find(group_name(pool, input)?).await?;
    Ok(json!({ "Group": description(pool, &group) }))
}

pub(super) async fn update_group(pool: &AppState, input: &Input) -> Result<Value, Refusal> {
    let group = pool.groups.update(settings(pool, input)?).await?;
    Ok(json!({ "Group": description(pool, &group) }))
}

pub(super) async fn delete_group(pool: &AppState, input: &Input) -> Result<Value, Refusal> {
    pool.groups.delete(group_name(pool, input)?).await?;
    Ok(json!({}))
}

pub(super) async fn list_groups(pool: &AppState, input: &Input) -> Result<Value, Refusal> {
    require_pool(pool, input)?;
    group_page(pool, input, None).await
}

pub(super) async fn admin_list_groups_for_user(pool: &AppState, input: &Input) -> Result<Value, Refusal> {
    let user = pool.accounts.named(username(pool, input)?).await?;
    group_page(pool, input, Some(user)).await
}

async fn group_page(pool: &AppState, input: &Input, user: Option<User>) -> Result<Value, Refusal> {
    let page = PageRequest::read(input, "Limit", "NextToken")?;
    let groups = pool.groups.page(user, page.after.clone(), page.limit_and_one()).await?;
    let mut output = json!({});
    let groups = page.finish(&mut output, "NextToken", groups, |group| group.name.clone());
    output["Groups"] = groups.iter().map(|group| description(pool, group)).collect();
    Ok(output)
}

pub(super) async fn admin_add_user_to_group(pool: &AppState, input: &Input) -> Result<Value, Refusal> {
    pool.groups.add_member(group_name(pool, input)?, input.required("Username")?).await?;
    Ok(json!({}))
}

pub(super) async fn admin_remove_user_from_group(pool: &AppState, input: &Input) -> Result<Value, Refusal> {
    pool.groups.remove_member(group_name(pool, input)?, input.required("Username")?).await?;
    Ok(json!({}))
}

pub(super) async fn list_users_in_group(pool: &AppState, input: &Input) -> Result<Value, Refusal> {
    let group = pool.groups.find(group_name(pool, input)?).await?;
    let page = PageRequest::read(input, "Limit", "NextToken")?;
    let users =
        pool.accounts.page(Some(group.name), page.after.clone(), page.limit_and_one(), |_| true).await?;
    let mut output = json!({});
    let users = page.finish(&mut output, "NextToken", users, |user| login_key(&user.username));
    output["Users"] = users.iter().map(|user| user_with_attributes(user, "Attributes")).collect();
    Ok(output)
}

/// Settings that are not set are absent.
fn description(pool: &AppState, group: &Group) -> Value {
    let mut output = json!({
        "GroupName": group.name,
        "UserPoolId": pool.urls.pool_id,
        "CreationDate": group.created_at,
        "LastModifiedDate": group.modified_at,
    });
    let texts = [("Description", &group.description), ("RoleArn", &group.role_arn)];
    for (name, value) in texts {
        if let Some(value) = value {
            output[name] = value.clone().into();
        }
    }
    if let Some(precedence) = group.precedence {
        output["Precedence"] = precedence.into();
    }
    output
}
