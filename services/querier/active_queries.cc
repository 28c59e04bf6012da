#include "services/querier/active_queries.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/file.h"
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
  const base::UniqueFd file(
      ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!file) return base::ErrnoStatus(errno, "create", path);
  // All of it is on disk before it is mapped: a full disk is an error here
  // rather than a signal later.
  const std::size_t size = 1 + places * kPlaceBytes;
  const int error = ::posix_fallocate(file.get(), 0, static_cast<off_t>(size));
  if (error != 0) return base::ErrnoStatus(error, "allocate", path);
  void* const mapped =
      ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  if (mapped == MAP_FAILED) return base::ErrnoStatus(errno, "map", path);
  return std::unique_ptr<ActiveQueries>(
      new ActiveQueries(static_cast<char*>(mapped), places));
}

ActiveQueries::ActiveQueries(char* mapped, std::size_t places)
    : mapped_(mapped), size_(1 + places * kPlaceBytes) {
  *mapped_ = '[';
  base::MutexLock lock(mutex_);
  for (std::size_t i = places; i > 0; --i) free_.push_back(i - 1);
}

ActiveQueries::~ActiveQueries() { ::munmap(mapped_, size_); }

char* ActiveQueries::At(std::size_t place) {
  return mapped_ + 1 + place * kPlaceBytes;
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
  const std::string entry = Entry(query, unix_seconds);
  std::memcpy(active_->At(place_), entry.data(), entry.size());
}

ActiveQueries::Scope::~Scope() {
  if (!noted_) return;
  std::memset(active_->At(place_), 0, kPlaceBytes);
  base::MutexLock lock(active_->mutex_);
  active_->free_.push_back(place_);
}

}  // namespace narthex::querier
