#include "libs/model/name_escaping.h"

#include <catch2/catch.hpp>

namespace narthex::model {
namespace {

TEST_CASE("escaped names are unescaped and others stand for themselves") {
  const std::pair<const char*, const char*> rows[] = {
      {"up", "up"},
      {"U__http_2e_status", "http.status"},
      {"U__a__b", "a_b"},
      {"U__", ""},
      {"U___1f600_", "\U0001f600"},
      {"U__a_2e", "U__a_2e"},
      {"U__a_xy_", "U__a_xy_"},
      {"U__a_1234567_", "U__a_1234567_"},
      {"U__a_d800_", "U__a_d800_"},
      {"U__a_110000_", "U__a_110000_"},
      {"U_a_2e_", "U_a_2e_"},
  };
  for (const auto& [name, unescaped] : rows) {
    INFO(name);
    CHECK(UnescapeName(name) == unescaped);
  }
}

}  // namespace
}  // namespace narthex::model
