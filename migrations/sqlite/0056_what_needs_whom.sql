-- What waits, and what is grave, is found however much is newer.
CREATE INDEX elevation_waiting ON elevation (asked_at, id) WHERE state = 'asked';
CREATE INDEX observe_alert_by_severity ON observe_alert (workspace, state, severity, opened_at, alert_id);
CREATE INDEX observe_alert_of_endpoint ON observe_alert (endpoint_id, opened_at, alert_id) WHERE endpoint_id IS NOT NULL;
CREATE INDEX detection_open ON detection (level, first_at, detection_id) WHERE acknowledged_at IS NULL;
-- Log-ins that were refused for their risk, or asked for the strongest proof.
ALTER TABLE risk_judged ADD COLUMN grave SMALLINT NOT NULL DEFAULT 0;
UPDATE risk_judged SET grave = 1 WHERE outcome = 'refused';
CREATE INDEX risk_judged_grave ON risk_judged (at, id) WHERE grave = 1;
