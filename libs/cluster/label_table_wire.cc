#include "libs/cluster/label_table_wire.h"

#include <algorithm>
#include <limits>

#include "libs/base/varint.h"
#include "narthex/v1/ingester.pb.h"

namespace narthex::cluster {
namespace {

using PairNumber = storage::LabelTable::PairNumber;

constexpr std::size_t kMessageBytes = 512 << 10;
constexpr PairNumber kUnsent = std::numeric_limits<PairNumber>::max();

void PutText(absl::string_view text, std::string* out) {
  base::PutUvarint(text.size(), out);
  out->append(text.data(), text.size());
}

absl::Status Malformed() {
  return absl::DataLossError("received malformed label sets");
}

}  // namespace

bool SendLabelTable(
    const storage::LabelTable& table, std::size_t limit,
    absl::FunctionRef<bool(const v1::SelectResponse&, bool last)> send) {
  const std::size_t rows =
      limit == 0 ? table.size() : std::min(limit, table.size());
  // Pairs are sent, and numbered, as rows need them.
  std::vector<PairNumber> sent_as(table.pair_count(), kUnsent);
  PairNumber sent = 0;
  v1::SelectResponse response;
  for (std::size_t i = 0; i < rows; ++i) {
    const storage::LabelTable::Row row = table.row(i);
    const std::size_t shared = table.SharedWithPrevious(i);
    std::string* const out = response.mutable_label_rows();
    base::PutUvarint(shared, out);
    base::PutUvarint(row.size() - shared, out);
    for (const PairNumber number : row.subspan(shared)) {
      if (sent_as[number] == kUnsent) {
        sent_as[number] = sent++;
        const model::Label pair = table.pair(number);
        PutText(pair.name, response.mutable_label_pairs());
        PutText(pair.value, response.mutable_label_pairs());
      }
      base::PutUvarint(sent_as[number], out);
    }
    const bool last = i + 1 == rows;
    if (!last && out->size() + response.label_pairs().size() < kMessageBytes) {
      continue;
    }
    if (!send(response, last)) return false;
    response.Clear();
  }
  return true;
}

absl::Status LabelTableReader::Add(const v1::SelectResponse& response) {
  base::ByteReader pairs(response.label_pairs());
  while (pairs.remaining() > 0) {
    const absl::string_view name = pairs.UvarintBytes();
    const absl::string_view value = pairs.UvarintBytes();
    if (!pairs.ok() || name.empty() || value.empty()) return Malformed();
    table_.AddPair(name, value);
  }
  base::ByteReader rows(response.label_rows());
  while (rows.remaining() > 0) {
    const std::uint64_t shared = rows.Uvarint();
    std::uint64_t more = rows.Uvarint();
    if (shared > row_.size() || more > rows.remaining()) return Malformed();
    row_.resize(shared);
    for (; more > 0; --more) {
      const std::uint64_t number = rows.Uvarint();
      if (number >= table_.pair_count()) return Malformed();
      row_.push_back(static_cast<PairNumber>(number));
    }
    if (!rows.ok()) return Malformed();
    table_.AddRow(row_);
  }
  return absl::OkStatus();
}

}  // namespace narthex::cluster
