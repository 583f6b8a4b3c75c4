// The look ahead: counts driving rows in index order, and the texts of the queries that do so.
// Regime: pg.  Locks: those that planning and running a SELECT take, to the end of the transaction.  May not write.
#include "walk/peek.hpp"

#include "pg/session.hpp"
#include "walk/index_pages.hpp"
#include "walk/plan.hpp"

namespace stride::walk {
namespace {

void append_operator(StringInfo sql, Oid operator_oid) {
    HeapTuple tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(operator_oid));
    if (!HeapTupleIsValid(tuple)) elog(ERROR, "cache lookup failed for operator %u", operator_oid);
    const auto *form = reinterpret_cast<Form_pg_operator>(GETSTRUCT(tuple));
    appendStringInfo(sql, "OPERATOR(%s.%s)", quote_identifier(get_namespace_name(form->oprnamespace)),
                     NameStr(form->oprname));
    ReleaseSysCache(tuple);
}

// One column of the ORDER BY, with everything that decides whether the index has the order.
void append_order(StringInfo sql, Relation source, const KeyColumn &column, bool backward) {
    const Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(source), column.attno - 1);
    appendStringInfoString(sql, quote_identifier(NameStr(attribute->attname)));
    if (OidIsValid(column.collation) && column.collation != column.column_collation)
        appendStringInfo(sql, " COLLATE %s", generate_collation_name(column.collation));
    const Oid first = key_operator(column, backward ? BTGreaterStrategyNumber : BTLessStrategyNumber);
    const TypeCacheEntry *type = lookup_type_cache(column.column_type, TYPECACHE_LT_OPR | TYPECACHE_GT_OPR);
    if (first == type->lt_opr || first == type->gt_opr) {
        // Said without an operator, as SQL finds none for a domain over an enum.
        appendStringInfoString(sql, first == type->lt_opr ? " ASC" : " DESC");
    } else {
        appendStringInfoString(sql, " USING ");
        append_operator(sql, first);
    }
    appendStringInfo(sql, " NULLS %s", column.nulls_first != backward ? "FIRST" : "LAST");
}

// One part of a range, up to `limit` rows more.
void peek_part(Relation source, const Key &key, List *part, int64 limit, LastKey *last) {
    const char *sql = ordered_keys_sql(source, key, false, limit);
    Query *query = analyse_own(sql);
    if (part != NIL) add_condition(query, reinterpret_cast<Node *>(makeBoolExpr(AND_EXPR, part, -1)));
    run_plan(plan_in_key_order(query, sql, key), sql, &last->receiver);
}

void keep(LastKey *last, int column, const FormData_pg_attribute &attribute, Datum value) {
    if (attribute.attbyval) {
        last->values[column] = value;
        return;
    }
    const Size size = datumGetSize(value, false, attribute.attlen);
    if (size > last->capacity[column]) {
        last->capacity[column] = Max(size * 2, static_cast<Size>(64));
        last->values[column] = PointerGetDatum(MemoryContextAlloc(last->memory, last->capacity[column]));
    }
    memcpy(DatumGetPointer(last->values[column]), DatumGetPointer(value), size);
}

[[noreturn]] void raise_broken(const Key &key, const char *detail, const char *hint) {
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("the columns (%s) are not the key of \"%s\" that they were taken for", key_definition(key),
                           get_rel_name(key.relation)),
                    errdetail("%s", detail), errhint("%s", hint)));
    pg_unreachable();
}

char *key_in_words(const Key &key, const Datum *values) {
    return OidOutputFunctionCall(F_ARRAY_OUT, PointerGetDatum(key_to_text(key, values)));
}

void require_promise(LastKey *last, const TupleTableSlot *slot) {
    const Key &key = *last->key;
    for (int i = 0; i < key.ncolumns; i++)
        if (slot->tts_isnull[i])
            raise_broken(
                key,
                psprintf("The column \"%s\" is NULL in a row.", get_attname(key.source, key.columns[i].attno, false)),
                "Name columns that are never NULL in the argument \"key\", or have the rows saved first by "
                "stride.submit_pipeline(target, source_query => 'SELECT ..').");
    const int difference = last->rows == 0 ? -1 : compare_values(&last->order, last->values, slot->tts_values);
    if (difference == 0)
        raise_broken(key, psprintf("Two rows have the key %s.", key_in_words(key, last->values)),
                     "Name columns that tell the rows apart in the argument \"key\", or have the rows saved first by "
                     "stride.submit_pipeline(target, source_query => 'SELECT ..').");
    if (difference > 0)
        raise_broken(
            key,
            psprintf("The row with the key %s comes after the one with %s, and is before it in the order of this "
                     "server.",
                     key_in_words(key, slot->tts_values), key_in_words(key, last->values)),
            "Give the foreign table's columns the collations that they have where the table lives, \"C\" best "
            "of all.");
}

bool receive_key(TupleTableSlot *slot, DestReceiver *self) {
    auto *last = reinterpret_cast<LastKey *>(self);
    const int ncolumns = last->key->ncolumns;
    slot_getsomeattrs(slot, ncolumns);
    if (last->key->promised) require_promise(last, slot);
    if (last->rows == last->most) {
        last->more = true;
        return true;
    }
    for (int i = 0; i < ncolumns; i++) {
        if (slot->tts_isnull[i]) elog(ERROR, "key column %d is null", i + 1);
        keep(last, i, *TupleDescAttr(slot->tts_tupleDescriptor, i), slot->tts_values[i]);
    }
    last->rows++;
    return true;
}

