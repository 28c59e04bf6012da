#include "libs/http/url_check.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "libs/base/quote.h"
#include "libs/base/status.h"

namespace narthex::http {
namespace {

absl::Status Bad(absl::string_view what) {
  return absl::InvalidArgumentError(what);
}

/// Every "%" is followed by two hexadecimal digits.
absl::Status CheckEscapes(absl::string_view text) {
  for (std::size_t i = text.find('%'); i != absl::string_view::npos;
       i = text.find('%', i + 1)) {
    const absl::string_view escape = text.substr(i, 3);
    if (escape.size() == 3 && absl::ascii_isxdigit(escape[1]) &&
        absl::ascii_isxdigit(escape[2])) {
      continue;
    }
    return Bad(absl::StrCat("invalid URL escape ", base::Quote(escape)));
  }
  return absl::OkStatus();
}

/// The escapes in a host stand for bytes beyond ASCII; `zone` is that of an
/// IPv6 address, where others may stand too.
absl::Status CheckHostBytes(absl::string_view host, bool zone) {
  NARTHEX_RETURN_IF_ERROR(CheckEscapes(host));
  constexpr absl::string_view kPlain = "-_.~$&+=:!'()*,;[]<>\"%";
  for (std::size_t i = 0; i < host.size(); ++i) {
    const char c = host[i];
    if (c == '%' && !zone && host[i + 1] < '8' && host.substr(i, 3) != "%25") {
      return Bad(
          absl::StrCat("invalid URL escape ", base::Quote(host.substr(i, 3))));
    }
    if (absl::ascii_isalnum(c) || static_cast<unsigned char>(c) >= 0x80 ||
        kPlain.find(c) != absl::string_view::npos) {
      continue;
    }
    return Bad(absl::StrCat("invalid character ",
                            base::Quote(absl::string_view(&c, 1)),
                            " in host name"));
  }
  return absl::OkStatus();
}

absl::Status CheckHost(absl::string_view host) {
  std::size_t end = host.rfind(':');
  if (absl::StartsWith(host, "[")) {
    const std::size_t bracket = host.rfind(']');
    if (bracket == absl::string_view::npos) return Bad("missing ']' in host");
    end = bracket + 1;
  }
  end = std::min(end, host.size());
  const absl::string_view port = host.substr(end);
  if (!port.empty() &&
      (port[0] != ':' ||
       !std::all_of(port.begin() + 1, port.end(), absl::ascii_isdigit))) {
    return Bad(absl::StrCat("invalid port ", base::Quote(port), " after host"));
  }
  host = host.substr(0, end);
  const std::size_t zone =
      absl::StartsWith(host, "[") ? host.find("%25") : absl::string_view::npos;
  NARTHEX_RETURN_IF_ERROR(CheckHostBytes(host.substr(0, zone), false));
  return zone == absl::string_view::npos
             ? absl::OkStatus()
             : CheckHostBytes(host.substr(zone), true);
}

absl::Status CheckAuthority(absl::string_view authority) {
  const std::size_t at = authority.rfind('@');
  if (at == absl::string_view::npos) return CheckHost(authority);
  const absl::string_view user = authority.substr(0, at);
  constexpr absl::string_view kPlain = "-._:~!$&'()*+,;=%@";
  const bool valid = std::all_of(user.begin(), user.end(), [&](char c) {
    return absl::ascii_isalnum(c) || kPlain.find(c) != absl::string_view::npos;
  });
  if (!valid) return Bad("net/url: invalid userinfo");
  NARTHEX_RETURN_IF_ERROR(CheckHost(authority.substr(at + 1)));
  return CheckEscapes(user);
}

/// The length of the scheme in front of a colon; 0 when there is none.
std::size_t SchemeLength(absl::string_view url) {
  const std::size_t end = std::min(url.find(':'), url.size());
  const auto in_scheme = [](char c) {
    return absl::ascii_isalnum(c) || c == '+' || c == '-' || c == '.';
  };
  const bool scheme = end < url.size() && end > 0 &&
                      absl::ascii_isalpha(url[0]) &&
                      std::all_of(url.begin(), url.begin() + end, in_scheme);
  return scheme ? end : 0;
}

absl::Status CheckParts(absl::string_view url) {
  if (std::any_of(url.begin(), url.end(), absl::ascii_iscntrl)) {
    return Bad("net/url: invalid control character in URL");
  }
  const std::size_t hash = std::min(url.find('#'), url.size());
  NARTHEX_RETURN_IF_ERROR(CheckEscapes(url.substr(hash)));
  url = url.substr(0, std::min(hash, url.find('?')));
  if (absl::StartsWith(url, ":")) return Bad("missing protocol scheme");
  const std::size_t scheme = SchemeLength(url);
  if (scheme > 0) url.remove_prefix(scheme + 1);
  if (!absl::StartsWith(url, "/")) {
    if (scheme > 0) return absl::OkStatus();  // Opaque, like "mailto:x".
    if (absl::StrContains(url.substr(0, url.find('/')), ':')) {
      return Bad("first path segment in URL cannot contain colon");
    }
  }
  if (absl::ConsumePrefix(&url, "//")) {
    const std::size_t path = std::min(url.find('/'), url.size());
    NARTHEX_RETURN_IF_ERROR(CheckAuthority(url.substr(0, path)));
    url.remove_prefix(path);
  }
  return CheckEscapes(url);
}

}  // namespace

absl::Status CheckUrl(absl::string_view url) {
  const absl::Status status = CheckParts(url);
  if (status.ok()) return status;
  return Bad(absl::StrCat("parse ", base::Quote(url), ": ", status.message()));
}

}  // namespace narthex::http
