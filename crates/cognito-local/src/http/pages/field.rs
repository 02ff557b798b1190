//! A field of a form, with its label, its hint and what is wrong with it.

use askama::Template;

#[derive(Default, Template)]
#[template(path = "field.html")]
pub(super) struct Field {
    name: &'static str,
    label: &'static str,
    kind: &'static str,
    value: String,
    autocomplete: &'static str,
    max_length: u16,
    numeric: bool,
    focus: bool,
    hint: Option<String>,
    problem: Option<String>,
    aside: Option<(&'static str, String)>,
    /// The id of a message elsewhere on the page that is about this field.
    described_by: Option<&'static str>,
}

impl Field {
    pub(super) fn text(name: &'static str, label: &'static str, value: &str) -> Self {
        Self { name, label, kind: "text", value: value.to_owned(), max_length: 254, ..Self::default() }
    }

    pub(super) fn email(value: &str) -> Self {
        Self { kind: "email", ..Self::text("email", "E-mail", value) }.autocomplete("email")
    }

    /// Never filled in again: a page must not repeat a password.
    pub(super) fn password(name: &'static str, label: &'static str) -> Self {
        Self { name, label, kind: "password", max_length: 256, ..Self::default() }
    }

    /// A code of six digits.
    pub(super) fn code(label: &'static str, value: &str) -> Self {
        let field = Self::text("code", label, value).autocomplete("one-time-code");
        Self { numeric: true, max_length: 16, ..field }
    }

    pub(super) fn autocomplete(self, autocomplete: &'static str) -> Self {
        Self { autocomplete, ..self }
    }

    pub(super) fn focus(self, focus: bool) -> Self {
        Self { focus, ..self }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    pub(super) fn problem(self, problem: Option<impl Into<String>>) -> Self {
        Self { problem: problem.map(Into::into), ..self }
    }

    /// A link beside the label.
    pub(super) fn aside(self, text: &'static str, link: String) -> Self {
        Self { aside: Some((text, link)), ..self }
    }

    pub(super) fn described_by(self, id: Option<&'static str>) -> Self {
        Self { described_by: id, ..self }
    }

    fn invalid(&self) -> bool {
        self.problem.is_some()
    }

    /// The ids of what describes the field, for assistive technology.
    fn descriptions(&self) -> String {
        let hint = self.hint.as_ref().map(|_| format!("{}-hint", self.name));
        let problem = self.problem.as_ref().map(|_| format!("{}-problem", self.name));
        let elsewhere = self.described_by.map(str::to_owned);
        [problem, elsewhere, hint].into_iter().flatten().collect::<Vec<_>>().join(" ")
    }
}
