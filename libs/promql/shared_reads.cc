#include "libs/promql/shared_reads.h"

#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/promql/plan.h"
#include "libs/promql/range_functions.h"
#include "libs/promql/shared_nodes.h"

namespace narthex::promql {
namespace {

/// Whether the result of a binary operator on two vectors.
bool JoinsVectors(const Expr& expr) {
  if (expr.kind != ExprKind::kBinary) return false;
  const auto& binary = expr.As<BinaryExpr>();
  return binary.lhs->type() == ValueType::kVector &&
         binary.rhs->type() == ValueType::kVector;
}

/// The call as a member, when it maps the series of a matrix selector one by
/// one and its other arguments are numbers.
std::optional<SharedReads::Member> MemberOf(const Call& call) {
  if (FindRangeFunction(call.function->name) == nullptr ||
      call.function->name == "absent_over_time") {
    return {};
  }
  SharedReads::Member member{&call};
  for (std::size_t i = 0; i < call.args.size(); ++i) {
    const Expr& arg = Unwrap(*call.args[i]);
    if (arg.kind == ExprKind::kNumber) continue;
    if (arg.kind != ExprKind::kMatrixSelector || member.selector != nullptr) {
      return {};
    }
    member.selector = arg.As<MatrixSelector>().selector.get();
    member.range_arg = i;
  }
  if (member.selector == nullptr) return {};
  return member;
}

}  // namespace

struct SharedReads::Search {
  /// Members by what they read, and at which steps.
  using Chain = absl::flat_hash_map<std::string, Group>;

  void Look(const Expr& expr) {
    if (plan != nullptr && plan->Find(&expr) != nullptr) return;
    if (!JoinsVectors(expr)) {
      for (const Expr* child : Children(expr)) Look(*child);
      return;
    }
    Chain chain;
    for (const Expr* child : Children(expr)) Gather(*child, "", &chain);
    for (auto& [text, group] : chain) {
      if (group.size() < 2) continue;
      const auto kept = std::make_shared<const Group>(std::move(group));
      for (const Member& member : *kept) (*groups)[member.selector] = kept;
    }
  }

  /// Adds the operands below `expr`.
  void Gather(const Expr& expr, absl::string_view steps, Chain* chain) {
    if (plan != nullptr && plan->Find(&expr) != nullptr) return;
    if (same != nullptr && same->Find(expr) != nullptr) return Look(expr);
    switch (expr.kind) {
      case ExprKind::kStepInvariant:
        return Gather(*expr.As<StepInvariantExpr>().expr, "1", chain);
      case ExprKind::kBinary:
      case ExprKind::kParen:
      case ExprKind::kUnary:
        for (const Expr* child : Children(expr)) Gather(*child, steps, chain);
        return;
      case ExprKind::kVectorSelector:
        return Add({&expr, &expr.As<VectorSelector>()}, steps, chain);
      case ExprKind::kCall:
        if (const auto member = MemberOf(expr.As<Call>()); member.has_value()) {
          return Add(*member, steps, chain);
        }
        return Look(expr);
      default:
        return Look(expr);
    }
  }

  void Add(const Member& member, absl::string_view steps, Chain* chain) {
    // They look beyond their range, each by rules of its own.
    if (member.selector->anchored || member.selector->smoothed) return;
    (*chain)[absl::StrCat(steps, " ", member.selector->String())].push_back(
        member);
  }

  const Plan* plan;
  const SharedNodes* same;
  absl::flat_hash_map<const VectorSelector*, std::shared_ptr<const Group>>*
      groups;
};

SharedReads::SharedReads(const Expr& root, const Plan* plan,
                         const SharedNodes* same) {
  Search{plan, same, &groups_}.Look(root);
}

}  // namespace narthex::promql
