CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE approval (
	request_id VARCHAR(16) NOT NULL, 
	schema_version VARCHAR(16) NOT NULL, 
	job_id VARCHAR(128) NOT NULL, 
	scene_id VARCHAR(128) NOT NULL, 
	episodes JSON NOT NULL, 
	episodes_digest VARCHAR(64) NOT NULL, 
	gate VARCHAR(128) NOT NULL, 
	message TEXT NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	created_at DATETIME NOT NULL, 
	expires_at DATETIME NOT NULL, 
	decided_at DATETIME, 
	actor VARCHAR(255), 
	reason TEXT, 
	approved_episodes JSON NOT NULL, 
	PRIMARY KEY (request_id), 
	CONSTRAINT uq_approval_question UNIQUE (job_id, episodes_digest)
);
CREATE TABLE approval_audit (
	audit_id INTEGER NOT NULL, 
	schema_version VARCHAR(16) NOT NULL, 
	request_id VARCHAR(16) NOT NULL, 
	at DATETIME NOT NULL, 
	action VARCHAR(16) NOT NULL, 
	actor VARCHAR(255) NOT NULL, 
	reason TEXT NOT NULL, 
	PRIMARY KEY (audit_id), 
	FOREIGN KEY(request_id) REFERENCES approval (request_id)
);
CREATE TABLE baseline (
	name VARCHAR(128) NOT NULL, 
	revision INTEGER NOT NULL, 
	schema_version VARCHAR(16) NOT NULL, 
	recorded_at DATETIME NOT NULL, 
	source TEXT NOT NULL, 
	metrics JSON NOT NULL, 
	PRIMARY KEY (name, revision)
);
CREATE TABLE delivery (
	delivery_id VARCHAR(16) NOT NULL, 
	schema_version VARCHAR(16) NOT NULL, 
	lab VARCHAR(128) NOT NULL, 
	scene_id VARCHAR(128) NOT NULL, 
	job_id VARCHAR(128) NOT NULL, 
	bundle_sha256 VARCHAR(64) NOT NULL, 
	size_bytes BIGINT NOT NULL, 
	url TEXT NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	receipt JSON, 
	error TEXT, 
	PRIMARY KEY (delivery_id)
);
CREATE TABLE lease (
	name VARCHAR(255) NOT NULL, 
	schema_version VARCHAR(16) NOT NULL, 
	holder VARCHAR(255) NOT NULL, 
	process VARCHAR(255) NOT NULL, 
	token BIGINT NOT NULL, 
	acquired_at DATETIME NOT NULL, 
	expires_at DATETIME NOT NULL, 
	PRIMARY KEY (name)
);
CREATE TABLE ledger_entry (
	commit_key VARCHAR(64) NOT NULL, 
	item VARCHAR(64) NOT NULL, 
	occurred_at DATETIME NOT NULL, 
	schema_version VARCHAR(16) NOT NULL, 
	scene_id VARCHAR(128) NOT NULL, 
	stage VARCHAR(64) NOT NULL, 
	unit VARCHAR(128) NOT NULL, 
	job_id VARCHAR(128), 
	lab VARCHAR(128), 
	machine VARCHAR(64) NOT NULL, 
	quantity FLOAT, 
	quantity_unit VARCHAR(32) NOT NULL, 
	quantity_certainty VARCHAR(16) NOT NULL, 
	price_id VARCHAR(128), 
	price_table VARCHAR(32), 
	price_usd VARCHAR(40), 
	price_certainty VARCHAR(16) NOT NULL, 
	amount_usd FLOAT, 
	certainty VARCHAR(16) NOT NULL, 
	PRIMARY KEY (commit_key, item, occurred_at)
);
CREATE TABLE scene (
	scene_id VARCHAR(128) NOT NULL, 
	schema_version VARCHAR(16) NOT NULL, 
	source_url TEXT NOT NULL, 
	lab VARCHAR(128) NOT NULL, 
	priority INTEGER NOT NULL, 
	pool VARCHAR(128) NOT NULL, 
	interval_s FLOAT, 
	enabled BOOLEAN NOT NULL, 
	due_at DATETIME, 
	running_run_id VARCHAR(255), 
	started_at DATETIME, 
	last_run_id VARCHAR(255), 
	last_status VARCHAR(16), 
	last_finished_at DATETIME, 
	PRIMARY KEY (scene_id)
);
CREATE TABLE stage_commit (
	"key" VARCHAR(64) NOT NULL, 
	schema_version VARCHAR(16) NOT NULL, 
	scene_id VARCHAR(128) NOT NULL, 
	stage VARCHAR(64) NOT NULL, 
	unit VARCHAR(128) NOT NULL, 
	code_version VARCHAR(64) NOT NULL, 
	finished_at DATETIME NOT NULL, 
	document JSON NOT NULL, 
	PRIMARY KEY ("key")
);
CREATE TABLE webhook_attempt (
	message_id VARCHAR(128) NOT NULL, 
	attempt INTEGER NOT NULL, 
	schema_version VARCHAR(16) NOT NULL, 
	delivery_id VARCHAR(16) NOT NULL, 
	at DATETIME NOT NULL, 
	url TEXT NOT NULL, 
	status_code INTEGER, 
	error TEXT, 
	duration_s FLOAT NOT NULL, 
	PRIMARY KEY (message_id, attempt), 
	FOREIGN KEY(delivery_id) REFERENCES delivery (delivery_id)
);
CREATE INDEX ix_stage_commit_scene ON stage_commit (scene_id, finished_at);
CREATE INDEX ix_approval_due ON approval (status, expires_at);
CREATE INDEX ix_approval_audit_request_id ON approval_audit (request_id);
CREATE INDEX ix_ledger_entry_scene ON ledger_entry (scene_id);
CREATE INDEX ix_ledger_entry_time ON ledger_entry (occurred_at);
CREATE INDEX ix_delivery_lab ON delivery (lab, status);
CREATE INDEX ix_webhook_attempt_delivery_id ON webhook_attempt (delivery_id);
CREATE INDEX ix_scene_due ON scene (enabled, due_at);
CREATE INDEX ix_scene_running ON scene (running_run_id);
CREATE TRIGGER approval_audit_no_update BEFORE UPDATE ON approval_audit BEGIN SELECT RAISE(ABORT, 'approval_audit is append-only'); END;
CREATE TRIGGER approval_audit_no_delete BEFORE DELETE ON approval_audit BEGIN SELECT RAISE(ABORT, 'approval_audit is append-only'); END;
