-- Statements that are driven by what has no key: a view, a materialized view, a function, a list of values.  Its rows are saved first,
-- and what comes out is what the statement would have done in one piece.  Foreign tables are in 46.
SET client_min_messages = warning;
SET stride.progress_interval = 0;
SET stride.workers = 2;
CREATE SCHEMA keyless;
SET search_path = keyless, public;
CREATE TABLE orders (id int PRIMARY KEY, customer int, email text, amount numeric, gone int);
INSERT INTO orders SELECT g, g % 50, 'Mail' || g || '@x', g % 100 - 5 FROM generate_series(1, 1000) AS g;
CREATE TABLE customers (customer int PRIMARY KEY, city text);
INSERT INTO customers SELECT g, 'city ' || g % 7 FROM generate_series(0, 40) AS g;
CREATE VIEW mailed AS SELECT id, customer, email, amount FROM orders WHERE amount >= 0;
CREATE VIEW rich AS SELECT customer, sum(amount) AS amount, max(id) AS id FROM orders GROUP BY customer HAVING sum(amount) > 500;
CREATE MATERIALIZED VIEW kept AS SELECT id, email, amount FROM orders WHERE amount > 50;
CREATE TABLE got (id bigint, name text, amount numeric);
CREATE FUNCTION of_view(m mailed) RETURNS text LANGUAGE sql AS $$SELECT m.email || m.amount$$;

-- Runs a statement in one piece and in chunks, and prints how many rows differ, and what drove it.
CREATE PROCEDURE compare(query text, source text DEFAULT NULL, walk text DEFAULT 'auto') LANGUAGE plpgsql AS $$
DECLARE
    differences bigint;
    outcome text;
BEGIN
    TRUNCATE got;
    COMMIT;
    CALL stride.run('INSERT INTO keyless.got ' || query, source => source, walk => walk, chunk_rows => 83, if_exists => 'new');
    SELECT format('%s by %s, key %s, %s read, %s written', state, j.walk, key, rows_read, rows_written) INTO outcome
    FROM stride.jobs AS j ORDER BY job_id DESC LIMIT 1;
    EXECUTE format('SELECT count(*) FROM ((TABLE got EXCEPT ALL (%1$s)) UNION ALL ((%1$s) EXCEPT ALL TABLE got)) AS d', query)
    INTO differences;
    RAISE WARNING '%, % differences', outcome, differences;
