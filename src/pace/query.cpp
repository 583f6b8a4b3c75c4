// The throttle_query.
// Regime: pg.
#include "pace/query.hpp"

#include "bridge/attempt.hpp"
#include "pg/transaction.hpp"

namespace stride::pace {
namespace {

double number_of(HeapTuple tuple, TupleDesc descriptor) {
    bool isnull;
    const Datum value = SPI_getbinval(tuple, descriptor, 1, &isnull);
    if (isnull) return 0;
    if (SPI_gettypeid(descriptor, 1) == BOOLOID) return DatumGetBool(value) ? 1 : 0;
    return DatumGetFloat8(DirectFunctionCall1(float8in, CStringGetDatum(SPI_getvalue(tuple, descriptor, 1))));
}

double read_number(const char *query) {
    const int code = SPI_execute(query, true, 1);
    if (code != SPI_OK_SELECT)
        ereport(ERROR, (errcode(ERRCODE_INVALID_TRANSACTION_STATE),
                        errmsg("the throttle_query is not a query: %s", SPI_result_code_string(code))));
    return SPI_processed == 0 ? 0 : number_of(SPI_tuptable->vals[0], SPI_tuptable->tupdesc);
}

} // namespace

int run_throttle_query(const char *query, int timeout_ms, MemoryContext keep, double *value) {
    MemoryContext previous = CurrentMemoryContext;
    ErrorData *error = bridge::attempt(keep, [&] {
        pg::begin_transaction();
        XactReadOnly = true;
        // With a snapshot taken, nothing that the query calls can make the transaction writable.
        PushActiveSnapshot(GetTransactionSnapshot());
        SPI_connect();
        enable_timeout_after(STATEMENT_TIMEOUT, timeout_ms);
        *value = read_number(query);
    });
    disable_timeout(STATEMENT_TIMEOUT, true);
    // One that struck after the last look at interrupts has nobody left to cancel.
    if (get_timeout_indicator(STATEMENT_TIMEOUT, true)) QueryCancelPending = false;
    // What the query has set is undone with it.
    AbortCurrentTransaction();
    MemoryContextSwitchTo(previous);
    return error == nullptr ? 0 : error->sqlerrcode;
}

} // namespace stride::pace
