#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/http/router.h"
#include "services/querier/json_writer.h"

namespace narthex::querier {

/// A successful answer of the API in the making: the value of "data", and
/// what is to be said beside it.
class Answer {
 public:
  explicit Answer(http::Response* response);

  /// Writes the value of "data"; exactly one value, or none when NoData() was
  /// called.
  JsonWriter& data() { return data_; }
  /// There is nothing to say: 204 without a body.
  void NoData() { no_data_ = true; }

  /// Sends what has been written so far when it is much, so that a large
  /// result is not held in memory twice. kCancelled when the client is gone.
  absl::Status Flush();

  std::vector<std::string> warnings;
  std::vector<std::string> infos;

  /// Ends the envelope, or drops it and writes an error in its place.
  void Finish(const absl::Status& status);

 private:
  void Fail(const absl::Status& status);

  http::Response* const response_;
  JsonWriter data_;
  std::string sent_;  // Its memory takes the next part.
  bool no_data_ = false;
};

/// Answers one request of the API. An error becomes the API's error envelope
/// with the HTTP code that belongs to its code (see ErrorKind).
using ApiFunction = std::function<absl::Status(const http::Request&, Answer*)>;

/// The API's name and HTTP code of an error.
struct ErrorKind {
  absl::string_view type;
  int http_code = 500;
};
ErrorKind KindOf(const absl::Status& status);

/// Puts API functions into a router, with what all of them share: envelope,
/// cross-origin headers and OPTIONS.
class ApiRoutes {
 public:
  /// `cors_origin`: a regular expression for the whole Origin header.
  /// kInvalidArgument when malformed.
  static absl::StatusOr<ApiRoutes> Create(http::Router* router,
                                          const std::string& cors_origin);

  /// `path` below /api/v1.
  void Add(absl::string_view methods, absl::string_view path,
           ApiFunction function);

 private:
  struct Cors;
  ApiRoutes(http::Router* router, std::shared_ptr<const Cors> cors)
      : router_(router), cors_(std::move(cors)) {}

  http::Router* router_;
  std::shared_ptr<const Cors> cors_;
};

}  // namespace narthex::querier
