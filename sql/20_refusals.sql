-- Every statement that pg_stride refuses to run in chunks, with the reason and the next thing to do.  explain() judges as
-- submit() does and runs nothing; the statements that are accepted stand beside the refused ones, as "accepted".
\set VERBOSITY default
SET client_min_messages = warning;
CREATE SCHEMA refusals;
SET search_path = refusals, public;
CREATE TABLE customers (id int PRIMARY KEY, name text);
CREATE TABLE orders (id int PRIMARY KEY, customer_id int, email text, amount numeric, placed_at timestamptz,
                     rounded int GENERATED ALWAYS AS (amount) STORED);
CREATE TABLE derived (id int NOT NULL, twice int GENERATED ALWAYS AS (id * 2) STORED PRIMARY KEY);
CREATE TABLE orders_copy (id int PRIMARY KEY, email text, amount numeric);
CREATE TABLE totals (customer_id int PRIMARY KEY, total numeric);
CREATE TABLE no_key (id int, email text);
CREATE TABLE serial_key (id int UNIQUE DEFERRABLE, email text);
CREATE VIEW orders_view AS SELECT * FROM orders;
CREATE VIEW copy_view AS SELECT * FROM orders_copy;
CREATE VIEW copy_view_view AS SELECT * FROM copy_view;
CREATE MATERIALIZED VIEW orders_mat AS SELECT * FROM orders;
CREATE SEQUENCE numbers;
CREATE UNLOGGED TABLE fleeting (id int PRIMARY KEY, email text);
CREATE TEMP TABLE transient (id int PRIMARY KEY, email text);
CREATE TABLE parts (id int, region int, email text, PRIMARY KEY (region, id)) PARTITION BY RANGE (region);
CREATE TABLE parts_low PARTITION OF parts FOR VALUES FROM (0) TO (10);
CREATE TABLE parent (id int PRIMARY KEY, email text);
CREATE TABLE child (more int) INHERITS (parent);
CREATE TABLE ruled (id int PRIMARY KEY, email text);
CREATE RULE rewrite AS ON INSERT TO ruled DO INSTEAD NOTHING;
CREATE VIEW ruled_view AS SELECT * FROM ruled;
CREATE VIEW fleeting_view AS SELECT * FROM fleeting;
CREATE VIEW catalog_view AS SELECT objid FROM pg_depend;
CREATE VIEW joined_view AS SELECT o.id, o.email FROM orders_copy AS o JOIN no_key USING (id);
CREATE FOREIGN DATA WRAPPER refusals_wrapper;
CREATE SERVER refusals_server FOREIGN DATA WRAPPER refusals_wrapper;
CREATE FOREIGN TABLE distant (id int, email text) SERVER refusals_server;
CREATE FUNCTION work_on(id int) RETURNS int LANGUAGE sql VOLATILE AS 'SELECT id';
CREATE FUNCTION work_off(id int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT id';
CREATE FUNCTION pg_temp.fleeting_work(id int) RETURNS int LANGUAGE sql VOLATILE AS 'SELECT id';
CREATE PROCEDURE call_me() LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION accepted(statement text, source text DEFAULT NULL, settings jsonb DEFAULT '{}') RETURNS text
    LANGUAGE sql AS $$ SELECT CASE WHEN count(*) > 0 THEN 'accepted' END FROM stride.explain(statement, source => source, settings => settings) $$;

-- Not one statement that can be analysed
SELECT * FROM stride.explain(NULL);
\echo :SQLSTATE
SELECT * FROM stride.explain('');
\echo :SQLSTATE
SELECT * FROM stride.explain(' ; -- nothing ');
SELECT * FROM stride.explain('UPDAT orders');
\echo :SQLSTATE
SELECT * FROM stride.explain($$DELETE FROM orders; DELETE FROM customers$$);
\echo :SQLSTATE
SELECT * FROM stride.explain($$DELETE FROM orders WHERE id = $1$$);
\echo :SQLSTATE
SELECT * FROM stride.explain($$DELETE FROM nowhere$$);
\echo :SQLSTATE
SELECT * FROM stride.explain($$UPDATE orders SET nothing = 1$$);
\echo :SQLSTATE

-- Commands
SELECT * FROM stride.explain($$VACUUM orders$$);
\echo :SQLSTATE
SELECT * FROM stride.explain($$CALL call_me()$$);
SELECT * FROM stride.explain($$CREATE TABLE t AS SELECT * FROM orders$$);
SELECT * FROM stride.explain($$SELECT * INTO t FROM orders$$);
SELECT * FROM stride.explain($$SELECT id INTO t FROM orders UNION ALL SELECT id FROM customers$$);
SELECT * FROM stride.explain($$COPY orders TO STDOUT$$);
SELECT * FROM stride.explain($$TRUNCATE orders$$);
SELECT * FROM stride.explain($$EXPLAIN DELETE FROM orders$$);
SELECT * FROM stride.explain($$BEGIN$$);
SELECT * FROM stride.explain($$DO 'BEGIN END'$$);

-- Nothing to walk
SELECT * FROM stride.explain($$INSERT INTO orders_copy VALUES (1, 'a', 2)$$);
SELECT * FROM stride.explain($$INSERT INTO orders_copy VALUES (1, 'a', 2), (2, 'b', 3)$$);
SELECT * FROM stride.explain($$INSERT INTO orders_copy DEFAULT VALUES$$);
SELECT accepted($$INSERT INTO orders_copy SELECT i FROM generate_series(1, 10) i$$);
SELECT * FROM stride.explain($$INSERT INTO orders_copy SELECT i FROM generate_series(1, 10) i$$, walk => 'key');
SELECT * FROM stride.explain($$SELECT work_on(1)$$);
SELECT * FROM stride.explain($$VALUES (1)$$);
SELECT accepted($$INSERT INTO orders_copy SELECT id, email FROM orders_view$$);
SELECT accepted($$INSERT INTO orders_copy SELECT id, email FROM orders_mat$$);
SELECT * FROM stride.explain($$INSERT INTO orders_copy SELECT id, email FROM orders_view$$, key => '{id}');
SELECT * FROM stride.explain($$INSERT INTO orders_copy SELECT id, email FROM orders_mat$$, walk => 'stream');
SELECT * FROM stride.explain($$INSERT INTO orders_copy SELECT id, email FROM orders_view LIMIT 10$$);
SELECT * FROM stride.explain($$INSERT INTO orders_copy SELECT max(i), 'a' FROM generate_series(1, 10) i$$);
SELECT * FROM stride.explain($$INSERT INTO orders_copy SELECT c.id, v.email FROM customers c LEFT JOIN orders_view v ON v.customer_id = c.id$$, source => 'v');
SELECT * FROM stride.explain($$INSERT INTO orders_copy SELECT id, email FROM orders_view FOR UPDATE$$);
SELECT * FROM stride.explain($$INSERT INTO orders_copy SELECT id, email FROM orders_mat WHERE tableoid > 0$$);
SELECT * FROM stride.explain($$INSERT INTO orders_copy SELECT c.id, s.name FROM customers c, LATERAL (SELECT * FROM unnest(ARRAY[c.name]) AS name) s$$, source => 'name');
SELECT * FROM stride.explain($$INSERT INTO orders_copy SELECT id, 'a' FROM stride.jobs AS j (id)$$);
SELECT accepted($$MERGE INTO orders_copy t USING orders_view s ON t.id = s.id WHEN MATCHED THEN DELETE$$);
SELECT * FROM stride.explain($$MERGE INTO orders_copy t USING orders_view s ON t.id = s.id WHEN MATCHED THEN DELETE$$, walk => 'key');
SELECT * FROM stride.explain($$SELECT id FROM orders$$);
SELECT * FROM stride.explain($$SELECT work_off(id) FROM orders$$);
SELECT accepted($$SELECT work_on(id) FROM orders$$);

-- Rows that depend on other rows of the driving relation
SELECT * FROM stride.explain($$INSERT INTO orders_copy SELECT id, email FROM orders LIMIT 10$$);
\echo :SQLSTATE
SELECT * FROM stride.explain($$INSERT INTO orders_copy SELECT id, email FROM orders OFFSET 10$$);
SELECT * FROM stride.explain($$INSERT INTO orders_copy SELECT id, email FROM (SELECT * FROM orders LIMIT 10) o$$);
SELECT * FROM stride.explain($$INSERT INTO orders_copy SELECT DISTINCT id, email FROM orders$$);
SELECT * FROM stride.explain($$INSERT INTO orders_copy SELECT DISTINCT ON (email) id, email FROM orders$$);
SELECT * FROM stride.explain($$INSERT INTO orders_copy SELECT row_number() OVER (ORDER BY id), email FROM orders$$);
SELECT * FROM stride.explain($$INSERT INTO orders_copy SELECT id, email FROM orders UNION ALL SELECT id, name FROM customers$$);
SELECT * FROM stride.explain($$INSERT INTO orders_copy SELECT id, email FROM orders EXCEPT SELECT id, name FROM customers$$);
SELECT * FROM stride.explain($$INSERT INTO totals SELECT customer_id, sum(amount) FROM orders GROUP BY 1$$);
SELECT * FROM stride.explain($$INSERT INTO totals SELECT customer_id, sum(amount) FROM orders GROUP BY 1 ON CONFLICT DO NOTHING$$);
SELECT * FROM stride.explain($$INSERT INTO totals SELECT max(id) FROM orders$$);
SELECT * FROM stride.explain($$SELECT count(work_on(id)) FROM orders$$);
SELECT * FROM stride.explain($$INSERT INTO totals SELECT customer_id, sum(amount) FROM orders GROUP BY 1 HAVING sum(amount) > 10
    ON CONFLICT (customer_id) DO UPDATE SET total = totals.total + excluded.total$$);
SELECT * FROM stride.explain($$INSERT INTO totals SELECT n, count(*) FROM (SELECT count(*) AS n FROM orders GROUP BY customer_id) o GROUP BY 1
    ON CONFLICT (customer_id) DO UPDATE SET total = totals.total + excluded.total$$);
SELECT accepted($$INSERT INTO totals SELECT customer_id, sum(amount) FROM orders GROUP BY 1
    ON CONFLICT (customer_id) DO UPDATE SET total = totals.total + excluded.total$$);
SELECT * FROM stride.explain($$INSERT INTO orders_copy SELECT c.id, o.email FROM customers c FULL JOIN orders o ON o.customer_id = c.id$$);
SELECT * FROM stride.explain($$INSERT INTO orders_copy SELECT c.id, o.email FROM customers c LEFT JOIN orders o ON o.customer_id = c.id$$,
    source => 'o');
SELECT accepted($$INSERT INTO orders_copy SELECT c.id, o.email FROM customers c LEFT JOIN orders o ON o.customer_id = c.id$$);
SELECT * FROM stride.explain($$WITH o AS (SELECT * FROM orders) INSERT INTO orders_copy SELECT a.id, b.email FROM o a JOIN o b ON a.id = b.customer_id$$);
SELECT * FROM stride.explain($$WITH RECURSIVE r AS (SELECT id FROM orders UNION SELECT id + 1 FROM r WHERE id < 10) INSERT INTO orders_copy SELECT id FROM r$$);
SELECT accepted($$WITH o AS (SELECT * FROM orders) INSERT INTO orders_copy SELECT id, email FROM o$$);

-- Which table drives
SELECT * FROM stride.explain($$INSERT INTO orders_copy SELECT o.id, name FROM orders o JOIN customers c ON c.id = customer_id$$, source => 'x');
\echo :SQLSTATE
SELECT * FROM stride.explain($$INSERT INTO orders_copy SELECT o.id, p.email FROM orders o JOIN (SELECT o.* FROM orders o) p USING (id)$$, source => 'o');
\echo :SQLSTATE
SELECT * FROM stride.explain($$INSERT INTO orders_copy SELECT a.id, b.email FROM (SELECT * FROM orders) a JOIN (SELECT * FROM orders) b USING (id)$$);
\echo :SQLSTATE
SELECT accepted($$INSERT INTO orders_copy SELECT o.id, name FROM orders o JOIN customers c ON c.id = customer_id$$, 'c');
SELECT accepted($$INSERT INTO orders_copy SELECT id, email FROM parts$$);
SELECT accepted($$UPDATE parts SET email = lower(email)$$);
SELECT accepted($$INSERT INTO parts SELECT id, 1, email FROM orders$$);
SELECT * FROM stride.explain($$INSERT INTO orders_copy SELECT id, email FROM parent$$);
SELECT * FROM stride.explain($$DELETE FROM parent$$);
SELECT accepted($$DELETE FROM ONLY parent$$);
SELECT * FROM stride.explain($$INSERT INTO orders_copy SELECT id, email FROM distant$$, walk => 'key');
SELECT * FROM stride.explain($$UPDATE distant SET email = lower(email)$$, settings => '{"delivery": "at_least_once"}');
SELECT * FROM stride.explain($$INSERT INTO orders_copy SELECT id, email FROM orders TABLESAMPLE bernoulli (10)$$);

-- Reading what is written
SELECT * FROM stride.explain($$UPDATE orders SET amount = (SELECT max(amount) FROM orders)$$);
SELECT * FROM stride.explain($$DELETE FROM orders USING orders other WHERE other.email = orders.email AND other.id < orders.id$$);
SELECT * FROM stride.explain($$INSERT INTO orders_copy SELECT id, email FROM orders o WHERE NOT EXISTS (SELECT FROM orders_copy c WHERE c.id = o.id)$$);
SELECT accepted($$INSERT INTO orders_copy SELECT id, email FROM orders o WHERE NOT EXISTS (SELECT FROM orders_copy c WHERE c.id = o.id)$$,
    settings => '{"self_reference": "per_chunk"}');
SELECT * FROM stride.explain($$WITH c AS (SELECT id FROM orders_copy) INSERT INTO orders_copy SELECT id, email FROM orders WHERE id NOT IN (SELECT id FROM c)$$);
SELECT * FROM stride.explain($$INSERT INTO orders_copy SELECT id, email FROM orders WHERE id NOT IN (SELECT id FROM copy_view_view)$$);
SELECT * FROM stride.explain($$INSERT INTO parts_low SELECT id, 1, email FROM orders WHERE id NOT IN (SELECT id FROM parts)$$);
SELECT * FROM stride.explain($$INSERT INTO parts SELECT id, 1, email FROM orders WHERE id NOT IN (SELECT id FROM parts_low)$$);
SELECT * FROM stride.explain($$INSERT INTO orders (id, email) SELECT id + 1000, email FROM orders$$);
SELECT * FROM stride.explain($$INSERT INTO orders (id, email) SELECT id + 1000, email FROM orders$$, settings => '{"self_reference": "per_chunk"}');
SELECT * FROM stride.explain($$INSERT INTO parts SELECT id, 2, email FROM parts_low$$);

-- Moving rows
SELECT * FROM stride.explain($$UPDATE orders SET id = id + 1$$);
SELECT * FROM stride.explain($$UPDATE derived SET id = id + 1$$);
SELECT * FROM stride.explain($$UPDATE parts_low SET region = region + 1$$);
SELECT * FROM stride.explain($$INSERT INTO parts SELECT id, 1, email FROM orders ON CONFLICT (region, id) DO UPDATE SET region = 2$$);
SELECT accepted($$UPDATE orders SET customer_id = customer_id + 1$$);

-- MERGE
SELECT * FROM stride.explain($$MERGE INTO orders_copy t USING no_key s ON t.id = s.id WHEN MATCHED THEN DELETE$$);
SELECT * FROM stride.explain($$MERGE INTO orders_copy t USING serial_key s ON t.id = s.id WHEN MATCHED THEN DELETE$$);
SELECT * FROM stride.explain($$MERGE INTO orders_copy t USING orders s ON t.email = s.email WHEN MATCHED THEN DELETE$$);
SELECT * FROM stride.explain($$MERGE INTO orders_copy t USING orders s ON t.id >= s.id WHEN MATCHED THEN DELETE$$);
SELECT * FROM stride.explain($$MERGE INTO orders_copy t USING (orders o JOIN no_key n ON n.id = o.id) ON t.id = o.id WHEN MATCHED THEN DELETE$$);
SELECT * FROM stride.explain($$MERGE INTO orders_copy t USING (SELECT customer_id, sum(amount) FROM orders GROUP BY 1) s ON t.id = s.customer_id WHEN MATCHED THEN DELETE$$);
SELECT * FROM stride.explain($$MERGE INTO orders_copy t USING (SELECT o.* FROM orders o WHERE id IN (SELECT id FROM orders_copy)) s ON t.id = s.id WHEN MATCHED THEN DELETE$$);
SELECT * FROM stride.explain($$MERGE INTO orders_copy t USING orders s ON t.id = s.id WHEN MATCHED AND s.tableoid = 1 THEN DELETE$$);
SELECT * FROM stride.explain($$MERGE INTO orders_copy t USING orders s ON t.id = s.id WHEN MATCHED THEN UPDATE SET id = s.id + 1$$);
SELECT * FROM stride.explain($$MERGE INTO orders_copy t USING orders s ON t.id = s.id WHEN NOT MATCHED THEN INSERT (id) VALUES (s.customer_id)$$);
SELECT accepted($$MERGE INTO orders_copy t USING (VALUES (1)) s (id) ON t.id = s.id WHEN MATCHED THEN DELETE$$);
-- Saved rows prove it by columns that are compared, as they are, and inserted.
SELECT * FROM stride.explain($$MERGE INTO orders_copy t USING no_key s ON t.id > s.id WHEN MATCHED THEN DELETE$$, walk => 'spool');
SELECT * FROM stride.explain($$MERGE INTO orders_copy t USING orders_view s ON t.amount = s.id WHEN MATCHED THEN DELETE$$);
SELECT * FROM stride.explain($$MERGE INTO orders_copy t USING (orders_view s JOIN no_key n USING (id)) ON t.id = s.id WHEN MATCHED THEN DELETE$$, source => 's');
SELECT * FROM stride.explain($$MERGE INTO orders_copy t USING orders_view s ON t.id = s.id AND t.email = s.email WHEN NOT MATCHED THEN INSERT (id) VALUES (s.id)$$);
SELECT accepted($$MERGE INTO orders_copy t USING orders s ON t.id = s.id WHEN MATCHED THEN UPDATE SET email = s.email
    WHEN NOT MATCHED THEN INSERT (id, email) VALUES (s.id, s.email)$$);
SELECT accepted($$MERGE INTO orders_copy t USING (SELECT o.id, c.name FROM orders o JOIN customers c ON c.id = o.customer_id) s ON t.id = s.id
    WHEN MATCHED THEN UPDATE SET email = s.name$$);

-- Rows that nobody would receive, locks, cursors
SELECT * FROM stride.explain($$UPDATE orders SET email = lower(email) RETURNING id$$);
SELECT * FROM stride.explain($$WITH gone AS (DELETE FROM customers RETURNING id) DELETE FROM orders WHERE customer_id IN (SELECT id FROM gone)$$);
SELECT * FROM stride.explain($$INSERT INTO orders_copy SELECT id, email FROM orders FOR UPDATE SKIP LOCKED$$);
SELECT * FROM stride.explain($$DELETE FROM orders WHERE CURRENT OF some_cursor$$);
SELECT * FROM stride.explain($$SELECT work_on(id) FROM orders, now() n$$);

-- Relations that cannot be written, or not by workers
SELECT * FROM stride.explain($$UPDATE orders_view SET email = lower(email)$$);
\echo :SQLSTATE
SELECT * FROM stride.explain($$INSERT INTO orders_mat SELECT * FROM orders$$);
SELECT accepted($$INSERT INTO copy_view_view SELECT id, email FROM orders$$);
SELECT * FROM stride.explain($$INSERT INTO orders_view (id, email) SELECT id + 1000, email FROM orders$$);
SELECT * FROM stride.explain($$INSERT INTO copy_view_view SELECT id, email FROM orders WHERE id NOT IN (SELECT id FROM orders_copy)$$);
SELECT * FROM stride.explain($$INSERT INTO orders_copy SELECT o.id, v.email FROM orders o JOIN copy_view_view v USING (id)$$, source => 'o');
SELECT * FROM stride.explain($$INSERT INTO fleeting_view SELECT id, email FROM orders$$);
SELECT * FROM stride.explain($$INSERT INTO ruled_view SELECT id, email FROM orders$$);
SELECT * FROM stride.explain($$INSERT INTO catalog_view SELECT 1 FROM orders$$);
SELECT * FROM stride.explain($$INSERT INTO joined_view SELECT id, email FROM orders$$);
SELECT * FROM stride.explain($$INSERT INTO numbers SELECT id FROM orders$$);
SELECT * FROM stride.explain($$INSERT INTO ruled SELECT id, email FROM orders$$);
SELECT * FROM stride.explain($$INSERT INTO fleeting SELECT id, email FROM orders$$);
SELECT accepted($$INSERT INTO fleeting SELECT id, email FROM orders$$, settings => '{"delivery": "at_least_once"}');
SELECT * FROM stride.explain($$INSERT INTO distant SELECT id, email FROM orders$$);
SELECT accepted($$INSERT INTO distant SELECT id, email FROM orders$$, settings => '{"delivery": "at_least_once"}');
SELECT * FROM stride.explain($$INSERT INTO transient SELECT id, email FROM orders$$);
SELECT * FROM stride.explain($$INSERT INTO orders_copy SELECT o.id, t.email FROM orders o JOIN transient t USING (id)$$);
SELECT * FROM stride.explain($$SELECT pg_temp.fleeting_work(id) FROM orders$$);
SELECT * FROM stride.explain($$DELETE FROM pg_class$$);
SELECT * FROM stride.explain($$INSERT INTO orders_copy SELECT oid::int, relname FROM pg_class$$);
SELECT * FROM stride.explain($$DELETE FROM information_schema.sql_features$$);
SELECT * FROM stride.explain($$INSERT INTO orders_copy SELECT o.id, name FROM orders o, stride.jobs$$);

-- Privileges are asked for before anything is stored
CREATE ROLE regress_stride_refused LOGIN;
GRANT USAGE ON SCHEMA stride, refusals TO regress_stride_refused;
GRANT SELECT, UPDATE (email) ON orders TO regress_stride_refused;
REVOKE EXECUTE ON FUNCTION work_on(int) FROM PUBLIC;
SET ROLE regress_stride_refused;
SELECT * FROM stride.explain($$DELETE FROM orders$$);
\echo :SQLSTATE
SELECT * FROM stride.explain($$UPDATE orders SET amount = 0$$);
SELECT * FROM stride.explain($$UPDATE orders SET email = (SELECT name FROM customers LIMIT 1)$$);
SELECT * FROM stride.explain($$WITH c AS (SELECT * FROM customers) UPDATE orders SET email = c.name FROM c$$);
SELECT * FROM stride.explain($$SELECT work_on(id) FROM orders$$);
SELECT accepted($$UPDATE orders SET email = lower(email)$$);
RESET ROLE;

DROP OWNED BY regress_stride_refused;
DROP ROLE regress_stride_refused;
DROP TABLE transient;
DROP SCHEMA refusals CASCADE;
DROP FOREIGN DATA WRAPPER refusals_wrapper CASCADE;
