-- Walks read edges and names from indexes alone where the visibility map says that they may. The map is renewed by vacuum, which
-- otherwise waits until a fifth of the table is new: for a graph of millions of edges that is a long time.
ALTER TABLE lineage_edge SET (autovacuum_vacuum_insert_scale_factor = 0.01, autovacuum_analyze_scale_factor = 0.02);
ALTER TABLE lineage_node SET (autovacuum_vacuum_insert_scale_factor = 0.01, autovacuum_analyze_scale_factor = 0.02);
