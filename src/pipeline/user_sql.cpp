// The user's SQL.
// Regime: pg.
#include "pipeline/user_sql.hpp"

namespace stride::pipeline {
namespace {

bool returns_rows(const UpdateStmt &statement) {
#if PG_VERSION_NUM >= 180000
    return statement.returningClause != nullptr;
#else
    return statement.returningList != NIL;
#endif
}

constexpr const char *update_prefix = "UPDATE t SET ";

struct References {
    int to_chunk;
    bool hides_chunk; // a WITH query has its name
};

bool count_references(Node *node, void *context) {
    if (node == nullptr) return false;
    check_stack_depth();
    References *references = static_cast<References *>(context);
    if (IsA(node, RangeVar)) {
        const RangeVar *table = reinterpret_cast<const RangeVar *>(node);
        if (table->schemaname == nullptr && strcmp(table->relname, chunk_name) == 0) references->to_chunk++;
        return false;
    }
    if (IsA(node, CommonTableExpr) && strcmp(reinterpret_cast<CommonTableExpr *>(node)->ctename, chunk_name) == 0)
        references->hides_chunk = true;
#if PG_VERSION_NUM >= 160000
    return raw_expression_tree_walker(node, count_references, context);
#else
    using Untyped = bool (*)();
    return raw_expression_tree_walker(node, reinterpret_cast<Untyped>(reinterpret_cast<void (*)()>(count_references)),
                                      context);
#endif
}

void require_one_chunk(SelectStmt *query) {
    References references = {0, false};
    (void)count_references(reinterpret_cast<Node *>(query), &references);
    if (references.hides_chunk)
        refuse_query("A WITH query of it is named \"chunk\", the name of the relation that holds a chunk's rows.",
                     "Give the WITH query another name.");
    if (references.to_chunk == 0)
        refuse_query("It does not read the relation chunk, which holds a chunk's rows of the source.",
                     "Write SELECT .. FROM chunk.");
    if (references.to_chunk > 1)
        refuse_query(psprintf("It reads the relation chunk %d times.", references.to_chunk),
                     "Read chunk once, in a WITH query or a subquery that the rest of the query refers to, or read the "
                     "source itself beside it.");
}

void require_text(const char *argument, const char *text) {
    if (text[strspn(text, " \t\n\r\f\v")] == '\0')
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s is empty", argument),
                        errhint("Leave the argument out, or give it as the documentation of stride.submit_pipeline "
                                "shows.")));
}

[[noreturn]] void refuse_form(const char *argument, const char *detail, const char *hint) {
    ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR), errmsg("%s has not the right form", argument),
                    errdetail("%s", detail), errhint("%s", hint)));
    pg_unreachable();
}

RawStmt *parse_one(const char *argument, const char *text, const analysis::Texts &texts, const char *hint) {
    List *statements = analysis::with_positions(texts, [&] { return raw_parser(text, RAW_PARSE_DEFAULT); });
    if (list_length(statements) != 1)
        refuse_form(argument, psprintf("It holds %d statements.", list_length(statements)), hint);
    return linitial_node(RawStmt, statements);
}

analysis::Parsed parse_select(const char *argument, const char *text, const char *hint) {
    require_text(argument, text);
    const analysis::Texts texts = {text, {text, nullptr}, {0, 0}};
    RawStmt *raw = parse_one(argument, text, texts, hint);
    if (!IsA(raw->stmt, SelectStmt)) refuse_form(argument, "It is not a SELECT.", hint);
    if (reinterpret_cast<SelectStmt *>(raw->stmt)->intoClause != nullptr) refuse_form(argument, "It has INTO.", hint);
    return {raw, texts};
}

SelectStmt *parse_query(const char *text) {
    const analysis::Parsed parsed = parse_select("transform_query", text, "Give one SELECT over the relation chunk.");
    SelectStmt *query = reinterpret_cast<SelectStmt *>(parsed.raw->stmt);
    require_one_chunk(query);
    return query;
}

// `before` is what stands before it in the text that locations count in.
List *parse_assignments(const char *text, int before) {
    static constexpr const char *hint =
        "Give what would stand between SET and the end of ON CONFLICT .. DO UPDATE SET, such "
        "as total = t.total + excluded.total.";
    require_text("update_set", text);
    char *padded = psprintf("%*s%s%s", before, "", update_prefix, text);
    const int start = before + static_cast<int>(strlen(update_prefix));
    Node *statement = parse_one("update_set", padded, {padded, {text, nullptr}, {start, 0}}, hint)->stmt;
    const UpdateStmt *update = IsA(statement, UpdateStmt) ? reinterpret_cast<UpdateStmt *>(statement) : nullptr;
    if (update == nullptr || update->fromClause != NIL || update->whereClause != nullptr || returns_rows(*update))
        refuse_form("update_set", "It is more than a list of assignments.", hint);
    return update->targetList;
}

} // namespace

UserSql parse_user_sql(const char *transform_query, const char *update_set) {
    UserSql parsed = {};
    parsed.texts.whole = "";
    if (transform_query != nullptr) {
        parsed.query = parse_query(transform_query);
        parsed.texts = {transform_query, {transform_query, nullptr}, {0, 0}};
    }
    if (update_set == nullptr) return parsed;
    const int before = static_cast<int>(strlen(parsed.texts.whole));
    parsed.assignments = parse_assignments(update_set, before);
    const int slot = transform_query == nullptr ? 0 : 1;
    parsed.texts.text[slot] = update_set;
    parsed.texts.start[slot] = before + static_cast<int>(strlen(update_prefix));
    parsed.texts.whole = psprintf("%s%s%s", parsed.texts.whole, update_prefix, update_set);
    return parsed;
}

void refuse_query(const char *detail, const char *hint) {
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("transform_query cannot be run in chunks"),
                    errdetail("%s", detail), errhint("%s", hint)));
    pg_unreachable();
}

analysis::Parsed parse_source_query(const char *text) {
    return parse_select("source_query", text, "Give one SELECT, VALUES or TABLE.");
}

const char *row_loss(const SelectStmt *query) {
    if (query->op != SETOP_NONE) return "It is a UNION, INTERSECT or EXCEPT.";
    if (query->whereClause != nullptr) return "It has WHERE.";
    if (list_length(query->fromClause) != 1 || !IsA(linitial(query->fromClause), RangeVar) ||
        strcmp(linitial_node(RangeVar, query->fromClause)->relname, chunk_name) != 0)
        return "Its FROM is not the relation chunk alone.";
    return nullptr;
}

} // namespace stride::pipeline
