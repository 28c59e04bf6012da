#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/model/labels.h"

namespace narthex::model {

/// A regular expression of Prometheus's dialect (RE2, dot matches newline)
/// that must match a whole text. Common shapes (literals, alternations of
/// literals, prefix, suffix and "contains") do not run the expression engine.
/// Immutable, thread-safe, cheap to copy.
class AnchoredRegex {
 public:
  /// kInvalidArgument with the reason when `pattern` is malformed.
  static absl::StatusOr<AnchoredRegex> Create(absl::string_view pattern);

  bool Matches(absl::string_view text) const;
  const std::string& pattern() const;
  /// When the expression matches exactly a known finite set of texts, that
  /// set (sorted); empty otherwise.
  const std::vector<std::string>& literals() const;
  /// A text with which every match begins; may be empty.
  const std::string& prefix() const;
  /// Replaces the match of a whole `text` by `replacement` with $1, ${name}
  /// expanded, as Go's Regexp.Expand. False when the text does not match.
  bool Expand(absl::string_view text, absl::string_view replacement,
              std::string* out) const;

 private:
  struct Rep;
  explicit AnchoredRegex(std::shared_ptr<const Rep> rep)
      : rep_(std::move(rep)) {}
  std::shared_ptr<const Rep> rep_;
};

enum class MatchType { kEqual, kNotEqual, kRegex, kNotRegex };

/// "=", "!=", "=~" or "!~".
absl::string_view MatchOperator(MatchType type);

/// A condition on one label; an absent label counts as the empty value.
/// Immutable, thread-safe, cheap to copy.
class Matcher {
 public:
  /// kInvalidArgument for a malformed regular expression.
  static absl::StatusOr<Matcher> Create(MatchType type, absl::string_view name,
                                        absl::string_view value);
  static Matcher Equal(absl::string_view name, absl::string_view value);

  MatchType type() const { return type_; }
  const std::string& name() const { return name_; }
  const std::string& value() const { return value_; }
  bool Matches(absl::string_view value) const;
  bool MatchesEmpty() const { return matches_empty_; }
  /// The expression of a kRegex or kNotRegex matcher, else null.
  const AnchoredRegex* regex() const {
    return regex_.empty() ? nullptr : &regex_[0];
  }

  /// `name="value"` with Go quoting; names beyond the legacy set quoted.
  std::string ToString() const;

  friend bool operator==(const Matcher& a, const Matcher& b) {
    return a.type_ == b.type_ && a.name_ == b.name_ && a.value_ == b.value_;
  }

 private:
  Matcher(MatchType type, absl::string_view name, absl::string_view value)
      : type_(type), name_(name), value_(value) {}

  MatchType type_;
  std::string name_;
  std::string value_;
  bool matches_empty_ = false;
  std::vector<AnchoredRegex> regex_;  // None or one.
};

/// Whether `labels` satisfies every matcher.
bool MatchesAll(const std::vector<Matcher>& matchers, const Labels& labels);

}  // namespace narthex::model
