\echo Use "CREATE EXTENSION pg_stride" to load this file. \quit

SET LOCAL search_path = pg_catalog, pg_temp;

CREATE SCHEMA stride;
CREATE SCHEMA stride_catalog;
CREATE SCHEMA stride_work;
REVOKE ALL ON SCHEMA stride, stride_catalog FROM PUBLIC;
GRANT USAGE ON SCHEMA stride_work TO PUBLIC;

COMMENT ON SCHEMA stride IS 'pg_stride: batch work in chunks, in parallel, resumable. GRANT USAGE on this schema lets a role submit jobs.';
COMMENT ON SCHEMA stride_catalog IS 'pg_stride''s base tables, closed to all but the extension owner; the views of schema stride show them.';
COMMENT ON SCHEMA stride_work IS 'Work tables of pg_stride: the rows that a job saves before it walks them. Each can be read by the job''s owner, and is dropped when the job needs it no longer.';

-------------------------------------------------------------------------------------------------------------------
-- Base tables.  Only the scheduler updates job; only the worker that owns a split's epoch updates it.
-------------------------------------------------------------------------------------------------------------------

CREATE TABLE stride_catalog.job (
    job_id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name              text,
    kind              text NOT NULL,
    owner             regrole NOT NULL,
    owner_name        name NOT NULL,
    system_identifier bigint NOT NULL,
    database_oid      oid NOT NULL,
    extension_oid     oid NOT NULL,
    timeline          integer NOT NULL,
    -- What was asked for.
    statement         text NOT NULL,
    source_alias      text,
    wanted_key        name[],
    workers           integer,
    chunk_rows        integer,
    on_error          text NOT NULL,
    reject_limit      bigint,
    reject_percent    numeric,
    retry_of          bigint,
    depends_on        bigint[],
    start_at          timestamptz,
    priority          integer NOT NULL,
    settings          jsonb NOT NULL,
    session           jsonb NOT NULL,
    pipeline          jsonb,
    indexes           text NOT NULL DEFAULT 'keep',
    -- What analysis made of it.
    statement_kind    text NOT NULL,
    stored_sql        text NOT NULL,
    stored_alias      text NOT NULL,
    source            oid NOT NULL,
    source_name       text NOT NULL,
    target            oid,
    target_name       text,
    relations         oid[] NOT NULL,
    relation_names    text[] NOT NULL,
    walk              text NOT NULL,
    key_definition    text,
    sink              text NOT NULL,
    sink_reason       text NOT NULL,
    one_to_one        boolean NOT NULL DEFAULT false,
    keeps_last        boolean NOT NULL DEFAULT false,
    deletes_source    boolean NOT NULL DEFAULT false,
    transform         text[],
    transform_oid     oid,
    transform_version bigint NOT NULL DEFAULT 0,
    -- How it stands.
    state             text NOT NULL,
    state_reason      text,
    attempt           integer NOT NULL DEFAULT 1,
    failed_starts     integer NOT NULL DEFAULT 0,
    run_started_at    timestamptz,
    run_rows_before   bigint NOT NULL DEFAULT 0,
    submitted_at      timestamptz NOT NULL,
    started_at        timestamptz,
    finished_at       timestamptz,
    error_sqlstate    text,
    error_message     text,
    error_detail      text,
    error_hint        text,
    error_context     text
) WITH (fillfactor = 70);
CREATE INDEX job_unfinished ON stride_catalog.job (priority DESC, job_id)
    WHERE state NOT IN ('succeeded', 'succeeded_with_rejects', 'failed', 'cancelled');
CREATE INDEX job_name ON stride_catalog.job (owner, name);
CREATE INDEX job_retry_of ON stride_catalog.job (retry_of) WHERE retry_of IS NOT NULL;
CREATE INDEX job_finished_at ON stride_catalog.job (finished_at);

-- The tables that a job walks, fixed when it is planned: the source, or its partitions and inheriting tables.
CREATE TABLE stride_catalog.leaf (
    job_id          bigint NOT NULL,
    leaf            integer NOT NULL,
    relation        oid NOT NULL,
    relation_name   text NOT NULL,
    in_tree         boolean NOT NULL,
    walked          boolean NOT NULL,
    key_index       oid,
    key_index_name  text,
    key_definition  text,
    shape           text,
    locked_xid      bigint NOT NULL,
    PRIMARY KEY (job_id, leaf)
);
CREATE INDEX leaf_relation ON stride_catalog.leaf (relation);

-- The work tables of jobs: inserted by submit, deleted by the scheduler with the table.  They stay out of dumps, and so do
-- these rows: an oid means nothing in another database.
CREATE TABLE stride_catalog.work_table (
    job_id          bigint PRIMARY KEY,
    relation        oid NOT NULL,
    query           text,
    query_relations oid[]
);

