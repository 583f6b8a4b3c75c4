// The refusals: everything that would make a chunked run differ from the statement in one piece, or that workers could
// not run at all.  One small function each; every error names what it is about and what to do next.
// Regime: pg.  Locks: AccessShareLock for a moment on relations that are named already.  May not execute anything.
#include <cstring>

#include "analysis/analysis.hpp"

namespace stride::analysis {
namespace {

// MERGE came back from pg_get_querydef() as "unrecognized query command type" before this minor release.
constexpr int first_version_deparsing_merge = 150004;

bool in_schema(Oid relation, const char *schema) {
    const char *name = get_namespace_name(get_rel_namespace(relation));
    return name != nullptr && std::strcmp(name, schema) == 0;
}

const char *utility_hint(const Node *command) {
    if (IsA(command, CallStmt))
        return "Make a function of the procedure, and submit SELECT function(columns) FROM table.";
    if (IsA(command, CreateTableAsStmt) || IsA(command, SelectStmt))
        return "Create the table first, and submit INSERT INTO table SELECT ....";
    if (IsA(command, CopyStmt)) return "Submit INSERT INTO table SELECT ... from the table that COPY reads or fills.";
    if (IsA(command, TruncateStmt)) return "Run TRUNCATE directly: it takes no time that chunks could save.";
    if (IsA(command, ExplainStmt)) return "Call stride.explain() with the statement that EXPLAIN is about.";
    if (IsA(command, TransactionStmt)) return "Leave it out: each chunk is a transaction of its own.";
    return "Submit an INSERT .. SELECT, UPDATE, DELETE, MERGE or SELECT function(..) FROM table, and run this command "
           "directly.";
}

// A relation that is read, or nullptr-equivalent InvalidOid: the first one whose rows are among `written`.
struct ReadSearch {
    const List *written;
    const RangeTblEntry *except; // the result relation itself
    Oid view;                    // the view that is being looked into
    const RangeTblEntry *except_too = nullptr;
};

Oid find_read(Query *query, const ReadSearch &search);

Oid read_through(const RangeTblEntry *rte, const ReadSearch &search) {
    if (list_member_oid(search.written, rte->relid)) return rte->relid;
    if (rte->relkind == RELKIND_VIEW)
        return find_read(view_query(rte->relid),
                         ReadSearch{search.written, search.except, rte->relid, search.except_too});
    ListCell *cell;
    foreach (cell, relation_and_children(rte->relid, rte->inh))
        if (list_member_oid(search.written, lfirst_oid(cell))) return rte->relid;
    return InvalidOid;
}

Oid find_read(Query *query, const ReadSearch &search) {
    check_stack_depth();
    Oid found = InvalidOid;
    (void)find_node(query, [&](Node *node) {
        if (!IsA(node, Query)) return false;
        Query *level = reinterpret_cast<Query *>(node);
        for (int i = 1; i <= list_length(level->rtable) && !OidIsValid(found); i++) {
            const RangeTblEntry *rte = entry_at(level, i);
            if (rte->rtekind != RTE_RELATION || rte == search.except || rte == search.except_too ||
                is_view_itself(rte, search.view))
                continue;
            if (level->onConflict != nullptr && i == level->onConflict->exclRelIndex) continue;
            found = read_through(rte, search);
        }
        return OidIsValid(found);
    });
    return found;
}

bool have_common(const List *some, const List *others) {
    ListCell *cell;
    foreach (cell, some)
        if (list_member_oid(others, lfirst_oid(cell))) return true;
    return false;
}

void check_function_privilege(Oid function) {
#if PG_VERSION_NUM >= 160000
    const AclResult result = object_aclcheck(ProcedureRelationId, function, GetUserId(), ACL_EXECUTE);
#else
    const AclResult result = pg_proc_aclcheck(function, GetUserId(), ACL_EXECUTE);
#endif
    if (result != ACLCHECK_OK) aclcheck_error(result, OBJECT_FUNCTION, get_func_name(function));
}

// Fires on the deletion of rows: ON DELETE CASCADE, SET NULL or SET DEFAULT of a foreign key that refers to them.
bool acts_on_referring_rows(const Trigger &trigger) {
    return trigger.tgenabled != TRIGGER_DISABLED &&
           (trigger.tgfoid == F_RI_FKEY_CASCADE_DEL || trigger.tgfoid == F_RI_FKEY_SETNULL_DEL ||
            trigger.tgfoid == F_RI_FKEY_SETDEFAULT_DEL);
}

bool is_called(Node *node) {
    return IsA(node, FuncExpr) || IsA(node, OpExpr) || IsA(node, Aggref) || IsA(node, WindowFunc) ||
           IsA(node, DistinctExpr) || IsA(node, NullIfExpr) || IsA(node, ScalarArrayOpExpr);
}

bool check_called_function(Oid function, void *) {
    check_function_privilege(function);
    return false;
}

bool refuse_temporary_function(Oid function, void *) {
    if (isAnyTempNamespace(get_func_namespace(function)))
        refuse(psprintf("The function \"%s\" is temporary, and the job's workers are other sessions.",
                        get_func_name(function)),
               "Create the function in an ordinary schema.");
    return false;
}

} // namespace

[[noreturn]] void refuse(const char *detail, const char *hint) {
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("the statement cannot be run in chunks"),
                    errdetail("%s", detail), errhint("%s", hint)));
    pg_unreachable();
}

