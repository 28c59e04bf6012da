#include "libs/promql/series_description.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "libs/base/float_format.h"
#include "libs/base/status.h"
#include "libs/model/sample.h"
#include "libs/promql/parser.h"

namespace narthex::promql {
namespace {

/// More positions than this are a mistake.
constexpr std::uint64_t kMaxRepetitions = 10'000'000;

absl::Status Malformed(absl::string_view item) {
  return absl::InvalidArgumentError(
      absl::StrCat("malformed series value ", item));
}

/// Takes an unsigned decimal number such as 1, .5 or 1e-3 off the front.
absl::string_view TakeDigits(absl::string_view* text) {
  std::size_t length = 0;
  const auto at = [&](std::size_t i) {
    return i < text->size() ? (*text)[i] : '\0';
  };
  while (absl::ascii_isdigit(static_cast<unsigned char>(at(length))) ||
         at(length) == '.' || at(length) == '_') {
    ++length;
  }
  if (length > 0 && (at(length) == 'e' || at(length) == 'E')) {
    std::size_t end = length + 1;
    if (at(end) == '+' || at(end) == '-') ++end;
    const std::size_t digits = end;
    while (absl::ascii_isdigit(static_cast<unsigned char>(at(end)))) ++end;
    if (end > digits) length = end;
  }
  const absl::string_view digits = text->substr(0, length);
  text->remove_prefix(length);
  return digits;
}

std::optional<double> NumberOf(absl::string_view digits) {
  std::string clean;
  for (const char c : digits) {
    if (c != '_') clean += c;
  }
  // As in Go, a leading zero makes an integer octal.
  if (clean.size() > 1 && clean[0] == '0' &&
      clean.find_first_not_of("01234567") == std::string::npos) {
    double value = 0;
    for (const char c : clean) value = value * 8 + (c - '0');
    return value;
  }
  const auto value = base::ParseFloat(clean);
  if (!value.ok()) return std::nullopt;
  return *value;
}

/// Takes a number with an optional sign, or "stale", off the front.
std::optional<double> TakeValue(absl::string_view* text) {
  if (absl::ConsumePrefix(text, "stale")) return model::StaleNan();
  const bool negative = absl::ConsumePrefix(text, "-");
  if (!negative) absl::ConsumePrefix(text, "+");
  std::optional<double> value;
  if (absl::StartsWithIgnoreCase(*text, "inf")) {
    text->remove_prefix(3);
    value = base::ParseFloat("Inf").value();
  } else if (absl::StartsWithIgnoreCase(*text, "nan")) {
    text->remove_prefix(3);
    return model::NormalNan();
  } else {
    value = NumberOf(TakeDigits(text));
  }
  if (value.has_value() && negative) value = -*value;
  return value;
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
  std::optional<double> value = TakeValue(&rest);
  if (!value.has_value()) return Malformed(item);
  values->push_back({SequenceValue::Kind::kFloat, *value, ""});
  if (rest.empty()) return absl::OkStatus();
  std::optional<double> step;
  if (rest[0] == '+' || rest[0] == '-') {
    step = TakeValue(&rest);
    if (!step.has_value()) return Malformed(item);
  }
  const auto repetitions = TakeRepetitions(&rest);
  if (!repetitions.has_value()) return Malformed(item);
  for (std::uint64_t i = 0; i < *repetitions; ++i) {
    // Adding 0 would turn a staleness marker into an ordinary NaN.
    if (step.has_value()) *value += *step;
    values->push_back({SequenceValue::Kind::kFloat, *value, ""});
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

absl::Status AppendHistograms(absl::string_view item,
                              std::vector<SequenceValue>* values) {
  std::uint64_t repetitions = 0;
  const std::size_t close = item.rfind("}}") + 2;
  absl::string_view rest = item.substr(close);
  if (!rest.empty()) {
    const auto count = TakeRepetitions(&rest);
    if (!count.has_value()) return Malformed(item);
    repetitions = *count;
  }
  values->insert(
      values->end(), repetitions + 1,
      {SequenceValue::Kind::kHistogram, 0, std::string(item.substr(0, close))});
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
