//! What a browser does during a sign-in.

use reqwest::{Client, header, redirect};

pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"; // RFC 7636, appendix B.
pub(crate) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

pub(crate) fn browser() -> Client {
    Client::builder().cookie_store(true).redirect(redirect::Policy::none()).build().unwrap()
}

pub(crate) fn location(response: &reqwest::Response) -> &str {
    response.headers()[header::LOCATION].to_str().unwrap()
}

/// The action of the page's form with this field, and its fields with their values.
pub(crate) fn form(page: &str, field: &str) -> (String, Vec<(String, String)>) {
    let form = page
        .split("<form")
        .find(|form| form.contains(&format!("name=\"{field}\"")))
        .expect("there is a form");
    let form = form.split("</form>").next().unwrap();
    let attribute = |tag: &str, name: &str| {
        let value = tag.split(&format!(" {name}=\"")).nth(1)?.split('"').next()?;
        Some(value.replace("&#38;", "&").replace("&amp;", "&").replace("&#x2F;", "/"))
    };
    let tag = format!(" {}", form.split('>').next().unwrap());
    let inputs = form.split("<input").skip(1).map(|input| format!(" {}", input.split('>').next().unwrap()));
    let fields = inputs
        .filter_map(|tag| Some((attribute(&tag, "name")?, attribute(&tag, "value").unwrap_or_default())));
    (attribute(&tag, "action").unwrap_or_default(), fields.collect())
}
