#include "libs/service/features.h"

#include <algorithm>
#include <array>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace narthex::service {
namespace {

struct Feature {
  absl::string_view name;
  /// The services that act on it, none for what is always on or not supported.
  absl::string_view acts_in;
  /// What differs from Prometheus.
  absl::string_view note;
};

// Prometheus 3.14.0, docs/feature_flags.md; 3.5 knows a part of them.
constexpr std::array<Feature, 29> kKnown = {{
    {"auto-reload-config", "scraper, ingester, querier, ruler", ""},
    {"concurrent-rule-eval", "",
     "not supported: the rules of a group are evaluated in order"},
    {"created-timestamp-zero-ingestion", "scraper", ""},
    {"delayed-compaction", "", "not supported: compaction is never delayed"},
    {"exemplar-storage", "ingester", ""},
    {"extra-scrape-metrics", "scraper", ""},
    {"fast-startup", "", "not supported: a start reads the write-ahead log"},
    {"histograms-st-encoding", "ingester",
     "with st-storage: start timestamps of native histograms are stored too, "
     "in chunks that Prometheus reads from 3.14 on"},
    {"memory-snapshot-on-shutdown", "ingester", ""},
    {"metadata-wal-records", "",
     "not supported: metadata is not written to the write-ahead log"},
    {"native-histograms", "",
     "always on; what is scraped is decided by scrape_native_histograms"},
    {"old-ui", "", "not supported: there is one user interface"},
    {"ooo-native-histograms", "", "always on"},
    {"otlp-deltatocumulative", "", "not supported: OTLP is not received"},
    {"otlp-native-delta-ingestion", "", "not supported: OTLP is not received"},
    {"promql-binop-fill-modifiers", "querier, ruler", ""},
    {"promql-delayed-name-removal", "querier, ruler", ""},
    {"promql-duration-expr", "", "always on"},
    {"promql-experimental-functions", "querier, ruler", ""},
    {"promql-extended-range-selectors", "querier, ruler", ""},
    {"promql-per-step-stats", "querier", ""},
    {"search-api", "", "not supported: there is no search API"},
    {"st-storage", "scraper, ingester",
     "start timestamps go into records of the write-ahead log and chunks "
     "(XOR2) that Prometheus reads from 3.14 on"},
    {"st-synthesis", "",
     "not supported: only start timestamps that are exposed are stored"},
    {"type-and-unit-labels", "scraper, querier, ruler", ""},
    {"use-start-timestamps", "querier, ruler",
     "samples have start timestamps when scraper and ingester have "
     "--enable-feature=st-storage"},
    {"use-uncached-io", "",
     "not supported: files are written through the page cache"},
    {"utf8-names", "", "always on"},
    {"xor2-encoding", "ingester",
     "in blocks, which Prometheus then reads from 3.14 on; "
     "storage.tsdb.chunk_encoding.floats comes first"},
}};

const Feature* Find(absl::string_view name) {
  const auto* found = std::find_if(
      kKnown.begin(), kKnown.end(),
      [name](const Feature& feature) { return feature.name == name; });
  return found == kKnown.end() ? nullptr : found;
}

}  // namespace

void Features::AddFlag(FlagSet& flags) {
  flags.Strings(
      "enable-feature", &lists_,
      absl::StrCat("Comma-separated names of features to enable: ",
                   absl::StrJoin(acts_on_, ", "),
                   ". Others that Prometheus knows are accepted and logged."));
}

bool Features::Has(absl::string_view feature) const {
  const std::vector<std::string> names = Names();
  return std::find(names.begin(), names.end(), feature) != names.end();
}

std::vector<std::string> Features::Names() const {
  std::vector<std::string> names;
  for (const std::string& list : lists_) {
    for (absl::string_view name : absl::StrSplit(list, ',')) {
      name = absl::StripAsciiWhitespace(name);
      if (name.empty()) continue;
      if (std::find(names.begin(), names.end(), name) == names.end()) {
        names.emplace_back(name);
      }
    }
  }
  return names;
}

bool Features::ActsOn(absl::string_view feature) const {
  return std::find(acts_on_.begin(), acts_on_.end(), feature) != acts_on_.end();
}

void Features::Log(const base::Logger& log) const {
  for (const std::string& name : Names()) {
    const Feature* known = Find(name);
    if (ActsOn(name)) {
      if (known == nullptr || known->note.empty()) {
        log.Info("feature enabled", {{"option", name}});
      } else {
        log.Warn("feature enabled", {{"option", name}, {"note", known->note}});
      }
    } else if (known == nullptr) {
      log.Warn("Unknown option for --enable-feature", {{"option", name}});
    } else if (!known->acts_in.empty()) {
      log.Warn("feature without effect in this service",
               {{"option", name}, {"acts_in", known->acts_in}});
    } else {
      log.Warn("feature without effect",
               {{"option", name}, {"note", known->note}});
    }
  }
}

}  // namespace narthex::service
