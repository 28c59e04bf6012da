#include "libs/discovery/manager.h"

#include <catch2/catch.hpp>
#include <chrono>

#include "libs/base/file.h"

namespace narthex::discovery {
namespace {

using Jobs = std::map<std::string, TargetGroups>;

/// Collects what a manager hands on.
class Consumer {
 public:
  Manager::Callback callback() {
    return [this](Jobs jobs) {
      base::MutexLock lock(mutex_);
      jobs_ = std::move(jobs);
      ++calls_;
      changed_.NotifyAll();
    };
  }

  /// Waits until the addresses of `job`, in order, are `wanted`.
  bool WaitFor(const std::string& job, const std::vector<std::string>& wanted) {
    const auto deadline =
        std::chrono::steady_clock::now() + std::chrono::seconds(20);
    base::MutexLock lock(mutex_);
    while (Addresses(job) != wanted) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      changed_.WaitFor(mutex_, std::chrono::milliseconds(50));
    }
    return true;
  }

  Jobs jobs() {
    base::MutexLock lock(mutex_);
    return jobs_;
  }

 private:
  std::vector<std::string> Addresses(const std::string& job) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    const auto it = jobs_.find(job);
    if (it == jobs_.end()) return {"no such job"};
    std::vector<std::string> out;
    for (const auto& group : it->second) {
      for (const auto& target : group->targets) {
        out.emplace_back(target.Get(kAddressLabel));
      }
    }
    return out;
  }

  base::Mutex mutex_;
  base::CondVar changed_;
  Jobs jobs_ ABSL_GUARDED_BY(mutex_);
  int calls_ ABSL_GUARDED_BY(mutex_) = 0;
};

Configs Parsed(const std::string& text) {
  auto document = yaml::Document::Parse(text, "f.yml");
  REQUIRE(document.ok());
  yaml::Decoder d(document->root());
  Configs configs;
  DecodeConfigs(d, &configs);
  const absl::Status status = d.Done();
  INFO(status);
  REQUIRE(status.ok());
  return configs;
}

std::string ErrorOf(const std::string& text) {
  auto document = yaml::Document::Parse(text, "f.yml");
  REQUIRE(document.ok());
  yaml::Decoder d(document->root());
  Configs configs;
  DecodeConfigs(d, &configs);
  return std::string(d.Done().message());
}

struct Fixture {
  base::TemporaryDirectory directory;
  metrics::Registry registry;
  Metrics metrics{registry, "scrape"};
  Consumer consumer;
  std::string log;
  Manager manager{{.update_interval_ms = 1},
                  base::Logger::ToString(&log),
                  metrics,
                  consumer.callback()};

  void Write(const std::string& name, const std::string& text) {
    REQUIRE(
        base::WriteFileAtomically(directory.path() + "/" + name, text).ok());
  }
};

TEST_CASE("static targets are handed on with their group's labels") {
  Fixture f;
  f.manager.ApplyConfig(
      {{"a", Parsed("static_configs: [{targets: [x, y], labels: {l: v}}, "
                    "{targets: [z]}]")},
       {"b", Configs()}});
  CHECK(f.consumer.WaitFor("a", {"x", "y", "z"}));
  CHECK(f.consumer.WaitFor("b", {}));
  CHECK(f.consumer.jobs().at("a")[0]->labels.Get("l") == "v");
}

TEST_CASE("files are read, read again when they change and forgotten") {
  Fixture f;
  f.Write("a.json", R"([{"targets": ["x:1"], "labels": {"l": "v"}}])");
  f.Write("b.yml", "- targets: [y]\n- targets: [z]\n");
  f.manager.ApplyConfig(
      {{"a", Parsed("file_sd_configs: [{files: ['" + f.directory.path() +
                    "/*.json', '" + f.directory.path() + "/*.yml']}]")}});
  CHECK(f.consumer.WaitFor("a", {"x:1", "y", "z"}));
  const auto group = f.consumer.jobs().at("a")[0];
  CHECK(group->labels.Get("__meta_filepath") == f.directory.path() + "/a.json");
  CHECK(group->labels.Get("l") == "v");

  f.Write("b.yml", "- targets: [w]\n");
  CHECK(f.consumer.WaitFor("a", {"x:1", "w"}));
  f.Write("a.json", "[{");
  f.Write("b.yml", "- targets: [q]\n");
  CHECK(f.consumer.WaitFor("a", {"x:1", "q"}));
  REQUIRE(base::RemoveAll(f.directory.path() + "/a.json").ok());
  CHECK(f.consumer.WaitFor("a", {"q"}));
  f.manager.Stop();
  CHECK(f.metrics.file_read_errors.value() >= 1);
  CHECK_THAT(f.log, Catch::Contains("error reading file"));
}

TEST_CASE("a new configuration keeps what it does not change") {
  Fixture f;
  f.Write("a.yml", "- targets: [x]\n");
  const auto configs = Parsed("file_sd_configs: [{files: ['" +
                              f.directory.path() + "/a.yml']}]");
  f.manager.ApplyConfig({{"a", configs}, {"b", configs}});
  CHECK(f.consumer.WaitFor("a", {"x"}));
  const auto before = f.consumer.jobs().at("a")[0];
  CHECK(f.consumer.jobs().at("b")[0] == before);
  f.manager.ApplyConfig({{"c", configs}});
  CHECK(f.consumer.WaitFor("c", {"x"}));
  CHECK(f.consumer.jobs().at("c")[0] == before);
  CHECK(f.consumer.jobs().size() == 1);
}

