BEGIN TRANSACTION;
CREATE TABLE agents (
	source TEXT NOT NULL, 
	agent TEXT NOT NULL, 
	discovered BOOLEAN NOT NULL, 
	enabled BOOLEAN, 
	running INTEGER NOT NULL, 
	oldest_running FLOAT, 
	PRIMARY KEY (source, agent)
);
INSERT INTO "agents" VALUES('n8n/main','a',0,1,2,1795435200.0);
INSERT INTO "agents" VALUES('n8n/main','b',1,0,0,NULL);
CREATE TABLE buckets (
	metric TEXT NOT NULL, 
	agent TEXT NOT NULL, 
	le FLOAT NOT NULL, 
	observations INTEGER NOT NULL, 
	PRIMARY KEY (metric, agent, le)
);
INSERT INTO "buckets" VALUES('call_duration_seconds','a',10.0,2);
INSERT INTO "buckets" VALUES('call_confidence_ratio','a',0.9,1);
INSERT INTO "buckets" VALUES('call_confidence_ratio','a',0.4,1);
INSERT INTO "buckets" VALUES('call_duration_seconds','a',9e999,1);
INSERT INTO "buckets" VALUES('call_duration_seconds','b',0.5,1);
CREATE TABLE calls (
	source TEXT NOT NULL, 
	id TEXT NOT NULL, 
	agent TEXT NOT NULL, 
	started_at FLOAT NOT NULL, 
	finished_at FLOAT NOT NULL, 
	duration_s FLOAT NOT NULL, 
	outcome TEXT NOT NULL, 
	error_reason TEXT, 
	model TEXT NOT NULL, 
	provider TEXT NOT NULL, 
	tokens_in INTEGER, 
	tokens_out INTEGER, 
	token_basis TEXT NOT NULL, 
	cost_usd FLOAT, 
	confidence FLOAT, 
	tool_calls INTEGER NOT NULL, 
	tool_errors INTEGER NOT NULL, 
	url TEXT, 
	ingested_at FLOAT NOT NULL, execution TEXT NOT NULL DEFAULT '', model_calls INTEGER NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 1, cached BOOLEAN NOT NULL DEFAULT false, 
	PRIMARY KEY (source, id)
);
INSERT INTO "calls" VALUES('n8n/main','1','a',1795435195.0,1795435201.0,6.0,'success',NULL,'gpt-4.1-mini','openai',120,30,'actual',0.25,0.9,2,0,'http://n8n.test/1',1795435260.0,'',0,1,0);
INSERT INTO "calls" VALUES('n8n/main','2','a',1795435195.0,1795435202.0,7.0,'error','tool_error','gpt-4.1-mini','',8,1,'estimate',NULL,0.31,3,1,NULL,1795435260.0,'',0,1,0);
INSERT INTO "calls" VALUES('n8n/main','3','a',1795434403.0,1795435203.0,800.0,'success',NULL,'','',NULL,NULL,'unknown',NULL,NULL,0,0,NULL,1795435260.0,'',0,1,0);
INSERT INTO "calls" VALUES('n8n/main','4','b',1795435203.5,1795435204.0,0.5,'error','timeout','claude-3-5-haiku','',5,2,'actual',NULL,NULL,1,0,NULL,1795435260.0,'',0,1,0);
CREATE TABLE expectations (agent TEXT NOT NULL, source TEXT NOT NULL, basis TEXT NOT NULL, plan TEXT NOT NULL, enabled BOOLEAN NOT NULL, since FLOAT NOT NULL, PRIMARY KEY (agent));
INSERT INTO "expectations" VALUES('a','n8n/main','declared','[]',1,1795435000.0);
CREATE TABLE gaps (source TEXT NOT NULL, last FLOAT NOT NULL, PRIMARY KEY (source));
INSERT INTO "gaps" VALUES('n8n/main',1795435100.0);
CREATE TABLE gauges (
	source TEXT NOT NULL, 
	metric TEXT NOT NULL, 
	labels TEXT NOT NULL, 
	value FLOAT NOT NULL, 
	PRIMARY KEY (source, metric, labels)
);
INSERT INTO "gauges" VALUES('n8n/main','anything','[["source", "n8n/main"]]',1.5);
CREATE TABLE label_values (agent TEXT NOT NULL, label TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (agent, label, value));
INSERT INTO "label_values" VALUES('a','model','gpt-4.1-mini');
INSERT INTO "label_values" VALUES('a','model','unknown');
INSERT INTO "label_values" VALUES('b','model','claude-3-5-haiku');
CREATE TABLE schema_migrations (
	version INTEGER NOT NULL, 
	PRIMARY KEY (version)
);
INSERT INTO "schema_migrations" VALUES(1);
INSERT INTO "schema_migrations" VALUES(2);
INSERT INTO "schema_migrations" VALUES(3);
INSERT INTO "schema_migrations" VALUES(4);
CREATE TABLE shown (
	series TEXT NOT NULL, 
	PRIMARY KEY (series)
);
INSERT INTO "shown" VALUES('["handrail_call_confidence_ratio", "a"]');
INSERT INTO "shown" VALUES('["handrail_call_confidence_ratio", "b"]');
INSERT INTO "shown" VALUES('["handrail_call_duration_seconds", "a"]');
INSERT INTO "shown" VALUES('["handrail_call_duration_seconds", "b"]');
INSERT INTO "shown" VALUES('["handrail_call_errors", "a", "auth"]');
INSERT INTO "shown" VALUES('["handrail_call_errors", "a", "canceled"]');
INSERT INTO "shown" VALUES('["handrail_call_errors", "a", "crashed"]');
INSERT INTO "shown" VALUES('["handrail_call_errors", "a", "invalid_output"]');
INSERT INTO "shown" VALUES('["handrail_call_errors", "a", "other"]');
INSERT INTO "shown" VALUES('["handrail_call_errors", "a", "provider_error"]');
INSERT INTO "shown" VALUES('["handrail_call_errors", "a", "rate_limited"]');
INSERT INTO "shown" VALUES('["handrail_call_errors", "a", "timeout"]');
INSERT INTO "shown" VALUES('["handrail_call_errors", "a", "tool_error"]');
INSERT INTO "shown" VALUES('["handrail_call_errors", "b", "auth"]');
INSERT INTO "shown" VALUES('["handrail_call_errors", "b", "canceled"]');
INSERT INTO "shown" VALUES('["handrail_call_errors", "b", "crashed"]');
INSERT INTO "shown" VALUES('["handrail_call_errors", "b", "invalid_output"]');
INSERT INTO "shown" VALUES('["handrail_call_errors", "b", "other"]');
INSERT INTO "shown" VALUES('["handrail_call_errors", "b", "provider_error"]');
INSERT INTO "shown" VALUES('["handrail_call_errors", "b", "rate_limited"]');
INSERT INTO "shown" VALUES('["handrail_call_errors", "b", "timeout"]');
INSERT INTO "shown" VALUES('["handrail_call_errors", "b", "tool_error"]');
INSERT INTO "shown" VALUES('["handrail_calls", "a", "n8n/main", "gpt-4.1-mini", "error"]');
INSERT INTO "shown" VALUES('["handrail_calls", "a", "n8n/main", "gpt-4.1-mini", "success"]');
INSERT INTO "shown" VALUES('["handrail_calls", "a", "n8n/main", "unknown", "error"]');
INSERT INTO "shown" VALUES('["handrail_calls", "a", "n8n/main", "unknown", "success"]');
INSERT INTO "shown" VALUES('["handrail_calls", "b", "n8n/main", "claude-3-5-haiku", "error"]');
INSERT INTO "shown" VALUES('["handrail_calls", "b", "n8n/main", "unknown", "error"]');
INSERT INTO "shown" VALUES('["handrail_calls", "b", "n8n/main", "unknown", "success"]');
INSERT INTO "shown" VALUES('["handrail_calls_without_usage", "a"]');
INSERT INTO "shown" VALUES('["handrail_calls_without_usage", "b"]');
INSERT INTO "shown" VALUES('["handrail_cost_usd", "a"]');
INSERT INTO "shown" VALUES('["handrail_cost_usd", "b"]');
INSERT INTO "shown" VALUES('["handrail_slow_streak_breaches", "a"]');
INSERT INTO "shown" VALUES('["handrail_slow_streak_breaches", "b"]');
INSERT INTO "shown" VALUES('["handrail_tokens", "a", "gpt-4.1-mini", "input", "actual"]');
INSERT INTO "shown" VALUES('["handrail_tokens", "a", "gpt-4.1-mini", "input", "estimate"]');
INSERT INTO "shown" VALUES('["handrail_tokens", "a", "gpt-4.1-mini", "output", "actual"]');
INSERT INTO "shown" VALUES('["handrail_tokens", "a", "gpt-4.1-mini", "output", "estimate"]');
INSERT INTO "shown" VALUES('["handrail_tokens", "b", "claude-3-5-haiku", "input", "actual"]');
INSERT INTO "shown" VALUES('["handrail_tokens", "b", "claude-3-5-haiku", "output", "actual"]');
INSERT INTO "shown" VALUES('["handrail_tool_calls", "a", "other"]');
INSERT INTO "shown" VALUES('["handrail_tool_calls", "b", "other"]');
INSERT INTO "shown" VALUES('["handrail_tool_errors", "a", "other"]');
INSERT INTO "shown" VALUES('["handrail_tool_errors", "b", "other"]');
CREATE TABLE source_state (
	source TEXT NOT NULL, 
	state TEXT NOT NULL, 
	last_success FLOAT NOT NULL, 
	gap INTEGER NOT NULL, 
	visible_workflows INTEGER, 
	PRIMARY KEY (source)
);
INSERT INTO "source_state" VALUES('n8n/main','{"floor": 7, "top": 9}',1795435260.0,3,5);
CREATE TABLE streaks (
	agent TEXT NOT NULL, 
	streak INTEGER NOT NULL, 
	last_breach FLOAT NOT NULL, 
	breaches INTEGER NOT NULL, 
	last_call FLOAT NOT NULL, 
	PRIMARY KEY (agent)
);
INSERT INTO "streaks" VALUES('a',3,1795435260.0,1,1795435203.0);
INSERT INTO "streaks" VALUES('b',0,0.0,0,1795435204.0);
CREATE TABLE totals (
	metric TEXT NOT NULL, 
	agent TEXT NOT NULL, 
	labels TEXT NOT NULL, 
	value FLOAT NOT NULL, 
	PRIMARY KEY (metric, agent, labels)
);
INSERT INTO "totals" VALUES('calls','a','[["model", "gpt-4.1-mini"], ["outcome", "success"], ["source", "n8n/main"]]',1.0);
INSERT INTO "totals" VALUES('tokens','a','[["basis", "actual"], ["model", "gpt-4.1-mini"], ["token_type", "input"]]',120.0);
INSERT INTO "totals" VALUES('tokens','a','[["basis", "actual"], ["model", "gpt-4.1-mini"], ["token_type", "output"]]',30.0);
INSERT INTO "totals" VALUES('cost_usd','a','[]',0.25);
INSERT INTO "totals" VALUES('tool_calls','a','[["tool", "other"]]',5.0);
INSERT INTO "totals" VALUES('tool_errors','a','[["tool", "other"]]',1.0);
INSERT INTO "totals" VALUES('call_duration_seconds_sum','a','[]',813.0);
INSERT INTO "totals" VALUES('call_confidence_ratio_sum','a','[]',1.21);
INSERT INTO "totals" VALUES('calls','a','[["model", "gpt-4.1-mini"], ["outcome", "error"], ["source", "n8n/main"]]',1.0);
INSERT INTO "totals" VALUES('call_errors','a','[["reason", "tool_error"]]',1.0);
INSERT INTO "totals" VALUES('tokens','a','[["basis", "estimate"], ["model", "gpt-4.1-mini"], ["token_type", "input"]]',8.0);
INSERT INTO "totals" VALUES('tokens','a','[["basis", "estimate"], ["model", "gpt-4.1-mini"], ["token_type", "output"]]',1.0);
INSERT INTO "totals" VALUES('calls','a','[["model", "unknown"], ["outcome", "success"], ["source", "n8n/main"]]',1.0);
INSERT INTO "totals" VALUES('calls_without_usage','a','[]',1.0);
INSERT INTO "totals" VALUES('calls','b','[["model", "claude-3-5-haiku"], ["outcome", "error"], ["source", "n8n/main"]]',1.0);
INSERT INTO "totals" VALUES('call_errors','b','[["reason", "timeout"]]',1.0);
INSERT INTO "totals" VALUES('tokens','b','[["basis", "actual"], ["model", "claude-3-5-haiku"], ["token_type", "input"]]',5.0);
INSERT INTO "totals" VALUES('tokens','b','[["basis", "actual"], ["model", "claude-3-5-haiku"], ["token_type", "output"]]',2.0);
INSERT INTO "totals" VALUES('tool_calls','b','[["tool", "other"]]',1.0);
INSERT INTO "totals" VALUES('tool_errors','b','[["tool", "other"]]',0.0);
INSERT INTO "totals" VALUES('call_duration_seconds_sum','b','[]',0.5);
CREATE INDEX calls_by_end ON calls (finished_at);
CREATE INDEX calls_by_execution ON calls (source, execution);
CREATE INDEX calls_by_ingestion ON calls (ingested_at);
COMMIT;
