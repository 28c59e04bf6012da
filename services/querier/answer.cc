#include "services/querier/answer.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/model/matcher.h"

namespace narthex::querier {
namespace {

constexpr absl::string_view kJson = "application/json";
constexpr std::size_t kFlushBytes = 256 << 10;

void AppendTexts(absl::string_view name, const std::vector<std::string>& texts,
                 std::string* out) {
  if (texts.empty()) return;
  absl::StrAppend(out, ",\"", name, "\":");
  JsonWriter(out).Strings(texts);
}

}  // namespace

struct ApiRoutes::Cors {
  model::AnchoredRegex origin;

  void Apply(const http::Request& request, http::Response& response) const {
    const absl::string_view sent = request.headers.Get("Origin");
    if (sent.empty()) return;
    http::Headers& headers = response.headers();
    headers.Set("Vary", "Origin");
    if (origin.Matches(sent)) headers.Set("Access-Control-Allow-Origin", sent);
    headers.Set("Access-Control-Allow-Headers",
                "Accept, Authorization, Content-Type, Origin");
    headers.Set("Access-Control-Allow-Methods", "GET, POST, OPTIONS");
    headers.Set("Access-Control-Expose-Headers", "Date");
  }
};

ErrorKind KindOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
      return {"bad_data", 400};
    case absl::StatusCode::kNotFound:
      return {"not_found", 404};
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kDataLoss:  // A chunk or block that is damaged.
      return {"execution", 422};
    case absl::StatusCode::kCancelled:
      return {"canceled", 499};
    case absl::StatusCode::kDeadlineExceeded:
      return {"timeout", 503};
    case absl::StatusCode::kUnavailable:
      return {"unavailable", 503};
    case absl::StatusCode::kPermissionDenied:
      return {"unavailable", 500};  // Switched off: trying again is no use.
    default:
      return {"internal", 500};
  }
}

Answer::Answer(http::Response* response)
    : response_(response), data_(&response->body()) {
  response_->body().assign("{\"status\":\"success\",\"data\":");
}

absl::Status Answer::Flush() {
  std::string& body = response_->body();
  if (body.size() < kFlushBytes) return absl::OkStatus();
  response_->headers().Set("Content-Type", kJson);
  sent_.clear();
  std::swap(body, sent_);
  return response_->Write(sent_);
}

void Answer::Finish(const absl::Status& status) {
  if (!status.ok()) {
    Fail(status);
    return;
  }
  if (no_data_) {
    response_->body().clear();
    response_->SetStatus(204);
    return;
  }
  std::string& body = response_->body();
  AppendTexts("warnings", warnings, &body);
  AppendTexts("infos", infos, &body);
  body.push_back('}');
  if (response_->streaming()) {
    // A client that is gone has no use for the rest.
    response_->Write(std::exchange(body, {})).IgnoreError();
    return;
  }
  response_->headers().Set("Content-Type", kJson);
}

void Answer::Fail(const absl::Status& status) {
  if (response_->streaming()) return response_->Abort(status.message());
  const ErrorKind kind = KindOf(status);
  std::string body;
  JsonWriter(&body)
      .BeginObject()
      .Key("status")
      .String("error")
      .Key("errorType")
      .String(kind.type)
      .Key("error")
      .String(status.message())
      .EndObject();
  response_->Send(kind.http_code, kJson, std::move(body));
}

absl::StatusOr<ApiRoutes> ApiRoutes::Create(http::Router* router,
                                            const std::string& cors_origin) {
  auto origin = model::AnchoredRegex::Create(cors_origin);
  if (!origin.ok()) {
    return base::Annotate(origin.status(), "--web.cors.origin");
  }
  return ApiRoutes(router,
                   std::make_shared<const Cors>(Cors{*std::move(origin)}));
}

void ApiRoutes::Add(absl::string_view methods, absl::string_view path,
                    ApiFunction function) {
  const auto cors = cors_;
  const auto handler = [cors, function = std::move(function)](
                           const http::Request& request,
                           http::Response& response) {
    cors->Apply(request, response);
    Answer answer(&response);
    answer.Finish(function(request, &answer));
  };
  const std::string pattern = absl::StrCat("/api/v1", path);
  router_->Handle(methods, pattern, handler);
  router_->Handle(
      "OPTIONS", pattern,
      [cors](const http::Request& request, http::Response& response) {
        cors->Apply(request, response);
        response.SetStatus(204);
      });
}

}  // namespace narthex::querier
