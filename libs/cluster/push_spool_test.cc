#include "libs/cluster/internal/push_spool.h"

#include <catch2/catch.hpp>
#include <random>
#include <string>
#include <vector>

#include "libs/base/file.h"
#include "libs/cluster/fake_ingester.h"
#include "libs/cluster/internal/spool_root.h"

namespace narthex::cluster::internal {
namespace {

struct Fixture {
  explicit Fixture(std::uint64_t max_bytes) {
    DiskOptions options;
    options.directory = directory.path();
    options.max_bytes = max_bytes;
    const auto root = SpoolRoot::Open(options).value();
    spool = PushSpool::Open(root->OptionsFor("ingester"), series, metrics, log)
                .value();
  }

  // A sample of each of these series.
  void Append(const std::vector<storage::SeriesRef>& refs, std::int64_t t) {
    std::vector<PushPart> parts(1);
    for (const storage::SeriesRef ref : refs) {
      parts[0].samples.push_back({ref, t, values(random)});
    }
    REQUIRE(spool->Append(/*lane=*/1, parts).ok());
  }
  // How many samples are left, of the series they were written for.
  std::size_t ReadAll() {
    std::size_t samples = 0;
    while (const auto entry = spool->Read()) {
      for (std::size_t i = 0; i < entry->part.size(); ++i) {
        if (series.HashOf(entry->part.samples[i].ref) == LabelsOf(i).Hash()) {
          ++samples;
        }
      }
    }
    return samples;
  }
  // About as long as those of usual series.
  static model::Labels LabelsOf(std::size_t i) {
    return {{"__name__", "http_request_duration_seconds_bucket"},
            {"code", "200"},
            {"instance", "127.0.0.1:" + std::to_string(10'000 + i / 100)},
            {"job", "targets"},
            {"le", std::to_string(i % 100)}};
  }

  // Of which eight bytes are needed.
  std::mt19937_64 random{1};
  std::uniform_real_distribution<double> values;
  base::TemporaryDirectory directory;
  metrics::Registry registry;
  WriterMetrics metrics{registry};
  SeriesTable series{1};
  base::Logger log = base::Logger::Discard();
  std::unique_ptr<PushSpool> spool;
};

}  // namespace

TEST_CASE("a queue on disk holds more samples than labels") {
  constexpr std::uint64_t kMaxBytes = 400'000;
  Fixture f(kMaxBytes);
  // A pass over all series has more bytes of labels than a usual segment.
  std::vector<storage::SeriesRef> refs;
  for (std::size_t i = 0; i < 5'000; ++i) {
    refs.push_back(f.series.Declare(Fixture::LabelsOf(i)));
  }
  for (int t = 1; t <= 30; ++t) f.Append(refs, t);
  const auto bytes = static_cast<double>(f.metrics.disk_bytes.value());
  CHECK(bytes <= 1.5 * kMaxBytes);
  const double each = bytes / static_cast<double>(f.ReadAll());
  INFO(each << " bytes a sample");
  CHECK(each < 12);
}

}  // namespace narthex::cluster::internal
