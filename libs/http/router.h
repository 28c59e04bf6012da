#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "libs/base/mutex.h"
#include "libs/http/message.h"

namespace narthex::http {

/// Answers one request; called on a thread of the server and free to block.
using Handler = std::function<void(const Request&, Response&)>;

struct RouteOptions {
  /// A larger body is answered with 413 before it is read whole.
  std::size_t max_body_bytes = 10 << 20;
};

/// One pattern with a handler for each method.
class Route {
 public:
  /// The label value of this route in metrics: Prometheus's form of the
  /// pattern, "/api/v1/label/:name/values".
  const std::string& name() const { return name_; }
  const RouteOptions& options() const { return options_; }

 private:
  friend class Router;
  void Set(absl::string_view method, const Handler& handler);

  std::string name_;
  std::vector<std::string> segments_;
  std::vector<std::pair<std::string, Handler>> methods_;
  RouteOptions options_;
};

/// Maps method and path to a handler. Patterns:
///   "/api/v1/query"                exactly this path
///   "/api/v1/label/{name}/values"  one segment, may hold escaped slashes
///   "/static/{path...}"            the rest, slashes included; the slash
///                                  before it must be there, more need not
/// Exact beats one-segment beats rest. Thread-safe; routes can be added while
/// requests are served, and stay.
class Router {
 public:
  /// `methods` is a space-separated list ("GET POST"); GET brings HEAD with
  /// it. Adding to a known pattern keeps its other methods and replaces those
  /// named; the options of the last addition count.
  void Handle(absl::string_view methods, absl::string_view pattern,
              const Handler& handler, RouteOptions options = {});
  void Get(absl::string_view pattern, const Handler& handler) {
    Handle("GET", pattern, handler);
  }
  void Post(absl::string_view pattern, const Handler& handler) {
    Handle("POST", pattern, handler);
  }

  /// All patterns are meant below this prefix ("" or "/prefix"); "/" itself
  /// then redirects to it. Set before requests come.
  void SetPrefix(std::string prefix) { prefix_ = std::move(prefix); }

  /// Asked before every handler, and with a null route before "not found"; when
  /// it returns false it has answered and nothing else is run. At most one; set
  /// before requests come.
  using Filter = std::function<bool(const Route*, const Request&, Response&)>;
  void SetFilter(Filter filter) { filter_ = std::move(filter); }

  /// The route of a raw path (escapes not decoded), null when there is none.
  std::shared_ptr<const Route> Find(absl::string_view raw_path) const;

  /// Runs the handler of a found route, or answers 405 with Allow; fills the
  /// request's path_params. A handler's exception becomes a 500.
  void Serve(const Route& route, Request& request, Response& response) const;

  /// Answers a request that has no route: 404, or the redirect to the prefix.
  void ServeUnknown(const Request& request, Response& response) const;

  /// Finds and serves; 404 when there is no route. What tests call.
  void Serve(Request& request, Response& response) const;

 private:
  mutable base::Mutex mutex_;
  absl::flat_hash_map<std::string, std::shared_ptr<Route>> exact_
      ABSL_GUARDED_BY(mutex_);
  // Most specific first.
  std::vector<std::shared_ptr<Route>> patterns_ ABSL_GUARDED_BY(mutex_);
  Filter filter_;
  std::string prefix_;
};

}  // namespace narthex::http
