-- Queries as sources: every kind of them against the plain INSERT that it stands for, in small chunks by two workers; transforms,
-- bad rows, rights, what becomes of the saved rows, and what is refused.
SET client_min_messages = warning;
SET stride.progress_interval = 0;
SET stride.workers = 2;
CREATE SCHEMA queries;
SET search_path = queries, public;
CREATE TABLE orders (id int PRIMARY KEY, customer text, amount numeric, at date);
INSERT INTO orders SELECT g, 'customer ' || g % 50, g % 100 - 5, date '2026-01-01' + g % 10 FROM generate_series(1, 1000) AS g;
CREATE TABLE customers (customer text PRIMARY KEY, city text);
INSERT INTO customers SELECT 'customer ' || g, 'city ' || g % 7 FROM generate_series(0, 40) AS g;
CREATE TABLE got (id bigint, name text, amount numeric);

-- Runs a pipeline over a query, or a view, into the table got, and prints how many of its rows differ from those of the query.
CREATE PROCEDURE compare(query text, view regclass DEFAULT NULL) LANGUAGE plpgsql AS $$
DECLARE
    differences bigint;
    outcome text;
BEGIN
    TRUNCATE got;
    COMMIT;
    CALL stride.run_pipeline('got', source => view, source_query => CASE WHEN view IS NULL THEN query END, chunk_rows => 83,
                             if_exists => 'new');
    SELECT format('%s by %s, key %s, %s read, %s written', state, walk, key, rows_read, rows_written) INTO outcome
    FROM stride.jobs ORDER BY job_id DESC LIMIT 1;
    EXECUTE format('SELECT count(*) FROM ((TABLE got EXCEPT ALL (%1$s)) UNION ALL ((%1$s) EXCEPT ALL TABLE got)) AS d', query)
    INTO differences;
    RAISE WARNING '%, % differences', outcome, differences;
END $$;
CALL compare('SELECT o.id, c.city AS name, o.amount FROM orders AS o JOIN customers AS c USING (customer) ORDER BY o.amount DESC, o.id LIMIT 500');
CALL compare('WITH big AS (SELECT * FROM orders WHERE amount > 10) SELECT min(id) AS id, customer AS name, sum(amount) AS amount FROM big GROUP BY customer');
CALL compare('SELECT id, customer AS name, amount FROM orders WHERE id < 300 UNION ALL SELECT 1, ''one'', 1 EXCEPT SELECT 2, ''customer 2'', -3');
CALL compare('SELECT DISTINCT ON (customer) row_number() OVER (ORDER BY id) AS id, customer AS name, sum(amount) OVER (PARTITION BY customer) AS amount FROM orders ORDER BY customer, id');
CALL compare('SELECT * FROM (VALUES (1, ''a'', 1.5), (2, NULL, NULL)) AS v (id, name, amount)');
CALL compare('SELECT g AS id, ''row '' || g AS name, g / 7.0 AS amount FROM generate_series(1, 1000) AS g');
CALL compare('WITH RECURSIVE r (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM r WHERE id < 200) SELECT id, ''recursive'' AS name, NULL::numeric AS amount FROM r');
CALL compare('SELECT id, customer AS name, amount FROM orders WHERE false');
CREATE VIEW rich AS SELECT max(id) AS id, customer AS name, sum(amount) AS amount FROM orders GROUP BY customer HAVING sum(amount) > 900;
CREATE MATERIALIZED VIEW kept AS SELECT id, customer AS name, amount FROM orders WHERE amount > 50;
CALL compare('TABLE rich', 'rich');
CALL compare('TABLE kept', 'kept');

-- The rows are there before the first is written: a query may read the target.  Its order is that of the walk.
TRUNCATE got;
INSERT INTO got SELECT g, 'first', 1 FROM generate_series(1, 100) AS g;
CALL stride.run_pipeline('got', source_query => 'SELECT id + 100 AS id, ''second'' AS name, amount FROM got', chunk_rows => 7);
SELECT name, count(*), count(DISTINCT id), min(id), max(id) FROM got GROUP BY name ORDER BY name;
CREATE TABLE latest (customer text PRIMARY KEY, id int);
CALL stride.run_pipeline('latest', source_query => 'SELECT customer, id FROM orders ORDER BY amount, id', on_conflict => 'update', workers => 1);
SELECT count(*) FROM (TABLE latest EXCEPT (SELECT DISTINCT ON (customer) customer, id FROM orders ORDER BY customer, amount DESC, id DESC)) AS d;

