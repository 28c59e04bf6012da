#include "libs/http/router.h"

#include <catch2/catch.hpp>
#include <stdexcept>

#include "absl/strings/str_cat.h"

namespace narthex::http {

namespace {

Handler Says(std::string text) {
  return [text = std::move(text)](const Request& request, Response& response) {
    std::string body = text;
    for (const auto& [name, value] : request.path_params.items()) {
      absl::StrAppend(&body, " ", name, "=", value);
    }
    response.Send(200, "text/plain", body);
  };
}

Response Ask(const Router& router, absl::string_view method,
             absl::string_view target) {
  Request request = Request::Make(method, target);
  Response response;
  router.Serve(request, response);
  return response;
}

}  // namespace

TEST_CASE("the most specific pattern answers") {
  Router router;
  router.Get("/{rest...}", Says("rest"));
  router.Get("/label/{name}/values", Says("values"));
  router.Get("/label/x/values", Says("exact"));
  router.Get("/static/{path...}", Says("static"));
  router.Get("/", Says("root"));

  CHECK(Ask(router, "GET", "/").body() == "root");
  CHECK(Ask(router, "GET", "/label/x/values").body() == "exact");
  CHECK(Ask(router, "GET", "/label/y/values").body() == "values name=y");
  CHECK(Ask(router, "GET", "/label//values").body() ==
        "rest rest=label//values");
  CHECK(Ask(router, "GET", "/static/a/b").body() == "static path=a/b");
  CHECK(Ask(router, "GET", "/static/").body() == "static path=");
  CHECK(Ask(router, "GET", "/static").body() == "rest rest=static");
  CHECK(Ask(router, "GET", "/other").body() == "rest rest=other");
}

TEST_CASE("an escaped slash stays inside its segment") {
  Router router;
  router.Get("/label/{name}/values", Says("values"));
  CHECK(Ask(router, "GET", "/label/a%2Fb/values").body() == "values name=a/b");
  CHECK(Ask(router, "GET", "/label/a/b/values").status() == 404);
  CHECK(Ask(router, "GET", "/label/%zz/values").status() == 400);
}

TEST_CASE("a wrong method is answered with the allowed ones") {
  Router router;
  router.Get("/a", Says("get"));
  router.Handle("POST PUT", "/a", Says("post"));

  const Response response = Ask(router, "DELETE", "/a");
  CHECK(response.status() == 405);
  CHECK(response.headers().Get("Allow") == "GET, HEAD, POST, PUT");
  CHECK(Ask(router, "HEAD", "/a").body() == "get");
  CHECK(Ask(router, "PUT", "/a").body() == "post");
  CHECK(Ask(router, "GET", "/b").status() == 404);
}

TEST_CASE("a prefix is stripped and the root leads to it") {
  Router router;
  router.SetPrefix("/prom");
  router.Get("/graph", Says("graph"));
  router.Get("/", Says("root"));
  router.Get("/a/{b}", Says("a"));

  CHECK(Ask(router, "GET", "/prom/graph").body() == "graph");
  CHECK(Ask(router, "GET", "/prom/a/x").body() == "a b=x");
  CHECK(Ask(router, "GET", "/graph").status() == 404);
  CHECK(Ask(router, "GET", "/").headers().Get("Location") == "/prom/");
}

TEST_CASE("a handler's exception becomes an answer") {
  Router router;
  router.Get("/a", [](const Request&, Response&) {
    throw std::runtime_error("broken");
  });
  CHECK(Ask(router, "GET", "/a").status() == 500);
}

TEST_CASE("a filter can answer in place of the handler") {
  Router router;
  router.Get("/a", Says("a"));
  router.Get("/b", Says("b"));
  router.SetFilter([](const Route* route, const Request&, Response& response) {
    if (route != nullptr && route->name() == "/a") return true;
    response.Error(503, "not ready");
    return false;
  });
  CHECK(Ask(router, "GET", "/a").body() == "a");
  CHECK(Ask(router, "GET", "/b").status() == 503);
  CHECK(Ask(router, "GET", "/unknown").status() == 503);
}

TEST_CASE("route names are written as Prometheus writes handlers") {
  Router router;
  router.Get("/api/v1/label/{name}/values", Says(""));
  router.Get("/static/{path...}", Says(""));
  CHECK(router.Find("/api/v1/label/x/values")->name() ==
        "/api/v1/label/:name/values");
  CHECK(router.Find("/static/x")->name() == "/static/*path");
}

}  // namespace narthex::http
