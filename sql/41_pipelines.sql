-- Pipelines: each against the plain statement that it stands for, in small chunks by two workers; then what is refused.
SET client_min_messages = warning;
SET stride.progress_interval = 0;
SET stride.workers = 2;
CREATE SCHEMA pipelines;
SET search_path = pipelines, public;

CREATE TABLE orders (id int PRIMARY KEY, email text, amount numeric, at date);
INSERT INTO orders SELECT g, 'User' || g, g % 100 - 5, date '2026-01-01' + g % 10 FROM generate_series(1, 1000) AS g;

-- Runs a pipeline into the table job, and prints how many of its rows differ from those of the query `expected`.
CREATE PROCEDURE compare(expected text, source regclass, query text DEFAULT NULL) LANGUAGE plpgsql AS $$
DECLARE
    differences bigint;
    outcome text;
BEGIN
    CALL stride.run_pipeline('job', source => source, transform_query => query, chunk_rows => 83, if_exists => 'new');
    SELECT format('%s, %s read, %s written', state, rows_read, rows_written) INTO outcome
    FROM stride.jobs ORDER BY job_id DESC LIMIT 1;
    EXECUTE format('SELECT count(*) FROM ((TABLE job EXCEPT ALL (%1$s)) UNION ALL ((%1$s) EXCEPT ALL TABLE job)) AS d', expected)
    INTO differences;
    RAISE WARNING '%, % differences', outcome, differences;
END $$;

-- Columns by name: in another order, cast on assignment, defaulted, generated, and identity.
CREATE TABLE job (note text DEFAULT 'new', amount int, id bigint PRIMARY KEY, at timestamp, email varchar(20),
                  double numeric GENERATED ALWAYS AS (amount * 2) STORED, n int GENERATED ALWAYS AS IDENTITY);
ALTER TABLE job DROP COLUMN n;
CALL compare('SELECT text ''new'', amount::int, id::bigint, at::timestamp, email::varchar(20), amount::int * 2::numeric FROM orders',
             'orders');

-- Columns that both have, but that nobody may write, are left out.
DROP TABLE job;
CREATE TABLE keyed (id int PRIMARY KEY, n int GENERATED ALWAYS AS IDENTITY, twice int GENERATED ALWAYS AS (id * 2) STORED);
INSERT INTO keyed SELECT generate_series(1, 300);
CREATE TABLE job (LIKE keyed INCLUDING ALL);
CALL stride.run_pipeline('job', source => 'keyed', workers => 1);
SELECT count(*), count(DISTINCT n), sum(twice) FROM job;

-- A query over chunk, joined and filtered.
DROP TABLE job;
CREATE TABLE days (day date PRIMARY KEY, name text);
INSERT INTO days SELECT date '2026-01-01' + g, 'day ' || g FROM generate_series(0, 7) AS g;
CREATE TABLE job (id int PRIMARY KEY, email text, day text);
CALL compare('SELECT c.id, lower(c.email), d.name FROM orders AS c LEFT JOIN days AS d ON d.day = c.at WHERE c.amount > 0', 'orders',
             'SELECT c.id, lower(c.email) AS email, d.name AS day FROM chunk AS c LEFT JOIN days AS d ON d.day = c.at WHERE c.amount > 0');

-- Partial sums are merged by the user's rule.
DROP TABLE job;
CREATE TABLE job (day date PRIMARY KEY, total numeric, orders int);
CALL stride.run_pipeline('job', source => 'orders', chunk_rows => 83, on_conflict => 'update',
     transform_query => 'SELECT at AS day, sum(amount) AS total, count(*) AS orders FROM chunk GROUP BY 1',
     update_set => 'total = job.total + excluded.total, orders = job.orders + excluded.orders');
SELECT count(*) FROM (TABLE job EXCEPT ALL SELECT at, sum(amount), count(*) FROM orders GROUP BY at) AS d;
SELECT count(*), sum(orders) FROM job;

-- A partitioned target with a foreign column order, and a target in another schema with names to be quoted
DROP TABLE job;
CREATE TABLE job (email text, id int PRIMARY KEY, at date, amount numeric) PARTITION BY RANGE (id);
CREATE TABLE job_low PARTITION OF job FOR VALUES FROM (1) TO (500);
CREATE TABLE job_high (at date, amount numeric, email text, id int PRIMARY KEY);
ALTER TABLE job ATTACH PARTITION job_high FOR VALUES FROM (500) TO (100000);
CALL compare('SELECT email, id, at, amount FROM orders', 'orders');
CREATE SCHEMA "a ""b"" c";
CREATE TABLE "a ""b"" c"."select" ("from" int PRIMARY KEY, "chunk" text, "Größe" numeric);
INSERT INTO "a ""b"" c"."select" SELECT g, 'chunk ' || g, g FROM generate_series(1, 100) AS g;
CREATE TABLE "a ""b"" c"."where" (LIKE "a ""b"" c"."select" INCLUDING ALL);
CALL stride.run_pipeline('"a ""b"" c"."where"', source => '"a ""b"" c"."select"', chunk_rows => 10);
SELECT count(*) FROM (TABLE "a ""b"" c"."where" INTERSECT TABLE "a ""b"" c"."select") AS same;

-- explain, and what is stored
SELECT item, value FROM stride.explain_pipeline('days', source => 'orders', on_conflict => 'nothing',
       transform_query => 'SELECT DATE ''2027-01-01'' + id AS day, email AS name FROM chunk')
