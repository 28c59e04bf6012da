#include "services/pushgateway/push_body.h"

#include <algorithm>
#include <array>
#include <memory>
#include <optional>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "libs/base/float_format.h"
#include "libs/base/quote.h"
#include "libs/base/status.h"
#include "libs/exposition/parser.h"
#include "libs/model/labels.h"
#include "services/pushgateway/series_text.h"

namespace narthex::pushgateway {

namespace {

using model::MetricType;

constexpr std::size_t kNoLine = static_cast<std::size_t>(-1);

bool IsComposite(MetricType type) {
  return type == MetricType::kHistogram || type == MetricType::kSummary;
}

// A histogram or summary while its lines come in, in any order.
struct Composite {
  std::string labels;
  std::size_t label_count = 0;
  struct Part {
    std::string bound;  // Of `le` or `quantile`, as floats are printed.
    double value = 0;
    std::size_t line = 0;
  };
  std::vector<Part> parts;
  double sum = 0;
  double count = 0;
  // Which line of the body they came in.
  std::size_t sum_line = kNoLine;
  std::size_t count_line = kNoLine;
};

struct Building {
  Family family;
  bool has_type = false;
  bool has_help = false;
  bool has_samples = false;
  std::vector<Composite> composites;
  absl::flat_hash_map<std::string, std::size_t> composite_by_labels;
  std::vector<ValuePlaces::Target> targets;  // Their family is set at the end.
};

class BodyParser {
 public:
  BodyParser(absl::string_view body, const LabelPairs& group, bool utf8_names)
      : body_(body),
        group_(group),
        utf8_names_(utf8_names),
        parser_(exposition::Parser::Create(exposition::Format::kText, body)) {}

  absl::StatusOr<PushBody> Parse();

 private:
  absl::Status ErrorAt(absl::string_view place, absl::string_view reason) const;
  absl::Status OnType();
  absl::Status OnHelp();
  absl::Status OnSeries();
  absl::Status CheckNames() const;
  void AddSimple(Building& building);
  absl::Status AddPart(Building& building);
  Building& FamilyOf(absl::string_view name);
  Building* Known(absl::string_view name);
  absl::StatusOr<std::string> TakeBound(absl::string_view label);
  void MergeLabels();
  static void FinishComposites(Building& building);
  PushBody Finish();
  void NoteValuePlace();
  void NoteInconsistency(const std::string& reason);
  void CheckRepeats(const Family& family);

  const absl::string_view body_;
  const LabelPairs& group_;
  const bool utf8_names_;
  const std::unique_ptr<exposition::Parser> parser_;
  std::vector<std::unique_ptr<Building>> families_;
  absl::flat_hash_map<std::string, Building*> by_name_;
  Building* last_ = nullptr;
  absl::Status inconsistency_;
  bool has_timestamp_ = false;
  std::vector<ValuePlaces::Span> spans_;

