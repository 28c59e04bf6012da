#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "libs/base/log.h"
#include "libs/cluster/internal/ingester_peer.h"
#include "libs/metrics/metrics.h"

namespace narthex::cluster::internal {

/// Who is told of ingesters that are missing from answers.
struct AbsenceReport {
  base::Logger log;
  /// By ingester; may be null.
  metrics::CounterFamily* missing = nullptr;
};

/// The ingesters that are missing from one answer. Used under one lock.
class Absences {
 public:
  /// The answer is whole while at most `allowed` of the `asked` ingesters are
  /// missing. `report` outlives this.
  Absences(std::size_t asked, std::size_t allowed, const AbsenceReport& report)
      : asked_(asked), allowed_(allowed), report_(report) {}

  /// How many more may be missing.
  std::size_t left() const {
    return allowed_ > reasons_.size() ? allowed_ - reasons_.size() : 0;
  }
  /// How long to wait for one when enough others have answered: less for who
  /// was missing the last time.
  static std::chrono::milliseconds PatienceWith(const IngesterPeer& peer);

  /// The ingester failed, `why` beginning with its name. OK: the answer does
  /// without it. Otherwise the error of the whole, which names all that are
  /// missing.
  absl::Status Note(const IngesterPeer& peer, const absl::Status& why);
  /// It has said nothing for too long.
  absl::Status NoteSilent(const IngesterPeer& peer);
  /// It has answered.
  void NoteAnswer(const IngesterPeer& peer) const;

 private:
  const std::size_t asked_;
  const std::size_t allowed_;
  const AbsenceReport& report_;
  std::vector<std::string> reasons_;
};

}  // namespace narthex::cluster::internal
