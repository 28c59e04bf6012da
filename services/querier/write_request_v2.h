#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "services/querier/write_request.h"

/// Reading of Prometheus's remote-write 2.0 messages
/// (io.prometheus.write.v2.Request), whose texts stand once in a table.
namespace narthex::querier {

/// Walks the series of a request.
class WriteRequestV2Reader {
 public:
  /// `message` must outlive the reader.
  explicit WriteRequestV2Reader(absl::string_view message);

  /// Fills `*series` (reusing its memory) with the next; false at the end or
  /// when the message is malformed, see status(). The label bytes live until
  /// the next call. When the series refers to texts that are not there,
  /// series_status() says so, and of the series only the counts mean something.
  bool Next(WrittenSeries* series);
  const absl::Status& series_status() const { return series_status_; }
  /// Exemplars of the series that could not be read, one error each.
  const std::vector<absl::Status>& exemplar_errors() const {
    return exemplar_errors_;
  }
  /// kInvalidArgument when the message is malformed.
  const absl::Status& status() const { return status_; }

 private:
  bool Fail();
  bool ReadSeries(absl::string_view bytes, WrittenSeries* series);
  bool ReadExemplar(absl::string_view bytes, WrittenSeries* series);
  bool ReadMetadata(absl::string_view bytes, WrittenSeries* series);
  absl::Status AppendLabels(const std::vector<std::uint64_t>& refs,
                            std::string* label_bytes) const;
  absl::string_view SymbolOr(std::uint64_t ref) const;

  absl::string_view rest_;
  std::vector<absl::string_view> symbols_;
  std::string label_bytes_;
  absl::Status series_status_;
  std::vector<absl::Status> exemplar_errors_;
  absl::Status status_;
};

}  // namespace narthex::querier
