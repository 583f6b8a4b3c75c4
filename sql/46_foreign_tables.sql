-- Foreign tables as sources and targets.  The other server is this one, by a loopback connection of postgres_fdw.
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION postgres_fdw;
CREATE EXTENSION file_fdw;
CREATE ROLE stride_foreign LOGIN;
GRANT USAGE ON SCHEMA stride TO stride_foreign;
CREATE SCHEMA far AUTHORIZATION stride_foreign;
CREATE SCHEMA near AUTHORIZATION stride_foreign;
DO $$BEGIN
    EXECUTE format('CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host %L, port %L, dbname %L)', split_part(current_setting('unix_socket_directories'), ', ', 1), current_setting('port'), current_database());
    EXECUTE format('CREATE SERVER unmapped FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host %L, port %L, dbname %L)', split_part(current_setting('unix_socket_directories'), ', ', 1), current_setting('port'), current_database());
END$$;
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE USER MAPPING FOR stride_foreign SERVER far OPTIONS (user 'stride_foreign', password_required 'false');
GRANT USAGE ON FOREIGN SERVER far, unmapped, files TO stride_foreign;
SET ROLE stride_foreign;
SET search_path = near, public;

CREATE TABLE far.orders (id bigint PRIMARY KEY, tenant int NOT NULL, code text COLLATE "C" NOT NULL UNIQUE, note text, UNIQUE (tenant, id));
INSERT INTO far.orders SELECT id, id % 7, md5(id::text), 'note ' || id FROM generate_series(1, 2000) AS id;
CREATE TABLE far.loose (id int, note text, place point);
INSERT INTO far.loose SELECT id, 'note ' || id, point(id, id) FROM generate_series(1, 500) AS id;
CREATE FOREIGN TABLE orders (id bigint, tenant int, code text COLLATE "C", note text) SERVER far OPTIONS (schema_name 'far');
CREATE FOREIGN TABLE loose (id int, note text, place point) SERVER far OPTIONS (schema_name 'far');
CREATE TABLE copy (id bigint PRIMARY KEY, tenant int, code text, note text);

-- A key is a promise about columns, which have to be there and to have an order.
SELECT stride.submit('INSERT INTO copy SELECT * FROM orders', key => '{number}');
SELECT stride.submit('INSERT INTO copy SELECT * FROM orders', key => '{}');
SELECT stride.submit('INSERT INTO copy (id) SELECT id FROM loose', key => '{place}');

-- Each key walks it: the rows of the copy are those of the table, whatever they are walked by.
CREATE FUNCTION compare(wanted_key name[], OUT missing bigint, OUT too_many bigint, OUT rows_read bigint, OUT cut boolean)
LANGUAGE sql AS $$
    SELECT (SELECT count(*) FROM (TABLE far.orders EXCEPT ALL TABLE near.copy) AS a),
           (SELECT count(*) FROM (TABLE near.copy EXCEPT ALL TABLE far.orders) AS a),
           j.rows_read, (SELECT count(*) > 1 FROM stride.splits AS s WHERE s.job_id = j.job_id)
    FROM stride.jobs AS j WHERE j.name = wanted_key::text $$;
CALL stride.run('INSERT INTO copy SELECT * FROM orders', name => '{id}', key => '{id}', chunk_rows => 100);
SELECT * FROM compare('{id}');
TRUNCATE copy;
CALL stride.run('INSERT INTO copy SELECT * FROM orders', name => '{tenant,id}', key => '{tenant, id}', chunk_rows => 150);
SELECT * FROM compare('{tenant,id}');
TRUNCATE copy;
CALL stride.run('INSERT INTO copy SELECT * FROM orders', name => '{code}', key => '{code}', chunk_rows => 100, workers => 1);
SELECT * FROM compare('{code}');
SELECT item, value FROM stride.explain('INSERT INTO copy SELECT * FROM orders', key => '{tenant, id}') WHERE item IN ('source', 'walk', 'key', 'key index', 'sink', 'delivery', 'note');

