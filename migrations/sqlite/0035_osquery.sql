-- Machines that osquery looks after. An enrol secret (stored as its digest only) lets those of a fleet in; each gets a key of its own. A node's
-- facts count for the enrolled device that an administrator says it is.
CREATE TABLE device_fleet (
    id         TEXT   NOT NULL PRIMARY KEY,
    name       TEXT   NOT NULL UNIQUE,
    sha256     BLOB   NOT NULL UNIQUE,
    created_by TEXT   NOT NULL REFERENCES principal (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL
);
CREATE INDEX device_fleet_by ON device_fleet (created_by);

CREATE TABLE device_node (
    id          TEXT   NOT NULL PRIMARY KEY,
    fleet_id    TEXT   NOT NULL REFERENCES device_fleet (id) ON DELETE CASCADE,
    host        TEXT   NOT NULL,
    sha256      BLOB   NOT NULL UNIQUE,
    enrolled_at BIGINT NOT NULL,
    seen_at     BIGINT NOT NULL,
    asked_at    BIGINT NOT NULL DEFAULT 0,
    reported_at BIGINT,
    report      TEXT   NOT NULL DEFAULT '',
    device_id   TEXT   REFERENCES device (id) ON DELETE SET NULL,
    UNIQUE (fleet_id, host)
);
CREATE INDEX device_node_of_device ON device_node (device_id) WHERE device_id IS NOT NULL;
