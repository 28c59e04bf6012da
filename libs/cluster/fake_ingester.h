#pragma once

#include <grpcpp/server_context.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "libs/base/log.h"
#include "libs/base/mutex.h"
#include "libs/cluster/push_columns.h"
#include "libs/cluster/wire.h"
#include "libs/cluster/writer.h"
#include "libs/metrics/metrics.h"
#include "libs/rpc/server.h"
#include "libs/tsdb/xor_chunk.h"
#include "narthex/v1/ingester.grpc.pb.h"

namespace narthex::cluster {

using Stored = std::map<std::string, std::map<std::int64_t, double>>;

/// Keeps what is pushed in a map and serves it back.
class FakeIngester : public v1::Ingester::Service {
 public:
  grpc::Status Push(grpc::ServerContext*,
                    grpc::ServerReaderWriter<v1::PushResponse, v1::PushRequest>*
                        stream) override {
    std::map<std::uint64_t, std::string> labels;
    v1::PushRequest request;
    while (stream->Read(&request)) {
      v1::PushResponse response;
      response.set_batch(request.batch());
      declared_ += static_cast<std::size_t>(request.new_refs_size());
      for (int i = 0; i < request.new_refs_size(); ++i) {
        labels[request.new_refs(i)] = request.new_labels(i);
      }
      std::vector<RefSample> samples;
      if (!DecodePush(request, &samples).ok()) {
        return {grpc::StatusCode::INVALID_ARGUMENT, "columns"};
      }
      base::MutexLock lock(mutex_);
      if (!WaitWhileFrozen()) {
        return {grpc::StatusCode::UNAVAILABLE, "broken on purpose"};
      }
      largest_ = std::max(largest_, samples.size());
      if (forget_) labels.clear();
      forget_ = false;
      for (std::size_t i = 0; i < samples.size(); ++i) {
        Store(labels, samples[i], i, &response);
      }
      if (freeze_after_ > 0 && --freeze_after_ == 0) frozen_ = true;
      if (break_after_storing_) {
        break_after_storing_ = false;
        return {grpc::StatusCode::UNAVAILABLE, "broken on purpose"};
      }
      stream->Write(response);
    }
    return grpc::Status::OK;
  }

  grpc::Status Select(grpc::ServerContext*, const v1::SelectRequest* request,
                      grpc::ServerWriter<v1::SelectResponse>* writer) override {
    const auto matchers = FromWire(request->matchers());
    base::MutexLock lock(mutex_);
    WaitWhileFrozen();
    std::vector<storage::ChunkSeries> found;
    for (const auto& [encoded, samples] : stored_) {
      storage::ChunkSeries series;
      if (!model::Labels::FromEncoded(encoded, &series.labels) ||
          !model::MatchesAll(*matchers, series.labels)) {
        continue;
      }
      const auto chunk = std::make_shared<tsdb::XorChunk>();
      for (const auto& [t, v] : samples) chunk->Append(t, v);
      series.chunks.push_back({chunk->min_ms(), chunk->max_ms(),
                               storage::Encoding::kXor, chunk->bytes(), chunk});
      found.push_back(std::move(series));
    }
    std::sort(found.begin(), found.end(),
              [](const auto& a, const auto& b) { return a.labels < b.labels; });
    std::size_t sent = 0;
    for (const auto& series : found) {
      if (sent++ == break_select_after_) {
        return {grpc::StatusCode::UNAVAILABLE, "broken on purpose"};
      }
      v1::SelectResponse response;
      ToWire(series, response.add_series());
      writer->Write(response);
    }
    return grpc::Status::OK;
  }

  grpc::Status Cardinality(grpc::ServerContext*,
                           const v1::CardinalityRequest* request,
                           v1::CardinalityResponse* response) override {
    base::MutexLock lock(mutex_);
    std::map<std::string, std::map<std::string, std::uint64_t>> counts;
    for (const auto& [encoded, samples] : stored_) {
      model::Labels labels;
      model::Labels::FromEncoded(encoded, &labels);
      for (const model::Label& label : labels) {
        ++counts[std::string(label.name)][std::string(label.value)];
      }
    }
    response->set_series(stored_.size());
    for (const auto& [name, values] : counts) {
      v1::NamedCount* of_name = response->add_values_by_label();
      of_name->set_name(name);
      of_name->set_count(values.size());
      response->set_label_pairs(response->label_pairs() + values.size());
      std::uint32_t left = request->limit();
      for (const auto& [value, series] : values) {
        if (left-- == 0) break;
        v1::NamedCount* of_pair = response->add_series_by_pair();
        of_pair->set_name(name + "=" + value);
        of_pair->set_count(series);
      }
    }
    return grpc::Status::OK;
  }

