//! `/mailbox`: the mails that the pool would have sent.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::page::{ErrorPage, Frame, Page};
use crate::pool::LocalPool;
use crate::store::mail::{self, Mail, Purpose};

#[derive(Template)]
#[template(path = "mailbox.html")]
struct MailboxTemplate {
    frame: Frame,
    mails: Vec<Letter>,
}

struct Letter {
    recipient: String,
    subject: &'static str,
    text: String,
    code: String,
    age: String,
}

pub(super) async fn mailbox(State(pool): State<LocalPool>) -> Result<Response, ErrorPage> {
    let mails = pool.store().read(mail::newest).await.map_err(|e| ErrorPage::failure(&pool, e))?;
    let now = pool.clock().unix_seconds();
    let template = MailboxTemplate {
        frame: Frame::of_page(&pool),
        mails: mails.into_iter().map(|mail| Letter::new(mail, now)).collect(),
    };
    let page = Page { status: StatusCode::OK, template, form_target: String::new(), set_cookie: None };
    Ok(page.into_response())
}

impl Letter {
    fn new(mail: Mail, now: i64) -> Self {
        let (subject, text) = match mail.purpose {
            Purpose::Confirm => ("Your verification code", "The confirmation code of"),
            Purpose::Reset => ("Your password reset code", "The code to set a new password for"),
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
