#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "libs/model/labels.h"
#include "libs/model/sample.h"

namespace narthex::scraper {

/// The labels `__type__` and `__unit__` of series, made of the metadata that
/// stands before them in an exposition. Prometheus 3.5 with
/// `type-and-unit-labels`, which however gives them to all series up to the
/// next metadata, whether they are of that family or not.
class FamilyLabels {
 public:
  /// What a metadata line says of `metric`.
  void SetType(absl::string_view metric, model::MetricType type);
  void SetUnit(absl::string_view metric, absl::string_view unit);

  /// Differs where AddTo() may do something else; 0 before any metadata.
  std::uint32_t hash() const { return hash_; }

  /// Labels a series of the family that the metadata is of, or nothing.
  /// What is known of it replaces such labels that the target gave itself.
  void AddTo(model::Labels* labels) const;

 private:
  void Begin(absl::string_view metric);
  void UpdateHash();
  bool Covers(absl::string_view name) const;

  std::string metric_;
  std::string unit_;
  model::MetricType type_ = model::MetricType::kUnknown;
  std::uint32_t hash_ = 0;
};

}  // namespace narthex::scraper
