#include "services/pushgateway/protobuf_body.h"

#include <bit>
#include <cstdint>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/float_format.h"
#include "libs/base/status.h"
#include "libs/base/varint.h"
#include "libs/model/labels.h"
#include "services/pushgateway/family.h"
#include "services/pushgateway/series_text.h"

namespace narthex::pushgateway {

namespace {

using model::MetricType;

absl::Status Malformed() {
  return absl::InvalidArgumentError("protobuf: malformed MetricFamily");
}

// One field of a message: a number, or bytes.
struct Field {
  std::uint32_t number = 0;
  std::uint64_t value = 0;
  absl::string_view bytes;

  double as_double() const { return std::bit_cast<double>(value); }
};

// Reads the next field. False at the end or when malformed; see ok().
bool NextField(base::ByteReader& reader, Field* field) {
  if (reader.remaining() == 0) return false;
  const std::uint64_t tag = reader.Uvarint();
  *field = Field{
      .number = static_cast<std::uint32_t>(tag >> 3), .value = 0, .bytes = {}};
  const auto little_endian = [&reader](std::size_t size) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < size; ++i) {
      value |= static_cast<std::uint64_t>(reader.Byte()) << (8 * i);
    }
    return value;
  };
  switch (tag & 7) {
    case 0:
      field->value = reader.Uvarint();
      break;
    case 1:
      field->value = little_endian(8);
      break;
    case 2:
      field->bytes = reader.UvarintBytes();
      break;
    case 5:
      field->value = little_endian(4);
      break;
    default:
      // No such wire type: read beyond the end, so that the reader says so.
      reader.Bytes(reader.remaining() + 1);
  }
  return reader.ok();
}

// Calls `visit` for each field of a message; its error ends the walk.
template <typename Visit>
absl::Status ForEachField(absl::string_view message, const Visit& visit) {
  base::ByteReader reader(message);
  Field field;
  while (NextField(reader, &field)) {
    NARTHEX_RETURN_IF_ERROR(visit(field));
  }
  return reader.ok() ? absl::OkStatus() : Malformed();
}

// The field of that number that holds a double, 0 when there is none.
absl::StatusOr<double> DoubleOf(absl::string_view message,
                                std::uint32_t number) {
  double value = 0;
  NARTHEX_RETURN_IF_ERROR(ForEachField(message, [&](const Field& field) {
    if (field.number == number) value = field.as_double();
    return absl::OkStatus();
  }));
  return value;
}

// Writes one family; its type is known before its metrics are.
class FamilyWriter {
 public:
  explicit FamilyWriter(std::string* out) : out_(out) {}

  absl::Status Write(absl::string_view message);

 private:
  absl::Status WriteMetric(absl::string_view message);
  absl::Status WriteSummary(absl::string_view message);
  absl::Status WriteHistogram(absl::string_view message);
  void WriteLine(absl::string_view suffix, absl::string_view bound_name,
                 double bound, double value);

  std::string* out_;
  Family family_;
  LabelPairs labels_;
  std::string timestamp_;
};

absl::Status FamilyWriter::Write(absl::string_view message) {
  std::uint64_t type = 0;
  std::vector<absl::string_view> metrics;
  NARTHEX_RETURN_IF_ERROR(ForEachField(message, [&](const Field& field) {
    if (field.number == 1) family_.name = std::string(field.bytes);
    if (field.number == 2) family_.help = std::string(field.bytes);
    if (field.number == 3) type = field.value;
    if (field.number == 4) metrics.push_back(field.bytes);
    return absl::OkStatus();
  }));
  if (family_.name.empty()) return Malformed();
  switch (type) {
    case 0:
      family_.type = MetricType::kCounter;
      break;
    case 1:
      family_.type = MetricType::kGauge;
      break;
    case 2:
      family_.type = MetricType::kSummary;
      break;
    case 3:
      family_.type = MetricType::kUnknown;
      break;
    case 4:
      family_.type = MetricType::kHistogram;
      break;
    default:
      return absl::UnimplementedError(
          absl::StrCat("protobuf: metric type ", type, " is not supported"));
  }
  AppendFamilyHead(family_, out_);
  for (const absl::string_view metric : metrics) {
    NARTHEX_RETURN_IF_ERROR(WriteMetric(metric));
  }
  return absl::OkStatus();
}

