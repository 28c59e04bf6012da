#include "libs/discovery/dns_resolver.h"

#include <ares.h>
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <memory>
#include <mutex>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "libs/base/file.h"
#include "libs/base/status.h"

namespace narthex::discovery {
namespace {

using Records = std::vector<DnsRecord>;

constexpr int kPollMs = 100;

std::string Absolute(absl::string_view name) {
  return absl::EndsWith(name, ".") ? std::string(name)
                                   : absl::StrCat(name, ".");
}

/// The name at `data` within a message.
std::optional<std::string> NameAt(const ns_msg& message,
                                  const unsigned char* data) {
  std::array<char, NS_MAXDNAME> name{};
  if (ns_name_uncompress(ns_msg_base(message), ns_msg_end(message), data,
                         name.data(), name.size()) < 0) {
    return std::nullopt;
  }
  return Absolute(name.data());
}

/// Nothing for other types (the aliases on the way among them) and for what
/// is malformed.
std::optional<DnsRecord> RecordOf(const ns_msg& message, const ns_rr& rr) {
  const unsigned char* data = ns_rr_rdata(rr);
  const std::size_t size = ns_rr_rdlen(rr);
  DnsRecord record;
  record.type = static_cast<DnsType>(ns_rr_type(rr));
  std::array<char, INET6_ADDRSTRLEN> address{};
  std::size_t name_at = 0;
  switch (record.type) {
    case DnsType::kA:
    case DnsType::kAaaa: {
      const bool four = record.type == DnsType::kA;
      if (size != (four ? sizeof(in_addr) : sizeof(in6_addr))) {
        return std::nullopt;
      }
      inet_ntop(four ? AF_INET : AF_INET6, data, address.data(),
                address.size());
      record.address = address.data();
      return record;
    }
    case DnsType::kSrv:
      name_at = 6;  // After priority, weight and port.
      break;
    case DnsType::kMx:
      name_at = 2;  // After the preference.
      break;
    case DnsType::kNs:
      break;
    default:
      return std::nullopt;
  }
  if (size <= name_at) return std::nullopt;
  if (record.type == DnsType::kSrv) {
    record.port = static_cast<std::uint16_t>(ns_get16(data + 4));
  }
  auto target = NameAt(message, data + name_at);
  if (!target.has_value()) return std::nullopt;
  record.target = *std::move(target);
  return record;
}

/// One name on its way through the names to try.
struct Lookup {
  ares_channel channel = nullptr;
  DnsType type = DnsType::kA;
  std::vector<std::string> names;
  std::size_t next = 0;
  std::string error;  // Of a name that no server answered for.
  std::optional<absl::StatusOr<Records>> result;

  void AskNext() {
    if (next < names.size()) {
      const std::string& name = names[next++];
      ares_query(channel, name.c_str(), ns_c_in, static_cast<int>(type),
                 &Lookup::OnAnswer, this);
    } else if (error.empty()) {
      result = Records();  // All agree that there is no such name.
    } else {
      result = absl::UnavailableError(error);
    }
  }

