#pragma once

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "libs/base/mutex.h"
#include "libs/http/server.h"

/// For the tests of Kubernetes discovery.
namespace narthex::discovery {

/// Plays an API server: collections with one resource version for all, lists
/// in pages, watches that follow from a version on, bookmarks, a history that
/// can be forgotten, streams that can be cut.
class FakeKubernetes {
 public:
  FakeKubernetes() {
    router_.Get("/{path...}",
                [this](const http::Request& request, http::Response& response) {
                  Serve(request, response);
                });
    Listen("127.0.0.1:0");
  }
  ~FakeKubernetes() { Stop(); }

  std::string url() const { return "http://" + address_; }

  /// Adds or replaces an object of the collection ("pods"). Its metadata has
  /// at least a name.
  void Put(const std::string& collection, const std::string& object) {
    nlohmann::json json = nlohmann::json::parse(object);
    base::MutexLock lock(mutex_);
    json["metadata"]["resourceVersion"] = absl::StrCat(++version_);
    auto& known = objects_[collection][KeyOf(json)];
    AddEvent(collection, known.is_null() ? "ADDED" : "MODIFIED", json);
    known = std::move(json);
  }
  void Delete(const std::string& collection, const std::string& key) {
    base::MutexLock lock(mutex_);
    nlohmann::json json = objects_[collection].at(key);
    json["metadata"]["resourceVersion"] = absl::StrCat(++version_);
    objects_[collection].erase(key);
    AddEvent(collection, "DELETED", std::move(json));
  }
  /// Tells watchers of the collection the newest version.
  void Bookmark(const std::string& collection) {
    base::MutexLock lock(mutex_);
    const nlohmann::json object = {
        {"metadata", {{"resourceVersion", absl::StrCat(++version_)}}}};
    AddEvent(collection, "BOOKMARK", object);
  }
  /// Ends all streams without a word.
  void Cut() {
    base::MutexLock lock(mutex_);
    ++cuts_;
    changed_.NotifyAll();
  }
  /// Sends a line that is no event to all streams.
  void SendNonsense() {
    base::MutexLock lock(mutex_);
    nonsense_ = true;
    changed_.NotifyAll();
  }
  /// Forgets what led to the present: older versions are gone, which watchers
  /// are told as an event, or as a status.
  void Forget(bool as_status) {
    base::MutexLock lock(mutex_);
    events_.clear();
    oldest_ = version_;
    gone_as_status_ = as_status;
  }
  /// Refuses what comes next with a status; 0 to serve again.
  void Refuse(int status) {
    base::MutexLock lock(mutex_);
    refusal_ = status;
  }
  void Stop() {
    Cut();
    server_.reset();
  }
  /// At the address as before.
  void StartAgain() { Listen(address_); }

  int lists() const {
    base::ReaderMutexLock lock(mutex_);
    return lists_;
  }
  int watches() const {
    base::ReaderMutexLock lock(mutex_);
    return watches_;
  }
  /// Of the last request.
  std::string authorization() const {
    base::ReaderMutexLock lock(mutex_);
    return authorization_;
  }
  /// Paths that were listed or watched.
  std::vector<std::string> paths() const {
    base::ReaderMutexLock lock(mutex_);
    return paths_;
  }

 private:
  struct Event {
    std::string collection;
    std::int64_t version = 0;
    std::string type;
    nlohmann::json object;
  };

  void Listen(const std::string& address) {
    http::ServerOptions options;
    options.address = address;
    auto server =
        http::Server::Start(options, router_, base::Logger::Discard());
    REQUIRE(server.ok());
    server_ = *std::move(server);
    address_ = server_->address();
  }

  static std::string TextOf(const nlohmann::json& map, const std::string& key) {
    return map.is_object() ? map.value(key, "") : "";
  }
  static std::string KeyOf(const nlohmann::json& json) {
    const nlohmann::json metadata = json.value("metadata", nlohmann::json());
    const std::string space = TextOf(metadata, "namespace");
    return space.empty() ? TextOf(metadata, "name")
                         : absl::StrCat(space, "/", TextOf(metadata, "name"));
  }

  void AddEvent(const std::string& collection, const std::string& type,
                nlohmann::json object) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    events_.push_back({collection, version_, type, std::move(object)});
    changed_.NotifyAll();
  }

  /// Which objects a request asks for.
  struct Filter {
    std::string collection;
    std::string space;
    std::string label;
    std::string field;

    bool Takes(const nlohmann::json& object) const {
      const nlohmann::json metadata =
          object.value("metadata", nlohmann::json());
      if (!space.empty() && TextOf(metadata, "namespace") != space)
        return false;
      const std::vector<std::string> wanted = absl::StrSplit(label, '=');
      if (wanted.size() == 2 &&
          TextOf(metadata.value("labels", nlohmann::json()), wanted[0]) !=
              wanted[1]) {
        return false;
      }
      return field.empty() ||
             field == "metadata.name=" + TextOf(metadata, "name");
    }
  };

