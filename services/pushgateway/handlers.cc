#include "services/pushgateway/handlers.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "libs/base/status.h"
#include "services/pushgateway/api_json.h"
#include "services/pushgateway/body_encoding.h"
#include "services/pushgateway/push_body.h"
#include "services/pushgateway/status_page.h"

namespace narthex::pushgateway {

namespace {

constexpr std::size_t kMaxBodyBytes = 256 << 20;
constexpr std::size_t kChunkBytes = 256 << 10;
constexpr absl::string_view kTextContentType =
    "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";

// Upstream's router cleans paths: "//" would be an empty value otherwise.
bool RedirectToCleanPath(const http::Request& request,
                         http::Response& response) {
  if (!absl::StrContains(request.raw_path, "//")) return false;
  std::string clean = request.raw_path;
  while (absl::StrReplaceAll({{"//", "/"}}, &clean) > 0) {
  }
  response.Redirect(clean, 301);
  return true;
}

}  // namespace

Handlers::Handlers(service::Process& process, Store& store, Metrics& metrics,
                   HandlerOptions options)
    : process_(process),
      store_(store),
      metrics_(metrics),
      options_(std::move(options)) {}

void Handlers::AddRoutes() {
  http::Router& router = process_.router();
  AddPushRoutes("/metrics/job/{group...}", /*job_is_base64=*/false);
  AddPushRoutes("/metrics/job@base64/{group...}", /*job_is_base64=*/true);
  router.Get(options_.telemetry_path,
             [this](const http::Request&, http::Response& response) {
               Expose(response);
             });
  router.Get("/api/v1/metrics",
             Counted("api", [this](const auto&, http::Response& response) {
               response.Send(200, "application/json",
                             MetricsJson(store_.Groups()));
             }));
  router.Get("/api/v1/status",
             Counted("api", [this](const auto&, http::Response& response) {
               response.Send(200, "application/json",
                             StatusJson(process_.flags().Values(),
                                        process_.start_time_ms()));
             }));
  if (options_.enable_admin_api) {
    router.Handle(
        "PUT", "/api/v1/admin/wipe",
        Counted("wipe", [this](const auto&, http::Response& response) {
          Answer(store_.Wipe(), response);
          if (response.status() == 200) response.SetStatus(202);
        }));
  }
  for (const char* path : {"/", "/status"}) {
    router.Get(path,
               Counted("status", [this](const auto&, http::Response& response) {
                 response.Send(200, "text/html; charset=utf-8",
                               StatusPage(process_, store_.Groups()));
               }));
  }
}

void Handlers::AddPushRoutes(absl::string_view path, bool job_is_base64) {
  http::Router& router = process_.router();
  router.Handle("PUT POST", path,
                Counted("push",
                        [this, job_is_base64](const http::Request& request,
                                              http::Response& response) {
                          Push(request, response, job_is_base64);
                        }),
                {.max_body_bytes = kMaxBodyBytes});
  router.Handle("DELETE", path,
                Counted("delete",
                        [this, job_is_base64](const http::Request& request,
                                              http::Response& response) {
                          Delete(request, response, job_is_base64);
                        }),
                {.max_body_bytes = kMaxBodyBytes});
}

http::Handler Handlers::Counted(std::string name, http::Handler handler) {
  return [this, name = std::move(name), handler = std::move(handler)](
             const http::Request& request, http::Response& response) {
    const std::int64_t begin_ns = process_.clock().MonotonicNs();
    handler(request, response);
    const std::string method = absl::AsciiStrToLower(request.method);
    metrics_.requests.With({absl::StrCat(response.status()), name, method})
        .Inc();
    if (name != "push") return;
    metrics_.push_seconds.With({method}).Observe(
        static_cast<double>(process_.clock().MonotonicNs() - begin_ns) / 1e9);
    metrics_.push_bytes.With({method}).Observe(
        static_cast<double>(request.body.size()));
  };
}

void Handlers::Push(const http::Request& request, http::Response& response,
                    bool job_is_base64) {
  if (RedirectToCleanPath(request, response)) return;
  const auto group = ParseGroupPath(request.PathParam("group"), job_is_base64,
                                    options_.utf8_names);
  if (!group.ok()) return response.Error(400, group.status().message());
  const auto text = DecodeBody(request, kMaxBodyBytes);
  if (!text.ok()) return Answer(text.status(), response);
  const auto mode = request.method == "PUT" ? Store::Mode::kReplaceGroup
                                            : Store::Mode::kReplaceFamilies;
  // An unchecked push is merely accepted.
  const int success = options_.check_consistency ? 200 : 202;
  if (const auto known = store_.PushValues(*group, text->view(), mode)) {
    response.SetStatus(success);
    return Answer(*known, response);
  }
  auto body = ParseTextBody(text->view(), *group, options_.utf8_names);
  if (!body.ok()) {
    process_.log().Debug("push refused", {{"err", body.status().message()}});
    return response.Error(400, body.status().message());
  }
  response.SetStatus(success);
  Answer(store_.Push(*group, text->view(), *std::move(body), mode), response);
}

void Handlers::Delete(const http::Request& request, http::Response& response,
                      bool job_is_base64) {
  if (RedirectToCleanPath(request, response)) return;
  const auto group = ParseGroupPath(request.PathParam("group"), job_is_base64,
                                    options_.utf8_names);
  if (!group.ok()) return response.Error(400, group.status().message());
  Answer(store_.Delete(*group), response);
  if (response.status() == 200) response.SetStatus(202);
}

void Handlers::Answer(const absl::Status& status, http::Response& response) {
  if (status.ok()) return;
  if (absl::IsInvalidArgument(status)) {
    process_.log().Warn("push refused", {{"err", status.message()}});
    return response.Error(400, status.message());
  }
  if (absl::IsUnimplemented(status)) {
    return response.Error(415, status.message());
  }
  if (absl::IsResourceExhausted(status)) {
    return response.Error(413, status.message());
  }
  process_.log().Error("change not stored", {{"err", status.message()}});
  response.Error(500, status.message());
}

// Merges the process's own families with the pushed ones, and sends family by
// family, so that a large page is never in memory as a whole.
void Handlers::Expose(http::Response& response) {
  response.headers().Set("Content-Type", kTextContentType);
  auto own = SplitFamilies(process_.registry().Expose());
  std::vector<std::string> names = store_.FamilyNames();
  std::string chunk;
  auto next_own = own.begin();
  for (const std::string& name : names) {
    for (; next_own != own.end() && next_own->first < name; ++next_own) {
      chunk += next_own->second;
    }
    const bool is_own = next_own != own.end() && next_own->first == name;
    if (is_own) chunk += (next_own++)->second;
    store_.AppendFamily(name, /*with_head=*/!is_own, &chunk);
    if (chunk.size() < kChunkBytes) continue;
    if (!response.Write(chunk).ok()) return;
    chunk.clear();
  }
  for (; next_own != own.end(); ++next_own) chunk += next_own->second;
  if (response.streaming()) {
    (void)response.Write(chunk);  // A client that left needs no answer.
  } else {
    response.body() = std::move(chunk);
  }
}

}  // namespace narthex::pushgateway
