#include "libs/promql/explain.h"

namespace narthex::promql {

NodeTraces::NodeTraces(const Expr& root) { Number(root); }

void NodeTraces::Number(const Expr& expr) {
  const auto number = static_cast<std::uint32_t>(traces_.size());
  numbers_[&expr] = number;
  traces_.emplace_back().node = number;
  for (const Expr* child : Children(expr)) Number(*child);
}

NodeTrace* NodeTraces::Find(const Expr& expr) {
  const auto it = numbers_.find(&expr);
  return it == numbers_.end() ? nullptr : &traces_[it->second];
}

std::vector<NodeTrace> NodeTraces::All() const {
  std::vector<NodeTrace> evaluated;
  for (const NodeTrace& trace : traces_) {
    if (trace.duration_ns > 0) evaluated.push_back(trace);
  }
  return evaluated;
}

}  // namespace narthex::promql
