-- The bridge between PostgreSQL errors and C++ exceptions, in both directions.
\set VERBOSITY verbose
\set SHOW_CONTEXT always
SET client_min_messages = warning;

CREATE FUNCTION bridge_pass_full() RETURNS void AS 'bridge_test' LANGUAGE c;
CREATE FUNCTION bridge_pass_sql(text) RETURNS void AS 'bridge_test' LANGUAGE c;
CREATE FUNCTION bridge_pass_nested() RETURNS void AS 'bridge_test' LANGUAGE c;
CREATE FUNCTION bridge_inspect() RETURNS text AS 'bridge_test' LANGUAGE c;
CREATE FUNCTION bridge_throw_bad_alloc() RETURNS void AS 'bridge_test' LANGUAGE c;
CREATE FUNCTION bridge_throw_std() RETURNS void AS 'bridge_test' LANGUAGE c;
CREATE FUNCTION bridge_throw_other() RETURNS void AS 'bridge_test' LANGUAGE c;
CREATE FUNCTION bridge_plain_error() RETURNS void AS 'bridge_test' LANGUAGE c;
CREATE FUNCTION bridge_attempt_memory(int) RETURNS bigint AS 'bridge_test' LANGUAGE c;
CREATE FUNCTION bridge_guard_memory(int) RETURNS bigint AS 'bridge_test' LANGUAGE c;
CREATE FUNCTION bridge_memory() RETURNS bigint AS 'bridge_test' LANGUAGE c;
CREATE FUNCTION bridge_attempt(int) RETURNS text AS 'bridge_test' LANGUAGE c;
CREATE FUNCTION bridge_wrong_guard() RETURNS void AS 'bridge_test' LANGUAGE c;
CREATE FUNCTION bridge_no_guard() RETURNS void AS 'bridge_test' LANGUAGE c;
CREATE FUNCTION bridge_left_alive() RETURNS void AS 'bridge_test' LANGUAGE c;
CREATE FUNCTION bridge_pmr_absurd() RETURNS void AS 'bridge_test' LANGUAGE c;
CREATE FUNCTION bridge_pmr_sum(int) RETURNS bigint AS 'bridge_test' LANGUAGE c;
CREATE FUNCTION bridge_holdoff(bool) RETURNS bool AS 'bridge_test' LANGUAGE c;
CREATE FUNCTION bridge_sleep() RETURNS void AS 'bridge_test' LANGUAGE c;

-- Every field of an error that a client may ask for; `call` is one SELECT.
CREATE FUNCTION fields(call text, OUT code text, OUT message text, OUT detail text, OUT hint text, OUT context text,
                       OUT schema_name text, OUT table_name text, OUT column_name text, OUT datatype_name text,
                       OUT constraint_name text)
LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE call;
EXCEPTION WHEN OTHERS OR query_canceled THEN
  GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
    hint = PG_EXCEPTION_HINT, context = PG_EXCEPTION_CONTEXT, schema_name = SCHEMA_NAME, table_name = TABLE_NAME,
    column_name = COLUMN_NAME, datatype_name = PG_DATATYPE_NAME, constraint_name = CONSTRAINT_NAME;
END $$;
\x on

-- 1. An error made by hand: through a guard, through two, and not through any.
SELECT * FROM fields('SELECT bridge_pass_full()');
SELECT * FROM fields('SELECT bridge_pass_nested()');
SELECT * FROM fields('SELECT bridge_plain_error()');
\x off
SELECT bridge_inspect();

-- 2. Errors of the server itself, made inside SPI.
CREATE TABLE keyed (id int CONSTRAINT keyed_pkey PRIMARY KEY, n int CONSTRAINT n_positive CHECK (n > 0));
INSERT INTO keyed VALUES (1, 1);
\x on
SELECT * FROM fields($$SELECT bridge_pass_sql('INSERT INTO keyed VALUES (1, 2)')$$);
SELECT * FROM fields($$SELECT bridge_pass_sql('INSERT INTO keyed VALUES (2, -2)')$$);
SELECT * FROM fields($$SELECT bridge_pass_sql('SELECT 1/0')$$);
\x off
SELECT bridge_pass_sql('INSERT INTO keyed VALUES (3, 3)');
SELECT * FROM keyed ORDER BY id;

-- 3. C++ exceptions.
SELECT f.code, f.message, f.detail, f.hint
  FROM unnest(ARRAY['bad_alloc', 'std', 'other']) AS kind, fields('SELECT bridge_throw_' || kind || '()') AS f;

-- 4. attempt(): success, PostgreSQL's error, and exceptions.
SELECT kind, bridge_attempt(kind) FROM generate_series(0, 5) AS kind;

-- 5. The pmr resource.
SELECT f.code, f.message FROM fields('SELECT bridge_pmr_absurd()') AS f;
SELECT bridge_pmr_sum(1000);

-- 6. A hundred thousand round trips of each kind leave memory flat.
SELECT bridge_attempt_memory(100000) <= 65536 AS attempt_flat;
SELECT bridge_guard_memory(100000) BETWEEN 0 AND 65536 AS guard_flat;
CREATE FUNCTION round_trips(n int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN 1 .. n LOOP
    BEGIN
      PERFORM bridge_pass_full();
    EXCEPTION WHEN unique_violation THEN NULL;
    END;
  END LOOP;
END $$;
SELECT round_trips(1000);
SELECT bridge_memory() AS before \gset
SELECT round_trips(100000);
SELECT bridge_memory() AS after \gset
SELECT :after - :before <= 65536 AS flat;
SELECT sum(used_bytes) < 8192 AS error_context_small FROM pg_backend_memory_contexts WHERE name = 'ErrorContext';

-- 7. The witness catches guards that are wrong.
SELECT f.code, f.message, f.hint FROM fields('SELECT bridge_wrong_guard()') AS f;
SELECT f.code, f.message, f.hint FROM fields('SELECT bridge_left_alive()') AS f;
SELECT f.code, f.message FROM fields('SELECT bridge_no_guard()') AS f;
SELECT f.code, f.message, f.hint FROM fields('SELECT bridge_pass_full()') AS f;
SELECT f.code, f.message FROM fields('SELECT bridge_pass_full()') AS f;

-- 8. Interrupts: hold-off counts are put back, and a cancel arrives as 57014, in this session, after all of the above.
SELECT bridge_holdoff(false);
SELECT f.code FROM fields('SELECT bridge_holdoff(true)') AS f;
SET statement_timeout = '200ms';
SELECT f.code, f.message FROM fields('SELECT bridge_sleep()') AS f;
SELECT f.code, f.message FROM fields('SELECT pg_sleep(60)') AS f;
RESET statement_timeout;
SELECT 'alive' AS session;