  void Serve(const http::Request& request, http::Response& response) {
    const std::vector<std::string> parts = absl::StrSplit(request.path, '/');
    Filter filter;
    filter.collection = parts.back();
    if (parts.size() > 3 && parts[parts.size() - 3] == "namespaces") {
      filter.space = parts[parts.size() - 2];
    }
    filter.label = std::string(request.params.Get("labelSelector"));
    filter.field = std::string(request.params.Get("fieldSelector"));
    const bool is_watch = request.params.Get("watch") == "true";
    {
      base::MutexLock lock(mutex_);
      authorization_ = std::string(request.headers.Get("Authorization"));
      paths_.push_back(request.path);
      ++(is_watch ? watches_ : lists_);
      if (refusal_ != 0) {
        SendStatus(refusal_, "refused", response);
        return;
      }
    }
    if (is_watch) {
      Watch(filter, request, response);
    } else {
      List(filter, request, response);
    }
  }

  static void SendStatus(int code, const std::string& message,
                         http::Response& response) {
    const nlohmann::json status = {
        {"kind", "Status"}, {"code", code}, {"message", message}};
    response.Send(code, "application/json", status.dump() + "\n");
  }

  void List(const Filter& filter, const http::Request& request,
            http::Response& response) {
    base::MutexLock lock(mutex_);
    int limit = 0;
    if (!absl::SimpleAtoi(request.params.Get("limit"), &limit)) limit = 1 << 30;
    limit = std::min(limit, kPageSize);
    const std::string from(request.params.Get("continue"));
    nlohmann::json list = {{"kind", "List"},
                           {"items", nlohmann::json::array()}};
    list["metadata"]["resourceVersion"] = absl::StrCat(version_);
    for (const auto& [key, object] : objects_[filter.collection]) {
      if (key < from || !filter.Takes(object)) continue;
      if (limit-- == 0) {
        list["metadata"]["continue"] = key;
        break;
      }
      list["items"].push_back(object);
    }
    response.Send(200, "application/json", list.dump());
  }

  void Watch(const Filter& filter, const http::Request& request,
             http::Response& response) {
    std::int64_t seen = 0;
    if (!absl::SimpleAtoi(request.params.Get("resourceVersion"), &seen) ||
        request.params.Get("allowWatchBookmarks") != "true") {
      return SendStatus(400, "no version or no bookmarks", response);
    }
    response.headers().Set("Content-Type", "application/json");
    bool as_status = false;
    bool is_gone = false;
    int cuts = 0;
    {
      base::MutexLock lock(mutex_);
      cuts = cuts_;
      is_gone = seen < oldest_;
      as_status = gone_as_status_;
    }
    if (is_gone && as_status) {
      return SendStatus(410, "too old resource version", response);
    }
    if (is_gone) {
      static_cast<void>(response.Write(
          R"({"type":"ERROR","object":{"kind":"Status","code":410}})"
          "\n"));
      return;
    }
    // A head at once, as the real one does.
    while (response.Write("\n").ok()) {
      std::string lines;
      {
        base::MutexLock lock(mutex_);
        while (!Collect(filter, &seen, &lines)) {
          if (cuts_ != cuts || request.cancelled()) return;
          changed_.WaitFor(mutex_, std::chrono::milliseconds(20));
        }
      }
      if (!response.Write(lines).ok()) return;
    }
  }

  /// Adds what happened after `*seen`; false when nothing did.
  bool Collect(const Filter& filter, std::int64_t* seen, std::string* lines)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (nonsense_) {
      nonsense_ = false;
      *lines = "nonsense\n";
      return true;
    }
    for (const Event& event : events_) {
      if (event.version <= *seen || event.collection != filter.collection) {
        continue;
      }
      *seen = event.version;
      if (event.type != "BOOKMARK" && !filter.Takes(event.object)) continue;
      const nlohmann::json line = {{"type", event.type},
                                   {"object", event.object}};
      absl::StrAppend(lines, line.dump(), "\n");
    }
    return !lines->empty();
  }

  static constexpr int kPageSize = 2;

  mutable base::Mutex mutex_;
  base::CondVar changed_;
  std::int64_t version_ ABSL_GUARDED_BY(mutex_) = 100;
  std::int64_t oldest_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::string, std::map<std::string, nlohmann::json>> objects_
      ABSL_GUARDED_BY(mutex_);
  std::deque<Event> events_ ABSL_GUARDED_BY(mutex_);
  int cuts_ ABSL_GUARDED_BY(mutex_) = 0;
  int refusal_ ABSL_GUARDED_BY(mutex_) = 0;
  int lists_ ABSL_GUARDED_BY(mutex_) = 0;
  int watches_ ABSL_GUARDED_BY(mutex_) = 0;
  bool nonsense_ ABSL_GUARDED_BY(mutex_) = false;
  bool gone_as_status_ ABSL_GUARDED_BY(mutex_) = false;
  std::string authorization_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> paths_ ABSL_GUARDED_BY(mutex_);
  http::Router router_;
  std::string address_;
  std::unique_ptr<http::Server> server_;
};

}  // namespace narthex::discovery
