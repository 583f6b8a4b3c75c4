-- Tables without a key: walked by the places of their rows, under a lock that keeps writers out.
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE stride_blocks LOGIN;
GRANT USAGE ON SCHEMA stride TO stride_blocks;
CREATE SCHEMA blocks AUTHORIZATION stride_blocks;
SET ROLE stride_blocks;
SET search_path = blocks;
CREATE TABLE heap (gone int, id int, tenant int, note text);
ALTER TABLE heap DROP COLUMN gone;
INSERT INTO heap SELECT (id * 7919) % 5000, id % 7, 'note ' || id FROM generate_series(1, 5000) AS id;
CREATE TABLE copy (id int, tenant int, note text);
CREATE FUNCTION difference() RETURNS bigint LANGUAGE sql AS $$
    SELECT (SELECT count(*) FROM (TABLE blocks.heap EXCEPT ALL TABLE blocks.copy) AS a) + (SELECT count(*) FROM (TABLE blocks.copy EXCEPT ALL TABLE blocks.heap) AS a) $$;

-- It is never chosen by itself, and named where nothing else can be had.
SELECT stride.submit('INSERT INTO copy SELECT * FROM heap');
SELECT item, value FROM stride.explain('INSERT INTO copy SELECT * FROM heap', walk => 'block') WHERE item NOT LIKE 'setting%';

-- Chunks have exactly the rows that they are to have, wherever pages end.
CALL stride.run('INSERT INTO copy SELECT * FROM heap', name => 'whole', walk => 'block', chunk_rows => 300, workers => 2);
SELECT difference();
SELECT walk, key, state, rows_read, rows_written FROM stride.jobs WHERE name = 'whole';
SELECT max(c.rows_read), bool_and(upper_key[1] ~ '^\(\d+,\d+\)$') FROM stride.chunks AS c JOIN stride.jobs USING (job_id) WHERE name = 'whole';

-- Conditions, joins and functions do not matter to the walk; nor do rows that are gone, and tables without any.
DELETE FROM heap WHERE id % 2 = 0;
TRUNCATE copy;
CALL stride.run('INSERT INTO copy SELECT h.id, h.tenant, h.note FROM heap AS h JOIN generate_series(0, 3) AS s ON s = h.tenant', name => 'joined', source => 'h', walk => 'block', chunk_rows => 200);
SELECT (SELECT count(*) FROM copy) = (SELECT count(*) FROM heap WHERE tenant <= 3) AS same, rows_read FROM stride.jobs WHERE name = 'joined';
CREATE TABLE empty (id int);
CALL stride.run('INSERT INTO copy SELECT id FROM empty', name => 'empty', walk => 'block');
CREATE TABLE single AS SELECT 1 AS id;
CALL stride.run('INSERT INTO copy SELECT id FROM single', name => 'single', walk => 'block');
SELECT name, state, rows_read, rows_written FROM stride.jobs WHERE name IN ('empty', 'single') ORDER BY name;

-- Partitions without keys, one by one.
CREATE TABLE parts (id int, part int) PARTITION BY LIST (part);
CREATE TABLE parts1 PARTITION OF parts FOR VALUES IN (1);
CREATE TABLE parts2 (part int, id int);
ALTER TABLE parts ATTACH PARTITION parts2 FOR VALUES IN (2);
INSERT INTO parts SELECT id, 1 + id % 2 FROM generate_series(1, 3000) AS id;
TRUNCATE copy;
CALL stride.run('INSERT INTO copy SELECT * FROM parts', name => 'parts', walk => 'block', chunk_rows => 400);
SELECT count(*), count(DISTINCT id), min(tenant), max(tenant) FROM copy;

-- Pipelines: of equal keys the last one in the table stays.
CREATE TABLE pairs AS SELECT id % 7 AS tenant, 1000 - id AS id FROM generate_series(1, 1000) AS id;
CREATE TABLE last (tenant int PRIMARY KEY, id int);
CALL stride.run_pipeline('last', source => 'pairs', walk => 'block', workers => 1, chunk_rows => 100000, on_conflict => 'update');
SELECT * FROM last ORDER BY tenant;
CREATE TABLE doubled (id int, tenant int, note text);
CALL stride.run_pipeline('doubled', source => 'heap', walk => 'block', chunk_rows => 500);
SELECT count(*) = (SELECT count(*) FROM heap) AS all_rows FROM doubled;

