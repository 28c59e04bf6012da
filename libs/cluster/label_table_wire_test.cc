#include "libs/cluster/label_table_wire.h"

#include <catch2/catch.hpp>

#include "absl/strings/str_cat.h"
#include "narthex/v1/ingester.pb.h"

namespace narthex::cluster {
namespace {

using storage::LabelTable;

LabelTable Numbered(int count) {
  storage::LabelTableBuilder builder;
  for (int i = 0; i < count; ++i) {
    builder.Add({{"__name__", "m"},
                 {"i", absl::StrCat(1'000'000 + i)},
                 {"parity", i % 2 == 0 ? "even" : "odd"}});
  }
  return std::move(builder).Build();
}

std::vector<v1::SelectResponse> Sent(const LabelTable& table,
                                     std::size_t limit) {
  std::vector<v1::SelectResponse> responses;
  bool ended = table.size() == 0;
  REQUIRE(SendLabelTable(table, limit, [&](const auto& response, bool last) {
    REQUIRE_FALSE(ended);
    responses.push_back(response);
    ended = last;
    return true;
  }));
  REQUIRE(ended);
  return responses;
}

TEST_CASE("a table arrives as it was sent, in one response or several") {
  for (const int count : {0, 1, 3, 100'000}) {
    INFO(count);
    const LabelTable table = Numbered(count);
    const auto responses = Sent(table, 0);
    CHECK((responses.size() > 1) == (count == 100'000));
    LabelTableReader reader;
    for (const auto& response : responses) REQUIRE(reader.Add(response).ok());
    const LabelTable read = std::move(reader).Take();
    REQUIRE(read.size() == table.size());
    REQUIRE(read.pair_count() == table.pair_count());
    for (std::size_t i = 0; i < table.size(); ++i) {
      REQUIRE(read.LabelsOf(i) == table.LabelsOf(i));
    }
  }
}

TEST_CASE("a limit leaves out rows and the pairs that only they have") {
  LabelTableReader reader;
  for (const auto& response : Sent(Numbered(10), 2)) {
    REQUIRE(reader.Add(response).ok());
  }
  const LabelTable read = std::move(reader).Take();
  CHECK(read.size() == 2);
  CHECK(read.pair_count() == 5);
}

TEST_CASE("sending ends when nobody waits") {
  int calls = 0;
  CHECK_FALSE(SendLabelTable(Numbered(100'000), 0, [&](const auto&, bool) {
    ++calls;
    return false;
  }));
  CHECK(calls == 1);
}

TEST_CASE("malformed label sets are refused") {
  const v1::SelectResponse whole = Sent(Numbered(3), 0).at(0);
  for (std::size_t cut = 1; cut < whole.label_rows().size(); ++cut) {
    v1::SelectResponse response = whole;
    response.mutable_label_rows()->resize(cut);
    LabelTableReader().Add(response).IgnoreError();  // Must not crash.
  }
  for (std::size_t cut = 1; cut < whole.label_pairs().size(); ++cut) {
    INFO(cut);
    v1::SelectResponse response = whole;
    response.mutable_label_pairs()->resize(cut);
    CHECK(LabelTableReader().Add(response).code() ==
          absl::StatusCode::kDataLoss);
  }
  for (const std::string& rows :
       {std::string("\1\0", 2), std::string("\0\1\5", 3), std::string("\0", 1),
        std::string("\0\x7f", 2)}) {
    v1::SelectResponse response;
    response.set_label_rows(rows);
    CHECK(LabelTableReader().Add(response).code() ==
          absl::StatusCode::kDataLoss);
  }
}

}  // namespace
}  // namespace narthex::cluster
