// What servers that are scraped answer.
#include <algorithm>
#include <cstring>
#include <memory>

#include "absl/strings/str_cat.h"
#include "libs/http/direct_request.h"
#include "libs/http/gzip.h"
#include "libs/http/response_reader.h"
#include "libs/http/url.h"
#include "tests/fuzz/fuzz_target.h"

namespace narthex::fuzz {
namespace {

using State = http::ResponseReader::State;

constexpr std::int64_t kMaxBody = 4096;

// What came of an answer.
struct Outcome {
  State state = State::kMore;
  int code = 0;
  bool keep_alive = false;
  std::string headers = {};
  std::string body = {};
};

// Reads `text` as it comes in pieces, whose sizes `piece` gives in turn, each
// time from a buffer of just that size, so that a read beyond it is noticed.
Outcome Read(absl::string_view text, absl::string_view pieces) {
  http::ResponseReader reader(kMaxBody);
  Outcome outcome;
  std::unique_ptr<char[]> buffer;
  std::size_t size = 0;
  for (std::size_t turn = 0;
       size < text.size() && outcome.state == State::kMore; ++turn) {
    const std::size_t piece =
        pieces.empty()
            ? text.size()
            : 1 + static_cast<unsigned char>(pieces[turn % pieces.size()]);
    const std::size_t more = std::min(piece, text.size() - size);
    std::unique_ptr<char[]> larger(new char[size + more]);
    if (size > 0) std::memcpy(larger.get(), buffer.get(), size);
    std::memcpy(larger.get() + size, text.data() + size, more);
    buffer = std::move(larger);
    size += more;
    outcome.state = reader.Advance(buffer.get(), size);
    Require(reader.wanted() > 0, "nothing is wanted");
  }
  if (outcome.state == State::kMore) outcome.state = reader.End();
  if (outcome.state != State::kDone) return outcome;
  outcome.code = reader.code();
  outcome.keep_alive = reader.keep_alive();
  for (const auto& [name, value] : reader.headers().fields()) {
    absl::StrAppend(&outcome.headers, name, "\n", value, "\n");
  }
  Require(reader.body_begin() + reader.body_size() <= size,
          "a body beyond the answer");
  Require(reader.body_size() <= kMaxBody, "a body over the limit");
  outcome.body.assign(buffer.get() + reader.body_begin(), reader.body_size());
  return outcome;
}

// Up to the first zero byte the sizes of pieces, then an answer.
void RunResponse(absl::string_view input) {
  const std::size_t zero = input.find('\0');
  if (zero == absl::string_view::npos) return;
  const absl::string_view text = input.substr(zero + 1);
  const Outcome whole = Read(text, "");
  const Outcome cut = Read(text, input.substr(0, zero));
  // Lines without an end are given up before the whole of them has come.
  if (cut.state == State::kIrregular && text.size() > 1024) return;
  Require(whole.state == cut.state, "another outcome in pieces");
  if (whole.state != State::kDone) return;
  Require(whole.code == cut.code && whole.headers == cut.headers &&
              whole.body == cut.body,
          "another answer in pieces");
  // What comes behind an answer may come after it has been taken.
  Require(cut.keep_alive || !whole.keep_alive, "another end in pieces");
}

std::vector<std::string> Responses() {
  const std::string pieces("\x01\x20\x03\x00", 4);
  std::vector<std::string> seeds;
  for (const char* text : {
           "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
           "Content-Length: 11\r\n\r\nhello world",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
           "5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n",
           "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nto the end",
           "HTTP/1.1 503 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
           "fff\r\nx",
           "HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 9999\r\n\r\n",
       }) {
    seeds.push_back(absl::StrCat(pieces, text));
  }
  return seeds;
}

void RunGzip(absl::string_view input) {
  std::string plain;
  const absl::Status status = http::GzipDecompress(input, 100'000, &plain);
  Require(plain.size() <= 100'000 + (64 << 10), "more than was asked for");
  if (!status.ok()) return;
  std::string zipped;
  http::GzipCompress(plain, &zipped);
  std::string again;
  Require(http::GzipDecompress(zipped, 0, &again).ok() && again == plain,
          "not the same after a round");
}

std::vector<std::string> Zipped() {
  std::vector<std::string> seeds(3);
  http::GzipCompress("a 1\nb 2\n", &seeds[0]);
  http::GzipCompress(std::string(200'000, 'x'), &seeds[1]);
  seeds[2] = seeds[0] + seeds[0];
  return seeds;
}

void RunUrl(absl::string_view input) {
  http::FetchRequest request;
  request.url = std::string(input);
  request.timeout_ms = 1;
  http::UrlHost(request.url);
  http::UrlPort(request.url);
  if (!http::IsDirect(request)) return;
  const auto url = http::SplitDirectUrl(request.url);
  Require(url.has_value(), "a direct request without its parts");
  const std::string text = http::DirectRequestText(request, *url, "fuzz");
  Require(std::count(text.begin(), text.end(), '\n') == 5,
          "a line too many in a request");
  http::SocketAddress::Of(http::UrlHost(request.url),
                          http::UrlPort(request.url));
}

std::vector<std::string> Urls() {
  return {"http://127.0.0.1:9090/metrics", "http://[::1]:80/a?b=c%20d",
          "http://localhost/", "https://a.b:443/x", "http://a:99999/../b"};
}

}  // namespace

const std::vector<Target>& Targets() {
  static const std::vector<Target> targets = {
      {"http_response", RunResponse, Responses},
      {"http_gzip", RunGzip, Zipped},
      {"http_url", RunUrl, Urls},
  };
  return targets;
}

}  // namespace narthex::fuzz