-- A pipeline walks it as well, joined rows and conditions do not matter to the walk.
TRUNCATE copy;
CALL stride.run_pipeline('copy', source => 'orders', key => '{id}', on_conflict => 'update', transform_query => 'SELECT id, tenant, code, upper(note) AS note FROM chunk WHERE tenant <> 3');
SELECT count(*), min(note), max(note) FROM copy;
SELECT stride.submit_pipeline('copy', source => 'orders', key => '{id}', delete_source => true);

-- MERGE takes the promise as well: it is a unique key in ON.
CALL stride.run('MERGE INTO copy AS c USING orders AS o ON c.id = o.id WHEN MATCHED THEN UPDATE SET note = o.note WHEN NOT MATCHED THEN INSERT VALUES (o.id, o.tenant, o.code, o.note)', name => '{merge}', key => '{id}', chunk_rows => 300);
SELECT * FROM compare('{merge}');
SELECT stride.submit('MERGE INTO copy AS c USING orders AS o ON c.id = o.id WHEN MATCHED THEN DELETE', key => '{tenant, id}');

-- The promise is held against the rows: all of them when the job is planned, those of each chunk later.
CREATE VIEW failure AS SELECT error_sqlstate, error_message, error_detail FROM stride.jobs ORDER BY job_id DESC LIMIT 1;
\set VERBOSITY sqlstate
INSERT INTO far.loose VALUES (499, 'once more', NULL);
CALL stride.run('INSERT INTO copy (id, note) SELECT id, note FROM loose', key => '{id}');
TABLE failure;
DELETE FROM far.loose WHERE id = 499;
INSERT INTO far.loose VALUES (NULL, 'nobody', NULL);
CALL stride.run('INSERT INTO copy (id, note) SELECT id, note FROM loose', key => '{id}', name => 'null key');
TABLE failure;
DELETE FROM far.loose WHERE id IS NULL;
-- The other server orders by its own collation.
CREATE COLLATION far.german (provider = icu, locale = 'de');
CREATE TABLE far.words (word text COLLATE far.german PRIMARY KEY);
INSERT INTO far.words VALUES ('a'), ('B'), ('c');
CREATE FOREIGN TABLE words (word text COLLATE "C") SERVER far OPTIONS (schema_name 'far');
CALL stride.run('INSERT INTO copy (id, note) SELECT 1, word FROM words', key => '{word}');
TABLE failure;
\set VERBOSITY default

-- As targets: rows are written before the checkpoint is certain, which has to be accepted.
TRUNCATE copy;
CREATE TABLE far.kept (id bigint PRIMARY KEY, note text CHECK (note <> 'note 77'));
CREATE FOREIGN TABLE kept (id bigint, note text) SERVER far OPTIONS (schema_name 'far', batch_size '100');
INSERT INTO copy SELECT * FROM far.orders WHERE id <= 300;
SELECT stride.submit('INSERT INTO kept SELECT id, note FROM copy');
CALL stride.run('INSERT INTO kept SELECT id, note FROM copy WHERE id <> 77', settings => '{"delivery": "at_least_once"}', chunk_rows => 100);
SELECT item, value FROM stride.explain('INSERT INTO kept SELECT id, note FROM copy', settings => '{"delivery": "at_least_once"}') WHERE item IN ('sink', 'delivery', 'note');
SELECT statement_kind, sink, sink_reason, rows_read, rows_written FROM stride.jobs WHERE target = 'near.kept' ORDER BY job_id DESC LIMIT 1;
SELECT count(*) FROM far.kept;
CALL stride.run_pipeline('kept', source => 'copy', transform_query => 'SELECT id, note FROM chunk WHERE id <> 77', on_conflict => 'nothing', settings => '{"delivery": "at_least_once"}');
SELECT stride.submit_pipeline('kept', source => 'copy', transform_query => 'SELECT id, note FROM chunk', on_conflict => 'update', conflict_columns => '{id}', settings => '{"delivery": "at_least_once"}');
CALL stride.run($$UPDATE kept SET note = note || '!'$$, key => '{id}', settings => '{"delivery": "at_least_once"}', chunk_rows => 70);
SELECT count(*) FROM far.kept WHERE note = 'note ' || id || '!';
CALL stride.run('DELETE FROM kept WHERE id % 2 = 0', key => '{id}', settings => '{"delivery": "at_least_once"}', chunk_rows => 70);
SELECT count(*), count(*) FILTER (WHERE id % 2 = 0) FROM far.kept;
SELECT stride.submit('UPDATE kept SET id = id + 1', key => '{id}', settings => '{"delivery": "at_least_once"}');