absl::Status FamilyWriter::WriteMetric(absl::string_view message) {
  labels_.clear();
  timestamp_.clear();
  absl::string_view content;
  NARTHEX_RETURN_IF_ERROR(ForEachField(message, [&](const Field& field) {
    if (field.number == 1) {
      auto& label = labels_.emplace_back();
      return ForEachField(field.bytes, [&](const Field& part) {
        if (part.number == 1) label.first = std::string(part.bytes);
        if (part.number == 2) label.second = std::string(part.bytes);
        return absl::OkStatus();
      });
    }
    if (field.number == 6) {
      timestamp_ = absl::StrCat(" ", static_cast<std::int64_t>(field.value));
    } else if (field.number <= 7) {
      content = field.bytes;
    }
    return absl::OkStatus();
  }));
  if (family_.type == MetricType::kSummary) return WriteSummary(content);
  if (family_.type == MetricType::kHistogram) return WriteHistogram(content);
  NARTHEX_ASSIGN_OR_RETURN(const double value, DoubleOf(content, 1));
  WriteLine("", "", 0, value);
  return absl::OkStatus();
}

absl::Status FamilyWriter::WriteSummary(absl::string_view message) {
  return ForEachField(message, [&](const Field& field) -> absl::Status {
    if (field.number == 1) {
      WriteLine("_count", "", 0, static_cast<double>(field.value));
    } else if (field.number == 2) {
      WriteLine("_sum", "", 0, field.as_double());
    } else if (field.number == 3) {
      NARTHEX_ASSIGN_OR_RETURN(const double quantile, DoubleOf(field.bytes, 1));
      NARTHEX_ASSIGN_OR_RETURN(const double value, DoubleOf(field.bytes, 2));
      WriteLine("", "quantile", quantile, value);
    }
    return absl::OkStatus();
  });
}

absl::Status FamilyWriter::WriteHistogram(absl::string_view message) {
  return ForEachField(message, [&](const Field& field) -> absl::Status {
    if (field.number == 1) {
      WriteLine("_count", "", 0, static_cast<double>(field.value));
    } else if (field.number == 2) {
      WriteLine("_sum", "", 0, field.as_double());
    } else if (field.number == 3) {
      double bound = 0;
      double count = 0;
      NARTHEX_RETURN_IF_ERROR(ForEachField(field.bytes, [&](const Field& part) {
        if (part.number == 1) count = static_cast<double>(part.value);
        if (part.number == 2) bound = part.as_double();
        if (part.number == 4) count = part.as_double();
        return absl::OkStatus();
      }));
      WriteLine("_bucket", "le", bound, count);
    } else {
      return absl::UnimplementedError(
          "protobuf: native histograms are not supported");
    }
    return absl::OkStatus();
  });
}

void FamilyWriter::WriteLine(absl::string_view suffix,
                             absl::string_view bound_name, double bound,
                             double value) {
  const std::string name = absl::StrCat(family_.name, suffix);
  const bool legacy = model::IsLegacyMetricName(name);
  if (legacy) AppendName(name, legacy, out_);
  out_->push_back('{');
  if (!legacy) {
    AppendName(name, legacy, out_);
    if (!labels_.empty() || !bound_name.empty()) out_->push_back(',');
  }
  AppendLabels(labels_, out_);
  if (!bound_name.empty()) {
    absl::StrAppend(out_, labels_.empty() ? "" : ",", bound_name, "=\"",
                    base::FormatFloatG(bound), "\"");
  }
  absl::StrAppend(out_, "} ", base::FormatFloatG(value), timestamp_, "\n");
}

}  // namespace

absl::StatusOr<std::string> ProtobufToText(absl::string_view body) {
  std::string text;
  base::ByteReader reader(body);
  while (reader.ok() && reader.remaining() > 0) {
    const absl::string_view message = reader.UvarintBytes();
    if (!reader.ok()) break;
    NARTHEX_RETURN_IF_ERROR(FamilyWriter(&text).Write(message));
  }
  if (!reader.ok()) return absl::InvalidArgumentError("unexpected EOF");
  return text;
}

}  // namespace narthex::pushgateway
