#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace narthex::model {

inline constexpr absl::string_view kMetricName = "__name__";
inline constexpr absl::string_view kJob = "job";
inline constexpr absl::string_view kInstance = "instance";
inline constexpr absl::string_view kAlertName = "alertname";
inline constexpr absl::string_view kBucketLabel = "le";
inline constexpr absl::string_view kQuantileLabel = "quantile";

/// A name and a value, both views into the label set they came from.
struct Label {
  absl::string_view name;
  absl::string_view value;
  friend bool operator==(const Label&, const Label&) = default;
};

/// An immutable label set, sorted by name, names unique, no empty values (an
/// empty value means the label is absent). Held in one string of
/// varint-length-prefixed names and values, so copying, hashing and comparing
/// are single passes over memory.
class Labels {
 public:
  Labels() = default;
  /// Takes labels in any order; of a repeated name the last wins; empty values
  /// are left out.
  Labels(std::initializer_list<std::pair<absl::string_view, absl::string_view>>
             labels);
  explicit Labels(std::vector<std::pair<std::string, std::string>> labels);

  /// Adopts the encoding of another Labels (see encoded()). False when it is
  /// malformed, unsorted, or has empty or repeated names.
  static bool FromEncoded(absl::string_view encoded, Labels* labels);

  /// As FromEncoded() for what is known to be well-formed.
  static Labels AdoptEncoded(std::string encoded) {
    Labels labels;
    labels.data_ = std::move(encoded);
    return labels;
  }

  class Iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = Label;
    using difference_type = std::ptrdiff_t;
    using pointer = const Label*;
    using reference = const Label&;

    explicit Iterator(absl::string_view rest);
    const Label& operator*() const { return label_; }
    const Label* operator->() const { return &label_; }
    Iterator& operator++();
    friend bool operator==(const Iterator& a, const Iterator& b) {
      return a.position_ == b.position_;
    }

   private:
    void Decode();
    const char* position_;
    const char* next_;
    const char* end_;
    Label label_;
  };

  /// Iterates as Label, in order of names.
  Iterator begin() const { return Iterator(data_); }
  Iterator end() const {
    return Iterator(absl::string_view(data_.data() + data_.size(), 0));
  }

  bool empty() const { return data_.empty(); }
  /// Number of labels; walks the set.
  std::size_t size() const;
  /// The value of `name`, empty when absent; a view into this label set.
  absl::string_view Get(absl::string_view name) const;
  bool Has(absl::string_view name) const;
  absl::string_view metric_name() const { return Get(kMetricName); }

  /// The one string that holds it all: equal for equal sets, and what
  /// FromEncoded() takes.
  absl::string_view encoded() const { return data_; }

  /// XXH64 over the encoding: stable across processes and versions, it decides
  /// which ingester holds a series.
  std::uint64_t Hash() const;
  /// Hash of only / of all but the labels in `names` (sorted ascending), used
  /// for grouping and vector matching. Without() also leaves out __name__.
  std::uint64_t HashOf(const std::vector<std::string>& names) const;
  std::uint64_t HashWithout(const std::vector<std::string>& names) const;

  /// Only / all but the labels in `names` (sorted). Without() also leaves out
  /// __name__.
  Labels Of(const std::vector<std::string>& names) const;
  Labels Without(const std::vector<std::string>& names) const;
  /// Without __name__ alone.
  Labels WithoutName() const;

  /// `{a="b", c="d"}` with Go quoting, the metric name among them.
  std::string ToString() const;
  /// `name{a="b"}` as PromQL prints a series.
  std::string ToMetricString() const;

  std::vector<std::pair<std::string, std::string>> ToPairs() const;

  /// Orders as Prometheus does: by name, then value, label by label; a prefix
  /// first.
  static int Compare(const Labels& a, const Labels& b);
  friend bool operator==(const Labels& a, const Labels& b) {
    return a.data_ == b.data_;
  }
  friend bool operator<(const Labels& a, const Labels& b) {
    return Compare(a, b) < 0;
  }
  template <typename H>
  friend H AbslHashValue(H h, const Labels& labels) {
    return H::combine(std::move(h), labels.data_);
  }

 private:
  friend class LabelsBuilder;
  std::string data_;
};

/// Changes a label set step by step and builds the result.
class LabelsBuilder {
 public:
  LabelsBuilder() = default;
  explicit LabelsBuilder(const Labels& base) { Reset(base); }

  void Reset(const Labels& base);
  /// An empty value removes the label.
  LabelsBuilder& Set(absl::string_view name, absl::string_view value);
  LabelsBuilder& Del(absl::string_view name);
  /// The current value, empty when absent; valid until the next change.
  absl::string_view Get(absl::string_view name) const;
  /// The current labels, sorted by name.
  const std::vector<std::pair<std::string, std::string>>& pairs() const {
    return labels_;
  }
  Labels Build() const;

 private:
  std::vector<std::pair<std::string, std::string>> labels_;  // Sorted.
};

/// [a-zA-Z_][a-zA-Z0-9_]*
bool IsLegacyLabelName(absl::string_view name);
/// [a-zA-Z_:][a-zA-Z0-9_:]*
bool IsLegacyMetricName(absl::string_view name);
/// Any non-empty valid UTF-8.
bool IsUtf8Name(absl::string_view name);

}  // namespace narthex::model