void refuse_command(const RawStmt *raw) {
    const Node *command = raw->stmt;
    const SelectStmt *select = IsA(command, SelectStmt) ? reinterpret_cast<const SelectStmt *>(command) : nullptr;
    // SELECT .. INTO may stand in the leftmost branch of a set operation.
    while (select != nullptr && select->op != SETOP_NONE)
        select = select->larg;
    const bool plain = select != nullptr && select->intoClause == nullptr;
    if (plain || IsA(command, InsertStmt) || IsA(command, UpdateStmt) || IsA(command, DeleteStmt) ||
        IsA(command, MergeStmt))
        return;
    const char *tag = select != nullptr ? "SELECT INTO" : GetCommandTagName(CreateCommandTag(raw->stmt));
    refuse(psprintf("The command is %s.", tag), utility_hint(command));
}

void refuse_old_merge(const Query *query) {
    if (query->commandType != CMD_MERGE) return;
    const char *version = GetConfigOption("server_version_num", true, false);
    if (version != nullptr && pg_strtoint32(version) < first_version_deparsing_merge)
        refuse("This minor release of PostgreSQL cannot turn an analysed MERGE back into SQL.",
               "Update PostgreSQL to its latest minor release.");
}

void refuse_returning(const Query *query) {
    if (query->returningList != NIL)
        refuse("It has RETURNING, and nobody would receive the rows.", "Remove RETURNING.");
}

void refuse_modifying_ctes(Query *query) {
    for_each_query(query, [](Query *level) {
        ListCell *cell;
        foreach (cell, level->cteList) {
            const CommonTableExpr *cte = lfirst_node(CommonTableExpr, cell);
            if (IsA(cte->ctequery, Query) && reinterpret_cast<Query *>(cte->ctequery)->commandType != CMD_SELECT)
                refuse(psprintf("The WITH query \"%s\" modifies data, and would do so once a chunk.", cte->ctename),
                       "Submit it as a job of its own, and this statement as a second one with depends_on.");
        }
    });
}

void refuse_skip_locked(Query *query) {
    for_each_query(query, [](Query *level) {
        ListCell *cell;
        foreach (cell, level->rowMarks)
            if (lfirst_node(RowMarkClause, cell)->waitPolicy == LockWaitSkip)
                refuse("It has SKIP LOCKED: rows skipped by their chunk would never be looked at again.",
                       "Remove SKIP LOCKED; a chunk waits for row locks and is tried again.");
    });
}

