#include "services/querier/ui.h"

#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "libs/base/html.h"
#include "services/querier/ui/page.h"

namespace narthex::querier {
namespace {

// The page finds out by its address what to show.
constexpr absl::string_view kPaths[] = {
    "/query",  "/alerts", "/rules",       "/targets",          "/status",
    "/config", "/flags",  "/tsdb-status", "/service-discovery"};

// Nothing is loaded from elsewhere, and nobody may frame the page.
constexpr absl::string_view kSecurityPolicy =
    "default-src 'none'; connect-src 'self'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'";

}  // namespace

void AddUi(http::Router& router, const std::string& prefix,
           const std::string& title) {
  const auto page = std::make_shared<const std::string>(
      absl::StrReplaceAll(kPage, {{"{{title}}", base::EscapeHtml(title)}}));
  for (const absl::string_view path : kPaths) {
    router.Get(path, [page](const http::Request&, http::Response& response) {
      response.headers().Set("Content-Security-Policy", kSecurityPolicy);
      response.headers().Set("X-Content-Type-Options", "nosniff");
      response.Send(200, "text/html; charset=utf-8", *page);
    });
  }
  const std::string query = absl::StrCat(prefix, "/query");
  router.Get("/", [query](const http::Request&, http::Response& response) {
    response.Redirect(query);
  });
  // Where Prometheus had its expression browser before, and alerts link to.
  router.Get("/graph",
             [query](const http::Request& request, http::Response& response) {
               response.Redirect(absl::StrCat(query, "?", request.raw_query));
             });
}

}  // namespace narthex::querier
