#include "libs/tsdb/db_fixture.h"

#include <catch2/catch.hpp>
#include <utility>

#include "absl/strings/str_cat.h"

namespace narthex::tsdb {

DbFixture::DbFixture(DbOptions options) : options_(std::move(options)) {
  Open();
}

void DbFixture::Open() {
  registry_ = std::make_unique<metrics::Registry>();
  auto db =
      Db::Open(path(), options_, base::Logger::Discard(), clock_, *registry_);
  INFO(db.status());
  REQUIRE(db.ok());
  db_ = *std::move(db);
}

void DbFixture::Close() {
  const absl::Status status = db_->Close();
  INFO(status);
  REQUIRE(status.ok());
  db_.reset();
}

void DbFixture::Append(const std::vector<model::Labels>& series,
                       std::int64_t timestamp_ms, double value) {
  std::vector<RefSample> samples;
  for (const model::Labels& labels : series) {
    const auto ref = db_->GetOrCreateSeries(labels);
    REQUIRE(ref.ok());
    samples.push_back({*ref, timestamp_ms, value});
    expected_[labels][timestamp_ms] = value;
  }
  std::vector<storage::Rejection> rejected;
  const absl::Status status = db_->Append(samples, &rejected);
  INFO(status);
  REQUIRE(status.ok());
  REQUIRE(rejected.empty());
}

int DbFixture::AppendOne(const model::Labels& labels, std::int64_t timestamp_ms,
                         double value) {
  const auto ref = db_->GetOrCreateSeries(labels);
  REQUIRE(ref.ok());
  std::vector<storage::Rejection> rejected;
  const RefSample sample{*ref, timestamp_ms, value};
  REQUIRE(db_->Append({&sample, 1}, &rejected).ok());
  if (!rejected.empty()) return static_cast<int>(rejected[0].reason);
  expected_[labels][timestamp_ms] = value;
  return 0;
}

SeriesModel DbFixture::Select(const storage::TimeRange& range,
                              const std::vector<model::Matcher>& matchers) {
  auto set = db_->SelectChunks(range, matchers);
  INFO(set.status());
  REQUIRE(set.ok());
  return ReadAll(*std::move(set), range);
}

void DbFixture::CheckAll() { REQUIRE(Select(kAllTime) == expected_); }

std::vector<model::Labels> MakeSeries(int count) {
  std::vector<model::Labels> series;
  for (int i = 0; i < count; ++i) {
    series.push_back({{"__name__", i % 2 == 0 ? "even" : "odd"},
                      {"i", absl::StrCat(i)},
                      {"job", "test"}});
  }
  return series;
}

}  // namespace narthex::tsdb