void refuse_current_of(Query *query) {
    if (find_node(query, [](Node *node) { return IsA(node, CurrentOfExpr); }))
        refuse("It has WHERE CURRENT OF, and the job's workers are other sessions without the cursor.",
               "Name the rows by a condition on their columns.");
}

void refuse_values(Query *query) {
    if (query->commandType != CMD_INSERT) return;
    const List *from = query->jointree->fromlist;
    if (list_length(from) == 1 && IsA(linitial(from), RangeTblRef) &&
        entry_at(query, reinterpret_cast<RangeTblRef *>(linitial(from))->rtindex)->rtekind == RTE_SUBQUERY)
        return;
    refuse("It is an INSERT of VALUES, without a table to walk.",
           "Run it directly, or submit INSERT INTO table SELECT ... FROM table.");
}

void refuse_idle_select(Query *query) {
    if (query->commandType == CMD_SELECT && !contain_volatile_functions(reinterpret_cast<Node *>(query)))
        refuse("It is a SELECT that calls no volatile function, and nobody would receive its rows.",
               "Submit INSERT INTO table SELECT ... to keep the rows, or SELECT function(columns) FROM table with a "
               "VOLATILE function "
               "that does the work.");
}

void refuse_target_kind(const Query *query, Oid target) {
    const char kind = get_rel_relkind(target);
    if (kind == RELKIND_RELATION || kind == RELKIND_PARTITIONED_TABLE || kind == RELKIND_FOREIGN_TABLE ||
        (kind == RELKIND_VIEW && query->commandType == CMD_INSERT))
        return;
    ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("the statement cannot be run in chunks"),
                    errdetail("The target %s is not a table.", relation_name(target)),
                    kind == RELKIND_VIEW ? errhint("Name the table beneath the view as the target.")
                                         : errhint("Name a table as the target.")));
}

void refuse_rules(Oid target) {
    Relation relation = relation_open(target, AccessShareLock);
    const RuleLock *rules = relation->rd_rules;
    for (int i = 0; rules != nullptr && i < rules->numLocks; i++)
        if (rules->rules[i]->event != CMD_SELECT)
            refuse(psprintf("The target %s has a rule that rewrites statements.", relation_name(target)),
                   "Drop the rule, or replace it by a trigger.");
    relation_close(relation, AccessShareLock);
}

void refuse_perishable_target(Oid target, bool at_least_once) {
    if (at_least_once) return;
    ListCell *cell;
    foreach (cell, written_relations(target, true)) {
        const Oid relation = lfirst_oid(cell);
        const char *hint = "Accept it with settings => '{\"delivery\": \"at_least_once\"}'.";
        if (get_rel_relkind(relation) == RELKIND_FOREIGN_TABLE)
            refuse(
                psprintf("The target %s is a foreign table, which does not commit together with the job's checkpoint.",
                         relation_name(relation)),
                hint);
        if (get_rel_persistence(relation) == RELPERSISTENCE_UNLOGGED)
            refuse(psprintf("The target %s is UNLOGGED: a crash empties it, and the job's checkpoints stay.",
                            relation_name(relation)),
                   hint);
    }
}

void refuse_system_relation(Oid relation, const char *role) {
    if (IsCatalogRelationOid(relation) || IsCatalogNamespace(get_rel_namespace(relation)) ||
        IsToastNamespace(get_rel_namespace(relation)) || in_schema(relation, "information_schema"))
        refuse(psprintf("The %s %s is a system catalog.", role, relation_name(relation)),
               "Name a table of your own; copy the catalog's rows into one first, if they are to be walked.");
}

void refuse_private_relations(List *relations, Oid own) {
    ListCell *cell;
    foreach (cell, relations) {
        const Oid relation = lfirst_oid(cell);
        if (relation == own) continue;
        if (get_rel_persistence(relation) == RELPERSISTENCE_TEMP)
            refuse(psprintf("The relation %s is temporary, and the job's workers are other sessions.",
                            relation_name(relation)),
                   "Create the table without TEMP, and drop it when the job has ended.");
        if (in_schema(relation, "stride") || in_schema(relation, "stride_catalog") ||
            in_schema(relation, "stride_work"))
            refuse(psprintf("The relation %s belongs to pg_stride.", relation_name(relation)),
                   "Steer jobs by the functions of schema stride, such as stride.cancel() and stride.forget().");
    }
}

