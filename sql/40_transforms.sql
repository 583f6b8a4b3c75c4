-- Registered transforms: what can be one, what each kind does in small chunks by two workers, and what becomes of a job whose
-- function is replaced, dropped, or tries to commit.
SET client_min_messages = warning;
SET stride.progress_interval = 0;
SET stride.workers = 2;
CREATE SCHEMA transforms;
SET search_path = transforms, public;
CREATE TABLE orders (id int PRIMARY KEY, email text, gone int, amount numeric);
ALTER TABLE orders DROP COLUMN gone;
INSERT INTO orders SELECT g, 'User' || g, g % 100 FROM generate_series(1, 1000) AS g;
CREATE TABLE clean (id int PRIMARY KEY, email text, amount int);

-- Row functions in three languages; NULL leaves the row out.  The one of language internal hands its argument back.
CREATE FUNCTION in_sql(o orders) RETURNS clean IMMUTABLE LANGUAGE sql
    AS $$ SELECT o.id, lower(o.email), o.amount::int WHERE o.id % 3 <> 0 $$;
CREATE FUNCTION in_plpgsql(o orders) RETURNS clean LANGUAGE plpgsql
    AS $$ BEGIN IF o.id % 3 = 0 THEN RETURN NULL; END IF; RETURN (o.id, lower(o.email), o.amount::int); END $$;
CREATE FUNCTION in_c(o orders) RETURNS orders IMMUTABLE STRICT LANGUAGE internal AS 'int8up';
-- One to many, also by columns of its own; one call a batch.
CREATE FUNCTION many(o orders) RETURNS SETOF clean LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. o.id % 4 LOOP RETURN NEXT (o.id * 10 + i, o.email, i)::clean; END LOOP;
END $$;
CREATE FUNCTION named(o orders) RETURNS TABLE (email text, id int) STABLE LANGUAGE sql
    AS $$ SELECT o.email, o.id * 10 + i FROM generate_series(1, 2) AS i $$;
CREATE FUNCTION batch(o orders[]) RETURNS SETOF clean LANGUAGE sql
    AS $$ SELECT x.id, format('%s of %s after %s', n, cardinality(o), o[n - 1].id), x.amount::int
          FROM unnest(o) WITH ORDINALITY AS x (id, email, amount, n) WHERE x.id % 2 = 0 $$;
SELECT stride.register_transform('in_sql', 'in_sql(orders)'), stride.register_transform('in_plpgsql', 'in_plpgsql(orders)'),
       stride.register_transform('in_c', 'in_c(orders)'), stride.register_transform('many', 'many(orders)'),
       stride.register_transform('named', 'named(orders)'), stride.register_transform('a "batch"', 'batch(orders[])');
SELECT stride.register_transform('many', 'many(orders)') AS again;
SELECT name, owner = current_user::regrole AS mine, function, kind, source_type, target_type, registered_at IS NOT NULL AS at
FROM stride.transforms ORDER BY name COLLATE "C";

-- Each of them against the plain statement
CREATE PROCEDURE compare(registered text, expected text) LANGUAGE plpgsql AS $$
DECLARE
    differences bigint;
    outcome text;
BEGIN
    TRUNCATE clean;
    COMMIT;
    CALL stride.run_pipeline('clean', source => 'orders', transform => registered, chunk_rows => 83, if_exists => 'new');
    SELECT format('%s sink, %s read, %s written, %s filtered', sink, rows_read, rows_written, rows_filtered) INTO outcome
    FROM stride.jobs ORDER BY job_id DESC LIMIT 1;
    EXECUTE format('SELECT count(*) FROM ((TABLE clean EXCEPT ALL (%1$s)) UNION ALL ((%1$s) EXCEPT ALL TABLE clean)) AS d', expected)
    INTO differences;
    RAISE WARNING '%: %, % differences', registered, outcome, differences;
