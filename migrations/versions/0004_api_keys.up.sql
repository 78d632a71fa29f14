CREATE TABLE api_keys (
    key_id                text             PRIMARY KEY COLLATE "C",
    digest                bytea            NOT NULL,
    source                text             NOT NULL,
    scopes                text[]           NOT NULL,
    rate_limit_per_second double precision,
    rate_limit_burst      integer,
    created_at            timestamptz      NOT NULL DEFAULT now(),
    expires_at            timestamptz,
    revoked_at            timestamptz
);
COMMENT ON TABLE api_keys IS 'Keys issued to services; a row stays after its key is revoked';
COMMENT ON COLUMN api_keys.digest IS 'HMAC-SHA-256 of the key; never the key';
