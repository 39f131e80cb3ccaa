-- Challenges of passkeys that were answered, by digest: none counts twice, on whichever node, before or after a start.
CREATE TABLE challenge_taken (
    sha256     BYTEA  NOT NULL PRIMARY KEY,
    expires_at BIGINT NOT NULL
);
CREATE INDEX challenge_taken_ends ON challenge_taken (expires_at);

-- Who barred an account: a provisioner lifts no bar but its own. What is barred already and looked after counts as its provisioner's.
ALTER TABLE principal ADD COLUMN barred_by TEXT;
UPDATE principal SET barred_by = (SELECT v.managed_by FROM provisioned v WHERE v.principal_id = principal.id) WHERE disabled = 1;