-- Bad rows are found and kept aside with their place; they cannot be retried, as a mended row has another one.
TRUNCATE copy;
ALTER TABLE copy ADD CHECK (id NOT IN (77, 4001));
CALL stride.run('INSERT INTO copy SELECT * FROM heap', name => 'bad', walk => 'block', chunk_rows => 200, on_error => 'skip');
SELECT state, rows_read, rows_written, rows_rejected FROM stride.jobs WHERE name = 'bad';
SELECT row_key[1] ~ '^\(\d+,\d+\)$' AS by_place, row_data ->> 'id' AS id, sqlstate FROM stride.rejects JOIN stride.jobs USING (job_id) WHERE name = 'bad' ORDER BY 2;
DO $$BEGIN PERFORM stride.retry_rejects(stride.job_id('bad')); EXCEPTION WHEN feature_not_supported THEN RAISE WARNING '%', regexp_replace(SQLERRM, '\d+', 'N'); END$$;

-- Row security hides rows from it as from everybody.
RESET ROLE;
CREATE ROLE stride_blocks_reader LOGIN;
GRANT USAGE ON SCHEMA stride, blocks TO stride_blocks_reader;
GRANT SELECT, UPDATE ON blocks.heap TO stride_blocks_reader;
GRANT SELECT, INSERT ON blocks.copy TO stride_blocks_reader;
ALTER TABLE blocks.heap ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON blocks.heap TO stride_blocks_reader USING (tenant = 3);
ALTER TABLE blocks.copy DROP CONSTRAINT copy_id_check;
TRUNCATE blocks.copy;
SET ROLE stride_blocks_reader;
CALL stride.run('INSERT INTO blocks.copy SELECT * FROM blocks.heap', name => 'few', walk => 'block', chunk_rows => 100);
SELECT rows_read = count(*) AS same, min(tenant), max(tenant) FROM blocks.copy, stride.jobs WHERE name = 'few' GROUP BY rows_read;

-- The right to lock it is asked for again when the lock is taken.
BEGIN;
SELECT stride.submit('INSERT INTO blocks.copy SELECT * FROM blocks.heap', name => 'late', walk => 'block') IS NOT NULL AS submitted;
RESET ROLE;
REVOKE UPDATE ON blocks.heap FROM stride_blocks_reader;
COMMIT;
SET ROLE stride_blocks_reader;
SELECT stride.job_id('late') AS late \gset
\set VERBOSITY sqlstate
CALL stride.wait(:late);
\set VERBOSITY default
SELECT error_message, error_detail FROM stride.jobs WHERE name = 'late';

-- What it cannot be.
RESET ROLE;
REVOKE UPDATE ON blocks.heap FROM stride_blocks_reader;
SET ROLE stride_blocks_reader;
SELECT stride.submit('INSERT INTO blocks.copy SELECT * FROM blocks.heap', walk => 'block');
SET ROLE stride_blocks;
SELECT stride.submit('UPDATE heap SET note = upper(note)', walk => 'block');
SELECT stride.submit('DELETE FROM heap', walk => 'block');
SELECT stride.submit('INSERT INTO heap SELECT * FROM heap', walk => 'block', settings => '{"self_reference": "per_chunk"}');
SELECT stride.submit('INSERT INTO parts1 SELECT * FROM parts', walk => 'block', settings => '{"self_reference": "per_chunk"}');
SELECT stride.submit_pipeline('copy', source => 'heap', walk => 'block', delete_source => true);
SELECT stride.submit_pipeline('copy', source_query => 'SELECT * FROM heap', walk => 'block');
SELECT stride.submit('INSERT INTO copy SELECT * FROM heap', walk => 'block', key => '{id}');
CREATE MATERIALIZED VIEW seen AS SELECT * FROM heap;
SELECT stride.submit('INSERT INTO copy SELECT * FROM seen', walk => 'block');
SELECT stride.submit('INSERT INTO copy SELECT * FROM heap', walk => 'block', settings => '{"source_rows": "at_start"}');
SELECT stride.submit('INSERT INTO copy SELECT * FROM heap', walk => 'blocks');
SELECT stride.discard_rejects(stride.job_id('bad'));
SELECT DISTINCT invariant FROM stride.check_invariants() WHERE NOT ok;

RESET ROLE;
RESET search_path;
DROP OWNED BY stride_blocks, stride_blocks_reader;
DROP ROLE stride_blocks, stride_blocks_reader;
