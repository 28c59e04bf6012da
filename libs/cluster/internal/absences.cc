#include "libs/cluster/internal/absences.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace narthex::cluster::internal {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kPatience{500};
constexpr milliseconds kLittlePatience{20};

// What other ingesters make up for. The rest is the fault of the query or
// comes from whoever asks.
bool IsOfIngester(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kDataLoss:
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kAborted:
      return true;
    default:
      return false;
  }
}

}  // namespace

milliseconds Absences::PatienceWith(const IngesterPeer& peer) {
  return peer.missing ? kLittlePatience : kPatience;
}

absl::Status Absences::Note(const IngesterPeer& peer, const absl::Status& why) {
  if (allowed_ == 0 || !IsOfIngester(why.code())) return why;
  reasons_.emplace_back(why.message());
  if (report_.missing != nullptr) report_.missing->With({peer.address}).Inc();
  if (!peer.missing.exchange(true)) {
    report_.log.Warn("an ingester does not answer queries",
                     {{"ingester", peer.address}, {"err", why.ToString()}});
  }
  if (reasons_.size() <= allowed_) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(
      reasons_.size(), " of ", asked_, " ingesters did not answer, only ",
      allowed_, " can be missing: ", absl::StrJoin(reasons_, "; ")));
}

absl::Status Absences::NoteSilent(const IngesterPeer& peer) {
  return Note(peer, absl::UnavailableError(
                        absl::StrCat(peer.address, ": it does not answer")));
}

void Absences::NoteAnswer(const IngesterPeer& peer) const {
  if (!peer.missing.exchange(false)) return;
  report_.log.Info("an ingester answers queries again",
                   {{"ingester", peer.address}});
}

}  // namespace narthex::cluster::internal