-- Bad rows are found by bisection, whichever server they fail on.
TRUNCATE far.kept;
CALL stride.run('INSERT INTO kept SELECT id, note FROM copy', name => 'bad', on_error => 'skip', settings => '{"delivery": "at_least_once"}', chunk_rows => 100);
SELECT row_key, sqlstate, message FROM stride.rejects WHERE job_id = stride.job_id('bad');
SELECT stride.discard_rejects(stride.job_id('bad'));
SELECT count(*) FROM far.kept;
TRUNCATE copy;
ALTER TABLE copy ADD CHECK (id <> 1234);
CALL stride.run('INSERT INTO copy SELECT * FROM orders', name => 'bad here', key => '{id}', on_error => 'skip', chunk_rows => 300);
SELECT row_key, row_data, sqlstate FROM stride.rejects WHERE job_id = stride.job_id('bad here');
ALTER TABLE copy DROP CONSTRAINT copy_id_check;
SELECT stride.retry_rejects(stride.job_id('bad here')) AS retry \gset
CALL stride.wait(:retry);
SELECT count(*) FROM copy;

-- A tree with local and foreign leaves, walked by the key that is named.
CREATE TABLE tree (id int NOT NULL, part int NOT NULL, note text) PARTITION BY LIST (part);
CREATE TABLE tree_1 PARTITION OF tree (PRIMARY KEY (id)) FOR VALUES IN (1);
CREATE TABLE far.tree_2 (note text, part int NOT NULL, id int PRIMARY KEY);
CREATE FOREIGN TABLE tree_2 PARTITION OF tree FOR VALUES IN (2) SERVER far OPTIONS (schema_name 'far');
INSERT INTO tree_1 SELECT id, 1, 'near' FROM generate_series(1, 500) AS id;
INSERT INTO far.tree_2 SELECT 'far', 2, id FROM generate_series(1, 500) AS id;
CREATE TABLE leaves (id int, part int, note text, PRIMARY KEY (id, part));
SELECT stride.submit('UPDATE tree SET note = note', settings => '{"delivery": "at_least_once"}');
CALL stride.run('INSERT INTO leaves SELECT id, part, note FROM tree', key => '{id}', chunk_rows => 90);
SELECT note, count(*), count(DISTINCT id) FROM leaves GROUP BY note ORDER BY note;
CALL stride.run($$UPDATE tree SET note = note || ' and done'$$, key => '{id}', settings => '{"delivery": "at_least_once"}', chunk_rows => 90);
SELECT note, count(*) FROM tree GROUP BY note ORDER BY note;

-- Without a key an INSERT .. SELECT saves what it reads of the foreign table, or of the tree, first.
SELECT item, regexp_replace(value, 'spool_\d+', 'spool_N', 'g') AS value
FROM stride.explain('INSERT INTO copy (id, note) SELECT o.id, o.note || c.note FROM orders AS o LEFT JOIN copy AS c USING (id) WHERE o.tenant = 3 AND o.note <> c.note', settings => '{"self_reference": "per_chunk"}')
WHERE item IN ('source', 'source query', 'walk', 'key', 'chunk statement');
TRUNCATE copy, leaves;
ALTER FOREIGN TABLE orders ADD gone int;
ALTER FOREIGN TABLE orders DROP tenant, ADD tenant int, DROP gone;
CALL stride.run('INSERT INTO copy (id, code, note, tenant) SELECT o.a, lower(o.b), to_jsonb(o) ->> ''note'', (o).d FROM orders AS o (a, b, c, d)', name => '{saved}', chunk_rows => 300);
SELECT * FROM compare('{saved}');
UPDATE copy SET note = 'merged' WHERE id > 1000;
DELETE FROM copy WHERE id < 100;
CALL stride.run('MERGE INTO copy AS c USING orders AS o ON c.id = o.id WHEN MATCHED THEN UPDATE SET note = o.note WHEN NOT MATCHED THEN INSERT (id, tenant, code, note) VALUES (o.id, o.tenant, o.code, o.note)', name => '{merged}', chunk_rows => 300);
SELECT * FROM compare('{merged}');
CALL stride.run('INSERT INTO leaves SELECT id, part, note FROM tree', name => 'saved tree');
SELECT note, count(*), count(DISTINCT id) FROM leaves GROUP BY note ORDER BY note;
TRUNCATE leaves;
CALL stride.run('INSERT INTO leaves SELECT id, part, note FROM tree WHERE part = 1', name => 'local leaf');
SELECT name, walk, rows_read FROM stride.jobs WHERE name IN ('{saved}', 'saved tree', 'local leaf') ORDER BY job_id;

