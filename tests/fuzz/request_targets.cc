// What other programs send: remote-write bodies and the columns of pushes.
#include "libs/cluster/push_columns.h"
#include "narthex/v1/ingester.pb.h"
#include "services/querier/snappy_body.h"
#include "services/querier/write_request.h"
#include "tests/fuzz/fuzz_target.h"

namespace narthex::fuzz {
namespace {

void RunWriteRequest(absl::string_view input) {
  querier::WriteRequestReader reader(input);
  querier::WrittenSeries series;
  model::Labels labels;
  while (reader.Next(&series)) {
    querier::ParseWrittenLabels(series.label_bytes, &labels).IgnoreError();
  }
}

// A field of a message: its number with wire type 2, its length, its bytes.
std::string Field(int number, const std::string& bytes) {
  return std::string(1, static_cast<char>(number << 3 | 2)) +
         std::string(1, static_cast<char>(bytes.size())) + bytes;
}

std::vector<std::string> WriteRequests() {
  const std::string name = Field(1, Field(1, "__name__") + Field(2, "up"));
  const std::string job = Field(1, Field(1, "job") + Field(2, "node"));
  // A value of 1 and a timestamp of 5.
  const std::string sample =
      Field(2, std::string("\x09\0\0\0\0\0\0\xf0\x3f\x10\x05", 11));
  return {Field(1, name + job + sample),
          Field(1, name + sample + sample) + Field(1, job + name),
          Field(3, "metadata") + Field(1, name + sample)};
}

void RunSnappyBody(absl::string_view input) {
  std::string message;
  querier::UncompressBody(std::string(input), &message).IgnoreError();
}

std::vector<std::string> SnappyBodies() {
  return {std::string("\x05\x10hello", 7), std::string("\x0a\x00"
                                                       "a\x22\x01\0",
                                                       6)};
}

void RunPushColumns(absl::string_view input) {
  v1::PushRequest request;
  if (!request.ParseFromArray(input.data(), static_cast<int>(input.size()))) {
    return;
  }
  cluster::PushBatch batch;
  cluster::DecodeOthers(request, &batch).IgnoreError();
  const absl::Status status = cluster::DecodePush(request, &batch.samples);
  if (!status.ok()) return;
  for (const cluster::RefSample& sample : batch.samples) {
    if (sample.ref > 0xffffffff) return;
  }
  v1::PushRequest again;
  cluster::PushEncoder encoder(&again);
  encoder.Add(batch.samples);
  encoder.Finish();
  std::vector<cluster::RefSample> twice;
  Require(cluster::DecodePush(again, &twice).ok() &&
              twice.size() == batch.samples.size(),
          "samples change when they are encoded again");
}

std::vector<std::string> Pushes() {
  v1::PushRequest request;
  cluster::PushEncoder encoder(&request);
  for (std::uint64_t i = 0; i < 20; ++i) {
    const cluster::RefSample sample{
        i * 3 + 1, 1700006400000 + static_cast<std::int64_t>(i % 3),
        static_cast<double>(i)};
    encoder.Add({&sample, 1});
  }
  encoder.Finish();
  return {request.SerializeAsString()};
}

}  // namespace

const std::vector<Target>& Targets() {
  static const std::vector<Target> targets = {
      {"write_request", RunWriteRequest, WriteRequests},
      {"snappy_body", RunSnappyBody, SnappyBodies},
      {"push_columns", RunPushColumns, Pushes},
  };
  return targets;
}

}  // namespace narthex::fuzz
