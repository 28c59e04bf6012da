#include "services/querier/write_request_v2.h"

#include <bit>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/proto_field.h"

namespace narthex::querier {
namespace {

constexpr std::uint32_t kSymbolsField = 4;
constexpr std::uint32_t kTimeseriesField = 5;

// In the order of the message's numbers.
constexpr model::MetricType kMetricTypes[] = {
    model::MetricType::kUnknown,        model::MetricType::kCounter,
    model::MetricType::kGauge,          model::MetricType::kHistogram,
    model::MetricType::kGaugeHistogram, model::MetricType::kSummary,
    model::MetricType::kInfo,           model::MetricType::kStateset};

}  // namespace

WriteRequestV2Reader::WriteRequestV2Reader(absl::string_view message)
    : rest_(message) {
  // The table may stand behind the series.
  base::ProtoField field;
  while (!message.empty()) {
    if (!base::ReadField(&message, &field)) {
      Fail();
      return;
    }
    if (field.number == kSymbolsField && field.type == base::kBytes) {
      symbols_.push_back(field.bytes);
    }
  }
}

bool WriteRequestV2Reader::Fail() {
  status_ = absl::InvalidArgumentError("malformed write request");
  rest_ = {};
  return false;
}

bool WriteRequestV2Reader::Next(WrittenSeries* series) {
  base::ProtoField field;
  while (!rest_.empty()) {
    if (!base::ReadField(&rest_, &field)) return Fail();
    if (field.number == kTimeseriesField && field.type == base::kBytes) {
      return ReadSeries(field.bytes, series) || Fail();
    }
  }
  return false;
}

// Prometheus's words.
absl::Status WriteRequestV2Reader::AppendLabels(
    const std::vector<std::uint64_t>& refs, std::string* label_bytes) const {
  if (refs.size() % 2 != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("invalid labelRefs length ", refs.size()));
  }
  for (std::size_t i = 0; i < refs.size(); i += 2) {
    if (refs[i] >= symbols_.size() || refs[i + 1] >= symbols_.size()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "labelRefs ", refs[i], " (name) = ", refs[i + 1],
          " (value) outside of symbols table (size ", symbols_.size(), ")"));
    }
    AppendWrittenLabel(symbols_[refs[i]], symbols_[refs[i + 1]], label_bytes);
  }
  return absl::OkStatus();
}

absl::string_view WriteRequestV2Reader::SymbolOr(std::uint64_t ref) const {
  return ref < symbols_.size() ? symbols_[ref] : absl::string_view();
}

bool WriteRequestV2Reader::ReadExemplar(absl::string_view bytes,
                                        WrittenSeries* series) {
  std::vector<std::uint64_t> refs;
  model::Exemplar exemplar;
  base::ProtoField field;
  while (!bytes.empty()) {
    if (!base::ReadField(&bytes, &field)) return false;
    if (field.number == 1) {
      if (!base::ReadVarints(field, &refs)) return false;
    } else if (field.number == 2 && field.type == base::kFixed64) {
      exemplar.value = std::bit_cast<double>(field.number_value);
    } else if (field.number == 3 && field.type == base::kVarint) {
      exemplar.timestamp_ms = static_cast<std::int64_t>(field.number_value);
    }
  }
  std::string unused;
  const absl::Status status = AppendLabels(refs, &unused);
  if (!status.ok()) {
    exemplar_errors_.push_back(status);
    return true;
  }
  std::vector<std::pair<std::string, std::string>> labels;
  for (std::size_t i = 0; i < refs.size(); i += 2) {
    labels.emplace_back(std::string(symbols_[refs[i]]),
                        std::string(symbols_[refs[i + 1]]));
  }
  exemplar.labels = model::Labels(std::move(labels));
  series->exemplars.push_back(std::move(exemplar));
  return true;
}

bool WriteRequestV2Reader::ReadMetadata(absl::string_view bytes,
                                        WrittenSeries* series) {
  model::Metadata& metadata = series->metadata.emplace();
  base::ProtoField field;
  while (!bytes.empty()) {
    if (!base::ReadField(&bytes, &field)) return false;
    if (field.type != base::kVarint) continue;
    if (field.number == 1 && field.number_value < std::size(kMetricTypes)) {
      metadata.type = kMetricTypes[field.number_value];
    } else if (field.number == 3) {
      metadata.help = std::string(SymbolOr(field.number_value));
    } else if (field.number == 4) {
      metadata.unit = std::string(SymbolOr(field.number_value));
    }
  }
  return true;
}

bool WriteRequestV2Reader::ReadSeries(absl::string_view bytes,
                                      WrittenSeries* series) {
  series->Clear();
  exemplar_errors_.clear();
  std::vector<std::uint64_t> label_refs;
  base::ProtoField field;
  while (!bytes.empty()) {
    if (!base::ReadField(&bytes, &field)) return false;
    if (field.number == 1) {
      if (!base::ReadVarints(field, &label_refs)) return false;
      continue;
    }
    if (field.type != base::kBytes) continue;
    bool good = true;
    switch (field.number) {
      case 2:
        good = ReadSample(field.bytes, &series->samples.emplace_back(),
                          &series->starts_ms.emplace_back());
        break;
      case 3:
        good = ReadHistogram(field.bytes, &series->histograms.emplace_back());
        break;
      case 4:
        good = ReadExemplar(field.bytes, series);
        break;
      case 5:
        good = ReadMetadata(field.bytes, series);
        break;
      default:
        break;
    }
    if (!good) return false;
  }
  label_bytes_.clear();
  series_status_ = AppendLabels(label_refs, &label_bytes_);
  if (!series_status_.ok()) {
    series_status_ = absl::InvalidArgumentError(absl::StrCat(
        "parsing labels for series [", absl::StrJoin(label_refs, " "),
        "]: ", series_status_.message()));
  }
  series->label_bytes = label_bytes_;
  return true;
}

}  // namespace narthex::querier
