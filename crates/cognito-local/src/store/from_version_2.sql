-- Brings the tables of version 2 to the form of `schema.sql`, which runs afterwards and creates the missing ones.
-- Mailed codes are dropped: new ones can be requested.

DROP TABLE mail_codes;
DROP TABLE mails;

ALTER TABLE users ADD COLUMN srp_salt BLOB;
ALTER TABLE users ADD COLUMN srp_verifier BLOB;
ALTER TABLE users ADD COLUMN password_expires_at INTEGER;
ALTER TABLE users ADD COLUMN status TEXT NOT NULL DEFAULT 'UNCONFIRMED';
ALTER TABLE users ADD COLUMN enabled INTEGER NOT NULL DEFAULT 1;
ALTER TABLE users ADD COLUMN created_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN modified_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN totp_pending_secret BLOB;
ALTER TABLE users ADD COLUMN totp_enabled INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN totp_preferred INTEGER NOT NULL DEFAULT 0;

UPDATE users SET
    status = CASE WHEN confirmed THEN 'CONFIRMED' ELSE 'UNCONFIRMED' END,
    created_at = unixepoch(),
    modified_at = unixepoch(),
    totp_enabled = totp_secret IS NOT NULL,
    totp_preferred = totp_secret IS NOT NULL;
ALTER TABLE users DROP COLUMN confirmed;

ALTER TABLE grants ADD COLUMN by_api INTEGER NOT NULL DEFAULT 0;
