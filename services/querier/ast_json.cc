#include "services/querier/ast_json.h"

#include <cmath>
#include <memory>
#include <optional>

#include "libs/base/float_format.h"
#include "libs/model/labels.h"

namespace narthex::querier {
namespace {

// Members are in alphabetical order, as Go writes its maps.

void WriteNumber(double value, JsonWriter* json) {
  json->BeginObject()
      .Key("type")
      .String("numberLiteral")
      .Key("val")
      .String(base::FormatFloat(value))
      .EndObject();
}

absl::string_view DurationOpName(promql::DurationExpr::Op op) {
  using Op = promql::DurationExpr::Op;
  switch (op) {
    case Op::kNegate:
    case Op::kSub:
      return "-";
    case Op::kPlus:
    case Op::kAdd:
      return "+";
    case Op::kMul:
      return "*";
    case Op::kDiv:
      return "/";
    case Op::kMod:
      return "%";
    case Op::kPow:
      return "^";
    case Op::kMinOf:
      return "min_of";
    case Op::kMaxOf:
      return "max_of";
    case Op::kStep:
      return "step";
    case Op::kRange:
      return "range";
    case Op::kNumber:
      break;
  }
  return "";
}

void WriteDuration(const promql::DurationExpr* expr, JsonWriter* json) {
  using Op = promql::DurationExpr::Op;
  if (expr == nullptr) {
    json->Null();
    return;
  }
  if (expr->op == Op::kNumber) {
    json->BeginObject()
        .Key("duration")
        .Bool(expr->is_duration)
        .Key("type")
        .String("numberLiteral")
        .Key("val")
        .String(base::FormatFloat(expr->seconds))
        .EndObject();
    return;
  }
  // A sign stands before its operand, the right side.
  const bool sign = expr->op == Op::kNegate || expr->op == Op::kPlus;
  json->BeginObject().Key("lhs");
  WriteDuration(sign ? nullptr : expr->lhs.get(), json);
  json->Key("op").String(DurationOpName(expr->op)).Key("rhs");
  WriteDuration(sign ? expr->lhs.get() : expr->rhs.get(), json);
  json->Key("type")
      .String("durationExpr")
      .Key("wrapped")
      .Bool(expr->wrapped)
      .EndObject();
}

void WriteMatchers(const promql::VectorSelector& selector, JsonWriter* json) {
  json->Key("matchers").BeginArray();
  for (const model::Matcher& matcher : selector.matchers) {
    json->BeginObject()
        .Key("name")
        .String(matcher.name())
        .Key("type")
        .String(model::MatchOperator(matcher.type()))
        .Key("value")
        .String(matcher.value())
        .EndObject();
  }
  json->EndArray();
}

void WriteOffset(const promql::TimeModifiers& time, JsonWriter* json) {
  json->Key("offset").Int(time.offset_ms).Key("offsetExpr");
  WriteDuration(time.offset_expr.get(), json);
}

void WriteStartOrEnd(const promql::TimeModifiers& time, JsonWriter* json) {
  using At = promql::TimeModifiers::At;
  json->Key("startOrEnd");
  if (time.at == At::kStart || time.at == At::kEnd) {
    json->String(time.at == At::kStart ? "start" : "end");
  } else {
    json->Null();
  }
}

void WriteTimestamp(const promql::TimeModifiers& time, JsonWriter* json) {
  json->Key("timestamp");
  if (time.at == promql::TimeModifiers::At::kTimestamp) {
    json->Int(time.at_ms);
  } else {
    json->Null();
  }
}

void WriteSelector(const promql::VectorSelector& selector,
                   const promql::MatrixSelector* matrix, JsonWriter* json) {
  json->BeginObject().Key("anchored").Bool(selector.anchored);
  WriteMatchers(selector, json);
  json->Key("name").String(selector.name);
  WriteOffset(selector.time, json);
  if (matrix != nullptr) {
    json->Key("range").Int(matrix->range_ms).Key("rangeExpr");
    WriteDuration(matrix->range_expr.get(), json);
  }
  json->Key("smoothed").Bool(selector.smoothed);
  WriteStartOrEnd(selector.time, json);
  WriteTimestamp(selector.time, json);
  json->Key("type")
      .String(matrix != nullptr ? "matrixSelector" : "vectorSelector")
      .EndObject();
}

void WriteSubquery(const promql::SubqueryExpr& subquery, JsonWriter* json) {
  json->BeginObject().Key("expr");
  WriteTree(*subquery.expr, json);
  WriteOffset(subquery.time, json);
  json->Key("range").Int(subquery.range_ms).Key("rangeExpr");
  WriteDuration(subquery.range_expr.get(), json);
  WriteStartOrEnd(subquery.time, json);
  json->Key("step").Int(subquery.step_ms).Key("stepExpr");
  WriteDuration(subquery.step_expr.get(), json);
  WriteTimestamp(subquery.time, json);
  json->Key("type").String("subquery").EndObject();
}

void WriteCall(const promql::Call& call, JsonWriter* json) {
  json->BeginObject().Key("args").BeginArray();
  for (const promql::ExprPtr& arg : call.args) WriteTree(*arg, json);
  json->EndArray().Key("func").BeginObject().Key("argTypes").BeginArray();
  for (const promql::ValueType type : call.function->argument_types) {
    json->String(promql::ValueTypeApiName(type));
  }
  json->EndArray()
      .Key("name")
      .String(call.function->name)
      .Key("returnType")
      .String(promql::ValueTypeApiName(call.function->return_type))
      .Key("variadic")
      .Int(call.function->variadic)
      .EndObject()
      .Key("type")
      .String("call")
      .EndObject();
}

void WriteAggregate(const promql::AggregateExpr& aggregate, JsonWriter* json) {
  json->BeginObject().Key("expr");
  WriteTree(*aggregate.expr, json);
  json->Key("grouping").Strings(aggregate.grouping);
  json->Key("op").String(promql::AggregateOpText(aggregate.op)).Key("param");
  if (aggregate.param != nullptr) {
    WriteTree(*aggregate.param, json);
  } else {
    json->Null();
  }
  json->Key("type")
      .String("aggregation")
      .Key("without")
      .Bool(aggregate.without)
      .EndObject();
}

absl::string_view CardinalityName(
    promql::VectorMatching::Cardinality cardinality) {
  using Cardinality = promql::VectorMatching::Cardinality;
  switch (cardinality) {
    case Cardinality::kOneToOne:
      return "one-to-one";
    case Cardinality::kManyToOne:
      return "many-to-one";
    case Cardinality::kOneToMany:
      return "one-to-many";
    case Cardinality::kManyToMany:
      return "many-to-many";
  }
  return "";
}

void WriteFill(absl::string_view key, const std::optional<double>& fill,
               JsonWriter* json) {
  json->Key(key);
  if (fill.has_value() && std::isfinite(*fill)) {
    json->Double(*fill);
  } else {
    json->Null();
  }
}

void WriteMatching(const promql::VectorMatching& matching, JsonWriter* json) {
  json->BeginObject()
      .Key("card")
      .String(CardinalityName(matching.cardinality))
      .Key("fillValues")
      .BeginObject();
  WriteFill("lhs", matching.fill_left, json);
  WriteFill("rhs", matching.fill_right, json);
  json->EndObject()
      .Key("include")
      .Strings(matching.include)
      .Key("labels")
      .Strings(matching.labels)
      .Key("on")
      .Bool(matching.on)
      .EndObject();
}

void WriteBinary(const promql::BinaryExpr& binary, JsonWriter* json) {
  json->BeginObject().Key("bool").Bool(binary.return_bool).Key("lhs");
  WriteTree(*binary.lhs, json);
  json->Key("matching");
  if (binary.matching.has_value()) {
    WriteMatching(*binary.matching, json);
  } else {
    json->Null();
  }
  json->Key("op").String(promql::BinaryOpText(binary.op)).Key("rhs");
  WriteTree(*binary.rhs, json);
  json->Key("type").String("binaryExpr").EndObject();
}

}  // namespace

void WriteTree(const promql::Expr& expr, JsonWriter* json) {
  using promql::ExprKind;
  switch (expr.kind) {
    case ExprKind::kNumber:
      WriteNumber(expr.As<promql::NumberLiteral>().value, json);
      break;
    case ExprKind::kString:
      json->BeginObject()
          .Key("type")
          .String("stringLiteral")
          .Key("val")
          .String(expr.As<promql::StringLiteral>().value)
          .EndObject();
      break;
    case ExprKind::kVectorSelector:
      WriteSelector(expr.As<promql::VectorSelector>(), nullptr, json);
      break;
    case ExprKind::kMatrixSelector: {
      const auto& matrix = expr.As<promql::MatrixSelector>();
      WriteSelector(*matrix.selector, &matrix, json);
      break;
    }
    case ExprKind::kSubquery:
      WriteSubquery(expr.As<promql::SubqueryExpr>(), json);
      break;
    case ExprKind::kCall:
      WriteCall(expr.As<promql::Call>(), json);
      break;
    case ExprKind::kAggregate:
      WriteAggregate(expr.As<promql::AggregateExpr>(), json);
      break;
    case ExprKind::kBinary:
      WriteBinary(expr.As<promql::BinaryExpr>(), json);
      break;
    case ExprKind::kUnary:
      json->BeginObject().Key("expr");
      WriteTree(*expr.As<promql::UnaryExpr>().expr, json);
      json->Key("op")
          .String(expr.As<promql::UnaryExpr>().negative ? "-" : "+")
          .Key("type")
          .String("unaryExpr")
          .EndObject();
      break;
    case ExprKind::kParen:
      json->BeginObject().Key("expr");
      WriteTree(*expr.As<promql::ParenExpr>().expr, json);
      json->Key("type").String("parenExpr").EndObject();
      break;
    case ExprKind::kStepInvariant:
      WriteTree(*expr.As<promql::StepInvariantExpr>().expr, json);
      break;
  }
}

}  // namespace narthex::querier
