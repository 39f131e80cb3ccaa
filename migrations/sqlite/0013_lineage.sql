-- The graph is walked over whole numbers: a node keeps its key and gets an id, and an edge is kept under what it is looked up by, in
-- both directions. That a person read something is a relation of its own, which no walk follows.
DROP INDEX lineage_edge_from;
DROP INDEX lineage_edge_to;
ALTER TABLE lineage_node RENAME TO lineage_node_before;
ALTER TABLE lineage_edge RENAME TO lineage_edge_before;

CREATE TABLE lineage_node (
    id         INTEGER PRIMARY KEY,
    key        TEXT    NOT NULL UNIQUE,
    workspace  TEXT    NOT NULL,
    kind       TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    digest     TEXT,
    attributes TEXT    NOT NULL,
    at         BIGINT  NOT NULL
);

CREATE TABLE lineage_edge (
    from_node BIGINT NOT NULL,
    to_node   BIGINT NOT NULL,
    relation  TEXT   NOT NULL,
    trust     TEXT   NOT NULL,
    detail    TEXT   NOT NULL,
    at        BIGINT NOT NULL,
    entry     TEXT   NOT NULL,
    PRIMARY KEY (from_node, to_node, relation, trust, detail)
) WITHOUT ROWID;

INSERT INTO lineage_node (key, workspace, kind, name, digest, attributes, at)
SELECT id, workspace, kind, name, digest, attributes, at FROM lineage_node_before ORDER BY at, id;

INSERT INTO lineage_edge (from_node, to_node, relation, trust, detail, at, entry)
SELECT f.id, t.id, CASE WHEN f.kind = 'person' AND e.relation = 'used' THEN 'read' ELSE e.relation END, e.trust,
       SUBSTR(e.detail, 1, 256), e.at, e.entry
FROM lineage_edge_before e JOIN lineage_node f ON f.key = e.from_node JOIN lineage_node t ON t.key = e.to_node
WHERE TRUE ORDER BY e.at
ON CONFLICT DO NOTHING;

DROP TABLE lineage_edge_before;
DROP TABLE lineage_node_before;

CREATE INDEX lineage_edge_to ON lineage_edge (to_node, from_node, relation, trust);
-- Digests are what clients say: those that are too long to be one are not looked for.
CREATE INDEX lineage_node_digest ON lineage_node (workspace, digest) WHERE LENGTH(digest) <= 128;
CREATE INDEX data_file_by_sha256 ON data_file (workspace, sha256);
CREATE INDEX data_version_by_manifest ON data_version (workspace, manifest_sha256);
CREATE INDEX artifact_by_sha256 ON artifact (workspace, sha256);

-- OpenLineage's events as they were sent; the same one twice is kept once. `subject` is the node of the run, job or data set that it is of.
CREATE TABLE lineage_event (
    id          INTEGER PRIMARY KEY,
    workspace   TEXT   NOT NULL,
    digest      BLOB   NOT NULL,
    kind        TEXT   NOT NULL,
    event_type  TEXT   NOT NULL,
    subject     BIGINT NOT NULL,
    at          BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    entry       TEXT   NOT NULL,
    body        TEXT   NOT NULL,
    UNIQUE (workspace, digest)
);

CREATE INDEX lineage_event_at ON lineage_event (workspace, at, id);
CREATE INDEX lineage_event_subject ON lineage_event (subject, at);
