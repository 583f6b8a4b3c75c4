// The compiler of pipelines: checks the arguments, matches the columns, chooses the shape.
// Regime: pg.
#include "pipeline/compile.hpp"

#include "analysis/analysis.hpp"
#include "job/function_version.hpp"
#include "pipeline/chunk_columns.hpp"
#include "pipeline/shape.hpp"
#include "pipeline/source.hpp"
#include "pipeline/tree.hpp"
#include "settings/json_object.hpp"
#include "walk/block.hpp"
#include "walk/plan.hpp"

namespace stride::pipeline {
namespace {

void check_arguments(const Arguments &arguments) {
    if (!OidIsValid(arguments.target)) refuse_missing("target", "Give the table that the pipeline writes.");
    if (arguments.transform != nullptr && arguments.transform_query != nullptr)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                 errmsg("transform and transform_query cannot be given together"), errhint("Give one of them.")));
    if (!arguments.has_delete_source) refuse_missing("delete_source", "Use true or false.");
    if (arguments.indexes == nullptr ||
        (strcmp(arguments.indexes, "keep") != 0 && strcmp(arguments.indexes, "rebuild") != 0))
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                 errmsg("invalid value for indexes: \"%s\"", arguments.indexes == nullptr ? "NULL" : arguments.indexes),
                 errhint("Use \"keep\" or \"rebuild\".")));
}

void require_chunk_in_from(Query *query, Oid source) {
    ListCell *cell;
    foreach (cell, analysis::candidates(query)) {
        const RangeTblEntry *entry = analysis::entry_of(*static_cast<analysis::Candidate *>(lfirst(cell)));
        if (entry->relid == source && strcmp(entry->eref->aliasname, driver_alias) == 0) return;
    }
    refuse_query("It reads the relation chunk in an expression only, or in a WITH query that its FROM does not read.",
                 "Write SELECT .. FROM chunk.");
}

// The user's SELECT by itself, over the relation chunk, for the names of its columns and for what kind of query it is;
// chunk then has the columns that it reads.
Query *analyse_user_query(Shape *shape, const analysis::Texts &texts) {
    SelectStmt *over = select(list_make1(target(whole_row("q"), nullptr)), subquery(shape->query, "q"));
    over->withClause = with(chunk_name, reinterpret_cast<Node *>(select_chunk(*shape)));
    RawStmt *raw = makeNode(RawStmt);
    raw->stmt = reinterpret_cast<Node *>(over);
    Query *query = analysis::analyse_raw({raw, texts});
    require_chunk_in_from(query, RelationGetRelid(shape->source));
    shape->columns = read_columns(query, shape->columns);
    return linitial_node(RangeTblEntry, query->rtable)->subquery;
}

void judge_user_query(const Query *query, const Shape &shape) {
    if (shape.assignments == NIL && (query->hasAggs || query->groupClause != NIL || query->groupingSets != NIL))
        refuse_query(
            "It has an aggregate or GROUP BY, and each chunk would overwrite what the chunks before it came to.",
            "Say in update_set how partial results are merged, with on_conflict => 'update', as in update_set => "
            "'total = t.total + excluded.total'.");
    if (!shape.deletes_source) return;
    const char *loss = row_loss(shape.query);
    if (loss == nullptr && query->hasTargetSRFs) loss = "It calls a set-returning function, which may give no row.";
    if (loss != nullptr)
        refuse_query(psprintf("%s With delete_source, rows that do not reach the result would be lost.", loss),
                     "Use a registered transform, which keeps the rows that it leaves out, or drop delete_source.");
}

void choose_columns(Shape *shape, const UserSql &user, const char *transform_name) {
    List *given;
    const char *giver;
    if (shape->query != nullptr) {
        const Query *query = analyse_user_query(shape, user.texts);
        judge_user_query(query, *shape);
        given = query_columns(query);
        giver = "transform_query";
    } else if (shape->function != nullptr) {
        given = descriptor_columns(shape->function->result);
        giver = psprintf("transform \"%s\"", transform_name);
    } else {
        given = shape->columns;
        giver = shape->saved ? "the query" : psprintf("source \"%s\"", RelationGetRelationName(shape->source));
    }
    shape->written = written_columns(shape->target, given, giver);
    shape->picks_columns = list_length(shape->written) < list_length(given);
}