CREATE TABLE stride_catalog.split (
    job_id         bigint NOT NULL,
    split          integer NOT NULL,
    leaf           integer NOT NULL,
    lower_key      text[],
    upper_key      text[] NOT NULL,
    position_key   text[],
    lower_sample   integer NOT NULL,
    upper_sample   integer NOT NULL,
    rows_estimate  bigint NOT NULL,
    state          text NOT NULL DEFAULT 'pending',
    epoch          bigint NOT NULL DEFAULT 0,
    cookie         bigint,
    worker_pid     integer,
    attempts       integer NOT NULL DEFAULT 0,
    retries        integer NOT NULL DEFAULT 0,
    not_before     timestamptz,
    last_error     text,
    chunk_limit    bigint NOT NULL DEFAULT 0,
    crashes        integer NOT NULL DEFAULT 0,
    suspect_rows   bigint NOT NULL DEFAULT 0,
    chunks         integer NOT NULL DEFAULT 0,
    rows_read      bigint NOT NULL DEFAULT 0,
    rows_written   bigint NOT NULL DEFAULT 0,
    rows_filtered  bigint NOT NULL DEFAULT 0,
    rows_suppressed bigint NOT NULL DEFAULT 0,
    rows_vanished  bigint NOT NULL DEFAULT 0,
    rows_rejected  bigint NOT NULL DEFAULT 0,
    plan_ms        double precision NOT NULL DEFAULT 0,
    read_ms        double precision NOT NULL DEFAULT 0,
    transform_ms   double precision NOT NULL DEFAULT 0,
    write_ms       double precision NOT NULL DEFAULT 0,
    index_ms       double precision NOT NULL DEFAULT 0,
    checkpoint_ms  double precision NOT NULL DEFAULT 0,
    commit_ms      double precision NOT NULL DEFAULT 0,
    wait_ms        double precision NOT NULL DEFAULT 0,
    wal_bytes      bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (job_id, split)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

CREATE TABLE stride_catalog.sample (
    job_id   bigint NOT NULL,
    ordinal  integer NOT NULL,
    key      text[] NOT NULL,
    PRIMARY KEY (job_id, ordinal)
);

CREATE TABLE stride_catalog.chunk (
    job_id         bigint NOT NULL,
    split          integer NOT NULL,
    chunk          integer NOT NULL,
    lower_key      text[],
    upper_key      text[] NOT NULL,
    worker         integer NOT NULL,
    attempt        integer NOT NULL,
    epoch          bigint NOT NULL,
    rows_read      bigint NOT NULL,
    rows_written   bigint NOT NULL,
    rows_filtered  bigint NOT NULL,
    rows_rejected  bigint NOT NULL,
    rows_suppressed bigint NOT NULL,
    rows_vanished  bigint NOT NULL,
    started_at     timestamptz NOT NULL,
    finished_at    timestamptz NOT NULL,
    plan_ms        double precision NOT NULL,
    read_ms        double precision NOT NULL,
    transform_ms   double precision NOT NULL,
    write_ms       double precision NOT NULL,
    index_ms       double precision NOT NULL,
    checkpoint_ms  double precision NOT NULL,
    commit_ms      double precision NOT NULL,
    wait_ms        double precision NOT NULL,
    wal_bytes      bigint NOT NULL,
    PRIMARY KEY (job_id, split, chunk)
);

-- The rows that could not be processed.  One is written in the transaction of the checkpoint that passes the row.
CREATE TABLE stride_catalog.reject (
    reject_id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id           bigint NOT NULL,
    split            integer NOT NULL,
    chunk            integer NOT NULL,
    row_key          text[] NOT NULL,
    row_data         jsonb,
    attempt          integer NOT NULL DEFAULT 1,
    rejected_at      timestamptz NOT NULL,
    sqlstate         text NOT NULL,
    message          text NOT NULL,
    detail           text,
    hint             text,
    context          text,
    schema_name      text,
    table_name       text,
    column_name      text,
    constraint_name  text
);
CREATE INDEX reject_job ON stride_catalog.reject (job_id, reject_id);

-- The indexes that a job dropped from its target, and which of them are there again (state: dropped, rebuilt, failed,
-- abandoned).  Inserted by the worker that plans, in the transaction that drops; updated by the worker that rebuilds.
CREATE TABLE stride_catalog.dropped_index (
    job_id         bigint NOT NULL,
    index_name     name NOT NULL,
    definition     text NOT NULL,
    comment        text,
    statistics     integer[],
    state          text NOT NULL DEFAULT 'dropped',
    attempts       integer NOT NULL DEFAULT 0,
    not_before     timestamptz,
    dropped_at     timestamptz NOT NULL,
    settled_at     timestamptz,
    rebuild_ms     double precision,
    error_sqlstate text,
    error_message  text,
    PRIMARY KEY (job_id, index_name)
);

-- What ended a worker's attempt at a split; the newest one of a failing job becomes the job's error.
CREATE TABLE stride_catalog.failure (
    failure_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id       bigint NOT NULL,
    split        integer,
    row_key      text[],
    attempt      integer NOT NULL,
    failed_at    timestamptz NOT NULL,
    policy       text NOT NULL,
    lower_key    text[],
    upper_key    text[],
    sqlstate     text NOT NULL,
    message      text NOT NULL,
    detail       text,
    hint         text,
    context      text
);
CREATE INDEX failure_job ON stride_catalog.failure (job_id);

-- Control calls, appended in the caller's transaction and taken away by the scheduler.
CREATE TABLE stride_catalog.request (
    request_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id        bigint NOT NULL,
    action        text NOT NULL,
    arguments     jsonb NOT NULL DEFAULT '{}',
    session_role  name NOT NULL,
    role_name     name NOT NULL,
    requested_at  timestamptz NOT NULL
);

CREATE TABLE stride_catalog.event (
    event_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_at      timestamptz NOT NULL,
    job_id        bigint NOT NULL,
    session_role  name NOT NULL,
    role_name     name NOT NULL,
    event         text NOT NULL,
    from_state    text,
    to_state      text,
    detail        text
);
CREATE INDEX event_job ON stride_catalog.event (job_id);

-- The functions that roles have registered, by the role's own names; kept as text, as a dump has no object ids.
CREATE TABLE stride_catalog.transform (
    owner           regrole NOT NULL,
    name            text NOT NULL,
    schema_name     text NOT NULL,
    function_name   text NOT NULL,
    argument_types  text NOT NULL,
    result_type     text NOT NULL,
    kind            text NOT NULL,
    registered_at   timestamptz NOT NULL,
    PRIMARY KEY (owner, name)
);

-- Rows that a restore brings wake the scheduler, which holds them.
CREATE FUNCTION stride_catalog.wake() RETURNS trigger
LANGUAGE C
AS 'MODULE_PATHNAME', 'stride_wake';
COMMENT ON FUNCTION stride_catalog.wake() IS 'Wakes the scheduler at commit; the trigger of stride_catalog.job.';
CREATE TRIGGER wake AFTER INSERT ON stride_catalog.job FOR EACH STATEMENT EXECUTE FUNCTION stride_catalog.wake();

-- What a dump takes along: jobs, how far they are, and their rejects; history, events and requests stay behind.
SELECT pg_extension_config_dump('stride_catalog.job', '');
SELECT pg_extension_config_dump('stride_catalog.leaf', '');
SELECT pg_extension_config_dump('stride_catalog.split', '');
SELECT pg_extension_config_dump('stride_catalog.sample', '');
SELECT pg_extension_config_dump('stride_catalog.reject', '');
SELECT pg_extension_config_dump('stride_catalog.dropped_index', '');
SELECT pg_extension_config_dump('stride_catalog.transform', '');
SELECT pg_extension_config_dump(pg_get_serial_sequence('stride_catalog.job', 'job_id')::regclass, '');
SELECT pg_extension_config_dump(pg_get_serial_sequence('stride_catalog.reject', 'reject_id')::regclass, '');

-------------------------------------------------------------------------------------------------------------------
-- Submit, run, wait.  The C code pins search_path around its own work, so that no function carries a SET clause: a
-- procedure with one could not end its transaction.
-------------------------------------------------------------------------------------------------------------------

CREATE FUNCTION stride.submit(
    statement      text,
    name           text DEFAULT NULL,
    if_exists      text DEFAULT 'error',
    source         text DEFAULT NULL,
    key            name[] DEFAULT NULL,
    walk           text DEFAULT 'auto',
    workers        integer DEFAULT NULL,
    chunk_rows     integer DEFAULT NULL,
    on_error       text DEFAULT 'fail',
    reject_limit   bigint DEFAULT NULL,
    reject_percent numeric DEFAULT NULL,
    depends_on     bigint[] DEFAULT NULL,
    start_at       timestamptz DEFAULT NULL,
    priority       integer DEFAULT 0,
    settings       jsonb DEFAULT '{}'
) RETURNS bigint
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'stride_submit';
COMMENT ON FUNCTION stride.submit(text, text, text, text, name[], text, integer, integer, text, bigint, numeric,
                                  bigint[], timestamptz, integer, jsonb) IS
'Submits a statement (INSERT .. SELECT, UPDATE, DELETE, MERGE or SELECT f(..)) as a job and returns its id. The job belongs to current_user and starts when the submitting transaction commits; a rollback leaves no job. name: the job''s name, one''s own. if_exists: what a second submission of the same name, or unnamed of the same statement, does while the first is unfinished, failed or cancelled: error, resume, skip (returns the first''s id) or new. source: the alias of the table that is walked, where the statement leaves a doubt. key: the columns of the unique index to walk by. walk: auto; key; spool, which saves the keys of the rows first and walks those: auto''s choice for a statement that is expected to find less than 5 % of a table of 100,000 rows or more, for the queries of pipelines, and for statements over what has no key: views, functions, foreign tables; asked for, it also saves the rows of a table without a key, and those of an INSERT''s whole SELECT, or a MERGE''s whole source, where that cannot be cut; block, for a table without a key, which nobody can write until the job has ended; or stream, which sends the rows of a pipeline''s query to the workers without saving them, and begins anew when it is interrupted. workers: how many; NULL takes stride.workers, 0 lets the job choose. chunk_rows: rows a chunk, NULL or 0 adapts to chunk_time. on_error: what a row that cannot be processed does: fail stops the job and names the row; skip keeps it aside in stride.rejects and goes on. reject_limit: with skip, the most rows that are kept aside; one more fails the job. reject_percent: the same in percent of the rows judged, the first 1,000 counting as 1,000; without it the job also fails when the first 300 rows are all bad, or over half of at least 1,000. depends_on: ids of jobs that must succeed first. start_at: not before that time. priority: higher goes first. settings: see the view stride.settings. Errors: 22004 for a NULL statement, 22023 for a bad argument or setting, 42601 for text that is not one statement, 0A000 with a hint for what chunking would change, 42710 for a job that exists, and those of the statement itself.';

CREATE PROCEDURE stride.run(
    statement      text,
    name           text DEFAULT NULL,
    if_exists      text DEFAULT 'error',
    source         text DEFAULT NULL,
    key            name[] DEFAULT NULL,
    walk           text DEFAULT 'auto',
    workers        integer DEFAULT NULL,
    chunk_rows     integer DEFAULT NULL,
    on_error       text DEFAULT 'fail',
    reject_limit   bigint DEFAULT NULL,
    reject_percent numeric DEFAULT NULL,
    depends_on     bigint[] DEFAULT NULL,
    start_at       timestamptz DEFAULT NULL,
    priority       integer DEFAULT 0,
    settings       jsonb DEFAULT '{}'
)
LANGUAGE C
AS 'MODULE_PATHNAME', 'stride_run';
COMMENT ON PROCEDURE stride.run(text, text, text, text, name[], text, integer, integer, text, bigint, numeric,
                                bigint[], timestamptz, integer, jsonb) IS
'Submits a statement as stride.submit does, commits, and waits for the job, with a NOTICE of its progress each progress_interval (0 = none). Holds no snapshot and no transaction while it waits. Raises the job''s error if it fails. A cancel request (Ctrl-C) cancels the job; a statement timeout, a termination or a lost connection leaves it running. Errors: those of stride.submit, and 25001 inside a transaction block.';

CREATE FUNCTION stride.submit_pipeline(
    target           regclass,
    source           regclass DEFAULT NULL,
    source_query     text DEFAULT NULL,
    transform        text DEFAULT NULL,
    transform_query  text DEFAULT NULL,
    on_conflict      text DEFAULT 'error',
    conflict_columns name[] DEFAULT NULL,
    update_columns   name[] DEFAULT NULL,
    update_set       text DEFAULT NULL,
    delete_source    boolean DEFAULT false,
    indexes          text DEFAULT 'keep',
    name             text DEFAULT NULL,
    if_exists        text DEFAULT 'error',
    key              name[] DEFAULT NULL,
    walk             text DEFAULT 'auto',
    workers          integer DEFAULT NULL,
    chunk_rows       integer DEFAULT NULL,
    on_error         text DEFAULT 'fail',
    reject_limit     bigint DEFAULT NULL,
    reject_percent   numeric DEFAULT NULL,
    depends_on       bigint[] DEFAULT NULL,
    start_at         timestamptz DEFAULT NULL,
    priority         integer DEFAULT 0,
    settings         jsonb DEFAULT '{}'
) RETURNS bigint
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'stride_submit_pipeline';
COMMENT ON FUNCTION stride.submit_pipeline(regclass, regclass, text, text, text, text, name[], name[], text, boolean, text,
                                           text, text, name[], text, integer, integer, text, bigint, numeric, bigint[], timestamptz, integer,
                                           jsonb) IS
'Submits a pipeline as a job and returns its id: rows of the table source, or of the query source_query, go through a transform into the table target. The columns that the transform gives are matched with the target''s by name and cast as on assignment; columns of the target that are not given take their defaults; generated ones are left out. source: a table with a key; the rows of a view, a materialized view or a foreign table without a key are saved first. source_query: one SELECT, VALUES or TABLE, whose rows are saved first, under one snapshot. transform: the name of a registered transform, one''s own. transform_query: one SELECT over the relation chunk, which holds a chunk''s rows of the source; aggregates need update_set. Without either, the source''s own columns are written. on_conflict: error, nothing, or update of the row with the same conflict_columns (default: the target''s primary key). update_columns: the columns that an update takes from the new row (default: all others that are written). update_set: what an update sets instead, as after ON CONFLICT DO UPDATE SET. delete_source: deletes the rows that were written from the source, in the same transaction. indexes: keep, or rebuild to have the non-unique secondary indexes of an empty target that one owns dropped when the job is planned and rebuilt in parallel before it ends, however it ends. The other arguments, and errors, as of stride.submit; further errors: 22004 and 22023 for arguments that are missing or do not go together, 42601 for a transform_query or update_set of another form, 42703 for columns that do not match, 42704 for an unknown transform, 42501 and 55000 for a target whose indexes cannot be rebuilt as it is another role''s or not empty, 42804 for types that do not.';

CREATE PROCEDURE stride.run_pipeline(
    target           regclass,
    source           regclass DEFAULT NULL,
    source_query     text DEFAULT NULL,
    transform        text DEFAULT NULL,
    transform_query  text DEFAULT NULL,
    on_conflict      text DEFAULT 'error',
    conflict_columns name[] DEFAULT NULL,
    update_columns   name[] DEFAULT NULL,
    update_set       text DEFAULT NULL,
    delete_source    boolean DEFAULT false,
    indexes          text DEFAULT 'keep',
    name             text DEFAULT NULL,
    if_exists        text DEFAULT 'error',
    key              name[] DEFAULT NULL,
    walk             text DEFAULT 'auto',
    workers          integer DEFAULT NULL,
    chunk_rows       integer DEFAULT NULL,
    on_error         text DEFAULT 'fail',
    reject_limit     bigint DEFAULT NULL,
    reject_percent   numeric DEFAULT NULL,
    depends_on       bigint[] DEFAULT NULL,
    start_at         timestamptz DEFAULT NULL,
    priority         integer DEFAULT 0,
    settings         jsonb DEFAULT '{}'
)
LANGUAGE C
AS 'MODULE_PATHNAME', 'stride_run_pipeline';
COMMENT ON PROCEDURE stride.run_pipeline(regclass, regclass, text, text, text, text, name[], name[], text, boolean, text,
                                         text, text, name[], text, integer, integer, text, bigint, numeric, bigint[], timestamptz, integer,
                                         jsonb) IS
'Submits a pipeline as stride.submit_pipeline does, commits, and waits for the job as stride.run does. Errors: those of stride.submit_pipeline, and 25001 inside a transaction block.';

CREATE PROCEDURE stride.wait(job_id bigint, timeout interval DEFAULT NULL)
LANGUAGE C
AS 'MODULE_PATHNAME', 'stride_wait';
COMMENT ON PROCEDURE stride.wait(bigint, interval) IS
'Waits until the job ends, at most for the timeout (NULL = without limit). Holds no snapshot and no transaction while it waits. Raises the job''s error if it failed or was cancelled. Errors: 22004 for a NULL id, 42704 for an id that is unknown or another role''s, 25001 inside a transaction block, 55000 for a job of the transaction itself, 57014 when the timeout has passed.';

CREATE FUNCTION stride.explain(
    statement      text,
    source         text DEFAULT NULL,
    key            name[] DEFAULT NULL,
    walk           text DEFAULT 'auto',
    workers        integer DEFAULT NULL,
    chunk_rows     integer DEFAULT NULL,
    on_error       text DEFAULT 'fail',
    reject_limit   bigint DEFAULT NULL,
    reject_percent numeric DEFAULT NULL,
    settings       jsonb DEFAULT '{}'
) RETURNS TABLE (item text, value text)
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'stride_explain';
COMMENT ON FUNCTION stride.explain(text, text, name[], text, integer, integer, text, bigint, numeric, jsonb) IS
'Shows what a submission of the statement would do, one item a row: the table walked, its key, the sink and why, the statement of a chunk, the settings that are replayed, and what to know before. Nothing is run and no job is made. Arguments and errors as of stride.submit.';

CREATE FUNCTION stride.explain_pipeline(
    target           regclass,
    source           regclass DEFAULT NULL,
    source_query     text DEFAULT NULL,
    transform        text DEFAULT NULL,
    transform_query  text DEFAULT NULL,
    on_conflict      text DEFAULT 'error',
    conflict_columns name[] DEFAULT NULL,
    update_columns   name[] DEFAULT NULL,
    update_set       text DEFAULT NULL,
    delete_source    boolean DEFAULT false,
    indexes          text DEFAULT 'keep',
    key              name[] DEFAULT NULL,
    walk             text DEFAULT 'auto',
    workers          integer DEFAULT NULL,
    chunk_rows       integer DEFAULT NULL,
    on_error         text DEFAULT 'fail',
    reject_limit     bigint DEFAULT NULL,
    reject_percent   numeric DEFAULT NULL,
    settings         jsonb DEFAULT '{}'
) RETURNS TABLE (item text, value text)
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'stride_explain_pipeline';
COMMENT ON FUNCTION stride.explain_pipeline(regclass, regclass, text, text, text, text, name[], name[], text, boolean, text,
                                            name[], text, integer, integer, text, bigint, numeric, jsonb) IS
'Shows what a submission of the pipeline would do, one item a row, as stride.explain does for a statement. Nothing is run and no job is made. Arguments and errors as of stride.submit_pipeline.';

CREATE FUNCTION stride.register_transform(name text, function regprocedure) RETURNS void
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'stride_register_transform';
COMMENT ON FUNCTION stride.register_transform(text, regprocedure) IS
'Registers a function as a transform under a name of current_user''s own: f(source_row) RETURNS target_row, called once a row, where NULL leaves the row out; f(source_row) RETURNS SETOF target_row; or f(source_row[]) RETURNS SETOF target_row, called once a batch of at most batch_rows rows. source_row is a table''s row type, or for a query a composite type of its columns, target_row a composite type whose columns are matched with the target''s by name. The same function may be registered again. Errors: 22004 for NULL, 22023 for an empty name, 42710 for a name that another function has, 42809 for a procedure, aggregate or window function, 42804 for other argument or result types, 42501 without EXECUTE, 0A000 for a temporary function.';

CREATE FUNCTION stride.unregister_transform(name text) RETURNS void
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'stride_unregister_transform';
COMMENT ON FUNCTION stride.unregister_transform(text) IS
'Removes current_user''s transform of that name. Jobs that were submitted with it keep its function. Errors: 22004 for NULL, 42704 if there is none.';

-------------------------------------------------------------------------------------------------------------------
-- Control.  Each call appends a request in the caller's transaction, to be carried out by the scheduler at its commit.
-------------------------------------------------------------------------------------------------------------------

CREATE FUNCTION stride.pause(job_id bigint) RETURNS text
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'stride_pause';
COMMENT ON FUNCTION stride.pause(bigint) IS
'Asks a queued or running job to hold at its next chunk boundaries, and returns the state asked for, paused. Takes effect when the calling transaction commits. Does nothing to a paused job; leaves one that is ending or has ended as it is, with a WARNING, and returns its state. Errors: 22004 for a NULL id, 42704 for an id that is unknown or another role''s.';

CREATE FUNCTION stride.resume(job_id bigint) RETURNS text
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'stride_resume';
COMMENT ON FUNCTION stride.resume(bigint) IS
'Asks a paused job to go on, or gives a failed or cancelled job a new attempt that goes on where it stopped; no row is done twice. Returns the state asked for: queued, or running for a job that runs. Takes effect when the calling transaction commits. Errors: 22004 for a NULL id, 42704 for an id that is unknown or another role''s, 55000 for a job that succeeded or is ending.';

CREATE FUNCTION stride.cancel(job_id bigint) RETURNS text
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'stride_cancel';
COMMENT ON FUNCTION stride.cancel(bigint) IS
'Asks an unfinished job to stop, its chunks in flight to be rolled back, and returns the state asked for, cancelled. What was committed stays; stride.resume goes on from there. Takes effect when the calling transaction commits. Does nothing to a cancelled job; leaves one that is failing or has ended otherwise as it is, with a WARNING, and returns its state. Errors: 22004 for a NULL id, 42704 for an id that is unknown or another role''s.';

CREATE FUNCTION stride.alter(
    job_id         bigint,
    workers        integer DEFAULT NULL,
    chunk_rows     integer DEFAULT NULL,
    settings       jsonb DEFAULT NULL,
    reject_limit   bigint DEFAULT NULL,
    reject_percent numeric DEFAULT NULL
) RETURNS text
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'stride_alter';
COMMENT ON FUNCTION stride.alter(bigint, integer, integer, jsonb, bigint, numeric) IS
'Changes a job from its next chunk on, and returns its state. NULL leaves as is. workers: 0 lets the job choose. chunk_rows: rows a chunk, 0 adapts to chunk_time. settings: merged into the job''s, a JSON null resets a key. reject_limit, reject_percent: the most rows that are kept aside, those of before included, for a job with on_error => skip; one that failed for them goes on with stride.resume. Takes effect when the calling transaction commits. Errors: 22004 for a NULL id, 22023 for a bad value or when there is nothing to change, 42704 for an id that is unknown or another role''s, 55000 for a job that succeeded, or has no limits.';

CREATE FUNCTION stride.retry_rejects(job_id bigint) RETURNS bigint
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'stride_retry_rejects';
COMMENT ON FUNCTION stride.retry_rejects(bigint) IS
'Submits a new job over the rejects of a job and returns its id: the same statement under the same settings, as the same owner, for those rows alone. Rows that pass, and those that are no longer there, leave the rejects in the same transaction; a row that fails again stays, with its new error. The id of such a job means the one whose rejects it drives. Errors: 22004 for a NULL id, 42704 for an id that is unknown or another role''s, 55000 for a job without rejects or whose rejects are being retried.';

CREATE FUNCTION stride.discard_rejects(job_id bigint) RETURNS void
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'stride_discard_rejects';
COMMENT ON FUNCTION stride.discard_rejects(bigint) IS
'Gives the rejects of a job up: they are removed, and the job may be forgotten. Takes effect when the calling transaction commits. Errors: 22004 for a NULL id, 42704 for an id that is unknown or another role''s, 55000 while the rejects are being retried.';

CREATE FUNCTION stride.forget(job_id bigint) RETURNS void
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'stride_forget';
COMMENT ON FUNCTION stride.forget(bigint) IS
'Removes a finished job and its history: splits, chunks, events. Takes effect when the calling transaction commits. Errors: 22004 for a NULL id, 42704 for an id that is unknown or another role''s, 55000 for a job that is unfinished, that holds rejects, whose dropped indexes are not rebuilt or that an unfinished job depends on.';

CREATE FUNCTION stride.job_id(name text) RETURNS bigint
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'stride_job_id';
COMMENT ON FUNCTION stride.job_id(text) IS
'The id of current_user''s own job of that name: an unfinished one first, else the newest. Errors: 22004 for a NULL name, 42704 if there is none.';

CREATE FUNCTION stride.check_invariants() RETURNS TABLE (invariant text, ok boolean, detail text)
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'stride_check_invariants';
COMMENT ON FUNCTION stride.check_invariants() IS
'Checks what must always hold of the jobs that the caller may see, one invariant a row. ok is false where it is broken, and detail then names the jobs. Reads every chunk kept of these jobs.';

-------------------------------------------------------------------------------------------------------------------
-- What the views read.  The functions show each caller only the jobs that it may see: a view checks EXECUTE as its
-- caller, so that anyone may call them.
-------------------------------------------------------------------------------------------------------------------

CREATE FUNCTION stride_catalog.live_jobs()
RETURNS TABLE (job_id bigint, rows_per_second double precision, waiting_for text, chunk_rows bigint,
               workers_wanted integer)
LANGUAGE C VOLATILE PARALLEL RESTRICTED ROWS 10
AS 'MODULE_PATHNAME', 'stride_live_jobs';
COMMENT ON FUNCTION stride_catalog.live_jobs() IS
'What shared memory knows of the jobs that run or wait now; rows_per_second over the last 10 s.';

CREATE FUNCTION stride_catalog.live_workers()
RETURNS TABLE (job_id bigint, pid integer, worker integer, split integer, chunk integer, phase text,
               rows_done bigint, since timestamptz)
LANGUAGE C VOLATILE PARALLEL RESTRICTED ROWS 10
AS 'MODULE_PATHNAME', 'stride_live_workers';
COMMENT ON FUNCTION stride_catalog.live_workers() IS 'The workers of this database that live now.';

CREATE FUNCTION stride_catalog.list_settings()
RETURNS TABLE (setting text, kind text, initial text, unit text, description text, present text)
LANGUAGE C VOLATILE PARALLEL RESTRICTED ROWS 10
AS 'MODULE_PATHNAME', 'stride_settings';
COMMENT ON FUNCTION stride_catalog.list_settings() IS 'The table of settings that is compiled in.';

-- Every job that the caller may see; `mine` where it has the owner's privileges.  A role that was dropped is nobody's:
-- superusers and members of pg_monitor see its jobs.
CREATE VIEW stride_catalog.visible_job WITH (security_barrier) AS
SELECT j.*, pg_has_role(j.owner::oid, 'USAGE') AS mine
FROM stride_catalog.job AS j
WHERE pg_has_role(j.owner::oid, 'USAGE') OR (SELECT pg_has_role('pg_monitor', 'USAGE'));

-------------------------------------------------------------------------------------------------------------------
-- Views
-------------------------------------------------------------------------------------------------------------------

CREATE VIEW stride.jobs WITH (security_barrier) AS
SELECT j.job_id,
       j.name,
       j.owner,
       j.kind,
       CASE WHEN j.mine THEN j.statement END AS statement,
       j.source_name AS source,
       j.target_name AS target,
       j.walk,
       CASE WHEN l.keys = 0 THEN j.key_definition WHEN l.keys = 1 THEN l.key ELSE 'each table its own' END AS key,
       j.sink,
       j.sink_reason,
       j.state,
       CASE WHEN j.mine OR j.state = 'queued' THEN j.state_reason END AS state_reason,
       j.attempt,
       j.submitted_at,
       j.started_at,
       j.finished_at,
       s.rows_read,
       s.rows_written,
       s.rows_filtered,
       s.rows_rejected,
       s.chunks,
       s.retries,
       j.error_sqlstate,
       CASE WHEN j.mine THEN j.error_message END AS error_message,
       s.plan_ms,
       s.read_ms,
       s.transform_ms,
       s.write_ms,
       s.index_ms,
       s.checkpoint_ms,
       s.commit_ms,
       s.wait_ms,
       s.wal_bytes,
       CASE WHEN j.mine THEN j.error_detail END AS error_detail,
       CASE WHEN j.mine THEN j.error_hint END AS error_hint,
       CASE WHEN j.mine THEN j.error_context END AS error_context,
       j.statement_kind,
       j.priority,
       j.workers,
       j.chunk_rows,
       j.on_error,
       j.reject_limit,
       j.reject_percent,
       j.retry_of,
       j.start_at,
       j.depends_on,
       CASE WHEN j.mine THEN j.settings END AS settings,
       CASE WHEN j.mine THEN j.pipeline END AS pipeline,
       j.indexes,
       (SELECT sum(d.rebuild_ms) FROM stride_catalog.dropped_index AS d WHERE d.job_id = j.job_id) AS rebuild_ms,
       s.rows_suppressed,
       s.rows_vanished
FROM stride_catalog.visible_job AS j
     CROSS JOIN LATERAL (
         SELECT coalesce(sum(p.rows_read), 0)::bigint AS rows_read,
                coalesce(sum(p.rows_written), 0)::bigint AS rows_written,
                coalesce(sum(p.rows_filtered), 0)::bigint AS rows_filtered,
                coalesce(sum(p.rows_rejected), 0)::bigint AS rows_rejected,
                coalesce(sum(p.rows_suppressed), 0)::bigint AS rows_suppressed,
                coalesce(sum(p.rows_vanished), 0)::bigint AS rows_vanished,
                coalesce(sum(p.chunks), 0)::bigint AS chunks,
                coalesce(sum(p.retries), 0)::bigint AS retries,
                coalesce(sum(p.plan_ms), 0) AS plan_ms,
                coalesce(sum(p.read_ms), 0) AS read_ms,
                coalesce(sum(p.transform_ms), 0) AS transform_ms,
                coalesce(sum(p.write_ms), 0) AS write_ms,
                coalesce(sum(p.index_ms), 0) AS index_ms,
                coalesce(sum(p.checkpoint_ms), 0) AS checkpoint_ms,
                coalesce(sum(p.commit_ms), 0) AS commit_ms,
                coalesce(sum(p.wait_ms), 0) AS wait_ms,
                coalesce(sum(p.wal_bytes), 0)::bigint AS wal_bytes
         FROM stride_catalog.split AS p
         WHERE p.job_id = j.job_id) AS s
     CROSS JOIN LATERAL (
         SELECT count(DISTINCT f.key_definition) AS keys, min(f.key_definition) AS key
         FROM stride_catalog.leaf AS f
         WHERE f.job_id = j.job_id) AS l;

-- Answers from jobs, splits and shared memory alone: what chunks there are does not matter to its speed.  A split that
-- is done counts with the rows that it had, any other with its estimate.
CREATE VIEW stride.progress WITH (security_barrier) AS
SELECT j.job_id,
       j.name,
       j.state,
       rpad(repeat('#', floor(coalesce(p.percent, 0) / 5)::integer), 20, '.') AS bar,
       p.percent,
       round(l.rows_per_second::numeric, 1) AS rows_per_second,
       CASE WHEN p.seconds < 1e9 THEN make_interval(secs => ceil(p.seconds)) END AS eta,
       coalesce(w.workers, 0)::integer AS workers,
       CASE WHEN NOT p.ended
            THEN coalesce(l.waiting_for,
                          CASE WHEN j.state = 'queued' OR j.state = 'running' AND w.workers IS NULL
                                    OR j.state = 'paused' AND j.mine
                               THEN j.state_reason
                          END)
       END AS waiting_for,
       s.rows_done,
       s.rows_total_estimate,
       s.rejected_rows,
       s.retries,
       s.chunks_done,
       coalesce(l.chunk_rows, nullif(j.chunk_rows, 0)::bigint) AS chunk_rows,
       CASE WHEN NOT p.ended THEN coalesce(nullif(j.workers, 0), l.workers_wanted) END AS workers_wanted,
       date_trunc('milliseconds', coalesce(j.finished_at, clock_timestamp()) - j.started_at) AS elapsed,
       CASE WHEN p.ended THEN 'ended'
            WHEN j.state IN ('queued', 'paused') THEN j.state
            WHEN w.rebuilding OR j.state = 'running' AND s.splits > 0 AND s.splits_open = 0 AND EXISTS (
                     SELECT FROM stride_catalog.dropped_index AS d WHERE d.job_id = j.job_id AND d.state = 'dropped')
            THEN 'rebuilding indexes'
            WHEN j.state <> 'running' THEN 'stopping'
            WHEN w.spooling THEN 'spooling'
            WHEN s.splits = 0 THEN 'planning'
            WHEN s.splits_open = 0 THEN 'finishing'
            ELSE 'walking'
       END AS phase,
       j.owner,
       CASE WHEN j.mine
            THEN coalesce(j.error_sqlstate || ': ' || j.error_message,
                          (SELECT f.sqlstate || ': ' || f.message
                           FROM stride_catalog.failure AS f
                           WHERE f.job_id = j.job_id
                           ORDER BY f.failure_id DESC
                           LIMIT 1),
                          s.last_error)
       END AS last_error
FROM stride_catalog.visible_job AS j
     CROSS JOIN LATERAL (
         SELECT count(*) AS splits,
                count(*) FILTER (WHERE sp.state <> 'done') AS splits_open,
                coalesce(sum(sp.rows_read), 0)::bigint AS rows_done,
                sum(CASE WHEN sp.state = 'done' THEN sp.rows_read
                         ELSE greatest(sp.rows_estimate, sp.rows_read) END)::bigint AS rows_total_estimate,
                coalesce(sum(sp.rows_rejected), 0)::bigint AS rejected_rows,
                coalesce(sum(sp.retries), 0)::bigint AS retries,
                coalesce(sum(sp.chunks), 0)::bigint AS chunks_done,
                max(sp.last_error) AS last_error
         FROM stride_catalog.split AS sp
         WHERE sp.job_id = j.job_id) AS s
     LEFT JOIN stride_catalog.live_jobs() AS l ON l.job_id = j.job_id
     LEFT JOIN (
         SELECT lw.job_id, nullif(count(*) FILTER (WHERE lw.phase <> 'streaming' AND lw.worker > 0), 0) AS workers,
                bool_or(lw.phase = 'rebuilding indexes') AS rebuilding,
                bool_or(lw.phase = 'spooling') AS spooling
         FROM stride_catalog.live_workers() AS lw
         GROUP BY lw.job_id) AS w ON w.job_id = j.job_id
     CROSS JOIN LATERAL (
         SELECT j.state IN ('succeeded', 'succeeded_with_rejects', 'failed', 'cancelled') AS ended,
                CASE WHEN j.state IN ('succeeded', 'succeeded_with_rejects') THEN 100.0
                     WHEN s.splits > 0 AND s.rows_total_estimate = 0 THEN 0.0
                     WHEN s.splits > 0
                     THEN least(trunc(100.0 * s.rows_done / s.rows_total_estimate, 1), 99.9)
                END AS percent,
                CASE WHEN j.state = 'running' AND l.rows_per_second > 0
                     THEN (s.rows_total_estimate - s.rows_done) / l.rows_per_second
                END AS seconds) AS p
WHERE j.state NOT IN ('succeeded', 'succeeded_with_rejects', 'failed', 'cancelled')
      OR j.finished_at > now() - interval '1 hour';

CREATE VIEW stride.workers WITH (security_barrier) AS
SELECT w.job_id, w.pid, w.worker, w.split, w.chunk, w.phase, w.rows_done, w.since
FROM stride_catalog.live_workers() AS w;

CREATE VIEW stride.splits WITH (security_barrier) AS
SELECT s.job_id,
       s.split,
       l.relation_name AS source,
       CASE WHEN j.mine THEN s.lower_key END AS lower_key,
       CASE WHEN j.mine THEN s.upper_key END AS upper_key,
       CASE WHEN j.mine THEN s.position_key END AS position_key,
       s.state,
       s.attempts,
       s.not_before,
       CASE WHEN j.mine THEN s.last_error END AS last_error,
       s.crashes,
       s.suspect_rows,
       s.epoch,
       s.rows_estimate,
       s.rows_read,
       s.rows_written,
       s.rows_filtered,
       s.rows_rejected,
       s.chunks,
       s.retries,
       s.plan_ms,
       s.read_ms,
       s.transform_ms,
       s.write_ms,
       s.index_ms,
       s.checkpoint_ms,
       s.commit_ms,
       s.wait_ms,
       s.wal_bytes,
       s.rows_suppressed,
       s.rows_vanished
FROM stride_catalog.split AS s
     JOIN stride_catalog.visible_job AS j ON j.job_id = s.job_id
     LEFT JOIN stride_catalog.leaf AS l ON l.job_id = s.job_id AND l.leaf = s.leaf;

CREATE VIEW stride.chunks WITH (security_barrier) AS
SELECT c.job_id,
       c.split,
       c.chunk,
       CASE WHEN j.mine THEN c.lower_key END AS lower_key,
       CASE WHEN j.mine THEN c.upper_key END AS upper_key,
       c.worker,
       c.attempt,
       c.rows_read,
       c.rows_written,
       c.started_at,
       c.finished_at,
       c.plan_ms,
       c.read_ms,
       c.transform_ms,
       c.write_ms,
       c.index_ms,
       c.checkpoint_ms,
       c.commit_ms,
       c.wait_ms,
       c.wal_bytes,
       c.rows_filtered,
       c.rows_rejected,
       c.epoch,
       c.rows_suppressed,
       c.rows_vanished
FROM stride_catalog.chunk AS c
     JOIN stride_catalog.visible_job AS j ON j.job_id = c.job_id;

CREATE VIEW stride.rejects WITH (security_barrier) AS
SELECT r.reject_id,
       r.job_id,
       CASE WHEN j.mine THEN r.row_key END AS row_key,
       CASE WHEN j.mine THEN r.row_data END AS row_data,
       r.sqlstate,
       CASE WHEN j.mine THEN r.message END AS message,
       CASE WHEN j.mine THEN r.detail END AS detail,
       r.schema_name,
       r.table_name,
       r.column_name,
       r.constraint_name,
       r.attempt,
       r.rejected_at,
       CASE WHEN j.mine THEN r.hint END AS hint,
       CASE WHEN j.mine THEN r.context END AS context,
       r.split,
       r.chunk
FROM stride_catalog.reject AS r
     JOIN stride_catalog.visible_job AS j ON j.job_id = r.job_id;

CREATE VIEW stride.dropped_indexes WITH (security_barrier) AS
SELECT d.job_id,
       j.target_name AS table_name,
       d.index_name,
       d.state,
       CASE WHEN j.mine THEN d.definition END AS definition,
       CASE WHEN j.mine THEN d.comment END AS comment,
       d.attempts,
       d.not_before,
       d.dropped_at,
       d.settled_at,
       d.rebuild_ms,
       d.error_sqlstate,
       CASE WHEN j.mine THEN d.error_message END AS error_message
FROM stride_catalog.dropped_index AS d
     JOIN stride_catalog.visible_job AS j ON j.job_id = d.job_id;

CREATE VIEW stride.events WITH (security_barrier) AS
SELECT e.event_at,
       e.job_id,
       e.session_role,
       e.role_name,
       e.event,
       e.from_state,
       e.to_state,
       CASE WHEN j.mine THEN e.detail END AS detail
FROM stride_catalog.event AS e
     JOIN stride_catalog.visible_job AS j ON j.job_id = e.job_id;

CREATE VIEW stride.transforms WITH (security_barrier) AS
SELECT t.name,
       t.owner,
       format('%I.%I(%s)', t.schema_name, t.function_name, t.argument_types) AS function,
       t.kind,
       t.argument_types AS source_type,
       regexp_replace(t.result_type, '^SETOF ', '') AS target_type,
       t.registered_at
FROM stride_catalog.transform AS t
WHERE pg_has_role(t.owner::oid, 'USAGE');

CREATE VIEW stride.settings WITH (security_barrier) AS
SELECT s.setting AS name,
       s.kind AS type,
       s.initial AS "default",
       s.unit,
       s.description,
       s.present AS current
FROM stride_catalog.list_settings() AS s;

-------------------------------------------------------------------------------------------------------------------
-- Privileges: whatever the default privileges of the role that installs are, the two schemas and the base tables are
-- closed to all others, and everybody who is given USAGE on schema stride can use what is in it.
-------------------------------------------------------------------------------------------------------------------

DO $$
DECLARE
    given record;
BEGIN
    FOR given IN
        SELECT format('%s %I', 'SCHEMA', n.nspname) AS object, a.grantee
        FROM pg_namespace AS n, LATERAL aclexplode(n.nspacl) AS a
        WHERE n.nspname IN ('stride', 'stride_catalog') AND a.grantee <> n.nspowner
        UNION
        SELECT format('%s %s', CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.oid::regclass), a.grantee
        FROM pg_class AS c, LATERAL aclexplode(c.relacl) AS a
        WHERE c.relnamespace IN ('stride'::regnamespace, 'stride_catalog'::regnamespace) AND a.grantee <> c.relowner
    LOOP
        EXECUTE format('REVOKE ALL ON %s FROM %s', given.object,
                       CASE given.grantee WHEN 0 THEN 'PUBLIC' ELSE given.grantee::regrole::text END);
    END LOOP;
END
$$;
GRANT SELECT ON stride.jobs, stride.progress, stride.workers, stride.splits, stride.chunks, stride.rejects,
                stride.dropped_indexes, stride.events, stride.transforms, stride.settings TO PUBLIC;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA stride TO PUBLIC;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA stride_catalog TO PUBLIC;

COMMENT ON VIEW stride_catalog.visible_job IS 'The jobs that the caller may see.';

COMMENT ON VIEW stride.jobs IS
'The jobs that the caller may see, one a row: its own and those of roles it has the privileges of. Members of pg_monitor see all, but no statements, key bounds, error texts and details.';
COMMENT ON COLUMN stride.jobs.job_id IS 'The job''s id.';
COMMENT ON COLUMN stride.jobs.name IS 'The name given at submit, or NULL.';
COMMENT ON COLUMN stride.jobs.owner IS 'The role that submitted the job and that its workers connect as; a number if it was dropped.';
COMMENT ON COLUMN stride.jobs.kind IS 'What front door the job came through: statement or pipeline.';
COMMENT ON COLUMN stride.jobs.statement IS 'The SQL text as submitted, or for a pipeline the statement that it was compiled to. NULL for members of pg_monitor who may not act as the owner.';
COMMENT ON COLUMN stride.jobs.source IS 'The table that is walked, qualified; of a pipeline over a query, the work table that its rows are saved in.';
COMMENT ON COLUMN stride.jobs.target IS 'The table that is written, qualified; NULL for SELECT.';
COMMENT ON COLUMN stride.jobs.walk IS 'How the source is cut into chunks: key; block, for the places of rows in a table that is locked against writers; spool, for keys of the source, or rows of a query, that are saved first; stream, for rows of a query that are not; or rejects for a job that drives rejects again.';
COMMENT ON COLUMN stride.jobs.key IS 'The unique key that is walked, as its index defines it; until the job is planned, the one that was found when it was submitted.';
COMMENT ON COLUMN stride.jobs.sink IS 'How rows are written: statement (the executor) or bulk.';
COMMENT ON COLUMN stride.jobs.sink_reason IS 'Why that sink was taken.';
COMMENT ON COLUMN stride.jobs.state IS 'queued, running, pausing, paused, failing, cancelling, succeeded, succeeded_with_rejects, failed or cancelled.';
COMMENT ON COLUMN stride.jobs.state_reason IS 'Why the job is in that state, or what it waits for. NULL for members of pg_monitor who may not act as the owner.';
COMMENT ON COLUMN stride.jobs.attempt IS '1 at first; one more with each resume after a failure or a cancel.';
COMMENT ON COLUMN stride.jobs.submitted_at IS 'When it was submitted: the time of the submitting transaction.';
COMMENT ON COLUMN stride.jobs.started_at IS 'When its first worker started; NULL before.';
COMMENT ON COLUMN stride.jobs.finished_at IS 'When it ended; NULL while unfinished.';
COMMENT ON COLUMN stride.jobs.rows_read IS 'Driving rows walked, in committed chunks.';
COMMENT ON COLUMN stride.jobs.rows_written IS 'Rows written, in committed chunks.';
COMMENT ON COLUMN stride.jobs.rows_filtered IS 'Driving rows that led to no write: the statement''s own conditions or a trigger left them out.';
COMMENT ON COLUMN stride.jobs.rows_rejected IS 'Rows kept aside with their error.';
COMMENT ON COLUMN stride.jobs.chunks IS 'Committed chunks.';
COMMENT ON COLUMN stride.jobs.retries IS 'Chunks tried again, after a passing error or in smaller parts to find a bad row.';
COMMENT ON COLUMN stride.jobs.error_sqlstate IS 'SQLSTATE of the error that ended the job, or NULL.';
COMMENT ON COLUMN stride.jobs.error_message IS 'Its message. NULL for members of pg_monitor who may not act as the owner.';
COMMENT ON COLUMN stride.jobs.plan_ms IS 'Time spent on analysis and planning of the chunk statement, summed over workers, in ms.';
COMMENT ON COLUMN stride.jobs.read_ms IS 'Time spent reading: looking ahead in the key''s index for the chunk''s end, and in the statement''s scans, joins, conditions, sorts and aggregates, summed over workers, in ms.';
COMMENT ON COLUMN stride.jobs.transform_ms IS 'Time spent on the expressions of the statement''s columns and on functions in its FROM, timed on every 16th row or so, summed over workers, in ms.';
COMMENT ON COLUMN stride.jobs.write_ms IS 'Time spent writing rows, with their constraints and triggers, and with their index entries where the sink is the executor, summed over workers, in ms.';
COMMENT ON COLUMN stride.jobs.index_ms IS 'Time that the bulk sink spent on index entries and on noting rows for AFTER ROW triggers; 0 where the sink is the executor, which does so within write_ms, summed over workers, in ms.';
COMMENT ON COLUMN stride.jobs.checkpoint_ms IS 'Time spent on fence and checks, and on the checkpoint of the same worker''s chunk before, summed over workers, in ms.';
COMMENT ON COLUMN stride.jobs.commit_ms IS 'Time spent committing the same worker''s chunk before, summed over workers, in ms.';
COMMENT ON COLUMN stride.jobs.wait_ms IS 'Time that the worker waited before it began: throttles, back-off, stride.enabled, summed over workers, in ms.';
COMMENT ON COLUMN stride.jobs.wal_bytes IS 'WAL written by the chunks, in bytes.';
COMMENT ON COLUMN stride.jobs.error_detail IS 'The error''s DETAIL. NULL for members of pg_monitor who may not act as the owner.';
COMMENT ON COLUMN stride.jobs.error_hint IS 'The error''s HINT. NULL for members of pg_monitor who may not act as the owner.';
COMMENT ON COLUMN stride.jobs.error_context IS 'The error''s CONTEXT. NULL for members of pg_monitor who may not act as the owner.';
COMMENT ON COLUMN stride.jobs.statement_kind IS 'insert, update, delete, merge or select.';
COMMENT ON COLUMN stride.jobs.priority IS 'Higher goes first; 0 by default.';
COMMENT ON COLUMN stride.jobs.workers IS 'Workers asked for; 0 = the job chooses.';
COMMENT ON COLUMN stride.jobs.chunk_rows IS 'Rows a chunk asked for; 0 adapts to the setting chunk_time.';
COMMENT ON COLUMN stride.jobs.on_error IS 'What a row that cannot be processed does: fail stops the job, skip keeps the row aside in stride.rejects.';
COMMENT ON COLUMN stride.jobs.reject_limit IS 'The most rows that are kept aside, if given; one more fails the job.';
COMMENT ON COLUMN stride.jobs.reject_percent IS 'The same in percent of the rows judged, if given.';
COMMENT ON COLUMN stride.jobs.retry_of IS 'The job whose rejects this one drives again, or NULL.';
COMMENT ON COLUMN stride.jobs.start_at IS 'Not started before that time, if given.';
COMMENT ON COLUMN stride.jobs.depends_on IS 'Ids of the jobs that must succeed first, if given.';
COMMENT ON COLUMN stride.jobs.settings IS 'The settings given, without those left at their default. NULL for members of pg_monitor who may not act as the owner.';

COMMENT ON COLUMN stride.jobs.pipeline IS 'The arguments of a pipeline as given; NULL for a statement. NULL for members of pg_monitor who may not act as the owner.';
COMMENT ON COLUMN stride.jobs.indexes IS 'What becomes of the target''s indexes: keep, or rebuild (dropped while the job is under way).';
COMMENT ON COLUMN stride.jobs.rebuild_ms IS 'Time spent on rebuilding dropped indexes, summed over the indexes, in ms; NULL if none was rebuilt.';
COMMENT ON COLUMN stride.jobs.rows_suppressed IS 'Rows that came out of the statement but were not written: by ON CONFLICT DO NOTHING, as an earlier one of several with one conflict key, or by a trigger.';
COMMENT ON COLUMN stride.jobs.rows_vanished IS 'Saved keys whose rows were gone by their turn: deleted, moved to another partition, or with another key. 0 unless keys are saved.';

COMMENT ON VIEW stride.progress IS
'How unfinished jobs stand, and those that ended within the last hour, one a row; made for \watch. Visible as in stride.jobs.';
COMMENT ON COLUMN stride.progress.job_id IS 'The job''s id.';
COMMENT ON COLUMN stride.progress.name IS 'The name given at submit, or NULL.';
COMMENT ON COLUMN stride.progress.state IS 'The job''s state, as in stride.jobs.';
COMMENT ON COLUMN stride.progress.bar IS 'percent as 20 cells: # done, . open.';
COMMENT ON COLUMN stride.progress.percent IS 'Rows done in percent of the estimate, 0 to 100; NULL while unplanned, 100 only once succeeded.';
COMMENT ON COLUMN stride.progress.rows_per_second IS 'Driving rows a second over the last 10 s, throttled time left out; NULL until measurable.';
COMMENT ON COLUMN stride.progress.eta IS 'Time left at that rate; NULL until measurable.';
COMMENT ON COLUMN stride.progress.workers IS 'Workers alive now; the reader of a stream and the keeper of a walk by blocks are not counted.';
COMMENT ON COLUMN stride.progress.waiting_for IS 'What the job waits for: a place in the queue, a worker slot, a throttle; NULL when running freely.';
COMMENT ON COLUMN stride.progress.rows_done IS 'Driving rows walked, in committed chunks.';
COMMENT ON COLUMN stride.progress.rows_total_estimate IS 'Estimated driving rows in all, corrected as splits end; NULL while unplanned.';
COMMENT ON COLUMN stride.progress.rejected_rows IS 'Rows kept aside with their error.';
COMMENT ON COLUMN stride.progress.retries IS 'Chunks tried again, after a passing error or in smaller parts to find a bad row.';
COMMENT ON COLUMN stride.progress.chunks_done IS 'Committed chunks.';
COMMENT ON COLUMN stride.progress.chunk_rows IS 'Rows a chunk now; NULL while unknown.';
COMMENT ON COLUMN stride.progress.workers_wanted IS 'Workers that the job would use now: as asked for, or what it has chosen by itself; NULL before it has chosen and once it ended.';
COMMENT ON COLUMN stride.progress.elapsed IS 'Time since the first worker started, up to the end; NULL before.';
COMMENT ON COLUMN stride.progress.phase IS 'queued, planning, spooling (saving the keys of the source or the rows of a query), walking, rebuilding indexes, finishing, stopping, paused or ended.';
COMMENT ON COLUMN stride.progress.owner IS 'The job''s owner.';
COMMENT ON COLUMN stride.progress.last_error IS 'SQLSTATE and message of the newest error, also of one that was retried. NULL for members of pg_monitor who may not act as the owner.';

COMMENT ON VIEW stride.workers IS
'The workers alive now in this database, one a row. Visible as in stride.jobs.';
COMMENT ON COLUMN stride.workers.job_id IS 'The job that the worker works for.';
COMMENT ON COLUMN stride.workers.pid IS 'Its process id, as in pg_stat_activity.';
COMMENT ON COLUMN stride.workers.worker IS 'Its number in the job, from 1; 0 is the keeper of a walk by blocks, which holds the lock on the source.';
COMMENT ON COLUMN stride.workers.split IS 'The split that it owns now, or NULL.';
COMMENT ON COLUMN stride.workers.chunk IS 'The chunk that it does now, or NULL.';
COMMENT ON COLUMN stride.workers.phase IS 'What it does now: starting, planning, spooling, streaming (the reader of a stream), claiming, fencing, reading, writing, checkpointing, committing, waiting, keeping the lock (of a walk by blocks) or rebuilding indexes.';
COMMENT ON COLUMN stride.workers.rows_done IS 'Driving rows that it has walked in committed chunks.';
COMMENT ON COLUMN stride.workers.since IS 'When it entered the phase.';

COMMENT ON VIEW stride.splits IS
'The ranges that each job''s source is cut into, one a row; a worker owns one at a time. Visible as in stride.jobs.';
COMMENT ON COLUMN stride.splits.job_id IS 'The job''s id.';
COMMENT ON COLUMN stride.splits.split IS 'The split''s number in the job.';
COMMENT ON COLUMN stride.splits.source IS 'The table that it is a range of, qualified: the job''s source, or one of its partitions or inheriting tables.';
COMMENT ON COLUMN stride.splits.lower_key IS 'The split holds the keys above this one; NULL = from the beginning. NULL for members of pg_monitor who may not act as the owner.';
COMMENT ON COLUMN stride.splits.upper_key IS 'The split holds the keys up to and with this one. NULL for members of pg_monitor who may not act as the owner.';
COMMENT ON COLUMN stride.splits.position_key IS 'How far it is done: the last key of the last committed chunk; NULL = nothing yet. NULL for members of pg_monitor who may not act as the owner.';
COMMENT ON COLUMN stride.splits.state IS 'The split''s state; done once the position has reached the upper bound.';
COMMENT ON COLUMN stride.splits.attempts IS 'Failed attempts at the present position.';
COMMENT ON COLUMN stride.splits.not_before IS 'Not tried again before that time; NULL = at once.';
COMMENT ON COLUMN stride.splits.last_error IS 'SQLSTATE and message of the error that the last attempt ended with; NULL once a chunk was committed after it. NULL for members of pg_monitor who may not act as the owner.';
COMMENT ON COLUMN stride.splits.crashes IS 'Workers that crashed while they worked on the rows that are suspected; two pause the job.';
COMMENT ON COLUMN stride.splits.suspect_rows IS 'That many of the next rows may have crashed a worker: they are done in small chunks; 0 = none.';
COMMENT ON COLUMN stride.splits.epoch IS 'Grows with each change of owner; an older owner can commit nothing more.';
COMMENT ON COLUMN stride.splits.rows_estimate IS 'Estimated driving rows.';
COMMENT ON COLUMN stride.splits.rows_read IS 'Driving rows walked, in committed chunks.';
COMMENT ON COLUMN stride.splits.rows_written IS 'Rows written, in committed chunks.';
COMMENT ON COLUMN stride.splits.rows_filtered IS 'Driving rows that led to no write.';
COMMENT ON COLUMN stride.splits.rows_rejected IS 'Rows kept aside with their error.';
COMMENT ON COLUMN stride.splits.chunks IS 'Committed chunks.';
COMMENT ON COLUMN stride.splits.retries IS 'Chunks tried again, after a passing error or in smaller parts to find a bad row.';
COMMENT ON COLUMN stride.splits.plan_ms IS 'Time spent on analysis and planning of the chunk statement, in ms.';
COMMENT ON COLUMN stride.splits.read_ms IS 'Time spent reading: looking ahead in the key''s index for the chunk''s end, and in the statement''s scans, joins, conditions, sorts and aggregates, in ms.';
COMMENT ON COLUMN stride.splits.transform_ms IS 'Time spent on the expressions of the statement''s columns and on functions in its FROM, timed on every 16th row or so, in ms.';
COMMENT ON COLUMN stride.splits.write_ms IS 'Time spent writing rows, with their constraints and triggers, and with their index entries where the sink is the executor, in ms.';
COMMENT ON COLUMN stride.splits.index_ms IS 'Time that the bulk sink spent on index entries and on noting rows for AFTER ROW triggers; 0 where the sink is the executor, which does so within write_ms, in ms.';
COMMENT ON COLUMN stride.splits.checkpoint_ms IS 'Time spent on fence and checks, and on the checkpoint of the same worker''s chunk before, in ms.';
COMMENT ON COLUMN stride.splits.commit_ms IS 'Time spent committing the same worker''s chunk before, in ms.';
COMMENT ON COLUMN stride.splits.wait_ms IS 'Time that the worker waited before it began: throttles, back-off, stride.enabled, in ms.';
COMMENT ON COLUMN stride.splits.wal_bytes IS 'WAL written, in bytes.';
COMMENT ON COLUMN stride.splits.rows_suppressed IS 'Rows that came out of the statement but were not written: by ON CONFLICT DO NOTHING, as an earlier one of several with one conflict key, or by a trigger.';
COMMENT ON COLUMN stride.splits.rows_vanished IS 'Saved keys whose rows were gone by their turn: deleted, moved to another partition, or with another key. 0 unless keys are saved.';

COMMENT ON VIEW stride.chunks IS
'The committed chunks, one a row, each written in the same transaction as its rows. Kept for the setting history_retention. Visible as in stride.jobs.';
COMMENT ON COLUMN stride.chunks.job_id IS 'The job''s id.';
COMMENT ON COLUMN stride.chunks.split IS 'The split that the chunk is part of.';
COMMENT ON COLUMN stride.chunks.chunk IS 'The chunk''s number in its split.';
COMMENT ON COLUMN stride.chunks.lower_key IS 'The chunk holds the keys above this one; NULL = from the beginning. NULL for members of pg_monitor who may not act as the owner.';
COMMENT ON COLUMN stride.chunks.upper_key IS 'The chunk holds the keys up to and with this one. NULL for members of pg_monitor who may not act as the owner.';
COMMENT ON COLUMN stride.chunks.worker IS 'Number of the worker that did it.';
COMMENT ON COLUMN stride.chunks.attempt IS 'The attempt that succeeded, from 1.';
COMMENT ON COLUMN stride.chunks.rows_read IS 'Driving rows walked.';
COMMENT ON COLUMN stride.chunks.rows_written IS 'Rows written.';
COMMENT ON COLUMN stride.chunks.started_at IS 'When its transaction started.';
COMMENT ON COLUMN stride.chunks.finished_at IS 'When its checkpoint was written, just before the commit.';
COMMENT ON COLUMN stride.chunks.plan_ms IS 'Time spent on analysis and planning of the chunk statement, in ms.';
COMMENT ON COLUMN stride.chunks.read_ms IS 'Time spent reading: looking ahead in the key''s index for the chunk''s end, and in the statement''s scans, joins, conditions, sorts and aggregates, in ms.';
COMMENT ON COLUMN stride.chunks.transform_ms IS 'Time spent on the expressions of the statement''s columns and on functions in its FROM, timed on every 16th row or so, in ms.';
COMMENT ON COLUMN stride.chunks.write_ms IS 'Time spent writing rows, with their constraints and triggers, and with their index entries where the sink is the executor, in ms.';
COMMENT ON COLUMN stride.chunks.index_ms IS 'Time that the bulk sink spent on index entries and on noting rows for AFTER ROW triggers; 0 where the sink is the executor, which does so within write_ms, in ms.';
COMMENT ON COLUMN stride.chunks.checkpoint_ms IS 'Time spent on fence and checks, and on the checkpoint of the same worker''s chunk before, in ms.';
COMMENT ON COLUMN stride.chunks.commit_ms IS 'Time spent committing the same worker''s chunk before, in ms.';
COMMENT ON COLUMN stride.chunks.wait_ms IS 'Time that the worker waited before it began: throttles, back-off, stride.enabled, in ms.';
COMMENT ON COLUMN stride.chunks.wal_bytes IS 'WAL written, in bytes.';
COMMENT ON COLUMN stride.chunks.rows_filtered IS 'Driving rows that led to no write.';
COMMENT ON COLUMN stride.chunks.rows_rejected IS '1 for a row that was kept aside, which is a chunk by itself and counted here only; else 0.';
COMMENT ON COLUMN stride.chunks.epoch IS 'The split''s epoch under which it was committed.';
COMMENT ON COLUMN stride.chunks.rows_suppressed IS 'Rows that came out of the statement but were not written: by ON CONFLICT DO NOTHING, as an earlier one of several with one conflict key, or by a trigger.';
COMMENT ON COLUMN stride.chunks.rows_vanished IS 'Saved keys whose rows were gone by their turn: deleted, moved to another partition, or with another key. 0 unless keys are saved.';

COMMENT ON VIEW stride.rejects IS
'The rows that jobs with on_error => ''skip'' could not process, one a row, each written in the same transaction as the checkpoint that passed it. They stay until stride.retry_rejects has taken them, or stride.discard_rejects. Visible as in stride.jobs.';
COMMENT ON COLUMN stride.rejects.reject_id IS 'The reject''s id.';
COMMENT ON COLUMN stride.rejects.job_id IS 'The job that rejected the row.';
COMMENT ON COLUMN stride.rejects.row_key IS 'The row''s key, one text a key column. NULL for members of pg_monitor who may not act as the owner.';
COMMENT ON COLUMN stride.rejects.row_data IS 'The driving row as it was, those columns that the owner may read; NULL if it could not be put into jsonb. NULL for members of pg_monitor who may not act as the owner.';
COMMENT ON COLUMN stride.rejects.sqlstate IS 'SQLSTATE of the error that the row led to.';
COMMENT ON COLUMN stride.rejects.message IS 'Its message. NULL for members of pg_monitor who may not act as the owner.';
COMMENT ON COLUMN stride.rejects.detail IS 'Its DETAIL. NULL for members of pg_monitor who may not act as the owner.';
COMMENT ON COLUMN stride.rejects.schema_name IS 'The schema that the error names, or NULL.';
COMMENT ON COLUMN stride.rejects.table_name IS 'The table that it names, or NULL.';
COMMENT ON COLUMN stride.rejects.column_name IS 'The column that it names, or NULL.';
COMMENT ON COLUMN stride.rejects.constraint_name IS 'The constraint that it names, or NULL.';
COMMENT ON COLUMN stride.rejects.attempt IS '1 at first; one more with each retry that the row failed again.';
COMMENT ON COLUMN stride.rejects.rejected_at IS 'When it was rejected last.';
COMMENT ON COLUMN stride.rejects.hint IS 'The error''s HINT. NULL for members of pg_monitor who may not act as the owner.';
COMMENT ON COLUMN stride.rejects.context IS 'The error''s CONTEXT. NULL for members of pg_monitor who may not act as the owner.';
COMMENT ON COLUMN stride.rejects.split IS 'The split that the row was rejected in.';
COMMENT ON COLUMN stride.rejects.chunk IS 'The chunk of the split that passed the row.';

COMMENT ON VIEW stride.dropped_indexes IS
'The indexes that jobs with indexes => ''rebuild'' dropped from their target, one a row, also after they were rebuilt. Kept as long as the job. Visible as in stride.jobs.';
COMMENT ON COLUMN stride.dropped_indexes.job_id IS 'The job''s id.';
COMMENT ON COLUMN stride.dropped_indexes.table_name IS 'The job''s target, qualified.';
COMMENT ON COLUMN stride.dropped_indexes.index_name IS 'The index''s name; its schema is the table''s.';
COMMENT ON COLUMN stride.dropped_indexes.state IS 'dropped: it is rebuilt before the job ends; rebuilt: it is there again; failed: it could not be rebuilt, stride.resume tries again; abandoned: its table no longer exists.';
COMMENT ON COLUMN stride.dropped_indexes.definition IS 'The statement that creates it. NULL for members of pg_monitor who may not act as the owner.';
COMMENT ON COLUMN stride.dropped_indexes.comment IS 'Its comment, or NULL. NULL for members of pg_monitor who may not act as the owner.';
COMMENT ON COLUMN stride.dropped_indexes.attempts IS 'Failed attempts to rebuild it.';
COMMENT ON COLUMN stride.dropped_indexes.not_before IS 'Not tried again before that time; NULL = at once.';
COMMENT ON COLUMN stride.dropped_indexes.dropped_at IS 'When it was dropped.';
COMMENT ON COLUMN stride.dropped_indexes.settled_at IS 'When it was rebuilt or abandoned; NULL before.';
COMMENT ON COLUMN stride.dropped_indexes.rebuild_ms IS 'How long that took, in ms; 0 for one that somebody else had created again, NULL before.';
COMMENT ON COLUMN stride.dropped_indexes.error_sqlstate IS 'SQLSTATE of the last failed attempt, or NULL.';
COMMENT ON COLUMN stride.dropped_indexes.error_message IS 'Its message. NULL for members of pg_monitor who may not act as the owner.';

COMMENT ON VIEW stride.events IS
'What was asked of each job and what became of it, one event a row. Visible as in stride.jobs.';
COMMENT ON COLUMN stride.events.event_at IS 'When.';
COMMENT ON COLUMN stride.events.job_id IS 'The job''s id.';
COMMENT ON COLUMN stride.events.session_role IS 'session_user of the one who asked; the extension''s owner for what the scheduler did by itself.';
COMMENT ON COLUMN stride.events.role_name IS 'current_user of the one who asked.';
COMMENT ON COLUMN stride.events.event IS 'What happened: submit, pause, resume, cancel, alter, start, end and the like.';
COMMENT ON COLUMN stride.events.from_state IS 'The job''s state before, or NULL.';
COMMENT ON COLUMN stride.events.to_state IS 'The job''s state after, or NULL.';
COMMENT ON COLUMN stride.events.detail IS 'Why, or with what arguments. NULL for members of pg_monitor who may not act as the owner.';

COMMENT ON VIEW stride.transforms IS
'The registered transforms of the roles that the caller has the privileges of, one a row.';
COMMENT ON COLUMN stride.transforms.name IS 'The name that pipelines of its owner know it by.';
COMMENT ON COLUMN stride.transforms.owner IS 'The role that registered it.';
COMMENT ON COLUMN stride.transforms.function IS 'The function, with its schema and argument type, as it was registered.';
COMMENT ON COLUMN stride.transforms.kind IS 'row: at most one row for each; row set: any number of rows for each; chunk: one call a batch.';
COMMENT ON COLUMN stride.transforms.source_type IS 'The type that it takes: the row type of the source, or an array of it.';
COMMENT ON COLUMN stride.transforms.target_type IS 'The type of the rows that it returns.';
COMMENT ON COLUMN stride.transforms.registered_at IS 'When it was registered, last.';

COMMENT ON VIEW stride.settings IS
'The keys that the argument settings of stride.submit takes. The default of each is the configuration parameter stride.<name>.';
COMMENT ON COLUMN stride.settings.name IS 'The key.';
COMMENT ON COLUMN stride.settings.type IS 'bool, integer or enum.';
COMMENT ON COLUMN stride.settings."default" IS 'Its default as compiled in.';
COMMENT ON COLUMN stride.settings.unit IS 'The unit of a number without one: ms or min; NULL if it has none.';
COMMENT ON COLUMN stride.settings.description IS 'What it does.';
COMMENT ON COLUMN stride.settings.current IS 'Its default in this session: the value of stride.<name>.';
