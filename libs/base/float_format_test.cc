#include "libs/base/float_format.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <string>

namespace narthex::base {

TEST_CASE("floats print in full with the shortest digits") {
  CHECK(FormatFloat(106494929536785392.0) == "106494929536785390");
  CHECK(FormatFloat(9007199254740993.0) == "9007199254740992");
  CHECK(FormatFloat(-1e300) == "-1" + std::string(300, '0'));
  CHECK(FormatFloat(1.5e17) == "150000000000000000");
}

TEST_CASE("floats print as Go's shortest fixed form") {
  CHECK(FormatFloat(0) == "0");
  CHECK(FormatFloat(-0.0) == "-0");
  CHECK(FormatFloat(0.1) == "0.1");
  CHECK(FormatFloat(1e21) == "1000000000000000000000");
  CHECK(FormatFloat(5e-324).size() == 326);
  CHECK(FormatFloat(std::numeric_limits<double>::infinity()) == "+Inf");
  CHECK(FormatFloat(std::nan("")) == "NaN");
}

TEST_CASE("floats print with an exponent where Go's %v does") {
  CHECK(FormatFloatG(123456) == "123456");
  CHECK(FormatFloatG(1048576) == "1.048576e+06");
  CHECK(FormatFloatG(1e21) == "1e+21");
  CHECK(FormatFloatG(0.0001) == "0.0001");
  CHECK(FormatFloatG(0.00001) == "1e-05");
  CHECK(FormatFloatG(123.456) == "123.456");
}

TEST_CASE("floats parse as Go parses them") {
  CHECK(ParseFloat("1.5e3").value() == 1500);
  CHECK(ParseFloat("+1").value() == 1);
  CHECK(ParseFloat(".5").value() == 0.5);
  CHECK(ParseFloat("0x1p-2").value() == 0.25);
  CHECK(ParseFloat("-0x1p4").value() == -16);
  CHECK(std::isinf(ParseFloat("-Inf").value()));
  CHECK(std::isnan(ParseFloat("nan").value()));
  CHECK(ParseFloat("1e-400").value() == 0);
  for (const char* text :
       {"", "1x", "e5", "+-1", "0x1", "1e400", "--1", "+", "0x", " 1", "1 "}) {
    INFO(text);
    CHECK_FALSE(ParseFloat(text).ok());
  }
}

}  // namespace narthex::base