END $$;
CALL compare('in_sql', 'SELECT id, lower(email), amount::int FROM orders WHERE id % 3 <> 0');
CALL compare('in_plpgsql', 'SELECT id, lower(email), amount::int FROM orders WHERE id % 3 <> 0');
CALL compare('in_c', 'SELECT id, email, amount::int FROM orders');
CALL compare('many', 'SELECT id * 10 + i, email, i FROM orders, generate_series(1, id % 4) AS i');
CALL compare('named', 'SELECT id * 10 + i, email, NULL::int FROM orders, generate_series(1, 2) AS i');

-- One call a batch, in the order of the walk; batches end with their chunk, and there is no call without a row.
TRUNCATE clean;
CALL stride.run_pipeline('clean', source => 'orders', transform => 'a "batch"', chunk_rows => 100, workers => 1,
                         settings => '{"batch_rows": 30}');
SELECT count(*), sum(id), max(substring(email FROM 'of (\d+)')::int) AS largest_batch,
       bool_and(substring(email FROM 'after (.*)') IN ('', (id - 1)::text)) AS in_order
FROM clean;
CREATE TABLE nothing (LIKE orders INCLUDING ALL);
CREATE FUNCTION never(o nothing[]) RETURNS SETOF clean LANGUAGE plpgsql AS $$ BEGIN RAISE 'called with %', o; END $$;
SELECT stride.register_transform('never', 'never(nothing[])');
CALL stride.run_pipeline('clean', source => 'nothing', transform => 'never');

-- explain names the function's effects.
SELECT item, value FROM stride.explain_pipeline('clean', source => 'orders', transform => 'in_plpgsql')
WHERE item IN ('transform', 'sink', 'sink reason', 'note');

-- Replaced between submission and start: the job fails, and resume takes the function as it is now.
TRUNCATE clean;
BEGIN;
SELECT stride.submit_pipeline('clean', source => 'orders', transform => 'in_sql', workers => 1) AS job \gset
CREATE OR REPLACE FUNCTION in_sql(o orders) RETURNS clean IMMUTABLE LANGUAGE sql AS $$ SELECT o.id, 'replaced', 1 $$;
COMMIT;
\set VERBOSITY sqlstate
CALL stride.wait(:job);
\set VERBOSITY default
SELECT state, error_sqlstate, error_message, error_detail, error_hint FROM stride.jobs WHERE job_id = :job \gx
SELECT stride.resume(:job);
CALL stride.wait(:job);
SELECT count(*), min(email), max(email) FROM clean;

-- Dropped: it can't be resumed before the function is there again, with the same types.
BEGIN;
SELECT stride.submit_pipeline('clean', source => 'orders', transform => 'in_sql', on_conflict => 'update', workers => 1) AS job \gset
DROP FUNCTION in_sql(orders);
COMMIT;
\set VERBOSITY sqlstate
CALL stride.wait(:job);
\set VERBOSITY default
SELECT state, error_sqlstate, error_message, error_hint FROM stride.jobs WHERE job_id = :job \gx
CREATE PROCEDURE resume_refused(of_job bigint, before bigint) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM stride.resume(of_job);
    COMMIT;
    FOR i IN 1 .. 3000 LOOP
        EXIT WHEN (SELECT count(*) > before FROM stride.events WHERE job_id = of_job AND event = 'resume');
        PERFORM pg_sleep(0.01);
        COMMIT;
    END LOOP;
    RAISE WARNING '%', (SELECT format('%s: %s', state, state_reason) FROM stride.jobs WHERE job_id = of_job);
END $$;
CALL resume_refused(:job, 0);
CREATE FUNCTION in_sql(o orders) RETURNS orders IMMUTABLE LANGUAGE sql AS $$ SELECT o $$;
CALL resume_refused(:job, 1);
SELECT stride.submit_pipeline('clean', source => 'nothing', transform => 'in_sql');
DROP FUNCTION in_sql(orders);
SELECT stride.submit_pipeline('clean', source => 'orders', transform => 'in_sql');
CREATE FUNCTION in_sql(o orders) RETURNS clean IMMUTABLE LANGUAGE sql AS $$ SELECT o.id, 'again', 1 $$;
SELECT stride.resume(:job);
CALL stride.wait(:job);
SELECT count(*), min(email), max(email) FROM clean;

