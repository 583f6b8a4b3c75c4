// The making of a job.
// Regime: pg.
#include "job/submission.hpp"

#include "settings/settings.hpp"
#include "job/block_walk.hpp"
#include "job/leaves.hpp"
#include "job/spool.hpp"
#include "job/worklist.hpp"
#include "settings/session.hpp"
#include "analysis/statement.hpp"
#include "sink/bulk.hpp"
#include "sink/index_choice.hpp"
#include "walk/plan.hpp"

namespace stride::job {
namespace {

constexpr const char *walks[] = {"auto", "key", "spool", "stream", "block"};

void check_walk(const Arguments &arguments) {
    bool known = false;
    for (const char *walk : walks)
        known = known || (arguments.walk != nullptr && strcmp(arguments.walk, walk) == 0);
    if (!known)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("invalid value for walk: \"%s\"", arguments.walk == nullptr ? "NULL" : arguments.walk),
                        errhint("Use \"auto\", \"key\", \"spool\", \"stream\" or \"block\".")));
    if (strcmp(arguments.walk, "block") == 0 && arguments.key != nullptr)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("a key cannot be given with walk => 'block'"),
                        errhint("Leave out one of them.")));
}

// Whether the walk is one by blocks.
bool check_block_walk(const Work &work, const Arguments &arguments, const analysis::Statement &statement,
                      const settings::Settings &settings) {
    if (strcmp(arguments.walk, "block") != 0) return false;
    if (work.work_table != nullptr)
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("walk => 'block' needs a table as source"),
                        errhint("Leave walk out, and the rows of the query are saved first.")));
    if (settings.source_rows_at_start)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("walk => 'block' does not go together with source_rows \"at_start\""),
                        errhint("Nobody can write the table during the walk: leave source_rows out.")));
    check_block_source(statement, work.deletes_source);
    return true;
}

// What the submitter has to say about it.
KeySaving key_saving(const Work &work, const Arguments &arguments, const settings::Settings &settings) {
    if (work.work_table != nullptr || strcmp(arguments.walk, "block") == 0) return KeySaving::never;
    if (strcmp(arguments.walk, "stream") == 0)
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("walk => 'stream' needs a query as source"),
                        errhint("Submit a pipeline with source_query, or leave walk out.")));
    if (strcmp(arguments.walk, "spool") == 0) return KeySaving::always;
    const bool by_key = strcmp(arguments.walk, "key") == 0;
    if (by_key && settings.source_rows_at_start)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("walk => 'key' does not go together with source_rows \"at_start\""),
                        errdetail("A walk by key meets the rows that are there as it comes by."),
                        errhint("Leave walk out, so that the keys are saved at the start, or leave out source_rows.")));
    if (by_key) return KeySaving::never;
    if (settings.source_rows_at_start) return KeySaving::always;
    return work.pipeline == nullptr ? KeySaving::if_few : KeySaving::never;
}

void check_choices(const Arguments &arguments) {
    if (arguments.has_workers) settings::check_workers(arguments.workers);
    settings::check_chunk_rows(arguments.chunk_rows);
    if (arguments.name != nullptr && arguments.name[0] == '\0')
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("a job's name must not be empty"),
                        errhint("Give a name, or NULL for a job without one.")));
}

// on_error and the limits of a job that skips rows, checked and put into the job.
void fill_on_error(catalog::Job *job, const Arguments &arguments) {
    const bool skips = arguments.on_error != nullptr && strcmp(arguments.on_error, "skip") == 0;
    if (!skips && (arguments.on_error == nullptr || strcmp(arguments.on_error, "fail") != 0))
        ereport(
            ERROR,
            (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
             errmsg("invalid value for on_error: \"%s\"", arguments.on_error == nullptr ? "NULL" : arguments.on_error),
             errhint("Use \"fail\", which stops at the first row that cannot be processed, or \"skip\", which "
                     "keeps such rows aside in stride.rejects.")));
    if (!skips && (arguments.has_reject_limit || arguments.reject_percent != 0))
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("reject_limit and reject_percent need a job that skips rows"),
                        errhint("Add on_error => 'skip', or leave them out.")));
    if (arguments.has_reject_limit) settings::check_reject_limit(arguments.reject_limit);
    job->on_error = pstrdup(arguments.on_error);
    job->reject_limit = arguments.has_reject_limit ? arguments.reject_limit : -1;
    job->reject_percent = -1;
    if (arguments.reject_percent == 0) return;
    job->reject_percent = DatumGetFloat8(DirectFunctionCall1(numeric_float8, arguments.reject_percent));
    settings::check_reject_percent(job->reject_percent);
}

void check_dependencies(ArrayType *depends_on) {
    if (depends_on == nullptr) return;
    Datum *elements;
    bool *nulls;
    int count;
    deconstruct_array(depends_on, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &elements, &nulls, &count);
    for (int i = 0; i < count; i++) {
        if (nulls[i])
            ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("depends_on must not contain NULL"),
                            errhint("Give the ids of the jobs that must succeed first.")));
        (void)catalog::require_own_job(DatumGetInt64(elements[i]));
    }
}

