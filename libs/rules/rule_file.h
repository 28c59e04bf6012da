#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/promql/parser.h"

namespace narthex::rules {

/// One entry of a group as written: a recording rule when `record` is set,
/// an alerting rule when `alert` is. Exactly one of them is.
struct RuleSpec {
  std::string record;
  std::string alert;
  /// As written; it is known to parse.
  std::string expr;
  std::int64_t for_ms = 0;
  std::int64_t keep_firing_for_ms = 0;
  /// The group's labels are not among them.
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> annotations;

  const std::string& name() const { return record.empty() ? alert : record; }
  friend bool operator==(const RuleSpec&, const RuleSpec&) = default;
};

struct GroupSpec {
  std::string name;
  /// Absent: the configuration's evaluation_interval.
  std::optional<std::int64_t> interval_ms;
  /// Absent: the configuration's rule_query_offset.
  std::optional<std::int64_t> query_offset_ms;
  /// Series or alerts a rule may yield; 0: any number.
  std::int64_t limit = 0;
  /// Added to every rule; a rule's own labels win.
  std::map<std::string, std::string> labels;
  std::vector<RuleSpec> rules;

  friend bool operator==(const GroupSpec&, const GroupSpec&) = default;
};

struct RuleFile {
  std::string path;
  std::vector<GroupSpec> groups;
};

/// Reads and checks a rule file: fields, names, expressions (in the language
/// that `options` describe), templates.
/// kInvalidArgument with file, line, group, rule and reason; errors of
/// expressions and templates carry their own position.
absl::StatusOr<RuleFile> ParseRuleFile(
    absl::string_view text, absl::string_view path,
    const promql::ParserOptions& options = {});

/// The same for the file `path`.
absl::StatusOr<RuleFile> LoadRuleFile(
    const std::string& path, const promql::ParserOptions& options = {});

}  // namespace narthex::rules
