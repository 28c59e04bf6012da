#include "libs/storage/series_set.h"

#include <utility>

#include "libs/base/status.h"

namespace narthex::storage {
namespace {

class ListedSet : public SeriesSet {
 public:
  explicit ListedSet(std::vector<std::unique_ptr<Series>> series)
      : series_(std::move(series)) {}

  bool Next() override { return next_++ < series_.size(); }
  std::unique_ptr<Series> At() override {
    return std::move(series_[next_ - 1]);
  }
  absl::Status status() const override { return absl::OkStatus(); }

 private:
  std::vector<std::unique_ptr<Series>> series_;
  std::size_t next_ = 0;
};

}  // namespace

absl::StatusOr<bool> SeriesSet::NextSamples(model::Labels* labels,
                                            model::SampleColumns* samples) {
  if (!Next()) {
    NARTHEX_RETURN_IF_ERROR(status());
    return false;
  }
  const std::unique_ptr<Series> series = At();
  *labels = series->labels();
  samples->clear();
  NARTHEX_RETURN_IF_ERROR(series->Read(samples));
  return true;
}

absl::StatusOr<std::unique_ptr<SeriesSet>> SeriesSet::Split(std::size_t count) {
  std::vector<std::unique_ptr<Series>> series;
  while (series.size() < count && Next()) series.push_back(At());
  NARTHEX_RETURN_IF_ERROR(status());
  if (series.empty()) return nullptr;
  return ListSeries(std::move(series));
}

std::unique_ptr<SeriesSet> ListSeries(
    std::vector<std::unique_ptr<Series>> series) {
  return std::make_unique<ListedSet>(std::move(series));
}

}  // namespace narthex::storage
