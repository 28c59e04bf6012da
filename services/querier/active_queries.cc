#include "services/querier/active_queries.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "services/querier/json_writer.h"

namespace narthex::querier {
namespace {

constexpr std::size_t kPlaceBytes = 1000;

// What an earlier process left: its places without the zeros, as an array.
std::string Unfinished(absl::string_view content) {
  std::string found;
  for (std::size_t at = 1; at < content.size(); at += kPlaceBytes) {
    absl::string_view place = content.substr(at, kPlaceBytes);
    place = place.substr(0, place.find('\0'));
    if (!place.empty() && place.back() == ',') place.remove_suffix(1);
    if (place.empty()) continue;
    absl::StrAppend(&found, found.empty() ? "" : ",", place);
  }
  return found.empty() ? found : absl::StrCat("[", found, "]");
}

// A query as one place; a long one is cut so that it fits.
std::string Entry(absl::string_view query, std::int64_t unix_seconds) {
  for (std::size_t length = query.size();; length = length * 3 / 4) {
    std::string entry;
    JsonWriter(&entry)
        .BeginObject()
        .Key("query")
        .String(query.substr(0, length))
        .Key("timestamp_sec")
        .Int(unix_seconds)
        .EndObject();
    entry.push_back(',');
    if (entry.size() <= kPlaceBytes) return entry;
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<ActiveQueries>> ActiveQueries::Open(
    const std::string& path, std::size_t places, const base::Logger& log) {
  const absl::StatusOr<std::string> before = base::ReadFile(path);
  if (before.ok()) {
    const std::string unfinished = Unfinished(*before);
    if (!unfinished.empty()) {
      log.Info("these queries did not finish in the last run",
               {{"queries", unfinished}});
    }
  }
  base::UniqueFd file(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!file) return base::ErrnoStatus(errno, "create", path);
  std::unique_ptr<ActiveQueries> active(
      new ActiveQueries(std::move(file), places));
  const std::string empty(kPlaceBytes, '\0');
  for (std::size_t i = 0; i < places; ++i) active->Write(i, empty);
  if (::pwrite(active->file_.get(), "[", 1, 0) != 1) {
    return base::ErrnoStatus(errno, "write", path);
  }
  return active;
}

ActiveQueries::ActiveQueries(base::UniqueFd file, std::size_t places)
    : file_(std::move(file)) {
  base::MutexLock lock(mutex_);
  for (std::size_t i = places; i > 0; --i) free_.push_back(i - 1);
}

// A full disk costs the note, not the query.
void ActiveQueries::Write(std::size_t place, absl::string_view text) {
  const auto offset = static_cast<off_t>(1 + place * kPlaceBytes);
  const ssize_t written =
      ::pwrite(file_.get(), text.data(), text.size(), offset);
  static_cast<void>(written);
}

ActiveQueries::Scope::Scope(ActiveQueries* active, absl::string_view query,
                            std::int64_t unix_seconds)
    : active_(active) {
  if (active_ == nullptr) return;
  {
    base::MutexLock lock(active_->mutex_);
    if (active_->free_.empty()) return;
    place_ = active_->free_.back();
    active_->free_.pop_back();
  }
  noted_ = true;
  std::string entry = Entry(query, unix_seconds);
  entry.resize(kPlaceBytes, '\0');
  active_->Write(place_, entry);
}

ActiveQueries::Scope::~Scope() {
  if (!noted_) return;
  active_->Write(place_, std::string(kPlaceBytes, '\0'));
  base::MutexLock lock(active_->mutex_);
  active_->free_.push_back(place_);
}

}  // namespace narthex::querier
