#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "libs/promql/ast.h"
#include "libs/promql/internal/print.h"

namespace narthex::promql {
namespace {

constexpr std::size_t kMaxLine = 100;

std::string Indent(int level) {
  return std::string(static_cast<std::size_t>(level) * 2, ' ');
}

std::string PrettyAt(const Expr& expr, int level);

std::string PrettyAggregate(const AggregateExpr& aggregate, int level) {
  std::string out =
      absl::StrCat(Indent(level), internal::AggregateHead(aggregate), "(\n");
  if (aggregate.param != nullptr) {
    absl::StrAppend(&out, PrettyAt(*aggregate.param, level + 1), ",\n");
  }
  absl::StrAppend(&out, PrettyAt(*aggregate.expr, level + 1), "\n",
                  Indent(level), ")");
  return out;
}

std::string PrettyCall(const Call& call, int level) {
  std::string out = absl::StrCat(Indent(level), call.function->name, "(\n");
  for (std::size_t i = 0; i < call.args.size(); ++i) {
    absl::StrAppend(&out, i == 0 ? "" : ",\n",
                    PrettyAt(*call.args[i], level + 1));
  }
  absl::StrAppend(&out, "\n", Indent(level), ")");
  return out;
}

// Writes a node that does not fit one line.
std::string Split(const Expr& expr, int level) {
  switch (expr.kind) {
    case ExprKind::kAggregate:
      return PrettyAggregate(expr.As<AggregateExpr>(), level);
    case ExprKind::kCall:
      return PrettyCall(expr.As<Call>(), level);
    case ExprKind::kBinary: {
      const auto& binary = expr.As<BinaryExpr>();
      return absl::StrCat(PrettyAt(*binary.lhs, level + 1), "\n", Indent(level),
                          BinaryOpText(binary.op),
                          internal::BinaryModifiers(binary), "\n",
                          PrettyAt(*binary.rhs, level + 1));
    }
    case ExprKind::kParen:
      return absl::StrCat(Indent(level), "(\n",
                          PrettyAt(*expr.As<ParenExpr>().expr, level + 1), "\n",
                          Indent(level), ")");
    case ExprKind::kSubquery: {
      const auto& subquery = expr.As<SubqueryExpr>();
      return absl::StrCat(PrettyAt(*subquery.expr, level),
                          internal::SubquerySuffix(subquery));
    }
    default:
      return absl::StrCat(Indent(level), expr.String());
  }
}

std::string PrettyAt(const Expr& expr, int level) {
  if (expr.kind == ExprKind::kStepInvariant) {
    return PrettyAt(*expr.As<StepInvariantExpr>().expr, level);
  }
  if (expr.kind == ExprKind::kUnary) {
    const auto& unary = expr.As<UnaryExpr>();
    const std::string child = PrettyAt(*unary.expr, level);
    return absl::StrCat(Indent(level), unary.negative ? "-" : "+",
                        absl::StripAsciiWhitespace(child));
  }
  std::string line = expr.String();
  if (line.size() > kMaxLine) return Split(expr, level);
  // A short subquery is not indented: that is how Prometheus has it.
  if (expr.kind == ExprKind::kSubquery) return line;
  return absl::StrCat(Indent(level), line);
}

}  // namespace

std::string Pretty(const Expr& expr) { return PrettyAt(expr, 0); }

}  // namespace narthex::promql