  static void OnAnswer(void* self, int status, int, unsigned char* data,
                       int size) {
    auto& lookup = *static_cast<Lookup*>(self);
    switch (status) {
      case ARES_SUCCESS:
        lookup.result = ParseDnsAnswer({reinterpret_cast<const char*>(data),
                                        static_cast<std::size_t>(size)});
        return;
      case ARES_ENODATA:
        lookup.result = Records();
        return;
      case ARES_ECANCELLED:
      case ARES_EDESTRUCTION:
        lookup.result = absl::CancelledError("context canceled");
        return;
      case ARES_ENOTFOUND:
        break;
      default:
        lookup.error = absl::StrCat(
            "could not resolve ", lookup.names[lookup.next - 1],
            ": no servers returned a viable answer: ", ares_strerror(status));
    }
    lookup.AskNext();
  }
};

/// Waits for the channel's sockets and lets it work.
void Process(ares_channel channel) {
  std::array<ares_socket_t, ARES_GETSOCK_MAXNUM> sockets{};
  const int bits = ares_getsock(channel, sockets.data(), sockets.size());
  std::vector<pollfd> fds;
  for (std::size_t i = 0; i < sockets.size(); ++i) {
    short events = 0;
    if (ARES_GETSOCK_READABLE(bits, i)) events |= POLLIN;
    if (ARES_GETSOCK_WRITABLE(bits, i)) events |= POLLOUT;
    if (events != 0) fds.push_back({sockets[i], events, 0});
  }
  timeval limit{0, kPollMs * 1000};
  timeval storage{};
  const timeval* wait = ares_timeout(channel, &limit, &storage);
  poll(fds.data(), fds.size(),
       static_cast<int>(wait->tv_sec * 1000 + wait->tv_usec / 1000 + 1));
  // Without a socket it looks at its time limits.
  ares_process_fd(channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
  for (const pollfd& fd : fds) {
    if (fd.revents == 0) continue;
    const bool readable = (fd.revents & ~POLLOUT) != 0;
    ares_process_fd(channel, readable ? fd.fd : ARES_SOCKET_BAD,
                    (fd.revents & POLLOUT) != 0 ? fd.fd : ARES_SOCKET_BAD);
  }
}

struct ChannelDestroyer {
  void operator()(ares_channeldata* channel) const { ares_destroy(channel); }
};
using Channel = std::unique_ptr<ares_channeldata, ChannelDestroyer>;

absl::Status AresError(int code) {
  return absl::UnavailableError(absl::StrCat("c-ares: ", ares_strerror(code)));
}

absl::StatusOr<Channel> OpenChannel(const ResolverConfig& config) {
  // The only process-wide set-up that c-ares needs.
  static std::once_flag initialised;
  std::call_once(initialised, [] { ares_library_init(ARES_LIB_INIT_ALL); });
  ares_options options{};
  options.flags = ARES_FLAG_EDNS | ARES_FLAG_NOALIASES;
  options.ednspsz = 4096;
  options.timeout = config.timeout_ms;
  options.tries = 1;  // Of each server.
  ares_channel channel = nullptr;
  int code = ares_init_options(
      &channel, &options,
      ARES_OPT_FLAGS | ARES_OPT_EDNSPSZ | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES);
  if (code != ARES_SUCCESS) return AresError(code);
  Channel owner(channel);
  const std::string servers = absl::StrJoin(config.servers, ",");
  code = ares_set_servers_ports_csv(channel, servers.c_str());
  if (code != ARES_SUCCESS) {
    return base::Annotate(AresError(code),
                          absl::StrCat("name servers ", servers));
  }
  return owner;
}

}  // namespace

absl::StatusOr<ResolverConfig> ReadResolverConfig(const std::string& path) {
  auto text = base::ReadFile(path);
  NARTHEX_RETURN_IF_ERROR(
      base::Annotate(text.status(), "could not load resolv.conf"));
  ResolverConfig config;
  for (const absl::string_view line : absl::StrSplit(*text, '\n')) {
    const std::vector<std::string> words =
        absl::StrSplit(line, absl::ByAnyChar(" \t\r"), absl::SkipEmpty());
    if (words.size() < 2 || words[0].front() == '#' ||
        words[0].front() == ';') {
      continue;
    }
    if (words[0] == "nameserver") {
      config.servers.push_back(words[1]);
    } else if (words[0] == "domain") {
      config.search = {words[1]};
    } else if (words[0] == "search") {
      config.search.assign(words.begin() + 1, words.end());
    } else if (words[0] == "options") {
      for (absl::string_view option : words) {
        if (!absl::ConsumePrefix(&option, "ndots:")) continue;
        int ndots = 0;
        if (absl::SimpleAtoi(option, &ndots)) {
          config.ndots = std::clamp(ndots, 0, 15);
        }
      }
    }
  }
  if (config.servers.empty()) config.servers.emplace_back("127.0.0.1");
  return config;
}

std::vector<std::string> NamesToTry(const std::string& name,
                                    const ResolverConfig& config) {
  if (absl::EndsWith(name, ".")) return {name};
  std::vector<std::string> names;
  for (const std::string& domain : config.search) {
    names.push_back(Absolute(absl::StrCat(name, ".", domain)));
  }
  const bool complete =
      std::count(name.begin(), name.end(), '.') >= config.ndots;
  names.insert(complete ? names.begin() : names.end(), Absolute(name));
  return names;
}

std::vector<absl::StatusOr<std::vector<DnsRecord>>> LookUp(
    const ResolverConfig& config, const std::vector<std::string>& names,
    DnsType type, const std::function<bool()>& cancelled) {
  using Result = absl::StatusOr<Records>;
  const auto channel = OpenChannel(config);
  if (!channel.ok()) {
    return std::vector<Result>(names.size(), channel.status());
  }
  std::vector<std::unique_ptr<Lookup>> lookups;
  for (const std::string& name : names) {
    auto lookup = std::make_unique<Lookup>();
    lookup->channel = channel->get();
    lookup->type = type;
    lookup->names = NamesToTry(name, config);
    lookup->AskNext();
    lookups.push_back(std::move(lookup));
  }
  const auto done = [&lookups] {
    return std::all_of(lookups.begin(), lookups.end(), [](const auto& lookup) {
      return lookup->result.has_value();
    });
  };
  while (!done()) {
    if (cancelled()) ares_cancel(channel->get());
    Process(channel->get());
  }
  std::vector<Result> results;
  for (auto& lookup : lookups) results.push_back(*std::move(lookup->result));
  return results;
}

std::vector<DnsRecord> ParseDnsAnswer(absl::string_view message_bytes) {
  Records records;
  ns_msg message;
  if (ns_initparse(reinterpret_cast<const unsigned char*>(message_bytes.data()),
                   static_cast<int>(message_bytes.size()), &message) < 0)
    return records;
  for (int i = 0; i < ns_msg_count(message, ns_s_an); ++i) {
    ns_rr rr;
    if (ns_parserr(&message, ns_s_an, i, &rr) < 0) break;
    if (auto record = RecordOf(message, rr)) {
      records.push_back(*std::move(record));
    }
  }
  return records;
}

}  // namespace narthex::discovery
