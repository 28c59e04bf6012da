#include "libs/cluster/column_codec.h"

#include <bit>
#include <cstdint>
#include <cstring>
#include <utility>

#include "libs/base/status.h"
#include "libs/base/varint.h"
#include "libs/cluster/wire.h"
#include "narthex/v1/types.pb.h"

namespace narthex::cluster {
namespace {

constexpr std::uint8_t kFull = 1;
constexpr std::uint8_t kDropName = 2;
constexpr std::uint8_t kHistograms = 4;

static_assert(std::endian::native == std::endian::little,
              "values travel as they are in memory");

absl::Status Malformed() {
  return absl::DataLossError("received a malformed column");
}

std::size_t BitmapBytes(std::size_t steps) { return (steps + 7) / 8; }

bool Has(absl::string_view bits, std::size_t step) {
  return (static_cast<unsigned char>(bits[step / 8]) >> (step % 8) & 1) != 0;
}

void Set(std::size_t step, char* bits) {
  bits[step / 8] = static_cast<char>(bits[step / 8] | 1 << (step % 8));
}

void EncodeSparse(const std::vector<double>& values, std::size_t present,
                  std::string* out) {
  const std::size_t at = out->size();
  const std::size_t bitmap = BitmapBytes(values.size());
  out->resize(at + bitmap + present * sizeof(double), '\0');
  char* const bits = out->data() + at;
  char* next = bits + bitmap;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (promql::IsAbsent(values[i])) continue;
    Set(i, bits);
    std::memcpy(next, &values[i], sizeof(double));
    next += sizeof(double);
  }
}

absl::Status DecodeSparse(base::ByteReader* in, std::vector<double>* values) {
  const absl::string_view bits = in->Bytes(BitmapBytes(values->size()));
  if (!in->ok()) return Malformed();
  std::size_t present = 0;
  for (std::size_t i = 0; i < values->size(); ++i) present += Has(bits, i);
  const absl::string_view bytes = in->Bytes(present * sizeof(double));
  if (!in->ok()) return Malformed();
  const char* next = bytes.data();
  for (std::size_t i = 0; i < values->size(); ++i) {
    (*values)[i] = promql::Absent();
    if (!Has(bits, i)) continue;
    std::memcpy(&(*values)[i], next, sizeof(double));
    next += sizeof(double);
  }
  return absl::OkStatus();
}

void EncodeHistograms(const std::vector<model::HistogramPtr>& histograms,
                      std::string* out) {
  const std::size_t at = out->size();
  out->resize(at + BitmapBytes(histograms.size()), '\0');
  v1::NativeHistogram message;
  for (std::size_t i = 0; i < histograms.size(); ++i) {
    if (histograms[i] == nullptr) continue;
    Set(i, out->data() + at);
    message.Clear();
    ToWire(model::HistogramValue{nullptr, histograms[i]}, &message);
    base::PutUvarint(message.ByteSizeLong(), out);
    message.AppendToString(out);
  }
}

absl::Status DecodeHistograms(base::ByteReader* in,
                              std::vector<model::HistogramPtr>* histograms) {
  const absl::string_view bits = in->Bytes(BitmapBytes(histograms->size()));
  if (!in->ok()) return Malformed();
  v1::NativeHistogram message;
  for (std::size_t i = 0; i < histograms->size(); ++i) {
    if (!Has(bits, i)) continue;
    const absl::string_view bytes = in->UvarintBytes();
    model::HistogramValue value;
    if (!in->ok() ||
        !message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
      return Malformed();
    }
    NARTHEX_RETURN_IF_ERROR(FromWire(message, &value));
    if (value.floating == nullptr) return Malformed();
    (*histograms)[i] = std::move(value.floating);
  }
  return absl::OkStatus();
}

}  // namespace

void EncodeColumn(const promql::Column& column, std::string* out) {
  const absl::string_view labels = column.labels.encoded();
  base::PutUvarint(labels.size(), out);
  out->append(labels.data(), labels.size());
  const std::vector<double>& values = column.values;
  const std::size_t present = promql::CountPresent(values);
  const bool full = present == values.size();
  out->push_back(static_cast<char>(
      (full ? kFull : 0) | (column.drop_name ? kDropName : 0) |
      (column.histograms.empty() ? 0 : kHistograms)));
  if (full) {
    out->append(reinterpret_cast<const char*>(values.data()),
                values.size() * sizeof(double));
  } else {
    EncodeSparse(values, present, out);
  }
  if (!column.histograms.empty()) EncodeHistograms(column.histograms, out);
}

absl::Status DecodeColumns(absl::string_view bytes, std::size_t steps,
                           promql::ColumnSink sink) {
  base::ByteReader in(bytes);
  promql::Column column;
  while (in.remaining() > 0) {
    const absl::string_view labels = in.UvarintBytes();
    const std::uint8_t flags = in.Byte();
    if (!in.ok() || !model::Labels::FromEncoded(labels, &column.labels)) {
      return Malformed();
    }
    column.drop_name = (flags & kDropName) != 0;
    column.values.resize(steps);
    if ((flags & kFull) != 0) {
      const absl::string_view values = in.Bytes(steps * sizeof(double));
      if (!in.ok()) return Malformed();
      std::memcpy(column.values.data(), values.data(), values.size());
    } else {
      NARTHEX_RETURN_IF_ERROR(DecodeSparse(&in, &column.values));
    }
    column.histograms.clear();
    if ((flags & kHistograms) != 0) {
      column.histograms.resize(steps);
      NARTHEX_RETURN_IF_ERROR(DecodeHistograms(&in, &column.histograms));
    }
    NARTHEX_RETURN_IF_ERROR(sink(column));
  }
  return absl::OkStatus();
}

}  // namespace narthex::cluster
