#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "libs/base/log.h"
#include "libs/cluster/push_columns.h"
#include "libs/tsdb/db.h"
#include "narthex/v1/ingester.pb.h"
#include "services/ingester/metrics.h"

namespace narthex::ingester {

/// What one push stream knows: which series of the database its writer's
/// references stand for. Used by one thread.
class PushStream {
 public:
  PushStream(tsdb::Db& db, Metrics& metrics, base::Logger log)
      : db_(db), metrics_(metrics), log_(std::move(log)) {}

  /// Stores a batch and says what became of it.
  v1::PushResponse Handle(const v1::PushRequest& request);

 private:
  // What stands behind a reference. Series of the database count from 1 and
  // stay below 2^32; there is one of these for each of the writer's.
  using Ref = std::uint32_t;
  static constexpr Ref kUnknown = 0;
  static constexpr Ref kRefused = ~Ref{0};
  static constexpr Ref kMalformed = kRefused - 1;

  absl::Status Declare(const v1::PushRequest& request);
  Ref DeclareOne(const std::string& encoded);
  Ref Known(storage::SeriesRef ref, std::size_t index,
            std::vector<storage::Rejection>* unknown);
  void TakeOthers(std::vector<storage::Rejection>* unknown);
  absl::Status Store(const v1::PushRequest& request,
                     v1::PushResponse* response);
  void Reject(std::size_t index, storage::RejectReason reason,
              v1::PushResponse* response);

  tsdb::Db& db_;
  Metrics& metrics_;
  const base::Logger log_;
  std::vector<Ref> series_;
  bool limit_logged_ = false;
  bool malformed_logged_ = false;
  // Reused from batch to batch.
  std::vector<cluster::RefSample> received_;
  cluster::PushBatch others_;
  std::vector<tsdb::RefSample> known_;
  std::vector<std::int64_t> starts_ms_;
  std::vector<tsdb::RefHistogram> histograms_;
  std::vector<tsdb::RefExemplar> exemplars_;
  std::vector<tsdb::RefMetadata> metadata_;
  std::vector<std::size_t> positions_;
  std::vector<storage::Rejection> rejected_;
};

}  // namespace narthex::ingester
