#pragma once

namespace narthex::tsdb {

/// How what is appended together is taken.
struct AppendRules {
  /// Nothing is stored when something is rejected; what is out of order only
  /// within the batch is then left out silently, as Prometheus does.
  bool all_or_none = false;
  /// Samples out of order are rejected whatever the window.
  bool in_order_only = false;
};

}  // namespace narthex::tsdb
