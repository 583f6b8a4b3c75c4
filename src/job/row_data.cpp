// A driving row as jsonb.
// Regime: pg.
#include "job/row_data.hpp"

#include "walk/peek.hpp"

namespace stride::job {
namespace {

struct FirstValue {
    DestReceiver receiver;
    MemoryContext memory; // of the value
    Datum value;
    bool found;
};

bool receive_value(TupleTableSlot *slot, DestReceiver *self) {
    auto *first = reinterpret_cast<FirstValue *>(self);
    bool isnull;
    const Datum value = slot_getattr(slot, 1, &isnull);
    if (isnull) return true;
    MemoryContext previous = MemoryContextSwitchTo(first->memory);
    first->value = PointerGetDatum(PG_DETOAST_DATUM_COPY(value));
    first->found = true;
    MemoryContextSwitchTo(previous);
    return false;
}

void start_receiver(DestReceiver *, int, TupleDesc) {}
void end_receiver(DestReceiver *) {}

bool may_read(Oid relation, AttrNumber column) {
    return pg_class_aclcheck(relation, GetUserId(), ACL_SELECT) == ACLCHECK_OK ||
           pg_attribute_aclcheck(relation, column, GetUserId(), ACL_SELECT) == ACLCHECK_OK;
}

// "SELECT to_jsonb(r) FROM (SELECT c1, c2 .. FROM schema.source) AS r"; the key's columns can always be read.
char *row_sql(Relation relation, const walk::Key &key) {
    StringInfoData sql;
    initStringInfo(&sql);
    appendStringInfoString(&sql, "SELECT to_jsonb(r) FROM (SELECT");
    const char *separator = " ";
    for (int i = 0; i < RelationGetNumberOfAttributes(relation); i++) {
        const FormData_pg_attribute *attribute = TupleDescAttr(RelationGetDescr(relation), i);
        if (attribute->attisdropped || !may_read(RelationGetRelid(relation), attribute->attnum)) continue;
        appendStringInfo(&sql, "%s%s", separator, quote_identifier(NameStr(attribute->attname)));
        separator = ", ";
    }
    appendStringInfo(&sql, " FROM %s%s) AS r", key.relation == key.source ? "ONLY " : "",
                     quote_qualified_identifier(get_namespace_name(RelationGetNamespace(relation)),
                                                RelationGetRelationName(relation)));
    return sql.data;
}

} // namespace

Jsonb *row_data(Relation source, const walk::Key &key, Node *qual) {
    const char *sql = row_sql(source, key);
    Query *query = walk::analyse_own(sql);
    Query *inner = linitial_node(RangeTblEntry, query->rtable)->subquery;
    walk::add_condition(inner, qual);
    PlannedStmt *plan = walk::plan_walk(query, sql, walk::driving_of(inner, key)).statement;

    FirstValue first = {};
    first.receiver.receiveSlot = receive_value;
    first.receiver.rStartup = start_receiver;
    first.receiver.rShutdown = end_receiver;
    first.receiver.rDestroy = end_receiver;
    first.receiver.mydest = DestNone;
    first.memory = CurrentMemoryContext;
    walk::run_plan(plan, sql, &first.receiver);
    return first.found ? DatumGetJsonbP(first.value) : nullptr;
}

} // namespace stride::job
