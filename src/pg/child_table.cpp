// A child table in its parent's place.
// Regime: pg.
#include "pg/child_table.hpp"

#include "pg/tree.hpp"

namespace stride::pg {
namespace {

// No identifier that a user can write begins so.
char *child_mark(int number) {
    return psprintf("\001child %d", number);
}
char *parent_mark(int number) {
    return psprintf("\001parent %d", number);
}

struct Place {
    Query *level;
    int rtindex;
};

bool has_mark(const RangeTblEntry *entry, const char *mark) {
    return entry->rtekind == RTE_RELATION && strcmp(entry->eref->aliasname, mark) == 0;
}

Place find_mark(Query *query, int number) {
    const char *mark = child_mark(number);
    Place place = {nullptr, 0};
    int count = 0;
    for_each_query(query, [&](Query *level) {
        for (int i = 1; i <= list_length(level->rtable); i++) {
            if (!has_mark(rt_fetch(i, level->rtable), mark)) continue;
            place = Place{level, i};
            count++;
        }
    });
    if (count != 1) elog(ERROR, "the driving table is found %d times in the rewritten statement", count);
    return place;
}

// Column numbers (offset as in permission sets) of the parent as those of the child; system columns stay.
Bitmapset *map_columns(const Bitmapset *columns, const AttrMap *map) {
    Bitmapset *mapped = nullptr;
    int member = -1;
    while ((member = bms_next_member(columns, member)) >= 0) {
        const int column = member + FirstLowInvalidHeapAttributeNumber;
        const int in_child = column > 0 ? map->attnums[column - 1] : column;
        mapped = bms_add_member(mapped, in_child - FirstLowInvalidHeapAttributeNumber);
    }
    return mapped;
}

Alias *column_names(Relation relation, const char *alias) {
    List *names = NIL;
    for (int i = 0; i < RelationGetNumberOfAttributes(relation); i++) {
        const Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(relation), i);
        names = lappend(names, makeString(pstrdup(attribute->attisdropped ? "" : NameStr(attribute->attname))));
    }
    return makeAlias(alias, names);
}

// The child's entry checks no permissions of its own: the parent's entry, which nothing reads, keeps them.
void give_columns(Query *level, RangeTblEntry *child, const RangeTblEntry *parent, const AttrMap *map) {
#if PG_VERSION_NUM >= 160000
    // The planner wants one for every table of FROM; complete_child_plan() takes it away again.
    const RTEPermissionInfo *of_parent = getRTEPermissionInfo(level->rteperminfos, const_cast<RangeTblEntry *>(parent));
    child->perminfoindex = 0;
    RTEPermissionInfo *of_child = addRTEPermissionInfo(&level->rteperminfos, child);
    of_child->inh = false;
    of_child->requiredPerms = of_parent->requiredPerms;
    of_child->checkAsUser = of_parent->checkAsUser;
    of_child->selectedCols = map_columns(of_parent->selectedCols, map);
    of_child->insertedCols = map_columns(of_parent->insertedCols, map);
    of_child->updatedCols = map_columns(of_parent->updatedCols, map);
#else
    (void)level;
    child->requiredPerms = 0;
    child->selectedCols = map_columns(parent->selectedCols, map);
    child->insertedCols = map_columns(parent->insertedCols, map);
    child->updatedCols = map_columns(parent->updatedCols, map);
    child->extraUpdatedCols = map_columns(parent->extraUpdatedCols, map);
#endif
}

// The parent's entry for permission checks alone.
RangeTblEntry *permission_entry(const RangeTblEntry *parent, int number) {
    auto *entry = static_cast<RangeTblEntry *>(copyObjectImpl(parent));
    entry->inh = false;
    entry->inFromCl = false;
    entry->tablesample = nullptr;
    entry->securityQuals = NIL;
    entry->eref->aliasname = parent_mark(number);
    return entry;
}

// The columns that an UPDATE of the level assigns are numbered as in its target.
void map_assignments(Query *level, const AttrMap *map) {
    ListCell *cell;
    foreach (cell, level->targetList) {
        TargetEntry *target = lfirst_node(TargetEntry, cell);
        if (!target->resjunk) target->resno = map->attnums[target->resno - 1];
    }
}

void replace(const Place &place, Relation parent, Relation child, int number) {
    Query *level = place.level;
    AttrMap *map = build_attrmap_by_name(RelationGetDescr(child), RelationGetDescr(parent)
#if PG_VERSION_NUM >= 160000
                                                                      ,
                                         false
#endif
    );
    RangeTblEntry *parents = permission_entry(rt_fetch(place.rtindex, level->rtable), number);
    bool found_whole_row;
    const auto *mapped = reinterpret_cast<Query *>(map_variable_attnos(
        reinterpret_cast<Node *>(level), place.rtindex, 0, map, RelationGetForm(child)->reltype, &found_whole_row));
    *level = *mapped;
    level->rtable = lappend(level->rtable, parents);
    RangeTblEntry *entry = rt_fetch(place.rtindex, level->rtable);
    entry->relid = RelationGetRelid(child);
    entry->relkind = RelationGetForm(child)->relkind;
    entry->inh = false;
    entry->alias = nullptr;
    entry->eref = column_names(child, child_mark(number));
    give_columns(level, entry, parents, map);
    if (level->commandType == CMD_UPDATE && level->resultRelation == place.rtindex) map_assignments(level, map);
}

// A write of the child is one of the parent, where the plan comes from the planner's own expansion.
void set_root(Plan *plan, Index child, Index parent) {
    if (plan == nullptr || !IsA(plan, ModifyTable)) return;
    auto *modify = reinterpret_cast<ModifyTable *>(plan);
    if (linitial_int(modify->resultRelations) != static_cast<int>(child)) return;
    modify->rootRelation = parent;
    modify->nominalRelation = parent;
}

void restore_alias(RangeTblEntry *entry, const char *alias) {
    entry->eref = makeAlias(alias, entry->eref->colnames);
}

} // namespace

