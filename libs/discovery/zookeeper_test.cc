#include "libs/discovery/zookeeper.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libs/base/file.h"
#include "libs/discovery/jute.h"
#include "libs/discovery/provider_run.h"
#include "libs/discovery/zookeeper_provider.h"

namespace narthex::discovery {
namespace {

/// A server of one tree, with sessions, data and child watches and pings.
class FakeZookeeper {
 public:
  FakeZookeeper() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    socklen_t size = sizeof address;
    listener_ = base::UniqueFd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(bind(listener_.get(), generic, size) == 0);
    REQUIRE(listen(listener_.get(), 8) == 0);
    getsockname(listener_.get(), generic, &size);
    port_ = ntohs(address.sin_port);
    wake_ = base::UniqueFd(eventfd(0, EFD_CLOEXEC));
    thread_ = std::thread([this] { Run(); });
  }
  ~FakeZookeeper() {
    const std::uint64_t one = 1;
    REQUIRE(write(wake_.get(), &one, sizeof one) == sizeof one);
    thread_.join();
  }

  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }

  /// Creates or changes a node; its parent must be there.
  void Set(const std::string& path, const std::string& data) {
    base::MutexLock lock(mutex_);
    const bool is_new = !nodes_.contains(path);
    nodes_[path] = data;
    if (is_new) {
      Fire(&child_watches_, ParentOf(path), 4);
    } else {
      Fire(&data_watches_, path, 3);
    }
  }
  /// Removes a node without children.
  void Remove(const std::string& path) {
    base::MutexLock lock(mutex_);
    nodes_.erase(path);
    Fire(&data_watches_, path, 2);
    Fire(&child_watches_, path, 2);
    Fire(&child_watches_, ParentOf(path), 4);
  }
  /// The same, while nobody is told.
  void RemoveSilently(const std::string& path) {
    base::MutexLock lock(mutex_);
    nodes_.erase(path);
  }
  /// Closes all connections; new ones are closed too until Accept().
  void Drop() {
    base::MutexLock lock(mutex_);
    refusing_ = true;
    for (const auto& peer : peers_) shutdown(peer->get(), SHUT_RDWR);
  }
  void Accept() {
    base::MutexLock lock(mutex_);
    refusing_ = false;
  }
  int pings() const { return pings_; }

  std::int32_t agreed_timeout_ms = 10'000;

 private:
  using Watches = std::set<std::pair<std::string, int>>;

  static std::string ParentOf(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    return slash == 0 ? "/" : path.substr(0, slash);
  }