TEST_CASE("what replaces a provider begins with what that had found") {
  Fixture f;
  f.Write("a.yml", "- targets: [x]\n");
  const std::string file =
      "file_sd_configs: [{files: ['" + f.directory.path() + "/a.yml'";
  f.manager.ApplyConfig({{"a", Parsed(file + "]}]")}});
  CHECK(f.consumer.WaitFor("a", {"x"}));
  // Nobody listens there.
  const std::string http =
      "http_sd_configs: [{url: 'http://127.0.0.1:1/', refresh_interval: ";
  f.manager.ApplyConfig({{"a", Parsed(http + "1h}]")}, {"b", Configs()}});
  CHECK(f.consumer.WaitFor("b", {}));
  CHECK(f.consumer.WaitFor("a", {"x"}));
  f.manager.ApplyConfig({{"a", Parsed(http + "2h}]")}, {"c", Configs()}});
  CHECK(f.consumer.WaitFor("c", {}));
  CHECK(f.consumer.WaitFor("a", {"x"}));
  // One that finds something else goes on with that.
  f.Write("b.yml", "- targets: [y]\n");
  f.manager.ApplyConfig({{"a", Parsed("file_sd_configs: [{files: ['" +
                                      f.directory.path() + "/b.yml']}]")}});
  CHECK(f.consumer.WaitFor("a", {"y"}));
  // And without any there is nothing.
  f.manager.ApplyConfig({{"a", Configs()}});
  CHECK(f.consumer.WaitFor("a", {}));
}

TEST_CASE("what several providers had found stays until the last of those") {
  Fixture f;
  f.Write("a.yml", "- targets: [x]\n");
  f.Write("b.yml", "- targets: [y]\n");
  const auto file = [&](const std::string& name, const std::string& interval) {
    return "{files: ['" + f.directory.path() + "/" + name +
           "'], refresh_interval: " + interval + "}";
  };
  // Nobody listens there.
  const std::string http = "http_sd_configs: [{url: 'http://127.0.0.1:1/'}]";
  f.manager.ApplyConfig(
      {{"a", Parsed("file_sd_configs: [" + file("a.yml", "1h") + ", " +
                    file("b.yml", "1h") + "]")}});
  CHECK(f.consumer.WaitFor("a", {"x", "y"}));
  // The file is found again at once, the other provider finds nothing.
  f.manager.ApplyConfig(
      {{"a", Parsed("file_sd_configs: [" + file("a.yml", "2h") + "]\n" + http)},
       {"b", Configs()}});
  CHECK(f.consumer.WaitFor("b", {}));
  CHECK(f.consumer.WaitFor("a", {"x", "y"}));
  // One that is awaited may be gone before it has found anything.
  f.manager.ApplyConfig(
      {{"a", Parsed("file_sd_configs: [" + file("a.yml", "2h") + "]")}});
  CHECK(f.consumer.WaitFor("a", {"x"}));
}

TEST_CASE("a job that leaves a provider to others begins with its targets") {
  Fixture f;
  f.Write("a.yml", "- targets: [x]\n");
  const Configs file = Parsed("file_sd_configs: [{files: ['" +
                              f.directory.path() + "/a.yml']}]");
  f.manager.ApplyConfig({{"a", file}, {"b", file}});
  CHECK(f.consumer.WaitFor("a", {"x"}));
  // Nobody listens there.
  const Configs http =
      Parsed("http_sd_configs: [{url: 'http://127.0.0.1:1/'}]");
  f.manager.ApplyConfig({{"a", http}, {"b", file}, {"c", Configs()}});
  CHECK(f.consumer.WaitFor("c", {}));
  CHECK(f.consumer.WaitFor("a", {"x"}));
  CHECK(f.consumer.WaitFor("b", {"x"}));
}

TEST_CASE("bad discovery sections are refused") {
  CHECK(ErrorOf("kuma_sd_configs: {}") ==
        "f.yml: line 1: kuma_sd_configs: expected a list");
  CHECK(ErrorOf("file_sd_configs: [{}]") ==
        "f.yml: line 1: file_sd_configs[0]: file service discovery config "
        "must contain at least one path name");
  CHECK(ErrorOf("file_sd_configs: [{files: [a/*/b.yml]}]") ==
        "f.yml: line 1: file_sd_configs[0]: path name \"a/*/b.yml\" is not "
        "valid for file discovery");
  CHECK(ErrorOf("file_sd_configs: [{files: [b.txt]}]") ==
        "f.yml: line 1: file_sd_configs[0]: path name \"b.txt\" is not valid "
        "for file discovery");
  CHECK(ErrorOf("static_configs: [{target: [b]}]") ==
        "f.yml: line 1: static_configs[0]: field target not found");
}

}  // namespace
}  // namespace narthex::discovery