-- A transform may not end the transaction or leave the worker with another role, and its errors are the job's.
CREATE FUNCTION commits(o orders) RETURNS clean LANGUAGE plpgsql AS $$ BEGIN COMMIT; RETURN NULL; END $$;
CREATE FUNCTION fails(o orders) RETURNS clean LANGUAGE plpgsql AS $$ BEGIN RAISE 'not this one' USING ERRCODE = 'P0099'; END $$;
CREATE FUNCTION becomes(o orders) RETURNS clean LANGUAGE plpgsql AS $$ BEGIN SET ROLE pg_monitor; RETURN NULL; END $$;
SELECT stride.register_transform('commits', 'commits(orders)'), stride.register_transform('fails', 'fails(orders)'), stride.register_transform('becomes', 'becomes(orders)');
\set VERBOSITY sqlstate
CALL stride.run_pipeline('clean', source => 'orders', transform => 'commits');
CALL stride.run_pipeline('clean', source => 'orders', transform => 'fails');
CALL stride.run_pipeline('clean', source => 'orders', transform => 'becomes', chunk_rows => 10, workers => 1);
\set VERBOSITY default
SELECT state, rows_written, error_sqlstate, error_message FROM stride.jobs WHERE state = 'failed' AND target = 'transforms.clean'
ORDER BY job_id;

-- Names are their owner's, and rights are the caller's.
CREATE ROLE regress_stride_app LOGIN;
GRANT USAGE ON SCHEMA stride, transforms TO regress_stride_app;
GRANT SELECT ON orders TO regress_stride_app;
REVOKE EXECUTE ON FUNCTION in_plpgsql(orders) FROM PUBLIC;
SET ROLE regress_stride_app;
SELECT count(*) FROM stride.transforms;
SELECT stride.submit_pipeline('clean', source => 'orders', transform => 'in_c');
SELECT stride.register_transform('in_plpgsql', 'in_plpgsql(orders)');
SELECT stride.register_transform('many', 'many(orders)');
SELECT stride.submit_pipeline('clean', source => 'orders', transform => 'many');
SELECT stride.submit_pipeline('clean', source => 'nothing', transform_query => 'SELECT id FROM chunk');
RESET ROLE;
GRANT INSERT ON clean TO regress_stride_app;
BEGIN;
SET LOCAL ROLE regress_stride_app;
SELECT stride.submit_pipeline('clean', source => 'orders', transform => 'many', workers => 1) AS job \gset
RESET ROLE;
REVOKE EXECUTE ON FUNCTION many(orders) FROM PUBLIC;
COMMIT;
\set VERBOSITY sqlstate
CALL stride.wait(:job);
\set VERBOSITY default
CALL resume_refused(:job, 0);
SET ROLE regress_stride_app;
SELECT stride.submit_pipeline('clean', source => 'orders', transform => 'many');
SELECT stride.submit_pipeline('clean', source => 'orders', delete_source => true);
SELECT stride.unregister_transform('many');
SELECT stride.unregister_transform('many');
RESET ROLE;

-- Row security: a transform sees the rows that its owner sees, and writes what its owner may write.
CREATE TABLE mine (LIKE clean INCLUDING ALL);
GRANT SELECT, INSERT ON mine TO regress_stride_app;
GRANT EXECUTE ON FUNCTION in_c(orders) TO regress_stride_app;
ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
CREATE POLICY even ON orders TO regress_stride_app USING (id % 2 = 0);
SET ROLE regress_stride_app;
SELECT stride.register_transform('in_c', 'in_c(orders)');
CALL stride.run_pipeline('mine', source => 'orders', transform => 'in_c', chunk_rows => 83);
SELECT count(*), sum(id % 2) FROM mine;
RESET ROLE;
ALTER TABLE mine ENABLE ROW LEVEL SECURITY;
CREATE POLICY low ON mine TO regress_stride_app WITH CHECK (id < 500);
TRUNCATE mine;
SET ROLE regress_stride_app;
\set VERBOSITY sqlstate
CALL stride.run_pipeline('mine', source => 'orders', transform => 'in_c', chunk_rows => 83, workers => 1);
\set VERBOSITY default
SELECT state, sink_reason, rows_written < 250 AS not_all, error_message FROM stride.jobs WHERE target = 'transforms.mine' ORDER BY job_id DESC LIMIT 1;
RESET ROLE;

