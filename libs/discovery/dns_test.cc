#include "libs/discovery/dns.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "absl/strings/str_split.h"
#include "libs/base/file.h"
#include "libs/discovery/provider_run.h"

namespace narthex::discovery {
namespace {

void Append16(unsigned value, std::string* out) {
  out->push_back(static_cast<char>(value >> 8));
  out->push_back(static_cast<char>(value));
}

std::string WireName(const std::string& name) {
  std::string out;
  for (const absl::string_view label :
       absl::StrSplit(name, '.', absl::SkipEmpty())) {
    out.push_back(static_cast<char>(label.size()));
    out.append(label.data(), label.size());
  }
  out.push_back('\0');
  return out;
}

/// A name server on one port of loopback, by UDP and TCP.
class FakeNameServer {
 public:
  FakeNameServer() {
    // A port that is free for UDP may be taken for TCP.
    while (!Bind()) {
    }
    stop_ = base::UniqueFd(eventfd(0, EFD_CLOEXEC));
    thread_ = std::thread([this] { Run(); });
  }
  ~FakeNameServer() {
    const std::uint64_t one = 1;
    REQUIRE(write(stop_.get(), &one, sizeof one) == sizeof one);
    thread_.join();
  }

  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }

  /// Adds a record with this data.
  void Add(const std::string& name, int type, const std::string& data) {
    base::MutexLock lock(mutex_);
    records_[name].emplace_back(type, data);
  }
  void AddAddress(const std::string& name, const std::string& address) {
    in6_addr data{};
    const bool six = address.find(':') != std::string::npos;
    REQUIRE(inet_pton(six ? AF_INET6 : AF_INET, address.c_str(), &data) == 1);
    Add(name, six ? ns_t_aaaa : ns_t_a,
        std::string(reinterpret_cast<char*>(&data), six ? 16 : 4));
  }
  void AddSrv(const std::string& name, const std::string& target,
              unsigned port) {
    std::string data;
    Append16(10, &data);
    Append16(20, &data);
    Append16(port, &data);
    Add(name, ns_t_srv, data + WireName(target));
  }
  /// This answer code for every question about `name`; -1: no answer.
  void Fail(const std::string& name, int code) {
    base::MutexLock lock(mutex_);
    codes_[name] = code;
  }
  void Clear() {
    base::MutexLock lock(mutex_);
    records_.clear();
    codes_.clear();
  }
  int tcp_questions() const { return tcp_questions_; }

 private:
  bool Bind() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    socklen_t size = sizeof address;
    udp_ = base::UniqueFd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    tcp_ = base::UniqueFd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (bind(udp_.get(), generic, size) != 0) return false;
    getsockname(udp_.get(), generic, &size);
    port_ = ntohs(address.sin_port);
    return bind(tcp_.get(), generic, size) == 0 && listen(tcp_.get(), 8) == 0;
  }

  void Run() {
    for (;;) {
      pollfd fds[] = {{stop_.get(), POLLIN, 0},
                      {udp_.get(), POLLIN, 0},
                      {tcp_.get(), POLLIN, 0}};
      poll(fds, 3, -1);
      if (fds[0].revents != 0) return;
      if (fds[1].revents != 0) ServeUdp();
      if (fds[2].revents != 0) ServeTcp();
    }
  }

  void ServeUdp() {
    char buffer[4096];
    sockaddr_in peer{};
    socklen_t size = sizeof peer;
    auto* generic = reinterpret_cast<sockaddr*>(&peer);
    const ssize_t got =
        recvfrom(udp_.get(), buffer, sizeof buffer, 0, generic, &size);
    if (got < 12) return;
    const std::string answer =
        Answer(std::string(buffer, static_cast<std::size_t>(got)), 1200);
    if (answer.empty()) return;
    sendto(udp_.get(), answer.data(), answer.size(), 0, generic, size);
  }

  void ServeTcp() {
    const base::UniqueFd peer(accept(tcp_.get(), nullptr, nullptr));
    unsigned char length[2];
    if (recv(peer.get(), length, 2, MSG_WAITALL) != 2) return;
    std::string question((length[0] << 8) + length[1], '\0');
    if (recv(peer.get(), question.data(), question.size(), MSG_WAITALL) !=
        static_cast<ssize_t>(question.size())) {
      return;
    }
    ++tcp_questions_;
    const std::string answer = Answer(question, 65535);
    std::string framed;
    Append16(static_cast<unsigned>(answer.size()), &framed);
    framed += answer;
    send(peer.get(), framed.data(), framed.size(), MSG_NOSIGNAL);
  }

