#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/model/labels.h"
#include "libs/model/matcher.h"
#include "services/alertmanager/alert.h"

namespace narthex::alertmanager {

enum class SilenceState { kPending, kActive, kExpired };
/// "pending", "active", "expired".
absl::string_view SilenceStateName(SilenceState state);

/// Mutes the alerts that match all matchers from its start to its end.
struct Silence {
  std::string id;
  std::vector<model::Matcher> matchers;
  std::int64_t starts_at_ms = kNoTime;
  std::int64_t ends_at_ms = kNoTime;
  std::int64_t updated_at_ms = kNoTime;
  std::string created_by;
  std::string comment;
  std::map<std::string, std::string> annotations;

  SilenceState StateAt(std::int64_t now_ms) const;
  bool Matches(const model::Labels& labels) const {
    return model::MatchesAll(matchers, labels);
  }
};

using SilencePtr = std::shared_ptr<const Silence>;

/// The form in which silences are stored; and back. kDataLoss when malformed.
std::string EncodeSilence(const Silence& silence);
absl::StatusOr<Silence> DecodeSilence(absl::string_view encoded);

/// A random (version 4) UUID.
std::string NewUuid();
/// Whether `text` has the form of a UUID.
bool IsUuid(absl::string_view text);

}  // namespace narthex::alertmanager
