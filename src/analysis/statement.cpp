// From SQL text to a statement that can be run in chunks: parse, analyse, judge, freeze, deparse, and make sure that
// what comes back is found again.
// Regime: pg.  Locks: those of parse analysis, kept to the end of the transaction.  May not execute anything of the
// user's.
#include "analysis/statement.hpp"

#include <cstring>

#include "analysis/analysis.hpp"
#include "pg/session.hpp"

namespace stride::analysis {
namespace {

StatementKind kind_of(const Query *query) {
    switch (query->commandType) {
    case CMD_INSERT:
        return StatementKind::insert;
    case CMD_UPDATE:
        return StatementKind::update;
    case CMD_DELETE:
        return StatementKind::delete_;
    case CMD_MERGE:
        return StatementKind::merge;
    default:
        return StatementKind::select;
    }
}

// Parses and deparses independently of the session: names, and the texts of constants.
int pin() {
    const int level = pg::pin_output_settings();
    const char *settings[][2] = {{"standard_conforming_strings", "on"}, {"transform_null_equals", "off"}};
    for (const auto &setting : settings)
        (void)set_config_option(setting[0], setting[1], PGC_SUSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
    return level;
}

RawStmt *parse_one(const char *sql) {
    List *statements = raw_parser(sql, RAW_PARSE_DEFAULT);
    if (statements == NIL)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("statement is empty"),
                        errhint("Give an INSERT .. SELECT, UPDATE, DELETE, MERGE or SELECT function(..) FROM table.")));
    if (list_length(statements) > 1)
        ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR),
                        errmsg("a job runs one statement, but %d were given", list_length(statements)),
                        errhint("Submit each statement as a job of its own; depends_on puts them in order.")));
    return linitial_node(RawStmt, statements);
}

Node *refuse_parameter(ParseState *pstate, ParamRef *parameter) {
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_PARAMETER), errmsg("there is no parameter $%d", parameter->number),
                    errhint("Write the value into the statement, for example by format('... %%L', value)."),
                    parser_errposition(pstate, parameter->location)));
    pg_unreachable();
}

void set_up_parser(ParseState *pstate, void *) {
    pstate->p_paramref_hook = refuse_parameter;
}

// The references to a WITH query of the level that is `depth` levels above the node.
struct References {
    const char *cte;
    Index depth;
    int count;
};

bool count_references(Node *node, void *context) {
    if (node == nullptr) return false;
    check_stack_depth();
    if (!IsA(node, Query)) return walk_expression(node, count_references, context);
    References *references = static_cast<References *>(context);
    Query *level = reinterpret_cast<Query *>(node);
    ListCell *cell;
    foreach (cell, level->rtable) {
        const RangeTblEntry *rte = lfirst_node(RangeTblEntry, cell);
        if (rte->rtekind == RTE_CTE && rte->ctelevelsup == references->depth &&
            std::strcmp(rte->ctename, references->cte) == 0)
            references->count++;
    }
    references->depth++;
    (void)walk_query(level, count_references, context);
    references->depth--;
    return false;
}

// Those of others than itself.
int count_readers(Query *level, const CommonTableExpr *cte) {
    References all = {cte->ctename, 0, 0};
    (void)count_references(reinterpret_cast<Node *>(level), &all);
    References own = {cte->ctename, 1, 0};
    (void)count_references(cte->ctequery, &own);
    return all.count - own.count;
}

void drop_unread_ctes_of(Query *level) {
    for (int before = -1; before != list_length(level->cteList);) {
        before = list_length(level->cteList);
        List *read = NIL;
        ListCell *cell;
        foreach (cell, level->cteList) {
            CommonTableExpr *cte = lfirst_node(CommonTableExpr, cell);
            cte->cterefcount = count_readers(level, cte);
            if (cte->cterefcount > 0 || castNode(Query, cte->ctequery)->commandType != CMD_SELECT)
                read = lappend(read, cte);
        }
        level->cteList = read;
    }
}

// WITH queries that nothing reads, or only others of them, are not run; their tables would be missed in the plans.
void drop_unread_ctes(Query *query) {
    List *levels = NIL;
    for_each_query(query, [&levels](Query *level) { levels = lappend(levels, level); });
    // Those within a level come after it, and may be the only ones to read a WITH query of it.
    for (int i = list_length(levels) - 1; i >= 0; i--)
        drop_unread_ctes_of(list_nth_node(Query, levels, i));
}

void judge_shape(Query *query) {
    refuse_old_merge(query);
    refuse_returning(query);
    refuse_skip_locked(query);
    refuse_current_of(query);
    refuse_values(query);
}

void judge_target(const Statement &statement, bool at_least_once) {
    if (!OidIsValid(statement.target)) return;
    ListCell *cell;
    foreach (cell, written_relations(statement.target, false)) {
        refuse_system_relation(lfirst_oid(cell), "target");
        refuse_rules(lfirst_oid(cell));
    }
    refuse_perishable_target(statement.target, at_least_once);
    refuse_partition_key_update(statement.target, statement.updated);
}

