-- The look ahead counts the rows that the chunk's statement then meets: over gaps, at the ends of a type, among rows that are deleted,
-- updated, vacuumed, hidden or stored otherwise.
SET client_min_messages = warning;
SET stride.progress_interval = 0;
CREATE SCHEMA ahead;
SET search_path = ahead, public;
CREATE TABLE met (k text);

-- Copies the rows of t, and says how many chunks have read other rows than they wrote, or are smaller than they should be.
CREATE PROCEDURE walk(what text, key text DEFAULT 'k') LANGUAGE plpgsql AS $$
DECLARE
    job bigint;
    found text;
BEGIN
    TRUNCATE met;
    COMMIT;
    CALL stride.run(format('INSERT INTO met SELECT (%s)::text FROM t', key), name => what, chunk_rows => 97, workers => 1);
    SELECT format('%s rows of %s, %s keys; %s chunks are wrong, %s short', coalesce(sum(rows_read), 0), (SELECT count(*) FROM t), (SELECT count(DISTINCT k) FROM met),
                  count(*) FILTER (WHERE rows_read <> rows_written), count(*) FILTER (WHERE rows_read <> 97 AND NOT last)) INTO found
    FROM (SELECT c.*, chunk = max(chunk) OVER (PARTITION BY split) AS last FROM stride.chunks AS c WHERE job_id = stride.job_id(what)) AS c;
    RAISE WARNING '%: %', what, found;
END $$;

-- Keys of every density, both ends of the type among them.
CREATE TABLE t AS SELECT k::smallint FROM generate_series(-32768, 32767) AS k WHERE k % 40 = 0 OR k BETWEEN -32768 AND -32700 OR k BETWEEN 1000 AND 2500 OR k > 32700;
ALTER TABLE t ADD PRIMARY KEY (k);
CALL walk('smallint');
DROP TABLE t;
CREATE TABLE t AS SELECT (CASE WHEN g < 9 THEN 0 WHEN g < 500 THEN 9223372036854775308 WHEN g < 1000 THEN -9223372036854776308 ELSE 1 END + g)::bigint AS k FROM generate_series(0, 2000) AS g;
ALTER TABLE t ADD PRIMARY KEY (k);
SELECT min(k), max(k) FROM t;
CALL walk('bigint');
DROP TABLE t;

-- Keys of several columns and directions, with more columns in the index, which need not hold all of a text.
CREATE TABLE t AS SELECT CASE WHEN g > 2000 THEN 'small ' || g % 9 ELSE repeat('large', 60) END AS a, g / 10 AS b, md5(g::text) AS c, g AS d FROM generate_series(1, 2500) AS g;
ALTER TABLE t ALTER a SET NOT NULL, ALTER b SET NOT NULL, ALTER c SET NOT NULL;
CREATE UNIQUE INDEX ON t (a, b DESC, c) INCLUDE (d);
CALL walk('composite', 't');
DROP TABLE t;
CREATE TABLE t AS SELECT ('n' || g)::name AS k FROM generate_series(1, 1500) AS g;
ALTER TABLE t ADD PRIMARY KEY (k);
CALL walk('name');
DROP TABLE t;

-- Dead entries; then many versions of each row, which share entries; then a map of visible pages, and rows that change after it.
CREATE TABLE t AS SELECT g AS k, 0 AS n FROM generate_series(1, 6000) AS g;
ALTER TABLE t ADD PRIMARY KEY (k);
CREATE INDEX ON t (n);
DELETE FROM t WHERE k % 7 = 0 OR k BETWEEN 2000 AND 4000;
CALL walk('deleted');
DO $$ BEGIN FOR i IN 1 .. 8 LOOP UPDATE t SET n = n + 1 WHERE k % 3 = 0; END LOOP; END $$;
CALL walk('updated');
VACUUM t;
CALL walk('vacuumed');
DELETE FROM t WHERE k % 100 < 10;
UPDATE t SET n = n + 1 WHERE k > 5000 AND k % 5 = 0;
INSERT INTO t SELECT g, 0 FROM generate_series(2100, 3000) AS g;
CALL walk('changed');
DELETE FROM t;
CALL walk('emptied');
DROP TABLE t;

-- The leaves of a tree; rows that the owner may not see.
CREATE TABLE t (k int PRIMARY KEY, v text) PARTITION BY RANGE (k);
CREATE TABLE t_low PARTITION OF t FOR VALUES FROM (1) TO (1000);
CREATE TABLE t_high (v text, k int NOT NULL);
ALTER TABLE t ATTACH PARTITION t_high FOR VALUES FROM (1000) TO (3000);
INSERT INTO t SELECT g, 'row ' || g FROM generate_series(1, 2999) AS g;
CALL walk('leaves');
CREATE ROLE regress_ahead LOGIN;
GRANT USAGE ON SCHEMA stride, ahead TO regress_ahead;
GRANT ALL ON t, met TO regress_ahead;
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
CREATE POLICY thirds ON t USING (k % 3 = 0);
SET ROLE regress_ahead;
CALL walk('hidden');
RESET ROLE;

SELECT invariant, detail FROM stride.check_invariants() WHERE NOT ok;
RESET search_path;
DROP SCHEMA ahead CASCADE;
DROP OWNED BY regress_ahead;
DROP ROLE regress_ahead;
