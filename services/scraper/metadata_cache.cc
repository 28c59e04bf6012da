#include "services/scraper/metadata_cache.h"

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

namespace narthex::scraper {

std::shared_ptr<const model::Metadata> MetadataPool::Intern(
    model::Metadata metadata) {
  const std::string key =
      absl::StrCat(metadata.metric, "\xff", static_cast<int>(metadata.type),
                   "\xff", metadata.unit, "\xff", metadata.help);
  base::MutexLock lock(mutex_);
  std::weak_ptr<const model::Metadata>& known = pool_[key];
  if (auto shared = known.lock()) return shared;
  auto shared = std::make_shared<const model::Metadata>(std::move(metadata));
  known = shared;
  if (pool_.size() > sweep_at_) {
    for (auto it = pool_.begin(); it != pool_.end();) {
      if (it->second.expired()) {
        pool_.erase(it++);
      } else {
        ++it;
      }
    }
    sweep_at_ = 2 * pool_.size() + 1024;
  }
  return shared;
}

void MetadataCache::BeginScrape() {
  current_ = {};
  list_.clear();
  next_ = 0;
  changed_ = false;
}

void MetadataCache::Enter(absl::string_view metric) {
  if (current_.metric == metric) return;
  Leave();
  current_.metric.assign(metric.data(), metric.size());
}

void MetadataCache::Leave() {
  if (current_.metric.empty()) return;
  // Only this thread writes what is published, so it may read it unlocked.
  const auto published =
      [this]()
          ABSL_NO_THREAD_SAFETY_ANALYSIS -> const List& { return published_; };
  if (!changed_ && next_ < published().size() &&
      *published()[next_] == current_) {
    ++next_;
  } else {
    if (!changed_) {
      list_.assign(published().begin(),
                   published().begin() + static_cast<std::ptrdiff_t>(next_));
      changed_ = true;
    }
    list_.push_back(pool_.Intern(current_));
  }
  current_.metric.clear();
  current_.help.clear();
  current_.unit.clear();
  current_.type = model::MetricType::kUnknown;
}

void MetadataCache::Help(absl::string_view metric, absl::string_view help) {
  Enter(metric);
  current_.help.assign(help.data(), help.size());
}

void MetadataCache::Type(absl::string_view metric, model::MetricType type) {
  Enter(metric);
  current_.type = type;
}

void MetadataCache::Unit(absl::string_view metric, absl::string_view unit) {
  Enter(metric);
  current_.unit.assign(unit.data(), unit.size());
}

void MetadataCache::EndScrape(bool good) {
  Leave();
  if (!good) return;
  base::MutexLock lock(mutex_);
  if (changed_ || next_ < published_.size()) {
    Count(-1);
    if (changed_) {
      published_ = std::move(list_);
    } else {
      published_.resize(next_);
    }
    Count(1);
  }
  list_.clear();
}

MetadataCache::~MetadataCache() {
  base::ReaderMutexLock lock(mutex_);
  Count(-1);
}

void MetadataCache::Count(double sign) {
  if (!size_.has_value()) return;
  std::size_t bytes = 0;
  for (const auto& one : published_) {
    bytes += one->help.size() + one->unit.size() +
             std::strlen(model::MetricTypeName(one->type));
  }
  size_->entries.Add(sign * static_cast<double>(published_.size()));
  size_->bytes.Add(sign * static_cast<double>(bytes));
}

MetadataCache::List MetadataCache::Get() const {
  base::ReaderMutexLock lock(mutex_);
  return published_;
}

}  // namespace narthex::scraper
