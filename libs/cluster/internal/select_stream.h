#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "libs/cluster/internal/absences.h"
#include "libs/cluster/internal/ingester_peer.h"
#include "libs/cluster/internal/stream_call.h"
#include "libs/storage/storage.h"

namespace narthex::cluster::internal {

using SelectCall = StreamCall<v1::SelectResponse>;

/// Begins a selection.
std::unique_ptr<SelectCall> StartSelect(const IngesterPeer& peer,
                                        const v1::SelectRequest& request,
                                        const CallLimits& limits);

/// The selections of all ingesters, one set each, as they stream in.
std::vector<std::unique_ptr<storage::ChunkSeriesSet>> StreamSelections(
    const IngesterPeers& peers, const v1::SelectRequest& request,
    const CallLimits& limits);

/// Likewise from replicas: a set ends early, without an error, when its
/// ingester fails, or is silent while the others go on, and `absences` does
/// without it.
std::vector<std::unique_ptr<storage::ChunkSeriesSet>> StreamReplicas(
    const IngesterPeers& peers, const v1::SelectRequest& request,
    const CallLimits& limits, const Absences& absences);

}  // namespace narthex::cluster::internal
