//! Strongroom's own JSON interface under `/api/strongroom/v1`: accounts, tokens, grants, the log, lineage. The command
//! line and the console speak it.