END $$;
CALL compare('SELECT id, lower(email), amount FROM mailed');
CALL compare('SELECT id, customer::text, amount FROM rich');
CALL compare('SELECT id, email, amount FROM kept AS k WHERE id % 3 = 0');
CALL compare('SELECT g, md5(g::text), g / 7.0 FROM generate_series(1, 1000) AS g');
CALL compare('SELECT column1, column2, column1 FROM (VALUES (1, ''a''), (2, NULL), (3, ''c'')) AS v');
CALL compare('SELECT n, word, length(word) FROM unnest(string_to_array(repeat(''a bc '', 300), '' '')) WITH ORDINALITY AS u (word, n)');
CALL compare('SELECT r.a, r.b, 1 FROM jsonb_to_recordset(''[{"a": 1, "b": "x"}, {"a": 2}]'') AS r (a int, b text)');
CALL compare('SELECT 1, ''one'', 2 FROM mailed');
-- Column names that no table could have
CREATE VIEW internal AS SELECT id AS ctid, email AS "?column?", amount AS column_2 FROM orders;
CALL compare('SELECT * FROM internal');
CALL compare('SELECT i.ctid, to_jsonb(i)::text, i.column_2 FROM internal AS i WHERE i.ctid > 7');
CALL compare('SELECT * FROM (VALUES (1, ''a'', 2), (3, ''b'', 4)) AS v (xmin, name, xmin)');
CALL compare('SELECT id AS ctid, email, amount AS ctid FROM orders ORDER BY amount, id LIMIT 7', walk => 'spool');
-- Whole rows, conditions and columns that the rows are saved by, and those that they are not
CALL compare('SELECT m.id, of_view(m), (m).amount FROM mailed AS m WHERE m.id IN (SELECT id FROM kept) AND m.amount < 90 AND m.customer = (SELECT max(customer) FROM customers) - 3');
CALL compare('SELECT id, to_jsonb(m)::text || (SELECT count(*) FROM kept AS k WHERE k.email = m.email), 1 FROM mailed AS m');
CALL compare('SELECT x.a, to_jsonb(x)::text, x.d FROM mailed AS x (a, b, c, d) WHERE x.b BETWEEN 5 AND 20');
-- Under other levels, CTEs and joins: a table drives where one can, unless the argument source says otherwise
CALL compare('SELECT s.id, s.city, s.amount FROM (SELECT m.*, c.city FROM mailed AS m LEFT JOIN kept AS k USING (id) JOIN customers AS c USING (customer)) AS s');
CALL compare('SELECT s.id, s.city, s.amount FROM (SELECT m.*, c.city FROM mailed AS m LEFT JOIN kept AS k USING (id) JOIN customers AS c USING (customer)) AS s', 'm');
CALL compare('SELECT m.id, c.city, m.amount FROM mailed AS m LEFT JOIN customers AS c USING (customer)');
CALL compare('SELECT id, upper(email), amount FROM (WITH w AS (SELECT * FROM mailed OFFSET 0) SELECT * FROM w) AS s');
CALL compare('SELECT k.id, l.name, k.amount FROM kept AS k, LATERAL (SELECT k.email || g AS name FROM generate_series(1, 3) AS g) AS l', 'k');