void start_receiver(DestReceiver *, int, TupleDesc) {}
void end_receiver(DestReceiver *) {}

} // namespace

void prepare_last_key(const Key &key, LastKey *last) {
    *last = LastKey{};
    last->receiver.receiveSlot = receive_key;
    last->receiver.rStartup = start_receiver;
    last->receiver.rShutdown = end_receiver;
    last->receiver.rDestroy = end_receiver;
    last->receiver.mydest = DestNone;
    last->memory = CurrentMemoryContext;
    last->key = &key;
    last->most = every_row;
    if (key.promised) prepare_order(key, &last->order);
}

char *select_keys_sql(Relation source, const Key &key) {
    StringInfoData sql;
    initStringInfo(&sql);
    for (int i = 0; i < key.ncolumns; i++) {
        const char *name = get_attname(RelationGetRelid(source), key.columns[i].attno, false);
        appendStringInfo(&sql, "%s %s", i == 0 ? "SELECT" : ",", quote_identifier(name));
    }
    appendStringInfo(
        &sql, " FROM %s%s", key.relation == key.source ? "ONLY " : "",
        quote_qualified_identifier(get_namespace_name(RelationGetNamespace(source)), RelationGetRelationName(source)));
    return sql.data;
}

char *ordered_keys_sql(Relation source, const Key &key, bool backward, int64 limit) {
    StringInfoData sql;
    initStringInfo(&sql);
    appendStringInfoString(&sql, select_keys_sql(source, key));
    // Collation names are written for the search_path that analyse_own() reads them under.
    const int level = pg::pin_search_path();
    // A scan of a TID range gives rows in the order of their places.
    for (int i = 0; !key.by_place && i < key.ncolumns; i++) {
        appendStringInfoString(&sql, i == 0 ? " ORDER BY " : ", ");
        append_order(&sql, source, key.columns[i], backward);
    }
    pg::unpin(level);
    if (limit != every_row) appendStringInfo(&sql, " LIMIT " INT64_FORMAT, limit);
    return sql.data;
}

void add_condition(Query *query, Node *condition) {
    query->jointree->quals = condition;
    query->hasSubLinks = checkExprHasSubLink(condition);
}

Access access_of(const Key &key) {
    return key.promised ? Access::any : Access::key;
}

Driving driving_of(Query *query, const Key &key) {
    return Driving{rt_fetch(1, query->rtable), nullptr, pg::ChildTable{key.source, key.relation}, access_of(key),
                   key.index};
}

namespace {

WalkPlan plan_without_sort(Query *query, const char *sql, const Key &key) {
    if (rt_fetch(1, query->rtable)->relid != key.source)
        ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE), errmsg("the walked table was renamed meanwhile"),
                        errhint("Try again.")));
    static constexpr struct {
        const char *name;
        const char *value;
    } settings[] = {{"enable_sort", "off"},     {"enable_incremental_sort", "off"},
                    {"enable_seqscan", "off"},  {"enable_bitmapscan", "off"},
                    {"enable_indexscan", "on"}, {"enable_indexonlyscan", "on"},
                    {"enable_tidscan", "on"},   {"jit", "off"}};
    const int level = NewGUCNestLevel();
    for (const auto &setting : settings)
        (void)set_config_option(setting.name, setting.value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
                                false);
    const WalkPlan plan = plan_walk(query, sql, driving_of(query, key));
    AtEOXact_GUC(false, level);
    return plan;
}

} // namespace

PlannedStmt *plan_in_key_order(Query *query, const char *sql, const Key &key) {
    const WalkPlan plan = plan_without_sort(query, sql, key);
    if (plan.sorts && !key.promised)
        ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("the index of the walk key does not give its order"),
                        errdetail_internal("%s", sql), errhint("Check the index with amcheck, and report this.")));
    return plan.statement;
}

bool look_ahead_sorts(Relation source, const Key &key) {
    const char *sql = ordered_keys_sql(source, key, false, 1);
    return plan_without_sort(analyse_own(sql), sql, key).sorts;
}

Peek peek(Relation source, const Key &key, const KeyRange &range, int64 limit) {
    if (pages_suffice(key, range)) return peek_pages(key, range, limit);
    LastKey last;
    prepare_last_key(key, &last);
    last.most = limit;
    // One row more shows whether a promised key is one at the chunk's end too.
    const int64 read = key.promised && limit != every_row ? limit + 1 : limit;
    List *parts = range_parts(key, 1, range);
    for (int i = 0; i < list_length(parts) && last.rows < read && !last.more; i++) {
        CHECK_FOR_INTERRUPTS();
        peek_part(source, key, static_cast<List *>(list_nth(parts, i)), read - last.rows, &last);
    }
    const bool reached_end = key.promised ? !last.more : last.rows < limit;
    return Peek{last.rows, last.rows > 0 ? key_to_text(key, last.values) : nullptr, reached_end};
}

} // namespace stride::walk
