#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "libs/model/sample.h"
#include "services/pushgateway/group_key.h"

namespace narthex::pushgateway {

/// The lines of one family as one group pushed it, all but the values: what
/// usually stays the same from push to push. A metric is one line, or all
/// those of a histogram or summary.
class Layout {
 public:
  /// Begins a metric with these labels, `count` of them, rendered by
  /// AppendLabels().
  void BeginMetric(absl::string_view labels, std::size_t count);
  /// Adds a line to the last metric: `name{labels,extra}`; `extra` is a
  /// rendered label or empty.
  void AddLine(absl::string_view name, absl::string_view extra);

  std::size_t metric_count() const { return metrics_.size(); }
  std::size_t line_count() const { return line_ends_.size(); }
  /// The labels of a metric, as given.
  absl::string_view labels(std::size_t metric) const;
  std::size_t label_count(std::size_t metric) const {
    return metrics_[metric].label_count;
  }
  /// The series text of a line.
  absl::string_view line(std::size_t line) const;
  std::size_t first_line(std::size_t metric) const {
    return metrics_[metric].first_line;
  }
  /// One past the last line of a metric.
  std::size_t end_line(std::size_t metric) const {
    return metric + 1 < metrics_.size() ? metrics_[metric + 1].first_line
                                        : line_ends_.size();
  }

  void Encode(std::string* out) const;
  /// False when malformed.
  static bool Decode(absl::string_view data, Layout* layout);

  friend bool operator==(const Layout&, const Layout&) = default;

 private:
  struct Metric {
    std::uint32_t first_line = 0;
    std::uint32_t labels_begin = 0;
    std::uint32_t labels_size = 0;
    std::uint32_t label_count = 0;
    friend bool operator==(const Metric&, const Metric&) = default;
  };

  std::string text_;  // Of all lines.
  std::vector<std::uint32_t> line_ends_;
  std::vector<Metric> metrics_;
  std::string pending_labels_;
};

/// One family of one group.
struct Family {
  std::string name;
  model::MetricType type = model::MetricType::kUnknown;
  std::string help;
  Layout layout;
  /// One for each line of the layout.
  std::vector<double> values;
};

/// "counter" in expositions, "untyped" for an unknown type.
absl::string_view TypeWord(model::MetricType type);
/// HELP (when there is one) and TYPE lines.
void AppendFamilyHead(const Family& family, std::string* out);
/// The lines of one metric with their values.
void AppendMetric(const Family& family, std::size_t metric, std::string* out);

/// Orders metrics of a family as Prometheus's client libraries do: fewer
/// labels first, then by values in order of names.
bool MetricLess(const Layout& a, std::size_t metric_a, const Layout& b,
                std::size_t metric_b);

}  // namespace narthex::pushgateway