MarkedTable mark_table(RangeTblEntry *entry, const ChildTable &table, int number) {
    const MarkedTable marked = {pstrdup(entry->eref->aliasname), table, number};
    entry->eref = makeAlias(child_mark(number), entry->eref->colnames);
    return marked;
}

void put_child(Query *query, const MarkedTable &marked) {
    const Place place = find_mark(query, marked.number);
    RangeTblEntry *entry = rt_fetch(place.rtindex, place.level->rtable);
    if (entry->relid != marked.table.parent)
        elog(ERROR, "table %u stands where table %u is expected", entry->relid, marked.table.parent);
    entry->inh = false;
    if (marked.table.child == marked.table.parent) return;
    Relation parent = table_open(marked.table.parent, NoLock);
    Relation child = table_open(marked.table.child, NoLock);
    replace(place, parent, child, marked.number);
    table_close(child, NoLock);
    table_close(parent, NoLock);
}

void complete_child_plan(PlannedStmt *plan, const MarkedTable &marked) {
    const char *of_child_mark = child_mark(marked.number);
    const char *of_parent_mark = parent_mark(marked.number);
    Index child = 0;
    Index parent = 0;
    for (int i = 1; i <= list_length(plan->rtable); i++) {
        RangeTblEntry *entry = rt_fetch(i, plan->rtable);
        if (has_mark(entry, of_child_mark))
            child = static_cast<Index>(i);
        else if (has_mark(entry, of_parent_mark))
            parent = static_cast<Index>(i);
        else
            continue;
        restore_alias(entry, marked.alias);
    }
    if (child == 0 || parent == 0) return;
    set_root(plan->planTree, child, parent);
    ListCell *cell;
    foreach (cell, plan->subplans)
        set_root(static_cast<Plan *>(lfirst(cell)), child, parent);
#if PG_VERSION_NUM >= 160000
    RangeTblEntry *of_child = rt_fetch(child, plan->rtable);
    const RangeTblEntry *of_parent = rt_fetch(parent, plan->rtable);
    lfirst(list_nth_cell(plan->permInfos, static_cast<int>(of_child->perminfoindex) - 1)) =
        list_nth(plan->permInfos, static_cast<int>(of_parent->perminfoindex) - 1);
    of_child->perminfoindex = 0;
#endif
}

} // namespace stride::pg