void judge_driver(Query *query, Statement &statement, const Candidate &driver, const AnalysisOptions &options) {
    statement.source = entry_of(driver)->relid;
    refuse_system_relation(statement.source, "driving relation");
    refuse_driver_kind(entry_of(driver), options.key != nullptr);
    refuse_self_reference(query, statement, entry_of(driver)->inh, options.self_reference_per_chunk);
    if (statement.kind == StatementKind::merge) check_merge(query, entry_of(driver), options.key);
    refuse_source_system_columns(query, driver);
    if (statement.kind == StatementKind::select) refuse_idle_select(query);
}

int position_of(List *found, const Candidate *candidate) {
    for (int i = 0; i < list_length(found); i++)
        if (list_nth(found, i) == candidate) return i;
    return -1;
}

// Finds the driver again in what workers will run: the same place among the same candidates, under the alias that the
// deparser gave it.
void round_trip(Statement &statement, List *before, int position) {
    List *after = candidates(analyse_stored(statement.sql));
    const Candidate *driver =
        position < list_length(after) ? static_cast<Candidate *>(list_nth(after, position)) : nullptr;
    if (driver == nullptr || list_length(before) != list_length(after) || entry_of(*driver)->relid != statement.source)
        elog(ERROR, "driving relation %u was not found again in the deparsed statement: %s", statement.source,
             statement.sql);
    statement.source_alias = pstrdup(entry_of(*driver)->eref->aliasname);
    ListCell *cell;
    foreach (cell, after) {
        const Candidate *other = static_cast<Candidate *>(lfirst(cell));
        if (other == driver || entry_of(*other)->relid != statement.source ||
            std::strcmp(entry_of(*other)->eref->aliasname, statement.source_alias) != 0)
            continue;
        ereport(ERROR, (errcode(ERRCODE_DUPLICATE_ALIAS),
                        errmsg("the driving relation cannot be told apart from another reference to it"),
                        errdetail("The relation %s is read twice under the alias \"%s\".",
                                  relation_name(statement.source), statement.source_alias),
                        errhint("Give each reference to it an alias of its own.")));
    }
}

// The relation that PostgreSQL writes in place of a view by itself; InvalidOid for what it writes as it stands.
Oid written_beneath(Oid target) {
    if (get_rel_relkind(target) != RELKIND_VIEW) return InvalidOid;
    Relation view = relation_open(target, AccessShareLock);
    const bool instead = view->trigdesc != nullptr && view->trigdesc->trig_insert_instead_row;
    relation_close(view, NoLock);
    if (instead) return InvalidOid;
    Query *query = view_query(target);
    if (list_length(query->jointree->fromlist) != 1 || !IsA(linitial(query->jointree->fromlist), RangeTblRef))
        return InvalidOid;
    return entry_at(query, linitial_node(RangeTblRef, query->jointree->fromlist)->rtindex)->relid;
}

} // namespace

const char *kind_name(StatementKind kind) {
    switch (kind) {
    case StatementKind::insert:
        return "insert";
    case StatementKind::update:
        return "update";
    case StatementKind::delete_:
        return "delete";
    case StatementKind::merge:
        return "merge";
    case StatementKind::select:
        return "select";
    }
    pg_unreachable();
}

RangeTblEntry *entry_at(Query *query, int rtindex) {
    return list_nth_node(RangeTblEntry, query->rtable, rtindex - 1);
}

// The second entry of INSERT's target for EXCLUDED adds nothing.
List *named_relations(Query *query) {
    List *relations = NIL;
    for_each_query(query, [&relations](Query *level) {
        ListCell *cell;
        foreach (cell, level->rtable) {
            const RangeTblEntry *rte = lfirst_node(RangeTblEntry, cell);
            if (rte->rtekind == RTE_RELATION) relations = lappend_oid(relations, rte->relid);
        }
    });
    list_sort(relations, list_oid_cmp);
    list_deduplicate_oid(relations);
    return relations;
}

char *relation_name(Oid relation) {
    const char *name = get_rel_name(relation);
    if (name == nullptr) return psprintf("%u", relation);
    return quote_qualified_identifier(get_namespace_name_or_temp(get_rel_namespace(relation)), name);
}

Bitmapset *assigned_columns(Query *query) {
    RangeTblEntry *target = entry_at(query, query->resultRelation);
#if PG_VERSION_NUM >= 160000
    return getRTEPermissionInfo(query->rteperminfos, target)->updatedCols;
#else
    return target->updatedCols;
#endif
}

Bitmapset *updated_columns(Query *query) {
    if (query->resultRelation == 0) return nullptr;
    Bitmapset *updated = bms_copy(assigned_columns(query));
    if (bms_is_empty(updated)) return updated;
    Relation target = relation_open(entry_at(query, query->resultRelation)->relid, AccessShareLock);
    Bitmapset *generated = nullptr;
    for (int i = 0; i < RelationGetNumberOfAttributes(target); i++) {
        const FormData_pg_attribute *attribute = TupleDescAttr(RelationGetDescr(target), i);
        if (attribute->attisdropped || attribute->attgenerated == '\0') continue;
        Bitmapset *inputs = nullptr;
        pull_varattnos(build_column_default(target, attribute->attnum), 1, &inputs);
        if (bms_overlap(inputs, updated))
            generated = bms_add_member(generated, attribute->attnum - FirstLowInvalidHeapAttributeNumber);
    }
    relation_close(target, AccessShareLock);
    return bms_join(updated, generated);
}

