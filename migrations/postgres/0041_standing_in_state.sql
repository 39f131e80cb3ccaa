-- What waits for somebody is found without reading what does not: the newest versions of models in one state, and waivers that end.
CREATE INDEX model_standing_in_state ON model_standing (workspace, state, submitted_at, model_id, version);
CREATE INDEX model_standing_waived ON model_standing (workspace, waiver_until, model_id, version) WHERE waiver_until IS NOT NULL;
