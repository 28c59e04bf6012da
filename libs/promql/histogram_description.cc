#include "libs/promql/histogram_description.h"

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "libs/base/float_format.h"
#include "libs/base/status.h"
#include "libs/model/histogram_arithmetic.h"
#include "libs/model/histogram_buckets.h"
#include "libs/promql/internal/series_number.h"

namespace narthex::promql {
namespace {

absl::Status Malformed(absl::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat("malformed histogram near ", what));
}

absl::StatusOr<double> TakeNumber(absl::string_view* text) {
  const std::optional<double> number = internal::TakeSeriesNumber(text);
  if (!number.has_value()) return Malformed(*text);
  return *number;
}

absl::StatusOr<std::int32_t> TakeInteger(absl::string_view* text) {
  const std::size_t length = text->find_first_of(" }");
  std::int32_t number = 0;
  if (!absl::SimpleAtoi(text->substr(0, length), &number)) {
    return Malformed(*text);
  }
  text->remove_prefix(length == absl::string_view::npos ? text->size()
                                                        : length);
  return number;
}

absl::StatusOr<std::vector<double>> TakeNumbers(absl::string_view* text) {
  std::vector<double> numbers;
  if (!absl::ConsumePrefix(text, "[")) return Malformed(*text);
  for (;;) {
    *text = absl::StripLeadingAsciiWhitespace(*text);
    if (absl::ConsumePrefix(text, "]")) return numbers;
    NARTHEX_ASSIGN_OR_RETURN(const double number, TakeNumber(text));
    numbers.push_back(number);
  }
}

absl::StatusOr<model::CounterReset> TakeCounterReset(absl::string_view* text) {
  if (absl::ConsumePrefix(text, "unknown")) {
    return model::CounterReset::kUnknown;
  }
  if (absl::ConsumePrefix(text, "reset")) return model::CounterReset::kReset;
  if (absl::ConsumePrefix(text, "not_reset")) {
    return model::CounterReset::kNotReset;
  }
  if (absl::ConsumePrefix(text, "gauge")) return model::CounterReset::kGauge;
  return Malformed(*text);
}

/// Reads the keys of a histogram one by one.
class Reader {
 public:
  absl::StatusOr<HistogramDescription> Read(absl::string_view text) {
    for (;;) {
      text = absl::StripLeadingAsciiWhitespace(text);
      if (text.empty()) break;
      const std::size_t colon = text.find(':');
      if (colon == absl::string_view::npos) return Malformed(text);
      const absl::string_view key = text.substr(0, colon);
      text.remove_prefix(colon + 1);
      NARTHEX_RETURN_IF_ERROR(ReadKey(key, &text));
    }
    SetSide(offset_, &result_.histogram.positive_spans,
            result_.histogram.positive_buckets);
    SetSide(negative_offset_, &result_.histogram.negative_spans,
            result_.histogram.negative_buckets);
    return std::move(result_);
  }

 private:
  absl::Status ReadKey(absl::string_view key, absl::string_view* text) {
    model::FloatHistogram& h = result_.histogram;
    if (key == "counter_reset_hint") {
      result_.names_counter_reset = true;
      NARTHEX_ASSIGN_OR_RETURN(h.counter_reset, TakeCounterReset(text));
    } else if (key == "schema") {
      NARTHEX_ASSIGN_OR_RETURN(h.schema, TakeInteger(text));
    } else if (key == "offset") {
      NARTHEX_ASSIGN_OR_RETURN(offset_, TakeInteger(text));
    } else if (key == "n_offset") {
      NARTHEX_ASSIGN_OR_RETURN(negative_offset_, TakeInteger(text));
    } else if (key == "buckets") {
      NARTHEX_ASSIGN_OR_RETURN(h.positive_buckets, TakeNumbers(text));
    } else if (key == "n_buckets") {
      NARTHEX_ASSIGN_OR_RETURN(h.negative_buckets, TakeNumbers(text));
    } else if (key == "custom_values") {
      NARTHEX_ASSIGN_OR_RETURN(h.custom_bounds, TakeNumbers(text));
    } else if (key == "sum") {
      NARTHEX_ASSIGN_OR_RETURN(h.sum, TakeNumber(text));
    } else if (key == "count") {
      NARTHEX_ASSIGN_OR_RETURN(h.count, TakeNumber(text));
    } else if (key == "z_bucket") {
      NARTHEX_ASSIGN_OR_RETURN(h.zero_count, TakeNumber(text));
    } else if (key == "z_bucket_w") {
      NARTHEX_ASSIGN_OR_RETURN(h.zero_threshold, TakeNumber(text));
    } else {
      return absl::InvalidArgumentError(
          absl::StrCat("unknown key ", key, " of a histogram"));
    }
    return absl::OkStatus();
  }

