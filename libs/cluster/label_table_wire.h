#pragma once

#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "libs/storage/label_table.h"

namespace narthex::v1 {
class SelectResponse;
}  // namespace narthex::v1

namespace narthex::cluster {

/// Sends a table as responses of about half a MiB; at most `limit` rows (0:
/// all) and no pair that they do not use. False as soon as `send` is, which is
/// told which response is the last. An empty table is no response.
bool SendLabelTable(
    const storage::LabelTable& table, std::size_t limit,
    absl::FunctionRef<bool(const v1::SelectResponse&, bool last)> send);

/// Puts the table of one stream together again.
class LabelTableReader {
 public:
  /// Requires what the stream sent before. kDataLoss when malformed.
  absl::Status Add(const v1::SelectResponse& response);
  storage::LabelTable Take() && { return std::move(table_); }

 private:
  storage::LabelTable table_;
  std::vector<storage::LabelTable::PairNumber> row_;
};

}  // namespace narthex::cluster
