#include "libs/http/response_head.h"

#include <ctime>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace narthex::http {

namespace {

// The Date field, formatted once a second for each thread.
absl::string_view Date() {
  thread_local std::time_t formatted_at = 0;
  thread_local char text[32];
  thread_local std::size_t size = 0;
  const std::time_t now = std::time(nullptr);
  if (now != formatted_at) {
    std::tm parts{};
    gmtime_r(&now, &parts);
    size =
        std::strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &parts);
    formatted_at = now;
  }
  return {text, size};
}

// Header values come from handlers that may echo input: no line may end early.
void AppendClean(absl::string_view text, std::string* out) {
  for (const char c : text) out->push_back(c == '\r' || c == '\n' ? ' ' : c);
}

bool HasBody(int status) {
  return status >= 200 && status != 204 && status != 304;
}

}  // namespace

std::string ResponseHead(const Response& response, const Framing& framing) {
  std::string head;
  head.reserve(256);
  absl::StrAppend(&head, framing.http_1_0 ? "HTTP/1.0 " : "HTTP/1.1 ",
                  response.status(), " ", StatusText(response.status()),
                  "\r\n");
  for (const auto& [name, value] : response.headers().fields()) {
    AppendClean(name, &head);
    head += ": ";
    AppendClean(value, &head);
    head += "\r\n";
  }
  absl::StrAppend(&head, "Date: ", Date(), "\r\n");
  if (framing.content_length.has_value()) {
    if (HasBody(response.status())) {
      absl::StrAppend(&head, "Content-Length: ", *framing.content_length,
                      "\r\n");
    }
  } else if (!framing.http_1_0) {
    head += "Transfer-Encoding: chunked\r\n";
  }
  if (!framing.keep_alive) {
    head += "Connection: close\r\n";
  } else if (framing.http_1_0) {
    head += "Connection: keep-alive\r\n";
  }
  head += "\r\n";
  return head;
}

bool AcceptsGzip(absl::string_view accept_encoding) {
  for (absl::string_view item : absl::StrSplit(accept_encoding, ',')) {
    std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(item, absl::MaxSplits(';', 1));
    const auto coding = absl::StripAsciiWhitespace(parts.first);
    if (!absl::EqualsIgnoreCase(coding, "gzip") && coding != "*") continue;
    const auto weight = absl::StripAsciiWhitespace(parts.second);
    if (weight == "q=0" || weight == "q=0.0") continue;
    return true;
  }
  return false;
}

bool IsCompressible(absl::string_view content_type) {
  if (absl::StartsWith(content_type, "text/event-stream")) return false;
  return absl::StartsWith(content_type, "text/") ||
         absl::StrContains(content_type, "json") ||
         absl::StrContains(content_type, "javascript") ||
         absl::StrContains(content_type, "xml") ||
         absl::StrContains(content_type, "openmetrics-text") ||
         absl::StrContains(content_type, "google.protobuf");
}

}  // namespace narthex::http
