#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "libs/discovery/kubernetes_object.h"
#include "libs/http/client.h"

namespace narthex::discovery {

/// Follows one collection of the Kubernetes API: lists it, then watches it
/// from the version of the list on. A watch that ends is resumed from the
/// last version seen, bookmarks included; when that is too old (410 Gone) the
/// collection is listed anew. Failures are retried with growing pauses.
///
/// All calls are made by the thread of its owner. Answers arrive on the HTTP
/// client's thread, which only hands them over: `post` brings each message to
/// the owner, who gives it back by Take().
class KubernetesWatch {
 public:
  struct Options {
    KubernetesResource resource = KubernetesResource::kPod;
    /// The collection's URL.
    std::string url;
    /// Empty for all namespaces.
    std::string space;
    std::string label_selector;
    std::string field_selector;
    std::int64_t min_pause_ms = 800;
    std::int64_t max_pause_ms = 30'000;
  };

  struct Message {
    KubernetesWatch* watch = nullptr;
    /// A piece of a stream, or the end of the exchange.
    std::string piece;
    std::optional<http::FetchResult> end;
  };
  using Post = std::function<void(Message)>;

  /// Who wants to know. Called within Take().
  class Consumer {
   public:
    virtual ~Consumer() = default;
    /// All that there is.
    virtual void Replace(const KubernetesWatch& watch,
                         std::vector<KubernetesObject> objects) = 0;
    virtual void Change(const KubernetesWatch& watch,
                        KubernetesEvent event) = 0;
    virtual void Fail(const KubernetesWatch& watch,
                      const absl::Status& status) = 0;
  };

  KubernetesWatch(Options options, http::Client& client,
                  std::shared_ptr<const http::ClientConfig> config, Post post,
                  Consumer& consumer);
  KubernetesWatch(const KubernetesWatch&) = delete;
  KubernetesWatch& operator=(const KubernetesWatch&) = delete;

  /// Sends the next request if it is time.
  void Step(std::int64_t now_ns);
  void Take(Message message, std::int64_t now_ns);
  /// When Step() has something to do; far away while a request runs.
  std::int64_t due_ns() const;
  /// Ends the request under way; its end still comes as a message.
  void Cancel();
  bool is_busy() const { return busy_; }
  /// Whether the first list has come.
  bool is_synced() const { return synced_; }
  const Options& options() const { return options_; }

 private:
  std::string ListUrl() const;
  std::string WatchUrl();
  void Send(http::FetchRequest request);
  void TakeListEnd(const http::FetchResult& result, std::int64_t now_ns);
  void TakeWatchEnd(const http::FetchResult& result, std::int64_t now_ns);
  void TakePiece(absl::string_view piece);
  void TakeLine(absl::string_view line);
  void ListAnew();
  void Pause(std::int64_t now_ns);
  void Fail(const absl::Status& status, std::int64_t now_ns);

  const Options options_;
  http::Client& client_;
  const std::shared_ptr<const http::ClientConfig> config_;
  const Post post_;
  Consumer& consumer_;
  std::minstd_rand random_;

  bool busy_ = false;
  bool synced_ = false;
  bool watching_ = false;
  http::Client::FetchId fetch_{};
  std::int64_t due_ns_ = 0;
  std::int64_t started_ns_ = 0;
  int failures_ = 0;

  /// "0" takes what the server has at hand, "" the newest.
  std::string version_ = "0";
  std::string next_page_;
  std::vector<KubernetesObject> listed_;
  /// The answer to a list, or what explains the refusal of a watch.
  std::string body_;
  /// The part of a line that has come so far.
  std::string line_;
  /// Why the watch under way has to be given up.
  absl::Status broken_;
  bool gone_ = false;
};

}  // namespace narthex::discovery