  static bool SendFrame(int fd, const std::string& payload) {
    const std::string frame = JuteWriter().Text(payload).data();
    return send(fd, frame.data(), frame.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(frame.size());
  }

  static bool ReadFrame(int fd, std::string* frame) {
    std::string length(4, '\0');
    if (recv(fd, length.data(), 4, MSG_WAITALL) != 4) return false;
    frame->assign(static_cast<std::size_t>(JuteReader(length).Int()), '\0');
    return recv(fd, frame->data(), frame->size(), MSG_WAITALL) ==
           static_cast<ssize_t>(frame->size());
  }

  void Fire(Watches* watches, const std::string& path, int type) {
    for (auto it = watches->begin(); it != watches->end();) {
      if (it->first != path) {
        ++it;
        continue;
      }
      SendFrame(it->second, JuteWriter()
                                .Int(-1)
                                .Long(-1)
                                .Int(0)
                                .Int(type)
                                .Int(3)
                                .Text(path)
                                .data());
      it = watches->erase(it);
    }
  }

  void Run() {
    for (;;) {
      std::vector<pollfd> fds = {{wake_.get(), POLLIN, 0},
                                 {listener_.get(), POLLIN, 0}};
      for (const auto& peer : peers_) fds.push_back({peer->get(), POLLIN, 0});
      poll(fds.data(), fds.size(), -1);
      if (fds[0].revents != 0) return;
      for (std::size_t i = 2; i < fds.size(); ++i) {
        if (fds[i].revents != 0 && !Serve(fds[i].fd)) Forget(fds[i].fd);
      }
      if (fds[1].revents != 0) Welcome();
    }
  }

  void Welcome() {
    auto peer = std::make_unique<base::UniqueFd>(
        accept(listener_.get(), nullptr, nullptr));
    std::string hello;
    base::MutexLock lock(mutex_);
    if (refusing_ || !ReadFrame(peer->get(), &hello)) return;
    SendFrame(peer->get(), JuteWriter()
                               .Int(0)
                               .Int(agreed_timeout_ms)
                               .Long(77)
                               .Text(std::string(16, 'p'))
                               .Bool(false)
                               .data());
    peers_.push_back(std::move(peer));
  }

  void Forget(int fd) {
    base::MutexLock lock(mutex_);
    for (Watches* watches : {&data_watches_, &child_watches_}) {
      std::erase_if(*watches, [fd](const auto& w) { return w.second == fd; });
    }
    std::erase_if(peers_, [fd](const auto& p) { return p->get() == fd; });
  }

  bool Serve(int fd) {
    std::string frame;
    if (!ReadFrame(fd, &frame)) return false;
    JuteReader reader(frame);
    const std::int32_t xid = reader.Int();
    const std::int32_t operation = reader.Int();
    if (operation == -11) return false;
    base::MutexLock lock(mutex_);
    if (operation == 11) {
      ++pings_;
      return SendFrame(fd, JuteWriter().Int(xid).Long(1).Int(0).data());
    }
    const std::string path = reader.Text();
    if (!nodes_.contains(path)) {
      return SendFrame(fd, JuteWriter().Int(xid).Long(1).Int(-101).data());
    }
    JuteWriter answer;
    answer.Int(xid).Long(1).Int(0);
    if (operation == 4) {
      answer.Text(nodes_[path]);
      data_watches_.emplace(path, fd);
    } else {
      std::vector<std::string> children;
      for (const auto& [child, data] : nodes_) {
        if (child != "/" && ParentOf(child) == path) {
          children.push_back(child.substr(child.rfind('/') + 1));
        }
      }
      answer.Int(static_cast<std::int32_t>(children.size()));
      for (const std::string& child : children) answer.Text(child);
      child_watches_.emplace(path, fd);
    }
    // The node's statistics.
    return SendFrame(fd, answer.data() + std::string(68, '\0'));
  }

  base::UniqueFd listener_;
  base::UniqueFd wake_;
  int port_ = 0;
  std::atomic<int> pings_ = 0;
  base::Mutex mutex_;
  std::map<std::string, std::string> nodes_ ABSL_GUARDED_BY(mutex_);
  Watches data_watches_ ABSL_GUARDED_BY(mutex_);
  Watches child_watches_ ABSL_GUARDED_BY(mutex_);
  bool refusing_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::unique_ptr<base::UniqueFd>> peers_;
  std::thread thread_;
};

std::unique_ptr<ProviderRun> Run(const std::vector<std::string>& servers,
                                 const std::vector<std::string>& paths) {
  return std::make_unique<ProviderRun>([&](const ProviderContext& context) {
    return std::make_unique<ZookeeperProvider>(
        ZookeeperProvider::Options{.mechanism = "nerve",
                                   .parse = ParseNerveMember,
                                   .connect_interval_ms = 10,
                                   .missing_interval_ms = 20},
        ZookeeperConfig{.servers = servers, .paths = paths}, context);
  });
}

std::string Member(const std::string& host) {
  return R"({"host": ")" + host + R"(", "port": 80, "name": "n"})";
}

std::string Found(const std::string& path, const std::string& host) {
  return Printed(host + ":80", "__meta_nerve_",
                 {{"path", path},
                  {"endpoint_host", host},
                  {"endpoint_port", "80"},
                  {"endpoint_name", "n"}});
}

constexpr char kFailures[] = "prometheus_treecache_zookeeper_failures_total";

TEST_CASE("nodes are followed as they come, change and go") {
  FakeZookeeper server;
  server.Set("/", "");
  server.Set("/s", "");
  server.Set("/s/a", Member("a"));
  server.Set("/s/d", "no target");
  server.Set("/s/d/b", Member("b"));
  server.Set("/other", Member("o"));
  const auto run = Run({server.address()}, {"/s"});
  CHECK(run->WaitFor({Found("/s/a", "a"), Found("/s/d/b", "b")}));
  server.Set("/s/a", Member("a2"));
  CHECK(run->WaitFor({Found("/s/a", "a2"), Found("/s/d/b", "b")}));
  server.Set("/s/a", Member("a3"));
  server.Set("/s/d/c", Member("c"));
  CHECK(run->WaitFor(
      {Found("/s/a", "a3"), Found("/s/d/b", "b"), Found("/s/d/c", "c")}));
  server.Remove("/s/d/b");
  CHECK(run->WaitFor({Found("/s/a", "a3"), Found("/s/d/c", "c")}));
  server.Set("/s/a", "broken");
  CHECK(run->WaitFor(Found("/s/d/c", "c")));
  server.Remove("/s/d/c");
  server.Remove("/s/d");
  server.Set("/s/e", Member("e"));
  CHECK(run->WaitFor(Found("/s/e", "e")));
  CHECK(run->CountOf(kFailures) == 0);
}

TEST_CASE("a lost connection keeps targets until they are read anew") {
  FakeZookeeper server;
  server.Set("/s", "");
  server.Set("/s/a", Member("a"));
  server.Set("/s/b", Member("b"));
  const auto run = Run({"127.0.0.1:1", server.address()}, {"/s"});
  CHECK(run->WaitFor({Found("/s/a", "a"), Found("/s/b", "b")}));
  const double before = run->CountOf(kFailures);
  CHECK(before >= 1);
  server.Drop();
  CHECK(run->WaitForCount(kFailures, before + 3));
  CHECK(run->WaitFor({Found("/s/a", "a"), Found("/s/b", "b")}));
  server.RemoveSilently("/s/b");
  server.Set("/s/c", Member("c"));
  server.Accept();
  CHECK(run->WaitFor({Found("/s/a", "a"), Found("/s/c", "c")}));
  server.Set("/s/a", Member("a2"));
  CHECK(run->WaitFor({Found("/s/a", "a2"), Found("/s/c", "c")}));
}

TEST_CASE("a path that is missing is looked for again") {
  FakeZookeeper server;
  server.Set("/t", Member("t"));
  const auto run = Run({server.address()}, {"/s", "/t"});
  CHECK(run->WaitFor(Found("/t", "t")));
  CHECK(run->WaitForCount(kFailures, 2));
  server.Set("/s", Member("s"));
  CHECK(run->WaitFor({Found("/s", "s"), Found("/t", "t")}));
  server.Remove("/s");
  CHECK(run->WaitFor(Found("/t", "t")));
  server.Set("/s", Member("s2"));
  CHECK(run->WaitFor({Found("/s", "s2"), Found("/t", "t")}));
}

TEST_CASE("a session is kept alive while nothing happens") {
  FakeZookeeper server;
  server.agreed_timeout_ms = 90;
  server.Set("/s", Member("s"));
  const auto run = Run({server.address()}, {"/s"});
  CHECK(run->WaitFor(Found("/s", "s")));
  CHECK(run->WaitUntil([&] { return server.pings() >= 4; },
                       [] { return "pings"; }));
  CHECK(run->CountOf(kFailures) == 0);
}

TEST_CASE("members of serversets tell all their endpoints") {
  const auto labels = ParseServersetMember(
      R"({"serviceEndpoint": {"host": "h", "port": 1}, "status": "ALIVE",
          "additionalEndpoints": {"a.b": {"host": "g", "port": 2}},
          "shard": 3})",
      "/p");
  REQUIRE(labels.ok());
  CHECK(Printed(*labels) == Printed("h:1", "__meta_serverset_",
                                    {{"path", "/p"},
                                     {"endpoint_host", "h"},
                                     {"endpoint_port", "1"},
                                     {"endpoint_host_a_b", "g"},
                                     {"endpoint_port_a_b", "2"},
                                     {"status", "ALIVE"},
                                     {"shard", "3"}}));
  for (const char* bad :
       {"", "x", "[]", R"({"serviceEndpoint": 1})", R"({"shard": "1"})",
        R"({"serviceEndpoint": {"host": 1}})",
        R"({"serviceEndpoint": {"port": "1"}})",
        R"({"additionalEndpoints": []})"}) {
    INFO(bad);
    CHECK_FALSE(ParseServersetMember(bad, "/p").ok());
  }
  CHECK_FALSE(ParseNerveMember(R"({"port": "80"})", "/p").ok());
}

TEST_CASE("serverset and nerve configs are checked and printed") {
  CHECK(PrintedConfig(
            ParseConfig<NerveConfig>("{servers: [a, b], paths: [/x]}")) ==
        "servers:\n- a\n- b\npaths:\n- /x\ntimeout: 10s\n");
  const std::vector<std::pair<std::string, std::string>> rows = {
      {"{paths: [/]}", "must contain at least one Zookeeper server"},
      {"{servers: [a]}", "must contain at least one path"},
      {"{servers: [a], paths: [x]}", "paths must begin with '/': x"},
  };
  for (const auto& [text, reason] : rows) {
    INFO(text);
    CHECK_THAT(ConfigError<NerveConfig>(text),
               Catch::EndsWith("nerve SD config " + reason));
    CHECK_THAT(ConfigError<ServersetConfig>(text),
               Catch::EndsWith("serverset SD config " + reason));
  }
}

}  // namespace
}  // namespace narthex::discovery
