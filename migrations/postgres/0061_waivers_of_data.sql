-- Waivers are few: those that end soon, and that of one data set, are found without looking at all versions that were let in.
CREATE INDEX data_version_waivers ON data_version (workspace, state, waiver_until, dataset_id) WHERE waiver_until IS NOT NULL;
CREATE INDEX data_version_waiver_of ON data_version (dataset_id, state, waiver_until) WHERE waiver_until IS NOT NULL;