-- transform_query reads the columns of the query, whatever they are called.
TRUNCATE got;
CALL stride.run_pipeline('got', source_query => 'VALUES (1, ''a''), (2, ''b''), (3, ''c'')', transform_query => 'SELECT column1 AS id, upper(column2) AS name FROM chunk WHERE column1 > 1');
TABLE got ORDER BY id;
-- Rows without columns are rows.
TRUNCATE got;
CALL stride.run_pipeline('got', source_query => 'SELECT FROM orders', transform_query => 'SELECT 7 AS id FROM chunk', chunk_rows => 83);
SELECT count(*), sum(id) FROM got;
CREATE TABLE odd (ordinal text, ordinal_1 int, "a ""b""" date);
CALL stride.run_pipeline('odd', source_query => 'SELECT ''o''::text AS ordinal, 1 AS ordinal_1, date ''2026-01-01'' AS "a ""b"""', transform_query => 'SELECT * FROM chunk');
TABLE odd;
CREATE TABLE totals (at date PRIMARY KEY, total numeric);
CALL stride.run_pipeline('totals', source_query => 'SELECT at, amount FROM orders WHERE amount > 0', on_conflict => 'update', chunk_rows => 83,
     transform_query => 'SELECT at, sum(amount) AS total FROM chunk GROUP BY at', update_set => 'total = totals.total + excluded.total');
SELECT count(*) FROM (TABLE totals EXCEPT SELECT at, sum(amount) FROM orders WHERE amount > 0 GROUP BY at) AS d;

-- Registered transforms take a composite type of the query's columns; a table's row type is one too.
CREATE TYPE item AS (id int, name text, amount numeric);
CREATE FUNCTION by_row(i item) RETURNS got LANGUAGE plpgsql AS $$ BEGIN IF i.id % 3 = 0 THEN RETURN NULL; END IF; RETURN (i.id::bigint, upper(i.name), i.amount); END $$;
CREATE FUNCTION by_set(i item) RETURNS SETOF got LANGUAGE sql AS $$ SELECT i.id * 10 + n, i.name, i.amount FROM generate_series(1, i.id % 3) AS n $$;
CREATE FUNCTION by_batch(i item[]) RETURNS SETOF got LANGUAGE sql AS $$ SELECT x.id, format('%s after %s', n, i[n - 1].id), x.amount FROM unnest(i) WITH ORDINALITY AS x (id, name, amount, n) $$;
CREATE FUNCTION of_table(g got) RETURNS got LANGUAGE sql AS $$ SELECT g.id, 'again', g.amount $$;
SELECT stride.register_transform(name, (name || '(' || type || ')')::regprocedure)
FROM (VALUES ('by_row', 'item'), ('by_set', 'item'), ('by_batch', 'item[]'), ('of_table', 'got')) AS f (name, type);
SELECT name, kind, source_type FROM stride.transforms WHERE name ~ '^(by_|of_table)' ORDER BY name;
CREATE PROCEDURE transform(name text, expected text, query text DEFAULT 'SELECT id, customer AS name, amount FROM orders ORDER BY id') LANGUAGE plpgsql AS $$
DECLARE
    differences bigint;
BEGIN
    TRUNCATE got;
    COMMIT;
    CALL stride.run_pipeline('got', source_query => query, transform => name, chunk_rows => 83, settings => '{"batch_rows": 10}');
    EXECUTE format('SELECT count(*) FROM ((TABLE got EXCEPT ALL (%1$s)) UNION ALL ((%1$s) EXCEPT ALL TABLE got)) AS d', expected)
    INTO differences;
    RAISE WARNING '% rows, % differences', (SELECT count(*) FROM got), differences;
