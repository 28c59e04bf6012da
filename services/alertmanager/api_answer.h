#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/http/message.h"
#include "libs/model/matcher.h"
#include "services/alertmanager/matchers.h"

namespace narthex::alertmanager {

/// JSON with the API's headers.
void SendJson(http::Response& response, std::string json);
/// An error of a handler: its text as a JSON string.
void SendError(http::Response& response, int status, absl::string_view text);
/// An error about the form of a request: {"code":601,"message":"..."}.
void SendFormError(http::Response& response, int status, int code,
                   absl::string_view message);
/// The same from a status made by FormError() or by a JSON reader.
void SendFormError(http::Response& response, const absl::Status& status,
                   absl::string_view body_name);

/// Codes of FormError().
inline constexpr int kWrongType = 601;
inline constexpr int kRequired = 602;
inline constexpr int kTooFewItems = 612;
/// An error that carries the code of the answer's body.
absl::Status FormError(int code, absl::string_view message);

/// Whether the body is JSON by its content type; answers 415 if not.
bool CheckJsonBody(const http::Request& request, http::Response& response);

/// A switch of the query string, `fallback` when it is absent.
bool BoolParam(const http::Request& request, absl::string_view name,
               bool fallback);
/// The matchers of all parameters of that name.
absl::StatusOr<std::vector<model::Matcher>> MatcherParams(
    const http::Request& request, absl::string_view name, MatcherSyntax syntax);

/// Collects a large answer and sends it in pieces once it has grown.
class AnswerWriter {
 public:
  explicit AnswerWriter(http::Response& response);
  std::string& buffer() { return buffer_; }
  /// To be called between items; false when the client is gone.
  bool Continue();
  void Finish();

 private:
  http::Response& response_;
  std::string buffer_;
};

}  // namespace narthex::alertmanager