WHERE item IN ('statement kind', 'source', 'target', 'key', 'sink', 'chunk statement');
SELECT kind, source, target, pipeline - 'source' - 'target' AS arguments, indexes
FROM stride.jobs WHERE target LIKE '%where%';

-- A second submission with the same arguments is the same job.
CREATE TABLE job2 (LIKE orders);
SELECT stride.submit_pipeline('job2', source => 'orders', start_at => 'infinity') AS job \gset
\set VERBOSITY terse
SELECT stride.submit_pipeline('job2', source => 'orders', start_at => 'infinity');
\set VERBOSITY default
SELECT stride.submit_pipeline('job2', source => 'orders', if_exists => 'skip') = :job AS same,
       stride.submit_pipeline('job2', source => 'orders', indexes => 'rebuild', start_at => 'infinity') = :job AS same_too;
SELECT stride.cancel(job_id) FROM stride.jobs WHERE target = 'pipelines.job2';

-- Bad input: one line an input, then its SQLSTATE
\pset format unaligned
\pset tuples_only on
SELECT stride.submit_pipeline(NULL, source => 'orders'); \echo :SQLSTATE
SELECT stride.submit_pipeline('days'); \echo :SQLSTATE
SELECT stride.submit_pipeline('days', source => 'nowhere'); \echo :SQLSTATE
SELECT stride.submit_pipeline('days', source => 4294967295); \echo :SQLSTATE
SELECT stride.submit_pipeline('days', source_query => 'SELECT 1'); \echo :SQLSTATE
SELECT stride.submit_pipeline('days', source => 'orders', source_query => 'SELECT 1'); \echo :SQLSTATE
SELECT stride.submit_pipeline('days', source => 'days'); \echo :SQLSTATE
SELECT stride.submit_pipeline('days', source => 'orders'); \echo :SQLSTATE
SELECT stride.submit_pipeline('days', source => 'orders', indexes => 'none'); \echo :SQLSTATE
SELECT stride.submit_pipeline('days', source => 'orders', indexes => NULL); \echo :SQLSTATE
SELECT stride.submit_pipeline('days', source => 'orders', delete_source => NULL); \echo :SQLSTATE
SELECT stride.submit_pipeline('days', source => 'orders', transform => 'nothing'); \echo :SQLSTATE
SELECT stride.submit_pipeline('days', source => 'orders', transform => 'nothing', transform_query => 'SELECT 1'); \echo :SQLSTATE
-- transform_query
SELECT stride.submit_pipeline('days', source => 'orders', transform_query => ' '); \echo :SQLSTATE
SELECT stride.submit_pipeline('days', source => 'orders', transform_query => 'SELEC 1'); \echo :SQLSTATE
SELECT stride.submit_pipeline('days', source => 'orders', transform_query => 'DELETE FROM chunk'); \echo :SQLSTATE
SELECT stride.submit_pipeline('days', source => 'orders', transform_query => 'SELECT at AS day FROM chunk; DROP TABLE days'); \echo :SQLSTATE
SELECT stride.submit_pipeline('days', source => 'orders', transform_query => 'SELECT at AS day FROM orders'); \echo :SQLSTATE
SELECT stride.submit_pipeline('days', source => 'orders', transform_query => 'SELECT a.at AS day FROM chunk a, chunk b'); \echo :SQLSTATE
SELECT stride.submit_pipeline('days', source => 'orders', transform_query => 'WITH c AS (SELECT at FROM chunk) SELECT a.at AS day FROM c AS a, c AS b'); \echo :SQLSTATE
SELECT stride.submit_pipeline('days', source => 'orders', transform_query => 'SELECT (SELECT max(at) FROM chunk) AS day'); \echo :SQLSTATE
SELECT stride.submit_pipeline('days', source => 'orders', transform_query => 'WITH c AS (TABLE chunk) SELECT day FROM days AS d WHERE EXISTS (SELECT FROM c)'); \echo :SQLSTATE
SELECT stride.submit_pipeline('days', source => 'orders', transform_query => 'WITH chunk AS (SELECT 1) SELECT 1 FROM chunk'); \echo :SQLSTATE
SELECT stride.submit_pipeline('days', source => 'orders', transform_query => 'SELECT at AS day, nowhere AS name FROM chunk'); \echo :SQLSTATE
SELECT stride.submit_pipeline('days', source => 'orders', transform_query => 'SELECT at AS day, at AS day FROM chunk'); \echo :SQLSTATE
SELECT stride.submit_pipeline('days', source => 'orders', transform_query => 'SELECT at, email FROM chunk'); \echo :SQLSTATE
SELECT stride.submit_pipeline('days', source => 'orders', transform_query => 'SELECT email AS day FROM chunk'); \echo :SQLSTATE
SELECT stride.submit_pipeline('days', source => 'orders', transform_query => 'SELECT at AS day FROM chunk LIMIT 10'); \echo :SQLSTATE
SELECT stride.submit_pipeline('days', source => 'orders', transform_query => 'SELECT DISTINCT at AS day FROM chunk'); \echo :SQLSTATE
SELECT stride.submit_pipeline('days', source => 'orders', transform_query => 'SELECT at AS day, $1 AS name FROM chunk'); \echo :SQLSTATE
SELECT stride.submit_pipeline('days', source => 'orders', transform_query => 'SELECT at AS day, count(*)::text AS name FROM chunk GROUP BY at', on_conflict => 'update'); \echo :SQLSTATE
SELECT stride.submit_pipeline('days', source => 'orders', transform_query => 'SELECT at AS day FROM chunk WHERE at IN (SELECT day FROM days)'); \echo :SQLSTATE