// Results of several rows of a record without a type of its own can't be kept together until their row is deleted.
void refuse_lossy_delete(const Shape &shape) {
    if (!shape.deletes_source || shape.function == nullptr || shape.function->kind != TransformKind::row_set) return;
    if (shape.function->result->tdtypeid != RECORDOID) return;
    ereport(ERROR,
            (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
             errmsg("delete_source needs a transform that returns SETOF of a table's or composite type"),
             errdetail("The function %s returns %s.", shape.function->name.signature, shape.function->name.result_type),
             errhint("Declare the function to return SETOF the target's row type.")));
}

char *array_text(ArrayType *names) {
    return names == nullptr ? nullptr : OidOutputFunctionCall(F_ARRAY_OUT, PointerGetDatum(names));
}

// The arguments as they were given: what makes two submissions without a name the same one.
Jsonb *describe(const Arguments &arguments, const Source &source, const Shape &shape) {
    settings::JsonObject given;
    given.put_text("target", qualified_name(shape.target));
    given.put_text("source", source.name);
    given.put_text("source_query", arguments.source_query);
    given.put_text("transform", arguments.transform);
    given.put_text("transform_query", arguments.transform_query);
    given.put_text("on_conflict", arguments.on_conflict);
    given.put_text("conflict_columns", array_text(arguments.conflict_columns));
    given.put_text("update_columns", array_text(arguments.update_columns));
    given.put_text("update_set", arguments.update_set);
    given.put_text("delete_source", arguments.delete_source ? "true" : "false");
    given.put_text("indexes", arguments.indexes);
    return given.finish();
}

void add_columns(walk::Key *order, const walk::Key &key) {
    for (int i = 0; i < key.ncolumns; i++) {
        bool is_there = order->ncolumns == INDEX_MAX_KEYS;
        for (int j = 0; j < order->ncolumns; j++)
            is_there = is_there || order->columns[j].attno == key.columns[i].attno;
        if (!is_there) order->columns[order->ncolumns++] = key.columns[i];
    }
}

// Where the order of rows shows, in the last one of a conflict key and in a function's batches, it is that of the
// walk.  The partitions of a table mostly have one key; where they do not, the columns of all their keys make an order
// in which no two rows of a chunk are equal.
const walk::Key *choose_order(const Shape &shape, const job::Arguments &common) {
    if (shape.query != nullptr) return nullptr;
    const Oid source = RelationGetRelid(shape.source);
    walk::Key *order = static_cast<walk::Key *>(palloc0(sizeof(walk::Key)));
    if (strcmp(common.walk, "block") == 0) {
        *order = walk::block_key(source, source);
        return order;
    }
    ListCell *cell;
    foreach (cell, find_all_inheritors(source, AccessShareLock, nullptr)) {
        Relation table = table_open(lfirst_oid(cell), NoLock);
        if (table->rd_rel->relkind == RELKIND_RELATION) add_columns(order, walk::choose_key(table, source, common.key));
        table_close(table, NoLock);
    }
    return order;
}

List *note_conflicts(const Shape &shape, bool keeps_last) {
    const Conflict &conflict = *shape.conflict;
    if (!keeps_last ||
        (shape.function == nullptr && shape.query == nullptr && hold_unique_key(shape.source, conflict.key)))
        return NIL;
    return list_make1(
        pstrdup("The key of the source does not decide the conflict columns: of rows with the same ones, the last "
                "of a chunk is written, and of several chunks the one that commits last stays."));
}

[[noreturn]] void refuse_stream(const char *detail, const char *hint) {
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("the pipeline cannot walk a stream"),
                    errdetail("%s", detail), errhint("%s", hint)));
    pg_unreachable();
}

// Whether the query reads what is written where the target is, by whatever name.
bool reads(const catalog::WorkTable &table, Oid target) {
    const PlannedStmt *plan = walk::plan_parallel(analysis::analyse_stored(table.query), table.query);
    ListCell *cell;
    foreach (cell, analysis::written_relations(target, true))
        if (list_member_oid(plan->relationOids, lfirst_oid(cell))) return true;
    return false;
}

