// PostgreSQL's tree walkers with their types put right for C++ (15 declares them without arguments).
// Regime: pg.  Locks: none.
#pragma once

#include "pg/pg.hpp"

namespace stride::pg {

using Walker = bool (*)(Node *node, void *context);
using Mutator = Node *(*)(Node *node, void *context);

inline bool walk_query(Query *query, Walker walker, void *context, int flags = 0) {
#if PG_VERSION_NUM >= 160000
    return query_tree_walker(query, walker, context, flags);
#else
    using Untyped = bool (*)();
    return query_tree_walker(query, reinterpret_cast<Untyped>(reinterpret_cast<void (*)()>(walker)), context, flags);
#endif
}

inline bool walk_expression(Node *node, Walker walker, void *context) {
#if PG_VERSION_NUM >= 160000
    return expression_tree_walker(node, walker, context);
#else
    using Untyped = bool (*)();
    return expression_tree_walker(node, reinterpret_cast<Untyped>(reinterpret_cast<void (*)()>(walker)), context);
#endif
}

inline Query *mutate_query(Query *query, Mutator mutator, void *context, int flags) {
#if PG_VERSION_NUM >= 160000
    return query_tree_mutator(query, mutator, context, flags);
#else
    using Untyped = Node *(*)();
    return query_tree_mutator(query, reinterpret_cast<Untyped>(reinterpret_cast<void (*)()>(mutator)), context, flags);
#endif
}

inline Node *mutate_expression(Node *node, Mutator mutator, void *context) {
#if PG_VERSION_NUM >= 160000
    return expression_tree_mutator(node, mutator, context);
#else
    using Untyped = Node *(*)();
    return expression_tree_mutator(node, reinterpret_cast<Untyped>(reinterpret_cast<void (*)()>(mutator)), context);
#endif
}

template <class Visit>
bool find_node_walker(Node *node, void *context) {
    if (node == nullptr) return false;
    check_stack_depth();
    if ((*static_cast<Visit *>(context))(node)) return true;
    if (IsA(node, Query)) return walk_query(reinterpret_cast<Query *>(node), find_node_walker<Visit>, context);
    return walk_expression(node, find_node_walker<Visit>, context);
}

// Calls visit(node) for each node of a tree, the root and every query level included, until it returns true.
template <class Visit>
bool find_node(void *root, Visit visit) {
    return find_node_walker<Visit>(static_cast<Node *>(root), &visit);
}

// Calls visit(query) for each query level: the top one, subqueries in FROM, CTEs and sublinks.
template <class Visit>
void for_each_query(Query *query, Visit visit) {
    (void)find_node(query, [&visit](Node *node) {
        if (IsA(node, Query)) visit(reinterpret_cast<Query *>(node));
        return false;
    });
}

} // namespace stride::pg
