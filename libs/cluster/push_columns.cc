#include "libs/cluster/push_columns.h"

#include <algorithm>
#include <array>
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

// So many samples are encoded at a time, into memory that stays at hand.
constexpr std::size_t kPiece = 256;

// Of far times, where they may not fit.
std::int64_t Sum(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) +
                                   static_cast<std::uint64_t>(b));
}
std::int64_t Difference(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) -
                                   static_cast<std::uint64_t>(b));
}

absl::Status DecodeStarts(const v1::PushRequest& request,
                          std::vector<RefStart>* starts) {
  starts->clear();
  base::ByteReader in(request.starts());
  RefStart one;
  while (in.remaining() > 0) {
    one.ref += static_cast<std::uint64_t>(in.Varint());
    one.timestamp_ms = Sum(one.timestamp_ms, in.Varint());
    one.start_ms = Sum(one.start_ms, in.Varint());
    if (in.ok()) starts->push_back(one);
  }
  return in.ok() ? absl::OkStatus()
                 : absl::InvalidArgumentError(
                       "push has a malformed column of start times");
}

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
  std::array<char, kPiece * base::kMostVarintBytes> refs;
  std::array<char, kPiece * base::kMostVarintBytes> timestamps;
  std::array<double, kPiece> values;
  for (; !samples.empty();
       samples.remove_prefix(std::min(kPiece, samples.size()))) {
    char* ref_at = refs.data();
    char* timestamp_at = timestamps.data();
    std::size_t count = 0;
    for (const RefSample& sample : samples.subspan(0, kPiece)) {
      const auto ref = static_cast<std::int64_t>(sample.ref);
      ref_at = base::WriteVarint(ref - last_ref_, ref_at);
      // Unsigned, as the difference of two far timestamps may not fit.
      timestamp_at = base::WriteVarint(
          static_cast<std::int64_t>(
              static_cast<std::uint64_t>(sample.timestamp_ms) -
              static_cast<std::uint64_t>(last_timestamp_ms_)),
          timestamp_at);
      values[count++] = sample.value;
      last_ref_ = ref;
      last_timestamp_ms_ = sample.timestamp_ms;
    }
    request_->mutable_refs()->append(refs.data(), ref_at);
    request_->mutable_timestamps()->append(timestamps.data(), timestamp_at);
    request_->mutable_values()->append(
        reinterpret_cast<const char*>(values.data()), count * sizeof(double));
  }
}

void PushEncoder::AddStarts(absl::Span<const RefStart> starts) {
  std::string* const out = request_->mutable_starts();
  for (const RefStart& one : starts) {
    base::PutVarint(static_cast<std::int64_t>(one.ref - last_start_.ref), out);
    base::PutVarint(Difference(one.timestamp_ms, last_start_.timestamp_ms),
                    out);
    base::PutVarint(Difference(one.start_ms, last_start_.start_ms), out);
    last_start_ = one;
  }
}

void PushEncoder::Finish() {
  request_->set_samples(static_cast<std::uint32_t>(samples_));
}

absl::Status DecodePush(const v1::PushRequest& request,
                        std::vector<RefSample>* samples) {
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
    wire->set_start_ms(one.start_ms);
  }
  for (const RefExemplar& one : batch.exemplars) {
    v1::PushedExemplar* wire = request->add_exemplars();
    wire->set_ref(static_cast<std::uint32_t>(one.ref));
    ToWire(one.exemplar, wire->mutable_exemplar());
    wire->set_without_timestamp(!one.exemplar.has_timestamp);
  }
  for (const RefMetadata& one : batch.metadata) {
    v1::PushedMetadata* wire = request->add_series_metadata();
    wire->set_ref(static_cast<std::uint32_t>(one.ref));
    ToWire(one.metadata, wire->mutable_metadata());
  }
}

absl::Status DecodeOthers(const v1::PushRequest& request, PushBatch* batch) {
  NARTHEX_RETURN_IF_ERROR(DecodeStarts(request, &batch->starts));
  batch->histograms.clear();
  batch->exemplars.clear();
  batch->metadata.clear();
  for (const v1::PushedHistogram& wire : request.histograms()) {
    RefHistogram& one = batch->histograms.emplace_back();
    one.ref = wire.ref();
    one.timestamp_ms = wire.timestamp_ms();
    NARTHEX_RETURN_IF_ERROR(FromWire(wire.histogram(), &one.value));
    one.start_ms = wire.start_ms();
  }
  for (const v1::PushedExemplar& wire : request.exemplars()) {
    RefExemplar& one = batch->exemplars.emplace_back();
    one.ref = wire.ref();
    NARTHEX_RETURN_IF_ERROR(FromWire(wire.exemplar(), &one.exemplar));
    one.exemplar.has_timestamp = !wire.without_timestamp();
  }
  for (const v1::PushedMetadata& wire : request.series_metadata()) {
    batch->metadata.push_back({wire.ref(), FromWire(wire.metadata())});
  }
  return absl::OkStatus();
}

}  // namespace narthex::cluster