  // Samples of the largest message.
  std::size_t largest() {
    base::MutexLock lock(mutex_);
    return largest_;
  }
  // Series whose labels came.
  std::size_t declared() const { return declared_; }
  Stored stored() {
    base::MutexLock lock(mutex_);
    return stored_;
  }
  // The next batch is stored, but its answer is lost.
  void BreakAfterStoring() {
    base::MutexLock lock(mutex_);
    break_after_storing_ = true;
  }
  // Nothing is stored or answered until Thaw().
  void Freeze() {
    base::MutexLock lock(mutex_);
    frozen_ = true;
  }
  void Thaw() {
    base::MutexLock lock(mutex_);
    frozen_ = false;
    thawed_.NotifyAll();
  }
  // Thaws, and forgets what streams have declared by the next message; after
  // `messages`, all of which are answered, freezes again.
  void ForgetThenFreeze(int messages) {
    base::MutexLock lock(mutex_);
    forget_ = true;
    freeze_after_ = messages;
    frozen_ = false;
    thawed_.NotifyAll();
  }
  // Thaws, and breaks the streams on which a message waits for that.
  void Break() {
    base::MutexLock lock(mutex_);
    ++breaks_;
    frozen_ = false;
    thawed_.NotifyAll();
  }
  // Whether anything waits for Thaw().
  bool waiting() {
    base::MutexLock lock(mutex_);
    return waiting_ > 0;
  }
  // Selections end with an error after so many series.
  void BreakSelectAfter(std::size_t series) {
    base::MutexLock lock(mutex_);
    break_select_after_ = series;
  }
  void ForgetSeries() {
    base::MutexLock lock(mutex_);
    forget_ = true;
  }

 private:
  // False when the stream is to be broken.
  bool WaitWhileFrozen() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const int breaks = breaks_;
    ++waiting_;
    while (frozen_) thawed_.Wait(mutex_);
    --waiting_;
    return breaks == breaks_;
  }

  void Store(const std::map<std::uint64_t, std::string>& labels,
             const RefSample& sample, std::size_t index,
             v1::PushResponse* response) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const auto reject = [&](v1::RejectReason reason) {
      auto* rejected = response->add_rejected();
      rejected->set_index(static_cast<std::uint32_t>(index));
      rejected->set_reason(reason);
    };
    const auto it = labels.find(sample.ref);
    if (it == labels.end()) {
      reject(v1::REJECT_REASON_UNKNOWN_SERIES);
      return;
    }
    auto& samples = stored_[it->second];
    if (!samples.empty() && samples.rbegin()->first > sample.timestamp_ms) {
      reject(v1::REJECT_REASON_OUT_OF_ORDER);
      return;
    }
    samples[sample.timestamp_ms] = sample.value;
  }

  base::Mutex mutex_;
  base::CondVar thawed_;
  bool frozen_ ABSL_GUARDED_BY(mutex_) = false;
  int freeze_after_ ABSL_GUARDED_BY(mutex_) = 0;
  int breaks_ ABSL_GUARDED_BY(mutex_) = 0;
  int waiting_ ABSL_GUARDED_BY(mutex_) = 0;
  std::size_t break_select_after_ ABSL_GUARDED_BY(mutex_) = ~std::size_t{0};
  std::atomic<std::size_t> declared_{0};
  Stored stored_ ABSL_GUARDED_BY(mutex_);
  std::size_t largest_ ABSL_GUARDED_BY(mutex_) = 0;
  bool break_after_storing_ ABSL_GUARDED_BY(mutex_) = false;
  bool forget_ ABSL_GUARDED_BY(mutex_) = false;
};

/// A FakeIngester with its server.
struct Node {
  explicit Node(const std::string& at = "127.0.0.1:0") { Start(at); }
  ~Node() { ingester.Thaw(); }
  void Start(const std::string& at) {
    server = rpc::Server::Start(at, {&ingester}).value();
    address = "127.0.0.1:" + std::to_string(server->port());
  }
  FakeIngester ingester;
  std::unique_ptr<rpc::Server> server;
  std::string address;
};

/// What writers need.
struct Fixture {
  metrics::Registry registry;
  base::Logger log = base::Logger::Discard();

  std::unique_ptr<Writer> NewWriter(const std::vector<std::string>& addresses,
                                    WriterOptions options = {}) {
    return Writer::Create({addresses, ""}, options, log, registry).value();
  }
};

inline model::Labels Named(int i) {
  return model::Labels{{"__name__", "m"}, {"i", std::to_string(i)}};
}

/// Of a writer whose samples go to disk as soon as they wait.
inline WriterOptions OnDisk(const std::string& directory) {
  WriterOptions options;
  options.disk.directory = directory;
  options.spill_after = std::chrono::milliseconds(0);
  return options;
}

/// The address of an ingester that is away; Node(address) brings it back.
inline std::string AbsentAddress() {
  Node node;
  return node.address;
}

/// Waits until `condition()` holds.
template <typename Condition>
void AwaitThat(const Condition& condition) {
  for (int i = 0; i < 2000; ++i) {
    if (condition()) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  FAIL("it did not come to that");
}

/// Waits until the ingester has `samples` in all.
inline void AwaitSamples(FakeIngester& ingester, std::size_t samples) {
  AwaitThat([&] {
    std::size_t count = 0;
    for (const auto& [labels, one] : ingester.stored()) count += one.size();
    return count >= samples;
  });
}

}  // namespace narthex::cluster
