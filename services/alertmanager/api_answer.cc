#include "services/alertmanager/api_answer.h"

#include <algorithm>
#include <array>

#include "absl/strings/ascii.h"
#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/base/quote.h"
#include "libs/base/status.h"
#include "services/alertmanager/json.h"

namespace narthex::alertmanager {
namespace {

constexpr char kCodePayload[] = "narthex/alertmanager/form-code";
constexpr std::size_t kPieceBytes = 256 << 10;

void SetHeaders(http::Response& response) {
  response.headers().Set("Cache-Control", "no-store");
  response.headers().Set("Content-Type", "application/json");
}

}  // namespace

void SendJson(http::Response& response, std::string json) {
  SetHeaders(response);
  json += '\n';
  response.body() = std::move(json);
}

void SendError(http::Response& response, int status, absl::string_view text) {
  std::string json;
  AppendJsonString(text, &json);
  response.SetStatus(status);
  SendJson(response, std::move(json));
}

void SendFormError(http::Response& response, int status, int code,
                   absl::string_view message) {
  std::string json = absl::StrCat("{\"code\":", code, ",\"message\":");
  AppendJsonString(message, &json);
  json += '}';
  response.SetStatus(status);
  SetHeaders(response);
  response.body() = std::move(json);
}

absl::Status FormError(int code, absl::string_view message) {
  absl::Status status = absl::InvalidArgumentError(message);
  status.SetPayload(kCodePayload, absl::Cord(absl::StrCat(code)));
  return status;
}

void SendFormError(http::Response& response, const absl::Status& status,
                   absl::string_view body_name) {
  int code = 0;
  const auto payload = status.GetPayload(kCodePayload);
  if (payload.has_value() && absl::SimpleAtoi(std::string(*payload), &code)) {
    return SendFormError(response, 422, code, status.message());
  }
  SendFormError(
      response, 400, 400,
      absl::StrCat("parsing ", body_name, " body from \"\" failed, because ",
                   status.message()));
}

bool CheckJsonBody(const http::Request& request, http::Response& response) {
  const absl::string_view type = request.headers.Get("Content-Type");
  if (type.empty() || absl::StartsWithIgnoreCase(type, "application/json")) {
    return true;
  }
  SendFormError(response, 415, 415,
                absl::StrCat("unsupported media type ", base::Quote(type),
                             ", only [application/json] are allowed"));
  return false;
}

bool BoolParam(const http::Request& request, absl::string_view name,
               bool fallback) {
  if (!request.params.Has(name)) return fallback;
  constexpr std::array<absl::string_view, 10> kTrue = {
      "true", "1",        "yes",     "ok", "y",
      "on",   "selected", "checked", "t",  "enabled"};
  const std::string value = absl::AsciiStrToLower(request.params.Get(name));
  return std::find(kTrue.begin(), kTrue.end(), value) != kTrue.end();
}

absl::StatusOr<std::vector<model::Matcher>> MatcherParams(
    const http::Request& request, absl::string_view name,
    MatcherSyntax syntax) {
  std::vector<model::Matcher> matchers;
  for (const std::string& text : request.params.GetAll(name)) {
    NARTHEX_ASSIGN_OR_RETURN(model::Matcher matcher,
                             ParseMatcher(text, syntax));
    matchers.push_back(std::move(matcher));
  }
  return matchers;
}

AnswerWriter::AnswerWriter(http::Response& response) : response_(response) {
  SetHeaders(response);
}

bool AnswerWriter::Continue() {
  if (buffer_.size() < kPieceBytes) return true;
  const bool there = response_.Write(buffer_).ok();
  buffer_.clear();
  return there;
}

void AnswerWriter::Finish() {
  buffer_ += '\n';
  if (!response_.streaming()) {
    response_.body() = std::move(buffer_);
    return;
  }
  // A client that has gone needs no rest.
  response_.Write(buffer_).IgnoreError();
}

}  // namespace narthex::alertmanager
