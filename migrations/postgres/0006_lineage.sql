CREATE TABLE lineage_node (
    id         TEXT   NOT NULL PRIMARY KEY,
    workspace  TEXT   NOT NULL,
    kind       TEXT   NOT NULL,
    name       TEXT   NOT NULL,
    digest     TEXT,
    attributes TEXT   NOT NULL,
    at         BIGINT NOT NULL
);

CREATE TABLE lineage_edge (
    id         TEXT   NOT NULL PRIMARY KEY,
    workspace  TEXT   NOT NULL,
    from_node  TEXT   NOT NULL,
    to_node    TEXT   NOT NULL,
    relation   TEXT   NOT NULL,
    trust      TEXT   NOT NULL,
    detail     TEXT   NOT NULL,
    at         BIGINT NOT NULL,
    entry      TEXT   NOT NULL
);

CREATE INDEX lineage_edge_from ON lineage_edge (from_node);
CREATE INDEX lineage_edge_to ON lineage_edge (to_node);