// What 15 and 16 would refuse when the worker connects is refused here, where somebody reads it.
void check_owner() {
    if (superuser() && !settings::enable_superuser_jobs)
        ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("superusers may not submit jobs"),
                        errdetail("stride.enable_superuser_jobs is off."),
                        errhint("SET ROLE to the role that the job is to run as.")));
    HeapTuple tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(GetUserId()));
    if (!HeapTupleIsValid(tuple)) elog(ERROR, "cache lookup failed for role %u", GetUserId());
    const bool may_login = reinterpret_cast<Form_pg_authid>(GETSTRUCT(tuple))->rolcanlogin;
    ReleaseSysCache(tuple);
    if (!may_login)
        ereport(ERROR, (errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
                        errmsg("role \"%s\" is not permitted to log in", GetUserNameFromId(GetUserId(), false)),
                        errdetail("A job's workers connect as the role that submits it."),
                        errhint("Submit as a role with LOGIN, or ALTER ROLE .. LOGIN.")));
}

void fill_relations(catalog::Job *job, const List *relations) {
    const int count = list_length(relations);
    Datum *oids = static_cast<Datum *>(palloc(sizeof(Datum) * static_cast<Size>(Max(1, count))));
    Datum *names = static_cast<Datum *>(palloc(sizeof(Datum) * static_cast<Size>(Max(1, count))));
    for (int i = 0; i < count; i++) {
        oids[i] = ObjectIdGetDatum(list_nth_oid(relations, i));
        names[i] = CStringGetTextDatum(qualified_name(list_nth_oid(relations, i)));
    }
    job->relations = construct_array(oids, count, OIDOID, sizeof(Oid), true, TYPALIGN_INT);
    job->relation_names = construct_array(names, count, TEXTOID, -1, false, TYPALIGN_INT);
}

// The key that all leaves have in common, nullptr if there is none.
char *common_key(List *leaves) {
    char *key = nullptr;
    ListCell *cell;
    foreach (cell, leaves) {
        const catalog::Leaf *leaf = static_cast<catalog::Leaf *>(lfirst(cell));
        if (!leaf->walked) continue;
        if (key != nullptr && strcmp(key, leaf->key_definition) != 0) return nullptr;
        key = leaf->key_definition;
    }
    return key;
}

// What planning would find now, so that its refusals are raised where somebody reads them.
List *fill_walk(catalog::Job *job, const Work &work, const Arguments &arguments, bool by_blocks, KeySaving saving,
                const PlannedStmt *whole, const char **reason) {
    Query *query = analysis::analyse_stored(job->stored_sql);
    List *leaves = find_leaves(source_of(query, job->source, job->stored_alias, by_blocks), whole, job->wanted_key);
    *reason = why_keys_are_saved(*job, leaves, saving);
    const bool streams = strcmp(arguments.walk, "stream") == 0;
    const bool spools = work.work_table != nullptr || *reason != nullptr;
    job->walk = pstrdup(streams ? "stream" : spools ? "spool" : by_blocks ? "block" : "key");
    job->key_definition = common_key(leaves);
    return leaves;
}

// A table that was given a pipeline as argument is the one that its name led analysis to.
void require_same_tables(const Work &work, const analysis::Statement &statement) {
    if (!OidIsValid(work.source) || (work.source == statement.source && work.target == statement.target)) return;
    elog(ERROR, "pipeline from %u to %u was analysed as one from %u to %u", work.source, work.target, statement.source,
         statement.target);
}

bool writes_in_place(const analysis::Statement &statement) {
    return statement.kind == analysis::StatementKind::update || statement.kind == analysis::StatementKind::delete_;
}

void fill_work(catalog::Job *job, const Work &work, const analysis::Statement &statement) {
    job->kind = pstrdup(work.kind);
    job->statement = pstrdup(work.pipeline == nullptr ? work.statement : statement.sql);
    job->pipeline = work.pipeline;
    job->indexes = pstrdup(work.indexes);
    job->one_to_one = work.one_to_one || writes_in_place(statement);
    job->keeps_last = work.keeps_last;
    job->deletes_source = work.deletes_source;
    job->transform = work.transform;
    job->transform_oid = work.transform_oid;
    job->transform_version = work.transform_version;
}

void fill_statement(catalog::Job *job, const analysis::Statement &statement) {
    job->statement_kind = pstrdup(analysis::kind_name(statement.kind));
    job->stored_sql = pstrdup(statement.sql);
    job->stored_alias = pstrdup(statement.source_alias);
    job->source = statement.source;
    job->source_name = qualified_name(statement.source);
    job->target = statement.target;
    job->target_name = OidIsValid(statement.target) ? qualified_name(statement.target) : nullptr;
    fill_relations(job, statement.relations);
}

void check_indexes(const catalog::Job &job) {
    if (!catalog::rebuilds_indexes(job)) return;
    Relation target = table_open(job.target, AccessShareLock);
    sink::require_rebuildable(target);
    table_close(target, NoLock);
}