-- What the other server refuses fails the job with its words, which differ between releases.
\set VERBOSITY sqlstate
CREATE FOREIGN TABLE orders_unmapped (id bigint, note text) SERVER unmapped OPTIONS (schema_name 'far', table_name 'orders');
CALL stride.run('INSERT INTO copy (id, note) SELECT id, note FROM orders_unmapped', key => '{id}');
SELECT error_sqlstate, error_message ~ 'user mapping not found' AS told FROM failure;
CREATE FOREIGN TABLE orders_gone (id bigint, note text) SERVER far OPTIONS (schema_name 'far', table_name 'gone');
CALL stride.run('INSERT INTO copy (id, note) SELECT id, note FROM orders_gone', key => '{id}');
TABLE failure;

-- A file has no order: it may be walked by a key, but explain says what that costs.  Not everybody may name one.
CREATE FOREIGN TABLE lines (id int, note text) SERVER files OPTIONS (filename '/dev/null', format 'csv');
\set VERBOSITY default
RESET ROLE;
CREATE FOREIGN TABLE lines (id int, note text) SERVER files OPTIONS (program $$seq 1 700 | sed 's/.*/&,line &/'$$, format 'csv');
GRANT SELECT ON lines TO stride_foreign;
SET ROLE stride_foreign;
TRUNCATE copy;
SELECT item, value FROM stride.explain('INSERT INTO copy (id, note) SELECT id, note FROM lines', key => '{id}') WHERE item IN ('note', 'key');
CALL stride.run('INSERT INTO copy (id, note) SELECT id, note FROM lines', key => '{id}', chunk_rows => 300);
SELECT count(*), min(id), max(id) FROM copy;

-- Without a key its rows are saved first, by a statement and by a pipeline: one that does not cast is a bad one then.
TRUNCATE copy;
CALL stride.run('INSERT INTO copy (id, note) SELECT id, substring(note FROM ''\d+'')::int / (id - 333) FROM lines WHERE id > 300', name => 'saved lines', on_error => 'skip', chunk_rows => 90);
SELECT walk, state, rows_read, rows_written FROM stride.jobs WHERE name = 'saved lines';
SELECT row_data, sqlstate FROM stride.rejects WHERE job_id = stride.job_id('saved lines');
SELECT stride.discard_rejects(stride.job_id('saved lines'));
TRUNCATE copy;
CALL stride.run_pipeline('copy', source => 'lines', name => 'saved file', on_error => 'skip', chunk_rows => 300,
     transform_query => $$SELECT CASE id WHEN 333 THEN NULL ELSE id END AS id, note FROM chunk$$);
SELECT walk, state, rows_read, rows_written, rows_rejected FROM stride.jobs WHERE name = 'saved file';
SELECT row_data, sqlstate FROM stride.rejects WHERE job_id = stride.job_id('saved file');
SELECT stride.discard_rejects(stride.job_id('saved file'));
TRUNCATE copy;
CALL stride.run_pipeline('copy', source => 'loose', transform_query => 'SELECT id, note FROM chunk WHERE id > 100');
SELECT count(*), min(id), max(id) FROM copy;

SELECT invariant, detail FROM stride.check_invariants() WHERE NOT ok;
RESET ROLE;
RESET search_path;
DROP SCHEMA near, far CASCADE;
DROP EXTENSION postgres_fdw CASCADE;
DROP EXTENSION file_fdw CASCADE;
REVOKE USAGE ON SCHEMA stride FROM stride_foreign;
DROP ROLE stride_foreign;