-- Asked for by walk => 'spool': the rows of a table that has no key, and those of a whole query that cannot be cut.
CREATE TABLE heap AS SELECT id, email, amount FROM orders;
CREATE TABLE heaps (id int, part int) PARTITION BY LIST (part);
CREATE TABLE heaps_1 PARTITION OF heaps (PRIMARY KEY (id)) FOR VALUES IN (1);
CREATE TABLE heaps_2 PARTITION OF heaps FOR VALUES IN (2);
INSERT INTO heaps SELECT id, id % 2 + 1 FROM orders;
CALL compare('SELECT id, email, amount FROM heap WHERE amount > 20', walk => 'spool');
CALL compare('SELECT id, part::text, 1 FROM heaps', walk => 'spool');
CALL compare('SELECT id, email, amount FROM orders', walk => 'spool');
CALL compare('SELECT id, ''x'', amount FROM orders ORDER BY amount DESC, id LIMIT 500', walk => 'spool');
CALL compare('SELECT DISTINCT amount, email, amount FROM orders JOIN customers USING (customer)', walk => 'spool');
CALL compare('SELECT row_number() OVER (ORDER BY email), email, sum(amount) OVER (PARTITION BY customer) FROM orders', walk => 'spool');
CALL compare('SELECT id, city, amount FROM orders FULL JOIN customers USING (customer) UNION ALL SELECT 1, ''one'', 1', walk => 'spool');
CALL compare('SELECT * FROM (WITH RECURSIVE r (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM r WHERE id < 200) SELECT id, ''recursive'', count(*) FROM r GROUP BY id) AS s', walk => 'spool');
TRUNCATE got;
CALL stride.run('WITH RECURSIVE r (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM r WHERE id < 200), s AS (SELECT id FROM orders WHERE id > 100)
    INSERT INTO got (id, name, amount) SELECT s.id, ''both'', r.id FROM r JOIN s USING (id)', walk => 'spool', chunk_rows => 30);
SELECT count(*), min(id), max(name) FROM got;
CALL stride.run_pipeline('got', source => 'heap', walk => 'spool', transform_query => 'SELECT id, email AS name FROM chunk WHERE amount > 90', chunk_rows => 83);
SELECT walk, rows_read FROM stride.jobs ORDER BY job_id DESC LIMIT 1;
SELECT item, regexp_replace(value, 'spool_\d+', 'spool_N', 'g') AS value
FROM stride.explain('INSERT INTO got SELECT id, ''x'', 1 + 1 FROM orders LIMIT 10', walk => 'spool') WHERE item IN ('source query', 'chunk statement');

-- What is saved is what the statement reads, and meets what it asks of these rows alone.
SELECT item, regexp_replace(regexp_replace(value, 'spool_\d+', 'spool_N', 'g'), 'about \d+ kB for \d+', 'about N kB for N') AS value
FROM stride.explain($$INSERT INTO got SELECT m.id, c.city FROM mailed AS m LEFT JOIN customers AS c USING (customer) WHERE m.amount > 10 AND (c.city IS NULL OR c.city > 'c') AND m.email <> c.city AND random() >= 0$$)
WHERE item IN ('source', 'source query', 'source rows', 'space', 'walk', 'key', 'key index', 'chunk statement');

-- A view that reads the target: its rows are there before the first is written.
TRUNCATE got;
INSERT INTO got SELECT g, 'first', g FROM generate_series(1, 200) AS g;
CREATE VIEW of_got AS SELECT * FROM got WHERE name = 'first' OR amount < 150;
CALL stride.run('INSERT INTO got SELECT id + 1000, ''second'', amount FROM of_got', chunk_rows => 7);
SELECT name, count(*), count(DISTINCT id) FROM got GROUP BY name ORDER BY name;

-- Partial results are merged by the user's rule; a function is called for each row.
CREATE TABLE totals (customer int PRIMARY KEY, total numeric);
CALL stride.run('INSERT INTO totals SELECT customer, sum(amount) FROM mailed GROUP BY customer ON CONFLICT (customer) DO UPDATE SET total = totals.total + excluded.total', chunk_rows => 83);
SELECT count(*) FROM (TABLE totals EXCEPT SELECT customer, sum(amount) FROM mailed GROUP BY customer) AS d;
CREATE FUNCTION note(n bigint) RETURNS void LANGUAGE sql AS $$INSERT INTO keyless.got VALUES (n, 'noted')$$;
CALL stride.run('SELECT note(n) FROM generate_series(1, 300) AS n', chunk_rows => 83);
SELECT count(*), count(DISTINCT id) FROM got WHERE name = 'noted';

-- Bad rows are kept aside with what was saved of them, and driven again.
TRUNCATE got;
ALTER TABLE got ADD CHECK (id <> 750);
CALL stride.run('INSERT INTO got SELECT id, email FROM mailed', name => 'bad view', chunk_rows => 83, on_error => 'skip');
SELECT statement, source ~ '^stride_work\.spool_\d+$' AS saved, state, rows_read, rows_written FROM stride.jobs WHERE name = 'bad view';
SELECT row_data - 'ordinal' AS row_data, sqlstate FROM stride.rejects JOIN stride.jobs USING (job_id) WHERE name = 'bad view';
ALTER TABLE got DROP CONSTRAINT got_id_check;
SELECT stride.retry_rejects(stride.job_id('bad view')) AS retry \gset
CALL stride.wait(:retry);
SELECT count(*) = (SELECT count(*) FROM mailed) AS all_rows FROM got;

-- A MERGE from such a source: what ON compares is unique among the saved rows, or nothing is written.
CREATE TABLE plain (id int UNIQUE, name text, amount numeric);
CREATE TABLE chunked (id int UNIQUE, name text, amount numeric);
CREATE PROCEDURE merge(source text, walk text DEFAULT 'auto', condition text DEFAULT 't.id = s.id', driver text DEFAULT NULL, cte text DEFAULT '') LANGUAGE plpgsql AS $$
DECLARE
    statement text := format('%s MERGE INTO keyless.%%T AS t USING %s ON %s WHEN MATCHED AND s.amount > 80 THEN DELETE WHEN MATCHED THEN '
        'UPDATE SET name = s.name, amount = s.amount WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.name, s.amount)', cte, source, condition);
    differences bigint;
    outcome text;
BEGIN
    TRUNCATE plain, chunked;
    INSERT INTO plain SELECT g, 'old', g % 9 FROM generate_series(1, 1000, 3) AS g;
    INSERT INTO chunked TABLE plain;
    EXECUTE replace(statement, '%T', 'plain');
    COMMIT;
    CALL stride.run(replace(statement, '%T', 'chunked'), source => driver, walk => walk, chunk_rows => 83, if_exists => 'new');
    SELECT format('%s by %s, key %s, %s read, %s written', state, j.walk, key, rows_read, rows_written) INTO outcome
    FROM stride.jobs AS j ORDER BY job_id DESC LIMIT 1;
    SELECT count(*) INTO differences FROM ((TABLE plain EXCEPT ALL TABLE chunked) UNION ALL (TABLE chunked EXCEPT ALL TABLE plain)) AS d;
    RAISE WARNING '%, % differences', outcome, differences;
END $$;
CALL merge('mailed AS s (id, customer, name, amount)');
CALL merge('mailed AS s (id, customer, name, amount)', condition => 't.id = s.id AND s.id % 3 = 1');
CALL merge('(VALUES (1, ''one'', 1), (2, NULL, 90), (NULL, ''three'', 3), (NULL, NULL, 4)) AS s (id, name, amount)');
CALL merge('(SELECT g AS id, md5(s::text) AS name, s.amount FROM (SELECT g, g / 7.0 AS amount FROM generate_series(1, 600) AS g WHERE g % 5 > 0) AS s) AS s');
CALL merge('jsonb_to_recordset(''[{"id": 1, "name": "x"}, {"id": 2}]'') AS s (id int, name text, amount numeric)');
CALL merge('(SELECT m.id, c.city AS name, m.amount FROM mailed AS m JOIN customers AS c USING (customer)) AS s', driver => 'm');
-- Asked for: tables without a key, what could not be cut, and columns that are no key of their table.
CALL merge('heap AS s (id, name, amount)', 'spool');
CALL merge('orders AS s (id, name, email, amount)', 'spool');
CALL merge('(SELECT customer AS id, email AS name, amount FROM orders WHERE id <= 50) AS s', 'spool', 's.id = t.id');
CALL merge('(SELECT customer AS id, max(email) AS name, sum(amount) AS amount FROM orders GROUP BY 1) AS s', 'spool');
CALL merge('(SELECT id, email AS name, row_number() OVER (ORDER BY email) AS amount FROM orders UNION ALL SELECT -1, ''one'', 1 ORDER BY 1 LIMIT 700) AS s', 'spool');
CALL merge('w AS s', 'spool', cte => 'WITH v AS (SELECT * FROM orders WHERE amount > 0), w AS (SELECT DISTINCT ON (amount) id, email AS name, amount FROM v ORDER BY amount, id)');
CALL merge('(SELECT h.id, c.city AS name, 1 AS amount FROM heap AS h JOIN mailed USING (id) JOIN customers AS c USING (customer)) AS s', 'spool');
CALL merge('(SELECT id + 1 AS id, ''next'' AS name, amount FROM chunked WHERE id % 2 = 0 UNION SELECT 5000, ''last'', 1) AS s', 'spool');
SELECT item, regexp_replace(value, 'spool_\d+', 'spool_N', 'g') AS value
FROM stride.explain('MERGE INTO chunked AS t USING (SELECT customer, sum(amount) FROM orders GROUP BY 1) AS s ON t.id = s.customer AND s.sum > 5 WHEN MATCHED THEN UPDATE SET amount = s.sum', walk => 'spool')
WHERE item IN ('source query', 'chunk statement', 'note');
-- Two rows with one key
INSERT INTO heap VALUES (500, 'twice', 1), (NULL, 'no key', 1), (NULL, 'no key', 2);
SELECT md5(string_agg(c::text, ',' ORDER BY c)) AS before FROM chunked AS c \gset
\set VERBOSITY sqlstate
CALL stride.run('MERGE INTO chunked AS t USING heap AS s ON t.id = s.id WHEN MATCHED THEN UPDATE SET name = s.email WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.email, s.amount)', walk => 'spool', name => 'twice', chunk_rows => 83);
\set VERBOSITY default
SELECT state, error_sqlstate, error_message, error_detail, error_hint, chunks FROM stride.jobs WHERE name = 'twice';
SELECT md5(string_agg(c::text, ',' ORDER BY c)) = :'before' AS unchanged FROM chunked AS c;
DELETE FROM heap WHERE email = 'twice';
CALL stride.run('MERGE INTO chunked AS t USING heap AS s ON t.id = s.id WHEN MATCHED THEN UPDATE SET name = s.email WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.email, s.amount)', walk => 'spool', name => 'twice', chunk_rows => 83, if_exists => 'resume');
SELECT count(*), count(*) FILTER (WHERE name IN ('Mail' || id || '@x', 'no key')) AS merged, (SELECT count(*) FROM heap) AS heap FROM chunked;
-- Bad rows
UPDATE chunked SET name = NULL;
ALTER TABLE chunked ADD CHECK (name <> 'Mail750@x');
CALL stride.run('MERGE INTO chunked AS t USING mailed AS s ON t.id = s.id WHEN MATCHED THEN UPDATE SET name = to_jsonb(s) ->> ''email''', name => 'bad merge', chunk_rows => 83, on_error => 'skip');
SELECT row_data - 'ordinal' AS row_data, sqlstate FROM stride.rejects JOIN stride.jobs USING (job_id) WHERE name = 'bad merge';
ALTER TABLE chunked DROP CONSTRAINT chunked_name_check;
SELECT stride.retry_rejects(stride.job_id('bad merge')) AS retry \gset
CALL stride.wait(:retry);
SELECT count(*) FROM mailed JOIN chunked USING (id) WHERE name IS DISTINCT FROM email;

-- The same statement is the same job, whose work table is made once.
SELECT stride.submit('INSERT INTO got SELECT id FROM mailed', start_at => 'infinity') AS job \gset
SELECT stride.submit('INSERT INTO got SELECT id FROM mailed', if_exists => 'skip') = :job AS same;
SELECT count(*) FROM pg_class AS c JOIN stride.jobs AS j ON j.source = 'stride_work.' || c.relname WHERE job_id = :job;
SELECT stride.cancel(:job);
\set VERBOSITY sqlstate
CALL stride.wait(:job);
\set VERBOSITY default
SELECT stride.forget(:job);

-- Names mean what they mean here, whatever comes before pg_catalog; rights on the columns that are read are enough.
CREATE FUNCTION lower(text) RETURNS text LANGUAGE sql AS $$SELECT 'mine'$$;
CREATE ROLE regress_stride_keyless LOGIN;
GRANT USAGE ON SCHEMA stride, keyless TO regress_stride_keyless;
GRANT SELECT (id, email) ON mailed TO regress_stride_keyless;
GRANT INSERT, SELECT ON got TO regress_stride_keyless;
SET ROLE regress_stride_keyless;
SET search_path = keyless, pg_catalog;
SELECT stride.submit('INSERT INTO got SELECT id, email, amount FROM mailed');
CALL stride.run('INSERT INTO got SELECT id, lower(email), id FROM mailed WHERE lower(email) = ''mine''', name => 'mine');
SELECT name, count(*) FROM got WHERE name = 'mine' GROUP BY name;
RESET ROLE;
RESET search_path;
SELECT invariant, detail FROM stride.check_invariants() WHERE NOT ok;
DROP OWNED BY regress_stride_keyless;
DROP ROLE regress_stride_keyless;
DROP SCHEMA keyless CASCADE;
