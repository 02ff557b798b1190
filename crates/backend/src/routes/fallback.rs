//! Responses to requests that match no route.

use http::StatusCode;

use crate::{auth::Charged, problem::Problem};

/// Responds to a path that no route has.
pub(crate) async fn unknown_route(_: Charged) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "There is no such route; see /openapi.json for those that there are.")
}

/// Responds to a method that the route does not have; the router adds `Allow` (RFC 9110, section 15.5.6).
pub(crate) async fn method_not_allowed(_: Charged) -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "This route does not have this method; see the header `Allow`.",
    )
}
