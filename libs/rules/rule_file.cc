#include "libs/rules/rule_file.h"

#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/quote.h"
#include "libs/base/status.h"
#include "libs/model/labels.h"
#include "libs/rules/alert_template.h"
#include "libs/yaml/decoder.h"
#include "libs/yaml/node.h"

namespace narthex::rules {
namespace {

using StringMap = std::map<std::string, std::string>;

absl::Status Refuse(absl::string_view reason) {
  return absl::InvalidArgumentError(reason);
}

absl::Status CheckLabels(const StringMap& labels) {
  for (const auto& [name, value] : labels) {
    if (!model::IsUtf8Name(name) || name == model::kMetricName) {
      return Refuse(absl::StrCat("invalid label name: ", name));
    }
    if (!base::IsValidUtf8(value)) {
      return Refuse(absl::StrCat("invalid label value: ", value));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckRecording(const RuleSpec& rule) {
  if (!rule.annotations.empty()) {
    return Refuse("invalid field 'annotations' in recording rule");
  }
  if (rule.for_ms != 0) {
    return Refuse("invalid field 'for' in recording rule");
  }
  if (rule.keep_firing_for_ms != 0) {
    return Refuse("invalid field 'keep_firing_for' in recording rule");
  }
  if (absl::StrContains(rule.record, '{') ||
      absl::StrContains(rule.record, '}')) {
    return Refuse(
        absl::StrCat("braces present in the recording rule name; should it be "
                     "in expr?: ",
                     rule.record));
  }
  if (!model::IsUtf8Name(rule.record)) {
    return Refuse(absl::StrCat("invalid recording rule name: ", rule.record));
  }
  return absl::OkStatus();
}

absl::Status CheckTemplates(const RuleSpec& rule) {
  for (const auto* texts : {&rule.labels, &rule.annotations}) {
    const bool labels = texts == &rule.labels;
    for (const auto& [name, text] : *texts) {
      const auto parsed = AlertTemplate::Create(rule.alert, text);
      if (parsed.ok()) continue;
      return base::Annotate(
          parsed.status(),
          absl::StrCat(labels ? "label " : "annotation ", base::Quote(name)));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckRule(const RuleSpec& rule,
                       const promql::ParserOptions& options) {
  if (!rule.record.empty() && !rule.alert.empty()) {
    return Refuse("only one of 'record' and 'alert' must be set");
  }
  if (rule.record.empty() && rule.alert.empty()) {
    return Refuse("one of 'record' or 'alert' must be set");
  }
  if (rule.expr.empty()) return Refuse("field 'expr' must be set in rule");
  const auto expr = promql::Parse(rule.expr, options);
  if (!expr.ok()) {
    return base::Annotate(expr.status(), "could not parse expression");
  }
  if (!rule.record.empty()) NARTHEX_RETURN_IF_ERROR(CheckRecording(rule));
  NARTHEX_RETURN_IF_ERROR(CheckLabels(rule.labels));
  for (const auto& [name, text] : rule.annotations) {
    if (!model::IsUtf8Name(name)) {
      return Refuse(absl::StrCat("invalid annotation name: ", name));
    }
  }
  return rule.alert.empty() ? absl::OkStatus() : CheckTemplates(rule);
}

absl::Status DecodeRule(const yaml::Node& node, RuleSpec* out) {
  yaml::Decoder d(node);
  d.Field("record", &out->record);
  d.Field("alert", &out->alert);
  d.Field("expr", &out->expr);
  d.Duration("for", &out->for_ms);
  d.Duration("keep_firing_for", &out->keep_firing_for_ms);
  d.Field("labels", &out->labels);
  d.Field("annotations", &out->annotations);
  return d.Done();
}

absl::Status DecodeRules(const yaml::Node& node,
                         const promql::ParserOptions& options,
                         GroupSpec* group) {
  if (!node.is_sequence()) return node.Error("expected a list");
  for (const auto& item : node.items()) {
    if (item->is_null()) return item->Error("empty or null entry in a list");
    RuleSpec rule;
    NARTHEX_RETURN_IF_ERROR(DecodeRule(*item, &rule));
    const absl::Status status = CheckRule(rule, options);
    if (!status.ok()) {
      return item->Error(absl::StrCat("group ", base::Quote(group->name),
                                      ", rule ", group->rules.size() + 1, ", ",
                                      base::Quote(rule.name()), ": ",
                                      status.message()));
    }
    group->rules.push_back(std::move(rule));
  }
  return absl::OkStatus();
}

absl::Status DecodeGroup(const yaml::Node& node,
                         const promql::ParserOptions& options, GroupSpec* out) {
  yaml::Decoder d(node);
  d.Field("name", &out->name);
  if (d.ok() && out->name.empty()) d.Fail("group name must not be empty");
  std::int64_t interval_ms = 0;
  if (d.Duration("interval", &interval_ms) && interval_ms > 0) {
    out->interval_ms = interval_ms;
  }
  std::int64_t query_offset_ms = 0;
  if (d.Duration("query_offset", &query_offset_ms)) {
    out->query_offset_ms = query_offset_ms;
  }
  d.Field("limit", &out->limit);
  d.Field("labels", &out->labels);
  const absl::Status labels = CheckLabels(out->labels);
  if (!labels.ok()) d.FailField("labels", labels.message());
  const yaml::Node* rules = d.Take("rules");
  if (rules != nullptr && !rules->is_null())
    d.Fail(DecodeRules(*rules, options, out));
  return d.Done();
}

absl::Status DecodeGroups(const yaml::Node& node,
                          const promql::ParserOptions& options,
                          std::vector<GroupSpec>* groups) {
  if (!node.is_sequence()) return node.Error("expected a list");
  std::set<std::string> names;
  for (const auto& item : node.items()) {
    if (item->is_null()) return item->Error("empty or null entry in a list");
    GroupSpec group;
    NARTHEX_RETURN_IF_ERROR(DecodeGroup(*item, options, &group));
    if (!names.insert(group.name).second) {
      return item->Error(absl::StrCat("groupname: ", base::Quote(group.name),
                                      " is repeated in the same file"));
    }
    groups->push_back(std::move(group));
  }
  return absl::OkStatus();
}

absl::StatusOr<RuleFile> FromDocument(const yaml::Document& document,
                                      absl::string_view path,
                                      const promql::ParserOptions& options) {
  RuleFile file;
  file.path = std::string(path);
  yaml::Decoder d(document.root());
  const yaml::Node* groups = d.Take("groups");
  if (groups != nullptr && !groups->is_null()) {
    d.Fail(DecodeGroups(*groups, options, &file.groups));
  }
  NARTHEX_RETURN_IF_ERROR(d.Done());
  return file;
}

}  // namespace

absl::StatusOr<RuleFile> ParseRuleFile(absl::string_view text,
                                       absl::string_view path,
                                       const promql::ParserOptions& options) {
  NARTHEX_ASSIGN_OR_RETURN(const yaml::Document document,
                           yaml::Document::Parse(text, path));
  return FromDocument(document, path, options);
}

absl::StatusOr<RuleFile> LoadRuleFile(const std::string& path,
                                      const promql::ParserOptions& options) {
  NARTHEX_ASSIGN_OR_RETURN(const yaml::Document document,
                           yaml::Document::Load(path));
  return FromDocument(document, path, options);
}

}  // namespace narthex::rules
