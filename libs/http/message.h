#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

/// HTTP/1.1 for the services: a server with a router, and a client.
namespace narthex::http {

/// Header fields in order; names compare without case.
class Headers {
 public:
  Headers() = default;
  Headers(std::initializer_list<std::pair<std::string, std::string>> fields)
      : fields_(fields) {}

  /// The first value of `name`, empty when absent; valid until changed.
  absl::string_view Get(absl::string_view name) const;
  bool Has(absl::string_view name) const;
  /// Replaces all fields of that name.
  void Set(absl::string_view name, absl::string_view value);
  void Add(absl::string_view name, absl::string_view value);
  void Remove(absl::string_view name);

  const std::vector<std::pair<std::string, std::string>>& fields() const {
    return fields_;
  }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

/// Names and values of a query string or a form, in order, names repeatable.
class Params {
 public:
  /// The first value of `name`, empty when absent; valid until changed.
  absl::string_view Get(absl::string_view name) const;
  bool Has(absl::string_view name) const;
  /// All values of `name`, in order.
  std::vector<std::string> GetAll(absl::string_view name) const;
  void Add(std::string name, std::string value) {
    items_.emplace_back(std::move(name), std::move(value));
  }
  const std::vector<std::pair<std::string, std::string>>& items() const {
    return items_;
  }

 private:
  std::vector<std::pair<std::string, std::string>> items_;
};

/// One request, as a handler sees it. Tests make one with Make().
struct Request {
  /// A request as if it had come over the wire; `target` is path and query.
  static Request Make(absl::string_view method, absl::string_view target,
                      absl::string_view body = {}, Headers headers = {});

  /// The value of a `{name}` segment of the route, decoded; empty when the
  /// route has none of that name.
  absl::string_view PathParam(absl::string_view name) const {
    return path_params.Get(name);
  }
  /// Whether the client has hung up, so that the answer has no reader. Costs
  /// one system call.
  bool cancelled() const { return is_cancelled && is_cancelled(); }

  std::string method;
  /// As sent, without the query: escapes are still in it.
  std::string raw_path;
  /// With escapes decoded.
  std::string path;
  std::string raw_query;
  /// Form fields of a urlencoded POST, PUT or PATCH body, then the query's,
  /// as Go's Request.Form.
  Params params;
  Params path_params;
  Headers headers;
  /// Of a urlencoded form too; compressed bodies are as they came.
  std::string body;
  /// "ip:port" of the peer.
  std::string remote_address;
  std::function<bool()> is_cancelled;
};

/// Sets raw_path, path and raw_query from a request target. False when it is
/// malformed.
bool FillTarget(absl::string_view target, Request* request);
/// Sets params from raw_query and a urlencoded body.
void FillParams(Request* request);

/// The answer that a handler fills. Default: 200 with an empty body.
class Response {
 public:
  /// Status, content type and body in one.
  void Send(int status, absl::string_view content_type, std::string body);
  /// text/plain with a newline at the end, as Go's http.Error.
  void Error(int status, absl::string_view message);
  /// Sends the client to `location` (302 unless told).
  void Redirect(absl::string_view location, int status = 302);

  void SetStatus(int status) { status_ = status; }
  int status() const { return status_; }
  Headers& headers() { return headers_; }
  const Headers& headers() const { return headers_; }
  /// The body to send when the handler returns; append freely.
  std::string& body() { return body_; }
  const std::string& body() const { return body_; }

  /// Starts (on first use) a streamed answer and sends `chunk`; status and
  /// headers must be set before. Blocks while the client is slow. kCancelled
  /// when the client is gone: the handler should return. In a test without a
  /// server the chunks are appended to body().
  absl::Status Write(absl::string_view chunk);
  bool streaming() const { return streaming_; }
  /// Breaks a streamed answer off because of `reason`: the connection ends in
  /// such a way that the client sees that the answer is not whole.
  void Abort(absl::string_view reason);
  /// Why the answer was broken off; empty when it was not.
  const std::string& abort_reason() const { return abort_reason_; }

  /// For the server: receives what Write() sends.
  using Sink = std::function<absl::Status(Response&, absl::string_view)>;
  void set_sink(Sink sink) { sink_ = std::move(sink); }

 private:
  int status_ = 200;
  Headers headers_;
  std::string body_;
  bool streaming_ = false;
  std::string abort_reason_;
  Sink sink_;
};

/// "Not Found" for 404 and so on.
absl::string_view StatusText(int status);

/// Decodes %XX (and + as space when `plus_is_space`). False when malformed.
bool PercentDecode(absl::string_view text, bool plus_is_space,
                   std::string* out);
/// Escapes all but unreserved characters, as Go's url.QueryEscape does except
/// that a space becomes %20.
std::string PercentEncode(absl::string_view text);
/// Appends the pairs of "a=1&b=2". Malformed pairs are left out, as Go does.
void ParseQuery(absl::string_view query, Params* params);

}  // namespace narthex::http
