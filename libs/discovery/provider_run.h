#pragma once

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_join.h"
#include "libs/base/mutex.h"
#include "libs/discovery/provider.h"
#include "libs/http/client.h"
#include "libs/yaml/decoder.h"

/// For the tests of providers.
namespace narthex::discovery {

/// The entry of a "<kind>_sd_configs" list, as the configuration has it.
template <typename Config>
Config ParseConfig(const std::string& text) {
  const auto document = yaml::Document::Parse(text, "f.yml");
  INFO(text << ": " << document.status());
  REQUIRE(document.ok());
  Config config;
  const absl::Status status = Decode(document->root(), &config);
  INFO(status);
  REQUIRE(status.ok());
  return config;
}

/// Why such an entry is refused; empty when it is taken.
template <typename Config>
std::string ConfigError(const std::string& text) {
  const auto document = yaml::Document::Parse(text, "f.yml");
  REQUIRE(document.ok());
  Config config;
  return std::string(Decode(document->root(), &config).message());
}

/// The entry as it is printed.
template <typename Config>
std::string PrintedConfig(const Config& config) {
  yaml::Emitter out;
  Emit(config, &out);
  return out.text();
}

/// Labels as `a="1" b="2"`, sorted by name.
inline std::string Printed(const model::Labels& labels) {
  std::vector<std::string> fields;
  for (const model::Label& label : labels) {
    fields.push_back(absl::StrCat(label.name, "=\"", label.value, "\""));
  }
  return absl::StrJoin(fields, " ");
}

/// A target as ProviderRun prints it: its address and labels, whose names are
/// given without their prefix.
inline std::string Printed(const std::string& address,
                           const std::string& prefix,
                           const std::map<std::string, std::string>& labels) {
  model::LabelsBuilder builder;
  builder.Set(kAddressLabel, address);
  for (const auto& [name, value] : labels) builder.Set(prefix + name, value);
  return Printed(builder.Build());
}

/// Runs one provider and keeps what it finds as a manager would.
class ProviderRun {
 public:
  using Targets = std::vector<std::string>;

  /// `make` gives the provider for a context.
  template <typename Make>
  explicit ProviderRun(const Make& make)
      : provider_(make(
            ProviderContext{client_, base::Logger::Discard(), metrics, "j"})) {
    provider_->Start(
        [this](std::vector<TargetGroup> groups) { Take(std::move(groups)); });
  }
  ~ProviderRun() { provider_->Stop(); }

  /// Waits until the targets are `wanted`, in any order, each printed with the
  /// labels of its group; false, with the reason in a warning, when they
  /// are not after 20 seconds.
  bool WaitFor(Targets wanted) {
    std::sort(wanted.begin(), wanted.end());
    return WaitUntil([&] { return Current() == wanted; },
                     [&] { return absl::StrJoin(wanted, "\n"); });
  }
  bool WaitFor(const std::string& wanted) { return WaitFor(Targets{wanted}); }

  /// Waits until `done()`, asked again at every update and every 20 ms.
  template <typename Done, typename Describe>
  bool WaitUntil(const Done& done, const Describe& describe) {
    const auto deadline =
        std::chrono::steady_clock::now() + std::chrono::seconds(20);
    base::MutexLock lock(mutex_);
    while (!done()) {
      if (std::chrono::steady_clock::now() > deadline) {
        WARN("wanted:\n"
             << describe() << "\nfound:\n"
             << absl::StrJoin(Current(), "\n"));
        return false;
      }
      changed_.WaitFor(mutex_, std::chrono::milliseconds(20));
    }
    return true;
  }

  /// Waits until the counter of the registry, as exposed with its labels, is
  /// at least `least`.
  bool WaitForCount(const std::string& series, double least) {
    return WaitUntil([&] { return CountOf(series) >= least; },
                     [&] { return series; });
  }
  double CountOf(const std::string& series) const {
    const std::string text = registry.Expose();
    const std::size_t at = text.find("\n" + series + " ");
    if (at == std::string::npos) return -1;
    return std::atof(text.c_str() + at + series.size() + 2);
  }
  /// The failures that a RefreshProvider has counted.
  bool WaitForFailure(const std::string& mechanism) {
    return WaitForCount("prometheus_sd_refresh_failures_total{mechanism=\"" +
                            mechanism + "\",config=\"j\"}",
                        1);
  }
  std::set<std::string> sources() {
    base::MutexLock lock(mutex_);
    std::set<std::string> out;
    for (const auto& [source, group] : groups_) out.insert(source);
    return out;
  }

  metrics::Registry registry;
  Metrics metrics{registry, "scrape"};

 private:
  void Take(std::vector<TargetGroup> groups) {
    base::MutexLock lock(mutex_);
    for (TargetGroup& group : groups) {
      std::string source = group.source;
      if (group.targets.empty()) {
        groups_.erase(source);
      } else {
        groups_[std::move(source)] = std::move(group);
      }
    }
    changed_.NotifyAll();
  }

  Targets Current() const {
    Targets out;
    for (const auto& [source, group] : groups_) {
      for (const model::Labels& target : group.targets) {
        model::LabelsBuilder labels(group.labels);
        for (const model::Label& label : target) {
          labels.Set(label.name, label.value);
        }
        out.push_back(Printed(labels.Build()));
      }
    }
    std::sort(out.begin(), out.end());
    return out;
  }

  http::Client client_;
  base::Mutex mutex_;
  base::CondVar changed_;
  std::map<std::string, TargetGroup> groups_;
  std::unique_ptr<Provider> provider_;
};

/// Runs the provider of `config`.
template <typename Config>
std::unique_ptr<ProviderRun> RunProvider(const Config& config) {
  return std::make_unique<ProviderRun>([&](const ProviderContext& context) {
    return MakeProvider(config, context);
  });
}

}  // namespace narthex::discovery
