-- On PostgreSQL: how soon the tables of the graph are vacuumed after a load. SQLite has nothing to renew; what its planner knows of them
-- may be.
ANALYZE lineage_edge;