void refuse_temporary_functions(Query *query) {
    (void)find_node(query,
                    [](Node *node) { return check_functions_in_node(node, refuse_temporary_function, nullptr); });
}

void refuse_driver_kind(const RangeTblEntry *rte, bool key_is_named) {
    const char *name = relation_name(rte->relid);
    const bool foreign = rte->relkind == RELKIND_FOREIGN_TABLE;
    if (foreign && !key_is_named)
        refuse(psprintf("The driving relation %s is a foreign table, which has no key that could be looked up.", name),
               "Name columns of it that are unique and never NULL in the argument \"key\".  An INSERT .. SELECT or "
               "a MERGE needs none where walk is left out: the rows are saved first.");
    if (!foreign && rte->relkind != RELKIND_RELATION && rte->relkind != RELKIND_PARTITIONED_TABLE)
        refuse(psprintf("The driving relation %s is not a table.", name), "Name a table as the driving relation.");
    if (rte->tablesample != nullptr)
        refuse(psprintf("The driving relation %s has TABLESAMPLE, and each chunk would draw its own sample.", name),
               "Remove TABLESAMPLE, or put the sampled rows' keys into a table and drive the job from that table.");
}

void refuse_self_reference(Query *query, const Statement &statement, bool with_children, bool per_chunk) {
    if (!OidIsValid(statement.target)) return;
    const RangeTblEntry *result = entry_at(query, query->resultRelation);
    List *written = written_relations(statement.target, false);
    // The entry of an INSERT's target says nothing of its partitions, but the rows go there.
    if (result->inh || get_rel_relkind(llast_oid(written)) == RELKIND_PARTITIONED_TABLE)
        written = written_relations(statement.target, true);
    const bool drives_itself = query->commandType == CMD_UPDATE || query->commandType == CMD_DELETE;
    if (!drives_itself && have_common(written, relation_and_children(statement.source, with_children)))
        refuse(
            psprintf("It writes into %s, the relation that drives it: later chunks would read what earlier ones wrote.",
                     relation_name(statement.source)),
            "Write into another table first, and move the rows from there with a second statement.");
    if (per_chunk) return;
    const Oid read = find_read(query, ReadSearch{written, result, InvalidOid});
    if (OidIsValid(read))
        refuse(psprintf("It reads %s besides writing %s: each chunk would see the work of the earlier ones.",
                        relation_name(read), relation_name(statement.target)),
               "Accept that with settings => '{\"self_reference\": \"per_chunk\"}', or read from a copy of the table.");
}

void refuse_foreign_delete(const RangeTblEntry *rte) {
    ListCell *cell;
    foreach (cell, relation_and_children(rte->relid, rte->inh))
        if (get_rel_relkind(lfirst_oid(cell)) == RELKIND_FOREIGN_TABLE)
            refuse(psprintf("The rows of the foreign table %s would be deleted before the target has them for certain: "
                            "its server commits first.",
                            relation_name(lfirst_oid(cell))),
                   "Submit the pipeline without delete_source, and delete the rows by a second job with depends_on.");
}

