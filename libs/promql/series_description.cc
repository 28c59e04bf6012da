#include "libs/promql/series_description.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "libs/base/status.h"
#include "libs/model/histogram_arithmetic.h"
#include "libs/promql/histogram_description.h"
#include "libs/promql/internal/series_number.h"
#include "libs/promql/parser.h"

namespace narthex::promql {
namespace {

/// More positions than this are a mistake.
constexpr std::uint64_t kMaxRepetitions = 10'000'000;

absl::Status Malformed(absl::string_view item) {
  return absl::InvalidArgumentError(
      absl::StrCat("malformed series value ", item));
}

/// Takes "xN" off the front; none when something else stands there.
std::optional<std::uint64_t> TakeRepetitions(absl::string_view* text) {
  std::uint64_t count = 0;
  if (!absl::ConsumePrefix(text, "x") || !absl::SimpleAtoi(*text, &count) ||
      count > kMaxRepetitions) {
    return std::nullopt;
  }
  *text = "";
  return count;
}

absl::Status AppendOmitted(absl::string_view item,
                           std::vector<SequenceValue>* values) {
  absl::string_view rest = item.substr(1);
  std::uint64_t count = 1;
  if (!rest.empty()) {
    const auto repetitions = TakeRepetitions(&rest);
    if (!repetitions.has_value()) return Malformed(item);
    count = *repetitions;
  }
  values->resize(values->size() + count);
  return absl::OkStatus();
}

absl::Status AppendFloats(absl::string_view item,
                          std::vector<SequenceValue>* values) {
  absl::string_view rest = item;
  std::optional<double> value = internal::TakeSeriesNumber(&rest);
  if (!value.has_value()) return Malformed(item);
  values->push_back({SequenceValue::Kind::kFloat, *value});
  if (rest.empty()) return absl::OkStatus();
  std::optional<double> step;
  if (rest[0] == '+' || rest[0] == '-') {
    step = internal::TakeSeriesNumber(&rest);
    if (!step.has_value()) return Malformed(item);
  }
  const auto repetitions = TakeRepetitions(&rest);
  if (!repetitions.has_value()) return Malformed(item);
  for (std::uint64_t i = 0; i < *repetitions; ++i) {
    // Adding 0 would turn a staleness marker into an ordinary NaN.
    if (step.has_value()) *value += *step;
    values->push_back({SequenceValue::Kind::kFloat, *value});
  }
  return absl::OkStatus();
}

/// An item that begins with "{{": its length, or 0 when it does not end.
std::size_t HistogramLength(absl::string_view text) {
  std::size_t end = text.find("}}");
  if (end == absl::string_view::npos) return 0;
  end += 2;
  if (text.substr(end, 3) == "+{{" || text.substr(end, 3) == "-{{") {
    end = text.find("}}", end);
    if (end == absl::string_view::npos) return 0;
    end += 2;
  }
  while (end < text.size() &&
         !absl::ascii_isspace(static_cast<unsigned char>(text[end]))) {
    ++end;
  }
  return end;
}

/// Where a histogram at the front of `text` ends.
std::size_t HistogramEnd(absl::string_view text) { return text.find("}}") + 2; }

/// Adds `step` to the histogram before, or subtracts it.
absl::Status AppendNext(const HistogramDescription& step, bool subtract,
                        std::vector<SequenceValue>* values) {
  auto next =
      std::make_shared<model::FloatHistogram>(*values->back().histogram);
  if (next->schema > step.histogram.schema) {
    return absl::InvalidArgumentError(
        absl::StrCat("error combining histograms: cannot merge from schema ",
                     step.histogram.schema, " to ", next->schema));
  }
  const model::MergeOutcome outcome =
      subtract ? model::Subtract(step.histogram, next.get())
               : model::Add(step.histogram, next.get());
  if (outcome.incompatible) {
    return absl::InvalidArgumentError(
        "error combining histograms: incompatible bucket layouts");
  }
  values->push_back({SequenceValue::Kind::kHistogram, 0, std::move(next),
                     step.names_counter_reset});
  return absl::OkStatus();
}

absl::Status AppendHistograms(absl::string_view item,
                              std::vector<SequenceValue>* values) {
  absl::string_view rest = item;
  NARTHEX_ASSIGN_OR_RETURN(HistogramDescription first,
                           ParseHistogram(rest.substr(0, HistogramEnd(rest))));
  rest.remove_prefix(HistogramEnd(rest));
  std::optional<HistogramDescription> step;
  bool subtract = false;
  if (absl::StartsWith(rest, "+{{") || absl::StartsWith(rest, "-{{")) {
    subtract = rest[0] == '-';
    rest.remove_prefix(1);
    NARTHEX_ASSIGN_OR_RETURN(
        step, ParseHistogram(rest.substr(0, HistogramEnd(rest))));
    rest.remove_prefix(HistogramEnd(rest));
  }
  std::uint64_t repetitions = 0;
  if (!rest.empty() || step.has_value()) {
    const auto count = TakeRepetitions(&rest);
    if (!count.has_value()) return Malformed(item);
    repetitions = *count;
  }
  const bool named =
      step.has_value() ? step->names_counter_reset : first.names_counter_reset;
  values->push_back({SequenceValue::Kind::kHistogram, 0,
                     std::make_shared<const model::FloatHistogram>(
                         std::move(first.histogram)),
                     named});
  for (std::uint64_t i = 0; i < repetitions; ++i) {
    if (step.has_value()) {
      NARTHEX_RETURN_IF_ERROR(AppendNext(*step, subtract, values));
    } else {
      values->push_back(SequenceValue(values->back()));
    }
  }
  return absl::OkStatus();
}

std::size_t ItemLength(absl::string_view text) {
  const std::size_t end = text.find_first_of(" \t");
  return end == absl::string_view::npos ? text.size() : end;
}

}  // namespace

absl::StatusOr<SeriesDescription> ParseSeriesDescription(
    absl::string_view text) {
  SeriesDescription description;
  std::size_t length = 0;
  text = absl::StripAsciiWhitespace(text);
  NARTHEX_ASSIGN_OR_RETURN(description.labels,
                           ParseMetricPrefix(text, &length));
  text.remove_prefix(length);
  for (text = absl::StripAsciiWhitespace(text); !text.empty();
       text = absl::StripLeadingAsciiWhitespace(text)) {
    const bool histogram = absl::StartsWith(text, "{{");
    const std::size_t size =
        histogram ? HistogramLength(text) : ItemLength(text);
    const absl::string_view item = text.substr(0, size);
    if (size == 0) return Malformed(text);
    NARTHEX_RETURN_IF_ERROR(
        histogram        ? AppendHistograms(item, &description.values)
        : item[0] == '_' ? AppendOmitted(item, &description.values)
                         : AppendFloats(item, &description.values));
    text.remove_prefix(size);
  }
  return description;
}

}  // namespace narthex::promql
