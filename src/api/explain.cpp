// explain: what a submission would do, item by item.
// Regime: pg.  Runs nothing of the user's, and leaves nothing behind.
#include "api/submit.hpp"

#include "bridge/boundary.hpp"
#include "catalog/transform.hpp"
#include "job/block_walk.hpp"
#include "job/leaves.hpp"
#include "job/spool.hpp"
#include "job/stream.hpp"
#include "job/worklist.hpp"
#include "queue/automatic.hpp"
#include "settings/session.hpp"
#include "settings/settings.hpp"
#include "shared/area.hpp"
#include "sink/index_choice.hpp"
#include "walk/splits.hpp"

namespace stride::api {
namespace {

struct Items {
    Tuplestorestate *store;
    TupleDesc descriptor;
};

void put(const Items &items, const char *item, const char *value) {
    Datum values[2] = {CStringGetTextDatum(item), Datum{0}};
    bool nulls[2] = {false, value == nullptr};
    if (value != nullptr) values[1] = CStringGetTextDatum(value);
    tuplestore_putvalues(items.store, items.descriptor, values, nulls);
}

const char *chunk_rows_text(const catalog::Job &job, const settings::Settings &settings) {
    if (job.chunk_rows > 0) return psprintf("%d", job.chunk_rows);
    return psprintf("adapts to %d ms a chunk", settings.chunk_time);
}

const char *workers_text(const job::Prepared &prepared) {
    const catalog::Job *job = prepared.job;
    if (job->workers > 0) return psprintf("%d", job->workers);
    const double rows = prepared.work_table == nullptr ? walk::estimate_rows(prepared.leaves)
                                                       : job::estimate_spool(*prepared.work_table).rows;
    return psprintf("automatic (%d now)", queue::automatic_start(job->owner, rows));
}

const char *on_error_text(const catalog::Job &job) {
    if (strcmp(job.on_error, "fail") == 0)
        return "the first row that cannot be processed fails the job, which names it";
    StringInfoData text;
    initStringInfo(&text);
    appendStringInfoString(&text, "rows that cannot be processed are kept aside in stride.rejects");
    if (job.reject_limit >= 0)
        appendStringInfo(&text, "; more than %lld fail the job", static_cast<long long>(job.reject_limit));
    if (job.reject_percent >= 0)
        appendStringInfo(&text, "; more than %g %% of the rows judged, but of 1,000 at least, fail the job",
                         job.reject_percent);
    else
        appendStringInfoString(&text,
                               "; the job fails if its first 300 rows are all bad, or over half of at least 1,000");
    return text.data;
}

void put_indexes(const Items &items, const catalog::Job &job) {
    if (!catalog::rebuilds_indexes(job)) return;
    Relation target = table_open(job.target, AccessShareLock);
    List *choices = sink::choose_indexes(target);
    table_close(target, NoLock);
    ListCell *cell;
    foreach (cell, choices) {
        const sink::IndexChoice *choice = static_cast<sink::IndexChoice *>(lfirst(cell));
        put(items, psprintf("index %s", choice->name),
            choice->kept == nullptr ? "dropped when the job is planned, rebuilt before it ends"
                                    : psprintf("kept: %s", choice->kept));
    }
}

void put_session(const Items &items, Jsonb *session) {
    settings::for_each_captured(
        session, [&items](const char *name, const char *value) { put(items, psprintf("setting %s", name), value); });
}

// The tables that are walked, and how; returns the first of them, nullptr if there is none.
const catalog::Leaf *put_leaves(const Items &items, const catalog::Job &job, List *leaves) {
    const catalog::Leaf *first = nullptr;
    int walked = 0;
    ListCell *cell;
    foreach (cell, leaves) {
        const catalog::Leaf *leaf = static_cast<catalog::Leaf *>(lfirst(cell));
        if (leaf->walked && walked++ == 0) first = leaf;
    }
    if (list_length(leaves) != 1 || first == nullptr || first->relation != job.source)
        put(items, "tables walked",
            walked == list_length(leaves)
                ? psprintf("%d beneath the source", walked)
                : psprintf("%d of the %d beneath the source; the statement rules the rows of the others out", walked,
                           list_length(leaves)));
    if (first == nullptr) return nullptr;
    put(items, "key", job.key_definition != nullptr ? job.key_definition : "each table its own");
    if (job::walks_blocks(job)) {
        put(items, "lock",
            psprintf("WHOEVER WRITES %s WAITS UNTIL THE JOB HAS ENDED OR IS PAUSED; if rows are written while it is "
                     "paused, it "
                     "fails when it is resumed",
                     job.source_name));
        return first;
    }
    put(items, "key index",
        first->key_index_name != nullptr ? first->key_index_name
                                         : "none: the key is taken on your word, and every row is held against it, all "
                                           "of them when the job is planned");
    return first;
}

void put_sorted_leaves(const Items &items, const catalog::Job &job, List *leaves) {
    ListCell *cell;
    foreach (cell, leaves) {
        const catalog::Leaf *leaf = static_cast<catalog::Leaf *>(lfirst(cell));
        if (!leaf->walked || !job::is_read_whole_each_time(job, *leaf)) continue;
        put(items, "note",
            psprintf(
                "The foreign table %s does not give its rows in the order of the key: every chunk reads all of it. "
                "stride.submit_pipeline(target, source_query => 'SELECT * FROM %s') reads it once.",
                leaf->relation_name, leaf->relation_name));
    }
}

// Which rows of a table its walk meets, whatever others do to it.
const char *promise_of(const catalog::Job &job) {
    if (job::walks_blocks(job))
        return "those that are there when the job begins, each exactly once: nobody writes the table meanwhile";
    if (job::saves_keys(job))
        return "those whose keys are there when the job is planned, each exactly once; what is gone by its turn is "
               "counted in rows_vanished";
    return "those that are there as the walk comes by, each key exactly once; a row whose key or partition is changed "
           "meanwhile may be met twice or not at all";
}

// The source: a table, or what is saved of a query, and what that promises.
void put_source(const Items &items, const job::Prepared &prepared) {
    if (prepared.work_table == nullptr) {
        put(items, "source", prepared.job->source_name);
        put(items, "source rows", promise_of(*prepared.job));
        return;
    }
    const job::SpoolEstimate estimate = job::estimate_spool(*prepared.work_table);
    if (job::is_stream(*prepared.job)) {
        put(items, "source", "the rows of a query, sent to the workers as one reader process finds them");
        put(items, "source query", prepared.work_table->query);
        put(items, "source rows",
            "those that the query finds under one snapshot; a pause, or the early end of a process, begins anew");
        return;
    }
    put(items, "source", "the rows of a query, saved in a work table when the job is planned");
    put(items, "source query", prepared.work_table->query);
    put(items, "source rows",
        "those that the query finds under one snapshot, in its order, each exactly once, also after a crash or a "
        "resume");
    put(items, "space",
        psprintf("about %s for %.0f rows, until the job has succeeded",
                 text_to_cstring(DatumGetTextPP(
                     DirectFunctionCall1(pg_size_pretty, Int64GetDatum(static_cast<int64>(estimate.bytes))))),
                 estimate.rows));
}

void put_job(const Items &items, const job::Prepared &prepared) {
    const catalog::Job *job = prepared.job;
    const settings::Settings settings = settings::resolve_settings(job->settings);
    put(items, "statement kind", job->statement_kind);
    put_source(items, prepared);
    put(items, "target", job->target_name);
    if (job->transform != nullptr) put(items, "transform", catalog::function_name(job->transform).signature);
    put(items, "walk", job->walk);
    if (prepared.walk_reason != nullptr) put(items, "walk reason", prepared.walk_reason);
    const catalog::Leaf *first = job::is_stream(*job) ? nullptr : put_leaves(items, *job, prepared.leaves);
    put(items, "sink", job->sink);
    put(items, "sink reason", job->sink_reason);
    put_indexes(items, *job);
    put(items, "workers", workers_text(prepared));
    put(items, "chunk rows", chunk_rows_text(*job, settings));
    put(items, "on error", on_error_text(*job));
    put(items, "delivery",
        settings.delivery_at_least_once ? "at least once"
        : job::is_stream(*job)          ? "exactly once: a row that is sent again meets itself in the target"
                                        : "exactly once");
    put(items, "time",
        settings.freeze_time ? "frozen in the statement, at the time of submission"
                             : "not frozen: each chunk sees its own");
    if (job::is_stream(*job)) put(items, "chunk statement", job->stored_sql);
    if (first != nullptr) put(items, "chunk statement", job::chunk_statement_sql(*job, *first));
    ListCell *cell;
    foreach (cell, prepared.warnings)
        put(items, "note", static_cast<char *>(lfirst(cell)));
    put_sorted_leaves(items, *job, prepared.leaves);
    put_session(items, job->session);
}

void explain(FunctionCallInfo fcinfo, const Submission &submission) {
    shared::require_preload();
    InitMaterializedSRF(fcinfo, 0);
    const ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
    const Items items = {result->setResult, result->setDesc};
    const job::Prepared prepared = prepare(submission);
    put_job(items, prepared);
    if (prepared.work_table != nullptr) catalog::discard_work_table(prepared.work_table->relation);
}

} // namespace
} // namespace stride::api

extern "C" {

PG_FUNCTION_INFO_V1(stride_explain);
PGDLLEXPORT Datum stride_explain(PG_FUNCTION_ARGS) {
    return stride::bridge::boundary([&]() -> Datum {
        stride::api::explain(fcinfo, stride::api::explain_arguments(fcinfo));
        return Datum{0};
    });
}

PG_FUNCTION_INFO_V1(stride_explain_pipeline);
PGDLLEXPORT Datum stride_explain_pipeline(PG_FUNCTION_ARGS) {
    return stride::bridge::boundary([&]() -> Datum {
        stride::api::explain(fcinfo, stride::api::explain_pipeline_arguments(fcinfo));
        return Datum{0};
    });
}

} // extern "C"
