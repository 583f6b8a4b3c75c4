-- What the bulk sink leaves to the executor's checks of privileges, and what it leaves on disk.  That it gives the same
-- results as the executor is shown by 61_sink_matrix.
SET client_min_messages = warning;
SET stride.progress_interval = 0;
CREATE SCHEMA sinks;
SET search_path = sinks, public;

CREATE TABLE source (id int PRIMARY KEY, gone int, v text, wide text);
INSERT INTO source SELECT g, g, 'value ' || g, CASE WHEN g % 50 = 0 THEN (SELECT string_agg(md5((g * i)::text), '') FROM generate_series(1, 3000) AS i) ELSE repeat('x', g * 10) END FROM generate_series(1, 500) AS g;
ALTER TABLE source DROP COLUMN gone;
-- A privilege that is missing is missing for both, though it goes after the submission.
CREATE ROLE regress_stride_sink LOGIN;
GRANT USAGE ON SCHEMA stride, sinks TO regress_stride_sink;
GRANT SELECT ON source TO regress_stride_sink;
CREATE TABLE guarded (id int, v text, secret text);
GRANT INSERT (id, v) ON guarded TO regress_stride_sink;
SET ROLE regress_stride_sink;
CALL stride.run('INSERT INTO guarded (id, v) SELECT id, v FROM source');
SELECT sink, state FROM stride.jobs;
\set VERBOSITY sqlstate
CALL stride.run('INSERT INTO guarded SELECT id, v, v FROM source');
\set VERBOSITY default
RESET ROLE;
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON guarded FOR INSERT WITH CHECK (id <> 300);
SET ROLE regress_stride_sink;
SELECT value FROM stride.explain('INSERT INTO guarded (id, v) SELECT id, v FROM source') WHERE item = 'sink reason';
RESET ROLE;
SELECT count(*) FROM guarded;

CREATE EXTENSION amcheck;
CREATE TABLE checked (id int PRIMARY KEY, w text);
CALL stride.run('INSERT INTO checked SELECT id, wide FROM source', chunk_rows => 60);
SELECT count(*) FROM verify_heapam('checked');
SELECT bt_index_check('checked_pkey', true);

SELECT invariant, detail FROM stride.check_invariants() WHERE NOT ok;
DROP EXTENSION amcheck;
RESET search_path;
DROP SCHEMA sinks CASCADE;
DROP OWNED BY regress_stride_sink;
DROP ROLE regress_stride_sink;
