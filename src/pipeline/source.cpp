// Sources of pipelines.
// Regime: pg.
#include "pipeline/source.hpp"

#include "analysis/statement.hpp"
#include "job/spool.hpp"
#include "pipeline/columns.hpp"
#include "pipeline/tree.hpp"
#include "pipeline/user_sql.hpp"
#include "walk/key.hpp"

namespace stride::pipeline {
namespace {

[[noreturn]] void refuse_pair(const char *message, const char *hint) {
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s", message), errhint("%s", hint)));
    pg_unreachable();
}

// What only a table of one's own has.
void check_saved(const Arguments &arguments, const job::Arguments &common) {
    if (common.key != nullptr)
        refuse_pair(
            "key needs a source that is a table",
            "Leave it out: the rows of a query are saved first, and walked in the order in which it gives them.");
    if (common.walk != nullptr && strcmp(common.walk, "key") == 0)
        refuse_pair("walk => 'key' needs a source that is a table",
                    "Leave it out, or use \"spool\": the rows of a query are saved first.");
    if (arguments.has_delete_source && arguments.delete_source)
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("delete_source needs a source that is a table"),
                        errdetail("The rows of a query are saved first, and it is the saved ones that are walked."),
                        errhint("Name the table in source, and choose its rows in transform_query.")));
}

// SELECT * FROM view
analysis::Parsed whole_of(Relation relation) {
    RawStmt *raw = makeNode(RawStmt);
    Node *item = reinterpret_cast<Node *>(table(relation, "source"));
    raw->stmt = reinterpret_cast<Node *>(select(list_make1(target(whole_row("source"), nullptr)), item));
    analysis::Parsed parsed = {};
    parsed.raw = raw;
    parsed.texts.whole = "";
    return parsed;
}

Source save(const analysis::Parsed &parsed, bool with_frozen_time) {
    Source source = {};
    source.work_table = job::make_work_table(analysis::analyse_source_query(parsed, with_frozen_time));
    source.relation = relation_open(source.work_table->relation, AccessShareLock);
    source.columns = catalog::saved_columns(source.relation);
    return source;
}

} // namespace

void refuse_missing(const char *argument, const char *hint) {
    ereport(ERROR,
            (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("%s must not be null", argument), errhint("%s", hint)));
    pg_unreachable();
}

Relation open_argument(const char *argument, Oid oid) {
    Relation relation = try_relation_open(oid, AccessShareLock);
    if (relation == nullptr)
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
                        errmsg("the table in %s, with OID %u, does not exist", argument, oid),
                        errhint("Give the table's name.")));
    return relation;
}

char *qualified_name(Relation relation) {
    return quote_qualified_identifier(get_namespace_name(RelationGetNamespace(relation)),
                                      RelationGetRelationName(relation));
}

bool saves_rows(const Arguments &arguments, const job::Arguments &common) {
    if (arguments.source_query != nullptr) return true;
    const char kind = get_rel_relkind(arguments.source);
    const bool is_table = kind == RELKIND_RELATION || kind == RELKIND_PARTITIONED_TABLE;
    if (is_table && common.key == nullptr && common.walk != nullptr && strcmp(common.walk, "spool") == 0)
        return walk::lacks_key(arguments.source, true);
    return kind == RELKIND_VIEW || kind == RELKIND_MATVIEW || (kind == RELKIND_FOREIGN_TABLE && common.key == nullptr);
}

Source open_source(const Arguments &arguments, const job::Arguments &common, bool with_frozen_time) {
    if (arguments.source_query != nullptr && OidIsValid(arguments.source))
        refuse_pair("source and source_query cannot be given together", "Give one of them.");
    if (arguments.source_query == nullptr && !OidIsValid(arguments.source))
        refuse_missing("source", "Give the table whose rows go through the pipeline, or a query in source_query.");
    const bool saved = saves_rows(arguments, common);
    if (saved) check_saved(arguments, common);
    if (arguments.source_query != nullptr) return save(parse_source_query(arguments.source_query), with_frozen_time);
    Relation relation = open_argument("source", arguments.source);
    const char *name = qualified_name(relation);
    if (!saved) return Source{relation, descriptor_columns(RelationGetDescr(relation)), name, nullptr};
    Source source = save(whole_of(relation), with_frozen_time);
    source.name = name;
    relation_close(relation, NoLock);
    return source;
}

} // namespace stride::pipeline