  /// Empty when the server keeps silent.
  std::string Answer(const std::string& question, std::size_t limit) {
    std::size_t at = 12;
    std::string name;
    while (question[at] != '\0') {
      const auto length = static_cast<std::size_t>(question[at]);
      name.append(question, at + 1, length).push_back('.');
      at += length + 1;
    }
    const int type = static_cast<unsigned char>(question[at + 2]);
    const std::size_t end = at + 5;
    base::MutexLock lock(mutex_);
    int code = records_.contains(name) ? 0 : ns_r_nxdomain;
    if (codes_.contains(name)) code = codes_[name];
    if (code < 0) return "";
    std::string records;
    unsigned count = 0;
    for (const auto& [known, data] : records_[name]) {
      if (known != type && known != ns_t_cname) continue;
      records += std::string("\xC0\x0C", 2);  // The name of the question.
      Append16(static_cast<unsigned>(known), &records);
      Append16(ns_c_in, &records);
      records += std::string("\0\0\0\x3C", 4);
      Append16(static_cast<unsigned>(data.size()), &records);
      records += data;
      ++count;
    }
    if (records_[name].empty()) records_.erase(name);
    const bool truncated = end + records.size() > limit;
    if (truncated) {
      records.clear();
      count = 0;
    }
    std::string out = question.substr(0, 2);
    Append16(0x8180U | (truncated ? 0x200U : 0U) | static_cast<unsigned>(code),
             &out);
    Append16(1, &out);
    Append16(count, &out);
    Append16(0, &out);
    Append16(0, &out);
    return out + question.substr(12, end - 12) + records;
  }

