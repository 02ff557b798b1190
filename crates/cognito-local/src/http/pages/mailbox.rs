//! `/mailbox`: the mails that the pool would have sent.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::page::{ErrorPage, Frame, Page};
use crate::clock::Clock;
use crate::mail::Mailbox;
use crate::models::{Mail, MailPurpose};
use crate::urls::PoolUrls;

#[derive(Template)]
#[template(path = "mailbox.html")]
struct MailboxTemplate {
    frame: Frame,
    mails: Vec<MailView>,
}

struct MailView {
    recipient: String,
    subject: &'static str,
    text: String,
    code: String,
    age: String,
}

pub(super) async fn mailbox(
    State(mailbox): State<Mailbox>,
    State(clock): State<Clock>,
    State(urls): State<Arc<PoolUrls>>,
) -> Result<Response, ErrorPage> {
    let mails = mailbox.latest().await.map_err(|e| ErrorPage::failure(&urls.pool_id, e))?;
    let now = clock.unix_seconds();
    let template = MailboxTemplate {
        frame: Frame::without_form(&urls.pool_id),
        mails: mails.into_iter().map(|mail| MailView::new(mail, now)).collect(),
    };
    let page = Page { status: StatusCode::OK, template, form_target: String::new() };
    Ok(page.into_response())
}

impl MailView {
    fn new(mail: Mail, now: i64) -> Self {
        let (subject, text) = match mail.purpose {
            MailPurpose::Confirm => ("Your verification code", "The confirmation code of"),
            MailPurpose::Reset => ("Your password reset code", "The code to set a new password for"),
            MailPurpose::Verify => ("Your verification code", "The code to verify the address of"),
            MailPurpose::SignIn => ("Your sign-in code", "The code to sign in as"),
            MailPurpose::Invitation => ("Your temporary password", "The temporary password of"),
        };
        Self {
            recipient: mail.recipient,
            subject,
            text: format!("{text} {} is", mail.username),
            code: mail.code,
            age: age(now - mail.sent_at),
        }
    }
}

fn age(seconds: i64) -> String {
    match seconds {
        ..60 => "just now".to_owned(),
        60..3600 => format!("{} min ago", seconds / 60),
        3600..86_400 => format!("{} h ago", seconds / 3600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}
