-- B-tree entries that the bulk sink puts in by the page: what it costs, that every kind of index is sound, and what it leaves
-- to PostgreSQL: equal keys, dead entries, long entries, other indexes.
SET client_min_messages = warning;
SET stride.progress_interval = 0;
CREATE EXTENSION amcheck;
CREATE EXTENSION pg_walinspect;
CREATE SCHEMA runs;
SET search_path = runs, public;

CREATE TABLE source (id bigint PRIMARY KEY, note text);
INSERT INTO source SELECT g, 'Note ' || g FROM generate_series(1, 30000) AS g;
ANALYZE source;

-- Every entry is searched from the root and held against the rows.
CREATE FUNCTION check_indexes(target regclass) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    checked bigint := 0;
    tree regclass;
BEGIN
    FOR tree IN SELECT indexrelid FROM pg_index JOIN pg_class ON oid = indexrelid JOIN pg_am AS am ON am.oid = relam WHERE indrelid = target AND amname = 'btree' LOOP
        PERFORM bt_index_parent_check(tree, true, true);
        checked := checked + 1;
    END LOOP;
    RETURN checked;
END $$;

-- One descent, one lock and one WAL record for all keys that follow each other on a page.
CREATE TABLE keyed (id bigint PRIMARY KEY, note text);
SELECT pg_current_wal_insert_lsn() AS start \gset
CALL stride.run('INSERT INTO keyed SELECT id, note FROM source WHERE id % 10 <> 0', workers => 1);
SELECT sum(count) FILTER (WHERE record LIKE 'Generic%') > 0 AS by_the_page, sum(count) FILTER (WHERE record ~ '^(Btree|Generic)') < 27000 / 20 AS with_few_records
FROM pg_get_wal_stats(:'start', pg_current_wal_flush_lsn(), true) AS s(record);

-- Between keys that are there already; then some of them are dead, and come again.
CALL stride.run('INSERT INTO keyed SELECT id, note FROM source WHERE id % 10 = 0', workers => 2, chunk_rows => 1000);
SELECT count(*), check_indexes('keyed') FROM keyed;
DELETE FROM keyed WHERE id BETWEEN 5000 AND 15000;
VACUUM (INDEX_CLEANUP OFF) keyed;
SET enable_seqscan = off;
SELECT count(note) FROM keyed WHERE id > 0;
RESET enable_seqscan;
CALL stride.run('INSERT INTO keyed SELECT id, note FROM source WHERE id BETWEEN 5000 AND 15000', workers => 2);
SELECT count(*), check_indexes('keyed') FROM keyed;

-- Keys of all kinds, in and out of order, with NULLs, many alike, too long, partial, computed, and indexes that are not ours.
CREATE TABLE target (id bigint PRIMARY KEY, even int UNIQUE, single int UNIQUE NULLS NOT DISTINCT, status text, hash text, note text, long text, amount numeric UNIQUE DEFERRABLE);
CREATE UNIQUE INDEX ON target (hash COLLATE "C" DESC);
CREATE INDEX ON target (status, id DESC) INCLUDE (note);
CREATE INDEX ON target (status);
CREATE INDEX ON target (even DESC NULLS LAST, note DESC);
CREATE INDEX ON target (lower(note)) WHERE id % 3 = 0;
CREATE INDEX ON target (long);
CREATE INDEX ON target (amount) WITH (fillfactor = 50, deduplicate_items = off);
CREATE INDEX ON target USING hash (note);
CALL stride.run($$INSERT INTO target SELECT id, CASE WHEN id % 2 = 0 THEN id END, nullif(id, 777), 'status ' || id % 5, md5(id::text), note,
    CASE WHEN id % 500 = 0 THEN (SELECT string_agg(md5(i::text || note), '') FROM generate_series(1, 80) AS i) ELSE note END, id / 7.0 FROM source$$, workers => 2, chunk_rows => 6000);
SELECT count(*), check_indexes('target') FROM target;

-- A key that comes twice in one chunk, in either index, one that is there, and one that no page has room for: the rows before
-- it are written.
\set VERBOSITY sqlstate
CREATE TABLE doubled (id bigint PRIMARY KEY, note text UNIQUE);
CALL stride.run($$INSERT INTO doubled SELECT id, CASE id WHEN 9000 THEN 'Note 8990' ELSE note END FROM source$$, workers => 1, chunk_rows => 30000);
SELECT count(*), check_indexes('doubled') FROM doubled;
TRUNCATE doubled;
CALL stride.run($$INSERT INTO doubled SELECT CASE id WHEN 700 THEN 699 ELSE id END, note FROM source$$, workers => 1, chunk_rows => 30000);
SELECT count(*), check_indexes('doubled') FROM doubled;
CALL stride.run($$INSERT INTO doubled SELECT CASE id WHEN 20000 THEN 500 ELSE id END, note FROM source WHERE id >= 10000$$, workers => 1, chunk_rows => 30000);
SELECT count(*), check_indexes('doubled') FROM doubled;
TRUNCATE doubled;
CALL stride.run($$INSERT INTO doubled SELECT id, CASE id WHEN 1 THEN (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 90) AS i) ELSE note END FROM source$$, workers => 1, chunk_rows => 30000);
SELECT count(*), check_indexes('doubled') FROM doubled;
\set VERBOSITY default
SELECT state, rows_written, error_message FROM stride.jobs WHERE target = 'runs.doubled' ORDER BY job_id;

SELECT invariant, detail FROM stride.check_invariants() WHERE NOT ok;
RESET search_path;
DROP SCHEMA runs CASCADE;
DROP EXTENSION amcheck;
DROP EXTENSION pg_walinspect;