  base::UniqueFd udp_;
  base::UniqueFd tcp_;
  base::UniqueFd stop_;
  int port_ = 0;
  std::atomic<int> tcp_questions_ = 0;
  base::Mutex mutex_;
  std::map<std::string, std::vector<std::pair<int, std::string>>> records_
      ABSL_GUARDED_BY(mutex_);
  std::map<std::string, int> codes_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

std::unique_ptr<ProviderRun> Run(const ResolverConfig& servers,
                                 const std::string& config) {
  return std::make_unique<ProviderRun>([&](const ProviderContext& context) {
    return MakeDnsProvider(
        ParseConfig<DnsConfig>("{refresh_interval: 10ms, " + config + "}"),
        context, [servers] { return servers; });
  });
}

std::string Found(const std::string& address,
                  const std::map<std::string, std::string>& labels) {
  return Printed(address, "__meta_dns_", labels);
}

TEST_CASE("each record of a name is a target") {
  FakeNameServer server;
  server.AddAddress("h.example.org.", "192.0.2.1");
  server.AddAddress("h.example.org.", "192.0.2.2");
  server.AddAddress("h.example.org.", "2001:db8::1");
  server.AddSrv("_m._tcp.example.org.", "a.example.org.", 9100);
  server.AddSrv("_m._tcp.example.org.", "b.example.org.", 9101);
  std::string mx;
  Append16(10, &mx);
  server.Add("example.org.", ns_t_mx, mx + WireName("mail.example.org."));
  server.Add("example.org.", ns_t_ns, WireName("ns.example.org."));
  server.Add("alias.example.org.", ns_t_cname, WireName("h.example.org."));
  server.AddAddress("alias.example.org.", "192.0.2.3");
  const ResolverConfig servers{{server.address()}, {}};
  const auto found = [&](const std::string& config,
                         const ProviderRun::Targets& wanted) {
    INFO(config);
    CHECK(Run(servers, config)->WaitFor(wanted));
  };
  found("names: [h.example.org], type: A, port: 80",
        {Found("192.0.2.1:80", {{"name", "h.example.org"}}),
         Found("192.0.2.2:80", {{"name", "h.example.org"}})});
  found("names: [h.example.org.], type: aaaa, port: 80",
        {Found("[2001:db8::1]:80", {{"name", "h.example.org."}})});
  found("names: [_m._tcp.example.org]",
        {Found("a.example.org:9100", {{"name", "_m._tcp.example.org"},
                                      {"srv_record_target", "a.example.org."},
                                      {"srv_record_port", "9100"}}),
         Found("b.example.org:9101", {{"name", "_m._tcp.example.org"},
                                      {"srv_record_target", "b.example.org."},
                                      {"srv_record_port", "9101"}})});
  found("names: [example.org], type: MX, port: 25",
        {Found("mail.example.org:25",
               {{"name", "example.org"},
                {"mx_record_target", "mail.example.org."}})});
  found(
      "names: [example.org], type: NS, port: 53",
      {Found("ns.example.org:53", {{"name", "example.org"},
                                   {"ns_record_target", "ns.example.org."}})});
  found("names: [alias.example.org, none.example.org], type: A, port: 1",
        {Found("192.0.2.3:1", {{"name", "alias.example.org"}})});
}

TEST_CASE("a name that no server tells of keeps its targets") {
  FakeNameServer server;
  server.AddAddress("a.", "192.0.2.1");
  server.AddAddress("b.", "192.0.2.2");
  const auto run =
      Run({{server.address()}, {}, 1, 100}, "names: [a, b], type: A, port: 1");
  const std::string a = Found("192.0.2.1:1", {{"name", "a"}});
  const std::string b = Found("192.0.2.2:1", {{"name", "b"}});
  CHECK(run->WaitFor({a, b}));
  server.Clear();
  server.Fail("a.", GENERATE(as<int>(), ns_r_servfail, ns_r_refused, -1));
  CHECK(run->WaitFor(a));
  CHECK(run->WaitForCount("prometheus_sd_dns_lookup_failures_total", 2));
  CHECK(run->CountOf("prometheus_sd_dns_lookups_total") >= 4);
  CHECK(run->sources() == std::set<std::string>{"a"});
  server.Clear();
  CHECK(run->WaitFor(ProviderRun::Targets{}));
}

TEST_CASE("the next server is asked when one cannot tell") {
  FakeNameServer first;
  FakeNameServer second;
  first.Fail("a.", GENERATE(as<int>(), ns_r_servfail, ns_r_refused, -1));
  second.AddAddress("a.", "192.0.2.1");
  CHECK(Run({{first.address(), second.address()}, {}, 1, 100},
            "names: [a], type: A, port: 1")
            ->WaitFor(Found("192.0.2.1:1", {{"name", "a"}})));
}

TEST_CASE("an answer too long for UDP is fetched by TCP") {
  FakeNameServer server;
  ProviderRun::Targets wanted;
  for (int i = 1; i <= 200; ++i) {
    const std::string address = absl::StrCat("192.0.2.", i);
    server.AddAddress("a.", address);
    wanted.push_back(Found(address + ":1", {{"name", "a"}}));
  }
  CHECK(Run({{server.address()}, {}}, "names: [a], type: A, port: 1")
            ->WaitFor(wanted));
  CHECK(server.tcp_questions() >= 1);
}

TEST_CASE("short names stand for those in the search domains") {
  FakeNameServer server;
  server.AddAddress("web.b.example.", "192.0.2.1");
  CHECK(Run({{server.address()}, {"a.example", "b.example."}},
            "names: [web], type: A, port: 1")
            ->WaitFor(Found("192.0.2.1:1", {{"name", "web"}})));
  using Names = std::vector<std::string>;
  const ResolverConfig config{{}, {"x", "y."}, 2};
  CHECK(NamesToTry("a.b", config) == Names{"a.b.x.", "a.b.y.", "a.b."});
  CHECK(NamesToTry("a.b.c", config) == Names{"a.b.c.", "a.b.c.x.", "a.b.c.y."});
  CHECK(NamesToTry("a.", config) == Names{"a."});
}

TEST_CASE("resolv.conf tells servers, search domains and ndots") {
  base::TemporaryDirectory directory;
  const std::string path = directory.path() + "/resolv.conf";
  REQUIRE(base::WriteFileAtomically(
              path,
              "# comment\n; another\ndomain d\nnameserver 192.0.2.1\n"
              "nameserver\t2001:db8::1 \nsearch a b\noptions edns0 ndots:5\n")
              .ok());
  const auto config = ReadResolverConfig(path);
  REQUIRE(config.ok());
  CHECK(config->servers ==
        std::vector<std::string>{"192.0.2.1", "2001:db8::1"});
  CHECK(config->search == std::vector<std::string>{"a", "b"});
  CHECK(config->ndots == 5);
  REQUIRE(base::WriteFileAtomically(path, "").ok());
  CHECK(ReadResolverConfig(path)->servers ==
        std::vector<std::string>{"127.0.0.1"});
  CHECK_THAT(std::string(ReadResolverConfig(path + "x").status().message()),
             Catch::StartsWith("could not load resolv.conf"));
}

TEST_CASE("dns configs are checked and printed") {
  CHECK(PrintedConfig(ParseConfig<DnsConfig>("names: [a]")) ==
        "names:\n- a\nrefresh_interval: 30s\ntype: SRV\nport: 0\n");
  const std::vector<std::pair<std::string, std::string>> rows = {
      {"{}", "DNS-SD config must contain at least one SRV record name"},
      {"{names: [a], type: TXT}", "invalid DNS-SD records type TXT"},
      {"{names: [a], type: a}",
       "a port is required in DNS-SD configs for all record types except SRV"},
  };
  for (const auto& [text, reason] : rows) {
    INFO(text);
    CHECK_THAT(ConfigError<DnsConfig>(text), Catch::EndsWith(reason));
  }
}

}  // namespace
}  // namespace narthex::discovery
