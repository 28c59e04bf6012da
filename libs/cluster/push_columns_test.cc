#include "libs/cluster/push_columns.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <limits>

#include "libs/model/sample.h"
#include "narthex/v1/ingester.pb.h"

namespace narthex::cluster {

TEST_CASE("samples round trip through columns with all bits") {
  const std::vector<RefSample> samples = {
      {7, 1'700'000'000'000, 1.5},
      {8, 1'700'000'000'000, model::StaleNan()},
      {3, std::numeric_limits<std::int64_t>::min(), -0.0},
      {4'000'000'000, std::numeric_limits<std::int64_t>::max(), 0}};
  v1::PushRequest request;
  PushEncoder encoder(&request);
  for (const RefSample& sample : samples) encoder.Add(sample);
  encoder.Finish();
  std::vector<RefSample> decoded;
  REQUIRE(DecodePush(request, &decoded).ok());
  REQUIRE(decoded.size() == samples.size());
  for (std::size_t i = 0; i < samples.size(); ++i) {
    CHECK(decoded[i].ref == samples[i].ref);
    CHECK(decoded[i].timestamp_ms == samples[i].timestamp_ms);
    CHECK(std::memcmp(&decoded[i].value, &samples[i].value, 8) == 0);
  }
}

TEST_CASE("columns that do not agree are refused") {
  v1::PushRequest request;
  PushEncoder encoder(&request);
  encoder.Add({1, 10, 1});
  encoder.Add({2, 10, 1});
  encoder.Finish();
  std::vector<RefSample> decoded;
  v1::PushRequest bad = request;
  bad.set_samples(3);
  CHECK_FALSE(DecodePush(bad, &decoded).ok());
  bad = request;
  bad.mutable_refs()->pop_back();
  CHECK_FALSE(DecodePush(bad, &decoded).ok());
  bad = request;
  bad.mutable_timestamps()->push_back('\0');
  CHECK_FALSE(DecodePush(bad, &decoded).ok());
}

}  // namespace narthex::cluster
