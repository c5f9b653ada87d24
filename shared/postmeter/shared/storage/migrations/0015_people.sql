-- People of a workspace (ADR 0042). email: lower-cased; the same one may be in several workspaces, each time with a
-- password of its own. domains: as of API keys. password: an argon2id hash; NULL where none was set yet.
CREATE TABLE user_account (
    workspace int NOT NULL REFERENCES workspace (number),
    id uuid NOT NULL,
    email text NOT NULL,
    role text NOT NULL,
    domains text[],
    password text,
    created_at timestamptz NOT NULL DEFAULT now(),
    signed_in_at timestamptz,
    disabled_at timestamptz,
    PRIMARY KEY (workspace, id),
    UNIQUE (workspace, email)
);
CREATE INDEX user_account_email ON user_account (email, created_at);

-- What people call a key.
ALTER TABLE api_key ADD COLUMN name text NOT NULL DEFAULT '';

-- What a person was given once to come in by: purpose is sign-in, invitation or reset. hash: SHA-256 of the token.
CREATE TABLE one_time_link (
    workspace int NOT NULL,
    hash bytea NOT NULL,
    user_account uuid NOT NULL,
    purpose text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    PRIMARY KEY (workspace, hash),
    FOREIGN KEY (workspace, user_account) REFERENCES user_account (workspace, id) ON DELETE CASCADE
);
CREATE INDEX one_time_link_user ON one_time_link (workspace, user_account);

-- Who is signed in: a user, or the holder of an API key. hash: SHA-256 of the cookie's token. seen_at: the last use, to
-- the minute.
CREATE TABLE session (
    workspace int NOT NULL REFERENCES workspace (number),
    hash bytea NOT NULL,
    user_account uuid,
    api_key text REFERENCES api_key (id),
    created_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    PRIMARY KEY (workspace, hash),
    FOREIGN KEY (workspace, user_account) REFERENCES user_account (workspace, id) ON DELETE CASCADE,
    CHECK ((user_account IS NULL) <> (api_key IS NULL))
);
CREATE INDEX session_of_user ON session (workspace, user_account) WHERE user_account IS NOT NULL;
CREATE INDEX session_of_api_key ON session (workspace, api_key) WHERE api_key IS NOT NULL;
