#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "libs/model/labels.h"
#include "libs/model/sample.h"

namespace narthex::exposition {

/// The Content-Type of what Writer writes.
inline constexpr absl::string_view kTextContentType =
    "text/plain; version=0.0.4; charset=utf-8; escaping=allow-utf-8";

/// Writes the text format; names beyond the legacy set are quoted as in
/// version 1.0.0. The caller keeps the samples of a family together.
class Writer {
 public:
  /// HELP (left out when empty) and TYPE of the family that follows.
  void Family(absl::string_view name, model::MetricType type,
              absl::string_view help);
  /// One line. `name` is the series' own name ("x_bucket"); a __name__ in
  /// `labels` is ignored.
  void Sample(absl::string_view name, const model::Labels& labels, double value,
              std::optional<std::int64_t> timestamp_ms = std::nullopt);

  const std::string& text() const { return out_; }
  std::string Take() { return std::move(out_); }

 private:
  std::string out_;
};

/// A float as OpenMetrics writes label values: "1" becomes "1.0". False when
/// `text` is no float.
bool NormalizeFloatLabel(absl::string_view text, std::string* out);

}  // namespace narthex::exposition
