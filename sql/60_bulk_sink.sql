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

-- Keys that grow below others, as a worker's do where another one is ahead, leave pages of the index fuller than single rows
-- do, which leave them half full.
CREATE TABLE by_rows (key text COLLATE "C" PRIMARY KEY, filler text);
INSERT INTO by_rows SELECT 'above ' || lpad(g::text, 94, '0') FROM generate_series(1, 8000) AS g;
CREATE TABLE by_batches (LIKE by_rows INCLUDING ALL);
INSERT INTO by_batches TABLE by_rows;
CREATE TABLE below (id int PRIMARY KEY);
INSERT INTO below SELECT generate_series(1, 2000);
INSERT INTO by_rows SELECT 'a ' || lpad(id::text, 98, '0'), repeat('x', 900) FROM below ORDER BY id;
CALL stride.run($$INSERT INTO by_batches SELECT 'a ' || lpad(id::text, 98, '0'), repeat('x', 900) FROM below$$, workers => 1);
SELECT (pg_relation_size('by_rows_pkey') - pg_relation_size('by_batches_pkey')) / 8192 > 15 AS saves_pages;
SELECT bt_index_check('by_batches_pkey', true);

SELECT invariant, detail FROM stride.check_invariants() WHERE NOT ok;
DROP EXTENSION amcheck;
RESET search_path;
DROP SCHEMA sinks CASCADE;
DROP OWNED BY regress_stride_sink;
DROP ROLE regress_stride_sink;
