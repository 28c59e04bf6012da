#include "libs/tsdb/db_metrics.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/tsdb/wal_directory.h"

namespace narthex::tsdb {
namespace {

// Registers gauges of an object that may be gone when they are asked for.
template <typename T>
class GaugesOf {
 public:
  GaugesOf(metrics::Registry& registry, const std::shared_ptr<T>& object)
      : registry_(registry), object_(object) {}

  void Add(absl::string_view name, absl::string_view help,
           std::function<double(const T&)> value) {
    registry_.NewGaugeFunction(
        name, help, [object = object_, value = std::move(value)]() -> double {
          const std::shared_ptr<T> held = object.lock();
          return held == nullptr ? 0 : value(*held);
        });
  }

 private:
  metrics::Registry& registry_;
  std::weak_ptr<T> object_;
};

double MinTime(const Head& head) {
  return head.empty() ? 0 : static_cast<double>(head.min_time());
}

double MaxTime(const Head& head) {
  return head.empty() ? 0 : static_cast<double>(head.max_time());
}

void RegisterHead(GaugesOf<Head> gauges) {
  gauges.Add("prometheus_tsdb_head_series",
             "Total number of series in the head block.", [](const Head& head) {
               return static_cast<double>(head.series_count());
             });
  gauges.Add("prometheus_tsdb_head_stale_series",
             "Total number of stale series in the head block.",
             [](const Head& head) {
               return static_cast<double>(head.stale_series_count());
             });
  gauges.Add("prometheus_tsdb_head_native_histogram_series",
             "Total number of series in the head block whose last sample is a "
             "native histogram.",
             [](const Head& head) {
               return static_cast<double>(head.last_histograms().series);
             });
  gauges.Add("prometheus_tsdb_head_native_histogram_buckets",
             "Total number of buckets of the last native histograms of the "
             "series in the head block.",
             [](const Head& head) {
               return static_cast<double>(head.last_histograms().buckets);
             });
  // Appends have no ids here, but are counted: the difference is what is under
  // way and not yet visible.
  gauges.Add("prometheus_tsdb_isolation_low_watermark",
             "Appends that have ended.", [](const Head& head) {
               return static_cast<double>(head.appends_ended());
             });
  gauges.Add("prometheus_tsdb_isolation_high_watermark",
             "Appends that have begun.", [](const Head& head) {
               return static_cast<double>(head.appends_begun());
             });
  gauges.Add("prometheus_tsdb_head_chunks",
             "Total number of chunks in the head block.", [](const Head& head) {
               return static_cast<double>(head.chunk_count());
             });
  gauges.Add("prometheus_tsdb_head_min_time",
             "Minimum time bound of the head block, in milliseconds.", MinTime);
  gauges.Add("prometheus_tsdb_head_max_time",
             "Maximum timestamp of the head block, in milliseconds.", MaxTime);
  gauges.Add("prometheus_tsdb_head_min_time_seconds",
             "Minimum time bound of the head block.",
             [](const Head& head) { return MinTime(head) / 1000; });
  gauges.Add("prometheus_tsdb_head_max_time_seconds",
             "Maximum timestamp of the head block.",
             [](const Head& head) { return MaxTime(head) / 1000; });
}

void RegisterMemory(metrics::Registry& registry,
                    const std::shared_ptr<Head>& head) {
  using Part = std::size_t (*)(const Head::Memory&);
  constexpr std::pair<const char*, Part> kParts[] = {
      {"labels", [](const Head::Memory& all) { return all.index.labels; }},
      {"postings", [](const Head::Memory& all) { return all.index.postings; }},
      {"hashes", [](const Head::Memory& all) { return all.index.hashes; }},
      {"series", [](const Head::Memory& all) { return all.series; }},
      {"samples", [](const Head::Memory& all) { return all.samples; }},
      {"histograms", [](const Head::Memory& all) { return all.histograms; }}};
  for (const auto& [part, bytes] : kParts) {
    registry.NewGaugeFunction(
        "narthex_head_memory_bytes", "Memory that a part of the head takes.",
        [weak = std::weak_ptr<Head>(head), bytes = bytes]() -> double {
          const std::shared_ptr<Head> held = weak.lock();
          return held == nullptr ? 0
                                 : static_cast<double>(bytes(held->memory()));
        },
        {{"part", part}});
  }
}

void RegisterBlocks(GaugesOf<LoadedBlocks> gauges) {
  gauges.Add("prometheus_tsdb_blocks_loaded",
             "Number of currently loaded data blocks",
             [](const LoadedBlocks& blocks) {
               return static_cast<double>(blocks.list()->size());
             });
  gauges.Add("narthex_tsdb_corrupt_blocks",
             "Blocks that cannot be opened and are left aside.",
             [](const LoadedBlocks& blocks) {
               return static_cast<double>(blocks.unreadable()->size());
             });
  gauges.Add("prometheus_tsdb_storage_blocks_bytes",
             "The number of bytes that are currently used for local storage by "
             "all blocks.",
             [](const LoadedBlocks& blocks) {
               double bytes = 0;
               for (const auto list = blocks.list();
                    const auto& block : *list) {
                 bytes += static_cast<double>(block->size_bytes());
               }
               return bytes;
             });
}

void RegisterSymbols(GaugesOf<LoadedBlocks> gauges) {
  gauges.Add(
      "prometheus_tsdb_symbol_table_size_bytes",
      "Size of symbol table in memory for loaded blocks",
      [](const LoadedBlocks& blocks) {
        double bytes = 0;
        for (const auto list = blocks.list(); const auto& block : *list) {
          bytes += static_cast<double>(block->index().symbol_table_bytes());
        }
        return bytes;
      });
}

// The oldest time of all that is stored.
double LowestTimestamp(const Head& head, const LoadedBlocks& blocks) {
  const auto list = blocks.list();
  return list->empty() ? MinTime(head)
                       : static_cast<double>(list->front()->min_ms());
}

}  // namespace

void RegisterStateMetrics(metrics::Registry& registry,
                          const std::shared_ptr<Head>& head,
                          const std::shared_ptr<LoadedBlocks>& blocks,
                          const std::string& wal_directory) {
  RegisterHead({registry, head});
  RegisterMemory(registry, head);
  RegisterBlocks({registry, blocks});
  RegisterSymbols({registry, blocks});
  GaugesOf<Head> both(registry, head);
  const std::weak_ptr<LoadedBlocks> weak = blocks;
  const auto lowest = [weak](const Head& of) {
    const auto held = weak.lock();
    return held == nullptr ? 0 : LowestTimestamp(of, *held);
  };
  both.Add("prometheus_tsdb_lowest_timestamp",
           "Lowest timestamp value stored in the database, in milliseconds.",
           lowest);
  both.Add("prometheus_tsdb_lowest_timestamp_seconds",
           "Lowest timestamp value stored in the database.",
           [lowest](const Head& of) { return lowest(of) / 1000; });
  RegisterLogSize(registry, "prometheus_tsdb_wal", wal_directory);
}

void RegisterLogSize(metrics::Registry& registry, absl::string_view prefix,
                     const std::string& directory) {
  registry.NewGaugeFunction(
      absl::StrCat(prefix, "_storage_size_bytes"),
      "Size of the write log directory.", [directory]() -> double {
        return static_cast<double>(WalDirectoryBytes(directory));
      });
}

}  // namespace narthex::tsdb
