#include "libs/exposition/format.h"

#include <catch2/catch.hpp>

namespace narthex::exposition {
namespace {

TEST_CASE("protocols go by their configured names") {
  for (const std::string& name : ProtocolNames()) {
    REQUIRE(ParseProtocol(name).has_value());
    CHECK(ProtocolName(*ParseProtocol(name)) == name);
  }
  CHECK_FALSE(ParseProtocol("OpenMetricsText2.0.0").has_value());
}

TEST_CASE("the Accept header lists protocols by falling preference") {
  CHECK(AcceptHeader(
            {Protocol::kOpenMetricsText100, Protocol::kPrometheusText004},
            "allow-utf-8") ==
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;"
        "q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.4");
}

}  // namespace
}  // namespace narthex::exposition