// A stream that breaks begins anew: writing a row twice must come to the same.
void check_stream(const Conflict &conflict, const Shape &shape, const catalog::WorkTable &table,
                  const job::Arguments &common, const settings::Settings &settings) {
    if (common.walk == nullptr || strcmp(common.walk, "stream") != 0) return;
    static constexpr const char *spool_hint = "Use walk => 'spool', which goes on where it stopped.";
    if (settings.max_rows > 0 || settings.max_run_time > 0)
        refuse_stream("max_rows and max_run_time end a run before the stream's end, and the next run begins anew.",
                      spool_hint);
    if (settings.delivery_at_least_once) return;
    if (conflict.key == NIL)
        refuse_stream(
            "It begins anew when a process of it ends early, and would write rows twice.",
            "Use walk => 'spool', or name the key with on_conflict => 'update' or 'nothing' and conflict_columns, "
            "or accept doubles with the setting {\"delivery\": \"at_least_once\"}.");
    if (reads(table, RelationGetRelid(shape.target)))
        refuse_stream(
            "It begins anew when a process of it ends early, and the query would then read what it has written.",
            spool_hint);
    if (shape.assignments != NIL)
        refuse_stream("It begins anew when a process of it ends early, and update_set would merge rows twice.",
                      "Use walk => 'spool', or accept that with the setting {\"delivery\": \"at_least_once\"}.");
}

} // namespace

job::Work compile(const Arguments &arguments, const job::Arguments &common, const settings::Settings &settings) {
    check_arguments(arguments);
    const UserSql user = parse_user_sql(arguments.transform_query, arguments.update_set);
    const Source source = open_source(arguments, common, settings.freeze_time);
    Shape shape = {};
    shape.source = source.relation;
    shape.columns = source.columns;
    shape.saved = source.work_table != nullptr;
    shape.target = open_argument("target", arguments.target);
    shape.batch_rows = settings.batch_rows;
    shape.query = user.query;
    shape.assignments = user.assignments;
    shape.deletes_source = arguments.delete_source;
    Transform function;
    if (arguments.transform != nullptr) {
        function = require_transform(arguments.transform, shape.source);
        shape.function = &function;
    }
    choose_columns(&shape, user, arguments.transform);
    refuse_lossy_delete(shape);
    const Conflict conflict = resolve_conflict(shape.target, shape.written, arguments);
    shape.conflict = &conflict;
    if (shape.saved) check_stream(conflict, shape, *source.work_table, common, settings);
    if (shape.deletes_source && conflict.action == ONCONFLICT_NOTHING)
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                        errmsg("delete_source cannot be given with on_conflict => 'nothing'"),
                        errdetail("A row that meets a conflict would be deleted without being written."),
                        errhint("Use on_conflict => 'update' or 'error'.")));

    job::Work work = {};
    work.keeps_last = conflict.action == ONCONFLICT_UPDATE && shape.assignments == NIL;
    const bool batches = shape.function != nullptr && function.kind == TransformKind::chunk;
    if (work.keeps_last || batches) shape.order = choose_order(shape, common);
    work.kind = "pipeline";
    work.parsed = {build_insert(shape), user.texts};
    work.own_levels = shape.query == nullptr;
    work.source_alias = driver_alias;
    work.source = RelationGetRelid(source.relation);
    work.work_table = source.work_table;
    work.target = arguments.target;
    work.pipeline = describe(arguments, source, shape);
    work.indexes = arguments.indexes;
    work.one_to_one = shape.query == nullptr && (shape.function == nullptr || function.kind == TransformKind::row);
    work.deletes_source = arguments.delete_source;
    if (shape.function != nullptr) {
        work.transform = catalog::store_function_name(function.name);
        work.transform_oid = function.function;
        work.transform_version = job::function_version(function.function);
    }
    work.notes = note_conflicts(shape, work.keeps_last);
    relation_close(shape.source, NoLock);
    relation_close(shape.target, NoLock);
    return work;
}

} // namespace stride::pipeline
