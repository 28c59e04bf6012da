#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "libs/exposition/parser.h"

namespace narthex::exposition::internal {

/// The protobuf format: io.prometheus.client.MetricFamily messages, each after
/// its length. series() is the metric name, then name and value of each label,
/// with the byte 0xff before each of them.
class ProtobufParser : public Parser {
 public:
  ProtobufParser(absl::string_view body, const ParserOptions& options)
      : rest_(body), options_(options) {}

  Entry Next(absl::string_view guess) override;
  absl::Status ParseLabels(model::Labels* labels) override;
  std::vector<std::string> EmptyLabelNames() const override;
  absl::Status ParseExemplar(Exemplar* exemplar) override;
  absl::Status ParseExemplars(std::vector<Exemplar>* exemplars) override;

 private:
  // One sample of a metric: a histogram as a whole, or a number.
  struct Line {
    absl::string_view suffix;      // Of the family's name.
    absl::string_view bound_name;  // "le", "quantile" or empty.
    std::string bound;
    double value = 0;
    bool is_histogram = false;
    std::vector<absl::string_view> exemplars;  // Encoded.
  };
  struct Label {
    absl::string_view name;
    absl::string_view value;
  };

  Entry Fail(absl::string_view reason);
  // Reads the next family up to its metrics. False at the end or on an error.
  bool ReadFamily();
  bool CheckUnit();
  // Reads the next metric of the family into lines.
  bool ReadMetric();
  bool AddValue(absl::string_view message);
  bool AddSummary(absl::string_view message);
  bool AddHistogram(absl::string_view message);
  void AddLine(absl::string_view suffix, double value,
               std::vector<absl::string_view> exemplars = {});
  void AddBound(absl::string_view suffix, absl::string_view name, double bound,
                double value, std::vector<absl::string_view> exemplars = {});
  Entry TakeLine();

  absl::string_view rest_;
  const ParserOptions options_;
  int families_ = 0;

  // The family at hand.
  enum class Next { kFamily, kHelp, kUnit, kType, kLines };
  enum Next next_ = Next::kFamily;
  std::string name_;
  std::string help_;
  std::string unit_;
  std::vector<absl::string_view> metrics_;
  std::size_t metric_index_ = 0;
  // The metric at hand.
  std::vector<Label> labels_;
  std::vector<Line> lines_;
  std::int64_t metric_start_ms_ = 0;
  std::size_t line_index_ = 0;  // Of the one after the current one.
  std::string key_;
};

}  // namespace narthex::exposition::internal
