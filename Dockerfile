# syntax=docker/dockerfile:1
# Three images: `--target backend` (the default), `--target backend-lambda`, and for development `--target cognito-local`.

FROM rust:1.95.0-slim-bookworm AS chef
WORKDIR /src
RUN cargo install --locked cargo-auditable@0.7.7 cargo-chef@0.1.78

FROM chef AS planner
COPY . .
RUN cargo chef prepare --recipe-path recipe.json

# Rebuilt only when Cargo.toml or Cargo.lock name other dependencies.
FROM chef AS dependencies
COPY --from=planner /src/recipe.json recipe.json
RUN cargo chef cook --release --locked --package backend --package backend-lambda --recipe-path recipe.json

FROM dependencies AS build
COPY . .
# The binaries carry the list of their crates, for whoever scans an image or lists what is in it.
RUN cargo auditable build --release --locked --package backend --package backend-lambda

# Apart from the above, so that what only the user pool needs is not built into the backend's dependencies.
FROM chef AS build-cognito-local
COPY . .
RUN cargo auditable build --release --locked --package cognito-local && mkdir /data

FROM gcr.io/distroless/cc-debian12:nonroot AS runtime
LABEL org.opencontainers.image.licenses="MIT OR Apache-2.0"
# The numeric form of `nonroot`, so that an orchestrator can see that it is not root.
USER 65532:65532

FROM runtime AS backend-lambda
LABEL org.opencontainers.image.title="backend-lambda" \
      org.opencontainers.image.description="The backend as an AWS Lambda function behind an HTTP API"
COPY --from=build /src/target/release/backend-lambda /usr/local/bin/backend-lambda
ENTRYPOINT ["/usr/local/bin/backend-lambda"]

FROM runtime AS cognito-local
LABEL org.opencontainers.image.title="cognito-local" \
      org.opencontainers.image.description="A local user pool with the endpoints of Amazon Cognito, for development and tests"
COPY --from=build-cognito-local /src/target/release/cognito-local /usr/local/bin/cognito-local
# Created with its owner, because a volume takes over the owner of the folder that it is mounted on.
COPY --from=build-cognito-local --chown=65532:65532 /data /data
VOLUME /data
EXPOSE 9229
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/cognito-local", "--bind", "0.0.0.0", "--data-dir", "/data"]

FROM runtime AS backend
LABEL org.opencontainers.image.title="backend" \
      org.opencontainers.image.description="An OAuth 2.0 resource server on Amazon Cognito, DynamoDB and S3"
COPY --from=build /src/target/release/backend /usr/local/bin/backend
ENV BIND_ADDRESS=0.0.0.0:8000 LOG_FORMAT=json
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=15s CMD ["/usr/local/bin/backend", "healthcheck"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/backend"]
