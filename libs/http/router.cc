#include "libs/http/router.h"

#include <algorithm>
#include <exception>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace narthex::http {

namespace {

bool IsParam(absl::string_view segment) {
  return segment.size() > 2 && segment.front() == '{' && segment.back() == '}';
}

bool IsRest(absl::string_view segment) {
  return IsParam(segment) && absl::EndsWith(segment, "...}");
}

absl::string_view ParamName(absl::string_view segment) {
  absl::ConsumePrefix(&segment, "{");
  absl::ConsumeSuffix(&segment, "}");
  absl::ConsumeSuffix(&segment, "...");
  return segment;
}

std::string MetricName(const std::vector<std::string>& segments) {
  std::string name;
  for (const auto& segment : segments) {
    if (IsRest(segment)) {
      absl::StrAppend(&name, "/*", ParamName(segment));
    } else if (IsParam(segment)) {
      absl::StrAppend(&name, "/:", ParamName(segment));
    } else {
      absl::StrAppend(&name, "/", segment);
    }
  }
  return name;
}

// 0 for a literal segment, 1 for a parameter, 2 for the rest: a smaller list
// is the more specific pattern.
std::vector<int> Specificity(const std::vector<std::string>& segments) {
  std::vector<int> kinds;
  kinds.reserve(segments.size());
  for (const auto& segment : segments) {
    kinds.push_back(IsRest(segment) ? 2 : IsParam(segment) ? 1 : 0);
  }
  return kinds;
}

absl::string_view NextSegment(absl::string_view* path) {
  const auto end = path->find('/');
  const auto segment = path->substr(0, end);
  *path = end == absl::string_view::npos ? absl::string_view()
                                         : path->substr(end + 1);
  return segment;
}

// Walks pattern and path together; reports each parameter's raw value.
template <typename Visit>
bool MatchPattern(const std::vector<std::string>& segments,
                  absl::string_view path, const Visit& visit) {
  absl::ConsumePrefix(&path, "/");
  bool more = true;  // Whether a segment, maybe an empty one, is left.
  for (const auto& segment : segments) {
    if (!more) return false;
    if (IsRest(segment)) {
      visit(ParamName(segment), path);
      return true;
    }
    more = path.find('/') != absl::string_view::npos;
    const auto part = NextSegment(&path);
    if (IsParam(segment)) {
      if (part.empty()) return false;
      visit(ParamName(segment), part);
    } else if (part != segment) {
      return false;
    }
  }
  return !more;
}

std::string AllowedMethods(
    const std::vector<std::pair<std::string, Handler>>& methods) {
  return absl::StrJoin(methods, ", ", [](std::string* out, const auto& method) {
    absl::StrAppend(out, method.first);
  });
}

}  // namespace

void Route::Set(absl::string_view method, const Handler& handler) {
  for (auto& [known, old] : methods_) {
    if (known != method) continue;
    old = handler;
    return;
  }
  methods_.emplace_back(std::string(method), handler);
}

void Router::Handle(absl::string_view methods, absl::string_view pattern,
                    const Handler& handler, RouteOptions options) {
  std::vector<std::string> segments =
      absl::StrSplit(absl::StripPrefix(pattern, "/"), '/');
  const bool exact = std::none_of(segments.begin(), segments.end(), IsParam);

  base::MutexLock lock(mutex_);
  std::shared_ptr<Route> old;
  if (exact) {
    if (auto it = exact_.find(pattern); it != exact_.end()) old = it->second;
  } else {
    for (const auto& route : patterns_) {
      if (route->segments_ == segments) old = route;
    }
  }
  // A route may be in use by a request: change a copy.
  auto route = old ? std::make_shared<Route>(*old) : std::make_shared<Route>();
  route->name_ = MetricName(segments);
  route->segments_ = std::move(segments);
  route->options_ = options;
  for (absl::string_view method :
       absl::StrSplit(methods, ' ', absl::SkipEmpty())) {
    route->Set(method, handler);
    if (method == "GET") route->Set("HEAD", handler);
  }
  if (exact) {
    exact_[pattern] = std::move(route);
    return;
  }
  if (old) {
    std::replace(patterns_.begin(), patterns_.end(), old, route);
    return;
  }
  patterns_.push_back(std::move(route));
  std::stable_sort(
      patterns_.begin(), patterns_.end(), [](const auto& a, const auto& b) {
        return Specificity(a->segments_) < Specificity(b->segments_);
      });
}

std::shared_ptr<const Route> Router::Find(absl::string_view raw_path) const {
  if (!absl::ConsumePrefix(&raw_path, prefix_)) return nullptr;
  if (raw_path.empty() && !prefix_.empty()) raw_path = "/";
  base::ReaderMutexLock lock(mutex_);
  if (auto it = exact_.find(raw_path); it != exact_.end()) return it->second;
  for (const auto& route : patterns_) {
    if (MatchPattern(route->segments_, raw_path, [](auto, auto) {})) {
      return route;
    }
  }
  return nullptr;
}

void Router::Serve(const Route& route, Request& request,
                   Response& response) const {
  request.path_params = Params();
  bool well_formed = true;
  absl::string_view path = request.raw_path;
  absl::ConsumePrefix(&path, prefix_);
  MatchPattern(route.segments_, path,
               [&](absl::string_view name, absl::string_view raw) {
                 std::string value;
                 well_formed &= PercentDecode(raw, false, &value);
                 request.path_params.Add(std::string(name), std::move(value));
               });
  if (!well_formed) {
    response.Error(400, "malformed escape in the path");
    return;
  }
  if (filter_ && !filter_(&route, request, response)) return;
  for (const auto& [method, handler] : route.methods_) {
    if (method != request.method) continue;
    try {
      handler(request, response);
    } catch (const std::exception& error) {
      response.Error(500, absl::StrCat("internal error: ", error.what()));
    }
    return;
  }
  response.headers().Set("Allow", AllowedMethods(route.methods_));
  response.Error(405, "Method Not Allowed");
}

void Router::ServeUnknown(const Request& request, Response& response) const {
  if (!prefix_.empty() && request.raw_path == "/") {
    response.Redirect(absl::StrCat(prefix_, "/"));
    return;
  }
  if (filter_ && !filter_(nullptr, request, response)) return;
  response.Error(404, "404 page not found");
}

void Router::Serve(Request& request, Response& response) const {
  if (const auto route = Find(request.raw_path)) {
    Serve(*route, request, response);
  } else {
    ServeUnknown(request, response);
  }
}

}  // namespace narthex::http
