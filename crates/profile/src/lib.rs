//! One pass over a table: counts, moments and mergeable sketches of each column; and drift between two such profiles.
