#include "libs/cluster/push_columns.h"

#include <bit>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/base/varint.h"
#include "libs/cluster/wire.h"
#include "narthex/v1/ingester.pb.h"

namespace narthex::cluster {

static_assert(std::endian::native == std::endian::little,
              "values are copied as they lie in memory");

void PushEncoder::Add(const RefSample& sample) {
  if (samples_++ == 0) {
    request_->set_base_timestamp_ms(sample.timestamp_ms);
    last_timestamp_ms_ = sample.timestamp_ms;
  }
  const auto ref = static_cast<std::int64_t>(sample.ref);
  base::PutVarint(ref - last_ref_, request_->mutable_refs());
  // Unsigned, as the difference of two far timestamps may not fit.
  base::PutVarint(static_cast<std::int64_t>(
                      static_cast<std::uint64_t>(sample.timestamp_ms) -
                      static_cast<std::uint64_t>(last_timestamp_ms_)),
                  request_->mutable_timestamps());
  char bytes[sizeof(double)];
  std::memcpy(bytes, &sample.value, sizeof(bytes));
  request_->mutable_values()->append(bytes, sizeof(bytes));
  last_ref_ = ref;
  last_timestamp_ms_ = sample.timestamp_ms;
}

void PushEncoder::Finish() {
  request_->set_samples(static_cast<std::uint32_t>(samples_));
}

absl::Status DecodePush(const v1::PushRequest& request,
                        std::vector<RefSample>* samples) {
  samples->clear();
  const std::size_t count = request.samples();
  if (request.values().size() != count * sizeof(double)) {
    return absl::InvalidArgumentError(
        absl::StrCat("push of ", count, " samples has ",
                     request.values().size(), " bytes of values"));
  }
  samples->resize(count);
  base::ByteReader refs(request.refs());
  base::ByteReader timestamps(request.timestamps());
  const char* values = request.values().data();
  std::uint64_t ref = 0;
  auto timestamp = static_cast<std::uint64_t>(request.base_timestamp_ms());
  for (RefSample& sample : *samples) {
    ref += static_cast<std::uint64_t>(refs.Varint());
    timestamp += static_cast<std::uint64_t>(timestamps.Varint());
    sample.ref = ref;
    sample.timestamp_ms = static_cast<std::int64_t>(timestamp);
    std::memcpy(&sample.value, values, sizeof(double));
    values += sizeof(double);
  }
  if (!refs.ok() || !timestamps.ok() || refs.remaining() != 0 ||
      timestamps.remaining() != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("push of ", count,
                     " samples has malformed reference or timestamp "
                     "columns"));
  }
  return absl::OkStatus();
}

void EncodeOthers(const PushBatch& batch, v1::PushRequest* request) {
  for (const RefHistogram& one : batch.histograms) {
    v1::PushedHistogram* wire = request->add_histograms();
    wire->set_ref(static_cast<std::uint32_t>(one.ref));
    wire->set_timestamp_ms(one.timestamp_ms);
    ToWire(one.value, wire->mutable_histogram());
  }
  for (const RefExemplar& one : batch.exemplars) {
    v1::PushedExemplar* wire = request->add_exemplars();
    wire->set_ref(static_cast<std::uint32_t>(one.ref));
    ToWire(one.exemplar, wire->mutable_exemplar());
  }
  for (const RefMetadata& one : batch.metadata) {
    v1::PushedMetadata* wire = request->add_series_metadata();
    wire->set_ref(static_cast<std::uint32_t>(one.ref));
    ToWire(one.metadata, wire->mutable_metadata());
  }
}

absl::Status DecodeOthers(const v1::PushRequest& request, PushBatch* batch) {
  batch->histograms.clear();
  batch->exemplars.clear();
  batch->metadata.clear();
  for (const v1::PushedHistogram& wire : request.histograms()) {
    RefHistogram& one = batch->histograms.emplace_back();
    one.ref = wire.ref();
    one.timestamp_ms = wire.timestamp_ms();
    NARTHEX_RETURN_IF_ERROR(FromWire(wire.histogram(), &one.value));
  }
  for (const v1::PushedExemplar& wire : request.exemplars()) {
    RefExemplar& one = batch->exemplars.emplace_back();
    one.ref = wire.ref();
    NARTHEX_RETURN_IF_ERROR(FromWire(wire.exemplar(), &one.exemplar));
  }
  for (const v1::PushedMetadata& wire : request.series_metadata()) {
    batch->metadata.push_back({wire.ref(), FromWire(wire.metadata())});
  }
  return absl::OkStatus();
}

}  // namespace narthex::cluster
