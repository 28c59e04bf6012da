#include "libs/service/auto_reload.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <functional>
#include <thread>
#include <utility>

#include "libs/base/file.h"

namespace narthex::service {
namespace {

class WatchingApp : public App {
 public:
  explicit WatchingApp(std::string file) : file_(std::move(file)) {}
  void AddFlags(FlagSet& flags) override {
    auto_reload_.AddFlags(flags);
    features_.AddFlag(flags);
  }
  absl::Status Start(Process& process) override {
    process.OnReload("test", [this]() -> absl::Status {
      ++reloads;
      if (on_reload) std::exchange(on_reload, nullptr)();
      return good ? absl::OkStatus() : absl::InvalidArgumentError("bad");
    });
    auto_reload_.Start(process, features_,
                       [this] { return std::vector<std::string>{file_}; });
    return absl::OkStatus();
  }

  std::atomic<int> reloads{0};
  std::atomic<bool> good{true};
  // Happens once, during a reload.
  std::function<void()> on_reload;

 private:
  const std::string file_;
  Features features_{{kAutoReloadFeature}};
  AutoReload auto_reload_;
};

// Whether `reloads` comes to be `wanted`, and stays so for some intervals.
bool Settles(const WatchingApp& app, int wanted) {
  for (int i = 0; i < 1000 && app.reloads < wanted; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  return app.reloads == wanted;
}

void Write(const std::string& file, const std::string& content) {
  REQUIRE(base::WriteFileAtomically(file, content).ok());
}

}  // namespace

TEST_CASE("a change of a configuration file reloads once, if asked for") {
  const base::TemporaryDirectory directory;
  const std::string file = directory.path() + "/config.yml";
  Write(file, "one");
  WatchingApp app(file);
  Process process({"test", "Test", "127.0.0.1:0"}, app);
  const std::string flag = GENERATE("", "--config.auto-reload",
                                    "--enable-feature=auto-reload-config");
  const bool enabled = !flag.empty();
  std::vector<std::string> arguments = {"--log.level=error",
                                        "--config.auto-reload-interval=10ms"};
  if (enabled) arguments.push_back(flag);
  REQUIRE(process.Start(arguments).ok());
  CHECK(Settles(app, 0));
  Write(file, "two");
  CHECK(Settles(app, enabled ? 1 : 0));
  if (!enabled) return;
  Write(file, "two");
  CHECK(Settles(app, 1));
  app.good = false;
  Write(file, "three");
  CHECK(Settles(app, 2));
  app.good = true;
  Write(file, "four");
  CHECK(Settles(app, 3));
}

TEST_CASE("what is written while the configuration loads is loaded too") {
  const base::TemporaryDirectory directory;
  const std::string file = directory.path() + "/config.yml";
  Write(file, "one");
  WatchingApp app(file);
  app.on_reload = [&] { Write(file, "whole"); };
  Process process({"test", "Test", "127.0.0.1:0"}, app);
  REQUIRE(process
              .Start({"--log.level=error", "--config.auto-reload",
                      "--config.auto-reload-interval=10ms"})
              .ok());
  Write(file, "half");
  CHECK(Settles(app, 2));
}

}  // namespace narthex::service
