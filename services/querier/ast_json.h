#pragma once

#include "libs/promql/ast.h"
#include "services/querier/json_writer.h"

namespace narthex::querier {

/// Writes a syntax tree as Prometheus's user interface reads it.
void WriteTree(const promql::Expr& expr, JsonWriter* json);

}  // namespace narthex::querier
