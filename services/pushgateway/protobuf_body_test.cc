#include "services/pushgateway/protobuf_body.h"

#include <bit>
#include <catch2/catch.hpp>

#include "absl/strings/str_cat.h"
#include "libs/base/varint.h"

namespace narthex::pushgateway {

namespace {

std::string Bytes(int field, absl::string_view content) {
  std::string out;
  base::PutUvarint(static_cast<std::uint64_t>(field << 3 | 2), &out);
  base::PutUvarint(content.size(), &out);
  absl::StrAppend(&out, content);
  return out;
}

std::string Number(int field, std::uint64_t value) {
  std::string out;
  base::PutUvarint(static_cast<std::uint64_t>(field << 3), &out);
  base::PutUvarint(value, &out);
  return out;
}

std::string Double(int field, double value) {
  std::string out;
  base::PutUvarint(static_cast<std::uint64_t>(field << 3 | 1), &out);
  auto bits = std::bit_cast<std::uint64_t>(value);
  for (int i = 0; i < 8; ++i, bits >>= 8) {
    out.push_back(static_cast<char>(bits & 0xff));
  }
  return out;
}

std::string Delimited(absl::string_view message) {
  std::string out;
  base::PutUvarint(message.size(), &out);
  return absl::StrCat(out, message);
}

std::string Family(absl::string_view name, std::uint64_t type,
                   absl::string_view metric) {
  return Delimited(
      absl::StrCat(Bytes(1, name), Number(3, type), Bytes(4, metric)));
}

const std::string kLabel = Bytes(1, Bytes(1, "a") + Bytes(2, "b\n"));

}  // namespace

TEST_CASE("families of all types become text") {
  const std::string body = absl::StrCat(
      Delimited(Bytes(1, "c") + Bytes(2, "Help.") + Number(3, 0) +
                Bytes(4, kLabel + Bytes(3, Double(1, 2)))),
      Family("g", 1, Bytes(2, Double(1, 1.5))),
      Family("u", 3, Bytes(5, Double(1, 3)) + Number(6, 1234)),
      Family("s", 2,
             Bytes(4, Number(1, 7) + Double(2, 8) +
                          Bytes(3, Double(1, 0.5) + Double(2, 9)))),
      Family("h", 4,
             kLabel + Bytes(7, Number(1, 4) + Double(2, 5) +
                                   Bytes(3, Number(1, 3) + Double(2, 1)))));
  const auto text = ProtobufToText(body);
  REQUIRE(text.ok());
  CHECK(*text ==
        "# HELP c Help.\n# TYPE c counter\nc{a=\"b\\n\"} 2\n"
        "# TYPE g gauge\ng{} 1.5\n"
        "# TYPE u untyped\nu{} 3 1234\n"
        "# TYPE s summary\ns_count{} 7\ns_sum{} 8\ns{quantile=\"0.5\"} 9\n"
        "# TYPE h histogram\nh_count{a=\"b\\n\"} 4\nh_sum{a=\"b\\n\"} 5\n"
        "h_bucket{a=\"b\\n\",le=\"1\"} 3\n");
}

TEST_CASE("a cut or malformed message is refused") {
  const std::string body = Family("g", 1, kLabel + Bytes(2, Double(1, 1.5)));
  for (std::size_t cut = 1; cut < body.size(); ++cut) {
    INFO(cut);
    CHECK(
        absl::IsInvalidArgument(ProtobufToText(body.substr(0, cut)).status()));
  }
  CHECK(absl::IsInvalidArgument(ProtobufToText("x 3\n").status()));
  CHECK(absl::IsInvalidArgument(ProtobufToText(Delimited("")).status()));
  CHECK(ProtobufToText("").ok());
}

TEST_CASE("native histograms are refused as such") {
  const std::string body =
      Family("h", 4, Bytes(7, Number(1, 4) + Number(5, 3)));
  CHECK(absl::IsUnimplemented(ProtobufToText(body).status()));
}

}  // namespace narthex::pushgateway
