#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "libs/model/exemplar.h"
#include "libs/model/labels.h"
#include "libs/model/sample.h"
#include "services/querier/written_histogram.h"

/// Reading of Prometheus's remote-write 1.0 messages (prometheus.WriteRequest)
/// without building them: a known series costs no label parsing.
namespace narthex::querier {

/// One series of a request. The views live as long as the request's bytes.
struct WrittenSeries {
  /// The encoded labels, as they stand in the message: equal bytes are equal
  /// labels.
  absl::string_view label_bytes;
  /// What label_bytes views when the labels are not in one piece.
  std::string scattered_labels;
  std::vector<model::Sample> samples;
  /// When the counter behind each sample began; 0: not told. Only of version
  /// 2; as many as samples, or none.
  std::vector<std::int64_t> starts_ms;
  std::vector<WrittenHistogram> histograms;
  std::vector<model::Exemplar> exemplars;
  /// Only of version 2, which says it of every series.
  std::optional<model::Metadata> metadata;

  /// Forgets all, keeping the memory.
  void Clear();
};

/// Appends one label to `*label_bytes`.
void AppendWrittenLabel(absl::string_view name, absl::string_view value,
                        std::string* label_bytes);

/// Reads a sample of either version. False when it is malformed. `*start_ms`,
/// if wanted, is set to the start time that version 2 may tell.
bool ReadSample(absl::string_view bytes, model::Sample* sample,
                std::int64_t* start_ms = nullptr);

/// Walks the series of a request.
class WriteRequestReader {
 public:
  explicit WriteRequestReader(absl::string_view message) : rest_(message) {}

  /// Fills `*series` (reusing its memory) with the next; false at the end or
  /// on an error, see status().
  bool Next(WrittenSeries* series);
  /// kInvalidArgument when the message is malformed.
  const absl::Status& status() const { return status_; }

 private:
  bool Fail();
  bool ReadSeries(absl::string_view bytes, WrittenSeries* series);

  absl::string_view rest_;
  absl::Status status_;
};

/// Parses WrittenSeries::label_bytes. kInvalidArgument, naming the labels,
/// when there is no metric name, a name or value is no UTF-8, a name is empty
/// or repeated.
absl::Status ParseWrittenLabels(absl::string_view label_bytes,
                                model::Labels* labels);

}  // namespace narthex::querier