END $$;
CALL transform('by_row', 'SELECT id, upper(customer), amount FROM orders WHERE id % 3 <> 0');
CALL transform('by_set', 'SELECT id * 10 + n, customer, amount FROM orders, generate_series(1, id % 3) AS n');
CALL transform('by_batch', 'SELECT g.id, g.name, o.amount FROM orders AS o JOIN got AS g USING (id)');
SELECT bool_and(name ~ ' after $' OR name ~ (' after ' || id - 1 || '$')) AS in_order, max(substring(name FROM '^\d+')::int) AS largest_batch FROM got;
CALL transform('of_table', 'SELECT id, ''again'', amount FROM orders', 'SELECT id::bigint, customer AS name, amount FROM orders');

-- explain makes nothing that stays, in a read-only transaction too.
BEGIN READ ONLY;
SELECT item, regexp_replace(regexp_replace(value, 'spool_\d+', 'spool_N', 'g'), 'about \d+ kB for \d+', 'about N kB for N') AS value
FROM stride.explain_pipeline('got', source_query => 'SELECT id, now() IS NULL AS "null?", customer AS name FROM orders', transform_query => 'SELECT id, name FROM chunk', walk => 'spool')
WHERE item IN ('source', 'source rows', 'space', 'walk', 'key', 'key index', 'chunk statement');
SELECT item, value FROM stride.explain_pipeline('got', source => 'kept') WHERE item = 'source query';
COMMIT;
SELECT value ~ 'now\(\)' AS now, value ~ 'timestamp' AS frozen
FROM stride.explain_pipeline('totals', source_query => 'SELECT at, amount AS total FROM orders WHERE at < now()') WHERE item = 'source query';
SELECT count(*) FROM stride.check_invariants() WHERE NOT ok;

-- Bad rows, and the same rows again: what was saved stays for as long as it is needed, and no longer.
CREATE PROCEDURE wait_for_work_tables(expected bigint) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. 3000 LOOP
        EXIT WHEN (SELECT count(*) = expected FROM pg_class WHERE relnamespace = 'stride_work'::regnamespace AND relkind = 'r');
        PERFORM pg_sleep(0.01);
        COMMIT;
    END LOOP;
    RAISE WARNING '% work tables', (SELECT count(*) FROM pg_class WHERE relnamespace = 'stride_work'::regnamespace AND relkind = 'r');
END $$;
CALL wait_for_work_tables(0);
TRUNCATE got;
CREATE TABLE raw (id int, amount text);
INSERT INTO raw SELECT g, CASE WHEN g IN (17, 18, 400) THEN 'x' || g ELSE g::text END FROM generate_series(1, 500) AS g;
CALL stride.run_pipeline('got', source_query => 'TABLE raw', transform_query => 'SELECT id, CASE WHEN id = 18 THEN ''1'' ELSE amount END::numeric AS amount FROM chunk',
                         chunk_rows => 83, on_error => 'skip', name => 'query with bad rows');
SELECT state, rows_read, rows_written, rows_rejected FROM stride.jobs WHERE name = 'query with bad rows';
SELECT r.row_data ->> 'id' AS id, r.row_data ->> 'amount' AS amount, r.row_key, r.sqlstate FROM stride.rejects AS r JOIN stride.jobs USING (job_id) WHERE name = 'query with bad rows' ORDER BY 1;
CALL wait_for_work_tables(1);
SELECT stride.retry_rejects(stride.job_id('query with bad rows')) AS retry \gset
CALL stride.wait(:retry);
SELECT state, rows_rejected FROM stride.jobs WHERE job_id = :retry;
SELECT stride.discard_rejects(stride.job_id('query with bad rows'));
CALL wait_for_work_tables(0);

-- A failed job goes on with what was saved; a job that is forgotten takes it along.
TRUNCATE got;
ALTER TABLE got ADD CHECK (id <> 400);
\set VERBOSITY sqlstate
CALL stride.run_pipeline('got', source_query => 'SELECT id, amount AS name FROM raw ORDER BY id', chunk_rows => 83, workers => 1, name => 'checked rows');
\set VERBOSITY default
DELETE FROM raw;
ALTER TABLE got DROP CONSTRAINT got_id_check;
SELECT stride.resume(stride.job_id('checked rows'));
SELECT stride.job_id('checked rows') AS job \gset
CALL stride.wait(:job);
SELECT count(*), count(DISTINCT id), sum(id) FROM got;
SELECT stride.submit_pipeline('got', source_query => 'TABLE raw', transform_query => 'SELECT id FROM chunk', name => 'later query', start_at => 'infinity') AS job \gset
SELECT stride.submit_pipeline('got', source_query => 'TABLE raw', transform_query => 'SELECT id FROM chunk', name => 'later query', if_exists => 'skip') = :job AS same;
CALL wait_for_work_tables(1);
SELECT stride.cancel(:job);
\set VERBOSITY sqlstate
CALL stride.wait(:job);
\set VERBOSITY default
SELECT stride.forget(:job);
CALL wait_for_work_tables(0);

