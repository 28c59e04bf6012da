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

namespace {

// A column to whose end bytes are written in place.
class Column {
 public:
  Column(std::string* bytes, std::size_t most) : bytes_(*bytes) {
    const std::size_t before = bytes_.size();
    bytes_.resize(before + most);
    at = bytes_.data() + before;
  }
  ~Column() { bytes_.resize(static_cast<std::size_t>(at - bytes_.data())); }
  Column(const Column&) = delete;
  Column& operator=(const Column&) = delete;

  char* at;

 private:
  std::string& bytes_;
};

}  // namespace

std::vector<storage::SeriesRef> OtherRefs(const PushBatch& batch) {
  std::vector<storage::SeriesRef> refs;
  for (const RefHistogram& one : batch.histograms) refs.push_back(one.ref);
  for (const RefExemplar& one : batch.exemplars) refs.push_back(one.ref);
  for (const RefMetadata& one : batch.metadata) refs.push_back(one.ref);
  return refs;
}

void PushEncoder::Add(absl::Span<const RefSample> samples) {
  if (samples.empty()) return;
  if (samples_ == 0) {
    last_timestamp_ms_ = samples[0].timestamp_ms;
    request_->set_base_timestamp_ms(last_timestamp_ms_);
  }
  samples_ += samples.size();
  const std::size_t most = samples.size() * base::kMostVarintBytes;
  Column refs(request_->mutable_refs(), most);
  Column timestamps(request_->mutable_timestamps(), most);
  Column values(request_->mutable_values(), samples.size() * sizeof(double));
  for (const RefSample& sample : samples) {
    const auto ref = static_cast<std::int64_t>(sample.ref);
    refs.at = base::WriteVarint(ref - last_ref_, refs.at);
    // Unsigned, as the difference of two far timestamps may not fit.
    timestamps.at =
        base::WriteVarint(static_cast<std::int64_t>(
                              static_cast<std::uint64_t>(sample.timestamp_ms) -
                              static_cast<std::uint64_t>(last_timestamp_ms_)),
                          timestamps.at);
    std::memcpy(values.at, &sample.value, sizeof(double));
    values.at += sizeof(double);
    last_ref_ = ref;
    last_timestamp_ms_ = sample.timestamp_ms;
  }
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
  const char* refs = request.refs().data();
  const char* const refs_end = refs + request.refs().size();
  const char* timestamps = request.timestamps().data();
  const char* const timestamps_end = timestamps + request.timestamps().size();
  const char* values = request.values().data();
  std::uint64_t ref = 0;
  auto timestamp = static_cast<std::uint64_t>(request.base_timestamp_ms());
  bool ok = true;
  for (RefSample& sample : *samples) {
    std::int64_t ref_step = 0;
    std::int64_t time_step = 0;
    ok = ok && base::ReadVarint(&refs, refs_end, &ref_step) &&
         base::ReadVarint(&timestamps, timestamps_end, &time_step);
    ref += static_cast<std::uint64_t>(ref_step);
    timestamp += static_cast<std::uint64_t>(time_step);
    sample.ref = ref;
    sample.timestamp_ms = static_cast<std::int64_t>(timestamp);
    std::memcpy(&sample.value, values, sizeof(double));
    values += sizeof(double);
  }
  if (!ok || refs != refs_end || timestamps != timestamps_end) {
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
