#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "libs/base/clock.h"
#include "libs/base/file.h"
#include "libs/metrics/metrics.h"
#include "libs/tsdb/block_fixture.h"
#include "libs/tsdb/db.h"

namespace narthex::tsdb {

/// A database in a directory of its own, beside a plain model of what it
/// should hold: for tests. Functions fail the test on unexpected errors.
class DbFixture {
 public:
  explicit DbFixture(DbOptions options = {});

  Db& db() { return *db_; }
  const std::string& path() const { return directory_.path(); }
  const metrics::Registry& registry() const { return *registry_; }
  const SeriesModel& expected() const { return expected_; }
  SeriesModel& expected() { return expected_; }

  /// Appends one sample of each series at `timestamp_ms`, in one call.
  void Append(const std::vector<model::Labels>& series,
              std::int64_t timestamp_ms, double value);
  /// Why one sample is not taken; 0 when it is.
  int AppendOne(const model::Labels& labels, std::int64_t timestamp_ms,
                double value);

  SeriesModel Select(const storage::TimeRange& range,
                     const std::vector<model::Matcher>& matchers = {});
  /// Compares everything with the model.
  void CheckAll();

  /// For the next Open.
  void set_options(DbOptions options) { options_ = std::move(options); }
  void Open();
  void Close();
  void Reopen() {
    Close();
    Open();
  }

 private:
  DbOptions options_;
  base::TemporaryDirectory directory_;
  base::FakeClock clock_{1700000000000};
  std::unique_ptr<metrics::Registry> registry_;
  std::unique_ptr<Db> db_;
  SeriesModel expected_;
};

inline constexpr storage::TimeRange kAllTime = {model::kMinTime,
                                                model::kMaxTime};

/// `count` series that differ in label i.
std::vector<model::Labels> MakeSeries(int count);

}  // namespace narthex::tsdb