-- An error of the query, and a query that means other tables or columns by the time it is run
CREATE PROCEDURE fail(query text, meanwhile text) LANGUAGE plpgsql AS $$
DECLARE
    job bigint;
BEGIN
    job := stride.submit_pipeline('got', source_query => query, if_exists => 'new');
    EXECUTE meanwhile;
    COMMIT;
    FOR i IN 1 .. 3000 LOOP
        EXIT WHEN (SELECT finished_at IS NOT NULL FROM stride.jobs WHERE job_id = job);
        PERFORM pg_sleep(0.01);
        COMMIT;
    END LOOP;
    RAISE WARNING '%', (SELECT concat_ws(' | ', state, error_sqlstate, regexp_replace(error_message, '\d+', 'N'), error_detail) FROM stride.jobs WHERE job_id = job);
    PERFORM stride.forget(job);
END $$;
CALL fail('SELECT 1 / (id - 500) AS id FROM orders', 'SELECT 1');
CALL fail('SELECT id FROM raw', 'ALTER TABLE raw RENAME TO raw2; CREATE TABLE raw (id int)');
CALL fail('SELECT id FROM raw', 'ALTER TABLE raw ALTER id TYPE bigint');
CALL fail('SELECT id FROM raw2', 'DROP TABLE raw2');

-- Rights: the query runs as the job's owner, under row security; the owner may read what was saved, nobody may write it.
CREATE ROLE regress_stride_app LOGIN;
CREATE ROLE regress_stride_other LOGIN;
GRANT USAGE ON SCHEMA stride, queries TO regress_stride_app, regress_stride_other;
GRANT SELECT ON orders TO regress_stride_app;
GRANT SELECT, INSERT ON got TO regress_stride_app;
ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
CREATE POLICY even ON orders TO regress_stride_app USING (id % 2 = 0);
ALTER DEFAULT PRIVILEGES GRANT INSERT ON TABLES TO PUBLIC;
TRUNCATE got;
SET ROLE regress_stride_app;
CALL stride.run_pipeline('got', source_query => 'SELECT id, customer AS name FROM orders ORDER BY id LIMIT 100');
SELECT count(*), sum(id % 2), max(id) FROM got;
SELECT stride.submit_pipeline('got', source_query => 'TABLE customers'); \echo :SQLSTATE
SELECT stride.submit_pipeline('got', source_query => 'SELECT 1 AS id', start_at => 'infinity') AS job \gset
SELECT source AS work_table FROM stride.jobs WHERE job_id = :job \gset
SELECT count(*) FROM :work_table;
\set VERBOSITY sqlstate
INSERT INTO :work_table VALUES (1, 1); \echo :SQLSTATE
DELETE FROM :work_table; \echo :SQLSTATE
TRUNCATE :work_table; \echo :SQLSTATE
DROP TABLE :work_table; \echo :SQLSTATE
CREATE TABLE stride_work.mine (id int); \echo :SQLSTATE
SELECT stride.submit('INSERT INTO got SELECT id FROM ' || :'work_table'); \echo :SQLSTATE
SELECT stride.submit_pipeline('got', source => :'work_table', transform_query => 'SELECT id FROM chunk'); \echo :SQLSTATE
SET ROLE regress_stride_other;
SELECT count(*) FROM :work_table; \echo :SQLSTATE
\set VERBOSITY default
RESET ROLE;
ALTER DEFAULT PRIVILEGES REVOKE INSERT ON TABLES FROM PUBLIC;
SELECT c.relowner = e.extowner AS owned, a.grantee::regrole, string_agg(a.privilege_type, ', ') AS rights, c.reloptions
FROM pg_extension AS e, pg_class AS c, LATERAL aclexplode(c.relacl) AS a
WHERE e.extname = 'pg_stride' AND c.oid = :'work_table'::regclass AND a.grantee <> c.relowner GROUP BY 1, 2, 4;
SELECT stride.cancel(:job);

