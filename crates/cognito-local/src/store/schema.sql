-- The tables of a new pool; `from_version_2.sql` brings those of an older file to the same form before this runs.
-- Times are seconds since 1970 unless the name ends in _ms. Bearer secrets are kept as SHA-256 digests.

CREATE TABLE IF NOT EXISTS settings (
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS client_secrets (
    client_id TEXT PRIMARY KEY,
    secret TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS signing_keys (
    position INTEGER PRIMARY KEY, -- The last one of each use signs.
    kid TEXT NOT NULL UNIQUE,
    token_use TEXT NOT NULL CHECK (token_use IN ('access', 'id')),
    pkcs8 BLOB NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS users (
    sub TEXT PRIMARY KEY,
    username TEXT NOT NULL,
    username_key TEXT NOT NULL UNIQUE, -- In lower case: names differ in more than case.
    password_hash TEXT NOT NULL,
    srp_salt BLOB, -- With the verifier: of the same password, in the form that the Secure Remote Password protocol needs.
    srp_verifier BLOB,
    password_expires_at INTEGER, -- Of a temporary password.
    email TEXT,
    email_key TEXT,
    email_verified INTEGER NOT NULL DEFAULT 0,
    status TEXT NOT NULL, -- UNCONFIRMED, CONFIRMED, RESET_REQUIRED or FORCE_CHANGE_PASSWORD
    enabled INTEGER NOT NULL DEFAULT 1,
    created_at INTEGER NOT NULL,
    modified_at INTEGER NOT NULL,
    generation INTEGER NOT NULL DEFAULT 0, -- Of the password: what an earlier one gave is void.
    attributes TEXT NOT NULL DEFAULT '{}',
    totp_secret BLOB,
    totp_pending_secret BLOB, -- Of an app whose first code is awaited.
    totp_enabled INTEGER NOT NULL DEFAULT 0,
    totp_preferred INTEGER NOT NULL DEFAULT 0,
    totp_last_step INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- Only a verified address is an alias for signing in, and only one account may hold it.
CREATE UNIQUE INDEX IF NOT EXISTS users_by_verified_email ON users (email_key) WHERE email_verified = 1;

CREATE TABLE IF NOT EXISTS user_groups (
    name TEXT PRIMARY KEY,
    description TEXT,
    role_arn TEXT,
    precedence INTEGER,
    created_at INTEGER NOT NULL,
    modified_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS memberships (
    sub TEXT NOT NULL REFERENCES users ON DELETE CASCADE,
    group_name TEXT NOT NULL,
    PRIMARY KEY (sub, group_name)
) STRICT, WITHOUT ROWID;

-- What browsers remember of a sign-in.
CREATE TABLE IF NOT EXISTS sessions (
    digest BLOB PRIMARY KEY,
    sub TEXT NOT NULL REFERENCES users ON DELETE CASCADE,
    generation INTEGER NOT NULL,
    auth_time INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What one sign-in gave: the line of tokens that share an origin_jti.
CREATE TABLE IF NOT EXISTS grants (
    origin_jti TEXT PRIMARY KEY,
    event_id TEXT NOT NULL,
    sub TEXT NOT NULL REFERENCES users ON DELETE CASCADE,
    client_id TEXT NOT NULL,
    scope TEXT NOT NULL,
    resource TEXT,
    auth_time INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked INTEGER NOT NULL DEFAULT 0,
    by_api INTEGER NOT NULL DEFAULT 0 -- The AWS API gave it, not the token endpoint.
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS refresh_tokens (
    digest BLOB PRIMARY KEY,
    origin_jti TEXT NOT NULL REFERENCES grants ON DELETE CASCADE,
    retired_at_ms INTEGER -- Set when its successor was issued.
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS refresh_tokens_by_grant ON refresh_tokens (origin_jti);

CREATE TABLE IF NOT EXISTS codes (
    digest BLOB PRIMARY KEY,
    sub TEXT NOT NULL REFERENCES users ON DELETE CASCADE,
    generation INTEGER NOT NULL,
    client_id TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    scope TEXT NOT NULL,
    resource TEXT,
    nonce TEXT,
    code_challenge TEXT,
    auth_time INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used INTEGER NOT NULL DEFAULT 0,
    origin_jti TEXT -- The grant it was redeemed for.
) STRICT, WITHOUT ROWID;

-- Sign-ins whose password was right, and which wait for a code of an authenticator app.
CREATE TABLE IF NOT EXISTS challenges (
    digest BLOB PRIMARY KEY,
    sub TEXT NOT NULL REFERENCES users ON DELETE CASCADE,
    generation INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Sign-ins through the API that wait for the answer to a challenge.
CREATE TABLE IF NOT EXISTS api_sessions (
    digest BLOB PRIMARY KEY,
    client_id TEXT NOT NULL,
    login TEXT NOT NULL, -- As it was typed.
    sub TEXT REFERENCES users ON DELETE CASCADE, -- NULL when such a user does not exist.
    generation INTEGER NOT NULL,
    challenge TEXT NOT NULL, -- JSON
    secret_block TEXT UNIQUE, -- Finds the session of a client that sends back only this.
    used INTEGER NOT NULL DEFAULT 0,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The code that was mailed last, for each purpose.
CREATE TABLE IF NOT EXISTS mail_codes (
    sub TEXT NOT NULL REFERENCES users ON DELETE CASCADE,
    purpose TEXT NOT NULL,
    code TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (sub, purpose)
) STRICT, WITHOUT ROWID;

-- What the pool would have mailed.
CREATE TABLE IF NOT EXISTS mails (
    id INTEGER PRIMARY KEY,
    recipient TEXT NOT NULL,
    username TEXT NOT NULL,
    purpose TEXT NOT NULL,
    code TEXT NOT NULL,
    sent_at INTEGER NOT NULL
) STRICT;

-- Failed attempts by the digest of what was typed, whether or not such a user exists.
CREATE TABLE IF NOT EXISTS failures (
    subject BLOB PRIMARY KEY,
    count INTEGER NOT NULL,
    locked_until_ms INTEGER NOT NULL,
    last_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