// The sink that chunks would take now; each chunk judges anew, under its locks.
void fill_sink(catalog::Job *job, const settings::Settings &settings, PlannedStmt *whole) {
    const char *refusal = settings.statement_sink ? "the setting sink says so" : sink::bulk_refusal(whole);
    job->sink = pstrdup(refusal == nullptr ? "bulk" : "statement");
    job->sink_reason = pstrdup(refusal == nullptr ? "rows are written in batches, with the same result" : refusal);
}

// Whether the submitter leaves it open where the rows of a statement are walked.
bool may_save_driver(const Work &work, const Arguments &arguments) {
    return work.pipeline == nullptr && arguments.key == nullptr &&
           (strcmp(arguments.walk, "auto") == 0 || strcmp(arguments.walk, "spool") == 0);
}

char *unique_note(Oid work_table, const List *columns) {
    StringInfoData names;
    initStringInfo(&names);
    ListCell *cell;
    foreach (cell, columns)
        appendStringInfo(&names, "%s%s", names.len == 0 ? "" : ", ",
                         quote_identifier(get_attname(work_table, static_cast<AttrNumber>(lfirst_int(cell)), false)));
    return psprintf(
        "Two rows of the source that agree in (%s) could meet in one target row: if there are such, the job fails "
        "when they are saved, before it writes anything.",
        names.data);
}

// Makes a statement that is driven by what has no key one over a work table.
void save_driver(Work *work, const Arguments &arguments, bool with_frozen_time) {
    const analysis::KeylessStatement *keyless = analysis::find_keyless(
        work->parsed, arguments.source_alias, strcmp(arguments.walk, "spool") == 0, with_frozen_time);
    if (keyless == nullptr) return;
    work->work_table = make_work_table(keyless->rows);
    work->source_alias = get_rel_name(work->work_table->relation);
    work->parsed = analysis::read_from(*keyless, work->work_table->relation);
    List *unique = analysis::columns_to_be_unique(keyless->query, work->work_table->relation);
    if (unique == NIL) return;
    catalog::make_unique(work->work_table->relation, unique);
    work->notes = lappend(work->notes, unique_note(work->work_table->relation, unique));
}

} // namespace

Work statement_work(const char *statement) {
    Work work = {};
    work.kind = "statement";
    work.statement = statement;
    work.parsed = analysis::parse_statement(statement);
    work.indexes = "keep";
    return work;
}

Prepared prepare_job(Work work, const Arguments &arguments) {
    check_walk(arguments);
    check_choices(arguments);
    check_owner();
    check_dependencies(arguments.depends_on);
    catalog::Job *job = static_cast<catalog::Job *>(palloc0(sizeof(catalog::Job)));
    fill_on_error(job, arguments);
    job->settings = settings::check_settings(arguments.settings, nullptr);
    const settings::Settings settings = settings::resolve_settings(job->settings);
    if (may_save_driver(work, arguments)) save_driver(&work, arguments, settings.freeze_time);
    char *source_alias = work.source_alias == nullptr ? arguments.source_alias : pstrdup(work.source_alias);
    const analysis::Statement *statement = analysis::analyse(
        work.parsed, {source_alias, settings.freeze_time, settings.self_reference_per_chunk,
                      settings.delivery_at_least_once, work.own_levels, work.deletes_source, arguments.key,
                      work.keeps_last, work.work_table == nullptr ? InvalidOid : work.work_table->relation});
    require_same_tables(work, *statement);
    const bool by_blocks = check_block_walk(work, arguments, *statement, settings);
    fill_statement(job, *statement);
    fill_work(job, work, *statement);
    check_indexes(*job);
    job->name = arguments.name;
    job->owner = GetUserId();
    job->owner_name = GetUserNameFromId(GetUserId(), false);
    job->home = catalog::this_home();
    job->source_alias = source_alias;
    job->wanted_key = arguments.key;
    job->workers = arguments.has_workers ? arguments.workers : settings::default_workers;
    job->chunk_rows = arguments.chunk_rows;
    job->depends_on = arguments.depends_on;
    job->has_start_at = arguments.has_start_at;
    job->start_at = arguments.start_at;
    job->priority = arguments.priority;
    job->session = settings::capture_session();
    PlannedStmt *whole = walk::plan_whole(analysis::analyse_stored(job->stored_sql), job->stored_sql);
    const char *walk_reason;
    List *leaves =
        fill_walk(job, work, arguments, by_blocks, key_saving(work, arguments, settings), whole, &walk_reason);
    fill_sink(job, settings, whole);
    return Prepared{job, work.work_table, walk_reason, leaves, list_concat(list_copy(work.notes), statement->warnings)};
}

char *chunk_statement_sql(const catalog::Job &job, const catalog::Leaf &leaf) {
    Query *query = analysis::analyse_stored(job.stored_sql);
    const analysis::Driver driver = analysis::find_driver(query, job.source, job.stored_alias);
    const walk::Key key = require_same_key(job, leaf);
    analysis::add_range(query, driver,
                        saves_keys(job) ? walk::membership_qual(key, driver.rtindex, nullptr)
                                        : walk::range_qual_with_params(key, driver.rtindex));
    char *sql = analysis::deparse(query);
    return sql;
}

} // namespace stride::job