-- Bad input: one line an input, then its SQLSTATE
\pset format unaligned
\pset tuples_only on
CREATE PROCEDURE a_procedure(o orders) LANGUAGE sql AS 'SELECT 1';
CREATE AGGREGATE an_aggregate(orders) (SFUNC = array_append, STYPE = orders[]);
CREATE FUNCTION two_arguments(o orders, i int) RETURNS clean LANGUAGE sql AS 'SELECT NULL::clean';
CREATE FUNCTION takes_text(t text) RETURNS clean LANGUAGE sql AS 'SELECT NULL::clean';
CREATE FUNCTION returns_text(o orders) RETURNS text LANGUAGE sql AS 'SELECT NULL::text';
CREATE FUNCTION returns_record(o orders) RETURNS record LANGUAGE sql AS 'SELECT 1, 2';
CREATE FUNCTION one_row(o orders[]) RETURNS clean LANGUAGE sql AS 'SELECT NULL::clean';
CREATE FUNCTION pg_temp.passing(o orders) RETURNS clean LANGUAGE sql AS 'SELECT NULL::clean';
SELECT stride.register_transform(NULL, 'many(orders)'); \echo :SQLSTATE
SELECT stride.register_transform('', 'many(orders)'); \echo :SQLSTATE
SELECT stride.register_transform('x', NULL); \echo :SQLSTATE
SELECT stride.register_transform('x', 'nowhere(orders)'); \echo :SQLSTATE
SELECT stride.register_transform('x', 4294967295); \echo :SQLSTATE
SELECT stride.register_transform('x', 'a_procedure(orders)'); \echo :SQLSTATE
SELECT stride.register_transform('x', 'an_aggregate(orders)'); \echo :SQLSTATE
SELECT stride.register_transform('x', 'two_arguments(orders, int)'); \echo :SQLSTATE
SELECT stride.register_transform('x', 'takes_text(text)'); \echo :SQLSTATE
SELECT stride.register_transform('x', 'returns_text(orders)'); \echo :SQLSTATE
SELECT stride.register_transform('x', 'returns_record(orders)'); \echo :SQLSTATE
SELECT stride.register_transform('x', 'one_row(orders[])'); \echo :SQLSTATE
\set VERBOSITY sqlstate
SELECT stride.register_transform('x', 'pg_temp.passing(orders)'); \echo :SQLSTATE
\set VERBOSITY default
SELECT stride.register_transform('many', 'named(orders)'); \echo :SQLSTATE
SELECT stride.unregister_transform(NULL); \echo :SQLSTATE
SELECT stride.unregister_transform('nowhere'); \echo :SQLSTATE
SELECT stride.submit_pipeline('clean', source => 'orders', transform => 'nowhere'); \echo :SQLSTATE
SELECT stride.submit_pipeline('mine', source => 'clean', transform => 'many'); \echo :SQLSTATE
SELECT stride.submit_pipeline('nothing', source => 'orders', transform => 'named', on_conflict => 'update', update_set => 'id = 1', update_columns => '{id}'); \echo :SQLSTATE
SELECT stride.submit_pipeline('clean', source => 'orders', transform => 'named', delete_source => true); \echo :SQLSTATE
\pset format aligned
\pset tuples_only off

SELECT * FROM stride.check_invariants() WHERE NOT ok;
DROP OWNED BY regress_stride_app;
DROP ROLE regress_stride_app;