void refuse_cascades(const List *tables, Oid source, Oid target) {
    List *deleted = list_copy(tables); // and what is deleted with their rows, which grows in the loop
    for (int i = 0; i < list_length(deleted); i++) {
        Relation relation = relation_open(list_nth_oid(deleted, i), AccessShareLock);
        const TriggerDesc *triggers = relation->trigdesc;
        for (int j = 0; triggers != nullptr && j < triggers->numtriggers; j++) {
            const Trigger &trigger = triggers->triggers[j];
            const Oid referring = trigger.tgconstrrelid;
            if (!acts_on_referring_rows(trigger)) continue;
            const List *reached = relation_and_children(referring, true);
            if (have_common(relation_and_children(source, true), reached))
                refuse(psprintf("A foreign key of %s deletes or changes rows of it that are still to be moved, when "
                                "those that they refer to are.",
                                relation_name(referring)),
                       "Drop the foreign key for the time of the move, or move the rows by one statement, WITH moved "
                       "AS (DELETE .. RETURNING ..) INSERT .. SELECT .. FROM moved.");
            if (have_common(written_relations(target, true), reached))
                refuse(psprintf("A foreign key deletes or changes rows of the target %s when those of the source that "
                                "they refer to are deleted.",
                                relation_name(referring)),
                       "Drop the foreign key before the move.");
            if (trigger.tgfoid == F_RI_FKEY_CASCADE_DEL) deleted = list_append_unique_oid(deleted, referring);
        }
        relation_close(relation, NoLock);
    }
}

void refuse_second_read(Query *query, const Candidate &driver) {
    const Driver deleted = find_deleted(query, Driver{driver.level, driver.rtindex});
    const RangeTblEntry *gone = deleted.level == nullptr ? nullptr : entry_at(deleted.level, deleted.rtindex);
    List *written = relation_and_children(entry_of(driver)->relid, entry_of(driver)->inh);
    const Oid read = find_read(query, ReadSearch{written, entry_of(driver), InvalidOid, gone});
    if (OidIsValid(read))
        refuse(
            psprintf("It reads %s besides deleting from it: each chunk would miss the rows that earlier ones deleted.",
                     relation_name(read)),
            "Read from a copy of the table, or delete its rows by a second job with depends_on.");
}

void refuse_partition_key_update(Oid target, const Bitmapset *updated) {
    if (bms_is_empty(updated)) return;
    List *trees = get_rel_relispartition(target) ? get_partition_ancestors(target) : NIL;
    if (get_rel_relkind(target) == RELKIND_PARTITIONED_TABLE) trees = lappend_oid(trees, target);
    ListCell *cell;
    foreach (cell, trees) {
        Relation ancestor = relation_open(lfirst_oid(cell), AccessShareLock);
        int member = -1;
        while ((member = bms_next_member(updated, member)) >= 0) {
            const AttrNumber column = static_cast<AttrNumber>(member + FirstLowInvalidHeapAttributeNumber);
            const char *name = get_attname(target, column, false);
            const AttrNumber in_ancestor = get_attnum(RelationGetRelid(ancestor), name);
            bool in_expression;
            if (has_partition_attrs(ancestor, bms_make_singleton(in_ancestor - FirstLowInvalidHeapAttributeNumber),
                                    &in_expression))
                refuse(
                    psprintf(
                        "It updates the column \"%s\", which is part of the partition key of %s: a row that moves to "
                        "another partition could be met twice or not at all.",
                        name, relation_name(RelationGetRelid(ancestor))),
                    "Run it directly, or insert the rows with their new key and delete the old ones in two jobs.");
        }
        relation_close(ancestor, AccessShareLock);
    }
}

void refuse_key_update(Oid source, const Bitmapset *updated, const Bitmapset *key_columns) {
    const int member = bms_next_member(bms_intersect(updated, key_columns), -1);
    if (member < 0) return;
    const AttrNumber column = static_cast<AttrNumber>(member + FirstLowInvalidHeapAttributeNumber);
    refuse(psprintf("It updates the column \"%s\" of the key that %s is walked by: a row that moves could be met twice "
                    "or not at "
                    "all.",
                    get_attname(source, column, false), relation_name(source)),
           "Name another unique key in the argument \"key\", or run the statement directly.");
}

void check_privileges(Query *query) {
    for_each_query(query, [](Query *level) {
#if PG_VERSION_NUM >= 160000
        (void)ExecCheckPermissions(level->rtable, level->rteperminfos, true);
#else
        (void)ExecCheckRTPerms(level->rtable, true);
#endif
    });
    (void)find_node(query, [](Node *node) {
        return is_called(node) && check_functions_in_node(node, check_called_function, nullptr);
    });
}

} // namespace stride::analysis