-- Refused, one line an input, then its SQLSTATE
CREATE VIEW internal AS SELECT id, 1 AS tableoid FROM orders;
\pset format unaligned
\pset tuples_only on
SELECT stride.submit_pipeline('got', source => 'orders', source_query => 'SELECT 1 AS id'); \echo :SQLSTATE
SELECT stride.submit_pipeline('got', source_query => ' '); \echo :SQLSTATE
SELECT stride.submit_pipeline('got', source_query => 'SELECT 1 AS id; SELECT 2'); \echo :SQLSTATE
SELECT stride.submit_pipeline('got', source_query => 'DELETE FROM orders RETURNING id'); \echo :SQLSTATE
SELECT stride.submit_pipeline('got', source_query => 'SELECT id INTO x FROM orders'); \echo :SQLSTATE
SELECT stride.submit_pipeline('got', source_query => 'SELECT nothing FROM orders'); \echo :SQLSTATE
SELECT * FROM stride.explain_pipeline('got', source_query => 'SELECT nothing FROM orders'); \echo :SQLSTATE
SELECT stride.submit_pipeline('got', source_query => 'SELECT id FROM nowhere'); \echo :SQLSTATE
SELECT stride.submit_pipeline('got', source_query => 'SELECT $1 AS id'); \echo :SQLSTATE
SELECT stride.submit_pipeline('got', source_query => 'WITH d AS (DELETE FROM orders RETURNING id) SELECT id FROM d'); \echo :SQLSTATE
SELECT stride.submit_pipeline('got', source_query => 'SELECT id FROM orders WHERE id IN (SELECT id FROM orders FOR UPDATE)'); \echo :SQLSTATE
CREATE TEMP TABLE passing AS SELECT 1 AS id;
SELECT stride.submit_pipeline('got', source_query => 'SELECT id FROM passing'); \echo :SQLSTATE
SELECT stride.submit_pipeline('got', source_query => 'SELECT id, id + 1 FROM orders'); \echo :SQLSTATE
SELECT stride.submit_pipeline('got', source_query => 'SELECT a.id, b.id FROM orders AS a, orders AS b'); \echo :SQLSTATE
SELECT stride.submit_pipeline('got', source_query => 'SELECT id, ROW(1, 2) AS name FROM orders'); \echo :SQLSTATE
SELECT stride.submit_pipeline('got', source_query => 'SELECT id, 1 AS ctid FROM orders'); \echo :SQLSTATE
SELECT stride.submit_pipeline('got', source_query => 'SELECT xmin, id FROM orders', on_conflict => 'nothing', walk => 'stream'); \echo :SQLSTATE
SELECT stride.submit_pipeline('got', source => 'internal'); \echo :SQLSTATE
SELECT stride.submit_pipeline('got', source_query => 'SELECT FROM orders'); \echo :SQLSTATE
SELECT stride.submit_pipeline('got', source_query => 'SELECT id, at FROM orders'); \echo :SQLSTATE
SELECT stride.submit_pipeline('got', source_query => 'SELECT id FROM orders', key => '{id}'); \echo :SQLSTATE
SELECT stride.submit_pipeline('got', source_query => 'SELECT id FROM orders', walk => 'key'); \echo :SQLSTATE
SELECT stride.submit_pipeline('got', source_query => 'SELECT id FROM orders', delete_source => true); \echo :SQLSTATE
SELECT stride.submit_pipeline('got', source => 'rich', delete_source => true); \echo :SQLSTATE
SELECT stride.submit_pipeline('got', source_query => 'SELECT id, customer AS name FROM orders', transform => 'by_row'); \echo :SQLSTATE
SELECT stride.submit_pipeline('got', source => 'orders', transform => 'by_row'); \echo :SQLSTATE
\pset format aligned
\pset tuples_only off
CALL wait_for_work_tables(1);
DROP OWNED BY regress_stride_app;
SELECT stride.forget(:job);
CALL wait_for_work_tables(0);
SELECT * FROM stride.check_invariants() WHERE NOT ok;
DROP OWNED BY regress_stride_other;
DROP ROLE regress_stride_app, regress_stride_other;
