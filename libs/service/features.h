#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "libs/base/log.h"
#include "libs/service/flags.h"

namespace narthex::service {

/// What --enable-feature asks for. Every service takes all names that
/// Prometheus 3.5 to 3.14 knows, so that one list serves all services, and as
/// Prometheus it only warns of others.
class Features {
 public:
  /// `acts_on`: the features that do something in this service.
  explicit Features(std::vector<absl::string_view> acts_on)
      : acts_on_(std::move(acts_on)) {}

  /// Binds --enable-feature to this, which must not move from then on.
  void AddFlag(FlagSet& flags);

  /// Whether the command line asks for it.
  bool Has(absl::string_view feature) const;

  /// The features asked for, each once, in the order of the command line.
  std::vector<std::string> Names() const;

  /// Logs a line for each feature asked for: a warning when it is unknown, has
  /// no effect in this service, or less of one than in Prometheus.
  void Log(const base::Logger& log) const;

 private:
  bool ActsOn(absl::string_view feature) const;

  const std::vector<absl::string_view> acts_on_;
  std::vector<std::string> lists_;
};

}  // namespace narthex::service