  static void SetSide(std::int32_t offset,
                      std::vector<model::BucketSpan>* spans,
                      const std::vector<double>& buckets) {
    if (buckets.empty()) return;
    *spans = {{offset, static_cast<std::uint32_t>(buckets.size())}};
  }

  HistogramDescription result_;
  std::int32_t offset_ = 0;
  std::int32_t negative_offset_ = 0;
};

std::string JoinNumbers(const std::vector<double>& numbers) {
  return absl::StrJoin(numbers, " ", [](std::string* out, double number) {
    out->append(base::FormatFloatG(number));
  });
}

void AppendSide(absl::string_view prefix,
                const std::vector<model::BucketSpan>& spans,
                const std::vector<double>& buckets,
                std::vector<std::string>* out) {
  if (buckets.empty()) return;
  std::vector<double> dense;
  std::int64_t first = 0;
  model::BucketCursor cursor(spans, buckets);
  while (cursor.Next()) {
    if (dense.empty()) first = cursor.index();
    const std::int64_t position = cursor.index() - first;
    dense.resize(static_cast<std::size_t>(position) + 1);
    dense.back() = cursor.count();
  }
  if (first != 0) out->push_back(absl::StrCat(prefix, "offset:", first));
  out->push_back(absl::StrCat(prefix, "buckets:[", JoinNumbers(dense), "]"));
}

const char* CounterResetName(model::CounterReset reset) {
  switch (reset) {
    case model::CounterReset::kReset:
      return "reset";
    case model::CounterReset::kNotReset:
      return "not_reset";
    case model::CounterReset::kGauge:
      return "gauge";
    default:
      return "unknown";
  }
}

}  // namespace

absl::StatusOr<HistogramDescription> ParseHistogram(absl::string_view text) {
  absl::string_view inner = text;
  if (!absl::ConsumePrefix(&inner, "{{") ||
      !absl::ConsumeSuffix(&inner, "}}")) {
    return Malformed(text);
  }
  return Reader().Read(inner);
}

std::string DescribeHistogram(const model::FloatHistogram& histogram) {
  model::FloatHistogram compact = histogram;
  model::Compact(&compact);
  std::vector<std::string> parts;
  const auto add = [&](absl::string_view key, double value) {
    if (value == 0) return;
    parts.push_back(absl::StrCat(key, ":", base::FormatFloatG(value)));
  };
  if (compact.schema != 0) {
    parts.push_back(absl::StrCat("schema:", compact.schema));
  }
  add("count", compact.count);
  add("sum", compact.sum);
  add("z_bucket", compact.zero_count);
  add("z_bucket_w", compact.zero_threshold);
  if (compact.has_custom_bounds()) {
    parts.push_back(absl::StrCat("custom_values:[",
                                 JoinNumbers(compact.custom_bounds), "]"));
  }
  if (compact.counter_reset != model::CounterReset::kUnknown) {
    parts.push_back(absl::StrCat("counter_reset_hint:",
                                 CounterResetName(compact.counter_reset)));
  }
  AppendSide("", compact.positive_spans, compact.positive_buckets, &parts);
  AppendSide("n_", compact.negative_spans, compact.negative_buckets, &parts);
  return absl::StrCat("{{", absl::StrJoin(parts, " "), "}}");
}

}  // namespace narthex::promql
