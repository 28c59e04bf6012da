#include "libs/promql/shared_nodes.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/promql/plan.h"

namespace narthex::promql {
namespace {

std::size_t CountSelectors(const Expr& expr) {
  if (expr.kind == ExprKind::kVectorSelector) return 1;
  std::size_t count = 0;
  for (const Expr* child : Children(expr)) count += CountSelectors(*child);
  return count;
}

/// Whether the node's own vector is what other nodes take from it.
bool IsVector(const Expr& expr) {
  return expr.type() == ValueType::kVector && expr.kind != ExprKind::kParen &&
         expr.kind != ExprKind::kStepInvariant;
}

/// The steps at which a subquery evaluates its expression, given the text of
/// those at which it is evaluated itself.
std::string StepsOf(const SubqueryExpr& subquery, const std::string& steps) {
  const TimeModifiers& time = subquery.time;
  return absl::StrCat(steps, "[", subquery.range_ms, ":", subquery.step_ms, " ",
                      static_cast<int>(time.at), " ", time.at_ms, " ",
                      time.offset_ms, "]");
}

/// Arguments whose vector is not asked for: times, and what info() looks up.
bool IsLookedInto(const Call& call, std::size_t argument) {
  const absl::string_view name = call.function->name;
  if (name == "timestamp" || name == "start_timestamp") {
    return Unwrap(*call.args[argument]).kind == ExprKind::kVectorSelector;
  }
  return name == "info" && argument == 1;
}

}  // namespace

struct SharedNodes::Search {
  const Plan* plan = nullptr;
  absl::flat_hash_map<std::string, const Expr*> first;
};

SharedNodes::SharedNodes(const Expr& root, const Plan* plan) {
  if (CountSelectors(root) < 2) return;
  Search search{plan, {}};
  Look(root, "", &search);
}

void SharedNodes::Look(const Expr& expr, const std::string& steps,
                       Search* search) {
  if (IsVector(expr) && CountSelectors(expr) > 0) {
    const auto [it, is_new] = search->first.try_emplace(
        absl::StrCat(steps, " ", expr.String()), &expr);
    if (!is_new) {
      std::shared_ptr<Group>& group = groups_[it->second];
      if (group == nullptr) {
        group = std::make_shared<Group>();
        group->nodes.push_back(it->second);
      }
      group->nodes.push_back(&expr);
      const std::shared_ptr<Group> same = group;
      groups_[&expr] = same;
      return;
    }
    if (search->plan != nullptr && search->plan->Find(&expr) != nullptr) return;
  }
  switch (expr.kind) {
    case ExprKind::kMatrixSelector:
      return;
    case ExprKind::kSubquery: {
      const auto& subquery = expr.As<SubqueryExpr>();
      return Look(*subquery.expr, StepsOf(subquery, steps), search);
    }
    case ExprKind::kStepInvariant:
      return Look(*expr.As<StepInvariantExpr>().expr, absl::StrCat(steps, "1"),
                  search);
    case ExprKind::kCall: {
      const auto& call = expr.As<Call>();
      for (std::size_t i = 0; i < call.args.size(); ++i) {
        if (!IsLookedInto(call, i)) Look(*call.args[i], steps, search);
      }
      return;
    }
    default:
      for (const Expr* child : Children(expr)) Look(*child, steps, search);
  }
}

PositionMap::PositionMap(const Expr& from, const Expr& to) { Add(from, to); }

void PositionMap::Add(const Expr& from, const Expr& to) {
  const Expr& a = Unwrap(from);
  const Expr& b = Unwrap(to);
  places_.emplace_back(a.position, b.position);
  const auto below_a = Children(a);
  const auto below_b = Children(b);
  for (std::size_t i = 0; i < below_a.size() && i < below_b.size(); ++i) {
    Add(*below_a[i], *below_b[i]);
  }
}

PositionRange PositionMap::operator()(PositionRange position) const {
  for (const auto& [from, to] : places_) {
    if (from.start == position.start && from.end == position.end) return to;
  }
  return position;
}

}  // namespace narthex::promql
