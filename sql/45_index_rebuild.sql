-- indexes => 'rebuild': which indexes of the target are dropped during the load and rebuilt at its end, and what is refused.
-- Crashes, cancels and restores are in test/t/017_index_rebuild.pl.
SET client_min_messages = warning;
SET stride.progress_interval = 0;
CREATE SCHEMA rebuilds;
SET search_path = rebuilds, public;

CREATE TABLE source (id int PRIMARY KEY, span int4range NOT NULL, name text);
INSERT INTO source SELECT g, int4range(g, g + 1), md5(g::text) FROM generate_series(1, 500) AS g;

-- One index of each kind.
CREATE TABLE target (LIKE source INCLUDING GENERATED);
ALTER TABLE target ADD PRIMARY KEY (id), ADD CONSTRAINT apart EXCLUDE USING gist (span WITH &&);
CREATE UNIQUE INDEX unique_one ON target (name, id);
CREATE INDEX plain ON target (name DESC) INCLUDE (id) WITH (fillfactor = 70);
CREATE INDEX "Partial ""one""" ON target USING hash (lower(name)) WHERE id > 10;
CREATE INDEX spans ON target USING gist (span);
CREATE INDEX physical ON target (id, name);
CREATE INDEX owned ON target (id);
CREATE INDEX broken ON target (span);
COMMENT ON INDEX spans IS 'it''s gist';
ALTER TABLE target CLUSTER ON physical;
ALTER INDEX owned DEPENDS ON EXTENSION plpgsql;
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'broken'::regclass;

SELECT item, value FROM stride.explain_pipeline('target', source => 'source', indexes => 'rebuild') WHERE item LIKE 'index %';
SELECT count(*) FROM stride.explain_pipeline('target', source => 'source') WHERE item LIKE 'index %';

CREATE VIEW target_indexes AS
SELECT c.relname, pg_get_indexdef(c.oid) AS definition, obj_description(c.oid) AS comment, c.reltuples, i.indisvalid
FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid WHERE i.indrelid = 'target'::regclass;
CREATE TABLE before AS SELECT relname, definition, comment, indisvalid FROM target_indexes;
CREATE TABLE oids AS SELECT oid, relname FROM pg_class WHERE oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = 'target'::regclass);
CALL stride.run_pipeline('target', source => 'source', indexes => 'rebuild', chunk_rows => 100);
SELECT state, indexes, rebuild_ms > 0 AS timed, rows_written FROM stride.jobs ORDER BY job_id DESC LIMIT 1;
SELECT table_name, index_name, state, definition, comment, attempts, settled_at > dropped_at AS settled, rebuild_ms > 0 AS timed
FROM stride.dropped_indexes ORDER BY index_name;
SELECT relname, definition, comment, indisvalid FROM target_indexes EXCEPT TABLE before;
TABLE before EXCEPT SELECT relname, definition, comment, indisvalid FROM target_indexes;
-- Those that were dropped are others now.
SELECT relname FROM oids WHERE NOT EXISTS (SELECT FROM pg_class AS c WHERE c.oid = oids.oid) ORDER BY 1;
SELECT count(*) FROM (TABLE source EXCEPT ALL TABLE target) AS missing;

-- A table without such indexes
CREATE TABLE bare (LIKE source);
CALL stride.run_pipeline('bare', source => 'source', indexes => 'rebuild');
SELECT count(*) FROM bare;

-- Refused: a table with rows, one that others refer to, partitioned tables and partitions.
\set VERBOSITY default
SELECT stride.submit_pipeline('bare', source => 'source', indexes => 'rebuild', if_exists => 'new');
TRUNCATE target;
CREATE TABLE referring (id int REFERENCES target);
SELECT stride.submit_pipeline('target', source => 'source', indexes => 'rebuild', if_exists => 'new');
SELECT * FROM stride.explain_pipeline('target', source => 'source', indexes => 'rebuild');
DROP TABLE referring;
CREATE TABLE parts (LIKE source) PARTITION BY RANGE (id);
CREATE TABLE part PARTITION OF parts DEFAULT;
SELECT stride.submit_pipeline('parts', source => 'source', indexes => 'rebuild');
SELECT stride.submit_pipeline('part', source => 'source', indexes => 'rebuild');

-- So is one that has got rows until the job starts.
CREATE TABLE filled (LIKE source INCLUDING ALL);
BEGIN;
SELECT stride.submit_pipeline('filled', source => 'source', indexes => 'rebuild') AS job \gset
INSERT INTO filled TABLE source;
COMMIT;
\set VERBOSITY sqlstate
CALL stride.wait(:job);
\set VERBOSITY default
SELECT error_message, error_detail, error_hint, error_context IS NULL AS without_context FROM stride.jobs WHERE job_id = :job \gx

-- A table that refers to itself is none of these.
CREATE TABLE tree (LIKE source INCLUDING INDEXES, parent int);
ALTER TABLE tree ADD FOREIGN KEY (parent) REFERENCES tree;
CREATE INDEX tree_parent ON tree (parent);
CALL stride.run_pipeline('tree', source => 'source', indexes => 'rebuild');
SELECT index_name, state FROM stride.dropped_indexes WHERE table_name = 'rebuilds.tree';

-- Refused: roles that do not own the table, or that could not create the indexes again.
CREATE ROLE rebuilds_app LOGIN;
CREATE ROLE rebuilds_owner;
GRANT USAGE ON SCHEMA stride, rebuilds TO rebuilds_app;
CREATE TABLE theirs (LIKE source INCLUDING INDEXES);
CREATE INDEX theirs_name ON theirs (name);
GRANT SELECT ON source TO rebuilds_app;
GRANT INSERT ON theirs TO rebuilds_app;
SET ROLE rebuilds_app;
SELECT stride.submit_pipeline('theirs', source => 'source', indexes => 'rebuild');
RESET ROLE;
ALTER TABLE theirs OWNER TO rebuilds_owner;
GRANT rebuilds_owner TO rebuilds_app;
SET ROLE rebuilds_app;
SELECT stride.submit_pipeline('theirs', source => 'source', indexes => 'rebuild');
RESET ROLE;

-- A member of the owning role may; the index comes back as the owner's, and where it was.  Others see nothing of it.
ALTER ROLE rebuilds_app SET default_tablespace = 'pg_global';
GRANT CREATE ON SCHEMA rebuilds TO rebuilds_app;
GRANT SELECT ON source TO rebuilds_owner;
SET ROLE rebuilds_app;
CALL stride.run_pipeline('theirs', source => 'source', indexes => 'rebuild');
SELECT index_name, state, definition IS NOT NULL AS shown FROM stride.dropped_indexes;
RESET ROLE;
SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = 'theirs_name'::regclass;
CREATE ROLE rebuilds_other LOGIN;
GRANT USAGE ON SCHEMA stride TO rebuilds_other;
SET ROLE rebuilds_other;
SELECT count(*) FROM stride.dropped_indexes;
RESET ROLE;
GRANT pg_monitor TO rebuilds_other;
SET ROLE rebuilds_other;
SELECT index_name, state, definition FROM stride.dropped_indexes WHERE table_name = 'rebuilds.theirs';
RESET ROLE;

SELECT bool_and(ok) FROM stride.check_invariants() WHERE invariant LIKE 'I10%';
SELECT stride.forget(job_id) FROM stride.jobs WHERE owner = 'rebuilds_app'::regrole;
DROP SCHEMA rebuilds CASCADE;
DROP OWNED BY rebuilds_app, rebuilds_other;
DROP ROLE rebuilds_app, rebuilds_owner, rebuilds_other;