List *relation_and_children(Oid relation, bool inherited) {
    if (!inherited || !has_subclass(relation)) return list_make1_oid(relation);
    return find_all_inheritors(relation, NoLock, nullptr);
}

Query *view_query(Oid view) {
    Relation relation = relation_open(view, AccessShareLock);
    Query *query = static_cast<Query *>(copyObjectImpl(get_view_query(relation)));
    relation_close(relation, NoLock);
    return query;
}

List *written_relations(Oid target, bool with_children) {
    List *above = NIL;
    Oid last = target;
    for (Oid beneath; OidIsValid(beneath = written_beneath(last)); last = beneath)
        above = lappend_oid(above, last);
    return list_concat(above, relation_and_children(last, with_children));
}

// An error's position is one in the user's text, not in the query that called us.
void move_error_position(void *context) {
    const Texts *texts = static_cast<const Texts *>(context);
    const int position = geterrposition();
    if (position <= 0) return;
    errposition(0);
    for (int i = 1; i >= 0; i--) {
        if (texts->text[i] == nullptr) continue;
        const int before = pg_mbstrlen_with_len(texts->whole, texts->start[i]);
        if (position <= before) continue;
        internalerrposition(position - before);
        internalerrquery(texts->text[i]);
        return;
    }
}

Parsed parse_statement(const char *sql) {
    if (sql == nullptr)
        ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("statement must not be null"),
                        errhint("Give an INSERT .. SELECT, UPDATE, DELETE, MERGE or SELECT function(..) FROM table.")));
    const Texts texts = {sql, {sql, nullptr}, {0, 0}};
    return Parsed{with_positions(texts, [&] { return parse_one(sql); }), texts, false};
}

Parsed parse_deparsed(const char *sql) {
    const int level = pin();
    RawStmt *raw = parse_one(sql);
    pg::unpin(level);
    return Parsed{raw, {sql, {nullptr, nullptr}, {0, 0}}, true};
}

Query *analyse_raw(const Parsed &parsed) {
    const int level = parsed.deparsed ? pin() : 0;
    Query *query = with_positions(parsed.texts, [&] {
        refuse_command(parsed.raw);
        RawStmt *copy = static_cast<RawStmt *>(copyObjectImpl(parsed.raw));
        return parse_analyze_withcb(copy, parsed.texts.whole, set_up_parser, nullptr, nullptr);
    });
    if (parsed.deparsed) pg::unpin(level);
    return query;
}

Statement *analyse(const Parsed &parsed, const AnalysisOptions &options) {
    Query *query = analyse_raw(parsed);
    drop_unread_ctes(query);
    Statement *statement = static_cast<Statement *>(palloc0(sizeof(Statement)));
    statement->kind = kind_of(query);
    statement->relations = named_relations(query);
    if (query->resultRelation != 0) statement->target = entry_at(query, query->resultRelation)->relid;
    if (OidIsValid(statement->target)) refuse_target_kind(query, statement->target);
    check_privileges(query);
    statement->updated = updated_columns(query);
    judge_shape(query);
    if (!options.own_delete) refuse_modifying_ctes(query);
    refuse_private_relations(statement->relations, options.work_table);
    refuse_temporary_functions(query);
    judge_target(*statement, options.at_least_once);

    List *found = candidates(query);
    const Candidate *driver = choose_driver(query, found, options);
    judge_driver(query, *statement, *driver, options);
    if (options.own_delete) {
        refuse_foreign_delete(entry_of(*driver));
        refuse_cascades(relation_and_children(statement->source, true), statement->source, statement->target);
        refuse_second_read(query, *driver);
    }
    statement->warnings = collect_warnings(query, *statement, options);

    const int position = position_of(found, driver);
    statement->sql = deparse(options.freeze_time ? freeze_time(query) : query);
    round_trip(*statement, found, position);
    return statement;
}

Query *analyse_stored(const char *sql) {
    const int level = pin();
    List *statements = raw_parser(sql, RAW_PARSE_DEFAULT);
    if (list_length(statements) != 1) elog(ERROR, "stored statement is not one statement: %s", sql);
    Query *query = parse_analyze_withcb(linitial_node(RawStmt, statements), sql, set_up_parser, nullptr, nullptr);
    pg::unpin(level);
    return query;
}

char *deparse(Query *query) {
    const int level = pin();
    char *sql = pg_get_querydef(static_cast<Query *>(copyObjectImpl(query)), false); // copyObject() is C only
    pg::unpin(level);
    return sql;
}

} // namespace stride::analysis
