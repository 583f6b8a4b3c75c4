-- Code of the user's that is run while a job is planned and its chunks are, finds names by the search_path of the submission: policies,
-- functions that the planner takes the bodies of, functions in conditions.  By every walk.
SET client_min_messages = warning;
SET stride.progress_interval = 0;
SET stride.workers = 1;
CREATE SCHEMA paths;
CREATE ROLE regress_stride_paths LOGIN;
GRANT USAGE ON SCHEMA stride TO regress_stride_paths;
GRANT ALL ON SCHEMA paths TO regress_stride_paths;
SET search_path = paths, public;
CREATE TABLE tenants (tenant int PRIMARY KEY);
INSERT INTO tenants VALUES (1), (3);
CREATE TABLE orders (id int PRIMARY KEY, tenant int, note text, n int DEFAULT 0);
INSERT INTO orders SELECT id, id % 5, 'note ' || id FROM generate_series(1, 500) AS id;
CREATE TABLE copy (id int PRIMARY KEY, note text CHECK (note <> 'mine 41'));
-- Names without a schema: a table in a policy's function, one in a function that the planner puts into the plan, one in a constant.
CREATE FUNCTION mine(wanted int) RETURNS boolean STABLE LANGUAGE plpgsql AS $$BEGIN RETURN EXISTS (SELECT FROM tenants WHERE tenant = wanted); END$$;
CREATE FUNCTION prefixed(note text) RETURNS text IMMUTABLE LANGUAGE sql AS $$SELECT 'mine ' || note$$;
CREATE FUNCTION marked(note text) RETURNS text IMMUTABLE LANGUAGE sql AS $$SELECT prefixed(replace(note, 'note ', ''))$$;
CREATE FUNCTION lowest() RETURNS int STABLE LANGUAGE plpgsql AS $$BEGIN RETURN (SELECT min(tenant) FROM tenants); END$$;
ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON orders TO regress_stride_paths USING (mine(tenant));
GRANT ALL ON ALL TABLES IN SCHEMA paths TO regress_stride_paths;
SET ROLE regress_stride_paths;

CREATE PROCEDURE copied(walk text, settings jsonb DEFAULT '{}') LANGUAGE plpgsql AS $$
DECLARE
    outcome text;
BEGIN
    DELETE FROM copy;
    COMMIT;
    CALL stride.run('INSERT INTO copy SELECT id, marked(note) FROM orders WHERE tenant >= lowest()', walk => walk, settings => settings, chunk_rows => 30,
                    on_error => 'skip', if_exists => 'new');
    SELECT format('%s by %s, %s read, %s written, %s rejected', state, j.walk, rows_read, rows_written, rows_rejected) INTO outcome
    FROM stride.jobs AS j ORDER BY job_id DESC LIMIT 1;
    RAISE WARNING '%', outcome;
END $$;
CALL copied('auto');
CALL copied('auto', '{"sink": "statement"}');
CALL copied('spool');
CALL copied('auto', '{"source_rows": "at_start"}');
CALL copied('block');
SELECT stride.retry_rejects(max(job_id)) AS retry FROM stride.jobs WHERE walk = 'key' \gset
CALL stride.wait(:retry);
SELECT state, rows_rejected FROM stride.jobs WHERE job_id = :retry;
SELECT count(*), count(DISTINCT id), min(note), max(note) FROM copy;
CALL stride.run('UPDATE orders SET n = n + 1, note = note WHERE marked(note) > ''mine 2''', chunk_rows => 30);
SELECT sum(n) = count(*) AS once FROM orders WHERE marked(note) > 'mine 2';
CREATE VIEW seen WITH (security_barrier) AS SELECT id, marked(note) AS note FROM orders WHERE id <> 41;
CREATE TABLE other (id int PRIMARY KEY, note text);
CALL stride.run('INSERT INTO other SELECT id, prefixed(note) FROM seen WHERE id > lowest()', chunk_rows => 30);
CALL stride.run_pipeline('other', source_query => 'SELECT id, marked(note) AS note FROM orders', walk => 'stream', on_conflict => 'update', chunk_rows => 30,
                         transform_query => 'SELECT id, prefixed(note) AS note FROM chunk WHERE id > lowest()');
CALL stride.run_pipeline('other', source => 'orders', on_conflict => 'update', chunk_rows => 30, transform_query => 'SELECT id, marked(note) AS note FROM chunk');
CALL stride.run('DELETE FROM orders WHERE mine(tenant) AND marked(note) > ''mine''', chunk_rows => 30);
SELECT count(*) FROM other;
SELECT count(stride.discard_rejects(job_id)) FROM (SELECT DISTINCT job_id FROM stride.rejects) AS r;
RESET ROLE;
SELECT tenant, count(*) FROM orders GROUP BY tenant ORDER BY tenant;
SELECT invariant, detail FROM stride.check_invariants() WHERE NOT ok;
RESET search_path;
DROP OWNED BY regress_stride_paths;
DROP ROLE regress_stride_paths;
DROP SCHEMA paths CASCADE;