  // Of the line being read.
  SeriesText series_;
  LabelPairs merged_;
  std::string labels_;
};

absl::StatusOr<PushBody> BodyParser::Parse() {
  using exposition::Entry;
  if (!body_.empty() && body_.back() != '\n') {
    const auto line = std::count(body_.begin(), body_.end(), '\n') + 1;
    return absl::InvalidArgumentError(
        absl::StrCat("text format parsing error in line ", line,
                     ": unexpected end of input stream"));
  }
  while (true) {
    switch (parser_->Next()) {
      case Entry::kSeries:
        NARTHEX_RETURN_IF_ERROR(OnSeries());
        break;
      case Entry::kType:
        NARTHEX_RETURN_IF_ERROR(OnType());
        break;
      case Entry::kHelp:
        NARTHEX_RETURN_IF_ERROR(OnHelp());
        break;
      case Entry::kError:
        return absl::InvalidArgumentError(absl::StrCat(
            "text format parsing error in ", parser_->status().message()));
      case Entry::kEnd:
        return Finish();
      case Entry::kUnit:
      case Entry::kComment:
      case Entry::kHistogram:  // Not in text.
        break;
    }
  }
}

PushBody BodyParser::Finish() {
  PushBody result;
  for (const auto& building : families_) {
    FinishComposites(*building);
    if (building->family.values.empty()) continue;
    CheckRepeats(building->family);
    for (ValuePlaces::Target& target : building->targets) {
      target.family = static_cast<std::uint32_t>(result.families.size());
      result.places.targets.push_back(target);
    }
    result.families.push_back(std::move(building->family));
  }
  result.places.spans = std::move(spans_);
  result.inconsistency = has_timestamp_
                             ? absl::InvalidArgumentError(
                                   "pushed metrics must not have timestamps")
                             : inconsistency_;
  return result;
}

absl::Status BodyParser::ErrorAt(absl::string_view place,
                                 absl::string_view reason) const {
  const bool inside = place.data() >= body_.data() &&
                      place.data() <= body_.data() + body_.size();
  const auto end =
      inside ? body_.begin() + (place.data() - body_.data()) : body_.end();
  return absl::InvalidArgumentError(
      absl::StrCat("text format parsing error in line ",
                   std::count(body_.begin(), end, '\n') + 1, ": ", reason));
}

absl::Status BodyParser::OnType() {
  Building& building = FamilyOf(parser_->metric());
  if (building.has_type || building.has_samples) {
    return ErrorAt(parser_->metric(),
                   absl::StrCat("second TYPE line for metric name ",
                                base::Quote(building.family.name),
                                ", or TYPE reported after samples"));
  }
  building.has_type = true;
  building.family.type = parser_->type();
  return absl::OkStatus();
}

absl::Status BodyParser::OnHelp() {
  Building& building = FamilyOf(parser_->metric());
  if (building.has_help) {
    return ErrorAt(parser_->metric(),
                   absl::StrCat("second HELP line for metric name ",
                                base::Quote(building.family.name)));
  }
  building.has_help = true;
  building.family.help = std::string(parser_->text());
  return absl::OkStatus();
}

absl::Status BodyParser::OnSeries() {
  const absl::Status status = ParseSeries(parser_->series(), &series_);
  if (!status.ok()) return ErrorAt(parser_->series(), status.message());
  NARTHEX_RETURN_IF_ERROR(CheckNames());
  has_timestamp_ |= parser_->has_timestamp();
  NoteValuePlace();
  Building& building = FamilyOf(series_.name);
  building.has_samples = true;
  if (IsComposite(building.family.type)) return AddPart(building);
  AddSimple(building);
  return absl::OkStatus();
}

absl::Status BodyParser::CheckNames() const {
  if (!utf8_names_ && !model::IsLegacyMetricName(series_.name)) {
    return ErrorAt(parser_->series(), absl::StrCat("invalid metric name ",
                                                   base::Quote(series_.name)));
  }
  const auto& labels = series_.labels;
  for (auto it = labels.begin(); it != labels.end(); ++it) {
    if (!utf8_names_ && !model::IsLegacyLabelName(it->first)) {
      return ErrorAt(parser_->series(), absl::StrCat("invalid label name ",
                                                     base::Quote(it->first)));
    }
    const auto same = [it](const auto& l) { return l.first == it->first; };
    if (std::find_if(labels.begin(), it, same) != it) {
      return ErrorAt(parser_->series(),
                     absl::StrCat("duplicate label names for metric ",
                                  base::Quote(series_.name)));
    }
  }
  return absl::OkStatus();
}

Building* BodyParser::Known(absl::string_view name) {
  if (last_ != nullptr && last_->family.name == name) return last_;
  const auto it = by_name_.find(name);
  return it == by_name_.end() ? nullptr : it->second;
}

// A name is that of its family, or of a part of a declared histogram or
// summary.
Building& BodyParser::FamilyOf(absl::string_view name) {
  if (last_ != nullptr && last_->family.name == name) return *last_;
  if (Building* known = Known(name)) return *(last_ = known);
  absl::string_view base = name;
  if (absl::ConsumeSuffix(&base, "_sum") ||
      absl::ConsumeSuffix(&base, "_count") ||
      absl::ConsumeSuffix(&base, "_bucket")) {
    Building* known = Known(base);
    const bool is_bucket = absl::EndsWith(name, "_bucket");
    if (known != nullptr &&
        (known->family.type == MetricType::kHistogram ||
         (known->family.type == MetricType::kSummary && !is_bucket))) {
      return *known;
    }
  }
  families_.push_back(std::make_unique<Building>());
  last_ = families_.back().get();
  last_->family.name = std::string(name);
  by_name_[last_->family.name] = last_;
  return *last_;
}

// Sorts the labels of the line, with those of the group, into labels_.
void BodyParser::MergeLabels() {
  merged_.clear();
  bool has_instance = false;
  for (auto& label : series_.labels) {
    const auto same = [&](const auto& l) { return l.first == label.first; };
    if (std::any_of(group_.begin(), group_.end(), same)) continue;
    has_instance |= label.first == "instance";
    if (absl::StartsWith(label.first, "__")) {
      NoteInconsistency(
          absl::StrCat("collected metric ", base::Quote(series_.name),
                       " has a label with an invalid name: ", label.first));
    }
    merged_.push_back(std::move(label));
  }
  for (const auto& label : group_) {
    has_instance |= label.first == "instance";
    merged_.push_back(label);
  }
  // A scrape that honours labels must not add the gateway's own instance.
  if (!has_instance) merged_.emplace_back("instance", "");
  std::sort(merged_.begin(), merged_.end());
  labels_.clear();
  AppendLabels(merged_, &labels_);
}

void BodyParser::AddSimple(Building& building) {
  MergeLabels();
  building.family.layout.BeginMetric(labels_, merged_.size());
  building.family.layout.AddLine(series_.name, {});
  building.targets.push_back(
      {.line = static_cast<std::uint32_t>(spans_.size() - 1),
       .family = 0,
       .value = static_cast<std::uint32_t>(building.family.values.size())});
  building.family.values.push_back(parser_->value());
}

void BodyParser::NoteValuePlace() {
  const auto is_blank = [](char c) { return c == ' ' || c == '\t'; };
  std::size_t begin = static_cast<std::size_t>(
      parser_->series().data() + parser_->series().size() - body_.data());
  while (begin < body_.size() && is_blank(body_[begin])) ++begin;
  std::size_t end = begin;
  while (end < body_.size() && !is_blank(body_[end]) && body_[end] != '\n') {
    ++end;
  }
  spans_.push_back(
      {static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end)});
}

// Removes the bound's label from the line and gives its value as floats are
// printed; "" when it has none.
absl::StatusOr<std::string> BodyParser::TakeBound(absl::string_view label) {
  const auto it = std::find_if(series_.labels.begin(), series_.labels.end(),
                               [&](const auto& l) { return l.first == label; });
  if (it == series_.labels.end()) return std::string();
  const auto bound = base::ParseFloat(it->second);
  if (!bound.ok()) {
    return ErrorAt(parser_->series(),
                   absl::StrCat("expected float as value for '", label,
                                "' label, got ", base::Quote(it->second)));
  }
  series_.labels.erase(it);
  return base::FormatFloatG(*bound);
}

absl::Status BodyParser::AddPart(Building& building) {
  const Family& family = building.family;
  const bool histogram = family.type == MetricType::kHistogram;
  absl::string_view suffix = series_.name;
  absl::ConsumePrefix(&suffix, family.name);
  const bool bounded = suffix == (histogram ? "_bucket" : "");
  std::string bound;
  if (bounded) {
    NARTHEX_ASSIGN_OR_RETURN(bound, TakeBound(histogram ? "le" : "quantile"));
  }
  MergeLabels();
  const auto [it, is_new] = building.composite_by_labels.try_emplace(
      labels_, building.composites.size());
  if (is_new)
    building.composites.push_back(
        {.labels = labels_, .label_count = merged_.size(), .parts = {}});
  Composite& composite = building.composites[it->second];
  const std::size_t line = spans_.size() - 1;
  if (suffix == "_sum") {
    composite.sum = parser_->value();
    composite.sum_line = line;
  } else if (suffix == "_count") {
    composite.count = parser_->value();
    composite.count_line = line;
  } else if (!bound.empty()) {
    composite.parts.push_back({std::move(bound), parser_->value(), line});
  }
  return absl::OkStatus();
}

void BodyParser::FinishComposites(Building& building) {
  Family& family = building.family;
  const bool histogram = family.type == MetricType::kHistogram;
  const auto add = [&](absl::string_view suffix, absl::string_view extra,
                       double value, std::size_t line) {
    family.layout.AddLine(absl::StrCat(family.name, suffix), extra);
    if (line != kNoLine) {
      building.targets.push_back(
          {.line = static_cast<std::uint32_t>(line),
           .family = 0,
           .value = static_cast<std::uint32_t>(family.values.size())});
    }
    family.values.push_back(value);
  };
  for (Composite& composite : building.composites) {
    family.layout.BeginMetric(composite.labels, composite.label_count);
    bool has_inf = false;
    for (const Composite::Part& part : composite.parts) {
      has_inf |= part.bound == "+Inf";
      add(histogram ? "_bucket" : "",
          absl::StrCat(histogram ? "le" : "quantile", "=\"", part.bound, "\""),
          part.value, part.line);
    }
    if (histogram && !has_inf) {
      add("_bucket", "le=\"+Inf\"", composite.count, composite.count_line);
    }
    add("_sum", {}, composite.sum, composite.sum_line);
    add("_count", {}, composite.count, composite.count_line);
  }
}

void BodyParser::NoteInconsistency(const std::string& reason) {
  if (inconsistency_.ok()) {
    inconsistency_ = absl::InvalidArgumentError(reason);
  }
}

void BodyParser::CheckRepeats(const Family& family) {
  absl::flat_hash_set<absl::string_view> seen;
  seen.reserve(family.layout.metric_count());
  for (std::size_t i = 0; i < family.layout.metric_count(); ++i) {
    if (seen.insert(family.layout.labels(i)).second) continue;
    NoteInconsistency(absl::StrCat(
        DescribeMetric(family, i),
        " was collected before with the same name and label values"));
  }
}

}  // namespace

absl::StatusOr<PushBody> ParseTextBody(absl::string_view body,
                                       const LabelPairs& group,
                                       bool utf8_names) {
  return BodyParser(body, group, utf8_names).Parse();
}

std::string DescribeMetric(const Family& family, std::size_t metric) {
  std::string text =
      absl::StrCat("collected metric ", base::Quote(family.name), " {");
  for (const auto& [name, value] : SplitLabels(family.layout.labels(metric))) {
    absl::StrAppend(&text, " label:{name:", base::Quote(name),
                    " value:", base::Quote(value), "}");
  }
  return absl::StrCat(text, " }");
}

}  // namespace narthex::pushgateway
