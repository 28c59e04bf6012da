#include "services/querier/write_request.h"

#include <algorithm>
#include <bit>

#include "absl/strings/str_cat.h"
#include "libs/base/proto_field.h"
#include "libs/base/quote.h"

namespace narthex::querier {
namespace {

constexpr std::uint32_t kLabelsField = 1;
constexpr std::uint32_t kSamplesField = 2;
constexpr std::uint32_t kExemplarsField = 3;
constexpr std::uint32_t kHistogramsField = 4;

// The size of the labels at the front whose length takes one byte: most series
// begin with all of theirs.
std::size_t ShortLabelsSize(absl::string_view bytes) {
  constexpr char kTag = kLabelsField << 3 | base::kBytes;
  std::size_t size = 0;
  while (bytes.size() - size >= 2 && bytes[size] == kTag) {
    const auto length = static_cast<std::uint8_t>(bytes[size + 1]);
    if (length >= 0x80 || bytes.size() - size - 2 < length) break;
    size += 2 + length;
  }
  return size;
}

// The name and value of an encoded label.
bool ReadLabel(absl::string_view bytes, absl::string_view* name,
               absl::string_view* value) {
  base::ProtoField part;
  while (!bytes.empty()) {
    if (!base::ReadField(&bytes, &part)) return false;
    if (part.type != base::kBytes) continue;
    if (part.number == 1) *name = part.bytes;
    if (part.number == 2) *value = part.bytes;
  }
  return true;
}

bool ReadExemplar(absl::string_view bytes, model::Exemplar* exemplar) {
  std::vector<std::pair<std::string, std::string>> labels;
  base::ProtoField field;
  while (!bytes.empty()) {
    if (!base::ReadField(&bytes, &field)) return false;
    if (field.number == 1 && field.type == base::kBytes) {
      absl::string_view name;
      absl::string_view value;
      if (!ReadLabel(field.bytes, &name, &value)) return false;
      labels.emplace_back(std::string(name), std::string(value));
    } else if (field.number == 2 && field.type == base::kFixed64) {
      exemplar->value = std::bit_cast<double>(field.number_value);
    } else if (field.number == 3 && field.type == base::kVarint) {
      exemplar->timestamp_ms = static_cast<std::int64_t>(field.number_value);
    }
  }
  exemplar->labels = model::Labels(std::move(labels));
  return true;
}

}  // namespace

void WrittenSeries::Clear() {
  label_bytes = {};
  samples.clear();
  starts_ms.clear();
  histograms.clear();
  exemplars.clear();
  metadata.reset();
}

bool ReadSample(absl::string_view bytes, model::Sample* sample,
                std::int64_t* start_ms) {
  base::ProtoField field;
  while (!bytes.empty()) {
    if (!base::ReadField(&bytes, &field)) return false;
    if (field.number == 1 && field.type == base::kFixed64) {
      sample->value = std::bit_cast<double>(field.number_value);
    } else if (field.number == 2 && field.type == base::kVarint) {
      sample->timestamp_ms = static_cast<std::int64_t>(field.number_value);
    } else if (field.number == 3 && field.type == base::kVarint &&
               start_ms != nullptr) {
      *start_ms = static_cast<std::int64_t>(field.number_value);
    }
  }
  return true;
}

void AppendWrittenLabel(absl::string_view name, absl::string_view value,
                        std::string* label_bytes) {
  std::string label;
  base::AppendBytesField(1, name, &label);
  base::AppendBytesField(2, value, &label);
  base::AppendBytesField(kLabelsField, label, label_bytes);
}

bool WriteRequestReader::Fail() {
  status_ = absl::InvalidArgumentError("malformed write request");
  rest_ = {};
  return false;
}

bool WriteRequestReader::Next(WrittenSeries* series) {
  constexpr std::uint32_t kTimeseriesField = 1;
  base::ProtoField field;
  while (!rest_.empty()) {
    if (!base::ReadField(&rest_, &field)) return Fail();
    if (field.number == kTimeseriesField && field.type == base::kBytes) {
      return ReadSeries(field.bytes, series) || Fail();
    }
  }
  return false;
}

bool WriteRequestReader::ReadSeries(absl::string_view bytes,
                                    WrittenSeries* series) {
  series->Clear();
  series->label_bytes = bytes.substr(0, ShortLabelsSize(bytes));
  bytes.remove_prefix(series->label_bytes.size());
  base::ProtoField field;
  const char* labels_end = bytes.data();
  bool scattered = false;
  while (!bytes.empty()) {
    const char* const start = bytes.data();
    if (!base::ReadField(&bytes, &field)) return false;
    if (field.type != base::kBytes) continue;
    switch (field.number) {
      case kLabelsField: {
        const auto size = static_cast<std::size_t>(bytes.data() - start);
        if (scattered) {
          series->scattered_labels.append(start, size);
          series->label_bytes = series->scattered_labels;
        } else if (series->label_bytes.empty()) {
          series->label_bytes = absl::string_view(start, size);
        } else if (start == labels_end) {
          series->label_bytes = absl::string_view(
              series->label_bytes.data(), series->label_bytes.size() + size);
        } else {
          // Labels among other fields: nobody sends that, but it is allowed.
          scattered = true;
          series->scattered_labels.assign(series->label_bytes.data(),
                                          series->label_bytes.size());
          series->scattered_labels.append(start, size);
          series->label_bytes = series->scattered_labels;
        }
        labels_end = bytes.data();
        break;
      }
      case kSamplesField:
        if (!ReadSample(field.bytes, &series->samples.emplace_back())) {
          return false;
        }
        break;
      case kExemplarsField:
        if (!ReadExemplar(field.bytes, &series->exemplars.emplace_back())) {
          return false;
        }
        break;
      case kHistogramsField:
        if (!ReadHistogram(field.bytes, &series->histograms.emplace_back())) {
          return false;
        }
        break;
      default:
        break;
    }
  }
  return true;
}

absl::Status ParseWrittenLabels(absl::string_view label_bytes,
                                model::Labels* labels) {
  std::vector<std::pair<absl::string_view, absl::string_view>> pairs;
  base::ProtoField label;
  const auto malformed = [&](absl::string_view what) {
    std::string text;
    for (const auto& [name, value] : pairs) {
      absl::StrAppend(&text, text.empty() ? "" : ", ", name, "=",
                      base::Quote(value));
    }
    return absl::InvalidArgumentError(absl::StrCat(what, ": {", text, "}"));
  };
  while (!label_bytes.empty()) {
    if (!base::ReadField(&label_bytes, &label))
      return malformed("malformed label");
    absl::string_view name;
    absl::string_view value;
    if (!ReadLabel(label.bytes, &name, &value)) {
      return malformed("malformed label");
    }
    pairs.emplace_back(name, value);
  }
  std::sort(pairs.begin(), pairs.end());
  std::vector<std::pair<std::string, std::string>> owned;
  owned.reserve(pairs.size());
  bool has_name = false;
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const auto& [name, value] = pairs[i];
    if (!model::IsUtf8Name(name) || !base::IsValidUtf8(value)) {
      return malformed("invalid label name or value");
    }
    if (i > 0 && pairs[i - 1].first == name) {
      return malformed(absl::StrCat("label name ", name, " is not unique"));
    }
    has_name = has_name || (name == model::kMetricName && !value.empty());
    owned.emplace_back(std::string(name), std::string(value));
  }
  if (!has_name) return malformed("no metric name");
  *labels = model::Labels(std::move(owned));
  return absl::OkStatus();
}

}  // namespace narthex::querier
