#include "libs/http/message.h"

#include <catch2/catch.hpp>

namespace narthex::http {

TEST_CASE("header names compare without case and keep their order") {
  Headers headers{{"Content-Type", "text/plain"}, {"X-A", "1"}};
  headers.Add("x-a", "2");

  CHECK(headers.Get("content-type") == "text/plain");
  CHECK(headers.Get("X-a") == "1");
  headers.Set("X-A", "3");
  CHECK(headers.fields().size() == 2);
  CHECK(headers.Get("x-a") == "3");
  CHECK(headers.Get("absent").empty());
}

TEST_CASE("form fields of the body come before those of the query") {
  const auto request =
      Request::Make("POST", "/q?match[]=c&x=%20", "match[]=a&match%5B%5D=b+b",
                    {{"Content-Type", "application/x-www-form-urlencoded"}});

  CHECK(request.params.GetAll("match[]") ==
        std::vector<std::string>{"a", "b b", "c"});
  CHECK(request.params.Get("x") == " ");
}

TEST_CASE("a body that is no form leaves the parameters to the query") {
  const auto request =
      Request::Make("POST", "/q?a=1", "a=2", {{"Content-Type", "text/plain"}});
  CHECK(request.params.GetAll("a") == std::vector<std::string>{"1"});
}

TEST_CASE("malformed pairs of a query are left out, the others stay") {
  Params params;
  ParseQuery("a=%zz&b=2&c&=d&%41=e&f=1;g=2", &params);

  CHECK_FALSE(params.Has("a"));
  CHECK(params.Get("b") == "2");
  CHECK(params.Has("c"));
  CHECK(params.Get("A") == "e");
  CHECK_FALSE(params.Has("f"));
}

TEST_CASE("the path is given both as sent and decoded") {
  const auto request = Request::Make("GET", "/a%2Fb/c?d=e");
  CHECK(request.raw_path == "/a%2Fb/c");
  CHECK(request.path == "/a/b/c");
  CHECK(request.raw_query == "d=e");
}

TEST_CASE("an absolute target is reduced to its path") {
  const auto request = Request::Make("GET", "http://host:1/a?b");
  CHECK(request.path == "/a");
  Request malformed;
  CHECK_FALSE(FillTarget("nonsense", &malformed));
  CHECK_FALSE(FillTarget("/%g0", &malformed));
}

TEST_CASE("percent encoding is undone by decoding") {
  const std::string text = "a b/c?d=é\n~";
  std::string decoded;
  CHECK(PercentEncode(text) == "a%20b%2Fc%3Fd%3D%C3%A9%0A~");
  CHECK(PercentDecode(PercentEncode(text), true, &decoded));
  CHECK(decoded == text);
}

TEST_CASE("without a server, written chunks are collected in the body") {
  Response response;
  CHECK(response.Write("a").ok());
  CHECK(response.Write("b").ok());
  CHECK(response.body() == "ab");
}

}  // namespace narthex::http
