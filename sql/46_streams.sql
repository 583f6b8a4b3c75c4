-- Streams: the rows of a query go from one reader process to the workers, without being saved.
\set VERBOSITY default
CREATE SCHEMA streams;
SET search_path = streams, public;
SET stride.progress_interval = 0;
CREATE TABLE measures (id integer PRIMARY KEY, city text, amount numeric(10,2), tags text[], at timestamptz);
INSERT INTO measures SELECT id, (ARRAY['Oslo', 'Rome', NULL])[1 + id % 3], id / 7.0, ARRAY['a', id::text],
       '2026-01-01 00:00Z'::timestamptz + id * interval '1 minute' FROM generate_series(1, 5000) AS id;
CREATE TABLE clean (LIKE measures, PRIMARY KEY (id));

-- What is there afterwards, against the query by itself.
CREATE FUNCTION differences(is_there text, expected text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE n bigint;
BEGIN
    EXECUTE format('SELECT (SELECT count(*) FROM ((%1$s) EXCEPT ALL (%2$s)) AS a) + (SELECT count(*) FROM ((%2$s) EXCEPT ALL (%1$s)) AS b)',
                   is_there, expected) INTO n;
    RETURN n;
END $$;

-- Every kind of query, each row once, by both sinks.
CALL stride.run_pipeline('clean', source_query => 'SELECT * FROM measures', walk => 'stream', on_conflict => 'update', workers => 2, chunk_rows => 300);
SELECT differences('TABLE clean', 'TABLE measures');
SELECT state, walk, sink, rows_read, rows_written, chunks >= 16 AS in_chunks FROM stride.jobs ORDER BY job_id DESC LIMIT 1;
SELECT sum(rows_read), max(rows_read) <= 300 AS bounded FROM stride.chunks WHERE job_id = (SELECT max(job_id) FROM stride.jobs);
TRUNCATE clean;
CALL stride.run_pipeline('clean', walk => 'stream', workers => 1, settings => '{"delivery": "at_least_once"}',
     source_query => 'WITH big AS (SELECT * FROM measures WHERE id > 10) SELECT b.* FROM big AS b JOIN measures AS m USING (id) ORDER BY b.amount DESC LIMIT 4000');
SELECT differences('TABLE clean', 'SELECT * FROM measures ORDER BY amount DESC LIMIT 4000');
SELECT state, sink, rows_read, rows_written FROM stride.jobs ORDER BY job_id DESC LIMIT 1;
CREATE TABLE totals (city text, n bigint, most numeric, UNIQUE NULLS NOT DISTINCT (city));
CALL stride.run_pipeline('totals', source_query => 'SELECT city, count(*) AS n, max(amount) AS most FROM measures GROUP BY 1',
     walk => 'stream', on_conflict => 'nothing', conflict_columns => '{city}');
SELECT differences('TABLE totals', 'SELECT city, count(*), max(amount) FROM measures GROUP BY 1');
CREATE VIEW recent AS SELECT * FROM measures WHERE at > '2026-01-02';
TRUNCATE clean;
CALL stride.run_pipeline('clean', source => 'recent', walk => 'stream', on_conflict => 'update', workers => 3, chunk_rows => 1000);
SELECT differences('TABLE clean', 'TABLE recent');

-- Nothing to read, and one row.
TRUNCATE clean;
CALL stride.run_pipeline('clean', source_query => 'SELECT * FROM measures WHERE false', walk => 'stream', on_conflict => 'update');
SELECT state, rows_read, chunks FROM stride.jobs ORDER BY job_id DESC LIMIT 1;
CALL stride.run_pipeline('clean', source_query => $$VALUES (1, 'Bern', 1.5, '{}'::text[], now())$$, walk => 'stream', on_conflict => 'update',
     transform_query => 'SELECT column1 AS id, column2 AS city, column3 AS amount FROM chunk');
SELECT id, city, amount FROM clean;

-- Values out of line, rows larger than a queue, and more of them than a queue holds.
CREATE TABLE wide (id integer PRIMARY KEY, body text);
ALTER TABLE wide ALTER body SET STORAGE EXTERNAL;
INSERT INTO wide SELECT id, repeat(chr(64 + id), 300000 * id) FROM generate_series(1, 12) AS id;
CREATE TABLE wide_copy (LIKE wide, PRIMARY KEY (id));
CALL stride.run_pipeline('wide_copy', source_query => 'SELECT * FROM wide', walk => 'stream', on_conflict => 'update');
SELECT differences('TABLE wide_copy', 'TABLE wide');
TRUNCATE wide_copy;
CALL stride.run_pipeline('wide_copy', source_query => $$SELECT id, body || 'x' AS body FROM wide ORDER BY id DESC$$, walk => 'stream', on_conflict => 'update');
SELECT differences('TABLE wide_copy', $$SELECT id, body || 'x' FROM wide$$);

-- Transforms of each kind.
CREATE TYPE reading AS (id integer, city text);
CREATE TABLE cities (id integer PRIMARY KEY, city text);
CREATE FUNCTION one(r reading) RETURNS cities LANGUAGE sql AS $$SELECT CASE WHEN r.id % 5 > 0 THEN ROW(r.id, upper(r.city))::streams.cities END$$;
CREATE FUNCTION several(r reading) RETURNS SETOF cities LANGUAGE sql AS $$SELECT r.id * 10 + i, r.city FROM generate_series(1, 2) AS i$$;
CREATE FUNCTION batch(r reading[]) RETURNS SETOF cities LANGUAGE sql AS $$SELECT (e).id, e.city || cardinality(r) FROM unnest(r) AS e$$;
SELECT stride.register_transform('streams one', 'one(reading)'), stride.register_transform('streams several', 'several(reading)'),
       stride.register_transform('streams batch', 'batch(reading[])');
CALL stride.run_pipeline('cities', source_query => 'SELECT id, city FROM measures', transform => 'streams one', walk => 'stream', on_conflict => 'update');
SELECT differences('TABLE cities', 'SELECT id, upper(city) FROM measures WHERE id % 5 > 0');
SELECT rows_read, rows_written, rows_filtered FROM stride.jobs ORDER BY job_id DESC LIMIT 1;
TRUNCATE cities;
CALL stride.run_pipeline('cities', source_query => 'SELECT id, city FROM measures', transform => 'streams several', walk => 'stream', on_conflict => 'nothing', conflict_columns => '{id}');
SELECT differences('TABLE cities', 'SELECT id * 10 + i, city FROM measures, generate_series(1, 2) AS i');
TRUNCATE cities;
CALL stride.run_pipeline('cities', source_query => 'SELECT id, city FROM measures WHERE city IS NOT NULL AND id <= 90', transform => 'streams batch', walk => 'stream',
     on_conflict => 'update', workers => 1, settings => '{"batch_rows": 20}');
SELECT differences('TABLE cities', 'SELECT id, city || 20 FROM measures WHERE city IS NOT NULL AND id <= 90');
SELECT stride.unregister_transform('streams one'), stride.unregister_transform('streams several'), stride.unregister_transform('streams batch');

-- A chunk that fails in passing is tried again with the rows that the worker has.
CREATE SEQUENCE calls;
CREATE FUNCTION fail_in_passing() RETURNS trigger LANGUAGE plpgsql AS
    $$BEGIN IF nextval('streams.calls') IN (150, 700) THEN RAISE 'in passing' USING ERRCODE = '40001'; END IF; RETURN NULL; END$$;
CREATE TRIGGER fail_in_passing AFTER INSERT ON cities FOR EACH ROW EXECUTE FUNCTION fail_in_passing();
TRUNCATE cities;
CALL stride.run_pipeline('cities', source_query => 'SELECT id, city FROM measures', walk => 'stream', on_conflict => 'update', workers => 1, chunk_rows => 300,
     settings => '{"retry_delay": "1ms"}');
SELECT state, retries, rows_read, differences('TABLE cities', 'SELECT id, city FROM measures') FROM stride.jobs ORDER BY job_id DESC LIMIT 1;
DROP TRIGGER fail_in_passing ON cities;

-- The last of the rows with one key stays, as far as they come in one chunk.
TRUNCATE cities;
CALL stride.run_pipeline('cities', source_query => 'SELECT 7 AS id, i::text AS city FROM generate_series(1, 100) AS i ORDER BY i', walk => 'stream', on_conflict => 'update', workers => 1);
SELECT * FROM cities;

-- A bad row is found and named by its place in the query; an error of the query is the job's.
\set VERBOSITY sqlstate
CALL stride.run_pipeline('cities', source_query => $$SELECT i AS id, CASE WHEN i = 777 THEN '0' ELSE '1' END AS city FROM generate_series(1, 1000) AS i$$,
     transform_query => 'SELECT id, (10 / city::integer)::text AS city FROM chunk', walk => 'stream', on_conflict => 'update', workers => 2);
SELECT state, error_sqlstate, error_context ~ 'row with key \{777\}' AS named FROM stride.jobs ORDER BY job_id DESC LIMIT 1;
CALL stride.run_pipeline('cities', source_query => $$SELECT i AS id, (1 / (i - 900))::text AS city FROM generate_series(1, 1000) AS i$$, walk => 'stream', on_conflict => 'update');
SELECT state, error_sqlstate, error_message FROM stride.jobs ORDER BY job_id DESC LIMIT 1;
\set VERBOSITY default

-- With on_error => 'skip' bad rows are kept aside with what came of them, and driven again from there; also the last one of a split, large
-- ones, and rows of one chunk that are all bad.
CREATE TABLE checked (id integer PRIMARY KEY, body text CHECK (left(body, 3) <> 'bad'));
CREATE VIEW mixed AS SELECT i AS id, CASE WHEN i % 250 = 0 OR i BETWEEN 501 AND 540 THEN 'bad ' ELSE 'good ' END || i || repeat('x', i % 3 * 100000) AS body
    FROM generate_series(1, 1000) AS i;
CALL stride.run_pipeline('checked', source => 'mixed', walk => 'stream', on_conflict => 'update', workers => 2, chunk_rows => 20, on_error => 'skip', name => 'skipping');
SELECT state, rows_read, rows_written, rows_rejected FROM stride.jobs WHERE name = 'skipping';
SELECT count(*), bool_and(row_key[1] = row_data ->> 'ordinal' AND row_data ->> 'id' = row_key[1] AND row_data ->> 'body' = body) AS as_they_came, min(sqlstate), max(constraint_name)
FROM stride.rejects AS r JOIN stride.jobs AS j USING (job_id) JOIN mixed AS m ON m.id = (row_data ->> 'id')::int WHERE name = 'skipping';
SELECT differences('TABLE checked', $$SELECT * FROM mixed WHERE body NOT LIKE 'bad%'$$);
ALTER TABLE checked DROP CONSTRAINT checked_body_check;
SELECT stride.retry_rejects(stride.job_id('skipping')) AS retry \gset
CALL stride.wait(:retry);
SELECT walk, state, rows_read FROM stride.jobs WHERE job_id = :retry;
SELECT differences('TABLE checked', 'TABLE mixed');
TRUNCATE wide_copy;
ALTER TABLE wide_copy ADD CHECK (id % 5 > 0);
CALL stride.run_pipeline('wide_copy', source_query => 'SELECT * FROM wide', walk => 'stream', on_conflict => 'update', on_error => 'skip', name => 'skipping wide');
ALTER TABLE wide_copy DROP CONSTRAINT wide_copy_id_check;
SELECT stride.retry_rejects(stride.job_id('skipping wide')) AS retry \gset
CALL stride.wait(:retry);
SELECT rows_read, differences('TABLE wide_copy', 'TABLE wide') FROM stride.jobs WHERE job_id = :retry;

-- Refused: what would come out otherwise when a stream begins anew, and what it cannot do.
SELECT stride.submit_pipeline('clean', source_query => 'SELECT * FROM measures', walk => 'stream');
SELECT stride.submit_pipeline('clean', source_query => 'SELECT * FROM measures', walk => 'stream', on_conflict => 'nothing');
SELECT stride.submit_pipeline('totals', source_query => 'SELECT city, 1 AS n FROM measures', walk => 'stream', on_conflict => 'update', conflict_columns => '{city}', update_set => 'n = totals.n + excluded.n');
SELECT stride.submit_pipeline('clean', source_query => 'SELECT m.* FROM measures AS m LEFT JOIN clean AS c USING (id) WHERE c.id IS NULL', walk => 'stream', on_conflict => 'update');
SELECT stride.submit_pipeline('clean', source_query => 'SELECT * FROM measures', walk => 'stream', on_conflict => 'update', settings => '{"max_rows": 10}');
SELECT stride.submit_pipeline('clean', source_query => 'SELECT * FROM measures', walk => 'stream', on_conflict => 'update', delete_source => true);
SELECT stride.submit_pipeline('clean', source => 'measures', walk => 'stream', on_conflict => 'update');
SELECT stride.submit('UPDATE measures SET city = upper(city)', walk => 'stream');
SELECT stride.submit_pipeline('clean', source_query => 'SELECT * FROM measures', walk => 'stream', on_conflict => 'update', start_at => 'infinity') AS later \gset
\set VERBOSITY sqlstate
SELECT stride.alter(:later, settings => '{"max_rows": 10}');
\set VERBOSITY default
SELECT stride.cancel(:later), stride.forget(:later);

SELECT item, value FROM stride.explain_pipeline('clean', source_query => 'SELECT * FROM measures', walk => 'stream', on_conflict => 'update')
 WHERE item IN ('source', 'source rows', 'walk', 'delivery');
SELECT invariant, detail FROM stride.check_invariants() WHERE NOT ok;
SET client_min_messages = warning;
DROP SCHEMA streams CASCADE;
